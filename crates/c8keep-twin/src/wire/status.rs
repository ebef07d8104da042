//! What brokers say about partitions and topology.

use serde_json::{Map, Value, json};

use super::{ACTUATOR, Answer};
use crate::world::World;
use crate::world::draw::{below, instance_uuid};
use crate::world::partition::Partition;

/// Which of the seed's identifiers is that of the cluster; others are numbered by answers.
const CLUSTER_ID: u64 = u64::MAX;

/// Port on which brokers talk to each other; the only one that the topology names.
pub fn internal_port(broker: u32) -> u32 {
    26_501 + 10 * broker
}

/// `GET /actuator/partitions`: only what this broker itself carries.
pub fn partitions(world: &World, node: u32) -> Answer {
    let mut body = Map::new();
    if world.faults.brokers_busy.contains(&node) && world.answers.is_multiple_of(2) {
        return Answer::json(200, ACTUATOR, &Value::Object(body));
    }
    for (id, partition) in world.partitions.iter().filter(|(_, p)| p.replicas.contains_key(&node)) {
        body.insert(id.to_string(), partition_status(world, partition, node));
    }
    Answer::json(200, ACTUATOR, &Value::Object(body))
}

/// A fresh log has no position; the servers say -1.
fn position(value: u64) -> Value {
    if value == 0 { json!(-1) } else { json!(value) }
}

fn partition_status(world: &World, partition: &Partition, node: u32) -> Value {
    let leads = partition.leader == Some(node);
    let replica = &partition.replicas[&node];
    // A follower knows what the leader last told it.
    let known = replica.known.values().copied().min().unwrap_or(0);
    let exported = if leads { partition.acked() } else { known };
    let instant = crate::world::timestamp(world.at()).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    json!({
        "role": if leads { "LEADER" } else { "FOLLOWER" },
        "processedPosition": position(partition.processed()),
        "snapshotId": partition.snapshot.as_ref().map(crate::world::partition::LocalSnapshot::id),
        "processedPositionInSnapshot": partition.snapshot.as_ref().map(|snapshot| snapshot.processed),
        "streamProcessorPhase": if leads { "PROCESSING" } else { "REPLAY" },
        "exporterPhase": replica.phase.wire(),
        "exportedPosition": position(exported),
        "clock": {"instant": instant, "modificationType": "None", "modification": {}},
    })
}

/// `GET /v2/topology`: the brokers that are up.
pub fn topology(world: &World) -> Value {
    let up = (0..world.config.brokers).filter(|node| !world.down.contains_key(node));
    let brokers: Vec<Value> = up
        .map(|node| {
            let carried =
                world.partitions.iter().filter(|(_, partition)| partition.replicas.contains_key(&node));
            let partitions: Vec<Value> = carried
                .map(|(id, partition)| {
                    let role = if partition.leader == Some(node) { "leader" } else { "follower" };
                    json!({"partitionId": id, "role": role, "health": "healthy"})
                })
                .collect();
            json!({
                "nodeId": node, "host": "127.0.0.1", "port": internal_port(node), "partitions": partitions,
                "version": world.config.version,
            })
        })
        .collect();
    json!({
        "brokers": brokers, "clusterSize": world.config.brokers, "partitionsCount": world.config.partitions,
        "replicationFactor": world.config.replication, "gatewayVersion": world.config.version,
    })
}

/// `GET /actuator/cluster`: the configured cluster, whether its brokers are up or not.
pub fn cluster(world: &World) -> Value {
    let exporters = exporters(world);
    let brokers: Vec<Value> = (0..world.config.brokers)
        .map(|node| {
            let carried =
                world.partitions.iter().filter(|(_, partition)| partition.replicas.contains_key(&node));
            let partitions: Vec<Value> = carried
                .map(|(id, partition)| {
                    let primary = (id - 1) % world.config.brokers.max(1) == node;
                    let others = below(world.config.seed, "priority", u64::from(*id), 1);
                    let priority = if primary { partition.replicas.len() as u64 } else { 1 + others };
                    let states: Vec<Value> =
                        exporters.iter().map(|id| json!({"id": id, "state": "ENABLED"})).collect();
                    json!({
                        "id": id, "state": "ACTIVE", "priority": priority,
                        "config": {"exporting": {"exporters": states}},
                    })
                })
                .collect();
            json!({
                "id": node, "state": "ACTIVE", "version": 0, "lastUpdatedAt": "0000-01-01T00:00:00Z",
                "partitions": partitions,
            })
        })
        .collect();
    let mut body = json!({"version": 1, "brokers": brokers});
    if world.config.dialect() >= (8, 9) {
        // Told from 8.9 on (camunda/camunda, d4a292db).
        body["clusterId"] = json!(instance_uuid(world.config.seed, CLUSTER_ID));
    }
    if world.faults.scaling {
        // Shape of the documented answer (camunda-docs 8.6, cluster scaling).
        let started = crate::world::timestamp(world.started).to_string();
        let join = json!([{"operation": "PARTITION_JOIN", "brokerId": 1, "partitionId": 1, "priority": 1}]);
        body["pendingChange"] = json!({
            "id": 2, "status": "IN_PROGRESS", "startedAt": started, "completed": [], "pending": join,
        });
    }
    body
}

/// Ids of the configured exporters.
pub fn exporters(world: &World) -> Vec<&'static str> {
    let mut ids = Vec::new();
    if world.config.unified() {
        ids.push("camundaexporter");
    }
    if world.config.records_exporter {
        ids.push(match world.config.search {
            crate::Product::Elasticsearch => "elasticsearch",
            crate::Product::OpenSearch => "opensearch",
        });
    }
    ids
}
