//! The snapshot of the exported records.

use std::collections::BTreeSet;

use c8keep_core::facts::{Fact, SnapshotEvidence};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::StepName;
use c8keep_core::run::{Answer, Mark, Run, StepState};
use c8keep_core::verdict;
use jiff::SignedDuration;

use super::Performed;
use crate::World;
use crate::ports::{SnapshotProgress, SnapshotRequest};

/// How long an accepted snapshot may be invisible before it counts as gone; both products list a running one at once.
const INVISIBLE_MAX: SignedDuration = SignedDuration::from_secs(5);

/// The mark of a snapshot that has not been seen yet.
const UNSEEN: &str = "unseen";

pub(super) async fn start(
    world: &World,
    run: &Run,
    repository: &str,
    snapshot: &str,
    prefix: &str,
    again: bool,
) -> Performed {
    let cut = Fact::RecordsCut(world.search.indices(&[format!("{prefix}*")]).await?);
    if again && is_ours(world, run, repository, snapshot).await? {
        return Ok(cut.into());
    }
    let request = SnapshotRequest {
        repository: repository.into(),
        snapshot: snapshot.into(),
        pattern: format!("{prefix}*"),
        run: run.id().clone(),
        backup: run.plan().backup(),
    };
    match world.search.create_snapshot(&request).await {
        Ok(()) => Ok(cut.into()),
        Err(fault) if again && fault.kind == FaultKind::Refused => {
            if is_ours(world, run, repository, snapshot).await? { Ok(cut.into()) } else { Err(fault) }
        }
        Err(fault) => Err(fault),
    }
}

/// A snapshot of this name whose metadata names this run: an earlier call of ours arrived.
async fn is_ours(world: &World, run: &Run, repository: &str, snapshot: &str) -> Result<bool, Fault> {
    let view = world.search.snapshot(repository, snapshot).await?;
    Ok(view.is_some_and(|view| view.run.as_ref() == Some(run.id())))
}

pub(super) async fn look(
    world: &World,
    run: &Run,
    step: &StepName,
    repository: &str,
    snapshot: &str,
) -> Performed {
    let Some(view) = world.search.snapshot(repository, snapshot).await? else {
        return not_there(world, run, step, snapshot);
    };
    if view.run.as_ref() != Some(run.id()) {
        return Err(lost(world, snapshot, "a snapshot of this name was taken by somebody else".into()));
    }
    if view.evidence.state == "IN_PROGRESS" {
        let mut mark = Mark::new(format!("{snapshot} IN_PROGRESS"));
        if rests(world, run, step)
            && let Ok(Some(progress)) = world.search.snapshot_progress(repository, snapshot).await
        {
            add_counters(&mut mark, progress);
        }
        return Ok(Answer::Pending { mark });
    }
    let evidence = judge(world, run, view.evidence).await?;
    Ok(Fact::Records(evidence).into())
}

/// How long nothing may move before the counters are asked for: until then the parts themselves tell how far it is, and
/// most snapshots are done.
const COUNTED_AFTER: SignedDuration = SignedDuration::from_secs(2);

/// Whether nothing that is seen for free has moved for a while.
pub(super) fn rests(world: &World, run: &Run, step: &StepName) -> bool {
    match run.state(step) {
        StepState::Pending { moved_at, .. } => run.alive(*moved_at, world.clock.now()) >= COUNTED_AFTER,
        _ => false,
    }
}

/// Both servers may accept a snapshot and lose it: then it is gone, and no wait brings it back.
fn not_there(world: &World, run: &Run, step: &StepName, snapshot: &str) -> Performed {
    let state = run.state(step);
    let waited = state.since().map(|since| run.alive(since, world.clock.now()));
    if was_seen(state) || waited.is_some_and(|waited| waited > INVISIBLE_MAX) {
        return Err(lost(world, snapshot, "it was accepted and then it was gone".into()));
    }
    Ok(Answer::Pending { mark: Mark { moved: UNSEEN.into(), says: "accepted, not listed yet".into() } })
}

/// Whether an earlier look has found it. One that failed leaves a mark of nothing.
fn was_seen(state: &StepState) -> bool {
    matches!(state, StepState::Pending { mark, .. } if !mark.moved.is_empty() && mark.moved != UNSEEN)
}

/// Expected is what was there before the pause. An index that is missing in the snapshot fails it, unless it no longer
/// exists in the cluster either: retention removes indices at midnight.
async fn judge(world: &World, run: &Run, mut evidence: SnapshotEvidence) -> Result<SnapshotEvidence, Fault> {
    let census = run.facts().census.as_ref();
    let expected: BTreeSet<String> =
        census.map(|c| c.records.iter().map(|i| i.name.clone()).collect()).unwrap_or_default();
    let missing = match verdict::snapshot(&evidence, &expected) {
        Ok(missing) => missing,
        Err(why) => return Err(lost(world, &evidence.name, why)),
    };
    if missing.is_empty() {
        return Ok(evidence);
    }
    let still_there = still_there(world, &missing).await?;
    if !still_there.is_empty() {
        let why = format!("{} is not in it, although the index exists", still_there.join(", "));
        return Err(lost(world, &evidence.name, why));
    }
    evidence.removed_meanwhile = missing;
    Ok(evidence)
}

/// Of the indices that a snapshot lacks, those that it lacks without a reason: they exist.
pub(super) async fn still_there(world: &World, missing: &[String]) -> Result<Vec<String>, Fault> {
    Ok(world.search.indices(missing).await?.into_iter().map(|index| index.name).collect())
}

fn lost(world: &World, snapshot: &str, why: String) -> Fault {
    let target = format!("{} snapshot {snapshot}", world.installation.search.address);
    Fault::new(FaultKind::Incomplete, "snapshotting the exported records", target, why)
        .with_hint("look into the search server's log, then back up again under a new id")
}

/// Puts the counters of a running snapshot into a mark.
pub(super) fn add_counters(mark: &mut Mark, progress: SnapshotProgress) {
    let SnapshotProgress { shards_done, shards_total, bytes_done, bytes_total } = progress;
    mark.moved = format!("{} {shards_done}/{shards_total} {bytes_done}", mark.moved);
    if let Some(percent) = (bytes_done * 100).checked_div(bytes_total) {
        mark.says = format!("{}, {shards_done} of {shards_total} shards, {percent} %", mark.says);
    } else {
        mark.says = format!("{}, {shards_done} of {shards_total} shards", mark.says);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    /// A search server that does not answer the first look has shown nothing yet: what comes later is not gone.
    #[test]
    fn a_look_that_failed_has_seen_nothing() {
        let pending = |moved: &str| {
            let mark = Mark { moved: moved.into(), says: "…".into() };
            StepState::Pending {
                attempt: 1,
                since: Timestamp::UNIX_EPOCH,
                mark,
                moved_at: Timestamp::UNIX_EPOCH,
            }
        };
        assert!(!was_seen(&pending("")) && !was_seen(&pending(UNSEEN)) && !was_seen(&StepState::Waiting));
        assert!(was_seen(&pending("camunda_zeebe_records_backup_1 IN_PROGRESS")));
    }
}
