//! One Zeebe partition: its log, exporters, replicas and local snapshots.
//!
//! `records` is the reference of everything that ever happened; what the partition itself still has of it is only what
//! lies above `compacted`.

use std::collections::BTreeMap;

/// The value types whose records flow through the twin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueType {
    Deployment,
    Process,
    ProcessInstanceCreation,
    ProcessInstance,
    Variable,
    Job,
    ProcessMessageSubscription,
    MessageSubscription,
    Checkpoint,
}

impl ValueType {
    /// The name inside `zeebe-record_<type>_<version>_<date>`; checkpoints are not exported.
    pub fn index_name(self) -> Option<&'static str> {
        match self {
            Self::Deployment => Some("deployment"),
            Self::Process => Some("process"),
            Self::ProcessInstanceCreation => Some("process-instance-creation"),
            Self::ProcessInstance => Some("process-instance"),
            Self::Variable => Some("variable"),
            Self::Job => Some("job"),
            Self::ProcessMessageSubscription => Some("process-message-subscription"),
            Self::MessageSubscription => Some("message-subscription"),
            Self::Checkpoint => None,
        }
    }
}

/// One record. Its position is its place in [`Partition::records`], counted from 1.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// The process instance concerned; 0 means none.
    pub instance: u32,
    pub kind: ValueType,
    /// Days since the epoch; names the index into which it is exported.
    pub day: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExporterId {
    /// The classic exporter into `zeebe-record*`.
    Records,
    /// The Camunda exporter into the web applications' indices (8.8+).
    Camunda,
}

/// Where one exporter stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exporter {
    /// Sent to the search server.
    pub exported: u64,
    /// Highest position that was ever written there; falls back never, unlike `exported` after a leader change.
    pub written: u64,
    /// Acknowledged in the partition's own state; frozen while exporting is soft-paused.
    pub acked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Exporting,
    SoftPaused,
    Paused,
}

impl Phase {
    pub fn wire(self) -> &'static str {
        match self {
            Self::Exporting => "EXPORTING",
            Self::SoftPaused => "SOFT_PAUSED",
            Self::Paused => "PAUSED",
        }
    }
}

/// One broker's copy of a partition. The phase is a file on its disk: it survives a restart.
#[derive(Clone, Debug)]
pub struct Replica {
    pub phase: Phase,
    /// Acknowledged positions as the leader last told them.
    pub known: BTreeMap<ExporterId, u64>,
}

/// A local snapshot `index-term-processed-exported-broker`.
#[derive(Clone, Debug)]
pub struct LocalSnapshot {
    pub term: u64,
    pub processed: u64,
    pub acked: BTreeMap<ExporterId, u64>,
    pub broker: u32,
}

impl LocalSnapshot {
    /// The exported position of a snapshot is that of its slowest exporter.
    pub fn exported(&self) -> u64 {
        self.acked.values().copied().min().unwrap_or(self.processed)
    }

    /// The log is needed from the position after this one.
    pub fn bound(&self) -> u64 {
        self.processed.min(self.exported())
    }

    pub fn id(&self) -> String {
        format!(
            "{}-{}-{}-{}-{}",
            self.bound() / 8 + 1,
            self.term,
            self.processed,
            self.exported(),
            self.broker
        )
    }
}

#[derive(Clone, Debug)]
pub struct Partition {
    pub records: Vec<Record>,
    /// Positions up to this one are gone from the log.
    pub compacted: u64,
    /// None while no replica is up.
    pub leader: Option<u32>,
    pub term: u64,
    pub exporters: BTreeMap<ExporterId, Exporter>,
    pub replicas: BTreeMap<u32, Replica>,
    pub snapshot: Option<LocalSnapshot>,
    /// Snapshots that running backups hold; they also hold the log.
    pub reserved: BTreeMap<u64, LocalSnapshot>,
    /// A local snapshot that has read its processed position and not yet its exported one.
    pub taking: Option<u64>,
    /// The id of the latest checkpoint.
    pub checkpoint: u64,
}

impl Partition {
    pub fn processed(&self) -> u64 {
        self.records.len() as u64
    }

    /// The acknowledged position of the slowest exporter: what a leader reports as `exportedPosition`.
    pub fn acked(&self) -> u64 {
        self.exporters.values().map(|exporter| exporter.acked).min().unwrap_or(0)
    }

    /// The phase that counts: the leader's.
    pub fn phase(&self) -> Option<Phase> {
        self.leader.and_then(|leader| self.replicas.get(&leader)).map(|replica| replica.phase)
    }

    pub fn append(&mut self, record: Record) -> u64 {
        self.records.push(record);
        self.processed()
    }

    /// The records at positions `from..=to`, with their positions.
    pub fn range(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &Record)> {
        let start = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX).min(self.records.len());
        let end = usize::try_from(to).unwrap_or(usize::MAX).min(self.records.len()).max(start);
        (from.max(1)..).zip(&self.records[start..end])
    }

    pub fn set_phase(&mut self, broker: u32, phase: Phase) {
        let Some(replica) = self.replicas.get_mut(&broker) else { return };
        replica.phase = phase;
        if self.leader == Some(broker) && phase == Phase::Exporting {
            // Resuming acknowledges at once what was sent during a soft pause.
            for exporter in self.exporters.values_mut() {
                exporter.acked = exporter.acked.max(exporter.exported);
            }
        }
    }

    /// The leader tells its followers where the exporters stand.
    pub fn share_positions(&mut self) {
        let acked: BTreeMap<_, _> =
            self.exporters.iter().map(|(id, exporter)| (*id, exporter.acked)).collect();
        for replica in self.replicas.values_mut() {
            replica.known.clone_from(&acked);
        }
    }

    /// Another replica leads: exporters start again at the position last told to it.
    pub fn lead(&mut self, broker: Option<u32>) {
        if let Some(old) = self.leader
            && let Some(replica) = self.replicas.get_mut(&old)
        {
            replica.known = self.exporters.iter().map(|(id, exporter)| (*id, exporter.acked)).collect();
        }
        self.leader = broker;
        self.term += 1;
        self.taking = None;
        if let Some(replica) = broker.and_then(|broker| self.replicas.get(&broker)) {
            for (id, exporter) in &mut self.exporters {
                // A replica never knows less than the snapshot that all of them have.
                let saved = self.snapshot.as_ref().and_then(|snapshot| snapshot.acked.get(id)).copied();
                exporter.acked = replica.known.get(id).copied().max(saved).unwrap_or(0);
                exporter.exported = exporter.acked;
            }
        }
    }

    /// Ends a local snapshot; only now is the exported position read, as in the real snapshot director.
    pub fn persist_snapshot(&mut self) {
        let (Some(processed), Some(broker)) = (self.taking.take(), self.leader) else { return };
        let acked = self.exporters.iter().map(|(id, exporter)| (*id, exporter.acked)).collect();
        self.snapshot = Some(LocalSnapshot { term: self.term, processed, acked, broker });
        self.compact();
    }

    /// Drops the log that neither the kept nor a reserved snapshot needs.
    pub fn compact(&mut self) {
        let bounds = self.snapshot.iter().chain(self.reserved.values()).map(LocalSnapshot::bound);
        if let Some(bound) = bounds.min() {
            self.compacted = self.compacted.max(bound);
        }
    }
}
