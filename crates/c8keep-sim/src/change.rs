//! What a request would change at the other end, and whether its run has said so before.

use c8keep_core::HistoryApp;
use c8keep_core::plan::Action;
use c8keep_core::run::Run;
use c8keep_twin::Host;

use crate::night::Exchange;

/// What a request would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Pause,
    Resume,
    History(HistoryApp, u64),
    Runtime(u64),
    Records(u64, String),
}

impl Change {
    pub(crate) fn id(&self) -> Option<u64> {
        match self {
            Change::Pause | Change::Resume => None,
            Change::History(_, id) | Change::Runtime(id) | Change::Records(id, _) => Some(*id),
        }
    }
}

/// None where it is nothing that a backup may send; a hard pause is none.
pub(crate) fn change_of(exchange: &Exchange) -> Option<Change> {
    let request = &exchange.request;
    let path = request.path.as_str();
    if request.method == "PUT" {
        let snapshot = path.strip_prefix("/_snapshot/camunda/")?;
        let id = snapshot.strip_prefix("camunda_zeebe_records_backup_")?.parse().ok()?;
        return Some(Change::Records(id, snapshot.to_owned()));
    }
    if request.method != "POST" {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let id = body["backupId"].as_u64();
    match (path, exchange.host?) {
        ("/actuator/exporting/pause", _) if request.query.get("soft").is_some_and(|soft| soft == "true") => {
            Some(Change::Pause)
        }
        ("/actuator/exporting/resume", _) => Some(Change::Resume),
        ("/actuator/backups", Host::Operate) => Some(Change::History(HistoryApp::Operate, id?)),
        ("/actuator/backups", Host::Tasklist) => Some(Change::History(HistoryApp::Tasklist, id?)),
        ("/actuator/backups", Host::Optimize) => Some(Change::History(HistoryApp::Optimize, id?)),
        ("/actuator/backupHistory", _) => Some(Change::History(HistoryApp::Webapps, id?)),
        ("/actuator/backups" | "/actuator/backupRuntime", _) => Some(Change::Runtime(id?)),
        _ => None,
    }
}

/// S1: the run has durably said that it is about to do this.
pub(crate) fn is_intended(run: &Run, change: &Change) -> bool {
    if *change == Change::Resume {
        // The intent of a hold is also the intent of its release.
        return run.hold().is_open();
    }
    run.steps().any(|(step, state)| {
        let named = match (&step.action, change) {
            (Action::PauseExporting, Change::Pause) => true,
            (Action::StartHistory { app, id }, Change::History(other, n)) => app == other && id.get() == *n,
            (Action::StartRuntime { id }, Change::Runtime(n)) => id.get() == *n,
            (Action::SnapshotRecords { snapshot, .. }, Change::Records(_, name)) => snapshot == name,
            _ => false,
        };
        named && state.since().is_some() && !state.is_settled()
    })
}
