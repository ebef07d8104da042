//! `doctor`: every prerequisite, one line each.

use c8keep_twin::{Config, Host};

use crate::theatre::Theatre;

fn theatre() -> Theatre {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let broker = theatre.url(Host::Broker(0));
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, format!("brokers: [\"{broker}\"]\nrest: \"{}\"\n", theatre.url(Host::Rest)))
        .unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre
}

#[test]
fn a_healthy_installation_wants_its_first_backup_and_then_nothing() {
    let theatre = theatre();
    let journal = theatre.home().join(".local/state/c8keep/journal.db");
    let to_be_made = format!("ok    journal       {}: will be made", journal.display());
    theatre.run(&["doctor"]).expect(0, &["ok    vault", &to_be_made, "WARN  last backup", "2 to look into"]);
    assert!(!journal.parent().unwrap().exists(), "the doctor leaves no trace");
    theatre.run(&["backup"]).expect(0, &[]);
    let ended = theatre.run(&["doctor"]);
    for subject in [
        "brokers",
        "leaders",
        "exporting",
        "operate",
        "tasklist",
        "backup store",
        "repository",
        "indices",
        "ids",
        "disk",
        "clock",
        "journal",
        "runs",
    ] {
        assert!(ended.said().contains(&format!("ok    {subject}")), "{subject}: {}", ended.said());
    }
    ended.expect(
        0,
        &["ok    last backup", "witness proven", "ok    hold budget", "WARN  secrecy", "1 to look into"],
    );
}

#[test]
fn it_says_what_is_wrong_and_what_to_do() {
    let theatre = theatre();
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.world().faults.disk_free = Some(6_000_000_000);
    theatre.world().faults.clocks_ahead = 90;
    let ended = theatre.run(&["doctor"]);
    ended.expect(
        10,
        &[
            "BAD   exporting",
            "resume-exporting --yes",
            "WARN  disk",
            "6.0 GB free, and it stops below 2.1 GB",
            "WARN  clock",
            "same time server",
            "a backup cannot be taken: 1 to mend",
        ],
    );
    assert!(theatre.is_paused(), "it lets everything as it is");
}

/// Found out by day: without a journal no backup begins, with the same exit code. Each fails for every user, root included.
#[test]
fn a_journal_that_could_not_be_written_is_told() {
    let mut theatre = theatre();
    let state = theatre.home().join("state");
    std::fs::write(&state, "").unwrap();
    let file = state.to_str().unwrap().to_owned();
    for (place, words) in [
        (file.as_str(), ["Not a directory", "a file lies where a folder should be"]),
        ("/proc/c8keep-state", ["/proc", "journal"]),
    ] {
        theatre.set("XDG_STATE_HOME", place);
        theatre.run(&["doctor"]).expect(10, &["BAD   journal", "1 to mend"]).expect(10, &words);
        theatre.run(&["backup"]).expect(10, &["opening the journal"]);
    }
}

/// What a broker has written so far says how long its disk lasts; without that, fixed room does.
#[test]
fn a_disk_is_judged_by_what_the_log_grows() {
    let mut config = Theatre::quick("8.6.0");
    config.warm_up_ms = 600_000;
    let theatre = Theatre::new(config);
    theatre.run(&["doctor"]).expect(0, &["ok    disk", "its log grows by", "room for a pause of"]);
    // The broker's limit and half of it, and a little more than nothing.
    theatre.world().faults.disk_free = Some(3_221_300_000);
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "limits: {hold_budget: 30m}\n").unwrap();
    theatre
        .run(&["doctor", "-c", file.to_str().unwrap()])
        .expect(0, &["WARN  disk", "busy hours write more; a pause may take 30m", "`limits.hold_budget`"]);
}

#[test]
fn a_disk_without_room_for_a_pause_is_no_place_for_one() {
    let theatre = theatre();
    theatre.world().faults.disk_free = Some(3_000_000_000);
    theatre.run(&["doctor"]).expect(10, &["BAD   disk", "give the broker more space"]);
    theatre.run(&["backup"]).expect(10, &["3.0 GB free", "stops below 2.1 GB"]);
    assert!(!theatre.is_paused());
}

/// One port-forward reaches one broker: enough for a backup, and no reason to refuse one.
#[test]
fn a_single_port_is_enough() {
    let mut config: Config = Theatre::quick("8.8.0");
    config.brokers = 3;
    config.partitions = 3;
    let theatre = Theatre::new(config);
    let ended = theatre.run(&["doctor"]);
    let brokers: Vec<&str> = ended.stdout.lines().filter(|line| line.contains("brokers  ")).collect();
    assert!(brokers.len() == 1 && brokers[0].contains("1 of 3 are reached from here"), "{}", ended.said());
    assert!(!ended.said().contains("topology is out of reach"), "one line says it: {}", ended.said());
    ended.expect(
        0,
        &["?     brokers", "set `rest`", "WARN  leaders", "(`brokers`)", "ok    web apps", "ok    optimize"],
    );
    theatre.run(&["backup"]).expect(0, &[]);
}

/// One cause, one line; what could not be judged because of it is named, and what does not depend on it is judged.
#[test]
fn one_cause_is_told_once() {
    let mut theatre = theatre();
    theatre.world().faults.unreachable.insert(Host::Search);
    let search = theatre.url(Host::Search);
    let ended = theatre.run(&["doctor"]);
    assert_eq!(ended.stdout.matches(&format!("{search}/:")).count(), 1, "{}", ended.said());
    assert_eq!(ended.stdout.matches("not judged: see search").count(), 3, "{}", ended.said());
    let words = [
        "ok    installation",
        "BAD   search",
        "ok    exporting",
        "ok    vault",
        "?     indices       not judged",
    ];
    let others = [
        "ok    brokers",
        "ok    leaders",
        "ok    backup store",
        "ok    operate",
        "ok    disk",
        "ok    clock",
    ];
    ended.expect(13, &words).expect(13, &others).expect(13, &["a backup cannot be taken: 1 to mend"]);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["doctor"]).expect(13, &["BAD   exporting", "2 to mend"]);
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "http://127.0.0.1:1");
    theatre.unset("C8KEEP_CONFIG");
    let ended = theatre.run(&["doctor"]);
    assert_eq!(ended.stdout.matches("refused").count(), 1, "{}", ended.said());
    assert_eq!(ended.stdout.matches("not judged: see installation").count(), 10, "{}", ended.said());
    ended.expect(13, &["?     exporting     not judged: see installation"]);
}

/// Whatever is wrong with one application, it is one line, and all else is judged as if nothing were.
#[test]
fn a_broken_application_hides_nothing() {
    // An answer that never comes ends with the test.
    let (end, never) = std::sync::mpsc::channel::<()>();
    let never = std::sync::Mutex::new(never);
    let hangs = move |_: &str| {
        let _ = never.lock().unwrap().recv();
        Some((200, String::new()))
    };
    let refuses = |status: u16| move |_: &str| Some((status, "{\"message\":\"no\"}".to_owned()));
    for (what, code, words, judge) in [
        ("500", 1, "500", Box::new(refuses(500)) as crate::guard::Judge),
        ("401", 12, "`access.operate`", Box::new(refuses(401))),
        ("elsewhere", 13, "OPERATE_MANAGEMENT_API", Box::new(refuses(400))),
        ("nobody", 13, "OPERATE_MANAGEMENT_API", Box::new(refuses(503))),
        ("hangs", 13, "no whole answer within 10s", Box::new(hangs)),
    ] {
        let mut theatre = theatre();
        let guard = crate::guard::Guard::before(&theatre.url(Host::Operate), judge);
        theatre.set("OPERATE_MANAGEMENT_API", &guard.url());
        let ended =
            theatre.run(&["doctor"]).expect(code, &["BAD   operate", words, "cannot be taken: 1 to mend"]);
        for subject in [
            "installation",
            "brokers",
            "leaders",
            "exporting",
            "backup store",
            "repository",
            "indices",
            "tasklist",
            "ids",
            "vault",
            "disk",
            "clock",
            "journal",
            "runs",
        ] {
            assert!(
                ended.stdout.contains(&format!("ok    {subject}")),
                "{what}: {subject}: {}",
                ended.said()
            );
        }
        assert!(!ended.stdout.contains("not judged"), "{what}: {}", ended.said());
    }
    drop(end);
}

/// A search server that wants another login is there, and so is all that does not depend on it.
#[test]
fn a_search_server_that_refuses() {
    let mut theatre = theatre();
    let refuses = |_: &str| Some((401, "{\"error\":\"security_exception\"}".to_owned()));
    let guard = crate::guard::Guard::before(&theatre.url(Host::Search), refuses);
    theatre.set("ELASTIC_ENDPOINT", &guard.url());
    let ended = theatre.run(&["doctor"]).expect(12, &["BAD   search", "401", "`access.search`", "1 to mend"]);
    assert_eq!(ended.stdout.matches("not judged: see search").count(), 3, "{}", ended.said());
    let others = [
        "ok    operate",
        "ok    tasklist",
        "ok    brokers",
        "ok    backup store",
        "ok    exporting",
        "ok    vault",
    ];
    ended.expect(12, &others);
}

/// A secret that is not there concerns the server that wants it.
#[test]
fn a_secret_that_is_missing_is_told_once() {
    let mut theatre = theatre();
    let file = theatre.home().join("other.yaml");
    std::fs::write(&file, "access: {operate: {bearer: {env: NOT_SET_AT_ALL}}}\n").unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    let ended =
        theatre.run(&["doctor"]).expect(2, &["BAD   access", "NOT_SET_AT_ALL is not set", "1 to mend"]);
    ended.expect(2, &["?     operate       not judged: see access", "ok    repository", "ok    tasklist"]);
}

/// An application without which a backup may do.
#[test]
fn a_broken_application_that_is_not_required() {
    let mut theatre = theatre();
    let file = theatre.home().join("other.yaml");
    std::fs::write(&file, "tasklist: {required: false}\n").unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    for broken in [true, false] {
        theatre.world().faults = c8keep_twin::Faults::default();
        if broken {
            theatre.world().faults.broken.insert(Host::Tasklist);
        } else {
            theatre.world().faults.unreachable.insert(Host::Tasklist);
        }
        theatre
            .run(&["doctor"])
            .expect(0, &["WARN  tasklist", "a backup would be partial", "ok    repository"]);
    }
}

/// A broker that is down is one line, whoever else misses it.
#[test]
fn a_broker_that_is_down_is_told_once() {
    let mut config: Config = Theatre::quick("8.8.0");
    config.optimize = false;
    let mut theatre = Theatre::new(config);
    let brokers: Vec<String> =
        (0..3).map(|node| format!("\"{}\"", theatre.url(Host::Broker(node)))).collect();
    let file = theatre.home().join("c8keep.yaml");
    let text = format!("brokers: [{}]\nrest: \"{}\"\n", brokers.join(", "), theatre.url(Host::Rest));
    std::fs::write(&file, text).unwrap();
    theatre.set("C8KEEP_CONFIG", file.to_str().unwrap());
    theatre.run(&["doctor"]).expect(0, &["ok    brokers", "ok    leaders"]);
    theatre.world().faults.brokers_down.insert(2);
    let ended = theatre
        .run(&["doctor"])
        .expect(10, &["missing: broker 2", "?     leaders       not judged: see brokers"]);
    assert!(!ended.stdout.contains(&theatre.url(Host::Broker(2))), "{}", ended.said());
}

/// The management ports of 8.6.0 show passwords; the doctor shows their names, and nobody else says it each night.
#[test]
fn a_port_that_shows_passwords() {
    let theatre = theatre();
    let ended = theatre.run(&["doctor"]).expect(0, &["camunda.operate.password", "keep these ports private"]);
    assert!(!ended.said().contains("demo"), "{}", ended.said());
    theatre.run(&["backup"]).expect(0, &[]);
    assert!(!theatre.run(&["backup"]).expect(0, &[]).said().contains("password"));
}

#[test]
fn a_repository_of_shallow_snapshots() {
    let mut config: Config = Theatre::quick("8.6.0");
    config.search = c8keep_twin::Product::OpenSearch;
    let theatre = Theatre::new(config);
    let settings = serde_json::json!({"location": "/x", "remote_store_index_shallow_copy": "true"});
    let mut register = c8keep_twin::Request::new("PUT", "/_snapshot/camunda");
    register.body = serde_json::json!({"type": "fs", "settings": settings}).to_string().into();
    c8keep_twin::handle(&mut theatre.world(), Host::Search, &register, jiff::Timestamp::now());
    theatre.run(&["doctor"]).expect(0, &["WARN  repository", "shallow snapshots"]);
}

#[test]
fn a_login_that_may_not_do_enough() {
    let mut theatre = theatre();
    let answer = |grants: bool| {
        move |request: &str| {
            let asked = request.starts_with("POST /_security/user/_has_privileges");
            let cluster =
                serde_json::json!({"create_snapshot": grants, "cluster:admin/snapshot/create": false});
            let indices = serde_json::json!({"zeebe-record*": {"monitor": true}});
            let told = serde_json::json!({"username": "elastic", "cluster": cluster, "index": indices});
            asked.then(|| (200, told.to_string()))
        }
    };
    let guard = crate::guard::Guard::before(&theatre.url(Host::Search), answer(false));
    theatre.run(&["doctor"]).expect(0, &["ok    repository"]);
    theatre.set("ELASTIC_ENDPOINT", &guard.url().replace("://", "://elastic:canary@"));
    let ended = theatre
        .run(&["doctor"])
        .expect(12, &["BAD   rights", "the login lacks create_snapshot", "docs/access.md"]);
    assert!(!ended.said().contains("canary"), "{}", ended.said());
    // What the doctor says is what a backup does, and it does it before the pause: reading is no proof of writing.
    let words = ["the login lacks create_snapshot", "docs/access.md"];
    theatre.run(&["plan"]).expect(12, &words);
    theatre.run(&["backup"]).expect(12, &words);
    assert!(theatre.asked().iter().all(|asked| !asked.contains("exporting/pause")), "{:?}", theatre.asked());
    guard.replace(answer(true));
    theatre.run(&["doctor"]).expect(0, &["ok    rights"]);
    theatre.run(&["backup"]).expect(0, &[]);
}

/// To such a login the server gives lists without the indices that it may not see.
#[test]
fn a_login_that_does_not_see_the_records() {
    let mut theatre = theatre();
    let guard = crate::guard::Guard::before(&theatre.url(Host::Search), |request| {
        let told = serde_json::json!({
            "cluster": {"create_snapshot": true}, "index": {"zeebe-record*": {"monitor": false}},
        });
        match request.split(' ').nth(1)? {
            path if path.starts_with("/_cat/indices/zeebe-record") => Some((200, "[]".into())),
            "/_security/user/_has_privileges" => Some((200, told.to_string())),
            _ => None,
        }
    });
    theatre.set("ELASTIC_ENDPOINT", &guard.url().replace("://", "://elastic:canary@"));
    let ended = theatre.run(&["backup"]).expect(12, &["the login lacks monitor of zeebe-record*"]);
    assert!(!ended.said().contains("no index matches"), "{}", ended.said());
    assert!(!theatre.is_paused());
}

/// A component that differs stands in the way of a backup, and not in that of the doctor.
#[test]
fn components_that_differ() {
    let mut config: Config = Theatre::quick("8.6.0");
    config.repositories.tasklist = "other".into();
    let theatre = Theatre::new(config);
    theatre
        .run(&["doctor"])
        .expect(10, &["BAD   repository", "says other", "ok    tasklist", "ok    indices", "1 to mend"]);
}

#[test]
fn a_wrong_answer_does_not_hide_the_others() {
    let mut config: Config = Theatre::quick("8.6.0");
    config.store = None;
    let theatre = Theatre::new(config);
    let doctor = theatre.run(&["doctor", "-o", "json"]).json();
    assert_eq!((&doctor["can_be_taken"], &doctor["exit_code"]), (&false.into(), &10.into()), "{doctor}");
    let verdict = |subject: &str| {
        let check =
            doctor["checks"].as_array().unwrap().iter().find(|check| check["subject"] == subject).unwrap();
        check["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("backup store"), "bad");
    assert_eq!(verdict("ids"), "cannot-tell", "for the same reason");
    assert_eq!(verdict("repository"), "ok");
    assert_eq!(verdict("vault"), "ok");
}

/// Both say beforehand whether the next pause may be too long for its budget.
#[test]
fn the_budget_is_compared_with_the_last_pauses() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 3_000;
    let theatre = Theatre::new(config);
    assert!(!theatre.run(&["plan"]).expect(0, &[]).said().contains("hold budget"));
    theatre.run(&["backup"]).expect(0, &["is complete"]);
    theatre
        .run(&["plan"])
        .expect(0, &["ok   hold budget", "2h 00m at most; the longest of the last pauses took"]);
    theatre
        .run(&["plan", "--hold-budget", "4s"])
        .expect(0, &["WARN hold budget", "raise `limits.hold_budget`"]);
    let told = theatre.run(&["plan", "--hold-budget", "4s", "-o", "json"]).expect(0, &[]).json();
    assert_eq!(told["hold_budget"]["is_enough"], false, "{told}");
}

/// A name and a journal that two clusters share: the age of one's backup says nothing of the other. And the budget is that of
/// the next backup, not one that somebody has tried.
#[test]
fn the_last_backup_may_be_of_another_cluster() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.run(&["backup", "--hold-budget", "30s"]).expect(0, &[]);
    theatre.run(&["doctor"]).expect(0, &["ok    last backup", "ok    hold budget   2h"]);
    let mut config = Theatre::quick("8.6.0");
    config.seed += 1;
    let mut other = Theatre::new(config);
    other.set("HOME", theatre.home().to_str().unwrap());
    let words = ["WARN  last backup", "of another cluster than the one that answers"];
    other.run(&["doctor"]).expect(0, &words);
}
