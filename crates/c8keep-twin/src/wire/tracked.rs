//! `/actuator/backupRuntime/state` of 8.9: the last checkpoint and the last backup of each partition.
//!
//! Fields and codes are those of the page "zeebe-backup-and-restore" of the documentation of 8.9. Without continuous backups no
//! ranges are tracked (camunda issue 47880), and a cluster with them takes no id from outside.

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
    let checkpoints = world.partition_ids().into_iter().filter_map(|id| entry(world, id, |_| true, false));
    let saved = |part: &PartitionBackup| part.state == State::Completed;
    let backups = world.partition_ids().into_iter().filter_map(|id| entry(world, id, saved, true));
    json!({
        "checkpointStates": checkpoints.collect::<Vec<_>>(), "backupStates": backups.collect::<Vec<_>>(), "ranges": [],
    })
}

/// The last checkpoint of a partition whose backup is wanted.
fn entry(
    world: &World,
    partition: u32,
    wanted: impl Fn(&PartitionBackup) -> bool,
    with_log: bool,
) -> Option<Value> {
    let mut tracked = world.runtime.backups.range(world.runtime.untracked + 1..).rev();
    let (id, part) =
        tracked.find_map(|(id, parts)| Some((id, parts.get(&partition).filter(|part| wanted(part))?)))?;
    let kind = if world.config.own_backups.make_ids() { "SCHEDULED_BACKUP" } else { "MANUAL_BACKUP" };
    let mut entry = json!({
        "checkpointId": id, "partitionId": partition, "checkpointType": kind, "checkpointPosition": part.checkpoint,
        "checkpointTimestamp": crate::world::timestamp(part.accepted).to_string(),
    });
    if with_log {
        entry["firstLogPosition"] = json!(part.log_after.unwrap_or(0) + 1);
    }
    Some(entry)
}
