//! A plan: a validated list of steps, as data; what a run will do.
//!
//! A plan is stored with its run, so that a later version of c8keep finishes an old run by *its* plan. It holds
//! names and limits, never addresses or credentials.

mod draw;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::backup::{BackupId, HistoryApp};
use crate::database::{DatabaseName, DumpMode};
use crate::facts::FactKind;
use crate::installation::Fingerprint;

/// The plan format that this version writes and reads.
pub const PLAN_FORMAT: u16 = 1;

/// What a run will do. Only [`Plan::new`] makes one, so every plan is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PlanParts", into = "PlanParts")]
pub struct Plan {
    parts: PlanParts,
}

/// The parts of a plan before they are checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanParts {
    /// [`PLAN_FORMAT`] of the version that wrote it.
    pub format: u16,
    /// The recipe's name, for people.
    pub recipe: String,
    /// The installation's name.
    pub installation: String,
    /// The installation's fingerprint: no run is finished on another installation.
    pub fingerprint: Fingerprint,
    /// The backup this is about.
    pub backup: BackupId,
    /// How long exporting may stay paused, in wall time since the intent to pause.
    pub hold_budget: SignedDuration,
    /// The steps, in an order in which every step comes after those it waits for.
    pub steps: Vec<Step>,
}

/// A step's name: stable and unique in its plan, because it is the key in the journal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepName(pub String);

/// A named node of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: StepName,
    /// The number of the step on Camunda's page "Create a backup" that this one performs, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<u8>,
    /// The steps that must have ended well before it starts.
    pub after: BTreeSet<StepName>,
    /// What it does.
    pub action: Action,
    /// What its failure and its repetition mean.
    pub kind: Kind,
    /// Whether the backup fails without it.
    pub required: bool,
    /// How often and how long.
    pub limits: Limits,
}

/// What a step's failure and repetition mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Kind {
    /// Reads only.
    Probe,
    /// Changes something outside. Backup recipes undo nothing: parts of a failed run stay and are listed.
    Effect,
    /// Opens the exporting pause, which `release` closes.
    Hold {
        /// The step that closes it.
        release: StepName,
    },
    /// Closes a hold: runs once its predecessors are settled, well or not, and is retried without end.
    Release,
    /// After this the run only goes forward.
    Pivot,
}

/// What a step does. Closed: a new variant makes the compiler list every place to think about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "do")]
#[expect(missing_docs, reason = "the fields are named by what they are")]
pub enum Action {
    /// All brokers up, no scaling pending, no partition without a leader.
    CheckCluster,
    /// Nobody has paused exporting.
    CheckExporting,
    /// The brokers have a backup store and it answers.
    CheckStore,
    /// The repository is registered, and every component uses it.
    CheckRepository { repository: String },
    /// The vault can be written to; the one object this makes, it removes.
    CheckVault,
    /// A database answers, may be read, and the tools are new enough for its server.
    CheckDatabase { database: DatabaseName, mode: DumpMode },
    /// Waits until no application is taking a part of an earlier backup.
    AwaitQuiet { repository: String },
    /// Lists and counts the indices that a backup must contain.
    TakeCensus { records: Option<String> },
    /// The id is above every id seen.
    CheckId { id: BackupId },
    /// Soft-pauses exporting. There is no other pause.
    PauseExporting,
    /// Lets exporting run again.
    ResumeExporting,
    /// Reads P0 from every reached broker.
    ReadFirstPositions,
    /// Reads the positions once more, after the runtime backup.
    ReadLastPositions,
    /// Asks an application to back up its indices.
    StartHistory { app: HistoryApp, id: BackupId },
    /// Waits until all its parts are whole.
    AwaitHistory { app: HistoryApp, id: BackupId, repository: String },
    /// Snapshots the exported records.
    SnapshotRecords { repository: String, snapshot: String, prefix: String },
    /// Waits until that snapshot is whole.
    AwaitRecords { repository: String, snapshot: String, prefix: String },
    /// Asks the brokers to back up their partitions.
    StartRuntime { id: BackupId },
    /// Waits until all partitions are complete.
    AwaitRuntime { id: BackupId },
    /// Judges whether the pause held.
    JudgeWitness,
    /// Dumps a database into the vault.
    DumpDatabase { database: DatabaseName, mode: DumpMode },
    /// Publishes the manifest.
    Publish { id: BackupId },
    /// Records beside the manifest that exporting runs again.
    RecordRelease { id: BackupId },
}

/// How often and how long a step may be tried. Deadline and stall count time in which a process was alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Performances before a retryable fault is final; a release has no such limit.
    pub attempts_max: u32,
    /// Time from the first intent to the end.
    pub deadline: SignedDuration,
    /// For waits: time in which nothing moves.
    pub stall: SignedDuration,
}

/// The shortest stall time that means anything: in a shorter one a server is looked at twice at most.
pub const STALL_MIN: SignedDuration = SignedDuration::from_secs(1);

/// Why parts are not a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum NotAPlan {
    #[error("plan format {0} is not readable by this version, which reads format {PLAN_FORMAT}")]
    Format(u16),
    #[error("two steps are called {0}")]
    NameTwice(StepName),
    #[error("{step} waits for {before}, which is not an earlier step")]
    UnknownPredecessor { step: StepName, before: StepName },
    #[error("{0} pauses exporting and no later step releases it")]
    HoldWithoutRelease(StepName),
    #[error("{0} releases a hold that no step opens")]
    ReleaseWithoutHold(StepName),
    #[error("{step} does not wait for the hold that it releases")]
    ReleaseBesideHold { step: StepName },
    #[error("{step} needs {fact:?}, and no step before it provides that")]
    FactMissing { step: StepName, fact: FactKind },
    #[error("{0} has no limits")]
    NoLimits(StepName),
    #[error("the plan has no pivot, or more than one")]
    Pivot,
    #[error("{0} changes something outside and is not ordered before the pivot or after it")]
    EffectBesidePivot(StepName),
    #[error("{window} would hold up the exporting window: it waits for {dump}")]
    WindowWaits { window: StepName, dump: StepName },
    #[error("the manifest would not wait for {0}")]
    DumpAfterPivot(StepName),
}

impl Plan {
    /// Checks the parts and makes the plan.
    pub fn new(parts: PlanParts) -> Result<Plan, NotAPlan> {
        if parts.format != PLAN_FORMAT {
            return Err(NotAPlan::Format(parts.format));
        }
        let ancestors = ancestors(&parts.steps)?;
        check_holds(&parts.steps, &ancestors)?;
        check_facts(&parts.steps, &ancestors)?;
        check_pivot(&parts.steps, &ancestors)?;
        check_dumps(&parts.steps, &ancestors)?;
        let unlimited = |s: &&Step| {
            s.limits.attempts_max == 0 || !s.limits.deadline.is_positive() || !s.limits.stall.is_positive()
        };
        if let Some(step) = parts.steps.iter().find(unlimited) {
            return Err(NotAPlan::NoLimits(step.name.clone()));
        }
        Ok(Plan { parts })
    }

    /// The steps, predecessors first.
    pub fn steps(&self) -> &[Step] {
        &self.parts.steps
    }

    /// The step of that name.
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.parts.steps.iter().find(|s| s.name == *name)
    }

    /// The step that opens the hold, where there is one.
    pub fn hold(&self) -> Option<&Step> {
        self.parts.steps.iter().find(|s| matches!(s.kind, Kind::Hold { .. }))
    }

    /// The step that closes it.
    pub fn release(&self) -> Option<&Step> {
        self.parts.steps.iter().find(|s| s.kind == Kind::Release)
    }

    /// The backup this plan is about.
    pub fn backup(&self) -> BackupId {
        self.parts.backup
    }

    /// The recipe's name.
    pub fn recipe(&self) -> &str {
        &self.parts.recipe
    }

    /// The installation's name.
    pub fn installation(&self) -> &str {
        &self.parts.installation
    }

    /// The installation's fingerprint.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.parts.fingerprint
    }

    /// How long exporting may stay paused.
    pub fn hold_budget(&self) -> SignedDuration {
        self.parts.hold_budget
    }
}

type Ancestors<'a> = BTreeMap<&'a StepName, BTreeSet<&'a StepName>>;

/// Every step with all steps that come before it, directly or not.
fn ancestors(steps: &[Step]) -> Result<Ancestors<'_>, NotAPlan> {
    let mut all = Ancestors::new();
    for step in steps {
        let mut mine = BTreeSet::new();
        for before in &step.after {
            let Some(theirs) = all.get(before) else {
                return Err(NotAPlan::UnknownPredecessor { step: step.name.clone(), before: before.clone() });
            };
            mine.extend(theirs);
            mine.insert(before);
        }
        if all.insert(&step.name, mine).is_some() {
            return Err(NotAPlan::NameTwice(step.name.clone()));
        }
    }
    Ok(all)
}

fn check_holds(steps: &[Step], ancestors: &Ancestors<'_>) -> Result<(), NotAPlan> {
    for step in steps {
        match &step.kind {
            Kind::Hold { release } => {
                let closing = steps.iter().find(|s| s.name == *release && s.kind == Kind::Release);
                let closing = closing.ok_or_else(|| NotAPlan::HoldWithoutRelease(step.name.clone()))?;
                if !ancestors[&closing.name].contains(&step.name) {
                    return Err(NotAPlan::ReleaseBesideHold { step: closing.name.clone() });
                }
            }
            Kind::Release => {
                let opens = |s: &Step| matches!(&s.kind, Kind::Hold { release } if *release == step.name);
                if !steps.iter().any(opens) {
                    return Err(NotAPlan::ReleaseWithoutHold(step.name.clone()));
                }
            }
            Kind::Probe | Kind::Effect | Kind::Pivot => {}
        }
    }
    Ok(())
}

fn check_facts(steps: &[Step], ancestors: &Ancestors<'_>) -> Result<(), NotAPlan> {
    for step in steps {
        let gives = |fact: FactKind| {
            steps.iter().any(|s| ancestors[&step.name].contains(&s.name) && s.action.gives().contains(&fact))
        };
        if let Some(fact) = step.action.needs().into_iter().find(|fact| !gives(*fact)) {
            return Err(NotAPlan::FactMissing { step: step.name.clone(), fact });
        }
    }
    Ok(())
}

/// One pivot, and no effect that could race it: what changes something outside comes before or after.
fn check_pivot(steps: &[Step], ancestors: &Ancestors<'_>) -> Result<(), NotAPlan> {
    let pivots: Vec<&Step> = steps.iter().filter(|s| s.kind == Kind::Pivot).collect();
    let [pivot] = pivots.as_slice() else { return Err(NotAPlan::Pivot) };
    for step in steps.iter().filter(|s| matches!(s.kind, Kind::Effect | Kind::Hold { .. })) {
        let before = ancestors[&pivot.name].contains(&step.name);
        let after = ancestors[&step.name].contains(&pivot.name);
        if !before && !after {
            return Err(NotAPlan::EffectBesidePivot(step.name.clone()));
        }
    }
    Ok(())
}

/// What goes on beside the window delays neither its beginning nor its end, and is there before the manifest names it.
fn check_dumps(steps: &[Step], ancestors: &Ancestors<'_>) -> Result<(), NotAPlan> {
    for dump in steps.iter().filter(|step| step.action.is_beside_window()) {
        let waits = |step: &&Step| ancestors[&step.name].contains(&dump.name);
        let is_window = |step: &&Step| matches!(step.kind, Kind::Hold { .. } | Kind::Release);
        if let Some(window) = steps.iter().filter(is_window).find(waits) {
            return Err(NotAPlan::WindowWaits { window: window.name.clone(), dump: dump.name.clone() });
        }
        if !steps.iter().filter(|step| step.kind == Kind::Pivot).all(|step| waits(&step)) {
            return Err(NotAPlan::DumpAfterPivot(dump.name.clone()));
        }
    }
    Ok(())
}

impl Action {
    /// The facts it needs from earlier steps.
    pub fn needs(&self) -> Vec<FactKind> {
        match self {
            Action::AwaitHistory { app, .. } => vec![FactKind::Scheduled(*app), FactKind::Census],
            Action::ReadFirstPositions => vec![FactKind::Paused],
            Action::SnapshotRecords { .. } => vec![FactKind::Census, FactKind::FirstPositions],
            Action::AwaitRecords { .. } => vec![FactKind::Census, FactKind::RecordsCut],
            Action::StartRuntime { .. } => vec![FactKind::FirstPositions],
            Action::AwaitRuntime { .. } => vec![FactKind::Cluster, FactKind::RuntimeAccepted],
            Action::JudgeWitness => {
                vec![FactKind::FirstPositions, FactKind::LastPositions, FactKind::Runtime]
            }
            Action::Publish { .. } => vec![FactKind::Runtime, FactKind::Witness],
            Action::RecordRelease { .. } => vec![FactKind::Published, FactKind::Resumed],
            Action::CheckCluster
            | Action::CheckExporting
            | Action::CheckStore
            | Action::CheckRepository { .. }
            | Action::CheckVault
            | Action::CheckDatabase { .. }
            | Action::DumpDatabase { .. }
            | Action::AwaitQuiet { .. }
            | Action::TakeCensus { .. }
            | Action::CheckId { .. }
            | Action::PauseExporting
            | Action::ResumeExporting
            | Action::ReadLastPositions
            | Action::StartHistory { .. } => Vec::new(),
        }
    }

    /// The facts it provides.
    pub fn gives(&self) -> Vec<FactKind> {
        match self {
            Action::CheckCluster => vec![FactKind::Cluster],
            Action::CheckExporting
            | Action::CheckVault
            | Action::CheckDatabase { .. }
            | Action::AwaitQuiet { .. }
            | Action::RecordRelease { .. } => Vec::new(),
            Action::CheckStore => vec![FactKind::Store],
            Action::CheckRepository { .. } => vec![FactKind::Repository],
            Action::TakeCensus { .. } => vec![FactKind::Census],
            Action::CheckId { .. } => vec![FactKind::HighestId],
            Action::PauseExporting => vec![FactKind::Paused],
            Action::ResumeExporting => vec![FactKind::Resumed],
            Action::ReadFirstPositions => vec![FactKind::FirstPositions],
            Action::ReadLastPositions => vec![FactKind::LastPositions],
            Action::StartHistory { app, .. } => vec![FactKind::Scheduled(*app)],
            Action::AwaitHistory { app, .. } => vec![FactKind::History(*app)],
            Action::SnapshotRecords { .. } => vec![FactKind::RecordsCut],
            Action::AwaitRecords { .. } => vec![FactKind::Records],
            Action::StartRuntime { .. } => vec![FactKind::RuntimeAccepted],
            Action::AwaitRuntime { .. } => vec![FactKind::Runtime],
            Action::JudgeWitness => vec![FactKind::Witness],
            Action::DumpDatabase { .. } => vec![FactKind::Database],
            Action::Publish { .. } => vec![FactKind::Published],
        }
    }

    /// Whether it waits for something that goes on without us: its failures to look are not failures.
    pub fn is_wait(&self) -> bool {
        matches!(
            self,
            Action::AwaitQuiet { .. }
                | Action::AwaitHistory { .. }
                | Action::AwaitRecords { .. }
                | Action::AwaitRuntime { .. }
        )
    }

    /// Whether it goes on beside the exporting window: its failure leaves an open window as it is, and it can be cut off at
    /// any time, because nothing that it leaves counts before the manifest names it.
    pub fn is_beside_window(&self) -> bool {
        matches!(self, Action::DumpDatabase { .. })
    }
}

impl TryFrom<PlanParts> for Plan {
    type Error = NotAPlan;
    fn try_from(parts: PlanParts) -> Result<Plan, NotAPlan> {
        Plan::new(parts)
    }
}

impl From<Plan> for PlanParts {
    fn from(plan: Plan) -> PlanParts {
        plan.parts
    }
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for StepName {
    fn from(name: &str) -> StepName {
        StepName(name.into())
    }
}

#[cfg(test)]
mod tests;
