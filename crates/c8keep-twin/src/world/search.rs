//! The search server: indices, repositories and snapshots.
//!
//! An index holds what exporters and importers have written; its content is told by how far they have come (the
//! *reach*). A snapshot copies each of its indices at an instant of its own: it is not a point in time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::apps::{App, Role};
use super::draw::{below, uuid};
use super::faults::hits;
use super::partition::{ExporterId, Record, ValueType};
use super::{Event, Micros, World, millis};
use crate::config::{Config, Product};

/// Per partition, the highest position that an index contains.
pub type Reach = BTreeMap<u32, u64>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Records { kind: ValueType, day: u32 },
    App { app: App, role: Role },
}

#[derive(Clone, Debug)]
pub struct Index {
    pub content: Content,
    pub docs: u64,
}

#[derive(Clone, Debug)]
pub struct Repository {
    pub kind: String,
    pub settings: Value,
    /// Whether a snapshot was ever written to it.
    pub written: bool,
    pub snapshots: BTreeMap<String, Snapshot>,
}

impl Repository {
    pub fn readonly(&self) -> bool {
        matches!(&self.settings["readonly"], Value::Bool(true)) || self.settings["readonly"] == "true"
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    Running,
    Success,
    Partial,
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    pub uuid: String,
    /// Order of creation.
    pub number: u64,
    pub state: SnapshotState,
    pub started: Micros,
    pub ended: Option<Micros>,
    pub indices: BTreeMap<String, Copy>,
    pub failed: Vec<String>,
    pub global_state: bool,
    pub metadata: Option<Value>,
}

/// One index inside a snapshot.
#[derive(Clone, Debug)]
pub struct Copy {
    pub content: Content,
    /// What was in it at the instant at which it was copied; none while that is still to come.
    pub copied: Option<(Reach, u64)>,
}

/// What a caller asks of a new snapshot.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub patterns: Vec<String>,
    pub global_state: bool,
    pub metadata: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateFault {
    RepositoryMissing,
    RepositoryReadonly,
    NameInUse { running: bool },
    IndexMissing(String),
}

#[derive(Clone, Debug)]
pub struct SearchState {
    pub product: Product,
    pub repositories: BTreeMap<String, Repository>,
    /// Forgotten by the server; their snapshots are still in the storage.
    pub unregistered: BTreeMap<String, Repository>,
    /// Documents per exported value type and day.
    records: BTreeMap<(ValueType, u32), u64>,
    /// Documents per web application and value type.
    apps: BTreeMap<(App, ValueType), u64>,
    next: u64,
}

impl SearchState {
    pub fn new(config: &Config) -> Self {
        let repository = |name: &String| {
            let settings = serde_json::json!({"location": format!("/var/snapshots/{name}")});
            (
                name.clone(),
                Repository { kind: "fs".to_owned(), settings, written: false, snapshots: BTreeMap::new() },
            )
        };
        Self {
            product: config.search,
            repositories: config.repositories.registered.iter().map(repository).collect(),
            unregistered: BTreeMap::new(),
            records: BTreeMap::new(),
            apps: BTreeMap::new(),
            next: 0,
        }
    }

    pub fn count_record(&mut self, record: &Record) {
        if record.kind.index_name().is_some() {
            *self.records.entry((record.kind, record.day)).or_default() += 1;
        }
    }

    pub fn count_app(&mut self, app: App, kind: ValueType) {
        *self.apps.entry((app, kind)).or_default() += 1;
    }

    pub fn delete(&mut self, repository: &str, snapshot: &str) {
        if let Some(repository) = self.repositories.get_mut(repository) {
            repository.snapshots.remove(snapshot);
        }
    }

    pub fn snapshot(&self, repository: &str, snapshot: &str) -> Option<&Snapshot> {
        self.repositories.get(repository)?.snapshots.get(snapshot)
    }

    fn snapshot_mut(&mut self, repository: &str, snapshot: &str) -> Option<&mut Snapshot> {
        self.repositories.get_mut(repository)?.snapshots.get_mut(snapshot)
    }

    /// Every snapshot that lies in a storage, whether its repository is registered or not.
    pub fn stored(&self) -> impl Iterator<Item = (&String, &Snapshot)> {
        self.repositories.values().chain(self.unregistered.values()).flat_map(|r| &r.snapshots)
    }

    /// Snapshots of a repository in order of creation.
    pub fn snapshots(&self, repository: &str) -> Vec<(&String, &Snapshot)> {
        let mut all: Vec<_> =
            self.repositories.get(repository).into_iter().flat_map(|r| &r.snapshots).collect();
        all.sort_by_key(|(_, snapshot)| snapshot.number);
        all
    }
}

impl World {
    /// Every index that exists now.
    pub fn indices(&self) -> BTreeMap<String, Index> {
        let mut indices = BTreeMap::new();
        if !self.faults.records_absent {
            for (kind, day) in self.search.records.keys() {
                let content = Content::Records { kind: *kind, day: *day };
                let name = kind.index_name().map(|name| self.record_index(name, *day)).unwrap_or_default();
                indices.insert(name, Index { content, docs: self.docs(content) });
            }
        }
        for app in self.apps.keys() {
            for part in app.indices() {
                let content = Content::App { app: *app, role: part.role };
                indices.insert(part.index.to_owned(), Index { content, docs: self.docs(content) });
            }
        }
        indices
    }

    fn docs(&self, content: Content) -> u64 {
        match content {
            Content::Records { kind, day } => self.search.records.get(&(kind, day)).copied().unwrap_or(0),
            // An importer keeps a few documents for each partition.
            Content::App { role: Role::Position, .. } => u64::from(self.config.partitions) * 3,
            Content::App { app, role: Role::Data(kinds) } => {
                kinds.iter().map(|kind| self.search.apps.get(&(app, *kind)).copied().unwrap_or(0)).sum()
            }
        }
    }

    fn record_index(&self, kind: &str, day: u32) -> String {
        let date = super::timestamp(Micros::from(day) * 86_400_000_000).strftime("%Y-%m-%d").to_string();
        format!("{}_{kind}_{}_{date}", self.config.record_prefix, self.config.version)
    }

    fn reach(&self, content: Content) -> Reach {
        let written = |exporter: ExporterId| {
            let of = |(id, partition): (&u32, &super::partition::Partition)| {
                (*id, partition.exporters.get(&exporter).map_or(0, |exporter| exporter.written))
            };
            self.partitions.iter().map(of).collect::<Reach>()
        };
        match content {
            Content::Records { .. } => written(ExporterId::Records),
            Content::App { app: App::History, .. } => written(ExporterId::Camunda),
            Content::App { app, .. } => {
                let state = self.apps.get(&app);
                self.partitions.keys().map(|id| (*id, state.map_or(0, |state| state.imported(*id)))).collect()
            }
        }
    }

    /// Starts a snapshot. Which indices it has is settled now, what is in them when each is copied.
    pub(crate) fn create_snapshot(
        &mut self,
        repository: &str,
        name: &str,
        order: Order,
        takes_ms: u32,
    ) -> Result<(), CreateFault> {
        let known = self.search.repositories.get(repository).ok_or(CreateFault::RepositoryMissing)?;
        if known.readonly() || self.faults.repositories_readonly {
            return Err(CreateFault::RepositoryReadonly);
        }
        if let Some(old) = known.snapshots.get(name) {
            return Err(CreateFault::NameInUse { running: old.state == SnapshotState::Running });
        }
        let all = self.indices();
        if let Some(missing) =
            order.patterns.iter().find(|p| !p.contains('*') && *p != "_all" && !all.contains_key(*p))
        {
            return Err(CreateFault::IndexMissing(missing.clone()));
        }
        if hits(&self.faults.snapshots_vanishing, name) {
            return Ok(());
        }
        let empty = hits(&self.faults.snapshots_empty, name);
        let chosen = all.into_iter().filter(|(index, _)| !empty && any_matches(&order.patterns, index));
        let indices: BTreeMap<String, Copy> =
            chosen.map(|(index, of)| (index, Copy { content: of.content, copied: None })).collect();
        let started = self.at();
        self.search.next += 1;
        let number = self.search.next;
        let slow = millis(self.faults.snapshots_slow_by);
        let takes = slow + if indices.is_empty() { 1_000 } else { millis(takes_ms).max(1_000) };
        for (place, index) in (0_u64..).zip(indices.keys()) {
            let share = below(self.config.seed, name, place, u64::try_from(takes).unwrap_or(1));
            let at = started + Micros::try_from(share).unwrap_or(0);
            let (repository, snapshot, index) = (repository.to_owned(), name.to_owned(), index.clone());
            self.plan(at, Event::IndexCopied { repository, snapshot, index });
        }
        let (repository_name, snapshot) = (repository.to_owned(), name.to_owned());
        self.plan(started + takes, Event::SnapshotEnds { repository: repository_name, snapshot });
        let snapshot = Snapshot {
            uuid: uuid(self.config.seed, name, number),
            number,
            state: SnapshotState::Running,
            started,
            ended: None,
            indices,
            failed: Vec::new(),
            global_state: order.global_state,
            metadata: order.metadata,
        };
        if let Some(repository) = self.search.repositories.get_mut(repository) {
            repository.written = true;
            repository.snapshots.insert(name.to_owned(), snapshot);
        }
        Ok(())
    }

    pub(super) fn index_copied(&mut self, repository: &str, snapshot: &str, index: &str) {
        let content =
            self.search.snapshot(repository, snapshot).and_then(|s| s.indices.get(index)).map(|c| c.content);
        let Some((reach, docs)) = content.map(|content| (self.reach(content), self.docs(content))) else {
            return;
        };
        if let Some(copy) =
            self.search.snapshot_mut(repository, snapshot).and_then(|s| s.indices.get_mut(index))
        {
            copy.copied = Some((reach, docs));
        }
    }

    pub(super) fn snapshot_ends(&mut self, repository: &str, name: &str, at: Micros) {
        let partial = hits(&self.faults.snapshots_partial, name);
        let Some(snapshot) = self.search.snapshot_mut(repository, name) else { return };
        snapshot.ended = Some(at);
        snapshot.state = SnapshotState::Success;
        if partial && let Some((index, copy)) = snapshot.indices.iter_mut().next() {
            copy.copied = None;
            snapshot.failed.push(index.clone());
            snapshot.state = SnapshotState::Partial;
        }
    }
}

/// Whether a list of patterns (`a*`, `b`, `-c*`) selects a name. An empty list selects everything.
pub fn any_matches<P: AsRef<str>>(patterns: &[P], name: &str) -> bool {
    let mut selected = patterns.is_empty();
    for pattern in patterns.iter().map(AsRef::as_ref) {
        if let Some(excluded) = pattern.strip_prefix('-') {
            selected &= !matches(excluded, name);
        } else {
            selected |= pattern == "_all" || matches(pattern, name);
        }
    }
    selected
}

/// Whether a pattern with `*` matches a whole name.
pub fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    if tail.is_empty() {
        return true;
    }
    rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| matches(tail, &rest[at..]))
}
