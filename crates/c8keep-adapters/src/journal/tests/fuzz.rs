//! A journal that somebody else has written, or a disk has changed: read, or refused with a reason, row by row and as a file.

use std::fs;
use std::path::Path;

use c8keep_core::fault::Fault;
use c8keep_core::run::Event;
use c8keep_engine::open_runs;
use c8keep_engine::ports::Journal;
use c8keep_fuzz::feed_slowly;
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection};

use super::{Place, SqliteJournal, noted, opened, run};
use crate::fuzz::{now, told};
use crate::journal::{identity, lock};

/// A journal with one open run, in one file.
async fn written(place: &Place) {
    let journal = place.open().await;
    let term = journal.claim("default", "test").await.unwrap();
    let id = run("backup-17");
    journal.append(&id, 1, term, &[opened(&id, "default"), noted(1)]).await.unwrap();
    journal.close().await.unwrap();
}

/// As `status` and `list` read it, and as a backup opens it.
async fn read(path: &Path) -> Result<Vec<Event>, Fault> {
    let journal = SqliteJournal::open_for_reading(path).await?;
    open_runs::open(&journal, "default").await?;
    journal.installations().await?;
    journal.runs("default", 10).await?;
    journal.events(&run("backup-17")).await
}

#[test]
fn rows() {
    let place = Place::new();
    now(async {
        written(&place).await;
        Vec::new()
    });
    let id = run("backup-17");
    let examples = [opened(&id, "default"), noted(1)].map(|event| serde_json::to_vec(&event).unwrap());
    feed_slowly("journal rows", &examples, |input| {
        now(async {
            let options = SqliteConnectOptions::new().filename(place.path()).disable_statement_logging();
            // Nobody's backup depends on it.
            let options = options.synchronous(SqliteSynchronous::Off);
            let mut connection = options.connect().await.unwrap();
            let change = "UPDATE event SET body = ?, at = 'x' WHERE seq = ?";
            let seq = i64::from(input.pick(&[1_u8, 2]));
            sqlx::query(change).bind(input.text()).bind(seq).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            told(read(&place.path()).await).into_iter().collect()
        })
    });
}

#[test]
fn files() {
    let (place, damaged) = (Place::new(), Place::new());
    now(async {
        written(&place).await;
        Vec::new()
    });
    fs::create_dir_all(damaged.path().parent().unwrap()).unwrap();
    feed_slowly("journal files", &[fs::read(place.path()).unwrap()], |input| {
        for side in ["-wal", "-shm"] {
            let _ = fs::remove_file(damaged.path().with_file_name(format!("journal.db{side}")));
        }
        fs::write(damaged.path(), &input.bytes).unwrap();
        now(async {
            let reading = told(read(&damaged.path()).await);
            let writing = told(SqliteJournal::open(damaged.path()).await);
            [reading, writing].into_iter().flatten().collect()
        })
    });
}

/// What stands in the lock's file is for people, and who holds it may be anybody's program.
#[test]
fn locks() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    let path = folder.path().join("journal.db.default.lock");
    feed_slowly("locks", &[b"4711@host-a since 2026-11-23T07:28:32Z".to_vec()], |input| {
        fs::write(&path, &input.bytes).unwrap();
        let held = fs::File::open(&path).unwrap();
        held.lock().unwrap();
        let holder = lock::holder(&journal, "default").unwrap().unwrap();
        assert!(!holder.is_empty());
        // The name comes from a command line.
        let other = lock::holder(&journal, &input.text());
        [Some(holder), told(other)].into_iter().flatten().collect()
    });
}

/// What lies where the journal's number should: it is one, or a new one is drawn.
#[test]
fn identities() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join("journal.db");
    feed_slowly("identities", &[b"88c445e85222aa61b22d9200f8faa678\n".to_vec()], |input| {
        fs::write(folder.path().join("journal.db.id"), &input.bytes).unwrap();
        let drawn = identity::of(&journal).unwrap();
        assert!(drawn.len() == 32 && drawn.bytes().all(|byte| byte.is_ascii_hexdigit()), "{drawn:?}");
        assert_eq!(identity::of(&journal).unwrap(), drawn);
        vec![drawn]
    });
}
