//! What is said when a run has ended.

use c8keep_core::words::counted;
use std::fmt::Write;

use c8keep_core::backup::Component;
use c8keep_core::facts::Facts;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{Installation, Records};
use c8keep_core::manifest::{self, Part};
use c8keep_core::plan::{Kind, Step};
use c8keep_core::run::{Hold, Outcome, Run, StepState, StopReason};
use c8keep_core::witness::Witness;
use c8keep_engine::drive::{Driven, End, Unreleased};
use serde::Serialize;

use super::time::span;

/// The last line of `backup -o json`, and what the text summary is made of.
#[derive(Debug, Serialize)]
pub struct Result<'a> {
    /// Always `result`, so that it can be told from the events before it.
    pub event: &'static str,
    /// The backup's id.
    pub backup: u64,
    /// The run.
    pub run: &'a str,
    /// `complete`, `partial`, `failed`, `stopped`, `release-pending`, `left-open`, `superseded` or `journal-lost`.
    pub outcome: &'static str,
    /// Whether the backup is published and whole; whether exporting runs is another question.
    pub complete: bool,
    /// The witness.
    pub witness: Option<&'a Witness>,
    /// How long exporting was, or has been, paused.
    pub paused_ms: Option<i64>,
    /// Whether exporting runs, as far as this run knows.
    pub exporting_runs: bool,
    /// Where the manifest is.
    pub manifest: Option<String>,
    /// What failed.
    pub fault: Option<&'a Fault>,
    /// How it ended, as people are told.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub said: &'a str,
    /// The next id that can be used.
    pub next_id: u64,
    /// The exit code of the program.
    pub exit_code: u8,
}

/// The result of a driven run; `limit` is what [`ended_by_limit`] says of it, `said` what people were told.
pub fn result<'a>(
    driven: &'a Driven,
    limit: Option<&'a Fault>,
    manifest: Option<String>,
    said: &'a str,
    exit_code: u8,
) -> Result<'a> {
    let run = &driven.run;
    let fault = match &driven.end {
        End::Closed(Outcome::Failed { fault, .. })
        | End::JournalLost { fault, .. }
        | End::Superseded(fault) => Some(fault),
        End::Closed(Outcome::Stopped { .. }) => limit,
        End::ReleasePending => driven.unreleased.as_ref().and_then(Unreleased::fault),
        End::Closed(_) | End::LeftOpen => None,
    };
    let outcome = match &driven.end {
        End::Closed(outcome) => outcome.name(),
        End::ReleasePending => "release-pending",
        End::LeftOpen => "left-open",
        End::Superseded(_) => "superseded",
        End::JournalLost { .. } => "journal-lost",
    };
    Result {
        event: "result",
        backup: run.plan().backup().get(),
        run: &run.id().0,
        outcome,
        complete: is_whole(run),
        witness: run.facts().witness.as_ref(),
        paused_ms: paused(run).and_then(|d| i64::try_from(d.as_millis()).ok()),
        exporting_runs: !run.hold().is_open()
            || matches!(driven.end, End::JournalLost { released: true, .. }),
        manifest,
        fault,
        said,
        next_id: next_id(run),
        exit_code,
    }
}

/// Whether the manifest is published and nothing is missing in it, whatever became of the pause.
pub fn is_whole(run: &Run) -> bool {
    run.facts().published.is_some() && manifest::parts(run).iter().all(Part::is_whole)
}

/// What ended a run whose window lasted too long: which step it was waiting for, how long was allowed, what to do.
pub fn ended_by_limit(run: &Run) -> Option<Fault> {
    let Some(Outcome::Stopped { reason }) = run.outcome() else { return None };
    let id = run.plan().backup();
    let look = format!("`c8keep show {id}` tells how long each step took: find out what is slow");
    let (limit, hint) = match reason {
        StopReason::HoldBudget => (
            format!("exporting may stay paused for {:#} (limits.hold_budget)", run.plan().hold_budget()),
            format!(
                "{look}; or raise `limits.hold_budget` (--hold-budget) as far as the brokers' disks allow"
            ),
        ),
        StopReason::DiskSpace => (
            reason.to_string(),
            format!("give the brokers more space (`c8keep doctor` tells how much is left); {look}"),
        ),
        StopReason::Signal | StopReason::TakenOver => return None,
    };
    let waited: Vec<(&Step, &StepState)> =
        run.steps().filter(|(step, state)| is_waited_for(step, state)).collect();
    let names: Vec<String> = waited.iter().map(|(step, _)| step.name.to_string()).collect();
    let target =
        if names.is_empty() { "between two steps".into() } else { format!("step {}", names.join(", ")) };
    let seen: Vec<String> = waited.iter().map(|(_, state)| last_seen(state)).collect();
    let seen = if seen.is_empty() { String::new() } else { format!("; last seen: {}", seen.join("; ")) };
    Some(
        Fault::new(FaultKind::Deadline, "keeping exporting paused", target, format!("{limit}{seen}"))
            .with_hint(hint),
    )
}

fn is_waited_for(step: &Step, state: &StepState) -> bool {
    let under_way = state.since().is_some() && !state.is_settled();
    under_way && step.kind != Kind::Release && !step.action.is_beside_window()
}

fn last_seen(state: &StepState) -> String {
    match state {
        StepState::Pending { mark, .. } => mark.says.clone(),
        StepState::Retrying { fault, .. } => fault.to_string(),
        _ => "no answer".into(),
    }
}

/// The next id that can be used, as far as this run knows.
pub fn next_id(run: &Run) -> u64 {
    let id = run.plan().backup();
    run.facts().highest_id.map_or(id, |highest| highest.max(id)).get() + 1
}

/// What is true of a run whose journal takes nothing more, once exporting is confirmed to run. `run` is what is written down.
pub fn without_journal(run: &Run) -> String {
    let exporting = match run.hold() {
        Hold::NotTaken => "exporting was not touched",
        Hold::Released { .. } => "exporting runs",
        Hold::Open { .. } | Hold::ReleasePending { .. } => {
            "exporting was resumed all the same, and that is confirmed"
        }
    };
    let id = run.plan().backup();
    let backup = if run.is_past_pivot() {
        format!(
            "all parts of backup {id} are whole, and its manifest may be in the vault: `c8keep list` and `c8keep show {id}` tell"
        )
    } else {
        format!("backup {id} has failed")
    };
    format!(
        "{exporting}; {backup}\n  the run stays open until it can be written down: the next `c8keep backup` sees to it"
    )
}

fn paused(run: &Run) -> Option<jiff::SignedDuration> {
    run.hold().length(run.last_at())
}

/// The summary of a backup that counts.
pub fn complete(run: &Run, installation: &Installation, place: &str) -> String {
    let facts = run.facts();
    let mut text = String::new();
    let word = match run.outcome() {
        Some(Outcome::Partial { .. }) => "partial: optional parts are missing",
        _ => "complete",
    };
    let _ = writeln!(text, "backup {} is {word}", run.plan().backup());
    let _ = writeln!(text, "  parts     {}", parts(facts).join(" · "));
    if let Some(witness) = &facts.witness {
        let _ = writeln!(text, "  witness   {}", witness_line(witness));
    }
    if let Hold::Released { since, at } = run.hold() {
        let _ = writeln!(text, "  paused    {}; exporting runs", span(at.duration_since(since)));
    }
    if let Records::Excluded { reason } = &installation.records {
        let _ = writeln!(text, "  left out  exported records: {reason}");
    }
    let parts = manifest::parts(run);
    let missing = parts.iter().filter(|part| !part.is_whole()).map(Part::title);
    let uncovered: Vec<String> =
        missing.chain(installation.not_covered.iter().map(|n| n.what.clone())).collect();
    if !uncovered.is_empty() {
        let _ = writeln!(text, "  not in it {}", uncovered.join(", "));
    }
    let _ = writeln!(text, "  manifest  {place}");
    text
}

/// The witness in one line.
pub fn witness_line(witness: &Witness) -> String {
    let positions: Vec<String> = witness
        .partitions
        .iter()
        .map(|p| {
            let number = |n: Option<i64>| n.map_or_else(|| "?".into(), |n| n.to_string());
            format!("{}:{}≤{}", p.partition, number(p.exported_in_backup), number(p.exported_at_pause))
        })
        .collect();
    match witness.verdict.reason() {
        None => format!("{}: the pause held ({})", witness.verdict.name(), positions.join(" ")),
        Some(reason) => format!("{}: {reason}", witness.verdict.name()),
    }
}

/// One phrase a part.
fn parts(facts: &Facts) -> Vec<String> {
    let mut parts: Vec<String> = facts
        .history
        .iter()
        .map(|(app, snapshots)| {
            format!("{} {}", app.component(), counted(snapshots.len(), "snapshot", "snapshots"))
        })
        .collect();
    if let Some(records) = &facts.records {
        let docs: u64 = facts.records_cut.iter().flatten().filter_map(|i| i.docs).sum();
        let indices = counted(records.indices.len(), "index", "indices");
        let docs = counted(usize::try_from(docs).unwrap_or(usize::MAX), "document", "documents");
        parts.push(format!("{} {indices}, {docs}", Component::Records));
    }
    if let Some(runtime) = &facts.runtime {
        let partitions = counted(runtime.partitions.len(), "partition", "partitions");
        parts.push(format!("{} {partitions}", Component::Runtime));
    }
    for (name, dump) in &facts.databases {
        let bytes = dump.objects.iter().map(|object| object.bytes).sum();
        parts.push(format!("{} {name} {}", Component::Database, size(bytes)));
    }
    parts
}

/// Bytes for people.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{}.{} kB", bytes / 1_000, bytes % 1_000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000),
    }
}
