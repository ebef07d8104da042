//! The promises that only real servers can prove, each with its own assertion. The servers are brought up from
//! packages, the program under test is the release build, and everything ends with this process.

mod by_hand;
mod databases;
mod evidence;
mod init;
mod likeness;
mod nights;
mod oracle;
mod program;
mod proof;
mod secured;
mod single;
mod three;
mod vaults;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

pub use self::program::Program;
use self::proof::Shown;
pub use self::vaults::on_stage;
use crate::peers::cluster::{Cluster, Options};
use crate::peers::load;
use crate::peers::search::Kind;
use crate::peers::{self, run_folder};
use crate::say::say;

const HOT_BACKUP: &str = "hot-backup";
const PUT_BACK: &str = "put-back";
const UNIFIED_ORDER: &str = "unified-order";
const LOST_ANSWERS: &str = "lost-answers";
const CONTROL: &str = "control";
const WITNESS_OF_ALL: &str = "witness-of-all";
const LEADER_MOVES: &str = "leader-moves";
const GONE_BEFORE: &str = "gone-before";
const GONE_AT_PAUSE: &str = "gone-at-pause";
const RELEASE_WAIT: &str = "release-wait";
const PROMISE_LIMIT: Duration = Duration::from_mins(15);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The search product
    #[arg(long, value_enum, default_value = "both")]
    search: Products,
    /// Every point of every promise, not one pass of each
    #[arg(long)]
    long: bool,
    /// Only the promises with these names (`by-hand` and `by-hand-control` check this tool itself, without c8keep)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Write what was shown to this file, as a table
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Test this binary instead of building the release build
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Products {
    Es,
    Os,
    Both,
}

/// What is asserted, and how it went.
#[derive(Debug)]
pub struct Suite {
    only: Vec<String>,
    pub long: bool,
    passed: u32,
    failed: u32,
    shown: Vec<Shown>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut suite = Suite { only: args.only, long: args.long, passed: 0, failed: 0, shown: Vec::new() };
        let dir = run_folder("live");
        // What is shown is shown of what is checked out now.
        let commit = args.proof.is_some().then(proof::commit).transpose()?.unwrap_or_default();
        tokio::select! {
            done = all(&mut suite, args.search, args.program.as_deref(), &dir) => done?,
            stopped = peers::asked_to_stop() => { stopped?; suite.failed += 1; say("asked to stop") }
        }
        if suite.failed == 0 {
            peers::remove(&dir).await;
        } else {
            say(format_args!("logs are in {}", dir.display()));
        }
        say(format_args!("{} passed, {} failed", suite.passed, suite.failed));
        if let Some(file) = &args.proof {
            proof::write(file, &suite.shown, &commit)?;
        }
        // A suite that asserted nothing has shown nothing.
        Ok(if suite.failed == 0 && suite.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn all(suite: &mut Suite, products: Products, program: Option<&Path>, dir: &Path) -> Result<()> {
    let kinds: &[Kind] = match products {
        Products::Es => &[Kind::Es],
        Products::Os => &[Kind::Os],
        Products::Both => &[Kind::Es, Kind::Os],
    };
    if suite.wants_by_name(by_hand::NAME) || suite.wants_by_name(by_hand::CONTROL) {
        for kind in kinds {
            self_check(suite, *kind, &dir.join(kind.name())).await?;
        }
        return Ok(());
    }
    if suite.wants_by_name(likeness::NAME) {
        return likeness::alone(suite, kinds, dir).await;
    }
    let program = match program {
        Some(binary) => Program::given(binary, dir)?,
        None => Program::build(dir).await?,
    };
    if suite.wants(vaults::NAME) {
        vaults::all(suite, &dir.join(vaults::NAME), &program).await?;
    }
    if suite.wants(databases::NAME) {
        databases::all(suite, &dir.join(databases::NAME), &program).await?;
    }
    if suite.wants(secured::NAME) && kinds.contains(&Kind::Es) {
        secured::all(suite, &dir.join(secured::NAME), &program).await?;
    }
    for kind in kinds {
        // What hardly depends on the product is shown on both only in the long run.
        let share = Share {
            control: suite.long || kinds.first() == Some(kind),
            unified: suite.long || kinds.last() == Some(kind),
        };
        one_broker(suite, *kind, share, &dir.join(kind.name()), &program).await?;
    }
    // A whole night on each product is for the long run; what else runs takes one of everything on one of them.
    let some = if suite.long { kinds } else { &kinds[kinds.len() - 1..] };
    for kind in some {
        nights::all(suite, *kind, &dir.join(format!("nights-{}", kind.name())), &program).await?;
    }
    // What three brokers show does not depend on the search product; both are shown only in the long run.
    let last = if suite.long { kinds } else { &kinds[kinds.len() - 1..] };
    for kind in last {
        three_brokers(suite, *kind, &dir.join(format!("three-{}", kind.name())), &program).await?;
    }
    Ok(())
}

async fn self_check(suite: &mut Suite, kind: Kind, dir: &Path) -> Result<()> {
    let Some(mut cluster) = suite.cluster(&with_apps(kind, dir)).await else { return Ok(()) };
    if suite.wants_by_name(by_hand::NAME) {
        suite.promise(by_hand::NAME, kind, by_hand::PROMISE, by_hand::check(&mut cluster)).await;
    } else {
        let text = by_hand::CONTROL_PROMISE;
        suite.promise(by_hand::CONTROL, kind, text, by_hand::check_control(&mut cluster)).await;
    }
    cluster.down().await
}

/// Which of the promises that cost minutes a product has its turn with.
#[derive(Debug, Clone, Copy)]
struct Share {
    control: bool,
    unified: bool,
}

async fn one_broker(
    suite: &mut Suite,
    kind: Kind,
    share: Share,
    dir: &Path,
    program: &Program,
) -> Result<()> {
    let names = [init::NAME, HOT_BACKUP, PUT_BACK, UNIFIED_ORDER, LOST_ANSWERS, CONTROL, likeness::NAME];
    if !suite.wants_any(&names) {
        return Ok(());
    }
    let Some(mut cluster) = suite.cluster(&with_apps(kind, dir)).await else { return Ok(()) };
    load::deploy(&cluster.brokers[0].rest()).await?;
    let program = program.at(&dir.join("c8keep"), [])?;
    if suite.wants(init::NAME) {
        suite.promise(init::NAME, kind, init::PROMISE, init::check(&cluster, &program)).await;
    }
    let mut taken = None;
    if suite.wants_any(&[HOT_BACKUP, PUT_BACK]) {
        let text = "a hot backup under load; its evidence is what the servers say; the witness is proven";
        let shown = async {
            taken = Some(single::hot_backup(&cluster, &program).await?);
            Ok(())
        };
        suite.promise(HOT_BACKUP, kind, text, shown).await;
    }
    if suite.wants(PUT_BACK) {
        let text = "everything destroyed and put back: every instance of the checkpoint is there, once";
        let shown = async {
            let taken = taken.take().context("there is no backup to put back")?;
            single::put_back(&mut cluster, &taken).await
        };
        suite.promise(PUT_BACK, kind, text, shown).await;
    }
    if share.unified && suite.wants(UNIFIED_ORDER) {
        let text = "the order of the 8.8 page over its endpoints on the real engine: complete and proven";
        let with_restore = suite.long;
        let shown = async {
            let taken = single::unified_order(&cluster, &program).await?;
            if with_restore { single::put_back(&mut cluster, &taken).await } else { Ok(()) }
        };
        suite.promise(UNIFIED_ORDER, kind, text, shown).await;
    }
    if suite.wants_by_name(LOST_ANSWERS) || (suite.long && suite.wants(LOST_ANSWERS)) {
        let text =
            "the answers to pause and runtime backup are lost after their effects: complete all the same";
        suite.promise(LOST_ANSWERS, kind, text, single::lost_answers(&cluster, &program)).await;
    }
    if share.control && suite.wants(CONTROL) {
        let text = "a foreign hand lifts the pause: violated, exit code 1, and a restore misses records";
        suite.promise(CONTROL, kind, text, single::control(&mut cluster, &program)).await;
    }
    // Last: it empties the broker's disk.
    if suite.wants(likeness::NAME) {
        likeness::on_one_broker(suite, &mut cluster).await;
    }
    cluster.down().await
}

async fn three_brokers(suite: &mut Suite, kind: Kind, dir: &Path, program: &Program) -> Result<()> {
    if !suite.wants_any(&[
        WITNESS_OF_ALL,
        LEADER_MOVES,
        GONE_BEFORE,
        GONE_AT_PAUSE,
        RELEASE_WAIT,
        likeness::OF_THREE,
    ]) {
        return Ok(());
    }
    let dir = dir.to_owned();
    let program = program.at(&dir.join("c8keep"), [])?;
    let options = Options { search: kind, brokers: 3, partitions: 3, operate: false, tasklist: false, dir };
    let Some(mut cluster) = suite.cluster(&options).await else { return Ok(()) };
    load::deploy(&cluster.brokers[0].rest()).await?;
    if suite.wants(WITNESS_OF_ALL) {
        let text = "three brokers, three partitions: the witness is read from all three";
        suite.promise(WITNESS_OF_ALL, kind, text, three::witness_of_all(&cluster, &program)).await;
    }
    if suite.wants(LEADER_MOVES) {
        let text = "a leader is killed in the window: told, released when it is back, complete only where the servers say so";
        suite.promise(LEADER_MOVES, kind, text, three::leader_moves(&mut cluster, &program)).await;
    }
    if suite.wants(GONE_BEFORE) {
        let text = "one broker gone before the run: refused with the reason (10), before the pause";
        suite.promise(GONE_BEFORE, kind, text, three::gone_before(&mut cluster, &program)).await;
    }
    if suite.wants(GONE_AT_PAUSE) {
        let text = "gone between check and pause: says what is paused where, releases as soon as it is back";
        suite.promise(GONE_AT_PAUSE, kind, text, three::gone_at_pause(&mut cluster, &program)).await;
    }
    if suite.wants(RELEASE_WAIT) {
        let text = "told to stop waiting for the lost broker: exit code 20, and `resume-exporting` mends it";
        suite.promise(RELEASE_WAIT, kind, text, three::told_to_stop_waiting(&mut cluster, &program)).await;
    }
    if suite.wants_by_name(likeness::OF_THREE) || suite.long && suite.wants(likeness::OF_THREE) {
        likeness::on_three_brokers(suite, &mut cluster).await;
    }
    cluster.down().await
}

fn with_apps(kind: Kind, dir: &Path) -> Options {
    Options {
        search: kind,
        brokers: 1,
        partitions: 2,
        operate: true,
        // Tasklist 8.6.0 wants an index setting of a plugin which this OpenSearch does not have.
        tasklist: kind == Kind::Es,
        dir: dir.to_owned(),
    }
}

impl Suite {
    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.wants_by_name(name)
    }

    /// For what runs only when it is asked for.
    fn wants_by_name(&self, name: &str) -> bool {
        self.only.iter().any(|only| only == name)
    }

    async fn cluster(&mut self, options: &Options) -> Option<Cluster> {
        let begin = Instant::now();
        match Cluster::up(options).await {
            Ok(cluster) => {
                say(format_args!(
                    "servers on {} ready after {:.0?}",
                    options.search.product(),
                    begin.elapsed()
                ));
                Some(cluster)
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("FAIL  the servers did not come up: {error:#}"));
                None
            }
        }
    }

    async fn promise(&mut self, name: &str, kind: Kind, text: &str, shown: impl Future<Output = Result<()>>) {
        self.promise_on(name, kind.product(), text, shown).await;
    }

    async fn promise_on(
        &mut self,
        name: &str,
        place: &str,
        text: &str,
        shown: impl Future<Output = Result<()>>,
    ) {
        say(format_args!("\n{name} on {place}: {text}"));
        let begin = Instant::now();
        let shown = tokio::time::timeout(PROMISE_LIMIT, shown).await;
        let shown = shown.with_context(|| format!("not shown within {PROMISE_LIMIT:?}")).flatten();
        self.shown.push(Shown {
            name: name.into(),
            place: place.into(),
            text: text.into(),
            passed: shown.is_ok(),
            took: begin.elapsed(),
        });
        match shown {
            Ok(()) => {
                self.passed += 1;
                say(format_args!("PASS  {name} on {} ({:.0?})", place, begin.elapsed()));
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("FAIL  {name} on {} ({:.0?}): {error:#}", place, begin.elapsed()));
            }
        }
    }
}
