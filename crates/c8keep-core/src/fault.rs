//! Faults: a failure that says what was being done, to what, what came back, and whether trying again makes sense.
//!
//! A fault is plain data, because it is journalled and read again after a restart by other code.

use serde::{Deserialize, Serialize};

use crate::words::message;

/// A failure, told so that somebody tired can act on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What sort of failure it is; decides the exit code.
    pub kind: FaultKind,
    /// What was being done, as in "pausing exporting".
    pub doing: String,
    /// To what: an endpoint with its method, or a file.
    pub target: String,
    /// What it answered, or what was seen instead of an answer.
    pub answer: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Whether the same call may succeed if it is simply made again.
    pub retry: Retry,
    /// Whether the call may have had its effect in spite of the failure.
    pub effect: Effect,
}

/// What sort of failure a fault is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// No connection, no answer in time, or a connection cut in the middle.
    Unreachable,
    /// 401 or 403.
    Unauthorised,
    /// A prerequisite of the procedure does not hold; nothing was changed.
    Precondition,
    /// A prerequisite, too: exporting is paused where nobody at work here has paused it.
    ForeignPause,
    /// Another run holds the installation.
    Locked,
    /// The command line or the configuration cannot be meant.
    Usage,
    /// The server understood and said no.
    Refused,
    /// Something that must exist does not.
    Absent,
    /// An answer that cannot be understood: HTML, a cut body, an unknown shape.
    Strange,
    /// A wait in which nothing moved for its whole stall time.
    Stalled,
    /// A step that used up its time.
    Deadline,
    /// A part that is reported finished and is not whole.
    Incomplete,
    /// The witness shows that the pause did not hold.
    Violated,
    /// Our own journal or vault cannot be read or written.
    Storage,
    /// Stored data that does not match its checksum or cannot be read back.
    Damaged,
}

/// Whether trying again makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// The same call would fail in the same way.
    Never,
    /// It may pass later: the run retries with capped back-off, within the step's limits.
    Again,
}

/// Whether the call may have had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Certainly not.
    None,
    /// Perhaps: it must be read back before it counts as either.
    Unknown,
}

impl Fault {
    /// A fault without effect that is not worth retrying; refine it with the `with_…` functions. What servers say goes into
    /// it, so it is made fit to be shown.
    pub fn new(
        kind: FaultKind,
        doing: impl Into<String>,
        target: impl Into<String>,
        answer: impl Into<String>,
    ) -> Fault {
        Fault {
            kind,
            doing: message(doing.into()),
            target: message(target.into()),
            answer: message(answer.into()),
            hint: String::new(),
            retry: Retry::Never,
            effect: Effect::None,
        }
    }

    /// A prerequisite that does not hold.
    pub fn precondition(
        doing: impl Into<String>,
        target: impl Into<String>,
        answer: impl Into<String>,
        hint: impl Into<String>,
    ) -> Fault {
        Fault::new(FaultKind::Precondition, doing, target, answer).with_hint(hint)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Fault {
        self.hint = message(hint.into());
        self
    }

    /// Marks the call as worth repeating.
    #[must_use]
    pub fn with_retry(mut self) -> Fault {
        self.retry = Retry::Again;
        self
    }

    /// Marks the outcome as unknown: the call may have had its effect.
    #[must_use]
    pub fn with_unknown_effect(mut self) -> Fault {
        self.effect = Effect::Unknown;
        self
    }

    /// The same where nothing has begun yet: storage that cannot be read or written is then a prerequisite that does not hold.
    #[must_use]
    pub fn of_a_start(self) -> Fault {
        match self.kind {
            FaultKind::Storage | FaultKind::Refused | FaultKind::Absent => {
                Fault { kind: FaultKind::Precondition, ..self }
            }
            _ => self,
        }
    }

    /// Whether the run may make the same call again.
    pub fn is_retryable(&self) -> bool {
        self.retry == Retry::Again
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} answered: {}", self.doing, self.target, self.answer)?;
        if self.effect == Effect::Unknown {
            write!(f, " (it may have taken effect)")?;
        }
        Ok(())
    }
}

impl std::error::Error for Fault {}

impl FaultKind {
    /// The exit code of a command that ends with this kind of fault.
    pub fn exit_code(self) -> u8 {
        match self {
            FaultKind::Usage => 2,
            FaultKind::Precondition | FaultKind::ForeignPause => 10,
            FaultKind::Locked => 11,
            FaultKind::Unauthorised => 12,
            FaultKind::Unreachable => 13,
            FaultKind::Damaged => 14,
            FaultKind::Refused
            | FaultKind::Absent
            | FaultKind::Strange
            | FaultKind::Stalled
            | FaultKind::Deadline
            | FaultKind::Incomplete
            | FaultKind::Violated
            | FaultKind::Storage => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was being done may name what somebody has typed, or a name that others have given.
    #[test]
    fn no_part_of_a_fault_moves_a_cursor() {
        let nasty = "\u{1b}[2J\u{9b}31m";
        let fault = Fault::new(FaultKind::Usage, nasty, nasty, nasty).with_hint(nasty);
        let said = format!("{fault}{}", fault.hint);
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}
