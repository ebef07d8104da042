//! The example answers of the page "Create a backup" of 8.7, 8.8 and 8.9 about the snapshot of the records.

use std::path::Path;

use c8keep_core::installation::SearchProduct::{Elasticsearch, Opensearch};
use c8keep_engine::ports::{SearchStore, SnapshotProgress};

use serde_json::{Value, json};

use super::scripted;
use crate::transport::scripted::Scripted;

const SNAPSHOT: &str = "camunda_zeebe_records_backup_1748937221";

/// Status and body of an example answer, such as `camunda-docs-8.9/records-create-on-opensearch`.
fn example(name: &str) -> (u16, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.json"));
    let mut all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let status = u16::try_from(all["response"]["status"].as_u64().unwrap()).unwrap();
    (status, all["response"]["body"].take())
}

/// The page waits for it and is answered with the snapshot itself; c8keep does not wait, and reads the same in a list.
#[tokio::test]
async fn the_snapshot_that_the_page_makes_is_a_whole_one() {
    let path = format!("GET /_snapshot/camunda/{SNAPSHOT}");
    for (version, indices, shards) in [("8.7", 5, 9), ("8.9", 4, 8)] {
        for (name, product) in [("elasticsearch", Elasticsearch), ("opensearch", Opensearch)] {
            let (status, made) = example(&format!("camunda-docs-{version}/records-create-on-{name}"));
            let listed = json!({ "snapshots": [made["snapshot"]] });
            let (search, _) = scripted(product, Scripted::default().on(&path, status, &listed));
            let evidence = search.snapshot("camunda", SNAPSHOT).await.unwrap().unwrap().evidence;
            assert_eq!(
                (evidence.state.as_str(), evidence.indices.len()),
                ("SUCCESS", indices),
                "{version} {name}"
            );
            assert_eq!((evidence.shards_total, evidence.shards_failed), (shards, 0), "{version} {name}");
        }
    }
}

#[tokio::test]
async fn its_progress_is_all_of_it() {
    for (version, shards) in [("8.7", 9), ("8.8", 8), ("8.9", 8)] {
        for (name, product) in [("elasticsearch", Elasticsearch), ("opensearch", Opensearch)] {
            let (status, body) = example(&format!("camunda-docs-{version}/records-status-on-{name}"));
            let path = format!("GET /_snapshot/camunda/{SNAPSHOT}/_status");
            let (search, _) = scripted(product, Scripted::default().on(&path, status, &body));
            let all =
                SnapshotProgress { shards_done: shards, shards_total: shards, bytes_done: 0, bytes_total: 0 };
            let told = search.snapshot_progress("camunda", SNAPSHOT).await.unwrap();
            assert_eq!(told, Some(all), "{version} {name}");
        }
    }
}
