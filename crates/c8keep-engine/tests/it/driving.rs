//! Driving.

use std::sync::Arc;

use c8keep_core::BackupId;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Answer, Event, Outcome, StopReason};
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End, Options, drive};
use c8keep_engine::open_runs::{Taking, begin, take};
use c8keep_engine::ports::Term;
use c8keep_engine::progress::Silent;
use jiff::SignedDuration;
use tokio::sync::watch;

use crate::memory::{Memory, world};

async fn driven(world: &Arc<World>, release_wait: Option<SignedDuration>) -> Driven {
    let request = Request::new(BackupId::new(1_748_937_221).unwrap());
    let plan = recipe::backup(&world.installation, &request).unwrap();
    let (run, seq) = begin(world, plan, "test", Term(1)).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let options = Options { reporter: &Silent, stop: stopped, release_wait };
    drive(Arc::clone(world), run, seq, Term(1), options).await
}

/// How many events a run journals that nothing disturbs.
async fn events_of_a_whole_run() -> usize {
    let memory = Memory::default();
    driven(&world(&memory), None).await;
    memory.outside().events.len()
}

#[tokio::test]
async fn a_run_ends_complete() {
    let memory = Memory::default();
    let driven = driven(&world(&memory), None).await;
    assert_eq!(driven.end, End::Closed(Outcome::Complete), "{:#?}", driven.run.steps().collect::<Vec<_>>());
    let outside = memory.outside();
    assert!(!outside.paused);
    assert_eq!(
        outside.effects,
        ["pause-exporting", "start-history", "snapshot-records", "start-runtime", "resume-exporting"]
    );
    assert_eq!(outside.vault.len(), 3, "{:?}", outside.vault.keys());
}

/// The run's own words of why it failed.
fn why(driven: &Driven) -> String {
    let (step, fault) = driven.run.first_failure().expect("it failed");
    format!("{step}: {fault}", step = step.name)
}

/// Backups are refused while partitions are scaled: that is known before the pause.
#[tokio::test]
async fn nothing_is_paused_while_the_cluster_is_scaled() {
    let memory = Memory::default();
    memory.outside().is_scaling = true;
    let driven = driven(&world(&memory), None).await;
    assert!(why(&driven).contains("change 5 is IN_PROGRESS"), "{}", why(&driven));
    assert_eq!(memory.outside().effects, Vec::<String>::new());
}

/// Snapshots that were whole when they were waited for, and were deleted before the manifest could name them.
#[tokio::test]
async fn snapshots_that_vanish_are_not_published() {
    for prefix in ["camunda_webapps_", "camunda_zeebe_records_backup_"] {
        let memory = Memory::default();
        memory.outside().deleted_later = Some(prefix);
        let driven = driven(&world(&memory), None).await;
        let why = why(&driven);
        assert!(why.starts_with("publish-manifest") && why.contains("was whole and is gone"), "{why}");
        assert!(why.contains(prefix), "{why}");
        let outside = memory.outside();
        assert!(!outside.paused && !outside.vault.keys().any(|name| name.ends_with("manifest.json")));
    }
}

/// An index that was there before the pause and is not in the snapshot of the records fails it.
#[tokio::test]
async fn an_index_that_was_not_copied_fails_the_records() {
    let memory = Memory::default();
    memory.outside().not_copied = Some(("zeebe-record_process_8.8.0", true));
    let driven = driven(&world(&memory), None).await;
    assert!(why(&driven).contains("zeebe-record_process_8.8.0 is not in it, although the index exists"));
}

/// One that retention has removed meanwhile does not, and is named.
#[tokio::test]
async fn an_index_that_retention_removed_is_named() {
    let memory = Memory::default();
    memory.outside().not_copied = Some(("zeebe-record_process_8.8.0", false));
    let driven = driven(&world(&memory), None).await;
    assert_eq!(driven.end, End::Closed(Outcome::Complete));
    let records = driven.run.facts().records.clone().unwrap();
    assert_eq!(records.removed_meanwhile, ["zeebe-record_process_8.8.0"]);
}

/// An application says COMPLETED, and none of its parts holds one of its indices (camunda issue 47122): that is no backup, unless
/// the index is gone meanwhile, or is somebody else's: by the configuration, or because the application's have other names.
#[tokio::test]
async fn an_index_that_an_application_left_out() {
    let left_out = "operate-incident-8.3.1_";
    for (foreign, remains, app_index, whole) in [
        (vec![], true, None, false),
        (vec![], false, None, true),
        (vec!["operate-inc*".to_owned()], true, None, true),
        (vec![], true, Some("other-operate-process-8.3.0_"), true),
    ] {
        let memory = Memory::default();
        memory.outside().not_copied = Some((left_out, remains));
        memory.outside().app_index = app_index;
        let mut world = world(&memory);
        Arc::get_mut(&mut world).unwrap().installation.foreign_indices = foreign;
        let driven = driven(&world, None).await;
        assert_eq!(driven.end == End::Closed(Outcome::Complete), whole, "{:?}", driven.end);
        if !whole {
            assert!(why(&driven).contains("none of its snapshots holds operate-incident-8.3.1_"));
            assert!(!memory.outside().paused);
        }
    }
}

/// The journal fails after every number of appends: nothing is sent without a durable intent, but the release of a pause
/// that was intended is sent all the same.
#[tokio::test]
async fn a_journal_that_fails_never_leaves_exporting_paused() {
    let appends = events_of_a_whole_run().await;
    for holds in 1..appends {
        let memory = Memory::default();
        memory.outside().journal_holds = Some(holds);
        memory.outside().resume_fails = 2;
        let driven = driven(&world(&memory), None).await;
        assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{holds}: {:?}", driven.end);
        let outside = memory.outside();
        assert!(!outside.paused, "left paused after {holds} appends");
        for effect in outside.effects.iter().filter(|effect| *effect != "resume-exporting") {
            let intended = |event: &Event| matches!(event, Event::Intended { step, .. } if step.0 == *effect);
            assert!(outside.events.iter().any(intended), "{effect} without an intent after {holds} appends");
        }
        let paused = outside.effects.iter().any(|effect| effect == "pause-exporting");
        let resumed = outside.effects.iter().any(|effect| effect == "resume-exporting");
        assert!(paused || !resumed, "{holds}: resumed what this run had not paused");
    }
}

/// A resume has no owner: one that was confirmed is not sent again because the journal did not take the answer. It would
/// open the window of whoever pauses next.
#[tokio::test]
async fn a_confirmed_release_is_not_repeated_when_the_journal_fails() {
    let appends = events_of_a_whole_run().await;
    for holds in 1..appends {
        let memory = Memory::default();
        memory.outside().journal_holds = Some(holds);
        driven(&world(&memory), None).await;
        let resumed = memory.outside().effects.iter().filter(|effect| *effect == "resume-exporting").count();
        assert!(resumed <= 1, "resumed {resumed} times after {holds} appends");
    }
}

/// A wall clock that was set back between two processes: time goes on from what is journalled, and a release that has
/// failed is tried again within seconds.
#[tokio::test]
async fn a_clock_that_was_set_back_delays_no_release() {
    let memory = Memory::default();
    let world = world(&memory);
    let request = Request::new(BackupId::new(1_748_937_221).unwrap());
    let plan = recipe::backup(&world.installation, &request).unwrap();
    memory.outside().millis = 3_600_000;
    let (mut run, mut seq) = begin(&world, plan, "first", Term(1)).await.unwrap();
    memory.outside().millis = 0;
    memory.outside().resume_fails = 2;
    take(&world, &mut run, &mut seq, "second", Term(1), Taking::Finish).await.unwrap();
    let (_stop, stopped) = watch::channel(false);
    let options = Options { reporter: &Silent, stop: stopped, release_wait: None };
    let driven = drive(Arc::clone(&world), run, seq, Term(1), options).await;
    assert_eq!(driven.end, End::Closed(Outcome::Complete));
    assert!(memory.outside().millis < 60_000, "{} ms", memory.outside().millis);
}

/// A release is tried for ever, or for as long as it is told; then the run stays open for the next start.
#[tokio::test]
async fn a_release_that_is_not_confirmed_stays_pending() {
    let memory = Memory::default();
    memory.outside().resume_fails = u32::MAX;
    let driven = driven(&world(&memory), Some(SignedDuration::from_mins(5))).await;
    assert_eq!(driven.end, End::ReleasePending);
    assert!(memory.outside().paused && driven.run.hold().is_open() && driven.run.outcome().is_none());
    let tries = memory.outside().effects.iter().filter(|effect| *effect == "resume-exporting").count();
    assert!((20..100).contains(&tries), "{tries} tries in five minutes");
}

/// A signal that comes while something is being written is not slept over: the release goes out at once.
#[tokio::test]
async fn a_signal_is_heard_at_every_instant() {
    let appends = events_of_a_whole_run().await;
    for count in 2..appends {
        let memory = Memory::default();
        let (stop, stopped) = watch::channel(false);
        memory.outside().stop_at = Some((count, stop));
        // So that there is a wait in which nothing else happens.
        memory.outside().runtime_never_ends = true;
        let world = world(&memory);
        let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
        let (run, seq) = begin(&world, plan, "test", Term(1)).await.unwrap();
        let options = Options { reporter: &Silent, stop: stopped, release_wait: None };
        drive(Arc::clone(&world), run, seq, Term(1), options).await;
        let outside = memory.outside();
        assert!(!outside.paused, "left paused by a signal at event {count}");
        if let (Some(asked), Some(resumed)) = outside.stopped_and_resumed {
            assert!(
                resumed - asked < 200,
                "the signal at event {count} was slept over for {} ms",
                resumed - asked
            );
        }
    }
}

/// A disk that fills up while exporting is paused ends the window, and a disk that is full already never opens one.
#[tokio::test]
async fn a_disk_that_fills_up_ends_the_pause() {
    let memory = Memory::default();
    memory.outside().disk_free = Some(9_000_000_000);
    memory.outside().runtime_never_ends = true;
    let run = driven(&world(&memory), None).await;
    assert_eq!(run.end, End::Closed(Outcome::Stopped { reason: StopReason::DiskSpace }));
    let effects = memory.outside().effects.clone();
    assert!(!memory.outside().paused && effects.contains(&"pause-exporting".to_owned()), "{effects:?}");
    let free = memory.outside().disk_free;
    assert_eq!(free, Some(2_000_000_000), "it was looked at until it neared the broker's limit");

    let memory = Memory::default();
    memory.outside().disk_free = Some(2_500_000_000);
    let run = driven(&world(&memory), None).await;
    assert!(matches!(run.end, End::Closed(Outcome::Failed { .. })), "{:?}", run.end);
    assert_eq!(memory.outside().effects, Vec::<String>::new(), "refused before the pause");
}

/// What the journal holds is the run: folding it again gives the same.
#[tokio::test]
async fn the_journal_is_the_run() {
    let memory = Memory::default();
    let driven = driven(&world(&memory), None).await;
    let events = memory.outside().events.clone();
    assert_eq!(c8keep_core::Run::replay(events.clone()).unwrap(), driven.run);
    let answers = |event: &&Event| matches!(event, Event::Answered { answer: Answer::Fault { .. }, .. });
    assert_eq!(events.iter().filter(answers).count(), 0);
}
