//! Automation of this repository, by `cargo xtask <task>`. Each task lives in its own module; this file only dispatches.

mod bench;
mod ci;
mod deny;
mod fuzz;
mod kills;
mod live;
mod peers;
mod say;
mod sim;
mod test;
mod tidy;
mod twin;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Automation of this repository")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Every quick test of the workspace (all but the live suite)
    Test(test::Args),
    /// The dependency edges and the house rules
    Tidy,
    /// Bad nights, simulated: c8keep over the twin on virtual time
    Sim(sim::Args),
    /// A backup that is killed at every instant, and started again
    Kills(kills::Args),
    /// Every parser of foreign bytes, fed with changed answers
    Fuzz(fuzz::Args),
    /// What one backup costs, beside the shell procedure of Camunda's page
    Bench(bench::Args),
    /// A simulated installation to try commands on
    Twin(twin::Args),
    /// Licences, banned crates and sources, by cargo-deny
    Deny,
    /// Every stage of continuous integration, quick ones first
    Ci(ci::Args),
    /// Real servers on loopback: Camunda, a search server and an S3 store
    Peers(peers::Args),
    /// The promises that only real servers can prove
    Live(live::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Test(args) => test::run(&args),
        Task::Tidy => tidy::run(),
        Task::Sim(args) => sim::run(&args),
        Task::Kills(args) => kills::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Twin(args) => twin::run(&args),
        Task::Deny => deny::run(),
        Task::Ci(args) => ci::run(&args),
        Task::Peers(args) => peers::run(args),
        Task::Live(args) => live::run(args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            say::say(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Where journals of many short runs lie: a disk to which others write as well may stand still for longer than a journal may
/// hang, and memory does not.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

/// The root of the repository, whatever folder the command was started in.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
