//! `/actuator/configprops`: what the servers tell about their own configuration.
//!
//! Only what an outsider can use is here; the real answer is some hundred keys longer. The web applications show their
//! passwords unmasked, and so does the twin.

use serde_json::{Map, Value, json};

use super::actuator::address;
use crate::config::Product;
use crate::host::Host;
use crate::world::World;

/// The whole answer, or the beans below one prefix.
pub fn body(world: &World, host: Host, prefix: Option<&str>) -> Value {
    let mut beans = Map::new();
    for (bean, of, properties) in all(world, host) {
        if prefix.is_none_or(|wanted| of == wanted || of.starts_with(&format!("{wanted}."))) {
            beans.insert(bean.to_owned(), json!({"prefix": of, "properties": properties}));
        }
    }
    json!({"contexts": {"application": {"beans": beans}}})
}

fn all(world: &World, host: Host) -> Vec<(&'static str, &'static str, Value)> {
    let own = address(world, host);
    let port: u64 = own.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(9600);
    let context = world.config.contexts.of(host);
    let server = json!({"address": "127.0.0.1", "basePath": context, "port": port, "ssl": {"enabled": false, "protocol": "TLS", "serverNameBundles": []}});
    let web = json!({"pathMapping": {}, "exposure": {"include": ["*"], "exclude": []}, "basePath": "/actuator", "discovery": {"enabled": true}});
    let mut beans = vec![
        (
            "management.server-org.springframework.boot.actuate.autoconfigure.web.server.ManagementServerProperties",
            "management.server",
            server,
        ),
        (
            "management.endpoints.web-org.springframework.boot.actuate.autoconfigure.endpoint.web.WebEndpointProperties",
            "management.endpoints.web",
            web,
        ),
    ];
    match host {
        Host::Operate => {
            beans.push(("io.camunda.operate.property.OperateProperties", "camunda.operate", operate(world)));
        }
        Host::Tasklist => {
            beans.push((
                "io.camunda.tasklist.property.TasklistProperties",
                "camunda.tasklist",
                tasklist(world),
            ));
        }
        Host::Broker(node) => {
            beans.push((
                "zeebe.broker-io.camunda.application.commons.configuration.BrokerBasedConfiguration$BrokerBasedProperties",
                "zeebe.broker",
                broker(world, node),
            ));
            if world.config.unified() {
                beans.push(("camunda-io.camunda.configuration.Camunda", "camunda", unified(world)));
            }
        }
        _ => {}
    }
    beans
}

fn broker(world: &World, node: u32) -> Value {
    let config = &world.config;
    let contacts: Vec<String> =
        (0..config.brokers).map(|node| format!("127.0.0.1:{}", 26_502 + 10 * node)).collect();
    // From 8.9 on the store has a property of a new name; the old one is there with what it has by default.
    let backup = store(config.store.as_deref().filter(|_| config.dialect() < (8, 9)));
    json!({
        "cluster": {
            "initialContactPoints": contacts, "partitionIds": world.partition_ids(), "nodeId": node,
            "partitionsCount": config.partitions, "replicationFactor": config.replication,
            "clusterSize": config.brokers, "clusterName": "zeebe-cluster",
        },
        "data": {
            "directory": format!("/var/lib/camunda/z-{node}"), "logSegmentSize": "16777216B",
            "snapshotPeriod": format!("PT{}S", f64::from(config.rhythm.snapshot) / 1000.0),
            "disk": {
                "enableMonitoring": true, "monitoringInterval": "PT1S",
                "freeSpace": {"processing": "2147483648B", "replication": "1073741824B"},
            },
            "backup": backup,
        },
        "exporters": exporters(world),
    })
}

fn store(bucket: Option<&str>) -> Value {
    match bucket {
        Some(bucket) => json!({
            "store": "S3",
            "s3": {
                "bucketName": bucket, "endpoint": "http://127.0.0.1:18333", "region": "us-east-1",
                "accessKey": "******", "secretKey": "******", "apiCallTimeout": "PT3M", "forcePathStyleAccess": true,
            },
            "gcs": {"auth": "AUTO"}, "azure": {},
        }),
        None => {
            json!({"store": "NONE", "s3": {"apiCallTimeout": "PT3M", "forcePathStyleAccess": false}, "gcs": {"auth": "AUTO"}, "azure": {}})
        }
    }
}

fn exporters(world: &World) -> Value {
    let search = address(world, Host::Search);
    let mut exporters = Map::new();
    if world.config.unified() {
        let args = json!({"connect": {"url": search, "type": product(world), "indexPrefix": ""}});
        exporters.insert(
            "camundaexporter".to_owned(),
            json!({"className": "io.camunda.exporter.CamundaExporter", "args": args}),
        );
    }
    if world.config.records_exporter {
        let class = match world.config.search {
            Product::Elasticsearch => "io.camunda.zeebe.exporter.ElasticsearchExporter",
            Product::OpenSearch => "io.camunda.zeebe.exporter.opensearch.OpensearchExporter",
        };
        let mut index = json!({"numberofreplicas": "0"});
        // Only what was set is shown; the default prefix was not.
        if world.config.record_prefix != "zeebe-record" {
            index["prefix"] = json!(world.config.record_prefix);
        }
        exporters.insert(
            product(world).to_owned(),
            json!({"className": class, "args": {"index": index, "url": search}}),
        );
    }
    Value::Object(exporters)
}

fn product(world: &World) -> &'static str {
    match world.config.search {
        Product::Elasticsearch => "elasticsearch",
        Product::OpenSearch => "opensearch",
    }
}

/// The properties of one name for all components. Their names and defaults are those of the property references of 8.8
/// (`camunda.data.backup`) and 8.9 (`camunda.data.primary-storage.backup` and `camunda.data.secondary-storage.<product>.backup`).
fn unified(world: &World) -> Value {
    let search = address(world, Host::Search);
    let backup = json!({
        "repositoryName": world.config.repositories.history, "snapshotTimeout": 0, "incompleteCheckTimeout": "PT5M",
    });
    let mut used = json!({"url": search, "indexPrefix": ""});
    if world.config.dialect() < (8, 9) {
        return json!({"data": {
            "backup": backup, "secondaryStorage": {"type": product(world), product(world): used},
        }});
    }
    used["backup"] = backup;
    let own = &world.config.own_backups;
    let mut primary = store(world.config.store.as_deref());
    primary["continuous"] = json!(own.continuous);
    primary["required"] = json!(false);
    // What has no default is not shown unless it is set.
    for (name, value) in [("schedule", &own.schedule), ("checkpointInterval", &own.checkpoint_interval)] {
        if let Some(value) = value {
            primary[name] = json!(value);
        }
    }
    json!({"data": {
        "primaryStorage": {"backup": primary},
        "secondaryStorage": {"type": product(world), product(world): used},
    }})
}

/// The connection properties of one search product; the one not in use shows its defaults.
fn connection(world: &World, product: Product, own: &[(&str, &str)], fallback: u32) -> Value {
    let used = world.config.search == product;
    let url = if used { address(world, Host::Search) } else { format!("http://localhost:{fallback}") };
    let tail = url.trim_start_matches("http://");
    let (host, port) = tail.rsplit_once(':').unwrap_or((tail, "80"));
    let port: u64 = port.parse().unwrap_or(80);
    let mut body = json!({
        "host": host, "port": port, "batchSize": 200, "createSchema": true, "url": url,
    });
    for (key, value) in own {
        body[*key] = json!(value);
    }
    body
}

fn operate(world: &World) -> Value {
    use Product::{Elasticsearch, OpenSearch};
    let index = [("clusterName", "elasticsearch"), ("indexPrefix", "operate")];
    let records = [("clusterName", "elasticsearch"), ("prefix", world.config.record_prefix.as_str())];
    json!({
        "backup": {"repositoryName": world.config.repositories.history, "snapshotTimeout": 0},
        "userId": "demo", "password": "demo", "version": world.config.version,
        "elasticsearch": connection(world, Elasticsearch, &index, 9200),
        "opensearch": connection(world, OpenSearch, &index, 9200),
        "zeebeElasticsearch": connection(world, Elasticsearch, &records, 9200),
        "zeebeOpensearch": connection(world, OpenSearch, &records, 9200),
        "zeebe": {"gatewayAddress": "127.0.0.1:26500"},
        "importerEnabled": true, "archiverEnabled": true, "webappEnabled": true,
    })
}

fn tasklist(world: &World) -> Value {
    use Product::{Elasticsearch, OpenSearch};
    let index = [("clusterName", "elasticsearch"), ("indexPrefix", "tasklist")];
    let records = [("clusterName", "elasticsearch"), ("prefix", world.config.record_prefix.as_str())];
    json!({
        "backup": {"repositoryName": world.config.repositories.tasklist},
        "userId": "demo", "password": "demo", "version": world.config.version, "database": product(world),
        "elasticsearch": connection(world, Elasticsearch, &index, 9205),
        "openSearch": connection(world, OpenSearch, &index, 9205),
        "zeebeElasticsearch": connection(world, Elasticsearch, &records, 9205),
        "zeebeOpenSearch": connection(world, OpenSearch, &records, 9205),
        "zeebe": {"gatewayAddress": "127.0.0.1:26500", "restAddress": "http://localhost:8089"},
        "importerEnabled": true, "archiverEnabled": true, "webappEnabled": true,
    })
}
