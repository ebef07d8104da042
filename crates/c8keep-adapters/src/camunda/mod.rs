//! The orchestration cluster and its applications over their management ports: the port [`Camunda`] on HTTP.
//!
//! It never sends a hard pause, never deletes anything, never keeps or shows a body of `/actuator/configprops`, and
//! never takes a word that it does not know for success.

pub mod configprops;
mod fault;
mod metrics;
#[cfg(test)]
pub(crate) mod scene;
#[cfg(test)]
mod tests;
pub mod topology;
pub mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use c8keep_core::backup::{BackupId, HistoryApp};
use c8keep_core::capability::Dialect;
use c8keep_core::facts::{BrokerReading, Cluster, Positions, Store};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::BrokerAddress;
use c8keep_core::verdict::{HistoryStatus, RuntimeStatus};
use c8keep_engine::ports::{Camunda, Machine};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::json;

pub use fault::{Call, MANAGEMENT_ELSEWHERE};

use crate::transport::{Endpoint, Method, Request, Response, Transport, TransportError, ask};
use configprops::Told;
use topology::{Members, Topology};
use wire::Answer;

/// The pause waits for an answer of every replica (seen: 3.9 s under load; the gateway gives them 15 s). Less than the
/// time for which a release is tried after a signal, because a release waits for a pause that is on its way.
const EXPORTING_DEADLINE: Duration = Duration::from_secs(18);
/// Applications look through all snapshots of the repository before they accept; large ones take long.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// The gateway gives a broker 15 s before it answers 504; our own limit must lie above it.
const STATUS_DEADLINE: Duration = Duration::from_secs(30);
/// Large listings hit the gateway's own limit first (camunda issue 61898).
const LIST_DEADLINE: Duration = Duration::from_mins(1);
/// A broker answers from memory; one that takes longer than this is as good as unread. It costs time in the window, but only
/// where a broker takes connections and is silent.
const PARTITIONS_DEADLINE: Duration = Duration::from_secs(10);
/// A busy broker sometimes answers `{}` (seen on 8.6.0).
const PARTITIONS_ATTEMPTS_MAX: u32 = 5;
/// Tests do not sleep.
const PARTITIONS_PAUSE: Duration = Duration::from_millis(if cfg!(test) { 0 } else { 200 });
/// What to do about brokers without a backup store.
const STORE_HINT: &str = "configure a backup store on every broker: ZEEBE_BROKER_DATA_BACKUP_STORE, or from 8.8 on \
                          CAMUNDA_DATA_BACKUP_STORE";
/// What a broker tells of its own partitions.
const PARTITIONS: &str = "/actuator/partitions";
const NO_BROKER: &str = "no broker's own management address was reached; set `brokers` to all of them";
/// The last checkpoint id of a partition; it outlives failed and deleted backups (seen on 8.6.0).
const CHECKPOINT_GAUGE: &str = "zeebe_checkpoint_id";

/// One orchestration cluster with its applications.
#[derive(Clone)]
pub struct CamundaClient {
    transport: Arc<dyn Transport>,
    dialect: Dialect,
    management: Endpoint,
    rest: Option<Endpoint>,
    apps: BTreeMap<HistoryApp, Endpoint>,
    brokers: Vec<Endpoint>,
    /// Free space below which the brokers stop processing, where they tell.
    stops_at: Option<u64>,
    /// The directory of the brokers' data, where they tell.
    data: Option<String>,
}

impl CamundaClient {
    /// A client. `rest` is the application port; where it is not given, nobody tells which brokers are there.
    pub fn new(
        transport: Arc<dyn Transport>,
        dialect: Dialect,
        management: Endpoint,
        rest: Option<Endpoint>,
        apps: BTreeMap<HistoryApp, Endpoint>,
    ) -> CamundaClient {
        CamundaClient {
            transport,
            dialect,
            management,
            rest,
            apps,
            brokers: Vec::new(),
            stops_at: None,
            data: None,
        }
    }

    /// The same with brokers that are asked where the management address, a gateway of its own, does not tell: for
    /// the backup store and the last checkpoint id.
    #[must_use]
    pub fn with_brokers(mut self, brokers: Vec<Endpoint>) -> CamundaClient {
        self.brokers = brokers;
        self
    }

    /// The same with the directory of the brokers' data, and the free space below which they stop processing.
    #[must_use]
    pub fn with_disk(self, data: Option<String>, stops_at: Option<u64>) -> CamundaClient {
        CamundaClient { stops_at, data, ..self }
    }

    /// The application port that tells the topology, where there is one.
    pub fn rest(&self) -> Option<&Endpoint> {
        self.rest.as_ref()
    }

    async fn ask(&self, doing: &str, request: Request) -> Result<(Call, Response), Fault> {
        let call = Call::of(doing, &request);
        Ok((call, ask(&*self.transport, doing, &request).await?))
    }

    async fn exporting(&self, doing: &str, path: &str) -> Result<(), Fault> {
        let request = self.management.post(path).with_deadline(EXPORTING_DEADLINE);
        let (call, response) = self.ask(doing, request).await?;
        wire::exporting(&call, &Answer::of(&response))
    }

    fn app(&self, app: HistoryApp) -> Result<(&Endpoint, &'static str), Fault> {
        let path = match app {
            HistoryApp::Operate | HistoryApp::Tasklist | HistoryApp::Optimize => "/actuator/backups",
            HistoryApp::Webapps => "/actuator/backupHistory",
        };
        let own = (app == HistoryApp::Webapps).then_some(&self.management);
        let endpoint = self.apps.get(&app).or(own).ok_or_else(|| {
            Fault::new(
                FaultKind::Usage,
                format!("speaking to {app}"),
                app.to_string(),
                "its address is not known",
            )
        })?;
        Ok((endpoint, path))
    }

    /// Management addresses of the cluster: the given one first, then brokers that are not behind it.
    fn cluster_addresses(&self) -> impl Iterator<Item = &Endpoint> {
        let others = self.brokers.iter().filter(|b| b.address() != self.management.address());
        std::iter::once(&self.management).chain(others)
    }

    /// The topology, where the application port is known, answers without a login and speaks of this cluster.
    async fn topology(&self, members: Option<&Members>) -> Option<Topology> {
        let (_, response) =
            topology_of(&*self.transport, self.rest.as_ref()?, PARTITIONS_DEADLINE).await.ok()?;
        let topology = topology::topology(&Answer::of(&response))?;
        let same = members.is_none_or(|m| topology.size.is_none_or(|size| size == m.count));
        same.then_some(topology)
    }

    /// Whether something that is no management port answers at the management address. That is the cause then, and not that
    /// addresses of brokers are missing.
    fn is_elsewhere(&self, fault: &Fault) -> bool {
        let at_management = fault.target == self.management.describe(Method::Get, PARTITIONS);
        at_management && matches!(fault.kind, FaultKind::Strange | FaultKind::Absent) && !fault.is_retryable()
    }

    /// The address in a plan has no login; the one that discovery used may have.
    fn endpoint_of(&self, broker: &BrokerAddress) -> Result<Endpoint, Fault> {
        let known = self.cluster_addresses().find(|known| known.address() == broker.address).cloned();
        known.map_or_else(|| Endpoint::parse(&broker.address), Ok)
    }

    /// A server's metrics, where it shows them.
    async fn metrics(&self, address: &Endpoint) -> Option<Bytes> {
        let request = address.get("/actuator/prometheus").with_deadline(PARTITIONS_DEADLINE);
        let response = self.transport.send(request).await.ok()?;
        response.is_success().then_some(response.body)
    }

    async fn read_broker(&self, broker: &BrokerAddress) -> (BrokerReading, Option<Fault>) {
        let read = match self.endpoint_of(broker) {
            Ok(endpoint) => partitions_of(&*self.transport, &endpoint).await,
            Err(fault) => Err(fault),
        };
        let (partitions, unread, fault) = match read {
            Ok(partitions) => (partitions, None, None),
            Err(fault) => (BTreeMap::new(), Some(fault.answer.clone()), Some(fault)),
        };
        let address = broker.address.clone();
        (BrokerReading { node: broker.node, address, unread, partitions }, fault)
    }
}

/// Reads a broker's own partitions, asking again where it answers `{}`.
pub(crate) async fn partitions_of(
    transport: &dyn Transport,
    broker: &Endpoint,
) -> Result<BTreeMap<u32, c8keep_core::facts::PartitionReading>, Fault> {
    const DOING: &str = "reading a broker's partitions";
    let request = broker.get(PARTITIONS).with_deadline(PARTITIONS_DEADLINE);
    let call = Call::of(DOING, &request);
    for attempt in 1..=PARTITIONS_ATTEMPTS_MAX {
        let response = ask(transport, DOING, &request).await?;
        let partitions = wire::partitions(&call, &Answer::of(&response))?;
        if !partitions.is_empty() {
            return Ok(partitions);
        }
        if attempt < PARTITIONS_ATTEMPTS_MAX {
            transport.wait(PARTITIONS_PAUSE).await;
        }
    }
    let answer = format!("no partition in {PARTITIONS_ATTEMPTS_MAX} answers");
    Err(call.fault(FaultKind::Strange, answer).with_retry().with_hint(
        "a gateway of its own carries no partitions: the brokers' own management addresses are needed",
    ))
}

/// Asks the application port who is there, and tells at which address. 8.5 has the first version of that interface only, with
/// the same answer (Camunda docs 8.5, "Zeebe REST API").
pub(crate) async fn topology_of(
    transport: &dyn Transport,
    rest: &Endpoint,
    deadline: Duration,
) -> Result<(String, Response), (String, TransportError)> {
    const PATHS: [&str; 2] = ["/v2/topology", "/v1/topology"];
    let [newer, older] = PATHS.map(|path| (rest.join(path), rest.get(path).with_deadline(deadline)));
    let response = match transport.send(newer.1).await {
        Ok(response) => response,
        Err(error) => return Err((newer.0, error)),
    };
    if response.status != 404 {
        return Ok((newer.0, response));
    }
    match transport.send(older.1).await {
        Ok(older_response) if older_response.is_success() => Ok((older.0, older_response)),
        _ => Ok((newer.0, response)),
    }
}

/// Asks a server for its configuration: the named part of it first, so that less than everything travels.
/// Without a prefix, everything. `None` where the endpoint is not there or hides its values.
pub(crate) async fn configuration_of(
    transport: &dyn Transport,
    server: &Endpoint,
    prefix: &str,
) -> Result<Option<Told>, Fault> {
    const DOING: &str = "reading the configuration";
    let part = (!prefix.is_empty()).then(|| format!("/actuator/configprops/{prefix}"));
    for path in part.into_iter().chain(["/actuator/configprops".to_owned()]) {
        let response = ask(transport, DOING, &server.get(&path)).await?;
        if let Some(told) = configprops::told(&Answer::of(&response)).filter(|told| *told != Told::default())
        {
            return Ok(Some(told));
        }
    }
    Ok(None)
}

#[async_trait]
impl Camunda for CamundaClient {
    async fn cluster(&self) -> Result<Cluster, Fault> {
        const DOING: &str = "looking at the cluster";
        let (call, info) = self.ask(DOING, self.management.get("/actuator/info")).await?;
        let answer = Answer::of(&info);
        let version = match topology::version(&answer) {
            Some(version) => version,
            None if answer.is_success() => return Err(call.unreadable(&answer, "it has no build.version")),
            None => return Err(call.unexpected(&answer)),
        };
        let (_, response) = self.ask(DOING, self.management.get("/actuator/cluster")).await?;
        let members = topology::members(&Answer::of(&response));
        let topology = self.topology(members.as_ref()).await;
        let mut cluster = described(version, members, topology);
        if cluster.partitions.is_none() || cluster.replication.is_none() {
            for address in self.cluster_addresses() {
                let told = broker_configuration(&*self.transport, address, self.dialect).await;
                if let Some(broker) = told.ok().flatten().and_then(|told| told.broker) {
                    cluster.partitions = cluster.partitions.or(broker.partitions);
                    cluster.replication = cluster.replication.or(broker.replication);
                    break;
                }
            }
        }
        Ok(cluster)
    }

    async fn store(&self) -> Result<Store, Fault> {
        const DOING: &str = "looking for the brokers' backup store";
        let request =
            self.management.get(self.dialect.capability().runtime_path).with_deadline(LIST_DEADLINE);
        let (call, response) = self.ask(DOING, request).await?;
        let answer = Answer::of(&response);
        if answer.status == 400 {
            return Err(Fault::precondition(DOING, &call.target, answer.told(), STORE_HINT));
        }
        // While the store is slow or away the list is no answer, and whether a backup will work is not decided here.
        if !answer.is_success() && !matches!(answer.status, 500 | 502..=504) || answer.is_html() {
            return Err(call.unexpected(&answer));
        }
        let mut told = None;
        for address in self.cluster_addresses() {
            let configured =
                broker_configuration(&*self.transport, address, self.dialect).await.ok().flatten();
            told = configured.and_then(|told| told.broker).filter(|b| b.store.is_some());
            if told.is_some() {
                break;
            }
        }
        let Some(broker) = told else { return Ok(Store { kind: None, location: None }) };
        match broker.store.as_deref() {
            Some("NONE") if self.dialect == Dialect::SplitActuators => {
                let target = self.management.describe(Method::Get, "/actuator/configprops");
                Err(Fault::precondition(DOING, target, "zeebe.broker.data.backup.store is NONE", STORE_HINT))
            }
            // From 8.8 on the property has several names, and a brokers' list that answers speaks for a store.
            Some("NONE") => Ok(Store { kind: None, location: None }),
            _ => Ok(Store { kind: broker.store, location: broker.location }),
        }
    }

    async fn highest_runtime_id(&self) -> Result<Option<BackupId>, Fault> {
        const DOING: &str = "listing the runtime backups";
        let request =
            self.management.get(self.dialect.capability().runtime_path).with_deadline(LIST_DEADLINE);
        let (call, response) = self.ask(DOING, request).await?;
        let answer = Answer::of(&response);
        let mut highest = match wire::highest_id(&call, &answer) {
            Ok(id) => id,
            // The store is away or slow: what the brokers remember still counts.
            Err(_) if matches!(answer.status, 500 | 502..=504) && !answer.is_html() => None,
            Err(_) if answer.status == 400 => {
                return Err(Fault::precondition(DOING, &call.target, answer.told(), STORE_HINT));
            }
            Err(fault) => return Err(fault),
        };
        let metrics = self.cluster_addresses().map(|address| self.metrics(address));
        for body in join_all(metrics).await.into_iter().flatten() {
            let id = metrics::gauge_max(&body, CHECKPOINT_GAUGE);
            highest = highest.max(id.and_then(|id| BackupId::new(id).ok()));
        }
        Ok(highest)
    }

    async fn highest_history_id(&self, app: HistoryApp) -> Result<Option<BackupId>, Fault> {
        let (endpoint, path) = self.app(app)?;
        let request = endpoint.get(path).with_deadline(LIST_DEADLINE);
        let (call, response) = self.ask(&format!("listing the backups of {app}"), request).await?;
        wire::highest_history_id(&call, app, &Answer::of(&response))
    }

    async fn repository_of(&self, app: HistoryApp) -> Result<Option<String>, Fault> {
        let (endpoint, _) = self.app(app)?;
        // Optimize's configuration is not made of Spring properties: it does not tell (documents 8.5–8.10).
        let Some(prefix) = configuration_prefix(app) else { return Ok(None) };
        let part = if app == HistoryApp::Webapps { "" } else { prefix };
        let told = configuration_of(&*self.transport, endpoint, part).await?;
        Ok(told.and_then(|told| told.repository_under(prefix).map(|(_, name)| name.clone())))
    }

    async fn pause_exporting(&self) -> Result<(), Fault> {
        self.exporting("pausing exporting", "/actuator/exporting/pause?soft=true").await
    }

    async fn resume_exporting(&self) -> Result<(), Fault> {
        self.exporting("resuming exporting", "/actuator/exporting/resume").await
    }

    async fn positions(&self, brokers: &[BrokerAddress], now: Timestamp) -> Result<Positions, Fault> {
        let read = join_all(brokers.iter().map(|broker| self.read_broker(broker))).await;
        let (readings, faults): (Vec<BrokerReading>, Vec<Option<Fault>>) = read.into_iter().unzip();
        if readings.iter().any(|r| r.unread.is_none()) {
            return Ok(Positions { at: now, brokers: readings });
        }
        let (addresses, reasons): (Vec<&str>, Vec<&str>) =
            readings.iter().map(|r| (r.address.as_str(), r.unread.as_deref().unwrap_or_default())).unzip();
        let target = format!("GET /actuator/partitions of {}", addresses.join(", "));
        let fault =
            |kind| Fault::new(kind, "reading the partitions of all brokers", target, reasons.join("; "));
        // A login that is missing is not mended by trying again, and has an exit code of its own.
        let refused = faults.iter().flatten().find(|fault| fault.kind == FaultKind::Unauthorised);
        if let Some(refused) = refused {
            return Err(fault(FaultKind::Unauthorised).with_hint(&refused.hint));
        }
        // What keeps an address from answering is mended there, before other addresses are looked for.
        let hint = faults.iter().flatten().map(|fault| fault.hint.clone()).find(|hint| !hint.is_empty());
        if let Some(elsewhere) = faults.into_iter().flatten().find(|fault| self.is_elsewhere(fault)) {
            return Err(Fault { kind: FaultKind::Unreachable, ..elsewhere.with_hint(MANAGEMENT_ELSEWHERE) });
        }
        Err(fault(FaultKind::Unreachable).with_hint(hint.as_deref().unwrap_or(NO_BROKER)).with_retry())
    }

    async fn machines(&self, brokers: &[BrokerAddress]) -> Vec<Machine> {
        let told = brokers.iter().map(|broker| async {
            let body = self.metrics(&self.endpoint_of(broker).ok()?).await?;
            let machine = metrics::machine(&broker.address, &body, self.data.as_deref());
            Some(Machine { stops_at: self.stops_at, ..machine })
        });
        join_all(told).await.into_iter().flatten().collect()
    }

    async fn start_history(&self, app: HistoryApp, id: BackupId) -> Result<Vec<String>, Fault> {
        let (endpoint, path) = self.app(app)?;
        let body = json!({ "backupId": id.get() });
        let request = endpoint.post(path).with_body(body).with_deadline(START_DEADLINE);
        let (call, response) = self.ask(&format!("starting the backup of {app}"), request).await?;
        wire::history_started(&call, app, &Answer::of(&response))
    }

    async fn history(&self, app: HistoryApp, id: BackupId) -> Result<HistoryStatus, Fault> {
        let (endpoint, path) = self.app(app)?;
        let request = endpoint.get(&format!("{path}/{id}")).with_deadline(STATUS_DEADLINE);
        let (call, response) = self.ask(&format!("reading the backup of {app}"), request).await?;
        wire::history_status(&call, id, &Answer::of(&response))
    }

    async fn start_runtime(&self, id: BackupId) -> Result<(), Fault> {
        let body = json!({ "backupId": id.get() });
        let path = self.dialect.capability().runtime_path;
        let request = self.management.post(path).with_body(body).with_deadline(START_DEADLINE);
        let (call, response) = self.ask("starting the runtime backup", request).await?;
        wire::runtime_started(&call, &Answer::of(&response))
    }

    async fn runtime(&self, id: BackupId) -> Result<RuntimeStatus, Fault> {
        let path = format!("{}/{id}", self.dialect.capability().runtime_path);
        let request = self.management.get(&path).with_deadline(STATUS_DEADLINE);
        let (call, response) = self.ask("reading the runtime backup", request).await?;
        wire::runtime_status(&call, id, &Answer::of(&response))
    }
}

/// A broker's configuration. From 8.8 on it is spread over properties of old and new names, so the whole is read.
pub(crate) async fn broker_configuration(
    transport: &dyn Transport,
    broker: &Endpoint,
    dialect: Dialect,
) -> Result<Option<Told>, Fault> {
    match dialect {
        Dialect::SplitActuators => configuration_of(transport, broker, "zeebe.broker").await,
        Dialect::UnifiedActuators => configuration_of(transport, broker, "").await,
    }
}

/// The properties under which an application keeps its configuration; `None` for one that does not tell.
pub(crate) fn configuration_prefix(app: HistoryApp) -> Option<&'static str> {
    match app {
        HistoryApp::Operate => Some("camunda.operate"),
        HistoryApp::Tasklist => Some("camunda.tasklist"),
        HistoryApp::Webapps => Some("camunda.data"),
        HistoryApp::Optimize => None,
    }
}

/// Which brokers should be there is only said where it is also known which of them are.
fn described(version: String, members: Option<Members>, topology: Option<Topology>) -> Cluster {
    let members = members.unwrap_or_default();
    let configured = (members.count > 0).then_some(members.count);
    let partitions = u32::try_from(members.replicas.len()).ok().filter(|n| *n > 0);
    let replication = members.replicas.values().min().copied();
    let Some(topology) = topology else {
        return Cluster {
            version,
            brokers_expected: None,
            brokers_configured: configured,
            brokers_up: Vec::new(),
            partitions,
            replication,
            pending_change: members.pending,
        };
    };
    let mut brokers_up: Vec<u32> = topology.brokers.iter().map(|b| b.node).collect();
    brokers_up.sort_unstable();
    Cluster {
        version,
        brokers_expected: configured.or(topology.size),
        brokers_configured: configured,
        brokers_up,
        partitions: topology.partitions.or(partitions),
        replication: topology.replication.or(replication),
        pending_change: members.pending,
    }
}

impl fmt::Debug for CamundaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CamundaClient")
            .field("dialect", &self.dialect)
            .field("management", &self.management.address())
            .field("rest", &self.rest.as_ref().map(Endpoint::address))
            .field("apps", &self.apps.values().map(Endpoint::address).collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
