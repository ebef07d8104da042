//! A process whose vault is out of reach: it knows before its lease ends that another host may take over.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use c8keep_core::BackupId;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::Outcome;
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End, Options, drive};
use c8keep_engine::fence::Fence;
use c8keep_engine::open_runs::begin;
use c8keep_engine::ports::Journal;
use c8keep_engine::progress::Silent;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::fence::{Host, Scene};
use crate::memory::{Memory, Outside, world};

fn watching(host: &Host) -> JoinHandle<Fault> {
    let fence = Arc::clone(&host.fence);
    tokio::spawn(async move { fence.standing_lost().await })
}

/// Refused connections, and operations that never end.
#[tokio::test]
async fn who_is_cut_off_knows_before_its_lease_ends() {
    for hangs in [false, true] {
        let scene = Scene::new();
        let a = scene.owner("a").await;
        let lost = watching(&a);
        scene.hands.move_on(100).await;
        assert!(!lost.is_finished(), "it has renewed all the time");
        a.way.hangs.store(hangs, Ordering::Relaxed);
        a.way.cut.store(true, Ordering::Relaxed);
        let mut seconds = 0;
        while !lost.is_finished() && seconds < 600 {
            scene.hands.move_on(1).await;
            seconds += 1;
        }
        assert!((25..=45).contains(&seconds), "known after {seconds} s; hangs: {hangs}");
        assert_eq!(lost.await.unwrap().kind, FaultKind::Unreachable);
    }
}

#[tokio::test]
async fn who_comes_back_in_time_has_lost_nothing() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    let lost = watching(&a);
    for _ in 0..5 {
        a.way.cut.store(true, Ordering::Relaxed);
        scene.hands.move_on(24).await;
        a.way.cut.store(false, Ordering::Relaxed);
        scene.hands.move_on(10).await;
        assert!(!lost.is_finished());
    }
    lost.abort();
}

#[tokio::test]
async fn who_was_replaced_is_told() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    let lost = watching(&a);
    let mut higher = a.way.claims().remove(0);
    (higher.term, higher.by) = (2, "2@b".into());
    let bytes = serde_json::to_vec(&higher).unwrap();
    a.way.objects.lock().unwrap().insert("default/claims/2.json".into(), bytes);
    scene.hands.move_on(60).await;
    assert!(lost.is_finished(), "with the next renewal but one at the latest");
    assert_eq!(lost.await.unwrap().kind, FaultKind::Locked);
}

/// Drives a run whose runtime backup never moves, behind a fence whose vault is out of reach from some instant on.
async fn waiting_for_ever(cut_at: i64) -> (Memory, Driven) {
    driven_behind_a_fence(|outside| {
        (outside.vault_is_cut_at, outside.runtime_never_ends) = (Some(cut_at), true);
    })
    .await
}

async fn driven_behind_a_fence(trouble: impl Fn(&mut Outside)) -> (Memory, Driven) {
    let memory = Memory::default();
    let port = Arc::new(memory.clone());
    let fence = Fence::between_hosts(port.clone(), port.clone(), port, "a", |_| {});
    let term = fence.claim("default", "1@a").await.unwrap();
    let world = Arc::new(World { journal: Arc::new(fence), ..World::clone(&world(&memory)) });
    let plan = recipe::backup(&world.installation, &Request::new(BackupId::new(7).unwrap())).unwrap();
    let (run, seq) = begin(&world, plan, "test", term).await.unwrap();
    trouble(&mut memory.outside());
    let (_stop, stopped) = watch::channel(false);
    let driven =
        drive(world, run, seq, term, Options { reporter: &Silent, stop: stopped, release_wait: None }).await;
    (memory, driven)
}

/// In a wait in which nothing moves nothing is journalled: it must notice all the same, while the claim is still its own.
#[tokio::test]
async fn a_silent_wait_does_not_outlast_the_lease() {
    let (memory, driven) = waiting_for_ever(30_000).await;
    assert!(matches!(driven.end, End::JournalLost { released: true, .. }), "{:?}", driven.end);
    let millis = memory.outside().millis;
    let paused = memory.outside().paused;
    assert!(!paused && millis <= 30_000 + 46_000, "released after {millis} ms");
}

/// With a vault that answers, a wait lasts for as long as it may.
#[tokio::test]
async fn a_vault_that_answers_disturbs_no_wait() {
    let (memory, driven) = waiting_for_ever(i64::MAX).await;
    let Outcome::Failed { fault, .. } = driven.run.outcome().unwrap() else { panic!("{:?}", driven.end) };
    assert_eq!(fault.kind, FaultKind::Stalled);
    assert!(memory.outside().millis >= 600_000);
}

/// After a standstill the claim is renewed in the wait, slowly; an answer ends the wait in the middle of that, and what it says
/// is to be journalled.
#[tokio::test]
async fn a_renewal_in_a_wait_stands_in_no_appends_way() {
    for (sent, takes) in [("start-runtime", 3_000), ("snapshot-records", 4_500), ("resume-exporting", 3_000)]
    {
        let (_, driven) = driven_behind_a_fence(|outside| {
            outside.stands_still_on = Some((sent, 47_000));
            outside.hangs = [(sent, 1_000), ("keep", takes)].into();
        })
        .await;
        assert_eq!(driven.end, End::Closed(Outcome::Complete), "{sent}");
    }
}
