//! What servers tell of themselves: topology, metrics, configuration.

use c8keep_engine::ports::Machine;
use jiff::SignedDuration;
use serde_json::json;

use super::{V86, answered, recorded};
use crate::camunda::scene::fixture;
use crate::camunda::{configprops, metrics, topology};

#[test]
fn only_the_topology_tells_who_is_there() {
    let members = recorded("self-description/broker-cluster", topology::members).unwrap();
    assert_eq!((members.count, members.replicas.len(), members.replicas[&1]), (3, 3, 3));
    assert_eq!(members.pending, None);
    let down = recorded("three-brokers/topology-one-down", topology::topology).unwrap();
    assert_eq!(
        (down.brokers.len(), down.size, down.partitions, down.replication),
        (2, Some(3), Some(3), Some(3))
    );
    assert!(down.brokers.iter().all(|broker| broker.version.as_deref() == Some("8.6.0")));
}

/// As 8.6.0 shows them: the brokers hide theirs, the applications do not.
#[test]
fn secrets_that_are_shown_are_told_by_name_and_never_by_value() {
    let shown = |name: &str| {
        let told = recorded(&format!("self-description/{name}-configprops"), configprops::told).unwrap();
        told.shown_secrets
    };
    assert_eq!(shown("operate"), ["camunda.operate.password"]);
    let names =
        ["operatorPassword", "password", "readerPassword"].map(|name| format!("camunda.tasklist.{name}"));
    assert_eq!(shown("tasklist"), names);
    assert_eq!(shown("broker"), [""; 0]);
}

#[test]
fn a_pending_change_is_told() {
    let body = json!({"version": 2, "brokers": [{"id": 0, "state": "ACTIVE", "partitions": []}],
        "pendingChange": {"id": 4, "status": "IN_PROGRESS", "pending": [{"operation": "PARTITION_JOIN"}]}});
    let members = answered(200, &body, topology::members).unwrap();
    assert_eq!(members.pending.as_deref(), Some("change 4 is IN_PROGRESS, 1 operations to go"));
    let body = json!({"brokers": [{"id": 0, "state": "ACTIVE"}, {"id": 1, "state": "LEAVING"}, {"id": 2, "state": "LEFT"}]});
    let members = answered(200, &body, topology::members).unwrap();
    assert_eq!((members.pending.as_deref(), members.count), (Some("broker 1 is LEAVING"), 2));
}

#[test]
fn the_last_checkpoint_outlives_failed_backups_and_comes_with_an_exponent() {
    let text = include_bytes!("../../../fixtures/camunda-8.6.0/self-description/broker-prometheus.txt");
    assert_eq!(metrics::gauge_max(text, "zeebe_checkpoint_id"), Some(1_795_382_678));
    let text = b"zeebe_checkpoint_id{partition=\"1\"} -1.0\nzeebe_checkpoint_id_x 9\nzeebe_checkpoint_id 7.0 1700000000\n";
    assert_eq!(metrics::gauge_max(text, "zeebe_checkpoint_id"), Some(7));
    assert_eq!(
        metrics::gauge_max(b"zeebe_checkpoint_id NaN\nzeebe_checkpoint_id +Inf\n", "zeebe_checkpoint_id"),
        None
    );
}

#[test]
fn a_broker_tells_of_its_disk_and_its_clock() {
    // As 8.6.0 tells them.
    let text = b"# TYPE disk_free_bytes gauge\ndisk_free_bytes{path=\"/data/.\",} 6.0200235008E10\n\
        disk_total_bytes{path=\"/data/.\",} 2.70553174016E11\nprocess_uptime_seconds 73.637\n\
        process_start_time_seconds 1.795396397839E9\n";
    let machine = metrics::machine("b0", text, Some("/data"));
    assert_eq!(machine.disk_free, Some(60_200_235_008));
    assert_eq!((machine.log_written, machine.uptime), (None, Some(SignedDuration::from_millis(73_637))));
    let time = machine.time.unwrap();
    assert_eq!(time.strftime("%FT%T").to_string(), "2026-11-23T01:14:31");
    assert_eq!(
        metrics::machine("b0", b"process_start_time_seconds 73.6\nhello\n", None),
        Machine { address: "b0".into(), ..Machine::default() }
    );
    let free = |data| metrics::machine("b0", text, data).disk_free;
    assert_eq!(free(Some("/data/zeebe")), None, "the working directory may lie on another disk");
    assert_eq!(free(None), None, "nobody tells where the data are");
    let full = b"disk_free_bytes{path=\"/data\"} 0.0\n";
    assert_eq!(metrics::machine("b0", full, Some("/data/")).disk_free, Some(0), "a full disk is told, too");
}

/// The metric is called a rate and counts KiB, one series a partition; the histogram beside it is no part of it.
#[test]
fn a_broker_tells_what_it_has_written() {
    let written = |text: &str| metrics::machine("b0", text.as_bytes(), None).log_written;
    let simple = "atomix_journal_append_data_rate_total{partition=\"1\",} 2048.5\n\
                  atomix_journal_append_data_rate_total{partition=\"2\",} 1.0E3\natomix_journal_append_rate_total{partition=\"1\",} 9.0\n";
    assert_eq!(written(simple), Some(3_121_664));
    let micrometer = simple.replace("data_rate_total", "data_rate_KiB_total");
    assert_eq!(written(&micrometer), Some(3_121_664));
    assert_eq!(written("atomix_journal_append_data_rate_total{partition=\"1\",} NaN\n"), None);
    assert_eq!(written("atomix_journal_append_rate_total 9.0\n"), None);
}

#[test]
fn brokers_tell_store_exporters_and_partitions() {
    let told = recorded("self-description/broker-configprops", configprops::told).unwrap();
    let broker = told.broker.unwrap();
    assert_eq!(
        (broker.node, broker.cluster_size, broker.partitions, broker.replication),
        (Some(1), Some(3), Some(3), Some(3))
    );
    assert_eq!((broker.store.as_deref(), broker.location.as_deref()), (Some("S3"), Some("zeebe3b")));
    assert_eq!(broker.command, Some(("127.0.0.1".into(), 26511)));
    assert_eq!(broker.stops_at, Some(0), "its disk is not watched");
    assert_eq!(broker.directory.as_deref(), Some("/var/lib/camunda/z3-1"));
    let exporter = &told.exporters["elasticsearch"];
    assert_eq!(
        exporter.prefix.as_deref(),
        Some("z3-record"),
        "not the default: a snapshot of zeebe-record* were empty"
    );
    assert_eq!(exporter.url.as_deref(), Some("http://127.0.0.1:19250"));
    assert_eq!(told.rest_port, Some(18111));
}

#[test]
fn applications_tell_their_repository_and_nothing_of_their_passwords() {
    for (name, property) in [("operate", "camunda.operate"), ("tasklist", "camunda.tasklist")] {
        let told = recorded(&format!("self-description/{name}-configprops"), configprops::told).unwrap();
        assert_eq!(told.repositories, [(format!("{property}.backup.repositoryName"), "camunda".to_owned())]);
        assert!(told.searches.iter().any(|(_, url)| url == "http://127.0.0.1:19250"), "{told:?}");
        let body = fixture(&format!("{V86}/self-description/{name}-configprops")).body.to_string();
        assert!(body.contains("\"password\":\"demo\""), "the server shows it");
        assert!(!format!("{told:?}").contains("demo"), "and it is not read");
    }
}

#[test]
fn hidden_values_are_no_values() {
    let properties = json!({"data": {"backup": {"store": "******", "s3": {"bucketName": "******"}}},
        "cluster": {"nodeId": "******"},
        "exporters": {"es": {"className": "******", "args": {"url": "******"}}}});
    let bean = json!({"prefix": "zeebe.broker", "properties": properties});
    let told = answered(200, &json!({"contexts": {"c": {"beans": {"b": bean}}}}), configprops::told).unwrap();
    assert_eq!(told.broker, Some(configprops::BrokerTold::default()));
    assert_eq!(told.exporters["es"], configprops::Exporter::default());
}

#[test]
fn later_names_of_the_properties_are_known() {
    let properties = json!({"data": {
        "backup": {"repositoryName": "camunda", "store": "NONE"},
        "primaryStorage": {"backup": {"store": "GCS", "gcs": {"bucketName": "b", "basePath": "p"}}},
        "secondaryStorage": {"type": "opensearch", "opensearch": {"url": "http://os:9200", "password": "geheim"},
            "elasticsearch": {"url": "http://localhost:9200"}}}});
    let bean = json!({"prefix": "camunda", "properties": properties});
    let told = answered(200, &json!({"contexts": {"c": {"beans": {"b": bean}}}}), configprops::told).unwrap();
    let broker = told.broker.as_ref().unwrap();
    assert_eq!((broker.store.as_deref(), broker.location.as_deref()), (Some("GCS"), Some("b/p")));
    assert_eq!(told.repositories[0].1, "camunda");
    assert_eq!(
        told.searches,
        [("camunda.data.secondary-storage.opensearch.url".to_owned(), "http://os:9200".to_owned())]
    );
    let args = json!({"connect": {"url": "http://es:9200", "index-prefix": "c8"}});
    let exporters =
        json!({"camundaexporter": {"className": "io.camunda.exporter.CamundaExporter", "args": args}});
    let bean = json!({"prefix": "zeebe.broker", "properties": {"exporters": exporters}});
    let told = answered(200, &json!({"contexts": {"c": {"beans": {"b": bean}}}}), configprops::told).unwrap();
    let exporter = &told.exporters["camundaexporter"];
    assert_eq!((exporter.url.as_deref(), exporter.prefix.as_deref()), (Some("http://es:9200"), Some("c8")));
}

#[test]
fn a_cluster_that_makes_its_own_ids_says_by_which_property() {
    let own_ids = |backup: serde_json::Value| {
        let bean =
            json!({"prefix": "camunda", "properties": {"data": {"primaryStorage": {"backup": backup}}}});
        let body = json!({"contexts": {"c": {"beans": {"b": bean}}}});
        answered(200, &body, configprops::told).unwrap().broker.and_then(|broker| broker.own_ids)
    };
    let property = |name: &str| Some(format!("camunda.data.primary-storage.backup.{name}"));
    assert_eq!(own_ids(json!({"store": "S3", "continuous": true})), property("continuous"));
    assert_eq!(own_ids(json!({"schedule": "PT1H"})), property("schedule"));
    assert_eq!(own_ids(json!({"checkpointInterval": "PT5M"})), property("checkpoint-interval"));
    assert_eq!(
        own_ids(json!({"store": "S3", "continuous": false, "schedule": "none", "checkpointInterval": ""})),
        None
    );
}

#[test]
fn a_password_in_an_address_is_dropped_while_reading() {
    let exporters =
        json!({"es": {"className": "x.ElasticsearchExporter", "args": {"url": "https://u:geheim@es:9200"}}});
    let bean = json!({"prefix": "zeebe.broker", "properties": {"exporters": exporters}});
    let told = answered(200, &json!({"contexts": {"c": {"beans": {"b": bean}}}}), configprops::told).unwrap();
    assert_eq!(told.exporters["es"].url.as_deref(), Some("https://es:9200"));
}
