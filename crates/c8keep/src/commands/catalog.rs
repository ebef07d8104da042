//! What is known about backups: manifests in the vault, runs in the journal.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest::{MANIFEST_FORMAT, Manifest, Release};
use c8keep_core::plan::Kind;
use c8keep_core::{BackupId, Outcome, Run};
use c8keep_engine::ports::{Journal, Vault};
use c8keep_engine::{ids, open_runs};
use futures::StreamExt;
use futures::stream;
use serde::de::DeserializeOwned;

use crate::exit;
use crate::session;
use crate::settings::Settings;

/// How many runs are looked through.
const RUNS_MAX: u32 = 1_000;
/// How many runs are asked for a backup that the vault should have: one is enough, and some may have failed since.
const RUNS_LOOKED_FOR: u32 = 20;
/// Backups that are read side by side: an object store answers each question after milliseconds, and has room for many.
const READS_AT_ONCE: usize = 8;

/// What is said of a folder that the first backup makes its vault.
pub(super) fn to_come(place: &str) -> String {
    format!(
        "{place} is not there yet, the first backup makes it; if there should be backups in it, is its volume mounted?"
    )
}

/// What to do about a backup that the vault has lost.
pub(super) const LOST: &str =
    "is the vault's volume mounted, and `vault` the place that it was? `c8keep show` tells more";

/// Everything that is known, and what could not be read.
#[derive(Debug)]
pub(super) struct Catalog {
    /// Newest first: backups with a manifest, and those that only the journal knows.
    pub(super) entries: Vec<Entry>,
    /// Why the vault or the journal as a whole could not be read.
    pub(super) faults: Vec<Fault>,
    /// The folder that the first backup makes its vault.
    pub(super) vault_to_come: Option<String>,
}

/// One line of the catalog.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) backup: BackupId,
    pub(super) manifest: Option<Manifest>,
    pub(super) release: Option<Release>,
    /// The newest run of this id that began anything; if none did, the newest.
    pub(super) run: Option<Run>,
    /// One that came later and was refused before it began anything: it speaks for itself, not for the id.
    pub(super) refused: Option<Run>,
    /// What of it cannot be read: one damaged file must not hide the other backups.
    pub(super) fault: Option<Fault>,
}

/// Reads what can be read: a fault costs the entry it concerns, never the rest.
pub(super) async fn read_all(
    vault: Result<&dyn Vault, Fault>,
    journal: Result<&dyn Journal, Fault>,
    installation: &str,
) -> Catalog {
    let mut catalog = Catalog { entries: Vec::new(), faults: Vec::new(), vault_to_come: None };
    match of_whole_vault(vault, installation).await {
        Ok(entries) => catalog.entries = entries,
        Err(fault) => catalog.faults.push(fault),
    }
    let read = match journal {
        Ok(journal) => add_runs(&mut catalog.entries, journal, installation).await,
        Err(fault) => Err(fault),
    };
    catalog.faults.extend(read.err());
    catalog.entries.sort_by_key(|e| std::cmp::Reverse(e.backup));
    catalog
}

async fn of_whole_vault(vault: Result<&dyn Vault, Fault>, installation: &str) -> Result<Vec<Entry>, Fault> {
    let vault = vault?;
    let ids = ids::in_vault(vault, installation).await?;
    let entries = ids.into_iter().map(|backup| of_vault(vault, installation, backup));
    let entries: Vec<Option<Entry>> = stream::iter(entries).buffered(READS_AT_ONCE).collect().await;
    Ok(entries.into_iter().flatten().collect())
}

async fn of_vault(vault: &dyn Vault, installation: &str, backup: BackupId) -> Option<Entry> {
    let mut entry = Entry::new(backup);
    match manifest(vault, installation, backup).await {
        Ok(found) => entry.manifest = found,
        Err(fault) => entry.fault = Some(fault),
    }
    match read(vault, &format!("{installation}/backups/{backup}/release.json")).await {
        Ok(found) => entry.release = found,
        Err(fault) => entry.fault = entry.fault.or(Some(fault)),
    }
    (entry.manifest.is_some() || entry.fault.is_some()).then_some(entry)
}

async fn add_runs(entries: &mut Vec<Entry>, journal: &dyn Journal, installation: &str) -> Result<(), Fault> {
    for row in journal.runs(installation, RUNS_MAX).await? {
        let Some(backup) = row.run.backup() else { continue };
        let known = entries.iter().position(|e| e.backup == backup);
        let nth = known.unwrap_or_else(|| {
            entries.push(Entry::new(backup));
            entries.len() - 1
        });
        let entry = &mut entries[nth];
        // Rows come newest first, and the newest run of an id is the one that counts, if it began anything.
        if entry.run.as_ref().is_some_and(|run| !was_refused(run)) {
            continue;
        }
        match open_runs::load(journal, &row.run).await {
            Ok(Some((older, _))) if entry.run.is_none() || !was_refused(&older) => {
                entry.refused = entry.run.replace(older);
            }
            Ok(_) => {}
            Err(fault) => entry.fault = entry.fault.take().or(Some(fault)),
        }
    }
    Ok(())
}

/// Whether it ended with looking: nothing was begun, so its id is as it was.
fn was_refused(run: &Run) -> bool {
    let ended = matches!(run.outcome(), Some(Outcome::Failed { .. } | Outcome::Stopped { .. }));
    ended && run.steps().all(|(step, state)| step.kind == Kind::Probe || state.since().is_none())
}

/// Whether its manifest was written into the vault.
fn is_published(run: &Run) -> bool {
    matches!(run.outcome(), Some(Outcome::Complete | Outcome::Partial { .. }))
}

/// [`Catalog::lost`] for whoever is about to begin a backup and looks no further than he must.
pub(super) async fn lost(vault: &dyn Vault, journal: &dyn Journal, installation: &str) -> Option<BackupId> {
    let mut known = BTreeSet::new();
    for row in journal.runs(installation, RUNS_LOOKED_FOR).await.ok()? {
        let run = open_runs::load(journal, &row.run).await.ok().flatten();
        known.extend(run.filter(|(run, _)| is_published(run)).map(|(run, _)| run.plan().backup()));
    }
    let newest = *known.last()?;
    let there = vault.list(&format!("{installation}/backups/")).await.ok()?;
    let is_there = |id: &BackupId| there.contains(&format!("{installation}/backups/{id}/manifest.json"));
    (!known.iter().any(is_there)).then_some(newest)
}

/// How long a vault is waited for by who has not much patience.
pub(super) const SOON: Duration = Duration::from_secs(15);

/// What is said of a vault that was not read so soon.
pub(super) fn too_slow(vault: Result<Arc<dyn Vault>, Fault>) -> Fault {
    let place = match vault {
        Ok(vault) => vault.place(),
        Err(fault) => return fault,
    };
    let answer = format!("nothing that can be used within {} s", SOON.as_secs());
    Fault::new(FaultKind::Unreachable, "reading the vault", place, answer)
        .with_hint("see whether the vault can be reached; `c8keep list` waits for it longer")
}

impl Entry {
    fn new(backup: BackupId) -> Entry {
        Entry { backup, manifest: None, release: None, run: None, refused: None, fault: None }
    }

    /// Whether all that is known of its id is that a run of it was refused.
    fn was_never_begun(&self) -> bool {
        self.manifest.is_none() && self.fault.is_none() && self.run.as_ref().is_some_and(was_refused)
    }
}

impl Catalog {
    /// A folder that was named and is not there is no vault that was lost where the journal knows no backup in it, and the first
    /// one would make it. Where even what holds it is missing, as a volume that is not mounted, it stays a fault.
    pub(super) async fn before_the_first(mut self, settings: &Settings) -> Catalog {
        let knows_one = self.entries.iter().any(|entry| entry.run.as_ref().is_some_and(is_published));
        let is_missing = matches!(self.faults.as_slice(), [fault] if fault.kind == FaultKind::Precondition && fault.doing.contains("vault"));
        if !is_missing || knows_one {
            return self;
        }
        match session::vault_to_come(settings).await {
            Some(Ok(place)) => {
                self.faults.clear();
                self.vault_to_come = Some(place);
            }
            Some(Err(fault)) => self.faults = vec![fault],
            None => {}
        }
        self
    }

    /// The newest backup that the journal knows as published, where the vault has none of them: it is another place than it was,
    /// or its volume is not mounted. Nothing of it is known of a vault that could not be read.
    pub(super) fn lost(&self) -> Option<BackupId> {
        if !self.faults.is_empty() {
            return None;
        }
        let mut published = self.entries.iter().filter(|entry| entry.run.as_ref().is_some_and(is_published));
        let newest = published.clone().next()?.backup;
        published.all(|entry| entry.manifest.is_none() && entry.fault.is_none()).then_some(newest)
    }

    /// What is listed: ids that were begun, and the last run whatever became of it; or all.
    pub(super) fn listed(&self, all: bool) -> impl Iterator<Item = &Entry> {
        let opened = |entry: &Entry| entry.run.iter().chain(&entry.refused).map(Run::opened_at).max();
        let last = self.entries.iter().filter_map(opened).max();
        self.entries.iter().filter(move |entry| all || !entry.was_never_begun() || opened(entry) == last)
    }

    /// The exit code of whoever has shown all of it.
    pub(super) fn code(&self) -> u8 {
        let faults = self.faults.iter().chain(self.entries.iter().filter_map(|e| e.fault.as_ref()));
        exit::first_of(faults.map(|fault| fault.kind.exit_code()))
    }
}

/// The manifest of a backup, if it has one that this version reads.
pub(super) async fn manifest(
    vault: &dyn Vault,
    installation: &str,
    backup: BackupId,
) -> Result<Option<Manifest>, Fault> {
    let path = format!("{installation}/backups/{backup}/manifest.json");
    let Some(bytes) = vault.read(&path).await? else { return Ok(None) };
    // Looked at first: a newer format may have nothing else in common with this one.
    if let Ok(Formatted { format }) = serde_json::from_slice(&bytes)
        && format > u64::from(MANIFEST_FORMAT)
    {
        let answer = format!("it has format {format}, this version reads {MANIFEST_FORMAT}");
        let fault = Fault::new(FaultKind::Usage, "reading a manifest", path, answer);
        return Err(fault.with_hint("use a newer c8keep"));
    }
    let manifest: Manifest = parsed(&path, &bytes)?;
    if manifest.backup != backup {
        let answer = format!("it is the manifest of backup {}", manifest.backup);
        let fault = Fault::new(FaultKind::Damaged, "reading from the vault", path, answer);
        return Err(fault.with_hint("it was copied here: take the right one from another copy of the vault"));
    }
    Ok(Some(manifest))
}

/// What every format begins with.
#[derive(serde::Deserialize)]
struct Formatted {
    format: u64,
}

async fn read<T: DeserializeOwned>(vault: &dyn Vault, path: &str) -> Result<Option<T>, Fault> {
    vault.read(path).await?.map(|bytes| parsed(path, &bytes)).transpose()
}

fn parsed<T: DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        Fault::new(FaultKind::Damaged, "reading from the vault", path, error.to_string())
            .with_hint("the file was changed or cut; compare it with its .sha256 file and another copy")
    })
}
