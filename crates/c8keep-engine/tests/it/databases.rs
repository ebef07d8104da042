//! Databases go on beside the exporting window, and never touch it.

use std::sync::Arc;

use async_trait::async_trait;
use c8keep_core::BackupId;
use c8keep_core::database::{DatabaseDump, DatabaseName, DatabaseServer, DatabaseTarget, DumpMode};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::StepName;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Event, Outcome, Run, StopReason};
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End, Options, drive};
use c8keep_engine::open_runs::begin;
use c8keep_engine::ports::{Databases, DumpRequest, Term, Vault};
use c8keep_engine::progress::Silent;
use tokio::sync::watch;

use crate::memory::{Dumping, Memory, world};

const WINDOW: [&str; 5] =
    ["pause-exporting", "start-history", "snapshot-records", "start-runtime", "resume-exporting"];

fn with_a_database(memory: &Memory, required: bool) -> Arc<World> {
    let mut world = Arc::unwrap_or_clone(world(memory));
    let name = "web-modeler".parse().unwrap();
    let target = DatabaseTarget { name, mode: DumpMode::Database, address: "db".into(), required };
    world.installation.databases.push(target);
    Arc::new(world)
}

async fn driven(world: &Arc<World>, stop: Option<watch::Receiver<bool>>) -> Driven {
    let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
    let (run, seq) = begin(world, plan, "test", Term(1)).await.unwrap();
    let (_kept, never) = watch::channel(false);
    let options = Options { reporter: &Silent, stop: stop.unwrap_or(never), release_wait: None };
    drive(Arc::clone(world), run, seq, Term(1), options).await
}

/// What changed the cluster, in order; a dump changes nothing there.
fn in_the_window(memory: &Memory) -> Vec<String> {
    memory.outside().effects.iter().filter(|effect| !effect.starts_with("dump")).cloned().collect()
}

fn failed_at_the_dump(driven: &Driven) -> bool {
    matches!(&driven.end, End::Closed(Outcome::Failed { step, .. }) if step.0 == "dump-web-modeler")
}

#[tokio::test]
async fn a_dump_is_a_part() {
    let memory = Memory::default();
    let driven = driven(&with_a_database(&memory, true), None).await;
    assert_eq!(driven.end, End::Closed(Outcome::Complete));
    let outside = memory.outside();
    let dump = "dump default/backups/7/databases/web-modeler/backup-7.1";
    assert!(outside.effects.iter().any(|effect| effect == dump), "{:?}", outside.effects);
    let manifest = &outside.vault["default/backups/7/manifest.json"];
    let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    let parts = manifest["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["component"] == "database").unwrap();
    assert_eq!((&part["name"], &part["state"]), (&"web-modeler".into(), &"whole".into()));
    assert_eq!(part["dump"]["server"]["version"], "15.18");
}

/// The window goes its way to the end, however a dump in it or after it ends; the backup does not count.
#[tokio::test]
async fn a_failed_dump_does_not_touch_the_window() {
    for dump in [Dumping::FailsInTheWindow, Dumping::FailsAfterTheRelease] {
        let memory = Memory::default();
        memory.outside().dump = dump.clone();
        let driven = driven(&with_a_database(&memory, true), None).await;
        assert!(failed_at_the_dump(&driven), "{dump:?}: {:?}", driven.end);
        assert_eq!(in_the_window(&memory), WINDOW, "{dump:?}");
        let outside = memory.outside();
        assert!(!outside.paused && outside.vault.is_empty(), "{:?}", outside.vault.keys());
    }
}

/// Nothing is paused for a backup that cannot count any more, and an optional database is missing, no more.
#[tokio::test]
async fn a_dump_that_fails_at_once() {
    for (required, complete) in [(true, false), (false, true)] {
        let memory = Memory::default();
        memory.outside().dump = Dumping::Failed;
        let driven = driven(&with_a_database(&memory, required), None).await;
        let missing = vec![StepName::from("dump-web-modeler")];
        let partial = driven.end == End::Closed(Outcome::Partial { missing });
        assert_eq!((failed_at_the_dump(&driven), partial), (!complete, complete), "{:?}", driven.end);
        assert!(!memory.outside().paused);
    }
}

/// A dump that never ends delays neither the pause nor the release, and a signal ends it at once.
#[tokio::test]
async fn a_dump_that_hangs_delays_nothing_and_a_signal_ends_it() {
    let memory = Memory::default();
    memory.outside().dump = Dumping::Hangs;
    let (stop, stopped) = watch::channel(false);
    let world = with_a_database(&memory, true);
    let watching = memory.clone();
    let signal = async {
        while !watching.outside().effects.iter().any(|effect| effect == "resume-exporting") {
            tokio::task::yield_now().await;
        }
        stop.send_replace(true);
    };
    let (driven, ()) = futures::join!(driven(&world, Some(stopped)), signal);
    assert_eq!(driven.end, End::Closed(Outcome::Stopped { reason: StopReason::Signal }));
    assert_eq!(in_the_window(&memory), WINDOW);
    assert!(!memory.outside().paused);
}

/// Begun again after a crash, a dump has a name of its own.
#[tokio::test]
async fn a_dump_that_was_cut_off_begins_anew_under_another_name() {
    let memory = Memory::default();
    driven(&with_a_database(&memory, true), None).await;
    let events = memory.outside().events.clone();
    let intended =
        |event: &Event| matches!(event, Event::Intended { step, .. } if step.0 == "dump-web-modeler");
    let cut = events.iter().position(intended).unwrap();
    let killed = Memory::default();
    killed.outside().events = events[..=cut].to_vec();
    let run = Run::replay(events[..=cut].to_vec()).unwrap();
    let (_kept, never) = watch::channel(false);
    let options = Options { reporter: &Silent, stop: never, release_wait: None };
    let driven = drive(with_a_database(&killed, true), run, cut as u64 + 1, Term(1), options).await;
    assert_eq!(driven.end, End::Closed(Outcome::Complete));
    let effects = killed.outside().effects.clone();
    assert!(effects.iter().any(|effect| effect.ends_with("web-modeler/backup-7.2")), "{effects:?}");
}

#[async_trait]
impl Databases for Memory {
    async fn check(&self, _: &DatabaseName, _: DumpMode) -> Result<DatabaseServer, Fault> {
        Ok(server())
    }

    async fn dump(&self, request: &DumpRequest, _: &dyn Vault) -> Result<DatabaseDump, Fault> {
        self.outside().effects.push(format!("dump {}", request.folder));
        let fate = self.outside().dump.clone();
        match fate {
            Dumping::Done => {
                let DumpRequest { database: name, mode, .. } = request.clone();
                return Ok(DatabaseDump { name, mode, server: server(), objects: Vec::new() });
            }
            Dumping::Failed => {}
            Dumping::Hangs => std::future::pending().await,
            Dumping::FailsInTheWindow => {
                while !self.outside().paused {
                    tokio::task::yield_now().await;
                }
            }
            Dumping::FailsAfterTheRelease => {
                while !self.outside().effects.iter().any(|effect| effect == "resume-exporting") {
                    tokio::task::yield_now().await;
                }
            }
        }
        Err(Fault::new(FaultKind::Refused, "dumping", "d", "no"))
    }
}

fn server() -> DatabaseServer {
    DatabaseServer {
        version: "15.18".into(),
        tool: "15.18".into(),
        database: "modeler".into(),
        owner: "modeler".into(),
        encoding: "UTF8".into(),
        collate: "C".into(),
        ctype: "C".into(),
        bytes: 1,
        role_passwords: true,
    }
}
