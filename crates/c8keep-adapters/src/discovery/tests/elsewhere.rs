//! Addresses at which somebody else answers, or nobody.

use c8keep_core::fault::Fault;

use super::*;

const INFO: &str = "GET http://localhost:9600/actuator/info";
const OPERATE_INFO: &str = "GET http://localhost:9610/actuator/info";
const OPTIMIZE_LIST: &str = "GET http://localhost:8092/actuator/backups";
const ROOT: &str = "GET http://localhost:9200/";

/// What a search server says to a path of Camunda's; recorded from OpenSearch 3.8.0 with another path.
fn no_handler() -> Value {
    json!({"error": "no handler found for uri [/actuator/info] and method [GET]"})
}

fn login_page() -> Value {
    json!("<!DOCTYPE html><html><title>Sign in</title></html>")
}

async fn management(status: u16, body: &Value) -> Fault {
    run(Scene::default().on(INFO, status, body), &configured()).await.unwrap_err()
}

async fn operate(status: u16, body: &Value) -> Fault {
    let given = Configured { operate: Some("localhost:9611".into()), ..configured() };
    let request = OPERATE_INFO.replace("9610", "9611");
    run(installation().on(&request, status, body), &given).await.unwrap_err()
}

async fn optimize(status: u16, body: &Value) -> Fault {
    let given = Configured { optimize: Some("localhost:8092".into()), ..configured() };
    run(installation().on(OPTIMIZE_LIST, status, body), &given).await.unwrap_err()
}

async fn searched(status: u16, body: &Value) -> Fault {
    let given = Configured { search: Some("localhost:9200".into()), ..configured() };
    run(installation().on(ROOT, status, body), &given).await.unwrap_err()
}

#[tokio::test]
async fn another_server_is_told_with_the_variable_the_key_and_the_port() {
    let spring = json!({"status": 404, "error": "Not Found"});
    for (fault, words) in [
        (
            management(400, &no_handler()).await,
            ["ORCHESTRATION_CLUSTER_MANAGEMENT_API", "`management`", "9600"],
        ),
        (management(200, &json!({"a": 1})).await, ["ORCHESTRATION", "`management`", "9600"]),
        (management(404, &spring).await, ["ORCHESTRATION", "`management`", "9600"]),
        (operate(400, &no_handler()).await, ["OPERATE_MANAGEMENT_API", "`operate.address`", "9600"]),
        (operate(200, &login_page()).await, ["OPERATE_MANAGEMENT_API", "`operate.address`", "9600"]),
        (optimize(400, &no_handler()).await, ["OPTIMIZE_MANAGEMENT_API", "`optimize.address`", "8092"]),
        (searched(404, &spring).await, ["ELASTIC_ENDPOINT", "`search.address`", "9200"]),
        (searched(302, &json!("")).await, ["OPENSEARCH_ENDPOINT", "`search.address`", "9200"]),
        (searched(200, &json!("")).await, ["ELASTIC_ENDPOINT", "`search.address`", "9200"]),
    ] {
        assert_eq!(fault.kind, FaultKind::Strange, "{fault:?}");
        for word in words {
            assert!(fault.hint.contains(word), "{word}: {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_login_page_wants_a_login_and_is_no_wrong_port() {
    for status in [401, 403] {
        for fault in [
            management(status, &login_page()).await,
            operate(status, &login_page()).await,
            optimize(status, &login_page()).await,
            searched(status, &login_page()).await,
        ] {
            assert_eq!(fault.kind, FaultKind::Unauthorised, "{status}: {fault:?}");
            assert!(!fault.hint.is_empty() && !fault.hint.contains("port"), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn no_fault_leaves_the_reader_without_a_next_step() {
    for status in [200, 204, 301, 400, 401, 403, 404, 405, 408, 410, 418, 429, 500, 501, 502, 503, 504] {
        for body in [json!(""), json!({"message": "no"}), json!([]), login_page()] {
            for fault in [management(status, &body).await, searched(status, &body).await] {
                assert!(!fault.hint.is_empty(), "{status} {body}: {fault:?}");
            }
        }
    }
    let many = Configured { brokers: vec!["localhost:1".into(); 100], ..configured() };
    let fault = run(installation(), &many).await.unwrap_err();
    assert!(fault.kind == FaultKind::Usage && fault.hint.contains("`brokers`"), "{fault:?}");
}

/// Optimize that misses its repository says so with the same status as a server that is none.
#[tokio::test]
async fn optimize_without_its_repository_is_optimize_all_the_same() {
    let fault = optimize(404, &json!({"message": "No repository with name [camunda] could be found"})).await;
    assert_eq!(fault.kind, FaultKind::Precondition);
    assert!(fault.hint.contains("repository in optimize"), "{fault:?}");
}

#[tokio::test]
async fn an_application_that_is_not_required_may_be_out_of_reach() {
    for status in [None, Some(502), Some(503), Some(504)] {
        let scene = match status {
            Some(status) => installation().on("GET http://localhost:9641/actuator/info", status, &json!("")),
            None => installation(),
        };
        let required = Configured { tasklist: Some("localhost:9641".into()), ..configured() };
        let given = Configured { optional: BTreeSet::from([HistoryApp::Tasklist]), ..required.clone() };
        let found = run(scene, &given).await.unwrap();
        let it = &found.installation;
        let apps: Vec<_> = it.apps.iter().map(|a| (a.app, a.required)).collect();
        assert_eq!(apps, [(HistoryApp::Operate, true), (HistoryApp::Tasklist, false)], "kept: {status:?}");
        assert_eq!(it.apps[1].repository, None);
        let said: Vec<_> = found.findings.iter().filter(|f| f.source == "http://localhost:9641").collect();
        assert!(matches!(said[..], [f] if f.level == Level::Note && f.what.contains("partial")), "{said:?}");
        let fault = run(installation(), &required).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "a required one must answer");
    }
    // Another server in its place is a mistake, and no outage.
    let scene = installation().on("GET http://localhost:9641/actuator/info", 400, &no_handler());
    let given = Configured {
        tasklist: Some("localhost:9641".into()),
        optional: BTreeSet::from([HistoryApp::Tasklist]),
        ..configured()
    };
    assert_eq!(run(scene, &given).await.unwrap_err().kind, FaultKind::Strange);
}
