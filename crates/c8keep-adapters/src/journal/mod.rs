//! The journal in one SQLite file: write-ahead log, full sync, one connection.
//!
//! An acknowledged append survives a kill and a power cut. Nothing is ever changed or removed but the line that says
//! whether a run is closed. After a failed commit nothing more is taken until the journal is opened anew: what a disk
//! answers after its first error is worth nothing.

mod fault;
mod identity;
mod lock;
mod place;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Fingerprint;
use c8keep_core::run::{Event, RunId};
use c8keep_engine::ports::{Journal, RunRow, Term};
use jiff::Timestamp;
use sqlx::{Connection, SqliteConnection, Transaction};
use tokio::sync::{Mutex, MutexGuard};

use self::fault::{damaged, storage};
use self::lock::HostLock;

pub use self::place::JournalPlace;

/// A journal file. Its claims last as long as this value.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None`: opened for reading, and there is no file.
    connection: Option<SqliteConnection>,
    for_writing: bool,
    locks: BTreeMap<String, HostLock>,
    /// An append is under way. Whoever gets the lock and finds it so follows one that was given up: nobody knows what became of
    /// it, or whether the disk answers at all.
    appending: bool,
    /// Why nothing more is taken.
    poison: Option<String>,
}

const APPENDING: &str = "writing the journal";
const READING: &str = "reading the journal";

impl SqliteJournal {
    /// Opens a journal for writing; makes the file and its folders where there are none.
    pub async fn open(path: impl Into<PathBuf>) -> Result<SqliteJournal, Fault> {
        let path = path.into();
        let connection = schema::open(&path).await?;
        Ok(SqliteJournal::over(path, Some(connection), true))
    }

    /// Opens a journal for reading, while others may write. Where there is no file there are no runs, and none is made.
    pub async fn open_for_reading(path: impl Into<PathBuf>) -> Result<SqliteJournal, Fault> {
        let path = path.into();
        let connection = schema::open_for_reading(&path).await?;
        Ok(SqliteJournal::over(path, connection, false))
    }

    /// One without a file, for whoever has told why it cannot be opened and goes on: nothing is in it, and nothing is taken.
    pub fn without_file(path: impl Into<PathBuf>) -> SqliteJournal {
        SqliteJournal::over(path.into(), None, false)
    }

    /// Ends the claims and leaves one file without side files. Not needed for anything to be durable.
    pub async fn close(self) -> Result<(), Fault> {
        let Some(connection) = self.inner.into_inner().connection else { return Ok(()) };
        connection.close().await.map_err(|error| storage("closing the journal", &self.path, &error))
    }

    /// Who holds an installation on this host. It asks only the lock beside the file, so it can be asked when the journal
    /// itself cannot be opened.
    pub fn holder_beside(path: &Path, installation: &str) -> Result<Option<String>, Fault> {
        lock::holder(path, installation)
    }

    /// Where it lies, and whether it could be written to. Nothing is changed, and nothing that is made stays.
    pub fn look_at(path: &Path) -> Result<JournalPlace, Fault> {
        place::look(path)
    }

    /// Which journal this is, for claims that other hosts read.
    pub fn identity(&self) -> Result<String, Fault> {
        identity::of(&self.path)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn over(path: PathBuf, connection: Option<SqliteConnection>, for_writing: bool) -> SqliteJournal {
        let inner = Inner { connection, for_writing, locks: BTreeMap::new(), appending: false, poison: None };
        SqliteJournal { path, inner: Mutex::new(inner) }
    }

    /// The inside, where it can be written to.
    async fn writable(&self) -> Result<MutexGuard<'_, Inner>, Fault> {
        let inner = self.inner.lock().await;
        let why = match &inner.poison {
            Some(poison) => format!("an earlier write failed, so nothing more is taken: {poison}"),
            None if inner.appending => "an earlier write was given up, so nothing more is taken".into(),
            None if !inner.for_writing => "it was opened for reading".into(),
            None => return Ok(inner),
        };
        Err(self.fault(APPENDING, why))
    }

    fn fault(&self, doing: &str, answer: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Storage, doing, self.path.display().to_string(), answer)
    }

    async fn raise_term(&self, inner: &mut Inner, installation: &str, by: &str) -> Result<Term, Fault> {
        let connection = connected(inner, &self.path)?;
        let failed = |error: sqlx::Error| storage("claiming the installation", &self.path, &error);
        let mut work = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let raise = "INSERT INTO claim (installation, term, holder, at) VALUES (?, 1, ?, ?) \
                     ON CONFLICT (installation) DO UPDATE SET term = term + 1, holder = excluded.holder, \
                     at = excluded.at RETURNING term";
        let raised = sqlx::query_scalar::<_, i64>(raise)
            .bind(installation)
            .bind(by)
            .bind(Timestamp::now().to_string())
            .fetch_one(&mut *work)
            .await;
        let term = raised.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        u64::try_from(term).map(Term).map_err(|_| damaged(READING, &self.path, "a term below zero"))
    }

    async fn append_to(
        &self,
        inner: &mut Inner,
        run: &RunId,
        seq: u64,
        term: Term,
        events: &[Event],
    ) -> Result<(), Fault> {
        let connection = connected(inner, &self.path)?;
        let changes_the_run = |event: &Event| matches!(event, Event::Opened { .. } | Event::Closed { .. });
        if !events.iter().any(changes_the_run) {
            match write_at_once(connection, run, seq, term, events).await {
                Ok(true) => return Ok(()),
                // Refused: the long way below finds out why.
                Ok(false) => {}
                Err(error) => {
                    let fault = storage(APPENDING, &self.path, &error);
                    if is_busy(&error) {
                        return Err(fault);
                    }
                    inner.poison = Some(fault.answer.clone());
                    return Err(fault.with_unknown_effect());
                }
            }
        }
        // A journal that is busy for the whole timeout took nothing and may take it later.
        let begun = connection.begin_with("BEGIN IMMEDIATE").await;
        let mut work = begun.map_err(|error| storage(APPENDING, &self.path, &error))?;
        let ended = match self.write(&mut work, run, seq, term, events).await {
            Ok(Ok(())) => work.commit().await.map_err(|error| (error, true)),
            Ok(Err(refusal)) => {
                // Nothing was written yet, so a rollback that fails changes nothing.
                let _ = work.rollback().await;
                return Err(refusal);
            }
            Err(error) => {
                drop(work);
                Err((error, false))
            }
        };
        ended.map_err(|(error, committing)| {
            let fault = storage(APPENDING, &self.path, &error);
            inner.poison = Some(fault.answer.clone());
            if committing { fault.with_unknown_effect() } else { fault }
        })
    }

    /// Everything an append does before it is committed; `Ok(Err)` is our own refusal.
    async fn write(
        &self,
        work: &mut Transaction<'_, sqlx::Sqlite>,
        run: &RunId,
        seq: u64,
        term: Term,
        events: &[Event],
    ) -> Result<Result<(), Fault>, sqlx::Error> {
        for (seq, event) in (seq..).zip(events) {
            if let Err(refusal) = self.write_one(work, run, seq, term, event).await? {
                return Ok(Err(refusal));
            }
        }
        Ok(Ok(()))
    }

    async fn write_one(
        &self,
        work: &mut Transaction<'_, sqlx::Sqlite>,
        run: &RunId,
        seq: u64,
        term: Term,
        event: &Event,
    ) -> Result<Result<(), Fault>, sqlx::Error> {
        if let Err(refusal) = self.may_follow(work, run, seq, term, event).await? {
            return Ok(Err(refusal));
        }
        if let Event::Opened { plan, .. } = event {
            sqlx::query("INSERT INTO run (run, installation, fingerprint, closed) VALUES (?, ?, ?, 0)")
                .bind(&run.0)
                .bind(plan.installation())
                .bind(plan.fingerprint().to_string())
                .execute(&mut **work)
                .await?;
        }
        let Ok(body) = serde_json::to_string(event) else {
            return Ok(Err(self.fault(APPENDING, "an event that cannot be written as JSON")));
        };
        sqlx::query("INSERT INTO event (run, seq, term, at, body) VALUES (?, ?, ?, ?, ?)")
            .bind(&run.0)
            .bind(number(seq))
            .bind(number(term.0))
            .bind(event.at().to_string())
            .bind(body)
            .execute(&mut **work)
            .await?;
        if matches!(event, Event::Closed { .. }) {
            sqlx::query("UPDATE run SET closed = 1 WHERE run = ?").bind(&run.0).execute(&mut **work).await?;
        }
        Ok(Ok(()))
    }

    /// The term comes first: whoever has been superseded must hear that, whatever its successor has done to the run since.
    async fn may_follow(
        &self,
        work: &mut Transaction<'_, sqlx::Sqlite>,
        run: &RunId,
        seq: u64,
        term: Term,
        event: &Event,
    ) -> Result<Result<(), Fault>, sqlx::Error> {
        let row: Option<(String, bool)> =
            sqlx::query_as("SELECT installation, closed FROM run WHERE run = ?")
                .bind(&run.0)
                .fetch_optional(&mut **work)
                .await?;
        let (installation, closed) = match (event, row) {
            (Event::Opened { plan, .. }, row) => (plan.installation().to_owned(), row.is_some_and(|r| r.1)),
            (_, Some(row)) => row,
            (_, None) => {
                let answer = format!("{run} was never opened: {} cannot be first", event.name());
                return Ok(Err(self.fault(APPENDING, answer)));
            }
        };
        let newest: Option<i64> = sqlx::query_scalar("SELECT term FROM claim WHERE installation = ?")
            .bind(&installation)
            .fetch_optional(&mut **work)
            .await?;
        if newest.map(i64::unsigned_abs) != Some(term.0) {
            return Ok(Err(self.superseded(&installation, term, newest)));
        }
        if closed {
            return Ok(Err(self.fault(APPENDING, format!("{run} is closed: nothing can follow"))));
        }
        let last: Option<i64> = sqlx::query_scalar("SELECT max(seq) FROM event WHERE run = ?")
            .bind(&run.0)
            .fetch_one(&mut **work)
            .await?;
        let last = last.unwrap_or(0).unsigned_abs();
        if seq != last + 1 {
            let answer =
                format!("event {seq} of {run} cannot follow event {last}: somebody else writes this run");
            return Ok(Err(self.fault(APPENDING, answer)));
        }
        Ok(Ok(()))
    }

    fn superseded(&self, installation: &str, term: Term, newest: Option<i64>) -> Fault {
        let answer = match newest {
            Some(newest) => format!("the claim {} on {installation} was superseded by {newest}", term.0),
            None => format!("{installation} was never claimed"),
        };
        Fault { kind: FaultKind::Locked, ..self.fault(APPENDING, answer) }
            .with_hint("another process has taken the installation over; this one sends nothing more")
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn claim(&self, installation: &str, by: &str) -> Result<Term, Fault> {
        let mut inner = self.writable().await?;
        let is_new = !inner.locks.contains_key(installation);
        if is_new {
            let lock = HostLock::take(&self.path, installation, by).await?;
            inner.locks.insert(installation.to_owned(), lock);
        }
        let raised = self.raise_term(&mut inner, installation, by).await;
        if is_new && raised.is_err() {
            // Without a term nothing can be written, so nobody needs to be kept out.
            inner.locks.remove(installation);
        }
        raised
    }

    async fn append(&self, run: &RunId, seq: u64, term: Term, events: &[Event]) -> Result<(), Fault> {
        let mut inner = self.writable().await?;
        inner.appending = true;
        let appended = self.append_to(&mut inner, run, seq, term, events).await;
        inner.appending = false;
        appended
    }

    async fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault> {
        let mut inner = self.inner.lock().await;
        let Some(connection) = &mut inner.connection else { return Ok(Vec::new()) };
        let rows: Result<Vec<(i64, String)>, _> =
            sqlx::query_as("SELECT seq, body FROM event WHERE run = ? ORDER BY seq")
                .bind(&run.0)
                .fetch_all(connection)
                .await;
        let rows = rows.map_err(|error| storage(READING, &self.path, &error))?;
        let mut events = Vec::with_capacity(rows.len());
        for (expected, (seq, body)) in (1..).zip(rows) {
            if seq != expected {
                return Err(damaged(READING, &self.path, format!("event {expected} of {run} is missing")));
            }
            let event = serde_json::from_str(&body).map_err(|error| {
                damaged(READING, &self.path, format!("event {seq} of {run} cannot be read: {error}"))
            })?;
            events.push(event);
        }
        Ok(events)
    }

    async fn runs(&self, installation: &str, limit: u32) -> Result<Vec<RunRow>, Fault> {
        let mut inner = self.inner.lock().await;
        let Some(connection) = &mut inner.connection else { return Ok(Vec::new()) };
        let newest_first = "SELECT run, fingerprint, closed FROM run WHERE installation = ? \
                            ORDER BY number DESC LIMIT ?";
        let rows: Result<Vec<(String, String, bool)>, _> =
            sqlx::query_as(newest_first).bind(installation).bind(limit).fetch_all(connection).await;
        let rows = rows.map_err(|error| storage(READING, &self.path, &error))?;
        let row = |(run, fingerprint, closed)| RunRow {
            run: RunId(run),
            fingerprint: Fingerprint::from(fingerprint),
            closed,
        };
        Ok(rows.into_iter().map(row).collect())
    }

    async fn installations(&self) -> Result<Vec<String>, Fault> {
        let mut inner = self.inner.lock().await;
        let Some(connection) = &mut inner.connection else { return Ok(Vec::new()) };
        let names = "SELECT DISTINCT installation FROM run ORDER BY installation";
        let rows = sqlx::query_scalar(names).fetch_all(connection).await;
        rows.map_err(|error| storage(READING, &self.path, &error))
    }

    async fn holder(&self, installation: &str) -> Result<Option<String>, Fault> {
        if let Some(lock) = self.inner.lock().await.locks.get(installation) {
            return Ok(Some(lock.holder().to_owned()));
        }
        lock::holder(&self.path, installation)
    }
}

/// Events between the first and the last in one statement, which SQLite makes a transaction of its own: the checks and
/// the insert see the same state, as after `BEGIN IMMEDIATE`, for a fifth of the work. `false` if a check refuses.
async fn write_at_once(
    connection: &mut SqliteConnection,
    run: &RunId,
    seq: u64,
    term: Term,
    events: &[Event],
) -> Result<bool, sqlx::Error> {
    const INSERT: &str = "INSERT INTO event (run, seq, term, at, body) \
        SELECT ?1, ?2 + key, ?3, value ->> 'at', value FROM json_each(?4) \
        WHERE ?2 = (SELECT coalesce(max(seq), 0) + 1 FROM event WHERE run = ?1) \
        AND ?3 = (SELECT claim.term FROM claim JOIN run USING (installation) WHERE run.run = ?1 AND NOT run.closed)";
    let Ok(bodies) = serde_json::to_string(events) else { return Ok(false) };
    let inserted = sqlx::query(INSERT)
        .bind(&run.0)
        .bind(number(seq))
        .bind(number(term.0))
        .bind(bodies)
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == events.len() as u64)
}

/// Whether another process held the file for the whole timeout; then nothing was written.
fn is_busy(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: &str = "5";
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == SQLITE_BUSY)
}

fn connected<'a>(inner: &'a mut Inner, path: &Path) -> Result<&'a mut SqliteConnection, Fault> {
    let missing =
        || Fault::new(FaultKind::Storage, APPENDING, path.display().to_string(), "there is no file");
    inner.connection.as_mut().ok_or_else(missing)
}

/// Terms and sequence numbers count single steps from one, so they never come near the limit.
fn number(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
