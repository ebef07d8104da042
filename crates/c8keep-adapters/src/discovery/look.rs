//! An installation as far as it is told, for whoever wants to say all that is wrong with it at once. What is missing is a gap
//! with its reason; a backup begins only where there is none.

use std::sync::Arc;

use c8keep_core::backup::HistoryApp;
use c8keep_core::fault::Fault;
use c8keep_core::installation::Installation;

use super::{Configured, Finding, observe, resolve};
use crate::camunda::CamundaClient;
use crate::search::{Search, SearchClient};
use crate::transport::Transport;

/// An installation in which something may be missing.
#[derive(Debug, Clone)]
pub struct Looked {
    /// With every address and name that is told, and nothing in the place of the others.
    pub installation: Installation,
    /// Its cluster and applications.
    pub camunda: CamundaClient,
    /// Its search server.
    pub search: Result<Search, Fault>,
    /// What was found where, for people.
    pub findings: Vec<Finding>,
    /// How many brokers there are, where that is told.
    pub brokers_expected: Option<u32>,
    /// Why nobody tells which of them are up.
    pub no_topology: Option<String>,
    /// What is missing, and why; the reason that a backup would end with comes first.
    pub gaps: Vec<Gap>,
}

/// Something without which there is no backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What.
    pub piece: Piece,
    /// Why it is missing.
    pub fault: Fault,
}

/// What may be missing of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// The right to choose the ids of its backups.
    Ids,
    /// The search server.
    Search,
    /// Where the exported records are.
    Records,
    /// What backs up the applications at all.
    Apps,
    /// One of them.
    App(HistoryApp),
    /// The snapshot repository.
    Repository,
}

/// Asks the servers. Reads only. Only a management address that leads nowhere is a fault.
pub async fn look(transport: Arc<dyn Transport>, configured: &Configured) -> Result<Looked, Fault> {
    let observed = observe::observe(&transport, configured).await?;
    let resolve::Resolved { installation, search, findings, brokers_expected, gaps } =
        resolve::resolve(configured, &observed);
    let apps = observed.apps.iter().map(|(app, seen)| (*app, seen.endpoint.clone())).collect();
    let camunda = CamundaClient::new(
        Arc::clone(&transport),
        installation.dialect,
        observed.cluster.management.clone(),
        observed.cluster.rest.as_ref().ok().cloned(),
        apps,
    );
    let brokers = observed.brokers.iter().map(|broker| broker.endpoint.clone()).collect();
    let told = observed.cluster.told.as_ref().and_then(|told| told.broker.as_ref());
    let (data, stops_at) = told.map_or((None, None), |broker| (broker.directory.clone(), broker.stops_at));
    let product = installation.search.product;
    Ok(Looked {
        installation,
        camunda: camunda.with_brokers(brokers).with_disk(data, stops_at),
        search: search.map(|endpoint| SearchClient::new(transport, endpoint).of(product)),
        findings,
        brokers_expected,
        no_topology: observed.cluster.rest.err(),
        gaps,
    })
}
