//! Situations of versions that cannot be had, and of Optimize: compared with what the documents say, above all with their own
//! example answers. Each fixture names its page, and says whether it is such an example (`"example": true`).

use serde_json::json;

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product::{Elasticsearch, OpenSearch};
use crate::host::Host::{self, Operate, Optimize, Search, Tasklist};
use crate::wire::Request;

/// The id in the examples of "Create a backup".
const ID: u64 = 1_748_937_221;
const HOST: Host = Host::Broker(0);
const SPLIT: &str = "/actuator/backups";
const HISTORY: &str = "/actuator/backupHistory";
const RUNTIME: &str = "/actuator/backupRuntime";

/// Told from 8.9 on (camunda/camunda, the endpoint's own answer); the examples of its pages are those of 8.2 and 8.8.
const SINCE_8_9: &[&str] = &["/details/[]/brokerId", "/details/[]/firstLogPosition"];

/// The backup under the id of the examples is asked for, and in that state.
fn reach(host: Host, path: &str, state: &str) -> [Move; 2] {
    reach_as(host, path, ID, state)
}

fn reach_as(host: Host, path: &str, id: u64, state: &str) -> [Move; 2] {
    let request = Request::get(&format!("{path}/{id}"));
    let started = send(host, "POST", path, &json!({ "backupId": id }));
    [started, Move::Until(host, request, 200, Some(("/state", json!(state))))]
}

fn complete(host: Host, path: &str) -> [Move; 2] {
    reach(host, path, "COMPLETED")
}

/// Under an id of the pages of the single interfaces: 100, 123 or 123456.
fn complete_as(host: Host, path: &str, id: u64) -> [Move; 2] {
    reach_as(host, path, id, "COMPLETED")
}

fn deleted(host: Host, path: &str) -> Move {
    Move::Send(host, Request::new("DELETE", &format!("{path}/{ID}")))
}

/// The snapshot of the records that the page makes.
fn records(of: &Case) -> Move {
    Move::Send(Search, of.request.clone())
}

pub(super) fn cases() -> Vec<Case> {
    let mut all = split_8_7();
    all.extend(examples_8_7());
    all.extend(page_8_8());
    all.extend(interfaces_8_8());
    all.extend(unified_8_9());
    all.extend(examples_8_9());
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

/// Example answers as they stand in the pages of 8.7.
fn examples_8_7() -> Vec<Case> {
    const ON: Source = Source::Camunda87Documentation;
    let on = |host, name| case(ON, Stage::Documented("8.7.2"), host, name);
    let mut all = vec![
        on(Optimize, "optimize/create"),
        on(Optimize, "optimize/get-COMPLETED").after(complete(Optimize, SPLIT)),
        case(ON, Stage::DocumentedNoSnapshotYet("8.7.2"), HOST, "runtime/get-COMPLETED-without-snapshot")
            .after(complete(HOST, SPLIT)),
        on(Operate, "operate/api-create"),
        on(Operate, "operate/api-get").after(complete_as(Operate, SPLIT, 123)),
        on(HOST, "runtime/api-create"),
        on(HOST, "runtime/api-get").after(complete_as(HOST, SPLIT, 100)),
        on(HOST, "runtime/api-list")
            .after(complete_as(HOST, SPLIT, 100))
            .after(complete_as(HOST, SPLIT, 200)),
    ];
    all.extend(optimize_interface(ON, Stage::Documented("8.7.2")));
    all.extend(records_of(ON, Stage::Documented("8.7.2"), Stage::DocumentedOnOpenSearch("8.7.2")));
    all
}

/// The page of Optimize's interface says COMPLETE where its servers, and the page "Create a backup", say COMPLETED.
fn optimize_interface(source: Source, stage: Stage) -> [Case; 2] {
    let on = |name| case(source, stage, Optimize, name);
    [
        on("optimize/api-create"),
        on("optimize/api-get").after(complete_as(Optimize, SPLIT, 123_456)).varies(&["/state"]),
    ]
}

fn records_of(source: Source, elasticsearch: Stage, opensearch: Stage) -> Vec<Case> {
    let created = [
        case(source, elasticsearch, Search, "records/create-on-elasticsearch"),
        case(source, opensearch, Search, "records/create-on-opensearch"),
    ];
    let status = |name, of: &Case| {
        // What the pages have under it is no JSON.
        case(source, of.stage, Search, name).after([records(of)]).alone(&["/snapshots/[]/indices"])
    };
    let read = [
        status("records/status-on-elasticsearch", &created[0]),
        status("records/status-on-opensearch", &created[1]),
    ];
    created.into_iter().chain(read).collect()
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
        on(HOST, "runtime/create"),
        // The page's partition had no local snapshot yet, so its example has no snapshotId.
        Case { stage: Stage::UnifiedNoSnapshotYet, ..on(HOST, "runtime/get-COMPLETED") }
            .after(complete(HOST, RUNTIME)),
    ]
}

/// Example answers of the pages of the single interfaces of 8.8.
fn interfaces_8_8() -> Vec<Case> {
    const ON: Source = Source::Camunda88Documentation;
    let on = |name| case(ON, Stage::Unified(Elasticsearch), HOST, name);
    let mut all = vec![
        on("history/api-create"),
        on("history/api-get").after(complete_as(HOST, HISTORY, 123)),
        on("runtime/api-create"),
        on("runtime/api-get").after(complete_as(HOST, RUNTIME, 100)),
        on("runtime/api-list").after(complete_as(HOST, RUNTIME, 100)).after(complete_as(HOST, RUNTIME, 200)),
        on("runtime/api-list-by-prefix").after(complete_as(HOST, RUNTIME, 100)),
    ];
    all.extend(records_of(ON, Stage::Unified(Elasticsearch), Stage::Unified(OpenSearch)));
    all
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

/// Example answers as they stand in the pages of 8.9; "Create a backup" has there those of 8.8.
fn examples_8_9() -> Vec<Case> {
    const ON: Source = Source::Camunda89Documentation;
    /// Longer than the membership takes to notice.
    const NOTICED: Move = Move::Pass { millis: 15_000 };
    let on = |name| case(ON, Stage::Documented("8.9.0"), HOST, name);
    let mut all = vec![
        // The page shortens the exception to its message, and says less of that.
        case(ON, Stage::DocumentedThreeBrokers("8.9.0"), HOST, "exporting/pause-refused")
            .after([Move::BrokerDown(2), NOTICED])
            .varies(&["/body/message"])
            .alone(&["/body/cause", "/body/localizedMessage", "/body/stackTrace", "/body/suppressed"]),
        on("exporters/api-list"),
        // Of a cluster that is scaled up, and of a time before exporters were told here.
        on("cluster/api-get").alone(&[
            "/lastChange",
            "/pendingChange",
            "/clusterId",
            "/brokers/[]/partitions/[]/config",
        ]),
        on("history/page-create"),
        on("history/page-get").after(complete(HOST, HISTORY)),
        Case { host: Optimize, ..on("optimize/create") },
        Case { host: Optimize, ..on("optimize/get-COMPLETED") }.after(complete(Optimize, SPLIT)),
        // That it tells the id is on the page of the interface alone.
        on("runtime/page-create").alone(&["/backupId"]),
        case(ON, Stage::DocumentedNoSnapshotYet("8.9.0"), HOST, "runtime/page-get")
            .after(complete(HOST, RUNTIME))
            .alone(SINCE_8_9),
        on("runtime/api-create"),
        on("runtime/api-get").after(complete_as(HOST, RUNTIME, 100)).alone(SINCE_8_9),
        on("runtime/api-list").after(complete_as(HOST, RUNTIME, 100)).after(complete_as(HOST, RUNTIME, 200)),
    ];
    all.extend(optimize_interface(ON, Stage::Documented("8.9.0")));
    all.extend(records_of(ON, Stage::Documented("8.9.0"), Stage::DocumentedOnOpenSearch("8.9.0")));
    all
}

fn own_backups_8_9() -> Vec<Case> {
    let on = |name| case(Source::Camunda89Documentation, Stage::OwnBackups, HOST, name);
    let taken = [
        send(HOST, "POST", RUNTIME, &json!({})),
        Move::Until(HOST, Request::get(RUNTIME), 200, Some(("/0/state", json!("COMPLETED")))),
    ];
    vec![
        on("runtime/create-with-id-beside-own"),
        on("runtime/create-without-id"),
        on("runtime/api-state").after(taken),
    ]
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
