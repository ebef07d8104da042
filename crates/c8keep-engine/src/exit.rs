//! Which exit code tells how a run ended. Here and not in the program, so that the simulator holds it against the truth.

use c8keep_core::run::{Outcome, Run, StopReason};
use c8keep_core::witness::WitnessVerdict;

use crate::drive::{Driven, End};

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

/// The code for the way a run ended.
pub fn of(driven: &Driven, require_proof: bool) -> u8 {
    match &driven.end {
        End::ReleasePending | End::JournalLost { released: false, .. } => MAY_BE_PAUSED,
        End::LeftOpen => INTERRUPTED,
        End::JournalLost { fault, .. } | End::Superseded(fault) => fault.kind.exit_code(),
        End::Closed(outcome) => of_outcome(outcome, &driven.run, require_proof),
    }
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
