//! What happened in a night that a green run must have met somewhere, or it says nothing.

use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_core::plan::{Action, StepName};
use c8keep_core::run::{Outcome, RunId, StopReason};
use c8keep_core::witness::WitnessVerdict;
use c8keep_engine::drive::{Driven, End};

use crate::night::Night;

/// Every hard case that many seeds must have met.
pub const SOMETIMES: &[&str] = &[
    "death before the pause",
    "death with nothing but the intent to pause",
    "death in the window",
    "death with a release that is due",
    "death between the release and its record",
    "death after the release",
    "death past the pivot",
    "unknown outcome of pause",
    "unknown outcome of resume",
    "unknown outcome of start-history",
    "unknown outcome of snapshot-records",
    "unknown outcome of start-runtime",
    "unknown outcome of publish",
    "a pause arrived late",
    "a pause arrived after its sender's death",
    "a leader changed in the window",
    "somebody else resumed in the window",
    "the witness condemned a backup",
    "the witness could not tell",
    "a proven backup came back whole",
    "the journal failed in the window",
    "the journal was lost in the window, and the release confirmed",
    "a release without a journal failed",
    "a release was sent without a journal",
    "an append that failed is there all the same",
    "an append did not return",
    "the vault failed",
    "the vault was lost to one host",
    "a write that failed is in the vault all the same",
    "a second process was refused",
    "two processes at once",
    "a process was superseded",
    "another host was kept out by a claim",
    "a claim was taken over by another host",
    "a pause that was inherited by a claim was released",
    "an open run was taken over and finished",
    "an open run was taken over and released",
    "a signal came",
    "a process that was asked to stop left something behind",
    "a gateway timed out, and the effect is there",
    "a disk filled up in the window",
    "exit code 1",
    "exit code 11",
    "exit code 13",
    "exit code 20",
    "exit code 130",
    "the hold budget was spent",
    "a wait stalled",
    "a part was incomplete",
    "a complete backup under faults",
    "a night without faults ended complete",
];

/// What a run that has ended has met.
pub(crate) fn of_run(night: &mut Night, driven: &Driven) {
    match &driven.end {
        End::LeftOpen => night.sometimes("a process that was asked to stop left something behind"),
        End::JournalLost { released: true, .. } if driven.run.hold().is_open() => {
            night.sometimes("the journal was lost in the window, and the release confirmed");
        }
        End::Closed(Outcome::Stopped { reason: StopReason::DiskSpace }) => {
            night.sometimes("a disk filled up in the window");
        }
        End::Superseded(_) => night.sometimes("a process was superseded"),
        End::Closed(Outcome::Complete) if night.is_calm() => {
            night.sometimes("a night without faults ended complete");
        }
        End::Closed(Outcome::Complete) => night.sometimes("a complete backup under faults"),
        End::Closed(Outcome::Stopped { reason: StopReason::HoldBudget }) => {
            night.sometimes("the hold budget was spent");
        }
        End::Closed(Outcome::Failed { fault, .. }) => match fault.kind {
            FaultKind::Stalled => night.sometimes("a wait stalled"),
            FaultKind::Incomplete => night.sometimes("a part was incomplete"),
            _ => {}
        },
        _ => {}
    }
    if let Some(witness) = &driven.run.facts().witness
        && matches!(witness.verdict, WitnessVerdict::Violated { .. })
    {
        night.sometimes("the witness condemned a backup");
    }
}

/// With what a process ended that drove a run.
pub(crate) fn of_exit(night: &mut Night, code: u8) {
    let what = match code {
        1 => "exit code 1",
        11 => "exit code 11",
        13 => "exit code 13",
        20 => "exit code 20",
        130 => "exit code 130",
        _ => return,
    };
    night.sometimes(what);
}

/// A fault of unknown effect was journalled as a step's answer.
pub(crate) fn of_fault(night: &mut Night, process: usize, run: &RunId, step: &StepName, fault: &Fault) {
    let host = night.processes[process].host;
    let action = night.journal.book(host, run).and_then(|book| Some(&book.run.plan().step(step)?.action));
    let what = match action {
        _ if fault.effect != Effect::Unknown => return,
        Some(Action::PauseExporting) => "unknown outcome of pause",
        Some(Action::ResumeExporting) => "unknown outcome of resume",
        Some(Action::StartHistory { .. }) => "unknown outcome of start-history",
        Some(Action::SnapshotRecords { .. }) => "unknown outcome of snapshot-records",
        Some(Action::StartRuntime { .. }) => "unknown outcome of start-runtime",
        Some(Action::Publish { .. }) => "unknown outcome of publish",
        _ => return,
    };
    night.sometimes(what);
}
