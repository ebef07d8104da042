//! From what was seen to a line of the doctor. Pure.

use c8keep_core::words::counted;
use std::collections::BTreeSet;

use c8keep_core::backup::BackupId;
use c8keep_core::database::{DatabaseServer, DatabaseTarget};
use c8keep_core::disk::{Disk, Room, least_room};
use c8keep_core::facts::{Cluster, Fact, Positions, Repository};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::Answer;
use jiff::{SignedDuration, Timestamp};

use super::examine::AppTold;
use super::{Check, Known, subject_of};
use crate::disk;
use crate::ports::Machine;

/// Clocks that differ by more make times in manifests misleading, and ids of other hosts run ahead.
const SKEW_MAX: SignedDuration = SignedDuration::from_secs(5);

/// What a probe of the backup says.
pub(super) fn probed(subject: &'static str, performed: Result<Answer, Fault>) -> Check {
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
        Fact::Store(store) => match &store.kind {
            Some(kind) => Check::ok(subject, format!("{kind}{}", place(store.location.as_deref()))),
            None => Check::cannot_tell(
                subject,
                "it answers, but the brokers do not tell which one it is",
                "expose configprops on the management port to see it",
            ),
        },
        Fact::Repository(repository) => of_repository(subject, repository),
        Fact::Census(census) => {
            let docs: u64 = census.records.iter().filter_map(|index| index.docs).sum();
            let (records, apps) = (census.records.len(), census.apps.len());
            Check::ok(
                subject,
                format!(
                    "{records} of records with {}, {apps} of the applications",
                    counted(usize::try_from(docs).unwrap_or(usize::MAX), "document", "documents")
                ),
            )
        }
        _ => Check::ok(subject, ""),
    }
}

/// What a database and its server told, or why they cannot be dumped.
pub(super) fn database(target: &DatabaseTarget, told: Result<DatabaseServer, Fault>) -> Check {
    let subject = "database";
    match told {
        Ok(DatabaseServer { version, bytes, tool, .. }) => {
            let (name, address, size) = (&target.name, &target.address, bytes.div_ceil(1_000_000));
            let says = format!("{name}: PostgreSQL {version} at {address}, {size} MB, dumped by {tool}");
            Check::ok(subject, says)
        }
        Err(fault) if !target.required => {
            let says =
                format!("{}: a backup would be partial: {}: {}", target.name, fault.target, fault.answer);
            Check::warning(subject, says, &fault.hint)
        }
        Err(fault) => Check::bad(subject, fault),
    }
}

fn place(location: Option<&str>) -> String {
    location.map_or_else(String::new, |location| format!(", {location}"))
}

fn of_repository(subject: &'static str, repository: &Repository) -> Check {
    let place = place(repository.location.as_deref());
    let named = format!("{} ({}{place})", repository.name, repository.kind);
    if repository.is_shallow {
        let says = format!("{named} makes shallow snapshots: they only refer to the remote segment store");
        let todo = "keep that store as long as the backups, or register a repository with \
                    remote_store_index_shallow_copy: false";
        return Check::warning(subject, says, todo);
    }
    if repository.is_unverified {
        let todo = "verify it by hand with a login that may: POST /_snapshot/<name>/_verify";
        let says = format!("{named} is registered; the login may not ask whether every node reaches it");
        return Check::cannot_tell(subject, says, todo);
    }
    Check::ok(subject, format!("{named}, reached by every node"))
}

/// Which brokers are up only the topology tells; how many are reached from here is another matter.
pub(super) fn brokers(cluster: &Cluster, known: &Known, reached: usize) -> Check {
    let subject = "brokers";
    let partitions = cluster
        .partitions
        .map_or_else(String::new, |n| format!(", {}", counted(n as usize, "partition", "partitions")));
    let replicas = cluster.replication.map_or_else(String::new, |n| format!(", replication factor {n}"));
    if let Some(expected) = cluster.brokers_expected {
        let up = cluster.brokers_up.len();
        return Check::ok(subject, format!("{up} of {expected} are up{partitions}{replicas}"));
    }
    let of = known.brokers_expected.map_or_else(|| "?".into(), |n| n.to_string());
    let why = known.no_topology.as_deref().map_or_else(String::new, |why| format!(" ({why})"));
    let says = format!("{reached} of {of} are reached from here; whether all are up nobody tells{why}");
    Check::cannot_tell(
        subject,
        says,
        "set `rest` to the application port of the gateway, which tells the topology",
    )
}

pub(super) fn leaders(cluster: Option<&Cluster>, positions: &Result<Positions, Fault>) -> Check {
    const TODO: &str = "let c8keep reach the management addresses of all brokers (`brokers`): without its leader's own word, \
                        nothing proves that the pause of a partition held";
    let subject = "leaders";
    let positions = match positions {
        Ok(positions) => positions,
        Err(fault) => return Check::untold(subject, fault),
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
    let silent =
        positions.brokers.iter().filter_map(|b| Some(format!("{}: {}", b.address, b.unread.as_ref()?)));
    let silent: Vec<String> = silent.collect();
    let silent = if silent.is_empty() { String::new() } else { format!(" ({})", silent.join("; ")) };
    if without.is_empty() && silent.is_empty() {
        let says = match known.len() {
            1 => "the leader of the one partition is read".into(),
            all => format!("the leaders of all {all} partitions are read"),
        };
        Check::ok(subject, says)
    } else if without.is_empty() {
        Check::warning(subject, format!("all are read, but not every broker{silent}, and leaders move"), TODO)
    } else if all_read {
        let target = "GET /actuator/partitions of all brokers";
        let answer = format!("no broker leads partition {names}");
        let hint = "wait for the election to end; if it does not, look into the brokers' logs";
        Check::bad(subject, Fault::precondition("looking for the leaders", target, answer, hint))
    } else {
        let of = if without.len() == 1 { "the leader of partition" } else { "the leaders of partitions" };
        Check::warning(subject, format!("not read: {of} {names}{silent}"), TODO)
    }
}

/// `foreign`: a pause that stands where this process holds none.
pub(super) fn exporting(positions: &Result<Positions, Fault>, foreign: Option<Fault>) -> Check {
    let subject = "exporting";
    match (positions, foreign) {
        (Err(fault), _) if fault.kind == FaultKind::Unauthorised => Check::bad(subject, fault.clone()),
        (Err(fault), _) => Check::untold(subject, fault),
        (Ok(_), Some(fault)) => Check::bad(subject, fault),
        (Ok(positions), None) => {
            Check::ok(subject, format!("runs, {} that could be read", readers(positions)))
        }
    }
}

/// A broker may answer behind two addresses, as its own and as the cluster's; only its node id tells.
fn readers(positions: &Positions) -> String {
    let read = || positions.brokers.iter().filter(|broker| broker.unread.is_none());
    let nodes: Option<BTreeSet<u32>> = read().map(|broker| broker.node).collect();
    match (nodes.map(|nodes| nodes.len()), read().count()) {
        (Some(1), _) | (None, 1) => "says the one broker".into(),
        (Some(brokers), _) => format!("say all {brokers} brokers"),
        (None, addresses) => format!("say all {addresses} addresses"),
    }
}

/// What the login at the search server may do, where that is told; `fault` is what a backup would end with.
pub(super) fn rights(
    lacks: Result<Option<Vec<String>>, Fault>,
    fault: impl FnOnce(&[String]) -> Fault,
) -> Option<Check> {
    let subject = "rights";
    match lacks {
        Ok(None) => None,
        Ok(Some(lacking)) if lacking.is_empty() => {
            Some(Check::ok(subject, "the search server grants what a backup needs"))
        }
        Ok(Some(lacking)) => Some(Check::bad(subject, fault(&lacking))),
        // A product without this question, or a proxy before it, says nothing of what the login may do.
        Err(fault) if fault.kind == FaultKind::Unreachable => Some(Check::untold(subject, &fault)),
        Err(_) => {
            let todo = "docs/access.md lists the rights that a backup needs";
            Some(Check::cannot_tell(subject, "the search server does not tell what the login may do", todo))
        }
    }
}

pub(super) fn vault(place: &str, checked: Result<(), Fault>) -> Check {
    match checked {
        Ok(()) => Check::ok("vault", format!("{place}: an object was written and removed")),
        Err(fault) => Check::bad("vault", fault.of_a_start()),
    }
}

/// An application that answers, or why it does not. One without which a backup may do keeps none from being taken.
pub(super) fn app(told: &AppTold<'_>) -> Check {
    let subject = subject_of(told.app.app);
    let fault = told.highest.as_ref().err().or(told.repository.as_ref().err());
    match (fault, &told.highest) {
        (Some(fault), _) if !told.app.required => {
            let says = format!("a backup would be partial: {}: {}", fault.target, fault.answer);
            Check::warning(subject, says, &fault.hint).because_of(fault)
        }
        (Some(fault), _) => Check::bad(subject, fault.clone()),
        (None, Ok(Some(id))) => Check::ok(subject, format!("{}: its last backup is {id}", told.app.address)),
        (None, _) => Check::ok(subject, format!("{}: it has no backups", told.app.address)),
    }
}

/// By the brokers and the snapshots of the records; what an application does not tell, its own line says.
pub(super) fn ids(
    (runtime, records): (Result<Option<BackupId>, Fault>, Result<Option<BackupId>, Fault>),
    apps: &[AppTold<'_>],
) -> Check {
    let highest = match (runtime, records) {
        (Ok(runtime), Ok(records)) => runtime.max(records),
        (Err(fault), _) | (_, Err(fault)) => return Check::bad("ids", fault),
    };
    let highest = apps.iter().filter_map(|told| *told.highest.as_ref().ok()?).max().max(highest);
    match highest {
        Some(id) => Check::ok("ids", format!("the highest that any server has seen is {id}")),
        None => Check::ok("ids", "no server has seen one"),
    }
}

/// The brokers' disks against the longest pause that may be.
pub(super) fn disk(machines: &[Machine], budget: SignedDuration) -> Check {
    const MORE: &str = "give the brokers more space, or lower `limits.hold_budget`: while exporting is paused their logs only \
                        grow, and c8keep ends the pause before a disk is full";
    let subject = "disk";
    let Some((disk, room)) = least_room(disk::told(machines), budget) else {
        let todo = "expose prometheus and configprops on the brokers' management ports, and let the brokers measure the \
                    disk of their data: management.metrics.system.diskspace.paths";
        return Check::cannot_tell(subject, "no broker tells how much space is free beside its data", todo);
    };
    let says = format!("{}: {disk}; {}", disk.address, of_room(&disk, &room, budget));
    match room {
        Room::None => Check::bad(subject, disk::scarce(&disk)),
        Room::Measured { is_enough: true, .. } | Room::Fixed { is_enough: true } => Check::ok(subject, says),
        Room::Measured { .. } | Room::Fixed { .. } => Check::warning(subject, says, MORE),
    }
}

fn of_room(disk: &Disk, room: &Room, budget: SignedDuration) -> String {
    match room {
        Room::None => "no room for a pause".into(),
        Room::Fixed { .. } if disk.written.is_some() => {
            "it runs too shortly to tell how fast its log grows".into()
        }
        Room::Fixed { .. } => "how fast its log grows it does not tell".into(),
        Room::Measured { hourly, lasts, is_enough } => {
            let megabytes = hourly.div_ceil(1_000_000);
            let minutes = SignedDuration::from_mins(lasts.as_mins());
            let budget = if *is_enough {
                String::new()
            } else {
                format!(", and busy hours write more; a pause may take {budget:#}")
            };
            format!(
                "its log grows by {megabytes} MB an hour in the mean: room for a pause of {minutes:#}{budget}"
            )
        }
    }
}

pub(super) fn clock(machines: &[Machine], now: Timestamp) -> Check {
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
