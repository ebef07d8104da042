//! In the place of a search server that is missing.

use async_trait::async_trait;
use c8keep_core::facts::{IndexCount, Repository};
use c8keep_core::fault::Fault;

use crate::ports::{SearchStore, SnapshotProgress, SnapshotRequest, SnapshotView};

/// Whatever it is asked, it says why it is missing.
#[derive(Debug, Clone)]
pub struct NoSearch(pub Fault);

impl NoSearch {
    fn why<T>(&self) -> Result<T, Fault> {
        Err(self.0.clone())
    }
}

#[async_trait]
impl SearchStore for NoSearch {
    async fn repository(&self, _: &str) -> Result<Repository, Fault> {
        self.why()
    }

    async fn verify_repository(&self, _: &str) -> Result<(), Fault> {
        self.why()
    }

    async fn indices(&self, _: &[String]) -> Result<Vec<IndexCount>, Fault> {
        self.why()
    }

    async fn create_snapshot(&self, _: &SnapshotRequest) -> Result<(), Fault> {
        self.why()
    }

    async fn snapshot(&self, _: &str, _: &str) -> Result<Option<SnapshotView>, Fault> {
        self.why()
    }

    async fn snapshot_progress(&self, _: &str, _: &str) -> Result<Option<SnapshotProgress>, Fault> {
        self.why()
    }

    async fn snapshot_names(&self, _: &str, _: &str) -> Result<Vec<String>, Fault> {
        self.why()
    }

    async fn running_snapshots(&self, _: &str) -> Result<Vec<String>, Fault> {
        self.why()
    }
}
