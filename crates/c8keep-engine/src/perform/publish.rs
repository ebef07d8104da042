//! Judging the evidence and publishing the manifest.

use std::slice;

use c8keep_core::facts::{Fact, Positions};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest::{self, Manifest, Release};
use c8keep_core::run::{Answer, Hold, Run};
use c8keep_core::witness::{self, WitnessVerdict};

use super::Performed;
use crate::World;

/// Pure: everything was read by earlier steps. The evidence is kept also when it condemns.
pub(super) fn judge(run: &Run) -> Answer {
    let facts = run.facts();
    let unread = || Positions { at: run.last_at(), brokers: Vec::new() };
    let Some(runtime) = &facts.runtime else { unreachable!("the plan orders this after the runtime backup") };
    let told = runtime.partitions.iter().map(|p| p.partition).max().unwrap_or(0);
    let count = facts.cluster.as_ref().and_then(|c| c.partitions);
    let first = facts.first_positions.clone().unwrap_or_else(unread);
    let last = facts.last_positions.clone().unwrap_or_else(unread);
    let mut witness = witness::judge(count.unwrap_or(told), &first, &last, runtime);
    if count.is_none() && witness.verdict == WitnessVerdict::Proven {
        let reason = format!("nothing tells whether there are more than the {told} partitions in the backup");
        witness.verdict = WitnessVerdict::Unproven { reason };
    }
    if let WitnessVerdict::Violated { reason } = &witness.verdict {
        let fault = Fault::new(
            FaultKind::Violated,
            "judging whether the pause held",
            "exported positions",
            format!("the pause did not hold: {reason}"),
        )
        .with_hint(
            "records exported meanwhile would be missing after a restore; somebody resumed exporting during the backup, \
             or a broker that restarted lost its pause; find out who or why, then back up again",
        );
        return Answer::Fault { fault, facts: vec![Fact::Witness(witness)] };
    }
    Fact::Witness(witness).into()
}

/// The guide first, the manifest last: its presence is what makes the backup complete. Both are the same bytes
/// whenever this is repeated, so a lost answer does no harm.
pub(super) async fn publish(world: &World, run: &Run) -> Performed {
    let Some(manifest) = Manifest::of(run, &world.installation, &world.c8keep) else {
        unreachable!("the plan orders this after the witness");
    };
    still_there(world, run).await?;
    let folder = folder(world, run);
    let guide = manifest::restore_guide(&manifest);
    world.vault.create(&format!("{folder}/RESTORE.md"), guide.as_bytes()).await?;
    let path = format!("{folder}/manifest.json");
    let sha256 = world.vault.create(&path, &pretty(&manifest)?).await?;
    Ok(Fact::Published { path, sha256 }.into())
}

/// A snapshot was looked at when it was whole, which may be hours ago; since then it may have been deleted, or the
/// repository's folder may have vanished and been made anew, empty, by the next snapshot (seen on OpenSearch, with SUCCESS).
async fn still_there(world: &World, run: &Run) -> Result<(), Fault> {
    let facts = run.facts();
    let id = run.plan().backup();
    let of_apps = facts.history.iter().map(|(app, snapshots)| (app.snapshots_of(id), snapshots.as_slice()));
    let of_records = facts.records.iter().map(|one| (format!("{}*", one.name), slice::from_ref(one)));
    for (pattern, snapshots) in of_apps.chain(of_records) {
        let Some(first) = snapshots.first() else { continue };
        let listed = world.search.snapshot_names(&first.repository, &pattern).await?;
        let gone = snapshots.iter().filter(|snapshot| !listed.contains(&snapshot.name));
        let gone: Vec<&str> = gone.map(|snapshot| snapshot.name.as_str()).collect();
        if !gone.is_empty() {
            return Err(vanished(world, &first.repository, &gone));
        }
    }
    Ok(())
}

fn vanished(world: &World, repository: &str, gone: &[&str]) -> Fault {
    let target = format!("{}/_snapshot/{repository}", world.installation.search.address);
    let answer = format!("{} was whole and is gone", gone.join(", "));
    Fault::new(FaultKind::Incomplete, "looking for the snapshots that the manifest would name", target, answer).with_hint(
        "somebody deleted it, or the repository's storage was lost and made anew: look there first, then back up again under \
         a new id",
    )
}

/// Written once exporting runs again; the manifest itself says nothing of the release.
pub(super) async fn record_release(world: &World, run: &Run) -> Performed {
    let (paused_at, resumed_at) = match run.hold() {
        Hold::Released { since, at } => (Some(since), Some(at)),
        Hold::NotTaken | Hold::Open { .. } | Hold::ReleasePending { .. } => (None, None),
    };
    let release = Release { run: run.id().clone(), paused_at, resumed_at };
    world.vault.create(&format!("{}/release.json", folder(world, run)), &pretty(&release)?).await?;
    Ok(Answer::Done { facts: Vec::new() })
}

/// Where everything of the backup lies in the vault.
pub(super) fn folder(world: &World, run: &Run) -> String {
    format!("{}/backups/{}", world.installation.name, run.plan().backup())
}

fn pretty(value: &impl serde::Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec_pretty(value)
        .map_err(|e| Fault::new(FaultKind::Storage, "writing JSON", "the manifest", e.to_string()))
}
