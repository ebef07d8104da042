use std::io::{BufRead, BufReader, Write};
mod fuzz;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::slice;

use c8keep_core::backup::BackupId;
use c8keep_core::capability::Dialect;
use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_core::installation::{Fingerprint, Installation, Records, SearchAddress, SearchProduct};
use c8keep_core::plan::StepName;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Event, Mark, Outcome, RunId, StopReason};
use c8keep_engine::ports::{Journal, RunRow, Term};
use futures::FutureExt;
use jiff::Timestamp;
use sqlx::Connection;

use super::SqliteJournal;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_748_937_221 + second).unwrap()
}

fn opened(run: &RunId, installation: &str) -> Event {
    let address = |address: &str| format!("http://{address}.example");
    let installation = Installation {
        name: installation.into(),
        fingerprint: Fingerprint::told(None, "uuid", "zeebe-record"),
        version: "8.8.0".parse().unwrap(),
        dialect: Dialect::UnifiedActuators,
        management: address("camunda"),
        brokers: Vec::new(),
        apps: Vec::new(),
        search: SearchAddress {
            product: SearchProduct::Opensearch,
            version: "2.19.1".into(),
            address: address("search"),
            cluster_uuid: "uuid".into(),
        },
        repository: "camunda".into(),
        records: Records::Prefix { prefix: "zeebe-record".into() },
        databases: Vec::new(),
        foreign_indices: Vec::new(),
        not_covered: Vec::new(),
    };
    let plan = recipe::backup(&installation, &Request::new(BackupId::new(17).unwrap())).unwrap();
    Event::Opened { run: run.clone(), plan, by: "test".into(), at: at(0) }
}

fn noted(n: u64) -> Event {
    let mark = Mark::new(format!("{n} of many"));
    Event::Noted { step: StepName("await-runtime".into()), mark, at: at(i64::try_from(n).unwrap()) }
}

fn closed() -> Event {
    Event::Closed { outcome: Outcome::Stopped { reason: StopReason::Signal }, at: at(9) }
}

fn run(name: &str) -> RunId {
    RunId(name.into())
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/journal.db")
    }

    async fn open(&self) -> SqliteJournal {
        SqliteJournal::open(self.path()).await.unwrap()
    }

    async fn read(&self) -> SqliteJournal {
        SqliteJournal::open_for_reading(self.path()).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_appended_comes_back_also_to_another_process() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let events = [opened(&run("backup-17"), "default"), noted(1), closed()];
    for (seq, event) in (1..).zip(&events) {
        journal.append(&run("backup-17"), seq, term, slice::from_ref(event)).await.unwrap();
    }
    for reader in [&journal, &place.read().await] {
        assert_eq!(reader.events(&run("backup-17")).await.unwrap(), events);
        assert_eq!(reader.events(&run("backup-18")).await.unwrap(), []);
    }
    drop(journal);
    assert_eq!(place.open().await.events(&run("backup-17")).await.unwrap(), events);
}

#[tokio::test]
async fn events_that_are_appended_together_are_all_there_or_none() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    let first = [opened(&id, "default"), noted(2)];
    let then = [noted(3), noted(4), noted(5)];
    let last = [noted(6), closed()];
    journal.append(&id, 1, term, &first).await.unwrap();
    assert!(journal.append(&id, 2, term, &then).await.is_err(), "one of them is there");
    assert!(journal.append(&id, 3, term, &[closed(), noted(4)]).await.is_err(), "nothing follows the end");
    assert_eq!(journal.events(&id).await.unwrap(), first);
    journal.append(&id, 3, term, &then).await.unwrap();
    journal.append(&id, 6, term, &last).await.unwrap();
    let all: Vec<Event> = first.into_iter().chain(then).chain(last).collect();
    assert_eq!(journal.events(&id).await.unwrap(), all);
    assert!(journal.runs("default", 1).await.unwrap()[0].closed);
}

#[tokio::test]
async fn runs_are_listed_newest_first_for_one_installation() {
    let place = Place::new();
    let journal = place.open().await;
    for (name, installation) in [("backup-9", "a"), ("backup-10", "a"), ("backup-11", "b")] {
        let term = journal.claim(installation, "test").await.unwrap();
        journal.append(&run(name), 1, term, &[opened(&run(name), installation)]).await.unwrap();
        if name == "backup-9" {
            journal.append(&run(name), 2, term, &[closed()]).await.unwrap();
        }
    }
    let fingerprint = Fingerprint::told(None, "uuid", "zeebe-record");
    let row = |name, closed| RunRow { run: run(name), fingerprint: fingerprint.clone(), closed };
    let reader = place.read().await;
    assert_eq!(reader.runs("a", 10).await.unwrap(), [row("backup-10", false), row("backup-9", true)]);
    assert_eq!(reader.runs("a", 1).await.unwrap(), [row("backup-10", false)]);
    assert_eq!(reader.runs("c", 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_gap_a_repetition_and_a_run_without_a_beginning_are_refused() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    let refused = |result: Result<(), Fault>| {
        let fault = result.unwrap_err();
        assert_eq!((fault.kind, fault.effect), (FaultKind::Storage, Effect::None), "{fault:?}");
    };
    refused(journal.append(&id, 1, term, &[noted(1)]).await);
    journal.append(&id, 1, term, &[opened(&id, "default")]).await.unwrap();
    refused(journal.append(&id, 1, term, &[opened(&id, "default")]).await);
    refused(journal.append(&id, 3, term, &[noted(3)]).await);
    journal.append(&id, 2, term, &[noted(2)]).await.unwrap();
    journal.append(&id, 3, term, &[closed()]).await.unwrap();
    refused(journal.append(&id, 4, term, &[noted(4)]).await);
    assert_eq!(journal.events(&id).await.unwrap().len(), 3, "a refusal poisons nothing and leaves nothing");
}

#[tokio::test]
async fn a_stale_term_is_refused() {
    let place = Place::new();
    let first = place.open().await;
    let old = first.claim("default", "first").await.unwrap();
    let id = run("backup-17");
    first.append(&id, 1, old, &[opened(&id, "default")]).await.unwrap();
    // The same process may claim again, and the term rises.
    let new = first.claim("default", "first").await.unwrap();
    assert_eq!(new, Term(old.0 + 1));
    let fault = first.append(&id, 2, old, &[noted(2)]).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Locked);
    first.append(&id, 2, new, &[noted(2)]).await.unwrap();
    let ahead = first.append(&id, 3, Term(new.0 + 1), &[noted(3)]).await.unwrap_err();
    assert_eq!(ahead.kind, FaultKind::Locked, "a term that nobody gave");
    let unclaimed = first.append(&run("x"), 1, new, &[opened(&run("x"), "other")]).await.unwrap_err();
    assert!(unclaimed.answer.contains("never claimed"), "{unclaimed:?}");
}

#[tokio::test]
async fn two_cannot_hold_one_installation() {
    let place = Place::new();
    let (one, two) = (place.open().await, place.open().await);
    let first = one.claim("default", "7@host").await.unwrap();
    let fault = two.claim("default", "8@host").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Locked);
    assert!(fault.answer.contains("held by 7@host since 20"), "who has it: {fault:?}");
    two.claim("other", "8@host").await.unwrap();
    let reader = place.read().await;
    let holder = reader.holder("default").await.unwrap().unwrap();
    assert!(holder.starts_with("7@host since 20"), "{holder}");
    assert_eq!(one.holder("default").await.unwrap(), Some(holder));
    drop(one);
    assert_eq!(reader.holder("default").await.unwrap(), None);
    assert_eq!(two.claim("default", "8@host").await.unwrap(), Term(first.0 + 1));
}

/// Whoever asks for the holder takes the lock for an instant; no claim may fail by that.
#[tokio::test]
async fn asking_for_the_holder_disturbs_no_claim() {
    let place = Place::new();
    let journal = place.open().await;
    journal.claim("default", "before").await.unwrap();
    drop(journal);
    let path = place.path();
    let lock = std::fs::File::open(format!("{}.default.lock", path.display())).unwrap();
    lock.lock_shared().unwrap();
    let other = place.open().await;
    let (claimed, ()) = tokio::join!(biased; other.claim("default", "after"), async {
        tokio::task::yield_now().await;
        drop(lock);
    });
    claimed.unwrap();
}

#[tokio::test]
async fn names_cannot_leave_the_folder_of_the_journal() {
    let place = Place::new();
    let journal = place.open().await;
    for bad in ["", "../x", "a/b", "a b", "a\n"] {
        assert_eq!(journal.claim(bad, "test").await.unwrap_err().kind, FaultKind::Usage, "{bad:?}");
        assert!(journal.holder(bad).await.is_err(), "{bad:?}");
    }
}

#[tokio::test]
async fn reading_makes_nothing() {
    let place = Place::new();
    let journal = place.read().await;
    assert_eq!(journal.runs("default", 10).await.unwrap(), []);
    assert_eq!(journal.events(&run("backup-17")).await.unwrap(), []);
    assert_eq!(journal.holder("default").await.unwrap(), None);
    assert!(!place.path().parent().unwrap().exists());
    assert_eq!(journal.claim("default", "test").await.unwrap_err().kind, FaultKind::Storage);
}

#[tokio::test]
async fn a_reader_sees_what_a_writer_appends_and_never_waits_for_it() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let reader = place.read().await;
    let id = run("backup-17");
    journal.append(&id, 1, term, &[opened(&id, "default")]).await.unwrap();
    assert_eq!(reader.events(&id).await.unwrap().len(), 1);
    // A transaction in the middle, held open by a third.
    let mut third = super::schema::open(&place.path()).await.unwrap();
    let work = third.begin_with("BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(reader.runs("default", 10).await.unwrap().len(), 1);
    work.rollback().await.unwrap();
    assert!(reader.append(&id, 2, term, &[noted(2)]).await.is_err(), "opened for reading");
    let mut inner = reader.inner.lock().await;
    let written = sqlx::query("DELETE FROM event").execute(inner.connection.as_mut().unwrap()).await;
    assert!(written.is_err(), "not even by mistake");
}

#[tokio::test]
async fn every_commit_reaches_the_disk() {
    let place = Place::new();
    let journal = place.open().await;
    let mut inner = journal.inner.lock().await;
    let connection = inner.connection.as_mut().unwrap();
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
    let full: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
    let keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(connection).await.unwrap();
    assert_eq!((mode.as_str(), full, keys), ("wal", 2, 1));
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let journal = place.open().await;
    journal.claim("default", "test").await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
    let mut seen = 0;
    for entry in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
        seen += 1;
    }
    assert!(seen >= 3, "the journal, its log, the lock");
}

#[tokio::test]
async fn a_full_disk_poisons_the_journal_until_it_is_opened_anew() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    journal.append(&id, 1, term, &[opened(&id, "default")]).await.unwrap();
    // No page more than there are: SQLite's own way to be full.
    let mut inner = journal.inner.lock().await;
    let limit = "PRAGMA max_page_count = 1";
    sqlx::query(limit).execute(inner.connection.as_mut().unwrap()).await.unwrap();
    drop(inner);
    let long = Event::Noted { step: StepName("s".into()), mark: Mark::new("x".repeat(100_000)), at: at(1) };
    let fault = journal.append(&id, 2, term, slice::from_ref(&long)).await.unwrap_err();
    assert!(fault.kind == FaultKind::Storage && fault.hint.contains("make room"), "{fault:?}");
    let fault = journal.append(&id, 2, term, &[noted(2)]).await.unwrap_err();
    assert!(fault.answer.contains("nothing more is taken") && fault.answer.contains("full"), "{fault:?}");
    assert_eq!(journal.events(&id).await.unwrap().len(), 1, "reading goes on");
    assert!(journal.claim("default", "test").await.is_err());
    drop(journal);
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    journal.append(&id, 2, term, slice::from_ref(&long)).await.unwrap();
}

#[tokio::test]
async fn damage_is_told_and_not_written_over() {
    let place = Place::new();
    place.open().await.close().await.unwrap();
    let good = std::fs::read(place.path()).unwrap();
    let bad = b"this was a journal once, and then something else wrote here".repeat(100);
    std::fs::write(place.path(), &bad).unwrap();
    for result in
        [SqliteJournal::open(place.path()).await, SqliteJournal::open_for_reading(place.path()).await]
    {
        let fault = result.unwrap_err();
        assert!(fault.kind == FaultKind::Damaged && fault.hint.contains("resume-exporting"), "{fault:?}");
    }
    assert_eq!(std::fs::read(place.path()).unwrap(), bad, "kept for inspection");
    // A whole head and a damaged rest.
    let mut torn = good;
    torn[4096..].fill(0xff);
    std::fs::write(place.path(), &torn).unwrap();
    let fault = match SqliteJournal::open_for_reading(place.path()).await {
        Ok(journal) => journal.runs("default", 10).await.unwrap_err(),
        Err(fault) => fault,
    };
    assert_eq!(fault.kind, FaultKind::Damaged, "{fault:?}");
}

/// Changes a journal behind its back.
async fn tamper(path: &Path, statement: &'static str) {
    let mut connection = super::schema::open(path).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_newer_format_and_a_foreign_file_are_refused() {
    let place = Place::new();
    drop(place.open().await);
    tamper(&place.path(), "UPDATE meta SET format = 2").await;
    for result in
        [SqliteJournal::open(place.path()).await, SqliteJournal::open_for_reading(place.path()).await]
    {
        let fault = result.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Storage);
        assert!(fault.answer.contains("format 2") && fault.hint.contains("newer c8keep"), "{fault:?}");
    }
    let other = Place::new();
    drop(other.open().await);
    tamper(&other.path(), "DROP TABLE meta").await;
    let fault = SqliteJournal::open(other.path()).await.unwrap_err();
    assert!(fault.answer.contains("no journal of c8keep"), "{fault:?}");
}

#[tokio::test]
async fn a_missing_or_unreadable_event_is_damage() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    for (seq, event) in (1..).zip([opened(&id, "default"), noted(2), noted(3)]) {
        journal.append(&id, seq, term, slice::from_ref(&event)).await.unwrap();
    }
    drop(journal);
    tamper(&place.path(), "UPDATE event SET body = '{' WHERE seq = 3").await;
    let fault = place.read().await.events(&id).await.unwrap_err();
    assert!(fault.kind == FaultKind::Damaged && fault.answer.contains("event 3"), "{fault:?}");
    tamper(&place.path(), "DELETE FROM event WHERE seq = 2").await;
    let fault = place.read().await.events(&id).await.unwrap_err();
    assert!(fault.answer.contains("event 2 of backup-17 is missing"), "{fault:?}");
}

/// The successor has gone on, and in the end closed the run: who was superseded hears that it was, and of nothing else, as
/// any other failure would make it send a release into the successor's window.
#[tokio::test]
async fn who_was_superseded_hears_so_whatever_its_successor_has_done() {
    let place = Place::new();
    let journal = place.open().await;
    let first = journal.claim("default", "first").await.unwrap();
    let id = run("backup-17");
    journal.append(&id, 1, first, &[opened(&id, "default")]).await.unwrap();
    // The same process stands for one on another host: the lock is the host's, the term is not.
    let second = journal.claim("default", "second").await.unwrap();
    journal.append(&id, 2, second, &[noted(2)]).await.unwrap();
    for _ in 0..2 {
        for events in [vec![noted(2)], vec![noted(2), closed()], vec![opened(&id, "default")]] {
            let fault = journal.append(&id, 2, first, &events).await.unwrap_err();
            assert_eq!(fault.kind, FaultKind::Locked, "{fault:?}");
        }
        let next = journal.events(&id).await.unwrap().len() as u64 + 1;
        _ = journal.append(&id, next, second, &[closed()]).await;
    }
}

const CHILD: &str = "C8KEEP_TEST_JOURNAL";

/// The other half of the test below: appends without end and says what is durable. Does nothing by itself.
#[tokio::test]
async fn child_that_appends_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let journal = SqliteJournal::open(path).await.unwrap();
    let term = journal.claim("default", "child").await.unwrap();
    let id = run("backup-17");
    for seq in 1..=1_000_000 {
        let event = if seq == 1 { opened(&id, "default") } else { noted(seq) };
        journal.append(&id, seq, term, slice::from_ref(&event)).await.unwrap();
        let mut out = std::io::stderr();
        writeln!(out, "durable {seq}").and_then(|()| out.flush()).unwrap();
    }
}

#[tokio::test]
async fn a_killed_process_loses_nothing_it_was_told_is_durable() {
    for kill_after in [1, 7, 40] {
        let place = Place::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::child_that_appends_until_it_is_killed", "--nocapture"])
            .env(CHILD, place.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let number = |line: &String| line.strip_prefix("durable ").and_then(|n| n.parse::<usize>().ok());
        let told = lines.by_ref().filter_map(|line| number(&line)).find(|n| *n >= kill_after);
        child.kill().unwrap();
        let told = lines.filter_map(|line| number(&line)).last().or(told).unwrap();
        child.wait().unwrap();

        let journal = place.open().await;
        let events = journal.events(&run("backup-17")).await.unwrap();
        assert!(events.len() == told || events.len() == told + 1, "told {told}, there are {}", events.len());
        assert_eq!(journal.holder("default").await.unwrap(), None, "the kernel took the lock back");
        let term = journal.claim("default", "next").await.unwrap();
        assert_eq!(term, Term(2));
        let next = u64::try_from(events.len()).unwrap() + 1;
        journal.append(&run("backup-17"), next, term, &[noted(next)]).await.unwrap();
    }
}

/// Whoever no longer waits for a write knows nothing of it: what comes after could follow or not.
#[tokio::test]
async fn a_write_that_was_given_up_is_the_last_one() {
    let place = Place::new();
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    journal.append(&id, 1, term, &[opened(&id, "default")]).await.unwrap();
    let second = [noted(2)];
    assert!(journal.append(&id, 2, term, &second).now_or_never().is_none(), "it takes a turn of the loop");
    for seq in [2, 3] {
        let fault = journal.append(&id, seq, term, &[noted(seq)]).await.unwrap_err();
        assert!(fault.answer.contains("given up"), "{fault}");
    }
    drop(journal);
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let seq = journal.events(&id).await.unwrap().len() as u64 + 1;
    journal.append(&id, seq, term, &[noted(seq)]).await.unwrap();
}
