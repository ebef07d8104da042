//! The search server of the ports in memory.

use async_trait::async_trait;
use c8keep_core::facts::{IndexCount, Repository, SnapshotEvidence};
use c8keep_core::fault::Fault;
use c8keep_engine::ports::{SearchStore, SnapshotProgress, SnapshotRequest, SnapshotView};

use super::Memory;

#[async_trait]
impl SearchStore for Memory {
    async fn repository(&self, name: &str) -> Result<Repository, Fault> {
        Ok(Repository {
            name: name.into(),
            kind: "fs".into(),
            location: None,
            is_shallow: false,
            is_unverified: false,
        })
    }

    async fn verify_repository(&self, _: &str) -> Result<(), Fault> {
        Ok(())
    }

    async fn indices(&self, patterns: &[String]) -> Result<Vec<IndexCount>, Fault> {
        let outside = self.outside();
        let is_copied = outside.effects.iter().any(|effect| effect == "start-history");
        let other = outside.not_copied.filter(|(_, remains)| *remains || !is_copied).map(|(name, _)| name);
        let all = ["zeebe-record_job_8.8.0"].into_iter().chain(other);
        let wanted = |name: &&str| patterns.iter().any(|p| name.starts_with(p.trim_end_matches('*')));
        let index = |name: &str| IndexCount { name: name.into(), docs: Some(1), primaries: 1 };
        Ok(all.filter(wanted).map(index).collect())
    }

    async fn create_snapshot(&self, request: &SnapshotRequest) -> Result<(), Fault> {
        self.effect("snapshot-records").await;
        self.outside().snapshot = Some(request.clone());
        Ok(())
    }

    async fn snapshot(&self, repository: &str, name: &str) -> Result<Option<SnapshotView>, Fault> {
        let run = self.outside().snapshot.as_ref().filter(|s| s.snapshot == name).map(|s| s.run.clone());
        let of_app = self.outside().app_index.unwrap_or("operate-process-8.3.0_");
        let index = if name.starts_with("camunda_webapps") { of_app } else { "zeebe-record_job_8.8.0" };
        let evidence = SnapshotEvidence {
            name: name.into(),
            repository: repository.into(),
            uuid: "u".into(),
            version: "8.16.6".into(),
            state: "SUCCESS".into(),
            indices: vec![index.into()],
            shards_total: 1,
            shards_failed: 0,
            shards_successful: 1,
            failures: Vec::new(),
            started_at: None,
            ended_at: None,
            removed_meanwhile: Vec::new(),
        };
        Ok(Some(SnapshotView { evidence, run }))
    }

    async fn snapshot_progress(&self, _: &str, _: &str) -> Result<Option<SnapshotProgress>, Fault> {
        Ok(None)
    }

    async fn snapshot_names(&self, _: &str, pattern: &str) -> Result<Vec<String>, Fault> {
        let outside = self.outside();
        let records = outside.snapshot.as_ref().map(|request| request.snapshot.clone());
        let history = records.as_ref().map(|records| {
            let id = records.rsplit('_').next().unwrap_or_default();
            format!("camunda_webapps_{id}_8.8.0_part_1_of_1")
        });
        let is_there = |name: &String| {
            let is_deleted = outside.deleted_later.is_some_and(|prefix| name.starts_with(prefix));
            !is_deleted && name.starts_with(pattern.trim_end_matches('*'))
        };
        Ok(history.into_iter().chain(records).filter(is_there).collect())
    }

    async fn running_snapshots(&self, _: &str) -> Result<Vec<String>, Fault> {
        Ok(Vec::new())
    }
}
