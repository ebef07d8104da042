//! What mutants make of answers.

use std::collections::BTreeSet;

use c8keep_adapters::transport::{Method, Request, Response};
use c8keep_core::backup::PartName;
use serde_json::{Value, json};

pub(super) fn good() -> Response {
    let body = r#"{"body":null,"status":204,"contentType":null}"#;
    Response { status: 200, content_type: Some("application/json".into()), body: body.into() }
}

pub(super) fn replaced(answer: Response, pairs: &[(&str, &str)]) -> Response {
    let mut text = String::from_utf8_lossy(&answer.body).into_owned();
    for (from, to) in pairs {
        text = text.replace(from, to);
    }
    Response { body: text.into(), ..answer }
}

/// Positions as of a broker that has exported more than there will ever be.
pub(super) fn far_ahead(answer: Response) -> Response {
    let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    for partition in told.as_object_mut().into_iter().flat_map(|partitions| partitions.values_mut()) {
        if partition["exportedPosition"].is_number() {
            partition["exportedPosition"] = 9_999_999_999_u64.into();
        }
    }
    Response { body: told.to_string().into(), ..answer }
}

/// A list of snapshots in which every one is whole; one of names only tells of no shards.
pub(super) fn flattered(answer: Response) -> Response {
    let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let snapshots = told.get_mut("snapshots").and_then(Value::as_array_mut);
    for snapshot in snapshots.into_iter().flatten() {
        if snapshot["state"] == "PARTIAL" && snapshot.get("shards").is_some() {
            snapshot["state"] = "SUCCESS".into();
            snapshot["failures"] = json!([]);
            snapshot["shards"]["failed"] = 0.into();
            let total = snapshot["shards"]["total"].clone();
            snapshot["shards"]["successful"] = total;
        }
    }
    Response { body: told.to_string().into(), ..answer }
}

/// What a server would have answered to a change, had it been heard.
pub(super) fn done(request: &Request) -> Option<Response> {
    let path = request.url.split('?').next().unwrap_or(&request.url);
    let (status, body) = match request.method {
        Method::Put => (200, json!({"accepted": true})),
        Method::Post if path.contains("/actuator/exporting/") => return Some(good()),
        Method::Post if path.ends_with("/actuator/backupRuntime") => (202, json!({"message": "scheduled"})),
        Method::Post if path.contains("gateway") && path.ends_with("/actuator/backups") => {
            (202, json!({"message": "scheduled"}))
        }
        Method::Post => (200, json!({"scheduledSnapshots": []})),
        Method::Get | Method::Delete => return None,
    };
    Some(answered(status, &body))
}

fn answered(status: u16, body: &Value) -> Response {
    Response { status, content_type: Some("application/json".into()), body: body.to_string().into() }
}

/// A list of parts in which none is missing, and for each of them a snapshot; of what none of them holds nothing exists any more.
pub(super) fn with_every_part(request: &Request, answer: Response) -> Response {
    let name = request.url.split('?').next().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
    if answer.status == 404 && request.url.contains("/_snapshot/") && PartName::parse(name).is_some() {
        let shards = json!({"total": 0, "failed": 0, "successful": 0});
        let snapshot =
            json!({"snapshot": name, "uuid": "none", "state": "SUCCESS", "indices": [], "shards": shards});
        return answered(200, &json!({ "snapshots": [snapshot] }));
    }
    if names_indices(request) {
        return answered(200, &json!([]));
    }
    let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let key =
        if told.get("details").is_some() { ("details", "snapshotName") } else { ("snapshots", "snapshot") };
    let Some(details) = told.get_mut(key.0).and_then(Value::as_array_mut) else { return answer };
    let known: BTreeSet<String> =
        details.iter().filter_map(|part| Some(part.get(key.1)?.as_str()?.to_owned())).collect();
    let Some((stem, of)) = known.first().and_then(|name| {
        let (stem, _) = name.rsplit_once("_part_")?;
        Some((stem.to_owned(), PartName::parse(name)?.of))
    }) else {
        return answer;
    };
    for part in 1..=of {
        let name = format!("{stem}_part_{part}_of_{of}");
        if !known.contains(&name) {
            details.push(match key.0 {
                "details" => json!({"snapshotName": name, "state": "SUCCESS", "failures": []}),
                _ => json!({ "snapshot": name }),
            });
        }
    }
    Response { body: told.to_string().into(), ..answer }
}

/// A list of partitions in which none is missing below the highest.
pub(super) fn with_every_partition(answer: Response) -> Response {
    let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let Some(details) = told.get_mut("details").and_then(Value::as_array_mut) else { return answer };
    let known: BTreeSet<u64> = details.iter().filter_map(|part| part["partitionId"].as_u64()).collect();
    for missing in (1..known.last().copied().unwrap_or(0)).filter(|partition| !known.contains(partition)) {
        details.push(json!({"partitionId": missing, "state": "COMPLETED"}));
    }
    Response { body: told.to_string().into(), ..answer }
}

/// Whether it asks for indices by their whole names.
fn names_indices(request: &Request) -> bool {
    let path = request.url.split('?').next().unwrap_or_default();
    path.contains("/_cat/indices/") && !path.contains('*') && !path.contains("%2A")
}

/// A snapshot in which something is, and of what is not in it nothing exists any more.
pub(super) fn with_something(request: &Request, answer: Response) -> Response {
    if names_indices(request) {
        return answered(200, &json!([]));
    }
    let Ok(mut told) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let snapshots = told.get_mut("snapshots").and_then(Value::as_array_mut);
    for snapshot in snapshots.into_iter().flatten().filter(|snapshot| snapshot["shards"]["total"] == 0) {
        snapshot["shards"] = json!({"total": 1, "failed": 0, "successful": 1});
    }
    Response { body: told.to_string().into(), ..answer }
}
