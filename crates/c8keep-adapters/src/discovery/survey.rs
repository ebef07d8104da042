//! What the servers tell, piece by piece: for whoever writes a configuration, or wants to say what is missing in one go. A
//! piece that cannot be resolved is the fault that says why, and hides none of the others.

use std::sync::Arc;

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::{CamundaVersion, Dialect};
use c8keep_core::fault::Fault;
use c8keep_core::installation::{AppAddress, BrokerAddress, NotCovered, Records, SearchAddress};

use super::observe::From;
use super::resolve::{self, Pieces};
use super::{Configured, Finding, observe};
use crate::transport::Transport;

/// An installation, as far as it is told.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The cluster's version.
    pub version: CamundaVersion,
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The management address, without a login.
    pub management: String,
    /// The application port that tells the topology, or why there is none.
    pub rest: Result<String, String>,
    /// Whether it is there and wants to know who asks.
    pub rest_wants_login: bool,
    /// The brokers that are reached or configured.
    pub brokers: Vec<BrokerAddress>,
    /// Configured ones that cannot be read, each with the reason.
    pub brokers_unread: Vec<(String, String)>,
    /// How many there are, where that is told.
    pub brokers_expected: Option<u32>,
    /// Each application of this dialect that a backup may have to do with.
    pub apps: Vec<(HistoryApp, AppPiece)>,
    /// The search server.
    pub search: Result<Sourced<SearchAddress>, Fault>,
    /// The snapshot repository.
    pub repository: Result<Sourced<String>, Fault>,
    /// Those that are registered there.
    pub registered: Vec<String>,
    /// Where the exported records are.
    pub records: Result<Sourced<Records>, Fault>,
    /// What was found where, for people.
    pub findings: Vec<Finding>,
}

/// A value with who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who says so: an address with the property, "configured", or nobody: a default that is merely tried.
    pub source: String,
}

/// What is known of one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppPiece {
    /// It is backed up.
    There(AppAddress),
    /// It is left out: switched off, or nothing shows that there is one.
    Out(Option<NotCovered>),
    /// There is one, and nobody tells its address, or the one that was given leads elsewhere.
    Missing(Fault),
}

/// Asks the servers. Reads only. Only a management address that leads nowhere is a fault.
pub async fn survey(transport: Arc<dyn Transport>, configured: &Configured) -> Result<Survey, Fault> {
    let observed = observe::observe(&transport, configured).await?;
    let Pieces { brokers, brokers_expected, search, records, apps, repository, findings } =
        resolve::pieces(configured, &observed);
    let cluster = &observed.cluster;
    let configured = observed.brokers.iter().filter(|seen| seen.from == From::Configured);
    let unread =
        configured.filter_map(|seen| Some((seen.endpoint.address().to_owned(), seen.unread.clone()?)));
    Ok(Survey {
        version: cluster.version.clone(),
        dialect: cluster.dialect,
        management: cluster.management.address().to_owned(),
        rest: cluster.rest.as_ref().map(|rest| rest.address().to_owned()).map_err(Clone::clone),
        rest_wants_login: cluster.rest_wants_login,
        brokers,
        brokers_unread: unread.collect(),
        brokers_expected,
        apps: apps?,
        search: search.map(|chosen| Sourced { value: chosen.address, source: chosen.source }),
        repository,
        registered: observed.repositories.clone(),
        records,
        findings,
    })
}
