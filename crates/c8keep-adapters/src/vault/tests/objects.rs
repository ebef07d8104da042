//! The vault on a store in memory, and on one that does not keep a store's promises.

use std::sync::Arc;

use c8keep_core::fault::FaultKind;
use c8keep_engine::ports::Vault;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::vault::{ObjectVault, contract, sha256_hex};

const MANIFEST: &str = "default/backups/17/manifest.json";

fn vault(prefix: &str) -> (ObjectVault, Arc<dyn ObjectStore>) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    (ObjectVault::new(Arc::clone(&store), "s3://bucket/prefix", prefix), store)
}

#[tokio::test]
async fn every_promise_holds() {
    for prefix in ["", "camunda/prod"] {
        let (vault, _store) = vault(prefix);
        assert_eq!(contract::holds(&vault, "default").await.unwrap(), 10, "{prefix:?}");
    }
}

#[tokio::test]
async fn sha256sum_can_check_a_copy() {
    let (vault, store) = vault("camunda");
    let sha256 = vault.create(MANIFEST, b"{}\n").await.unwrap();
    let key = Path::from(format!("camunda/{MANIFEST}.sha256"));
    let line = store.get(&key).await.unwrap().bytes().await.unwrap();
    assert_eq!(line, format!("{sha256}  manifest.json\n"));
}

#[tokio::test]
async fn damage_is_seen_when_reading() {
    let (vault, store) = vault("");
    vault.create(MANIFEST, b"one").await.unwrap();
    store.put(&Path::from(MANIFEST), "onf".into()).await.unwrap();
    let fault = vault.read(MANIFEST).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
    assert!(
        fault.answer.contains(&sha256_hex(b"one")) && fault.target.starts_with("s3://bucket/prefix/default")
    );
}

/// The writer died between the object and its checksum.
#[tokio::test]
async fn a_missing_checksum_is_added_by_writing_again() {
    let (vault, store) = vault("");
    vault.create(MANIFEST, b"one").await.unwrap();
    let checksum = Path::from(format!("{MANIFEST}.sha256"));
    store.delete(&checksum).await.unwrap();
    assert_eq!(vault.read(MANIFEST).await.unwrap().unwrap(), b"one");
    vault.create(MANIFEST, b"one").await.unwrap();
    assert!(store.head(&checksum).await.is_ok());
}

#[tokio::test]
async fn what_others_have_put_into_the_bucket_is_not_listed() {
    let (vault, store) = vault("camunda");
    vault.create(MANIFEST, b"one").await.unwrap();
    for foreign in ["default/backups/17/x.json", "camunda2/default/x", "camunda/default/.hidden"] {
        store.put(&Path::from(foreign), "x".into()).await.unwrap();
    }
    assert_eq!(vault.list("default").await.unwrap(), [MANIFEST]);
    assert_eq!(vault.list("").await.unwrap(), [MANIFEST]);
}
