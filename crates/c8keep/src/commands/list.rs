//! `list`: backups with a manifest, and runs that failed.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest::{Manifest, Part};
use c8keep_core::run::Hold;
use c8keep_core::{Outcome, Run};
use comfy_table::{Table, presets};
use console::truncate_str;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::catalog::{self, Catalog, Entry};
use super::take_over::is_at_work;
use crate::cli::{Global, ListArgs, Output};
use crate::exit::Stop;
use crate::printer::Printer;
use crate::session;
use crate::settings::Settings;
use crate::show::time::{instant, span};

/// One line.
#[derive(Serialize)]
pub(super) struct Row {
    backup: u64,
    state: State,
    /// What more is known of it.
    detail: Option<&'static str>,
    at: Timestamp,
    took_ms: Option<i64>,
    paused_ms: Option<i64>,
    witness: Option<String>,
    camunda: Option<String>,
    /// What is in it.
    parts: Vec<String>,
    /// Optional parts that are not.
    missing: Vec<String>,
    why: Option<String>,
}

/// What became of a backup, or becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Complete,
    Partial,
    Failed,
    Stopped,
    Running,
    LeftOpen,
    ManifestMissing,
    Damaged,
    Unreadable,
    Unknown,
}

impl State {
    /// For people.
    fn words(self) -> &'static str {
        match self {
            State::Complete => "complete",
            State::Partial => "partial",
            State::Failed => "failed",
            State::Stopped => "stopped",
            State::Running => "running",
            State::LeftOpen => "left open",
            State::ManifestMissing => "manifest missing",
            State::Damaged => "damaged",
            State::Unreadable => "unreadable",
            State::Unknown => "unknown",
        }
    }
}

pub(super) async fn run(global: &Global, args: ListArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await;
    let journal = journal.as_ref().map(|journal| &**journal).map_err(Fault::clone);
    let vault = session::vault_to_read(&settings).await?;
    let catalog = catalog::read_all(Ok(&*vault), journal, settings.name()).await;
    let catalog = catalog.before_the_first(&settings).await;
    let holder = session::holder(&settings).unwrap_or_default();
    let rows = rows(&catalog, args.all, holder.as_deref());
    let others = if rows.is_empty() { session::other_installations(&settings).await } else { Vec::new() };
    // Where something could not be read, that nothing was found says nothing.
    if !rows.is_empty() || catalog.faults.is_empty() || printer.output() != Output::Text {
        printer.result(&text(&rows, settings.name(), &others), &rows);
    }
    if let Some(place) = &catalog.vault_to_come {
        printer.say(&format!("the vault {}", catalog::to_come(place)));
    }
    let damaged = catalog.entries.iter().filter_map(|e| e.fault.as_ref());
    catalog.faults.iter().chain(damaged).for_each(|fault| printer.fault(fault));
    Ok(catalog.code())
}

/// What is shown of a catalog.
pub(super) fn rows(catalog: &Catalog, all: bool, holder: Option<&str>) -> Vec<Row> {
    catalog.listed(all).map(|entry| row(entry, holder)).collect()
}

fn row(entry: &Entry, holder: Option<&str>) -> Row {
    let run = entry.run.as_ref();
    let millis = |d: SignedDuration| i64::try_from(d.as_millis()).ok();
    let window = window(entry);
    let (state, detail, why) = match (&entry.manifest, run.map(|r| (r, r.outcome()))) {
        _ if entry.fault.is_some() => unreadable(entry),
        (Some(m), _) if m.missing().next().is_some() => (State::Partial, None, None),
        (Some(_), _) => (State::Complete, None, None),
        (None, Some((_, Some(Outcome::Failed { step, fault })))) => {
            (State::Failed, None, Some(format!("{step}: {}", fault.answer)))
        }
        (None, Some((_, Some(Outcome::Stopped { reason })))) => {
            (State::Stopped, None, Some(reason.to_string()))
        }
        (None, Some((run, None))) => open(run, holder),
        // Published, and the manifest is gone from the vault.
        (None, Some((_, Some(_)))) => (State::ManifestMissing, None, None),
        (None, None) => (State::Unknown, None, None),
    };
    let (started, ended) = match &entry.manifest {
        // Exporting may be resumed only after all of it is proven: that is part of it.
        Some(m) => {
            (Some(m.started_at), Some(window.map_or(m.completed_at, |(_, to)| to.max(m.completed_at))))
        }
        None => (run.map(Run::opened_at), run.map(Run::last_at)),
    };
    Row {
        backup: entry.backup.get(),
        state,
        detail,
        at: started.unwrap_or_default(),
        took_ms: started.zip(ended).and_then(|(from, to)| millis(to.duration_since(from))),
        paused_ms: window.and_then(|(from, to)| millis(to.duration_since(from))),
        witness: witness(entry),
        camunda: entry.manifest.as_ref().map(|m| m.versions.camunda.clone()),
        parts: entry.manifest.iter().flat_map(|m| &m.parts).filter(|p| p.is_whole()).map(name).collect(),
        missing: entry.manifest.iter().flat_map(Manifest::missing).map(name).collect(),
        why,
    }
}

/// A part in one word.
fn name(part: &Part) -> String {
    part.title().replace(' ', ":")
}

/// A run that has not ended: somebody's work, or what a process that is gone has left.
fn open(run: &Run, holder: Option<&str>) -> (State, Option<&'static str>, Option<String>) {
    let is_open = run.hold().is_open();
    if is_at_work(run, holder) {
        let paused = is_open.then_some("exporting paused");
        return (State::Running, paused, Some(format!("by {}", run.by())));
    }
    let others = holder.map_or_else(String::new, |other| format!("; {other} is at work"));
    // Whether it still is, only the brokers tell, and they are not asked here.
    let ask = if is_open { "`status` tells whether it runs; " } else { "" };
    let why = format!("{ask}process {} is gone{others}", run.by());
    (State::LeftOpen, is_open.then_some("had paused exporting"), Some(why))
}

/// From when until when exporting was paused, where both are known.
fn window(entry: &Entry) -> Option<(Timestamp, Timestamp)> {
    match (&entry.release, entry.run.as_ref().map(Run::hold)) {
        (Some(release), _) => release.paused_at.zip(release.resumed_at),
        (None, Some(Hold::Released { since, at })) => Some((since, at)),
        _ => None,
    }
}

fn unreadable(entry: &Entry) -> (State, Option<&'static str>, Option<String>) {
    let damaged = entry.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Damaged);
    let state = if damaged { State::Damaged } else { State::Unreadable };
    (state, None, entry.fault.as_ref().map(|fault| format!("{}: {}", fault.target, fault.answer)))
}

/// From the manifest; of a run that failed, for it may have failed because of it, from the journal.
fn witness(entry: &Entry) -> Option<String> {
    let published = entry.manifest.as_ref().map(|m| &m.witness.witness);
    let judged = published.or(entry.run.as_ref().and_then(|run| run.facts().witness.as_ref()));
    judged.map(|witness| witness.verdict.name().into())
}

/// What is in it, and with a minus what is not.
fn parts(row: &Row) -> String {
    let missing = row.missing.iter().map(|part| format!("-{part}"));
    row.parts.iter().cloned().chain(missing).collect::<Vec<_>>().join(" ")
}

pub(super) fn text(rows: &[Row], installation: &str, others: &[String]) -> String {
    if rows.is_empty() && !others.is_empty() {
        return format!(
            "no backups of {installation}; the journal knows other installations: {} (--installation)",
            others.join(", ")
        );
    }
    if rows.is_empty() {
        return "no backups yet; `c8keep plan` shows what the first one would do".into();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["BACKUP", "STATE", "STARTED", "TOOK", "PAUSED", "WITNESS", "CAMUNDA", "PARTS"]);
    let time = |ms: Option<i64>| ms.map_or_else(|| "-".into(), |ms| span(SignedDuration::from_millis(ms)));
    for row in rows {
        table.add_row([
            row.backup.to_string(),
            row.detail
                .map_or_else(|| row.state.words().into(), |more| format!("{}, {more}", row.state.words())),
            instant(row.at),
            time(row.took_ms),
            time(row.paused_ms),
            row.witness.clone().unwrap_or_else(|| "-".into()),
            row.camunda.clone().unwrap_or_else(|| "-".into()),
            row.why.as_ref().map_or_else(|| parts(row), |why| truncate_str(why, 60, "…").into_owned()),
        ]);
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
