//! Situations of versions that cannot be had, and of Optimize: compared with what the documents say, above all with their own
//! example answers. Each fixture names its page and version.

use serde_json::json;

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product::{Elasticsearch, OpenSearch};
use crate::host::Host::{self, Operate, Optimize, Search, Tasklist};
use crate::wire::Request;

/// The id in the page's examples.
const ID: u64 = 1_748_937_221;
const HOST: Host = Host::Broker(0);
const SPLIT: &str = "/actuator/backups";
const HISTORY: &str = "/actuator/backupHistory";
const RUNTIME: &str = "/actuator/backupRuntime";

/// The backup under the id of the examples is asked for.
fn started(host: Host, path: &str) -> Move {
    send(host, "POST", path, &json!({ "backupId": ID }))
}

/// The same, and it is in that state.
fn reach(host: Host, path: &str, state: &str) -> [Move; 2] {
    let request = Request::get(&format!("{path}/{ID}"));
    [started(host, path), Move::Until(host, request, 200, Some(("/state", json!(state))))]
}

fn complete(host: Host, path: &str) -> [Move; 2] {
    reach(host, path, "COMPLETED")
}

fn deleted(host: Host, path: &str) -> Move {
    Move::Send(host, Request::new("DELETE", &format!("{path}/{ID}")))
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = split_8_7();
    all.extend(page_8_8());
    all.extend(unified_8_9());
    all.extend(own_backups_8_9());
    all.extend(optimize());
    all
}

fn split_8_7() -> Vec<Case> {
    let on = |host, name| case(Source::Camunda87Documentation, Stage::Documented("8.7.2"), host, name);
    vec![
        on(HOST, "exporting/pause"),
        on(HOST, "exporting/resume"),
        on(Operate, "operate/create"),
        on(Operate, "operate/create-same-id").after(complete(Operate, SPLIT)),
        on(Operate, "operate/get-COMPLETED").after(complete(Operate, SPLIT)),
        on(Operate, "operate/get-missing"),
        on(Operate, "operate/list").after(complete(Operate, SPLIT)),
        on(Operate, "operate/delete").after(complete(Operate, SPLIT)),
        on(Tasklist, "tasklist/create"),
        on(Tasklist, "tasklist/create-same-id").after(complete(Tasklist, SPLIT)),
        on(Tasklist, "tasklist/get-COMPLETED").after(complete(Tasklist, SPLIT)),
        on(Tasklist, "tasklist/get-missing"),
        on(Tasklist, "tasklist/list").after(complete(Tasklist, SPLIT)),
        on(Tasklist, "tasklist/delete").after(complete(Tasklist, SPLIT)),
        on(HOST, "runtime/create"),
        on(HOST, "runtime/create-same-id").after(complete(HOST, SPLIT)),
        on(HOST, "runtime/get-COMPLETED").after(complete(HOST, SPLIT)),
        on(HOST, "runtime/get-missing"),
        on(HOST, "runtime/list").after(complete(HOST, SPLIT)),
        on(HOST, "runtime/delete").after(complete(HOST, SPLIT)),
        on(HOST, "runtime/no-unified-path"),
    ]
}

fn page_8_8() -> Vec<Case> {
    let on = |host, name| case(Source::Camunda88Documentation, Stage::Unified(Elasticsearch), host, name);
    vec![
        on(HOST, "exporting/pause"),
        on(HOST, "exporting/resume"),
        on(HOST, "history/create"),
        on(HOST, "history/get-COMPLETED").after(complete(HOST, HISTORY)),
        on(Optimize, "optimize/create"),
        on(Optimize, "optimize/get-COMPLETED").after(complete(Optimize, SPLIT)),
        on(Search, "records/create-on-elasticsearch"),
        Case { stage: Stage::Unified(OpenSearch), ..on(Search, "records/create-on-opensearch") },
        on(HOST, "runtime/create"),
        // The page's partition had no local snapshot yet, so its example has no snapshotId.
        Case { stage: Stage::UnifiedNoSnapshotYet, ..on(HOST, "runtime/get-COMPLETED") }
            .after(complete(HOST, RUNTIME)),
    ]
}

fn unified_8_9() -> Vec<Case> {
    let on = |name| case(Source::Camunda89Documentation, Stage::Documented("8.9.0"), HOST, name);
    vec![
        on("exporting/pause"),
        on("exporting/resume"),
        on("exporters/list"),
        on("cluster/get"),
        on("history/create"),
        on("history/create-same-id").after(complete(HOST, HISTORY)),
        on("history/get-COMPLETED").after(complete(HOST, HISTORY)),
        on("history/get-missing"),
        on("history/list-empty"),
        on("history/delete").after(complete(HOST, HISTORY)),
        on("history/delete-missing"),
        on("runtime/create"),
        on("runtime/create-same-id").after(complete(HOST, RUNTIME)),
        on("runtime/get-COMPLETED").after(complete(HOST, RUNTIME)),
        on("runtime/get-DELETED").after(complete(HOST, RUNTIME)).after([deleted(HOST, RUNTIME)]),
        on("runtime/get-missing"),
        on("runtime/list-by-prefix").after(complete(HOST, RUNTIME)),
        on("runtime/list-by-another-prefix").after(complete(HOST, RUNTIME)),
        on("runtime/list-by-no-prefix"),
        on("runtime/delete").after(complete(HOST, RUNTIME)),
        on("runtime/state").after(complete(HOST, RUNTIME)),
        on("runtime/state-sync").after(complete(HOST, RUNTIME)),
        on("runtime/state-reset").after(complete(HOST, RUNTIME)),
    ]
}

fn own_backups_8_9() -> Vec<Case> {
    let on = |name| case(Source::Camunda89Documentation, Stage::OwnBackups, HOST, name);
    vec![on("runtime/create-with-id-beside-own"), on("runtime/create-without-id")]
}

fn optimize() -> Vec<Case> {
    let on = |name| case(Source::OptimizeDocumentation, Stage::Documented("8.8.0"), Optimize, name);
    vec![
        on("optimize/create"),
        on("optimize/create-same-id").after(complete(Optimize, SPLIT)),
        on("optimize/create-without-id"),
        on("optimize/get-COMPLETED").after(complete(Optimize, SPLIT)),
        on("optimize/get-IN_PROGRESS").after(reach(Optimize, SPLIT, "IN_PROGRESS")),
        // Between its two parts: nothing gives it time there (camunda/camunda, 0c34eba3).
        on("optimize/get-INCOMPLETE").after(reach(Optimize, SPLIT, "INCOMPLETE")),
        on("optimize/get-missing"),
        on("optimize/get-without-repository")
            .after([Move::Send(Search, Request::new("DELETE", "/_snapshot/camunda"))]),
        on("optimize/list").after(complete(Optimize, SPLIT)),
        on("optimize/list-empty"),
        on("optimize/delete").after(complete(Optimize, SPLIT)),
    ]
}
