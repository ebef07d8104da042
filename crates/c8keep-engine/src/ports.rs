//! The ports: what the engine asks of the outside world, in the domain's words. One per outside system, object-safe,
//! all failing with a [`Fault`] whose `retry` and `effect` the engine obeys.

mod restoring;

use async_trait::async_trait;
use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::database::{DatabaseDump, DatabaseName, DatabaseServer, DumpMode};
use c8keep_core::facts::{Cluster, IndexCount, Positions, Repository, SnapshotEvidence, Store};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{BrokerAddress, Fingerprint};
use c8keep_core::run::{Event, RunId};
use c8keep_core::verdict::{HistoryStatus, RuntimeStatus};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

pub use restoring::{Recovery, RestoreRequest, Restoring};

/// The orchestration cluster and its applications, over their management ports.
#[async_trait]
pub trait Camunda: Send + Sync {
    /// The cluster's own topology: `/actuator/cluster`, and `/v2/topology` where it is known.
    async fn cluster(&self) -> Result<Cluster, Fault>;

    /// The brokers' backup store, as far as they tell. A store that is not configured is a precondition fault.
    async fn store(&self) -> Result<Store, Fault>;

    /// The highest backup id that the brokers know or have burnt (`zeebe_checkpoint_id` outlives failed backups).
    async fn highest_runtime_id(&self) -> Result<Option<BackupId>, Fault>;

    /// The highest id among an application's backups.
    async fn highest_history_id(&self, app: HistoryApp) -> Result<Option<BackupId>, Fault>;

    /// The repository that an application says it uses; `None` where it does not tell.
    async fn repository_of(&self, app: HistoryApp) -> Result<Option<String>, Fault>;

    /// Soft-pauses exporting on every partition. There is no other pause in this product. Success is HTTP 204, or
    /// HTTP 2xx with body status 204; every failure has an unknown effect: some partitions may be paused.
    async fn pause_exporting(&self) -> Result<(), Fault>;

    /// Resumes exporting on every partition; judged like the pause. Harmless when repeated.
    async fn resume_exporting(&self) -> Result<(), Fault>;

    /// Reads the partitions of every given broker; `{}` is asked again. A broker that does not answer is in the
    /// result with the reason; only when none answers it is a fault.
    async fn positions(&self, brokers: &[BrokerAddress], now: Timestamp) -> Result<Positions, Fault>;

    /// What the brokers' metrics tell of the machines they run on. A broker that does not tell is left out.
    async fn machines(&self, brokers: &[BrokerAddress]) -> Vec<Machine>;

    /// Asks an application to back up its indices; returns the snapshot names it announces (Optimize: none).
    /// A duplicate id is a `Refused` fault.
    async fn start_history(&self, app: HistoryApp, id: BackupId) -> Result<Vec<String>, Fault>;

    /// An application's word on one backup. "Not found" and the 400s that mean it are states, not faults.
    async fn history(&self, app: HistoryApp, id: BackupId) -> Result<HistoryStatus, Fault>;

    /// Asks the brokers to back up their partitions. 409 is a `Refused` fault.
    async fn start_runtime(&self, id: BackupId) -> Result<(), Fault>;

    /// The brokers' word on one backup; 404 is a state.
    async fn runtime(&self, id: BackupId) -> Result<RuntimeStatus, Fault>;
}

/// What a broker tells of the machine it runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// The broker's management address.
    pub address: String,
    /// Free space on the disk of its data, in bytes.
    pub disk_free: Option<u64>,
    /// Free space below which the broker stops processing, in bytes, where it tells.
    pub stops_at: Option<u64>,
    /// What its clock showed.
    pub time: Option<Timestamp>,
    /// What it has written into its log since it started, in bytes.
    pub log_written: Option<u64>,
    /// How long ago that was.
    pub uptime: Option<SignedDuration>,
}

/// Elasticsearch or OpenSearch.
#[async_trait]
pub trait SearchStore: Send + Sync {
    /// The registered repository; a precondition fault if there is none of that name.
    async fn repository(&self, name: &str) -> Result<Repository, Fault>;

    /// Asks every node whether it reaches the repository (`_verify`); `Unauthorised` where that is not allowed.
    async fn verify_repository(&self, name: &str) -> Result<(), Fault>;

    /// Which of the rights that a backup needs the login lacks; `None` where there is no login, or the product does not
    /// tell.
    async fn lacks(&self, indices: &[String]) -> Result<Option<Vec<String>>, Fault> {
        let _ = indices;
        Ok(None)
    }

    /// Indices whose names match any of the patterns, open or closed, sorted by name.
    async fn indices(&self, patterns: &[String]) -> Result<Vec<IndexCount>, Fault>;

    /// Starts a snapshot without waiting for it.
    async fn create_snapshot(&self, request: &SnapshotRequest) -> Result<(), Fault>;

    /// What `GET` of one snapshot says; `None` if it does not exist. An `IN_PROGRESS` one has no figures yet.
    async fn snapshot(&self, repository: &str, name: &str) -> Result<Option<SnapshotView>, Fault>;

    /// Counters of a running snapshot from `_status`; `None` where the server does not tell. Never a verdict.
    async fn snapshot_progress(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<Option<SnapshotProgress>, Fault>;

    /// Names of snapshots matching a pattern with one trailing `*`.
    async fn snapshot_names(&self, repository: &str, pattern: &str) -> Result<Vec<String>, Fault>;

    /// Names of the snapshots that are being taken now, whoever has asked for them.
    async fn running_snapshots(&self, repository: &str) -> Result<Vec<String>, Fault>;
}

/// A snapshot to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Where.
    pub repository: String,
    /// Under which name.
    pub snapshot: String,
    /// Index pattern, never empty: an empty list means all indices to both products (camunda issue 26618).
    pub pattern: String,
    /// The run that asks, for the snapshot's metadata.
    pub run: RunId,
    /// The backup it belongs to, for the snapshot's metadata.
    pub backup: BackupId,
}

/// A snapshot as `GET` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotView {
    /// Everything that will be evidence once it is finished.
    pub evidence: SnapshotEvidence,
    /// The run named in its metadata, if c8keep took it.
    pub run: Option<RunId>,
}

/// Counters of a running snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotProgress {
    /// Shards that are copied.
    pub shards_done: u64,
    /// Shards in all.
    pub shards_total: u64,
    /// Bytes copied.
    pub bytes_done: u64,
    /// Bytes to copy.
    pub bytes_total: u64,
}

/// The databases beside the cluster.
#[async_trait]
pub trait Databases: Send + Sync {
    /// Whether a database answers, may be read, and can be dumped with the tools at hand. Nobody is asked for a password.
    async fn check(&self, database: &DatabaseName, mode: DumpMode) -> Result<DatabaseServer, Fault>;

    /// Dumps a database into new objects of a vault. They become visible when everything has ended well; dropped before, it
    /// was never begun.
    async fn dump(&self, request: &DumpRequest, vault: &dyn Vault) -> Result<DatabaseDump, Fault>;
}

/// A dump to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpRequest {
    /// Of which database.
    pub database: DatabaseName,
    /// Of what of it.
    pub mode: DumpMode,
    /// The folder in the vault that nothing else uses.
    pub folder: String,
    /// For which backup; the server shows it to its administrators.
    pub backup: BackupId,
    /// How long nothing may come.
    pub stall: SignedDuration,
    /// How long it may take in all.
    pub deadline: SignedDuration,
}

/// None at all.
#[derive(Debug, Clone, Copy)]
pub struct NoDatabases;

#[async_trait]
impl Databases for NoDatabases {
    async fn check(&self, database: &DatabaseName, _: DumpMode) -> Result<DatabaseServer, Fault> {
        Err(unknown_database(database))
    }

    async fn dump(&self, request: &DumpRequest, _: &dyn Vault) -> Result<DatabaseDump, Fault> {
        Err(unknown_database(&request.database))
    }
}

/// A run that is finished under another configuration than the one it began with.
pub fn unknown_database(database: &DatabaseName) -> Fault {
    Fault::new(
        FaultKind::Usage,
        "looking for a database",
        format!("database {database}"),
        "none is configured",
    )
    .with_hint(format!("add `databases.{database}` to the configuration, or start a new backup"))
}

/// Where manifests are kept. Everything is written once: an object that exists is never written again.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Where it is, for people.
    fn place(&self) -> String;

    /// Writes a new object and makes it durable; returns the SHA-256 of its bytes in hex. An object that exists with
    /// the same bytes is success, one with other bytes is a `Refused` fault.
    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault>;

    /// Begins a new object that is too large for memory. Its name belongs to one run alone: it is visible only when it is
    /// whole, but not every store refuses a second one of the same name.
    async fn upload(&self, path: &str) -> Result<Box<dyn Upload>, Fault> {
        Err(Fault::new(FaultKind::Usage, "writing into the vault", path, "this vault takes no large objects"))
    }

    /// Reads an object; `None` if there is none.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault>;

    /// Paths below a prefix, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault>;

    /// Whether it can be written to: creates and removes one object under `doctor/` of the installation.
    async fn check(&self, installation: &str) -> Result<(), Fault>;
}

/// A large object on its way into a vault. Dropped before it is finished, it was never there; what it leaves counts for
/// nothing.
#[async_trait]
pub trait Upload: Send {
    /// The next bytes. After a fault the upload is of no use.
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault>;

    /// Makes it whole and durable under its name, with its checksum beside it.
    async fn finish(self: Box<Self>) -> Result<Stored, Fault>;

    /// Clears away what was written, as far as that can be done.
    async fn abandon(self: Box<Self>);
}

/// A large object that is in a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its bytes in hex.
    pub sha256: String,
}

/// The durable record of intents and answers. An acknowledged append survives; of any other, nobody knows.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Claims an installation on this host for the life of this process: takes the lock beside the journal and raises
    /// the term. `Locked` if another process has it.
    async fn claim(&self, installation: &str, by: &str) -> Result<Term, Fault>;

    /// Appends events, the first with the number `seq`, in one transaction that checks `seq` = last + 1 and that `term` is
    /// the newest.
    async fn append(&self, run: &RunId, seq: u64, term: Term, events: &[Event]) -> Result<(), Fault>;

    /// All events of a run, oldest first.
    async fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault>;

    /// Runs of an installation, newest first, at most `limit`.
    async fn runs(&self, installation: &str, limit: u32) -> Result<Vec<RunRow>, Fault>;

    /// Names of all installations that have a run in it, sorted. None, where it keeps one only.
    async fn installations(&self) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }

    /// Who holds the installation on this host right now, if a process does.
    async fn holder(&self, installation: &str) -> Result<Option<String>, Fault>;

    /// Returns when this process must take on nothing more, in time before anybody else may act: `Locked` if somebody has taken
    /// over, another fault if that cannot be told any longer. Never, where nobody can take over unseen.
    async fn standing_lost(&self) -> Fault {
        std::future::pending().await
    }

    /// Why nothing more may be sent, if somebody else is known to have taken over.
    async fn superseded(&self) -> Option<Fault> {
        None
    }
}

/// One line of the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// Which run.
    pub run: RunId,
    /// Of which installation, by fingerprint.
    pub fingerprint: Fingerprint,
    /// Whether its last event closed it.
    pub closed: bool,
}

/// A claim's number; it only rises, and an append with an older one is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term(pub u64);

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Wall time at the start of the process plus monotonic time since.
    fn now(&self) -> Timestamp;

    /// Returns when `now` has reached the instant.
    async fn sleep_until(&self, instant: Timestamp);
}

/// Where something goes on beside whoever began it.
pub trait Tasks: Send + Sync {
    /// Begins it; whoever wants to end it early makes it abortable.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// Tasks of the runtime that this is called in.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeTasks;

impl Tasks for RuntimeTasks {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}
