//! What is being protected: one Camunda installation, as discovery and configuration resolved it.

mod fingerprint;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backup::HistoryApp;
use crate::capability::{CamundaVersion, Dialect};
use crate::database::DatabaseTarget;

pub use fingerprint::Fingerprint;

/// One Camunda 8 Self-Managed deployment, with every address and name that a plan needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The name the operator gave it; `default` without a configuration file.
    pub name: String,
    /// What tells it from every other installation.
    pub fingerprint: Fingerprint,
    /// The version that the orchestration cluster tells.
    pub version: CamundaVersion,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// Management address of the gateway (8.5–8.7) or the orchestration cluster.
    pub management: String,
    /// Every broker that is configured or was found, for the witness.
    pub brokers: Vec<BrokerAddress>,
    /// The applications that back up their own indices, Optimize included.
    pub apps: Vec<AppAddress>,
    /// Elasticsearch or OpenSearch.
    pub search: SearchAddress,
    /// The snapshot repository that all components use.
    pub repository: String,
    /// The exported records.
    pub records: Records,
    /// The databases that belong to it, as configured.
    #[serde(default)]
    pub databases: Vec<DatabaseTarget>,
    /// Indices that are named like the applications' and are somebody else's, as configured: whole names, or beginnings
    /// with `*` after them.
    #[serde(default)]
    pub foreign_indices: Vec<String>,
    /// What a backup of this installation leaves out, by name.
    pub not_covered: Vec<NotCovered>,
}

/// A broker's management address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerAddress {
    /// The broker's node id, if it told it. It identifies a reading: one broker behind two addresses counts once.
    pub node: Option<u32>,
    /// Where it is asked.
    pub address: String,
    /// Whether it answered during discovery.
    pub reached: bool,
}

/// An application's management address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppAddress {
    /// Which application.
    pub app: HistoryApp,
    /// Where it is asked.
    pub address: String,
    /// The repository that the application itself says it uses, if it tells.
    pub repository: Option<String>,
    /// What the names of its indices begin with, where the application tells another word than its own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_prefix: Option<String>,
    /// Whether a backup without this part is still `partial` rather than failed.
    pub required: bool,
}

/// The search server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchAddress {
    /// Which product it is; they differ in what they accept.
    pub product: SearchProduct,
    /// Its version.
    pub version: String,
    /// Where it is asked.
    pub address: String,
    /// Its own id.
    pub cluster_uuid: String,
}

/// The two search products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchProduct {
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    Opensearch,
}

/// Whether there are exported records to snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Records {
    /// They lie in the indices whose names begin with this.
    Prefix {
        /// The exporter's index prefix.
        prefix: String,
    },
    /// No Elasticsearch/OpenSearch exporter is enabled, or the configuration leaves the records out.
    Excluded {
        /// Why.
        reason: String,
    },
}

/// Something that a backup leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotCovered {
    /// What.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Installation {
    /// The application's address, where there is one.
    pub fn app(&self, app: HistoryApp) -> Option<&AppAddress> {
        self.apps.iter().find(|a| a.app == app)
    }

    /// Whether an index that is named like an application's is somebody else's.
    pub fn is_foreign(&self, index: &str) -> bool {
        self.foreign_indices.iter().any(|foreign| match foreign.strip_suffix('*') {
            Some(beginning) => index.starts_with(beginning),
            None => index == foreign,
        })
    }

    /// What the names of all its indices begin with, each once and sorted.
    pub fn index_prefixes(&self) -> Vec<String> {
        let apps = self.apps.iter().flat_map(AppAddress::index_prefixes);
        let all: BTreeSet<String> = apps.chain(self.record_prefix().map(str::to_owned)).collect();
        all.into_iter().collect()
    }

    /// The record prefix, where records are backed up.
    pub fn record_prefix(&self) -> Option<&str> {
        match &self.records {
            Records::Prefix { prefix } => Some(prefix),
            Records::Excluded { .. } => None,
        }
    }
}

impl AppAddress {
    /// What the names of its indices begin with (Camunda docs, "Restore": the indices to delete).
    pub fn index_prefixes(&self) -> Vec<String> {
        if let Some(prefix) = &self.index_prefix {
            return vec![format!("{prefix}-")];
        }
        let names: &[&str] = match self.app {
            HistoryApp::Operate => &["operate-"],
            HistoryApp::Tasklist => &["tasklist-"],
            HistoryApp::Webapps => &["operate-", "tasklist-", "camunda-"],
            HistoryApp::Optimize => &["optimize-"],
        };
        names.iter().map(|name| (*name).to_owned()).collect()
    }
}

impl fmt::Display for SearchProduct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SearchProduct::Elasticsearch => "Elasticsearch",
            SearchProduct::Opensearch => "OpenSearch",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rights are asked for, and indices counted, by the names that they have.
    #[test]
    fn indices_are_looked_for_by_their_own_names() {
        let of = |app, index_prefix: Option<&str>| {
            let (address, repository) = (String::new(), None);
            let index_prefix = index_prefix.map(str::to_owned);
            AppAddress { app, address, repository, index_prefix, required: true }.index_prefixes()
        };
        assert_eq!(of(HistoryApp::Operate, None), ["operate-"]);
        assert_eq!(of(HistoryApp::Operate, Some("mine")), ["mine-"]);
        assert_eq!(of(HistoryApp::Webapps, None).len(), 3);
    }
}
