//! Situations of Operate and Tasklist of 8.6.

use serde_json::{Value, json};

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product::{self, Elasticsearch, OpenSearch};
use crate::host::Host::{self, Operate, Tasklist};
use crate::wire::Request;

fn on(product: Product, host: Host, name: &'static str) -> Case {
    case(Source::Camunda86, Stage::Loaded(product), host, name)
}

fn backup(host: Host, id: u64) -> Move {
    send(host, "POST", "/actuator/backups", &json!({ "backupId": id }))
}

fn until(host: Host, id: u64, status: u16, state: Option<&str>) -> Move {
    let request = Request::get(&format!("/actuator/backups/{id}"));
    Move::Until(host, request, status, state.map(|state| ("/state", json!(state))))
}

/// A backup of that id is in that state.
fn reach(host: Host, id: u64, state: &str) -> [Move; 2] {
    [backup(host, id), until(host, id, 200, Some(state))]
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = operate();
    all.extend(operate_on_opensearch());
    all.extend(tasklist());
    all.extend(description(Operate));
    all.extend(description(Tasklist));
    all
}

fn operate() -> Vec<Case> {
    // The names of the parts carry identifiers.
    const FOUND: &[&str] = &["/message"];
    let on = |name| on(Elasticsearch, Operate, name);
    vec![
        on("operate/create"),
        on("operate/create-101").after(reach(Operate, 100, "COMPLETED")),
        on("operate/create-empty"),
        on("operate/create-negative"),
        on("operate/create-same-id").after(reach(Operate, 100, "COMPLETED")).varies(FOUND),
        on("operate/create-while-running").after(reach(Operate, 101, "IN_PROGRESS")),
        on("operate/delete-101").after(reach(Operate, 101, "COMPLETED")),
        on("operate/delete-missing"),
        on("operate/get-400").after([backup(Operate, 100)]),
        on("operate/get-missing"),
        // The first part in the list has long ended.
        on("operate/get-IN_PROGRESS").after(reach(Operate, 100, "INCOMPLETE")).after([until(
            Operate,
            100,
            200,
            Some("IN_PROGRESS"),
        )]),
        on("operate/get-INCOMPLETE").after(reach(Operate, 100, "INCOMPLETE")),
        on("operate/get-COMPLETED").after(reach(Operate, 100, "COMPLETED")),
        on("operate/get-101").after(reach(Operate, 101, "COMPLETED")),
        on("operate/list").after(reach(Operate, 100, "COMPLETED")),
        on("operate/list-after-delete").after(reach(Operate, 101, "COMPLETED")).after([send(
            Operate,
            "DELETE",
            "/actuator/backups/101",
            &Value::Null,
        )]),
        on("operate/get-101-after-delete").after(reach(Operate, 101, "COMPLETED")).after([
            send(Operate, "DELETE", "/actuator/backups/101", &Value::Null),
            Move::Pass { millis: 5_000 },
        ]),
    ]
}

fn operate_on_opensearch() -> Vec<Case> {
    let on = |name| on(OpenSearch, Operate, name);
    vec![
        on("operate-on-opensearch/create"),
        on("operate-on-opensearch/get-404").after([backup(Operate, 100)]),
        on("operate-on-opensearch/get-400").after([backup(Operate, 100), until(Operate, 100, 400, None)]),
        on("operate-on-opensearch/list-while-running")
            .after([backup(Operate, 100), until(Operate, 100, 400, None)]),
        on("operate-on-opensearch/create-same-id-while-running")
            .after([backup(Operate, 100), until(Operate, 100, 400, None)]),
        on("operate-on-opensearch/get-INCOMPLETE").after(reach(Operate, 100, "INCOMPLETE")),
        on("operate-on-opensearch/get-COMPLETED").after(reach(Operate, 100, "COMPLETED")),
    ]
}

fn tasklist() -> Vec<Case> {
    let on = |name| on(Elasticsearch, Tasklist, name);
    vec![
        on("tasklist/create"),
        on("tasklist/get-IN_PROGRESS").after(reach(Tasklist, 100, "INCOMPLETE")).after([until(
            Tasklist,
            100,
            200,
            Some("IN_PROGRESS"),
        )]),
        on("tasklist/get-INCOMPLETE").after(reach(Tasklist, 100, "INCOMPLETE")),
        on("tasklist/get-COMPLETED").after(reach(Tasklist, 100, "COMPLETED")),
    ]
}

fn description(host: Host) -> Vec<Case> {
    let names: [&'static str; 4] = if host == Operate {
        [
            "self-description/operate-backups",
            "self-description/operate-configprops",
            "self-description/operate-info",
            "self-description/operate-links",
        ]
    } else {
        [
            "self-description/tasklist-backups",
            "self-description/tasklist-configprops",
            "self-description/tasklist-info",
            "self-description/tasklist-links",
        ]
    };
    names.into_iter().map(|name| on(Elasticsearch, host, name).partial(&["/contexts"])).collect()
}
