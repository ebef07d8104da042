//! Each switch for misbehaviour shows outside what the real fault shows.

use c8keep_twin::{Config, Host, LossKind, Product, Repositories, Request, Response, handle};
use serde_json::{Value, json};

use crate::hand::{Bench, SPLIT, Step, seeded};

fn bench() -> Bench {
    Bench::new(seeded(Config::demo_8_6(), 1))
}

/// All steps before the runtime backup.
fn before_runtime(bench: &mut Bench) {
    bench.run(&SPLIT[..7], 100);
}

#[test]
fn a_backup_that_never_appears_is_404_for_ever_and_its_id_is_burnt() {
    let mut bench = bench();
    bench.world.faults.runtime_never_appears = true;
    assert_eq!(bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5})).status, 202);
    bench.pass(600_000);
    assert_eq!(bench.get(Host::Gateway, "/actuator/backups/5").status, 404);
    assert_eq!(bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5})).status, 409);
}

#[test]
fn a_stuck_backup_is_in_progress_for_ever_and_never_moves() {
    let mut bench = bench();
    bench.world.faults.runtime_stuck = true;
    bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    bench.wait(Host::Gateway, "/actuator/backups/5", "/state", "IN_PROGRESS");
    let before = bench.get(Host::Gateway, "/actuator/backups/5");
    bench.pass(600_000);
    assert_eq!(bench.get(Host::Gateway, "/actuator/backups/5"), before);
}

#[test]
fn a_failing_partition_fails_the_backup_with_its_reason() {
    let mut bench = bench();
    bench.world.faults.partitions_failing.insert(2);
    bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    bench.wait(Host::Gateway, "/actuator/backups/5", "/state", "FAILED");
    let body = bench.get(Host::Gateway, "/actuator/backups/5").value();
    assert!(
        body["failureReason"].as_str().is_some_and(|why| why.starts_with("Backup on partition 2 failed")),
        "{body}"
    );
}

#[test]
fn a_partial_snapshot_stops_the_queue_and_fails_the_history() {
    let mut bench = bench();
    bench.world.faults.snapshots_partial.insert("operate_100_8.6.0_part_2".to_owned());
    bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
    bench.wait(Host::Operate, "/actuator/backups/100", "/state", "FAILED");
    bench.pass(60_000);
    let body = bench.get(Host::Operate, "/actuator/backups/100").value();
    assert_eq!(body["details"].as_array().map(Vec::len), Some(2), "{body}");
    assert_eq!(body["details"][1]["state"], "PARTIAL");
}

#[test]
fn a_lost_queue_is_incomplete_at_once_before_8_8_and_after_five_minutes_since() {
    let mut bench = bench();
    bench.world.faults.parts_missing.insert("part_4".to_owned());
    bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
    bench.pass(30_000);
    assert_eq!(bench.get(Host::Operate, "/actuator/backups/100").value()["state"], "INCOMPLETE");

    let mut bench = Bench::new(seeded(Config::seed_8_8(), 1));
    bench.world.faults.parts_missing.insert("part_4".to_owned());
    bench.post(Host::Gateway, "/actuator/backupHistory", &json!({"backupId": 100}));
    bench.pass(30_000);
    assert_eq!(bench.get(Host::Gateway, "/actuator/backupHistory/100").value()["state"], "IN_PROGRESS");
    bench.pass(300_000);
    assert_eq!(bench.get(Host::Gateway, "/actuator/backupHistory/100").value()["state"], "INCOMPLETE");
}

#[test]
fn an_accepted_snapshot_can_vanish() {
    let mut bench = bench();
    bench.world.faults.snapshots_vanishing.insert("records".to_owned());
    let path = "/_snapshot/camunda/camunda_zeebe_records_backup_100";
    assert_eq!(bench.send(Host::Search, &Request::new("PUT", path)).value(), json!({"accepted": true}));
    assert_eq!(bench.get(Host::Search, path).status, 404);
}

#[test]
fn absent_records_make_a_snapshot_of_nothing_that_succeeds() {
    let mut bench = bench();
    bench.world.faults.records_absent = true;
    bench.run(SPLIT, 100);
    let body = bench.get(Host::Search, "/_snapshot/camunda/camunda_zeebe_records_backup_100").value();
    assert_eq!(body["snapshots"][0]["state"], "SUCCESS");
    assert_eq!(body["snapshots"][0]["indices"], json!([]));
    assert!(bench.world.restore(100).has(LossKind::Lost));
}

#[test]
fn a_wrong_port_answers_html() {
    let mut bench = bench();
    bench.world.faults.html.insert(Host::Gateway);
    let answer = bench.get(Host::Gateway, "/actuator/info");
    assert_eq!((answer.status, answer.content_type.as_deref()), (200, Some("text/html;charset=utf-8")));
    assert_eq!(answer.value(), Value::Null);
}

#[test]
fn an_unreachable_host_answers_nothing() {
    let mut bench = bench();
    bench.world.faults.unreachable.insert(Host::Operate);
    let request = Request::get("/actuator");
    assert_eq!(handle(&mut bench.world, Host::Operate, &request, bench.now), Response::Dropped);
}

#[test]
fn without_a_store_runtime_backups_are_refused() {
    let mut config = seeded(Config::demo_8_6(), 1);
    config.store = None;
    let mut bench = Bench::new(config);
    let answer = bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    assert_eq!(answer.status, 400);
    assert!(answer.value()["message"].as_str().is_some_and(|text| text.contains("store")));
    let props = bench.get(Host::Broker(0), "/actuator/configprops/zeebe.broker").value();
    assert!(props.to_string().contains(r#""store":"NONE""#), "{props}");
}

#[test]
fn a_missing_repository_is_refused_everywhere() {
    for search in [Product::Elasticsearch, Product::OpenSearch] {
        let mut config = seeded(Config::demo_8_6(), 1);
        config.search = search;
        config.repositories = Repositories { registered: Vec::new(), ..Repositories::all("camunda") };
        let mut bench = Bench::new(config);
        assert_eq!(bench.get(Host::Search, "/_snapshot/camunda").status, 404);
        let answer = bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 5}));
        assert_eq!(answer.status, 400);
        assert_eq!(answer.value()["message"], "No repository with name [camunda] could be found.");
    }
}

#[test]
fn a_leader_that_goes_in_the_window_leaves_its_partition_paused_at_an_older_position() {
    let mut config = seeded(Config::demo_8_6(), 1);
    (config.brokers, config.partitions, config.replication) = (3, 3, 3);
    let mut bench = Bench::new(config);
    bench.pass(20_000);
    bench.step(Step::Pause, 100);
    let (before, _) = bench.world.exporting(2).expect("partition 2");
    bench.world.faults.brokers_down.insert(1);
    bench.pass(100);
    let (after, phase) = bench.world.exporting(2).expect("partition 2 has a new leader");
    assert!(after < before, "{after} is not below {before}");
    assert_eq!(phase.wire(), "SOFT_PAUSED");
    let failed = bench.post(Host::Gateway, "/actuator/exporting/resume", &Value::Null).value();
    assert_eq!(failed["status"], 500);
    bench.world.faults.brokers_down.clear();
    assert_eq!(bench.post(Host::Gateway, "/actuator/exporting/resume", &Value::Null).value()["status"], 204);
}

#[test]
fn a_pause_half_happens_while_the_gateway_does_not_know_that_a_broker_is_gone() {
    let mut config = seeded(Config::demo_8_6(), 1);
    (config.brokers, config.partitions, config.replication) = (3, 3, 3);
    let mut bench = Bench::new(config);
    bench.world.faults.brokers_down.insert(2);
    let answer = bench.post(Host::Gateway, "/actuator/exporting/pause?soft=true", &Value::Null);
    assert_eq!((answer.status, &answer.value()["status"]), (200, &json!(500)));
    let phase = |bench: &mut Bench, node: u32| {
        let body = bench.get(Host::Broker(node), "/actuator/partitions").value();
        body["1"]["exporterPhase"].clone()
    };
    assert_eq!(phase(&mut bench, 0), "SOFT_PAUSED");
    bench.world.faults.brokers_down.clear();
    assert_eq!(phase(&mut bench, 2), "EXPORTING");
}

#[test]
fn a_foreign_resume_in_the_window_loses_records() {
    let lost = (0..200).any(|seed| {
        let mut bench = Bench::new(seeded(Config::demo_8_6(), seed));
        before_runtime(&mut bench);
        bench.post(Host::Gateway, "/actuator/exporting/resume", &Value::Null);
        bench.pass(2_000);
        bench.run(&SPLIT[7..], 100);
        bench.world.restore(100).has(LossKind::Lost)
    });
    assert!(lost);
}

#[test]
fn in_the_demo_a_lifted_pause_loses_records_in_every_seed() {
    for seed in 0..20 {
        let mut bench = Bench::new(Config { seed, ..Config::demo_8_6() });
        bench.run(&SPLIT[..5], 100);
        let frozen: Vec<u64> = [1, 2].map(|id| bench.world.exporting(id).expect("a leader").0).to_vec();
        bench.post(Host::Gateway, "/actuator/exporting/resume", &Value::Null);
        bench.run(&SPLIT[5..], 100);
        let verdict = bench.world.restore(100);
        assert!(verdict.has(LossKind::Lost), "seed {seed}: {verdict}");
        assert!(verdict.instances_restored < verdict.instances_at_checkpoint, "seed {seed}: {verdict}");
        let body = bench.get(Host::Gateway, "/actuator/backups/100").value();
        let beyond = body["details"].as_array().expect("details").iter().any(|detail| {
            let place = usize::try_from(detail["partitionId"].as_u64().expect("an id") - 1).expect("small");
            let id = detail["snapshotId"].as_str().expect("a snapshot");
            id.split('-').nth(3).and_then(|part| part.parse::<u64>().ok()) > Some(frozen[place])
        });
        assert!(beyond, "seed {seed}: nobody could tell from {body}");
    }
}

#[test]
fn a_leader_change_in_the_window_loses_nothing() {
    for seed in 0..30 {
        let mut config = seeded(Config::demo_8_6(), seed);
        (config.brokers, config.partitions, config.replication) = (3, 3, 3);
        let mut bench = Bench::new(config);
        bench.run(&SPLIT[..5], 100);
        bench.world.faults.brokers_down.insert(u32::try_from(seed % 3).expect("small"));
        bench.run(&SPLIT[5..9], 100);
        let verdict = bench.world.restore(100);
        assert!(verdict.whole(), "seed {seed}: {verdict}");
    }
}

#[test]
fn a_leader_that_never_heard_of_the_pause_loses_records_in_some_seed() {
    let lost = (0..200).any(|seed| {
        let mut config = seeded(Config::demo_8_6(), seed);
        (config.brokers, config.partitions, config.replication) = (3, 3, 3);
        let mut bench = Bench::new(config);
        bench.run(&SPLIT[..4], 100);
        // Broker 1 misses the pause, comes back, and leads the partitions of broker 0 after its death.
        bench.world.faults.brokers_down.insert(1);
        bench.step(Step::Pause, 100);
        bench.world.faults.brokers_down.clear();
        bench.pass(100);
        bench.world.faults.brokers_down.insert(0);
        bench.run(&SPLIT[5..9], 100);
        bench.world.restore(100).has(LossKind::Lost)
    });
    assert!(lost);
}

#[test]
fn without_a_leader_nothing_is_taken_and_no_id_is_burnt() {
    let mut config = seeded(Config::demo_8_6(), 1);
    (config.brokers, config.partitions, config.replication) = (2, 2, 1);
    let mut bench = Bench::new(config);
    bench.world.faults.brokers_down.insert(1);
    assert_eq!(bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 1})).status, 502);
    bench.world.faults.brokers_down.insert(0);
    let request = Request::get("/actuator");
    assert_eq!(handle(&mut bench.world, Host::Gateway, &request, bench.now), Response::Dropped);
    bench.world.faults.brokers_down.clear();
    assert_eq!(bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 1})).status, 202);
}

#[test]
fn a_busy_broker_says_nothing_of_its_partitions_and_more_when_asked_again() {
    let mut bench = bench();
    bench.world.faults.brokers_busy.insert(0);
    let mut ask = || bench.get(Host::Broker(0), "/actuator/partitions").value();
    let answers = [ask(), ask()];
    assert!(answers.contains(&json!({})), "{answers:?}");
    assert!(answers.iter().any(|answer| answer["1"]["role"] == "LEADER"), "{answers:?}");
}

#[test]
fn while_scaling_backups_are_refused_and_their_ids_are_burnt() {
    let mut bench = bench();
    bench.world.faults.scaling = true;
    let cluster = bench.get(Host::Gateway, "/actuator/cluster").value();
    assert_eq!(cluster["pendingChange"]["status"], "IN_PROGRESS");
    let refused = bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    assert_eq!(refused.status, 409);
    assert!(refused.value()["message"].as_str().is_some_and(|text| text.contains("scaling")));
    bench.world.faults.scaling = false;
    assert_eq!(bench.get(Host::Gateway, "/actuator/cluster").value()["pendingChange"], Value::Null);
    let again = bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    assert!(again.value()["message"].as_str().is_some_and(|text| text.contains("latest backup has id 5")));
}

#[test]
fn free_disk_is_told_as_a_metric() {
    let mut bench = bench();
    bench.world.faults.disk_free = Some(1_000_000);
    let answer = bench.get(Host::Broker(0), "/actuator/prometheus");
    let text = String::from_utf8(answer.body).expect("text");
    assert!(text.contains("disk_free_bytes{path=\"/var/lib/camunda/z-0/.\",} 1000000.0\n"), "{text}");
    assert!(text.contains("zeebe_exporter_state{partition=\"1\",} 0.0\n"), "{text}");
}

#[test]
fn a_disturbance_counts_from_its_own_instant() {
    let mut config = seeded(Config::demo_8_6(), 1);
    (config.brokers, config.partitions, config.replication) = (3, 3, 3);
    let mut bench = Bench::new(config);
    // Nobody has looked for a minute.
    bench.now += jiff::SignedDuration::from_secs(60);
    bench.world.disturb(bench.now, |faults| _ = faults.brokers_down.insert(2));
    let answer = bench.post(Host::Gateway, "/actuator/exporting/pause?soft=true", &Value::Null).value();
    assert!(answer["body"]["message"].as_str().is_some_and(|text| text.contains("was closed")), "{answer}");
}

#[test]
fn a_local_snapshot_that_passes_the_checkpoint_fails_the_backup() {
    let failed = (0..200).any(|seed| {
        let mut bench = Bench::new(Config { seed, ..Config::demo_8_6() });
        bench.world.faults.snapshots_pass_checkpoints = true;
        bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
        bench.pass(5_000);
        let body = bench.get(Host::Gateway, "/actuator/backups/5").value();
        body["failureReason"].as_str().is_some_and(|why| why.contains("Cannot find a snapshot"))
    });
    assert!(failed);
}

const RECORDS: &str = "/_snapshot/camunda/camunda_zeebe_records_backup_100";

#[test]
fn a_snapshot_can_succeed_without_anything_in_it() {
    let mut bench = bench();
    bench.world.faults.snapshots_empty.insert("records".to_owned());
    bench.run(SPLIT, 100);
    let told = bench.get(Host::Search, RECORDS).value();
    assert_eq!(told["snapshots"][0]["state"], "SUCCESS");
    assert_eq!(told["snapshots"][0]["indices"], json!([]));
    assert!(bench.world.restore(100).has(LossKind::Lost));
}

#[test]
fn behind_a_frozen_storage_no_snapshot_moves() {
    let mut bench = bench();
    bench.world.faults.snapshots_frozen = true;
    bench.send(Host::Search, &Request::new("PUT", RECORDS));
    let status = format!("{RECORDS}/_status");
    bench.pass(1_000);
    let before = bench.get(Host::Search, &status).value()["snapshots"][0]["shards_stats"].clone();
    bench.pass(600_000);
    assert_eq!(bench.get(Host::Search, &status).value()["snapshots"][0]["shards_stats"], before);
    bench.world.faults.snapshots_frozen = false;
    bench.wait(Host::Search, RECORDS, "/snapshots/0/state", "SUCCESS");
}

/// What was to be copied while the storage stood still is copied before the snapshot ends, or it would hold what came later.
#[test]
fn a_frozen_storage_changes_no_order() {
    for seed in 0..100 {
        let mut bench = Bench::new(seeded(Config::demo_8_6(), seed));
        bench.run(&SPLIT[..5], 100);
        for call in SPLIT[5].calls(bench.world.config(), 100) {
            if let c8keep_twin::page::Call::Send(host, request) = call {
                bench.send(host, &request);
            }
        }
        bench.world.faults.snapshots_frozen = true;
        bench.pass(950);
        bench.world.faults.snapshots_frozen = false;
        bench.run(&SPLIT[6..], 100);
        let verdict = bench.world.restore(100);
        assert!(verdict.whole(), "seed {seed}: {verdict}");
    }
}

#[test]
fn a_slow_storage_makes_every_snapshot_last() {
    let mut bench = bench();
    bench.world.faults.snapshots_slow_by = 60_000;
    bench.send(Host::Search, &Request::new("PUT", RECORDS));
    bench.pass(55_000);
    assert_eq!(bench.get(Host::Search, RECORDS).value()["snapshots"][0]["state"], "IN_PROGRESS");
    bench.pass(10_000);
    assert_eq!(bench.get(Host::Search, RECORDS).value()["snapshots"][0]["state"], "SUCCESS");
}

#[test]
fn a_repository_gone_read_only_takes_nothing_and_says_so() {
    let mut bench = bench();
    bench.world.faults.repositories_readonly = true;
    let told = bench.get(Host::Search, "/_snapshot/camunda").value();
    assert_eq!(told["camunda"]["settings"]["readonly"], "true");
    assert_eq!(bench.send(Host::Search, &Request::new("PUT", RECORDS)).status, 500);
    bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
    bench.pass(60_000);
    assert_eq!(bench.get(Host::Operate, "/actuator/backups/100").status, 400);
}

#[test]
fn a_repository_that_is_registered_again_has_its_snapshots() {
    let mut bench = bench();
    bench.run(SPLIT, 100);
    assert_eq!(bench.send(Host::Search, &Request::new("DELETE", "/_snapshot/camunda")).status, 200);
    assert_eq!(bench.get(Host::Search, RECORDS).status, 404);
    let body = json!({"type": "fs", "settings": {"location": "/var/snapshots/camunda"}});
    assert_eq!(bench.send(Host::Search, &Request::new("PUT", "/_snapshot/camunda").json(&body)).status, 200);
    assert_eq!(bench.get(Host::Search, RECORDS).value()["snapshots"][0]["state"], "SUCCESS");
    assert!(bench.world.restore(100).whole());
}

#[test]
fn a_part_can_be_left_out_of_a_backup_that_is_called_complete() {
    let mut bench = bench();
    bench.world.faults.parts_left_out.insert("part_4_of".to_owned());
    bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
    bench.wait(Host::Operate, "/actuator/backups/100", "/state", "COMPLETED");
    let told = bench.get(Host::Operate, "/actuator/backups/100").value();
    assert_eq!(told["details"].as_array().map(Vec::len), Some(5), "{told}");
}

#[test]
fn a_partition_can_be_left_out_of_a_backup_that_is_called_complete() {
    let mut bench = bench();
    bench.world.faults.partitions_left_out.insert(2);
    bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5}));
    bench.wait(Host::Gateway, "/actuator/backups/5", "/state", "COMPLETED");
    let told = bench.get(Host::Gateway, "/actuator/backups/5").value();
    assert!(told["details"].as_array().unwrap().iter().all(|part| part["partitionId"] != 2), "{told}");
    assert!(bench.world.restore(5).has(LossKind::Missing));
}

#[test]
fn a_frozen_store_is_told_late_and_nothing_moves_behind_it() {
    let mut bench = bench();
    bench.world.faults.store_frozen = true;
    assert_eq!(bench.post(Host::Gateway, "/actuator/backups", &json!({"backupId": 5})).status, 202);
    bench.pass(600_000);
    let answer = bench.get(Host::Gateway, "/actuator/backups/5");
    assert_eq!(answer.status, 504);
    assert_eq!(answer.ready_at, Some(bench.now + jiff::SignedDuration::from_secs(15)));
    bench.world.faults.store_frozen = false;
    bench.wait(Host::Gateway, "/actuator/backups/5", "/state", "COMPLETED");
}

#[test]
fn a_stuck_queue_refuses_every_backup_until_the_application_is_started_again() {
    let mut bench = bench();
    bench.world.faults.queues_stuck.insert("part_3_of".to_owned());
    bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
    bench.pass(600_000);
    assert_eq!(bench.get(Host::Operate, "/actuator/backups/100").value()["state"], "INCOMPLETE");
    bench.world.faults.queues_stuck.clear();
    assert_eq!(bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 101})).status, 400);
    bench.world.restart_applications(bench.now);
    assert_eq!(bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 101})).status, 200);
    bench.wait(Host::Operate, "/actuator/backups/101", "/state", "COMPLETED");
}
