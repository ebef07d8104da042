//! How one database is reached: what the configuration says, over what libpq's own variables say.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::PathBuf;

use c8keep_core::database::{DatabaseName, shown};

use crate::transport::Secret;

/// What the tools are given of our own environment, by name. Everything else stays out of them, so that nobody's settings
/// change what is dumped (`PGOPTIONS`, `PGCLIENTENCODING`) and no other secret reaches them.
pub const INHERITED: [&str; 42] = [
    "HOME",
    "PATH",
    // "Environment Variables" of libpq's documentation, those that say how to connect.
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
    "PGREQUIREAUTH",
    "PGCHANNELBINDING",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGSSLMODE",
    "PGSSLNEGOTIATION",
    "PGSSLCERTMODE",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLSNI",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGMAXPROTOCOLVERSION",
    "PGREQUIREPEER",
    "PGGSSENCMODE",
    "PGGSSDELEGATION",
    "PGKRBSRVNAME",
    "PGGSSLIB",
    "PGCONNECT_TIMEOUT",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    "PGSYSCONFDIR",
    // What the libraries below it read.
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
    "TMPDIR",
    "TZ",
];

/// Variables by name.
pub type Environment = BTreeMap<String, OsString>;

/// How one database is reached.
#[derive(Clone)]
pub struct Connection {
    /// Its name in the configuration, for messages.
    pub name: DatabaseName,
    /// Host, address or folder of the socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// The login.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Secret>,
    /// What the database is called, whatever that is.
    pub database: Option<String>,
    /// libpq's other variables: TLS.
    pub variables: BTreeMap<&'static str, String>,
    /// The folder with PostgreSQL's tools, where they are not in the path.
    pub tools: Option<PathBuf>,
    /// What is taken from the environment, where the configuration says nothing.
    pub inherited: Environment,
}

impl Connection {
    /// Where it is, for people; without credentials.
    pub fn address(&self) -> String {
        let told = |name: &str| self.inherited.get(name).map(|value| value.to_string_lossy().into_owned());
        let host = self.host.clone().or_else(|| told("PGHOST")).or_else(|| told("PGHOSTADDR"));
        let port = self.port.map(|port| port.to_string()).or_else(|| told("PGPORT"));
        let database = self.database.clone().or_else(|| told("PGDATABASE"));
        let service = self.inherited.get("PGSERVICE").filter(|_| host.is_none());
        let mut text = match (host, service) {
            (Some(host), _) => host,
            (None, Some(service)) => format!("service {}", service.to_string_lossy()),
            (None, None) => "the local socket".into(),
        };
        if let Some(port) = port {
            let _ = write!(text, ":{port}");
        }
        if let Some(database) = database {
            let _ = write!(text, "/{}", shown(&database));
        }
        text
    }

    /// The variables of a tool that connects, but for the password. `application` is what the server's administrators see.
    pub(super) fn environment(&self, application: &str) -> Environment {
        let mut environment = self.bare_environment();
        let mut set = |name: &str, value: String| {
            environment.insert(name.to_owned(), value.into());
        };
        set("PGAPPNAME", application.to_owned());
        // In the order in which libpq looks: an address would win over the host, and a service over both.
        if let Some(host) = &self.host {
            set("PGHOST", host.clone());
        }
        if let Some(port) = self.port {
            set("PGPORT", port.to_string());
        }
        if let Some(user) = &self.user {
            set("PGUSER", user.clone());
        }
        for (name, value) in &self.variables {
            set(name, value.clone());
        }
        environment.entry("PGCONNECT_TIMEOUT".into()).or_insert_with(|| "10".into());
        if self.host.is_some() {
            environment.remove("PGHOSTADDR");
            environment.remove("PGSERVICE");
        }
        environment
    }

    /// The variables of a tool that only tells its version.
    pub(super) fn bare_environment(&self) -> Environment {
        let mut environment = self.inherited.clone();
        // Messages are read by us, too; the server writes its own in its own language.
        environment.insert("LC_ALL".into(), "C".into());
        environment
    }
}

/// What is inherited may be a password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, address) = (&self.name, self.address());
        f.debug_struct("Connection").field("name", name).field("address", &address).finish_non_exhaustive()
    }
}

/// A connection string that says the database's name and nothing else. Given bare, a name with `=` in it or with `postgres://` at
/// its beginning would be taken for a connection string ("Connection Strings" of libpq's documentation).
pub(super) fn conninfo(database: &str) -> String {
    let mut text = String::from("dbname='");
    for c in database.chars() {
        if matches!(c, '\\' | '\'') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('\'');
    text
}
