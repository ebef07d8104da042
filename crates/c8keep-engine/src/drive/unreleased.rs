//! What kept a release from being confirmed: who is woken up because of it must know whether it was sent at all.

use c8keep_core::fault::Fault;
use c8keep_core::run::{Hold, StepState};

use super::{Driver, End};

/// How far a release had come that is not confirmed.
#[derive(Debug, Clone, PartialEq)]
pub enum Unreleased {
    /// This process has not sent it.
    NeverSent {
        /// What was in its way.
        because: &'static str,
        /// How an earlier attempt failed, if there was one.
        before: Option<Fault>,
    },
    /// Sent, and the answer did not come in time.
    Unanswered {
        /// How an earlier attempt failed, if there was one.
        before: Option<Fault>,
    },
    /// Sent, and failed.
    Failed(Fault),
    /// Sent and confirmed, but the journal does not have it.
    NotWrittenDown,
}

impl Unreleased {
    /// How the release failed last, if it did.
    pub fn fault(&self) -> Option<&Fault> {
        match self {
            Unreleased::Failed(fault) => Some(fault),
            Unreleased::NeverSent { before, .. } | Unreleased::Unanswered { before } => before.as_ref(),
            Unreleased::NotWrittenDown => None,
        }
    }
}

impl Driver<'_> {
    /// Told by what has happened, not by what is written down: the journal may be what failed.
    pub(super) fn unreleased(&self, end: &End) -> Option<Unreleased> {
        if !matches!(end, End::ReleasePending | End::JournalLost { released: false, .. }) {
            return None;
        }
        let run = &self.run;
        let (hold, release) = (run.plan().hold()?, run.plan().release()?);
        let is_sent = |name| self.in_flight.performing.contains(name);
        let before = run.release_fault().cloned();
        Some(match (run.state(&release.name), before) {
            _ if matches!(run.hold(), Hold::Released { .. }) => Unreleased::NotWrittenDown,
            (StepState::Retrying { fault, .. }, _) => Unreleased::Failed(fault.clone()),
            (_, before) if is_sent(&release.name) => Unreleased::Unanswered { before },
            (_, before) => {
                let because = if is_sent(&hold.name) {
                    "the pause itself had not been answered yet"
                } else {
                    "c8keep could not write down in time that it would be"
                };
                Unreleased::NeverSent { because, before }
            }
        })
    }
}
