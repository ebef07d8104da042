//! `/actuator/backups` (up to 8.7) and `/actuator/backupRuntime` (8.8): runtime backups.
//!
//! What newer versions added is of the page "zeebe-backup-and-restore" of their documentation. 8.8: lists by prefix. 8.9: the id in
//! the answer to a request, ids of the cluster's own, `firstLogPosition` and `brokerId`, `DELETED`, and what is tracked
//! (`wire/tracked.rs`).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::management::message;
use super::{ACTUATOR, Answer, Request, not_found, spring_error, tracked};
use crate::world::World;
use crate::world::draw::draw;
use crate::world::runtime::{COMMAND_MS, PartitionBackup, Refused, State};

/// Texts of the servers' own source (backup API of the broker, `BackupEndpoint` of 8.8).
const NO_STORE: &str = "Cannot process backup requests. No backup store is configured. To use this feature, configure \
                        backup in broker configuration.";
const SCALING: &str =
    "Cannot take backup while scaling is in progress. Please retry after scaling is completed.";
/// That an id is refused here is documented, the text is not.
const OWN_IDS: &str = "A backupId must not be provided when continuous backups, a backup schedule or a checkpoint interval are \
                       configured";

/// What brokers of 8.6.0 say while their store takes connections and answers nothing, and after how long.
const FROZEN: &str = "Request timed out in PT15S";
const FROZEN_MS: u32 = 15_000;

pub fn answer(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    let (since_8_8, since_8_9) = (world.config.unified(), world.config.dialect() >= (8, 9));
    match (request.method.as_str(), rest) {
        ("POST", []) => create(world, request),
        _ if world.config.store.is_none() => message(400, NO_STORE),
        ("GET", _) if world.faults.store_frozen => message(504, FROZEN).after(world, FROZEN_MS),
        ("GET", []) => list(world, ""),
        (_, ["state", rest @ ..]) if since_8_9 => tracked::answer(world, request, rest),
        ("GET", [id]) if since_8_8 && id.ends_with('*') => match id.trim_end_matches('*') {
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => list(world, digits),
            _ => spring_error(world, 400, "Bad Request", &request.path),
        },
        ("GET", [id]) => with_id(world, request, id, |world, id| match backup(world, id, true) {
            Some(body) => Answer::json(200, ACTUATOR, &body),
            None => message(404, &format!("Backup with id {id} does not exist")),
        }),
        ("DELETE", [id]) => with_id(world, request, id, |world, id| {
            world.delete_runtime_backup(id);
            Answer::no_content()
        }),
        _ => not_found(world, request),
    }
}

/// All backups, or those whose ids begin like this; the newest first.
fn list(world: &World, prefix: &str) -> Answer {
    let ids = world.runtime.backups.keys().rev().filter(|id| id.to_string().starts_with(prefix));
    Answer::json(200, ACTUATOR, &Value::Array(ids.filter_map(|id| backup(world, *id, false)).collect()))
}

/// An id in a path; what is no number, Spring itself refuses. The applications answer alike.
pub(super) fn with_id(
    world: &mut World,
    request: &Request,
    id: &str,
    act: impl FnOnce(&mut World, u64) -> Answer,
) -> Answer {
    match id.parse() {
        Ok(id) => act(world, id),
        Err(_) => spring_error(world, 400, "Bad Request", &request.path),
    }
}

/// The id of a request body: `Err` is what Spring itself answers when there is none.
pub(crate) fn backup_id(world: &World, request: &Request) -> Result<i64, Answer> {
    let bad = || spring_error(world, 400, "Bad Request", &request.path);
    let body: Value = serde_json::from_slice(&request.body).map_err(|_| bad())?;
    match &body["backupId"] {
        Value::Number(number) => number.as_i64().ok_or_else(bad),
        Value::String(text) => text.parse().map_err(|_| bad()),
        _ => Err(bad()),
    }
}

/// The id under which a backup is taken: the one that was asked for, or one of the cluster's own.
fn id_to_take(world: &World, request: &Request) -> Result<u64, Answer> {
    if world.config.dialect() >= (8, 9) && world.config.own_backups.make_ids() {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let given = !body["backupId"].is_null();
        return if given { Err(message(400, OWN_IDS)) } else { Ok(world.own_runtime_id()) };
    }
    let id = backup_id(world, request)?;
    let positive = u64::try_from(id).ok().filter(|id| *id > 0);
    positive.ok_or_else(|| message(400, "A backupId must be provided and it must be > 0"))
}

fn create(world: &mut World, request: &Request) -> Answer {
    let id = match id_to_take(world, request) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    match world.take_runtime_backup(id) {
        Ok(()) => {
            // The path in the text is the old one in 8.8 and 8.9, too.
            let text = format!(
                "A backup with id {id} has been scheduled. Use GET actuator/backups/{id} to monitor the status."
            );
            let mut body = json!({ "message": text });
            if world.config.dialect() >= (8, 9) {
                body["backupId"] = json!(id);
            }
            Answer::json(202, ACTUATOR, &body).after(world, COMMAND_MS)
        }
        Err(Refused::Scaling) => message(409, SCALING),
        Err(Refused::NoStore) => message(400, NO_STORE),
        Err(Refused::NoLeader { partition }) => message(
            502,
            &format!("Expected to send a request to the leader of partition {partition}, but it has none."),
        ),
        Err(Refused::IdNotAbove { latest }) => message(
            409,
            &format!(
                "Requested backup has id {id}. The latest backup has id {latest}. Id of new backups must be higher \
                 than the previous one. "
            ),
        ),
    }
}

/// One backup as the status shows it, or none if no partition has it. Lists carry fewer fields.
fn backup(world: &World, id: u64, whole: bool) -> Option<Value> {
    let shown = world.shown_parts(id);
    if shown.is_empty() {
        return None;
    }
    let mut details: Vec<Value> = world
        .partition_ids()
        .into_iter()
        .filter(|partition| !world.faults.partitions_left_out.contains(partition))
        .map(|partition| match shown.get(&partition) {
            Some(part) => detail(world, id, partition, part, whole),
            None => json!({"partitionId": partition, "state": "DOES_NOT_EXIST"}),
        })
        .collect();
    // The real answer has no fixed order either.
    let turn = usize::try_from(id % details.len().max(1) as u64).unwrap_or(0);
    details.rotate_left(turn);
    let mut body = Map::new();
    body.insert("backupId".to_owned(), json!(id));
    body.insert("state".to_owned(), json!(state(&shown, details.len())));
    let reasons = failures(&shown);
    if !reasons.is_empty() {
        body.insert("failureReason".to_owned(), json!(reasons));
    }
    body.insert("details".to_owned(), Value::Array(details));
    Some(Value::Object(body))
}

/// The aggregation of the servers: failed, deleted (from 8.9 on), incomplete, in progress, completed, in this order.
fn state(shown: &BTreeMap<u32, &PartitionBackup>, partitions: usize) -> &'static str {
    if shown.values().any(|part| matches!(part.state, State::Failed(_))) {
        "FAILED"
    } else if shown.values().any(|part| part.state == State::Deleted) {
        "DELETED"
    } else if shown.len() < partitions || shown.values().any(|part| part.state == State::Pending) {
        "INCOMPLETE"
    } else if shown.values().any(|part| part.state == State::InProgress) {
        "IN_PROGRESS"
    } else {
        "COMPLETED"
    }
}

fn failures(shown: &BTreeMap<u32, &PartitionBackup>) -> String {
    let reason = |(id, part): (&u32, &&PartitionBackup)| match &part.state {
        State::Failed(reason) => Some(format!("Backup on partition {id} failed due to {reason}. ")),
        _ => None,
    };
    shown.iter().filter_map(reason).collect()
}

fn detail(world: &World, backup: u64, partition: u32, part: &PartitionBackup, whole: bool) -> Value {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    put("partitionId", json!(partition));
    let version = json!(world.config.version);
    let state = match &part.state {
        State::Pending => "DOES_NOT_EXIST",
        State::InProgress => "IN_PROGRESS",
        State::Completed => "COMPLETED",
        State::Deleted => "DELETED",
        State::Failed(reason) => {
            put("failureReason", json!(reason));
            "FAILED"
        }
    };
    put("state", json!(state));
    put("createdAt", json!(nanos(world, part.created, backup, partition)));
    if !matches!(part.state, State::Failed(_)) {
        put("brokerVersion", version);
        if whole {
            put("checkpointPosition", json!(part.checkpoint));
        }
    }
    if whole && world.config.dialect() >= (8, 9) {
        put("brokerId", json!(world.partitions.get(&partition).and_then(|partition| partition.leader)));
        if let Some(before) = part.log_after {
            put("firstLogPosition", json!(before + 1));
        }
    }
    if whole {
        put("lastUpdatedAt", json!(nanos(world, part.updated, backup, partition)));
        if let Some(snapshot) = &part.snapshot {
            put("snapshotId", json!(snapshot.id()));
        }
    }
    Value::Object(body)
}

/// Java's instants have nine digits.
fn nanos(world: &World, at: i64, backup: u64, partition: u32) -> String {
    let extra = draw(world.config.seed, "nanos", backup ^ u64::from(partition)) % 1_000;
    format!("{}{extra:03}Z", crate::world::timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.%6f"))
}
