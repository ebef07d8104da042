//! The deciding half of discovery: a pure function from what is configured and what was observed to an installation,
//! or to the fault that says what is missing and how to give it. It asks nobody and never prefers a guess to a fault.

mod apps;
mod records;
mod search;

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::backup::HistoryApp;
use c8keep_core::fault::Fault;
use c8keep_core::installation::{
    AppAddress, BrokerAddress, Fingerprint, Installation, NotCovered, Records, SearchAddress, SearchProduct,
};

use super::observe::{BrokerSeen, ClusterSeen, From, Observed};
use super::{AppPiece, Configured, Finding, Gap, Level, Piece, Sourced, Topic};
use crate::transport::Endpoint;

/// An installation with what is to be said about it.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) installation: Installation,
    /// The search server with its login.
    pub(super) search: Result<Endpoint, Fault>,
    pub(super) findings: Vec<Finding>,
    pub(super) brokers_expected: Option<u32>,
    /// What keeps it from being backed up, the first reason first. In the installation there is nothing in its place.
    pub(super) gaps: Vec<Gap>,
}

const DOING: &str = "resolving the installation";

/// What no backup of c8keep contains (Camunda docs 8.5–8.10, "Backup and restore": none of these has a backup API).
const NEVER_COVERED: [(&str, &str); 5] = [
    (
        "Management Identity and Keycloak databases",
        "not configured: PostgreSQL databases behind them can be added to `databases`",
    ),
    ("Web Modeler database", "not configured: add it to `databases`"),
    ("document store", "outside this procedure: use the means of the bucket that holds the documents"),
    (
        "configuration and secrets",
        "outside this procedure: keep Helm values, environment and secrets on their own",
    ),
    ("Connectors and Console", "outside this procedure: they are deployed again"),
];

/// What an installation is made of, each as far as it is told.
pub(super) struct Pieces {
    pub(super) brokers: Vec<BrokerAddress>,
    pub(super) brokers_expected: Option<u32>,
    pub(super) search: Result<search::Chosen, Fault>,
    pub(super) records: Result<Sourced<Records>, Fault>,
    pub(super) apps: Result<Vec<(HistoryApp, AppPiece)>, Fault>,
    pub(super) repository: Result<Sourced<String>, Fault>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn pieces(configured: &Configured, observed: &Observed) -> Pieces {
    let mut findings = Vec::new();
    cluster_findings(&observed.cluster, &mut findings);
    let brokers = brokers(configured, observed, &mut findings);
    let search = search::choose(configured, observed, &mut findings);
    let records = records::choose(configured, observed, &mut findings);
    let apps = apps::choose(configured, observed, &mut findings);
    let repository = apps::repository(configured, observed, &mut findings);
    let brokers_expected = brokers_expected(&observed.cluster);
    shown_secrets(observed, &mut findings);
    Pieces { brokers, brokers_expected, search, records, apps, repository, findings }
}

/// The installation, as far as it is told.
pub(super) fn resolve(configured: &Configured, observed: &Observed) -> Resolved {
    let cluster = &observed.cluster;
    let mut gaps = Vec::new();
    keep(&mut gaps, Piece::Ids, refuse_own_ids(cluster));
    let pieces = pieces(configured, observed);
    let Pieces { brokers, brokers_expected, search, records, apps, repository, findings } = pieces;
    let (address, search) = match search {
        Ok(search) => (search.address, Ok(search.endpoint)),
        Err(fault) => (search::unknown(configured), Err(fault)),
    };
    keep(&mut gaps, Piece::Search, search.as_ref().map_err(Fault::clone));
    let records = keep(&mut gaps, Piece::Records, records);
    let (apps, mut not_covered) = sorted(keep(&mut gaps, Piece::Apps, apps), &mut gaps);
    let repository = keep(&mut gaps, Piece::Repository, repository);
    let unknown = || Records::Excluded { reason: "nobody tells where they are".into() };
    let records = records.map_or_else(unknown, |records| records.value);
    keep(&mut gaps, Piece::Apps, refuse_optimize(cluster, &address, &apps));
    if let Records::Excluded { reason } = &records {
        not_covered.push(NotCovered { what: "exported records".into(), why: reason.clone() });
    }
    let never = NEVER_COVERED.map(|(what, why)| NotCovered { what: what.into(), why: why.into() });
    not_covered.extend(never);
    let installation = Installation {
        name: configured.name.clone(),
        fingerprint: fingerprint(cluster, &address.cluster_uuid),
        version: cluster.version.clone(),
        dialect: cluster.dialect,
        management: cluster.management.address().to_owned(),
        brokers,
        apps,
        search: address,
        repository: repository.map_or_else(String::new, |repository| repository.value),
        records,
        databases: Vec::new(),
        foreign_indices: configured.foreign_indices.clone(),
        not_covered,
    };
    Resolved { installation, search, findings, brokers_expected, gaps }
}

fn keep<T>(gaps: &mut Vec<Gap>, piece: Piece, told: Result<T, Fault>) -> Option<T> {
    told.map_err(|fault| gaps.push(Gap { piece, fault })).ok()
}

/// The applications that are there, and those that are left out.
fn sorted(
    apps: Option<Vec<(HistoryApp, AppPiece)>>,
    gaps: &mut Vec<Gap>,
) -> (Vec<AppAddress>, Vec<NotCovered>) {
    let (mut there, mut not_covered) = (Vec::new(), Vec::new());
    for (app, piece) in apps.into_iter().flatten() {
        match piece {
            AppPiece::There(app) => there.push(app),
            AppPiece::Out(left_out) => not_covered.extend(left_out),
            AppPiece::Missing(fault) => gaps.push(Gap { piece: Piece::App(app), fault }),
        }
    }
    (there, not_covered)
}

/// A cluster that makes its own ids would refuse ours inside the pause.
fn refuse_own_ids(cluster: &ClusterSeen) -> Result<(), Fault> {
    let told = cluster.told.as_ref().and_then(|told| told.broker.as_ref()?.own_ids.as_ref());
    match told.filter(|_| cluster.version.numbers >= (8, 9, 0)) {
        None => Ok(()),
        Some(property) => Err(Fault::precondition(
            DOING,
            cluster.management.join("/actuator/configprops"),
            format!("{property} is set: the cluster takes backups by itself and refuses an id from outside"),
            "switch continuous backups, their schedule and the checkpoint interval off to take backups with c8keep",
        )),
    }
}

/// Optimize of 8.5 backs itself up on Elasticsearch only (Camunda docs 8.5, "optimize-backup").
fn refuse_optimize(cluster: &ClusterSeen, search: &SearchAddress, apps: &[AppAddress]) -> Result<(), Fault> {
    let optimize = apps.iter().find(|app| app.app == HistoryApp::Optimize && app.required);
    match optimize.filter(|_| cluster.version.numbers < (8, 6, 0)) {
        Some(optimize) if search.product == SearchProduct::Opensearch => Err(Fault::precondition(
            DOING,
            &optimize.address,
            format!("Optimize of Camunda {} cannot be backed up on OpenSearch", cluster.version),
            "leave it out with `optimize: {enabled: false}` in the configuration: the manifest will name it; or upgrade",
        )),
        _ => Ok(()),
    }
}

/// From 8.9 on the cluster tells an id of its own; before that only the place of its data is unique, which goes into it all the
/// same: an upgrade must not make another installation of this one.
/// Only what the servers tell goes into it: a setting that changes must not make another installation of this one.
fn fingerprint(cluster: &ClusterSeen, cluster_uuid: &str) -> Fingerprint {
    let told = cluster.members.as_ref().and_then(|members| members.cluster_id.as_deref());
    Fingerprint::told(told, cluster_uuid, &records::told_prefixes(cluster))
}

fn cluster_findings(cluster: &ClusterSeen, findings: &mut Vec<Finding>) {
    let what = format!("Camunda {}, {}", cluster.version, cluster.dialect);
    findings.push(Finding::new(Level::Found, what, cluster.management.join("/actuator/info")));
    if let Some(other) = &cluster.other_version {
        let what = format!(
            "gateways of different versions answer here ({other}, too): an upgrade is under way; wait for its end, or \
             use the address of one of them"
        );
        findings.push(Finding::new(Level::Note, what, cluster.management.address()));
    }
    findings.extend(broker_versions(cluster));
    match &cluster.rest {
        Ok(rest) => findings.push(Finding::new(
            Level::Found,
            "the topology, which tells whether all brokers are there",
            rest.join("/v2/topology"),
        )),
        Err(why) => {
            let what = "whether all brokers are there cannot be told before the pause: the application port is out of \
                        reach; set `rest` to it";
            findings.push(Finding::new(Level::Note, what, why).about(Topic::Brokers));
        }
    }
    if let Some(broker) = cluster.told.as_ref().and_then(|told| told.broker.as_ref())
        && let Some(store) = &broker.store
    {
        let location = broker.location.as_deref().map_or_else(String::new, |place| format!(", {place}"));
        let source = cluster.management.join("/actuator/configprops");
        findings.push(Finding::new(Level::Found, format!("backup store {store}{location}"), source));
    }
}

/// Brokers of several versions are in the middle of an upgrade; their backup could be restored into neither.
fn broker_versions(cluster: &ClusterSeen) -> Option<Finding> {
    let mut nodes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for broker in cluster.topology.iter().flat_map(|topology| &topology.brokers) {
        nodes.entry(broker.version.as_deref()?).or_default().push(broker.node.to_string());
    }
    if nodes.len() < 2 {
        return None;
    }
    let each: Vec<String> =
        nodes.iter().map(|(version, nodes)| format!("{version} ({})", nodes.join(", "))).collect();
    let what = format!("the brokers are of different versions: {}", each.join(", "));
    let source = cluster.rest.as_ref().map_or_else(|_| String::new(), |rest| rest.join("/v2/topology"));
    let todo = "wait for the end of the upgrade, then take a backup";
    Some(Finding::new(Level::Contradiction, what, source).with_todo(todo))
}

/// The brokers for the witness. One that was found and is out of reach is neither dead nor listed; a configured one is
/// listed either way. Behind the management address may be a service that leads to any broker, so where the same node
/// was reached at an address of its own, that one counts.
fn brokers(configured: &Configured, observed: &Observed, findings: &mut Vec<Finding>) -> Vec<BrokerAddress> {
    let reached = |b: &&BrokerSeen| b.unread.is_none();
    let own: BTreeSet<u32> = observed
        .brokers
        .iter()
        .filter(reached)
        .filter(|b| b.from != From::Management)
        .filter_map(|b| b.node)
        .collect();
    let mut listed: BTreeMap<String, BrokerAddress> = BTreeMap::new();
    let mut nodes = BTreeSet::new();
    for seen in &observed.brokers {
        let address = seen.endpoint.address();
        let twice = match seen.node {
            Some(node) if seen.from == From::Management => own.contains(&node),
            // An address that nobody answers at counts for no broker.
            Some(node) if seen.unread.is_none() => !nodes.insert(node),
            _ => false,
        };
        if let Some(why) = &seen.unread {
            // A gateway of its own is no broker; that is no news.
            if seen.from != From::Management {
                let what = format!("broker out of reach from here: {why}");
                findings.push(Finding::new(Level::Note, what, address).about(Topic::Brokers));
            }
        } else if twice {
            continue;
        } else {
            let node = seen.node.map_or_else(|| "?".into(), |n| n.to_string());
            findings.push(Finding::new(Level::Found, format!("broker {node}"), address));
        }
        if seen.unread.is_none() || seen.from == From::Configured {
            let reached = seen.unread.is_none();
            let broker = BrokerAddress { node: seen.node, address: address.to_owned(), reached };
            listed.entry(address.to_owned()).or_insert(broker);
        }
    }
    let mut brokers: Vec<BrokerAddress> = listed.into_values().collect();
    brokers.sort_by_key(|b| (b.node.is_none(), b.node));
    note_partial(configured, observed, &brokers, findings);
    brokers
}

/// Servers that show the passwords of their configuration to whoever reaches the port. Only names are told.
fn shown_secrets(observed: &Observed, findings: &mut Vec<Finding>) {
    const TODO: &str = "keep these ports private, or hide the values (management.endpoint.configprops.show-values: never); \
                        before that, let `c8keep init` write down what c8keep reads there";
    let cluster = (&observed.cluster.management, &observed.cluster.told);
    let brokers = observed.brokers.iter().map(|seen| (&seen.endpoint, &seen.told));
    let apps = observed.apps.values().map(|seen| (&seen.endpoint, &seen.told));
    let mut shown = BTreeMap::new();
    for (endpoint, told) in std::iter::once(cluster).chain(brokers).chain(apps) {
        let Some(told) = told.as_ref().filter(|told| !told.shown_secrets.is_empty()) else { continue };
        shown.entry(endpoint.address()).or_insert_with(|| told.shown_secrets.join(", "));
    }
    if shown.is_empty() {
        return;
    }
    let names: Vec<&str> = shown.values().map(String::as_str).collect();
    let what = format!("management ports show secrets to whoever asks: {}", names.join("; "));
    let ports: Vec<&str> = shown.keys().copied().collect();
    let source = format!("/actuator/configprops of {}", ports.join(", "));
    findings.push(Finding::new(Level::Warning, what, source).about(Topic::Secrecy).with_todo(TODO));
}

fn brokers_expected(cluster: &ClusterSeen) -> Option<u32> {
    let told = cluster.told.as_ref().and_then(|told| told.broker.as_ref());
    let members = cluster.members.as_ref().map(|m| m.count);
    let size = cluster.topology.as_ref().and_then(|t| t.size);
    members.or(size).or(told.and_then(|broker| broker.cluster_size))
}

fn note_partial(
    configured: &Configured,
    observed: &Observed,
    brokers: &[BrokerAddress],
    findings: &mut Vec<Finding>,
) {
    let cluster = &observed.cluster;
    let expected = brokers_expected(cluster);
    let reached = brokers.iter().filter(|b| b.reached).count();
    let source = cluster.management.join("/actuator/cluster");
    let how = if configured.brokers.is_empty() {
        "set `brokers` to the management addresses of all of them"
    } else {
        "see that every address in `brokers` is reachable, and that they are different brokers"
    };
    match expected {
        Some(expected) if reached < expected as usize => {
            let what = format!(
                "{reached} of {expected} brokers are reached, so the proof that the pause held may stay partial; {how}"
            );
            findings.push(Finding::new(Level::Note, what, source).about(Topic::Brokers));
        }
        None if reached == 0 => {
            let what = format!("no broker is reached, so nothing can prove that the pause held; {how}");
            findings.push(Finding::new(Level::Note, what, source).about(Topic::Brokers));
        }
        _ => {}
    }
}
