//! Exit codes, and how a failed command is told.

use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
pub use c8keep_engine::exit::{DONE, FAILED, INTERRUPTED, MAY_BE_PAUSED, PARTIAL, of};
use serde::Serialize;

/// The command line or the configuration cannot be meant.
pub const USAGE: u8 = 2;

/// How long the end of the program waits for somebody to read what it has said.
pub const FLUSH: Duration = Duration::from_secs(5);

/// The one that counts where several hold: what an operator must see first. Done if there is none.
pub fn first_of(codes: impl IntoIterator<Item = u8>) -> u8 {
    const ORDER: [u8; 10] = [MAY_BE_PAUSED, 14, 11, 12, 13, 10, 2, PARTIAL, INTERRUPTED, FAILED];
    let rank = |code: &u8| ORDER.iter().position(|known| known == code).unwrap_or(ORDER.len());
    codes.into_iter().min_by_key(rank).unwrap_or(DONE)
}

/// A command that ends early.
#[derive(Debug)]
pub struct Stop {
    /// The exit code.
    pub code: u8,
    /// What is told; a command may have told everything itself.
    pub fault: Option<Fault>,
    /// The same for programs, where the command has told people itself.
    pub said: String,
    /// Whether it is only that nothing can be written down any more, into the journal or the claim: what is still to be done
    /// outside can be done without.
    pub unwritten: bool,
}

/// The last line for programs, of a command that ends early.
#[derive(Debug, Serialize)]
pub struct Ended<'a> {
    event: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    said: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a Fault>,
    exit_code: u8,
}

impl<'a> Ended<'a> {
    /// Why, and the exit code.
    pub fn new(said: &'a str, fault: Option<&'a Fault>, exit_code: u8) -> Ended<'a> {
        Ended { event: "result", said, fault, exit_code }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop { code: fault.kind.exit_code(), fault: Some(fault), said: String::new(), unwritten: false }
    }
}

impl Stop {
    /// A command that has told people everything itself; programs are told this.
    pub fn told(code: u8, said: impl Into<String>) -> Stop {
        Stop { code, fault: None, said: said.into(), unwritten: false }
    }

    /// The same, but exporting may still be paused: that comes before every other reason.
    #[must_use]
    pub fn while_paused(self) -> Stop {
        Stop { code: MAY_BE_PAUSED, ..self }
    }

    /// The same, but only because nothing can be written down; that another process has taken over is something else.
    #[must_use]
    pub fn unwritten(self) -> Stop {
        let superseded = self.fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::Locked);
        Stop { unwritten: !superseded, ..self }
    }
}
