//! `show`: one backup with its evidence.

use c8keep_core::facts::SnapshotEvidence;
use c8keep_core::words::counted;
use std::fmt::Write;

use c8keep_core::database::{DatabaseDump, DatabaseServer, shown};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest::{self, MISSING, Manifest, Part, Release};
use c8keep_core::run::{Hold, Mark, Outcome, StepState};
use c8keep_core::{BackupId, Run};
use serde::Serialize;

use super::catalog::{self, Entry};
use super::take_over::{describe, is_at_work, what_to_do};
use crate::cli::Global;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session;
use crate::settings::Settings;
use crate::show::frame::{WIDTH_DEFAULT, frame, steps};
use crate::show::live::plain;
use crate::show::summary::{ended_by_limit, size, witness_line};
use crate::show::time::{instant, span};

#[derive(Serialize)]
struct Shown<'a> {
    backup: BackupId,
    complete: bool,
    outcome: Option<&'a Outcome>,
    /// Only of a run that has not ended.
    open: Option<OpenShown>,
    /// Other backups whose runs have not ended.
    others_open: Vec<BackupId>,
    manifest: Option<&'a Manifest>,
    release: Option<&'a Release>,
    steps: Vec<StepShown<'a>>,
    witness: Option<&'a c8keep_core::witness::Witness>,
    /// What of it cannot be read.
    fault: Option<&'a Fault>,
}

#[derive(Serialize)]
struct OpenShown {
    #[serde(flatten)]
    hold: Hold,
    /// Who is at work on this host; if nobody, the run was left open.
    holder: Option<String>,
}

#[derive(Serialize)]
struct StepShown<'a> {
    step: &'a str,
    page: Option<u8>,
    #[serde(flatten)]
    state: &'a StepState,
}

pub(super) async fn run(global: &Global, wanted: &str, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await;
    let journal = journal.as_ref().map(|journal| &**journal).map_err(Fault::clone);
    let vault = session::vault_to_read(&settings).await?;
    let catalog = catalog::read_all(Ok(&*vault), journal, settings.name()).await;
    catalog.faults.iter().for_each(|fault| printer.fault(fault));
    let holder = session::holder(&settings).unwrap_or_default();
    let open_beside = |shown: Option<BackupId>| {
        let is_open = move |run: &&Run| run.outcome().is_none() && Some(run.plan().backup()) != shown;
        catalog.entries.iter().filter_map(|e| e.run.as_ref()).filter(is_open).collect::<Vec<&Run>>()
    };
    let entry = match choose(&catalog.entries, wanted, settings.name()) {
        Ok(entry) => entry,
        // What could not be read may be where it is.
        Err(_) if !catalog.faults.is_empty() => return Ok(catalog.code()),
        Err(fault) => {
            say_open(&open_beside(None), holder.as_deref(), printer);
            return Err(with_other_names(fault, &catalog.entries, &settings).await.into());
        }
    };
    let skipped = |e: &&Entry| wanted.starts_with("latest") && e.backup > entry.backup && e.fault.is_some();
    for newer in catalog.entries.iter().filter(skipped) {
        printer.say(&format!("backup {} is newer, but cannot be read: `c8keep show {0}`", newer.backup));
    }
    let run = entry.run.as_ref();
    let open = run.filter(|run| run.outcome().is_none());
    let others_open = open_beside(Some(entry.backup));
    let shown = Shown {
        backup: entry.backup,
        complete: entry.manifest.as_ref().is_some_and(|manifest| manifest.missing().next().is_none()),
        outcome: run.and_then(Run::outcome),
        others_open: others_open.iter().map(|run| run.plan().backup()).collect(),
        open: open.map(|run| OpenShown { hold: run.hold(), holder: holder.clone() }),
        manifest: entry.manifest.as_ref(),
        release: entry.release.as_ref(),
        steps: run
            .iter()
            .flat_map(|run| run.steps())
            .map(|(step, state)| StepShown { step: &step.name.0, page: step.page, state })
            .collect(),
        witness: run.and_then(|run| run.facts().witness.as_ref()),
        fault: entry.fault.as_ref(),
    };
    let mut text = match &entry.manifest {
        Some(manifest) => of_manifest(manifest, entry.release.as_ref(), &vault.place()),
        None => run.map_or_else(|| format!("backup {}", entry.backup), |run| of_run(run, holder.as_deref())),
    };
    if let Some(refused) = &entry.refused {
        text.push_str(&of_refused(refused));
    }
    if let Some(run) = open {
        text.push_str(&of_open(run, holder.as_deref()));
    }
    printer.result(&text, &shown);
    say_open(&others_open, holder.as_deref(), printer);
    let Some(fault) = &entry.fault else { return Ok(exit::DONE) };
    printer.fault(fault);
    Ok(fault.kind.exit_code())
}

/// A run that was left open weighs more than what was asked for.
fn say_open(runs: &[&Run], holder: Option<&str>, printer: Printer) {
    for run in runs {
        printer.say(&format!("backup {}: {}", run.plan().backup(), of_open(run, holder).trim_end()));
    }
}

/// A mistyped installation has no backups at all; which ones are known is then the better hint.
async fn with_other_names(fault: Fault, entries: &[Entry], settings: &Settings) -> Fault {
    let others = if entries.is_empty() { session::other_installations(settings).await } else { Vec::new() };
    if others.is_empty() {
        return fault;
    }
    let hint = format!(
        "the journal knows nothing of {}, but other installations: {} (--installation)",
        settings.name(),
        others.join(", ")
    );
    fault.with_hint(hint)
}

/// `latest` and `latest~N` count backups that have a manifest.
pub(super) fn choose<'a>(entries: &'a [Entry], wanted: &str, installation: &str) -> Result<&'a Entry, Fault> {
    let doing = format!("looking for backup {wanted}");
    let none = |answer: String| {
        Fault::new(FaultKind::Usage, doing.clone(), format!("installation {installation}"), answer)
            .with_hint("`c8keep list` shows all backups")
    };
    if let Some(back) = wanted.strip_prefix("latest") {
        let nth = match back.strip_prefix('~') {
            None if back.is_empty() => 0,
            Some(n) => n.parse().map_err(|_| none(format!("{wanted:?} is not an id, latest or latest~N")))?,
            None => return Err(none(format!("{wanted:?} is not an id, latest or latest~N"))),
        };
        let mut complete = entries.iter().filter(|e| e.manifest.is_some());
        let few = if nth == 0 {
            "there is no complete backup yet"
        } else {
            "there are not that many complete backups"
        };
        return complete.nth(nth).ok_or_else(|| none(few.into()));
    }
    let id: BackupId = wanted.parse().map_err(|e| none(format!("{e}")))?;
    entries.iter().find(|e| e.backup == id).ok_or_else(|| none("there is no such backup".into()))
}

/// The step that the manifest says nothing of: exporting is resumed while it is being published.
const RESUME_ON_PAGE: u8 = 10;

pub(super) fn of_manifest(m: &Manifest, release: Option<&Release>, place: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "backup {} of {} ({})", m.backup, m.installation, m.fingerprint);
    let _ = writeln!(
        text,
        "  taken      {} in {}",
        instant(m.started_at),
        span(m.ended_at(release).duration_since(m.started_at))
    );
    let _ = writeln!(
        text,
        "  versions   Camunda {} ({}), {} {}, c8keep {}",
        m.versions.camunda,
        m.versions.dialect,
        m.versions.search_product,
        m.versions.search,
        m.versions.c8keep
    );
    let _ = writeln!(text, "  witness    {}", witness_line(&m.witness.witness));
    if let Some((from, to)) = release.and_then(|r| r.paused_at.zip(r.resumed_at)) {
        let _ = writeln!(
            text,
            "  paused     {}, from {} to {}",
            span(to.duration_since(from)),
            instant(from),
            instant(to)
        );
    }
    let _ = writeln!(text, "  in         {place}/{}/backups/{}", m.installation, m.backup);
    m.parts.iter().for_each(|part| text.push_str(&of_part(part, &part.state)));
    let _ = writeln!(text, "\nsteps");
    for step in &m.steps {
        let page = step.page.map_or_else(String::new, |n| n.to_string());
        let took = step.ended_at.map(|end| span(end.duration_since(step.started_at))).unwrap_or_default();
        let _ = writeln!(text, "  {page:>2} {:<21} {}  {took}", step.step, instant(step.started_at));
    }
    if let Some(at) = release.and_then(|release| release.resumed_at) {
        let _ = writeln!(text, "  {RESUME_ON_PAGE:>2} {:<21} {}", "resume-exporting", instant(at));
    }
    for part in m.missing() {
        let _ = writeln!(text, "not in it: {} ({MISSING})", part.title());
    }
    for what in &m.not_covered {
        let _ = writeln!(text, "not in it: {} ({})", what.what, what.why);
    }
    if !m.uncovered_indices.is_empty() {
        let _ = writeln!(text, "in no snapshot: {}", m.uncovered_indices.join(", "));
    }
    let removed: Vec<&str> = m
        .parts
        .iter()
        .flat_map(|p| &p.snapshots)
        .flat_map(|s| &s.removed_meanwhile)
        .map(String::as_str)
        .collect();
    if !removed.is_empty() {
        let _ = writeln!(text, "removed by retention before it could be copied: {}", removed.join(", "));
    }
    text
}

fn of_part(part: &Part, state: &str) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\n{} ({state})", part.title());
    text.push_str(&part.dump.as_ref().map(of_dump).unwrap_or_default());
    part.snapshots.iter().for_each(|snapshot| text.push_str(&of_snapshot(snapshot)));
    for partition in &part.partitions {
        let _ = writeln!(
            text,
            "  partition {}  {}  checkpoint {}  snapshot {}",
            partition.partition,
            partition.state,
            partition.checkpoint.map_or_else(|| "?".into(), |c| c.to_string()),
            partition.snapshot.as_deref().unwrap_or("none")
        );
    }
    text
}

fn of_snapshot(snapshot: &SnapshotEvidence) -> String {
    let SnapshotEvidence { name, state, indices, shards_successful, shards_total, uuid, .. } = snapshot;
    let indices = counted(indices.len(), "index", "indices");
    format!("  {name}  {state}  {indices}, {shards_successful} of {shards_total} shards  {uuid}\n")
}

/// A later run of the same id that began nothing.
fn of_refused(run: &Run) -> String {
    let why = match run.outcome() {
        Some(Outcome::Failed { step, fault }) => format!("{step}: {}", fault.answer),
        Some(Outcome::Stopped { reason }) => reason.to_string(),
        _ => String::new(),
    };
    format!("\nrefused later: {} at {}, and nothing was begun: {why}\n", run.id(), instant(run.last_at()))
}

/// What to know of a run that has not ended.
fn of_open(run: &Run, holder: Option<&str>) -> String {
    match holder {
        Some(holder) if is_at_work(run, Some(holder)) => {
            format!("open: {holder} is at work on it\n  next wait for its end; `c8keep status` shows it\n")
        }
        Some(holder) => {
            let left = describe(run, session::now(), false);
            format!("open: {left}\n  next wait until {holder} has ended; `c8keep status` shows it\n")
        }
        None => {
            let (left, next) = (describe(run, session::now(), false), what_to_do(run.hold()));
            let whether = if run.hold().is_open() {
                "; `c8keep status` tells whether exporting runs by now"
            } else {
                ""
            };
            format!("open: {left}\n  next {next}{whether}\n")
        }
    }
}

fn of_dump(dump: &DatabaseDump) -> String {
    let DatabaseServer { version, tool, database, .. } = &dump.server;
    let mut text = format!("  {}  PostgreSQL {version}, dumped by {tool}\n", shown(database));
    for object in &dump.objects {
        let _ = writeln!(
            text,
            "  {}  {} of {}  sha256 {}",
            object.path,
            size(object.bytes),
            size(object.unpacked_bytes),
            object.sha256
        );
    }
    text
}

/// Whether it counts, and why not.
fn verdict(run: &Run) -> String {
    let at = instant(run.last_at());
    match run.outcome() {
        Some(Outcome::Failed { step, .. }) => format!("not a backup: failed at step {step}, {at}\n"),
        Some(Outcome::Stopped { reason }) => format!("not a backup: {reason}, {at}\n"),
        Some(Outcome::Complete | Outcome::Partial { .. }) => "its manifest is not in the vault\n".into(),
        None => String::new(),
    }
}

/// What a failed run leaves in the stores: nothing takes it away.
fn parts_left(run: &Run) -> String {
    let parts = manifest::parts(run);
    let begun: Vec<&Part> = parts.iter().filter(|part| part.started_at.is_some()).collect();
    if begun.is_empty() {
        return "parts of a failed backup: none was begun\n".into();
    }
    let mut text = "\nparts of a failed backup, which stay where they are\n".to_owned();
    for part in begun {
        let state = if part.is_whole() { "whole" } else { "begun, not known to be whole" };
        text.push_str(&of_part(part, state));
    }
    text
}

fn of_run(run: &Run, holder: Option<&str>) -> String {
    let notes = run
        .steps()
        .filter_map(|(step, state)| match state {
            StepState::Pending { mark: Mark { says, .. }, .. } => Some((step.name.clone(), says.clone())),
            _ => None,
        })
        .collect();
    let mut text = verdict(run);
    let picture = match run.outcome() {
        None if is_at_work(run, holder) => frame(run, &notes, session::now(), None, WIDTH_DEFAULT),
        // Nobody is at work on it: where it stood is known, and whether exporting is still paused is not.
        None if run.hold().is_open() => steps(run, &notes, run.last_at(), None),
        _ => frame(run, &notes, run.last_at(), None, WIDTH_DEFAULT),
    };
    text.push_str(&plain(&picture));
    if let Some(witness) = &run.facts().witness {
        let _ = writeln!(text, "witness: {}", witness_line(witness));
    }
    let limit = ended_by_limit(run);
    let failed = match run.outcome() {
        Some(Outcome::Failed { fault, .. }) => Some(fault),
        _ => limit.as_ref(),
    };
    if let Some(fault) = failed {
        let _ = writeln!(text, "failed: {fault}\n  next {}", fault.hint);
    }
    if matches!(run.outcome(), Some(Outcome::Failed { .. } | Outcome::Stopped { .. })) {
        text.push_str(&parts_left(run));
    }
    text
}
