//! Elasticsearch and OpenSearch: repositories, snapshots and index lists.
//!
//! A snapshot is judged by what `GET` of it says and by nothing else: `_status` calls a partial snapshot a success on
//! Elasticsearch, and an accepted snapshot may vanish. Nothing here waits for a snapshot, deletes, or sends a wildcard
//! where a name belongs.

mod fault;
mod names;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use c8keep_core::facts::{IndexCount, Repository, SnapshotEvidence};
use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_core::installation::SearchProduct;
use c8keep_core::run::RunId;
use c8keep_engine::ports::{SearchStore, SnapshotProgress, SnapshotRequest, SnapshotView};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::fault::{
    is_missing_index, is_missing_repository, is_missing_snapshot, missing_repository, refusal,
};
use crate::transport::{
    Endpoint, Method, Request, Response, Transport, ask, json as read_json, path_segment,
};

/// A search server of which the product is not known yet.
#[derive(Clone)]
pub struct SearchClient {
    transport: Arc<dyn Transport>,
    endpoint: Endpoint,
}

/// Which server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchIdentity {
    /// Which product it is.
    pub product: SearchProduct,
    /// Its version.
    pub version: String,
    /// Its cluster's own id.
    pub cluster_uuid: String,
}

/// A search server of a known product: the port.
#[derive(Debug, Clone)]
pub struct Search {
    client: SearchClient,
    product: SearchProduct,
}

impl SearchClient {
    /// A client for one address.
    pub fn new(transport: Arc<dyn Transport>, endpoint: Endpoint) -> SearchClient {
        SearchClient { transport, endpoint }
    }

    /// Its address, without secrets.
    pub fn address(&self) -> &str {
        self.endpoint.address()
    }

    /// The port, once the product is known.
    pub fn of(&self, product: SearchProduct) -> Search {
        Search { client: self.clone(), product }
    }

    /// Product, version and cluster id.
    pub async fn identity(&self) -> Result<SearchIdentity, Fault> {
        let doing = "asking the search server what it is";
        let request = self.endpoint.get("/");
        let response = ask(&*self.transport, doing, &request).await?;
        // A bare Elasticsearch (8.19.16) has no GET / and answers 405; every OpenSearch has one.
        if response.status == 405 {
            return self.identity_of_a_bare_elasticsearch(doing).await;
        }
        let root: wire::Root = read(doing, &request, &response)?;
        if root.version.number.is_empty() {
            let answer = format!("{} without a version", response.status);
            return Err(Fault::new(FaultKind::Strange, doing, request.describe(), answer)
                .with_hint("is this the address of Elasticsearch or OpenSearch?"));
        }
        // `distribution` before the number: an OpenSearch may pretend to be 7.10.2.
        let product = match root.version.distribution.as_deref() {
            Some("opensearch") => SearchProduct::Opensearch,
            _ => SearchProduct::Elasticsearch,
        };
        Ok(SearchIdentity { product, version: root.version.number, cluster_uuid: root.cluster_uuid })
    }

    /// Names of the registered repositories with what they are, sorted.
    pub async fn repositories(&self) -> Result<Vec<Repository>, Fault> {
        let request = self.endpoint.get("/_snapshot");
        let doing = "listing the snapshot repositories";
        let response = ask(&*self.transport, doing, &request).await?;
        let told: BTreeMap<String, wire::RepositoryWire> = read(doing, &request, &response)?;
        Ok(told.into_iter().map(|(name, wire)| repository_of(name, &wire)).collect())
    }

    async fn identity_of_a_bare_elasticsearch(&self, doing: &str) -> Result<SearchIdentity, Fault> {
        let request = self.endpoint.get("/_nodes/_local?filter_path=cluster_name,nodes.*.version");
        let response = ask(&*self.transport, doing, &request).await?;
        let nodes: wire::Nodes = read(doing, &request, &response)?;
        let version = nodes.nodes.into_values().map(|n| n.version).find(|v| !v.is_empty());
        let Some(version) = version else {
            return Err(Fault::new(FaultKind::Strange, doing, request.describe(), "200 without a version")
                .with_hint("is this the address of Elasticsearch or OpenSearch?"));
        };
        let request = self.endpoint.get("/_cluster/state/version?filter_path=cluster_uuid");
        let response = ask(&*self.transport, doing, &request).await?;
        let state: wire::ClusterState = read(doing, &request, &response)?;
        let product = SearchProduct::Elasticsearch;
        Ok(SearchIdentity { product, version, cluster_uuid: state.cluster_uuid })
    }
}

#[async_trait]
impl SearchStore for Search {
    async fn repository(&self, name: &str) -> Result<Repository, Fault> {
        let doing = "reading the snapshot repository";
        names::repository(doing, name)?;
        let request = self.get(&format!("/_snapshot/{}", path_segment(name)));
        let told: BTreeMap<String, wire::RepositoryWire> = self.ask(doing, name, &request).await?;
        let Some(wire) = told.get(name) else {
            return Err(missing_repository(doing, self.product, &request, name));
        };
        // A read-only repository takes no snapshot; better known before the pause than inside it.
        if wire.settings.get("readonly").is_some_and(|v| v == "true" || v == &Value::Bool(true)) {
            let hint = "register the repository without readonly, or use another one";
            return Err(Fault::precondition(doing, request.describe(), "the repository is read-only", hint));
        }
        Ok(repository_of(name.to_owned(), wire))
    }

    async fn verify_repository(&self, name: &str) -> Result<(), Fault> {
        let doing = "verifying that every node reaches the repository";
        names::repository(doing, name)?;
        let path = format!("/_snapshot/{}/_verify", path_segment(name));
        let request = self.client.endpoint.request(Method::Post, &path);
        let verified: Result<wire::Verified, Fault> = self.ask(doing, name, &request).await;
        // It writes a test file and removes it again: a failure leaves nothing that matters.
        let verified = verified.map_err(|fault| Fault { effect: Effect::None, ..fault })?;
        if verified.nodes.is_empty() {
            return Err(Fault::new(FaultKind::Strange, doing, request.describe(), "200 without any node"));
        }
        Ok(())
    }

    async fn lacks(&self, indices: &[String]) -> Result<Option<Vec<String>>, Fault> {
        if self.product != SearchProduct::Elasticsearch || self.client.endpoint.access().who().is_nobody() {
            return Ok(None);
        }
        // Elasticsearch docs, "Check user privileges": everybody may ask for himself, and it changes nothing.
        let doing = "asking for the rights of the login";
        let question = wire::Privileges::question(indices);
        let request = self.client.endpoint.post("/_security/user/_has_privileges").with_body(question);
        let response = ask(&*self.client.transport, doing, &request).await;
        let told = response.and_then(|response| read::<wire::Privileges>(doing, &request, &response));
        let lacking = told.map_err(|fault| Fault { effect: Effect::None, ..fault })?.lacking();
        let strange = || Fault::new(FaultKind::Strange, doing, request.describe(), "200 without the rights");
        Ok(Some(lacking.ok_or_else(strange)?))
    }

    async fn indices(&self, patterns: &[String]) -> Result<Vec<IndexCount>, Fault> {
        let mut found = BTreeMap::new();
        for chunk in names::chunks("listing indices", patterns)? {
            self.list_indices(&chunk, &mut found).await?;
        }
        Ok(found.into_values().collect())
    }

    async fn create_snapshot(&self, wanted: &SnapshotRequest) -> Result<(), Fault> {
        let doing = "starting a snapshot";
        names::repository(doing, &wanted.repository)?;
        names::snapshot(doing, &wanted.snapshot)?;
        names::pattern(doing, &wanted.pattern)?;
        let path =
            format!("{}?wait_for_completion=false", snapshot_path(&wanted.repository, &wanted.snapshot));
        let request = self.client.endpoint.request(Method::Put, &path).with_body(self.body_of(wanted));
        let created: wire::Created = self.ask(doing, &wanted.repository, &request).await?;
        if !created.accepted {
            return Err(Fault::new(
                FaultKind::Strange,
                doing,
                request.describe(),
                "200 without accepting it",
            )
            .with_unknown_effect());
        }
        Ok(())
    }

    async fn snapshot(&self, repository: &str, name: &str) -> Result<Option<SnapshotView>, Fault> {
        let doing = "reading a snapshot";
        names::repository(doing, repository)?;
        names::snapshot(doing, name)?;
        let request = self.get(&snapshot_path(repository, name));
        let response = ask(&*self.client.transport, doing, &request).await?;
        if is_missing_snapshot(&response) {
            return Ok(None);
        }
        let told: wire::ListWire = self.told(doing, repository, &request, &response)?;
        Ok(told.all().find(|s| s.snapshot == name).map(|s| view_of(repository, s)))
    }

    async fn snapshot_progress(
        &self,
        repository: &str,
        name: &str,
    ) -> Result<Option<SnapshotProgress>, Fault> {
        let doing = "reading a snapshot's progress";
        names::repository(doing, repository)?;
        names::snapshot(doing, name)?;
        // The whole answer has an entry a shard, megabytes of them on large clusters.
        let only = "filter_path=snapshots.shards_stats,snapshots.stats";
        let request = self.get(&format!("{}/_status?{only}", snapshot_path(repository, name)));
        let response = ask(&*self.client.transport, doing, &request).await?;
        // Not there yet, too many shards for this API (429 on OpenSearch 2.17+), or not allowed: progress is a comfort.
        if matches!(response.status, 401 | 403 | 404 | 429) {
            return Ok(None);
        }
        let told: wire::Statuses = self.told(doing, repository, &request, &response)?;
        Ok(told.snapshots.first().map(progress_of))
    }

    async fn snapshot_names(&self, repository: &str, pattern: &str) -> Result<Vec<String>, Fault> {
        let doing = "listing snapshots";
        names::repository(doing, repository)?;
        names::prefix_pattern(doing, pattern)?;
        let path = format!("{}?verbose=false&{NAMES_ONLY}", snapshot_path(repository, pattern));
        self.names(doing, repository, &path).await
    }

    async fn running_snapshots(&self, repository: &str) -> Result<Vec<String>, Fault> {
        let doing = "looking for running snapshots";
        names::repository(doing, repository)?;
        self.names(doing, repository, &format!("{}?{NAMES_ONLY}", snapshot_path(repository, "_current")))
            .await
    }
}

const NAMES_ONLY: &str = "filter_path=snapshots.snapshot,responses.snapshots.snapshot,remaining";

impl Search {
    /// The names that a listing gives.
    async fn names(&self, doing: &str, repository: &str, path: &str) -> Result<Vec<String>, Fault> {
        let request = self.get(path);
        let response = ask(&*self.client.transport, doing, &request).await?;
        // OpenSearch answers 404 to a pattern without a match, Elasticsearch an empty list.
        if is_missing_snapshot(&response) {
            return Ok(Vec::new());
        }
        let told: wire::ListWire = self.told(doing, repository, &request, &response)?;
        if told.remaining > 0 {
            let answer = format!("a list from which {} snapshots are missing", told.remaining);
            return Err(Fault::new(FaultKind::Strange, doing, request.describe(), answer).with_hint(
                "something between here and the server limits the list; ids cannot be chosen safely",
            ));
        }
        let mut names: Vec<String> = told.all().map(|s| s.snapshot).filter(|n| !n.is_empty()).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Which product it speaks to.
    pub fn product(&self) -> SearchProduct {
        self.product
    }

    fn get(&self, path: &str) -> Request {
        self.client.endpoint.get(path)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        doing: &str,
        repository: &str,
        request: &Request,
    ) -> Result<T, Fault> {
        let response = ask(&*self.client.transport, doing, request).await?;
        self.told(doing, repository, request, &response)
    }

    fn told<T: DeserializeOwned>(
        &self,
        doing: &str,
        repository: &str,
        request: &Request,
        response: &Response,
    ) -> Result<T, Fault> {
        if is_missing_repository(response) {
            return Err(missing_repository(doing, self.product, request, repository));
        }
        read(doing, request, response)
    }

    /// Everything that has a default is said, because the two products differ in defaults: without `expand_wildcards`
    /// Elasticsearch 8 takes closed indices too and OpenSearch (seen on 2.19.1) silently leaves them out.
    fn body_of(&self, wanted: &SnapshotRequest) -> Value {
        let mut body = json!({
            "indices": wanted.pattern,
            "expand_wildcards": "all",
            "ignore_unavailable": false,
            "partial": false,
            "include_global_state": true,
            "metadata": {"c8keep": {"run": wanted.run.0, "backup_id": wanted.backup.get()}},
        });
        // `[]` means all features to Elasticsearch, only "none" means none; OpenSearch ignores the key when a snapshot
        // is taken and refuses it when one is restored.
        if self.product == SearchProduct::Elasticsearch {
            body["feature_states"] = json!(["none"]);
        }
        body
    }

    async fn list_indices(
        &self,
        chunk: &[String],
        found: &mut BTreeMap<String, IndexCount>,
    ) -> Result<(), Fault> {
        let doing = "listing indices";
        let names = chunk.iter().map(|p| path_segment(p)).collect::<Vec<_>>().join(",");
        let columns = "format=json&h=index,status,docs.count,pri&expand_wildcards=all";
        let request = self.get(&format!("/_cat/indices/{names}?{columns}"));
        let response = ask(&*self.client.transport, doing, &request).await?;
        // One name that does not exist spoils the whole list: ask one by one then.
        if is_missing_index(&response) {
            if let [_] = chunk {
                return Ok(());
            }
            for one in chunk {
                Box::pin(self.list_indices(std::slice::from_ref(one), found)).await?;
            }
            return Ok(());
        }
        let lines: Vec<wire::CatIndex> = read(doing, &request, &response)?;
        for line in lines.into_iter().filter(|line| !line.index.is_empty()) {
            let docs = line.docs.and_then(|d| d.parse().ok());
            let primaries = line.pri.and_then(|p| p.parse().ok()).unwrap_or(0);
            found.insert(line.index.clone(), IndexCount { name: line.index, docs, primaries });
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(doing: &str, request: &Request, response: &Response) -> Result<T, Fault> {
    // A web page with 404 is a wrong address and says so; with 401, 429 or 5xx it is a proxy in front of the right one.
    let is_wrong_place = response.is_html() && matches!(response.status, 400 | 404..=428);
    if response.is_success() || is_wrong_place {
        return read_json(doing, request, response);
    }
    Err(refusal(doing, request, response))
}

fn snapshot_path(repository: &str, name: &str) -> String {
    format!("/_snapshot/{}/{}", path_segment(repository), path_segment(name))
}

/// Only the place is taken from the settings: some servers list keys there.
fn repository_of(name: String, wire: &wire::RepositoryWire) -> Repository {
    let text = |key: &str| wire.settings.get(key).and_then(Value::as_str).filter(|v| !v.is_empty());
    let place = ["location", "bucket", "container", "url", "path"].into_iter().find_map(text);
    let location = place.map(|place| match text("base_path") {
        Some(below) => format!("{place}/{}", below.trim_start_matches('/')),
        None => place.to_owned(),
    });
    // Both names of OpenSearch's switch (its docs, "Shallow snapshots"); settings come as texts.
    let on = |key: &str| wire.settings.get(key).is_some_and(|v| v == "true" || v == &Value::Bool(true));
    let is_shallow = ["remote_store_index_shallow_copy", "shallow_snapshot_v2"].into_iter().any(on);
    Repository { name, kind: wire.kind.clone(), location, is_shallow, is_unverified: false }
}

fn view_of(repository: &str, wire: wire::SnapshotWire) -> SnapshotView {
    let running = wire.state == "IN_PROGRESS";
    // While it runs the figures are zero on OpenSearch and a moving target on Elasticsearch.
    let count = |n: i64| if running { 0 } else { u32::try_from(n).unwrap_or(0) };
    let instant = |millis: i64| (millis > 0).then(|| Timestamp::from_millisecond(millis).ok()).flatten();
    let failures =
        wire.failures.iter().map(|f| format!("{}[{}]: {}", f.index, f.shard_id, f.reason)).collect();
    let mut indices = wire.indices;
    indices.sort();
    SnapshotView {
        run: wire.metadata.and_then(|m| m.c8keep).and_then(|m| m.run).map(RunId),
        evidence: SnapshotEvidence {
            name: wire.snapshot,
            repository: repository.to_owned(),
            uuid: wire.uuid,
            version: wire.version,
            state: wire.state,
            indices,
            shards_total: count(wire.shards.total),
            shards_failed: count(wire.shards.failed),
            shards_successful: count(wire.shards.successful),
            failures,
            started_at: instant(wire.start_time_in_millis),
            ended_at: instant(wire.end_time_in_millis),
            removed_meanwhile: Vec::new(),
        },
    }
}

fn progress_of(wire: &wire::StatusWire) -> SnapshotProgress {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let shards_done = count(wire.shards_stats.done);
    let shards_total = count(wire.shards_stats.total);
    let bytes_total = count(wire.stats.incremental.size_in_bytes);
    let bytes_done = match &wire.stats.processed {
        Some(files) => count(files.size_in_bytes),
        None if shards_done == shards_total => bytes_total,
        None => 0,
    };
    SnapshotProgress { shards_done, shards_total, bytes_done, bytes_total }
}

impl std::fmt::Debug for SearchClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchClient").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
