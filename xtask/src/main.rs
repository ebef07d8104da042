//! The automation of this repository, as one program: `cargo xtask <verb>`.
//!
//! One module per verb; this file only dispatches. Nothing here is shipped, and no verb may change a tracked file
//! unless writing that file is what the verb is for.
#![expect(clippy::print_stdout, reason = "a tool for the terminal of whoever works on this repository")]

use std::path::Path;

use clap::Parser;

mod ci;
mod test;
mod tidy;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Automation of this repository")]
enum Verb {
    /// Run every quick test of the workspace (all but the live suite).
    Test(test::Args),
    /// Check the dependency edges and the house rules.
    Tidy,
    /// Run every stage of continuous integration, quick ones first.
    Ci(ci::Args),
}

fn main() -> anyhow::Result<()> {
    match Verb::parse() {
        Verb::Test(args) => test::run(&args),
        Verb::Tidy => tidy::run(),
        Verb::Ci(args) => ci::run(&args),
    }
}

/// The root of the repository, whatever folder the command was started in.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
