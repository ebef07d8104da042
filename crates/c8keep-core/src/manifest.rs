//! The manifest: the write-once description of a backup, with its evidence.
//!
//! It exists only for a backup whose required parts are all whole and whose witness is not violated: that a manifest
//! can be read is what makes a backup complete. It says nothing of the release; `release.json` beside it does.

mod restore_guide;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use restore_guide::restore_guide;

use crate::backup::{BackupId, Component};
use crate::capability::Dialect;
use crate::database::{DatabaseDump, DatabaseName};
use crate::facts::{
    Census, Cluster, Facts, IndexCount, Positions, Repository, RuntimePartition, SnapshotEvidence, Store,
};
use crate::installation::{Fingerprint, Installation, NotCovered, SearchProduct};
use crate::plan::{Action, Kind, Step};
use crate::run::{Run, RunId, StepState};
use crate::uncovered::uncovered;
use crate::witness::Witness;

/// The manifest format that this version writes and reads.
pub const MANIFEST_FORMAT: u16 = 1;

const WHOLE: &str = "whole";

/// Why a part is not there.
pub const MISSING: &str = "an optional part that could not be taken";

/// The description of one backup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_FORMAT`] of the version that wrote it.
    pub format: u16,
    /// The id of all parts.
    pub backup: BackupId,
    /// The installation's name.
    pub installation: String,
    /// The installation's fingerprint.
    pub fingerprint: Fingerprint,
    /// The run that made it.
    pub run: RunId,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the evidence was complete.
    pub completed_at: Timestamp,
    /// Versions that a restore has to match.
    pub versions: Versions,
    /// The cluster's shape; the partition count must be the same at restore.
    pub topology: Option<Cluster>,
    /// Where the partitions are stored.
    pub store: Option<Store>,
    /// Where the snapshots are stored.
    pub repository: Option<Repository>,
    /// The parts, in the order in which they were taken.
    pub parts: Vec<Part>,
    /// Whether the pause held, with the raw readings.
    pub witness: WitnessEvidence,
    /// Index lists and document counts before the run.
    pub census: Option<Census>,
    /// Record indices and document counts when their snapshot was asked for.
    pub records_at_cut: Option<Vec<IndexCount>>,
    /// What the names of all indices of the installation begin with: a restore finds them in an empty place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub index_prefixes: Vec<String>,
    /// Indices that are named like the applications' and are somebody else's, as configured; `*` at the end of some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_indices: Vec<String>,
    /// Indices of the applications that no snapshot of this backup holds.
    pub uncovered_indices: Vec<String>,
    /// What this backup leaves out, by name.
    pub not_covered: Vec<NotCovered>,
    /// When each step ran.
    pub steps: Vec<StepTime>,
}

/// Versions that a restore has to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Camunda's, as its management address tells.
    pub camunda: String,
    /// How it was spoken to.
    pub dialect: Dialect,
    /// The search product.
    pub search_product: SearchProduct,
    /// Its version.
    pub search: String,
    /// The c8keep that wrote this.
    pub c8keep: String,
}

/// One component's share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Which component.
    pub component: Component,
    /// `whole`, or `missing` for a part that is marked `required: false`.
    pub state: String,
    /// The name of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DatabaseName>,
    /// Its snapshots, in part order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<SnapshotEvidence>,
    /// Its partitions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partitions: Vec<RuntimePartition>,
    /// The dump of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dump: Option<DatabaseDump>,
    /// When it was asked for.
    pub started_at: Option<Timestamp>,
    /// When it was seen to be whole.
    pub ended_at: Option<Timestamp>,
}

/// The witness with its raw readings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessEvidence {
    /// The verdict.
    #[serde(flatten)]
    pub witness: Witness,
    /// What every broker said after the pause.
    pub first: Option<Positions>,
    /// What every broker said after the runtime backup.
    pub last: Option<Positions>,
}

/// When a step ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTime {
    /// Its name.
    pub step: String,
    /// The number on Camunda's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u8>,
    /// When it was first intended.
    pub started_at: Timestamp,
    /// When it ended; absent for what still ran.
    pub ended_at: Option<Timestamp>,
}

/// What is recorded beside the manifest once exporting runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The run.
    pub run: RunId,
    /// When the pause was first intended.
    pub paused_at: Option<Timestamp>,
    /// When exporting was confirmed to run again.
    pub resumed_at: Option<Timestamp>,
}

impl Manifest {
    /// When all of it was over: the last part proven, and exporting confirmed to run, which may be later.
    pub fn ended_at(&self, release: Option<&Release>) -> Timestamp {
        let resumed_at = release.and_then(|release| release.resumed_at);
        resumed_at.map_or(self.completed_at, |at| at.max(self.completed_at))
    }

    /// Writes down what the run found out; `None` before the witness was judged. The same run gives the same bytes
    /// whenever it is asked, so that publishing can be repeated.
    pub fn of(run: &Run, installation: &Installation, c8keep: &str) -> Option<Manifest> {
        let facts = run.facts();
        let parts = parts(run);
        Some(Manifest {
            format: MANIFEST_FORMAT,
            backup: run.plan().backup(),
            installation: installation.name.clone(),
            fingerprint: installation.fingerprint.clone(),
            run: run.id().clone(),
            started_at: run.opened_at(),
            completed_at: evidence_at(run)?,
            versions: Versions {
                camunda: installation.version.to_string(),
                dialect: installation.dialect,
                search_product: installation.search.product,
                search: installation.search.version.clone(),
                c8keep: c8keep.into(),
            },
            topology: facts.cluster.clone(),
            store: facts.store.clone(),
            repository: facts.repository.clone(),
            index_prefixes: installation.index_prefixes(),
            foreign_indices: installation.foreign_indices.clone(),
            uncovered_indices: left_out(facts, &parts),
            parts,
            witness: WitnessEvidence {
                witness: facts.witness.clone()?,
                first: facts.first_positions.clone(),
                last: facts.last_positions.clone(),
            },
            census: facts.census.clone(),
            records_at_cut: facts.records_cut.clone(),
            not_covered: installation.not_covered.clone(),
            steps: steps(run),
        })
    }

    /// Parts that are marked `required: false` and could not be taken.
    pub fn missing(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| !part.is_whole())
    }

    /// The part of a component.
    pub fn part(&self, component: Component) -> Option<&Part> {
        self.parts.iter().find(|p| p.component == component)
    }
}

impl Part {
    /// Whether all of it is there.
    pub fn is_whole(&self) -> bool {
        self.state == WHOLE
    }

    /// Which one, for people.
    pub fn title(&self) -> String {
        match &self.name {
            Some(name) => format!("{} {name}", self.component),
            None => self.component.to_string(),
        }
    }
}

/// The parts, from the steps that took them, as far as the run has come.
pub fn parts(run: &Run) -> Vec<Part> {
    let facts = run.facts();
    let whole = |component, started: &Step, ended: Option<&StepState>| Part {
        component,
        state: if ended.is_some_and(StepState::is_done) { WHOLE.into() } else { "missing".into() },
        name: None,
        snapshots: Vec::new(),
        partitions: Vec::new(),
        dump: None,
        started_at: run.state(&started.name).since(),
        ended_at: ended.and_then(|state| match state {
            StepState::Done { at, .. } => Some(*at),
            _ => None,
        }),
    };
    let wait_of = |matches: &dyn Fn(&Action) -> bool| {
        run.steps().find(|(step, _)| matches(&step.action)).map(|(_, state)| state)
    };
    run.plan()
        .steps()
        .iter()
        .filter_map(|step| match &step.action {
            Action::StartHistory { app, .. } => {
                let wait = wait_of(&|a| matches!(a, Action::AwaitHistory { app: other, .. } if other == app));
                let snapshots = facts.history.get(app).cloned().unwrap_or_default();
                Some(Part { snapshots, ..whole(app.component(), step, wait) })
            }
            Action::SnapshotRecords { .. } => {
                let wait = wait_of(&|a| matches!(a, Action::AwaitRecords { .. }));
                let snapshots = facts.records.iter().cloned().collect();
                Some(Part { snapshots, ..whole(Component::Records, step, wait) })
            }
            Action::StartRuntime { .. } => {
                let wait = wait_of(&|a| matches!(a, Action::AwaitRuntime { .. }));
                let partitions = facts.runtime.as_ref().map(|r| r.partitions.clone()).unwrap_or_default();
                Some(Part { partitions, ..whole(Component::Runtime, step, wait) })
            }
            Action::DumpDatabase { database, .. } => {
                let (name, dump) = (Some(database.clone()), facts.databases.get(database).cloned());
                let ended = Some(run.state(&step.name));
                Some(Part { name, dump, ..whole(Component::Database, step, ended) })
            }
            _ => None,
        })
        .collect()
}

/// What a successful backup of every application still leaves out.
pub fn left_out(facts: &Facts, parts: &[Part]) -> Vec<String> {
    let before = facts.census.iter().flat_map(|census| &census.apps);
    uncovered(before, parts.iter().flat_map(|part| &part.snapshots))
}

/// When the evidence was complete: the witness judged, and the last dump ended. `None` before the witness was judged.
fn evidence_at(run: &Run) -> Option<Timestamp> {
    let ended = |step: &Step, state: &StepState| match state {
        StepState::Done { at, .. } => Some((step.action == Action::JudgeWitness, *at)),
        _ => None,
    };
    let counts = |step: &Step| step.action == Action::JudgeWitness || step.action.is_beside_window();
    let ends: Vec<_> =
        run.steps().filter(|(s, _)| counts(s)).filter_map(|(s, state)| ended(s, state)).collect();
    ends.iter().find(|(is_judged, _)| *is_judged)?;
    ends.iter().map(|(_, at)| *at).max()
}

/// The steps up to the evidence; what runs beside the publishing is told elsewhere.
fn steps(run: &Run) -> Vec<StepTime> {
    run.steps()
        .filter(|(step, _)| !matches!(step.kind, Kind::Release | Kind::Pivot))
        .filter_map(|(step, state)| {
            let ended_at = match state {
                StepState::Done { at, .. } | StepState::Failed { at, .. } => Some(*at),
                _ => None,
            };
            let started_at = state.since()?;
            Some(StepTime { step: step.name.to_string(), page: step.page, started_at, ended_at })
        })
        .collect()
}
