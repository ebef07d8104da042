//! What Elasticsearch and OpenSearch write. Unknown keys are ignored, missing ones are empty: an empty word is never
//! success to anybody. Numbers are signed, because newer servers write -1 for "unknown".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

/// `GET /`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Root {
    pub(super) cluster_uuid: String,
    pub(super) version: Version,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    /// Only OpenSearch has it, and it is `opensearch`.
    pub(super) distribution: Option<String>,
    pub(super) number: String,
}

/// `GET /_nodes/_local?filter_path=cluster_name,nodes.*.version`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Nodes {
    pub(super) nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub(super) version: String,
}

/// `GET /_cluster/state/version?filter_path=cluster_uuid`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClusterState {
    pub(super) cluster_uuid: String,
}

/// One repository of `GET /_snapshot/{repository}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RepositoryWire {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) settings: BTreeMap<String, Value>,
}

/// `POST /_security/user/_has_privileges`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Privileges {
    cluster: BTreeMap<String, bool>,
    index: BTreeMap<String, BTreeMap<String, bool>>,
}

/// Either of them lets a login take snapshots, and neither is said to include the other (seen on 8.16.6): a role may hold
/// the privilege or the bare action.
const CREATING: [&str; 2] = ["create_snapshot", "cluster:admin/snapshot/create"];

impl Privileges {
    /// Asks for what no reading call proves. Whoever may not take a snapshot reads as well as others; and indices that a login
    /// may not see are left out of a list without a word (seen on 8.16.6).
    pub(super) fn question(indices: &[String]) -> Value {
        // An empty list of names is refused.
        let of_indices = (!indices.is_empty()).then(|| json!({"names": indices, "privileges": ["monitor"]}));
        json!({"cluster": CREATING, "index": Vec::from_iter(of_indices)})
    }

    /// What is needed and not granted; `None` if the answer does not say.
    pub(super) fn lacking(&self) -> Option<Vec<String>> {
        let creates: Vec<bool> =
            CREATING.iter().filter_map(|name| self.cluster.get(*name).copied()).collect();
        if creates.is_empty() {
            return None;
        }
        let of_cluster = (!creates.contains(&true)).then(|| CREATING[0].to_owned());
        let of_indices = self.index.iter().flat_map(|(index, privileges)| {
            let lacking = privileges.iter().filter(|(_, has)| !**has);
            lacking.map(move |(privilege, _)| format!("{privilege} of {index}"))
        });
        Some(of_cluster.into_iter().chain(of_indices).collect())
    }
}

/// `GET /_snapshot/{repository}/{snapshots}`, in both forms: ES 7 nests the snapshots in one response a repository.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListWire {
    pub(super) snapshots: Vec<SnapshotWire>,
    pub(super) responses: Vec<SnapshotsOfRepository>,
    pub(super) remaining: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SnapshotsOfRepository {
    pub(super) snapshots: Vec<SnapshotWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SnapshotWire {
    pub(super) snapshot: String,
    pub(super) uuid: String,
    pub(super) version: String,
    pub(super) state: String,
    pub(super) indices: Vec<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) start_time_in_millis: i64,
    pub(super) end_time_in_millis: i64,
    pub(super) failures: Vec<ShardFailure>,
    pub(super) shards: Shards,
}

/// What we write beside a snapshot, and what others may have written there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) c8keep: Option<OurMetadata>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OurMetadata {
    pub(super) run: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShardFailure {
    pub(super) index: String,
    pub(super) shard_id: i64,
    pub(super) reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Shards {
    pub(super) total: i64,
    pub(super) failed: i64,
    pub(super) successful: i64,
}

/// `GET /_snapshot/{repository}/{snapshot}/_status`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Statuses {
    pub(super) snapshots: Vec<StatusWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusWire {
    pub(super) shards_stats: ShardsStats,
    pub(super) stats: Stats,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ShardsStats {
    pub(super) done: i64,
    pub(super) total: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stats {
    pub(super) incremental: Files,
    /// Only told while files are still being copied.
    pub(super) processed: Option<Files>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Files {
    pub(super) size_in_bytes: i64,
}

/// One line of `GET /_cat/indices`: all values are text, and `null` for what a closed index does not tell.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CatIndex {
    pub(super) index: String,
    #[serde(rename = "docs.count")]
    pub(super) docs: Option<String>,
    pub(super) pri: Option<String>,
}

/// `POST /_snapshot/{repository}/_verify`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verified {
    pub(super) nodes: BTreeMap<String, Value>,
}

/// `PUT /_snapshot/{repository}/{snapshot}?wait_for_completion=false`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Created {
    pub(super) accepted: bool,
}

/// Every error, also where `error` is a bare text (an unknown route, a wrong method).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ErrorAnswer {
    pub(super) error: ErrorWire,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ErrorWire {
    Told(Cause),
    /// A bare text, or nothing that we know.
    Other(IgnoredAny),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cause {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) reason: Option<String>,
    pub(super) caused_by: Option<Box<Cause>>,
}

impl Default for ErrorWire {
    fn default() -> ErrorWire {
        ErrorWire::Other(IgnoredAny)
    }
}

impl ListWire {
    /// All snapshots, whichever form the answer has.
    pub(super) fn all(self) -> impl Iterator<Item = SnapshotWire> {
        self.snapshots.into_iter().chain(self.responses.into_iter().flat_map(|r| r.snapshots))
    }
}
