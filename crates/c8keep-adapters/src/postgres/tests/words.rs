//! Names in connection strings, and who wins where several say how to connect.

use std::ffi::OsString;

use crate::postgres::Connection;
use crate::postgres::connection::{Environment, conninfo};

/// The value of `dbname` as libpq reads it: `conninfo_parse` of fe-connect.c, for a quoted value.
fn read_by_libpq(text: &str) -> Option<String> {
    let quoted = text.strip_prefix("dbname='")?;
    let (mut value, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '\\' => value.push(chars.next()?),
            '\'' => return chars.next().is_none().then_some(value),
            c => value.push(c),
        }
    }
}

/// Every name of up to five of the characters that mean something to somebody.
#[test]
fn any_name_is_read_as_it_is() {
    let alphabet = ['\'', '\\', ' ', '=', '\n', '-', 'ü'];
    let mut names = vec![String::new()];
    let mut last = names.clone();
    for _ in 0..5 {
        last = last.iter().flat_map(|name| alphabet.map(|c| format!("{name}{c}"))).collect();
        names.extend(last.iter().cloned());
    }
    names.extend(
        ["postgres://u@h/d", "postgresql://h", "host=evil dbname=x", "--help", "\"q\"", "$(id)"]
            .map(String::from),
    );
    for name in names {
        assert_eq!(read_by_libpq(&conninfo(&name)).as_deref(), Some(name.as_str()), "{name:?}");
    }
}

fn connection(host: Option<&str>, inherited: &[(&str, &str)]) -> Connection {
    Connection {
        name: "a".parse().unwrap(),
        host: host.map(str::to_owned),
        port: None,
        user: None,
        password: None,
        database: None,
        variables: [].into(),
        tools: None,
        inherited: inherited.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect(),
    }
}

fn value(environment: &Environment, name: &str) -> Option<OsString> {
    environment.get(name).cloned()
}

#[test]
fn what_is_configured_wins_over_the_environment() {
    let inherited =
        [("PGHOST", "env"), ("PGHOSTADDR", "10.0.0.1"), ("PGSERVICE", "s"), ("PGCONNECT_TIMEOUT", "3")];
    let configured = connection(Some("file"), &inherited).environment("c8keep");
    assert_eq!(value(&configured, "PGHOST"), Some("file".into()));
    assert_eq!((value(&configured, "PGHOSTADDR"), value(&configured, "PGSERVICE")), (None, None));
    let libpqs = connection(None, &inherited).environment("c8keep");
    assert_eq!(value(&libpqs, "PGHOST"), Some("env".into()));
    assert_eq!(value(&libpqs, "PGSERVICE"), Some("s".into()));
    assert_eq!(value(&libpqs, "PGCONNECT_TIMEOUT"), Some("3".into()));
    assert_eq!(value(&connection(None, &[]).environment("c8keep"), "PGCONNECT_TIMEOUT"), Some("10".into()));
}

#[test]
fn addresses_for_people() {
    assert_eq!(connection(None, &[]).address(), "the local socket");
    assert_eq!(connection(None, &[("PGSERVICE", "modeler")]).address(), "service modeler");
    let mut whole =
        connection(Some("db"), &[("PGPORT", "5433"), ("PGDATABASE", "env"), ("PGPASSWORD", "canary")]);
    assert_eq!(whole.address(), "db:5433/env");
    whole.database = Some("a\nb".into());
    assert_eq!(whole.address(), "db:5433/a\\nb");
}
