//! What a journal holds.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backup::BackupId;
use crate::facts::Fact;
use crate::fault::Fault;
use crate::plan::{Plan, StepName};

/// A run's name: `backup-<id>`, and `backup-<id>.2` where an id that was never sent is tried again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub String);

/// One line of the journal: an intent, an answer, or what was decided about the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[expect(missing_docs, reason = "the fields are named by what they are")]
pub enum Event {
    /// The run begins; always the first.
    Opened { run: RunId, plan: Plan, by: String, at: Timestamp },
    /// Another process took the run over. The time since the last event is not alive time.
    Adopted { by: String, at: Timestamp },
    /// A step is about to be performed. Durable before anything is sent.
    Intended { step: StepName, attempt: u32, at: Timestamp },
    /// What came of it.
    Answered { step: StepName, attempt: u32, answer: Answer, at: Timestamp },
    /// A wait saw something move.
    Noted { step: StepName, mark: Mark, at: Timestamp },
    /// Nothing more starts; the release goes out.
    StopAsked { reason: StopReason, at: Timestamp },
    /// The run has ended; always the last.
    Closed { outcome: Outcome, at: Timestamp },
}

/// What came of a performance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub enum Answer {
    /// The effect is there.
    Done {
        /// What it taught.
        facts: Vec<Fact>,
    },
    /// It goes on outside; look again.
    Pending {
        /// What was seen.
        mark: Mark,
    },
    /// It failed.
    Fault {
        /// How.
        fault: Fault,
        /// What it taught all the same, such as the evidence that condemns.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        facts: Vec<Fact>,
    },
}

/// What a wait saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Everything whose change means progress (states, parts, update times, counters), as one comparable text. Empty
    /// where nothing could be seen: an answer such as 404 or 400 that comes and goes is no progress.
    pub moved: String,
    /// The same for people: "3 of 6 parts".
    pub says: String,
}

/// Why a run was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// Exporting was paused for as long as it may be.
    HoldBudget,
    /// Free disk on a broker neared the limit at which it stops.
    DiskSpace,
    /// A later process found the run open and ended it.
    TakenOver,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// Every part is whole and the manifest is published.
    Complete,
    /// Published, and only parts marked `required: false` are missing.
    Partial {
        /// The steps that failed.
        missing: Vec<StepName>,
    },
    /// A required step failed. The parts stay; the id is burnt.
    Failed {
        /// Which step.
        step: StepName,
        /// How.
        fault: Fault,
    },
    /// It was stopped before it was complete.
    Stopped {
        /// Why.
        reason: StopReason,
    },
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Event::Opened { at, .. }
            | Event::Adopted { at, .. }
            | Event::Intended { at, .. }
            | Event::Answered { at, .. }
            | Event::Noted { at, .. }
            | Event::StopAsked { at, .. }
            | Event::Closed { at, .. } => *at,
        }
    }

    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Event::Opened { .. } => "opened",
            Event::Adopted { .. } => "adopted",
            Event::Intended { .. } => "intended",
            Event::Answered { .. } => "answered",
            Event::Noted { .. } => "noted",
            Event::StopAsked { .. } => "stop-asked",
            Event::Closed { .. } => "closed",
        }
    }
}

impl RunId {
    /// The id of the `nth` run (from 1) of a backup.
    pub fn of_backup(id: BackupId, nth: u32) -> RunId {
        RunId(if nth <= 1 { format!("backup-{id}") } else { format!("backup-{id}.{nth}") })
    }

    /// The backup that the run is, or was, about.
    pub fn backup(&self) -> Option<BackupId> {
        self.0.strip_prefix("backup-")?.split('.').next()?.parse().ok()
    }
}

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Answer {
        Answer::Fault { fault, facts: Vec::new() }
    }
}

impl From<Fact> for Answer {
    fn from(fact: Fact) -> Answer {
        Answer::Done { facts: vec![fact] }
    }
}

impl Mark {
    /// A mark whose every change counts as progress.
    pub fn new(says: impl Into<String>) -> Mark {
        let says = says.into();
        Mark { moved: says.clone(), says }
    }

    /// Whether something has moved since `former` was seen.
    pub fn shows_progress_since(&self, former: &Mark) -> bool {
        !self.moved.is_empty() && self.moved != former.moved
    }
}

impl Outcome {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Complete => "complete",
            Outcome::Partial { .. } => "partial",
            Outcome::Failed { .. } => "failed",
            Outcome::Stopped { .. } => "stopped",
        }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopReason::Signal => "stopped by a signal",
            StopReason::HoldBudget => "exporting was paused for as long as it may be (limits.hold_budget)",
            StopReason::DiskSpace => "a broker's disk became too full for exporting to stay paused",
            StopReason::TakenOver => "ended by a later process, which found it open",
        })
    }
}
