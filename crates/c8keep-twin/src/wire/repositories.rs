//! Snapshot repositories: reading, registering, verifying, forgetting.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::search::{error, node_id, reply};
use super::{Answer, Request};
use crate::config::Product;
use crate::world::World;
use crate::world::draw::uuid;
use crate::world::search::{Repository, SnapshotState, any_matches};

pub(crate) fn repositories(world: &World, pattern: &str) -> Answer {
    let chosen = world.search.repositories.iter().filter(|(name, _)| any_matches(&[pattern], name));
    let show = |(name, repository): (&String, &Repository)| {
        let mut body = json!({"type": repository.kind, "settings": repository.settings});
        if world.faults.repositories_readonly {
            body["settings"]["readonly"] = json!("true");
        }
        // Elasticsearch tells the repository's identity once something was written to it.
        if repository.written && world.config.search == Product::Elasticsearch {
            body["uuid"] = json!(uuid(world.config.seed, name, 0));
        }
        (name.clone(), body)
    };
    let body: Map<String, Value> = chosen.map(show).collect();
    if body.is_empty() && !pattern.contains('*') {
        return repository_missing(world, pattern);
    }
    reply(world, 200, &Value::Object(body))
}

pub(crate) fn register(world: &mut World, name: &str, request: &Request) -> Answer {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    let Some(kind) = body["type"].as_str() else {
        let reason = "Validation Failed: 1: type is missing;";
        return error(world, 400, "action_request_validation_exception", reason);
    };
    if kind != "fs" {
        let reason = format!("[{name}] repository type [{kind}] does not exist");
        return error(world, 500, "repository_exception", &reason);
    }
    if let Some(refused) = in_use(world, name) {
        return refused;
    }
    let (kind, settings) = (kind.to_owned(), body["settings"].clone());
    let fresh = Repository {
        kind: kind.clone(),
        settings: settings.clone(),
        written: false,
        snapshots: BTreeMap::new(),
    };
    // Snapshots live in the storage: registering again finds them.
    let found = world.search.unregistered.remove(name).unwrap_or(fresh);
    let known = world.search.repositories.entry(name.to_owned()).or_insert(found);
    known.kind = kind;
    known.settings = settings;
    reply(world, 200, &json!({"acknowledged": true}))
}

pub(crate) fn verify(world: &World, name: &str) -> Answer {
    if world.search.repositories.contains_key(name) {
        reply(world, 200, &json!({"nodes": {node_id(world): {"name": "twin-search-1"}}}))
    } else {
        repository_missing(world, name)
    }
}

pub(crate) fn unregister(world: &mut World, name: &str) -> Answer {
    if let Some(refused) = in_use(world, name) {
        return refused;
    }
    match world.search.repositories.remove(name) {
        Some(repository) => {
            world.search.unregistered.insert(name.to_owned(), repository);
            reply(world, 200, &json!({"acknowledged": true}))
        }
        None => repository_missing(world, name),
    }
}

pub(crate) fn repository_missing(world: &World, name: &str) -> Answer {
    error(world, 404, "repository_missing_exception", &format!("[{name}] missing"))
}

/// Neither product lets a repository go while it is written to.
fn in_use(world: &World, name: &str) -> Option<Answer> {
    let repository = world.search.repositories.get(name)?;
    if !repository.snapshots.values().any(|snapshot| snapshot.state == SnapshotState::Running) {
        return None;
    }
    let what = "trying to modify or unregister repository that is currently used";
    Some(match world.config.search {
        Product::Elasticsearch => {
            let reason = format!("[{name}] {what} (snapshot is in progress)");
            error(world, 409, "repository_conflict_exception", &reason)
        }
        Product::OpenSearch => error(world, 500, "illegal_state_exception", what),
    })
}
