//! The driver over ports that live in memory: what it may never do, whatever its journal does.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod databases;
mod driving;
mod fence;
mod memory;
mod standing;
mod stopping;
mod without_journal;
