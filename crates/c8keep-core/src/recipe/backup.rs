//! The recipe of Camunda's page "Create a backup", per dialect.
//!
//! 8.8 and later pause first, because the Camunda exporter writes the web applications' indices itself. Up to
//! 8.7 the web applications come first: they import what was exported, so the records and the partitions must be
//! at least as new as they are (Camunda docs 8.5–8.7, "Backup").

use jiff::SignedDuration;

use crate::backup::{BackupId, HistoryApp};
use crate::database::{DatabaseName, DatabaseTarget};
use crate::fault::Fault;
use crate::installation::{AppAddress, Installation};
use crate::plan::{Action, Kind, Limits, NotAPlan, PLAN_FORMAT, Plan, PlanParts, Step, StepName};

/// How long exporting may stay paused, where nobody wishes otherwise.
pub const HOLD_BUDGET: SignedDuration = SignedDuration::from_hours(2);

/// What is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id of the new backup.
    pub id: BackupId,
    /// How long exporting may stay paused.
    pub hold_budget: SignedDuration,
    /// How long a wait may see nothing move.
    pub stall: SignedDuration,
    /// How long a wait may take in all.
    pub wait_deadline: SignedDuration,
}

impl Request {
    /// The limits of the design: 2 h of pause, 10 min without progress, 12 h for one wait.
    pub fn new(id: BackupId) -> Request {
        Request {
            id,
            hold_budget: HOLD_BUDGET,
            stall: SignedDuration::from_mins(10),
            wait_deadline: SignedDuration::from_hours(12),
        }
    }
}

/// The plan of one hot backup.
///
/// # Errors
/// A plan that breaks a rule of [`Plan::new`]: a mistake in this recipe, never in the installation.
pub fn backup(installation: &Installation, request: &Request) -> Result<Plan, NotAPlan> {
    let mut recipe = Recipe { installation, request, steps: Vec::new() };
    let pause_first = installation.dialect.capability().pause_first;
    let checked = recipe.probes();
    let dumped = recipe.databases(&checked);
    let ready = if pause_first {
        let paused = recipe.pause(&checked);
        recipe.history(paused)
    } else {
        let history = recipe.history(checked);
        let checked = recipe.probes_again(history);
        recipe.pause(&checked)
    };
    let recorded = recipe.records(ready);
    recipe.runtime(&recorded, dumped);
    Plan::new(PlanParts {
        format: PLAN_FORMAT,
        recipe: format!("hot backup, {}", installation.dialect),
        installation: installation.name.clone(),
        fingerprint: installation.fingerprint.clone(),
        backup: request.id,
        hold_budget: request.hold_budget,
        steps: recipe.steps,
    })
}

/// Names of steps that other code must be able to find.
pub mod names {
    /// Opens the hold.
    pub const PAUSE: &str = "pause-exporting";
    /// Closes it.
    pub const RESUME: &str = "resume-exporting";
    /// The pivot.
    pub const PUBLISH: &str = "publish-manifest";
}

fn check_of(database: &DatabaseName) -> String {
    format!("check-database-{database}")
}

struct Recipe<'a> {
    installation: &'a Installation,
    request: &'a Request,
    steps: Vec<Step>,
}

type After = Vec<StepName>;

impl Recipe<'_> {
    /// The page's prerequisites, read-only and side by side; those that everything waits for. Nothing waits for the check of an
    /// optional database but its own dump: where it fails, what waits for it is lost with it.
    fn probes(&mut self) -> After {
        let repository = self.installation.repository.clone();
        let records = self.installation.record_prefix().map(str::to_owned);
        let mut checked: After = [
            ("check-cluster", Action::CheckCluster),
            ("check-store", Action::CheckStore),
            ("check-repository", Action::CheckRepository { repository: repository.clone() }),
            ("check-vault", Action::CheckVault),
            ("take-census", Action::TakeCensus { records }),
            ("check-id", Action::CheckId { id: self.request.id }),
        ]
        .into_iter()
        .flat_map(|(name, action)| self.step(name, None, &After::new(), Kind::Probe, action))
        .collect();
        if !self.installation.apps.is_empty() {
            let action = Action::AwaitQuiet { repository };
            checked.extend(self.step("await-quiet", None, &After::new(), Kind::Probe, action));
        }
        for DatabaseTarget { name: database, mode, required, .. } in &self.installation.databases {
            let action = Action::CheckDatabase { database: database.clone(), mode: *mode };
            let check = self.step(&check_of(database), None, &After::new(), Kind::Probe, action);
            self.last_is_required(*required);
            checked.extend(check.into_iter().filter(|_| *required));
        }
        self.exporting_runs(checked)
    }

    /// Where the pause is next, the look at exporting comes last: the checks may have taken minutes, and a pause that
    /// somebody made meanwhile must not be taken for ours.
    fn exporting_runs(&mut self, mut checked: After) -> After {
        let is_last = self.installation.dialect.capability().pause_first;
        let after = if is_last { std::mem::take(&mut checked) } else { After::new() };
        checked.extend(self.step("check-exporting", None, &after, Kind::Probe, Action::CheckExporting));
        checked
    }

    /// Databases have no order with the rest: they are dumped beside it, and only the manifest waits for them.
    fn databases(&mut self, checked: &After) -> After {
        let mut dumped = After::new();
        for DatabaseTarget { name: database, mode, required, .. } in &self.installation.databases {
            let own = StepName::from(check_of(database).as_str());
            let after: After = checked.iter().filter(|check| **check != own).chain([&own]).cloned().collect();
            let action = Action::DumpDatabase { database: database.clone(), mode: *mode };
            dumped.extend(self.step(&format!("dump-{database}"), None, &after, Kind::Effect, action));
            self.last_is_required(*required);
        }
        dumped
    }

    /// Backing up the applications may have taken hours: what only the pause depends on is looked at once more, so that
    /// a pause which somebody made meanwhile is not taken for ours.
    fn probes_again(&mut self, after: After) -> After {
        if self.installation.apps.is_empty() {
            return after;
        }
        let cluster = self.step("check-cluster-again", None, &after, Kind::Probe, Action::CheckCluster);
        let exporting = self.step("check-exporting-again", None, &after, Kind::Probe, Action::CheckExporting);
        cluster.into_iter().chain(exporting).collect()
    }

    fn pause(&mut self, after: &After) -> After {
        let kind = Kind::Hold { release: names::RESUME.into() };
        let paused = self.step(names::PAUSE, Some(1), after, kind, Action::PauseExporting);
        self.step("read-positions", None, &paused, Kind::Probe, Action::ReadFirstPositions)
    }

    /// All applications side by side; what comes next waits for all of them.
    fn history(&mut self, after: After) -> After {
        let id = self.request.id;
        let apps = self.installation.apps.clone();
        let mut started = Vec::new();
        for AppAddress { app, required, .. } in &apps {
            let page = if *app == HistoryApp::Optimize { 3 } else { 2 };
            let action = Action::StartHistory { app: *app, id };
            started.push(self.step(&format!("start-{app}"), Some(page), &after, Kind::Effect, action));
            self.last_is_required(*required);
        }
        let mut whole = After::new();
        for (AppAddress { app, required, .. }, started) in apps.iter().zip(&started) {
            let page = if *app == HistoryApp::Optimize { 5 } else { 4 };
            let repository = self.installation.repository.clone();
            let action = Action::AwaitHistory { app: *app, id, repository };
            whole.extend(self.step(&format!("await-{app}"), Some(page), started, Kind::Probe, action));
            self.last_is_required(*required);
        }
        if whole.is_empty() { after } else { whole }
    }

    fn last_is_required(&mut self, required: bool) {
        if let Some(step) = self.steps.last_mut() {
            step.required = required;
            if !required && step.kind == Kind::Effect {
                // What can be done without must not hold up the rest, the pause least of all.
                step.limits.attempts_max = 4;
            }
        }
    }

    fn records(&mut self, after: After) -> After {
        let Some(prefix) = self.installation.record_prefix().map(str::to_owned) else { return after };
        let (repository, snapshot) =
            (self.installation.repository.clone(), self.request.id.records_snapshot());
        let action = Action::SnapshotRecords {
            repository: repository.clone(),
            snapshot: snapshot.clone(),
            prefix: prefix.clone(),
        };
        let started = self.step("snapshot-records", Some(6), &after, Kind::Effect, action);
        let action = Action::AwaitRecords { repository, snapshot, prefix };
        self.step("await-records", Some(7), &started, Kind::Probe, action)
    }

    /// The partitions, the proof, the release, the manifest. After the second reading, release and publishing
    /// run side by side: exporting does not wait for our vault.
    fn runtime(&mut self, after: &After, dumped: After) {
        let id = self.request.id;
        let started = self.step("start-runtime", Some(8), after, Kind::Effect, Action::StartRuntime { id });
        let whole = self.step("await-runtime", Some(9), &started, Kind::Probe, Action::AwaitRuntime { id });
        let read = self.step("read-positions-again", None, &whole, Kind::Probe, Action::ReadLastPositions);
        let released = self.step(names::RESUME, Some(10), &read, Kind::Release, Action::ResumeExporting);
        let judged = self.step("judge-witness", None, &read, Kind::Probe, Action::JudgeWitness);
        let ready: After = dumped.into_iter().chain(judged).collect();
        let published = self.step(names::PUBLISH, None, &ready, Kind::Pivot, Action::Publish { id });
        let both: After = released.into_iter().chain(published).collect();
        self.step("record-release", None, &both, Kind::Effect, Action::RecordRelease { id });
    }

    fn step(&mut self, name: &str, page: Option<u8>, after: &After, kind: Kind, action: Action) -> After {
        let limits = self.limits(&action);
        let after = after.iter().cloned().collect();
        let name = StepName::from(name);
        self.steps.push(Step { name: name.clone(), page, after, action, kind, required: true, limits });
        vec![name]
    }

    fn limits(&self, action: &Action) -> Limits {
        if action.is_wait() {
            let Request { stall, wait_deadline, .. } = *self.request;
            // A wait is performed once; looking again is no attempt, being interrupted is.
            return Limits { attempts_max: 20, deadline: wait_deadline, stall };
        }
        if action.is_beside_window() {
            // It ends by itself when nothing comes for the stall time; one that was cut off begins anew.
            let Request { stall, wait_deadline, .. } = *self.request;
            return Limits { attempts_max: 4, deadline: wait_deadline, stall };
        }
        let (attempts_max, minutes) = match action {
            // What is sent outside may come back as unknown for a while: the time decides, not the count.
            Action::StartHistory { .. } | Action::SnapshotRecords { .. } | Action::StartRuntime { .. } => {
                (30, 2)
            }
            // Exporting does not wait for the vault any more, and all parts are whole.
            Action::Publish { .. } | Action::RecordRelease { .. } => (200, 15),
            // Probes answer now or not at all; a pause that fails may hold some partitions, so it is not tried for long.
            _ => (4, 2),
        };
        let deadline = SignedDuration::from_mins(minutes).min(self.request.wait_deadline);
        Limits { attempts_max, deadline, stall: deadline }
    }
}

/// The fault for a recipe that is not a plan; kept here so that callers need no words of their own.
impl From<NotAPlan> for Fault {
    fn from(bug: NotAPlan) -> Fault {
        Fault::new(crate::fault::FaultKind::Usage, "planning the backup", "the recipe", bug.to_string())
    }
}
