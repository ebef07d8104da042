//! The cluster as its servers describe it: `/actuator/cluster`, `/v2/topology`, `/actuator/info`, `/actuator`,
//! `/actuator/exporters`. Pure parsing; what does not tell something says so by `None`, never by a guess.
//!
//! Only `/v2/topology` tells who is there: `/actuator/cluster` lists the configured members, gone ones included, and
//! the gateway's metric `zeebe_gateway_topology_partition_roles` keeps a killed broker as the leader it was, and its
//! health stays UP (all seen on 8.6.0, 25 s after one of three brokers was killed).

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::wire::{Answer, one_line};

/// The configured members, from `/actuator/cluster`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Node ids of the brokers that take part.
    pub nodes: BTreeSet<u32>,
    /// How many brokers take part; differs from the node ids where those are no numbers (zones, 8.10).
    pub count: u32,
    /// Replicas by partition.
    pub replicas: BTreeMap<u32, u32>,
    /// A change that has not ended.
    pub pending: Option<String>,
    /// `clusterId`, told from 8.9 on.
    pub cluster_id: Option<String>,
}

/// The brokers that the gateway sees, from `/v2/topology`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Brokers that are there.
    pub brokers: Vec<TopologyBroker>,
    /// Brokers that should be there.
    pub size: Option<u32>,
    /// Number of partitions.
    pub partitions: Option<u32>,
    /// Replicas of each partition.
    pub replication: Option<u32>,
}

/// One broker of the topology.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopologyBroker {
    /// Its node id.
    pub node: u32,
    /// The host under which the others reach it.
    pub host: String,
    /// Its command port.
    pub port: Option<u16>,
    /// Its version.
    pub version: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterBody {
    brokers: Vec<Member>,
    pending_change: Option<Value>,
    cluster_id: Option<String>,
}

#[derive(Deserialize)]
struct Member {
    id: Value,
    state: Option<String>,
    partitions: Option<Vec<MemberPartition>>,
}

#[derive(Deserialize)]
struct MemberPartition {
    id: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopologyBody {
    brokers: Vec<TopologyNode>,
    cluster_size: Option<u32>,
    partitions_count: Option<u32>,
    replication_factor: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopologyNode {
    node_id: u32,
    host: Option<String>,
    port: Option<u16>,
    version: Option<Value>,
}

/// Reads `/actuator/cluster`.
pub fn members(answer: &Answer<'_>) -> Option<Members> {
    let body: ClusterBody = answer.is_success().then(|| answer.json().ok()).flatten()?;
    let mut members = Members { pending: pending(&body), cluster_id: body.cluster_id, ..Members::default() };
    // A member that has left is kept in the list for a while.
    for member in body.brokers.iter().filter(|m| m.state.as_deref() != Some("LEFT")) {
        members.count += 1;
        members.nodes.extend(node_id(&member.id));
        for partition in member.partitions.iter().flatten() {
            *members.replicas.entry(partition.id).or_default() += 1;
        }
    }
    Some(members)
}

/// What has not ended: the pending change, or a broker that is joining or leaving.
fn pending(body: &ClusterBody) -> Option<String> {
    let moving = || {
        body.brokers.iter().find_map(|m| {
            let state = m.state.as_deref().filter(|s| matches!(*s, "JOINING" | "LEAVING"))?;
            Some(format!("broker {} is {state}", m.id))
        })
    };
    let change = body.pending_change.as_ref().filter(|c| !c.is_null());
    let told = change.map(|change| {
        let text = |key: &str| match change.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => "?".into(),
        };
        let left = change.get("pending").and_then(Value::as_array).map(Vec::len);
        let left = left.map_or_else(String::new, |n| format!(", {n} operations to go"));
        one_line(&format!("change {} is {}{left}", text("id"), text("status")))
    });
    told.or_else(moving)
}

fn node_id(id: &Value) -> Option<u32> {
    match id {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Reads `/v2/topology`.
pub fn topology(answer: &Answer<'_>) -> Option<Topology> {
    let body: TopologyBody = answer.is_success().then(|| answer.json().ok()).flatten()?;
    let brokers = body.brokers.into_iter().map(|b| TopologyBroker {
        node: b.node_id,
        host: b.host.unwrap_or_default(),
        port: b.port,
        version: b.version.and_then(|version| Some(version.as_str()?.to_owned())),
    });
    Some(Topology {
        brokers: brokers.collect(),
        size: body.cluster_size,
        partitions: body.partitions_count,
        replication: body.replication_factor,
    })
}

/// Reads the version from `/actuator/info`.
pub fn version(answer: &Answer<'_>) -> Option<String> {
    #[derive(Deserialize)]
    struct Info {
        build: Build,
    }
    #[derive(Deserialize)]
    struct Build {
        version: String,
    }
    answer.is_success().then(|| answer.json::<Info>().ok()).flatten().map(|info| info.build.version)
}

/// Reads the names of the endpoints from `/actuator`, `self` aside.
pub fn endpoints(answer: &Answer<'_>) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Links {
        #[serde(rename = "_links")]
        links: BTreeMap<String, Value>,
    }
    let links = answer.is_success().then(|| answer.json::<Links>().ok()).flatten()?;
    Some(links.links.into_keys().filter(|name| name != "self").collect())
}

/// Reads `/actuator/exporters`: status by exporter id.
pub fn exporters(answer: &Answer<'_>) -> Option<BTreeMap<String, String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Exporter {
        exporter_id: String,
        status: String,
    }
    let list: Vec<Exporter> = answer.is_success().then(|| answer.json().ok()).flatten()?;
    Some(list.into_iter().map(|e| (e.exporter_id, e.status)).collect())
}
