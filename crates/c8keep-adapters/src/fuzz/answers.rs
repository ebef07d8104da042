//! Answers over HTTP, through the very clients that a backup uses.

use std::collections::BTreeMap;
use std::sync::Arc;

use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::capability::Dialect;
use c8keep_core::installation::{BrokerAddress, SearchProduct};
use c8keep_core::run::RunId;
use c8keep_engine::ports::{Camunda, SearchStore, SnapshotRequest};
use c8keep_fuzz::{Input, feed};
use jiff::Timestamp;

use super::{always, now, recorded, response, told};
use crate::camunda::CamundaClient;
use crate::camunda::configprops;
use crate::camunda::wire::Answer;
use crate::discovery::{self, Configured};
use crate::search::SearchClient;
use crate::transport::{Endpoint, Transport, excerpt, status_fault};

const APPS: [HistoryApp; 4] =
    [HistoryApp::Operate, HistoryApp::Tasklist, HistoryApp::Optimize, HistoryApp::Webapps];
const DIALECTS: [Dialect; 2] = [Dialect::SplitActuators, Dialect::UnifiedActuators];

fn endpoint() -> Endpoint {
    Endpoint::parse("http://server.example:9600").unwrap()
}

#[test]
fn camunda() {
    let examples = recorded(&["camunda-8.6.0", "camunda-docs-"]);
    feed("camunda", &examples, |input| now(camunda_told(input)));
}

async fn camunda_told(input: &Input) -> Vec<String> {
    let apps: BTreeMap<HistoryApp, Endpoint> = APPS.into_iter().map(|app| (app, endpoint())).collect();
    let rest = Some(endpoint());
    let client = CamundaClient::new(always(input), input.pick(&DIALECTS), endpoint(), rest, apps)
        .with_disk(Some("/usr/local/zeebe/data".into()), None);
    let broker = BrokerAddress { node: None, address: endpoint().address().into(), reached: true };
    let id = BackupId::new(17).unwrap();
    let mut all = vec![
        told(client.cluster().await),
        told(client.store().await),
        told(client.highest_runtime_id().await),
        told(client.pause_exporting().await),
        told(client.resume_exporting().await),
        told(client.positions(std::slice::from_ref(&broker), Timestamp::UNIX_EPOCH).await),
        told(client.start_runtime(id).await),
        told(client.runtime(id).await),
    ];
    let app = input.pick(&APPS);
    all.extend([
        told(client.highest_history_id(app).await),
        told(client.repository_of(app).await),
        told(client.start_history(app, id).await),
        told(client.history(app, id).await),
    ]);
    client.machines(&[broker]).await;
    all.into_iter().flatten().collect()
}

/// The one answer that may hold passwords: nothing of it is repeated.
#[test]
fn configuration() {
    let examples = recorded(&["configprops"]);
    feed("configuration", &examples, |input| {
        let answer = response(input);
        let told = configprops::told(&Answer::of(&answer));
        let _ = told.as_ref().and_then(|told| told.repository_under("camunda.operate"));
        Vec::new()
    });
}

#[test]
fn search() {
    let examples = recorded(&["elasticsearch-", "opensearch-"]);
    feed("search", &examples, |input| now(search_told(input)));
}

async fn search_told(input: &Input) -> Vec<String> {
    let client = SearchClient::new(always(input), endpoint());
    let identity = told(client.identity().await);
    let search = client.of(input.pick(&[SearchProduct::Elasticsearch, SearchProduct::Opensearch]));
    let request = SnapshotRequest {
        repository: "camunda".into(),
        snapshot: "camunda_zeebe_records_backup_17".into(),
        pattern: "zeebe-record*".into(),
        run: RunId("backup-17".into()),
        backup: BackupId::new(17).unwrap(),
    };
    let patterns = ["zeebe-record*".to_owned()];
    let all = [
        identity,
        told(search.repository("camunda").await),
        told(search.verify_repository("camunda").await),
        told(search.lacks(&patterns).await),
        told(search.indices(&patterns).await),
        told(search.create_snapshot(&request).await),
        told(search.snapshot("camunda", &request.snapshot).await),
        told(search.snapshot_progress("camunda", &request.snapshot).await),
        told(search.snapshot_names("camunda", "camunda_*").await),
    ];
    all.into_iter().flatten().collect()
}

/// Any server at the management address, and nothing else anywhere.
#[test]
fn discovering_from_anything() {
    let examples = recorded(&["self-description", "root", "cat-indices"]);
    feed("discovering from anything", &examples, |input| now(discovered(always(input))));
}

pub(crate) async fn discovered(transport: Arc<dyn Transport>) -> Vec<String> {
    let configured = Configured {
        name: "default".into(),
        management: Some("localhost:9600".into()),
        operate: Some("localhost:9610".into()),
        tasklist: Some("localhost:9640".into()),
        ..Configured::default()
    };
    match discovery::discover(transport, &configured).await {
        Ok(found) => {
            found.findings.iter().map(|finding| format!("{}\n{}", finding.what, finding.todo)).collect()
        }
        Err(fault) => told::<()>(Err(fault)).into_iter().collect(),
    }
}

/// Pages of proxies, logins and errors.
#[test]
fn error_pages() {
    let mut examples = recorded(&["-no-credentials", "missing", "unusable"]);
    examples.push(b"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head></html>".to_vec());
    feed("error pages", &examples, |input| {
        let answer = response(input);
        let fault = status_fault("asking", &endpoint().get("/x"), &answer);
        vec![excerpt(&answer.body), format!("{fault}"), format!("{}", answer.is_html())]
    });
}
