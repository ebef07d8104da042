//! Elasticsearch and OpenSearch: root, health, indices; snapshots are in [`super::snapshots`].

use serde_json::{Map, Value, json};

use super::{Answer, JSON, Request, snapshots};
use crate::config::Product;
use crate::world::World;
use crate::world::draw::uuid;
use crate::world::search::any_matches;

const ELASTIC: &str = "8.16.6";
const OPEN: &str = "2.19.1";

pub fn answer(world: &mut World, request: &Request) -> Answer {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (request.method.as_str(), path.as_slice()) {
        ("GET", []) => reply(world, 200, &root(world)),
        ("GET", ["_cluster", "health"]) => reply(world, 200, &health(world)),
        ("GET", ["_nodes", "_local"]) => nodes(world, request),
        ("GET", ["_cat", "indices"]) => cat(world, request, "*"),
        ("GET", ["_cat", "indices", pattern]) => cat(world, request, pattern),
        ("GET" | "POST", ["_count"]) => count(world, request, "*"),
        ("GET" | "POST", [pattern, "_count"]) => count(world, request, pattern),
        ("GET", ["_cat", "snapshots", repository]) => snapshots::cat(world, repository, request),
        ("POST", [pattern, "_flush"]) => {
            let patterns = patterns(pattern);
            let shards = world.indices().keys().filter(|name| any_matches(&patterns, name)).count();
            reply(world, 200, &json!({"_shards": {"total": shards, "successful": shards, "failed": 0}}))
        }
        (_, ["_snapshot", rest @ ..]) => snapshots::answer(world, request, rest),
        ("GET", [name]) if name.starts_with('_') => {
            let reason = format!("Invalid index name [{name}], must not start with '_'.");
            let more = json!({"index_uuid": "_na_", "index": name});
            error_with(world, 400, "invalid_index_name_exception", &reason, &more)
        }
        _ => no_handler(world, request),
    }
}

/// Every answer of Elasticsearch says so in a header; clients refuse servers that do not.
pub(crate) fn reply(world: &World, status: u16, body: &Value) -> Answer {
    match world.config.search {
        Product::Elasticsearch => {
            let mut answer = Answer::json(status, JSON, body);
            answer.headers.insert("x-elastic-product".to_owned(), "Elasticsearch".to_owned());
            answer
        }
        Product::OpenSearch => Answer::json(status, "application/json; charset=UTF-8", body),
    }
}

pub(crate) fn error(world: &World, status: u16, kind: &str, reason: &str) -> Answer {
    error_with(world, status, kind, reason, &json!({}))
}

pub(crate) fn error_with(world: &World, status: u16, kind: &str, reason: &str, more: &Value) -> Answer {
    let mut cause = more.as_object().cloned().unwrap_or_default();
    cause.insert("type".to_owned(), json!(kind));
    cause.insert("reason".to_owned(), json!(reason));
    let mut error = cause.clone();
    error.insert("root_cause".to_owned(), json!([cause]));
    reply(world, status, &json!({"error": error, "status": status}))
}

pub(crate) fn no_handler(world: &World, request: &Request) -> Answer {
    let text = format!("no handler found for uri [{}] and method [{}]", request.path, request.method);
    reply(world, 400, &json!({ "error": text }))
}

pub(crate) fn node_id(world: &World) -> String {
    uuid(world.config.seed, "node", 1)
}

pub(crate) fn index_missing(world: &World, index: &str) -> Answer {
    let more = json!({
        "resource.type": "index_or_alias", "resource.id": index, "index_uuid": "_na_", "index": index,
    });
    error_with(world, 404, "index_not_found_exception", &format!("no such index [{index}]"), &more)
}

fn root(world: &World) -> Value {
    let cluster = uuid(world.config.seed, "cluster", 1);
    let mut version = json!({
        "build_hash": "0000000000000000000000000000000000000000", "build_snapshot": false,
        "minimum_index_compatibility_version": "7.0.0",
    });
    let more = match world.config.search {
        Product::Elasticsearch => json!({
            "number": ELASTIC, "build_flavor": "default", "build_type": "tar",
            "build_date": "2025-03-20T10:07:27.754027795Z", "lucene_version": "9.12.0",
            "minimum_wire_compatibility_version": "7.17.0",
        }),
        Product::OpenSearch => json!({
            "distribution": "opensearch", "number": OPEN, "build_type": "tar",
            "build_date": "2025-02-27T01:16:47.726162386Z", "lucene_version": "9.12.1",
            "minimum_wire_compatibility_version": "7.10.0",
        }),
    };
    if let (Value::Object(version), Value::Object(more)) = (&mut version, more) {
        version.extend(more);
    }
    let tagline = match world.config.search {
        Product::Elasticsearch => "You Know, for Search",
        Product::OpenSearch => "The OpenSearch Project: https://opensearch.org/",
    };
    json!({
        "name": "twin-search-1", "cluster_name": "twin-search", "cluster_uuid": cluster, "version": version,
        "tagline": tagline,
    })
}

fn health(world: &World) -> Value {
    let shards = world.indices().len();
    let mut body = json!({
        "cluster_name": "twin-search", "status": "green", "timed_out": false, "number_of_nodes": 1,
        "number_of_data_nodes": 1, "active_primary_shards": shards, "active_shards": shards,
        "relocating_shards": 0, "initializing_shards": 0, "unassigned_shards": 0, "delayed_unassigned_shards": 0,
        "number_of_pending_tasks": 0, "number_of_in_flight_fetch": 0, "task_max_waiting_in_queue_millis": 0,
        "active_shards_percent_as_number": 100.0,
    });
    match world.config.search {
        Product::Elasticsearch => body["unassigned_primary_shards"] = json!(0),
        Product::OpenSearch => {
            body["discovered_master"] = json!(true);
            body["discovered_cluster_manager"] = json!(true);
        }
    }
    body
}

/// Only the filtered form is served: name and version of the node that answers.
fn nodes(world: &World, request: &Request) -> Answer {
    let version = match world.config.search {
        Product::Elasticsearch => ELASTIC,
        Product::OpenSearch => OPEN,
    };
    let mut node = json!({ "version": version });
    let filter = request.query.get("filter_path");
    if filter.is_none() {
        node["name"] = json!("twin-search-1");
    }
    let mut body = json!({"nodes": {node_id(world): node}});
    if filter.is_none_or(|filter| filter.contains("cluster_name")) {
        body["cluster_name"] = json!("twin-search");
    }
    reply(world, 200, &body)
}

fn patterns(list: &str) -> Vec<&str> {
    list.split(',').filter(|pattern| !pattern.is_empty()).collect()
}

fn cat(world: &World, request: &Request, pattern: &str) -> Answer {
    let patterns = patterns(pattern);
    let indices = world.indices();
    if let Some(missing) =
        patterns.iter().find(|p| !p.contains('*') && **p != "_all" && !indices.contains_key(**p))
    {
        return index_missing(world, missing);
    }
    let wanted: Vec<&str> = request.query.get("h").map_or_else(
        || {
            vec![
                "health",
                "status",
                "index",
                "uuid",
                "pri",
                "rep",
                "docs.count",
                "docs.deleted",
                "store.size",
                "pri.store.size",
            ]
        },
        |list| list.split(',').collect(),
    );
    let mut rows: Vec<Vec<(&str, String)>> = Vec::new();
    for (name, index) in indices.iter().filter(|(name, _)| any_matches(&patterns, name)) {
        let cell = |column: &str| match column {
            "index" | "i" => name.clone(),
            "health" => "green".to_owned(),
            "status" => "open".to_owned(),
            "uuid" => uuid(world.config.seed, name, 0),
            "docs.count" => index.docs.to_string(),
            "pri" => "1".to_owned(),
            "store.size" | "pri.store.size" => format!("{}kb", index.docs / 4 + 1),
            _ => "0".to_owned(),
        };
        rows.push(wanted.iter().map(|column| (*column, cell(column))).collect());
    }
    if request.query.get("format").is_some_and(|format| format == "json") {
        let table = rows.into_iter().map(|row| {
            Value::Object(
                row.into_iter().map(|(column, cell)| (column.to_owned(), json!(cell))).collect::<Map<_, _>>(),
            )
        });
        return reply(world, 200, &Value::Array(table.collect()));
    }
    let lines = rows
        .into_iter()
        .map(|row| row.into_iter().map(|(_, cell)| cell).collect::<Vec<_>>().join(" ") + "\n");
    Answer::text(200, "text/plain; charset=UTF-8", &lines.collect::<String>())
}

fn count(world: &World, _request: &Request, pattern: &str) -> Answer {
    let patterns = patterns(pattern);
    let indices = world.indices();
    if let Some(missing) =
        patterns.iter().find(|p| !p.contains('*') && **p != "_all" && !indices.contains_key(**p))
    {
        return index_missing(world, missing);
    }
    let chosen: Vec<u64> = indices
        .iter()
        .filter(|(name, _)| any_matches(&patterns, name))
        .map(|(_, index)| index.docs)
        .collect();
    let shards = chosen.len();
    let body = json!({
        "count": chosen.iter().sum::<u64>(),
        "_shards": {"total": shards, "successful": shards, "skipped": 0, "failed": 0},
    });
    reply(world, 200, &body)
}
