//! Exit codes, and how a failed command is told.

use std::time::Duration;

use c8keep_core::fault::Fault;
use c8keep_core::run::{Outcome, Run, StopReason};
use c8keep_core::witness::WitnessVerdict;
use c8keep_engine::drive::{Driven, End};

/// Done.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// Only optional parts are missing, or unproven where proof is required.
pub const PARTIAL: u8 = 3;
/// Exporting may still be paused.
pub const MAY_BE_PAUSED: u8 = 20;
/// Interrupted, and exporting is not paused by us.
pub const INTERRUPTED: u8 = 130;

/// How long the end of the program waits for somebody to read what it has said.
pub const FLUSH: Duration = Duration::from_secs(5);

/// The code for the way a run ended.
pub fn of(driven: &Driven, require_proof: bool) -> u8 {
    match &driven.end {
        End::ReleasePending | End::JournalLost { released: false, .. } => MAY_BE_PAUSED,
        End::LeftOpen => INTERRUPTED,
        End::JournalLost { fault, .. } | End::Superseded(fault) => fault.kind.exit_code(),
        End::Closed(outcome) => of_outcome(outcome, &driven.run, require_proof),
    }
}

/// The one that counts where several hold: what an operator must see first. Done if there is none.
pub fn first_of(codes: impl IntoIterator<Item = u8>) -> u8 {
    const ORDER: [u8; 10] = [MAY_BE_PAUSED, 14, 11, 12, 13, 10, 2, PARTIAL, INTERRUPTED, FAILED];
    let rank = |code: &u8| ORDER.iter().position(|known| known == code).unwrap_or(ORDER.len());
    codes.into_iter().min_by_key(rank).unwrap_or(DONE)
}

fn of_outcome(outcome: &Outcome, run: &Run, require_proof: bool) -> u8 {
    match outcome {
        Outcome::Complete => {
            let proven = run.facts().witness.as_ref().is_some_and(|w| w.verdict == WitnessVerdict::Proven);
            if require_proof && !proven { PARTIAL } else { DONE }
        }
        Outcome::Partial { .. } => PARTIAL,
        Outcome::Failed { fault, .. } => fault.kind.exit_code(),
        Outcome::Stopped { reason: StopReason::Signal } => INTERRUPTED,
        Outcome::Stopped { .. } => FAILED,
    }
}

/// A command that ends early.
#[derive(Debug)]
pub struct Stop {
    /// The exit code.
    pub code: u8,
    /// What is told; a command may have told everything itself.
    pub fault: Option<Fault>,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop { code: fault.kind.exit_code(), fault: Some(fault) }
    }
}

impl Stop {
    /// A command that has told everything itself.
    pub fn with(code: u8) -> Stop {
        Stop { code, fault: None }
    }

    /// The same, but exporting may still be paused: that comes before every other reason.
    #[must_use]
    pub fn while_paused(self) -> Stop {
        Stop { code: MAY_BE_PAUSED, ..self }
    }
}
