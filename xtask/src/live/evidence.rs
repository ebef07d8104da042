//! The evidence in a manifest, held against what the servers themselves say about the same backup.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::peers::cluster::Cluster;
use crate::peers::http;
use crate::peers::search::REPOSITORY;

/// A manifest as `show -o json` prints it.
#[derive(Debug)]
pub struct Manifest(Value);

impl Manifest {
    pub fn of(shown: &Value) -> Result<Self> {
        ensure!(shown["complete"] == true, "not a complete backup: {shown}");
        Ok(Self(shown["manifest"].clone()))
    }

    /// The whole comparison. `parts` is how many components have a part.
    pub async fn agrees_with(&self, cluster: &Cluster, id: u64, parts: usize) -> Result<()> {
        ensure!(self.0["backup"] == id, "the manifest is of backup {}", self.0["backup"]);
        ensure!(
            self.0["versions"]["camunda"] == "8.6.0" || self.0["versions"]["camunda"] == "8.8.0",
            "{}",
            self.0["versions"]
        );
        let all = list(&self.0["parts"])?;
        ensure!(all.len() == parts, "{} parts instead of {parts}: {}", all.len(), self.0["parts"]);
        ensure!(all.iter().all(|part| part["state"] == "whole"), "a part is not whole: {}", self.0["parts"]);
        self.snapshots_agree(cluster, id).await?;
        self.partitions_agree(cluster, id).await
    }

    /// The names of all snapshots in the order of the manifest, which is the order in which they are restored.
    pub fn snapshots(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for part in list(&self.0["parts"])? {
            for snapshot in part["snapshots"].as_array().into_iter().flatten() {
                names.push(snapshot["name"].as_str().context("a snapshot without a name")?.to_owned());
            }
        }
        Ok(names)
    }

    /// How many snapshots hold any index: the others need no restore.
    pub fn snapshots_with_indices(&self) -> Result<usize> {
        let parts = list(&self.0["parts"])?.iter();
        let all = parts.flat_map(|part| part["snapshots"].as_array().into_iter().flatten());
        let indices = all.map(|snapshot| list(&snapshot["indices"]));
        Ok(indices.collect::<Result<Vec<_>>>()?.iter().filter(|indices| !indices.is_empty()).count())
    }

    /// How many brokers were read for the witness after the pause, by node id.
    pub fn brokers_read(&self) -> Result<BTreeSet<u64>> {
        let brokers = list(&self.0["witness"]["first"]["brokers"])?;
        Ok(brokers.iter().filter_map(|broker| broker["node"].as_u64()).collect())
    }

    async fn snapshots_agree(&self, cluster: &Cluster, id: u64) -> Result<()> {
        let mut named = BTreeSet::new();
        for part in list(&self.0["parts"])? {
            for told in part["snapshots"].as_array().into_iter().flatten() {
                let name = told["name"].as_str().context("a snapshot without a name")?;
                let real = cluster.search.snapshot(name).await?;
                ensure!(told["uuid"] == real["uuid"], "{name}: uuid {} is {}", told["uuid"], real["uuid"]);
                ensure!(told["state"] == "SUCCESS" && real["state"] == "SUCCESS", "{name}: {told} is {real}");
                ensure!(told["repository"] == REPOSITORY, "{name}: repository {}", told["repository"]);
                ensure!(
                    texts(&told["indices"])? == texts(&real["indices"])?,
                    "{name}: indices {told} are {real}"
                );
                ensure!(told["shards_total"] == real["shards"]["total"], "{name}: shards {told} are {real}");
                ensure!(told["shards_failed"] == 0 && real["shards"]["failed"] == 0, "{name}: {real}");
                named.insert(name.to_owned());
            }
        }
        // What the 8.8 face shows are clones: the parts themselves are not the backup's.
        let is_unified = named.iter().any(|name| name.starts_with("camunda_webapps_"));
        let is_behind = |name: &String| {
            is_unified && ["camunda_operate_", "camunda_tasklist_"].iter().any(|app| name.starts_with(app))
        };
        let real: BTreeSet<String> =
            of_backup(cluster, id).await?.into_iter().filter(|name| !is_behind(name)).collect();
        ensure!(named == real, "the manifest names {named:?}, the repository holds {real:?}");
        Ok(())
    }

    async fn partitions_agree(&self, cluster: &Cluster, id: u64) -> Result<()> {
        let broker = cluster.brokers.first().context("no broker")?;
        let real =
            http::get(&format!("{}/actuator/backups/{id}", broker.management())).await?.good()?.json()?;
        ensure!(real["state"] == "COMPLETED", "the gateway says {real}");
        let parts = list(&self.0["parts"])?;
        let runtime = parts.iter().find(|part| part["component"] == "runtime").context("no runtime part")?;
        let (told, real) = (list(&runtime["partitions"])?, list(&real["details"])?);
        ensure!(told.len() == real.len(), "{} partitions told of {}", told.len(), real.len());
        ensure!(
            self.0["witness"]["verdict"]["kind"] == "proven",
            "the witness is {}",
            self.0["witness"]["verdict"]
        );
        let witness = list(&self.0["witness"]["partitions"])?;
        ensure!(witness.len() == real.len(), "the witness speaks of {} partitions", witness.len());
        for detail in real {
            let number = &detail["partitionId"];
            let told = told.iter().find(|one| one["partition"] == *number);
            let told = told.with_context(|| format!("partition {number} is not in the manifest"))?;
            ensure!(told["state"] == "COMPLETED", "partition {number}: {told}");
            ensure!(
                told["checkpoint"] == detail["checkpointPosition"],
                "partition {number}: {told} is {detail}"
            );
            ensure!(told["snapshot"] == detail["snapshotId"], "partition {number}: {told} is {detail}");
            let witness = witness.iter().find(|one| one["partition"] == *number);
            let witness =
                witness.with_context(|| format!("the witness does not speak of partition {number}"))?;
            let exported = detail["snapshotId"].as_str().map_or(Some(-1), exported_in);
            ensure!(witness["exported_in_backup"].as_i64() == exported, "{witness} is {detail}");
            let at_pause = witness["exported_at_pause"].as_i64();
            ensure!(
                witness["leader_read"] == true,
                "the leader of partition {number} was not read: {witness}"
            );
            ensure!(at_pause.is_some() && at_pause >= exported, "not proven: {witness}");
        }
        Ok(())
    }

    /// The guide for the night without c8keep lies beside the manifest and names everything that has to be restored.
    pub fn restore_guide_names_all(&self, manifest: &Path, id: u64) -> Result<()> {
        let guide = manifest.with_file_name("RESTORE.md");
        let text = fs::read_to_string(&guide).with_context(|| format!("no {}", guide.display()))?;
        for name in self.snapshots()?.into_iter().chain([id.to_string()]) {
            ensure!(text.contains(&name), "{} does not name {name}", guide.display());
        }
        Ok(())
    }
}

/// Every snapshot in the repository that belongs to this id, whoever made it.
pub async fn of_backup(cluster: &Cluster, id: u64) -> Result<BTreeSet<String>> {
    let answer = http::get(&format!("{}/_all", cluster.search.repository())).await?.good()?.json()?;
    let names = list(&answer["snapshots"])?.iter().filter_map(|one| one["snapshot"].as_str());
    let belongs = |name: &&str| name.split('_').any(|word| word == id.to_string());
    Ok(names.filter(belongs).map(str::to_owned).collect())
}

/// The exported position in a snapshot id: `index-term-processed-exported-broker`.
pub fn exported_in(snapshot: &str) -> Option<i64> {
    snapshot.split('-').nth(3)?.parse().ok()
}

fn list(value: &Value) -> Result<&[Value]> {
    value.as_array().map(Vec::as_slice).with_context(|| format!("expected a list, found {value}"))
}

fn texts(value: &Value) -> Result<BTreeSet<&str>> {
    Ok(list(value)?.iter().filter_map(Value::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exported_position_is_the_fourth_part() {
        assert_eq!(exported_in("170-1-22943-1418-0"), Some(1418));
        assert_eq!(exported_in("170-1-22943"), None);
    }
}
