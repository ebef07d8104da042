use std::collections::BTreeMap;

use c8keep_core::backup::BackupId;
use c8keep_core::facts::{BrokerReading, Cluster, Fact, PartitionReading, Positions, Repository};
use c8keep_core::installation::AppAddress;
use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::ports::Machine;

fn unreachable(target: &str) -> Fault {
    Fault::new(FaultKind::Unreachable, "asking", target, "connection refused").with_hint("see the address")
}

fn known(gaps: &[(&'static str, Fault)]) -> Known {
    Known {
        brokers_expected: Some(3),
        no_topology: Some("http://x:8080: refused".into()),
        gaps: gaps.to_vec(),
        hold_budget: SignedDuration::from_hours(2),
    }
}

fn verdicts(checks: &[Check]) -> Vec<(&str, Verdict, &str)> {
    checks.iter().map(|check| (check.subject, check.verdict, check.says.as_str())).collect()
}

#[test]
fn one_cause_is_told_in_one_line() {
    let told = one_cause_one_line(vec![
        Check::untold("leaders", &unreachable("GET /actuator/partitions of http://b0:9600, http://b1:9600")),
        Check::ok("exporting", "runs"),
        Check::bad("backup store", unreachable("GET http://b1:9600/actuator/backups")),
        Check::bad("repository", unreachable("GET http://es:9200/_snapshot/camunda")),
        Check::bad("ids", unreachable("GET http://b1:9600/actuator/backups")),
    ]);
    let refused = |at: &str| format!("GET http://{at}: connection refused");
    assert_eq!(
        verdicts(&told),
        [
            ("leaders", Verdict::CannotTell, "not judged: see backup store"),
            ("exporting", Verdict::Ok, "runs"),
            ("backup store", Verdict::Bad, refused("b1:9600/actuator/backups").as_str()),
            ("repository", Verdict::Bad, refused("es:9200/_snapshot/camunda").as_str()),
            ("ids", Verdict::CannotTell, "not judged: see backup store"),
        ]
    );
    assert!(
        told[4].fault.is_none() && told[4].todo.is_empty(),
        "the exit code comes from the line that says it"
    );
}

/// A server that answers says different things to different questions.
#[test]
fn different_answers_of_one_server_are_different_causes() {
    let no = |answer: &str| Fault::precondition("asking", "GET http://es:9200/", answer, "");
    let told = one_cause_one_line(vec![
        Check::bad("repository", no("no repository")),
        Check::bad("indices", no("no index")),
        Check::bad("ids", no("no repository")),
    ]);
    assert_eq!(
        told.iter().map(|c| c.verdict).collect::<Vec<_>>(),
        [Verdict::Bad, Verdict::Bad, Verdict::CannotTell]
    );
}

fn cluster(expected: Option<u32>) -> Cluster {
    Cluster {
        version: "8.6.0".into(),
        brokers_expected: expected,
        brokers_configured: Some(3),
        brokers_up: vec![0, 1, 2],
        partitions: Some(3),
        replication: Some(3),
        pending_change: None,
    }
}

fn reading(node: u32, leads: &[u32], unread: Option<&str>) -> BrokerReading {
    let reading = |partition: &u32| {
        let role = serde_json::json!({"role": "LEADER", "phase": "EXPORTING", "exported": 1, "processed": 1});
        let read: PartitionReading = serde_json::from_value(role).unwrap();
        (*partition, read)
    };
    let partitions: BTreeMap<u32, PartitionReading> = leads.iter().map(reading).collect();
    let address = format!("http://b{node}:9600");
    BrokerReading { node: Some(node), address, unread: unread.map(Into::into), partitions }
}

fn positions(brokers: Vec<BrokerReading>) -> Positions {
    Positions { at: Timestamp::UNIX_EPOCH, brokers }
}

#[test]
fn what_is_reached_and_what_is_up_are_two_things() {
    let known = known(&[]);
    let check = judge::brokers(&cluster(None), &known, 1);
    assert_eq!(check.verdict, Verdict::CannotTell);
    assert_eq!(
        check.says,
        "1 of 3 are reached from here; whether all are up nobody tells (http://x:8080: refused)"
    );
    let check = judge::brokers(&cluster(Some(3)), &known, 1);
    assert_eq!(
        (check.verdict, check.says.as_str()),
        (Verdict::Ok, "3 of 3 are up, 3 partitions, replication factor 3")
    );
}

/// The cluster's own address is often one of its brokers, too.
#[test]
fn a_broker_behind_two_addresses_is_one() {
    let says = |brokers| judge::exporting(&Ok(positions(brokers)), None).says;
    let three = || (0..3).map(|node| reading(node, &[1], None)).collect::<Vec<_>>();
    let twice = reading(0, &[1], None);
    let of = |first: BrokerReading| says(std::iter::once(first).chain(three()).collect());
    assert_eq!(of(twice.clone()), "runs, say all 3 brokers that could be read");
    // Nothing tells whose address it is.
    let unnamed = BrokerReading { node: None, ..twice.clone() };
    assert_eq!(of(unnamed), "runs, say all 4 addresses that could be read");
    assert_eq!(says(vec![twice.clone(), twice]), "runs, says the one broker that could be read");
}

/// A tired operator is told what to do about everything that is bad.
#[test]
fn whatever_is_bad_has_a_next_step() {
    for kind in [FaultKind::Storage, FaultKind::Unreachable, FaultKind::Strange, FaultKind::Refused] {
        assert!(!Check::bad("vault", Fault::new(kind, "asking", "/v", "no")).todo.is_empty());
    }
}

#[test]
fn leaders_are_read_missed_or_not_there() {
    let judged = |cluster: &Cluster, brokers| judge::leaders(Some(cluster), &Ok(positions(brokers)));
    let all = vec![reading(0, &[1, 2], None), reading(1, &[3], None)];
    assert_eq!(judged(&cluster(Some(2)), all).verdict, Verdict::Ok);
    let silent = vec![reading(0, &[1, 2, 3], None), reading(1, &[], Some("refused"))];
    let check = judged(&cluster(None), silent);
    assert!(check.verdict == Verdict::Warning && check.says.contains("http://b1:9600: refused"), "{check:?}");
    let one = judged(&cluster(None), vec![reading(0, &[2], None)]);
    assert_eq!(
        (one.verdict, one.says.as_str()),
        (Verdict::Warning, "not read: the leaders of partitions 1, 3")
    );
    let nobody = judged(&cluster(Some(1)), vec![reading(0, &[1, 2], None)]);
    assert_eq!(nobody.verdict, Verdict::Bad);
    let check = judge::leaders(None, &Err(unreachable("GET http://b0:9600/actuator/partitions")));
    assert_eq!(check.verdict, Verdict::CannotTell);
}

#[test]
fn a_repository_that_only_refers_or_was_not_verified_is_not_simply_fine() {
    let judged = |is_shallow, is_unverified| {
        let (name, kind) = ("camunda".into(), "s3".into());
        let fact = Fact::Repository(Repository { name, kind, location: None, is_shallow, is_unverified });
        judge::probed("repository", Ok(fact.into())).verdict
    };
    assert_eq!(judged(false, false), Verdict::Ok);
    assert_eq!(judged(true, false), Verdict::Warning);
    assert_eq!(judged(false, true), Verdict::CannotTell);
}

#[test]
fn rights_are_told_where_they_are_known() {
    let judged = |lacks| {
        judge::rights(lacks, |lacking| Fault::new(FaultKind::Unauthorised, "", "es", lacking.join(", ")))
    };
    assert_eq!(judged(Ok(None)), None);
    assert_eq!(judged(Ok(Some(Vec::new()))).unwrap().verdict, Verdict::Ok);
    let lacking = judged(Ok(Some(vec!["create_snapshot".into()]))).unwrap();
    assert!(lacking.says.contains("create_snapshot") && lacking.fault.is_some());
    let untold = Fault::new(FaultKind::Refused, "asking", "es", "400");
    assert_eq!(judged(Err(untold)).unwrap().verdict, Verdict::CannotTell);
}

#[test]
fn a_clock_counts_in_both_directions() {
    let now = Timestamp::from_second(1_748_937_221).unwrap();
    let judged = |seconds: i64| {
        let time = Some(now + SignedDuration::from_secs(seconds));
        judge::clock(&[Machine { address: "b0".into(), time, ..Machine::default() }], now).verdict
    };
    assert_eq!(
        [judged(2), judged(-2), judged(9), judged(-9)],
        [Verdict::Ok, Verdict::Ok, Verdict::Warning, Verdict::Warning]
    );
}

/// What is missing is told in its own line, before those that only miss it, too.
#[test]
fn a_gap_takes_the_place_of_what_it_makes_unknown() {
    let missing = unreachable("GET http://es:9200/");
    let of_operate = unreachable("operate, GET http://operate:9600/actuator/info");
    let gaps = [
        ("search", missing.clone()),
        ("operate", of_operate),
        ("ids", Fault::precondition("", "c", "own ids", "")),
    ];
    let checks = vec![
        Check::ok("brokers", ""),
        Check::bad("repository", missing.clone()),
        Check::bad("indices", missing),
        Check::ok("ids", "none"),
        Check::ok("vault", ""),
    ];
    let told = one_cause_one_line(examine::with_gaps(checks, &gaps));
    let told: Vec<(&str, Verdict)> = told.iter().map(|check| (check.subject, check.verdict)).collect();
    assert_eq!(
        told,
        [
            ("brokers", Verdict::Ok),
            ("search", Verdict::Bad),
            ("operate", Verdict::Bad),
            ("repository", Verdict::CannotTell),
            ("indices", Verdict::CannotTell),
            ("ids", Verdict::Bad),
            ("vault", Verdict::Ok),
        ]
    );
}

#[test]
fn an_application_is_judged_on_its_own() {
    let judged = |required: bool, highest: Result<Option<BackupId>, Fault>| {
        let app = AppAddress {
            app: HistoryApp::Operate,
            address: "http://o".into(),
            repository: None,
            index_prefix: None,
            required,
        };
        let told = examine::AppTold { app: &app, highest, repository: Ok(None) };
        let ids = judge::ids((Ok(None), Ok("7".parse().ok())), std::slice::from_ref(&told));
        (judge::app(&told).verdict, ids.says)
    };
    let of = |id: &str| format!("the highest that any server has seen is {id}");
    assert_eq!(judged(true, Ok("9".parse().ok())), (Verdict::Ok, of("9")));
    assert_eq!(judged(true, Ok(None)), (Verdict::Ok, of("7")));
    assert_eq!(judged(true, Err(unreachable("o"))), (Verdict::Bad, of("7")));
    assert_eq!(judged(false, Err(unreachable("o"))), (Verdict::Warning, of("7")));
}

#[test]
fn the_disks_are_judged_by_the_budget() {
    let machine = |free, hourly: u64, hours: i64| Machine {
        address: "http://b0".into(),
        disk_free: Some(free),
        stops_at: Some(2_000_000_000),
        log_written: Some(hourly * u64::try_from(hours).unwrap()),
        uptime: Some(SignedDuration::from_hours(hours)),
        ..Machine::default()
    };
    let judged = |machine| judge::disk(&[machine], SignedDuration::from_hours(2));
    let check = judged(machine(13_000_000_000, 500_000_000, 48));
    assert_eq!(
        (check.verdict, check.says.as_str()),
        (
            Verdict::Ok,
            "http://b0: 13.0 GB free, and it stops below 2.0 GB; its log grows by 500 MB an hour in the mean: room for a pause of 20h"
        )
    );
    let check = judged(machine(6_000_000_000, 1_000_000_000, 48));
    assert_eq!(check.verdict, Verdict::Warning);
    assert!(
        check.says.ends_with("room for a pause of 3h, and busy hours write more; a pause may take 2h"),
        "{check:?}"
    );
    assert!(check.todo.contains("limits.hold_budget"), "{check:?}");
    assert_eq!(judged(machine(2_500_000_000, 1, 48)).verdict, Verdict::Bad);
    let young = Machine { uptime: Some(SignedDuration::from_secs(9)), ..machine(13_000_000_000, 1, 48) };
    assert!(judged(young).says.ends_with("it runs too shortly to tell how fast its log grows"));
    let untold = judged(Machine { uptime: None, ..machine(13_000_000_000, 1, 48) });
    assert!(untold.verdict == Verdict::Ok && untold.says.ends_with("it does not tell"), "{untold:?}");
    assert_eq!(judge::disk(&[], SignedDuration::from_hours(2)).verdict, Verdict::CannotTell);
}
