//! Situations of 8.8 and Optimize, which cannot be had: compared with the documents' own example answers.

use serde_json::json;

use super::{Case, Move, Source, Stage, case, send};
use crate::config::Product::{Elasticsearch, OpenSearch};
use crate::host::Host;
use crate::wire::Request;

/// The id in the page's examples.
const ID: u64 = 1_748_937_221;
const HOST: Host = Host::Broker(0);

fn on(host: Host, name: &'static str) -> Case {
    case(Source::Camunda88Documentation, Stage::Unified(Elasticsearch), host, name)
}

fn complete(host: Host, path: &str) -> [Move; 2] {
    let request = Request::get(&format!("{path}/{ID}"));
    [
        send(host, "POST", path, &json!({ "backupId": ID })),
        Move::Until(host, request, 200, Some(("/state", json!("COMPLETED")))),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    vec![
        on(HOST, "exporting/pause"),
        on(HOST, "exporting/resume"),
        on(HOST, "history/create"),
        on(HOST, "history/get-COMPLETED").after(complete(HOST, "/actuator/backupHistory")),
        on(Host::Optimize, "optimize/create"),
        on(Host::Optimize, "optimize/get-COMPLETED").after(complete(Host::Optimize, "/actuator/backups")),
        on(Host::Search, "records/create-on-elasticsearch"),
        Case { stage: Stage::Unified(OpenSearch), ..on(Host::Search, "records/create-on-opensearch") },
        on(HOST, "runtime/create"),
        // The page's partition had no local snapshot yet, so its example has no snapshotId.
        Case { stage: Stage::UnifiedNoSnapshotYet, ..on(HOST, "runtime/get-COMPLETED") }
            .after(complete(HOST, "/actuator/backupRuntime")),
    ]
}
