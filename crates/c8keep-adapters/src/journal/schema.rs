//! Opening the file, and what is in it.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::fault::{advice, damaged, storage};

/// Raised with every change that an older program would misread.
const FORMAT: i64 = 1;
/// An append takes milliseconds; whoever waits longer than this waits for something that is stuck.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const OPENING: &str = "opening the journal";

const TABLES: [&str; 5] = [
    "CREATE TABLE meta (format INTEGER NOT NULL) STRICT",
    "CREATE TABLE claim (installation TEXT PRIMARY KEY NOT NULL, term INTEGER NOT NULL, holder TEXT NOT NULL, \
     at TEXT NOT NULL) STRICT",
    "CREATE TABLE run (number INTEGER PRIMARY KEY, run TEXT UNIQUE NOT NULL, installation TEXT NOT NULL, \
     fingerprint TEXT NOT NULL, closed INTEGER NOT NULL) STRICT",
    "CREATE TABLE event (run TEXT NOT NULL REFERENCES run (run), seq INTEGER NOT NULL, term INTEGER NOT NULL, \
     at TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (run, seq)) STRICT",
    "CREATE INDEX run_of_installation ON run (installation, number)",
];

/// Opens for writing; makes folders, file and tables where there are none.
pub(super) async fn open(path: &Path) -> Result<SqliteConnection, Fault> {
    let failed = |error: &std::io::Error| {
        Fault::new(FaultKind::Storage, OPENING, path.display().to_string(), error.to_string())
            .with_hint(advice(error))
    };
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed(&error))?;
    }
    // SQLite gives its side files the rights of this one, and its own default is readable by everybody.
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map_err(|error| failed(&error))?;
    let options = options(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let mut connection = options.connect().await.map_err(|error| storage(OPENING, path, &error))?;
    if format_of(&mut connection, path).await?.is_none() {
        make_tables(&mut connection).await.map_err(|error| storage(OPENING, path, &error))?;
        // Another process may have made them in the meantime, and in another format.
        format_of(&mut connection, path).await?;
    }
    Ok(connection)
}

/// Opens for reading; `None` where there is no journal yet.
pub(super) async fn open_for_reading(path: &Path) -> Result<Option<SqliteConnection>, Fault> {
    match std::fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(Fault::new(
                FaultKind::Storage,
                OPENING,
                path.display().to_string(),
                error.to_string(),
            )
            .with_hint(advice(&error)));
        }
    }
    let options = options(path).read_only(true).create_if_missing(false);
    let mut connection = options.connect().await.map_err(|error| storage(OPENING, path, &error))?;
    // A file without tables is one that is just being made.
    Ok(format_of(&mut connection, path).await?.map(|_| connection))
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging()
}

/// The format, if there is one that this program can read; `None` for an empty file.
async fn format_of(connection: &mut SqliteConnection, path: &Path) -> Result<Option<i64>, Fault> {
    let failed = |error: sqlx::Error| storage(OPENING, path, &error);
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    if tables.is_empty() {
        return Ok(None);
    }
    if !tables.iter().any(|name| name == "meta") {
        return Err(damaged(OPENING, path, "it is an SQLite file, but no journal of c8keep"));
    }
    let format: Option<i64> =
        sqlx::query_scalar("SELECT format FROM meta").fetch_optional(connection).await.map_err(failed)?;
    match format {
        Some(format) if format == FORMAT => Ok(Some(format)),
        Some(format) if format > FORMAT => {
            let answer = format!("it has format {format}, this program reads format {FORMAT}");
            Err(Fault::new(FaultKind::Storage, OPENING, path.display().to_string(), answer)
                .with_hint("a newer c8keep wrote it: use that one, or name another journal"))
        }
        other => Err(damaged(OPENING, path, format!("its format is {other:?}"))),
    }
}

async fn make_tables(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let mut work = connection.begin_with("BEGIN IMMEDIATE").await?;
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *work).await?;
    if there > 0 {
        return work.rollback().await;
    }
    for table in TABLES {
        sqlx::query(table).execute(&mut *work).await?;
    }
    sqlx::query("INSERT INTO meta (format) VALUES (?)").bind(FORMAT).execute(&mut *work).await?;
    work.commit().await
}
