//! The world: everything that happens, as a function of `now`.
//!
//! [`World::advance`] moves everything lazily to an instant; every request does that first. Between two ticks of the
//! inner clock only the agenda's events happen. Nothing depends on how often or at which instants it is looked at.

pub mod apps;
pub mod draw;
pub mod exporting;
pub mod faults;
pub mod load;
pub mod oracle;
pub mod partition;
pub mod runtime;
pub mod search;
pub mod truth;
pub mod verdict;

use std::collections::BTreeMap;

use apps::{App, AppState};
use draw::below;
use faults::Faults;
use jiff::Timestamp;
use load::Load;
use partition::{Exporter, ExporterId, Partition, Phase, Replica};
use runtime::Runtime;
use search::{SearchState, SnapshotState};

use crate::config::Config;
use crate::host::Host;

/// Microseconds since the epoch: the world's inner time.
pub type Micros = i64;

/// How soon what stands still is looked at again.
const STANDSTILL: Micros = 500_000;

/// One simulated installation. See the crate's documentation.
#[derive(Clone, Debug)]
pub struct World {
    pub(crate) config: Config,
    /// May be changed at any time.
    pub faults: Faults,
    /// Where each host is served, for the answers in which servers name addresses.
    pub(crate) addresses: BTreeMap<Host, String>,
    now: Option<Micros>,
    pub(crate) started: Micros,
    next_tick: Micros,
    agenda: BTreeMap<(Micros, u64), Event>,
    next_event: u64,
    pub(crate) answers: u64,
    pub(crate) partitions: BTreeMap<u32, Partition>,
    /// Brokers that are down, and since when.
    pub(crate) down: BTreeMap<u32, Micros>,
    pub(crate) search: SearchState,
    pub(crate) apps: BTreeMap<App, AppState>,
    pub(crate) runtime: Runtime,
    pub(crate) load: Load,
}

/// Something that will happen at a known instant.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    SnapshotBegins(u32),
    SnapshotPersists(u32),
    PositionsShared,
    Checkpoint { backup: u64, partition: u32 },
    RuntimeBegins { backup: u64, partition: u32 },
    RuntimeEnds { backup: u64, partition: u32 },
    TombstoneGone { backup: u64 },
    PartBegins(App),
    PartEnds { app: App, snapshot: String },
    IndexCopied { repository: String, snapshot: String, index: String },
    SnapshotEnds { repository: String, snapshot: String },
    SnapshotDeleted { repository: String, snapshot: String },
}

impl World {
    /// What a broker's metrics say of its process, in seconds: when it started by its own clock, and for how long it has run.
    pub(crate) fn process_times(&self) -> (f64, f64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a double holds microseconds since 1970 exactly until 2255"
        )]
        let seconds = |micros: Micros| micros as f64 / 1e6;
        let now = self.now.unwrap_or(self.started);
        (seconds(self.started + self.faults.clocks_ahead * 1_000_000), seconds(now - self.started))
    }

    pub fn new(config: Config) -> Self {
        let brokers: Vec<u32> = (0..config.brokers.max(1)).collect();
        let partitions =
            (1..=config.partitions.max(1)).map(|id| (id, new_partition(&config, &brokers, id))).collect();
        let apps = App::of(&config).into_iter().map(|app| (app, AppState::default())).collect();
        Self {
            search: SearchState::new(&config),
            apps,
            partitions,
            config,
            faults: Faults::default(),
            addresses: BTreeMap::new(),
            now: None,
            started: 0,
            next_tick: 0,
            agenda: BTreeMap::new(),
            next_event: 0,
            answers: 0,
            down: BTreeMap::new(),
            runtime: Runtime::default(),
            load: Load::default(),
        }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Every host that this installation serves.
    pub fn hosts(&self) -> Vec<Host> {
        let brokers = (0..self.config.brokers.max(1)).map(Host::Broker);
        let apps = self.apps.keys().filter_map(|app| match app {
            App::Operate => Some(Host::Operate),
            App::Tasklist => Some(Host::Tasklist),
            App::Optimize => Some(Host::Optimize),
            App::History => None,
        });
        brokers.chain([Host::Gateway]).chain(apps).chain([Host::Search, Host::Rest]).collect()
    }

    /// Tells the world where a host is served, as `http://host:port`.
    pub fn set_address(&mut self, host: Host, url: String) {
        self.addresses.insert(host, url);
    }

    /// Process instances created so far.
    pub fn instances(&self) -> u64 {
        self.load.created
    }

    /// Changes the workload from now on; instances already due are created first.
    pub fn set_load(&mut self, per_second: u32, now: Timestamp) {
        self.advance(now);
        let at = self.at();
        if self.partitions.values().all(|partition| partition.records.is_empty()) {
            self.deploy(at);
        }
        // What was created so far must equal rate × age, so the origin of time moves instead.
        let age = (self.load.created * 1_000_000).checked_div(u64::from(per_second)).unwrap_or(0);
        self.load.origin = at - Micros::try_from(age).unwrap_or(0);
        self.config.load = per_second;
    }

    /// Acknowledged exporter position and phase of a partition, as its leader knows them.
    pub fn exporting(&self, partition: u32) -> Option<(u64, Phase)> {
        let partition = self.partitions.get(&partition)?;
        Some((partition.acked(), partition.phase()?))
    }

    /// Changes what is wrong with the installation from `now` on. Setting [`World::faults`] directly counts from the
    /// last instant to which the world was moved, which over HTTP may be a while ago.
    pub fn disturb(&mut self, now: Timestamp, change: impl FnOnce(&mut Faults)) {
        self.advance(now);
        change(&mut self.faults);
        self.advance(now);
    }

    /// Moves everything to `now`. An earlier instant than the last one changes nothing.
    pub fn advance(&mut self, now: Timestamp) {
        let now = now.as_microsecond();
        if self.now.is_none() {
            self.begin(now);
        }
        self.notice_brokers(self.at());
        while let Some(at) = self.next_instant(now) {
            self.now = Some(at);
            if at == self.next_tick {
                self.tick(at);
                self.next_tick = self.tick_after(at, now);
            }
            while let Some(entry) = self.agenda.first_entry()
                && entry.key().0 <= at
            {
                let event = entry.remove();
                self.happen(event, at);
            }
        }
        self.now = self.now.max(Some(now));
    }

    pub(crate) fn at(&self) -> Micros {
        self.now.unwrap_or(0)
    }

    pub(crate) fn partition_ids(&self) -> Vec<u32> {
        self.partitions.keys().copied().collect()
    }

    pub(crate) fn plan(&mut self, at: Micros, event: Event) {
        self.next_event += 1;
        self.agenda.insert((at, self.next_event), event);
    }

    /// Nothing of this kind will happen any more.
    pub(crate) fn forget(&mut self, kind: impl Fn(&Event) -> bool) {
        self.agenda.retain(|_, event| !kind(event));
    }

    fn begin(&mut self, now: Micros) {
        let start = now - millis(self.config.warm_up_ms);
        self.started = start;
        self.load.origin = start;
        self.now = Some(start);
        self.next_tick = start + millis(self.config.rhythm.tick.max(1));
        if self.config.load > 0 {
            self.deploy(start);
        }
        for id in self.partition_ids() {
            // Staggered, as real partitions never take their snapshots together.
            let half = u64::from(self.config.rhythm.snapshot) * 500;
            let first = half + below(self.config.seed, "snapshot", u64::from(id), half.max(1));
            self.plan(start + Micros::try_from(first).unwrap_or(0), Event::SnapshotBegins(id));
        }
        self.plan(start + millis(self.config.rhythm.share_positions), Event::PositionsShared);
    }

    fn next_instant(&self, now: Micros) -> Option<Micros> {
        let event = self.agenda.first_key_value().map(|(key, _)| key.0);
        event.into_iter().chain([self.next_tick]).min().filter(|at| *at <= now)
    }

    /// Ticks are skipped while nothing can move in them.
    fn tick_after(&self, at: Micros, now: Micros) -> Micros {
        let tick = millis(self.config.rhythm.tick.max(1));
        if self.work_is_pending() || self.pipeline_is_moving() {
            return at + tick;
        }
        let event = self.agenda.first_key_value().map_or(now, |(key, _)| key.0.min(now));
        at + tick * ((event - at).max(0) / tick).max(1)
    }

    fn tick(&mut self, at: Micros) {
        self.work(at);
        let age = at - self.started;
        let tick = millis(self.config.rhythm.tick.max(1));
        let beats = |every: u32| age % millis(every.max(1)).max(tick) < tick;
        if beats(self.config.rhythm.export) {
            self.export();
        }
        if beats(self.config.rhythm.import) {
            self.import();
        }
    }

    fn happen(&mut self, event: Event, at: Micros) {
        if self.stands_still(&event) {
            return self.plan(at + STANDSTILL, event);
        }
        match event {
            Event::SnapshotBegins(partition) => self.begin_local_snapshot(partition, at),
            Event::SnapshotPersists(partition) => {
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.persist_snapshot();
                }
            }
            Event::PositionsShared => {
                self.partitions.values_mut().for_each(Partition::share_positions);
                self.plan(at + millis(self.config.rhythm.share_positions.max(100)), Event::PositionsShared);
            }
            Event::Checkpoint { backup, partition } => self.checkpoint(partition, backup, at),
            Event::RuntimeBegins { backup, partition } => self.runtime_begins(backup, partition, at),
            Event::RuntimeEnds { backup, partition } => self.runtime_ends(backup, partition, at),
            Event::TombstoneGone { backup } => _ = self.runtime.backups.remove(&backup),
            Event::PartBegins(app) => self.part_begins(app, at),
            Event::PartEnds { app, snapshot } => self.part_ends(app, &snapshot, at),
            Event::IndexCopied { repository, snapshot, index } => {
                self.index_copied(&repository, &snapshot, &index);
            }
            Event::SnapshotEnds { repository, snapshot } => self.snapshot_ends(&repository, &snapshot, at),
            Event::SnapshotDeleted { repository, snapshot } => self.search.delete(&repository, &snapshot),
        }
    }

    /// What waits for a storage that does not answer, or for what has waited for it.
    fn stands_still(&self, event: &Event) -> bool {
        let frozen = self.faults.snapshots_frozen;
        match event {
            Event::RuntimeBegins { .. } | Event::RuntimeEnds { .. } => self.faults.store_frozen,
            Event::PartBegins(_) | Event::IndexCopied { .. } => frozen,
            Event::SnapshotEnds { repository, snapshot } => {
                let of = self.search.snapshot(repository, snapshot);
                frozen || of.is_some_and(|of| of.indices.values().any(|copy| copy.copied.is_none()))
            }
            Event::PartEnds { app, snapshot } => {
                let of = self.search.snapshot(self.repository_of(*app), snapshot);
                frozen || of.is_some_and(|of| of.state == SnapshotState::Running)
            }
            _ => false,
        }
    }

    fn begin_local_snapshot(&mut self, id: u32, at: Micros) {
        // A snapshot begun between a checkpoint and its reservation would pass the checkpoint and fail the backup for
        // good (camunda issue 63806). That race is a fault of its own, not a matter of order, and normally spared.
        let waiting = self.runtime.waits_for_snapshot(id) && !self.faults.snapshots_pass_checkpoints;
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let due = partition.snapshot.as_ref().is_none_or(|kept| kept.processed < partition.processed());
        if !waiting && due && partition.processed() > 0 && partition.leader.is_some() {
            partition.taking = Some(partition.processed());
            self.plan(at + millis(self.config.rhythm.snapshot_takes), Event::SnapshotPersists(id));
        }
        let period = millis(self.config.rhythm.snapshot.max(100));
        self.plan(at + if waiting { period.min(200_000) } else { period }, Event::SnapshotBegins(id));
    }

    /// Brokers come and go by [`Faults::brokers_down`]; leaders move accordingly.
    fn notice_brokers(&mut self, at: Micros) {
        let wanted = &self.faults.brokers_down;
        self.down.retain(|broker, _| wanted.contains(broker));
        for broker in wanted {
            self.down.entry(*broker).or_insert(at);
        }
        let mut changed = Vec::new();
        for (id, partition) in &mut self.partitions {
            let up = |broker: &u32| !self.down.contains_key(broker);
            if partition.leader.is_none_or(|leader| !up(&leader)) {
                let next = partition.replicas.keys().copied().find(up);
                if partition.leader != next {
                    partition.lead(next);
                    changed.push(*id);
                }
            }
        }
        for partition in changed {
            self.runtime_leader_changed(partition, at);
        }
    }
}

pub(crate) fn millis(value: u32) -> Micros {
    Micros::from(value) * 1_000
}

pub(crate) fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_microsecond(at).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn new_partition(config: &Config, brokers: &[u32], id: u32) -> Partition {
    let count = brokers.len();
    let first = usize::try_from(id - 1).unwrap_or(0) % count;
    let replication = usize::try_from(config.replication).unwrap_or(1).clamp(1, count);
    let members: Vec<u32> = (0..replication).map(|step| brokers[(first + step) % count]).collect();
    let mut exporters = BTreeMap::new();
    if config.records_exporter {
        exporters.insert(ExporterId::Records, Exporter::default());
    }
    if config.unified() {
        exporters.insert(ExporterId::Camunda, Exporter::default());
    }
    let replica = Replica { phase: Phase::Exporting, known: BTreeMap::new() };
    Partition {
        records: Vec::new(),
        compacted: 0,
        leader: members.first().copied(),
        term: 1,
        exporters,
        replicas: members.into_iter().map(|broker| (broker, replica.clone())).collect(),
        snapshot: None,
        reserved: BTreeMap::new(),
        taking: None,
        checkpoint: 0,
    }
}
