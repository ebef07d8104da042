//! Discovery over scenes of recorded servers, and its deciding half on its own.

mod access;
mod deciding;
mod elsewhere;
mod fuzz;
mod gateways;

use std::collections::BTreeSet;
use std::sync::Arc;

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::Dialect;
use c8keep_core::fault::FaultKind;
use c8keep_core::installation::{Records, SearchProduct};
use serde_json::{Value, json};

use super::{Configured, Discovered, Level, discover};
use crate::camunda::scene::{Scene, fixture};

const GATEWAY: &str = "http://localhost:9600";
const OPERATE: &str = "http://localhost:9610";
const TASKLIST: &str = "http://localhost:9640";
const SEARCH: &str = "http://127.0.0.1:19250";
const SELF: &str = "camunda-8.6.0/self-description";

/// A whole installation of 8.6 on Elasticsearch: the recorded broker 1 of three behind the gateway address.
fn installation() -> Scene {
    installation_at(GATEWAY, "http://localhost:18111")
}

/// The same at another management address and another application address.
fn installation_at(gateway: &str, rest: &str) -> Scene {
    let scene = Scene::default()
        .recorded(gateway, &format!("{SELF}/broker-info"))
        .recorded(gateway, &format!("{SELF}/broker-links"))
        .recorded(gateway, &format!("{SELF}/broker-cluster"))
        .recorded(gateway, &format!("{SELF}/broker-exporters"))
        .missing(&format!("GET {gateway}/actuator/configprops/zeebe.broker"))
        .missing(&format!("GET {gateway}/actuator/configprops/server"))
        .recorded(gateway, &format!("{SELF}/broker-configprops"))
        .recorded(rest, &format!("{SELF}/broker-topology"))
        .recorded(gateway, "camunda-8.6.0/under-load/partitions-paused");
    let scene = application(scene, OPERATE, "operate");
    search(application(scene, TASKLIST, "tasklist"), SEARCH, "uuid-1", &["operate-list-view-8.3.0_"])
}

fn application(scene: Scene, address: &str, name: &str) -> Scene {
    scene
        .recorded(address, &format!("{SELF}/{name}-info"))
        .recorded(address, &format!("{SELF}/{name}-links"))
        .missing(&format!("GET {address}/actuator/configprops/camunda.operate"))
        .missing(&format!("GET {address}/actuator/configprops/camunda.tasklist"))
        .recorded(address, &format!("{SELF}/{name}-configprops"))
}

/// An Elasticsearch that answers every listing with these indices.
fn search(scene: Scene, address: &str, uuid: &str, indices: &[&str]) -> Scene {
    let root =
        json!({"cluster_uuid": uuid, "version": {"number": "8.16.6"}, "tagline": "You Know, for Search"});
    let list: Vec<Value> = indices
        .iter()
        .map(|name| json!({"index": name, "status": "open", "docs.count": "1", "pri": "1"}))
        .collect();
    scene
        .on(&format!("GET {address}/"), 200, &root)
        .on(&format!("GET {address}/_snapshot"), 200, &json!({"camunda": {"type": "fs", "settings": {}}}))
        .fallback(&format!("GET {address}/_cat/indices"), 200, &Value::Array(list))
}

fn configured() -> Configured {
    Configured {
        name: "default".into(),
        management: Some("localhost:9600".into()),
        operate: Some("localhost:9610".into()),
        tasklist: Some("localhost:9640".into()),
        ..Configured::default()
    }
}

async fn run(scene: Scene, configured: &Configured) -> Result<Discovered, c8keep_core::fault::Fault> {
    discover(Arc::new(scene), configured).await
}

#[tokio::test]
async fn three_addresses_are_enough() {
    let found = run(installation(), &configured()).await.unwrap();
    let it = &found.installation;
    assert_eq!((it.dialect, it.version.to_string().as_str()), (Dialect::SplitActuators, "8.6.0"));
    assert_eq!(it.records, Records::Prefix { prefix: "z3-record".into() });
    assert_eq!((it.repository.as_str(), it.search.address.as_str()), ("camunda", SEARCH));
    assert_eq!(it.fingerprint.to_string(), "uuid-1/z3-record");
    assert_eq!(
        it.apps.iter().map(|a| a.app).collect::<Vec<_>>(),
        [HistoryApp::Operate, HistoryApp::Tasklist]
    );
    assert_eq!(it.brokers.iter().map(|b| (b.node, b.reached)).collect::<Vec<_>>(), [(Some(1), true)]);
    assert_eq!(found.camunda.rest().unwrap().address(), "http://localhost:18111");
    let said = format!("{:?}", found.findings);
    assert!(said.contains("1 of 3 brokers are reached") && said.contains("`brokers`"), "{said}");
    assert!(said.contains("backup store S3, zeebe3b"), "{said}");
    assert!(!said.contains("demo"), "no password of an application: {said}");
    for never in ["Keycloak", "Web Modeler", "document store", "secrets"] {
        assert!(it.not_covered.iter().any(|n| n.what.contains(never)), "{never}");
    }
}

/// Operate reads zeebe-record*, the exporter writes z3-record*: recorded from two different set-ups, and just what
/// such a mistake looks like.
#[tokio::test]
async fn a_prefix_that_the_applications_do_not_read_is_a_contradiction() {
    let found = run(installation(), &configured()).await.unwrap();
    let told = found.findings.iter().find(|f| f.level == Level::Contradiction).unwrap();
    assert!(told.what.contains("z3-record*") && told.what.contains("reads zeebe-record*"), "{told:?}");
}

#[tokio::test]
async fn brokers_of_one_machine_must_be_configured_and_are_told_apart_by_node_id() {
    let partitions = "camunda-8.6.0/under-load/partitions-paused";
    let mut scene = installation();
    for (address, node) in [("http://localhost:9601", 0), ("http://localhost:9602", 2)] {
        let bean = json!({"prefix": "zeebe.broker", "properties": {"cluster": {"nodeId": node}}});
        let props = json!({"contexts": {"c": {"beans": {"b": bean}}}});
        let path = format!("GET {address}/actuator/configprops/zeebe.broker");
        scene = scene.recorded(address, partitions).on(&path, 200, &props);
    }
    let brokers = ["localhost:9601", "localhost:9600", "localhost:9602", "localhost:9603"].map(str::to_owned);
    let given = Configured { brokers: brokers.into(), ..configured() };
    let found = run(scene, &given).await.unwrap();
    let list: Vec<(Option<u32>, &str, bool)> =
        found.installation.brokers.iter().map(|b| (b.node, b.address.as_str(), b.reached)).collect();
    assert_eq!(
        list,
        [
            (Some(0), "http://localhost:9601", true),
            (Some(1), "http://localhost:9600", true),
            (Some(2), "http://localhost:9602", true),
            (None, "http://localhost:9603", false),
        ]
    );
    let note = found.findings.iter().find(|f| f.source == "http://localhost:9603").unwrap();
    assert!(note.level == Level::Note && note.what.contains("connection refused"), "{note:?}");
}

#[tokio::test]
async fn no_address_at_all_says_what_would_be_enough() {
    let fault = run(Scene::default(), &Configured::default()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    for variable in ["ORCHESTRATION_CLUSTER_MANAGEMENT_API", "OPERATE_MANAGEMENT_API", "CAMUNDA_RELEASE_NAME"]
    {
        assert!(fault.hint.contains(variable), "{fault:?}");
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_named() {
    let fault = run(Scene::default(), &configured()).await.unwrap_err();
    assert_eq!(
        (fault.kind, fault.target.as_str()),
        (FaultKind::Unreachable, "GET http://localhost:9600/actuator/info")
    );
}

#[tokio::test]
async fn the_application_port_is_told_from_the_management_port() {
    let info = "GET http://localhost:9600/actuator/info";
    for (status, body) in [
        (200, json!("<!DOCTYPE html><html><title>Operate</title></html>")),
        (302, json!("")),
        (404, json!({"status": 404, "error": "Not Found"})),
    ] {
        let fault = run(Scene::default().on(info, status, &body), &configured()).await.unwrap_err();
        assert_ne!(fault.kind.exit_code(), 0);
        let text = format!("{} {}", fault.answer, fault.hint);
        assert!(text.contains("9600") || text.contains("right component"), "{status}: {fault:?}");
    }
    let page = Scene::default().on(info, 200, &json!("<html>"));
    let fault = run(page, &configured()).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Strange);
    assert!(
        fault.answer.contains("an HTML page") && fault.hint.contains("8080 is the application"),
        "{fault:?}"
    );
}

#[tokio::test]
async fn operates_address_in_the_gateways_place_is_refused() {
    let given = Configured { management: Some(OPERATE.into()), ..configured() };
    let fault = run(installation(), &given).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    assert!(fault.hint.contains("not of the gateway"), "{fault:?}");
}

#[tokio::test]
async fn the_gateways_address_in_operates_place_would_burn_an_id() {
    let given = Configured { operate: Some("localhost:9600".into()), ..configured() };
    let fault = run(installation(), &given).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    assert!(fault.answer.contains("not operate"), "{fault:?}");
}

#[tokio::test]
async fn exchanged_and_doubled_addresses_are_noticed() {
    let swapped =
        Configured { operate: Some(TASKLIST.into()), tasklist: Some(OPERATE.into()), ..configured() };
    let fault = run(installation(), &swapped).await.unwrap_err();
    assert!(fault.kind == FaultKind::Usage && fault.answer.contains("tasklist answers there"), "{fault:?}");
    let twice = Configured { tasklist: Some(OPERATE.into()), ..configured() };
    let fault = run(installation(), &twice).await.unwrap_err();
    assert!(fault.kind == FaultKind::Usage && fault.answer.contains("same address"), "{fault:?}");
    let is_told =
        fault.answer.contains("is that of operate") && fault.hint.contains("TASKLIST_MANAGEMENT_API");
    assert!(is_told, "whose it is not: {fault:?}");
}

#[tokio::test]
async fn an_unknown_version_is_refused_before_anything() {
    let info = json!({"build": {"version": "8.4.9"}});
    let scene = Scene::default()
        .on("GET http://localhost:9600/actuator/info", 200, &info)
        .recorded(GATEWAY, &format!("{SELF}/broker-links"));
    let fault = run(scene, &configured()).await.unwrap_err();
    assert_eq!(fault.kind.exit_code(), 10);
    assert!(fault.answer.contains("8.4.9"), "{fault:?}");
}

#[tokio::test]
async fn operate_without_an_address_is_never_left_out_silently() {
    let given = Configured { operate: None, ..configured() };
    let fault = run(installation(), &given).await.unwrap_err();
    assert_eq!(fault.kind.exit_code(), 10);
    for word in ["OPERATE_MANAGEMENT_API", "`operate.address`", "`operate: {enabled: false}`"] {
        assert!(fault.hint.contains(word), "{word}: {fault:?}");
    }
    assert!(fault.answer.contains("operate-list-view-8.3.0_"), "{fault:?}");

    let off = Configured { off: BTreeSet::from([HistoryApp::Operate]), ..given };
    let found = run(installation(), &off).await.unwrap();
    assert!(found.installation.not_covered.iter().any(|n| n.what == "operate"));
    assert_eq!(found.installation.apps.len(), 1);
    let tasklist = Configured { tasklist: None, ..configured() };
    let found = run(installation(), &tasklist).await.unwrap();
    assert_eq!(found.installation.apps.len(), 1, "no index, no address: there is none");
}

#[tokio::test]
async fn the_topology_of_another_cluster_is_not_believed() {
    let mut topology = fixture(&format!("{SELF}/broker-topology")).body;
    topology["brokers"][1]["port"] = json!(9);
    let given = Configured { rest: Some("localhost:8080".into()), ..configured() };
    let scene = installation().on("GET http://localhost:8080/v2/topology", 200, &topology);
    let found = run(scene, &given).await.unwrap();
    assert!(found.camunda.rest().is_none());
    assert!(found.findings.iter().any(|f| f.source.contains("another cluster")), "{:?}", found.findings);
}

/// Helm's context path stands before the paths of both ports. Where it stands before those of one port only, the other is
/// found all the same.
#[tokio::test]
async fn the_application_port_below_a_context_path() {
    let given = Configured { management: Some("localhost:9600/zeebe".into()), ..configured() };
    for rest in ["http://localhost:18111/zeebe", "http://localhost:18111"] {
        let mut scene = installation_at("http://localhost:9600/zeebe", rest);
        if !rest.ends_with("/zeebe") {
            scene = scene.missing("GET http://localhost:18111/zeebe/v2/topology");
        }
        let found = run(scene, &given).await.unwrap();
        assert_eq!(found.camunda.rest().unwrap().address(), rest);
        assert_eq!(found.installation.management, "http://localhost:9600/zeebe");
    }
}

/// 8.5 has the first version of the application's interface and answers 404 to the second.
#[tokio::test]
async fn the_topology_of_8_5() {
    let first = fixture(&format!("{SELF}/broker-topology")).body;
    let scene = installation_at(GATEWAY, "http://localhost:1")
        .missing("GET http://localhost:18111/v2/topology")
        .on("GET http://localhost:18111/v1/topology", 200, &first);
    let found = run(scene, &configured()).await.unwrap();
    assert_eq!(found.camunda.rest().unwrap().address(), "http://localhost:18111");
    let cluster = c8keep_engine::ports::Camunda::cluster(&found.camunda).await.unwrap();
    assert_eq!((cluster.brokers_expected, cluster.brokers_up), (Some(3), vec![0, 1, 2]));
}

/// The recorded broker is asked for its S3 store by 8.8's names of the endpoints.
#[tokio::test]
async fn from_8_8_on_one_address_is_enough() {
    let links = json!({"_links": {"backupRuntime": {}, "backupHistory": {}, "exporting": {}, "cluster": {}}});
    let properties = json!({"data": {
        "backup": {"repositoryName": "camunda", "store": "S3", "s3": {"bucketName": "b"}},
        "secondaryStorage": {"type": "elasticsearch", "elasticsearch": {"url": SEARCH}}}});
    let bean = json!({"prefix": "camunda", "properties": properties});
    let exporter =
        json!({"className": "io.camunda.exporter.CamundaExporter", "args": {"connect": {"url": SEARCH}}});
    let broker = json!({"cluster": {"nodeId": 0}, "exporters": {"camundaexporter": exporter}});
    let broker = json!({"prefix": "zeebe.broker", "properties": broker});
    let props = json!({"contexts": {"c": {"beans": {"a": broker, "b": bean}}}});
    let scene = Scene::default()
        .on("GET http://localhost:9600/actuator/info", 200, &json!({"build": {"version": "8.8.0"}}))
        .on("GET http://localhost:9600/actuator", 200, &links)
        .on(
            "GET http://localhost:9600/actuator/exporters",
            200,
            &json!([{"exporterId": "camundaexporter", "status": "ENABLED"}]),
        )
        .on("GET http://localhost:9600/actuator/configprops", 200, &props)
        .on("GET http://localhost:9600/actuator/configprops/server", 200, &props)
        .recorded(GATEWAY, "camunda-8.6.0/under-load/partitions-paused");
    let scene = search(scene, SEARCH, "uuid-1", &["operate-list-view-8.3.0_"]);
    let given = Configured { management: Some(GATEWAY.into()), ..Configured::default() };
    let found = run(scene, &given).await.unwrap();
    let it = &found.installation;
    assert_eq!((it.dialect, it.repository.as_str()), (Dialect::UnifiedActuators, "camunda"));
    assert_eq!(
        it.apps.iter().map(|a| (a.app, a.address.as_str())).collect::<Vec<_>>(),
        [(HistoryApp::Webapps, GATEWAY)]
    );
    assert!(matches!(&it.records, Records::Excluded { reason } if reason.contains("camundaexporter")));
    assert_eq!(
        (it.fingerprint.to_string(), it.search.product),
        ("uuid-1/-".into(), SearchProduct::Elasticsearch)
    );
    assert!(it.not_covered.iter().any(|n| n.what == "exported records"));
}
