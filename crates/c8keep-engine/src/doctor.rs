//! The doctor: everything that a backup needs, looked at side by side. It changes nothing but what the check of the vault
//! writes and removes again. What it looks at is judged by pure functions (`judge`).

mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use c8keep_core::database::DatabaseTarget;
use c8keep_core::facts::Positions;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Records;
use serde::Serialize;

use crate::World;
use crate::perform::{databases, probes};

/// One thing that a backup needs, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub subject: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub says: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub todo: String,
    /// The fault behind a bad verdict; it decides the exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What kept it from being as it should be, to tell one cause only once.
    #[serde(skip)]
    cause: Option<Fault>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Nobody tells, from here.
    CannotTell,
    /// A backup can be taken, and something wants attention.
    Warning,
    /// A backup would be refused, or fail.
    Bad,
}

/// How much of a cluster is told, as far as discovery found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// How many brokers there are.
    pub brokers_expected: Option<u32>,
    /// Why nobody tells which of them are up.
    pub no_topology: Option<String>,
}

/// Looks at everything at the same time.
pub async fn examine(world: &World, reach: &Reach) -> Vec<Check> {
    let brokers = &world.installation.brokers;
    let prefix = match &world.installation.records {
        Records::Prefix { prefix } => Some(prefix.as_str()),
        Records::Excluded { .. } => None,
    };
    let (cluster, positions, store, repository, census, lacks, highest, vault, machines, of_databases) = futures::join!(
        probes::whole_cluster(world),
        world.camunda.positions(brokers, world.clock.now()),
        probes::store(world),
        probes::repository(world, &world.installation.repository),
        probes::census(world, prefix),
        probes::rights(world),
        probes::highest_id(world),
        world.vault.check(&world.installation.name),
        world.camunda.machines(brokers),
        databases_of(world),
    );
    let now = world.clock.now();
    let reached = brokers.iter().filter(|broker| broker.reached).count();
    let on_brokers = match &cluster {
        Ok(cluster) => judge::brokers(cluster, reach, reached),
        Err(fault) => Check::bad("brokers", fault.clone()),
    };
    let silent = |positions: &Positions| positions.brokers.iter().any(|broker| broker.unread.is_some());
    let leaders = match (&cluster, &positions) {
        // A broker that is missing cannot be read, either.
        (Err(_), Ok(positions)) if silent(positions) => Check::not_judged("leaders", "brokers"),
        (cluster, positions) => judge::leaders(cluster.as_ref().ok(), positions),
    };
    let mut checks = vec![
        on_brokers,
        leaders,
        exporting_alone(&world.installation.management, &positions),
        judge::probed("backup store", store),
        judge::probed("repository", repository),
    ];
    checks.extend(judge::rights(lacks, |lacking| probes::lacking_rights(world, lacking)));
    checks.extend([
        judge::probed("indices", census),
        judge::ids(highest),
        judge::vault(&world.vault.place(), vault),
        judge::disk(&machines),
        judge::clock(&machines, now),
    ]);
    checks.extend(of_databases);
    checks
}

async fn databases_of(world: &World) -> Vec<Check> {
    let look = async |target: &DatabaseTarget| {
        judge::database(target, databases::server(world, &target.name, target.mode).await)
    };
    futures::future::join_all(world.installation.databases.iter().map(look)).await
}

/// Whether exporting runs, where nothing is known but a management address.
pub fn exporting_alone(management: &str, positions: &Result<Positions, Fault>) -> Check {
    let foreign = positions.as_ref().ok().and_then(|positions| probes::foreign_pause(management, positions));
    judge::exporting(positions, foreign)
}

/// The vault, where there is nothing else to look at.
pub fn vault_of(place: &str, checked: Result<(), Fault>) -> Check {
    judge::vault(place, checked)
}

/// One cause, one line: what else could not be judged because of it says so and no more.
pub fn one_cause_one_line(checks: Vec<Check>) -> Vec<Check> {
    let told: Vec<(&'static str, Verdict, Fault)> = checks
        .iter()
        .filter_map(|check| Some((check.subject, check.verdict, check.cause.clone()?)))
        .collect();
    let first_of = |cause: &Fault| {
        let mut same = told.iter().filter(|(_, _, other)| is_one_cause(other, cause));
        let first = same.clone().next();
        same.find(|(_, verdict, _)| *verdict == Verdict::Bad).or(first).map(|(subject, ..)| *subject)
    };
    let once = |check: Check| match check.cause.as_ref().and_then(first_of) {
        Some(first) if first != check.subject => Check::not_judged(check.subject, first),
        _ => check,
    };
    checks.into_iter().map(once).collect()
}

/// The same answer from the same place; or no way to a server at all, whatever it was asked.
fn is_one_cause(one: &Fault, other: &Fault) -> bool {
    let no_way = matches!(one.kind, FaultKind::Unreachable | FaultKind::Unauthorised);
    let same_server = || !servers(&one.target).is_disjoint(&servers(&other.target));
    one.kind == other.kind
        && (one.target == other.target && one.answer == other.answer || no_way && same_server())
}

/// Hosts and ports of the addresses in a text.
fn servers(target: &str) -> BTreeSet<&str> {
    let after_scheme = target.split("://").skip(1);
    after_scheme.filter_map(|rest| rest.split(['/', ',', ' ']).next()).collect()
}

impl Check {
    /// As it should be.
    pub fn ok(subject: &'static str, says: impl Into<String>) -> Check {
        let (todo, fault, cause) = (String::new(), None, None);
        Check { subject, verdict: Verdict::Ok, says: says.into(), todo, fault, cause }
    }

    /// Something that wants attention.
    pub fn warning(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::Warning, todo: todo.into(), ..Check::ok(subject, says) }
    }

    /// Nobody tells.
    pub fn cannot_tell(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::CannotTell, ..Check::warning(subject, says, todo) }
    }

    /// Nobody tells, because of a fault that refuses no backup.
    pub fn untold(subject: &'static str, fault: &Fault) -> Check {
        let cause = Some(fault.clone());
        Check { cause, ..Check::cannot_tell(subject, &fault.answer, &fault.hint) }
    }

    /// Nobody tells, because of what another line says.
    pub fn not_judged(subject: &'static str, because_of: &str) -> Check {
        Check::cannot_tell(subject, format!("not judged: see {because_of}"), "")
    }

    /// A backup would be refused, or fail.
    pub fn bad(subject: &'static str, fault: Fault) -> Check {
        let says = format!("{}: {}", fault.target, fault.answer);
        let todo = if fault.hint.is_empty() { whatever(fault.kind) } else { &fault.hint };
        let (todo, cause) = (todo.to_owned(), Some(fault.clone()));
        Check { verdict: Verdict::Bad, says, todo, fault: Some(fault), subject, cause }
    }
}

/// What to do about a fault of this kind of which nothing better is known.
fn whatever(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unreachable => "see whether it is up, and what lies between here and there",
        FaultKind::Unauthorised => "see which login is used, and what it may do (docs/access.md)",
        FaultKind::Strange => "see whether the address is the right one, and what a proxy before it does",
        FaultKind::Storage | FaultKind::Damaged => "see to the disk and the rights of the folder",
        _ => "its own log says more; mend that, and ask again",
    }
}
