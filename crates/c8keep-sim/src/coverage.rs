//! What happened in a night that a green run must have met somewhere, or it says nothing.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_core::plan::{Action, StepName};
use c8keep_core::run::{Outcome, RunId, StopReason};
use c8keep_core::witness::WitnessVerdict;
use c8keep_engine::drive::{Driven, End};
use c8keep_twin::{Answer, Config, Request};

use crate::night::Night;
use crate::weather::Trouble;

/// Every hard case that many seeds must have met, and in how many of 10,000 nights at least. That is a third of what was seen
/// when it was written down, or a rate that was wanted and is far exceeded: below it, something keeps the case from happening.
pub const SOMETIMES: &[(&str, u64)] = &[
    ("death before the pause", 660),
    ("death with nothing but the intent to pause", 50),
    ("death in the window", 500),
    ("death with a release that is due", 4),
    ("death between the release and its record", 50),
    ("death after the release", 2),
    ("death past the pivot", 20),
    ("unknown outcome of pause", 100),
    ("unknown outcome of resume", 100),
    ("unknown outcome of start-history", 100),
    ("unknown outcome of snapshot-records", 50),
    ("unknown outcome of start-runtime", 100),
    ("unknown outcome of publish", 100),
    ("a pause arrived late", 50),
    ("a pause arrived after its sender's death", 10),
    ("a leader changed in the window", 200),
    ("somebody else resumed in the window", 70),
    ("the witness condemned a backup", 100),
    ("the witness could not tell", 9),
    ("a proven backup came back whole", 3320),
    ("the journal failed in the window", 90),
    ("the journal was lost in the window, and the release confirmed", 80),
    ("a release without a journal failed", 9),
    ("a release was sent without a journal", 80),
    ("an append that failed is there all the same", 80),
    ("an append did not return", 40),
    ("the vault failed", 60),
    ("the vault was lost to one host", 30),
    ("a write that failed is in the vault all the same", 20),
    ("a second process was refused", 140),
    ("two processes at once", 30),
    ("a process was superseded", 50),
    ("another host was kept out by a claim", 40),
    ("a claim was taken over by another host", 470),
    ("a pause that was inherited by a claim was released", 90),
    ("an open run was taken over and finished", 290),
    ("an open run was taken over and released", 820),
    ("a signal came", 580),
    ("a process that was asked to stop left something behind", 4),
    ("a gateway timed out, and the effect is there", 30),
    ("a disk filled up in the window", 1),
    ("exit code 1", 840),
    ("exit code 11", 20),
    ("exit code 13", 80),
    ("exit code 20", 18),
    ("exit code 130", 470),
    ("the hold budget was spent", 70),
    ("a wait stalled", 80),
    ("a part was incomplete", 80),
    ("a complete backup under faults", 500),
    ("a night without faults ended complete", 500),
    ("a task beside a process panicked", 11),
    ("a clock was set back", 30),
    ("a server says INCOMPLETE", 200),
    ("a pause took hold of a part of the cluster", 50),
    ("an answer was too long", 60),
    ("the vault was slow", 40),
    ("the vault did not answer in time", 60),
    ("a write landed in the vault that nobody waited for", 40),
    ("a queue stuck in the window", 10),
    ("an application left out a part in the window", 11),
    ("brokers left out a partition in the window", 10),
    ("snapshots of nothing in the window", 9),
    ("the repository's storage froze in the window", 10),
    ("the repository's storage became slow in the window", 12),
    ("the repository became read-only in the window", 9),
    ("the repository went away in the window", 15),
    ("the search server froze in the window", 8),
    ("the brokers froze in the window", 10),
    ("the brokers' store froze in the window", 9),
    ("somebody paused the hard way in the window", 8),
    ("an empty snapshot was found out", 15),
    ("a partition that was left out was found out", 10),
    ("a part that was left out was found out", 9),
    ("a foreign hard pause was found", 7),
    ("a complete backup of 8.5", 400),
    ("a complete backup of 8.6", 600),
    ("a complete backup of 8.7", 600),
    ("a complete backup of 8.8", 800),
    ("a complete backup of 8.9", 800),
    ("8.5 told its topology at a path of its own", 400),
    ("8.6 or before tripped over its running snapshot", 300),
    ("8.7 or later was in progress between two parts", 800),
    ("8.9 told the id of its cluster", 800),
    ("8.9 told the id of a backup that it began", 800),
];

/// From so many nights on a rate is no matter of chance.
pub const MANY: u64 = 100_000;

/// What happened too seldom in so many nights, each with how often it did and how often it should have. Of fewer nights than
/// [`MANY`] a fifth of the rates is asked for: each change of c8keep makes other nights of the same seeds, and what comes seldom may
/// then well stay away.
pub fn seldom(seen: &BTreeMap<&'static str, u64>, nights: u64) -> Vec<String> {
    let of = if nights < MANY { 50_000 } else { 10_000 };
    let told = |(what, least): &(&'static str, u64)| {
        let (came, least) = (seen.get(what).copied().unwrap_or(0), least * nights / of);
        (came < least).then(|| format!("{what} ({came}, not {least})"))
    };
    SOMETIMES.iter().filter_map(told).collect()
}

/// What began while exporting was paused.
pub(crate) fn of_trouble(trouble: Trouble) -> Option<&'static str> {
    Some(match trouble {
        Trouble::QueueStuck => "a queue stuck in the window",
        Trouble::PartLeftOut => "an application left out a part in the window",
        Trouble::PartitionLeftOut => "brokers left out a partition in the window",
        Trouble::RecordsEmpty => "snapshots of nothing in the window",
        Trouble::SnapshotsFrozen => "the repository's storage froze in the window",
        Trouble::SnapshotsSlow => "the repository's storage became slow in the window",
        Trouble::RepositoryReadonly => "the repository became read-only in the window",
        Trouble::RepositoryGone => "the repository went away in the window",
        Trouble::SearchFrozen => "the search server froze in the window",
        Trouble::BrokersFrozen => "the brokers froze in the window",
        Trouble::StoreFrozen => "the brokers' store froze in the window",
        Trouble::ForeignHardPause => "somebody paused the hard way in the window",
        _ => return None,
    })
}

/// What servers of one version say and others do not.
pub(crate) fn of_answer(
    seen: &mut BTreeSet<&'static str>,
    config: &Config,
    asked: &Request,
    answer: &Answer,
) {
    let says = |words: &str| std::str::from_utf8(&answer.body).is_ok_and(|text| text.contains(words));
    let once =
        |words: &str| std::str::from_utf8(&answer.body).is_ok_and(|text| text.matches(words).count() == 1);
    let (split, history) = ("/actuator/backups/", "/actuator/backupHistory/");
    let path = asked.path.as_str();
    if path.starts_with(split) && says("\"INCOMPLETE\"") {
        seen.insert("a server says INCOMPLETE");
    }
    match config.dialect() {
        (8, 5) if path == "/v1/topology" && answer.status == 200 => {
            seen.insert("8.5 told its topology at a path of its own");
        }
        (8, ..=6) if path.starts_with(split) && answer.status == 400 && says("when searching") => {
            seen.insert("8.6 or before tripped over its running snapshot");
        }
        // The whole is going on, and none of its parts.
        (8, 7..)
            if (path.starts_with(split) || path.starts_with(history))
                && once("\"IN_PROGRESS\"")
                && says("\"SUCCESS\"")
                && answer.body.ends_with(b"\"state\":\"IN_PROGRESS\"}") =>
        {
            seen.insert("8.7 or later was in progress between two parts");
        }
        (8, 9) if path == "/actuator/cluster" && says("\"clusterId\"") => {
            seen.insert("8.9 told the id of its cluster");
        }
        (8, 9) if path == "/actuator/backupRuntime" && answer.status == 202 && says("\"backupId\"") => {
            seen.insert("8.9 told the id of a backup that it began");
        }
        _ => {}
    }
}

/// In which version a backup came to a good end.
fn of_version(config: &Config) -> &'static str {
    match config.dialect() {
        (8, 5) => "a complete backup of 8.5",
        (8, 6) => "a complete backup of 8.6",
        (8, 7) => "a complete backup of 8.7",
        (8, 8) => "a complete backup of 8.8",
        _ => "a complete backup of 8.9",
    }
}

/// What a run that has ended has met.
pub(crate) fn of_run(night: &mut Night, driven: &Driven) {
    if driven.end == End::Closed(Outcome::Complete) {
        night.sometimes(of_version(&night.setting.config));
    }
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
    let told = |words: &str| fault.answer.contains(words);
    match fault.kind {
        FaultKind::Incomplete if told("is empty") => {
            night.sometimes("an empty snapshot was found out");
        }
        FaultKind::Incomplete if told("is missing") && told("artition") => {
            night.sometimes("a partition that was left out was found out");
        }
        FaultKind::Incomplete if told("is missing") => {
            night.sometimes("a part that was left out was found out");
        }
        FaultKind::ForeignPause if told(" PAUSED") => night.sometimes("a foreign hard pause was found"),
        _ => {}
    }
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
