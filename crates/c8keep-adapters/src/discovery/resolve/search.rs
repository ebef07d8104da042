//! Which search server it is. Addresses are names, and one server has many: servers are compared by cluster UUID.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{SearchAddress, SearchProduct};

use super::DOING;
use crate::discovery::observe::{Observed, SearchSeen};
use crate::discovery::{Configured, Finding, Level, hints};
use crate::search::SearchIdentity;
use crate::transport::Endpoint;

/// The search server with its login.
#[derive(Debug)]
pub(in crate::discovery) struct Chosen {
    pub(in crate::discovery) address: SearchAddress,
    pub(in crate::discovery) endpoint: Endpoint,
    /// Who names it.
    pub(in crate::discovery) source: String,
}

pub(in crate::discovery) fn choose(
    configured: &Configured,
    observed: &Observed,
    findings: &mut Vec<Finding>,
) -> Result<Chosen, Fault> {
    let (seen, identity) = chosen(configured, observed)?;
    // A cluster that has not formed has no id; nothing could be told apart by it.
    if matches!(identity.cluster_uuid.as_str(), "" | "_na_") {
        let answer = "the search cluster has no UUID yet: it has not formed";
        return Err(Fault::new(FaultKind::Unreachable, DOING, seen.endpoint.address(), answer)
            .with_retry()
            .with_hint("wait until its health is at least yellow"));
    }
    let SearchIdentity { product, version, cluster_uuid } = identity;
    let what = format!("{product} {version} at {}, cluster {cluster_uuid}", seen.endpoint.address());
    findings.push(Finding::new(Level::Found, what, &seen.source));
    if let Some(thought) = configured.search_product.filter(|thought| thought != product) {
        let what = format!("configured as {thought}, but {product} answers");
        findings.push(Finding::new(Level::Contradiction, what, seen.endpoint.address()));
    }
    compare(observed, seen, identity, findings);
    let address = SearchAddress {
        product: *product,
        version: version.clone(),
        address: seen.endpoint.address().to_owned(),
        cluster_uuid: cluster_uuid.clone(),
    };
    Ok(Chosen { address, endpoint: seen.endpoint.clone(), source: seen.source.clone() })
}

/// In the place of one that nobody tells.
pub(in crate::discovery) fn unknown(configured: &Configured) -> SearchAddress {
    SearchAddress {
        product: configured.search_product.unwrap_or(SearchProduct::Elasticsearch),
        version: String::new(),
        address: String::new(),
        cluster_uuid: String::new(),
    }
}

fn chosen<'a>(
    configured: &Configured,
    observed: &'a Observed,
) -> Result<(&'a SearchSeen, &'a SearchIdentity), Fault> {
    if configured.search.is_some()
        && let Some(SearchSeen { identity: Err(fault), .. }) = observed.searches.first()
    {
        return Err(fault.clone());
    }
    let first = observed.searches.iter().find_map(|s| Some((s, s.identity.as_ref().ok()?)));
    first.ok_or_else(|| {
        let tried: Vec<String> = observed.searches.iter().map(tried).collect();
        if tried.is_empty() {
            let answer = "nobody tells where Elasticsearch or OpenSearch is";
            return Fault::new(FaultKind::Usage, DOING, observed.cluster.management.address(), answer)
                .with_hint(hints::SEARCH);
        }
        // A login that is missing is another matter than an address that leads nowhere.
        let locked = |s: &&SearchSeen| matches!(&s.identity, Err(f) if f.kind == FaultKind::Unauthorised);
        if let Some(fault) = observed.searches.iter().find(locked).and_then(|s| s.identity.as_ref().err()) {
            return fault.clone();
        }
        let targets: Vec<&str> = observed.searches.iter().map(|s| s.endpoint.address()).collect();
        Fault::new(FaultKind::Unreachable, DOING, targets.join(", "), tried.join("; "))
            .with_hint(hints::SEARCH)
            .with_retry()
    })
}

fn tried(seen: &SearchSeen) -> String {
    let why = seen.identity.as_ref().err().map_or("answers", |fault| fault.answer.as_str());
    format!("{} ({}): {why}", seen.endpoint.address(), seen.source)
}

fn compare(observed: &Observed, chosen: &SearchSeen, identity: &SearchIdentity, findings: &mut Vec<Finding>) {
    for other in observed.searches.iter().filter(|s| s.endpoint.address() != chosen.endpoint.address()) {
        match &other.identity {
            Ok(told) if told.cluster_uuid == identity.cluster_uuid => {}
            // An application tells properties of both products, and the ones of the other are defaults.
            Ok(told) if is_of_the_other_product(&other.source, told.product) => {}
            Ok(told) => {
                let what = format!(
                    "{} is another search cluster ({}) than {} ({})",
                    other.endpoint.address(),
                    told.cluster_uuid,
                    chosen.endpoint.address(),
                    identity.cluster_uuid
                );
                findings.push(Finding::new(Level::Contradiction, what, &other.source));
            }
            // What does not answer may be anything, but a property of the product not in use is a mere default.
            Err(_) if is_of_the_other_product(&other.source, identity.product) => {}
            Err(fault) => {
                let what =
                    format!("{} cannot be reached from here: {}", other.endpoint.address(), fault.answer);
                findings.push(Finding::new(Level::Note, what, &other.source));
            }
        }
    }
}

fn is_of_the_other_product(source: &str, product: SearchProduct) -> bool {
    let source = source.to_ascii_lowercase();
    match product {
        SearchProduct::Elasticsearch => source.contains("opensearch"),
        SearchProduct::Opensearch => source.contains("elasticsearch"),
    }
}
