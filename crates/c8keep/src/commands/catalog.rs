//! What is known about backups: manifests in the vault, runs in the journal.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest::{MANIFEST_FORMAT, Manifest, Release};
use c8keep_core::{BackupId, Run};
use c8keep_engine::World;
use c8keep_engine::open_runs;
use c8keep_engine::perform::highest_id as highest_id_of_servers;
use c8keep_engine::ports::{Journal, Vault};

/// How many runs are looked through.
const RUNS_MAX: u32 = 1_000;

/// One line of the catalog.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) backup: BackupId,
    pub(super) manifest: Option<Manifest>,
    pub(super) release: Option<Release>,
    pub(super) run: Option<Run>,
}

/// Every backup of an installation, newest first: those with a manifest, and those that only the journal knows.
pub(super) async fn entries(
    vault: &dyn Vault,
    journal: &dyn Journal,
    installation: &str,
) -> Result<Vec<Entry>, Fault> {
    let mut entries: Vec<Entry> = Vec::new();
    for backup in backups(vault, installation).await? {
        let manifest = manifest(vault, installation, backup).await?;
        let release = read(vault, &format!("{installation}/backups/{backup}/release.json")).await?;
        if manifest.is_some() {
            entries.push(Entry { backup, manifest, release, run: None });
        }
    }
    for row in journal.runs(installation, RUNS_MAX).await? {
        let Some((run, _)) = open_runs::load(journal, &row.run).await? else { continue };
        let backup = run.plan().backup();
        match entries.iter_mut().find(|e| e.backup == backup) {
            Some(entry) => entry.run = entry.run.take().or(Some(run)),
            None => entries.push(Entry { backup, manifest: None, release: None, run: Some(run) }),
        }
    }
    entries.sort_by_key(|e| std::cmp::Reverse(e.backup));
    Ok(entries)
}

/// The manifest of a backup, if it has one that this version reads.
pub(super) async fn manifest(
    vault: &dyn Vault,
    installation: &str,
    backup: BackupId,
) -> Result<Option<Manifest>, Fault> {
    let path = format!("{installation}/backups/{backup}/manifest.json");
    let manifest: Option<Manifest> = read(vault, &path).await?;
    match manifest {
        Some(m) if m.format > MANIFEST_FORMAT => Err(Fault::new(
            FaultKind::Usage,
            "reading a manifest",
            path,
            format!("it has format {}, this version reads {MANIFEST_FORMAT}", m.format),
        )
        .with_hint("use a newer c8keep")),
        other => Ok(other),
    }
}

/// The highest id seen on the servers, in the vault or in the journal.
pub(super) async fn highest_id(world: &World) -> Result<Option<BackupId>, Fault> {
    let mut highest = highest_id_of_servers(world).await?;
    highest = highest.max(backups(&*world.vault, &world.installation.name).await?.into_iter().max());
    let runs = world.journal.runs(&world.installation.name, RUNS_MAX).await?;
    let ids = runs.iter().filter_map(|row| {
        let id = row.run.0.strip_prefix("backup-")?;
        id.split('.').next()?.parse().ok()
    });
    Ok(highest.max(ids.max()))
}

/// Ids that have a folder in the vault.
async fn backups(vault: &dyn Vault, installation: &str) -> Result<Vec<BackupId>, Fault> {
    let prefix = format!("{installation}/backups/");
    let mut ids: Vec<BackupId> = vault
        .list(&prefix)
        .await?
        .iter()
        .filter_map(|path| path.strip_prefix(&prefix)?.split('/').next()?.parse().ok())
        .collect();
    ids.dedup();
    Ok(ids)
}

async fn read<T: serde::de::DeserializeOwned>(vault: &dyn Vault, path: &str) -> Result<Option<T>, Fault> {
    let Some(bytes) = vault.read(path).await? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        Fault::new(FaultKind::Damaged, "reading from the vault", path, error.to_string())
            .with_hint("the file was changed or cut; compare it with its .sha256 file and another copy")
    })
}
