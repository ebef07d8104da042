//! The domain of c8keep: what a backup is, which steps make one, and what a run of those steps may do next.
//!
//! Everything here is data and pure functions over it. This crate never performs I/O, never reads a clock
//! (`now` is always an argument), never draws a random number, and knows no HTTP, SQL or file system. What it
//! decides, `c8keep-engine` does.
//!
//! Entry points: [`recipe::backup`] turns an [`Installation`] into a [`Plan`]; [`Run::apply`] folds a journal;
//! [`Run::next`] says what may happen now; [`witness::judge`] says whether the pause held.

#![warn(missing_docs)]

pub mod backup;
pub mod capability;
pub mod claim;
pub mod database;
pub mod disk;
pub mod facts;
pub mod fault;
#[cfg(test)]
mod fuzz;
pub mod installation;
pub mod manifest;
pub mod plan;
pub mod recipe;
pub mod run;
pub mod uncovered;
pub mod verdict;
pub mod witness;
pub mod words;

pub use backup::{BackupId, Component, HistoryApp};
pub use capability::{CamundaVersion, Dialect};
pub use facts::{Fact, Facts};
pub use fault::{Fault, FaultKind};
pub use installation::Installation;
pub use manifest::Manifest;
pub use plan::{Action, Kind, Plan, Step, StepName};
pub use run::{Event, Next, Outcome, Run};
