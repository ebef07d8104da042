//! The snapshot API of both search products, with the differences that real servers showed.

use serde_json::{Map, Value, json};

use super::search::{error, index_missing, no_handler, node_id, reply};
use super::{Answer, Request};
use crate::config::Product;
use crate::world::search::{CreateFault, Order, Repository, Snapshot, SnapshotState, any_matches};
use crate::world::{World, timestamp};

/// Below `/_snapshot`.
pub fn answer(world: &mut World, request: &Request, rest: &[&str]) -> Answer {
    match (request.method.as_str(), rest) {
        ("GET", [] | ["_all" | "*"]) => repositories(world, "*"),
        ("GET", ["_status"]) => status(world, "*", None),
        ("GET", [repository, "_status"]) => status(world, repository, None),
        ("GET", [repository]) => repositories(world, repository),
        ("PUT" | "POST", [repository]) => register(world, repository, request),
        ("DELETE", [repository]) => unregister(world, repository),
        ("POST", [repository, "_verify"]) => verify(world, repository),
        ("GET", [repository, names, "_status"]) => status(world, repository, Some(names)),
        ("GET", [repository, names]) => get(world, repository, names, request),
        ("PUT" | "POST", [repository, name]) => create(world, repository, name, request),
        ("DELETE", [repository, names]) => delete(world, repository, names),
        (method, [_, _, "_status"]) => {
            let text = format!(
                "Incorrect HTTP method for uri [{}] and method [{method}], allowed: [GET]",
                request.path
            );
            reply(world, 405, &json!({"error": text, "status": 405}))
        }
        _ => no_handler(world, request),
    }
}

fn repository_missing(world: &World, name: &str) -> Answer {
    error(world, 404, "repository_missing_exception", &format!("[{name}] missing"))
}

fn snapshot_missing(world: &World, repository: &str, name: &str) -> Answer {
    error(world, 404, "snapshot_missing_exception", &format!("[{repository}:{name}] is missing"))
}

fn repositories(world: &World, pattern: &str) -> Answer {
    let chosen = world.search.repositories.iter().filter(|(name, _)| any_matches(&[pattern], name));
    let body: Map<String, Value> =
        chosen.map(|(name, r)| (name.clone(), json!({"type": r.kind, "settings": r.settings}))).collect();
    if body.is_empty() && !pattern.contains('*') {
        return repository_missing(world, pattern);
    }
    reply(world, 200, &Value::Object(body))
}

fn register(world: &mut World, name: &str, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let Some(kind) = body["type"].as_str() else {
        let reason = "Validation Failed: 1: type is missing;";
        return error(world, 400, "action_request_validation_exception", reason);
    };
    if kind != "fs" {
        let reason = format!("[{name}] repository type [{kind}] does not exist");
        return error(world, 500, "repository_exception", &reason);
    }
    let (kind, settings) = (kind.to_owned(), body["settings"].clone());
    let fresh = Repository {
        kind: kind.clone(),
        settings: settings.clone(),
        snapshots: std::collections::BTreeMap::new(),
    };
    // Snapshots live in the storage: registering again finds them.
    let known = world.search.repositories.entry(name.to_owned()).or_insert(fresh);
    known.kind = kind;
    known.settings = settings;
    reply(world, 200, &json!({"acknowledged": true}))
}

fn verify(world: &World, name: &str) -> Answer {
    if world.search.repositories.contains_key(name) {
        reply(world, 200, &json!({"nodes": {node_id(world): {"name": "twin-search-1"}}}))
    } else {
        repository_missing(world, name)
    }
}

fn unregister(world: &mut World, name: &str) -> Answer {
    match world.search.repositories.remove(name) {
        Some(_) => reply(world, 200, &json!({"acknowledged": true})),
        None => repository_missing(world, name),
    }
}

fn create(world: &mut World, repository: &str, name: &str, request: &Request) -> Answer {
    const KNOWN: &[&str] =
        &["wait_for_completion", "master_timeout", "pretty", "human", "error_trace", "filter_path"];
    let opensearch = world.config.search == Product::OpenSearch;
    let known =
        |name: &String| KNOWN.contains(&name.as_str()) || (opensearch && name == "cluster_manager_timeout");
    if let Some(unknown) = request.query.keys().find(|name| !known(name)) {
        let reason = format!("request [{}] contains unrecognized parameter: [{unknown}]", request.path);
        return error(world, 400, "illegal_argument_exception", &reason);
    }
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
        let path = format!("/_snapshot/{repository}/{name}?twin_created=true");
        answer.then = Some(Box::new(Request::get(&path)));
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
    let all: Vec<Value> =
        chosen.iter().map(|(name, s)| snapshot(world, repository, name, s, brief)).collect();
    if request.query.contains_key("twin_created") {
        return reply(world, 200, &json!({"snapshot": all.first()}));
    }
    let body = match world.config.search {
        Product::Elasticsearch => json!({"snapshots": all, "total": chosen.len(), "remaining": 0}),
        Product::OpenSearch => json!({ "snapshots": all }),
    };
    reply(world, 200, &body)
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
    let state = match of.state {
        SnapshotState::Running => "IN_PROGRESS",
        SnapshotState::Success => "SUCCESS",
        SnapshotState::Partial => "PARTIAL",
    };
    let mut body = json!({
        "snapshot": name, "uuid": of.uuid, "indices": indices, "data_streams": [], "state": state,
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

/// One entry of `_status`. For a finished PARTIAL one Elasticsearch says SUCCESS (real-server fixture `status-partial`).
fn progress(world: &World, repository: &str, name: &str, of: &Snapshot) -> Value {
    let running = of.state == SnapshotState::Running;
    let state = match of.state {
        SnapshotState::Running => "STARTED",
        SnapshotState::Partial if world.config.search == Product::OpenSearch => "PARTIAL",
        _ => "SUCCESS",
    };
    let mut indices = Map::new();
    let mut sum = Shards::default();
    for (index, copy) in &of.indices {
        let failed = of.failed.contains(index);
        let done = !failed && (copy.copied.is_some() || !running);
        let docs = copy.copied.as_ref().map_or(0, |(_, docs)| *docs);
        let one = Shards {
            started: u64::from(!done && !failed),
            done: u64::from(done),
            failed: u64::from(failed),
            files: if failed { 0 } else { 4 },
            bytes: if failed { 0 } else { 20_000 + docs * 64 },
            files_done: if done { 4 } else { 1 },
        };
        let phase = if failed {
            "FAILURE"
        } else if done {
            "DONE"
        } else {
            "STARTED"
        };
        let mut shard = json!({"stage": phase, "stats": one.stats(of, running)});
        if failed {
            shard["reason"] = json!("primary shard is not allocated");
        } else if running {
            shard["node"] = json!(node_id(world));
        }
        let body = json!({
            "shards_stats": one.counts(), "stats": one.stats(of, running), "shards": {"0": shard},
        });
        indices.insert(index.clone(), body);
        sum.add(&one);
    }
    let mut totals = sum.stats(of, running);
    let until = of.ended.unwrap_or(world.at());
    totals["time_in_millis"] = json!((until - of.started) / 1000);
    json!({
        "snapshot": name, "repository": repository, "uuid": of.uuid, "state": state,
        "include_global_state": of.global_state, "shards_stats": sum.counts(), "stats": totals, "indices": indices,
    })
}

#[derive(Default)]
struct Shards {
    started: u64,
    done: u64,
    failed: u64,
    files: u64,
    bytes: u64,
    files_done: u64,
}

impl Shards {
    fn add(&mut self, other: &Self) {
        self.started += other.started;
        self.done += other.done;
        self.failed += other.failed;
        self.files += other.files;
        self.bytes += other.bytes;
        self.files_done += other.files_done;
    }

    fn counts(&self) -> Value {
        json!({
            "initializing": 0, "started": self.started, "finalizing": 0, "done": self.done, "failed": self.failed,
            "total": self.started + self.done + self.failed,
        })
    }

    fn stats(&self, of: &Snapshot, running: bool) -> Value {
        let total = json!({"file_count": self.files, "size_in_bytes": self.bytes});
        let mut stats = json!({
            "incremental": total, "total": total, "start_time_in_millis": of.started / 1000, "time_in_millis": 0,
        });
        if running {
            let bytes = self.bytes * self.files_done / self.files.max(1);
            stats["processed"] = json!({"file_count": self.files_done, "size_in_bytes": bytes});
        }
        stats
    }
}
