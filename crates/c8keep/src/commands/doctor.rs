//! `doctor`: everything that a backup needs, one line each, with what to do. Writes nothing but what it removes again: an object
//! in the vault, and a folder where the journal is still to be made.

use std::fmt::Write;
use std::sync::Arc;

use c8keep_adapters::discovery::{Piece, Topic};
use c8keep_adapters::journal::JournalPlace;
use c8keep_core::Installation;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Fingerprint;
use c8keep_engine::doctor::{
    Check, Known, Verdict, databases, examine, exporting_alone, one_cause_one_line, subject_of, vault_of,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::budget::{self, Compared};
use super::catalog::{self, Catalog, LOST};
use super::plan;
use super::whose::{LEFT_PAUSED, Whose};
use crate::cli::Global;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Finding, Patient};
use crate::settings::Settings;
use crate::show::summary::size;
use crate::show::time::ago;

/// Most installations are backed up daily; whoever wants it oftener watches that elsewhere.
const LAST_BACKUP_MAX: SignedDuration = SignedDuration::from_hours(26);

const LAST_BACKUP: &str = "last backup";

/// What is written for programs.
#[derive(Serialize)]
struct Report<'a> {
    /// Whether nothing that a backup needs is bad.
    can_be_taken: bool,
    /// Who keeps one from starting now.
    at_work: Option<&'a str>,
    checks: &'a [Check],
    exit_code: u8,
}

pub(super) async fn run(global: &Global, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let now = session::now();
    let Examined { checks, at_work, left_paused } = examined(&settings, now).await;
    let last = if left_paused { LEFT_PAUSED } else { "" };
    let (at_work, checks) = (at_work.as_deref(), checks.as_slice());
    let faults = checks.iter().filter_map(|check| check.fault.as_ref());
    let exit_code = exit::first_of(faults.map(|fault| fault.kind.exit_code()));
    let can_be_taken = !checks.iter().any(stops_a_backup);
    let report = Report { can_be_taken, at_work, checks, exit_code };
    printer.result(&format!("{}\n{last}", text(checks, at_work)), &report);
    Ok(exit_code)
}

/// What was kept so far does not stand in the way of what comes next.
fn stops_a_backup(check: &Check) -> bool {
    check.verdict == Verdict::Bad && check.subject != LAST_BACKUP
}

struct Examined {
    checks: Vec<Check>,
    /// Who keeps a backup from starting now.
    at_work: Option<String>,
    /// Whether a run of ours that is dead keeps exporting paused.
    left_paused: bool,
}

async fn examined(settings: &Settings, now: Timestamp) -> Examined {
    let (journal, unread) = match session::journal_to_read(settings).await {
        Ok(journal) => (journal, None),
        Err(fault) => (session::no_journal(settings), Some(fault)),
    };
    let vault = session::vault(settings).await;
    let of_vault = vault.as_ref().map(|vault| &**vault).map_err(Fault::clone);
    let looked = Box::pin(session::look(settings, Arc::clone(&journal)));
    let catalog = catalog::read_all(of_vault, Ok(&*journal), settings.name());
    let (looked, mut catalog) = futures::join!(looked, catalog);
    // Judged like the same faults where the journal and the vault are looked at by themselves.
    catalog.faults = catalog.faults.into_iter().map(Fault::of_a_start).collect();
    // Which cluster answers, its search server tells.
    let known = looked.as_ref().ok().filter(|patient| !patient.lacks(Piece::Search));
    let world = known.map(|patient| &patient.world);
    let whose = Whose::read(settings, &*journal, &vault, world, now);
    let (whose, mut checks) = futures::join!(whose, checks_of(settings, &looked));
    let in_the_way = whose.in_the_way(world);
    let at_work = whose.at_work();
    checks = one_cause_one_line(checks);
    let mut faults = checks.iter().filter_map(|check| check.fault.as_ref());
    let left_paused = faults.any(|fault| whose.is_left_paused(fault));
    checks = checks.into_iter().map(|check| own_pause(check, &whose)).collect();
    if let Some(fault) = unread {
        checks.push(Check::bad("journal", fault.of_a_start()));
    } else {
        checks.push(place_of_the_journal(session::journal_place(settings)));
        checks.extend(runs(&whose, in_the_way));
    }
    checks.push(last_backup(&catalog, world.map(|world| &world.installation.fingerprint), now));
    checks.extend(hold_budget(&catalog, plan::hold_budget(settings)));
    checks.extend(catalog.faults.into_iter().map(|fault| Check::bad("catalog", fault)));
    Examined { checks: one_cause_one_line(checks), at_work, left_paused }
}

async fn checks_of(settings: &Settings, looked: &Result<Patient, Fault>) -> Vec<Check> {
    let patient = match looked {
        Ok(patient) => patient,
        Err(fault) => return Box::pin(without_installation(settings, fault.clone())).await,
    };
    let mut checks = vec![installation(patient)];
    checks.extend(patient.secrets.iter().map(|fault| Check::bad("access", fault.clone())));
    // How far the brokers are reached has lines of its own.
    let others = patient.findings.iter().filter(|f| f.level != "found" && f.topic != Topic::Brokers);
    checks.extend(others.map(told_of));
    let known = Known {
        brokers_expected: patient.brokers_expected,
        no_topology: patient.no_topology.clone(),
        gaps: patient.gaps.iter().map(|gap| (subject(gap.piece), gap.fault.clone())).collect(),
        hold_budget: plan::hold_budget(settings),
    };
    checks.extend(examine(&patient.world, &known).await);
    checks
}

/// The line that a missing piece belongs to.
fn subject(piece: Piece) -> &'static str {
    match piece {
        Piece::Ids => "ids",
        Piece::Search => "search",
        Piece::Records => "indices",
        Piece::Apps => "applications",
        Piece::App(app) => subject_of(app),
        Piece::Repository => "repository",
    }
}

fn installation(patient: &Patient) -> Check {
    let Installation { version, management, search, .. } = &patient.world.installation;
    let mut says = format!("Camunda {version} at {management}");
    if !patient.lacks(Piece::Search) {
        let _ = write!(says, ", {} {} at {}", search.product, search.version, search.address);
    }
    Check::ok("installation", says)
}

/// What can be judged where the cluster itself is out of reach: whether exporting runs, the vault and the databases. All else
/// waits for what is wrong.
async fn without_installation(settings: &Settings, fault: Fault) -> Vec<Check> {
    let mut checks = vec![Check::bad("installation", fault)];
    let not_judged = |subject| Check::not_judged(subject, "installation");
    checks.extend(["brokers", "leaders"].map(not_judged));
    checks.push(match session::management_only(settings).await {
        Ok(management) => {
            let positions = management.camunda.positions(&management.brokers, session::now()).await;
            exporting_alone(&management.address, &positions)
        }
        Err(fault) => Check::untold("exporting", &fault),
    });
    checks.extend(["backup store", "repository", "indices", "applications", "ids"].map(not_judged));
    checks.push(match session::vault(settings).await {
        Ok(vault) => vault_of(&vault.place(), vault.check(settings.name()).await),
        Err(fault) => Check::bad("vault", fault),
    });
    checks.extend(["disk", "clock"].map(not_judged));
    checks.extend(match session::databases(settings) {
        Ok((targets, postgres)) => databases(&postgres, &targets).await,
        Err(fault) => vec![Check::bad("database", fault)],
    });
    checks
}

fn told_of(finding: &Finding) -> Check {
    let subject = if finding.topic == Topic::Secrecy { "secrecy" } else { "settings" };
    let says = format!("{} ({})", finding.what, finding.source);
    let todo = match (finding.level.as_str(), finding.todo.is_empty()) {
        ("contradiction", true) => {
            "make both say the same; until then what is configured here, or was named first, is used"
        }
        _ => finding.todo.as_str(),
    };
    match finding.level.as_str() {
        "contradiction" | "warning" => Check::warning(subject, says, todo),
        _ => Check::cannot_tell(subject, says, todo),
    }
}

/// A pause of our own is no foreign one.
fn own_pause(check: Check, whose: &Whose) -> Check {
    if check.subject != "exporting" || check.verdict != Verdict::Bad {
        return check;
    }
    if let Some(holder) = &whose.worker {
        return Check::warning(
            "exporting",
            format!("paused while a run is at work ({holder})"),
            "wait for its end",
        );
    }
    let Some(fault) = check.fault else { return check };
    let fault = whose.own(fault);
    match fault.kind {
        FaultKind::ForeignPause => Check::bad("exporting", fault),
        // A backup lifts it first, so nothing has to be mended before.
        _ => Check::warning("exporting", fault.answer, fault.hint),
    }
}

/// Without a journal nothing is begun, so a place where none can be written is told before the night on which it matters.
fn place_of_the_journal(place: Result<JournalPlace, Fault>) -> Check {
    match place {
        Ok(JournalPlace { path, bytes: Some(bytes) }) => {
            Check::ok("journal", format!("{}: can be written to, {}", path.display(), size(bytes)))
        }
        Ok(JournalPlace { path, bytes: None }) => {
            Check::ok("journal", format!("{}: will be made by the first backup", path.display()))
        }
        Err(fault) => Check::bad("journal", fault.of_a_start()),
    }
}

/// A run that nobody can read, or that belongs elsewhere, keeps a backup from starting, and one that somebody is at work on
/// from starting now; one that was left open does not.
fn runs(whose: &Whose, in_the_way: Vec<Fault>) -> Vec<Check> {
    let left = whose.left();
    let in_the_way: Vec<Check> = in_the_way.into_iter().map(|fault| Check::bad("runs", fault)).collect();
    let readable = match (whose.at_work(), left.is_empty()) {
        (Some(at_work), _) => {
            Check::warning("runs", at_work, "wait until it has ended; `c8keep status` shows it")
        }
        (None, true) if in_the_way.is_empty() => Check::ok("runs", "none is open"),
        (None, true) => return in_the_way,
        (None, false) => Check::warning(
            "runs",
            format!("left open: {}", left.join(", ")),
            "`c8keep status` shows it; the next `c8keep backup` ends it",
        ),
    };
    std::iter::once(readable).chain(in_the_way).collect()
}

fn last_backup(catalog: &Catalog, cluster: Option<&Fingerprint>, now: Timestamp) -> Check {
    let todo = "take one with `c8keep backup`, and let something start it regularly";
    if let Some(lost) = catalog.lost() {
        let says = format!("the journal knows backup {lost}, the vault does not have it");
        return Check::warning(LAST_BACKUP, says, LOST);
    }
    if let Some(unread) = catalog.faults.first() {
        return Check::untold(LAST_BACKUP, unread);
    }
    // Newest first: what is damaged before the first that can be read is newer than it.
    let unreadable =
        catalog.entries.iter().take_while(|entry| entry.manifest.is_none()).find_map(|e| e.fault.clone());
    if let Some(fault) = unreadable {
        return Check::bad(LAST_BACKUP, fault);
    }
    let Some(manifest) = catalog.entries.iter().find_map(|entry| entry.manifest.as_ref()) else {
        return Check::warning(LAST_BACKUP, "there is none in the vault", todo);
    };
    let witness = manifest.witness.witness.verdict.name();
    let says = format!("{}, {}, witness {witness}", manifest.backup, ago(manifest.completed_at, now));
    if cluster.is_some_and(|cluster| !cluster.is_same_installation(&manifest.fingerprint)) {
        let todo = "one name is for one cluster: give this one a `name` and a journal of its own, or take its first backup";
        return Check::warning(
            LAST_BACKUP,
            format!("{says}, of another cluster than the one that answers"),
            todo,
        );
    }
    if now.duration_since(manifest.completed_at) > LAST_BACKUP_MAX {
        return Check::warning(LAST_BACKUP, says, todo);
    }
    Check::ok(LAST_BACKUP, says)
}

fn hold_budget(catalog: &Catalog, next: SignedDuration) -> Option<Check> {
    let runs = catalog.entries.iter().filter_map(|entry| entry.run.as_ref());
    let Compared { says, is_enough } = budget::compare(runs, next)?;
    Some(if is_enough {
        Check::ok("hold budget", says)
    } else {
        Check::warning("hold budget", says, budget::ADVICE)
    })
}

fn text(checks: &[Check], at_work: Option<&str>) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let sign = match check.verdict {
            Verdict::Ok => "ok  ",
            Verdict::CannotTell => "?   ",
            Verdict::Warning => "WARN",
            Verdict::Bad => "BAD ",
        };
        lines.push(format!("{sign}  {:<13} {}", check.subject, check.says));
        if !check.todo.is_empty() {
            lines.push(format!("      {:<13} → {}", "", check.todo));
        }
    }
    lines.push(verdict(checks, at_work));
    lines.join("\n")
}

/// Whether a backup can be taken, and how much is left to do.
fn verdict(checks: &[Check], at_work: Option<&str>) -> String {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let stopping = checks.iter().filter(|check| stops_a_backup(check)).count();
    let (mend, look) = (count(Verdict::Bad) - stopping, count(Verdict::Warning));
    let to_mend = if mend > 0 { format!("; {mend} to mend") } else { String::new() };
    match at_work {
        _ if stopping > 0 && mend > 0 => {
            format!("a backup cannot be taken: {stopping} to mend, and {mend} more that does not stop it")
        }
        _ if stopping > 0 => format!("a backup cannot be taken: {stopping} to mend"),
        Some(at_work) => format!("a backup can be taken, but not now: {at_work}{to_mend}"),
        None if look > 0 => format!("a backup can be taken{to_mend}; {look} to look into"),
        None => format!("a backup can be taken{to_mend}"),
    }
}
