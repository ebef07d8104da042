//! Backups that applications take of their own indices.

use std::collections::BTreeSet;

use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::facts::{Fact, SnapshotEvidence};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::{Answer, Mark, Run};
use c8keep_core::verdict::{self, HistoryStatus, Standing};

use super::Performed;
use crate::World;

pub(super) async fn start(world: &World, app: HistoryApp, id: BackupId, again: bool) -> Performed {
    if again && let Some(answer) = adopt(world, app, id).await? {
        return Ok(answer);
    }
    match world.camunda.start_history(app, id).await {
        Ok(snapshots) => Ok(Fact::Scheduled { app, snapshots }.into()),
        // Refused because our own earlier call has arrived after all?
        Err(fault) if again && fault.kind == FaultKind::Refused => match adopt(world, app, id).await? {
            Some(answer) => Ok(answer),
            None => Err(fault),
        },
        Err(fault) => Err(fault),
    }
}

/// Our call arrived though its answer was lost: the parts that are there are ours, because the id is.
async fn adopt(world: &World, app: HistoryApp, id: BackupId) -> Result<Option<Answer>, Fault> {
    let status = world.camunda.history(app, id).await?;
    if status.parts.is_empty() {
        return Ok(None);
    }
    Ok(Some(Fact::Scheduled { app, snapshots: Vec::new() }.into()))
}

pub(super) async fn look(
    world: &World,
    run: &Run,
    app: HistoryApp,
    id: BackupId,
    repository: &str,
) -> Performed {
    let status = world.camunda.history(app, id).await?;
    let announced = run.facts().scheduled.get(&app).cloned().unwrap_or_default();
    match verdict::history(app, id, &announced, &status) {
        Standing::Going(mark) => {
            Ok(Answer::Pending { mark: with_counters(world, repository, &status, mark).await })
        }
        Standing::Lost(why) => Err(lost(world, app, id, why)),
        Standing::Whole(names) => {
            let mut snapshots = Vec::new();
            for name in &names {
                snapshots.push(evidence(world, app, id, repository, name).await?);
            }
            Ok(Fact::History { app, snapshots }.into())
        }
    }
}

/// The application's word is checked against the search server's own: state, failures and shards of every part. Parts
/// without any index are normal (seen on 8.6.0: parts 3 and 5 while nothing is archived).
async fn evidence(
    world: &World,
    app: HistoryApp,
    id: BackupId,
    repository: &str,
    name: &str,
) -> Result<SnapshotEvidence, Fault> {
    let Some(view) = world.search.snapshot(repository, name).await? else {
        return Err(lost(world, app, id, format!("it says COMPLETED, but snapshot {name} does not exist")));
    };
    match verdict::snapshot(&view.evidence, &BTreeSet::new()) {
        Ok(_) => Ok(view.evidence),
        Err(why) => Err(lost(world, app, id, why)),
    }
}

fn lost(world: &World, app: HistoryApp, id: BackupId, why: String) -> Fault {
    let address = world.installation.app(app).map_or("", |a| a.address.as_str());
    Fault::new(FaultKind::Incomplete, format!("waiting for backup {id} of {app}"), address, why)
        .with_hint("a failed backup cannot be continued; look into the application's log, then back up again under a new id")
}

/// Adds the counters of the part that is being copied, so that a long part counts as progress.
async fn with_counters(world: &World, repository: &str, status: &HistoryStatus, mut mark: Mark) -> Mark {
    let running = status.parts.iter().find(|p| p.state == "IN_PROGRESS");
    let Some(part) = running else { return mark };
    if let Ok(Some(progress)) = world.search.snapshot_progress(repository, &part.name).await {
        super::records::add_counters(&mut mark, progress);
    }
    mark
}
