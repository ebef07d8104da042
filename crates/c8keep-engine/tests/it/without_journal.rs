//! A journal that is lost in the middle of a run: the release goes on without it, and somebody is told.

use std::sync::{Mutex, PoisonError};

use c8keep_core::BackupId;
use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_core::plan::StepName;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Event, Mark, Run};
use c8keep_engine::drive::{Driven, End, Options, drive};
use c8keep_engine::open_runs::begin;
use c8keep_engine::ports::Term;
use c8keep_engine::progress::Reporter;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::memory::{Memory, Outside, world};

/// Remembers what it was told besides events.
#[derive(Default)]
struct Told {
    lost: Mutex<Vec<String>>,
    unreleased: Mutex<Vec<Timestamp>>,
}

impl Reporter for Told {
    fn event(&self, _: &Run, _: &Event) {
        assert!(
            self.lost.lock().unwrap().is_empty(),
            "told as journalled although nothing is journalled any more"
        );
    }

    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}

    fn journal_lost(&self, _: &Run, fault: &Fault, _: Timestamp) {
        self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(fault.answer.clone());
    }

    fn unreleased(&self, _: &Run, _: &Fault, at: Timestamp) {
        self.unreleased.lock().unwrap().push(at);
    }
}

/// Drives a run whose journal takes so many events.
async fn losing(
    holds: usize,
    release_wait: Option<SignedDuration>,
    trouble: impl Fn(&mut Outside),
) -> (Memory, Driven, Told) {
    losing_and_stopped(None, holds, release_wait, trouble).await
}

/// The same, asked to stop when something is sent.
async fn losing_and_stopped(
    stop_on: Option<&'static str>,
    holds: usize,
    release_wait: Option<SignedDuration>,
    trouble: impl Fn(&mut Outside),
) -> (Memory, Driven, Told) {
    let memory = Memory::default();
    trouble(&mut memory.outside());
    memory.outside().journal_holds = Some(holds);
    let world = world(&memory);
    let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
    let (run, seq) = begin(&world, plan, "test", Term(1)).await.unwrap();
    let told = Told::default();
    let (stop, stopped) = watch::channel(false);
    memory.outside().stop_on = stop_on.map(|what| (what, stop.clone()));
    let options = Options { reporter: &told, stop: stopped, release_wait };
    let driven = drive(world, run, seq, Term(1), options).await;
    (memory, driven, told)
}

/// How many events are journalled up to the intent to do this, with it.
async fn events_up_to(step: &str) -> usize {
    let (memory, ..) = losing(usize::MAX, None, |_| {}).await;
    let intends =
        |event: &Event| matches!(event, Event::Intended { step: intended, .. } if intended.0 == step);
    memory.outside().events.iter().position(intends).unwrap() + 1
}

fn resumed(memory: &Memory) -> usize {
    memory.outside().effects.iter().filter(|effect| *effect == "resume-exporting").count()
}

#[tokio::test]
async fn somebody_is_told() {
    let holds = events_up_to("start-runtime").await;
    let (memory, driven, told) = losing(holds, None, |outside| outside.resume_fails = 3).await;
    assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{:?}", driven.end);
    assert_eq!(*told.lost.lock().unwrap(), ["the disk is full"]);
    assert_eq!(told.unreleased.lock().unwrap().len(), 3, "each attempt that failed");
    assert_eq!((resumed(&memory), memory.outside().paused), (4, false));
}

/// The endless release is told again and again, and not more often than somebody can read.
#[tokio::test]
async fn what_goes_on_for_long_is_told_seldom() {
    let holds = events_up_to("start-runtime").await;
    let wait = Some(SignedDuration::from_mins(10));
    let (memory, driven, told) = losing(holds, wait, |outside| outside.resume_fails = u32::MAX).await;
    assert!(matches!(driven.end, End::JournalLost { released: false, .. }), "{:?}", driven.end);
    let last = driven.unreleased.as_ref().and_then(c8keep_engine::drive::Unreleased::fault);
    let last = &last.expect("how the release itself failed").answer;
    assert!(last.starts_with("a broker is missing"), "and not how the journal did: {last}");
    let told = told.unreleased.lock().unwrap();
    assert!((50..100).contains(&told.len()), "told {} times in ten minutes", told.len());
    assert_eq!(told.len(), resumed(&memory));
}

/// An answer alone confirms nothing: what the brokers say counts.
#[tokio::test]
async fn a_release_counts_when_it_is_confirmed() {
    let holds = events_up_to("start-runtime").await;
    let (memory, driven, _) = losing(holds, None, |outside| outside.resume_is_ignored = 2).await;
    assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{:?}", driven.end);
    assert_eq!((resumed(&memory), memory.outside().paused), (3, false));
}

/// The pause hangs, its answer cannot be journalled, and it takes effect after the first resume.
#[tokio::test]
async fn a_pause_that_lands_late_is_released() {
    let holds = events_up_to("pause-exporting").await;
    for lands_after in [1_000, 5_500, 12_000, 19_000] {
        let hangs = |outside: &mut Outside| {
            outside.hangs.insert("pause-exporting", 5_000);
            outside.pause_lands_after = Some(lands_after);
        };
        let (memory, driven, _) = losing(holds, None, hangs).await;
        assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{:?}", driven.end);
        let mut outside = memory.outside();
        outside.millis += 60_000;
        outside.what_is_due_lands();
        assert!(!outside.paused, "left paused by a pause that landed after {lands_after} ms");
    }
}

/// Nothing was paused, so nothing is sent.
#[tokio::test]
async fn what_was_not_paused_is_not_resumed() {
    let holds = events_up_to("pause-exporting").await - 1;
    let (memory, driven, told) = losing(holds, None, |_| {}).await;
    assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{:?}", driven.end);
    assert_eq!((resumed(&memory), told.lost.lock().unwrap().len()), (0, 1));
}

/// A write that hangs is worse than one that fails: nobody says so. The release waits for it no longer than a signal allows.
#[tokio::test]
async fn a_journal_that_hangs_keeps_nothing_paused() {
    let holds = events_up_to("start-runtime").await;
    for (stop_on, superseded_hangs, within) in [
        (None, false, 20_000),
        (None, true, 23_000),
        (Some("start-runtime"), false, 3_000),
        (Some("start-runtime"), true, 6_000),
    ] {
        let hangs = |outside: &mut Outside| {
            (outside.journal_hangs, outside.superseded_hangs) = (true, superseded_hangs);
        };
        let (memory, driven, told) = losing_and_stopped(stop_on, holds, None, hangs).await;
        let End::JournalLost { fault, released: true } = driven.end else { panic!("{:?}", driven.end) };
        assert_eq!((fault.kind, fault.effect), (FaultKind::Storage, Effect::Unknown));
        assert_eq!(told.lost.lock().unwrap().len(), 1);
        let outside = memory.outside();
        let resumed = outside.stopped_and_resumed.1.unwrap() - outside.hung_at.unwrap();
        assert!(!outside.paused && resumed == within, "{stop_on:?}: resumed after {resumed} ms");
    }
}
