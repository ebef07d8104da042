//! The doctor: everything that a backup needs, looked at side by side. It changes nothing but what the check of the vault
//! writes and removes again.

use std::collections::BTreeSet;

use c8keep_core::backup::BackupId;
use c8keep_core::facts::{Cluster, Fact, Positions};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Records;
use c8keep_core::run::Answer;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::perform::probes;
use crate::ports::Machine;
use crate::{World, disk};

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

/// Room above a broker's limit that a pause may need; how fast its log grows nobody tells.
const ROOM_WANTED: u64 = 5_000_000_000;

/// Clocks that differ by more make times in manifests misleading, and ids of other hosts run ahead.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(5);

/// Looks at everything at the same time.
pub async fn examine(world: &World) -> Vec<Check> {
    let brokers = &world.installation.brokers;
    let prefix = match &world.installation.records {
        Records::Prefix { prefix } => Some(prefix.as_str()),
        Records::Excluded { .. } => None,
    };
    let (cluster, positions, store, repository, census, highest, vault, machines, of_databases) = futures::join!(
        probes::cluster(world),
        world.camunda.positions(brokers, world.clock.now()),
        probes::store(world),
        probes::repository(world, &world.installation.repository),
        probes::census(world, prefix),
        probes::highest_id(world),
        world.vault.check(&world.installation.name),
        world.camunda.machines(brokers),
        databases(world),
    );
    let now = world.clock.now();
    let known = match &cluster {
        Ok(Answer::Done { facts }) => facts.iter().find_map(|fact| match fact {
            Fact::Cluster(cluster) => Some(cluster.clone()),
            _ => None,
        }),
        _ => None,
    };
    let mut checks = vec![
        probed("brokers", cluster),
        leaders(known.as_ref(), &positions),
        exporting(world, &positions),
        probed("backup store", store),
        probed("repository", repository),
        probed("indices", census),
        ids(highest),
        match vault {
            Ok(()) => {
                Check::ok("vault", format!("{}: an object was written and removed", world.vault.place()))
            }
            Err(fault) => Check::bad("vault", fault),
        },
    ];
    checks.push(disk(&machines));
    checks.push(clock(&machines, now));
    checks.extend(of_databases);
    checks
}

impl Check {
    /// As it should be.
    pub fn ok(subject: &'static str, says: impl Into<String>) -> Check {
        Check { subject, verdict: Verdict::Ok, says: says.into(), todo: String::new(), fault: None }
    }

    /// Something that wants attention.
    pub fn warning(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::Warning, todo: todo.into(), ..Check::ok(subject, says) }
    }

    /// Nobody tells.
    pub fn cannot_tell(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::CannotTell, ..Check::warning(subject, says, todo) }
    }

    /// A backup would be refused, or fail.
    pub fn bad(subject: &'static str, fault: Fault) -> Check {
        let says = format!("{}: {}", fault.target, fault.answer);
        let todo = fault.hint.clone();
        Check { verdict: Verdict::Bad, says, todo, fault: Some(fault), subject }
    }
}

/// What a probe of the backup says.
fn probed(subject: &'static str, performed: Result<Answer, Fault>) -> Check {
    match performed {
        Ok(Answer::Done { facts }) => {
            facts.first().map_or_else(|| Check::ok(subject, ""), |fact| told(subject, fact))
        }
        Ok(Answer::Pending { mark }) => Check::cannot_tell(subject, mark.says, ""),
        Ok(Answer::Fault { fault, .. }) | Err(fault) => Check::bad(subject, fault),
    }
}

fn told(subject: &'static str, fact: &Fact) -> Check {
    match fact {
        Fact::Cluster(cluster) => of_cluster(subject, cluster),
        Fact::Store(store) => match &store.kind {
            Some(kind) => Check::ok(subject, format!("{kind}{}", place(store.location.as_deref()))),
            None => Check::cannot_tell(
                subject,
                "it answers, but the brokers do not tell which one it is",
                "expose configprops on the management port to see it",
            ),
        },
        Fact::Repository(repository) => {
            let place = place(repository.location.as_deref());
            Check::ok(
                subject,
                format!("{} ({}{place}), reached by every node", repository.name, repository.kind),
            )
        }
        Fact::Census(census) => {
            let docs: u64 = census.records.iter().filter_map(|index| index.docs).sum();
            let (records, apps) = (census.records.len(), census.apps.len());
            Check::ok(
                subject,
                format!("{records} of records with {docs} documents, {apps} of the applications"),
            )
        }
        _ => Check::ok(subject, ""),
    }
}

fn place(location: Option<&str>) -> String {
    location.map_or_else(String::new, |location| format!(", {location}"))
}

fn of_cluster(subject: &'static str, cluster: &Cluster) -> Check {
    let Some(expected) = cluster.brokers_expected else {
        let todo = "set `rest` to the application port of the gateway, which tells the topology";
        return Check::cannot_tell(subject, "the topology is out of reach", todo);
    };
    let partitions = cluster.partitions.map_or_else(String::new, |n| format!(", {n} partitions"));
    let replicas = cluster.replication.map_or_else(String::new, |n| format!(", replication factor {n}"));
    Check::ok(subject, format!("{} of {expected} are up{partitions}{replicas}", cluster.brokers_up.len()))
}

fn leaders(cluster: Option<&Cluster>, positions: &Result<Positions, Fault>) -> Check {
    let subject = "leaders";
    let positions = match positions {
        Ok(positions) => positions,
        Err(fault) => return Check::cannot_tell(subject, &fault.answer, &fault.hint),
    };
    let readings = || positions.brokers.iter().flat_map(|broker| &broker.partitions);
    let led: BTreeSet<u32> =
        readings().filter(|(_, r)| r.is_leader()).map(|(partition, _)| *partition).collect();
    let read = positions.brokers.iter().filter(|broker| broker.unread.is_none()).count();
    let all_read = cluster.and_then(|c| c.brokers_expected).is_some_and(|expected| read >= expected as usize);
    let known: BTreeSet<u32> = match cluster.and_then(|cluster| cluster.partitions) {
        Some(count) => (1..=count).collect(),
        None => readings().map(|(partition, _)| *partition).collect(),
    };
    let without: Vec<String> = known.difference(&led).map(ToString::to_string).collect();
    let names = without.join(", ");
    if without.is_empty() {
        Check::ok(subject, format!("the leaders of all {} partitions are read", known.len()))
    } else if all_read {
        let target = "GET /actuator/partitions of all brokers";
        let answer = format!("no broker leads partition {names}");
        let hint = "wait for the election to end; if it does not, look into the brokers' logs";
        Check::bad(subject, Fault::precondition("looking for the leaders", target, answer, hint))
    } else {
        let todo = "set `brokers` to the management addresses of all of them: without its leader's own word, nothing \
                    proves that the pause of a partition held";
        Check::warning(subject, format!("not read: the leader of partition {names}"), todo)
    }
}

fn exporting(world: &World, positions: &Result<Positions, Fault>) -> Check {
    let subject = "exporting";
    match positions {
        Err(fault) if fault.kind == FaultKind::Unauthorised => Check::bad(subject, fault.clone()),
        Err(fault) => Check::cannot_tell(subject, &fault.answer, &fault.hint),
        Ok(positions) => probes::foreign_pause(world, positions).map_or_else(
            || {
                let read = positions.brokers.iter().filter(|broker| broker.unread.is_none()).count();
                Check::ok(subject, format!("runs, says each of {read} brokers"))
            },
            |fault| Check::bad(subject, fault),
        ),
    }
}

fn ids(highest: Result<Option<BackupId>, Fault>) -> Check {
    match highest {
        Ok(Some(id)) => Check::ok("ids", format!("the highest that any server has seen is {id}")),
        Ok(None) => Check::ok("ids", "no server has seen one"),
        Err(fault) => Check::bad("ids", fault),
    }
}

async fn databases(world: &World) -> Vec<Check> {
    let subject = "database";
    futures::future::join_all(world.installation.databases.iter().map(async |target| {
        match crate::perform::databases::server(world, &target.name, target.mode).await {
            Ok(server) => Check::ok(
                subject,
                format!(
                    "{}: PostgreSQL {} at {}, {} MB, dumped by {}",
                    target.name,
                    server.version,
                    target.address,
                    server.bytes.div_ceil(1_000_000),
                    server.tool
                ),
            ),
            Err(fault) => Check::bad(subject, fault),
        }
    }))
    .await
}

fn disk(machines: &[Machine]) -> Check {
    let subject = "disk";
    let Some(disk) = disk::tightest(machines) else {
        let todo = "expose prometheus and configprops on the brokers' management ports, and let the brokers measure the \
                    disk of their data: management.metrics.system.diskspace.paths";
        return Check::cannot_tell(subject, "no broker tells how much space is free beside its data", todo);
    };
    if disk.is_scarce() {
        return Check::bad(subject, disk.fault());
    }
    let says = format!("{}: {disk}", disk.address);
    if disk.free < disk.stops_at + ROOM_WANTED {
        return Check::warning(
            subject,
            says,
            "give the brokers more space: while exporting is paused their logs only grow",
        );
    }
    Check::ok(subject, says)
}

fn clock(machines: &[Machine], now: Timestamp) -> Check {
    let subject = "clock";
    let skew = |machine: &Machine| Some((machine.time?.duration_since(now).abs(), machine.address.clone()));
    match machines.iter().filter_map(skew).max() {
        None => Check::cannot_tell(
            subject,
            "no broker tells its time",
            "expose prometheus on their management ports",
        ),
        Some((skew, address)) if skew > SKEW_MAX => Check::warning(
            subject,
            format!("{address} differs from this machine by {} s", skew.as_secs()),
            "let both follow the same time server: ids and times in manifests come from this machine's clock",
        ),
        Some((skew, _)) => Check::ok(subject, format!("at most {} ms from the brokers'", skew.as_millis())),
    }
}
