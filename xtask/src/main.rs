//! Automation of this repository, by `cargo xtask <task>`. Each task lives in its own module; this file only dispatches.

mod live;
mod peers;
mod say;

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
    /// Real servers on loopback: Camunda, a search server and an S3 store
    Peers(peers::Args),
    /// The promises that only real servers can prove
    Live(live::Args),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
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
