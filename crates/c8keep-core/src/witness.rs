//! The witness: positions that prove, afterwards, whether the pause held.
//!
//! Camunda documents no way to check a finished backup across its components ("Create a backup", 8.8). But a
//! soft pause freezes the acknowledged exporter position, so: P0(p), the highest exported position that any
//! reached broker reports for partition p after the pause, bounds what the search snapshots must contain, and
//! E(p), the exported position inside the runtime backup, is where exporting starts again after a restore. If
//! E(p) ≤ P0(p), nothing between the two is lost. Seen on a real 8.6.0 under load: it holds to the digit with
//! the pause, and without it records were missing after a restore.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::facts::{BrokerReading, PartitionReading, Positions, RuntimeEvidence};

/// The verdict with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// Whether the pause held.
    pub verdict: WitnessVerdict,
    /// One line a partition.
    pub partitions: Vec<PartitionWitness>,
}

/// Whether the pause held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum WitnessVerdict {
    /// E(p) ≤ P0(p) for every partition.
    Proven,
    /// E(p) > P0(p) somewhere, with a reading of p from its leader: records would be missing after a restore.
    Violated {
        /// What was seen.
        reason: String,
    },
    /// The positions do not suffice to tell.
    Unproven {
        /// What is missing.
        reason: String,
    },
}

/// One partition's positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionWitness {
    /// The partition.
    pub partition: u32,
    /// P0: highest exported position any reached broker reported after the pause.
    pub exported_at_pause: Option<i64>,
    /// Whether one of those readings came from the partition's leader.
    pub leader_read: bool,
    /// E: exported position inside the runtime backup; -1 for "nothing exported".
    pub exported_in_backup: Option<i64>,
    /// Position of the checkpoint.
    pub checkpoint: Option<i64>,
}

/// Compares what was read after the pause with what the runtime backup contains.
///
/// `last` is the reading after the runtime backup; it decides whether a partition without a snapshot id has
/// really exported nothing.
pub fn judge(
    partition_count: u32,
    first: &Positions,
    last: &Positions,
    runtime: &RuntimeEvidence,
) -> Witness {
    let mut partitions = Vec::new();
    let mut doubts = Vec::new();
    let mut breaches = Vec::new();
    for partition in 1..=partition_count {
        let readings = readings_of(partition, &first.brokers);
        let exported_at_pause = readings.iter().map(|r| r.exported).max();
        let leader_read = readings.iter().any(|r| r.is_leader());
        let part = runtime.partitions.iter().find(|p| p.partition == partition);
        let exported_in_backup = match part.map(|p| p.snapshot.as_deref()) {
            Some(Some(snapshot)) => exported_position(snapshot),
            Some(None) if no_snapshot_yet(partition, last) => Some(-1),
            _ => None,
        };
        match (exported_at_pause, exported_in_backup) {
            (Some(p0), Some(e)) if e <= p0 => {}
            (Some(p0), Some(e)) if leader_read => breaches.push(format!(
                "partition {partition}: {} was exported when the pause began, the runtime backup says {e}",
                nothing_or(p0)
            )),
            (Some(p0), Some(e)) => doubts.push(format!(
                "partition {partition}: the runtime backup says {e}, its followers told {}; its leader was not \
                 reached",
                nothing_or(p0)
            )),
            (None, _) => doubts.push(format!("partition {partition}: no broker that carries it was reached")),
            (_, None) => doubts.push(format!(
                "partition {partition}: the runtime backup does not say up to where it was exported"
            )),
        }
        partitions.push(PartitionWitness {
            partition,
            exported_at_pause,
            leader_read,
            exported_in_backup,
            checkpoint: part.and_then(|p| p.checkpoint),
        });
    }
    let runs_again = |reading: &PartitionReading| reading.is_leader() && !reading.is_paused();
    if !doubts.is_empty() && last.brokers.iter().flat_map(|b| b.partitions.values()).any(runs_again) {
        doubts.push("exporting was running again when the window ended, and not by this run".into());
    }
    if partition_count == 0 {
        doubts.push("the number of partitions is not known".into());
    }
    let verdict = if !breaches.is_empty() {
        WitnessVerdict::Violated { reason: breaches.join("; ") }
    } else if !doubts.is_empty() {
        WitnessVerdict::Unproven { reason: doubts.join("; ") }
    } else {
        WitnessVerdict::Proven
    };
    Witness { verdict, partitions }
}

/// A position for people; before the first acknowledgement the servers say -1.
fn nothing_or(position: i64) -> String {
    if position < 0 { "nothing".into() } else { position.to_string() }
}

/// The exported position in a Zeebe snapshot id, its fourth part: `170-1-22943-1418-0` says 1418. Later versions
/// append more parts, so it is counted from the left.
pub fn exported_position(snapshot_id: &str) -> Option<i64> {
    snapshot_id.split('-').nth(3)?.parse().ok()
}

/// The readings of a partition, one a broker: the same node behind two addresses counts once.
fn readings_of(partition: u32, brokers: &[BrokerReading]) -> Vec<&PartitionReading> {
    let mut seen = BTreeSet::new();
    brokers
        .iter()
        .filter(|b| b.node.is_none_or(|node| seen.insert(node)))
        .filter_map(|b| b.partitions.get(&partition))
        .collect()
}

/// Whether every replica read says that it has no snapshot, and at least one leads.
fn no_snapshot_yet(partition: u32, last: &Positions) -> bool {
    let readings = readings_of(partition, &last.brokers);
    readings.iter().any(|r| r.is_leader()) && readings.iter().all(|r| r.snapshot.is_none())
}

impl WitnessVerdict {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            WitnessVerdict::Proven => "proven",
            WitnessVerdict::Violated { .. } => "violated",
            WitnessVerdict::Unproven { .. } => "unproven",
        }
    }

    /// Why, where there is a why.
    pub fn reason(&self) -> Option<&str> {
        match self {
            WitnessVerdict::Proven => None,
            WitnessVerdict::Violated { reason } | WitnessVerdict::Unproven { reason } => Some(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::facts::RuntimePartition;

    fn replica(role: &str, exported: i64, snapshot: Option<&str>) -> PartitionReading {
        PartitionReading {
            role: role.into(),
            phase: "SOFT_PAUSED".into(),
            exported,
            processed: None,
            snapshot: snapshot.map(Into::into),
        }
    }

    type Broker = (Option<u32>, Vec<(u32, PartitionReading)>);

    fn positions(brokers: Vec<Broker>) -> Positions {
        let brokers = brokers
            .into_iter()
            .map(|(node, partitions)| BrokerReading {
                node,
                address: String::new(),
                unread: None,
                partitions: partitions.into_iter().collect(),
            })
            .collect();
        Positions { at: Timestamp::UNIX_EPOCH, brokers }
    }

    fn runtime(snapshots: &[Option<&str>]) -> RuntimeEvidence {
        let partitions = (1..)
            .zip(snapshots)
            .map(|(partition, snapshot)| RuntimePartition {
                partition,
                state: "COMPLETED".into(),
                failure: None,
                snapshot: snapshot.map(Into::into),
                checkpoint: None,
                broker_version: None,
                created_at: None,
                updated_at: None,
            })
            .collect();
        RuntimeEvidence { state: "COMPLETED".into(), partitions }
    }

    #[test]
    fn the_fourth_part_is_the_exported_position() {
        assert_eq!(exported_position("170-1-22943-1418-0"), Some(1418));
        assert_eq!(exported_position("2-1-3-2"), Some(2));
        assert_eq!(exported_position("1-1-1-2-0-8e5f"), Some(2));
        assert_eq!(exported_position("1-1-1"), None);
        assert_eq!(exported_position(""), None);
    }

    /// The figures of a real 8.6.0 under load, with the pause and without it.
    #[test]
    fn seen_on_a_real_cluster() {
        let first = positions(vec![(
            Some(0),
            vec![(1, replica("LEADER", 1418, None)), (2, replica("LEADER", 1418, None))],
        )]);
        let held = runtime(&[Some("170-1-22943-1418-0"), Some("170-1-22937-1418-0")]);
        assert_eq!(judge(2, &first, &first, &held).verdict, WitnessVerdict::Proven);
        let broken = runtime(&[Some("8048-1-68368-68400-0"), Some("8045-1-68361-1418-0")]);
        assert_eq!(judge(2, &first, &first, &broken).verdict.name(), "violated");
    }

    /// Seen with three brokers: the leader dies inside the window, the new one's position falls back
    /// from 2,291 to 539, and the backup is still good.
    #[test]
    fn a_leader_change_alone_fails_nothing() {
        let first = positions(vec![
            (Some(0), vec![(1, replica("FOLLOWER", 539, None))]),
            (Some(1), vec![(1, replica("LEADER", 2291, None))]),
        ]);
        let last = positions(vec![(Some(0), vec![(1, replica("LEADER", 539, Some("9-2-900-539-0")))])]);
        assert_eq!(
            judge(1, &first, &last, &runtime(&[Some("9-2-900-539-0")])).verdict,
            WitnessVerdict::Proven
        );
    }

    #[test]
    fn followers_alone_can_prove_but_not_accuse() {
        let first = positions(vec![(Some(1), vec![(1, replica("FOLLOWER", 100, None))])]);
        assert_eq!(judge(1, &first, &first, &runtime(&[Some("1-1-1-100-0")])).verdict.name(), "proven");
        assert_eq!(judge(1, &first, &first, &runtime(&[Some("1-1-1-101-0")])).verdict.name(), "unproven");
    }

    #[test]
    fn no_snapshot_means_nothing_exported_only_if_the_broker_agrees() {
        let none = positions(vec![(Some(0), vec![(1, replica("LEADER", -1, None))])]);
        let some = positions(vec![(Some(0), vec![(1, replica("LEADER", 7, Some("1-1-1-7-0")))])]);
        assert_eq!(judge(1, &none, &none, &runtime(&[None])).verdict.name(), "proven");
        assert_eq!(judge(1, &none, &some, &runtime(&[None])).verdict.name(), "unproven");
    }

    #[test]
    fn a_missing_partition_is_a_doubt() {
        let first = positions(vec![(Some(0), vec![(1, replica("LEADER", 5, None))])]);
        let witness = judge(2, &first, &first, &runtime(&[Some("1-1-1-5-0"), Some("1-1-1-5-0")]));
        assert_eq!(witness.verdict.name(), "unproven");
        assert!(witness.verdict.reason().unwrap().contains("partition 2"));
        assert_eq!(judge(0, &first, &first, &runtime(&[])).verdict.name(), "unproven");
    }

    #[test]
    fn one_broker_behind_two_addresses_counts_once() {
        let twice = positions(vec![
            (Some(0), vec![(1, replica("LEADER", 5, None))]),
            (Some(0), vec![(1, replica("LEADER", 900, None))]),
        ]);
        assert_eq!(judge(1, &twice, &twice, &runtime(&[Some("1-1-1-900-0")])).verdict.name(), "violated");
    }
}
