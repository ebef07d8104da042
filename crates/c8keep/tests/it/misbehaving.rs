//! Servers that misbehave: every backup fails with the reason, exporting runs, and nothing is called complete.

use c8keep_twin::{Host, Request};
use jiff::Timestamp;

use crate::theatre::{Ended, Theatre, ended};

/// Backs up an installation in which something goes wrong, and checks what must hold whatever it is.
fn fails(faults: impl Fn(&mut c8keep_twin::Faults), stall: &str, words: &[&str]) -> Ended {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    faults(&mut theatre.world().faults);
    let ended = theatre.run(&["backup", "--id", "1000", "--stall", stall]).expect(1, words);
    let said = ended.said();
    assert!(!theatre.is_paused(), "left paused:\n{said}");
    assert!(said.contains("failed at ") && said.lines().any(|line| line.starts_with("  next ")), "{said}");
    assert!(!theatre.home().join(".local/share/c8keep/vault/default/backups/1000/manifest.json").exists());
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
    theatre.run(&["list"]).expect(0, &["1000", "failed"]);
    let words = ["not a backup: failed at step", "parts of a failed backup", "operate ("];
    theatre.run(&["show", "1000"]).expect(0, &words);
    ended
}

#[test]
fn a_partition_that_fails() {
    let ended = fails(
        |f| {
            f.partitions_failing.insert(2);
        },
        "1s",
        &["partition 2", "do not use id 1000 again"],
    );
    assert!(ended.said().contains("the next free one is 1001"), "{}", ended.said());
}

/// The store is missing or full: 202, and then 404 for ever.
#[test]
fn a_runtime_backup_that_never_appears() {
    fails(|f| f.runtime_never_appears = true, "1s", &["nothing has moved for 1s", "404"]);
}

/// The store died while the backup was saved: IN_PROGRESS for ever.
#[test]
fn a_runtime_backup_that_never_ends() {
    fails(|f| f.runtime_stuck = true, "1s", &["nothing has moved for 1s", "IN_PROGRESS"]);
}

#[test]
fn a_records_snapshot_that_is_partial() {
    fails(
        |f| {
            f.snapshots_partial.insert("camunda_zeebe_records".into());
        },
        "1s",
        &["PARTIAL"],
    );
}

/// Accepted and then gone.
#[test]
fn a_records_snapshot_that_vanishes() {
    fails(
        |f| {
            f.snapshots_vanishing.insert("camunda_zeebe_records".into());
        },
        "1m",
        &["it was gone"],
    );
}

#[test]
fn a_part_of_operate_that_is_partial() {
    fails(
        |f| {
            f.snapshots_partial.insert("operate_1000_8.6.0_part_2".into());
        },
        "1s",
        &["FAILED"],
    );
}

/// Single parts without any index are normal; all of them together are a backup of nothing.
#[test]
fn parts_of_operate_that_hold_nothing() {
    let empty = |f: &mut c8keep_twin::Faults| _ = f.snapshots_empty.insert("operate_1000".into());
    fails(empty, "1s", &["none of its snapshots holds"]);
}

/// Called complete without it.
#[test]
fn a_part_of_operate_that_is_left_out() {
    let left_out =
        |f: &mut c8keep_twin::Faults| _ = f.parts_left_out.insert("operate_1000_8.6.0_part_2".into());
    fails(left_out, "1s", &["part_2_of_6 is missing"]);
}

#[test]
fn a_partition_that_is_left_out() {
    let left_out = |f: &mut c8keep_twin::Faults| _ = f.partitions_left_out.insert(1);
    fails(left_out, "1s", &["it says COMPLETED, but partition 1 of 2 is missing"]);
}

/// The pod was restarted and its queue is lost.
#[test]
fn a_part_of_tasklist_that_never_comes() {
    let words = ["nothing has moved for 1s", "tasklist"];
    fails(
        |f| {
            f.parts_missing.insert("tasklist_1000_8.6.0_part_4".into());
        },
        "1s",
        &words,
    );
}

/// From 8.8 on the applications come inside the pause. One that hangs ends it: 8.9 calls it in progress for five minutes before
/// it says INCOMPLETE, Optimize says INCOMPLETE at once, and neither is waited for beyond the stall time.
#[test]
fn an_application_that_hangs_inside_the_pause() {
    for (part, says) in [
        ("webapps_1000_8.9.0_part_4", "3 of 7 parts, IN_PROGRESS"),
        ("optimize_1000_8.9.0_part_2", "1 of 2 parts, INCOMPLETE"),
    ] {
        let mut config = Theatre::quick("8.9.0");
        config.optimize = true;
        let theatre = Theatre::new(config);
        theatre.world().faults.parts_missing.insert(part.into());
        let words = ["nothing has moved for 4s", says, "do not use id 1000 again", "exporting runs again"];
        let ended = theatre.run(&["backup", "--id", "1000", "--stall", "4s"]).expect(1, &words);
        assert!(!theatre.is_paused(), "left paused:\n{}", ended.said());
        assert!(!theatre.has_been_asked("POST /actuator/backupRuntime"), "{:?}", theatre.asked());
        theatre.world().faults.parts_missing.clear();
        theatre.run(&["backup", "--id", "1001"]).expect(0, &["backup 1001 is complete"]);
    }
}

/// The exporter is configured and no index is there.
#[test]
fn no_records_at_all() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.world().faults.records_absent = true;
    theatre.run(&["backup"]).expect(10, &["no index matches zeebe-record*"]);
    assert!(!theatre.is_paused());
}

/// The records vanish between the census and the snapshot, which then holds nothing and says SUCCESS.
#[test]
fn a_records_snapshot_of_nothing() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.history_parts = vec![400];
    let theatre = Theatre::new(config);
    let child = theatre.start(&["backup", "--id", "1000"]);
    let counted =
        |theatre: &Theatre| theatre.asked().iter().any(|line| line.starts_with("POST /actuator/backups"));
    theatre.until("the history is asked for", counted);
    theatre.world().faults.records_absent = true;
    let ended = ended(child.wait_with_output().unwrap());
    let ended = ended.expect(1, &["zeebe-record", "do not use id 1000 again"]);
    assert!(!theatre.is_paused(), "left paused:\n{}", ended.said());
    theatre.run(&["list"]).expect(0, &["1000", "failed"]);
}

/// Optimize is up, and answers everything with 500: that is known before the pause.
#[test]
fn a_broken_optimize_ends_the_run_before_the_pause() {
    let mut config = Theatre::quick("8.8.0");
    config.optimize = true;
    let theatre = Theatre::new(config);
    theatre.world().faults.broken.insert(Host::Optimize);
    theatre.run(&["backup", "--id", "1000"]).expect(1, &["failed at check-id", &theatre.url(Host::Optimize)]);
    assert!(!theatre.has_been_asked("POST /actuator/exporting/pause"), "{:?}", theatre.asked());
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "optimize: {required: false}\n").unwrap();
    theatre.run(&["-c", file.to_str().unwrap(), "backup"]).expect(3, &["partial", "not in it optimize"]);
}

/// Operate looks at its queue, which the last part of an earlier backup has already left. Whoever begins then gets two of his
/// own parts at a time, which do not fit together (found by the simulator).
#[test]
fn the_last_part_of_an_earlier_backup_is_still_being_taken() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.history_parts = vec![100, 100, 100, 100, 100, 15_000];
    let theatre = Theatre::new(config);
    let ask = |request: &Request| {
        c8keep_twin::handle(&mut theatre.world(), Host::Operate, request, Timestamp::now()).answer().unwrap()
    };
    let body = serde_json::json!({"backupId": 500});
    assert_eq!(ask(&Request::new("POST", "/actuator/backups").json(&body)).status, 200);
    let parts =
        || ask(&Request::get("/actuator/backups/500")).value()["details"].as_array().map_or(0, Vec::len);
    theatre.until("the last part is being taken", |_| parts() == 6);
    let words =
        ["camunda_operate_500_8.6.0_part_6_of_6 of an earlier backup is still being taken", "is complete"];
    theatre.run(&["backup", "--id", "1000"]).expect(0, &words);
    assert!(theatre.world().restore(1000).whole());
}

/// Where the pause comes first, it is not exporting that waits for another backup's end.
#[test]
fn an_earlier_backup_is_waited_for_before_the_pause() {
    let mut config = Theatre::quick("8.8.0");
    config.durations.history_parts = vec![600_000];
    let theatre = Theatre::new(config);
    let body = serde_json::json!({"backupId": 500});
    let ask = |request: &Request| {
        c8keep_twin::handle(&mut theatre.world(), Host::Gateway, request, Timestamp::now()).answer().unwrap()
    };
    assert_eq!(ask(&Request::new("POST", "/actuator/backupHistory").json(&body)).status, 200);
    // A part without indices ends at once.
    let is_running = |theatre: &Theatre| {
        let current = Request::get("/_snapshot/camunda/_current");
        let told = c8keep_twin::handle(&mut theatre.world(), Host::Search, &current, Timestamp::now());
        let told = told.answer().unwrap().value().to_string();
        told.contains("camunda_webapps_500_") && !told.contains("\"indices\":[]")
    };
    theatre.until("a part is being taken", is_running);
    let mut child = theatre.start(&["backup", "--id", "1000"]);
    let looks =
        |theatre: &Theatre| theatre.asked_in_all().iter().filter(|line| line.contains("/_current")).count();
    theatre.until("it has looked again and again", |theatre| looks(theatre) >= 3);
    let paused = theatre.is_paused();
    child.kill().unwrap();
    let said = ended(child.wait_with_output().unwrap());
    assert!(is_running(&theatre), "the other backup has ended: {}", said.said());
    assert!(!paused, "exporting is paused while the other backup goes on: {}", said.said());
}
