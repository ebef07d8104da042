//! Databases beside the cluster, Web Modeler's and any other: what is known of one, and what a dump of it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name that the configuration gives a database. It stands in names of steps and objects, so it is plain; what the
/// database itself is called may be anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatabaseName(String);

/// A text that cannot be the name of a database here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not usable as a name: lower-case letters, digits and hyphens, at most 40 of them")]
pub struct NotADatabaseName(pub String);

/// What a dump holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DumpMode {
    /// One database as an archive for `pg_restore`, and the server's roles beside it.
    #[default]
    Database,
    /// All databases of the server as one script for psql, as on Camunda's page.
    Dumpall,
}

/// A database that a backup contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseTarget {
    /// Its name in the configuration.
    pub name: DatabaseName,
    /// What is dumped.
    pub mode: DumpMode,
    /// Where it is asked, for people; without credentials.
    pub address: String,
    /// Whether a backup without it is still `partial` rather than failed.
    pub required: bool,
}

/// What a database and its server tell of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseServer {
    /// The server's version.
    pub version: String,
    /// The version of the tool that dumps.
    pub tool: String,
    /// What the database is really called.
    pub database: String,
    /// Its owner.
    pub owner: String,
    /// Its encoding, as in `UTF8`.
    pub encoding: String,
    /// Its collation.
    pub collate: String,
    /// Its character classes.
    pub ctype: String,
    /// How large it is on the server's disk.
    pub bytes: u64,
    /// Whether the login may read the roles' passwords; managed servers let nobody.
    pub role_passwords: bool,
}

/// A dump that is in the vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseDump {
    /// The database's name in the configuration.
    pub name: DatabaseName,
    /// What was dumped.
    pub mode: DumpMode,
    /// The server at the beginning of the dump.
    pub server: DatabaseServer,
    /// The objects it consists of.
    pub objects: Vec<DumpObject>,
}

/// One object of a dump.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpObject {
    /// Its path in the vault.
    pub path: String,
    /// What is in it.
    pub holds: DumpContent,
    /// Its length.
    pub bytes: u64,
    /// The length of what it unpacks to.
    pub unpacked_bytes: u64,
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
}

/// What is in an object of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DumpContent {
    /// One database, in `pg_dump`'s custom format.
    Database,
    /// The server's roles and tablespaces, as SQL.
    Globals,
    /// All databases of the server with its roles, as SQL.
    Everything,
}

impl DumpMode {
    /// The objects of such a dump.
    pub fn contents(self) -> &'static [DumpContent] {
        match self {
            DumpMode::Database => &[DumpContent::Globals, DumpContent::Database],
            DumpMode::Dumpall => &[DumpContent::Everything],
        }
    }
}

impl DumpContent {
    /// The name of such an object in its folder.
    pub fn object(self) -> &'static str {
        match self {
            DumpContent::Database => "database.dump.zst",
            DumpContent::Globals => "globals.psql.zst",
            DumpContent::Everything => "dump.psql.zst",
        }
    }
}

impl DatabaseDump {
    /// The object of that kind.
    pub fn object(&self, holds: DumpContent) -> Option<&DumpObject> {
        self.objects.iter().find(|object| object.holds == holds)
    }
}

/// A name that others have chosen, fit to be shown: nothing in it moves a cursor or begins a line.
pub fn shown(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c {
            '\'' | '"' => text.push(c),
            _ => text.extend(c.escape_debug()),
        }
    }
    text
}

impl FromStr for DatabaseName {
    type Err = NotADatabaseName;
    fn from_str(text: &str) -> Result<DatabaseName, NotADatabaseName> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let good = (1..=40).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-');
        if good { Ok(DatabaseName(text.into())) } else { Err(NotADatabaseName(text.into())) }
    }
}

impl TryFrom<String> for DatabaseName {
    type Error = NotADatabaseName;
    fn try_from(text: String) -> Result<DatabaseName, NotADatabaseName> {
        text.parse()
    }
}

impl From<DatabaseName> for String {
    fn from(name: DatabaseName) -> String {
        name.0
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_in_one_line() {
        assert_eq!(shown("it's \"ünï\" 日本"), "it's \"ünï\" 日本");
        assert_eq!(shown("a\nb\u{1b}[2J\u{202e}"), "a\\nb\\u{1b}[2J\\u{202e}");
    }

    #[test]
    fn names_are_fit_for_steps_and_objects() {
        for good in ["web-modeler", "a", "keycloak-2"] {
            assert_eq!(good.parse::<DatabaseName>().unwrap().to_string(), good);
        }
        for bad in ["", "-a", "A", "a b", "a/b", "../a", "a.b", "ü", &"a".repeat(41)] {
            assert!(bad.parse::<DatabaseName>().is_err(), "{bad}");
        }
    }
}
