//! Each trap of the two products as a test, fed with what real servers answered (`fixtures/`).

mod documents;
mod secured;
mod told;

use std::path::Path;
use std::sync::Arc;

use c8keep_core::backup::BackupId;
use c8keep_core::fault::{Effect, Fault, FaultKind, Retry};
use c8keep_core::installation::SearchProduct::{self, Elasticsearch, Opensearch};
use c8keep_core::run::RunId;
use c8keep_engine::ports::{SearchStore, SnapshotProgress, SnapshotRequest};
use serde_json::{Value, json};

use super::{Search, SearchClient};
use crate::transport::scripted::Scripted;
use crate::transport::{Endpoint, Method};

const SERVERS: [(&str, SearchProduct); 4] = [
    ("elasticsearch-8.16.6", Elasticsearch),
    ("elasticsearch-8.19.16", Elasticsearch),
    ("opensearch-2.19.1", Opensearch),
    ("opensearch-3.8.0", Opensearch),
];

/// A recorded exchange: the path that was asked (without its query), the status, the body.
fn fixture(server: &str, name: &str) -> (String, u16, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let text = std::fs::read_to_string(folder.join(server).join(format!("{name}.json"))).unwrap();
    let exchange: Value = serde_json::from_str(&text).unwrap();
    let request = exchange["request"].as_str().unwrap();
    let asked = request.split([' ', '?']).take(2).collect::<Vec<_>>().join(" ");
    (asked, u16::try_from(exchange["status"].as_u64().unwrap()).unwrap(), exchange["body"].clone())
}

/// A server that answers with one recorded exchange.
fn server(server: &str, product: SearchProduct, name: &str) -> (Search, Arc<Scripted>) {
    let (asked, status, body) = fixture(server, name);
    scripted(product, Scripted::default().on(&asked, status, &body))
}

fn scripted(product: SearchProduct, script: Scripted) -> (Search, Arc<Scripted>) {
    let script = Arc::new(script);
    let endpoint = Endpoint::parse("search.example:9200").unwrap();
    (SearchClient::new(script.clone(), endpoint).of(product), script)
}

fn wanted(repository: &str, snapshot: &str) -> SnapshotRequest {
    SnapshotRequest {
        repository: repository.into(),
        snapshot: snapshot.into(),
        pattern: "zeebe-record*".into(),
        run: RunId("backup-17".into()),
        backup: BackupId::new(17).unwrap(),
    }
}

fn judged(fault: &Fault) -> (FaultKind, Retry, Effect) {
    (fault.kind, fault.retry, fault.effect)
}

#[tokio::test]
async fn product_version_and_cluster_are_found_out() {
    for (name, product, version, uuid) in [
        ("elasticsearch-8.16.6", Elasticsearch, "8.16.6", "hQUqrRkkTnqOxP9CPsoqaQ"),
        ("opensearch-2.19.1", Opensearch, "2.19.1", "RGsl7xG0TJOGyEOW8DK_Bg"),
        ("opensearch-3.8.0", Opensearch, "3.8.0", "dxu5U1tlQuqVgUAe1O2oAg"),
    ] {
        let identity = server(name, product, "root").0.client.identity().await.unwrap();
        assert_eq!((identity.product, identity.version.as_str()), (product, version));
        assert_eq!(identity.cluster_uuid, uuid);
    }
}

/// A bare Elasticsearch answers 405 to `GET /`.
#[tokio::test]
async fn a_server_without_a_root_page_is_found_out_too() {
    let (root, status, body) = fixture("elasticsearch-8.19.16", "root");
    let (nodes, ok, told) = fixture("elasticsearch-8.19.16", "nodes-local-version");
    assert_eq!(status, 405);
    let (state, _, uuid) = fixture("elasticsearch-8.19.16", "cluster-state-uuid");
    let script = Scripted::default().on(&root, status, &body).on(&nodes, ok, &told).on(&state, ok, &uuid);
    let (search, _) = scripted(Elasticsearch, script);
    let identity = search.client.identity().await.unwrap();
    assert_eq!((identity.product, identity.version.as_str()), (Elasticsearch, "8.19.16"));
    assert_eq!(identity.cluster_uuid, "tZfEQtVZQSuPZ-I8_UiWyA");
}

/// OpenSearch may pretend to be 7.10.2 (`compatibility.override_main_response_version`).
#[tokio::test]
async fn the_distribution_counts_more_than_the_number() {
    let root = json!({"cluster_uuid": "u", "version": {"distribution": "opensearch", "number": "7.10.2"}});
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /", 200, &root));
    assert_eq!(search.client.identity().await.unwrap().product, Opensearch);
}

#[tokio::test]
async fn a_wrong_address_is_said_to_be_one() {
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /", 200, &json!({"hello": 1})));
    let fault = search.client.identity().await.unwrap_err();
    assert!(
        fault.kind == FaultKind::Strange && fault.hint.contains("Elasticsearch or OpenSearch"),
        "{fault:?}"
    );
    let page = json!("<!DOCTYPE html><html><body>Not Found</body></html>");
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /", 404, &page));
    let fault = search.client.identity().await.unwrap_err();
    assert!(fault.answer.contains("404 with an HTML page"), "{fault:?}");
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /", 503, &page));
    let fault = search.client.identity().await.unwrap_err();
    assert_eq!((fault.kind, fault.retry), (FaultKind::Unreachable, Retry::Again), "a proxy's page passes");
}

#[tokio::test]
async fn a_missing_login_is_unauthorised() {
    let (search, _) = server("elasticsearch-8.16.6-security", Elasticsearch, "root-no-credentials");
    let fault = search.client.identity().await.unwrap_err();
    assert_eq!(judged(&fault), (FaultKind::Unauthorised, Retry::Never, Effect::None));
    assert!(fault.answer.contains("missing authentication credentials"), "{fault:?}");
}

/// The body that is sent: nothing left to defaults, `feature_states` only where it is known.
#[tokio::test]
async fn a_snapshot_is_created_without_waiting() {
    for (name, product) in SERVERS {
        let (search, script) = server(name, product, "create-async-put");
        search.create_snapshot(&wanted("camunda", "c8keep_async")).await.unwrap();
        let request = script.asked().remove(0);
        assert_eq!(request.method, Method::Put);
        assert!(request.url.ends_with("/_snapshot/camunda/c8keep_async?wait_for_completion=false"));
        let body = request.body.unwrap();
        assert_eq!(body["indices"], "zeebe-record*");
        assert_eq!(body["include_global_state"], true, "said explicitly");
        assert_eq!(body["expand_wildcards"], "all", "see the next test");
        assert_eq!((&body["ignore_unavailable"], &body["partial"]), (&json!(false), &json!(false)));
        assert_eq!(body["metadata"]["c8keep"], json!({"run": "backup-17", "backup_id": 17}));
        let features = (product == Elasticsearch).then(|| json!(["none"]));
        assert_eq!(body.get("feature_states"), features.as_ref(), "{name}");
    }
}

/// What is listed before the pause must be what the snapshot takes: a closed index is left out by OpenSearch unless
/// the request says otherwise, and nothing in the answer tells.
#[tokio::test]
async fn closed_and_hidden_indices_are_listed_and_asked_for_alike() {
    for (name, product) in [("elasticsearch-8.19.16", Elasticsearch), ("opensearch-2.19.1", Opensearch)] {
        let (search, _) = server(name, product, "cat-indices-closed-hidden");
        let listed = search.indices(&["zeebe-record*".into()]).await.unwrap();
        let listed: Vec<&str> = listed.iter().map(|i| i.name.as_str()).collect();
        let taken = async |exchange: &str| {
            let (_, _, body) = fixture(name, exchange);
            let snapshot = body["snapshot"]["snapshot"].as_str().unwrap().to_owned();
            let list = json!({"snapshots": [body["snapshot"]]});
            let path = format!("GET /_snapshot/camunda/{snapshot}");
            let (search, _) = scripted(product, Scripted::default().on(&path, 200, &list));
            search.snapshot("camunda", &snapshot).await.unwrap().unwrap().evidence.indices
        };
        assert_eq!(taken("create-closed-hidden-all").await, listed);
        let by_default = taken("create-closed-hidden-by-default").await;
        assert_eq!(by_default.len(), listed.len() - usize::from(product == Opensearch), "{by_default:?}");
    }
}

/// Two products, two words for the same refusal; no effect, so the engine looks at what is there.
#[tokio::test]
async fn a_name_in_use_is_a_refusal() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "create-existing-name-done-async");
        let fault = search.create_snapshot(&wanted("camunda", "c8keep_sync")).await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Refused, Retry::Never, Effect::None), "{fault:?}");
        assert!(fault.hint.contains("in use"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_repository_that_is_not_registered_is_a_precondition_with_the_remedy() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "repo-get-missing");
        let fault = search.repository("camunda").await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Precondition, Retry::Never, Effect::None));
        let remedy = "curl -X PUT 'http://search.example:9200/_snapshot/camunda'";
        assert!(fault.hint.contains(remedy), "{}", fault.hint);
        assert_eq!(fault.target, "http://search.example:9200", "no listing's long address");
        assert_eq!(fault.answer, format!("{product} has no snapshot repository named camunda"));

        let (search, _) = server(name, product, "create-missing-repo");
        let fault = search.create_snapshot(&wanted("nope", "x")).await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Precondition, Retry::Never, Effect::None));
        let (search, _) = server(name, product, "get-missing-repo");
        let fault = search.snapshot("nope", "x").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Precondition, "a missing repository is no missing snapshot");
    }
}

/// 500 or 400, and never worth repeating.
#[tokio::test]
async fn a_read_only_repository_is_a_precondition() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "create-readonly-repo");
        let fault = search.create_snapshot(&wanted("ro", "x")).await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Precondition, Retry::Never, Effect::None), "{name} {fault:?}");
    }
    let body = json!({"ro": {"type": "fs", "settings": {"location": "/x", "readonly": "true"}}});
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /_snapshot/ro", 200, &body));
    assert!(
        search.repository("ro").await.unwrap_err().answer.contains("read-only"),
        "known before the pause"
    );
}

#[tokio::test]
async fn repositories_are_told_with_their_place() {
    let (search, _) = server("elasticsearch-8.16.6", Elasticsearch, "repo-get");
    let repository = search.repository("camunda").await.unwrap();
    assert_eq!((repository.kind.as_str(), repository.location.as_deref()), ("fs", Some("/var/snapshots/c")));
    let (search, _) = server("opensearch-3.8.0-s3", Opensearch, "repo-get");
    let repository = search.repository("s3r").await.unwrap();
    assert_eq!((repository.kind.as_str(), repository.location.as_deref()), ("s3", Some("snaps/c8")));
}

#[tokio::test]
async fn verifying_asks_every_node() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "repo-verify");
        search.verify_repository("camunda").await.unwrap();
        let (search, _) = server(name, product, "verify-on-unusable");
        let fault = search.verify_repository("unus2").await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Precondition, Retry::Never, Effect::None));
        assert!(fault.answer.contains("Not a directory"), "the innermost cause is told: {fault:?}");
    }
    let nobody = Scripted::default().on("POST /_snapshot/camunda/_verify", 200, &json!({"nodes": {}}));
    let fault = scripted(Elasticsearch, nobody).0.verify_repository("camunda").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Strange, "verified by no node at all");
}

/// Trap 1: `_status` says SUCCESS of a PARTIAL snapshot on Elasticsearch. Our verdict comes from `GET`.
#[tokio::test]
async fn a_partial_snapshot_is_seen_as_partial() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "get-partial");
        let view = search.snapshot("camunda", "part").await.unwrap().unwrap();
        let evidence = view.evidence;
        assert_eq!(evidence.state, "PARTIAL");
        assert_eq!((evidence.shards_total, evidence.shards_failed, evidence.shards_successful), (2, 1, 1));
        assert_eq!(evidence.failures, ["stuck[0]: primary shard is not allocated"]);
        assert_eq!(evidence.indices, ["stuck", "zeebe-record_process_8.6.0_2026-11-22"], "sorted");
        assert!(c8keep_core::verdict::snapshot(&evidence, &[].into()).is_err());
    }
    let (_, _, body) = fixture("elasticsearch-8.16.6", "status-partial");
    assert_eq!(body["snapshots"][0]["state"], "SUCCESS", "the trap is still there");
}

/// Trap 3: `partial: false` and 200 do not prevent a PARTIAL snapshot.
#[tokio::test]
async fn an_io_error_shows_as_partial_in_spite_of_partial_false() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "io-error-partial-false-async-get");
        let evidence = search.snapshot("slow", "io").await.unwrap().unwrap().evidence;
        assert_eq!((evidence.state.as_str(), evidence.shards_failed), ("PARTIAL", 1));
        assert!(evidence.failures[0].contains("Not a directory"));
    }
}

/// Trap 2: a create that was cut off goes on at the server, so its effect is unknown.
#[tokio::test]
async fn a_create_without_an_answer_has_an_unknown_effect() {
    let cut = crate::transport::TransportError::line("reset", true);
    let (search, _) = scripted(Elasticsearch, Scripted::default().then("PUT /_snapshot/camunda/x", Err(cut)));
    let fault = search.create_snapshot(&wanted("camunda", "x")).await.unwrap_err();
    assert_eq!(judged(&fault), (FaultKind::Unreachable, Retry::Again, Effect::Unknown));
    let error =
        json!({"error": {"type": "process_cluster_event_timeout_exception", "reason": "30s"}, "status": 503});
    let (search, _) =
        scripted(Elasticsearch, Scripted::default().on("PUT /_snapshot/camunda/x", 503, &error));
    let fault = search.create_snapshot(&wanted("camunda", "x")).await.unwrap_err();
    assert_eq!(
        judged(&fault),
        (FaultKind::Unreachable, Retry::Again, Effect::Unknown),
        "it may still happen"
    );
}

/// Trap 4: an empty pattern means all indices, and so do some names.
#[tokio::test]
async fn nothing_is_ever_sent_that_could_mean_everything() {
    let (search, script) = scripted(Elasticsearch, Scripted::default());
    for bad in ["", "*", "**", "_all", "-a", "a,b", "a b", "*a", "a/b", "<a-{now/d}>", "a%2cb"] {
        let request = SnapshotRequest { pattern: bad.into(), ..wanted("camunda", "x") };
        let fault = search.create_snapshot(&request).await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Usage, Retry::Never, Effect::None), "pattern {bad:?}");
        assert!(search.indices(&[bad.into()]).await.is_err(), "list {bad:?}");
    }
    for bad in ["", "a*", "a,b", "a/b", "a#b", "Upper", "_all", "..", "a?b", "a b", "<a>"] {
        assert!(search.create_snapshot(&wanted("camunda", bad)).await.is_err(), "name {bad:?}");
        assert!(search.snapshot("camunda", bad).await.is_err(), "name {bad:?}");
        assert!(search.snapshot_progress("camunda", bad).await.is_err(), "name {bad:?}");
        assert!(bad == "Upper" || search.repository(bad).await.is_err(), "repository {bad:?}");
    }
    for bad in ["*", "a", "_all", "", "a*b*", "a,b*"] {
        assert!(search.snapshot_names("camunda", bad).await.is_err(), "prefix {bad:?}");
    }
    assert!(script.asked().iter().all(|r| r.url.ends_with("/_snapshot/Upper")), "{:?}", script.asked());
}

/// Trap 5: a wildcard without a match is a valid snapshot of nothing; it is shown as one, with zero shards.
#[tokio::test]
async fn a_snapshot_of_nothing_has_no_shards() {
    for (name, product) in SERVERS {
        let (_, _, body) = fixture(name, "create-no-match-wildcard");
        let list = json!({"snapshots": [body["snapshot"]]});
        let script = Scripted::default().on("GET /_snapshot/camunda/none_wild", 200, &list);
        let view = scripted(product, script).0.snapshot("camunda", "none_wild").await.unwrap().unwrap();
        assert_eq!((view.evidence.state.as_str(), view.evidence.shards_total), ("SUCCESS", 0));
        assert!(c8keep_core::verdict::snapshot(&view.evidence, &["a".to_owned()].into()).is_err());
        let (search, _) = server(name, product, "create-no-match-concrete-async");
        let fault = search.create_snapshot(&wanted("camunda", "none_conc")).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Absent, "a missing concrete index, unlike a pattern, is an error");
    }
}

/// An accepted snapshot may vanish: 404 is `None`, and the engine decides what that means.
#[tokio::test]
async fn a_snapshot_that_is_not_there_is_none() {
    for (name, product) in SERVERS {
        for (exchange, repository, snapshot) in
            [("get-missing", "camunda", "gone"), ("vanish-get-accepted", "van", "two")]
        {
            let (search, _) = server(name, product, exchange);
            assert_eq!(search.snapshot(repository, snapshot).await.unwrap(), None);
        }
        let (search, _) = server(name, product, "status-missing");
        assert_eq!(search.snapshot_progress("camunda", "gone").await.unwrap(), None);
    }
    let (search, _) =
        scripted(Elasticsearch, Scripted::default().on("GET /_snapshot/a/b", 404, &json!("gone")));
    assert!(
        search.snapshot("a", "b").await.is_err(),
        "a 404 that does not speak of the snapshot is no answer"
    );
}

/// While it runs, figures are zero or moving and the end is 1970.
#[tokio::test]
async fn a_running_snapshot_has_no_figures_yet() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "running-get");
        let evidence = search.snapshot("slow", "run").await.unwrap().unwrap().evidence;
        assert_eq!((evidence.state.as_str(), evidence.shards_total), ("IN_PROGRESS", 0));
        assert_eq!(evidence.ended_at, None);
        assert!(evidence.started_at.is_some());
    }
}

#[tokio::test]
async fn progress_comes_from_the_status_of_a_running_snapshot() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "running-status");
        let progress = search.snapshot_progress("slow", "run").await.unwrap().unwrap();
        assert_eq!((progress.shards_done, progress.shards_total), (0, 1));
        assert!(progress.bytes_done > 0 && progress.bytes_done < progress.bytes_total, "{progress:?}");
    }
    let unknown = json!({"snapshots": [{"shards_stats": {"done": 1, "total": 1},
        "stats": {"incremental": {"size_in_bytes": -1}}}]});
    let path = "GET /_snapshot/a/b/_status";
    let (search, _) = scripted(Elasticsearch, Scripted::default().on(path, 200, &unknown));
    let nothing = SnapshotProgress { shards_done: 1, shards_total: 1, bytes_done: 0, bytes_total: 0 };
    assert_eq!(search.snapshot_progress("a", "b").await.unwrap(), Some(nothing), "-1 means unknown");
    let going = json!({"snapshots": [{"shards_stats": {"done": 1, "total": 2},
        "stats": {"incremental": {"size_in_bytes": 9}}}]});
    let (search, _) = scripted(Elasticsearch, Scripted::default().on(path, 200, &going));
    assert_eq!(
        search.snapshot_progress("a", "b").await.unwrap().unwrap().bytes_done,
        0,
        "not told is not done"
    );
    let (search, _) = scripted(Opensearch, Scripted::default().on(path, 429, &json!({"error": {}})));
    assert_eq!(search.snapshot_progress("a", "b").await.unwrap(), None, "too many shards for this API");
}

#[tokio::test]
async fn our_run_is_found_in_the_metadata() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "get-with-metadata");
        let view = search.snapshot("camunda", "c8keep_full").await.unwrap().unwrap();
        assert_eq!(view.run, None, "somebody else's metadata names no run");
        assert_eq!(view.evidence.state, "SUCCESS");
        assert!(!view.evidence.uuid.is_empty() && !view.evidence.version.is_empty());
    }
    let ours = json!({"responses": [{"repository": "a", "snapshots": [{"snapshot": "another"}, {"snapshot": "b",
        "metadata": {"c8keep": {"run": "backup-17", "backup_id": 17}, "other": 1}}]}]});
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /_snapshot/a/b", 200, &ours));
    let view = search.snapshot("a", "b").await.unwrap().unwrap();
    assert_eq!(view.run, Some(RunId("backup-17".into())), "also in the form of Elasticsearch 7");
    assert_eq!(view.evidence.state, "", "a state that is not told is no state");
}

#[tokio::test]
async fn names_are_listed_by_prefix() {
    for (name, product) in SERVERS {
        let (asked, status, body) = fixture(name, "get-wildcard");
        let (search, script) = scripted(product, Scripted::default().on(&asked, status, &body));
        let names = search.snapshot_names("camunda", "c8keep_*").await.unwrap();
        assert!(names.contains(&"c8keep_sync".to_owned()) && names.is_sorted(), "{names:?}");
        assert!(script.asked()[0].url.contains("verbose=false"));
        let (search, _) = server(name, product, "get-missing-wildcard");
        assert_eq!(search.snapshot_names("camunda", "gone*").await.unwrap(), Vec::<String>::new());
    }
    let cut = json!({"snapshots": [{"snapshot": "a1"}], "total": 3, "remaining": 2});
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /_snapshot/r/a*", 200, &cut));
    let fault = search.snapshot_names("r", "a*").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Strange, "the highest id of a cut list is not the highest id");
}

#[tokio::test]
async fn indices_are_listed_open_or_closed() {
    for (name, product) in SERVERS {
        let (_, status, body) = fixture(name, "cat-indices");
        let path = "GET /_cat/indices/zeebe-record*,operate-*";
        let (search, script) = scripted(product, Scripted::default().on(path, status, &body));
        let indices = search.indices(&["zeebe-record*".into(), "operate-*".into()]).await.unwrap();
        let names: Vec<&str> = indices.iter().map(|i| i.name.as_str()).collect();
        assert!(names.is_sorted() && names.contains(&"zeebe-record_job_8.6.0_2026-11-22"), "{names:?}");
        assert_eq!((indices[0].docs, indices[0].primaries), (Some(1000), 1));
        assert!(script.asked()[0].url.contains("expand_wildcards=all"));
    }
    let closed = json!([{"index": "a", "status": "close", "docs.count": null, "pri": "1"}]);
    let (search, _) = scripted(Elasticsearch, Scripted::default().on("GET /_cat/indices/a*", 200, &closed));
    let indices = search.indices(&["a*".into()]).await.unwrap();
    assert_eq!((indices[0].docs, indices[0].primaries), (None, 1));
}

#[tokio::test]
async fn a_missing_index_does_not_hide_the_others() {
    let missing =
        json!({"error": {"type": "index_not_found_exception", "reason": "no such index [b]"}, "status": 404});
    let script = Scripted::default()
        .on("GET /_cat/indices/a,b", 404, &missing)
        .on("GET /_cat/indices/a", 200, &json!([{"index": "a", "docs.count": "3", "pri": "2"}]))
        .on("GET /_cat/indices/b", 404, &missing);
    let (search, _) = scripted(Elasticsearch, script);
    let indices = search.indices(&["a".into(), "b".into()]).await.unwrap();
    assert_eq!(indices.iter().map(|i| (i.name.as_str(), i.primaries)).collect::<Vec<_>>(), [("a", 2)]);
    assert_eq!(search.indices(&[]).await.unwrap(), [], "no pattern is no index, not all");
}

#[tokio::test]
async fn long_lists_are_asked_in_pieces() {
    let patterns: Vec<String> = (0..200).map(|n| format!("zeebe-record_{n:03}_8.6.0_2026-11-22")).collect();
    let chunks = super::names::chunks("listing", &patterns).unwrap();
    assert!(chunks.len() > 2 && chunks.iter().all(|c| c.join(",").len() <= 2048));
    assert_eq!(chunks.concat(), patterns);
}

#[tokio::test]
async fn faults_say_whether_to_try_again() {
    let judge = async |status, kind: &str, reason: &str| {
        let error = json!({"error": {"type": kind, "reason": reason}, "status": status});
        let script = Scripted::default().on("PUT /_snapshot/camunda/x", status, &error);
        judged(&scripted(Elasticsearch, script).0.create_snapshot(&wanted("camunda", "x")).await.unwrap_err())
    };
    let later = (FaultKind::Refused, Retry::Again, Effect::None);
    assert_eq!(judge(503, "concurrent_snapshot_execution_exception", "clean-up").await, later);
    assert_eq!(judge(429, "circuit_breaking_exception", "Data too large").await, later);
    assert_eq!(
        judge(403, "cluster_block_exception", "blocked by: read-only").await,
        later,
        "no question of rights"
    );
    let foreign = "contents of the repository do not match its expected state";
    assert_eq!(judge(500, "repository_exception", foreign).await.0, FaultKind::Precondition);
    assert_eq!(
        judge(500, "some_new_exception", "?").await,
        (FaultKind::Refused, Retry::Again, Effect::Unknown),
        "an unknown failure of a change has an unknown effect"
    );
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "shard-unassigned-partial-false");
        let fault = search.create_snapshot(&wanted("camunda", "fail")).await.unwrap_err();
        assert_eq!(judged(&fault), later, "{name}: shards may come back");
    }
    let (search, _) = server("elasticsearch-8.16.6-security", Elasticsearch, "create-view");
    let fault = search.create_snapshot(&wanted("camunda", "s")).await.unwrap_err();
    assert_eq!(judged(&fault), (FaultKind::Unauthorised, Retry::Never, Effect::None));
    let (search, _) = server("opensearch-3.8.0-s3", Opensearch, "s3-down-get");
    let fault = search.snapshot("s3r", "s1").await.unwrap_err();
    assert_eq!((fault.kind, fault.retry), (FaultKind::Refused, Retry::Again), "the store may come back");
    assert!(fault.answer.contains("Connection refused"), "{fault:?}");
}

#[tokio::test]
async fn what_is_being_taken_now() {
    for (name, product) in SERVERS {
        let (search, _) = server(name, product, "running-current");
        assert_eq!(search.running_snapshots("slow").await.unwrap(), ["run"], "{name}");
        let (search, _) = server(name, product, "get-current-none");
        assert_eq!(search.running_snapshots("camunda").await.unwrap(), Vec::<String>::new(), "{name}");
    }
}
