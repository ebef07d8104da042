//! Whom discovery asks next, from what was told so far. Pure: an address here is a candidate and proves nothing until
//! it has answered.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::backup::HistoryApp;
use c8keep_core::fault::Fault;

use super::Configured;
use super::observe::{AppSeen, ClusterSeen};
use crate::camunda::topology::Topology;
use crate::transport::Endpoint;

/// Whether a topology is that of the cluster behind the management address: a forwarded port may lead elsewhere.
pub(super) fn fits(topology: &Topology, seen: &ClusterSeen) -> bool {
    let size_fits = match (&seen.members, topology.size) {
        (Some(members), Some(size)) => members.count == size,
        _ => true,
    };
    let told = seen.told.as_ref().and_then(|told| told.broker.as_ref());
    let own = told.and_then(|broker| Some((broker.node?, broker.command.as_ref()?)));
    let own_fits = own.is_none_or(|(node, (host, port))| {
        // A broker that is missing from the topology proves nothing.
        let entry = topology.brokers.iter().find(|b| b.node == node);
        entry.is_none_or(|b| b.host == *host && b.port.is_none_or(|p| p == *port))
    });
    size_fits && own_fits
}

/// Brokers by the host names that the cluster tells, with the management port that was given.
pub(super) fn found_brokers(cluster: &ClusterSeen) -> Vec<(Endpoint, Option<u32>)> {
    let mut hosts: Vec<(String, Option<u32>)> = Vec::new();
    for broker in cluster.topology.iter().flat_map(|t| &t.brokers) {
        hosts.push((broker.host.clone(), Some(broker.node)));
    }
    let told = cluster.told.as_ref().and_then(|told| told.broker.as_ref());
    for point in told.iter().flat_map(|broker| &broker.contact_points) {
        hosts.push((point.rsplit_once(':').map_or(point.as_str(), |(host, _)| host).to_owned(), None));
    }
    let mut seen = BTreeSet::from([cluster.management.address().to_owned()]);
    let mut found = Vec::new();
    // Several brokers of one host share no management port: which of them answers is only told by itself.
    let shared = |host: &str| hosts.iter().filter(|(h, node)| h == host && node.is_some()).count() > 1;
    for (host, node) in &hosts {
        let Some(endpoint) = with_host_and_port(&cluster.management, Some(host), None) else { continue };
        if seen.insert(endpoint.address().to_owned()) {
            found.push((endpoint, node.filter(|_| !shared(host))));
        }
    }
    found
}

/// Where the application port may be: on the management host, first below the same context path, which Helm's `contextPath`
/// sets for both ports (Camunda docs 8.8, "Management API"), then without one.
pub(super) fn rest_candidates(management: &Endpoint, port: u16) -> Vec<Endpoint> {
    let Some(below) = with_host_and_port(management, None, Some(port)) else { return Vec::new() };
    let bare = url::Url::parse(below.address()).ok().filter(|url| url.path() != "/").and_then(|mut url| {
        url.set_path("");
        Some(Endpoint::parse(url.as_str()).ok()?.with_access(management.access()))
    });
    std::iter::once(below).chain(bare).collect()
}

/// The same address with another host or port. Its login and its context path go along: it is the same cluster.
fn with_host_and_port(endpoint: &Endpoint, host: Option<&str>, port: Option<u16>) -> Option<Endpoint> {
    let mut url = url::Url::parse(endpoint.address()).ok()?;
    if let Some(host) = host.filter(|h| !h.is_empty()) {
        url.set_host(Some(host)).ok()?;
    }
    if let Some(port) = port {
        url.set_port(Some(port)).ok()?;
    }
    let found = Endpoint::parse(url.as_str()).ok()?;
    Some(found.with_access(endpoint.access()))
}

/// Search servers that somebody names, in the order in which they are believed: configured, where the records are
/// exported to, what the applications use. An application's default is named last: it may be a property of the
/// product that is not in use.
pub(super) fn search_candidates(
    configured: &Configured,
    cluster: &ClusterSeen,
    apps: &BTreeMap<HistoryApp, AppSeen>,
) -> Result<Vec<(Endpoint, String)>, Fault> {
    const DEFAULT: &str = "localhost:9200";
    // Credentials go to the server that was configured; where none was, to the one that the cluster names.
    let access = &configured.access.search;
    let anonymous = access.without_credentials();
    let of_named = if configured.search.is_none() { access } else { &anonymous };
    let mut named: Vec<(String, String)> = Vec::new();
    for (id, exporter) in cluster.told.iter().flat_map(|told| &told.exporters) {
        if let Some(url) = &exporter.url {
            named.push((url.clone(), format!("exporter {id} of {}", cluster.management.address())));
        }
    }
    let mut used: Vec<(String, String)> = Vec::new();
    for (app, seen) in apps {
        for (property, url) in seen.told.iter().flat_map(|told| &told.searches) {
            used.push((url.clone(), format!("{property} of {app} at {}", seen.endpoint.address())));
        }
    }
    used.sort_by_key(|(url, _)| url.ends_with(DEFAULT));
    named.extend(used);

    let mut candidates = Vec::new();
    let mut seen = BTreeSet::new();
    if let Some(address) = &configured.search {
        let endpoint = Endpoint::parse(address)?.with_access(access);
        seen.insert(endpoint.address().to_owned());
        candidates.push((endpoint, "configured".to_owned()));
    }
    for (url, source) in named {
        // Several servers of one cluster may be named at once, separated by commas; one of them is enough.
        let first = url.split(',').next().unwrap_or_default();
        if let Ok(endpoint) = Endpoint::parse(first)
            && seen.insert(endpoint.address().to_owned())
        {
            candidates.push((endpoint.with_access(of_named), source));
        }
    }
    Ok(candidates)
}
