//! What a search server tells of the login's rights and of its repositories' kind.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::transport::{Access, Credential};

const QUESTION: &str = "POST /_security/user/_has_privileges";

fn with_login(product: SearchProduct, script: Scripted) -> (Search, Arc<Scripted>) {
    let script = Arc::new(script);
    let credential =
        Credential::Basic { user: "backup".into(), password: crate::transport::Secret::Env("X".into()) };
    let access = Access::default().with_credential(credential);
    let endpoint = Endpoint::parse("search.example:9200").unwrap().with_access(&access);
    (SearchClient::new(script.clone(), endpoint).of(product), script)
}

/// By the page "Check user privileges" of Elasticsearch's documentation.
#[tokio::test]
async fn rights_that_a_login_lacks_are_named() {
    let body = json!({"username": "backup", "has_all_requested": false, "application": {},
        "cluster": {"monitor": true, "create_snapshot": false},
        "index": {"zeebe-record*": {"monitor": true, "view_index_metadata": false}}});
    let (search, _) = with_login(Elasticsearch, Scripted::default().on(QUESTION, 200, &body));
    let lacks = search.lacks(&["zeebe-record*".into()]).await.unwrap().unwrap();
    assert_eq!(lacks, ["create_snapshot", "view_index_metadata of zeebe-record*"]);
}

#[tokio::test]
async fn rights_are_asked_for_only_where_there_are_some() {
    let nobody = scripted(Elasticsearch, Scripted::default()).0;
    assert_eq!(nobody.lacks(&[]).await.unwrap(), None, "no login");
    let (opensearch, _) = with_login(Opensearch, Scripted::default());
    assert_eq!(opensearch.lacks(&[]).await.unwrap(), None, "no such question");
    // Without its security (elasticsearch issue 53761).
    let off =
        json!({"error": "no handler found for uri [/_security/user/_has_privileges] and method [POST]"});
    let (search, _) = with_login(Elasticsearch, Scripted::default().on(QUESTION, 400, &off));
    let fault = search.lacks(&[]).await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Refused, Effect::None));
}

#[tokio::test]
async fn shallow_repositories_are_told() {
    for (settings, is_shallow) in [
        (json!({"bucket": "b", "remote_store_index_shallow_copy": "true"}), true),
        (json!({"bucket": "b", "shallow_snapshot_v2": true}), true),
        (json!({"bucket": "b", "remote_store_index_shallow_copy": "false"}), false),
    ] {
        let body = json!({"camunda": {"type": "s3", "settings": settings}});
        let (search, _) = scripted(Opensearch, Scripted::default().on("GET /_snapshot/camunda", 200, &body));
        assert_eq!(search.repository("camunda").await.unwrap().is_shallow, is_shallow);
    }
}
