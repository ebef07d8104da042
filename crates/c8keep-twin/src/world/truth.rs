//! What is so, whatever the servers say: for whoever checks a tool against the world from outside of it.

use super::World;
use super::apps::App;
use super::partition::Phase;

impl World {
    /// Replicas whose phase is not exporting, as (partition, broker); also those on brokers that are down.
    pub fn paused_replicas(&self) -> Vec<(u32, u32)> {
        let of = |(id, partition): (&u32, &super::partition::Partition)| {
            let paused = partition.replicas.iter().filter(|(_, replica)| replica.phase != Phase::Exporting);
            paused.map(|(broker, _)| (*id, *broker)).collect::<Vec<_>>()
        };
        self.partitions.iter().flat_map(of).collect()
    }

    /// The highest backup id that any component has ever accepted.
    pub fn highest_backup_id(&self) -> u64 {
        let apps = self.apps.values().filter_map(super::apps::AppState::highest_scheduled).max();
        self.runtime.latest.max(apps.unwrap_or(0))
    }

    /// The applications of this installation with a backup of their own.
    pub fn applications(&self) -> Vec<App> {
        self.apps.keys().copied().collect()
    }

    /// How often leadership has changed, over all partitions.
    pub fn leader_changes(&self) -> u64 {
        self.partitions.values().map(|partition| partition.term - 1).sum()
    }
}
