//! `cargo xtask deny`: licences, banned crates and sources of everything that is built, by `deny.toml`.
//!
//! It installs its own pinned cargo-deny below `target/`, so that nothing has to be installed by hand and nothing of
//! the machine is changed. Advisories are left out: they would need a git server on every run.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use crate::say::say;

/// A newer one may want a newer compiler.
const VERSION: &str = "0.20.2";

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let tools = crate::root().join("target/tools");
    let program = tools.join("bin/cargo-deny");
    if installed_version(&program).as_deref() != Some(VERSION) {
        install(&tools)?;
    }
    let status = Command::new(&program)
        .current_dir(crate::root())
        .args(["check", "bans", "licenses", "sources"])
        .status()
        .context("starting cargo-deny")?;
    ensure!(status.success(), "cargo-deny ended with {status}");
    Ok(ExitCode::SUCCESS)
}

fn installed_version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().nth(1).map(str::to_owned)
}

fn install(tools: &Path) -> anyhow::Result<()> {
    say(format_args!("installing cargo-deny {VERSION} below target/tools"));
    let status = Command::new(env!("CARGO"))
        // Unoptimised: it runs for a second, and optimising it would take minutes.
        .args(["install", "cargo-deny", "--version", VERSION, "--locked", "--debug", "--quiet", "--root"])
        .arg(tools)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_TARGET_DIR", tools.join("build"))
        .status()
        .context("starting cargo install")?;
    ensure!(status.success(), "installing cargo-deny ended with {status}");
    Ok(())
}
