//! Where Elasticsearch and OpenSearch differ in values, which the comparison by shape does not see.

use c8keep_twin::{Config, Host, Product, Request};
use serde_json::{Value, json};

use crate::hand::{Bench, seeded};

fn bench(search: Product) -> Bench {
    let mut config = seeded(Config::demo_8_6(), 1);
    config.search = search;
    Bench::new(config)
}

fn create(bench: &mut Bench, name: &str) -> Value {
    let order = json!({"indices": "zeebe-record*", "feature_states": ["none"]});
    bench.send(Host::Search, &Request::new("PUT", &format!("/_snapshot/camunda/{name}")).json(&order)).value()
}

fn read(bench: &mut Bench, name: &str) -> Value {
    bench.get(Host::Search, &format!("/_snapshot/camunda/{name}")).value()["snapshots"][0].clone()
}

#[test]
fn a_running_snapshot_counts_its_shards_on_elasticsearch_only() {
    for (search, counts) in [(Product::Elasticsearch, true), (Product::OpenSearch, false)] {
        let mut bench = bench(search);
        create(&mut bench, "a");
        let running = read(&mut bench, "a");
        assert_eq!(running["state"], "IN_PROGRESS");
        assert_eq!(running["shards"]["total"].as_u64() > Some(0), counts, "{running}");
        assert_eq!(running["end_time"], "1970-01-01T00:00:00.000Z");
        bench.pass(10_000);
        let done = read(&mut bench, "a");
        assert_eq!(done["shards"]["total"], done["shards"]["successful"]);
        assert_eq!(
            done["indices"].as_array().map(Vec::len).map(|n| json!(n)),
            Some(done["shards"]["total"].clone())
        );
    }
}

#[test]
fn a_partial_snapshot_is_a_success_to_the_status_of_elasticsearch() {
    for (search, state) in [(Product::Elasticsearch, "SUCCESS"), (Product::OpenSearch, "PARTIAL")] {
        let mut bench = bench(search);
        bench.world.faults.snapshots_partial.insert("a".to_owned());
        create(&mut bench, "a");
        bench.pass(10_000);
        assert_eq!(read(&mut bench, "a")["state"], "PARTIAL");
        let status = bench.get(Host::Search, "/_snapshot/camunda/a/_status").value();
        assert_eq!(status["snapshots"][0]["state"], state);
        assert_eq!(status["snapshots"][0]["shards_stats"]["failed"], 1);
    }
}

#[test]
fn progress_rises_while_a_snapshot_runs() {
    let mut bench = bench(Product::Elasticsearch);
    create(&mut bench, "a");
    let mut done = Vec::new();
    while read(&mut bench, "a")["state"] == "IN_PROGRESS" {
        let status = bench.get(Host::Search, "/_snapshot/_status").value();
        done.push(status["snapshots"][0]["shards_stats"]["done"].as_u64().expect("a count"));
        bench.pass(50);
    }
    assert!(done.is_sorted() && done.first() < done.last(), "{done:?}");
}

#[test]
fn a_new_name_never_hides_an_old_snapshot() {
    for search in [Product::Elasticsearch, Product::OpenSearch] {
        let mut bench = bench(search);
        create(&mut bench, "a");
        bench.pass(10_000);
        let before = read(&mut bench, "a");
        assert_eq!(create(&mut bench, "a")["status"], 400);
        bench.pass(10_000);
        assert_eq!(read(&mut bench, "a"), before);
    }
}

#[test]
fn between_two_parts_operate_flashes_as_the_real_one_did() {
    for (search, seen) in [
        (Product::Elasticsearch, vec!["400", "IN_PROGRESS", "INCOMPLETE", "COMPLETED"]),
        (Product::OpenSearch, vec!["404", "400", "INCOMPLETE", "COMPLETED"]),
    ] {
        let mut bench = bench(search);
        bench.post(Host::Operate, "/actuator/backups", &json!({"backupId": 100}));
        let mut states: Vec<String> = Vec::new();
        while states.last().is_none_or(|state| state != "COMPLETED") {
            let answer = bench.get(Host::Operate, "/actuator/backups/100");
            let state = answer.value()["state"].as_str().map(str::to_owned);
            let state = state.unwrap_or_else(|| answer.status.to_string());
            if !states.contains(&state) {
                states.push(state);
            }
            bench.pass(10);
        }
        assert_eq!(states, seen);
    }
}

#[test]
fn elasticsearch_lists_the_newest_first_when_asked() {
    let mut bench = bench(Product::Elasticsearch);
    for name in ["a", "b", "c"] {
        create(&mut bench, name);
        bench.pass(10_000);
    }
    let body = bench.get(Host::Search, "/_snapshot/camunda/*?size=2&sort=start_time&order=desc").value();
    let names: Vec<&Value> =
        body["snapshots"].as_array().expect("a list").iter().map(|s| &s["snapshot"]).collect();
    assert_eq!(names, ["c", "b"]);
    assert_eq!((&body["total"], &body["remaining"]), (&json!(3), &json!(1)));
}

#[test]
fn the_exporter_is_the_one_of_the_product() {
    // As real brokers of 8.6.0 tell it; the comparison with recorded answers leaves the class open.
    for (search, name, class) in [
        (Product::Elasticsearch, "elasticsearch", "io.camunda.zeebe.exporter.ElasticsearchExporter"),
        (Product::OpenSearch, "opensearch", "io.camunda.zeebe.exporter.opensearch.OpensearchExporter"),
    ] {
        let told = bench(search).get(Host::Broker(0), "/actuator/configprops").value();
        let beans = told["contexts"]["application"]["beans"].as_object().cloned().unwrap_or_default();
        let broker = beans.iter().find(|(bean, _)| bean.starts_with("zeebe.broker-")).map(|(_, bean)| bean);
        let exporters = broker.map(|bean| &bean["properties"]["exporters"]);
        assert_eq!(exporters.map(|all| &all[name]["className"]), Some(&json!(class)), "{told}");
    }
}
