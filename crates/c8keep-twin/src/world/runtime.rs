//! Runtime backups of the partitions and the store that keeps them.

use std::collections::BTreeMap;

use super::draw::below;
use super::partition::{LocalSnapshot, ValueType};
use super::{Event, Micros, World, millis};

/// Within this time every partition has processed the command that creates the checkpoint.
pub const COMMAND_MS: u32 = 120;
/// How long a deleted backup is still shown as such. The tombstone is written first and goes last (camunda issue 46104); how long
/// that takes depends on the store.
const TOMBSTONE_MS: u32 = 2_000;

#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// The highest id ever accepted. Ids are burnt, whatever became of their backup.
    pub latest: u64,
    pub backups: BTreeMap<u64, BTreeMap<u32, PartitionBackup>>,
    /// Checkpoints up to this id are told by nobody any more: their tracking was reset.
    pub untracked: u64,
    accepted: BTreeMap<u64, Micros>,
}

/// One partition's share of a backup, as its manifest in the store says.
#[derive(Clone, Debug)]
pub struct PartitionBackup {
    pub state: State,
    pub checkpoint: u64,
    /// When the request for it was accepted.
    pub accepted: Micros,
    pub created: Micros,
    pub updated: Micros,
    pub snapshot: Option<LocalSnapshot>,
    /// The saved log starts after this position; none until it is saved.
    pub log_after: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The checkpoint is written, the manifest is not: the status says "does not exist".
    Pending,
    InProgress,
    Completed,
    Failed(String),
    /// From 8.9 on: a tombstone, until the contents are gone.
    Deleted,
}

/// Why a backup was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    NoStore,
    /// Partitions are being added. The checkpoint is written all the same: the id is burnt.
    Scaling,
    /// The gateway sends nothing while it knows no leader of a partition.
    NoLeader {
        partition: u32,
    },
    IdNotAbove {
        latest: u64,
    },
}

impl Runtime {
    /// Whether a backup has its checkpoint on this partition and not yet its snapshot.
    pub fn waits_for_snapshot(&self, partition: u32) -> bool {
        self.backups
            .values()
            .filter_map(|backup| backup.get(&partition))
            .any(|part| part.state == State::Pending)
    }
}

impl World {
    /// Schedules a backup: a checkpoint on each partition, then the upload.
    pub(crate) fn take_runtime_backup(&mut self, id: u64) -> Result<(), Refused> {
        if self.config.store.is_none() {
            return Err(Refused::NoStore);
        }
        if let Some((partition, _)) = self.partitions.iter().find(|(_, partition)| partition.leader.is_none())
        {
            return Err(Refused::NoLeader { partition: *partition });
        }
        if id <= self.runtime.latest {
            return Err(Refused::IdNotAbove { latest: self.runtime.latest });
        }
        if self.faults.scaling {
            self.runtime.latest = id;
            return Err(Refused::Scaling);
        }
        self.runtime.latest = id;
        self.runtime.backups.insert(id, BTreeMap::new());
        let now = self.at();
        self.runtime.accepted.insert(id, now);
        for partition in self.partition_ids() {
            // Commands wait in the partitions' queues; the 202 comes when the last one was processed.
            let spread = u64::from(COMMAND_MS) * 1_000;
            let delay = below(self.config.seed, "checkpoint", id ^ u64::from(partition), spread);
            let at = now + Micros::try_from(delay).unwrap_or(0);
            self.plan(at, Event::Checkpoint { backup: id, partition });
        }
        Ok(())
    }

    /// Writes the checkpoint unless the partition already has it or a later one.
    pub(super) fn checkpoint(&mut self, partition: u32, backup: u64, at: Micros) {
        let Some(log) = self.partitions.get_mut(&partition) else { return };
        if log.checkpoint >= backup || log.leader.is_none() {
            return;
        }
        log.checkpoint = backup;
        let checkpoint = self.append(partition, 0, ValueType::Checkpoint, at);
        let accepted = self.runtime.accepted.get(&backup).copied().unwrap_or(at);
        let Some(parts) = self.runtime.backups.get_mut(&backup) else { return };
        if self.faults.runtime_never_appears || self.faults.partitions_left_out.contains(&partition) {
            return;
        }
        parts.insert(
            partition,
            PartitionBackup {
                state: State::Pending,
                checkpoint,
                accepted,
                created: at,
                updated: at,
                snapshot: None,
                log_after: None,
            },
        );
        let appears = self.config.durations.runtime_appears;
        let late =
            below(self.config.seed, "appears", backup ^ u64::from(partition), u64::from(appears) * 500);
        let begins = (accepted + millis(appears)).max(at) + Micros::try_from(late).unwrap_or(0);
        self.plan(begins, Event::RuntimeBegins { backup, partition });
    }

    pub(super) fn runtime_begins(&mut self, backup: u64, id: u32, at: Micros) {
        let Some(part) = self.runtime.backups.get_mut(&backup).and_then(|parts| parts.get_mut(&id)) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&id).filter(|_| part.state == State::Pending) else {
            return;
        };
        part.created = at;
        part.updated = at;
        part.snapshot.clone_from(&partition.snapshot);
        if part.snapshot.as_ref().is_some_and(|snapshot| snapshot.processed >= part.checkpoint) {
            part.snapshot = None;
            part.state =
                State::Failed(format!("Cannot find a snapshot that can be included in the backup {backup}."));
            return;
        }
        part.state = State::InProgress;
        if let Some(snapshot) = part.snapshot.as_ref().filter(|_| !self.faults.log_not_reserved) {
            partition.reserved.insert(backup, snapshot.clone());
        }
        if !self.faults.runtime_stuck {
            // The last partition ends when the whole stage does, the others a little earlier.
            let end = part.accepted + millis(self.config.durations.runtime);
            let share = if id == self.config.partitions { 0 } else { 40 };
            let early = below(self.config.seed, "upload", backup ^ u64::from(id), share);
            let takes = (end - at) - (end - at) * Micros::try_from(early).unwrap_or(0) / 100;
            self.plan(at + takes.max(1_000), Event::RuntimeEnds { backup, partition: id });
        }
    }

    pub(super) fn runtime_ends(&mut self, backup: u64, id: u32, at: Micros) {
        let Some(part) = self.runtime.backups.get_mut(&backup).and_then(|parts| parts.get_mut(&id)) else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        partition.reserved.remove(&backup);
        if part.state != State::InProgress {
            return;
        }
        part.updated = at;
        part.log_after = Some(partition.compacted);
        part.state = if self.faults.partitions_failing.contains(&id) {
            State::Failed("Failed to save backup: the store refused the segments.".to_owned())
        } else {
            State::Completed
        };
        partition.compact();
    }

    /// The new leader fails what the old one had begun (fixture `get-after-broker-kill`).
    pub(super) fn runtime_leader_changed(&mut self, id: u32, at: Micros) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        partition.reserved.clear();
        for part in self.runtime.backups.values_mut().filter_map(|parts| parts.get_mut(&id)) {
            if part.state == State::InProgress {
                part.state = State::Failed("Backup is cancelled due to leader change.".to_owned());
                part.updated = at;
            }
        }
    }

    /// The partitions of a backup that a status shows; none when nothing exists.
    pub(crate) fn shown_parts(&self, id: u64) -> BTreeMap<u32, &PartitionBackup> {
        let parts = self.runtime.backups.get(&id).into_iter().flatten();
        parts.filter(|(_, part)| part.state != State::Pending).map(|(id, part)| (*id, part)).collect()
    }

    /// Up to 8.8 it is gone with the answer; from 8.9 on the answer says only that the deletion is written into the log, and the
    /// status passes through `DELETED` (documentation 8.9, "zeebe-backup-and-restore"; camunda issue 46104).
    pub(crate) fn delete_runtime_backup(&mut self, id: u64) {
        for partition in self.partitions.values_mut() {
            partition.reserved.remove(&id);
        }
        if self.config.dialect() < (8, 9) {
            self.runtime.backups.remove(&id);
            return;
        }
        let at = self.at();
        let Some(parts) = self.runtime.backups.get_mut(&id) else { return };
        for part in parts.values_mut() {
            (part.state, part.updated) = (State::Deleted, at);
        }
        self.plan(at + millis(TOMBSTONE_MS), Event::TombstoneGone { backup: id });
    }

    /// An id of the cluster's own: the time in milliseconds (documentation 8.9, "zeebe-backup-and-restore").
    pub(crate) fn own_runtime_id(&self) -> u64 {
        u64::try_from(self.at() / 1_000).unwrap_or(0).max(self.runtime.latest + 1)
    }
}
