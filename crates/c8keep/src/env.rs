//! Every environment variable that c8keep reads, in one place.

use std::ffi::OsStr;

use c8keep_core::fault::{Fault, FaultKind};

/// Configuration file.
pub const CONFIG: &str = "C8KEEP_CONFIG";
/// Name of the installation.
pub const INSTALLATION: &str = "C8KEEP_INSTALLATION";

// The variables of Camunda's page "Create a backup" (8.8) and of its predecessors up to 8.7.

/// Management address of the orchestration cluster, or of the gateway up to 8.7.
pub const MANAGEMENT: &str = "ORCHESTRATION_CLUSTER_MANAGEMENT_API";
/// Management address of Operate, up to 8.7.
pub const OPERATE: &str = "OPERATE_MANAGEMENT_API";
/// Management address of Tasklist, up to 8.7.
pub const TASKLIST: &str = "TASKLIST_MANAGEMENT_API";
/// Management address of Optimize.
pub const OPTIMIZE: &str = "OPTIMIZE_MANAGEMENT_API";
/// Address of Elasticsearch.
pub const ELASTIC: &str = "ELASTIC_ENDPOINT";
/// Snapshot repository in Elasticsearch.
pub const ELASTIC_REPOSITORY: &str = "ELASTIC_SNAPSHOT_REPOSITORY";
/// Address of OpenSearch.
pub const OPENSEARCH: &str = "OPENSEARCH_ENDPOINT";
/// Snapshot repository in OpenSearch.
pub const OPENSEARCH_REPOSITORY: &str = "OPENSEARCH_SNAPSHOT_REPOSITORY";
/// Id of the backup.
pub const BACKUP_ID: &str = "BACKUP_ID";
/// Helm release: the page's in-cluster names are derived from it.
pub const RELEASE: &str = "CAMUNDA_RELEASE_NAME";

/// What PostgreSQL's tools are given: [`c8keep_adapters::postgres::INHERITED`], where a database is configured.
pub fn of_postgres() -> c8keep_adapters::postgres::Environment {
    let found = c8keep_adapters::postgres::INHERITED.into_iter().map(|name| (name, std::env::var_os(name)));
    found.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Those that are text; a path to the configuration may be anything.
const TEXT: [&str; 14] = [
    INSTALLATION,
    MANAGEMENT,
    OPERATE,
    TASKLIST,
    OPTIMIZE,
    ELASTIC,
    ELASTIC_REPOSITORY,
    OPENSEARCH,
    OPENSEARCH_REPOSITORY,
    BACKUP_ID,
    RELEASE,
    "HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
];

/// Refuses a variable that is no text: taken for one that is not set, it would be missed silently.
pub fn check() -> Result<(), Fault> {
    let is_text = |name: &&str| std::env::var_os(name).is_none_or(|value| value.to_str().is_some());
    match TEXT.into_iter().find(|name| !is_text(name)) {
        None => Ok(()),
        Some(name) => {
            let target = format!("the variable {name}");
            let fault =
                Fault::new(FaultKind::Usage, "reading the environment", target, "its value is not UTF-8");
            Err(fault.with_hint("set it to text in UTF-8, or unset it"))
        }
    }
}

/// Whether a variable is set to nothing, which counts as not set.
pub fn is_empty(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| is_blank(&value))
}

/// Whether it is text, and nothing but blanks.
pub fn is_blank(text: &OsStr) -> bool {
    text.to_str().is_some_and(|text| text.trim().is_empty())
}

/// A variable that is set and not empty.
pub fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
