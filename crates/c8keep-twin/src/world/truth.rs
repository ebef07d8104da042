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

    /// Whether a snapshot whose name begins like this lies in any storage.
    pub fn has_snapshots(&self, prefix: &str) -> bool {
        self.search.stored().any(|(name, _)| name.starts_with(prefix))
    }

    /// Whether no replica exports, wherever it is.
    pub fn is_paused_everywhere(&self) -> bool {
        self.partitions.values().flat_map(|p| p.replicas.values()).all(|r| r.phase != Phase::Exporting)
    }

    /// The highest backup id of which there is a trace: in the brokers, or in the name of a stored snapshot. What an application
    /// accepts and never begins leaves none.
    pub fn highest_backup_id(&self) -> u64 {
        let id_in = |name: &String| name.split('_').find_map(|part| part.parse().ok());
        let stored = self.search.stored().filter_map(|(name, _)| id_in(name)).max();
        self.runtime.latest.max(stored.unwrap_or(0))
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
