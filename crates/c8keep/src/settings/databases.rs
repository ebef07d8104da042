//! `databases`: what is dumped beside the cluster, and how it is reached. What is left out, libpq's own variables and password
//! file say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use c8keep_adapters::postgres::{Connection, Environment};
use c8keep_adapters::transport::Secret;
use c8keep_core::database::{DatabaseName, DatabaseTarget, DumpMode};
use c8keep_core::fault::Fault;
use serde::Deserialize;

use super::access::Reference;
use super::usage;

/// One database, or one server where the mode is `dumpall`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// Host, address or folder of the socket.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// The login.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<Reference>,
    /// What the database is called.
    pub dbname: Option<String>,
    /// What is dumped.
    pub mode: Mode,
    /// How much TLS is wanted, in libpq's words.
    pub sslmode: Option<SslMode>,
    /// Issuers to trust, or `system`.
    pub sslrootcert: Option<String>,
    /// The certificate that we show.
    pub sslcert: Option<PathBuf>,
    /// Its key.
    pub sslkey: Option<PathBuf>,
    /// The folder with PostgreSQL's tools.
    pub tools: Option<PathBuf>,
    /// Whether a backup without it has failed.
    pub required: bool,
}

/// What is dumped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The database as an archive, the server's roles beside it.
    #[default]
    Database,
    /// The whole server as one script.
    Dumpall,
}

/// libpq's modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The databases by name. `web-modeler:` with nothing behind it is one that libpq's variables describe.
pub type Databases = BTreeMap<String, Option<Database>>;

/// Refuses what cannot be meant.
pub fn check(databases: &Databases) -> Result<(), Fault> {
    for (name, database) in databases {
        let place = format!("databases.{name}");
        name.parse::<DatabaseName>().map_err(|why| {
            usage(&place, why.to_string(), "what the database is really called goes into `dbname`")
        })?;
        let Some(database) = database else { continue };
        let host = database.host.as_deref().unwrap_or("localhost");
        if host.is_empty() || host.contains("://") || host.contains('@') {
            return Err(usage(
                &format!("{place}.host"),
                "this is not a host".into(),
                "give host, port, user and dbname each under its own key, and the password by reference",
            ));
        }
        if database.dbname.as_deref().is_some_and(|name| name.is_empty() || name.contains('\0')) {
            let hint = "leave `dbname` out for the login's own database";
            return Err(usage(&format!("{place}.dbname"), "no database is called that".into(), hint));
        }
    }
    Ok(())
}

/// What a backup contains, and how it is reached.
pub fn resolve(
    databases: &Databases,
    inherited: &Environment,
) -> Result<(Vec<DatabaseTarget>, BTreeMap<DatabaseName, Connection>), Fault> {
    let (mut targets, mut connections) = (Vec::new(), BTreeMap::new());
    for (name, database) in databases {
        let bad = |why: c8keep_core::database::NotADatabaseName| usage("databases", why.to_string(), "");
        let name: DatabaseName = name.parse().map_err(bad)?;
        let database = database.clone().unwrap_or_default();
        let connection = database.connection(name.clone(), inherited.clone());
        targets.push(DatabaseTarget {
            name: name.clone(),
            mode: database.mode.into(),
            address: connection.address(),
            required: database.required,
        });
        connections.insert(name, connection);
    }
    Ok((targets, connections))
}

impl Database {
    fn connection(&self, name: DatabaseName, inherited: Environment) -> Connection {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        let variables = [
            ("PGSSLMODE", self.sslmode.map(|mode| mode.libpq().to_owned())),
            ("PGSSLROOTCERT", self.sslrootcert.clone()),
            ("PGSSLCERT", self.sslcert.as_ref().map(path)),
            ("PGSSLKEY", self.sslkey.as_ref().map(path)),
        ];
        Connection {
            name,
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            password: self.password.as_ref().map(Secret::from),
            database: self.dbname.clone(),
            variables: variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect(),
            tools: self.tools.clone(),
            inherited,
        }
    }
}

impl SslMode {
    fn libpq(self) -> &'static str {
        match self {
            SslMode::Disable => "disable",
            SslMode::Allow => "allow",
            SslMode::Prefer => "prefer",
            SslMode::Require => "require",
            SslMode::VerifyCa => "verify-ca",
            SslMode::VerifyFull => "verify-full",
        }
    }
}

impl From<Mode> for DumpMode {
    fn from(mode: Mode) -> DumpMode {
        match mode {
            Mode::Database => DumpMode::Database,
            Mode::Dumpall => DumpMode::Dumpall,
        }
    }
}

impl Default for Database {
    fn default() -> Database {
        Database {
            host: None,
            port: None,
            user: None,
            password: None,
            dbname: None,
            mode: Mode::default(),
            sslmode: None,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            tools: None,
            required: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::parse;

    #[test]
    fn a_name_is_enough() {
        let inherited: Environment =
            [("PGHOST", "db"), ("PGPORT", "5433"), ("PGDATABASE", "modeler"), ("PGPASSWORD", "canary")]
                .map(|(name, value)| (name.to_owned(), value.into()))
                .into();
        for text in ["databases: {web-modeler: {}}", "databases:\n  web-modeler:\n"] {
            let databases = parse(text).unwrap().databases;
            let (targets, connections) = resolve(&databases, &inherited).unwrap();
            assert_eq!((targets.len(), connections.len()), (1, 1));
            assert_eq!(targets[0].address, "db:5433/modeler");
            assert!(targets[0].required && targets[0].mode == DumpMode::Database);
        }
    }

    #[test]
    fn what_is_configured_wins() {
        let text = "databases:\n  web-modeler:\n    host: db.example.org\n    port: 5432\n    user: backup\n    \
                    password: {env: MODELER_PASSWORD}\n    dbname: 'a=b'\n    mode: dumpall\n    sslmode: verify-full\n    \
                    sslrootcert: system\n    tools: /usr/lib/postgresql/18/bin\n    required: false\n";
        let databases = parse(text).unwrap().databases;
        assert_eq!(check(&databases), Ok(()));
        let inherited: Environment = [("PGHOST".to_owned(), "elsewhere".into())].into();
        let (targets, connections) = resolve(&databases, &inherited).unwrap();
        assert_eq!(targets[0].address, "db.example.org:5432/a=b");
        assert!(!targets[0].required && targets[0].mode == DumpMode::Dumpall);
        let connection = connections.values().next().unwrap();
        assert_eq!(connection.variables["PGSSLMODE"], "verify-full");
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_the_nearest_key() {
        let (why, hint) = parse("databases:\n  web-modeler:\n    hosst: db\n").unwrap_err();
        assert!(why.starts_with("line 3, column 5: the key hosst"), "{why}");
        assert!(hint.contains("\"host\""), "{hint}");
        let (why, _) = parse("databases: {a: {password: canary}}").unwrap_err();
        assert!(why.contains("the file holds no secrets") && !why.contains("canary"), "{why}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, words) in [
            ("databases: {Web Modeler: {}}", "not usable as a name"),
            ("databases: {a: {host: 'postgres://u:canary@db/x'}}", "not a host"),
            ("databases: {a: {dbname: ''}}", "no database is called that"),
        ] {
            let fault = parse(text).unwrap().check().unwrap_err();
            assert!(fault.answer.contains(words), "{fault}");
            assert!(!fault.to_string().contains("canary"));
        }
    }
}
