//! `cargo xtask ci`: every stage of continuous integration, quick ones first, with its name and time.
//!
//! It runs the same commands a person would type, the README's two among them, and hides nothing they print. The
//! stages that need a built program or real servers do not start once a quick one has failed.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::say::say;
use crate::tidy;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Run only these stages, by name.
    #[arg(long, value_name = "STAGE")]
    only: Vec<String>,
    /// Leave these stages out, by name.
    #[arg(long, value_name = "STAGE")]
    skip: Vec<String>,
}

/// One stage: its name, the command as typed, and what it needs in the environment.
struct Stage {
    name: &'static str,
    command: &'static str,
    environment: &'static [(&'static str, &'static str)],
    /// Starts only while everything before it was good.
    slow: bool,
}

const fn quick(name: &'static str, command: &'static str) -> Stage {
    Stage { name, command, environment: &[], slow: false }
}

const fn slow(name: &'static str, command: &'static str) -> Stage {
    Stage { name, command, environment: &[], slow: true }
}

const STAGES: &[Stage] = &[
    quick("fmt", "cargo fmt --check"),
    quick("tidy", "cargo xtask tidy"),
    quick("test", tidy::TEST_COMMAND),
    // What only a cargo feature builds is tested in the one crate that has it, and by the program's canaries, and linted with
    // everything else.
    quick("aws", AWS_COMMAND),
    quick("clippy", "cargo clippy --workspace --all-targets --features c8keep-adapters/aws -- -D warnings"),
    Stage {
        name: "doc",
        command: "cargo doc --workspace --no-deps",
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        slow: false,
    },
    quick("deny", "cargo xtask deny"),
    slow("demo", tidy::DEMO_COMMAND),
    slow("kills", "cargo xtask kills"),
    // The release build's dependencies are there by now. The same seeds every time: what is met must not be left to chance.
    slow("sim", SIM_COMMAND),
    slow("peers", "cargo xtask peers install"),
    slow("live", "cargo xtask live"),
];

const AWS_COMMAND: &str = "cargo test -p c8keep-adapters -p c8keep --features c8keep/aws --lib --bins --test it -- \
                           transport::access canaries";
const SIM_COMMAND: &str =
    "cargo run --release -p c8keep-sim -- --orders --mutants --singles --pairs --seeds 5000 --from 1";

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    NotStarted,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    for name in args.only.iter().chain(&args.skip) {
        if !STAGES.iter().any(|stage| stage.name == name) {
            let names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
            bail!("there is no stage {name}; there are {}", names.join(", "));
        }
    }
    let chosen = STAGES.iter().filter(|stage| is_chosen(args, stage.name));
    let begin = Instant::now();
    let results = run_all(chosen, |stage| {
        say(format_args!("\n=== {}: {}", stage.name, stage.command));
        perform(stage)
    })?;
    say(format_args!("\n=== summary"));
    for (name, outcome, took) in &results {
        say(format_args!("{:<8} {:<12} {:>7.1} s", name, format!("{outcome:?}"), took.as_secs_f64()));
    }
    say(format_args!("{:<8} {:<12} {:>7.1} s", "all", "", begin.elapsed().as_secs_f64()));
    if results.iter().any(|(_, outcome, _)| *outcome != Outcome::Good) {
        bail!("not every stage was good");
    }
    Ok(ExitCode::SUCCESS)
}

fn is_chosen(args: &Args, name: &str) -> bool {
    (args.only.is_empty() || args.only.iter().any(|only| only == name))
        && !args.skip.iter().any(|skip| skip == name)
}

fn run_all<'a>(
    stages: impl Iterator<Item = &'a Stage>,
    perform: impl Fn(&Stage) -> anyhow::Result<bool>,
) -> anyhow::Result<Vec<(&'static str, Outcome, Duration)>> {
    let mut results: Vec<(&'static str, Outcome, Duration)> = Vec::new();
    for stage in stages {
        let so_far_good = results.iter().all(|(_, outcome, _)| *outcome == Outcome::Good);
        if stage.slow && !so_far_good {
            results.push((stage.name, Outcome::NotStarted, Duration::ZERO));
            continue;
        }
        let begin = Instant::now();
        let outcome = if perform(stage)? { Outcome::Good } else { Outcome::Failed };
        results.push((stage.name, outcome, begin.elapsed()));
    }
    Ok(results)
}

fn perform(stage: &Stage) -> anyhow::Result<bool> {
    let mut words = stage.command.split_whitespace();
    let program = words.next().context("a stage without a command")?;
    let status = Command::new(program)
        .args(words)
        .current_dir(crate::root())
        .envs(stage.environment.iter().copied())
        .status()
        .with_context(|| format!("starting {}", stage.command))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(failing: &str) -> Vec<Outcome> {
        let stages = [quick("one", "a"), quick("two", "b"), slow("three", "c")];
        let results = run_all(stages.iter(), |stage| Ok(stage.name != failing)).unwrap();
        results.into_iter().map(|(_, outcome, _)| outcome).collect()
    }

    #[test]
    fn a_failure_hides_no_quick_stage_and_stops_the_slow_ones() {
        use Outcome::{Failed, Good, NotStarted};
        assert_eq!(outcomes(""), [Good, Good, Good]);
        assert_eq!(outcomes("one"), [Failed, Good, NotStarted]);
        assert_eq!(outcomes("three"), [Good, Good, Failed]);
    }

    #[test]
    fn stages_are_chosen_by_name() {
        let chosen = |only: &[&str], skip: &[&str], name: &str| {
            let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            is_chosen(&Args { only: own(only), skip: own(skip) }, name)
        };
        assert!(chosen(&[], &[], "fmt"));
        assert!(chosen(&["fmt"], &[], "fmt") && !chosen(&["fmt"], &[], "live"));
        assert!(!chosen(&[], &["live"], "live"));
    }

    #[test]
    fn slow_stages_come_last() {
        let first_slow = STAGES.iter().position(|stage| stage.slow).unwrap();
        assert!(STAGES[first_slow..].iter().all(|stage| stage.slow));
    }
}
