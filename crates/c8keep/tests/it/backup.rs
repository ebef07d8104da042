//! Whole backups.

use c8keep_twin::{Host, Product};

use std::sync::atomic::{AtomicBool, Ordering};

use crate::guard::Guard;
use crate::theatre::Theatre;

/// One command, every version and product: complete, proven, restorable without a loss, and exporting runs.
#[test]
fn a_hot_backup_restores_without_a_loss() {
    for (version, product) in [
        ("8.6.0", Product::Elasticsearch),
        ("8.6.0", Product::OpenSearch),
        ("8.8.0", Product::Elasticsearch),
        ("8.8.0", Product::OpenSearch),
    ] {
        let mut config = Theatre::quick(version);
        config.search = product;
        config.brokers = 1;
        config.replication = 1;
        let theatre = Theatre::new(config);
        let ended = theatre.run(&["backup"]).expect(0, &["is complete", "witness   proven"]);
        assert!(!theatre.is_paused(), "{version} {product:?}");
        let shown = theatre.run(&["show", "-o", "json"]).expect(0, &[]).json();
        let id = shown["backup"].as_u64().unwrap();
        let verdict = theatre.world().restore(id);
        assert!(
            verdict.whole() && verdict.instances_restored > 0,
            "{version} {product:?}: {verdict}\n{}",
            ended.stderr
        );
    }
}

/// Every part is in the manifest by name, with what proves it.
#[test]
fn the_manifest_names_every_part_with_its_evidence() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.run(&["backup", "--id", "1748937221"]).expect(0, &[]);
    let folder = theatre.home().join(".local/share/c8keep/vault/default/backups/1748937221");
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    let parts: Vec<&str> =
        manifest["parts"].as_array().unwrap().iter().map(|p| p["component"].as_str().unwrap()).collect();
    assert_eq!(parts, ["operate", "tasklist", "records", "runtime"]);
    for part in &manifest["parts"].as_array().unwrap()[..3] {
        for snapshot in part["snapshots"].as_array().unwrap() {
            assert_eq!(snapshot["state"], "SUCCESS");
            assert!(!snapshot["uuid"].as_str().unwrap().is_empty());
            assert_eq!(snapshot["repository"], "camunda");
        }
    }
    let partition = &manifest["parts"][3]["partitions"][0];
    assert!(partition["checkpoint"].as_i64().unwrap() > 0);
    assert_eq!(partition["broker_version"], "8.6.0");
    assert_eq!(manifest["witness"]["verdict"]["kind"], "proven");
    assert!(!manifest["witness"]["first"]["brokers"].as_array().unwrap().is_empty(), "raw readings");
    assert_eq!(manifest["topology"]["partitions"], 2);
    assert!(!manifest["records_at_cut"].as_array().unwrap().is_empty());
    assert!(!manifest["census"]["apps"].as_array().unwrap().is_empty());
    assert!(manifest["census"]["records"][0]["docs"].as_u64().is_some());
    assert!(!manifest["witness"]["last"]["brokers"].as_array().unwrap().is_empty());
    assert_eq!(manifest["index_prefixes"], serde_json::json!(["operate-", "tasklist-", "zeebe-record"]));
    for part in manifest["parts"].as_array().unwrap() {
        assert!(part["started_at"].as_str() < part["ended_at"].as_str(), "{part}");
    }
    // The page's steps but for the last, which runs beside the publishing: Operate and Tasklist are one of them.
    let pages: std::collections::BTreeSet<u64> =
        manifest["steps"].as_array().unwrap().iter().filter_map(|step| step["page"].as_u64()).collect();
    assert!(pages.len() >= 6 && !pages.contains(&10), "{pages:?}");
    assert!(!manifest["not_covered"].as_array().unwrap().is_empty());
    let guide = std::fs::read_to_string(folder.join("RESTORE.md")).unwrap();
    for name in [
        "camunda_operate_1748937221_8.6.0_part_1_of_6",
        "camunda_zeebe_records_backup_1748937221",
        "--backupId=1748937221",
        "/_cat/indices/operate-*,tasklist-*,zeebe-record*?",
        "ZEEBE_RESTORE_FROM_BACKUP_ID=1748937221",
        "1 broker",
    ] {
        assert!(guide.contains(name), "{name} is not in RESTORE.md");
    }
    assert!(folder.join("release.json").exists());
}

/// One event a line, the last one the result.
#[test]
fn events_for_programs() {
    let mut config = Theatre::quick("8.8.0");
    (config.brokers, config.replication) = (1, 1);
    let theatre = Theatre::new(config);
    let ended = theatre.run(&["backup", "-o", "json", "--id", "1748937221"]);
    assert_eq!(ended.code, Some(0), "{}", ended.said());
    let events: Vec<serde_json::Value> =
        ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["event"], "opened");
    let result = events.last().unwrap();
    assert_eq!(result["event"], "result");
    assert_eq!((&result["outcome"], &result["exit_code"]), (&"complete".into(), &0.into()));
    assert_eq!(result["witness"]["verdict"]["kind"], "proven");
    assert_eq!(result["exporting_runs"], true);
}

/// Nothing but the management address (and Operate's and Tasklist's before 8.8): the rest is found.
#[test]
fn one_address_is_enough() {
    for version in ["8.6.0", "8.8.0"] {
        let mut config = Theatre::quick(version);
        config.optimize = false;
        let mut theatre = Theatre::new(config);
        theatre.unset("ELASTIC_ENDPOINT");
        theatre.unset("ELASTIC_SNAPSHOT_REPOSITORY");
        let search = theatre.url(Host::Search);
        theatre.run(&["backup"]).expect(0, &["is complete", &search, "zeebe-record"]);
    }
}

/// Somebody deletes what an application has backed up while the records are being copied: no server says a word of it.
#[test]
fn snapshots_that_were_deleted_meanwhile() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 4_000;
    let theatre = Theatre::new(config);
    let child = theatre.start(&["backup", "--id", "1748937221"]);
    theatre.until_records_are_taken(1_748_937_221);
    let part = "/_snapshot/camunda/camunda_tasklist_1748937221_8.6.0_part_1_of_6";
    assert_eq!(theatre.by_hand(Host::Search, "DELETE", part), 200);
    let ended = crate::theatre::ended(child.wait_with_output().unwrap());
    ended.expect(1, &["part_1_of_6 was whole and is gone", "exporting runs again"]);
    theatre.run(&["list"]).expect(0, &["failed"]);
}

/// An hour in which somebody else resumes exporting: every server says success, the witness does not.
#[test]
fn a_lifted_pause_is_noticed() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 4_000;
    config.rhythm.snapshot = 300;
    config.load = 100;
    let theatre = Theatre::new(config);
    let child = theatre.start(&["backup", "--id", "1748937221"]);
    theatre.until_records_are_taken(1_748_937_221);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    let ended = crate::theatre::ended(child.wait_with_output().unwrap());
    ended.expect(1, &["the pause did not hold", "exporting runs again"]);
    theatre.run(&["list"]).expect(0, &["failed"]);
    theatre.run(&["show", "1748937221"]).expect(0, &["violated"]);
    assert!(!theatre.world().restore(1_748_937_221).whole(), "the oracle must agree");
}

/// Three brokers: reached one by one the witness is whole; through one address it is partial, and says so.
#[test]
fn the_witness_asks_every_broker() {
    let mut config = Theatre::quick("8.8.0");
    config.optimize = false;
    let theatre = Theatre::new(config);
    let ended = theatre.run(&["backup"]).expect(0, &["witness   unproven", "brokers"]);
    assert!(ended.stderr.contains("warning"), "{}", ended.said());
    theatre.run(&["backup", "--require-proof"]).expect(3, &["unproven"]);
    let file = theatre.home().join("c8keep.yaml");
    let brokers: Vec<String> = (0..3).map(|n| theatre.url(Host::Broker(n))).collect();
    std::fs::write(&file, format!("rest: {}\nbrokers: {brokers:?}\n", theatre.url(Host::Rest))).unwrap();
    theatre
        .run(&["-c", file.to_str().unwrap(), "backup", "--require-proof"])
        .expect(0, &["witness   proven"]);
}

/// The window lasted too long: which step it was, how long was allowed, what to do; and with `--retry` once more.
#[test]
fn a_window_that_lasted_too_long_says_why() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 60_000;
    let theatre = Theatre::new(config);
    let ended = theatre.run(&["backup", "--hold-budget", "1s", "--retry", "1"]);
    let words = [
        "keeping exporting paused",
        "at   step await-records",
        "exporting may stay paused for 1s (limits.hold_budget); last seen: camunda_zeebe_records_backup_",
        "or raise `limits.hold_budget` (--hold-budget)",
        "exporting runs again",
        "starting again under a higher id",
    ];
    let ended = ended.expect(1, &words);
    assert_eq!(ended.said().matches("at   step await-records").count(), 2, "once a try: {}", ended.said());
    assert!(!theatre.is_paused());
    let rows = theatre.run(&["list", "-o", "json"]).json();
    let ids: Vec<u64> = rows.as_array().unwrap().iter().map(|row| row["backup"].as_u64().unwrap()).collect();
    assert!(ids.len() == 2 && ids[0] > ids[1], "{ids:?}");
    theatre.run(&["show", &ids[1].to_string()]).expect(0, &["limits.hold_budget", "await-records"]);
    let ended = theatre.run(&["backup", "--hold-budget", "1s", "-o", "json"]);
    let last: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["outcome"], &last["fault"]["target"]),
        (&"stopped".into(), &"step await-records".into())
    );
}

/// A run takes as long as it keeps exporting paused, also where it is resumed long after the last part.
#[test]
fn a_run_takes_no_less_time_than_its_pause() {
    let mut config = Theatre::quick("8.8.0");
    (config.brokers, config.replication, config.optimize) = (1, 1, false);
    config.durations.resume = 2_000;
    let theatre = Theatre::new(config);
    theatre.run(&["backup"]).expect(0, &[]);
    let row = theatre.run(&["list", "-o", "json"]).json()[0].clone();
    let (took, paused) = (row["took_ms"].as_i64().unwrap(), row["paused_ms"].as_i64().unwrap());
    assert!(took >= paused && paused >= 2_000, "took {took} ms, paused {paused} ms");
    let seconds = |line: &str| -> i64 {
        line.rsplit(' ').next().unwrap().trim_end_matches('s').split('.').next().unwrap().parse().unwrap()
    };
    let shown = theatre.run(&["show"]).expect(0, &[]);
    let taken = shown.stdout.lines().find(|line| line.trim_start().starts_with("taken")).unwrap();
    assert!(seconds(taken) >= paused / 1_000, "{taken}");
    // The same from the vault alone.
    std::fs::remove_dir_all(theatre.home().join(".local/state")).unwrap();
    let alone = theatre.run(&["list", "-o", "json"]).json()[0].clone();
    assert_eq!((&alone["took_ms"], &alone["paused_ms"]), (&row["took_ms"], &row["paused_ms"]));
}

/// What is made again has not failed, and who reads the log at night must see that.
#[test]
fn an_attempt_that_is_made_again_has_not_failed() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let refused = AtomicBool::new(false);
    let guard = Guard::before(&theatre.url(Host::Operate), move |request| {
        let first = request.starts_with("POST /actuator/backups") && !refused.swap(true, Ordering::SeqCst);
        first.then(|| (400, r#"{"message":"Another backup is running at the moment"}"#.into()))
    });
    theatre.set("OPERATE_MANAGEMENT_API", &guard.url());
    let ended = theatre
        .run(&["backup"])
        .expect(0, &["start-operate (page step 2): attempt 1 failed and will be made again"]);
    assert!(!ended.said().contains("FAILED"), "{}", ended.said());
    drop(guard);
    theatre.world().faults.partitions_failing.insert(1);
    theatre.set("OPERATE_MANAGEMENT_API", &theatre.url(Host::Operate));
    theatre.run(&["backup"]).expect(1, &["await-runtime (page step 9): FAILED"]);
}
