//! The traps of Camunda's management APIs, one named test each, fed with what real servers answered (8.6.0) or, where
//! none can be had (8.8, Optimize), with the examples of the documents.

mod client;
mod documents;
mod told;

use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::fault::{Effect, Fault, FaultKind, Retry};
use c8keep_core::verdict::{self, RuntimeStatus, Standing};
use serde_json::{Value, json};

use super::fault::Call;
use super::scene::fixture;
use super::wire::{self, Answer};

const V86: &str = "camunda-8.6.0";

fn id(number: u64) -> BackupId {
    BackupId::new(number).unwrap()
}

fn call() -> Call {
    Call::new("asking", "POST http://camunda:9600/actuator/x")
}

/// Runs a parser over a recorded answer.
fn recorded<T>(name: &str, parse: impl Fn(&Answer<'_>) -> T) -> T {
    let fixture = fixture(&format!("{V86}/{name}"));
    answered(fixture.status, &fixture.body, parse)
}

fn answered<T>(status: u16, body: &Value, parse: impl Fn(&Answer<'_>) -> T) -> T {
    let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    parse(&Answer { status, body: text.as_bytes() })
}

fn exporting(answer: &Answer<'_>) -> Result<(), Fault> {
    wire::exporting(&call(), answer)
}

fn marks(fault: &Fault) -> (FaultKind, Retry, Effect) {
    (fault.kind, fault.retry, fault.effect)
}

const PERHAPS_PAUSED: (FaultKind, Retry, Effect) = (FaultKind::Refused, Retry::Again, Effect::Unknown);

#[test]
fn exporting_answers_http_200_always_and_is_judged_by_its_body() {
    for name in [
        "zeebe/pause-soft",
        "zeebe/pause-soft-again",
        "zeebe/resume",
        "zeebe/resume-when-not-paused",
        "three-brokers/pause-all-up",
        "three-brokers/resume-back",
    ] {
        assert_eq!(recorded(name, exporting), Ok(()), "{name}");
    }
    assert_eq!(answered(204, &json!(""), exporting), Ok(()), "8.4, and 8.10 over REST");
}

#[test]
fn a_failed_pause_is_perhaps_half_a_pause() {
    for name in ["three-brokers/pause-one-down-at-once", "three-brokers/pause-one-down"] {
        let fault = recorded(name, exporting).unwrap_err();
        assert_eq!(marks(&fault), PERHAPS_PAUSED, "{name}");
        assert!(
            fault.hint.contains("a broker is missing") && fault.hint.contains("may be paused"),
            "{fault:?}"
        );
    }
    let fault = recorded("three-brokers/pause-one-down", exporting).unwrap_err();
    assert!(fault.answer.contains("Expected 3 members of partition 1 but found 2"), "{fault}");
}

#[test]
fn resume_is_refused_as_a_whole_while_a_broker_is_gone() {
    let fault = recorded("three-brokers/resume-one-down", exporting).unwrap_err();
    assert_eq!(marks(&fault), PERHAPS_PAUSED);
}

#[test]
fn an_exception_is_told_by_its_message_alone() {
    for name in ["three-brokers/pause-one-down", "three-brokers/pause-one-down-at-once"] {
        let fault = recorded(name, exporting).unwrap_err();
        assert!(!fault.answer.contains("stackTrace") && !fault.answer.contains(".java"), "{fault}");
        assert!(fault.answer.lines().count() == 1 && fault.answer.chars().count() < 350, "{fault}");
    }
    let fault = recorded("zeebe/exporting-bad-op", exporting).unwrap_err();
    assert!(fault.answer.contains("status 500") && fault.answer.contains("no message"), "{fault}");
    let long = json!({"status": 500, "body": "x\n".repeat(1000)});
    let fault = answered(200, &long, exporting).unwrap_err();
    assert!(
        fault.answer.contains("x x") && fault.answer.ends_with('…'),
        "8.10 answers a plain text: {fault}"
    );
}

#[test]
fn exporting_is_never_taken_for_done_without_a_204() {
    for (status, body) in [
        (200, json!({"status": 200, "body": null})),
        (200, json!({"body": null})),
        (200, json!("")),
        (200, json!({"status": "204"})),
        (500, json!({"status": 204})),
        (502, json!("<html>bad gateway</html>")),
        (200, json!("<!DOCTYPE html><title>Operate</title>")),
        (302, json!("")),
        (408, json!("")),
    ] {
        let fault = answered(status, &body, exporting).unwrap_err();
        assert_eq!(fault.effect, Effect::Unknown, "{status} {body}");
    }
    for status in [401, 403, 404, 405] {
        let fault = answered(status, &json!({"error": "no"}), exporting).unwrap_err();
        assert_eq!(
            (fault.retry, fault.effect),
            (Retry::Never, Effect::None),
            "{status} is said before anything"
        );
    }
}

fn started(app: HistoryApp) -> impl Fn(&Answer<'_>) -> Result<Vec<String>, Fault> {
    move |answer| wire::history_started(&call(), app, answer)
}

#[test]
fn the_announced_names_are_taken_as_they_are() {
    let names = recorded("operate/create", started(HistoryApp::Operate)).unwrap();
    assert_eq!((names.len(), names[5].as_str()), (6, "camunda_operate_100_8.6.0_part_6_of_6"));
    assert_eq!(recorded("tasklist/create", started(HistoryApp::Tasklist)).unwrap().len(), 6);
    assert_eq!(recorded("operate-on-opensearch/create", started(HistoryApp::Operate)).unwrap().len(), 6);
    let docs = fixture("camunda-docs-8.8/history-create");
    assert_eq!(answered(docs.status, &docs.body, started(HistoryApp::Webapps)).unwrap().len(), 5);
    assert_eq!(answered(202, &docs.body, started(HistoryApp::Webapps)).unwrap().len(), 5, "as OpenAPI says");
    for empty in [json!({"scheduledSnapshots": []}), json!({"message": "scheduled"}), json!("")] {
        let fault = answered(200, &empty, started(HistoryApp::Operate)).unwrap_err();
        assert_eq!((fault.kind, fault.effect), (FaultKind::Strange, Effect::Unknown), "{empty}");
    }
}

#[test]
fn optimize_announces_no_names() {
    let docs = fixture("camunda-docs-8.8/optimize-create");
    assert_eq!(answered(docs.status, &docs.body, started(HistoryApp::Optimize)), Ok(vec![]));
}

#[test]
fn a_duplicate_id_is_refused_without_effect() {
    let fault = recorded("operate/create-same-id", started(HistoryApp::Operate)).unwrap_err();
    assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::None));
    assert!(fault.answer.contains("already exists") && fault.hint.contains("higher"), "{fault:?}");
    let body = json!({"errorCode": "conflict", "errorMessage": "A backup with ID 7 already exists."});
    let fault = answered(409, &body, started(HistoryApp::Optimize)).unwrap_err();
    assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::None));
}

#[test]
fn another_running_backup_is_worth_waiting_for() {
    let fault = recorded("operate/create-while-running", started(HistoryApp::Operate)).unwrap_err();
    assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Again, Effect::None));
    let fault = recorded("operate-on-opensearch/create-same-id-while-running", started(HistoryApp::Operate));
    assert_eq!(marks(&fault.unwrap_err()), (FaultKind::Refused, Retry::Again, Effect::None));
    let fault = recorded("operate/create-negative", started(HistoryApp::Operate)).unwrap_err();
    assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::None), "this one never passes");
}

#[test]
fn a_missing_repository_is_told_with_its_cure() {
    for status in [400, 404] {
        let body = json!({"message": "Cannot trigger backup because no Elasticsearch snapshot repository name found"});
        let fault = answered(status, &body, started(HistoryApp::Webapps)).unwrap_err();
        assert_eq!((fault.kind, fault.effect), (FaultKind::Refused, Effect::None));
        assert!(fault.hint.contains("register"), "{fault:?}");
    }
}

#[test]
fn a_start_that_fails_on_the_servers_side_may_have_begun() {
    for status in [500, 502, 503, 504] {
        let fault = answered(status, &json!({"message": "no"}), started(HistoryApp::Webapps)).unwrap_err();
        assert_eq!((fault.retry, fault.effect), (Retry::Again, Effect::Unknown), "{status}");
    }
}

fn history(number: u64) -> impl Fn(&Answer<'_>) -> Result<c8keep_core::verdict::HistoryStatus, Fault> {
    move |answer| wire::history_status(&call(), id(number), answer)
}

#[test]
fn finished_histories_are_whole_on_both_search_products() {
    for (name, app) in [
        ("operate/get-COMPLETED", HistoryApp::Operate),
        ("operate-on-opensearch/get-COMPLETED", HistoryApp::Operate),
        ("tasklist/get-COMPLETED", HistoryApp::Tasklist),
    ] {
        let status = recorded(name, history(100)).unwrap();
        let Standing::Whole(names) = verdict::history(app, id(100), &[], &status) else { panic!("{name}") };
        assert_eq!(names.len(), 6, "{name}");
        assert_eq!(status.failure, None, "`failures` is [] on Elasticsearch and null on OpenSearch: {name}");
    }
    for (name, app) in [("history-get", HistoryApp::Webapps), ("optimize-get", HistoryApp::Optimize)] {
        let docs = fixture(&format!("camunda-docs-8.8/{name}"));
        let status = answered(docs.status, &docs.body, history(1_748_937_221)).unwrap();
        let standing = verdict::history(app, id(1_748_937_221), &[], &status);
        assert!(matches!(standing, Standing::Whole(_)), "{name}: {standing:?}");
    }
}

#[test]
fn not_found_and_its_disguises_are_states_and_not_faults() {
    for (name, state, text) in [
        ("operate/get-400", "400", "Index 0 out of bounds for length 0"),
        ("operate/get-missing", "400", "Index 0 out of bounds for length 0"),
        ("operate-on-opensearch/get-404", "404", "No backup with id [100] found."),
        (
            "operate-on-opensearch/get-400",
            "400",
            "Exception occurred when searching for backup with ID [100].",
        ),
    ] {
        let status = recorded(name, history(100)).unwrap();
        assert_eq!((status.state.as_str(), status.failure.as_deref()), (state, Some(text)), "{name}");
        let standing = verdict::history(HistoryApp::Operate, id(100), &[], &status);
        assert!(matches!(standing, Standing::Going(_)), "{name}: only time tells");
    }
    for status in [500, 502] {
        let told = answered(status, &json!({"message": "search is away"}), history(100)).unwrap();
        assert_eq!(told.state, status.to_string());
    }
}

#[test]
fn incomplete_and_in_progress_in_turns_are_kept_as_they_are() {
    for (name, state) in [
        ("operate/get-INCOMPLETE", "INCOMPLETE"),
        ("operate/get-IN_PROGRESS", "IN_PROGRESS"),
        ("tasklist/get-INCOMPLETE", "INCOMPLETE"),
        ("tasklist/get-IN_PROGRESS", "IN_PROGRESS"),
        ("operate-on-opensearch/get-INCOMPLETE", "INCOMPLETE"),
    ] {
        assert_eq!(recorded(name, history(100)).unwrap().state, state);
    }
}

#[test]
fn states_that_nobody_knows_are_kept_and_are_no_success() {
    let part = |state: &str| json!({"snapshotName": "camunda_operate_100_8.6.0_part_1_of_1", "state": state});
    for (whole, one) in [("FINISHED", "SUCCESS"), ("COMPLETED", "PARTIAL"), ("completed", "success")] {
        let body = json!({"backupId": 100, "state": whole, "details": [part(one)]});
        let status = answered(200, &body, history(100)).unwrap();
        assert_eq!((status.state.as_str(), status.parts[0].state.as_str()), (whole, one));
        let standing = verdict::history(HistoryApp::Operate, id(100), &[], &status);
        assert!(!matches!(standing, Standing::Whole(_)), "{whole} {one}");
    }
}

#[test]
fn the_reason_of_a_failed_part_is_told() {
    let failures = json!([{"index": "i", "reason": "node left"}, "disk full"]);
    let detail = json!({"snapshotName": "s", "state": "PARTIAL", "failures": failures});
    let body = json!({"state": "FAILED", "failureReason": null, "details": [detail]});
    assert_eq!(answered(200, &body, history(1)).unwrap().failure.as_deref(), Some("node left; disk full"));
}

#[test]
fn answers_of_something_else_are_strange() {
    let page = json!("\n<!doctype html><html><body>Operate</body></html>");
    for fault in [
        answered(200, &page, history(1)).unwrap_err(),
        answered(404, &page, history(1)).unwrap_err(),
        answered(200, &page, |a| wire::runtime_status(&call(), id(1), a)).unwrap_err(),
        answered(200, &page, |a| wire::partitions(&call(), a)).unwrap_err(),
        answered(200, &page, |a| wire::runtime_started(&call(), a)).unwrap_err(),
        answered(200, &page, |a| wire::highest_id(&call(), a)).unwrap_err(),
    ] {
        assert_eq!(fault.kind, FaultKind::Strange);
        assert!(fault.answer.contains("HTML page") && fault.hint.contains("9600"), "{fault:?}");
    }
    // From something in front of the right server: a wait that sees it goes on.
    let passing = answered(503, &page, history(1)).unwrap_err();
    assert_eq!((passing.kind, passing.retry), (FaultKind::Unreachable, Retry::Again));
    for body in [
        json!("{\"backupId\": 1, \"sta"),
        json!([]),
        json!({"details": []}),
        json!({"backupId": 2, "state": "COMPLETED"}),
    ] {
        assert_eq!(answered(200, &body, history(1)).unwrap_err().kind, FaultKind::Strange, "{body}");
        let runtime = answered(200, &body, |a| wire::runtime_status(&call(), id(1), a));
        assert_eq!(runtime.unwrap_err().kind, FaultKind::Strange, "{body}");
    }
}

fn take(answer: &Answer<'_>) -> Result<(), Fault> {
    wire::runtime_started(&call(), answer)
}

#[test]
fn a_202_is_all_that_a_broker_promises() {
    for name in [
        "zeebe/backup-create",
        "zeebe/backup-create-no-bucket",
        "zeebe/backup-create-store-frozen",
        "zeebe/create-store-full",
        "three-brokers/backup-one-down",
        "zeebe-store-gcs/create",
    ] {
        assert_eq!(recorded(name, take), Ok(()), "{name}");
    }
}

#[test]
fn a_burnt_id_is_refused_with_the_servers_own_words() {
    for name in ["zeebe/backup-create-same", "zeebe/backup-create-lower"] {
        let fault = recorded(name, take).unwrap_err();
        assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::None));
        assert!(fault.answer.contains("The latest backup has id 10"), "{fault}");
    }
    let body = json!({"message": "Cannot take a backup while the cluster is scaling"});
    let fault = answered(409, &body, take).unwrap_err();
    assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::Unknown), "some may have begun");
}

#[test]
fn bad_requests_have_no_effect_with_or_without_a_message() {
    for name in ["zeebe/backup-create-negative", "zeebe/backup-create-empty", "zeebe/backup-create-string"] {
        let fault = recorded(name, take).unwrap_err();
        assert_eq!(marks(&fault), (FaultKind::Refused, Retry::Never, Effect::None), "{name}");
    }
}

#[test]
fn a_lost_answer_is_not_a_no() {
    for (status, kind) in [
        (504, FaultKind::Unreachable),
        (502, FaultKind::Unreachable),
        (500, FaultKind::Refused),
        (503, FaultKind::Refused),
    ] {
        let fault = answered(status, &json!({"message": "timed out in PT15S"}), take).unwrap_err();
        assert_eq!(marks(&fault), (kind, Retry::Again, Effect::Unknown), "{status}");
    }
}

fn runtime(name: &str, number: u64) -> RuntimeStatus {
    recorded(name, |a| wire::runtime_status(&call(), id(number), a)).unwrap()
}

#[test]
fn a_runtime_backup_from_404_to_completed() {
    let going = |status: &RuntimeStatus| matches!(verdict::runtime(Some(2), status), Standing::Going(_));
    let missing = runtime("zeebe/backup-get-404", 10);
    assert_eq!((missing.state.as_str(), missing.partitions.len()), ("404", 0));
    assert!(going(&missing) && going(&runtime("zeebe/backup-get-INCOMPLETE", 10)));
    let open = runtime("zeebe/backup-get-IN_PROGRESS", 10);
    assert!(going(&open) && open.partitions[0].updated_at.is_some());
    let Standing::Whole(evidence) = verdict::runtime(Some(2), &runtime("zeebe/backup-get-COMPLETED", 10))
    else {
        panic!()
    };
    let first = &evidence.partitions[0];
    assert_eq!((first.snapshot.as_deref(), first.checkpoint), (Some("1-1-1-2-0"), Some(5)));
    assert_eq!(first.broker_version.as_deref(), Some("8.6.0"));
    for store in ["gcs", "azure"] {
        let status = runtime(&format!("zeebe-store-{store}/get"), 7);
        assert!(status.partitions.iter().all(|p| p.snapshot.is_none()), "none before the first snapshot");
    }
    let docs = fixture("camunda-docs-8.8/runtime-get");
    let status = answered(200, &docs.body, |a| wire::runtime_status(&call(), id(1_748_937_221), a)).unwrap();
    assert!(matches!(verdict::runtime(Some(1), &status), Standing::Whole(_)));
}

#[test]
fn a_store_that_is_away_is_a_state_with_its_reason() {
    for (name, number, text) in [
        ("zeebe/backup-get-no-bucket", 1, "NoSuchBucket"),
        ("zeebe/get-store-dead", 301, "Connection refused"),
    ] {
        let status = runtime(name, number);
        assert_eq!(status.state, "500");
        assert!(status.failure.as_deref().unwrap().contains(text), "{name}");
        assert!(matches!(verdict::runtime(Some(2), &status), Standing::Going(_)), "normal for a while");
    }
    let frozen = json!({"message": "Request timed out in PT15S"});
    let status = answered(504, &frozen, |a| wire::runtime_status(&call(), id(1), a)).unwrap();
    assert_eq!(status.state, "504");
}

#[test]
fn a_backup_cancelled_by_a_leader_change_is_lost_with_its_reason() {
    let status = runtime("zeebe/get-after-broker-kill", 300);
    let Standing::Lost(reason) = verdict::runtime(Some(2), &status) else { panic!() };
    assert!(reason.contains("partition 2: Backup is cancelled due to leader change"), "{reason}");
}

#[test]
fn lists_give_the_highest_id_in_whatever_order() {
    let highest = |name: &str| recorded(name, |a| wire::highest_id(&call(), a)).unwrap();
    assert_eq!(highest("zeebe/backups-list-empty"), None);
    assert_eq!(
        highest("zeebe/backups-list-with-failed"),
        Some(id(10)),
        "the failed one, 20, is not in the list"
    );
    assert_eq!(highest("operate/list-after-delete"), Some(id(101)));
    let list =
        json!([{"backupId": 3}, {"backupId": 9}, {"backupId": 0}, {"backupId": null}, {"backupId": 5}]);
    assert_eq!(answered(200, &list, |a| wire::highest_id(&call(), a)).unwrap(), Some(id(9)));
}

#[test]
fn a_list_that_misses_its_repository_is_a_precondition() {
    let list = |a: &Answer<'_>| wire::highest_history_id(&call(), HistoryApp::Operate, a);
    for status in [400, 404] {
        let body = json!({"message": "No repository with name [camunda] could be found."});
        let fault = answered(status, &body, list).unwrap_err();
        assert_eq!(fault.kind.exit_code(), 10);
        assert!(fault.hint.contains("register"), "{fault:?}");
    }
    assert_eq!(answered(404, &json!({"error": "Not Found"}), list).unwrap_err().kind, FaultKind::Absent);
    let fault = recorded("operate-on-opensearch/list-while-running", list).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Refused, "the search server is asked instead");
}

#[test]
fn partitions_are_read_with_roles_phases_and_positions() {
    let read = |name: &str| recorded(name, |a| wire::partitions(&call(), a)).unwrap();
    let paused = read("under-load/partitions-paused");
    assert!(paused.values().all(|p| p.is_leader() && p.is_soft_paused() && p.exported == 1418));
    assert_eq!(paused[&1].processed, Some(8000));
    let fresh = read("zeebe/partitions-fresh");
    assert_eq!((fresh[&1].exported, fresh[&1].snapshot.as_deref()), (-1, None));
    assert!(
        read("zeebe/partitions-after-restart-in-soft-pause")[&2].is_soft_paused(),
        "the pause is durable"
    );
    let busy = answered(200, &json!({}), |a| wire::partitions(&call(), a)).unwrap();
    assert!(busy.is_empty());
    let body = json!({"1": {"role": "INACTIVE", "exportedPosition": null, "exporterPhase": null}});
    assert!(
        answered(200, &body, |a| wire::partitions(&call(), a)).unwrap().is_empty(),
        "no position, no reading"
    );
}
