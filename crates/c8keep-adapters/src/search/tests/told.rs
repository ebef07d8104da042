//! What a search server tells of its repositories' kind.

use serde_json::json;

use super::*;

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
