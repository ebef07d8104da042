//! Wrong input and refusing servers: each a message with the endpoint, the answer and the next step, the right exit code, and
//! exporting in the state in which it was found.

use c8keep_twin::{Config, Host};

use crate::theatre::Theatre;

fn theatre() -> Theatre {
    Theatre::new(Theatre::quick("8.6.0"))
}

fn changed(change: impl Fn(&mut Config)) -> Theatre {
    let mut config = Theatre::quick("8.6.0");
    change(&mut config);
    Theatre::new(config)
}

#[test]
fn an_unknown_key_in_the_file() {
    let theatre = theatre();
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "name: prod\nmanagment: http://localhost:9600\n").unwrap();
    theatre
        .run(&["plan", "-c", file.to_str().unwrap()])
        .expect(2, &["managment", "\"management\"?", "c8keep.yaml"]);
}

/// Each names the key, and none the library that reads the file.
#[test]
fn values_that_cannot_be_meant() {
    let theatre = theatre();
    let file = theatre.home().join("c8keep.yaml");
    for (text, words) in [
        ("limits: {stall: 0s}\n", "limits.stall"),
        ("rest: 8080\n", "http://localhost:8080"),
        ("name: a\nname: b\n", "the key name is there twice"),
    ] {
        std::fs::write(&file, text).unwrap();
        let ended = theatre.run(&["plan", "-c", file.to_str().unwrap()]).expect(2, &[words]);
        assert!(!ended.said().contains("Options"), "{}", ended.said());
    }
}

/// A plan makes the checks with which a backup would begin, and a dry run is the same.
#[test]
fn a_plan_says_what_a_backup_would_stumble_over() {
    let theatre = changed(|config| config.store = None);
    let ended = theatre.run(&["plan"]);
    ended.expect(10, &["BAD  check-store", "ok   check-cluster", "ZEEBE_BROKER_DATA_BACKUP_STORE"]);
    theatre.run(&["backup", "--dry-run"]).expect(10, &["BAD  check-store"]);
    assert!(!theatre.home().join(".local/share").exists(), "a plan left a trace");
    let plan = theatre.run(&["plan", "-o", "json"]).json();
    let checks = plan["checks"].as_array().unwrap();
    let bad: Vec<_> = checks.iter().filter(|c| c["ok"] == false).map(|c| &c["step"]).collect();
    assert_eq!(bad, ["check-store", "check-id"], "without a store the brokers name no ids either");
}

#[test]
fn no_endpoint_at_all() {
    let mut theatre = theatre();
    theatre.unset("ORCHESTRATION_CLUSTER_MANAGEMENT_API");
    theatre.run(&["backup"]).expect(2, &["ORCHESTRATION_CLUSTER_MANAGEMENT_API"]);
}

#[test]
fn the_wrong_port_serves_a_page() {
    let mut theatre = theatre();
    theatre.world().faults.html.insert(Host::Gateway);
    theatre.run(&["backup"]).expect(13, &["HTML", "9600"]);
    theatre.world().faults.html.clear();
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &theatre.url(Host::Search));
    let ended = theatre.run(&["backup"]);
    assert_ne!(ended.code, Some(0), "{}", ended.said());
    assert!(!theatre.is_paused());
}

#[test]
fn a_refused_connection() {
    let mut theatre = theatre();
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "http://127.0.0.1:1");
    theatre.run(&["backup"]).expect(13, &["127.0.0.1:1", "refused"]);
}

#[test]
fn a_repository_that_is_not_registered() {
    let theatre = changed(|config| config.repositories.registered.clear());
    let words = [
        "Elasticsearch has no snapshot repository named camunda",
        "curl -X PUT",
        "ELASTIC_SNAPSHOT_REPOSITORY",
    ];
    for verb in ["backup", "plan"] {
        let ended = theatre.run(&[verb]).expect(10, &words);
        assert!(!ended.said().contains("verbose"), "no listing's long address: {}", ended.said());
    }
    assert!(!theatre.is_paused());
}

#[test]
fn a_repository_that_differs_between_components() {
    let theatre = changed(|config| {
        config.repositories.tasklist = "other".into();
        config.repositories.registered.push("other".into());
    });
    theatre.run(&["backup"]).expect(10, &["other", "camunda"]);
    assert!(!theatre.is_paused());
}

#[test]
fn a_repository_that_is_read_only() {
    let theatre = theatre();
    let body = serde_json::json!({"type": "fs", "settings": {"location": "camunda", "readonly": true}});
    let request = c8keep_twin::Request::new("PUT", "/_snapshot/camunda").json(&body);
    let answer = c8keep_twin::handle(&mut theatre.world(), Host::Search, &request, jiff::Timestamp::now());
    assert_eq!(answer.answer().unwrap().status, 200);
    theatre.run(&["backup"]).expect(10, &["camunda", "read-only"]);
    assert!(!theatre.is_paused());
}

/// What c8keep does not know it does not touch.
#[test]
fn an_unknown_version_of_camunda() {
    for version in ["8.4.0", "8.11.0", "9.0.0"] {
        let theatre = changed(|config| config.version = version.into());
        theatre.run(&["backup"]).expect(10, &[version, "8.5"]);
        assert!(theatre.asked().iter().all(|line| !line.contains("/exporting/")), "{:?}", theatre.asked());
    }
}

#[test]
fn no_backup_store() {
    let theatre = changed(|config| config.store = None);
    theatre.run(&["backup"]).expect(10, &["ZEEBE_BROKER_DATA_BACKUP_STORE"]);
    assert!(!theatre.is_paused());
}

#[test]
fn an_id_that_is_not_above_the_last() {
    let theatre = theatre();
    theatre.run(&["backup", "--id", "1000"]).expect(0, &[]);
    for id in ["1000", "999"] {
        theatre.run(&["backup", "--id", id]).expect(10, &["1001"]);
    }
    theatre.run(&["backup", "--id", "0"]).expect(2, &["not a backup id"]);
    assert!(!theatre.is_paused());
}

/// A pause that is not ours is never touched.
#[test]
fn exporting_is_already_paused_by_somebody_else() {
    let theatre = theatre();
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["backup"]).expect(10, &["already paused", "resume-exporting --yes"]);
    assert!(theatre.is_paused(), "found paused, left paused");
    theatre.run(&["status"]).expect(20, &["PAUSED"]);
    theatre.run(&["resume-exporting"]).expect(20, &["did not make this pause"]);
    assert!(theatre.is_paused());
    theatre.run(&["resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
    theatre.run(&["resume-exporting"]).expect(0, &["nothing to do"]);
}

#[test]
fn no_record_index() {
    let theatre = changed(|config| config.record_prefix = "somewhere-else".into());
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "records: {prefix: zeebe-record}\n").unwrap();
    let with_file = ["-c", file.to_str().unwrap(), "backup"];
    theatre.run(&with_file).expect(10, &["zeebe-record*", "records"]);
    assert!(!theatre.is_paused());
    theatre.run(&["backup"]).expect(0, &["somewhere-else"]);
}

/// The brokers do not know Optimize: its indices without its address are no backup of it.
#[test]
fn optimize_without_an_address() {
    let mut theatre = changed(|config| config.optimize = true);
    theatre.unset("OPTIMIZE_MANAGEMENT_API");
    theatre.run(&["backup"]).expect(10, &["OPTIMIZE_MANAGEMENT_API"]);
    assert!(!theatre.is_paused());
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "optimize: {enabled: false}\n").unwrap();
    theatre.run(&["-c", file.to_str().unwrap(), "backup"]).expect(0, &["not in it optimize"]);
}

#[test]
fn an_unknown_backup() {
    let theatre = theatre();
    theatre.run(&["show", "17"]).expect(2, &["no such backup", "c8keep list"]);
    theatre.run(&["show", "latest~x"]).expect(2, &["latest"]);
    theatre.run(&["list"]).expect(0, &["no backups yet"]);
}
