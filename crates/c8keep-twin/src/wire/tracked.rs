//! `/actuator/backupRuntime/state` of 8.9: the last checkpoint and the last backup of each partition.
//!
//! Fields and codes are those of the page "zeebe-backup-and-restore" of the documentation of 8.9. Without continuous backups no
//! ranges are tracked (camunda issue 47880). With them there is one range from the first backup to the last; holes are not played.

use serde_json::{Value, json};

use super::{ACTUATOR, Answer, Request, not_found};
use crate::world::World;
use crate::world::runtime::{PartitionBackup, State};

/// Answers under `/actuator/backupRuntime/state`.
pub fn answer(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", []) | ("POST", ["sync"]) => Answer::json(200, ACTUATOR, &state(world)),
        ("DELETE", []) => {
            world.runtime.untracked = world.runtime.latest;
            Answer::no_content()
        }
        _ => not_found(world, request),
    }
}

fn state(world: &World) -> Value {
    let ids = world.partition_ids();
    let checkpoints = ids.iter().filter_map(|id| tracked(world, *id, |_| true, false).pop());
    let backups = ids.iter().filter_map(|id| tracked(world, *id, is_saved, true).pop());
    let ranges =
        ids.iter().filter(|_| world.config.own_backups.continuous).filter_map(|id| range(world, *id));
    json!({
        "checkpointStates": with_partition(checkpoints), "backupStates": with_partition(backups),
        "ranges": with_partition(ranges),
    })
}

fn is_saved(part: &PartitionBackup) -> bool {
    part.state == State::Completed
}

fn with_partition(entries: impl Iterator<Item = (u32, Value)>) -> Vec<Value> {
    let told = |(partition, mut entry): (u32, Value)| {
        entry["partitionId"] = json!(partition);
        entry
    };
    entries.map(told).collect()
}

fn range(world: &World, partition: u32) -> Option<(u32, Value)> {
    let saved = tracked(world, partition, is_saved, true);
    let ((_, start), (_, end)) = (saved.first()?, saved.last()?);
    Some((partition, json!({"start": start, "end": end})))
}

/// The checkpoints of a partition whose backups are wanted, the last one last.
fn tracked(
    world: &World,
    partition: u32,
    wanted: impl Fn(&PartitionBackup) -> bool,
    with_log: bool,
) -> Vec<(u32, Value)> {
    let kind = if world.config.own_backups.make_ids() { "SCHEDULED_BACKUP" } else { "MANUAL_BACKUP" };
    let told = |id: &u64, part: &PartitionBackup| {
        let mut entry = json!({
            "checkpointId": id, "checkpointType": kind, "checkpointPosition": part.checkpoint,
            "checkpointTimestamp": crate::world::timestamp(part.accepted).to_string(),
        });
        if with_log {
            entry["firstLogPosition"] = json!(part.log_after.unwrap_or(0) + 1);
        }
        (partition, entry)
    };
    let all = world.runtime.backups.range(world.runtime.untracked + 1..);
    all.filter_map(|(id, parts)| Some(told(id, parts.get(&partition).filter(|part| wanted(part))?))).collect()
}
