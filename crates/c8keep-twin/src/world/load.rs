//! The workload: process instances that are created, work for a while and end, some of them across partitions.

use std::collections::BTreeMap;

use super::draw::below;
use super::partition::{Record, ValueType};
use super::{Micros, World};

/// The world stops creating instances here, so that a forgotten twin stays small (about 200 MB).
const MAX_INSTANCES: u64 = 3_000_000;
const DAY: Micros = 86_400_000_000;

#[derive(Clone, Debug, Default)]
pub struct Load {
    /// Since when instances are created at the current rate.
    pub origin: Micros,
    /// Instances created so far; their numbers are 1..=created.
    pub created: u64,
    /// What instances will do later, by due time.
    pending: BTreeMap<(Micros, u64), Later>,
    next: u64,
    /// For a record on one partition that answers a record on another: (partition, position) of that other one.
    pub parents: BTreeMap<(u32, u64), (u32, u64)>,
}

#[derive(Clone, Copy, Debug)]
enum Later {
    Complete {
        instance: u32,
        home: u32,
    },
    /// A message arrives from another partition and carries the sender's checkpoint id.
    Correlate {
        instance: u32,
        to: u32,
        parent: (u32, u64),
        checkpoint: u64,
    },
}

impl World {
    /// Deploys the process on every partition.
    pub(super) fn deploy(&mut self, at: Micros) {
        for partition in self.partition_ids() {
            self.append(partition, 0, ValueType::Deployment, at);
            self.append(partition, 0, ValueType::Process, at);
        }
    }

    pub(super) fn work(&mut self, at: Micros) {
        let age = u64::try_from(at - self.load.origin).unwrap_or(0);
        let due = (u64::from(self.config.load) * age / 1_000_000).min(MAX_INSTANCES);
        while self.load.created < due && self.create_instance(at) {}
        while let Some(entry) = self.load.pending.first_entry()
            && entry.key().0 <= at
        {
            let later = entry.remove();
            self.do_later(later, at);
        }
    }

    pub(super) fn work_is_pending(&self) -> bool {
        !self.load.pending.is_empty() || (self.config.load > 0 && self.load.created < MAX_INSTANCES)
    }

    /// False while no partition has a leader.
    fn create_instance(&mut self, at: Micros) -> bool {
        let number = self.load.created + 1;
        let instance = u32::try_from(number).unwrap_or(u32::MAX);
        let count = u64::from(self.config.partitions);
        let Some(home) = self.awake_partition(1 + below(self.config.seed, "home", number, count)) else {
            return false;
        };
        self.load.created = number;
        for kind in [
            ValueType::ProcessInstanceCreation,
            ValueType::ProcessInstance,
            ValueType::Variable,
            ValueType::Job,
        ] {
            self.append(home, instance, kind, at);
        }
        let seed = self.config.seed;
        let work = 100_000 + below(seed, "work", number, 1_900_000);
        self.later(at, work, Later::Complete { instance, home });
        if count > 1 && number.is_multiple_of(5) {
            let position = self.append(home, instance, ValueType::ProcessMessageSubscription, at);
            let step = 1 + below(seed, "to", number, count - 1);
            let to = u32::try_from((u64::from(home) - 1 + step) % count + 1).unwrap_or(1);
            let checkpoint = self.partitions[&home].checkpoint;
            let travel = 5_000 + below(seed, "travel", number, 300_000);
            self.later(at, travel, Later::Correlate { instance, to, parent: (home, position), checkpoint });
        }
        true
    }

    fn later(&mut self, at: Micros, after: u64, what: Later) {
        self.load.next += 1;
        let due = at + Micros::try_from(after).unwrap_or(0);
        self.load.pending.insert((due, self.load.next), what);
    }

    fn do_later(&mut self, later: Later, at: Micros) {
        match later {
            Later::Complete { instance, home } => {
                if self.partitions[&home].leader.is_none() {
                    return self.later(at, 1_000_000, later);
                }
                self.append(home, instance, ValueType::Job, at);
                self.append(home, instance, ValueType::ProcessInstance, at);
            }
            Later::Correlate { instance, to, parent, checkpoint } => {
                if self.partitions[&to].leader.is_none() {
                    return self.later(at, 1_000_000, later);
                }
                if !self.faults.checkpoints_do_not_travel {
                    self.checkpoint(to, checkpoint, at);
                }
                let position = self.append(to, instance, ValueType::MessageSubscription, at);
                self.load.parents.insert((to, position), parent);
            }
        }
    }

    fn awake_partition(&self, wanted: u64) -> Option<u32> {
        let wanted = u32::try_from(wanted).unwrap_or(1);
        let awake = |id: &u32| self.partitions[id].leader.is_some();
        Some(wanted).filter(awake).or_else(|| self.partitions.keys().copied().find(awake))
    }

    pub(super) fn append(&mut self, partition: u32, instance: u32, kind: ValueType, at: Micros) -> u64 {
        let day = u32::try_from(at.div_euclid(DAY)).unwrap_or(0);
        self.partitions.get_mut(&partition).map_or(0, |p| p.append(Record { instance, kind, day }))
    }
}
