//! What is configured: one YAML file, or the variables of the documented procedure, or both. The command line wins over
//! the environment, the environment over the file.

pub mod access;
#[cfg(test)]
mod canaries;
pub mod databases;
mod file;
mod home;
mod place;
mod vault;
mod words;
pub mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use c8keep_adapters::postgres::Connection;
use c8keep_adapters::transport::{ConnectTo, Endpoint};
use c8keep_core::database::{DatabaseName, DatabaseTarget};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::SearchProduct;
use c8keep_core::plan::STALL_MIN;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::cli::Global;
use crate::env::{self, var};

pub use self::access::{Entry, credential};
pub use self::vault::{Place, Vault};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The installation's name.
    pub name: Option<String>,
    /// Management address of the orchestration cluster, or of the gateway up to 8.7.
    pub management: Option<String>,
    /// Application address with `/v2/topology`.
    pub rest: Option<String>,
    /// Management address of every broker.
    pub brokers: Vec<String>,
    /// Operate, up to 8.7.
    pub operate: App,
    /// Tasklist, up to 8.7.
    pub tasklist: App,
    /// Optimize.
    pub optimize: App,
    /// Elasticsearch or OpenSearch.
    pub search: Search,
    /// How these are spoken to.
    pub access: access::AccessSettings,
    /// Where addresses are really dialled.
    pub connect_to: BTreeMap<String, String>,
    /// The exported records.
    pub records: Records,
    /// Databases beside the cluster.
    pub databases: databases::Databases,
    /// Where the manifests are kept.
    pub vault: Option<Vault>,
    /// File that keeps the journal.
    pub journal: Option<PathBuf>,
    /// Limits of a run.
    pub limits: Limits,
    /// Helm release, from the environment only.
    #[serde(skip)]
    pub release: Option<String>,
}

/// An application.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// Its management address.
    pub address: Option<String>,
    /// Whether it is backed up at all.
    pub enabled: bool,
    /// Whether a backup without it has failed.
    pub required: bool,
}

/// The search server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Search {
    /// Its address.
    pub address: Option<String>,
    /// The snapshot repository.
    pub repository: Option<String>,
    /// Indices that are named like the applications' and are somebody else's.
    pub foreign_indices: Vec<String>,
    /// Which product it is, as the name of the variable says; the server itself decides.
    #[serde(skip)]
    pub product: Option<SearchProduct>,
}

/// The exported records.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Records {
    /// The exporter's index prefix.
    pub prefix: Option<String>,
    /// Whether they are backed up at all.
    pub enabled: bool,
}

/// Limits of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How long exporting may stay paused.
    pub hold_budget: Option<SignedDuration>,
    /// How long a wait may see nothing move.
    pub stall: Option<SignedDuration>,
    /// How long one wait may take in all.
    pub wait_deadline: Option<SignedDuration>,
}

/// The name of an installation that was not given one.
pub const NAME_DEFAULT: &str = "default";

impl Settings {
    /// Reads the file, if there is one, and puts the environment over it.
    pub fn load(global: &Global) -> Result<Settings, Fault> {
        env::check()?;
        let mut settings = match &global.config {
            Some(path) => read(path)?.seen_from(path),
            None => Settings::default(),
        };
        settings.put_environment_over(var);
        if let Some(name) = &global.installation {
            settings.name = Some(name.clone());
        }
        settings.check()?;
        home::check(&settings, var)?;
        Ok(settings)
    }

    /// Journal and vault are where the file says, whatever folder the program was started in: a timer starts it elsewhere than
    /// an operator, and a vault that is not found again is a backup that is not.
    fn seen_from(mut self, file: &Path) -> Settings {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| absolute(folder.to_owned()));
        if let Some(vault) = &mut self.vault {
            vault.seen_from(&folder);
        }
        self.journal = self.journal.map(|journal| absolute(place::below(&folder, &journal)));
        self
    }

    /// What the environment says, for whoever writes the file.
    pub fn of_environment() -> Settings {
        let mut settings = Settings::default();
        settings.put_environment_over(var);
        settings
    }

    /// The installation's name.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(NAME_DEFAULT)
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.journal
            .clone()
            .unwrap_or_else(|| home::folder("XDG_STATE_HOME", ".local/state").join("c8keep/journal.db"))
    }

    /// The vault, with its secret fetched.
    pub async fn vault(&self) -> Result<Place, Fault> {
        match &self.vault {
            Some(vault) => Ok(match vault.place().await? {
                Place::Folder(folder) => Place::Folder(absolute(folder)),
                store @ Place::Store(_) => store,
            }),
            None => Ok(Place::Folder(home::folder("XDG_DATA_HOME", ".local/share").join("c8keep/vault"))),
        }
    }

    /// Where addresses are really dialled.
    pub fn connect_to(&self) -> Result<ConnectTo, Fault> {
        ConnectTo::parse(self.connect_to.iter().map(|(from, to)| (from.as_str(), to.as_str())))
    }

    /// The databases, and how they are reached.
    pub fn databases(&self) -> Result<(Vec<DatabaseTarget>, BTreeMap<DatabaseName, Connection>), Fault> {
        if self.databases.is_empty() {
            return Ok((Vec::new(), BTreeMap::new()));
        }
        databases::resolve(&self.databases, &env::of_postgres())
    }

    pub(crate) fn put_environment_over(&mut self, var: impl Fn(&str) -> Option<String>) {
        let put = |slot: &mut Option<String>, name| {
            if let Some(value) = var(name) {
                *slot = Some(value);
            }
        };
        put(&mut self.management, env::MANAGEMENT);
        put(&mut self.operate.address, env::OPERATE);
        put(&mut self.tasklist.address, env::TASKLIST);
        put(&mut self.optimize.address, env::OPTIMIZE);
        put(&mut self.release, env::RELEASE);
        for (address, repository, product) in [
            (env::OPENSEARCH, env::OPENSEARCH_REPOSITORY, SearchProduct::Opensearch),
            (env::ELASTIC, env::ELASTIC_REPOSITORY, SearchProduct::Elasticsearch),
        ] {
            put(&mut self.search.repository, repository);
            if var(address).is_some() {
                put(&mut self.search.address, address);
                self.search.product = Some(product);
            }
        }
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), Fault> {
        let name = self.name();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 63 || !name.chars().all(plain) {
            return Err(usage(
                "the installation's name",
                format!("{name:?} is not usable as a name"),
                "use lower-case letters, digits and hyphens, at most 63 of them",
            ));
        }
        if var(env::ELASTIC).is_some() && var(env::OPENSEARCH).is_some() {
            return Err(usage(
                "the environment",
                format!("both {} and {} are set", env::ELASTIC, env::OPENSEARCH),
                "unset the one that is not used",
            ));
        }
        self.check_addresses()?;
        self.vault.as_ref().map_or(Ok(()), Vault::check)?;
        databases::check(&self.databases)?;
        self.access.check()?;
        self.connect_to()?;
        self.limits.check()
    }

    /// A port alone would be read as an old way to write an IP address.
    fn check_addresses(&self) -> Result<(), Fault> {
        let is_number = |a: &str| !a.trim().is_empty() && a.trim().chars().all(|c| c.is_ascii_digit());
        match self.addresses().find(|(_, address)| is_number(address)) {
            Some((key, number)) => Err(usage(
                &format!("the address {key}"),
                format!("{number} is a number, not an address"),
                &format!("a port needs its host: http://localhost:{}", number.trim()),
            )),
            None => Ok(()),
        }
    }

    /// The key of the address that a text speaks of; the longest one, as one may be the beginning of another.
    pub fn address_in(&self, text: &str) -> Option<&'static str> {
        let known = self.addresses().filter_map(|(key, address)| {
            let endpoint = Endpoint::parse(address).ok()?;
            text.contains(endpoint.address()).then(|| (endpoint.address().len(), key))
        });
        known.max().map(|(_, key)| key)
    }

    /// Every address with its key.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let single = [
            ("management", &self.management),
            ("rest", &self.rest),
            ("operate.address", &self.operate.address),
            ("tasklist.address", &self.tasklist.address),
            ("optimize.address", &self.optimize.address),
            ("search.address", &self.search.address),
        ];
        let given = single.into_iter().filter_map(|(key, address)| Some((key, address.as_deref()?)));
        let vault = self.vault.iter();
        let vault = vault.flat_map(|v| [("vault", Some(&v.url)), ("vault.endpoint", v.endpoint.as_ref())]);
        let given = given.chain(vault.filter_map(|(key, address)| Some((key, address?.as_str()))));
        given
            .chain(self.brokers.iter().map(|address| ("brokers", address.as_str())))
            .chain(self.access.addresses())
    }
}

impl Limits {
    /// As on the command line, where such a time is refused, too.
    fn check(&self) -> Result<(), Fault> {
        let limits = [
            ("limits.hold_budget", self.hold_budget),
            ("limits.stall", self.stall),
            ("limits.wait_deadline", self.wait_deadline),
        ];
        let bad = limits.into_iter().find_map(|(key, time)| Some((key, time.filter(|t| !t.is_positive())?)));
        match bad {
            Some((key, time)) => Err(usage(
                key,
                format!("{time:#} is not a time that anything could take"),
                "write it like 90s, 10m or 2h, above zero; leave it out for the default",
            )),
            None => self.stall.filter(|stall| *stall < STALL_MIN).map_or(Ok(()), |stall| {
                let what = format!("{stall:#} is too short to see anything move");
                let hint = format!("give {STALL_MIN:#} at least; leave it out for the default");
                Err(usage("limits.stall", what, &hint))
            }),
        }
    }
}

impl Default for App {
    fn default() -> App {
        App { address: None, enabled: true, required: true }
    }
}

impl Default for Records {
    fn default() -> Records {
        Records { prefix: None, enabled: true }
    }
}

fn read(path: &Path) -> Result<Settings, Fault> {
    let shown = path.display().to_string();
    let text = file::text(path).map_err(|error| usage(&shown, error.to_string(), named_by(path)))?;
    let settings = parse(&text).map_err(|(why, hint)| usage(&shown, why, &hint))?;
    match secret_in_an_address(&settings) {
        Some(key) => Err(usage(
            &shown,
            format!("{key} holds a password"),
            "the file holds no secrets: give this address through its environment variable instead",
        )),
        None => Ok(settings),
    }
}

/// What to do about a file that cannot be read, by who has named it.
fn named_by(path: &Path) -> &'static str {
    if std::env::var_os(env::CONFIG).is_some_and(|named| named == path.as_os_str()) {
        "the variable C8KEEP_CONFIG names it: correct or unset that; `c8keep init` writes such a file"
    } else {
        "--config (-c) names it: correct that; without one the variables are enough, and `c8keep init` writes such a file"
    }
}

/// The settings in a YAML text, or what is wrong with it and what was probably meant.
pub fn parse(text: &str) -> Result<Settings, (String, String)> {
    if text.trim().is_empty() {
        return Ok(Settings::default());
    }
    serde_saphyr::from_str(text).map_err(|error: serde_saphyr::Error| {
        let why = error.without_snippet().to_string();
        let hint = words::unknown_key(&why).map_or_else(String::new, |(wrong, known)| {
            match words::meant(wrong, &known) {
                Some(near) => format!("{wrong:?} is not known; {near:?}?"),
                None => format!("{wrong:?} is not known; known here: {}", known.join(", ")),
            }
        });
        let why = match error.location().map(|at| (at.line(), at.column())) {
            Some(at) => format!("line {}, column {}: {}", at.0, at.1, words::plain_words_at(text, at, &why)),
            None => words::plain_words(&why),
        };
        (why, hint)
    })
}

fn secret_in_an_address(settings: &Settings) -> Option<&'static str> {
    settings.addresses().find(|(_, address)| address.contains('@')).map(|(key, _)| key)
}

/// From the folder in which the program was started. It fails only where that folder is gone or the path is empty.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

pub(crate) fn usage(target: &str, answer: String, hint: &str) -> Fault {
    Fault::new(FaultKind::Usage, "reading the configuration", target, answer).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file() {
        let settings = parse(
            "name: prod\nmanagement: http://localhost:9600\nbrokers: [http://b0:9600]\noptimize: {enabled: false}\n\
             search: {address: http://es:9200, repository: camunda}\nrecords: {prefix: my-record}\n\
             limits: {hold_budget: 30m}\n",
        )
        .unwrap();
        assert_eq!(settings.name(), "prod");
        assert!(!settings.optimize.enabled && settings.operate.enabled);
        assert_eq!(settings.limits.hold_budget, Some(SignedDuration::from_mins(30)));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_place_and_the_nearest_key() {
        let (why, hint) = parse("name: a\nmanagment: http://x\n").unwrap_err();
        assert!(why.contains("managment") && why.contains('2'), "{why}");
        assert!(hint.contains("\"management\""), "{hint}");
        let (_, hint) = parse("search:\n  adress: http://x\n").unwrap_err();
        assert!(hint.contains("\"address\""), "{hint}");
    }

    #[test]
    fn what_has_another_form_is_shown_in_the_right_one() {
        for (text, words) in [
            ("limits: {hold_budget: 2}\n", "like 90s, 10m or 2h"),
            ("limits:\n  stall: [1]\n", "like 90s, 10m or 2h"),
            ("limits:\n  wait_deadline: true\n", "like 90s, 10m or 2h"),
            ("optimize: http://x\n", "`optimize: {address: http://x}`"),
            ("name: a\nsearch: http://es:9200\n", "`search: {address: http://es:9200}`"),
            ("records: zeebe-record\n", "as in `name: prod`"),
        ] {
            let (why, _) = parse(text).unwrap_err();
            assert!(why.contains(words), "{text}: {why}");
        }
    }

    #[test]
    fn other_words_for_a_key_are_understood_where_it_exists() {
        for (text, hint) in [
            ("installation: prod\n", "\"installation\" is not known; \"name\"?"),
            ("search: {repo: camunda}\n", "\"repo\" is not known; \"repository\"?"),
            ("elasticsearch: {}\n", "\"elasticsearch\" is not known; \"search\"?"),
            ("search: {url: 'http://x'}\n", "\"url\" is not known; \"address\"?"),
            ("vault: {bucket: x}\n", "\"bucket\" is not known; \"url\"?"),
            ("records: {repo: x}\n", "\"repo\" is not known; known here: prefix, enabled"),
        ] {
            assert_eq!(parse(text).unwrap_err().1, hint);
        }
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let mut settings = parse("management: http://file\nsearch: {address: http://file}\n").unwrap();
        settings.put_environment_over(|name| match name {
            env::MANAGEMENT => Some("http://env".into()),
            env::OPENSEARCH => Some("http://os".into()),
            env::OPENSEARCH_REPOSITORY => Some("camunda".into()),
            _ => None,
        });
        assert_eq!(settings.management.as_deref(), Some("http://env"));
        assert_eq!(settings.search.address.as_deref(), Some("http://os"));
        assert_eq!(settings.search.product, Some(SearchProduct::Opensearch));
        assert_eq!(settings.search.repository.as_deref(), Some("camunda"));
    }

    #[test]
    fn a_password_in_the_file_is_noticed() {
        let settings = parse("search: {address: 'http://user:secret@es:9200'}").unwrap();
        assert_eq!(secret_in_an_address(&settings), Some("search.address"));
    }

    #[test]
    fn what_is_wrong_is_said_in_plain_words_and_the_place_once() {
        for (text, words) in [
            ("name: a\nname: b\n", "line 2, column 1: the key name is there twice"),
            (
                "limits: {stall: soon}\n",
                "line 1, column 17: this is not a time; write it like 90s, 10m or 2h",
            ),
            ("optimize: {enabled: maybe}\n", "line 1, column 21: true or false is expected here"),
            (
                "brokers: http://a\n",
                "line 1, column 10: a list is expected here, as in `[http://a:9600, http://b:9600]`",
            ),
            ("databases: {a: {mode: plain}}", "line 1, column 23: plain is none of database, dumpall"),
            ("databases: {a: {port: x}}", "line 1, column 23: this is not a port: a number from 1 to 65535"),
            ("managment: a\n", "line 1, column 1: the key managment is not known here"),
            (
                "search:\n\taddress: x\n",
                "line 2, column 2: there is a tab; YAML is indented with blanks, never with tabs",
            ),
            (
                "limits:\n  stall: 5m\n\thold_budget: 2h\n",
                "line 2, column 10: there is a tab; YAML is indented with blanks, never with tabs",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().0, words);
        }
    }

    #[test]
    fn times_are_positive_and_addresses_are_no_numbers() {
        for (text, key) in [
            ("limits: {stall: 0s}", "limits.stall"),
            ("limits: {stall: 900ms}", "limits.stall"),
            ("limits: {hold_budget: -5m}", "limits.hold_budget"),
            ("management: 9600", "management"),
            ("brokers: [http://a:9600, 9601]", "brokers"),
        ] {
            let fault = parse(text).unwrap().check().unwrap_err();
            assert!(fault.target.contains(key), "{fault:?}");
            assert_eq!(fault.kind, FaultKind::Usage);
        }
        assert_eq!(parse("management: localhost:9600\nlimits: {stall: 5m}").unwrap().check(), Ok(()));
    }
}
