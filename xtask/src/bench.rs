//! `cargo xtask bench`: what one backup costs, c8keep and the shell procedure of Camunda's page side by side.
//!
//! Ratios are taken within one run on one machine against the same twin with the same stage times; nothing is compared
//! with figures of another day. It writes `docs/performance.md` and fails only if a backup was not good.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use c8keep_twin::Config;
use c8keep_twin::http::Watcher;

use crate::say::say;

mod dumps;
mod measure;
mod own;
mod recovery;
pub(crate) mod stage;

/// The id of the page's example answers: with it the twin takes the same time in every run.
const ID: u64 = 1_748_937_221;

/// The repository of the page's example.
pub(crate) const REPOSITORY: &str = "camunda";

/// Starts of the program; the median is told.
const STARTS: usize = 40;

const PAGE: &str = include_str!("bench/page.sh");

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Backups by each side; the medians are told.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Measure this build instead of making one.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Print the page instead of writing it.
    #[arg(long)]
    dry_run: bool,
    /// Only this part, printed: the page is written in one go or not at all.
    #[arg(long, value_name = "PART")]
    only: Option<Part>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// One backup, beside the page's own loop.
    Backup,
    /// A long one, on virtual time.
    Long,
    /// How soon exporting runs again when something goes wrong.
    Recovery,
    /// Dumps of databases, beside PostgreSQL's own tools.
    Dumps,
}

/// What one side needed, medians.
struct Figures {
    wall: Duration,
    paused: Duration,
    cpu: Duration,
    peak_kib: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let program = args.program.clone().map_or_else(build, Ok)?;
    let scratch = Scratch::new()?;
    let wanted = |part| args.only.is_none_or(|only| only == part);
    let mut page = String::new();
    if wanted(Part::Backup) {
        page.push_str(&one_backup(args.runs, &program, &scratch)?);
    }
    if wanted(Part::Long) {
        page.push_str(&long_backup()?);
    }
    if wanted(Part::Recovery) {
        let recovery = recovery::recovery(&Config::seed_8_8(), args.runs, &program, &scratch)?;
        page.push_str(&when_it_goes_wrong(&recovery));
    }
    if wanted(Part::Dumps) {
        page.push_str(&dumps::render(&dumps::dumps(&program, args.runs, &scratch)?));
    }
    if args.dry_run || args.only.is_some() {
        crate::say::print(page);
    } else {
        std::fs::write(crate::root().join("docs/performance.md"), page)
            .context("writing docs/performance.md")?;
        say("wrote docs/performance.md");
    }
    Ok(ExitCode::SUCCESS)
}

/// One backup by each side, and the start of the program.
fn one_backup(runs: usize, program: &Path, scratch: &Scratch) -> anyhow::Result<String> {
    let script = scratch.0.join("page.sh");
    std::fs::write(&script, PAGE).context("writing the page's script")?;
    let config = Config::seed_8_8();
    let own = own::floor(&config, REPOSITORY, ID)?;
    say(format_args!("the servers' own: {:.2} s", own.wall.as_secs_f64()));
    let starts = measure::walls(program, &["--version"], STARTS)?;
    let nothing = measure::walls(Path::new("/bin/true"), &[], STARTS)?;
    let script_argument = script.to_str().context("the scratch folder's name")?;
    let ours = side(&config, runs, program, &["backup"], scratch)?;
    let theirs = side(&config, runs, Path::new("bash"), &[script_argument], scratch)?;
    Ok(render(&own, &ours, &theirs, &starts, &nothing, runs))
}

/// The program, as it ships.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .current_dir(crate::root())
        .args(["build", "--quiet", "--release", "-p", "c8keep"])
        .status()
        .context("starting cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
    Ok(target.join("release/c8keep"))
}

/// Measures one side, each run on a fresh installation.
fn side(
    config: &Config,
    runs: usize,
    program: &Path,
    arguments: &[&str],
    scratch: &Scratch,
) -> anyhow::Result<Figures> {
    let (mut walls, mut pauses, mut cpus, mut peaks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 1..=runs.max(1) {
        say(format_args!("{} {}, {number} of {runs}", program.display(), arguments.join(" ")));
        let (stage, environment) = opened(config, scratch)?;
        let (wall, peak) = measure::wall_and_memory(program, arguments, &environment)?;
        pauses.push(stage.close(ID)?);
        let (stage, environment) = opened(config, scratch)?;
        cpus.push(measure::cpu(program, arguments, &environment)?);
        stage.close(ID)?;
        walls.push(wall);
        peaks.push(peak);
    }
    let none = "no run";
    Ok(Figures {
        wall: measure::median(&walls).context(none)?,
        paused: measure::median(&pauses).context(none)?,
        cpu: measure::median(&cpus).context(none)?,
        peak_kib: measure::median(&peaks).context(none)?,
    })
}

/// A fresh installation, and a fresh home for the journal and the vault.
fn opened(config: &Config, scratch: &Scratch) -> anyhow::Result<(stage::Stage, measure::Environment)> {
    opened_watched(config, scratch, Arc::new(|_, _, _| {}))
}

/// The same, with somebody who sees every exchange.
fn opened_watched(
    config: &Config,
    scratch: &Scratch,
    watcher: Watcher,
) -> anyhow::Result<(stage::Stage, measure::Environment)> {
    let home = scratch.0.join("home");
    if home.exists() {
        std::fs::remove_dir_all(&home).context("emptying the scratch folder")?;
    }
    std::fs::create_dir_all(&home).context("making the scratch folder")?;
    let stage = stage::Stage::open_watched(config, watcher)?;
    let mut environment = stage.environment(REPOSITORY)?;
    environment.insert("BACKUP_ID".to_owned(), ID.to_string());
    environment.insert("HOME".to_owned(), home.display().to_string());
    Ok((stage, environment))
}

fn render(
    own: &own::Own,
    ours: &Figures,
    theirs: &Figures,
    starts: &[Duration],
    nothing: &[Duration],
    runs: usize,
) -> String {
    let mut page = String::from(
        "# Performance\n\nWritten by `cargo xtask bench`; run it again to repeat it. One backup of the simulated 8.8 \
         installation with the stage times of\nthe example answers on Camunda's page, by the release build of c8keep \
         and by the page's own shell loop (bash, curl, jq, a look\nevery 5 s), each on a fresh installation. *The \
         servers' own* is the same procedure without a network, looking every millisecond.\n\n",
    );
    let _ = writeln!(page, "Medians of {runs} runs, all on one machine in one go.\n");
    let _ = writeln!(
        page,
        "| figure | c8keep | the page's loop | the servers' own | c8keep's ratio | the page's | must be |"
    );
    let _ = writeln!(page, "| --- | --- | --- | --- | --- | --- | --- |");
    for (name, ours, theirs, own) in [
        ("wall time", ours.wall, theirs.wall, own.wall),
        ("time paused", ours.paused, theirs.paused, own.paused),
    ] {
        let [ours_s, theirs_s, own_s] = [ours, theirs, own].map(|time| time.as_secs_f64());
        let (ours_ratio, theirs_ratio) = (ours_s / own_s, theirs_s / own_s);
        let _ = writeln!(
            page,
            "| {name} | {ours_s:.2} s | {theirs_s:.2} s | {own_s:.2} s | {ours_ratio:.3} | {theirs_ratio:.3} | ≤ 1.05 |"
        );
    }
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1000.0);
    let (cpu, their_cpu) = (millis(ours.cpu), millis(theirs.cpu));
    let _ = writeln!(page, "| CPU time of one backup | {cpu} | {their_cpu} | | | | ≤ 40 ms |");
    let peak = ours.peak_kib / 1024;
    let _ = writeln!(
        page,
        "| peak of resident memory | {peak} MiB | bash alone {} MiB | | | | ≤ 24 MB |",
        theirs.peak_kib / 1024
    );
    let at =
        |walls: &[Duration], part: usize| walls.get(walls.len() * part / 100).copied().unwrap_or_default();
    let (start, slow, least) = (millis(at(starts, 50)), millis(at(starts, 95)), millis(at(nothing, 50)));
    let _ = writeln!(
        page,
        "| start (`--version`), median of {STARTS} | {start} (95 %: {slow}) | | `/bin/true`: {least} | | | ≤ 15 ms |"
    );
    page.push_str("\nEvery backup counted here was restored by the twin's oracle without a loss, and exporting ran again.\n");
    page
}

/// The same for a long backup, on virtual time: the simulator's own table.
fn long_backup() -> anyhow::Result<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(crate::root())
        .args(["run", "--quiet", "--release", "-p", "c8keep-sim", "--", "--long"])
        .output()
        .context("starting the simulator")?;
    ensure!(output.status.success(), "the simulator ended with {}", output.status);
    let table = String::from_utf8(output.stdout).context("the simulator's table")?;
    Ok(format!(
        "\n## A long backup\n\nThe same installation with stages of minutes, on virtual time (`c8keep-sim --long`): no \
         machine is in these figures.\n\n{table}"
    ))
}

fn when_it_goes_wrong(recovery: &recovery::Recovery) -> String {
    let millis = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
    let (poll, told, start) =
        (millis(recovery.poll), millis(recovery.told_to_resume), millis(recovery.start_to_resume));
    format!(
        "\n## When something goes wrong\n\nTime on the wire until exporting is resumed, on the same installation.\n\n\
         | figure | c8keep | must be |\n| --- | --- | --- |\n\
         | between two looks at the partitions' backup | {poll} | |\n\
         | from the answer that tells of a failed partition to the resume | {told} | ≤ 50 ms |\n\
         | from the start of the next process, after SIGKILL in the window, to the resume | {start} | ≤ 500 ms |\n"
    )
}

/// A folder that goes away with the bench.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Scratch> {
        let path = std::env::temp_dir().join(format!("c8keep-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).context("making the scratch folder")?;
        Ok(Scratch(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is small and lies in the system's own folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
