//! Ports in memory: a cluster that does what it is told, and a journal that can be told to fail.

mod search;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::capability::Dialect;
use c8keep_core::facts::{BrokerReading, Cluster, PartitionReading, Positions, RuntimePartition, Store};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{
    AppAddress, BrokerAddress, Fingerprint, Installation, Records, SearchAddress, SearchProduct,
};
use c8keep_core::run::{Event, RunId};
use c8keep_core::verdict::{HistoryStatus, PartStatus, RuntimeStatus};
use c8keep_engine::World;
use c8keep_engine::ports::{Camunda, Clock, Journal, Machine, RunRow, SnapshotRequest, Term, Vault};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// Everything outside, behind one lock.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent things that may be wrong")]
pub struct Outside {
    pub paused: bool,
    /// Free space on the broker's disk; each look finds a gigabyte less while exporting is paused.
    pub disk_free: Option<u64>,
    /// Asks the process to stop while so many events are being written.
    pub stop_at: Option<(usize, watch::Sender<bool>)>,
    /// Asks it to stop when this is sent.
    pub stop_on: Option<(&'static str, watch::Sender<bool>)>,
    /// The machine stands still for so many milliseconds when this is sent.
    pub stands_still_on: Option<(&'static str, i64)>,
    /// What is answered only after so many milliseconds.
    pub hangs: BTreeMap<&'static str, i64>,
    /// Nothing can be written into the vault.
    pub vault_is_full: bool,
    /// From when on the vault cannot be reached.
    pub vault_is_cut_at: Option<i64>,
    /// When that was, and when exporting was resumed.
    pub stopped_and_resumed: (Option<i64>, Option<i64>),
    /// What becomes of a dump.
    pub dump: Dumping,
    /// A change of the cluster is under way.
    pub is_scaling: bool,
    /// Whose snapshots are deleted once they were whole, by how their names begin.
    pub deleted_later: Option<&'static str>,
    /// What is in no snapshot, and whether it still exists when that is noticed.
    pub not_copied: Option<(&'static str, bool)>,
    /// What the applications copy, where they call it otherwise.
    pub app_index: Option<&'static str>,
    /// The runtime backup goes on for ever.
    pub runtime_never_ends: bool,
    /// Resuming fails this often.
    pub resume_fails: u32,
    /// Resuming is answered well and does nothing this often.
    pub resume_is_ignored: u32,
    /// A pause that hangs takes effect so many milliseconds after it was sent.
    pub pause_lands_after: Option<i64>,
    /// When a pause that is on its way takes effect.
    pub lands_at: Option<i64>,
    /// Appends that are taken before the journal fails for ever.
    pub journal_holds: Option<usize>,
    /// It does not fail then: it does not answer for an hour.
    pub journal_hangs: bool,
    /// Since when it hangs.
    pub hung_at: Option<i64>,
    /// Nobody tells whether somebody has taken over.
    pub superseded_hangs: bool,
    pub events: Vec<Event>,
    /// Calls that changed something, in order.
    pub effects: Vec<String>,
    pub vault: BTreeMap<String, Vec<u8>>,
    snapshot: Option<SnapshotRequest>,
    /// What the clock shows.
    pub millis: i64,
    /// When those who wait will wake up.
    sleepers: Vec<i64>,
}

impl Outside {
    fn a_pause_is_sent(&mut self) {
        self.lands_at = Some(self.millis + self.pause_lands_after.unwrap_or(0));
        self.what_is_due_lands();
    }

    pub fn what_is_due_lands(&mut self) {
        let now = self.millis;
        self.paused |= self.lands_at.take_if(|at| *at <= now).is_some();
    }

    fn reach_vault(&self) -> Result<(), Fault> {
        match self.vault_is_cut_at {
            Some(at) if at <= self.millis => {
                Err(Fault::new(FaultKind::Unreachable, "reaching", "the vault", "nothing").with_retry())
            }
            _ => Ok(()),
        }
    }

    fn hangs_instead_of_taking(&mut self, more: usize) -> bool {
        let hangs =
            self.journal_hangs && self.journal_holds.is_some_and(|holds| self.events.len() + more > holds);
        if hangs {
            assert_eq!(self.hung_at.replace(self.millis), None, "a journal that hangs is never asked again");
        }
        hangs
    }

    pub fn is_well_again(&mut self) {
        (self.resume_fails, self.vault_is_full) = (0, false);
        self.hangs.clear();
    }
}

/// What becomes of a dump.
#[derive(Debug, Clone, Default)]
pub enum Dumping {
    #[default]
    Done,
    Failed,
    FailsInTheWindow,
    FailsAfterTheRelease,
    Hangs,
}

#[derive(Debug, Clone, Default)]
pub struct Memory(pub Arc<Mutex<Outside>>);

impl Memory {
    pub fn outside(&self) -> MutexGuard<'_, Outside> {
        self.0.lock().unwrap()
    }

    /// Something that changes the outside: it acts at once, and perhaps answers late.
    async fn effect(&self, name: &'static str) {
        self.outside().effects.push(name.into());
        self.arrives(name);
        self.hang(name).await;
    }

    fn arrives(&self, name: &'static str) {
        let mut outside = self.outside();
        if let Some((_, millis)) = outside.stands_still_on.take_if(|(what, _)| *what == name) {
            outside.millis += millis;
        }
        let millis = outside.millis;
        if let Some((_, stop)) = outside.stop_on.take_if(|(what, _)| *what == name) {
            stop.send_replace(true);
            outside.stopped_and_resumed.0 = Some(millis);
        }
    }

    async fn hang(&self, name: &'static str) {
        let hangs = self.outside().hangs.get(name).copied();
        if let Some(millis) = hangs {
            self.sleep_until(self.now() + SignedDuration::from_millis(millis)).await;
        }
    }
}

/// An 8.8 installation of one partition, whose every port is this memory.
pub fn world(memory: &Memory) -> Arc<World> {
    let (address, repository, index_prefix) = ("http://c".into(), None, None);
    let app = AppAddress { app: HistoryApp::Webapps, address, repository, index_prefix, required: true };
    let installation = Installation {
        name: "default".into(),
        fingerprint: Fingerprint::told(Some("f"), "", ""),
        version: "8.8.0".parse().unwrap(),
        dialect: Dialect::UnifiedActuators,
        management: "http://c".into(),
        brokers: vec![BrokerAddress { node: Some(0), address: "http://c".into(), reached: true }],
        apps: vec![app],
        search: SearchAddress {
            product: SearchProduct::Elasticsearch,
            version: "8.16.6".into(),
            address: "http://s".into(),
            cluster_uuid: "u".into(),
        },
        repository: "camunda".into(),
        records: Records::Prefix { prefix: "zeebe-record".into() },
        databases: Vec::new(),
        foreign_indices: Vec::new(),
        not_covered: Vec::new(),
    };
    let port = Arc::new(memory.clone());
    Arc::new(World {
        installation,
        camunda: port.clone(),
        search: port.clone(),
        databases: port.clone(),
        vault: port.clone(),
        journal: port.clone(),
        clock: port,
        c8keep: "0".into(),
    })
}

#[async_trait]
impl Camunda for Memory {
    async fn cluster(&self) -> Result<Cluster, Fault> {
        Ok(Cluster {
            version: "8.8.0".into(),
            brokers_expected: Some(1),
            brokers_up: vec![0],
            partitions: Some(1),
            replication: Some(1),
            brokers_configured: Some(1),
            pending_change: self.outside().is_scaling.then(|| "change 5 is IN_PROGRESS".into()),
        })
    }

    async fn store(&self) -> Result<Store, Fault> {
        Ok(Store { kind: Some("S3".into()), location: None })
    }

    async fn highest_runtime_id(&self) -> Result<Option<BackupId>, Fault> {
        Ok(None)
    }

    async fn highest_history_id(&self, _: HistoryApp) -> Result<Option<BackupId>, Fault> {
        Ok(None)
    }

    async fn repository_of(&self, _: HistoryApp) -> Result<Option<String>, Fault> {
        Ok(Some("camunda".into()))
    }

    async fn pause_exporting(&self) -> Result<(), Fault> {
        // The answer takes a turn of the loop, so that something else can fail meanwhile.
        tokio::task::yield_now().await;
        self.outside().a_pause_is_sent();
        self.effect("pause-exporting").await;
        if self.outside().hangs.contains_key("pause-exporting") {
            let fault = Fault::new(FaultKind::Unreachable, "pausing", "memory", "no whole answer");
            return Err(fault.with_retry().with_unknown_effect());
        }
        Ok(())
    }

    async fn resume_exporting(&self) -> Result<(), Fault> {
        self.effect("resume-exporting").await;
        let mut outside = self.outside();
        if outside.resume_fails > 0 {
            outside.resume_fails -= 1;
            return Err(Fault::new(FaultKind::Refused, "resuming", "memory", "a broker is missing"));
        }
        outside.what_is_due_lands();
        if outside.resume_is_ignored > 0 {
            outside.resume_is_ignored -= 1;
            return Ok(());
        }
        outside.paused = false;
        outside.stopped_and_resumed.1 = Some(outside.millis);
        Ok(())
    }

    async fn positions(&self, _: &[BrokerAddress], now: Timestamp) -> Result<Positions, Fault> {
        self.outside().what_is_due_lands();
        let phase = if self.outside().paused { "SOFT_PAUSED" } else { "EXPORTING" };
        let reading = PartitionReading {
            role: "LEADER".into(),
            phase: phase.into(),
            exported: 7,
            processed: None,
            snapshot: None,
        };
        let partitions = [(1, reading)].into();
        let broker = BrokerReading { node: Some(0), address: "http://c".into(), unread: None, partitions };
        Ok(Positions { at: now, brokers: vec![broker] })
    }

    async fn machines(&self, _: &[BrokerAddress]) -> Vec<Machine> {
        let mut outside = self.outside();
        let grown = if outside.paused { 1_000_000_000 } else { 0 };
        outside.disk_free = outside.disk_free.map(|free| free.saturating_sub(grown));
        vec![Machine { address: "http://c".into(), disk_free: outside.disk_free, ..Machine::default() }]
    }

    async fn start_history(&self, _: HistoryApp, _: BackupId) -> Result<Vec<String>, Fault> {
        self.effect("start-history").await;
        Ok(Vec::new())
    }

    async fn history(&self, _: HistoryApp, id: BackupId) -> Result<HistoryStatus, Fault> {
        let part =
            PartStatus { name: format!("camunda_webapps_{id}_8.8.0_part_1_of_1"), state: "SUCCESS".into() };
        Ok(HistoryStatus { state: "COMPLETED".into(), failure: None, parts: vec![part] })
    }

    async fn start_runtime(&self, _: BackupId) -> Result<(), Fault> {
        self.effect("start-runtime").await;
        Ok(())
    }

    async fn runtime(&self, _: BackupId) -> Result<RuntimeStatus, Fault> {
        let state = if self.outside().runtime_never_ends { "IN_PROGRESS" } else { "COMPLETED" };
        let partition = RuntimePartition {
            partition: 1,
            state: state.into(),
            failure: None,
            snapshot: Some("1-1-1-7-0".into()),
            checkpoint: Some(9),
            broker_version: None,
            created_at: None,
            updated_at: None,
        };
        Ok(RuntimeStatus { state: state.into(), failure: None, partitions: vec![partition] })
    }
}

#[async_trait]
impl Vault for Memory {
    fn place(&self) -> String {
        "memory".into()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        self.arrives("keep");
        self.hang("keep").await;
        self.outside().reach_vault()?;
        if self.outside().vault_is_full {
            let fault = Fault::new(FaultKind::Storage, "writing", "the vault", "no space left on device");
            return Err(fault.with_retry());
        }
        self.outside().vault.insert(path.into(), bytes.into());
        Ok(String::new())
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.outside().reach_vault()?;
        Ok(self.outside().vault.get(path).cloned())
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, Fault> {
        Ok(self.outside().vault.keys().cloned().collect())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        Ok(())
    }
}

#[async_trait]
impl Journal for Memory {
    async fn claim(&self, _: &str, _: &str) -> Result<Term, Fault> {
        Ok(Term(1))
    }

    async fn append(&self, _: &RunId, seq: u64, _: Term, events: &[Event]) -> Result<(), Fault> {
        self.hang("append").await;
        if self.outside().hangs_instead_of_taking(events.len()) {
            self.sleep_until(self.now() + SignedDuration::from_hours(1)).await;
        }
        let mut outside = self.outside();
        if outside.journal_holds.is_some_and(|holds| outside.events.len() + events.len() > holds) {
            return Err(Fault::new(FaultKind::Storage, "appending", "the journal", "the disk is full"));
        }
        assert_eq!(seq, outside.events.len() as u64 + 1, "events are numbered without a gap");
        outside.events.extend_from_slice(events);
        let (count, millis) = (outside.events.len(), outside.millis);
        if let Some((_, stop)) = outside.stop_at.take_if(|(at, _)| *at <= count) {
            stop.send_replace(true);
            outside.stopped_and_resumed.0 = Some(millis);
        }
        Ok(())
    }

    async fn events(&self, _: &RunId) -> Result<Vec<Event>, Fault> {
        Ok(self.outside().events.clone())
    }

    async fn runs(&self, _: &str, _: u32) -> Result<Vec<RunRow>, Fault> {
        Ok(Vec::new())
    }

    async fn holder(&self, _: &str) -> Result<Option<String>, Fault> {
        Ok(None)
    }

    async fn superseded(&self) -> Option<Fault> {
        if self.outside().superseded_hangs {
            self.sleep_until(self.now() + SignedDuration::from_hours(1)).await;
        }
        None
    }
}

/// Time that passes only while all that is left to do is to wait for it.
#[async_trait]
impl Clock for Memory {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_748_937_221).unwrap() + SignedDuration::from_millis(self.outside().millis)
    }

    async fn sleep_until(&self, instant: Timestamp) {
        // Upwards: a clock that stops short of an instant never reaches it.
        let left = instant.duration_since(self.now()).as_nanos().max(0) + 999_999;
        let due = self.outside().millis + i64::try_from(left / 1_000_000).unwrap();
        let (sleeping, mut idle) = (Sleeping::begin(self, due), 0);
        loop {
            // Whoever has something to do goes first.
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            idle += 1;
            let mut outside = sleeping.memory.outside();
            let now = outside.millis;
            if now < due && outside.sleepers.iter().all(|other| *other >= due) {
                outside.millis = due;
            } else if now < due && idle > LEFT_ALONE {
                // Somebody is not asked whether he is awake: time does not wait for him.
                let next = outside.sleepers.iter().copied().filter(|other| *other > now).min();
                (outside.millis, idle) = (next.unwrap_or(due), 0);
            }
            if outside.millis >= due {
                return;
            }
        }
    }
}

/// After how many turns whoever sleeps is known not to be asked.
const LEFT_ALONE: u32 = 100;

/// Somebody who waits, for as long as he does.
struct Sleeping<'a> {
    memory: &'a Memory,
    due: i64,
}

impl Sleeping<'_> {
    fn begin(memory: &Memory, due: i64) -> Sleeping<'_> {
        memory.outside().sleepers.push(due);
        Sleeping { memory, due }
    }
}

impl Drop for Sleeping<'_> {
    fn drop(&mut self) {
        let mut outside = self.memory.outside();
        let place = outside.sleepers.iter().position(|due| *due == self.due);
        place.map(|place| outside.sleepers.swap_remove(place));
    }
}
