//! The simulator's own command line; `cargo xtask sim` builds it fast and hands everything on.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use c8keep_sim::coverage::{self, SOMETIMES};
use c8keep_sim::hunt::{Found, Hunt, NIGHTS_MAX, hunt};
use c8keep_sim::many::{Case, Failure, Sum, in_parallel, play, shrink};
use c8keep_sim::mutants::{self, Mutant};
use c8keep_sim::setting::TOPOLOGIES;
use c8keep_sim::{Fault, Setting, faults_of, lists, long, orders, run};
use clap::Parser;
use mimalloc::MiMalloc;

// A night is tens of thousands of small strings and maps: a fifth of its time was spent on getting and freeing them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Plays bad nights until one breaks a promise, or all are over.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask sim")]
#[expect(clippy::struct_excessive_bools, reason = "independent options of the command line")]
struct Args {
    /// As many seeds as this.
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// The first of them; without it they are fresh ones.
    #[arg(long, value_name = "SEED", requires = "seeds")]
    from: Option<u64>,
    /// As many fresh seeds as this, from one that the clock chooses and that is printed. What they met is told and never asked
    /// for: that would be left to chance.
    #[arg(long, value_name = "N")]
    fresh: Option<u64>,
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
    /// The documented steps in every wrong order, by hand: each must lose what the rules say, and nothing else.
    #[arg(long)]
    orders: bool,
    /// One backup of a quarter of an hour, by c8keep, by the page's loop and by the servers themselves.
    #[arg(long)]
    long: bool,
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
        let sum = play_seeds(count, args.from.unwrap_or_else(fresh), args.mutant, threads)?;
        covered(&sum, args.from.is_some())?;
    }
    if let Some(count) = args.fresh {
        covered(&play_seeds(count, fresh(), args.mutant, threads)?, false)?;
    }
    if args.mutants {
        kill_mutants(threads)?;
    }
    if args.orders {
        classify_orders(threads)?;
    }
    if args.long {
        long_backup()?;
    }
    let listed = args.singles || args.pairs || args.mutants || args.orders || args.long;
    if !listed && args.seeds.is_none() && args.fresh.is_none() {
        bail!(
            "say what to play: --seeds N, --fresh N, --seed SEED, --singles, --pairs, --mutants, --orders or --long"
        );
    }
    Ok(())
}

fn long_backup() -> anyhow::Result<()> {
    let own = long::by_looking_every(long::SERVERS_OWN)?;
    let (ours, page) = (long::by_c8keep()?, long::by_looking_every(long::PAGE_LOOKS_EVERY)?);
    say("| figure | c8keep | the page's loop | the servers' own | c8keep's ratio | the page's | must be |");
    say("| --- | --- | --- | --- | --- | --- | --- |");
    for (name, ours, page, own) in
        [("wall time", ours.wall, page.wall, own.wall), ("time paused", ours.paused, page.paused, own.paused)]
    {
        let [ours, page, own] = [ours, page, own].map(|time| time.as_secs_f64());
        let ratios = (ours / own, page / own);
        say(&format!(
            "| {name} | {ours:.1} s | {page:.1} s | {own:.1} s | {:.4} | {:.4} | ≤ 1.03 |",
            ratios.0, ratios.1
        ));
    }
    Ok(())
}

fn of_seed(seed: u64, mutant: Option<Mutant>) -> Case {
    let setting = Setting { mutant, ..Setting::of(seed) };
    let faults = faults_of(&setting);
    Case { setting, faults }
}

fn kill_mutants(threads: usize) -> anyhow::Result<()> {
    let mut alive = Vec::new();
    let began = Instant::now();
    for mutant in mutants::ALL {
        let name = format!("{mutant:?}");
        match hunt(mutant, threads) {
            Hunt::Dead(Found { night, check, nights, of }) => {
                say(&format!(
                    "dead    {name:<24} {check:<4} in night {night}, and in {nights} of {of} nights there"
                ));
            }
            Hunt::Alive => {
                say(&format!(
                    "ALIVE   {name:<24} {:?} are not broken in {NIGHTS_MAX} nights",
                    mutant.breaks()
                ));
                alive.push(mutant);
            }
            Hunt::Useless(check) => {
                say(&format!("USELESS {name:<24} c8keep itself breaks {check} in its nights"));
                alive.push(mutant);
            }
        }
    }
    for (what, why) in mutants::ABSENT {
        say(&format!("absent  {what}: {why}"));
    }
    say(&format!("sim: {} mutants in {:.1} s", mutants::ALL.len(), began.elapsed().as_secs_f64()));
    if !alive.is_empty() {
        bail!("{alive:?} live: the checks do not see them");
    }
    Ok(())
}

/// On so many seeds an order must have shown its harm, or is taken for harmless.
const ORDER_SEEDS: u64 = 200;

fn classify_orders(threads: usize) -> anyhow::Result<()> {
    let mut wrong = Vec::new();
    for procedure in orders::PROCEDURES {
        let all = orders::all(procedure);
        say(&format!("sim: {} orders of the {procedure:?} procedure", all.len()));
        let seen = in_parallel(all.len(), threads, |place| all[place].play(ORDER_SEEDS));
        for (order, seen) in all.iter().zip(&seen) {
            let broken: Vec<String> = order.breaks().iter().map(|rule| format!("{rule:?}")).collect();
            let broken = if broken.is_empty() { "harmless".to_owned() } else { broken.join(", ") };
            say(&format!("{:<60} {broken:<40} {seen}", order.name));
        }
        wrong.extend(all.iter().zip(&seen).filter_map(|(order, seen)| order.judge(seen)));
        for (rules, count) in orders::by_rules(&all) {
            say(&format!("{count:>9}  break {rules:?}"));
        }
    }
    if !wrong.is_empty() {
        bail!("{} orders do not do what the rules say:\n{}", wrong.len(), wrong.join("\n"));
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

/// Plays, and prints how often each hard case happened.
fn play_seeds(count: u64, from: u64, mutant: Option<Mutant>, threads: usize) -> anyhow::Result<Sum> {
    let sum = said(&format!("{count} seeds from {from}"), count, threads, |n| of_seed(from + n, mutant))?;
    for (what, _) in SOMETIMES {
        say(&format!("{:>9}  {what}", sum.seen.get(what).copied().unwrap_or(0)));
    }
    Ok(sum)
}

/// Hard cases that hardly happened make the run worthless. Few nights cannot meet everything; which ones fresh seeds meet is
/// left to chance, which does not matter where they are many.
fn covered(sum: &Sum, chosen: bool) -> anyhow::Result<()> {
    if sum.nights < if chosen { COVERED_FROM } else { coverage::MANY } {
        return Ok(());
    }
    let seldom = coverage::seldom(&sum.seen, sum.nights);
    if !seldom.is_empty() {
        bail!("in {} nights these happened too seldom: {}", sum.nights, seldom.join(", "));
    }
    Ok(())
}

/// From so many nights of chosen seeds on, hard cases must have happened.
const COVERED_FROM: u64 = 5_000;

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
