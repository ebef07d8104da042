//! Typed results that later steps and the manifest need. One variant a thing: no lookup by name, no loose JSON.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::backup::{BackupId, HistoryApp};
use crate::database::{DatabaseDump, DatabaseName};
use crate::witness::Witness;
use crate::words::counted;

/// What a step found out or brought about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "fact", content = "value")]
pub enum Fact {
    /// The cluster before the run.
    Cluster(Cluster),
    /// The brokers' backup store.
    Store(Store),
    /// The snapshot repository is registered and named the same everywhere.
    Repository(Repository),
    /// The indices before the pause.
    Census(Census),
    /// The highest id seen anywhere.
    HighestId(Option<BackupId>),
    /// An application has queued these snapshots.
    Scheduled {
        /// Which application.
        app: HistoryApp,
        /// The names it announced; Optimize announces none.
        snapshots: Vec<String>,
    },
    /// An application's snapshots are whole.
    History {
        /// Which application.
        app: HistoryApp,
        /// What the search server says of each.
        snapshots: Vec<SnapshotEvidence>,
    },
    /// Exporting is soft-paused.
    Paused {
        /// When the pause was confirmed.
        at: Timestamp,
    },
    /// Positions read after the pause was confirmed (P0).
    FirstPositions(Positions),
    /// Positions read after the runtime backup.
    LastPositions(Positions),
    /// The record indices as they were when their snapshot was asked for.
    RecordsCut(Vec<IndexCount>),
    /// The records snapshot is whole.
    Records(SnapshotEvidence),
    /// The brokers accepted the runtime backup.
    RuntimeAccepted {
        /// When.
        at: Timestamp,
    },
    /// The runtime backup is complete on all partitions.
    Runtime(RuntimeEvidence),
    /// Whether the pause held.
    Witness(Witness),
    /// The dump of a database is in the vault.
    Database(DatabaseDump),
    /// Exporting runs again.
    Resumed {
        /// When that was confirmed.
        at: Timestamp,
    },
    /// The manifest is in the vault.
    Published {
        /// Where.
        path: String,
        /// SHA-256 of its bytes, in hex.
        sha256: String,
    },
}

/// Which fact, for the check that a plan provides what its steps need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each names the variant of `Fact`")]
pub enum FactKind {
    Cluster,
    Store,
    Repository,
    Census,
    HighestId,
    Scheduled(HistoryApp),
    History(HistoryApp),
    Paused,
    FirstPositions,
    LastPositions,
    RecordsCut,
    Records,
    RuntimeAccepted,
    Runtime,
    Witness,
    Database,
    Resumed,
    Published,
}

/// All facts of a run, folded.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "each field is the fact of its name")]
pub struct Facts {
    pub cluster: Option<Cluster>,
    pub store: Option<Store>,
    pub repository: Option<Repository>,
    pub census: Option<Census>,
    pub highest_id: Option<BackupId>,
    pub scheduled: BTreeMap<HistoryApp, Vec<String>>,
    pub history: BTreeMap<HistoryApp, Vec<SnapshotEvidence>>,
    pub paused_at: Option<Timestamp>,
    pub first_positions: Option<Positions>,
    pub last_positions: Option<Positions>,
    pub records_cut: Option<Vec<IndexCount>>,
    pub records: Option<SnapshotEvidence>,
    pub runtime_accepted_at: Option<Timestamp>,
    pub runtime: Option<RuntimeEvidence>,
    pub witness: Option<Witness>,
    pub databases: BTreeMap<DatabaseName, DatabaseDump>,
    pub resumed_at: Option<Timestamp>,
    pub published: Option<String>,
}

/// The orchestration cluster, as its own topology tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Version told by the management address.
    pub version: String,
    /// Brokers the cluster should have; `None` where the topology is out of reach.
    pub brokers_expected: Option<u32>,
    /// Brokers the cluster is configured with, which is told also where nobody tells which of them are up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brokers_configured: Option<u32>,
    /// Brokers that are up, by node id.
    pub brokers_up: Vec<u32>,
    /// Number of partitions.
    pub partitions: Option<u32>,
    /// Replicas of each partition.
    pub replication: Option<u32>,
    /// A scaling or other topology change that has not ended.
    pub pending_change: Option<String>,
}

/// The brokers' backup store, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// `S3`, `GCS`, `AZURE`, `FILESYSTEM`; `None` where the brokers do not tell.
    pub kind: Option<String>,
    /// Bucket or container and base path.
    pub location: Option<String>,
}

/// The snapshot repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Its name.
    pub name: String,
    /// `fs`, `s3`, …
    pub kind: String,
    /// Bucket, path or container as registered.
    pub location: Option<String>,
    /// Its snapshots only refer to a remote segment store, without which they cannot be restored (OpenSearch's shallow copy).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_shallow: bool,
    /// Nobody has asked whether every node reaches it: the login may not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_unverified: bool,
}

/// Index lists and document counts at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Census {
    /// When it was taken.
    pub at: Timestamp,
    /// The record indices.
    pub records: Vec<IndexCount>,
    /// The applications' indices.
    pub apps: Vec<IndexCount>,
}

/// One index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexCount {
    /// Its name.
    pub name: String,
    /// Lucene documents, nested ones included (`_cat/indices`); unknown for a closed index.
    pub docs: Option<u64>,
    /// Primary shards.
    pub primaries: u32,
}

/// What `GET` of a finished snapshot says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEvidence {
    /// Its name.
    pub name: String,
    /// The repository it lies in.
    pub repository: String,
    /// Its own id, which a snapshot of the same name taken later does not have.
    pub uuid: String,
    /// The server version that took it.
    pub version: String,
    /// `SUCCESS`, or what else it says.
    pub state: String,
    /// Indices in it.
    pub indices: Vec<String>,
    /// Shards in all.
    pub shards_total: u32,
    /// Shards that are not in it.
    pub shards_failed: u32,
    /// Shards that are in it.
    pub shards_successful: u32,
    /// Failures, one line each.
    pub failures: Vec<String>,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Expected indices that retention removed before they could be copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed_meanwhile: Vec<String>,
}

/// What the brokers' partition endpoints said at one moment, raw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// When the reading was complete.
    pub at: Timestamp,
    /// One reading a broker.
    pub brokers: Vec<BrokerReading>,
}

/// One broker's answer; it speaks for its own replicas only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerReading {
    /// Node id, where known.
    pub node: Option<u32>,
    /// Where it was asked.
    pub address: String,
    /// Why there is no reading, if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// Its replicas by partition.
    #[serde(deserialize_with = "by_number")]
    pub partitions: BTreeMap<u32, PartitionReading>,
}

/// One replica of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReading {
    /// `LEADER` or `FOLLOWER`.
    pub role: String,
    /// The exporter phase as the server says it.
    pub phase: String,
    /// The lowest acknowledged position over all exporters; -1 before the first.
    pub exported: i64,
    /// The processed position.
    pub processed: Option<i64>,
    /// The latest local snapshot, where there is one.
    pub snapshot: Option<String>,
}

/// A runtime backup, partition by partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeEvidence {
    /// The aggregate state.
    pub state: String,
    /// One line a partition.
    pub partitions: Vec<RuntimePartition>,
}

/// One partition of a runtime backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimePartition {
    /// The partition.
    pub partition: u32,
    /// Its state.
    pub state: String,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// `index-term-processed-exported[-broker[-checksum]]`; absent before the first snapshot.
    pub snapshot: Option<String>,
    /// Position of the checkpoint.
    pub checkpoint: Option<i64>,
    /// Version of the broker that took it.
    pub broker_version: Option<String>,
    /// When the broker began.
    pub created_at: Option<String>,
    /// When it last changed.
    pub updated_at: Option<String>,
}

/// Keys of a JSON object are text, and inside a tagged enum serde does not turn them into numbers by itself.
fn by_number<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<u32, PartitionReading>, D::Error> {
    let by_text = BTreeMap::<String, PartitionReading>::deserialize(from)?;
    by_text.into_iter().map(|(key, value)| Ok((key.parse().map_err(D::Error::custom)?, value))).collect()
}

impl Facts {
    /// Adds a fact; a repeated one replaces the former.
    pub fn learn(&mut self, fact: &Fact) {
        match fact.clone() {
            Fact::Cluster(v) => self.cluster = Some(v),
            Fact::Store(v) => self.store = Some(v),
            Fact::Repository(v) => self.repository = Some(v),
            Fact::Census(v) => self.census = Some(v),
            Fact::HighestId(v) => self.highest_id = v,
            Fact::Scheduled { app, snapshots } => drop(self.scheduled.insert(app, snapshots)),
            Fact::History { app, snapshots } => drop(self.history.insert(app, snapshots)),
            Fact::Paused { at } => self.paused_at = Some(at),
            Fact::FirstPositions(v) => self.first_positions = Some(v),
            Fact::LastPositions(v) => self.last_positions = Some(v),
            Fact::RecordsCut(v) => self.records_cut = Some(v),
            Fact::Records(v) => self.records = Some(v),
            Fact::RuntimeAccepted { at } => self.runtime_accepted_at = Some(at),
            Fact::Runtime(v) => self.runtime = Some(v),
            Fact::Witness(v) => self.witness = Some(v),
            Fact::Database(v) => drop(self.databases.insert(v.name.clone(), v)),
            Fact::Resumed { at } => self.resumed_at = Some(at),
            Fact::Published { path, .. } => self.published = Some(path),
        }
    }
}

impl Cluster {
    /// How many brokers it has, or should have, by whoever tells.
    pub fn brokers(&self) -> Option<u32> {
        self.brokers_expected.or(self.brokers_configured)
    }
}

impl PartitionReading {
    /// Whether this replica leads its partition.
    pub fn is_leader(&self) -> bool {
        self.role.eq_ignore_ascii_case("LEADER")
    }

    /// Whether exporting is soft-paused here.
    pub fn is_soft_paused(&self) -> bool {
        self.phase == "SOFT_PAUSED"
    }

    /// Whether exporting is paused here, softly or not.
    pub fn is_paused(&self) -> bool {
        self.is_soft_paused() || self.phase == "PAUSED"
    }
}

impl BrokerReading {
    /// The same node; where none is told, replicas that agree in all that does not move between two readings. A partition has
    /// one leader, so two brokers agree only where they lead nothing, and then nothing is left out.
    fn is_one_process_with(&self, other: &BrokerReading) -> bool {
        if let (Some(one), Some(another)) = (self.node, other.node) {
            return one == another;
        }
        let shape = |broker: &BrokerReading| -> Vec<(u32, String, String)> {
            broker.partitions.iter().map(|(n, r)| (*n, r.role.clone(), r.phase.clone())).collect()
        };
        self.partitions.values().any(PartitionReading::is_leader) && shape(self) == shape(other)
    }
}

impl Positions {
    /// Replicas whose exporting is paused, as `(node or address, partition, phase)`; for messages.
    pub fn paused(&self) -> Vec<(String, u32, String)> {
        let mut paused = Vec::new();
        for broker in self.processes() {
            let name = broker.node.map_or_else(|| broker.address.clone(), |n| format!("broker {n}"));
            for (partition, reading) in broker.partitions.iter().filter(|(_, r)| r.is_paused()) {
                paused.push((name.clone(), *partition, reading.phase.clone()));
            }
        }
        paused
    }

    /// All of them in a few words, where every replica that was read is paused and they are too many to be named one by one.
    pub fn wholly_paused(&self) -> Option<String> {
        const NAMED_MAX: usize = 3;
        let read: Vec<&BrokerReading> = self.processes().filter(|broker| broker.unread.is_none()).collect();
        let replicas: usize = read.iter().map(|broker| broker.partitions.len()).sum();
        let (paused, brokers) = (self.paused().len(), read.len());
        let that =
            if self.brokers.iter().any(|broker| broker.unread.is_some()) { " that were read" } else { "" };
        (paused == replicas && paused > NAMED_MAX)
            .then(|| format!("all {replicas} replicas of {}{that}", counted(brokers, "broker", "brokers")))
    }

    /// Whether as many replicas were read as the cluster has: brokers that are out of reach have replicas, too. Not where
    /// nobody tells how many there are.
    pub fn are_of_all_replicas(&self, cluster: &Cluster) -> bool {
        let (Some(partitions), Some(replication)) = (cluster.partitions, cluster.replication) else {
            return false;
        };
        // One broker may answer at several addresses.
        let named = self.brokers.iter().filter_map(|broker| Some((broker.node?, broker)));
        let replicas: BTreeSet<(u32, u32)> = named
            .flat_map(|(node, broker)| broker.partitions.keys().map(move |number| (node, *number)))
            .collect();
        replicas.len() as u64 >= u64::from(partitions) * u64::from(replication)
    }

    /// The readings without those of a broker that answers behind another address, too: a gateway that is part of it.
    fn processes(&self) -> impl Iterator<Item = &BrokerReading> {
        let again = |(n, broker): &(usize, &BrokerReading)| {
            let mut read = self.brokers[..*n].iter().filter(|earlier| earlier.unread.is_none());
            read.any(|earlier| earlier.is_one_process_with(broker))
        };
        self.brokers.iter().enumerate().filter(move |reading| !again(reading)).map(|(_, broker)| broker)
    }

    /// Whether at least one leader was read and every leader that was read is soft-paused.
    pub fn every_reached_leader_is_soft_paused(&self) -> bool {
        let mut leaders =
            self.brokers.iter().flat_map(|b| b.partitions.values()).filter(|r| r.is_leader()).peekable();
        leaders.peek().is_some() && leaders.all(PartitionReading::is_soft_paused)
    }
}

#[cfg(test)]
mod tests;
