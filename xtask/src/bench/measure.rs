//! Running a program and finding out what it cost, from what the kernel shows of it.
//!
//! It changes nothing about the program it measures, and asserts nothing: figures are reported, never tested.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

/// No run of the bench takes longer than this; whatever does is stuck.
const RUN_MAX: Duration = Duration::from_mins(2);

/// How often a running program's memory is looked at. The kernel keeps the peak, so only the very end can be missed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The variables a measured program sees: these and `PATH`, nothing else.
pub(crate) type Environment = BTreeMap<String, String>;

/// The CPU time of a program and everything it started, user and system together.
pub(super) fn cpu(program: &Path, arguments: &[&str], environment: &Environment) -> anyhow::Result<Duration> {
    // The shell's own clock for its children is the only one with milliseconds that needs no system call of ours.
    let script = "TIMEFORMAT='%3U %3S'; time \"$@\" >/dev/null 2>&1";
    let mut command = bare(Path::new("bash"), environment);
    command
        .args(["-c", script, "bash"])
        .arg(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let output = command.output().context("starting bash")?;
    ensure!(output.status.success(), "{} ended with {}", program.display(), output.status);
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let seconds: Vec<f64> = report.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [user, system] = seconds.as_slice() else { bail!("bash's time said {report:?}") };
    Ok(Duration::from_secs_f64(user + system))
}

/// The wall time and the peak of the resident memory, in KiB, of one run.
pub(super) fn wall_and_memory(
    program: &Path,
    arguments: &[&str],
    environment: &Environment,
) -> anyhow::Result<(Duration, u64)> {
    let begin = Instant::now();
    let mut command = bare(program, environment);
    let mut child = command
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut peak = 0;
    while let Some(now) = peak_kib(&child) {
        peak = peak.max(now);
        if begin.elapsed() > RUN_MAX {
            child.kill().context("ending a run that is stuck")?;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    let status = child.wait().context("waiting for the end of a run")?;
    let wall = begin.elapsed();
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok((wall, peak))
}

/// A program under way, silent.
pub(super) fn started(
    program: &Path,
    arguments: &[&str],
    environment: &Environment,
) -> anyhow::Result<Child> {
    let mut command = bare(program, environment);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("starting {}", program.display()))
}

/// Wall times of many short runs, sorted.
pub(super) fn walls(program: &Path, arguments: &[&str], times: usize) -> anyhow::Result<Vec<Duration>> {
    let mut walls = Vec::new();
    for _ in 0..times {
        let begin = Instant::now();
        let mut command = bare(program, &Environment::new());
        let status = command.args(arguments).stdout(Stdio::null()).status();
        let status = status.with_context(|| format!("starting {}", program.display()))?;
        walls.push(begin.elapsed());
        ensure!(status.success(), "{} ended with {status}", program.display());
    }
    walls.sort();
    Ok(walls)
}

pub(super) fn median<T: Copy + Ord>(values: &[T]) -> Option<T> {
    let mut sorted = values.to_vec();
    sorted.sort();
    sorted.get(sorted.len() / 2).copied()
}

fn bare(program: &Path, environment: &Environment) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(environment).stdin(Stdio::null());
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// The peak so far; `None` once the program has ended, because only a living one has memory.
fn peak_kib(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    parse_peak(&status)
}

fn parse_peak(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_read_while_there_is_memory() {
        assert_eq!(parse_peak("Name:\tx\nVmHWM:\t   12345 kB\nVmRSS:\t  1 kB\n"), Some(12_345));
        assert_eq!(parse_peak("Name:\tx\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(&[5, 1, 3]), Some(3));
        assert_eq!(median::<u8>(&[]), None);
    }
}
