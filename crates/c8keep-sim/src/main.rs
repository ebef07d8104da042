//! The simulator's own command line; `cargo xtask sim` builds it fast and hands everything on.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use c8keep_sim::coverage::SOMETIMES;
use c8keep_sim::many::{Case, Failure, Sum, play, shrink};
use c8keep_sim::mutants::{self, Mutant};
use c8keep_sim::setting::TOPOLOGIES;
use c8keep_sim::{Fault, Setting, faults_of, lists, run};
use clap::Parser;

/// Plays bad nights until one breaks a promise, or all are over.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
#[expect(clippy::struct_excessive_bools, reason = "independent options of the command line")]
struct Args {
    /// Fresh seeds, as many as this.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first of them; without it, one that the clock chooses and that is printed.
    #[arg(long, value_name = "SEED", requires = "seeds")]
    from: Option<u64>,
    /// One seed again, with everything that happens in it.
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// With --seed: on this topology (0 to 3) and not the seed's own.
    #[arg(long, value_name = "NUMBER", requires = "seed")]
    topology: Option<usize>,
    /// With --seed: these faults and not the seed's own, as in 17:Kill.
    #[arg(long, value_name = "FAULT", requires = "seed", value_parser = fault)]
    fault: Vec<Fault>,
    /// With --seed: no fault at all.
    #[arg(long, requires = "seed", conflicts_with = "fault")]
    calm: bool,
    /// Every single fault on each topology.
    #[arg(long)]
    singles: bool,
    /// Every pair of faults on one topology.
    #[arg(long)]
    pairs: bool,
    /// c8keep broken on purpose, in every way that is known: each must break a promise.
    #[arg(long)]
    mutants: bool,
    /// With --seed or --seeds: c8keep broken on purpose in this way.
    #[arg(long, value_name = "NAME", value_parser = mutant)]
    mutant: Option<Mutant>,
    /// How many threads; all cores without it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    match play_all(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn play_all(args: &Args) -> anyhow::Result<()> {
    if let Some(seed) = args.seed {
        return replay(args, seed);
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.unwrap_or(cores);
    if args.singles {
        let cases = lists::singles();
        said("all single faults on all topologies", cases.len() as u64, threads, |n| pick(&cases, n))?;
    }
    if args.pairs {
        let cases = lists::pairs();
        said("all pairs of faults on one topology", cases.len() as u64, threads, |n| pick(&cases, n))?;
    }
    if let Some(count) = args.seeds {
        let from = args.from.unwrap_or_else(fresh);
        let what = format!("{count} seeds from {from}");
        let sum = said(&what, count, threads, |n| of_seed(from + n, args.mutant))?;
        covered(&sum)?;
    }
    if args.mutants {
        kill_mutants(threads)?;
    }
    if !args.singles && !args.pairs && !args.mutants && args.seeds.is_none() {
        bail!("say what to play: --seeds N, --seed SEED, --singles, --pairs or --mutants");
    }
    Ok(())
}

fn of_seed(seed: u64, mutant: Option<Mutant>) -> Case {
    let setting = Setting { mutant, ..Setting::of(seed) };
    let faults = faults_of(&setting);
    Case { setting, faults }
}

/// Every mutant must break a promise within so many seeds.
const MUTANT_SEEDS_MAX: u64 = 20_000;
/// They are looked at in portions, and one that is found out is left alone.
const PORTION: u64 = 200;

fn kill_mutants(threads: usize) -> anyhow::Result<()> {
    let mut alive = Vec::new();
    for mutant in mutants::ALL {
        let mut played = 0;
        let found = loop {
            let sum = play(PORTION, threads, |n| of_seed(played + n, Some(mutant)));
            if let Some((number, failure)) = sum.failures.first() {
                let first = failure.violations.first().map_or("", |violation| violation.check);
                break Some((played + number, first, sum.failed));
            }
            played += PORTION;
            if played >= MUTANT_SEEDS_MAX {
                break None;
            }
        };
        if let Some((seed, check, of)) = found {
            say(&format!("dead   {mutant:?}: {check} at seed {seed}, in {of} of {PORTION} seeds there"));
        } else {
            say(&format!("ALIVE  {mutant:?}: {MUTANT_SEEDS_MAX} seeds and no broken promise"));
            alive.push(mutant);
        }
    }
    for (what, why) in mutants::ABSENT {
        say(&format!("absent {what}: {why}"));
    }
    if !alive.is_empty() {
        bail!("{alive:?} live: the checks do not see them");
    }
    Ok(())
}

fn mutant(text: &str) -> Result<Mutant, String> {
    let known = mutants::ALL.into_iter().find(|mutant| format!("{mutant:?}") == text);
    known.ok_or_else(|| format!("there is no mutant {text}; there are {:?}", mutants::ALL))
}

fn pick(cases: &[Case], number: u64) -> Case {
    cases[usize::try_from(number).unwrap_or(0)].clone()
}

/// Plays and tells; an error if a promise was broken.
fn said(what: &str, count: u64, threads: usize, case: impl Fn(u64) -> Case + Sync) -> anyhow::Result<Sum> {
    say(&format!("sim: {what}"));
    let began = Instant::now();
    let sum = play(count, threads, case);
    let took = began.elapsed();
    say(&format!(
        "sim: {} nights in {:.1} s ({:.0} a minute on {threads} threads), {} events, {} times real time, {} played twice",
        sum.nights,
        took.as_secs_f64(),
        per_minute(sum.nights, took),
        sum.events,
        sum.seconds.checked_div(took.as_secs().max(1)).unwrap_or(0),
        sum.twice,
    ));
    for (_, failure) in &sum.failures {
        tell(failure);
    }
    if sum.failed > 0 {
        bail!("{} of {} nights broke a promise", sum.failed, sum.nights);
    }
    Ok(sum)
}

fn per_minute(nights: u64, took: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let nights = nights as f64;
    nights * 60.0 / took.as_secs_f64().max(0.001)
}

/// The seed, the shortest fault list found, and the command that replays it.
fn tell(failure: &Failure) {
    let Case { setting, faults } = &failure.case;
    let Some(first) = failure.violations.first() else { return };
    say(&format!(
        "\nseed {} on topology {} broke {}: {}",
        setting.seed, setting.topology, first.check, first.what
    ));
    let short = shrink(&failure.case, first.check);
    let list = |faults: &[Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    say(&format!("  faults: {}\n  enough: {}", list(faults), list(&short)));
    let options: Vec<String> = short.iter().map(|fault| format!(" --fault '{fault}'")).collect();
    let options = if short.is_empty() { " --calm".to_owned() } else { options.concat() };
    say(&format!(
        "  replay: cargo xtask sim --seed {} --topology {}{options}",
        setting.seed, setting.topology
    ));
}

/// Prints how often each hard case happened; one that never did makes the run worthless.
fn covered(sum: &Sum) -> anyhow::Result<()> {
    let mut never = Vec::new();
    for what in SOMETIMES {
        let count = sum.seen.get(what).copied().unwrap_or(0);
        say(&format!("{count:>9}  {what}"));
        if count == 0 {
            never.push(*what);
        }
    }
    // Few nights cannot meet everything.
    if sum.nights >= COVERED_FROM && !never.is_empty() {
        bail!("in {} nights these never happened: {}", sum.nights, never.join(", "));
    }
    Ok(())
}

/// From so many nights on, every hard case must have happened.
const COVERED_FROM: u64 = 10_000;

fn replay(args: &Args, seed: u64) -> anyhow::Result<()> {
    let setting = match args.topology {
        Some(topology) if topology >= TOPOLOGIES => bail!("there are {TOPOLOGIES} topologies, from 0"),
        Some(topology) => Setting::at(topology, seed),
        None => Setting::of(seed),
    };
    let faults = match (args.calm, args.fault.is_empty()) {
        (true, _) => Vec::new(),
        (false, true) => faults_of(&setting),
        (false, false) => args.fault.clone(),
    };
    let setting = Setting { mutant: args.mutant, ..setting };
    let report = run(&setting, &faults, true);
    for line in &report.lines {
        say(line);
    }
    say(&format!(
        "\nseed {seed}, topology {}, {:?} open runs, {} processes, {} events, {:#}, hash {:016x}",
        setting.topology, setting.taking, report.processes, report.events, report.length, report.hash
    ));
    for fault in &faults {
        say(&format!("  fault {fault}"));
    }
    for violation in &report.violations {
        say(&format!("  broke {}: {}", violation.check, violation.what));
    }
    if !report.violations.is_empty() {
        bail!("seed {seed} breaks {} promises", report.violations.len());
    }
    Ok(())
}

fn fault(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|_| format!("{text} is not a fault: they look like 17:Kill"))
}

/// A base that nobody has chosen.
fn fresh() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000_000
}

/// One line on standard output; a closed terminal is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
