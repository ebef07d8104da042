//! Stopping: a process that was asked to stop ends in time, whatever is in flight.

use std::sync::Arc;

use c8keep_core::BackupId;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Outcome, RunId, StopReason};
use c8keep_engine::drive::{Driven, END_AFTER_SIGNAL, End, Options, Unreleased, drive};
use c8keep_engine::open_runs::{Taking, begin, load, take};
use c8keep_engine::ports::Term;
use c8keep_engine::progress::Silent;
use tokio::sync::watch;

use crate::memory::{Memory, Outside, world};

const MINUTE: i64 = 60_000;

type Trouble = fn(&mut Outside);

/// Drives a run that is asked to stop when `what` is sent; how it ended, and how many milliseconds after that.
async fn stopped_on(what: &'static str, trouble: impl Fn(&mut Outside)) -> (Memory, Driven, i64) {
    let memory = Memory::default();
    let (stop, stopped) = watch::channel(false);
    trouble(&mut memory.outside());
    memory.outside().stop_on = Some((what, stop));
    let world = world(&memory);
    let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
    let (run, seq) = begin(&world, plan, "test", Term(1)).await.unwrap();
    let options = Options { reporter: &Silent, stop: stopped, release_wait: None };
    let driven = drive(world, run, seq, Term(1), options).await;
    let asked = memory.outside().stopped_and_resumed.0;
    let took = memory.outside().millis - asked.unwrap_or_else(|| panic!("{what} was never sent"));
    assert!(took <= i64::try_from(END_AFTER_SIGNAL.as_millis()).unwrap(), "{what}: ended after {took} ms");
    (memory, driven, took)
}

/// What the next start makes of it, with everything well again.
async fn the_next_start(memory: &Memory) -> Driven {
    let world = world(memory);
    memory.outside().is_well_again();
    let (mut run, mut seq) = load(&*world.journal, &RunId("backup-7".into())).await.unwrap().unwrap();
    assert_eq!(run.outcome(), None, "nothing is closed falsely");
    take(&world, &mut run, &mut seq, "next", Term(1), Taking::Release).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let options = Options { reporter: &Silent, stop: stopped, release_wait: None };
    drive(Arc::clone(&world), run, seq, Term(1), options).await
}

/// A request that hangs holds nobody up: exporting is released, and what the server makes of it is read by the next start.
#[tokio::test]
async fn a_request_in_flight_is_left_behind() {
    for what in ["start-history", "snapshot-records", "start-runtime"] {
        let (memory, driven, _) = stopped_on(what, |outside| _ = outside.hangs.insert(what, MINUTE)).await;
        assert_eq!(driven.end, End::LeftOpen, "{what}");
        assert!(!memory.outside().paused && driven.run.outcome().is_none(), "{what}");
        let next = the_next_start(&memory).await;
        assert_eq!(next.end, End::Closed(Outcome::Stopped { reason: StopReason::Signal }), "{what}");
        let resumed = memory.outside().effects.iter().filter(|effect| *effect == "resume-exporting").count();
        assert_eq!(resumed, 1, "{what}: a release that was confirmed is not repeated");
    }
}

/// A pause whose answer never comes is released within the time all the same.
#[tokio::test]
async fn a_pause_without_an_answer_is_released_in_time() {
    let hangs = |outside: &mut Outside| _ = outside.hangs.insert("pause-exporting", 18_000);
    let (memory, driven, took) = stopped_on("pause-exporting", hangs).await;
    assert_eq!(driven.end, End::Closed(Outcome::Stopped { reason: StopReason::Signal }), "after {took} ms");
    assert!(!memory.outside().paused);
}

/// Past the pivot a signal changes nothing but the patience: the next start publishes.
#[tokio::test]
async fn a_vault_that_fails_is_left_to_the_next_start() {
    let troubles: [(&str, Trouble); 2] = [
        ("full", |outside| outside.vault_is_full = true),
        ("hanging", |outside| _ = outside.hangs.insert("keep", MINUTE)),
    ];
    for (name, trouble) in troubles {
        let (memory, driven, _) = stopped_on("keep", trouble).await;
        assert_eq!(driven.end, End::LeftOpen, "{name}");
        assert!(driven.run.is_past_pivot() && !memory.outside().paused, "{name}");
        let next = the_next_start(&memory).await;
        assert_eq!(next.end, End::Closed(Outcome::Complete), "{name}");
    }
}

/// A release that is not confirmed in the time stays pending: that comes first.
#[tokio::test]
async fn a_release_that_hangs_stays_pending() {
    let troubles: [(&str, Trouble); 2] = [
        ("refused", |outside| outside.resume_fails = u32::MAX),
        ("hanging", |outside| _ = outside.hangs.insert("resume-exporting", MINUTE)),
    ];
    for (name, trouble) in troubles {
        for what in ["start-runtime", "resume-exporting", "keep"] {
            let (memory, driven, _) = stopped_on(what, trouble).await;
            assert_eq!(driven.end, End::ReleasePending, "{name}, {what}");
            assert!(driven.run.hold().is_open());
            let next = the_next_start(&memory).await;
            assert!(matches!(next.end, End::Closed(_)) && !memory.outside().paused, "{name}, {what}");
        }
    }
}

/// A journal that hangs holds nobody up, either.
#[tokio::test]
async fn a_journal_that_hangs_is_left_behind() {
    let hangs = |outside: &mut Outside| _ = outside.hangs.insert("append", MINUTE);
    let memory = Memory::default();
    let (stop, stopped) = watch::channel(false);
    let world = world(&memory);
    let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
    let (run, seq) = begin(&world, plan, "test", Term(1)).await.unwrap();
    hangs(&mut memory.outside());
    stop.send_replace(true);
    let options = Options { reporter: &Silent, stop: stopped, release_wait: None };
    let driven = drive(world, run, seq, Term(1), options).await;
    assert_eq!((driven.end, memory.outside().millis), (End::LeftOpen, 22_000));
}

/// Who is woken up learns what kept the release: that it was refused, that nobody answered, or that it was never sent.
#[tokio::test]
async fn what_kept_a_release_is_told() {
    let refused: Trouble = |outside| outside.resume_fails = u32::MAX;
    let (_, driven, _) = stopped_on("start-runtime", refused).await;
    let told = driven.unreleased.and_then(|unreleased| unreleased.fault().map(|f| f.answer.clone()));
    assert!(told.as_ref().is_some_and(|said| said.starts_with("a broker is missing")), "{told:?}");

    let silent: Trouble = |outside| _ = outside.hangs.insert("resume-exporting", MINUTE);
    let (_, driven, _) = stopped_on("start-runtime", silent).await;
    assert_eq!(driven.unreleased, Some(Unreleased::Unanswered { before: None }));

    let refused_and_then_silent: Trouble = |outside| {
        outside.resume_fails = u32::MAX;
        outside.hangs.insert("resume-exporting", 15_000);
    };
    let (_, driven, _) = stopped_on("start-runtime", refused_and_then_silent).await;
    let Some(Unreleased::Unanswered { before: Some(before) }) = driven.unreleased else {
        panic!("the last fault is dropped while it is tried again: {:?}", driven.unreleased)
    };
    assert!(before.answer.starts_with("a broker is missing"), "{before}");

    let pausing: Trouble = |outside| _ = outside.hangs.insert("pause-exporting", MINUTE);
    let (memory, driven, _) = stopped_on("pause-exporting", pausing).await;
    assert!(!memory.outside().effects.contains(&"resume-exporting".to_owned()));
    let Some(Unreleased::NeverSent { because, before: None }) = driven.unreleased else {
        panic!("{:?}", driven.unreleased)
    };
    assert!(because.contains("pause itself"), "{because}");
}

/// What is released has nothing to tell.
#[tokio::test]
async fn a_confirmed_release_was_kept_by_nothing() {
    let (_, driven, _) = stopped_on("start-runtime", |_| {}).await;
    assert_eq!((driven.unreleased, driven.run.hold().is_open()), (None, false));
}
