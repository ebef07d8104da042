//! The asking half of discovery: which servers were asked, and what each answered. It decides nothing but whom to ask
//! next, and keeps nothing of a configuration but what [`Told`] names.

mod rest;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::{CamundaVersion, Dialect, Unsupported};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::SearchStore;
use futures::future::join_all;

use self::rest::NoRest;
use super::candidates::{found_brokers, search_candidates};
use super::{Configured, hints};
use crate::camunda::configprops::{self, Told};
use crate::camunda::topology::{self, Members, Topology};
use crate::camunda::wire::{self, Answer};
use crate::camunda::{Call, broker_configuration, configuration_of, configuration_prefix};
use crate::search::{SearchClient, SearchIdentity};
use crate::transport::{Endpoint, Response, Transport, ask};

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) cluster: ClusterSeen,
    /// Brokers that were asked, whether they answered or not; the given management address first.
    pub(super) brokers: Vec<BrokerSeen>,
    /// Applications whose addresses are known, whether they answered or not.
    pub(super) apps: BTreeMap<HistoryApp, AppSeen>,
    /// Search servers in the order in which they are believed.
    pub(super) searches: Vec<SearchSeen>,
    /// Names of the indices of the first search server that answered; `None` where it does not list them.
    pub(super) indices: Option<Vec<String>>,
    /// Rights that the login there lacks, each with its pattern at the end: what is missing in the list proves nothing then.
    pub(super) unseen: Vec<String>,
    /// Registered repositories of that server.
    pub(super) repositories: Vec<String>,
}

/// The cluster as its management address tells.
#[derive(Debug)]
pub(super) struct ClusterSeen {
    pub(super) management: Endpoint,
    pub(super) version: CamundaVersion,
    /// Another version that answered at the same address.
    pub(super) other_version: Option<String>,
    pub(super) dialect: Dialect,
    pub(super) endpoints: Vec<String>,
    pub(super) members: Option<Members>,
    pub(super) topology: Option<Topology>,
    /// The application port, or why there is none.
    pub(super) rest: Result<Endpoint, String>,
    /// Whether it is there and wants to know who asks.
    pub(super) rest_wants_login: bool,
    pub(super) told: Option<Told>,
    /// Exporter status by id.
    pub(super) exporters: Option<BTreeMap<String, String>>,
}

/// One gateway among those that answer at an address.
struct Gateway {
    version: CamundaVersion,
    other_version: Option<String>,
    dialect: Dialect,
    endpoints: Vec<String>,
}

/// One broker's address.
#[derive(Debug, Clone)]
pub(super) struct BrokerSeen {
    pub(super) endpoint: Endpoint,
    pub(super) node: Option<u32>,
    /// Why it cannot be read, if it cannot.
    pub(super) unread: Option<String>,
    pub(super) from: From,
    pub(super) told: Option<Told>,
}

/// Where an address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum From {
    Management,
    Configured,
    Found,
}

/// One application.
#[derive(Debug)]
pub(super) struct AppSeen {
    pub(super) endpoint: Endpoint,
    pub(super) version: Option<String>,
    pub(super) told: Option<Told>,
    /// Why nothing is known of it, if nothing is.
    pub(super) fault: Option<Fault>,
}

/// One search server that somebody names.
#[derive(Debug)]
pub(super) struct SearchSeen {
    pub(super) endpoint: Endpoint,
    pub(super) source: String,
    pub(super) identity: Result<SearchIdentity, Fault>,
}

/// For questions whose answers a backup can do without. An address that leads nowhere from here is given up earlier, when no
/// connection comes about; a server that is there may be busy, and a broker that was not heard leaves the witness unproven
/// (seen: more than 2 s on 8.6.0 in its first minute).
const PROBE_DEADLINE: Duration = Duration::from_secs(10);
/// Nobody has more brokers; a longer list is a mistake.
const BROKERS_MAX: usize = 64;
/// Of gateways that take turns, every second one fits.
const VERSIONS_MAX: u32 = 4;
const DOING: &str = "looking for the installation";

pub(super) async fn observe(
    transport: &Arc<dyn Transport>,
    configured: &Configured,
) -> Result<Observed, Fault> {
    let given = configured.management.as_deref().ok_or_else(|| {
        Fault::new(FaultKind::Usage, DOING, "the configuration", "no management address is given")
            .with_hint(hints::MANAGEMENT)
    })?;
    let asker = Asker { transport, configured };
    let management = Endpoint::parse(given)?.with_access(&configured.access.management);
    let mut cluster = asker.cluster(management).await?;
    let brokers = asker.brokers(&cluster).await?;
    if cluster.told.as_ref().is_none_or(|told| told.broker.is_none()) {
        let broker = brokers.iter().find_map(|b| b.told.clone().filter(|told| told.broker.is_some()));
        cluster.told = broker.or(cluster.told);
    }
    let apps = asker.apps(&cluster).await?;
    let searches = asker.searches(&cluster, &apps).await?;
    let Contents { indices, unseen, repositories } =
        match searches.iter().find_map(|s| Some((s, s.identity.as_ref().ok()?))) {
            Some((seen, identity)) => asker.contents(seen, identity).await,
            None => Contents::default(),
        };
    Ok(Observed { cluster, brokers, apps, searches, indices, unseen, repositories })
}

struct Asker<'a> {
    transport: &'a Arc<dyn Transport>,
    configured: &'a Configured,
}

impl Asker<'_> {
    async fn get(&self, endpoint: &Endpoint, path: &str) -> Result<(Call, Response), Fault> {
        let request = endpoint.get(path);
        let response = ask(&**self.transport, DOING, &request).await?;
        Ok((Call::of(DOING, &request), response))
    }

    /// An answer that may be missing: the question is a bonus.
    async fn try_get(&self, endpoint: &Endpoint, path: &str) -> Option<Response> {
        self.transport.send(endpoint.get(path).with_deadline(PROBE_DEADLINE)).await.ok()
    }

    async fn version(&self, endpoint: &Endpoint) -> Result<String, Fault> {
        let (call, response) = self.get(endpoint, "/actuator/info").await?;
        let answer = Answer::of(&response);
        topology::version(&answer).ok_or_else(|| {
            let fault = if answer.is_success() {
                call.unreadable(&answer, "it has no build.version")
            } else {
                call.unexpected(&answer)
            };
            hints::misplaced(fault, hints::MANAGEMENT_ELSEWHERE)
        })
    }

    /// What cannot be read now is not what nobody tells: a fingerprint is made of it.
    async fn told_for_sure(&self, management: &Endpoint) -> Result<Option<Told>, Fault> {
        let (call, response) = self.get(management, "/actuator/configprops").await?;
        let answer = Answer::of(&response);
        match configprops::told(&answer) {
            None if answer.is_no_word() => Err(call.unexpected(&answer)),
            told => Ok(told.filter(|told| *told != Told::default())),
        }
    }

    /// From 8.9 on they tell which cluster this is: not to have read it is not to know that, and what is listed is there, whatever
    /// one answer says.
    async fn members(
        &self,
        management: &Endpoint,
        Gateway { version, endpoints, .. }: &Gateway,
    ) -> Result<Option<Members>, Fault> {
        let got = self.get(management, "/actuator/cluster").await;
        let is_listed = endpoints.iter().any(|endpoint| endpoint == "cluster");
        let read = got.and_then(|(call, response)| {
            let answer = Answer::of(&response);
            match topology::members(&answer) {
                None if is_listed || answer.is_no_word() => Err(call.unexpected(&answer)),
                members => Ok(members),
            }
        });
        if version.numbers >= (8, 9, 0) { read } else { Ok(read.ok().flatten()) }
    }

    async fn cluster(&self, management: Endpoint) -> Result<ClusterSeen, Fault> {
        let gateway = self.gateway(&management).await?;
        let members = self.members(&management, &gateway).await?;
        let Gateway { version, other_version, dialect, endpoints } = gateway;
        let exporters = self.try_get(&management, "/actuator/exporters").await;
        let told = match broker_configuration(&**self.transport, &management, dialect).await? {
            None => self.told_for_sure(&management).await?,
            told => told,
        };
        let mut seen = ClusterSeen {
            management,
            version,
            other_version,
            dialect,
            endpoints,
            members,
            topology: None,
            rest: Err(String::new()),
            rest_wants_login: false,
            told,
            exporters: exporters.and_then(|response| topology::exporters(&Answer::of(&response))),
        };
        match self.rest(&seen).await? {
            Ok((rest, topology)) => (seen.rest, seen.topology) = (Ok(rest), Some(topology)),
            Err(NoRest { why, wants_login }) => (seen.rest, seen.rest_wants_login) = (Err(why), wants_login),
        }
        Ok(seen)
    }

    /// Behind one name there may be several gateways, and while an upgrade goes on they are of different age: version and
    /// endpoints must fit each other, so the version is asked for until it is that of a gateway with these endpoints.
    async fn gateway(&self, management: &Endpoint) -> Result<Gateway, Fault> {
        let mut told = self.version(management).await?;
        let (call, links) = self.get(management, "/actuator").await?;
        let endpoints = match topology::endpoints(&Answer::of(&links)) {
            Some(endpoints) => endpoints,
            None => self.endpoints_by_asking(management).await,
        };
        let unsupported = |why: String, hint| Fault::precondition(DOING, &call.target, why, hint);
        // Operate and Tasklist have /actuator/backups, too: only the gateway can pause exporting.
        if !endpoints.iter().any(|e| e == "exporting") {
            let answer = format!("Camunda {told}, but without the endpoint exporting");
            return Err(call.fault(FaultKind::Usage, answer).with_hint(
                "this is the address of a web application, not of the gateway or the orchestration cluster; "
                    .to_owned()
                    + hints::MANAGEMENT,
            ));
        }
        let mut other_version = None;
        let mut asked = 1;
        loop {
            let version: CamundaVersion = told.parse().map_err(|why| unsupported(why, hints::UNSUPPORTED))?;
            match Dialect::detect(&version, &endpoints) {
                Ok(dialect) => return Ok(Gateway { version, other_version, dialect, endpoints }),
                Err(Unsupported::EndpointMissing { .. }) if asked < VERSIONS_MAX => {
                    asked += 1;
                    let again = self.version(management).await?;
                    if again != told {
                        other_version = Some(std::mem::replace(&mut told, again));
                    }
                }
                Err(missing @ Unsupported::EndpointMissing { .. }) => {
                    return Err(unsupported(missing.to_string(), hints::NOT_EXPOSED));
                }
                Err(unknown) => return Err(unsupported(unknown.to_string(), hints::UNSUPPORTED)),
            }
        }
    }

    /// The list of links can be switched off; the endpoints answer all the same.
    async fn endpoints_by_asking(&self, management: &Endpoint) -> Vec<String> {
        const NAMES: [&str; 3] = ["backups", "backupRuntime", "backupHistory"];
        let mut endpoints = Vec::new();
        for name in NAMES {
            let answer = self.try_get(management, &format!("/actuator/{name}")).await;
            if answer.is_some_and(|response| response.status != 404) {
                endpoints.push(name.to_owned());
            }
        }
        // There is no harmless question to `exporting`; what has `cluster` is a gateway, which has it, too.
        if self.try_get(management, "/actuator/cluster").await.is_some_and(|response| response.is_success()) {
            endpoints.extend(["exporting", "cluster"].map(str::to_owned));
        }
        endpoints
    }

    async fn brokers(&self, cluster: &ClusterSeen) -> Result<Vec<BrokerSeen>, Fault> {
        let mut candidates = vec![(cluster.management.clone(), From::Management, None)];
        if self.configured.brokers.is_empty() {
            let access = &self.configured.access.brokers;
            let found = found_brokers(cluster).into_iter();
            let found = found.map(|(e, node)| (e.with_access(access), From::Found, node));
            candidates.extend(found);
        } else {
            for address in &self.configured.brokers {
                let endpoint = Endpoint::parse(address)?.with_access(&self.configured.access.brokers);
                candidates.push((endpoint, From::Configured, None));
            }
        }
        if candidates.len() > BROKERS_MAX {
            let answer = format!("{} brokers, more than the {BROKERS_MAX} that are asked", candidates.len());
            return Err(Fault::new(FaultKind::Usage, DOING, "the configuration", answer)
                .with_hint("list every broker once in `brokers`"));
        }
        let seen = join_all(
            candidates.into_iter().map(|(endpoint, from, node)| self.broker(endpoint, from, node, cluster)),
        );
        Ok(seen.await)
    }

    async fn broker(
        &self,
        endpoint: Endpoint,
        from: From,
        node: Option<u32>,
        cluster: &ClusterSeen,
    ) -> BrokerSeen {
        let mut seen = BrokerSeen { endpoint, node, unread: None, from, told: None };
        let request = seen.endpoint.get("/actuator/partitions").with_deadline(PROBE_DEADLINE);
        let response = match self.transport.send(request).await {
            Ok(response) => response,
            Err(error) => return BrokerSeen { unread: Some(error.to_string()), ..seen },
        };
        let answer = Answer::of(&response);
        let is_map = answer.json::<BTreeMap<u32, serde_json::Value>>().is_ok();
        if !answer.is_success() || !is_map {
            return BrokerSeen { unread: Some(answer.told()), ..seen };
        }
        seen.told = if from == From::Management {
            cluster.told.clone()
        } else {
            broker_configuration(&**self.transport, &seen.endpoint, cluster.dialect).await.ok().flatten()
        };
        // What the broker says of itself beats the name under which it was found.
        seen.node = seen.told.as_ref().and_then(|told| told.broker.as_ref()?.node).or(seen.node);
        seen
    }

    /// All of them side by side. One that does not answer is kept with the reason: what becomes of it is decided later, and
    /// it hides none of the others.
    async fn apps(&self, cluster: &ClusterSeen) -> Result<BTreeMap<HistoryApp, AppSeen>, Fault> {
        let mut given = Vec::new();
        for (app, address) in self.configured.app_addresses(cluster.dialect) {
            let access = self.configured.access.apps.get(&app).cloned().unwrap_or_default();
            given.push((app, Endpoint::parse(address)?.with_access(&access)));
        }
        let seen = given.into_iter().map(|(app, endpoint)| async move {
            let seen = self.app(app, endpoint.clone()).await;
            let unseen = |fault| {
                let fault = Some(hints::of_app(app, fault));
                AppSeen { endpoint, version: None, told: None, fault }
            };
            (app, seen.unwrap_or_else(unseen))
        });
        let mut apps: BTreeMap<HistoryApp, AppSeen> = join_all(seen).await.into_iter().collect();
        if cluster.dialect == Dialect::UnifiedActuators {
            let endpoint = cluster.management.clone();
            let told = cluster.told.clone();
            let version = Some(cluster.version.to_string());
            apps.insert(HistoryApp::Webapps, AppSeen { endpoint, version, told, fault: None });
        }
        Ok(apps)
    }

    async fn app(&self, app: HistoryApp, endpoint: Endpoint) -> Result<AppSeen, Fault> {
        let elsewhere = |fault| hints::misplaced(fault, hints::elsewhere(app));
        // Optimize is only known from documents, which promise no /actuator/info; its list of backups they do.
        let path = if app == HistoryApp::Optimize { "/actuator/backups" } else { "/actuator/info" };
        let (call, response) = self.get(&endpoint, path).await?;
        let answer = Answer::of(&response);
        if app == HistoryApp::Optimize && matches!(answer.status, 400 | 404) {
            // It may be Optimize that misses its repository.
            wire::highest_history_id(&call, app, &answer).map_err(elsewhere)?;
        }
        // A plain 500 comes from the application itself; the probes before the pause ask it again.
        if answer.is_html() || !answer.is_success() && answer.status != 500 {
            return Err(elsewhere(call.unexpected(&answer)));
        }
        let links = self.try_get(&endpoint, "/actuator").await;
        let links = links.and_then(|links| topology::endpoints(&Answer::of(&links))).unwrap_or_default();
        if links.iter().any(|name| name == "exporting") {
            // The same path means runtime backups there: asking it for a history would burn an id of the brokers.
            return Err(call
                .fault(FaultKind::Usage, format!("this is a broker or gateway, not {app}"))
                .with_hint(hints::elsewhere(app)));
        }
        let version = if app == HistoryApp::Optimize {
            let info = self.try_get(&endpoint, "/actuator/info").await;
            info.and_then(|info| topology::version(&Answer::of(&info)))
        } else {
            topology::version(&answer)
        };
        let told = match configuration_prefix(app) {
            Some(prefix) => configuration_of(&**self.transport, &endpoint, prefix).await?,
            None => None,
        };
        Ok(AppSeen { endpoint, version, told, fault: None })
    }

    async fn searches(
        &self,
        cluster: &ClusterSeen,
        apps: &BTreeMap<HistoryApp, AppSeen>,
    ) -> Result<Vec<SearchSeen>, Fault> {
        let candidates = search_candidates(self.configured, cluster, apps)?;
        let seen = candidates.into_iter().map(|(endpoint, source)| async move {
            let client = SearchClient::new(Arc::clone(self.transport), endpoint.clone());
            let identity =
                client.identity().await.map_err(|fault| hints::misplaced(fault, hints::SEARCH_ELSEWHERE));
            SearchSeen { endpoint, source, identity }
        });
        Ok(join_all(seen).await)
    }

    async fn contents(&self, seen: &SearchSeen, identity: &SearchIdentity) -> Contents {
        let client = SearchClient::new(Arc::clone(self.transport), seen.endpoint.clone());
        let search = client.of(identity.product);
        let patterns: Vec<String> = INDEX_PATTERNS.iter().map(|(_, pattern)| (*pattern).to_owned()).collect();
        let (indices, lacking, repositories) =
            futures::join!(search.indices(&patterns), search.lacks(&patterns), client.repositories());
        Contents {
            indices: indices.ok().map(|all| all.into_iter().map(|index| index.name).collect()),
            unseen: lacking.ok().flatten().unwrap_or_default(),
            repositories: repositories.unwrap_or_default().into_iter().map(|r| r.name).collect(),
        }
    }
}

/// What a search server holds, as far as it tells this login.
#[derive(Default)]
struct Contents {
    indices: Option<Vec<String>>,
    unseen: Vec<String>,
    repositories: Vec<String>,
}

/// Index names that betray an application (Camunda docs 8.5–8.10, "Index patterns").
pub(super) const INDEX_PATTERNS: [(HistoryApp, &str); 3] = [
    (HistoryApp::Operate, "operate-*"),
    (HistoryApp::Tasklist, "tasklist-*"),
    (HistoryApp::Optimize, "optimize-*"),
];

impl Configured {
    /// The configured applications that count in a dialect.
    pub(super) fn app_addresses(&self, dialect: Dialect) -> Vec<(HistoryApp, &str)> {
        let split = dialect == Dialect::SplitActuators;
        [
            (HistoryApp::Operate, self.operate.as_deref().filter(|_| split)),
            (HistoryApp::Tasklist, self.tasklist.as_deref().filter(|_| split)),
            (HistoryApp::Optimize, self.optimize.as_deref()),
        ]
        .into_iter()
        .filter(|(app, _)| !self.off.contains(app))
        .filter_map(|(app, address)| Some((app, address?)))
        .collect()
    }
}
