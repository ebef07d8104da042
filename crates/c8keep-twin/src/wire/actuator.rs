//! The read-only actuator endpoints: links, info, health, exporters, metrics.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::{ACTUATOR, Answer, JSON, Request, configprops, not_found, status};
use crate::host::Host;
use crate::world::World;
use crate::world::partition::Phase;

/// `GET /actuator/<rest>`; endpoints that change something are handled before.
pub fn answer(world: &World, host: Host, request: &Request, rest: &[&str]) -> Answer {
    let broker = matches!(host, Host::Broker(_));
    match rest {
        [] => Answer::json(200, ACTUATOR, &links(world, host)),
        ["info"] => Answer::json(200, ACTUATOR, &info(world)),
        ["health"] => Answer::json(200, ACTUATOR, &health(broker)),
        ["health", _] => Answer::json(200, ACTUATOR, &json!({"status": "UP"})),
        ["configprops"] => Answer::json(200, ACTUATOR, &configprops::body(world, host, None)),
        ["configprops", prefix] => match configprops::body(world, host, Some(prefix)) {
            body if body["contexts"]["application"]["beans"] == json!({}) => not_found(world, request),
            body => Answer::json(200, ACTUATOR, &body),
        },
        ["cluster"] if broker => Answer::json(200, JSON, &status::cluster(world)),
        ["exporters"] if broker => {
            let all =
                status::exporters(world).into_iter().map(|id| json!({"exporterId": id, "status": "ENABLED"}));
            Answer::json(200, JSON, &Value::Array(all.collect()))
        }
        ["prometheus"] => Answer::text(200, "text/plain;version=0.0.4;charset=utf-8", &metrics(world, host)),
        _ => not_found(world, request),
    }
}

/// The address at which a host is served.
pub(crate) fn address(world: &World, host: Host) -> String {
    world.addresses.get(&host).cloned().unwrap_or_else(|| format!("http://{host}.twin"))
}

fn links(world: &World, host: Host) -> Value {
    const BROKER: &[(&str, &str)] = &[
        ("partitions-operation", "partitions/{operation}"),
        ("partitions", "partitions"),
        ("jobstreams", "jobstreams"),
        ("jobstreams-type", "jobstreams/{type}"),
        ("clock", "clock"),
        ("clock-operationKey", "clock/{operationKey}"),
        ("rebalance", "rebalance"),
        ("banning-processInstanceKey", "banning/{processInstanceKey}"),
        ("flowcontrol", "flowControl"),
        ("cluster", "cluster"),
        ("exporters", "exporters"),
        ("exporting", "exporting"),
    ];
    const SPLIT: &[(&str, &str)] = &[("backups", "backups"), ("backups-id", "backups/{id}")];
    const UNIFIED: &[(&str, &str)] = &[
        ("backupRuntime", "backupRuntime"),
        ("backupRuntime-id", "backupRuntime/{id}"),
        ("backupHistory", "backupHistory"),
        ("backupHistory-backupId", "backupHistory/{backupId}"),
    ];
    const APP: &[(&str, &str)] = &[("backups", "backups")];
    const USAGE: &[(&str, &str)] = &[("usage-metrics", "usage-metrics")];
    const ALL: &[(&str, &str)] = &[
        ("prometheus", "prometheus"),
        ("health", "health"),
        ("health-path", "health/{*path}"),
        ("info", "info"),
        ("configprops", "configprops"),
        ("configprops-prefix", "configprops/{prefix}"),
        ("loggers", "loggers"),
        ("loggers-name", "loggers/{name}"),
    ];
    let base = format!("{}{}/actuator", address(world, host), world.config.contexts.of(host));
    let own: &[&[(&str, &str)]] = match host {
        Host::Broker(_) if world.config.unified() => &[BROKER, UNIFIED, ALL],
        Host::Broker(_) => &[BROKER, SPLIT, ALL],
        Host::Operate | Host::Tasklist => &[APP, USAGE, ALL],
        _ => &[APP, ALL],
    };
    let mut links = Map::new();
    links.insert("self".to_owned(), json!({"href": base, "templated": false}));
    for (name, path) in own.iter().copied().flatten() {
        links.insert(
            (*name).to_owned(),
            json!({"href": format!("{base}/{path}"), "templated": path.contains('{')}),
        );
    }
    json!({ "_links": links })
}

fn info(world: &World) -> Value {
    json!({"build": {
        "artifact": "camunda-zeebe", "java": {"version": "21.0.4"}, "name": "Zeebe Distribution",
        "description": "Zeebe Distribution", "time": "2024-10-02T11:04:00.970Z", "version": world.config.version,
        "group": "io.camunda",
    }})
}

fn health(broker: bool) -> Value {
    if broker {
        let components = json!({
            "brokerReady": {"status": "UP"}, "brokerStartup": {"status": "UP"}, "brokerStatus": {"status": "UP"},
        });
        json!({"status": "UP", "components": components, "groups": ["readiness", "startup", "status"]})
    } else {
        json!({"status": "UP", "groups": ["liveness", "readiness"]})
    }
}

/// A record of 8.6.0 takes about half a KiB of the log.
const RECORDS_A_KIB: u64 = 2;

/// A few of the broker's metrics: those that tell about exporting, backups and its disk.
fn metrics(world: &World, host: Host) -> String {
    let Host::Broker(node) = host else { return String::new() };
    let mut text = String::from("# TYPE zeebe_exporter_state gauge\n");
    for (id, partition) in &world.partitions {
        let Some(replica) = partition.replicas.get(&node) else { continue };
        let state = match replica.phase {
            Phase::Exporting => 0,
            Phase::Paused => 1,
            Phase::SoftPaused => 2,
        };
        let checkpoint = partition.checkpoint;
        let running = partition.reserved.len();
        let written = partition.processed() / RECORDS_A_KIB;
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "zeebe_exporter_state{{partition=\"{id}\",}} {state}.0\nzeebe_checkpoint_id{{partition=\"{id}\",}} \
             {checkpoint}.0\nzeebe_backup_operations_in_progress{{operation=\"take\",partition=\"{id}\",}} {running}.0\n\
             atomix_journal_append_data_rate_total{{partition=\"{id}\",}} {written}.0"
        );
    }
    let free = world.faults.disk_free.unwrap_or(50_000_000_000);
    let _ = writeln!(text, "disk_free_bytes{{path=\"/var/lib/camunda/z-{node}/.\",}} {free}.0");
    let _ = writeln!(text, "disk_total_bytes{{path=\"/var/lib/camunda/z-{node}/.\",}} 100000000000.0");
    let (started, uptime) = world.process_times();
    let _ = writeln!(text, "process_start_time_seconds {started}\nprocess_uptime_seconds {uptime}");
    text
}
