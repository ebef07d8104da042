//! A search server with security switched on: what it grants, what it refuses, and in which words. Recorded on Elasticsearch
//! 8.16.6 with logins of these roles; a name is the privilege of the cluster, or of the indices behind the colon.
//!
//! | login | role |
//! | --- | --- |
//! | `backup`, `apikey` | that of docs/access.md: `monitor`, `create_snapshot`; all indices: `monitor` |
//! | `reader`, `apikey-reader` | `monitor`, `monitor_snapshot`; all indices: `monitor` |
//! | `narrow` | `monitor`, `create_snapshot`; only `zeebe-record*`: `monitor` |
//! | `blind` | `monitor`, `create_snapshot`; all indices: `read` |
//! | `bare` | `monitor`, the actions `snapshot/create`, `snapshot/get` and `repository/get`; all indices: `monitor` |

use serde_json::json;

use super::*;
use crate::transport::{Access, Credential, Secret};

const SECURED: &str = "elasticsearch-8.16.6-security";
const QUESTION: &str = "POST /_security/user/_has_privileges";

fn with_login(product: SearchProduct, script: Scripted) -> (Search, Arc<Scripted>) {
    let script = Arc::new(script);
    let credential = Credential::Basic { user: "backup".into(), password: Secret::Env("X".into()) };
    let access = Access::default().with_credential(credential);
    let endpoint = Endpoint::parse("search.example:9200").unwrap().with_access(&access);
    (SearchClient::new(script.clone(), endpoint).of(product), script)
}

/// The secured server, which answers with one recorded exchange.
fn secured(name: &str) -> (Search, Arc<Scripted>) {
    let (asked, status, body) = fixture(SECURED, name);
    with_login(Elasticsearch, Scripted::default().on(&asked, status, &body))
}

fn patterns() -> [String; 2] {
    ["operate-*".into(), "zeebe-record*".into()]
}

#[tokio::test]
async fn rights_that_a_login_lacks_are_named() {
    for (login, lacking) in [
        ("backup", &[][..]),
        ("apikey", &[]),
        ("reader", &["create_snapshot"]),
        ("apikey-reader", &["create_snapshot"]),
        ("narrow", &["monitor of operate-*"]),
        ("blind", &["monitor of operate-*", "monitor of zeebe-record*"]),
        ("bare", &[]),
    ] {
        let (search, script) = secured(&format!("has-privileges-{login}"));
        assert_eq!(search.lacks(&patterns()).await.unwrap().unwrap(), lacking, "{login}");
        let (_, asked) = recorded_question(login);
        assert_eq!(script.asked().remove(0).body.unwrap(), asked, "what was recorded is what is asked");
    }
}

/// Method and path of a recorded question, and its body.
fn recorded_question(login: &str) -> (String, Value) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(SECURED);
    let text = std::fs::read_to_string(folder.join(format!("has-privileges-{login}.json"))).unwrap();
    let exchange: Value = serde_json::from_str(&text).unwrap();
    let (asked, body) = exchange["request"].as_str().unwrap().split_once(" {").unwrap();
    (asked.to_owned(), serde_json::from_str(&format!("{{{body}")).unwrap())
}

/// The list of a login that may not see some indices is shorter, and nothing in it says so: rights are asked for.
#[tokio::test]
async fn indices_that_a_login_may_not_see_are_left_out_without_a_word() {
    let seen = async |name| secured(name).0.indices(&patterns()).await.map(|indices| indices.len());
    assert_eq!((seen("cat-indices-backup").await, seen("cat-indices-narrow").await), (Ok(2), Ok(1)));
    let fault = seen("cat-indices-blind").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorised);
    let words = "is granted by the index privileges [monitor,view_index_metadata,manage,all]";
    assert!(fault.answer.ends_with(words), "{}", fault.answer);
}

/// The privilege that would allow it stands at the end of a long sentence.
#[tokio::test]
async fn a_refusal_is_told_up_to_the_privilege_that_it_names() {
    for (name, words) in [
        ("create-view", "is granted by the cluster privileges [create_snapshot,manage,all]"),
        ("create-apikey-reader", "is granted by the cluster privileges [create_snapshot,manage,all]"),
    ] {
        let (asked, status, body) = fixture(SECURED, name);
        let snapshot = asked.rsplit('/').next().unwrap().to_owned();
        let (search, _) = with_login(Elasticsearch, Scripted::default().on(&asked, status, &body));
        let fault = search.create_snapshot(&wanted("camunda", &snapshot)).await.unwrap_err();
        assert_eq!(judged(&fault), (FaultKind::Unauthorised, Retry::Never, Effect::None));
        assert!(fault.answer.ends_with(words), "{}", fault.answer);
        assert!(fault.hint.contains("docs/access.md"), "{}", fault.hint);
    }
    let fault = secured("repo-verify-backup").0.verify_repository("camunda").await.unwrap_err();
    assert!(fault.kind == FaultKind::Unauthorised && fault.answer.ends_with("[manage,all]"), "{fault:?}");
}

/// A role with no more than docs/access.md says is enough for every other call of a backup.
#[tokio::test]
async fn the_least_role_is_enough() {
    let repository = secured("repo-get-backup").0.repository("camunda").await.unwrap();
    assert_eq!(repository.location.as_deref(), Some("/var/snapshots/c"));
    secured("create-backup").0.create_snapshot(&wanted("camunda", "taken")).await.unwrap();
    let names = secured("get-names-backup").0.snapshot_names("camunda", "ta*").await.unwrap();
    assert_eq!(names, ["taken"]);
    let running = secured("get-current-backup").0.running_snapshots("camunda").await.unwrap();
    assert_eq!(running, Vec::<String>::new());
    let view = secured("get-taken-apikey").0.snapshot("camunda", "taken").await.unwrap().unwrap();
    assert_eq!((view.run, view.evidence.state.as_str()), (Some(RunId("backup-17".into())), "SUCCESS"));
    let progress = secured("status-taken-apikey").0.snapshot_progress("camunda", "taken").await.unwrap();
    assert_eq!(progress.map(|p| (p.shards_done, p.shards_total)), Some((1, 1)));
    let unseen = secured("status-bare").0.snapshot_progress("camunda", "taken").await.unwrap();
    assert_eq!(unseen, None, "a comfort that needs a right of its own");
}

#[tokio::test]
async fn rights_are_not_told_to_a_login_that_is_not_accepted() {
    let fault = secured("has-privileges-wrong-password").0.lacks(&patterns()).await.unwrap_err();
    assert_eq!(judged(&fault), (FaultKind::Unauthorised, Retry::Never, Effect::None));
    assert!(fault.answer.contains("unable to authenticate user [backup]"), "{fault:?}");
    assert!(fault.hint.starts_with("user backup was not accepted"), "{fault:?}");
}

#[tokio::test]
async fn rights_are_asked_for_only_where_there_are_some() {
    let nobody = scripted(Elasticsearch, Scripted::default()).0;
    assert_eq!(nobody.lacks(&[]).await.unwrap(), None, "no login");
    let (opensearch, _) = with_login(Opensearch, Scripted::default());
    assert_eq!(opensearch.lacks(&[]).await.unwrap(), None, "no such question");
    // With its security switched off there is no such question, whoever asks.
    let (asked, status, body) = fixture("elasticsearch-8.16.6", "has-privileges-security-off");
    let (search, _) = with_login(Elasticsearch, Scripted::default().on(&asked, status, &body));
    let fault = search.lacks(&[]).await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Refused, Effect::None));
}

/// Something in between that answers with other words grants nothing and refuses nothing.
#[tokio::test]
async fn an_answer_without_rights_is_strange() {
    for body in [json!({}), json!({"cluster": {"monitor": true}}), json!({"message": "hello"})] {
        let (search, _) = with_login(Elasticsearch, Scripted::default().on(QUESTION, 200, &body));
        assert_eq!(search.lacks(&patterns()).await.unwrap_err().kind, FaultKind::Strange, "{body}");
    }
}

/// The server refuses an empty list of names (400 `parse_exception`).
#[tokio::test]
async fn without_indices_none_are_asked_for() {
    let body = json!({"cluster": {"create_snapshot": true}, "index": {}});
    let (search, script) = with_login(Elasticsearch, Scripted::default().on(QUESTION, 200, &body));
    assert_eq!(search.lacks(&[]).await.unwrap(), Some(Vec::new()));
    assert_eq!(script.asked().remove(0).body.unwrap()["index"], json!([]));
}
