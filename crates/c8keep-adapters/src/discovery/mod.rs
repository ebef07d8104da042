//! Discovery: from one management address to everything that a plan needs, by asking the servers about themselves.
//!
//! It only reads. What is configured wins over what is found; where the two contradict each other, that is told. It
//! never guesses a repository or a component: a backup that silently lacks one is the worst kind.
//!
//! Two halves: `observe` asks and keeps what was answered, `resolve` is a pure function from what is configured and
//! what was observed to an [`Installation`] or the [`Fault`] that says what is missing.

mod candidates;
mod hints;
mod look;
mod observe;
mod resolve;
mod survey;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use c8keep_core::backup::HistoryApp;
use c8keep_core::fault::Fault;
use c8keep_core::installation::{Installation, SearchProduct};
use c8keep_core::words::message;

pub use look::{Gap, Looked, Piece, look};
pub use survey::{AppPiece, Sourced, Survey, survey};

use crate::camunda::CamundaClient;
use crate::search::Search;
use crate::transport::{Access, Transport};

/// What the operator gave. Addresses as they were written; a login may be in them.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// The installation's name.
    pub name: String,
    /// Management address of the gateway (8.5–8.7) or the orchestration cluster.
    pub management: Option<String>,
    /// Application port, for `/v2/topology`.
    pub rest: Option<String>,
    /// Management addresses of all brokers; needed where they cannot be derived, such as several on one machine.
    pub brokers: Vec<String>,
    /// Operate's management address (8.5–8.7).
    pub operate: Option<String>,
    /// Tasklist's management address (8.5–8.7).
    pub tasklist: Option<String>,
    /// Optimize's management address.
    pub optimize: Option<String>,
    /// Applications that are left out on purpose.
    pub off: BTreeSet<HistoryApp>,
    /// Applications without which a backup is still partial rather than failed (`required: false`).
    pub optional: BTreeSet<HistoryApp>,
    /// Elasticsearch or OpenSearch.
    pub search: Option<String>,
    /// Which product the operator thinks it is, as in `ELASTIC_ENDPOINT`.
    pub search_product: Option<SearchProduct>,
    /// The snapshot repository.
    pub repository: Option<String>,
    /// Indices that are named like the applications' and are somebody else's.
    pub foreign_indices: Vec<String>,
    /// What to do with the exported records; discovered where it is not given.
    pub records: Option<RecordsChoice>,
    /// How each of them is spoken to.
    pub access: Accesses,
}

/// How the servers are spoken to. What is found at a cluster is spoken to like the address that was configured for it.
#[derive(Debug, Clone, Default)]
pub struct Accesses {
    /// The management address.
    pub management: Access,
    /// The brokers' own management addresses.
    pub brokers: Access,
    /// The application port.
    pub rest: Access,
    /// The applications.
    pub apps: BTreeMap<HistoryApp, Access>,
    /// The search server.
    pub search: Access,
}

impl Accesses {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Access> {
        [&self.management, &self.brokers, &self.rest, &self.search].into_iter().chain(self.apps.values())
    }
}

/// What the operator wants done with the exported records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordsChoice {
    /// They lie in indices whose names begin with this.
    Prefix(String),
    /// They are left out.
    Off,
}

/// An installation, ready to be spoken to.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// With every address and name resolved.
    pub installation: Installation,
    /// Its cluster and applications.
    pub camunda: CamundaClient,
    /// Its search server.
    pub search: Search,
    /// What was found where, for people.
    pub findings: Vec<Finding>,
    /// How many brokers there are, where that is told.
    pub brokers_expected: Option<u32>,
    /// Why nobody tells which of them are up.
    pub no_topology: Option<String>,
}

/// One thing that discovery has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// What was found.
    pub what: String,
    /// Where: an address with the property, or "configured".
    pub source: String,
    /// What it is about, where somebody else may have more to say about that.
    pub topic: Topic,
    /// What to do about it, where that is not plain.
    pub todo: String,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Topic {
    /// Anything else.
    #[default]
    Other,
    /// Which brokers there are, and which of them are reached.
    Brokers,
    /// What a server shows to whoever asks.
    Secrecy,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Found and used.
    Found,
    /// Worth knowing: something is missing or could not be reached.
    Note,
    /// Something to mend, over which no backup stumbles.
    Warning,
    /// Two sources say different things; the configured one, or the first named, is used.
    Contradiction,
}

/// Asks the servers and resolves the installation, the whole of it. Reads only.
pub async fn discover(transport: Arc<dyn Transport>, configured: &Configured) -> Result<Discovered, Fault> {
    without(look(transport, configured).await?, |_| true)
}

/// The same for whoever only lets exporting run again: what is missing for a backup does not matter, as long as the search
/// server tells which cluster it is.
pub async fn discover_to_release(
    transport: Arc<dyn Transport>,
    configured: &Configured,
) -> Result<Discovered, Fault> {
    without(look(transport, configured).await?, |gap| gap.piece == Piece::Search)
}

/// What was looked at, if no gap matters.
fn without(looked: Looked, matters: impl Fn(&Gap) -> bool) -> Result<Discovered, Fault> {
    let Looked { installation, camunda, search, findings, brokers_expected, no_topology, gaps } = looked;
    if let Some(gap) = gaps.into_iter().find(matters) {
        return Err(gap.fault);
    }
    Ok(Discovered { installation, camunda, search: search?, findings, brokers_expected, no_topology })
}

impl Finding {
    fn new(level: Level, what: impl Into<String>, source: impl Into<String>) -> Finding {
        let (topic, todo) = (Topic::default(), String::new());
        Finding { level, what: message(what.into()), source: message(source.into()), topic, todo }
    }

    fn about(self, topic: Topic) -> Finding {
        Finding { topic, ..self }
    }

    fn with_todo(self, todo: impl Into<String>) -> Finding {
        Finding { todo: message(todo.into()), ..self }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Level::Found => "found",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Contradiction => "contradiction",
        })
    }
}
