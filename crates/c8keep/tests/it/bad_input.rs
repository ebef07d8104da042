//! Wrong input and refusing servers: each a message with the endpoint, the answer and the next step, the right exit code, and
//! exporting in the state in which it was found.

use std::os::unix::ffi::OsStrExt;

use c8keep_twin::{Config, Host};

use crate::theatre::{Ended, Theatre};

const PAUSE: &str = "POST /actuator/exporting/pause";

/// What holds of every refusal: the code, what happened and where, what to do next, and exporting as it was found, which nobody
/// has tried to change.
#[track_caller]
fn refused(theatre: &Theatre, arguments: &[&str], code: i32, words: &[&str]) -> Ended {
    let ended = theatre.run(arguments).expect(code, words);
    let said = ended.said();
    for part in ["failed: ", "  at   ", "  said ", "  next "] {
        assert!(said.lines().any(|line| line.starts_with(part)), "{part:?} is not in:\n{said}");
    }
    assert!(!theatre.is_paused() && !theatre.has_been_asked(PAUSE), "{said}");
    ended
}

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
    ended.expect(10, &["BAD  check-store", "?    check-cluster", "ZEEBE_BROKER_DATA_BACKUP_STORE"]);
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
    let words = ["tasklist.backup.repositoryName", "says other", "says camunda", "configure every component"];
    refused(&theatre, &["backup"], 10, &words);
}

#[test]
fn a_repository_that_is_read_only() {
    let theatre = theatre();
    let body = serde_json::json!({"type": "fs", "settings": {"location": "camunda", "readonly": true}});
    let request = c8keep_twin::Request::new("PUT", "/_snapshot/camunda").json(&body);
    let answer = c8keep_twin::handle(&mut theatre.world(), Host::Search, &request, jiff::Timestamp::now());
    assert_eq!(answer.answer().unwrap().status, 200);
    refused(&theatre, &["backup"], 10, &["/_snapshot/camunda", "read-only"]);
}

/// What c8keep does not know it does not touch.
#[test]
fn an_unknown_version_of_camunda() {
    for version in ["8.4.0", "8.11.0", "9.0.0"] {
        let theatre = changed(|config| config.version = version.into());
        refused(&theatre, &["backup"], 10, &[version, "8.5", "/actuator", "upgrade c8keep"]);
        assert!(theatre.asked().iter().all(|line| !line.contains("/exporting/")), "{:?}", theatre.asked());
    }
}

/// Nothing is begun without a journal, and whether a pause was left the brokers know as well.
#[test]
fn a_journal_that_cannot_be_opened() {
    let theatre = theatre();
    let folder = theatre.journal();
    std::fs::create_dir_all(&folder).unwrap();
    refused(&theatre, &["backup"], 10, &["journal"]);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["backup"]).expect(20, &["exporting is PAUSED", "`c8keep resume-exporting`"]);
    assert!(theatre.is_paused());
}

#[test]
fn no_backup_store() {
    let theatre = changed(|config| config.store = None);
    refused(&theatre, &["backup"], 10, &["/actuator/backups", "ZEEBE_BROKER_DATA_BACKUP_STORE"]);
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
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
    let words =
        [theatre.url(Host::Search), "no index matches zeebe-record*".into(), "set records.prefix".into()];
    refused(&theatre, &with_file, 10, &words.each_ref().map(String::as_str));
    theatre.run(&["backup"]).expect(0, &["somewhere-else"]);
}

/// The brokers do not know Optimize: its indices without its address are no backup of it.
#[test]
fn optimize_without_an_address() {
    let mut theatre = changed(|config| config.optimize = true);
    theatre.unset("OPTIMIZE_MANAGEMENT_API");
    refused(&theatre, &["backup"], 10, &["indices of optimize exist", "OPTIMIZE_MANAGEMENT_API"]);
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, "optimize: {enabled: false}\n").unwrap();
    theatre.run(&["-c", file.to_str().unwrap(), "backup"]).expect(0, &["not in it optimize"]);
}

/// It has an address, and nobody is there.
#[test]
fn optimize_that_is_down() {
    let theatre = changed(|config| config.optimize = true);
    theatre.world().faults.unreachable.insert(Host::Optimize);
    let address = theatre.url(Host::Optimize);
    refused(
        &theatre,
        &["backup"],
        13,
        &[&address, "optimize (OPTIMIZE_MANAGEMENT_API or `optimize.address`)"],
    );
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
}

#[test]
fn wrong_credentials_of_the_search_server() {
    let mut theatre = theatre();
    let guard = crate::guard::Guard::before(
        &theatre.url(Host::Search),
        crate::guard::wants("authorization: Basic ZWxhc3RpYzpyaWdodA=="),
    );
    for (login, words) in
        [("", "it wants credentials and got none"), ("elastic:wrong-one@", "user elastic was not accepted")]
    {
        theatre.set("ELASTIC_ENDPOINT", &guard.url().replace("://", &format!("://{login}")));
        let ended = refused(&theatre, &["backup"], 12, &[&guard.url(), "401", words, "`access.search`"]);
        assert!(!ended.said().contains("wrong-one"), "{}", ended.said());
    }
}

#[test]
fn an_unknown_backup() {
    let theatre = theatre();
    theatre.run(&["show", "17"]).expect(2, &["no such backup", "c8keep list"]);
    theatre.run(&["show", "latest~x"]).expect(2, &["latest"]);
    theatre.run(&["list"]).expect(0, &["no backups yet"]);
}

/// A variable that is no text is named; one that is set to nothing is not set.
#[test]
fn variables_that_cannot_be_meant() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let no_text = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    for name in
        ["BACKUP_ID", "C8KEEP_INSTALLATION", "ELASTIC_ENDPOINT", "CAMUNDA_RELEASE_NAME", "XDG_DATA_HOME"]
    {
        for verb in ["backup", "plan", "init"] {
            let ended = crate::theatre::ended(theatre.command(&[verb]).env(name, no_text).output().unwrap());
            ended.expect(2, &[&format!("the variable {name}"), "not UTF-8", "unset it"]);
        }
    }
    for name in ["C8KEEP_CONFIG", "C8KEEP_INSTALLATION"] {
        for empty in ["", " "] {
            theatre.set(name, empty);
            theatre.run(&["plan"]).expect(0, &["check-repository"]);
        }
    }
    theatre.run(&["plan", "-c", "/nope"]).expect(2, &["/nope", "--config (-c) names it"]);
    theatre.set("C8KEEP_CONFIG", "/nope");
    theatre.run(&["plan"]).expect(2, &["/nope", "the variable C8KEEP_CONFIG names it"]);
}

/// The port of the web is rarely the one that is meant.
#[test]
fn an_address_without_a_port() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    // Nothing listens at port 80 of this address of the machine itself.
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "http://127.7.6.5");
    theatre.run(&["plan"]).expect(13, &["port 80 was tried", "management port is 9600"]);
}

#[test]
fn a_credential_for_nobody() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    for (option, text) in
        [("--credential", "foo"), ("--credential", "nobody=bearer:env:X"), ("--ca-file", "/ca.pem")]
    {
        let words = ["it is SERVER=", "management, brokers, rest, operate, tasklist, optimize, search"];
        theatre.run(&["init", "--stdout", option, text]).expect(2, &words);
    }
}
