//! The snapshot API of both search products, with the differences that real servers showed.

use serde_json::{Value, json};

use super::parameters::{Call, refuse};
use super::progress::progress;
use super::repositories::{register, repositories, repository_missing, unregister, verify};
use super::search::{error, index_missing, no_handler, reply};
use super::{Answer, Request};
use crate::config::Product;
use crate::world::draw::uuid;
use crate::world::search::{CreateFault, Order, Snapshot, SnapshotState, any_matches};
use crate::world::{World, timestamp};

/// Marks the request that gives the late answer of a create that waits; no client sends it.
const CREATED: &str = "\u{0}created";

/// Below `/_snapshot`.
pub fn answer(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    let Some(call) = call(request, rest) else { return unrouted(world, request, rest) };
    if let Some(refused) = refuse(world, request, call) {
        return refused;
    }
    let first = rest.first().copied().unwrap_or("*");
    let second = rest.get(1).copied().unwrap_or_default();
    match call {
        Call::GetRepository if matches!(first, "_all" | "*") => repositories(world, "*"),
        Call::GetRepository => repositories(world, first),
        Call::PutRepository => register(world, first, request),
        Call::DeleteRepository => unregister(world, first),
        Call::Verify => verify(world, first),
        Call::Create => create(world, first, second, request),
        Call::Get => get(world, first, second, request),
        Call::Delete => delete(world, first, second),
        Call::Status => match rest {
            ["_status"] => status(world, "*", None),
            [repository, "_status"] => status(world, repository, None),
            _ => status(world, first, Some(second)),
        },
    }
}

fn call(request: &Request, rest: &[&str]) -> Option<Call> {
    Some(match (request.method.as_str(), rest) {
        ("GET", ["_status"] | [_, "_status"] | [_, _, "_status"]) => Call::Status,
        ("GET", [] | [_]) => Call::GetRepository,
        ("PUT" | "POST", [_]) => Call::PutRepository,
        ("DELETE", [_]) => Call::DeleteRepository,
        ("POST", [_, "_verify"]) => Call::Verify,
        ("GET", [_, _]) => Call::Get,
        ("PUT" | "POST", [_, _]) => Call::Create,
        ("DELETE", [_, _]) => Call::Delete,
        _ => return None,
    })
}

fn unrouted(world: &World, request: &Request, rest: &[&str]) -> Answer {
    if !matches!(rest, [_, _, "_status"]) {
        return no_handler(world, request);
    }
    let Request { method, path, .. } = request;
    let text = format!("Incorrect HTTP method for uri [{path}] and method [{method}], allowed: [GET]");
    reply(world, 405, &json!({"error": text, "status": 405}))
}

fn snapshot_missing(world: &World, repository: &str, name: &str) -> Answer {
    error(world, 404, "snapshot_missing_exception", &format!("[{repository}:{name}] is missing"))
}

fn create(world: &mut World, repository: &str, name: &str, request: &Request) -> Answer {
    let opensearch = world.config.search == Product::OpenSearch;
    if !world.search.repositories.contains_key(repository) {
        return repository_missing(world, repository);
    }
    if let Some(flaw) = flaw(name) {
        let reason = format!("[{repository}:{name}] Invalid snapshot name [{name}], {flaw}");
        return error(world, 400, "invalid_snapshot_name_exception", &reason);
    }
    let body: Value = if request.body.is_empty() {
        json!({})
    } else if let Ok(body) = serde_json::from_slice(&request.body) {
        body
    } else {
        let kind = if opensearch { "json_e_o_f_exception" } else { "x_content_parse_exception" };
        return error(world, 400, kind, "Unexpected end-of-input within/between Object entries");
    };
    let features = names(&body["feature_states"]);
    if !opensearch && features.len() > 1 && features.iter().any(|feature| feature == "none") {
        let reason = format!(
            "the feature_states value [none] indicates that no feature states should be snapshotted, but other \
             feature states were requested: [{}]",
            features.join(", ")
        );
        return error(world, 400, "illegal_argument_exception", &reason);
    }
    let order = Order {
        patterns: names(&body["indices"]),
        global_state: body["include_global_state"].as_bool().unwrap_or(true),
        metadata: Some(body["metadata"].clone()).filter(|metadata| !metadata.is_null()),
    };
    let takes = world.config.durations.records;
    match world.create_snapshot(repository, name, order, takes) {
        Ok(()) => accepted(world, repository, name, request.flag("wait_for_completion")),
        Err(fault) => refused(world, repository, name, &fault),
    }
}

/// Without a clock to wait by, a create that waits is answered like one that does not.
fn accepted(world: &World, repository: &str, name: &str, wait: bool) -> Answer {
    let mut answer = reply(world, 200, &json!({"accepted": true}));
    if wait {
        let until = world.config.durations.records + 1;
        answer = answer.after(world, until);
        let mut then = Request::get(&format!("/_snapshot/{repository}/{name}"));
        then.headers.insert(CREATED.to_owned(), "true".to_owned());
        answer.then = Some(Box::new(then));
    }
    answer
}

fn refused(world: &World, repository: &str, name: &str, fault: &CreateFault) -> Answer {
    match fault {
        CreateFault::RepositoryMissing => repository_missing(world, repository),
        CreateFault::RepositoryReadonly => {
            let reason = format!("[{repository}] cannot create snapshot in a readonly repository");
            error(world, 500, "repository_exception", &reason)
        }
        CreateFault::NameInUse { running } => {
            let kind = match world.config.search {
                Product::Elasticsearch => "snapshot_name_already_in_use_exception",
                Product::OpenSearch => "invalid_snapshot_name_exception",
            };
            let state = if *running { "is already in-progress" } else { "already exists" };
            let reason = format!(
                "[{repository}:{name}] Invalid snapshot name [{name}], snapshot with the same name {state}"
            );
            error(world, 400, kind, &reason)
        }
        CreateFault::IndexMissing(index) => index_missing(world, index),
    }
}

fn flaw(name: &str) -> Option<&'static str> {
    if name.chars().any(char::is_whitespace) {
        Some("must not contain whitespace")
    } else if name.contains('#') {
        Some("must not contain '#'")
    } else if name.starts_with('_') {
        Some("must not start with '_'")
    } else if name.chars().any(char::is_uppercase) {
        Some("must be lowercase")
    } else {
        None
    }
}

/// `indices` is a comma list or an array; nothing means everything.
fn names(indices: &Value) -> Vec<String> {
    let list: Vec<&str> = match indices {
        Value::String(text) => text.split(',').collect(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    list.into_iter().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

fn get(world: &World, repository: &str, wanted: &str, request: &Request) -> Answer {
    if !world.search.repositories.contains_key(repository) {
        return repository_missing(world, repository);
    }
    let chosen = match choose(world, repository, wanted, request.flag("ignore_unavailable")) {
        Ok(chosen) => chosen,
        Err(missing) => return snapshot_missing(world, repository, &missing),
    };
    let brief = request.query.get("verbose").is_some_and(|value| value == "false");
    let mut all: Vec<Value> =
        chosen.iter().map(|(name, s)| snapshot(world, repository, name, s, brief)).collect();
    adjust(request, &chosen, &mut all);
    if request.headers.contains_key(CREATED) {
        return reply(world, 200, &json!({"snapshot": all.first()}));
    }
    let body = match world.config.search {
        Product::Elasticsearch => {
            let remaining = chosen.len() - all.len();
            let mut body = json!({"snapshots": all, "total": chosen.len(), "remaining": remaining});
            if remaining > 0 {
                body["next"] = json!(uuid(world.config.seed, wanted, remaining as u64));
            }
            body
        }
        Product::OpenSearch => json!({ "snapshots": all }),
    };
    reply(world, 200, &body)
}

/// What only Elasticsearch knows: `include_repository`, `index_details`, `order`, `size`.
fn adjust(request: &Request, chosen: &Chosen<'_>, all: &mut Vec<Value>) {
    let asks = |name: &str, value: &str| request.query.get(name).is_some_and(|given| given == value);
    for (body, (_, of)) in all.iter_mut().zip(chosen) {
        let Value::Object(body) = body else { continue };
        if asks("include_repository", "false") {
            body.remove("repository");
        }
        if asks("index_details", "true") {
            let detail = |index: &String| {
                let docs = of.indices[index].copied.as_ref().map_or(0, |(_, docs)| *docs);
                let bytes = 20_000 + docs * 64;
                (
                    index.clone(),
                    json!({"shard_count": 1, "size_in_bytes": bytes, "max_segments_per_shard": 1}),
                )
            };
            body.insert("index_details".to_owned(), Value::Object(of.indices.keys().map(detail).collect()));
        }
    }
    if asks("order", "desc") {
        all.reverse();
    }
    if let Some(size) = request.query.get("size").and_then(|size| size.parse().ok()) {
        all.truncate(size);
    }
}

/// `GET /_cat/snapshots/{repository}`, as JSON only.
pub(crate) fn cat(world: &World, repository: &str, request: &Request) -> Answer {
    if !world.search.repositories.contains_key(repository) {
        return repository_missing(world, repository);
    }
    if request.query.get("format").is_none_or(|format| format != "json") {
        return no_handler(world, request);
    }
    let row = |(name, of): (&String, &Snapshot)| {
        let (total, failed) = (of.indices.len(), of.failed.len());
        let ended = of.ended.unwrap_or(0);
        let clock = |at: i64| timestamp(at).strftime("%H:%M:%S").to_string();
        let mut row = json!({
            "id": name, "status": state(of), "start_epoch": (of.started / 1_000_000).to_string(),
            "start_time": clock(of.started), "end_epoch": (ended / 1_000_000).to_string(), "end_time": clock(ended),
            "duration": format!("{}ms", of.ended.map_or(0, |ended| (ended - of.started) / 1000)),
            "indices": total.to_string(), "successful_shards": (total - failed).to_string(),
            "failed_shards": failed.to_string(), "total_shards": total.to_string(),
        });
        if world.config.search == Product::Elasticsearch {
            row["repository"] = json!(repository);
        }
        row
    };
    let rows: Vec<Value> = world.search.snapshots(repository).into_iter().map(row).collect();
    reply(world, 200, &Value::Array(rows))
}

fn state(of: &Snapshot) -> &'static str {
    match of.state {
        SnapshotState::Running => "IN_PROGRESS",
        SnapshotState::Success => "SUCCESS",
        SnapshotState::Partial => "PARTIAL",
    }
}

type Chosen<'a> = Vec<(&'a String, &'a Snapshot)>;

/// The snapshots that a list of names and wildcards selects, or the name that is missing.
fn choose<'a>(world: &'a World, repository: &str, wanted: &str, lenient: bool) -> Result<Chosen<'a>, String> {
    let all = world.search.snapshots(repository);
    if wanted == "_current" {
        return Ok(all.into_iter().filter(|(_, s)| s.state == SnapshotState::Running).collect());
    }
    let patterns: Vec<&str> = wanted.split(',').collect();
    if !lenient {
        let strict = world.config.search == Product::OpenSearch;
        for pattern in patterns.iter().filter(|pattern| !matches!(**pattern, "_all" | "*")) {
            let absent = !all.iter().any(|(name, _)| any_matches(&[pattern], name));
            if absent && (strict || !pattern.contains('*')) {
                return Err((*pattern).to_owned());
            }
        }
    }
    Ok(all.into_iter().filter(|(name, _)| any_matches(&patterns, name)).collect())
}

fn delete(world: &mut World, repository: &str, wanted: &str) -> Answer {
    if !world.search.repositories.contains_key(repository) {
        return repository_missing(world, repository);
    }
    let all = world.search.snapshots(repository);
    let patterns: Vec<&str> = wanted.split(',').collect();
    let absent =
        |pattern: &&&str| !pattern.contains('*') && !all.iter().any(|(name, _)| name.as_str() == **pattern);
    if let Some(missing) = patterns.iter().find(absent) {
        return snapshot_missing(world, repository, missing);
    }
    let chosen: Vec<String> =
        all.iter().map(|(name, _)| (*name).clone()).filter(|name| any_matches(&patterns, name)).collect();
    for name in chosen {
        world.search.delete(repository, &name);
    }
    reply(world, 200, &json!({"acknowledged": true}))
}

fn status(world: &World, repository: &str, wanted: Option<&str>) -> Answer {
    let repositories: Vec<&String> =
        world.search.repositories.keys().filter(|name| any_matches(&[repository], name)).collect();
    if repositories.is_empty() && !repository.contains('*') {
        return repository_missing(world, repository);
    }
    let mut all = Vec::new();
    for name in repositories {
        match choose(world, name, wanted.unwrap_or("_current"), false) {
            Ok(chosen) => {
                all.extend(chosen.into_iter().map(|(snapshot, s)| progress(world, name, snapshot, s)));
            }
            Err(missing) => return snapshot_missing(world, name, &missing),
        }
    }
    reply(world, 200, &json!({ "snapshots": all }))
}

fn instant(at: i64) -> String {
    timestamp(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// One entry of `GET /_snapshot/{repository}/{names}`.
fn snapshot(world: &World, repository: &str, name: &str, of: &Snapshot, brief: bool) -> Value {
    let elastic = world.config.search == Product::Elasticsearch;
    let running = of.state == SnapshotState::Running;
    let indices: Vec<&String> = of.indices.keys().collect();
    let mut body = json!({
        "snapshot": name, "uuid": of.uuid, "indices": indices, "data_streams": [], "state": state(of),
    });
    if elastic {
        body["repository"] = json!(repository);
    }
    if brief {
        return body;
    }
    let (total, failed) = (of.indices.len(), of.failed.len());
    // OpenSearch counts no shards before the end.
    let total_shown = if running && !elastic { 0 } else { total };
    let successful = if running { 0 } else { total - failed };
    let ended = of.ended.unwrap_or(0);
    let failures: Vec<Value> = of.failed.iter().map(|index| failure(world, index)).collect();
    let more = json!({
        "include_global_state": of.global_state, "start_time": instant(of.started),
        "start_time_in_millis": of.started / 1000, "end_time": instant(ended), "end_time_in_millis": ended / 1000,
        "duration_in_millis": of.ended.map_or(0, |ended| (ended - of.started) / 1000), "failures": failures,
        "shards": {"total": total_shown, "failed": failed, "successful": successful},
    });
    let product = if elastic {
        json!({"version_id": 8_518_000, "version": "8.16.0-8.16.6", "feature_states": []})
    } else {
        json!({"version_id": 136_407_927, "version": "2.19.1", "remote_store_index_shallow_copy": false})
    };
    if let (Value::Object(body), Value::Object(more), Value::Object(product)) = (&mut body, more, product) {
        body.extend(more);
        body.extend(product);
        if let Some(metadata) = &of.metadata {
            body.insert("metadata".to_owned(), metadata.clone());
        }
    }
    body
}

fn failure(world: &World, index: &str) -> Value {
    let index_uuid = crate::world::draw::uuid(world.config.seed, index, 0);
    json!({
        "index": index, "index_uuid": index_uuid, "shard_id": 0, "reason": "primary shard is not allocated",
        "status": "INTERNAL_SERVER_ERROR",
    })
}
