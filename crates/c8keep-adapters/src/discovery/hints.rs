//! What to do when an address leads elsewhere: the variable and the key that give it, and the port that it should have.

use c8keep_core::backup::HistoryApp;
use c8keep_core::fault::{Fault, FaultKind};

/// Every variable or key that gives a management address.
pub(super) const MANAGEMENT: &str = "set ORCHESTRATION_CLUSTER_MANAGEMENT_API (for example http://localhost:9600) or CAMUNDA_RELEASE_NAME, or \
     `management` in the configuration; for Camunda 8.5–8.7 also OPERATE_MANAGEMENT_API and TASKLIST_MANAGEMENT_API";

/// A version of which nobody knows here what its endpoints mean. Nothing was asked of it but what it is.
pub(super) const UNSUPPORTED: &str = "nothing was paused; upgrade c8keep, or Camunda to a version that it knows, and until then take the \
     backup by Camunda's own page \"Create a backup\" for that version";

/// An endpoint that this version has and does not show. From 8.8 on brokers and gateways in profiles of their own have the old
/// path in its place (camunda/camunda, 9aa04023).
pub(super) const NOT_EXPOSED: &str = "expose it (management.endpoints.web.exposure.include); while an upgrade is under way, wait for its end. From 8.8 on \
     a broker or gateway in a profile of its own has no such endpoint, and is not backed up by this version of c8keep";

/// Something else answers at the management address.
pub(super) use crate::camunda::MANAGEMENT_ELSEWHERE;

/// Nothing answers at a search address, or nobody tells one.
pub(super) const SEARCH: &str = "set ELASTIC_ENDPOINT or OPENSEARCH_ENDPOINT, or `search.address` in the configuration, to an \
     address that is reachable from here";

/// Something else answers at the search address.
pub(super) const SEARCH_ELSEWHERE: &str = "is this the address of Elasticsearch or OpenSearch? Set ELASTIC_ENDPOINT or OPENSEARCH_ENDPOINT, or \
     `search.address` in the configuration, to its HTTP port, 9200 by default";

/// The variable that gives an application's management address, and its section in the configuration.
pub(super) fn names_of(app: HistoryApp) -> (&'static str, &'static str) {
    match app {
        HistoryApp::Operate => ("OPERATE_MANAGEMENT_API", "operate.address"),
        HistoryApp::Tasklist => ("TASKLIST_MANAGEMENT_API", "tasklist.address"),
        HistoryApp::Optimize => ("OPTIMIZE_MANAGEMENT_API", "optimize.address"),
        HistoryApp::Webapps => ("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "management"),
    }
}

/// An application that is out of reach is named with what gives its address: of a dozen addresses the one to look at.
pub(super) fn of_app(app: HistoryApp, fault: Fault) -> Fault {
    if fault.kind != FaultKind::Unreachable {
        return fault;
    }
    let (variable, key) = names_of(app);
    let target = format!("{app} ({variable} or `{key}`), {}", fault.target);
    Fault { target, ..fault }
}

/// Something else answers at an application's address.
pub(super) fn elsewhere(app: HistoryApp) -> String {
    let (variable, key) = names_of(app);
    let port = if app == HistoryApp::Optimize { 8092 } else { 9600 };
    format!(
        "set {variable}, or `{key}` in the configuration, to the management port of {app} itself, {port} by default{}",
        if app == HistoryApp::Optimize { "" } else { "; a context path belongs to the address" }
    )
}

/// One address for two applications, of which each has a port of its own.
pub(super) fn one_of_both(app: HistoryApp, other: HistoryApp) -> String {
    let given = |app| {
        let (variable, key) = names_of(app);
        format!("{variable} (`{key}`)")
    };
    let (one, two) = (given(app), given(other));
    format!("each has a management port of its own, and one of the two is given wrong: {one} or {two}")
}

/// An answer that the right server would not give is another server's, whatever its status: search servers say 400 to a
/// path that they do not know (seen on OpenSearch 3.8.0), Spring 404. What passes, or wants a login, is left as it is.
pub(super) fn misplaced(fault: Fault, hint: impl Into<String>) -> Fault {
    match fault.kind {
        FaultKind::Absent | FaultKind::Strange => Fault { kind: FaultKind::Strange, ..fault }.with_hint(hint),
        FaultKind::Refused if !fault.is_retryable() => {
            Fault { kind: FaultKind::Strange, ..fault }.with_hint(hint)
        }
        _ => fault,
    }
}
