//! `cargo xtask fuzz`: every parser of foreign bytes is fed for some minutes with answers that nobody has seen before. The
//! same tests run in `cargo test`, with a handful of inputs each.

use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How long each parser is fed.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// Only tests whose name has this in it; those that feed parsers all have `fuzz`.
    #[arg(long, value_name = "NAME", default_value = "fuzz")]
    only: String,
    /// Where the inputs begin, to see them again; else the clock says.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
}

/// Whose tests feed parsers.
const PACKAGES: [&str; 3] = ["c8keep-core", "c8keep-adapters", "c8keep"];

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    for package in PACKAGES {
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .current_dir(crate::root())
            .args(["test", "--package", package, "--", "--nocapture", &args.only])
            .env("C8KEEP_FUZZ_SECONDS", (args.minutes * 60).to_string());
        if let Some(seed) = args.seed {
            cargo.env("C8KEEP_FUZZ_SEED", seed.to_string());
        }
        let status = cargo.status().with_context(|| format!("starting the tests of {package}"))?;
        ensure!(status.success(), "a parser of {package} did not survive: the input is above, with its seed");
    }
    Ok(ExitCode::SUCCESS)
}
