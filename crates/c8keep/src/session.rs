//! Wiring: from settings to a world that the engine can drive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use c8keep_adapters::camunda::CamundaClient;
use c8keep_adapters::clock::SystemClock;
use c8keep_adapters::discovery::{
    self, Accesses, Configured, Discovered, Gap, Looked, Piece, RecordsChoice, Survey, Topic,
};
use c8keep_adapters::journal::{JournalPlace, SqliteJournal};
use c8keep_adapters::postgres::Postgres;
use c8keep_adapters::transport::{Access, Endpoint, HttpTransport, Method, Transport};
use c8keep_adapters::vault::{FolderVault, UnopenedVault};
use c8keep_core::database::DatabaseTarget;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{BrokerAddress, Installation, NotCovered};
use c8keep_core::{Dialect, HistoryApp};
use c8keep_engine::World;
use c8keep_engine::doctor::NoSearch;
use c8keep_engine::fence::Fence;
use c8keep_engine::ports::{Camunda, Clock, Journal, SearchStore, Vault};
use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;

use crate::env;
use crate::printer::Printer;
use crate::settings::{App, Place, Settings};

/// An installation with everything that acts on it, and how it was found.
pub struct Session {
    pub world: Arc<World>,
    pub findings: Vec<Finding>,
}

/// An installation in which something may be missing, with everything that can be asked of it. It is for looking only.
pub struct Patient {
    pub world: World,
    pub findings: Vec<Finding>,
    /// How many brokers there are, where that is told.
    pub brokers_expected: Option<u32>,
    /// Why nobody tells which of them are up.
    pub no_topology: Option<String>,
    /// What is missing of it.
    pub gaps: Vec<Gap>,
    /// Secrets that are not where the configuration says.
    pub secrets: Vec<Fault>,
}

/// One thing that was found, and where.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// `found`, `note`, `warning` or `contradiction`.
    pub level: String,
    /// What.
    pub what: String,
    /// Where.
    pub source: String,
    /// What it is about.
    #[serde(skip)]
    pub topic: Topic,
    /// What to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub todo: String,
}

impl From<discovery::Finding> for Finding {
    fn from(finding: discovery::Finding) -> Finding {
        let discovery::Finding { level, what, source, topic, todo } = finding;
        Finding { level: level.to_string(), what, source, topic, todo }
    }
}

impl Patient {
    /// Whether this is missing of it.
    pub fn lacks(&self, piece: Piece) -> bool {
        self.gaps.iter().any(|gap| gap.piece == piece)
    }
}

/// What can be reached with nothing but the management address.
pub struct Management {
    pub camunda: Arc<dyn Camunda>,
    pub brokers: Vec<BrokerAddress>,
    pub address: String,
}

/// How long an address derived from the Helm release's name may take to answer.
const DERIVED_DEADLINE: Duration = Duration::from_secs(2);

/// Whoever asks how things stand waits for no answer as long as a backup would.
const LOOK_PATIENCE: Duration = Duration::from_secs(10);

/// Finds out what there is, and wires it.
pub async fn assemble(settings: &Settings, journal: Arc<dyn Journal>) -> Result<Session, Fault> {
    let access = settings.access.accesses()?;
    for access in access.all() {
        access.check().await?;
    }
    wire(settings, journal, access, vault(settings).await?, For::Backup).await
}

/// The same, for whoever only releases: neither an application nor the vault nor a repository is needed for that, so nothing of
/// them is asked, and no secret of theirs is read.
pub async fn assemble_to_release(settings: &Settings, journal: Arc<dyn Journal>) -> Result<Session, Fault> {
    let mut settings = settings.clone();
    for app in [&mut settings.operate, &mut settings.tasklist, &mut settings.optimize] {
        app.enabled = false;
    }
    let access = settings.access.accesses_to_release()?;
    let vault = vault_if_it_opens(&settings).await;
    Box::pin(wire(&settings, journal, access, vault, For::Release)).await
}

/// What an installation is needed for.
enum For {
    Backup,
    Release,
}

async fn wire(
    settings: &Settings,
    journal: Arc<dyn Journal>,
    access: Accesses,
    vault: Arc<dyn Vault>,
    what: For,
) -> Result<Session, Fault> {
    let transport = transport(settings)?;
    let configured = configured(settings, access, &*transport).await;
    let found = match what {
        For::Backup => discovery::discover(transport, &configured).await,
        For::Release => discovery::discover_to_release(transport, &configured).await,
    };
    let Discovered { mut installation, camunda, search, findings, .. } = found.map_err(out_of_reach)?;
    let (targets, databases) = databases(settings)?;
    add_databases(&mut installation, targets);
    let world = World {
        installation,
        camunda: Arc::new(camunda),
        search: Arc::new(search),
        databases: Arc::new(databases),
        vault,
        journal,
        clock: Arc::new(SystemClock::new()),
        c8keep: env!("CARGO_PKG_VERSION").into(),
    };
    Ok(Session { world: Arc::new(world), findings: findings.into_iter().map(Finding::from).collect() })
}

/// The same as far as it goes, for whoever wants to see all that is wrong at once. Only where the cluster itself is out of
/// reach, or the configuration cannot be used, there is nothing to look at.
pub async fn look(settings: &Settings, journal: Arc<dyn Journal>) -> Result<Patient, Fault> {
    let access = settings.access.accesses()?;
    let checked = join_all(access.all().map(Access::check)).await;
    let transport: Arc<dyn Transport> = Arc::new(network(settings)?.with_patience(LOOK_PATIENCE));
    let configured = configured(settings, access, &*transport).await;
    let looked = discovery::look(transport, &configured).await.map_err(out_of_reach)?;
    let Looked { mut installation, camunda, search, findings, brokers_expected, no_topology, gaps } = looked;
    let (targets, databases) = databases(settings)?;
    add_databases(&mut installation, targets);
    let search: Arc<dyn SearchStore> = match search {
        Ok(search) => Arc::new(search),
        Err(fault) => Arc::new(NoSearch(out_of_reach(fault))),
    };
    let world = World {
        installation,
        camunda: Arc::new(camunda),
        search,
        databases: Arc::new(databases),
        vault: vault_if_it_opens(settings).await,
        journal,
        clock: Arc::new(SystemClock::new()),
        c8keep: env!("CARGO_PKG_VERSION").into(),
    };
    let findings = findings.into_iter().map(Finding::from).collect();
    let gaps = gaps.into_iter().map(|gap| Gap { fault: out_of_reach(gap.fault), ..gap }).collect();
    let secrets = checked.into_iter().filter_map(Result::err).collect();
    Ok(Patient { world, findings, brokers_expected, no_topology, gaps, secrets })
}

/// The databases that are configured, and the way to them.
pub fn databases(settings: &Settings) -> Result<(Vec<DatabaseTarget>, Postgres), Fault> {
    let (targets, connections) = settings.databases()?;
    Ok((targets, Postgres::new(connections)))
}

/// Asks the servers what there is, for whoever writes a configuration.
pub async fn survey(settings: &Settings) -> Result<Survey, Fault> {
    let transport = transport(settings)?;
    let configured = configured(settings, settings.access.accesses()?, &*transport).await;
    for access in configured.access.all() {
        access.check().await?;
    }
    discovery::survey(transport, &configured).await.map_err(out_of_reach)
}

/// Which databases belong to an installation nobody tells: those that are configured are known to be in, all others out. What a
/// database is for nobody tells, either: one whose name says Identity or Keycloak is taken for what they keep, and without one
/// they are named as left out, because nobody can log in after a restore without them.
fn add_databases(installation: &mut Installation, targets: Vec<DatabaseTarget>) {
    if !targets.is_empty() {
        let names: Vec<String> = targets.iter().map(|target| target.name.to_string()).collect();
        let has_identity = names.iter().any(|name| name.contains("identity") || name.contains("keycloak"));
        installation.not_covered.retain(|left_out| {
            let is_identity = left_out.what.contains("Keycloak");
            if is_identity { !has_identity } else { !left_out.what.contains("database") }
        });
        let what = format!("databases other than {}", names.join(", "));
        installation.not_covered.push(NotCovered { what, why: "not configured under `databases`".into() });
    }
    installation.databases = targets;
}

/// Something else that answers at an address is as far from the servers as silence.
pub fn out_of_reach(fault: Fault) -> Fault {
    match fault.kind {
        FaultKind::Strange => Fault { kind: FaultKind::Unreachable, ..fault },
        _ => fault,
    }
}

/// The exporting endpoints and the partitions, without asking anything else: for nights in which the rest is down.
pub async fn management_only(settings: &Settings) -> Result<Management, Fault> {
    let transport = transport(settings)?;
    let configured = configured(settings, settings.access.accesses_to_brokers()?, &*transport).await;
    configured.access.management.check().await?;
    let Some(address) = configured.management else {
        return Err(Fault::new(
            FaultKind::Usage,
            "looking for the cluster",
            "the configuration",
            "no management address is given",
        )
        .with_hint(format!("set {}, or `management` in the configuration file", env::MANAGEMENT)));
    };
    let management = Endpoint::parse(&address)?.with_access(&configured.access.management);
    // As written it may hold a password.
    let address = management.address().to_owned();
    let mut addresses = vec![management.clone()];
    for broker in &configured.brokers {
        let broker = Endpoint::parse(broker)?.with_access(&configured.access.brokers);
        if addresses.iter().all(|known| known.address() != broker.address()) {
            addresses.push(broker);
        }
    }
    let brokers = addresses
        .iter()
        .map(|a| BrokerAddress { node: None, address: a.address().into(), reached: true })
        .collect();
    // Pausing, resuming and positions are the same in every dialect.
    let dialect = Dialect::UnifiedActuators;
    let client =
        CamundaClient::new(transport, dialect, management, None, BTreeMap::new()).with_brokers(addresses);
    Ok(Management { camunda: Arc::new(client), brokers, address })
}

/// The journal, for a verb that writes; behind claims in the vault where one is configured that other hosts may use, too.
pub async fn journal_to_write(settings: &Settings, printer: Printer) -> Result<Arc<Fence>, Fault> {
    let journal = SqliteJournal::open(settings.journal()).await?;
    if settings.vault.is_none() {
        return Ok(Arc::new(Fence::of_this_host(Arc::new(journal))));
    }
    let id = id_of(&journal)?;
    let vault = vault_if_it_opens(settings).await;
    let clock = Arc::new(SystemClock::new());
    let fence = Fence::between_hosts(Arc::new(journal), vault, clock, id, move |text| printer.say(text));
    Ok(Arc::new(fence))
}

/// How claims in the vault name this host's journal; none, where there is no journal yet.
pub async fn journal_id(settings: &Settings) -> Option<String> {
    let journal = SqliteJournal::open_for_reading(settings.journal()).await.ok()?;
    id_of(&journal).ok()
}

fn id_of(journal: &SqliteJournal) -> Result<String, Fault> {
    Ok(format!("{}/{}", host(), journal.identity()?))
}

/// The journal, for a verb that only reads: nothing is created or locked.
pub async fn journal_to_read(settings: &Settings) -> Result<Arc<dyn Journal>, Fault> {
    Ok(Arc::new(SqliteJournal::open_for_reading(settings.journal()).await?))
}

/// Where the journal lies, and whether it could be written to.
pub fn journal_place(settings: &Settings) -> Result<JournalPlace, Fault> {
    SqliteJournal::look_at(&settings.journal())
}

/// In its place where it cannot be read: nothing is in it.
pub fn no_journal(settings: &Settings) -> Arc<dyn Journal> {
    Arc::new(SqliteJournal::without_file(settings.journal()))
}

/// Who is at work on the installation on this host. It can be told also when the journal cannot be opened.
pub fn holder(settings: &Settings) -> Result<Option<String>, Fault> {
    SqliteJournal::holder_beside(&settings.journal(), settings.name())
}

/// The same for another installation of the same journal.
pub fn holder_of(settings: &Settings, installation: &str) -> Result<Option<String>, Fault> {
    SqliteJournal::holder_beside(&settings.journal(), installation)
}

/// Other installations that the journal knows; a mistyped name is the usual reason to ask. None where it cannot be read.
pub async fn other_installations(settings: &Settings) -> Vec<String> {
    let Ok(journal) = SqliteJournal::open_for_reading(settings.journal()).await else { return Vec::new() };
    let mut names = journal.installations().await.unwrap_or_default();
    names.retain(|name| name != settings.name());
    names
}

/// The vault. Nothing is read or sent yet. The one in the home folder is made with everything above it; of a folder that an
/// operator has named only itself.
pub async fn vault(settings: &Settings) -> Result<Arc<dyn Vault>, Fault> {
    let in_home = settings.vault.is_none();
    vault_with(settings, |folder| if in_home { folder.with_parents() } else { folder }).await
}

/// The vault, for a verb that tells what is in it: a folder that was named and is not there is no empty vault.
pub async fn vault_to_read(settings: &Settings) -> Result<Arc<dyn Vault>, Fault> {
    let in_home = settings.vault.is_none();
    vault_with(settings, |folder| if in_home { folder.with_parents() } else { folder.that_exists() }).await
}

/// Whether a folder that an operator has named, and that is not there yet, could be made by the first backup.
pub async fn vault_to_come(settings: &Settings) -> Option<Result<String, Fault>> {
    let Ok(Place::Folder(folder)) = settings.vault().await else { return None };
    let place = folder.display().to_string();
    Some(FolderVault::new(folder).could_be_made().await.map(|()| place))
}

async fn vault_with(
    settings: &Settings,
    of_folder: impl FnOnce(FolderVault) -> FolderVault,
) -> Result<Arc<dyn Vault>, Fault> {
    Ok(match settings.vault().await? {
        Place::Folder(folder) => Arc::new(of_folder(FolderVault::new(folder))),
        Place::Store(store) => Arc::new(store.open()?),
    })
}

/// The same for whoever can do without: what is asked of one that cannot be opened says why.
async fn vault_if_it_opens(settings: &Settings) -> Arc<dyn Vault> {
    let place = settings.vault.as_ref().map_or("the vault", |vault| &vault.url);
    vault(settings).await.unwrap_or_else(|why| Arc::new(UnopenedVault::new(place, why)))
}

/// This process, for the journal and for messages.
pub fn actor() -> String {
    format!("{}@{}", std::process::id(), host())
}

fn host() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    env::var("HOSTNAME").unwrap_or_else(|| host.trim().to_owned())
}

/// Now, for verbs that drive nothing.
pub fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Says what was found. All of it where somebody wants to know or meets the installation for the first time, else only
/// what is missing or contradicts itself: what only the doctor's patients need to mend would be said every night.
pub fn announce(installation: &Installation, findings: &[Finding], all: bool, printer: Printer) {
    printer.say(&format!(
        "Camunda {} at {} ({}), {} {} at {}",
        installation.version,
        installation.management,
        installation.dialect,
        installation.search.product,
        installation.search.version,
        installation.search.address
    ));
    let always = ["note", "contradiction"];
    for finding in findings.iter().filter(|f| all || always.contains(&f.level.as_str())) {
        say_finding(finding, printer);
    }
}

/// One finding in one line.
pub fn say_finding(finding: &Finding, printer: Printer) {
    let Finding { level, what, source, .. } = finding;
    printer.say(&format!("  {level:<6} {what} ({source})"));
}

fn transport(settings: &Settings) -> Result<Arc<dyn Transport>, Fault> {
    Ok(Arc::new(network(settings)?))
}

fn network(settings: &Settings) -> Result<HttpTransport, Fault> {
    Ok(HttpTransport::new().with_connect_to(settings.connect_to()?))
}

async fn configured(settings: &Settings, access: Accesses, transport: &dyn Transport) -> Configured {
    let mut configured = Configured {
        name: settings.name().into(),
        management: settings.management.clone(),
        rest: settings.rest.clone(),
        brokers: settings.brokers.clone(),
        operate: settings.operate.address.clone(),
        tasklist: settings.tasklist.address.clone(),
        optimize: settings.optimize.address.clone(),
        off: apps_where(settings, |app| !app.enabled),
        optional: apps_where(settings, |app| !app.required),
        search: settings.search.address.clone(),
        search_product: settings.search.product,
        repository: settings.search.repository.clone(),
        foreign_indices: settings.search.foreign_indices.clone(),
        records: match (&settings.records.enabled, &settings.records.prefix) {
            (false, _) => Some(RecordsChoice::Off),
            (true, Some(prefix)) => Some(RecordsChoice::Prefix(prefix.clone())),
            (true, None) => None,
        },
        access,
    };
    if let Some(release) = &settings.release {
        derive(&mut configured, release, transport).await;
    }
    configured
}

fn apps_where(settings: &Settings, holds: impl Fn(&App) -> bool) -> BTreeSet<HistoryApp> {
    let apps = [
        (HistoryApp::Operate, &settings.operate),
        (HistoryApp::Tasklist, &settings.tasklist),
        (HistoryApp::Optimize, &settings.optimize),
    ];
    apps.into_iter().filter(|(_, app)| holds(app)).map(|(app, _)| app).collect()
}

/// The page's in-cluster names, for what was not given: `-core` on that of 8.8, `-zeebe-gateway` on those before and on that of
/// 8.9, `-operate` and `-tasklist` up to 8.7. A derived name counts only if it answers, because nothing tells which of them exist.
async fn derive(configured: &mut Configured, release: &str, transport: &dyn Transport) {
    let name = |suffix: &str| format!("http://{release}-{suffix}");
    let management = [name("core:9600"), name("zeebe-gateway:9600")];
    fill(&mut configured.management, &management, "/actuator", transport).await;
    fill(&mut configured.operate, &[name("operate:9600"), name("operate:80")], "/actuator", transport).await;
    fill(&mut configured.tasklist, &[name("tasklist:9600"), name("tasklist:80")], "/actuator", transport)
        .await;
    fill(&mut configured.optimize, &[name("optimize:8092")], "/actuator", transport).await;
    fill(&mut configured.search, &[name("elasticsearch:9200")], "/", transport).await;
    // Nothing answered: the first name is what the messages should speak of.
    configured.management.get_or_insert_with(|| management[0].clone());
}

async fn fill(slot: &mut Option<String>, candidates: &[String], path: &str, transport: &dyn Transport) {
    if slot.is_some() {
        return;
    }
    for candidate in candidates {
        let Ok(endpoint) = Endpoint::parse(candidate) else { continue };
        let mut request = endpoint.request(Method::Get, path);
        request.deadline = DERIVED_DEADLINE;
        if transport.send(request).await.is_ok() {
            *slot = Some(candidate.clone());
            return;
        }
    }
}
