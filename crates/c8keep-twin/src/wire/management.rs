//! The brokers' management ports, and the topology on the application port.

use serde_json::{Value, json};

use super::{ACTUATOR, Answer, JSON, Request, actuator, not_found, runtime, status};
use crate::world::World;
use crate::world::exporting::ExportingFault;
use crate::world::partition::Phase;

/// Answers on the management port of one broker.
pub fn broker(world: &mut World, node: u32, request: &Request) -> Answer {
    let unified = world.config.unified();
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().map(String::as_str).collect();
    let method = request.method.as_str();
    match (method, path.as_slice()) {
        ("POST", ["actuator", "exporting", operation]) => exporting(world, operation, request),
        ("GET", ["actuator", "partitions"]) => status::partitions(world, node),
        (_, ["actuator", "backups", rest @ ..]) if !unified => runtime::answer(world, request, rest),
        (_, ["actuator", "backupRuntime", rest @ ..]) if unified => runtime::answer(world, request, rest),
        (_, ["actuator", "backupHistory", rest @ ..]) if unified => {
            super::apps::history(world, request, rest)
        }
        ("GET", ["actuator", rest @ ..]) => actuator::answer(world, crate::Host::Broker(node), request, rest),
        _ => not_found(world, request),
    }
}

/// Answers on the application port.
pub fn rest(world: &World, request: &Request) -> Answer {
    // 8.5 had the first version of this interface (camunda-docs 8.5, REST API).
    let topology = if world.config.dialect() < (8, 6) { "/v1/topology" } else { "/v2/topology" };
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", path) if path == topology => Answer::json(200, JSON, &status::topology(world)),
        _ => not_found(world, request),
    }
}

/// Always HTTP 200; what really happened is `status` in the body (documentation 8.8, Management API).
fn exporting(world: &mut World, operation: &str, request: &Request) -> Answer {
    let (phase, takes) = match operation {
        "pause" if request.flag("soft") => (Phase::SoftPaused, world.config.durations.pause),
        "pause" => (Phase::Paused, world.config.durations.pause),
        "resume" => (Phase::Exporting, world.config.durations.resume),
        _ => return Answer::json(200, JSON, &exporting_failed(world, unsupported())),
    };
    let body = match world.set_phase(phase) {
        Ok(()) => json!({"body": null, "status": 204, "contentType": null}),
        Err(fault) => exporting_failed(world, exception(world, &fault)),
    };
    Answer::json(200, JSON, &body).after(world, takes)
}

/// Up to 8.9 the whole exception with its stack; 8.10, where exporting is part of the cluster's configuration, says only why.
fn exporting_failed(world: &World, mut exception: Value) -> Value {
    let body = if world.config.dialect() < (8, 10) { exception } else { exception["message"].take() };
    json!({"body": body, "status": 500, "contentType": null})
}

fn unsupported() -> Value {
    let frames = json!([
        frame(
            "app",
            None,
            "post",
            "ExportingEndpoint.java",
            46,
            "io.camunda.zeebe.shared.management.ExportingEndpoint"
        ),
        frame(
            "",
            Some("java.base"),
            "invoke",
            "DirectMethodHandleAccessor.java",
            104,
            "jdk.internal.reflect.DirectMethodHandleAccessor"
        ),
    ]);
    json!({"cause": null, "stackTrace": frames, "message": null, "suppressed": [], "localizedMessage": null})
}

fn exception(world: &World, fault: &ExportingFault) -> Value {
    const SERVICE: &str = "io.camunda.zeebe.gateway.admin.exporting.ExportingControlService";
    const CONNECTION: &str = "io.atomix.cluster.messaging.impl.AbstractClientConnection";
    let (message, first) = match fault {
        ExportingFault::Incomplete { partition, expected, found } => {
            let state = cluster_state(world);
            let text = format!(
                "Expected {expected} members of partition {partition} but found {found}, current topology: {state}"
            );
            (text, frame("app", None, "validateTopology", "ExportingControlService.java", 130, SERVICE))
        }
        ExportingFault::ConnectionClosed { broker } => {
            let port = status::internal_port(*broker);
            let text = format!(
                "Connection RemoteClientConnection{{channel=[id: 0xdb2e09d6, L:/127.0.0.1:50168 ! \
                 R:127.0.0.1/127.0.0.1:{port}]}} was closed"
            );
            (text, frame("app", None, "close", "AbstractClientConnection.java", 76, CONNECTION))
        }
    };
    let second = frame("app", None, "broadcastOnTopology", "ExportingControlService.java", 54, SERVICE);
    json!({
        "cause": null, "stackTrace": [first, second], "message": message, "suppressed": [],
        "localizedMessage": message,
    })
}

/// The gateway's own description of its topology, as it prints it.
fn cluster_state(world: &World) -> String {
    let leaders: Vec<String> = world
        .partitions
        .iter()
        .filter_map(|(id, partition)| partition.leader.map(|leader| format!("{id}={leader}")))
        .collect();
    let brokers: Vec<u32> = (0..world.config.brokers).filter(|node| !world.down.contains_key(node)).collect();
    format!(
        "BrokerClusterStateImpl{{partitionLeaders={{{}}}, brokers={brokers:?}, partitions={:?}, clusterSize={}, \
         partitionsCount={}, replicationFactor={}}}",
        leaders.join(", "),
        world.partition_ids(),
        world.config.brokers,
        world.config.partitions,
        world.config.replication
    )
}

fn frame(loader: &str, module: Option<&str>, method: &str, file: &str, line: u32, class: &str) -> Value {
    let loader = if loader.is_empty() { Value::Null } else { json!(loader) };
    let version = module.map(|_| "21.0.4");
    json!({
        "classLoaderName": loader, "moduleName": module, "moduleVersion": version, "methodName": method,
        "fileName": file, "lineNumber": line, "className": class, "nativeMethod": false,
    })
}

/// A body of the actuator that is one message.
pub(crate) fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, ACTUATOR, &json!({ "message": text }))
}
