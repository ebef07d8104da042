//! `cargo xtask test`: every quick test of the workspace, with plain `cargo test` and nothing installed by hand.
//!
//! It never starts a real server; that is `cargo xtask live`.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

/// How many tests run at the same time.
const THREADS: &str = "RUST_TEST_THREADS";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Handed to `cargo test` as they are, for example `-p c8keep-core` or `-- --nocapture`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(crate::root()).arg("test");
    if !args.rest.iter().any(|arg| arg == "-p" || arg == "--package") {
        command.arg("--workspace");
    }
    // Most of the time that tests of the program take, they wait for it and its simulated servers.
    if std::env::var_os(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        command.env(THREADS, (cores * 3).to_string());
    }
    let status = command.args(&args.rest).status().context("starting cargo test")?;
    ensure!(status.success(), "cargo test ended with {status}");
    Ok(ExitCode::SUCCESS)
}
