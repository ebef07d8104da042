//! How soon exporting runs again when something has gone wrong: seen on the wire, by the requests that reach the servers.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use c8keep_twin::Config;
use c8keep_twin::http::{Moment, Watcher};

use super::measure::{self, Environment};
use super::stage::Stage;
use super::{Scratch, opened_watched};

/// No run of these takes longer on any machine.
const RUN_MAX: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(1);
const PARTITION: u32 = 1;

/// What both nights showed, medians.
pub(super) struct Recovery {
    /// Between the last two looks at the partitions' backup.
    pub(super) poll: Duration,
    /// From the answer that tells of a failed partition to the resume.
    pub(super) told_to_resume: Duration,
    /// From the start of the next process, after SIGKILL in the window, to the resume.
    pub(super) start_to_resume: Duration,
}

pub(super) fn recovery(
    config: &Config,
    runs: usize,
    program: &Path,
    scratch: &Scratch,
) -> anyhow::Result<Recovery> {
    let (mut polls, mut told, mut starts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..runs.max(1) {
        let (poll, to_resume) = after_a_failed_partition(config, program, scratch)?;
        polls.push(poll);
        told.push(to_resume);
        starts.push(after_sigkill(config, program, scratch)?);
    }
    let none = "no run";
    Ok(Recovery {
        poll: measure::median(&polls).context(none)?,
        told_to_resume: measure::median(&told).context(none)?,
        start_to_resume: measure::median(&starts).context(none)?,
    })
}

/// Every exchange, in order.
type Seen = Arc<Mutex<Vec<(Instant, Moment, String)>>>;

fn after_a_failed_partition(
    config: &Config,
    program: &Path,
    scratch: &Scratch,
) -> anyhow::Result<(Duration, Duration)> {
    let seen = Seen::default();
    let (stage, environment) = opened_watched(config, scratch, watcher(&seen))?;
    stage.disturb(|faults| {
        faults.partitions_failing.insert(PARTITION);
    });
    let ended = finished(&stage, program, &environment)?;
    ensure!(ended == Some(1), "a backup with a failed partition ended with {ended:?}");
    ensure!(stage.exports(), "exporting was left paused");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let resume = seen.iter().position(|one| is(one, Moment::Arrived, RESUME)).context("no resume")?;
    let mut looks =
        seen[..resume].iter().rev().filter(|one| is(one, Moment::Answering, LOOK)).map(|one| one.0);
    let last = looks.next().context("the partitions' backup was not looked at")?;
    let before = looks.next().context("the partitions' backup was looked at once only")?;
    stage.end()?;
    Ok((last - before, seen[resume].0 - last))
}

fn after_sigkill(config: &Config, program: &Path, scratch: &Scratch) -> anyhow::Result<Duration> {
    let seen = Seen::default();
    let (stage, environment) = opened_watched(config, scratch, watcher(&seen))?;
    let mut child = measure::started(program, &["backup"], &environment)?;
    let begin = Instant::now();
    while stage.exports() {
        ensure!(begin.elapsed() < RUN_MAX, "exporting was never paused");
        std::thread::sleep(LOOK_EVERY);
    }
    child.kill().context("killing c8keep")?;
    child.wait().context("waiting for its end")?;
    ensure!(!stage.exports(), "it was killed too late");
    let start = Instant::now();
    let _ = finished(&stage, program, &environment)?;
    ensure!(stage.exports(), "exporting was left paused");
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let resume = seen.iter().find(|one| one.0 > start && is(one, Moment::Arrived, RESUME));
    let resume = resume.context("no resume after the start")?.0;
    stage.end()?;
    Ok(resume - start)
}

const RESUME: &str = "POST /actuator/exporting/resume";
const LOOK: &str = "GET /actuator/backupRuntime/";

fn is(one: &(Instant, Moment, String), moment: Moment, line: &str) -> bool {
    one.1 == moment && one.2.starts_with(line)
}

fn watcher(seen: &Seen) -> Watcher {
    let seen = Arc::clone(seen);
    Arc::new(move |moment, _, request| {
        let line = format!("{} {}", request.method, request.path);
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), moment, line));
    })
}

/// The next backup, until it ends.
fn finished(stage: &Stage, program: &Path, environment: &Environment) -> anyhow::Result<Option<i32>> {
    let mut child = measure::started(program, &["backup"], environment)?;
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().context("waiting for c8keep")? {
            return Ok(status.code());
        }
        if begin.elapsed() > RUN_MAX {
            child.kill().context("ending a run that is stuck")?;
            anyhow::bail!("no end within {RUN_MAX:?}; exporting runs: {}", stage.exports());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}
