//! What only a restore does to Elasticsearch or OpenSearch.

use std::collections::BTreeMap;

use async_trait::async_trait;
use c8keep_core::fault::Fault;

/// Elasticsearch or OpenSearch, as far as a restore changes it. Reading is [`SearchStore`](super::SearchStore)'s.
#[async_trait]
pub trait Restoring: Send + Sync {
    /// Deletes one index by its exact name; no pattern is ever sent. An index that is gone is deleted.
    async fn delete_index(&self, name: &str) -> Result<(), Fault>;

    /// Starts restoring indices of a snapshot, without waiting. An index of that name that is open is a `Refused` fault.
    async fn start_restore(&self, request: &RestoreRequest) -> Result<(), Fault>;

    /// How far each index has come, by name; one that does not exist is left out. The health of a cluster lies while it
    /// restores: primaries that are being restored show yellow.
    async fn recoveries(&self, indices: &[String]) -> Result<BTreeMap<String, Recovery>, Fault>;

    /// How many documents were ever written to each index that matches, counted since its shards were started
    /// (`_stats/indexing`): two readings tell whether somebody writes.
    async fn writes(&self, patterns: &[String]) -> Result<BTreeMap<String, u64>, Fault>;
}

/// Indices to restore from one snapshot, under their own names, without global state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The repository.
    pub repository: String,
    /// The snapshot.
    pub snapshot: String,
    /// Exact names, never empty: an empty list means all indices to both products.
    pub indices: Vec<String>,
}

/// How far the restore of one index has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The snapshot that its primaries come from, where the server tells.
    pub snapshot: Option<String>,
    /// Primaries that are whole and started.
    pub primaries_done: u32,
    /// Primaries in all.
    pub primaries: u32,
    /// Bytes copied.
    pub bytes_done: u64,
    /// Bytes to copy.
    pub bytes_total: u64,
}
