//! Where the exported records are. A wrong prefix is a successful snapshot of nothing, so it is taken from the
//! exporter itself, and two different ones are never mixed.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::Dialect;
use c8keep_core::fault::Fault;
use c8keep_core::installation::Records;

use super::DOING;
use crate::camunda::configprops::Exporter;
use crate::discovery::observe::{ClusterSeen, Observed};
use crate::discovery::{Configured, Finding, Level, RecordsChoice, Sourced};

/// The exporters' own default (Camunda docs, "Elasticsearch exporter").
const PREFIX_DEFAULT: &str = "zeebe-record";

pub(in crate::discovery) fn choose(
    configured: &Configured,
    observed: &Observed,
    findings: &mut Vec<Finding>,
) -> Result<Sourced<Records>, Fault> {
    let told = &observed.cluster.told;
    let source = observed.cluster.management.join("/actuator/configprops");
    let exporters: Vec<(&String, &Exporter)> = told.iter().flat_map(|told| &told.exporters).collect();
    let mut disabled = Vec::new();
    let enabled: Vec<(&String, &Exporter)> = exporters
        .iter()
        .filter(|(id, e)| writes_records(e) && is_enabled(observed, id, &mut disabled))
        .copied()
        .collect();
    if configured.records != Some(RecordsChoice::Off) {
        findings.extend(disabled);
    }
    let prefixes: BTreeSet<&str> =
        enabled.iter().map(|(_, e)| e.prefix.as_deref().unwrap_or(PREFIX_DEFAULT)).collect();
    let told_by = |value: Records| Sourced { value, source: source.clone() };
    let by_us = |value: Records| Sourced { value, source: "configured".into() };
    let records = match &configured.records {
        Some(RecordsChoice::Off) => {
            by_us(Records::Excluded { reason: "switched off in the configuration".into() })
        }
        Some(RecordsChoice::Prefix(prefix)) => {
            for other in prefixes.iter().filter(|other| *other != prefix) {
                let what =
                    format!("records prefix {prefix} is configured, but an exporter writes to {other}");
                findings.push(Finding::new(Level::Contradiction, what, &source));
            }
            by_us(Records::Prefix { prefix: prefix.clone() })
        }
        None => match prefixes.iter().copied().collect::<Vec<_>>().as_slice() {
            [prefix] => {
                let ids: Vec<&str> = enabled.iter().map(|(id, _)| id.as_str()).collect();
                let what = format!("records in {prefix}*, written by exporter {}", ids.join(", "));
                findings.push(Finding::new(Level::Found, what, &source));
                told_by(Records::Prefix { prefix: (*prefix).to_owned() })
            }
            [] if !exporters.is_empty() && exporters.iter().all(|(_, e)| !e.class.is_empty()) => {
                told_by(none(&exporters, observed, findings))
            }
            [] if told_without_exporters(observed) => told_by(none(&exporters, observed, findings)),
            [] => by_the_applications(observed, findings),
            several => return Err(ambiguous(several, &source)),
        },
    };
    compare_with_importers(observed, &records.value, findings);
    Ok(records)
}

/// The prefixes that the brokers' exporters write to, enabled or not; `-` where they tell none.
pub(in crate::discovery) fn told_prefixes(cluster: &ClusterSeen) -> String {
    let exporters = cluster.told.iter().flat_map(|told| &told.exporters).map(|(_, exporter)| exporter);
    let prefixes: BTreeSet<&str> = exporters
        .filter(|exporter| writes_records(exporter))
        .map(|exporter| exporter.prefix.as_deref().unwrap_or(PREFIX_DEFAULT))
        .collect();
    if prefixes.is_empty() { "-".into() } else { prefixes.into_iter().collect::<Vec<_>>().join(",") }
}

/// The two exporters that write records; the Camunda exporter of 8.8 writes the applications' indices instead.
fn writes_records(exporter: &Exporter) -> bool {
    exporter.class.ends_with("ElasticsearchExporter") || exporter.class.ends_with("OpensearchExporter")
}

/// Where `/actuator/exporters` does not tell, a configured exporter counts as enabled: leaving records out wrongly
/// loses them, looking for them wrongly is noticed before the pause.
fn is_enabled(observed: &Observed, id: &str, findings: &mut Vec<Finding>) -> bool {
    let status =
        observed.cluster.exporters.iter().flatten().find(|(other, _)| other.eq_ignore_ascii_case(id));
    match status.map(|(_, status)| status.as_str()) {
        Some("DISABLED") => {
            let source = observed.cluster.management.join("/actuator/exporters");
            let todo = format!(
                "let it export again (POST /actuator/exporters/{id}/enable), or leave the records out: `records: {{enabled: false}}`"
            );
            let what = format!("exporter {id} is configured, and disabled: it writes no records");
            findings.push(Finding::new(Level::Contradiction, what, source).with_todo(todo));
            false
        }
        _ => true,
    }
}

/// A broker that told its configuration, and no exporter in it, has none.
fn told_without_exporters(observed: &Observed) -> bool {
    let told = observed.cluster.told.as_ref();
    let told =
        told.is_some_and(|t| t.exporters.is_empty() && t.broker.as_ref().is_some_and(|b| b.node.is_some()));
    told && observed.cluster.exporters.as_ref().is_some_and(std::collections::BTreeMap::is_empty)
}

fn none(exporters: &[(&String, &Exporter)], observed: &Observed, findings: &mut Vec<Finding>) -> Records {
    let ids: Vec<String> = exporters.iter().map(|(id, e)| format!("{id} ({})", e.class)).collect();
    let configured = if ids.is_empty() { "none is configured".to_owned() } else { ids.join(", ") };
    let reason = format!("no Elasticsearch or OpenSearch exporter is enabled: {configured}");
    // Up to 8.7 Operate and Tasklist live from these records, and Optimize does in every version.
    let reader = observed.apps.keys().find(|app| **app != HistoryApp::Webapps);
    let finding =
        |level, what| Finding::new(level, what, observed.cluster.management.join("/actuator/configprops"));
    findings.push(match reader {
        Some(app) => finding(Level::Contradiction, format!("{app} reads exported records, but {reason}"))
            .with_todo("configure the exporter on every broker; what it has missed is in no backup of the search server"),
        None => finding(Level::Note, format!("{reason}; a backup has no records")),
    });
    Records::Excluded { reason }
}

/// Nobody tells the exporters. What the applications import from is as good; else the default is tried, and the census
/// before the pause ends the run if there is no such index. A default that is merely tried is said by nobody.
fn by_the_applications(observed: &Observed, findings: &mut Vec<Finding>) -> Sourced<Records> {
    let read: BTreeMap<&str, String> = importers(observed).map(|(source, prefix)| (prefix, source)).collect();
    let (prefix, source) = match read.into_iter().collect::<Vec<_>>().as_slice() {
        [(prefix, source)] => ((*prefix).to_owned(), source.clone()),
        _ => (PREFIX_DEFAULT.to_owned(), String::new()),
    };
    let what = format!("the brokers do not tell their exporters; records are looked for in {prefix}*");
    findings.push(Finding::new(Level::Note, what, observed.cluster.management.join("/actuator/configprops")));
    Sourced { value: Records::Prefix { prefix }, source }
}

fn ambiguous(prefixes: &[&str], source: &str) -> Fault {
    Fault::precondition(
        DOING,
        source,
        format!("exporters write records with different prefixes: {}", prefixes.join(", ")),
        "set `records.prefix` in the configuration to the one that the applications read",
    )
}

/// What importing applications (8.5–8.7) read their records from.
fn importers(observed: &Observed) -> impl Iterator<Item = (String, &str)> {
    observed.apps.values().flat_map(|app| {
        let told = app.told.iter().flat_map(|told| &told.record_prefixes);
        told.map(|(property, prefix)| (format!("{property} at {}", app.endpoint.address()), prefix.as_str()))
    })
}

/// An application tells a prefix for both products, of which one is a default that means nothing: it contradicts only
/// where none of what it tells is ours.
fn compare_with_importers(observed: &Observed, records: &Records, findings: &mut Vec<Finding>) {
    let Records::Prefix { prefix } = records else { return };
    // From 8.8 on nobody imports: what the old properties say there means nothing.
    if observed.cluster.dialect != Dialect::SplitActuators {
        return;
    }
    for app in observed.apps.values() {
        let told: Vec<&(String, String)> = app.told.iter().flat_map(|told| &told.record_prefixes).collect();
        if told.is_empty() || told.iter().any(|(_, other)| other == prefix) {
            continue;
        }
        for (property, other) in told {
            let what = format!("records are in {prefix}*, but {property} reads {other}*");
            findings.push(Finding::new(Level::Contradiction, what, app.endpoint.address()));
        }
    }
}
