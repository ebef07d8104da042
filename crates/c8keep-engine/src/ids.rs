//! Which ids are taken: whatever any store, the vault or the journal has seen. Ids only rise, so the next one lies above
//! them all.

use c8keep_core::BackupId;
use c8keep_core::fault::Fault;

use crate::World;
use crate::perform::highest_id;
use crate::ports::Vault;

/// How many runs are looked through.
const RUNS_MAX: u32 = 1_000;

/// The highest id seen on the servers, in the vault or in the journal.
pub async fn highest_seen(world: &World) -> Result<Option<BackupId>, Fault> {
    let mut highest = highest_id(world).await?;
    let in_vault = in_vault(&*world.vault, &world.installation.name).await.map_err(Fault::of_a_start)?;
    highest = highest.max(in_vault.into_iter().max());
    let runs = world.journal.runs(&world.installation.name, RUNS_MAX).await?;
    let ids = runs.iter().filter_map(|row| row.run.backup());
    Ok(highest.max(ids.max()))
}

/// There is no id above the highest one.
pub fn none_left() -> Fault {
    Fault::precondition(
        "choosing an id",
        "the ids that were seen",
        "the highest one there can be (2^63 - 1) was seen, and ids only rise",
        "look for it with `c8keep list` and in the stores' own lists: somebody gave it by hand; delete that backup there",
    )
}

/// Ids that have a folder in the vault.
pub async fn in_vault(vault: &dyn Vault, installation: &str) -> Result<Vec<BackupId>, Fault> {
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
