//! From a search server's error to a fault. The error's `type` decides before the status: `snapshot_restore_exception`
//! and a read-only repository are 500 and will never pass, a busy repository is 503 and will.

use c8keep_core::fault::{Effect, Fault, FaultKind, Retry};
use c8keep_core::installation::SearchProduct;

use super::wire::{Cause, ErrorAnswer, ErrorWire};
use crate::transport::{Request, Response, excerpt_within, status_fault};

/// What the server's error means.
pub(super) fn refusal(doing: &str, request: &Request, response: &Response) -> Fault {
    let plain = status_fault(doing, request, response);
    let Some(cause) = cause_of(response) else { return plain };
    let fault = Fault { answer: told(response.status, &cause), ..plain };
    let reason = cause.reason.as_deref().unwrap_or_default();
    let never = |kind, hint: &str| Fault {
        kind,
        retry: Retry::Never,
        effect: Effect::None,
        hint: hint.to_owned(),
        ..fault.clone()
    };
    let later = |kind, hint: &str| Fault { retry: Retry::Again, ..never(kind, hint) };
    match cause.kind.as_str() {
        "repository_verification_exception" => never(
            FaultKind::Precondition,
            "a node cannot reach the repository: check path.repo, permissions, bucket and credentials on every node",
        ),
        // Elasticsearch 8.19 says illegal_argument_exception with 400, all others repository_exception with 500.
        "repository_exception" | "illegal_argument_exception" if reason.contains("readonly") => {
            never(FaultKind::Precondition, "register the repository without readonly, or use another one")
        }
        "repository_exception" | "snapshot_exception"
            if reason.contains("expected state") || reason.contains("concurrent modification") =>
        {
            never(
                FaultKind::Precondition,
                "another cluster writes to this repository, or its files were changed",
            )
        }
        "snapshot_exception" if reason.contains("primary shards") => later(
            FaultKind::Refused,
            "see GET /_cluster/health?level=indices for the shards that are not there",
        ),
        "snapshot_name_already_in_use_exception" => never(FaultKind::Refused, "the name is in use"),
        "invalid_snapshot_name_exception" if reason.contains("already") => {
            never(FaultKind::Refused, "the name is in use")
        }
        "invalid_snapshot_name_exception" | "illegal_argument_exception" => never(FaultKind::Refused, ""),
        "index_not_found_exception" => never(FaultKind::Absent, "no such index"),
        "snapshot_missing_exception" => never(FaultKind::Absent, "no such snapshot"),
        "concurrent_snapshot_execution_exception" => {
            later(FaultKind::Refused, "another snapshot, deletion or clean-up is running in this repository")
        }
        "circuit_breaking_exception" | "es_rejected_execution_exception" | "rejected_execution_exception" => {
            later(FaultKind::Refused, "the server is short of memory or threads")
        }
        // 403 for a block is no question of rights (search-server blocks: read-only, disk flood stage, no master).
        "cluster_block_exception" => later(FaultKind::Refused, "a block lies on the cluster or the index"),
        _ => fault,
    }
}

/// Whether the server says that there is no such snapshot, rather than no such repository or route.
pub(super) fn is_missing_snapshot(response: &Response) -> bool {
    response.status == 404 && cause_of(response).is_some_and(|c| c.kind == "snapshot_missing_exception")
}

/// Whether the server says that there is no such index.
pub(super) fn is_missing_index(response: &Response) -> bool {
    response.status == 404 && cause_of(response).is_some_and(|c| c.kind == "index_not_found_exception")
}

/// Whether the server says that no repository of that name is registered.
pub(super) fn is_missing_repository(response: &Response) -> bool {
    response.status == 404 && cause_of(response).is_some_and(|c| c.kind == "repository_missing_exception")
}

/// A repository that is not registered, with the command that registers it. Which call found it out matters to nobody.
pub(super) fn missing_repository(
    doing: &str,
    product: SearchProduct,
    request: &Request,
    repository: &str,
) -> Fault {
    let base = request.url.split_once("/_snapshot").map_or(request.url.as_str(), |(base, _)| base);
    let variable = match product {
        SearchProduct::Elasticsearch => "ELASTIC_SNAPSHOT_REPOSITORY",
        SearchProduct::Opensearch => "OPENSEARCH_SNAPSHOT_REPOSITORY",
    };
    let hint = format!(
        "register it: curl -X PUT '{base}/_snapshot/{repository}' -H 'Content-Type: application/json' \
         -d '{{\"type\":\"fs\",\"settings\":{{\"location\":\"/a/path/below/path.repo\"}}}}' (or type s3, gcs, azure); \
         if it has another name there, set {variable} or `search.repository`"
    );
    let answer = format!("{product} has no snapshot repository named {repository}");
    Fault::precondition(doing, base, answer, hint)
}

fn cause_of(response: &Response) -> Option<Cause> {
    match serde_json::from_slice::<ErrorAnswer>(&response.body).ok()?.error {
        ErrorWire::Told(cause) if !cause.kind.is_empty() => Some(cause),
        _ => None,
    }
}

/// The error and its innermost cause: "Snapshot could not be read" alone helps nobody.
fn told(status: u16, cause: &Cause) -> String {
    const DEPTH_MAX: usize = 10;
    // The last words of a refusal are the privilege that would allow it, behind action, login, roles and indices.
    const CHARS_MAX: usize = 500;
    let say = |c: &Cause| {
        let reason = c.reason.as_deref().unwrap_or("no reason given");
        excerpt_within(format!("{}: {reason}", c.kind).as_bytes(), CHARS_MAX)
    };
    let mut inner = cause;
    for _ in 0..DEPTH_MAX {
        let Some(next) = &inner.caused_by else { break };
        inner = next;
    }
    let mut line = format!("{status} {}", say(cause));
    if !std::ptr::eq(inner, cause) {
        line = format!("{line} ({})", say(inner));
    }
    line
}
