//! `cargo xtask sim`: bad nights, simulated. It builds the simulator with its own profile, as fast code is what it lives
//! from, and hands all arguments on; `cargo xtask sim --help` tells them.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Handed to the simulator as they are, for example `--seeds 1000` or `--seed 17`.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let status = Command::new(env!("CARGO"))
        .current_dir(crate::root())
        .args(["run", "--quiet", "--profile", "sim", "--package", "c8keep-sim", "--"])
        .args(&args.rest)
        .status()
        .context("starting the simulator")?;
    ensure!(status.success(), "the simulator ended with {status}");
    Ok(ExitCode::SUCCESS)
}
