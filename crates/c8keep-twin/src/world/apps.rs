//! The web applications and Optimize: importers, and backups that are taken part by part from a queue in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::faults::hits;
use super::partition::{ExporterId, ValueType};
use super::search::{CreateFault, Order, Snapshot, SnapshotState};
use super::{Event, Micros, World, millis};
use crate::config::{Config, Durations};

/// An application with a history backup of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum App {
    Operate,
    Tasklist,
    /// The web applications of 8.8 and later, as one.
    History,
    Optimize,
}

/// What one index of an application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// How far the importer has come; it goes on from here after a restore.
    Position,
    /// What became of the records of these types.
    Data(&'static [ValueType]),
}

#[derive(Clone, Copy, Debug)]
pub struct AppIndex {
    pub index: &'static str,
    /// The part of the backup that holds it.
    pub part: u32,
    pub role: Role,
}

#[derive(Clone, Debug, Default)]
pub struct AppState {
    queue: VecDeque<(u64, u32)>,
    running: bool,
    imported: BTreeMap<u32, u64>,
}

impl AppState {
    pub fn imported(&self, partition: u32) -> u64 {
        self.imported.get(&partition).copied().unwrap_or(0)
    }

    /// The servers' own check looks at the queue only; the last part has already left it.
    pub fn busy(&self) -> bool {
        !self.queue.is_empty()
    }
}

use ValueType::{Job, MessageSubscription, Process, ProcessInstance, ProcessInstanceCreation, Variable};

const fn index(index: &'static str, part: u32, role: Role) -> AppIndex {
    AppIndex { index, part, role }
}

const INSTANCES: Role = Role::Data(&[ProcessInstanceCreation, ProcessInstance]);
const OPERATE: &[AppIndex] = &[
    index("operate-import-position-8.3.0_", 1, Role::Position),
    index("operate-list-view-8.3.0_", 2, INSTANCES),
    index("operate-event-8.3.0_", 4, Role::Data(&[MessageSubscription])),
    index("operate-flownode-instance-8.3.1_", 4, Role::Data(&[Job])),
    index("operate-variable-8.3.0_", 4, Role::Data(&[Variable])),
    index("operate-process-8.3.0_", 6, Role::Data(&[Process])),
];
const TASKLIST: &[AppIndex] = &[
    index("tasklist-import-position-8.2.0_", 1, Role::Position),
    index("tasklist-task-8.5.0_", 2, Role::Data(&[Job])),
    index("tasklist-variable-8.3.0_", 4, Role::Data(&[Variable])),
    index("tasklist-process-8.4.0_", 6, Role::Data(&[Process])),
];
const HISTORY: &[AppIndex] = &[
    index("operate-metadata-8.8.0_", 1, Role::Data(&[])),
    index("operate-list-view-8.3.0_", 2, INSTANCES),
    index("tasklist-task-8.8.0_", 2, Role::Data(&[Job])),
    index("operate-event-8.3.0_", 4, Role::Data(&[MessageSubscription])),
    index("operate-flownode-instance-8.3.1_", 4, Role::Data(&[Job])),
    index("operate-process-8.3.0_", 4, Role::Data(&[Process])),
    index("operate-variable-8.3.0_", 4, Role::Data(&[Variable])),
];
const OPTIMIZE: &[AppIndex] = &[
    index("optimize-position-based-import-index_v3", 1, Role::Position),
    index("optimize-process-instance-order_v8", 2, INSTANCES),
    index("optimize-variable-update-instance_v2", 2, Role::Data(&[Variable])),
];

impl App {
    pub fn of(config: &Config) -> Vec<Self> {
        let mut apps = if config.unified() { vec![Self::History] } else { vec![Self::Operate] };
        if config.tasklist && !config.unified() {
            apps.push(Self::Tasklist);
        }
        if config.optimize {
            apps.push(Self::Optimize);
        }
        apps
    }

    /// Whether it reads `zeebe-record*` and keeps a position of its own.
    pub fn imports(self) -> bool {
        self != Self::History
    }

    pub fn indices(self) -> &'static [AppIndex] {
        match self {
            Self::Operate => OPERATE,
            Self::Tasklist => TASKLIST,
            Self::History => HISTORY,
            Self::Optimize => OPTIMIZE,
        }
    }

    /// Parts of one backup. Parts without an index (nothing is archived yet) are taken all the same. From 8.8 on their number
    /// is nothing to count on: the example answers of the pages 8.8 to 8.10 show five, six and seven.
    pub fn parts(self, config: &Config) -> u32 {
        match self {
            Self::Operate | Self::Tasklist => 6,
            Self::History if config.dialect() >= (8, 9) => 7,
            Self::History => 5,
            Self::Optimize => 2,
        }
    }

    pub fn place(self) -> &'static str {
        match self {
            Self::Operate => "operate",
            Self::Tasklist => "tasklist",
            Self::History => "history",
            Self::Optimize => "optimize",
        }
    }

    pub fn prefix(self) -> &'static str {
        match self {
            Self::Operate => "camunda_operate_",
            Self::Tasklist => "camunda_tasklist_",
            Self::History => "camunda_webapps_",
            Self::Optimize => "camunda_optimize_",
        }
    }

    fn takes(self, durations: &Durations, part: u32) -> u32 {
        let list = if self == Self::Optimize { &durations.optimize_parts } else { &durations.history_parts };
        Durations::part(list, usize::try_from(part - 1).unwrap_or(0))
    }
}

/// Why an application refused a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    Exists(Vec<String>),
    Busy,
    RepositoryMissing(String),
}

impl World {
    pub(crate) fn repository_of(&self, app: App) -> &str {
        let repositories = &self.config.repositories;
        match app {
            App::Operate | App::History => &repositories.history,
            App::Tasklist => &repositories.tasklist,
            App::Optimize => &repositories.optimize,
        }
    }

    pub(crate) fn part_name(&self, app: App, backup: u64, part: u32) -> String {
        format!("{}{backup}_{}_part_{part}_of_{}", app.prefix(), self.config.version, app.parts(&self.config))
    }

    /// Queues the parts of a backup; the first begins soon after.
    pub(crate) fn take_app_backup(&mut self, app: App, backup: u64) -> Result<Vec<String>, Refused> {
        let repository = self.repository_of(app).to_owned();
        if !self.search.repositories.contains_key(&repository) {
            return Err(Refused::RepositoryMissing(repository));
        }
        let found = self.parts_found(app, backup);
        if !found.is_empty() {
            let names = found.iter().map(|(name, snapshot)| format!("{name}/{}", snapshot.uuid));
            return Err(Refused::Exists(names.collect()));
        }
        let gap = millis(self.config.durations.part_gap);
        let begins = self.at() + gap;
        let Some(state) = self.apps.get_mut(&app) else { return Err(Refused::Busy) };
        if state.busy() || state.running && app == App::Optimize {
            return Err(Refused::Busy);
        }
        let parts = app.parts(&self.config);
        state.queue = (1..=parts).map(|part| (backup, part)).collect();
        self.plan(begins, Event::PartBegins(app));
        Ok((1..=parts).map(|part| self.part_name(app, backup, part)).collect())
    }

    /// The snapshots of a backup that exist, in order of creation.
    pub(crate) fn parts_found(&self, app: App, backup: u64) -> Vec<(&String, &Snapshot)> {
        let prefix = format!("{}{backup}_", app.prefix());
        let all = self.search.snapshots(self.repository_of(app));
        all.into_iter().filter(|(name, _)| name.starts_with(&prefix)).collect()
    }

    /// Ids of all backups of an application that the repository shows.
    pub(crate) fn backups_found(&self, app: App) -> BTreeSet<u64> {
        let all = self.search.snapshots(self.repository_of(app));
        let ids = all
            .iter()
            .filter_map(|(name, _)| name.strip_prefix(app.prefix())?.split('_').next()?.parse().ok());
        ids.collect()
    }

    /// The parts disappear a little later: the request only asks the search server to delete them.
    pub(crate) fn delete_app_backup(&mut self, app: App, backup: u64) {
        let repository = self.repository_of(app).to_owned();
        let names: Vec<String> =
            self.parts_found(app, backup).into_iter().map(|(name, _)| name.clone()).collect();
        let at = self.at() + 1_000_000;
        for snapshot in names {
            self.plan(at, Event::SnapshotDeleted { repository: repository.clone(), snapshot });
        }
    }

    pub(super) fn part_begins(&mut self, app: App, at: Micros) {
        let Some(state) = self.apps.get_mut(&app) else { return };
        let Some((backup, part)) = state.queue.pop_front() else { return };
        let name = self.part_name(app, backup, part);
        if hits(&self.faults.queues_stuck, &name) {
            if let Some(state) = self.apps.get_mut(&app) {
                state.queue.push_front((backup, part));
            }
            return;
        }
        if hits(&self.faults.parts_left_out, &name) {
            return self.next_part(app, at);
        }
        if hits(&self.faults.parts_missing, &name) {
            if let Some(state) = self.apps.get_mut(&app) {
                state.queue.clear();
            }
            return;
        }
        let patterns: Vec<String> = app
            .indices()
            .iter()
            .filter(|index| index.part == part)
            .map(|index| index.index.to_owned())
            .collect();
        // An empty list would mean all indices; the applications never send one.
        let patterns = if patterns.is_empty() { vec!["-*".to_owned()] } else { patterns };
        let metadata = serde_json::json!({
            "backupId": backup, "version": self.config.version, "partNo": part, "partCount": app.parts(&self.config),
        });
        let order = Order { patterns, global_state: true, metadata: Some(metadata) };
        let repository = self.repository_of(app).to_owned();
        let takes = app.takes(&self.config.durations, part);
        let created: Result<(), CreateFault> = self.create_snapshot(&repository, &name, order, takes);
        let Some(state) = self.apps.get_mut(&app) else { return };
        if created.is_err() {
            state.queue.clear();
            return;
        }
        state.running = true;
        let slow = millis(self.faults.snapshots_slow_by);
        self.plan(at + slow + millis(takes).max(1_000), Event::PartEnds { app, snapshot: name });
    }

    pub(super) fn part_ends(&mut self, app: App, snapshot: &str, at: Micros) {
        let repository = self.repository_of(app);
        let good =
            self.search.snapshot(repository, snapshot).is_some_and(|s| s.state == SnapshotState::Success);
        let Some(state) = self.apps.get_mut(&app) else { return };
        state.running = false;
        if !good {
            state.queue.clear();
        }
        self.next_part(app, at);
    }

    fn next_part(&mut self, app: App, at: Micros) {
        if self.apps.get(&app).is_some_and(AppState::busy) {
            self.plan(at + millis(self.config.durations.part_gap), Event::PartBegins(app));
        }
    }

    /// The pods of all applications are started again: what was queued was in their memory only.
    pub fn restart_applications(&mut self, now: Timestamp) {
        self.advance(now);
        self.forget(|event| matches!(event, Event::PartBegins(_) | Event::PartEnds { .. }));
        for app in self.apps.values_mut() {
            app.queue.clear();
            app.running = false;
        }
    }

    /// How many parts a backup has in the application's own eyes.
    pub(crate) fn parts_wanted(&self, app: App, backup: u64) -> usize {
        let left_out = |part: &u32| hits(&self.faults.parts_left_out, &self.part_name(app, backup, *part));
        (1..=app.parts(&self.config)).filter(|part| !left_out(part)).count()
    }

    /// Importers catch up with what was exported.
    pub(super) fn import(&mut self) {
        let apps: Vec<App> = self.apps.keys().copied().filter(|app| app.imports()).collect();
        for (id, partition) in &self.partitions {
            let Some(to) = partition.exporters.get(&ExporterId::Records).map(|exporter| exporter.written)
            else {
                continue;
            };
            for app in &apps {
                let Some(state) = self.apps.get_mut(app) else { continue };
                let from = state.imported(*id) + 1;
                for (_, record) in partition.range(from, to) {
                    self.search.count_app(*app, record.kind);
                }
                state.imported.insert(*id, to);
            }
        }
    }
}
