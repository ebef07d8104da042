//! `cargo xtask kills`: a backup is killed by SIGKILL at every instant at which something becomes visible outside, and c8keep is
//! started again. Whatever the instant: exporting runs in the end, and what is listed as complete restores without a loss.
//!
//! The program is the release build over HTTP, with its journal and vault on disk; only the installation is simulated.

mod night;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, ensure};
use c8keep_twin::Config;

use crate::say::say;
use night::{Instant, Killed, Night, Told};

/// Nights at the same time. They wait most of the time: the servers take theirs.
const AT_ONCE: usize = 12;
/// More instants of one kind than any of these backups has.
const INSTANTS_MAX: usize = 400;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use this build instead of making one.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Only this instant of each kind, as a failure names it.
    #[arg(long, value_name = "N")]
    at: Option<usize>,
    /// With another host that takes over, as a failure says it.
    #[arg(long, requires = "at")]
    elsewhere: bool,
    /// Tell also what was going on at the instants.
    #[arg(long)]
    table: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let program = args.program.clone().map_or_else(crate::bench::build, Ok)?;
    let installations = installations();
    let all = std::thread::scope(|scope| {
        let (mut all, mut others) = (Vec::new(), Vec::new());
        for (name, config) in &installations {
            for kind in Instant::ALL {
                let night = |at: usize, elsewhere| Night { program: &program, config, kind, at, elsewhere };
                let told = match args.at {
                    Some(at) => vec![night(at, args.elsewhere).pass()?],
                    None => all_instants(|at| night(at, false))?,
                };
                let killed = told.into_iter().filter_map(Told::killed).collect::<Vec<_>>();
                ensure!(!killed.is_empty(), "{name}, {kind}: nothing was killed");
                say(format_args!(
                    "{name}, {kind}: {} kills, {} of them with exporting paused, {} killed again at the next start",
                    killed.len(),
                    killed.iter().filter(|killed| killed.paused).count(),
                    killed.iter().filter(|killed| killed.again).count()
                ));
                // They wait for a minute each, beside whatever comes next.
                let points = if args.at.is_some() { BTreeSet::new() } else { elsewhere_at(kind, &killed) };
                let nights = points.into_iter().map(move |at| night(at, true));
                others.extend(nights.map(|night| scope.spawn(move || passed(&night))));
                all.extend(killed);
            }
        }
        let told = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a night broke"))));
        let told = told.collect::<anyhow::Result<Vec<_>>>()?;
        let taken = told.into_iter().filter_map(Told::killed).collect::<Vec<_>>();
        let paused = taken.iter().filter(|killed| killed.paused).count();
        ensure!(args.at.is_some() || paused > 0, "no pause was taken over by another host");
        say(format_args!(
            "{} kills were taken over by another host with the same vault, {paused} of them with exporting paused",
            taken.len()
        ));
        all.extend(taken);
        Ok(all)
    })?;
    if args.table {
        tell(&all);
    }
    let again = all.iter().filter(|killed| killed.again).count();
    say(format_args!("{} kills: 0 left paused, 0 wrongly complete", all.len() + again));
    Ok(ExitCode::SUCCESS)
}

fn passed(night: &Night<'_>) -> anyhow::Result<Told> {
    night.pass().with_context(|| night.to_string())
}

/// At which instants another host takes over: in the window's beginning, middle and end, as it was seen on one host. In a vault
/// that hosts have in common there are claims before everything else: the second file tells of the pause that is to come.
fn elsewhere_at(kind: Instant, killed: &[Killed]) -> BTreeSet<usize> {
    if kind == Instant::Kept {
        return BTreeSet::from([2, 3]);
    }
    let paused: BTreeSet<usize> =
        killed.iter().filter(|killed| killed.paused).map(|killed| killed.at).collect();
    let middle = paused.iter().nth(paused.len() / 2);
    [paused.first(), middle, paused.last()].into_iter().flatten().copied().collect()
}

/// Both orders: up to 8.7 the applications come before the pause.
fn installations() -> [(&'static str, Config); 2] {
    let quick = |mut config: Config| {
        config.warm_up_ms = 3_000;
        config.durations.history_parts = vec![30];
        config.durations.optimize_parts = vec![30];
        config.durations.part_gap = 10;
        config.durations.records = 60;
        config.durations.runtime_appears = 30;
        config.durations.runtime = 120;
        config
    };
    [("8.6", quick(Config::demo_8_6())), ("8.8", quick(Config::seed_8_8()))]
}

/// From the first instant on, until the backup is over before it comes.
fn all_instants<'a>(night: impl Fn(usize) -> Night<'a> + Sync) -> anyhow::Result<Vec<Told>> {
    let (next, broken) = (AtomicUsize::new(1), AtomicBool::new(false));
    let told = Mutex::new(Vec::new());
    let work = || -> anyhow::Result<()> {
        // After a failure the others end with what they are at.
        while !broken.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            ensure!(at < INSTANTS_MAX, "a backup without end: {at} instants");
            let one = passed(&night(at));
            broken.fetch_or(one.is_err(), Ordering::Relaxed);
            let one = one?;
            let is_over = one == Told::Over;
            told.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            if is_over {
                break;
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let ended = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a night broke"))));
        ended.collect::<Vec<_>>().into_iter().collect::<anyhow::Result<()>>()
    })?;
    Ok(told.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What was going on, and how often it was cut off there.
fn tell(all: &[Killed]) {
    let mut by_what: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for killed in all {
        let (kills, paused) = by_what.entry(&killed.during).or_default();
        *kills += 1;
        *paused += usize::from(killed.paused);
    }
    for (what, (kills, paused)) in by_what {
        say(format_args!("  {kills:>4} kills, {paused:>3} paused  {what}"));
    }
}
