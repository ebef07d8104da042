//! `/actuator/backups` of Operate, Tasklist and Optimize, and `/actuator/backupHistory` (8.8).

use serde_json::{Value, json};

use super::management::message;
use super::runtime::backup_id;
use super::runtime::with_id;
use super::{ACTUATOR, Answer, JSON, PROBLEM, Request, actuator, not_found};
use crate::config::Product;
use crate::host::Host;
use crate::world::World;
use crate::world::apps::{App, Refused};
use crate::world::draw::instance_uuid;
use crate::world::search::{Snapshot, SnapshotState};
use crate::world::timestamp;

/// How long 8.7 and later call a backup with absent parts "in progress" (`incomplete-check-timeout`, default 5 minutes).
const GRACE: i64 = 300_000_000;

/// Answers on the management port of an application of its own.
pub fn answer(world: &mut World, host: Host, request: &Request) -> Answer {
    let app = match host {
        Host::Operate => App::Operate,
        Host::Tasklist => App::Tasklist,
        _ => App::Optimize,
    };
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["actuator", "backups", rest @ ..] => backups(world, app, request, rest),
        ["actuator", rest @ ..] if request.method == "GET" => actuator::answer(world, host, request, rest),
        _ => not_found(world, request),
    }
}

/// Answers under `/actuator/backupHistory`.
pub fn history(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    backups(world, App::History, request, rest)
}

fn backups(world: &mut World, app: App, request: &Request, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("POST", []) => create(world, app, request),
        ("GET", []) => list(world, app),
        ("GET", [id]) => with_id(world, request, id, |world, id| get(world, app, id)),
        ("DELETE", [id]) => with_id(world, request, id, |world, id| {
            if app == App::History && world.parts_found(app, id).is_empty() {
                return fault(world, app, 404, &format!("No backup with id [{id}] found."));
            }
            world.delete_app_backup(app, id);
            Answer::no_content()
        }),
        _ => not_found(world, request),
    }
}

fn content_type(app: App) -> &'static str {
    match app {
        App::Operate | App::Tasklist => JSON,
        App::History | App::Optimize => ACTUATOR,
    }
}

/// An error in the application's own form.
fn fault(world: &World, app: App, status: u16, text: &str) -> Answer {
    match app {
        App::Operate | App::Tasklist => {
            let kind = if status == 404 { "Requested resource not found" } else { "Invalid request" };
            let instance = instance_uuid(world.config.seed, world.answers);
            let body = json!({"status": status, "message": text, "instance": instance, "type": kind});
            Answer::json(status, PROBLEM, &body)
        }
        App::History => message(status, text),
        // Optimize answers with a code, a localised message and a detailed one (its ErrorResponseDto).
        App::Optimize => {
            let code = match status {
                404 => "notFoundError",
                409 => "conflictError",
                _ => "badRequestError",
            };
            let body = json!({"errorCode": code, "errorMessage": text, "detailedMessage": text});
            Answer::json(status, JSON, &body)
        }
    }
}

fn create(world: &mut World, app: App, request: &Request) -> Answer {
    let given: Option<Value> = serde_json::from_slice(&request.body).ok();
    if given.is_some_and(|body| body.is_object() && body["backupId"].is_null()) {
        return fault(world, app, 400, "BackupId must be provided");
    }
    let id = match backup_id(world, request) {
        Ok(id) => id,
        Err(answer) => return answer,
    };
    let Ok(id) = u64::try_from(id) else {
        return fault(
            world,
            app,
            400,
            &format!("BackupId must be a non-negative Integer. Received value: {id}"),
        );
    };
    if trips_over_running(world, app) && is_running(world, app, id) {
        let text =
            format!("Exception occurred when validating whether backup with ID [{id}] already exists.");
        return fault(world, app, 400, &text);
    }
    match world.take_app_backup(app, id) {
        Ok(_) if app == App::Optimize => {
            let text = format!(
                "Backup creation for ID {id} has been scheduled. Use the GET API to monitor completion of backup process"
            );
            Answer::json(202, ACTUATOR, &json!({ "message": text }))
        }
        Ok(parts) => Answer::json(200, content_type(app), &json!({ "scheduledSnapshots": parts })),
        Err(Refused::Busy) => fault(world, app, 400, "Another backup is running at the moment"),
        Err(Refused::Exists(_)) if app == App::Optimize => {
            fault(world, app, 409, &format!("A backup with ID [{id}] already exists."))
        }
        Err(Refused::Exists(found)) => {
            let text =
                format!("A backup with ID [{id}] already exists. Found snapshots: [{}]", found.join(", "));
            fault(world, app, 400, &text)
        }
        Err(Refused::RepositoryMissing(name)) => fault(
            world,
            app,
            repository_status(app),
            &format!("No repository with name [{name}] could be found."),
        ),
    }
}

/// Only 8.8 says 404 when the search server does not know the repository.
fn repository_status(app: App) -> u16 {
    if app == App::History { 404 } else { 400 }
}

/// On OpenSearch Operate of 8.6 cannot read a snapshot that is being taken (fixtures `operate-on-opensearch`).
fn trips_over_running(world: &World, app: App) -> bool {
    let split = matches!(app, App::Operate | App::Tasklist) && world.config.dialect() < (8, 7);
    split && world.config.search == Product::OpenSearch
}

fn is_running(world: &World, app: App, id: u64) -> bool {
    world.parts_found(app, id).iter().any(|(_, snapshot)| snapshot.state == SnapshotState::Running)
}

fn list(world: &World, app: App) -> Answer {
    let ids = world.backups_found(app);
    if trips_over_running(world, app) && ids.iter().any(|id| is_running(world, app, *id)) {
        let why = "No enum constant io.camunda.operate.store.opensearch.response.SnapshotState.IN_PROGRESS";
        return fault(world, app, 400, &format!("Exception occurred when searching for backups: {why}"));
    }
    let all: Vec<Value> = ids.into_iter().rev().map(|id| body(world, app, id, true)).collect();
    Answer::json(200, content_type(app), &Value::Array(all))
}

fn get(world: &World, app: App, id: u64) -> Answer {
    let repository = world.repository_of(app);
    if !world.search.repositories.contains_key(repository) {
        return fault(
            world,
            app,
            repository_status(app),
            &format!("No repository with name [{repository}] could be found."),
        );
    }
    let found = world.parts_found(app, id);
    // What real servers of 8.6.0 were seen to do; later versions answer a plain 404.
    let split = matches!(app, App::Operate | App::Tasklist) && world.config.dialect() < (8, 7);
    let elastic = world.config.search == Product::Elasticsearch;
    if found.is_empty() {
        return match (split, elastic) {
            // Operate and Tasklist trip over their own empty list (fixture `operate/get-missing`).
            (true, true) => fault(world, app, 400, "Index 0 out of bounds for length 0"),
            _ => fault(world, app, 404, &format!("No backup with id [{id}] found.")),
        };
    }
    if trips_over_running(world, app) && is_running(world, app, id) {
        return fault(
            world,
            app,
            400,
            &format!("Exception occurred when searching for backup with ID [{id}]."),
        );
    }
    Answer::json(200, content_type(app), &body(world, app, id, false))
}

fn body(world: &World, app: App, id: u64, listed: bool) -> Value {
    let mut found = world.parts_found(app, id);
    let state = state(world, app, id, &found);
    // Nobody promises an order; the example answer of Tasklist 8.7 begins with the last part (documentation 8.7, "Backup").
    if listed || app == App::Tasklist && world.config.dialect() == (8, 7) {
        found.reverse();
    }
    let failed = found.iter().filter(|(_, snapshot)| snapshot.state == SnapshotState::Partial);
    let reasons: Vec<String> = failed.map(|(name, _)| format!("Snapshot [{name}] is partial.")).collect();
    let reason = if reasons.is_empty() { Value::Null } else { json!(reasons.join(" ")) };
    let details: Vec<Value> =
        found.iter().map(|(name, snapshot)| detail(world, app, name, snapshot)).collect();
    json!({"backupId": id, "state": state, "failureReason": reason, "details": details})
}

fn state(world: &World, app: App, id: u64, found: &[(&String, &Snapshot)]) -> &'static str {
    let any = |state: SnapshotState| found.iter().any(|(_, snapshot)| snapshot.state == state);
    if any(SnapshotState::Partial) {
        "FAILED"
    } else if any(SnapshotState::Running) {
        "IN_PROGRESS"
    } else if found.len() < world.parts_wanted(app, id) {
        // Up to 8.6 and in Optimize there is no grace: the state flashes between two parts (camunda issue 33717).
        let grace = app != App::Optimize && world.config.dialect() >= (8, 7);
        let last = found.iter().filter_map(|(_, snapshot)| snapshot.ended).max().unwrap_or(0);
        if grace && world.at() - last < GRACE { "IN_PROGRESS" } else { "INCOMPLETE" }
    } else {
        "COMPLETED"
    }
}

fn detail(world: &World, app: App, name: &str, snapshot: &Snapshot) -> Value {
    let state = match snapshot.state {
        SnapshotState::Running => "IN_PROGRESS",
        SnapshotState::Success => "SUCCESS",
        SnapshotState::Partial => "PARTIAL",
    };
    let shards: Vec<Value> = snapshot
        .failed
        .iter()
        .map(|index| json!(format!("Shard [0] of index [{index}] failed: primary shard is not allocated")))
        .collect();
    // Operate on OpenSearch says null where it says [] on Elasticsearch (fixture `operate-on-opensearch`).
    let old_opensearch = app == App::Operate && world.config.search == Product::OpenSearch;
    let failures = if shards.is_empty() && old_opensearch { Value::Null } else { Value::Array(shards) };
    let start = timestamp(snapshot.started).strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string();
    json!({"snapshotName": name, "state": state, "startTime": start, "failures": failures})
}
