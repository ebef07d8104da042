//! What goes over the wire, and from it to the domain's words: pure functions over status and body.
//!
//! Lenient where servers differ (unknown keys, missing keys, `null` for an empty list), strict where it counts: a word
//! that is not known is kept as it is and never turned into one that means success.

use std::collections::BTreeMap;

use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::facts::{PartitionReading, RuntimePartition};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::verdict::{HistoryStatus, PartStatus, RuntimeStatus};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::fault::Call;
use crate::transport::Response;

/// An HTTP answer, as far as it is read here.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The whole body, already limited in size by the transport.
    pub body: &'a [u8],
}

/// A message longer than this is cut: the rest is topology dumps and stack traces.
const MESSAGE_CHARS_MAX: usize = 300;

impl<'a> Answer<'a> {
    /// What came back from the transport.
    pub fn of(response: &'a Response) -> Answer<'a> {
        Answer { status: response.status, body: &response.body }
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether a page for people came back.
    pub fn is_html(&self) -> bool {
        let start = self.body.trim_ascii_start();
        let start = start.get(..start.len().min(15)).unwrap_or_default().to_ascii_lowercase();
        start.starts_with(b"<!doctype") || start.starts_with(b"<html")
    }

    /// The body as JSON of a shape; the error names no content, because the content may hold secrets.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(self.body).map_err(|e| match e.classify() {
            serde_json::error::Category::Eof => "the body ends in the middle".into(),
            serde_json::error::Category::Data => "the JSON has another shape".into(),
            _ => format!("not JSON, line {} column {}", e.line(), e.column()),
        })
    }

    /// What the server says in its body, one line, cut; `None` where there is nothing to read.
    pub fn message(&self) -> Option<String> {
        let value: Value = serde_json::from_slice(self.body).ok()?;
        message_in(&value).map(|text| one_line(&text))
    }

    /// Whether it says nothing of what was asked for: a server that is busy or broken, or a body that is none of this question's.
    pub fn is_no_word(&self) -> bool {
        self.is_success() || self.status == 429 || self.status >= 500
    }

    /// Status and message, for messages to people.
    pub fn told(&self) -> String {
        match self.message() {
            _ if self.is_html() => format!("HTTP {} with an HTML page", self.status),
            Some(message) => format!("HTTP {}: {message}", self.status),
            None => format!("HTTP {}", self.status),
        }
    }
}

/// Every server has its own: brokers and web apps `message`, problem details `detail` and `title`, Optimize
/// `errorMessage`, Spring's own error page `error`, and 8.10 a plain string.
fn message_in(value: &Value) -> Option<String> {
    const KEYS: [&str; 7] =
        ["message", "detailedMessage", "errorMessage", "detail", "failure", "title", "error"];
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Object(map) => KEYS
            .iter()
            .filter_map(|key| map.get(*key)?.as_str())
            .find(|text| !text.trim().is_empty())
            .map(str::to_owned),
        _ => None,
    }
}

/// One line of at most `MESSAGE_CHARS_MAX` characters.
pub fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MESSAGE_CHARS_MAX {
        return line;
    }
    let cut: String = line.chars().take(MESSAGE_CHARS_MAX - 1).collect();
    format!("{cut}…")
}

// ---- exporting ----

/// The envelope of `/actuator/exporting/*` (8.5–8.9): HTTP 200 in every case, the truth in `status`. `body` is null,
/// a serialised exception (to 8.9) or a text (8.10).
#[derive(Deserialize)]
struct Envelope {
    status: Option<u16>,
    #[serde(default)]
    body: Value,
}

/// Success is HTTP 204, or HTTP 2xx with body status 204; everything else leaves the partitions in an unknown state.
pub fn exporting(call: &Call, answer: &Answer<'_>) -> Result<(), Fault> {
    const HINT: &str = "usually a broker is missing: some partitions may be paused and others not. Bring every broker \
                        back; c8keep resumes exporting as soon as they are all there";
    if answer.status == 204 {
        return Ok(());
    }
    if answer.is_html() || !answer.is_success() {
        let fault = call.unexpected_change(answer);
        // A 400 can come from a proxy that has passed the call on; 5xx from the brokers themselves.
        return Err(match answer.status {
            401 | 403 | 404 | 405 => fault,
            _ => fault.with_unknown_effect().with_retry(),
        });
    }
    match answer.json::<Envelope>() {
        Ok(Envelope { status: Some(204), .. }) => Ok(()),
        Ok(Envelope { status: Some(status), body }) => {
            let said = message_in(&body).map_or_else(|| "no message".into(), |text| one_line(&text));
            let fault =
                call.fault(FaultKind::Refused, format!("HTTP {}, status {status}: {said}", answer.status));
            Err(fault.with_hint(HINT).with_retry().with_unknown_effect())
        }
        Ok(Envelope { status: None, .. }) => {
            Err(call.unreadable(answer, "it has no status").with_unknown_effect())
        }
        Err(why) => Err(call.unreadable(answer, &why).with_unknown_effect()),
    }
}

// ---- history ----

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scheduled {
    scheduled_snapshots: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryBody {
    backup_id: Option<u64>,
    state: Option<String>,
    failure_reason: Option<String>,
    details: Option<Vec<HistoryDetail>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryDetail {
    snapshot_name: Option<String>,
    state: Option<String>,
    /// Empty (Elasticsearch) or `null` (OpenSearch) where nothing failed; texts or objects where something did.
    failures: Option<Vec<Value>>,
}

/// The answer to the request for a backup: the snapshot names, of which Optimize announces none.
pub fn history_started(call: &Call, app: HistoryApp, answer: &Answer<'_>) -> Result<Vec<String>, Fault> {
    if answer.is_success() && !answer.is_html() {
        if app == HistoryApp::Optimize {
            return Ok(Vec::new());
        }
        let names = answer.json::<Scheduled>().map(|body| body.scheduled_snapshots);
        return match names {
            Ok(names) if !names.is_empty() => Ok(names),
            Ok(_) => Err(call.unreadable(answer, "it announces no snapshots").with_unknown_effect()),
            Err(why) => Err(call.unreadable(answer, &why).with_unknown_effect()),
        };
    }
    let said = answer.message().unwrap_or_default();
    if answer.is_html() {
        return Err(call.unexpected_change(answer));
    }
    Err(match answer.status {
        400 | 409 if said.contains("Another backup is running") || said.contains("already running") => call
            .fault(FaultKind::Refused, answer.told())
            .with_retry()
            .with_hint(format!(
                "{app} takes one backup at a time; this one starts when the other has ended. If none runs, restart \
                 its pod: a failed part can leave its queue stuck in memory"
            )),
        // It cannot read a snapshot that is being taken, so one of this id is (seen on 8.6.0 with OpenSearch).
        400 if said.contains("when validating whether") => call
            .fault(FaultKind::Refused, answer.told())
            .with_retry()
            .with_hint(format!("{app} is taking a backup of this id; see its log if that never ends")),
        400 | 409 if said.contains("already exist") || answer.status == 409 => call
            .fault(FaultKind::Refused, answer.told())
            .with_hint(format!("{app} already has a backup of this id; take a higher one")),
        400 | 404 if said.to_ascii_lowercase().contains("repository") => {
            call.fault(FaultKind::Refused, answer.told()).with_hint(format!(
                "configure the snapshot repository in {app} and register it in the search server"
            ))
        }
        // A 5xx may follow after some of the snapshots are queued.
        500 | 502..=504 => {
            let hint = format!("see the log of {app} and whether it reaches its search server");
            call.unexpected_change(answer).with_retry().with_hint(hint)
        }
        _ => call.unexpected_change(answer),
    })
}

/// What an application says of one backup. Errors in JSON are states: 400 "Index 0 out of bounds", 404, and on
/// OpenSearch 400 "Exception occurred when searching" are all normal for a while (seen on 8.6.0).
pub fn history_status(call: &Call, id: BackupId, answer: &Answer<'_>) -> Result<HistoryStatus, Fault> {
    if answer.is_html() {
        return Err(call.unexpected(answer));
    }
    match answer.status {
        200..=299 => {
            let body: HistoryBody = answer.json().map_err(|why| call.unreadable(answer, &why))?;
            if let Some(other) = body.backup_id.filter(|told| *told != id.get()) {
                return Err(call.unreadable(answer, &format!("it speaks of backup {other}")));
            }
            history_of(body).ok_or_else(|| call.unreadable(answer, "it has no state"))
        }
        400 | 404 | 500 | 502..=504 if answer.json::<Value>().is_ok_and(|v| v.is_object()) => {
            Ok(HistoryStatus {
                state: answer.status.to_string(),
                failure: answer.message(),
                parts: Vec::new(),
            })
        }
        _ => Err(call.unexpected(answer)),
    }
}

fn history_of(body: HistoryBody) -> Option<HistoryStatus> {
    let details = body.details.unwrap_or_default();
    let failures: Vec<String> =
        details.iter().flat_map(|d| d.failures.iter().flatten()).filter_map(failure_line).collect();
    let failure = body.failure_reason.filter(|r| !r.trim().is_empty()).map(|r| one_line(&r));
    let parts = details
        .into_iter()
        .map(|d| PartStatus {
            name: d.snapshot_name.unwrap_or_default(),
            state: d.state.unwrap_or_else(|| "no state told".into()),
        })
        .collect();
    Some(HistoryStatus {
        state: body.state?,
        failure: failure.or_else(|| (!failures.is_empty()).then(|| one_line(&failures.join("; ")))),
        parts,
    })
}

fn failure_line(failure: &Value) -> Option<String> {
    match failure {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => {
            ["reason", "message"].iter().find_map(|key| map.get(*key)?.as_str()).map(str::to_owned)
        }
        _ => None,
    }
}

// ---- runtime ----

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeBody {
    backup_id: Option<u64>,
    state: Option<String>,
    failure_reason: Option<String>,
    details: Option<Vec<RuntimeDetail>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeDetail {
    partition_id: u32,
    state: Option<String>,
    failure_reason: Option<String>,
    snapshot_id: Option<String>,
    checkpoint_position: Option<i64>,
    broker_version: Option<String>,
    created_at: Option<String>,
    last_updated_at: Option<String>,
}

/// The answer to the request for a runtime backup; 202 says only that it was written into the log.
pub fn runtime_started(call: &Call, answer: &Answer<'_>) -> Result<(), Fault> {
    if answer.is_success() && !answer.is_html() {
        return Ok(());
    }
    let said = answer.message().unwrap_or_default();
    Err(match answer.status {
        409 if said.contains("must be higher") => {
            call.fault(FaultKind::Refused, answer.told()).with_hint("a used id is burnt for ever; take a higher one")
        }
        // A scaling cluster refuses with 409, too, and some partitions may have begun all the same.
        409 => call
            .fault(FaultKind::Refused, answer.told())
            .with_hint("wait until the scaling has ended (/actuator/cluster has no pendingChange), then take a new id")
            .with_unknown_effect(),
        400 => call
            .fault(FaultKind::Refused, answer.told())
            .with_hint("the brokers refuse the request itself; see whether a backup store is configured on all of them"),
        503 => call
            .fault(FaultKind::Refused, answer.told())
            .with_hint("a broker is out of disk space or overloaded")
            .with_retry()
            .with_unknown_effect(),
        500 | 502 => call
            .unexpected_change(answer)
            .with_retry()
            .with_hint("see whether all brokers are up and reach the backup store"),
        // The command may be in the log already; it is read back before it counts as either.
        504 => call.unexpected_change(answer).with_retry().with_hint("a broker did not answer the gateway in time"),
        _ => call.unexpected_change(answer),
    })
}

/// The brokers' word on one backup. 404 right after the 202 is normal, and so are 500 and 504 while the store is away.
pub fn runtime_status(call: &Call, id: BackupId, answer: &Answer<'_>) -> Result<RuntimeStatus, Fault> {
    if answer.is_html() {
        return Err(call.unexpected(answer));
    }
    match answer.status {
        200..=299 => {
            let body: RuntimeBody = answer.json().map_err(|why| call.unreadable(answer, &why))?;
            if let Some(other) = body.backup_id.filter(|told| *told != id.get()) {
                return Err(call.unreadable(answer, &format!("it speaks of backup {other}")));
            }
            let state = body.state.ok_or_else(|| call.unreadable(answer, "it has no state"))?;
            let failure = body.failure_reason.filter(|r| !r.trim().is_empty()).map(|r| one_line(&r));
            let partitions = body.details.unwrap_or_default().into_iter().map(partition_of).collect();
            Ok(RuntimeStatus { state, failure, partitions })
        }
        400 | 404 | 500 | 502..=504 if answer.json::<Value>().is_ok_and(|v| v.is_object()) => {
            Ok(RuntimeStatus {
                state: answer.status.to_string(),
                failure: answer.message(),
                partitions: Vec::new(),
            })
        }
        _ => Err(call.unexpected(answer)),
    }
}

fn partition_of(detail: RuntimeDetail) -> RuntimePartition {
    RuntimePartition {
        partition: detail.partition_id,
        state: detail.state.unwrap_or_else(|| "no state told".into()),
        failure: detail.failure_reason.filter(|r| !r.trim().is_empty()).map(|r| one_line(&r)),
        snapshot: detail.snapshot_id,
        checkpoint: detail.checkpoint_position,
        broker_version: detail.broker_version,
        created_at: detail.created_at,
        updated_at: detail.last_updated_at,
    }
}

// ---- lists of backups ----

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    backup_id: Option<u64>,
}

/// The highest id of a list of backups; the order is promised by nobody.
pub fn highest_id(call: &Call, answer: &Answer<'_>) -> Result<Option<BackupId>, Fault> {
    if !answer.is_success() || answer.is_html() {
        return Err(call.unexpected(answer));
    }
    let list: Vec<Listed> = answer.json().map_err(|why| call.unreadable(answer, &why))?;
    Ok(list.into_iter().filter_map(|b| BackupId::new(b.backup_id?).ok()).max())
}

/// The same of an application. Where it has no repository, or one that is not registered, it says so here (404 up to
/// 8.7, 400 from 8.8 on): a prerequisite of the page, better known before the pause.
pub fn highest_history_id(
    call: &Call,
    app: HistoryApp,
    answer: &Answer<'_>,
) -> Result<Option<BackupId>, Fault> {
    let said = answer.message().unwrap_or_default();
    if matches!(answer.status, 400 | 404) && said.to_ascii_lowercase().contains("repository") {
        let hint = format!("configure the snapshot repository in {app} and register it in the search server");
        return Err(Fault::precondition(&call.doing, &call.target, answer.told(), hint));
    }
    highest_id(call, answer)
}

// ---- partitions ----

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
    role: Option<String>,
    processed_position: Option<i64>,
    snapshot_id: Option<String>,
    exporter_phase: Option<String>,
    exported_position: Option<i64>,
}

/// A broker's own partitions. Empty while it is busy, and always on a gateway of its own; a replica in transition has
/// no position yet and is left out: a reading without a position is none.
pub fn partitions(call: &Call, answer: &Answer<'_>) -> Result<BTreeMap<u32, PartitionReading>, Fault> {
    if !answer.is_success() || answer.is_html() {
        return Err(call.unexpected(answer));
    }
    let map: BTreeMap<u32, Partition> = answer.json().map_err(|why| call.unreadable(answer, &why))?;
    let readings = map.into_iter().filter_map(|(id, p)| {
        let reading = PartitionReading {
            role: p.role.unwrap_or_default(),
            phase: p.exporter_phase.unwrap_or_default(),
            exported: p.exported_position?,
            processed: p.processed_position,
            snapshot: p.snapshot_id,
        };
        Some((id, reading))
    });
    Ok(readings.collect())
}
