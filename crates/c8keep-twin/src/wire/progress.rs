//! `_status`: how far a snapshot has come, shard by shard.

use serde_json::{Map, Value, json};

use super::search::node_id;
use crate::config::Product;
use crate::world::World;
use crate::world::search::{Snapshot, SnapshotState};

/// One entry of `_status`. For a finished PARTIAL one Elasticsearch says SUCCESS (real-server fixture `status-partial`).
pub(crate) fn progress(world: &World, repository: &str, name: &str, of: &Snapshot) -> Value {
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
