//! Backups that applications take of their own indices.

use std::collections::BTreeSet;

use c8keep_core::backup::{BackupId, HistoryApp, PartName};
use c8keep_core::facts::{Fact, SnapshotEvidence};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::AppAddress;
use c8keep_core::plan::StepName;
use c8keep_core::run::{Answer, Mark, Run};
use c8keep_core::uncovered::{is_archived_copy, left_out_by};
use c8keep_core::verdict::{self, HistoryStatus, Standing};

use super::{Performed, records};
use crate::World;

pub(super) async fn start(world: &World, app: HistoryApp, id: BackupId, again: bool) -> Performed {
    if again && let Some(answer) = adopt(world, app, id).await? {
        return Ok(answer);
    }
    not_beside_another(world, app, id).await?;
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

/// A part of an earlier backup is waited for before exporting is paused: nothing begins beside it.
pub(super) async fn quiet(world: &World, repository: &str) -> Performed {
    let Some(part) = running_part(world, repository, |app| world.installation.app(app).is_some()).await?
    else {
        return Ok(Answer::Done { facts: Vec::new() });
    };
    let mut mark =
        Mark { moved: part.clone(), says: format!("{part} of an earlier backup is still being taken") };
    if let Ok(Some(progress)) = world.search.snapshot_progress(repository, &part).await {
        records::add_counters(&mut mark, progress);
    }
    Ok(Answer::Pending { mark })
}

async fn running_part(
    world: &World,
    repository: &str,
    of: impl Fn(HistoryApp) -> bool,
) -> Result<Option<String>, Fault> {
    let running = world.search.running_snapshots(repository).await?;
    Ok(running.into_iter().find(|name| PartName::parse(name).is_some_and(|part| of(part.app))))
}

/// An application looks at its queue, which the last part of an earlier backup has already left: it takes the next backup
/// while that part runs, and then takes two parts at a time, so that they do not fit together (found by the simulator; the
/// queue is that of Operate 8.6's source). It has been waited for before; this is for one that was begun since.
async fn not_beside_another(world: &World, app: HistoryApp, id: BackupId) -> Result<(), Fault> {
    let repository = &world.installation.repository;
    let Some(part) = running_part(world, repository, |of| of == app).await? else { return Ok(()) };
    let address = world.installation.app(app).map_or("", |a| a.address.as_str());
    let answer = format!("snapshot {part} of an earlier backup is still being taken in {repository}");
    Err(Fault::new(FaultKind::Refused, format!("starting backup {id} of {app}"), address, answer)
        .with_retry()
        .with_hint(format!("{app} takes one backup at a time; this one starts when the other has ended")))
}

/// Our call arrived though its answer was lost: the parts that are there are ours, because the id is. While one runs,
/// Operate of 8.6 on OpenSearch shows none; the search server does (seen on 8.6.0).
async fn adopt(world: &World, app: HistoryApp, id: BackupId) -> Result<Option<Answer>, Fault> {
    let status = world.camunda.history(app, id).await?;
    let is_there = !status.parts.is_empty()
        || !world
            .search
            .snapshot_names(&world.installation.repository, &app.snapshots_of(id))
            .await?
            .is_empty();
    Ok(is_there.then(|| Fact::Scheduled { app, snapshots: Vec::new() }.into()))
}

pub(super) async fn look(
    world: &World,
    run: &Run,
    step: &StepName,
    app: HistoryApp,
    id: BackupId,
    repository: &str,
) -> Performed {
    let status = world.camunda.history(app, id).await?;
    let announced = run.facts().scheduled.get(&app).cloned().unwrap_or_default();
    match verdict::history(app, id, &announced, &status) {
        Standing::Going(mark) if !super::records::rests(world, run, step) => Ok(Answer::Pending { mark }),
        Standing::Going(mark) => {
            let progress = Progress { world, repository, app, id };
            Ok(Answer::Pending { mark: progress.add(&status, mark).await })
        }
        Standing::Lost(why) => Err(lost(world, app, id, why)),
        Standing::Whole(names) => {
            let mut snapshots = Vec::new();
            for name in &names {
                snapshots.push(evidence(world, app, id, repository, name).await?);
            }
            covers_all(world, run, app, &mut snapshots).await?;
            Ok(Fact::History { app, snapshots }.into())
        }
    }
}

/// Every index that was there before is in one of the parts, or is gone: then retention has removed it. Single parts without any
/// index are normal, and an application never says what it has left out (seen on OpenSearch: SUCCESS in a repository whose
/// folder has vanished and is made anew, empty).
async fn covers_all(
    world: &World,
    run: &Run,
    app: HistoryApp,
    snapshots: &mut [SnapshotEvidence],
) -> Result<(), Fault> {
    let (Some(census), Some(address)) = (&run.facts().census, world.installation.app(app)) else {
        return Ok(());
    };
    let mut missing = left_out_by(&address.index_prefixes(), &census.apps, snapshots);
    missing.retain(|name| app != HistoryApp::Webapps || !is_archived_copy(name));
    if missing.is_empty() {
        return Ok(());
    }
    let still_there = records::still_there(world, &missing).await?;
    if !still_there.is_empty() {
        return Err(left_out(address, run.plan().backup(), &still_there));
    }
    if let Some(last) = snapshots.last_mut() {
        last.removed_meanwhile = missing;
    }
    Ok(())
}

/// How many are named; all of them would hide what to do.
const NAMED_MAX: usize = 5;

fn left_out(app: &AppAddress, id: BackupId, indices: &[String]) -> Fault {
    let named = indices.get(..NAMED_MAX).unwrap_or(indices).join(", ");
    let more = match indices.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let answer = format!("it says COMPLETED, but none of its snapshots holds {named}{more}");
    Fault::new(FaultKind::Incomplete, format!("waiting for backup {id} of {}", app.app), &app.address, answer).with_hint(format!(
        "look into the log of {} and whether the repository's storage is what it was; if such an index is somebody else's, name \
         it under `search.foreign_indices` in the configuration; then back up again under a new id",
        app.app
    ))
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

/// Where a long part's progress comes from: the search server, which knows the snapshot also while the application only
/// answers 400 (seen on 8.6.0 with OpenSearch, again and again between the parts).
struct Progress<'a> {
    world: &'a World,
    repository: &'a str,
    app: HistoryApp,
    id: BackupId,
}

impl Progress<'_> {
    /// Adds the counters of the part that is being copied, so that a long part counts as progress.
    async fn add(&self, status: &HistoryStatus, mut mark: Mark) -> Mark {
        let running = match status.parts.iter().find(|part| part.state == "IN_PROGRESS") {
            Some(part) => Some(part.name.clone()),
            None if status.parts.is_empty() => self.newest_listed(&status.state, &mut mark).await,
            None => None,
        };
        if let Some(name) = running
            && let Ok(Some(progress)) = self.world.search.snapshot_progress(self.repository, &name).await
        {
            records::add_counters(&mut mark, progress);
        }
        mark
    }

    /// The newest part that the search server lists; the number of parts there is progress too.
    async fn newest_listed(&self, told: &str, mark: &mut Mark) -> Option<String> {
        let pattern = self.app.snapshots_of(self.id);
        let names = self.world.search.snapshot_names(self.repository, &pattern).await.ok()?;
        let newest = names.iter().filter_map(|name| PartName::parse(name)).max_by_key(|part| part.part)?;
        mark.moved = format!("{} listed", names.len());
        mark.says = format!("part {} of {} is listed, {} says {told}", newest.part, newest.of, self.app);
        names.into_iter().find(|name| PartName::parse(name).as_ref() == Some(&newest))
    }
}
