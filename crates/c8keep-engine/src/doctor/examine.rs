//! The asking half of the doctor: everything at the same time, and what is missing keeps nothing else from being looked at.

use c8keep_core::backup::BackupId;
use c8keep_core::database::DatabaseTarget;
use c8keep_core::facts::{Fact, Positions};
use c8keep_core::fault::Fault;
use c8keep_core::installation::AppAddress;
use c8keep_core::run::Answer;
use futures::future::join_all;
use jiff::SignedDuration;

use super::{Check, exporting_alone, judge};
use crate::World;
use crate::perform::{databases as perform_databases, probes};
use crate::ports::Databases;

/// What is known before anything is asked.
#[derive(Debug, Clone)]
pub struct Known {
    /// How many brokers there are.
    pub brokers_expected: Option<u32>,
    /// Why nobody tells which of them are up.
    pub no_topology: Option<String>,
    /// What discovery could not find, by the line that it concerns. In the installation there is nothing in its place.
    pub gaps: Vec<(&'static str, Fault)>,
    /// How long exporting may stay paused.
    pub hold_budget: SignedDuration,
}

impl Known {
    fn gap(&self, subject: &str) -> Option<&Fault> {
        self.gaps.iter().find(|(of, _)| *of == subject).map(|(_, fault)| fault)
    }
}

/// What an application says of its backups and of its repository.
pub(super) struct AppTold<'a> {
    pub(super) app: &'a AppAddress,
    pub(super) highest: Result<Option<BackupId>, Fault>,
    pub(super) repository: Result<Option<String>, Fault>,
}

/// Looks at everything at the same time.
pub async fn examine(world: &World, known: &Known) -> Vec<Check> {
    let installation = &world.installation;
    let brokers = &installation.brokers;
    let asked = world.clock.now();
    // Where nobody tells which repository it is, no server is asked for one without a name.
    let unnamed = known.gap("repository");
    let (cluster, positions, store, registered, census, lacks, apps, ids, vault, machines, of_databases) = futures::join!(
        probes::whole_cluster(world),
        world.camunda.positions(brokers, asked),
        probes::store(world),
        unless(unnamed, probes::registered(world, &installation.repository)),
        probes::census(world, installation.record_prefix()),
        probes::rights(world),
        applications(world),
        async {
            futures::join!(
                world.camunda.highest_runtime_id(),
                unless(unnamed, probes::highest_of_records(world))
            )
        },
        world.vault.check(&installation.name),
        world.camunda.machines(brokers),
        databases(&*world.databases, &installation.databases),
    );
    let now = world.clock.now();
    let reached = brokers.iter().filter(|broker| broker.reached).count();
    let on_brokers = match &cluster {
        Ok(cluster) => judge::brokers(cluster, known, reached),
        Err(fault) => Check::bad("brokers", fault.clone()),
    };
    let silent = |positions: &Positions| positions.brokers.iter().any(|broker| broker.unread.is_some());
    let leaders = match (&cluster, &positions) {
        // A broker that is missing cannot be read, either.
        (Err(_), Ok(positions)) if silent(positions) => Check::not_judged("leaders", "brokers"),
        (cluster, positions) => judge::leaders(cluster.as_ref().ok(), positions),
    };
    let repository = registered.and_then(|repository| {
        named_the_same(&apps, &installation.repository).map(|()| Answer::from(Fact::Repository(repository)))
    });
    let mut checks = vec![
        on_brokers,
        leaders,
        exporting_alone(&installation.management, &positions),
        judge::probed("backup store", store),
        judge::probed("repository", repository),
    ];
    checks.extend(judge::rights(lacks, |lacking| probes::lacking_rights(world, lacking)));
    checks.push(judge::probed("indices", census));
    checks.extend(apps.iter().map(judge::app));
    checks.extend([
        judge::ids(ids, &apps),
        judge::vault(&world.vault.place(), vault),
        judge::disk(&machines, known.hold_budget),
        judge::clock(&machines, now),
    ]);
    checks.extend(of_databases);
    with_gaps(checks, &known.gaps)
}

/// What is missing is the answer to whatever needs it.
async fn unless<T>(gap: Option<&Fault>, asked: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    match gap {
        Some(fault) => Err(fault.clone()),
        None => asked.await,
    }
}

/// Every database, as the checks before a backup look at it.
pub async fn databases(databases: &dyn Databases, targets: &[DatabaseTarget]) -> Vec<Check> {
    let look = async |target: &DatabaseTarget| {
        judge::database(target, perform_databases::server(databases, &target.name, target.mode).await)
    };
    join_all(targets.iter().map(look)).await
}

/// Each speaks for itself: what one of them does not tell is told of the others.
async fn applications(world: &World) -> Vec<AppTold<'_>> {
    join_all(world.installation.apps.iter().map(async |app| {
        let asked = async {
            futures::join!(probes::highest_of_app(world, app.app), world.camunda.repository_of(app.app))
        };
        let (highest, repository) = asked.await;
        AppTold { app, highest, repository }
    }))
    .await
}

fn named_the_same(apps: &[AppTold<'_>], name: &str) -> Result<(), Fault> {
    let told = apps.iter().filter_map(|told| Some((told.app, told.repository.as_ref().ok()?.as_ref()?)));
    told.into_iter().try_for_each(|(app, told)| probes::named_the_same(app, told, name))
}

/// What is missing takes the place of what could be said without it; what has no line gets one before those that depend on it.
pub(super) fn with_gaps(mut checks: Vec<Check>, gaps: &[(&'static str, Fault)]) -> Vec<Check> {
    for (subject, fault) in gaps {
        let missing = Check::bad(subject, fault.clone());
        if let Some(check) = checks.iter_mut().find(|check| check.subject == *subject) {
            *check = missing;
        } else {
            let first = checks.iter().position(|check| check.subject == "repository");
            checks.insert(first.unwrap_or(checks.len()), missing);
        }
    }
    checks
}
