//! Exit codes, and how a failed command is told.

use std::time::Duration;

use c8keep_core::fault::Fault;
pub use c8keep_engine::exit::{DONE, FAILED, INTERRUPTED, MAY_BE_PAUSED, PARTIAL, of};

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
