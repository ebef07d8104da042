//! What the versions differ in, as far as no single recorded answer shows it.

use c8keep_twin::{Config, Contexts, Host, OwnBackups, Request};
use serde_json::{Value, json};

use crate::hand::Bench;

const HOST: Host = Host::Broker(0);
const RUNTIME: &str = "/actuator/backupRuntime";

fn bench(version: &str, change: impl FnOnce(&mut Config)) -> Bench {
    let mut config = Config::of(version);
    (config.brokers, config.replication) = (1, 1);
    change(&mut config);
    Bench::new(config)
}

fn taken(version: &str, path: &str) -> Bench {
    let mut bench = bench(version, |_| {});
    assert_eq!(bench.post(HOST, path, &json!({"backupId": 1000})).status, 202);
    bench.wait(HOST, &format!("{path}/1000"), "/state", "COMPLETED");
    bench
}

#[test]
fn versions_are_compared_as_numbers() {
    for (version, unified) in [("8.5.8", false), ("8.7.30", false), ("8.8.0", true), ("8.10.0", true)] {
        assert_eq!((Config::of(version).unified(), Config::of(version).version), (unified, version.into()));
    }
}

/// Up to 8.8 a deleted backup is gone at once; from 8.9 on its tombstone is seen for a while. Its id is burnt in each.
#[test]
fn a_deleted_runtime_backup() {
    for (version, path, seen) in
        [("8.7.2", "/actuator/backups", None), ("8.8.0", RUNTIME, None), ("8.9.0", RUNTIME, Some("DELETED"))]
    {
        let mut bench = taken(version, path);
        let one = format!("{path}/1000");
        assert_eq!(bench.send(HOST, &Request::new("DELETE", &one)).status, 204);
        let told = bench.get(HOST, &one);
        assert_eq!((told.status == 200, told.value()["state"].as_str()), (seen.is_some(), seen), "{version}");
        bench.pass(60_000);
        assert_eq!(bench.get(HOST, &one).status, 404, "{version}");
        assert_eq!(bench.post(HOST, path, &json!({"backupId": 1000})).status, 409, "{version}");
    }
}

/// 8.9 that takes backups by itself makes the ids, and they rise.
#[test]
fn a_cluster_that_makes_its_own_ids() {
    for own in [
        OwnBackups { continuous: true, ..OwnBackups::default() },
        OwnBackups { schedule: Some("PT1H".to_owned()), ..OwnBackups::default() },
        OwnBackups { checkpoint_interval: Some("PT15M".to_owned()), ..OwnBackups::default() },
    ] {
        let mut at_8_9 = bench("8.9.0", |config| config.own_backups = own.clone());
        assert_eq!(at_8_9.post(HOST, RUNTIME, &json!({"backupId": 1000})).status, 400);
        let first = at_8_9.send(HOST, &Request::new("POST", RUNTIME));
        assert_eq!(first.status, 202);
        let second = at_8_9.post(HOST, RUNTIME, &json!({}));
        let id = |answer: &c8keep_twin::Answer| answer.value()["backupId"].as_u64();
        assert!(id(&second) > id(&first) && id(&first) > Some(1_700_000_000_000), "{:?}", id(&first));
        // 8.8 has no such settings.
        let mut at_8_8 = bench("8.8.0", |config| config.own_backups = own);
        assert_eq!(at_8_8.post(HOST, RUNTIME, &json!({"backupId": 1000})).status, 202);
    }
}

/// Below a context path a server knows nothing else, and its links say so.
#[test]
fn a_context_path() {
    let mut bench = bench("8.6.0", |config| {
        config.contexts =
            Contexts { cluster: "/zeebe".into(), operate: "/operate".into(), ..Contexts::default() };
    });
    for (host, context) in [(HOST, "/zeebe"), (Host::Gateway, "/zeebe"), (Host::Operate, "/operate")] {
        assert_eq!(bench.get(host, "/actuator/info").status, 404, "{host}");
        assert_eq!(bench.get(host, &format!("{context}/actuator/info")).status, 200, "{host}");
        assert_eq!(bench.get(host, &format!("{context}ling/actuator/info")).status, 404, "{host}");
    }
    assert_eq!(bench.get(Host::Rest, "/zeebe/v2/topology").status, 200);
    assert_eq!(bench.get(Host::Tasklist, "/actuator/info").status, 200);
    let links = bench.get(HOST, "/zeebe/actuator").value();
    let href = links["_links"]["exporting"]["href"].as_str();
    assert!(href.is_some_and(|href| href.ends_with("/zeebe/actuator/exporting")), "{links}");
}

/// The shared address is each broker's in turn; who is down is left out.
#[test]
fn gateways_that_take_turns() {
    let node = |bench: &mut Bench| {
        let told = bench.get(Host::Gateway, "/actuator/configprops/zeebe.broker").value();
        let beans = told["contexts"]["application"]["beans"].as_object().cloned().unwrap_or_default();
        beans.values().find_map(|bean| bean["properties"]["cluster"]["nodeId"].as_u64())
    };
    for (in_turn, nodes) in [(true, vec![0, 1, 2]), (false, vec![0])] {
        let mut bench = bench("8.8.0", |config| {
            (config.brokers, config.replication, config.gateways_in_turn) = (3, 3, in_turn);
        });
        let mut seen: Vec<u64> = (0..9).filter_map(|_| node(&mut bench)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, nodes);
        bench.world.faults.brokers_down.insert(0);
        assert!((0..9).all(|_| node(&mut bench) != Some(0)));
    }
}

/// What is told of a failed pause: up to 8.9 an exception, in 8.10 its message.
#[test]
fn a_failed_pause() {
    for (version, told) in [("8.9.0", "/body/message"), ("8.10.0", "/body")] {
        let mut bench = bench(version, |config| (config.brokers, config.replication) = (3, 3));
        bench.world.faults.brokers_down.insert(2);
        bench.pass(15_000);
        let answer = bench.send(HOST, &Request::new("POST", "/actuator/exporting/pause?soft=true"));
        let body = answer.value();
        assert_eq!((answer.status, &body["status"]), (200, &json!(500)), "{version}");
        let message = body.pointer(told).and_then(Value::as_str);
        assert!(message.is_some_and(|message| message.contains("Expected 3 members")), "{version}: {body}");
    }
}

/// The store and the repository have other names in each version; what is not used shows its default.
#[test]
fn names_of_properties() {
    const STORES: [&str; 3] = [
        "/zeebe.broker/data/backup/store",
        "/camunda/data/primaryStorage/backup/store",
        "/camunda/data/backup/store",
    ];
    const REPOSITORIES: [&str; 2] = [
        "/camunda/data/backup/repositoryName",
        "/camunda/data/secondaryStorage/elasticsearch/backup/repositoryName",
    ];
    for (version, stores, repositories) in [
        ("8.7.2", [Some("S3"), None, None], [None, None]),
        ("8.8.0", [Some("S3"), None, None], [Some("camunda"), None]),
        ("8.9.0", [Some("NONE"), Some("S3"), None], [None, Some("camunda")]),
    ] {
        let told = bench(version, |_| {}).get(HOST, "/actuator/configprops").value();
        let beans = told["contexts"]["application"]["beans"].as_object().cloned().unwrap_or_default();
        let by_prefix: serde_json::Map<String, Value> = beans
            .values()
            .filter_map(|bean| Some((bean["prefix"].as_str()?.to_owned(), bean["properties"].clone())))
            .collect();
        let all = Value::Object(by_prefix);
        let text = |place: &str| all.pointer(place).and_then(Value::as_str);
        assert_eq!(STORES.map(text), stores, "{version}");
        assert_eq!(REPOSITORIES.map(text), repositories, "{version}");
    }
}

/// From 8.8 on a list can be narrowed to ids that begin like this; before, the star is part of no id.
#[test]
fn a_list_by_prefix() {
    let mut bench = taken("8.8.0", RUNTIME);
    assert_eq!(bench.post(HOST, RUNTIME, &json!({"backupId": 2001})).status, 202);
    bench.wait(HOST, &format!("{RUNTIME}/2001"), "/state", "COMPLETED");
    for (prefix, ids) in [("*", vec![2001, 1000]), ("1*", vec![1000]), ("20*", vec![2001]), ("3*", vec![])] {
        let list = bench.get(HOST, &format!("{RUNTIME}/{prefix}")).value();
        let found: Vec<u64> =
            list.as_array().into_iter().flatten().filter_map(|entry| entry["backupId"].as_u64()).collect();
        assert_eq!(found, ids, "{prefix}: {list}");
    }
    assert_eq!(taken("8.7.2", "/actuator/backups").get(HOST, "/actuator/backups/1*").status, 400);
}

/// A partition's checkpoint is told by itself until the tracking is reset.
#[test]
fn what_is_tracked_can_be_reset() {
    let mut bench = taken("8.9.0", RUNTIME);
    let state = format!("{RUNTIME}/state");
    let count = |bench: &mut Bench, key: &str| bench.get(HOST, &state).value()[key].as_array().map(Vec::len);
    let partitions = bench.world.config().partitions as usize;
    assert_eq!(count(&mut bench, "checkpointStates"), Some(partitions));
    assert_eq!(count(&mut bench, "backupStates"), Some(partitions));
    assert_eq!(bench.send(HOST, &Request::new("DELETE", &state)).status, 204);
    assert_eq!(count(&mut bench, "backupStates"), Some(0));
    assert_eq!(taken("8.8.0", RUNTIME).get(HOST, &state).status, 400, "8.8 takes it for an id");
}
