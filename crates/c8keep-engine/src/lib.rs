//! Doing what `c8keep-core` decides, behind ports.
//!
//! This crate knows no HTTP, no SQL and no file system; it never reads a clock but through [`ports::Clock`].
//! [`drive::Driver`] is the loop: ask the run what comes next, journal the intent durably, perform it, journal the
//! answer. [`perform::perform`] is one exhaustive match from action to calls on ports. [`open_runs`] finds what an
//! earlier process left, [`fence`] keeps two hosts from acting at once. [`doctor`] looks at everything that a backup
//! needs.

pub mod disk;
pub mod doctor;
pub mod drive;
pub mod exit;
pub mod fence;
pub mod ids;
mod never_behind;
pub mod open_runs;
pub mod perform;
pub mod ports;
pub mod progress;

use std::sync::Arc;

use c8keep_core::Installation;

/// One installation with everything that acts on it.
#[derive(Clone)]
pub struct World {
    /// What is protected.
    pub installation: Installation,
    /// The orchestration cluster and its applications.
    pub camunda: Arc<dyn ports::Camunda>,
    /// Elasticsearch or OpenSearch.
    pub search: Arc<dyn ports::SearchStore>,
    /// The databases beside it.
    pub databases: Arc<dyn ports::Databases>,
    /// Where manifests go.
    pub vault: Arc<dyn ports::Vault>,
    /// The record of intents and answers.
    pub journal: Arc<dyn ports::Journal>,
    /// Time.
    pub clock: Arc<dyn ports::Clock>,
    /// This program's version, for manifests.
    pub c8keep: String,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("installation", &self.installation).finish_non_exhaustive()
    }
}
