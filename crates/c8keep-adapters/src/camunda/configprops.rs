//! What servers tell of their own configuration (`/actuator/configprops`): the backup store, exporters, repositories
//! and search addresses.
//!
//! Such a body holds passwords, in Operate and Tasklist unmasked (seen on 8.6.0). It is never kept, logged or shown:
//! only the fields named here are read out of it, everything else is skipped while parsing.

mod secrecy;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::wire::Answer;

/// What one server told, as far as it is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The broker's part, where the server is a broker.
    pub broker: Option<BrokerTold>,
    /// Exporters by id.
    pub exporters: BTreeMap<String, Exporter>,
    /// The repositories that web applications on this server use, each with the property that says so.
    pub repositories: Vec<(String, String)>,
    /// Search servers that it uses, each with the property that says so.
    pub searches: Vec<(String, String)>,
    /// Record prefixes that an importing application reads, each with the property that says so.
    pub record_prefixes: Vec<(String, String)>,
    /// What the names of its own indices begin with, each with the property that says so.
    pub index_prefixes: Vec<(String, String)>,
    /// The application port, where told.
    pub rest_port: Option<u16>,
    /// Names of properties that hold secrets and are shown as they are. Never a value.
    pub shown_secrets: Vec<String>,
}

/// What a broker tells of itself and its cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerTold {
    /// Its node id.
    pub node: Option<u32>,
    /// Brokers in the cluster.
    pub cluster_size: Option<u32>,
    /// Partitions.
    pub partitions: Option<u32>,
    /// Replicas of each.
    pub replication: Option<u32>,
    /// The brokers' own addresses, host and internal port.
    pub contact_points: Vec<String>,
    /// The command address under which the others know it.
    pub command: Option<(String, u16)>,
    /// `NONE`, `S3`, …
    pub store: Option<String>,
    /// Bucket or container and base path.
    pub location: Option<String>,
    /// The property by which the cluster makes ids of its own and refuses ours (8.9+).
    pub own_ids: Option<String>,
    /// The directory of its data.
    pub directory: Option<String>,
    /// Free bytes on its disk below which it stops processing.
    pub stops_at: Option<u64>,
}

/// One configured exporter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exporter {
    /// Its class.
    pub class: String,
    /// Where it writes to.
    pub url: Option<String>,
    /// The prefix of its indices.
    pub prefix: Option<String>,
}

#[derive(Deserialize)]
struct Body {
    contexts: BTreeMap<String, Context>,
}

#[derive(Deserialize)]
struct Context {
    beans: BTreeMap<String, Bean>,
}

#[derive(Deserialize)]
struct Bean {
    #[serde(default)]
    prefix: String,
    #[serde(default, deserialize_with = "lenient")]
    properties: Option<Properties>,
}

/// The wanted properties of all wanted beans; which of them count is decided by the bean's prefix.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(default, deserialize_with = "lenient")]
    cluster: Option<ClusterProperties>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<Data>,
    #[serde(default, deserialize_with = "lenient")]
    network: Option<Network>,
    #[serde(default, deserialize_with = "lenient")]
    exporters: Option<BTreeMap<String, ExporterProperties>>,
    #[serde(default, deserialize_with = "lenient")]
    backup: Option<Backup>,
    #[serde(default, deserialize_with = "lenient")]
    repository_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    primary_storage: Option<Storage>,
    #[serde(default, deserialize_with = "lenient")]
    secondary_storage: Option<Secondary>,
    #[serde(default, deserialize_with = "lenient")]
    database: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    elasticsearch: Option<Search>,
    #[serde(default, deserialize_with = "lenient")]
    opensearch: Option<Search>,
    #[serde(default, deserialize_with = "lenient")]
    zeebe_elasticsearch: Option<Search>,
    #[serde(default, deserialize_with = "lenient")]
    zeebe_opensearch: Option<Search>,
    #[serde(default, deserialize_with = "lenient")]
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterProperties {
    #[serde(default, deserialize_with = "lenient")]
    node_id: Option<u32>,
    #[serde(default, alias = "size", deserialize_with = "lenient")]
    cluster_size: Option<u32>,
    #[serde(default, alias = "partitionCount", deserialize_with = "lenient")]
    partitions_count: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    replication_factor: Option<u32>,
    #[serde(default, deserialize_with = "lenient")]
    initial_contact_points: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    #[serde(default, deserialize_with = "lenient")]
    directory: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    disk: Option<DiskProperties>,
    #[serde(default, deserialize_with = "lenient")]
    backup: Option<Backup>,
    #[serde(default, deserialize_with = "lenient")]
    primary_storage: Option<Storage>,
    #[serde(default, deserialize_with = "lenient")]
    secondary_storage: Option<Secondary>,
    #[serde(default, deserialize_with = "lenient")]
    exporters: Option<BTreeMap<String, ExporterProperties>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DiskProperties {
    #[serde(default, deserialize_with = "lenient")]
    free_space: Option<FreeSpace>,
}

#[derive(Deserialize)]
struct FreeSpace {
    /// `2147483648B`, as Spring prints a data size.
    #[serde(default, deserialize_with = "lenient")]
    processing: Option<String>,
}

#[derive(Deserialize)]
struct Storage {
    #[serde(default, deserialize_with = "lenient")]
    directory: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    disk: Option<DiskProperties>,
    #[serde(default, deserialize_with = "lenient")]
    backup: Option<Backup>,
}

#[derive(Deserialize)]
struct Secondary {
    #[serde(default, deserialize_with = "lenient", rename = "type")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    elasticsearch: Option<Search>,
    #[serde(default, deserialize_with = "lenient")]
    opensearch: Option<Search>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Backup {
    #[serde(default, deserialize_with = "lenient")]
    repository_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    store: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    continuous: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    schedule: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    checkpoint_interval: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    s3: Option<Place>,
    #[serde(default, deserialize_with = "lenient")]
    gcs: Option<Place>,
    #[serde(default, deserialize_with = "lenient")]
    azure: Option<Place>,
    #[serde(default, deserialize_with = "lenient")]
    filesystem: Option<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(default, deserialize_with = "lenient")]
    bucket_name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    base_path: Option<String>,
}

#[derive(Deserialize)]
struct Search {
    #[serde(default, deserialize_with = "lenient")]
    url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    prefix: Option<String>,
    #[serde(default, deserialize_with = "lenient", rename = "indexPrefix")]
    index_prefix: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    backup: Option<Backup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Network {
    #[serde(default, deserialize_with = "lenient")]
    command_api: Option<CommandApi>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CommandApi {
    advertised_host: String,
    advertised_port: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ExporterProperties {
    class_name: Option<String>,
    #[serde(default)]
    args: Value,
}

/// A property of another shape than expected is taken for absent: other beans may use the same word for other things.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}

/// Reads a body; `None` where there is none to read.
pub fn told(answer: &Answer<'_>) -> Option<Told> {
    let body: Body = answer.is_success().then(|| answer.json().ok()).flatten()?;
    let mut told = Told { shown_secrets: secrecy::shown_secrets(answer), ..Told::default() };
    let beans = body.contexts.into_values().flat_map(|c| c.beans.into_values());
    for Bean { prefix, properties } in beans {
        let Some(properties) = properties else { continue };
        match prefix.as_str() {
            "zeebe.broker" => told.learn_broker(properties),
            "camunda.operate" | "camunda.tasklist" => told.learn_webapp(&prefix, properties),
            // From 8.8 on; which beans exist differs by version: what is known is taken.
            "camunda.data" => {
                let Properties { backup, primary_storage, secondary_storage, exporters, .. } = properties;
                told.learn_data(Data {
                    directory: None,
                    disk: None,
                    backup,
                    primary_storage,
                    secondary_storage,
                    exporters,
                });
            }
            "camunda" => {
                properties.cluster.into_iter().for_each(|cluster| told.learn_cluster(cluster));
                properties.data.into_iter().for_each(|data| told.learn_data(data));
            }
            "camunda.data.backup" => {
                told.learn_repository("camunda.data.backup.repositoryName", properties.repository_name);
            }
            "server" => told.rest_port = told.rest_port.or(properties.port),
            _ => {}
        }
    }
    Some(told)
}

impl Told {
    /// The repository that properties of this prefix name; else what the others say, as several applications may share
    /// one server.
    pub fn repository_under(&self, prefix: &str) -> Option<&(String, String)> {
        self.repositories.iter().find(|(p, _)| p.starts_with(prefix)).or(self.repositories.first())
    }

    fn learn_broker(&mut self, properties: Properties) {
        properties.cluster.into_iter().for_each(|cluster| self.learn_cluster(cluster));
        self.broker.get_or_insert_default().command =
            properties.network.and_then(|n| n.command_api).map(|c| (c.advertised_host, c.advertised_port));
        if let Some(data) = properties.data {
            self.learn_data(data);
        }
        self.learn_exporters(properties.exporters);
    }

    /// The old names of the properties and the new ones may both be there; what is told once is enough.
    fn learn_cluster(&mut self, cluster: ClusterProperties) {
        let broker = self.broker.get_or_insert_default();
        broker.node = broker.node.or(cluster.node_id);
        broker.cluster_size = broker.cluster_size.or(cluster.cluster_size);
        broker.partitions = broker.partitions.or(cluster.partitions_count);
        broker.replication = broker.replication.or(cluster.replication_factor);
        if broker.contact_points.is_empty() {
            broker.contact_points = cluster.initial_contact_points.unwrap_or_default();
        }
    }

    fn learn_data(&mut self, data: Data) {
        let primary = data.primary_storage.map(|p| (p.backup, p.disk, p.directory));
        let (storage, disk, directory) = primary.unwrap_or_default();
        if let Some(directory) = data.directory.or(directory) {
            self.broker.get_or_insert_default().directory = Some(directory);
        }
        let mut limits = [data.disk, disk].into_iter().flatten().filter_map(|d| d.free_space?.processing);
        if let Some(limit) = limits.find_map(|size| size.strip_suffix('B')?.parse().ok()) {
            self.broker.get_or_insert_default().stops_at = Some(limit);
        }
        let backups = [data.backup, storage];
        for backup in backups.into_iter().flatten() {
            self.learn_repository("camunda.data.backup.repositoryName", backup.repository_name.clone());
            self.learn_store(&backup);
            if let Some(property) = makes_own_ids(&backup) {
                self.broker.get_or_insert_default().own_ids = Some(property);
            }
        }
        if let Some(secondary) = data.secondary_storage {
            let used = secondary.kind.unwrap_or_default();
            for (name, search) in
                [("elasticsearch", secondary.elasticsearch), ("opensearch", secondary.opensearch)]
            {
                let Some(search) = search.filter(|_| used.is_empty() || used.eq_ignore_ascii_case(name))
                else {
                    continue;
                };
                let property = format!("camunda.data.secondary-storage.{name}");
                self.learn_search(format!("{property}.url"), search.url);
                let repository = search.backup.and_then(|b| b.repository_name);
                self.learn_repository(&format!("{property}.backup.repository-name"), repository);
            }
        }
        self.learn_exporters(data.exporters);
    }

    fn learn_store(&mut self, backup: &Backup) {
        let Some(store) = backup.store.as_deref().filter(|s| is_told(s)) else { return };
        let broker = self.broker.get_or_insert_default();
        // A default NONE of one name of the property must not hide what another name of it says.
        if broker.store.as_deref().is_some_and(|s| !s.eq_ignore_ascii_case("NONE")) {
            return;
        }
        let place = match store.to_ascii_uppercase().as_str() {
            "S3" => &backup.s3,
            "GCS" => &backup.gcs,
            "AZURE" => &backup.azure,
            "FILESYSTEM" => &backup.filesystem,
            _ => &None,
        };
        broker.store = Some(store.to_ascii_uppercase());
        broker.location = place.as_ref().and_then(|p| {
            let names: Vec<&str> = [&p.bucket_name, &p.base_path]
                .into_iter()
                .flatten()
                .filter(|n| is_told(n))
                .map(String::as_str)
                .collect();
            (!names.is_empty()).then(|| names.join("/"))
        });
    }

    fn learn_exporters(&mut self, exporters: Option<BTreeMap<String, ExporterProperties>>) {
        for (id, ExporterProperties { class_name, args }) in exporters.into_iter().flatten() {
            let class = class_name.filter(|c| is_told(c)).unwrap_or_default();
            let (url, prefix) = if class.ends_with("CamundaExporter") {
                (arg(&args, &["connect", "url"]), arg(&args, &["connect", "indexprefix"]))
            } else {
                (arg(&args, &["url"]), arg(&args, &["index", "prefix"]))
            };
            let url = url.map(|url| without_login(&url));
            self.exporters.insert(id, Exporter { class, url, prefix });
        }
    }

    fn learn_webapp(&mut self, bean: &str, properties: Properties) {
        let repository = properties.backup.and_then(|b| b.repository_name);
        self.learn_repository(&format!("{bean}.backup.repositoryName"), repository);
        // `database` is absent from 8.6.0's answer even where it is opensearch, so both are candidates; the one in
        // use is known by the search server that answers.
        let used = properties.database.unwrap_or_default();
        for (name, search) in
            [("elasticsearch", properties.elasticsearch), ("opensearch", properties.opensearch)]
        {
            if used.is_empty() || used.eq_ignore_ascii_case(name) {
                let (url, prefix) = search.map_or((None, None), |search| (search.url, search.index_prefix));
                self.learn_search(format!("{bean}.{name}.url"), url);
                let prefix = prefix.filter(|prefix| is_told(prefix));
                self.index_prefixes
                    .extend(prefix.map(|prefix| (format!("{bean}.{name}.indexPrefix"), prefix)));
            }
        }
        let sources = [
            ("elasticsearch", "zeebeElasticsearch", properties.zeebe_elasticsearch),
            ("opensearch", "zeebeOpensearch", properties.zeebe_opensearch),
        ];
        for (product, name, search) in sources {
            if let Some(prefix) = search.and_then(|s| s.prefix).filter(|p| is_told(p))
                && (used.is_empty() || used.eq_ignore_ascii_case(product))
            {
                self.record_prefixes.push((format!("{bean}.{name}.prefix"), prefix));
            }
        }
    }

    fn learn_repository(&mut self, property: &str, name: Option<String>) {
        if let Some(name) = name.filter(|n| is_told(n)) {
            self.repositories.push((property.to_owned(), name));
        }
    }

    fn learn_search(&mut self, property: String, url: Option<String>) {
        if let Some(url) = url.filter(|u| is_told(u)) {
            self.searches.push((property, without_login(&url)));
        }
    }
}

/// With any of these an explicit id is refused with 400 (camunda issue 46784).
fn makes_own_ids(backup: &Backup) -> Option<String> {
    let set = |value: &Option<String>| {
        value.as_deref().is_some_and(|v| is_told(v) && !v.trim().eq_ignore_ascii_case("none"))
    };
    let name = if backup.continuous == Some(true) {
        "continuous"
    } else if set(&backup.schedule) {
        "schedule"
    } else if set(&backup.checkpoint_interval) {
        "checkpoint-interval"
    } else {
        return None;
    };
    Some(format!("camunda.data.primary-storage.backup.{name}"))
}

/// An address may hold a password, which is not ours to keep.
fn without_login(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        (None, Some((_, host))) => host.to_owned(),
        _ => url.to_owned(),
    }
}

/// Whether a text is a value at all: where values are hidden, Spring answers asterisks in their place.
fn is_told(text: &str) -> bool {
    !text.trim().is_empty() && text.trim().bytes().any(|b| b != b'*')
}

/// An exporter's argument. Keys are compared without case and dashes, because they come as they were written: in
/// lower case from variables (seen on 8.6.0: `numberofreplicas`), in any case from files.
fn arg(args: &Value, path: &[&str]) -> Option<String> {
    let Some((first, rest)) = path.split_first() else {
        return args.as_str().map(str::to_owned).filter(|text| is_told(text));
    };
    let plain = |key: &str| key.replace(['-', '_'], "").to_ascii_lowercase();
    args.as_object()?.iter().find(|(key, _)| plain(key) == *first).and_then(|(_, value)| arg(value, rest))
}
