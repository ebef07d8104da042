//! `status`: whether exporting is paused, runs that are open, the last backup. Reads only.

#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::sync::Arc;

use c8keep_core::claim::{Held, WATCH_FOR};
use c8keep_core::facts::Positions;
use c8keep_core::fault::Fault;
use c8keep_core::installation::Fingerprint;
use c8keep_core::run::Hold;
use c8keep_core::{BackupId, Run};
use c8keep_engine::World;
use c8keep_engine::open_runs::{self, Open};
use c8keep_engine::ports::Vault;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use tokio::time::timeout;

use super::catalog;
use super::claims::{self, Told};
use super::other_names::{self, Namesake};
use super::take_over::is_at_work;
use crate::cli::Global;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session;
use crate::settings::Settings;

#[derive(Serialize)]
struct Status {
    installation: String,
    exporting: Exporting,
    open_runs: Vec<OpenRun>,
    /// Open runs of this journal under other names, on this cluster or on what may be this one.
    other_names: Vec<Elsewhere>,
    /// Who is at work on this host.
    holder: Option<String>,
    /// What a claim in the vault tells beyond that, where nobody is at work on this host.
    claim: Option<Told>,
    /// Whether exporting is known to run on the cluster whose pause it tells of.
    claim_is_over: bool,
    last_backup: Option<LastBackup>,
    /// One that the journal knows, where the vault has none of those.
    not_in_vault: Option<u64>,
    /// The folder that the first backup makes its vault.
    vault_to_come: Option<String>,
    /// What of journal and vault cannot be read.
    faults: Vec<Unread>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum Exporting {
    Runs {
        partitions: usize,
        leaders: Leaders,
    },
    Paused {
        /// In a few words, where there are many.
        #[serde(skip)]
        short: Option<String>,
        places: Vec<String>,
        leaders: Leaders,
        hard: Hardness,
    },
    Unknown {
        fault: Fault,
    },
}

/// How exporting is paused. c8keep pauses softly only; a hard pause is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Hardness {
    Soft,
    Hard,
    /// Some replicas the one way, some the other.
    Mixed,
    /// In a way that no known version tells.
    Unknown,
}

impl Hardness {
    fn of(phases: &[&str]) -> Hardness {
        let all = |word| phases.iter().all(|phase| *phase == word);
        let known = phases.iter().all(|phase| ["SOFT_PAUSED", "PAUSED"].contains(phase));
        if all("SOFT_PAUSED") {
            Hardness::Soft
        } else if all("PAUSED") {
            Hardness::Hard
        } else if known {
            Hardness::Mixed
        } else {
            Hardness::Unknown
        }
    }
}

/// How much of the cluster the answer speaks for: a broker tells of its own replicas only.
#[derive(Serialize)]
struct Leaders {
    read: usize,
    of: Option<u32>,
    unread: Vec<String>,
}

#[derive(Serialize)]
struct Unread {
    what: &'static str,
    fault: Fault,
}

/// What a process that is well may need for its release once the budget is used up.
const OVERDUE: SignedDuration = SignedDuration::from_secs(30);

/// Which cluster answers, seen from a run that was left open. It matters where exporting runs there.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answers {
    Unasked,
    Own,
    Another,
    /// What tells it is away.
    Untold,
}

#[derive(Serialize)]
struct OpenRun {
    run: String,
    by: String,
    alive: bool,
    #[serde(flatten)]
    hold: Hold,
    last_event_at: Timestamp,
    paused_ms: Option<i64>,
    /// Its pause is over although it has not released it: somebody resumed exporting.
    resumed_meanwhile: bool,
    /// It keeps exporting paused for longer than its budget allows, which no process does that is well.
    is_overdue: bool,
    /// Whose cluster answers now.
    answers: Answers,
}

#[derive(Serialize)]
struct Elsewhere {
    installation: String,
    #[serde(flatten)]
    run: OpenRun,
    is_at_work: bool,
    is_this_cluster: bool,
    #[serde(skip)]
    lines: [String; 2],
}

#[derive(Serialize)]
struct LastBackup {
    backup: u64,
    completed_at: Timestamp,
    witness: String,
}

/// A journal or a manifest that cannot be read must not blind it: the brokers are asked whatever happens.
pub(super) async fn run(global: &Global, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let now = session::now();
    let mut faults = Vec::new();
    let mut unread = |what, fault| faults.push(Unread { what, fault });
    let holder = session::holder(&settings).unwrap_or_default();
    let journal = session::journal_to_read(&settings).await;
    // That it cannot be read is told below, by whoever reads the catalog.
    let no_journal = session::no_journal(&settings);
    let readable = journal.as_deref().unwrap_or(&*no_journal);
    let open = open_runs::open(readable, settings.name()).await.unwrap_or_else(|fault| {
        unread("journal", fault);
        Open::default()
    });
    open.unreadable.iter().for_each(|fault| unread("journal", fault.clone()));
    let vault = session::vault_to_read(&settings).await;
    let journal = journal.as_ref().map(|journal| &**journal).map_err(Fault::clone);
    let kept = async |vault: &Result<Arc<dyn Vault>, Fault>| {
        let claim = match holder {
            Some(_) => Ok(None),
            None => claims::told(&settings, vault, readable, &open).await,
        };
        let vault = vault.as_ref().map(|vault| &**vault).map_err(Fault::clone);
        let catalog = catalog::read_all(vault, journal.clone(), settings.name()).await;
        (claim, catalog.before_the_first(&settings).await)
    };
    // Whoever watches has not much patience, and the brokers say what matters most.
    let (exporting, kept_there) = tokio::join!(exporting(&settings), timeout(catalog::SOON, kept(&vault)));
    let (claim, catalog) = match kept_there {
        Ok(told) => told,
        Err(_) => kept(&Err(catalog::too_slow(vault))).await,
    };
    let claim = claim.unwrap_or_else(|fault| {
        unread("claim", fault);
        None
    });
    let (not_in_vault, vault_to_come) = (catalog.lost().map(BackupId::get), catalog.vault_to_come);
    for fault in catalog.faults {
        unread(
            if fault.doing.contains("vault") || fault.target.starts_with("vault") {
                "vault"
            } else {
                "journal"
            },
            fault,
        );
    }
    let last_backup = catalog.entries.iter().find_map(|e| e.manifest.as_ref()).map(|m| LastBackup {
        backup: m.backup.get(),
        completed_at: m.completed_at,
        witness: m.witness.witness.verdict.name().into(),
    });
    for fault in catalog.entries.into_iter().filter_map(|e| e.fault) {
        // A run that cannot be read has been told of, with its name.
        if !faults.iter().any(|known: &Unread| known.fault.answer == fault.answer) {
            faults.push(Unread { what: "backup", fault });
        }
    }
    let left_paused = claim.as_ref().and_then(|told| told.left_paused(now));
    let in_doubt = (open.has_hold() || left_paused.is_some()) && holder.is_none();
    let beside = !other_names::on(&settings, readable, None).await.is_empty();
    let runs = matches!(exporting, Exporting::Runs { .. });
    let world = if (in_doubt && runs) || beside { identified(&settings).await } else { None };
    let running = match &world {
        Some(world) if runs => runs_everywhere(world).await,
        _ => None,
    };
    let cluster = world.as_ref().map(|world| &world.installation.fingerprint);
    let mut others = if beside { other_names::on(&settings, readable, cluster).await } else { Vec::new() };
    // What may be on another cluster concerns nobody here, unless a pause is to be explained.
    others.retain(|other| other.is_sure || !runs);
    let claim_is_over = left_paused.is_some_and(|held| is_over(held, running.as_ref(), now));
    let status = Status {
        installation: settings.name().into(),
        exporting,
        open_runs: open
            .runs
            .iter()
            .map(|(run, _)| OpenRun {
                answers: match cluster {
                    Some(cluster) if cluster.is_same_installation(run.plan().fingerprint()) => Answers::Own,
                    Some(_) => Answers::Another,
                    None if in_doubt && runs => Answers::Untold,
                    None => Answers::Unasked,
                },
                ..open_run(run, holder.as_deref(), running.as_ref(), now)
            })
            .collect(),
        other_names: others.iter().map(|other| elsewhere(other, running.as_ref(), now)).collect(),
        holder,
        claim,
        claim_is_over,
        last_backup,
        not_in_vault,
        vault_to_come,
        faults,
    };
    printer.result(&text::text(&status, now), &status);
    Ok(code(&status, now))
}

/// Whether the brokers say that exporting is paused; asked where nothing else can tell.
pub(super) async fn is_paused(settings: &Settings) -> bool {
    matches!(timeout(catalog::SOON, exporting(settings)).await, Ok(Exporting::Paused { .. }))
}

async fn exporting(settings: &Settings) -> Exporting {
    let read = async {
        let management = session::management_only(settings).await?;
        let positions = management.camunda.positions(&management.brokers, session::now()).await?;
        // How many there are only says how much was not read; without it the reading stands.
        let of = management.camunda.cluster().await.ok().and_then(|cluster| cluster.partitions);
        Ok((positions, of))
    };
    match read.await {
        Ok((positions, of)) => {
            let leaders = leaders(&positions, of);
            if positions.paused().is_empty() {
                return Exporting::Runs { partitions: partitions(&positions), leaders };
            }
            let paused = positions.paused();
            let hard = Hardness::of(&paused.iter().map(|(_, _, phase)| phase.as_str()).collect::<Vec<_>>());
            let place = |(broker, partition, phase)| format!("{broker}, partition {partition}: {phase}");
            let places = paused.into_iter().map(place).collect();
            Exporting::Paused { short: positions.wholly_paused(), places, leaders, hard }
        }
        Err(fault) => Exporting::Unknown { fault },
    }
}

fn partitions(positions: &Positions) -> usize {
    let all: BTreeSet<&u32> = positions.brokers.iter().flat_map(|b| b.partitions.keys()).collect();
    all.len()
}

fn leaders(positions: &Positions, of: Option<u32>) -> Leaders {
    let replicas = positions.brokers.iter().flat_map(|b| &b.partitions);
    let led: BTreeSet<&u32> =
        replicas.filter(|(_, r)| r.is_leader()).map(|(partition, _)| partition).collect();
    let silent = positions.brokers.iter().filter_map(|b| Some((b, b.unread.as_ref()?)));
    let unread = silent.map(|(broker, why)| format!("{}: {why}", broker.address)).collect();
    Leaders { read: led.len(), of, unread }
}

/// What answers, as far as it can be told while an application is down.
async fn identified(settings: &Settings) -> Option<Arc<World>> {
    let assembled = Box::pin(session::assemble_to_release(settings, session::no_journal(settings)));
    Some(assembled.await.ok()?.world)
}

/// The cluster of which every replica says that exporting runs. Only that ends the doubt about a run that was left open: a
/// broker that was not read may be paused, and at the same address may be another cluster today.
pub(super) async fn runs_everywhere(world: &World) -> Option<Fingerprint> {
    let (installation, camunda) = (&world.installation, &world.camunda);
    let positions = camunda.positions(&installation.brokers, session::now()).await.ok()?;
    let cluster = camunda.cluster().await.ok()?;
    let runs = positions.paused().is_empty() && positions.are_of_all_replicas(&cluster);
    runs.then(|| installation.fingerprint.clone())
}

/// Whether the pause of a run that was left open is known to be over, as somebody has resumed exporting.
pub(super) async fn has_been_resumed(world: &World, run: &Run) -> bool {
    run.hold().is_open() && is_resumed(run, runs_everywhere(world).await.as_ref(), session::now())
}

fn is_resumed(run: &Run, running: Option<&Fingerprint>, now: Timestamp) -> bool {
    // A pause that was sent and never answered may still take effect.
    let may_land = run.pause_may_land_until().is_some_and(|until| now < until);
    running.is_some_and(|cluster| cluster.is_same_installation(run.plan().fingerprint()))
        && !may_land
        && run.hold().is_open()
}

fn open_run(run: &Run, holder: Option<&str>, running: Option<&Fingerprint>, now: Timestamp) -> OpenRun {
    let paused_ms = run.hold().length(now).and_then(|d| i64::try_from(d.as_millis()).ok());
    OpenRun {
        run: run.id().0.clone(),
        by: run.by().into(),
        alive: is_at_work(run, holder),
        hold: run.hold(),
        last_event_at: run.last_at(),
        paused_ms,
        resumed_meanwhile: is_resumed(run, running, now),
        is_overdue: run
            .hold()
            .length(now)
            .is_some_and(|held| run.hold().is_open() && held > run.plan().hold_budget() + OVERDUE),
        answers: Answers::Unasked,
    }
}

/// A claim tells of a pause before it is sent, and one that was sent and never answered may take effect for a while.
fn is_over(held: &Held, running: Option<&Fingerprint>, now: Timestamp) -> bool {
    running.is_some_and(|cluster| cluster.is_same_installation(&held.fingerprint))
        && now.duration_since(held.since) >= WATCH_FOR
}

fn elsewhere(other: &Namesake, running: Option<&Fingerprint>, now: Timestamp) -> Elsewhere {
    let run = open_run(&other.run, other.holder.as_deref(), running, now);
    let (resumed, next) = if run.resumed_meanwhile && other.holder.is_none() {
        ("; exporting runs by now, as somebody resumed it", other.ends_with("backup"))
    } else {
        ("", other.next())
    };
    Elsewhere {
        installation: other.installation.clone(),
        is_at_work: other.holder.is_some(),
        is_this_cluster: other.is_sure,
        lines: [format!("run           {}{resumed}", other.says()), format!("  next        {next}")],
        run,
    }
}

/// 20 while exporting is, or may be, paused and nobody is at work on it, as long as not every replica says that it runs; else the worst of what could not be read.
fn code(status: &Status, now: Timestamp) -> u8 {
    let others = || status.other_names.iter().filter(|other| other.is_this_cluster);
    let claim = status.claim.as_ref();
    let at_work = status.holder.is_some()
        || claim.is_some_and(|told| told.is_at_work(now))
        || others().any(|other| other.is_at_work);
    let paused = matches!(status.exporting, Exporting::Paused { .. });
    let claimed = claim.is_some_and(|told| told.left_paused(now).is_some()) && !status.claim_is_over;
    let mut open = status.open_runs.iter().chain(others().map(|other| &other.run));
    let left = claimed || open.clone().any(|run| run.hold.is_open() && !run.resumed_meanwhile);
    let overdue = paused && open.any(|run| run.is_overdue);
    let mut codes: Vec<u8> = status.faults.iter().map(|unread| unread.fault.kind.exit_code()).collect();
    if (paused || left) && !at_work || overdue {
        codes.push(exit::MAY_BE_PAUSED);
    }
    if let Exporting::Unknown { fault } = &status.exporting {
        codes.push(fault.kind.exit_code());
    }
    exit::first_of(codes)
}
