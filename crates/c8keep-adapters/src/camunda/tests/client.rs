//! The port as a whole, over a scene of several servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::Dialect;
use c8keep_core::fault::{Effect, FaultKind, Retry};
use c8keep_core::installation::BrokerAddress;
use c8keep_engine::ports::Camunda;
use jiff::Timestamp;
use serde_json::json;

use super::id;
use crate::camunda::CamundaClient;
use crate::camunda::scene::Scene;
use crate::transport::Endpoint;

const GATEWAY: &str = "http://gateway:9600";
const REST: &str = "http://gateway:8080";
const OPERATE: &str = "http://operate:9600";
const SELF: &str = "camunda-8.6.0/self-description";

fn client(scene: &Arc<Scene>, dialect: Dialect) -> CamundaClient {
    let parse = |address: &str| Endpoint::parse(address).unwrap();
    let apps = BTreeMap::from([
        (HistoryApp::Operate, parse(OPERATE)),
        (HistoryApp::Optimize, parse("http://optimize:8092")),
    ]);
    CamundaClient::new(Arc::clone(scene) as _, dialect, parse(GATEWAY), Some(parse(REST)), apps)
}

fn split(scene: Scene) -> (CamundaClient, Arc<Scene>) {
    let scene = Arc::new(scene);
    (client(&scene, Dialect::SplitActuators), scene)
}

fn brokers(addresses: &[(u32, &str)]) -> Vec<BrokerAddress> {
    let broker = |(node, address): &(u32, &str)| BrokerAddress {
        node: Some(*node),
        address: (*address).to_owned(),
        reached: true,
    };
    addresses.iter().map(broker).collect()
}

#[tokio::test]
async fn pausing_is_always_soft() {
    let pause = "POST http://gateway:9600/actuator/exporting/pause?soft=true";
    let scene = Scene::default()
        .recorded(GATEWAY, "camunda-8.6.0/zeebe/pause-soft")
        .recorded(GATEWAY, "camunda-8.6.0/zeebe/resume");
    let (client, scene) = split(scene);
    client.pause_exporting().await.unwrap();
    client.resume_exporting().await.unwrap();
    assert_eq!(scene.asked(), [pause, "POST http://gateway:9600/actuator/exporting/resume"]);
}

#[tokio::test]
async fn each_dialect_has_its_own_paths() {
    let scene = Arc::new(
        Scene::default()
            .recorded(GATEWAY, "camunda-docs-8.8/history-create")
            .recorded(GATEWAY, "camunda-docs-8.8/history-get")
            .recorded(GATEWAY, "camunda-docs-8.8/runtime-create")
            .recorded(GATEWAY, "camunda-docs-8.8/runtime-get"),
    );
    let unified = client(&scene, Dialect::UnifiedActuators);
    let backup = id(1_748_937_221);
    assert_eq!(unified.start_history(HistoryApp::Webapps, backup).await.unwrap().len(), 5);
    assert_eq!(scene.last_body(), Some(json!({"backupId": 1_748_937_221})), "a number, not a text");
    assert_eq!(unified.history(HistoryApp::Webapps, backup).await.unwrap().state, "COMPLETED");
    unified.start_runtime(backup).await.unwrap();
    assert_eq!(unified.runtime(backup).await.unwrap().partitions.len(), 1);

    let (client, _) = split(
        Scene::default()
            .recorded(OPERATE, "camunda-8.6.0/operate/create")
            .recorded("http://optimize:8092", "camunda-docs-8.8/optimize-create")
            .recorded(GATEWAY, "camunda-8.6.0/zeebe/create"),
    );
    assert_eq!(client.start_history(HistoryApp::Operate, id(100)).await.unwrap().len(), 6);
    assert!(client.start_history(HistoryApp::Optimize, id(1)).await.unwrap().is_empty());
    client.start_runtime(id(100)).await.unwrap();
    let fault = client.start_history(HistoryApp::Tasklist, id(1)).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage, "no address, no call");
}

#[tokio::test]
async fn a_broker_that_is_gone_shows_in_the_topology_only() {
    let scene = || {
        Scene::default()
            .recorded(GATEWAY, &format!("{SELF}/broker-info"))
            .recorded(GATEWAY, &format!("{SELF}/broker-cluster"))
    };
    let (client, _) = split(scene().recorded(REST, "camunda-8.6.0/three-brokers/topology-one-down"));
    let cluster = client.cluster().await.unwrap();
    assert_eq!((cluster.brokers_expected, cluster.brokers_up.as_slice()), (Some(3), [0, 1].as_slice()));
    assert_eq!(
        (cluster.partitions, cluster.replication, cluster.version.as_str()),
        (Some(3), Some(3), "8.6.0")
    );

    let (client, _) = split(scene().recorded(REST, &format!("{SELF}/broker-topology")));
    assert_eq!(client.cluster().await.unwrap().brokers_up, [0, 1, 2]);

    let (client, _) = split(scene());
    let cluster = client.cluster().await.unwrap();
    assert_eq!(cluster.brokers_expected, None, "out of reach: cannot tell");
    assert_eq!(cluster.partitions, Some(3));

    let other = json!({"brokers": [], "clusterSize": 1, "partitionsCount": 1, "replicationFactor": 1});
    let (client, _) = split(scene().on("GET http://gateway:8080/v2/topology", 200, &other));
    assert_eq!(client.cluster().await.unwrap().brokers_expected, None, "another cluster's topology");
}

#[tokio::test]
async fn a_busy_broker_is_asked_again() {
    let request = "GET http://b0:9600/actuator/partitions";
    let scene = Scene::default()
        .on(request, 200, &json!({}))
        .on(request, 200, &json!({}))
        .recorded("http://b0:9600", "camunda-8.6.0/under-load/partitions-paused");
    let (client, scene) = split(scene);
    let positions =
        client.positions(&brokers(&[(0, "http://b0:9600")]), Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!((positions.brokers[0].partitions.len(), scene.asked().len()), (2, 3));
    assert!(positions.every_reached_leader_is_soft_paused());
}

#[tokio::test]
async fn an_unread_broker_is_named_with_its_reason_and_only_all_of_them_are_a_fault() {
    let scene = Scene::default().recorded("http://b0:9600", "camunda-8.6.0/under-load/partitions-paused").on(
        "GET http://b2:9600/actuator/partitions",
        200,
        &json!({}),
    );
    let (client, scene) = split(scene);
    let all = brokers(&[(0, "b0:9600"), (1, "b1:9600"), (2, "b2:9600")]);
    let positions = client.positions(&all, Timestamp::UNIX_EPOCH).await.unwrap();
    let unread: Vec<Option<&str>> = positions.brokers.iter().map(|b| b.unread.as_deref()).collect();
    assert_eq!(unread, [None, Some("connection refused"), Some("no partition in 5 answers")]);
    assert_eq!(positions.brokers[1].node, Some(1));
    assert_eq!(scene.asked().len(), 7, "one, one, and five that were empty");

    let fault = client.positions(&all[1..2], Timestamp::UNIX_EPOCH).await.unwrap_err();
    assert_eq!((fault.kind, fault.retry), (FaultKind::Unreachable, Retry::Again));
    assert!(fault.target.contains("b1:9600") && fault.answer.contains("refused"), "{fault}");
}

#[tokio::test]
async fn brokers_behind_a_login_are_no_outage() {
    let page = json!("<!DOCTYPE html><title>Sign in</title>");
    for status in [401, 403] {
        let scene = Scene::default().on("GET http://b0:9600/actuator/partitions", status, &page);
        let (client, _) = split(scene);
        let all = brokers(&[(0, "b0:9600"), (1, "b1:9600")]);
        let fault = client.positions(&all, Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!((fault.kind, fault.retry), (FaultKind::Unauthorised, Retry::Never), "{status}");
        assert!(fault.hint.contains("credentials") && fault.answer.contains("refused"), "{fault:?}");
    }
}

#[tokio::test]
async fn the_highest_id_counts_what_failed() {
    let metrics = include_str!("../../../fixtures/camunda-8.6.0/self-description/broker-prometheus.txt");
    let list = "GET http://gateway:9600/actuator/backups";
    let prometheus = "GET http://gateway:9600/actuator/prometheus";
    let with_metrics = |scene: Scene| split(scene.on(prometheus, 200, &json!(metrics))).0;
    let client = with_metrics(Scene::default().recorded(GATEWAY, "camunda-8.6.0/zeebe/backups-list"));
    assert_eq!(client.highest_runtime_id().await.unwrap(), Some(id(1_795_382_678)));
    let client = with_metrics(Scene::default().on(list, 504, &json!({"message": "timed out in PT15S"})));
    assert_eq!(client.highest_runtime_id().await.unwrap(), Some(id(1_795_382_678)), "the store is away");
    let (client, _) = split(Scene::default().recorded(GATEWAY, "camunda-8.6.0/zeebe/backups-list"));
    assert_eq!(client.highest_runtime_id().await.unwrap(), Some(id(10)), "metrics are not exposed");
    let (client, _) = split(Scene::default().missing(list));
    assert_eq!(client.highest_runtime_id().await.unwrap_err().kind, FaultKind::Absent);
    let (client, _) = split(Scene::default().recorded(OPERATE, "camunda-8.6.0/operate/list"));
    assert_eq!(client.highest_history_id(HistoryApp::Operate).await.unwrap(), Some(id(100)));
}

#[tokio::test]
async fn a_store_that_is_not_configured_ends_the_run_before_it_begins() {
    let list = "GET http://gateway:9600/actuator/backups";
    let props = "GET http://gateway:9600/actuator/configprops/zeebe.broker";
    let (client, _) = split(
        Scene::default()
            .recorded(GATEWAY, "camunda-8.6.0/zeebe/backups-list-empty")
            .missing(props)
            .recorded(GATEWAY, &format!("{SELF}/broker-configprops")),
    );
    let store = client.store().await.unwrap();
    assert_eq!((store.kind.as_deref(), store.location.as_deref()), (Some("S3"), Some("zeebe3b")));

    let bean = json!({"prefix": "zeebe.broker", "properties": {"data": {"backup": {"store": "NONE"}}}});
    let none = json!({"contexts": {"application": {"beans": {"b": bean}}}});
    let (client, _) = split(Scene::default().on(list, 200, &json!([])).on(props, 200, &none));
    let fault = client.store().await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Precondition);
    assert!(fault.hint.contains("ZEEBE_BROKER_DATA_BACKUP_STORE"), "{fault:?}");

    let message = json!({"message": "No backup store is configured"});
    let (client, _) = split(Scene::default().on(list, 400, &message));
    assert_eq!(client.store().await.unwrap_err().kind, FaultKind::Precondition);

    let all = "GET http://gateway:9600/actuator/configprops";
    let (client, _) = split(Scene::default().on(list, 200, &json!([])).missing(props).missing(all));
    assert_eq!(client.store().await.unwrap().kind, None, "not exposed: cannot tell");
}

#[tokio::test]
async fn a_gateway_of_its_own_leaves_the_store_to_the_brokers() {
    let scene = Scene::default()
        .on("GET http://gateway:9600/actuator/backups", 200, &json!([]))
        .missing("GET http://gateway:9600/actuator/configprops/zeebe.broker")
        .missing("GET http://gateway:9600/actuator/configprops")
        .missing("GET http://b0:9600/actuator/configprops/zeebe.broker")
        .recorded("http://b0:9600", &format!("{SELF}/broker-configprops"));
    let (client, _) = split(scene);
    let client = client.with_brokers(vec![Endpoint::parse("http://b0:9600").unwrap()]);
    assert_eq!(client.store().await.unwrap().kind.as_deref(), Some("S3"));
}

#[tokio::test]
async fn applications_name_their_repository_or_do_not_tell() {
    let part = "GET http://operate:9600/actuator/configprops/camunda.operate";
    let (client, _) =
        split(Scene::default().missing(part).recorded(OPERATE, &format!("{SELF}/operate-configprops")));
    assert_eq!(client.repository_of(HistoryApp::Operate).await.unwrap().as_deref(), Some("camunda"));
    assert_eq!(client.repository_of(HistoryApp::Optimize).await.unwrap(), None);
    let (client, _) =
        split(Scene::default().missing(part).missing("GET http://operate:9600/actuator/configprops"));
    assert_eq!(client.repository_of(HistoryApp::Operate).await.unwrap(), None);
}

#[tokio::test]
async fn a_pause_without_an_answer_is_unreachable() {
    let (client, _) = split(Scene::default());
    let fault = client.pause_exporting().await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.effect),
        (FaultKind::Unreachable, Effect::None),
        "refused: it never arrived"
    );
    assert_eq!(fault.target, "POST http://gateway:9600/actuator/exporting/pause?soft=true");
}
