//! The page's prerequisites, read-only. A probe says good, bad or "cannot tell"; only bad ends the run.

use std::collections::BTreeSet;

use c8keep_core::backup::{BackupId, HistoryApp, PartName, RECORDS_SNAPSHOT_PREFIX};
use c8keep_core::disk::{Disk, tightest};
use c8keep_core::facts::{BrokerReading, Census, Cluster, Fact, Positions, Repository};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::AppAddress;
use c8keep_core::plan::{Action, Plan, StepName};
use c8keep_core::run::Answer;

use super::{Performed, databases};
use crate::{World, disk};

/// Makes the checks with which a run of the plan would begin, in the plan's order, for a plan that is only shown. It
/// leaves no trace, so whether the vault can be written to is not among them. What nobody could tell is in words.
pub async fn check(world: &World, plan: &Plan) -> Vec<(StepName, Result<Option<String>, Fault>)> {
    let mut checked = Vec::new();
    let mut made: Vec<&Action> = Vec::new();
    for step in plan.steps() {
        if made.contains(&&step.action) {
            continue;
        }
        made.push(&step.action);
        let performed = match &step.action {
            Action::CheckCluster => cluster(world).await,
            Action::CheckExporting => exporting(world).await,
            Action::CheckStore => store(world).await,
            Action::CheckRepository { repository: name } => usable_repository(world, name).await,
            Action::TakeCensus { records } => census(world, records.as_deref()).await,
            Action::CheckDatabase { database, mode } => databases::check(world, database, *mode).await,
            Action::CheckId { id: wanted } => id(world, *wanted).await,
            _ => continue,
        };
        let result = match performed {
            Ok(Answer::Fault { fault, .. }) | Err(fault) => Err(fault),
            Ok(answer) => Ok(untold(world, &answer)),
        };
        checked.push((step.name.clone(), result));
    }
    checked
}

/// What a probe that found nothing wrong could not find out.
fn untold(world: &World, answer: &Answer) -> Option<String> {
    let Answer::Done { facts } = answer else { return None };
    let of = |fact: &Fact| match fact {
        Fact::Cluster(cluster) if cluster.brokers_expected.is_none() => {
            Some("whether all brokers are there: the topology is out of reach".to_owned())
        }
        Fact::Repository(_) => {
            let silent = |app: &&AppAddress| app.repository.is_none();
            let silent: Vec<String> =
                world.installation.apps.iter().filter(silent).map(|app| app.app.to_string()).collect();
            (!silent.is_empty())
                .then(|| format!("whether it is that of {}, too: not told", silent.join(" and ")))
        }
        _ => None,
    };
    facts.iter().find_map(of)
}

/// The cluster, if all of it is there and stays as it is.
pub(crate) async fn whole_cluster(world: &World) -> Result<Cluster, Fault> {
    let cluster = world.camunda.cluster().await?;
    cluster_problem(world, &cluster).map_or(Ok(cluster), Err)
}

pub(super) async fn cluster(world: &World) -> Performed {
    let cluster = whole_cluster(world).await?;
    let machines = world.camunda.machines(&world.installation.brokers).await;
    match tightest(disk::told(&machines)).filter(Disk::is_scarce) {
        Some(disk) => Err(disk::scarce(&disk)),
        None => Ok(Fact::Cluster(cluster).into()),
    }
}

fn cluster_problem(world: &World, cluster: &Cluster) -> Option<Fault> {
    let doing = "checking the cluster";
    let target = &world.installation.management;
    if let Some(change) = &cluster.pending_change {
        return Some(Fault::precondition(
            doing,
            target,
            format!("a change of the cluster is under way: {change}"),
            "backups are refused while partitions are scaled; wait until the change has ended, then start again",
        ));
    }
    let expected = cluster.brokers_expected?;
    let up = cluster.brokers_up.len();
    if up >= expected as usize {
        return None;
    }
    let missing: Vec<String> =
        (0..expected).filter(|n| !cluster.brokers_up.contains(n)).map(|n| n.to_string()).collect();
    Some(Fault::precondition(
        doing,
        target,
        format!("{up} of {expected} brokers are up; missing: broker {}", missing.join(", ")),
        "pausing needs every replica of every partition; bring the broker back, then start again",
    ))
}

/// Exporting must not be paused by anybody. Brokers that no address leads to are no reason against a backup; one that
/// was reached before must say that exporting runs, or a pause that somebody else has made would be taken for ours.
pub(super) async fn exporting(world: &World) -> Performed {
    let brokers = &world.installation.brokers;
    let reached = |address: &str| brokers.iter().any(|broker| broker.reached && broker.address == address);
    let positions = match world.camunda.positions(brokers, world.clock.now()).await {
        Ok(positions) => positions,
        Err(fault) if brokers.iter().any(|broker| broker.reached) => return Err(fault.with_retry()),
        Err(_) => return Ok(Answer::Done { facts: Vec::new() }),
    };
    if let Some(fault) = foreign_pause(&world.installation.management, &positions) {
        return Err(fault);
    }
    let silent = |broker: &&BrokerReading| broker.unread.is_some() && reached(&broker.address);
    let Some(broker) = positions.brokers.iter().find(silent) else {
        return Ok(Answer::Done { facts: Vec::new() });
    };
    let why = broker.unread.clone().unwrap_or_default();
    Err(Fault::new(FaultKind::Unreachable, "looking whether exporting is paused", &broker.address, why)
        .with_retry()
        .with_hint("it answered a moment ago; wait until all brokers are there, then start again"))
}

/// What to say of a pause that stands where this process holds none.
pub(crate) fn foreign_pause(management: &str, positions: &Positions) -> Option<Fault> {
    let paused = super::exporting::paused_now(positions);
    if paused.is_empty() {
        return None;
    }
    let target = format!("{management}/actuator/partitions");
    let answer = format!("exporting is already paused, and not by a run in this journal: {paused}");
    let fault = Fault::new(FaultKind::ForeignPause, "checking that exporting runs", target, answer);
    Some(fault.with_hint(
        "find out who paused it (another backup?); if nobody needs the pause, run `c8keep resume-exporting --yes`",
    ))
}

pub(crate) async fn store(world: &World) -> Performed {
    Ok(Fact::Store(world.camunda.store().await?).into())
}

/// Registered, reachable from every node, and the one that every component names.
async fn repository(world: &World, name: &str) -> Performed {
    let repository = registered(world, name).await?;
    for app in &world.installation.apps {
        let told = unless_away(app, world.camunda.repository_of(app.app).await)?;
        told.map_or(Ok(()), |told| named_the_same(app, &told, name))?;
    }
    Ok(Fact::Repository(repository).into())
}

/// Registered, and reachable from every node.
pub(crate) async fn registered(world: &World, name: &str) -> Result<Repository, Fault> {
    let mut repository = world.search.repository(name).await?;
    match world.search.verify_repository(name).await {
        // Verifying needs more rights than snapshotting; being registered already proved it once.
        Err(fault) if fault.kind == FaultKind::Unauthorised => repository.is_unverified = true,
        other => other?,
    }
    Ok(repository)
}

/// An application that keeps its snapshots elsewhere would scatter the parts of a backup.
pub(crate) fn named_the_same(app: &AppAddress, told: &str, name: &str) -> Result<(), Fault> {
    if told == name {
        return Ok(());
    }
    Err(Fault::precondition(
        "checking the snapshot repository",
        &app.address,
        format!("{} uses the repository {told}, the other components {name}", app.app),
        format!(
            "configure the same repository in every component; c8keep used {name}, from ELASTIC_SNAPSHOT_REPOSITORY, \
             OPENSEARCH_SNAPSHOT_REPOSITORY or `search.repository`, or because a component says so"
        ),
    ))
}

/// The repository, and that the login may take a snapshot into it: in the window a refusal comes too late.
pub(super) async fn usable_repository(world: &World, name: &str) -> Performed {
    let found = repository(world, name).await?;
    match rights(world).await {
        Ok(Some(lacking)) if !lacking.is_empty() => Err(lacking_rights(world, &lacking)),
        // Nobody tells, or something in between refuses the question: the calls themselves decide, as without it.
        _ => Ok(found),
    }
}

/// What the login at the search server lacks for a backup, where that is told.
pub(crate) async fn rights(world: &World) -> Result<Option<Vec<String>>, Fault> {
    let prefixes = world.installation.index_prefixes();
    let patterns: Vec<String> = prefixes.iter().map(|prefix| format!("{prefix}*")).collect();
    world.search.lacks(&patterns).await
}

pub(crate) fn lacking_rights(world: &World, lacking: &[String]) -> Fault {
    let target = &world.installation.search.address;
    let answer = format!("the login lacks {}", lacking.join(", "));
    Fault::new(FaultKind::Unauthorised, "asking for the rights of the login", target, answer)
        .with_hint("grant them; docs/access.md has a role with all that is needed")
}

/// An application that is not required and out of reach, or broken, tells nothing, and that ends no run: its own step fails,
/// and the backup is partial.
fn unless_away<T>(app: &AppAddress, told: Result<Option<T>, Fault>) -> Result<Option<T>, Fault> {
    match told {
        Err(fault) if !app.required && matches!(fault.kind, FaultKind::Unreachable | FaultKind::Refused) => {
            Ok(None)
        }
        told => told,
    }
}

/// A backup that cannot be published is none; that is better known before the pause.
pub(super) async fn vault(world: &World) -> Performed {
    match world.vault.check(&world.installation.name).await {
        Ok(()) => Ok(Answer::Done { facts: Vec::new() }),
        Err(fault) => Err(Fault { kind: FaultKind::Precondition, ..fault }),
    }
}

pub(crate) async fn census(world: &World, records: Option<&str>) -> Performed {
    let at = world.clock.now();
    let records_found = match records {
        Some(prefix) => world.search.indices(&[format!("{prefix}*")]).await?,
        None => Vec::new(),
    };
    if let (Some(prefix), true) = (records, records_found.is_empty()) {
        // Elasticsearch leaves out of a list what the login may not see (seen on 8.16.6).
        if let Ok(Some(lacking)) = rights(world).await
            && !lacking.is_empty()
        {
            return Err(lacking_rights(world, &lacking));
        }
        return Err(Fault::precondition(
            "looking for the exported records",
            &world.installation.search.address,
            format!("no index matches {prefix}*"),
            "a snapshot of nothing would be called successful; if the exporter uses another prefix, set records.prefix; \
             if nothing is exported, set `records: {enabled: false}`",
        ));
    }
    let patterns = app_patterns(world);
    let mut apps = if patterns.is_empty() { Vec::new() } else { world.search.indices(&patterns).await? };
    apps.retain(|index| !world.installation.is_foreign(&index.name));
    Ok(Fact::Census(Census { at, records: records_found, apps }).into())
}

/// Patterns of the applications' indices.
fn app_patterns(world: &World) -> Vec<String> {
    let prefixes = world.installation.apps.iter().flat_map(AppAddress::index_prefixes);
    let patterns: BTreeSet<String> = prefixes.map(|prefix| format!("{prefix}*")).collect();
    patterns.into_iter().collect()
}

/// The highest id seen is told also when it refuses: it says which id comes next.
pub(super) async fn id(world: &World, id: BackupId) -> Performed {
    let highest = highest_id(world).await?;
    let fact = Fact::HighestId(highest);
    let Some(highest) = highest.filter(|highest| *highest >= id) else { return Ok(fact.into()) };
    let fault = Fault::precondition(
        "checking the backup id",
        &world.installation.management,
        format!("id {id} is not above {highest}, the highest id seen"),
        format!("ids only rise; use {} or more, or leave the id out", highest.get() + 1),
    );
    Ok(Answer::Fault { fault, facts: vec![fact] })
}

/// The highest id that any component, or a records snapshot, has seen.
pub async fn highest_id(world: &World) -> Result<Option<BackupId>, Fault> {
    let mut highest = world.camunda.highest_runtime_id().await?;
    for app in &world.installation.apps {
        highest = highest.max(unless_away(app, highest_of_app(world, app.app).await)?);
    }
    Ok(highest.max(highest_of_records(world).await?))
}

/// The highest id among an application's backups.
pub(crate) async fn highest_of_app(world: &World, app: HistoryApp) -> Result<Option<BackupId>, Fault> {
    match world.camunda.highest_history_id(app).await {
        Err(fault) if is_busy(app, &fault) => by_its_snapshots(world, app, fault).await,
        told => told,
    }
}

/// The highest id among the snapshots of the records.
pub(crate) async fn highest_of_records(world: &World) -> Result<Option<BackupId>, Fault> {
    let pattern = format!("{RECORDS_SNAPSHOT_PREFIX}*");
    let names = world.search.snapshot_names(&world.installation.repository, &pattern).await?;
    Ok(names.iter().filter_map(|name| name.strip_prefix(RECORDS_SNAPSHOT_PREFIX)?.parse().ok()).max())
}

/// While a snapshot of its own runs, Operate of 8.6 on OpenSearch answers 400 to whoever asks for its list (seen on 8.6.0). A
/// server that fails (500) is worth another try, and one that is busy is not: that tells them apart.
fn is_busy(app: HistoryApp, fault: &Fault) -> bool {
    let may_be = matches!(app, HistoryApp::Operate | HistoryApp::Tasklist);
    may_be && fault.kind == FaultKind::Refused && !fault.is_retryable()
}

/// What an application does not tell while it is busy, the search server does. Where no snapshot of its own exists, it was
/// not that.
async fn by_its_snapshots(world: &World, app: HistoryApp, fault: Fault) -> Result<Option<BackupId>, Fault> {
    let pattern = format!("{}_*", app.snapshot_prefix());
    let names = world.search.snapshot_names(&world.installation.repository, &pattern).await;
    let ids = names.iter().flatten().filter_map(|name| PartName::parse(name)).map(|part| part.backup);
    ids.max().map_or(Err(fault), |id| Ok(Some(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only a busy application is asked about elsewhere: what a broken one does not tell, nobody may make up for.
    #[test]
    fn a_broken_application_is_not_a_busy_one() {
        let refused = Fault::new(FaultKind::Refused, "listing", "http://a", "HTTP 400");
        let broken = Fault::new(FaultKind::Refused, "listing", "http://a", "HTTP 500").with_retry();
        let strange = Fault::new(FaultKind::Strange, "listing", "http://a", "HTTP 200 with an HTML page");
        assert!(is_busy(HistoryApp::Operate, &refused) && is_busy(HistoryApp::Tasklist, &refused));
        assert!(!is_busy(HistoryApp::Optimize, &refused) && !is_busy(HistoryApp::Webapps, &refused));
        assert!(!is_busy(HistoryApp::Operate, &broken) && !is_busy(HistoryApp::Operate, &strange));
    }
}
