//! The promises that only real servers can prove, each with its own assertion. The servers are brought up from
//! packages, the program under test is the release build, and everything ends with this process.

mod by_hand;
mod oracle;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::peers::cluster::{Cluster, Options};
use crate::peers::search::Kind;
use crate::peers::{self, run_folder};
use crate::say::say;

const PROMISE_LIMIT: Duration = Duration::from_mins(15);

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The search product
    #[arg(long, value_enum, default_value = "both")]
    search: Products,
    /// Every point of every promise, not one pass of each
    #[arg(long)]
    long: bool,
    /// One promise by its name (`by-hand` is the self-check of this tool, without c8keep)
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
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
    only: Option<String>,
    pub long: bool,
    passed: u32,
    failed: u32,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut suite = Suite { only: args.only, long: args.long, passed: 0, failed: 0 };
        let dir = run_folder("live");
        tokio::select! {
            done = all(&mut suite, args.search, &dir) => done?,
            stopped = peers::asked_to_stop() => { stopped?; suite.failed += 1; say("asked to stop") }
        }
        if suite.failed == 0 {
            peers::remove(&dir).await;
        } else {
            say(format_args!("logs are in {}", dir.display()));
        }
        say(format_args!("{} passed, {} failed", suite.passed, suite.failed));
        // A suite that asserted nothing has shown nothing.
        Ok(if suite.failed == 0 && suite.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

async fn all(suite: &mut Suite, products: Products, dir: &Path) -> Result<()> {
    for kind in [Kind::Es, Kind::Os] {
        let wanted = match products {
            Products::Es => kind == Kind::Es,
            Products::Os => kind == Kind::Os,
            Products::Both => true,
        };
        if wanted {
            single_broker(suite, kind, dir.join(kind.name())).await?;
        }
    }
    Ok(())
}

async fn single_broker(suite: &mut Suite, kind: Kind, dir: PathBuf) -> Result<()> {
    if !suite.wants_any(&[by_hand::NAME]) {
        return Ok(());
    }
    let options = Options {
        search: kind,
        brokers: 1,
        partitions: 2,
        operate: true,
        // Tasklist 8.6.0 wants an index setting of a plugin which this OpenSearch does not have.
        tasklist: kind == Kind::Es,
        dir,
    };
    let Some(mut cluster) = suite.cluster(&options).await else { return Ok(()) };
    if suite.wants_by_name(by_hand::NAME) {
        suite.promise(by_hand::NAME, kind, by_hand::PROMISE, by_hand::check(&mut cluster)).await;
    }
    cluster.down().await
}

impl Suite {
    fn wants_any(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.wants(name))
    }

    fn wants(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == name)
    }

    /// For what runs only when it is asked for.
    fn wants_by_name(&self, name: &str) -> bool {
        self.only.as_deref() == Some(name)
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
        say(format_args!("\n{name} on {}: {text}", kind.product()));
        let begin = Instant::now();
        let shown = tokio::time::timeout(PROMISE_LIMIT, shown).await;
        let shown = shown.with_context(|| format!("not shown within {PROMISE_LIMIT:?}")).flatten();
        match shown {
            Ok(()) => {
                self.passed += 1;
                say(format_args!("PASS  {name} on {} ({:.0?})", kind.product(), begin.elapsed()));
            }
            Err(error) => {
                self.failed += 1;
                say(format_args!("FAIL  {name} on {} ({:.0?}): {error:#}", kind.product(), begin.elapsed()));
            }
        }
    }
}
