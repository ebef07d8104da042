//! Two hosts with a common vault, each with a journal and a way to the vault of its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use c8keep_core::BackupId;
use c8keep_core::claim::{Claim, Held};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::Plan;
use c8keep_core::recipe::{self, Request};
use c8keep_core::run::{Event, Outcome, RunId};
use c8keep_engine::fence::{Fence, newest_claim};
use c8keep_engine::ports::{Clock, Journal, Term, Vault};
use jiff::Timestamp;
use tokio::sync::watch;

use crate::memory::{Memory, world};

const NAME: &str = "default";

/// Time that the test moves.
#[derive(Clone)]
pub struct Hands(Arc<watch::Sender<i64>>);

impl Hands {
    /// Moves on second by second, so that whatever is due on the way happens in its order.
    pub async fn move_on(&self, seconds: i64) {
        for _ in 0..seconds {
            self.0.send_modify(|now| *now += 1);
            for _ in 0..40 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[async_trait]
impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + *self.0.borrow()).unwrap()
    }

    async fn sleep_until(&self, instant: Timestamp) {
        let mut hands = self.0.subscribe();
        let due = |now: &i64| 1_795_000_000 + now >= instant.as_second();
        hands.wait_for(due).await.unwrap();
    }
}

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// The object that is about to be created, and the one that appears first, with its bytes.
type Surprise = (String, String, Vec<u8>);

/// One host's way to the vault.
#[derive(Clone, Default)]
pub struct Way {
    pub objects: Objects,
    pub cut: Arc<AtomicBool>,
    /// Cut off, it answers nothing at all.
    pub hangs: Arc<AtomicBool>,
    /// What appears in the vault just before this host creates the object of that name.
    just_before: Arc<Mutex<Option<Surprise>>>,
}

impl Way {
    async fn arrive(&self) {
        if self.cut.load(Ordering::Relaxed) && self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    fn reach(&self) -> Result<MutexGuard<'_, BTreeMap<String, Vec<u8>>>, Fault> {
        if self.cut.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Unreachable, "reaching", "the vault", "nothing").with_retry());
        }
        Ok(self.objects.lock().unwrap())
    }

    pub fn claims(&self) -> Vec<Claim> {
        self.objects.lock().unwrap().values().map(|bytes| serde_json::from_slice(bytes).unwrap()).collect()
    }

    fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

#[async_trait]
impl Vault for Way {
    fn place(&self) -> String {
        "the vault".into()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        self.arrive().await;
        let mut objects = self.reach()?;
        if let Some((_, other, bytes)) = self.just_before.lock().unwrap().take_if(|(name, ..)| name == path) {
            objects.insert(other, bytes);
        }
        if objects.get(path).is_some_and(|there| there != bytes) {
            return Err(Fault::new(FaultKind::Refused, "creating", path, "it exists"));
        }
        objects.insert(path.into(), bytes.into());
        Ok(String::new())
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.arrive().await;
        Ok(self.reach()?.get(path).cloned())
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, Fault> {
        unreachable!("claims are found without listing")
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        unreachable!("claims need no check")
    }
}

pub struct Host {
    pub fence: Arc<Fence>,
    pub way: Way,
    memory: Memory,
}

pub struct Scene {
    pub hands: Hands,
    objects: Objects,
}

impl Scene {
    pub fn new() -> Scene {
        Scene { hands: Hands(Arc::new(watch::channel(0).0)), objects: Objects::default() }
    }

    fn host(&self, id: &str) -> Host {
        let way = Way { objects: Arc::clone(&self.objects), ..Way::default() };
        let memory = Memory::default();
        let (journal, vault) = (Arc::new(memory.clone()), Arc::new(way.clone()));
        let fence = Fence::between_hosts(journal, vault, Arc::new(self.hands.clone()), id, |_| {});
        Host { fence: Arc::new(fence), way, memory }
    }

    /// A host that has claimed, with nobody in its way.
    pub async fn owner(&self, id: &str) -> Host {
        let host = self.host(id);
        host.fence.claim(NAME, id).await.unwrap();
        host
    }

    /// Claims while time passes, and says how long it took.
    async fn claims(&self, host: &Host) -> (Result<Term, Fault>, i64) {
        let fence = Arc::clone(&host.fence);
        let claiming = tokio::spawn(async move { fence.claim(NAME, "2@b").await });
        let mut seconds = 0;
        while !claiming.is_finished() && seconds < 600 {
            self.hands.move_on(1).await;
            seconds += 1;
        }
        (claiming.await.unwrap(), seconds)
    }
}

fn plan() -> Plan {
    let request = Request::new(BackupId::new(1_748_937_221).unwrap());
    recipe::backup(&world(&Memory::default()).installation, &request).unwrap()
}

fn run() -> RunId {
    RunId("backup-1748937221".into())
}

impl Host {
    async fn append(&self, events: Vec<Event>) -> Result<(), Fault> {
        let seq = self.memory.outside().events.len() as u64 + 1;
        self.fence.append(&run(), seq, Term(1), &events).await
    }

    async fn open(&self, hands: &Hands) {
        let opened = Event::Opened { run: run(), plan: plan(), by: "1@a".into(), at: hands.now() };
        self.append(vec![opened]).await.unwrap();
    }

    async fn pause(&self, hands: &Hands) -> Result<(), Fault> {
        let step = plan().hold().unwrap().name.clone();
        self.append(vec![Event::Intended { step, attempt: 1, at: hands.now() }]).await
    }

    async fn anything(&self, hands: &Hands) -> Result<(), Fault> {
        let reason = c8keep_core::run::StopReason::Signal;
        self.append(vec![Event::StopAsked { reason, at: hands.now() }]).await
    }
}

#[tokio::test]
async fn who_leaves_in_good_order_is_not_waited_for() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    assert_eq!(a.way.names(), ["default/claims/1.json"]);
    a.fence.leave().await;
    let b = scene.host("b");
    let (claimed, seconds) = scene.claims(&b).await;
    assert!(claimed.is_ok() && seconds <= 1, "{claimed:?} after {seconds} s");
    assert!(b.way.names().contains(&"default/claims/2.json".to_owned()));
}

#[tokio::test]
async fn who_is_alive_keeps_its_claim() {
    let scene = Scene::new();
    let _a = scene.owner("a").await;
    let (claimed, seconds) = scene.claims(&scene.host("b")).await;
    let fault = claimed.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Locked);
    assert!(fault.answer.contains("has not paused exporting"), "{fault}");
    assert!((15..=25).contains(&seconds), "told by the next renewal, after {seconds} s");
}

/// Whoever is locked out hears whether the other one keeps exporting paused.
#[tokio::test]
async fn who_is_locked_out_hears_of_the_pause() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.pause(&scene.hands).await.unwrap();
    let fault = scene.claims(&scene.host("b")).await.0.unwrap_err();
    let told = format!("its run {} has kept exporting paused since", run());
    assert!(fault.kind == FaultKind::Locked && fault.answer.contains(&told), "{fault}");
    assert!(fault.hint.contains("wait until it has ended, or stop it there"), "{}", fault.hint);
}

#[tokio::test]
async fn who_is_dead_is_watched_for_a_minute() {
    let scene = Scene::new();
    drop(scene.owner("a").await);
    let b = scene.host("b");
    let (claimed, seconds) = scene.claims(&b).await;
    assert!(claimed.is_ok() && (60..=63).contains(&seconds), "{claimed:?} after {seconds} s");
}

/// The lock beside a journal shows that its former process is dead.
#[tokio::test]
async fn the_same_journal_takes_over_at_once() {
    let scene = Scene::new();
    drop(scene.owner("a").await);
    let (claimed, seconds) = scene.claims(&scene.host("a")).await;
    assert!(claimed.is_ok() && seconds <= 1, "{claimed:?} after {seconds} s");
}

#[tokio::test]
async fn of_many_who_wait_exactly_one_gets_it() {
    let scene = Scene::new();
    drop(scene.owner("a").await);
    let hosts: Vec<Host> = ["b", "c", "d"].map(|id| scene.host(id)).into();
    let mut claiming = tokio::task::JoinSet::new();
    for host in &hosts {
        let fence = Arc::clone(&host.fence);
        claiming.spawn(async move { fence.claim(NAME, "x").await });
    }
    scene.hands.move_on(200).await;
    let ended = claiming.join_all().await;
    assert_eq!(ended.iter().filter(|end| end.is_ok()).count(), 1, "{ended:?}");
    assert!(ended.iter().filter_map(|end| end.as_ref().err()).all(|f| f.kind == FaultKind::Locked));
}

/// It believes in that renewal until it sees the higher term, and it must see it before anybody else acts.
#[tokio::test]
async fn an_owner_that_wakes_just_before_it_is_replaced_is_given_time() {
    let scene = Scene::new();
    drop(scene.owner("a").await);
    let b = scene.host("b");
    let held = Held { run: run(), fingerprint: plan().fingerprint().clone(), since: scene.hands.now() };
    let renewal = Claim { renewal: 1, held: Some(held), ..b.way.claims().remove(0) };
    let bytes = serde_json::to_vec(&renewal).unwrap();
    let surprise = ("default/claims/2.json".into(), "default/claims/1.1.json".into(), bytes);
    *b.way.just_before.lock().unwrap() = Some(surprise);
    let (claimed, seconds) = scene.claims(&b).await;
    assert!(claimed.is_ok() && seconds >= 120, "{claimed:?} after {seconds} s");
    assert_eq!(b.fence.inherited().map(|held| held.run), Some(run()), "it paused meanwhile");
    let c = scene.host("c");
    assert_eq!(scene.claims(&c).await.0.unwrap_err().kind, FaultKind::Locked, "renewed while it waited");
}

/// Frozen, or cut off, for longer than others watch; then it comes back.
#[tokio::test]
async fn a_stale_owner_can_do_nothing() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.way.cut.store(true, Ordering::Relaxed);
    let b = scene.host("b");
    scene.claims(&b).await.0.unwrap();
    a.way.cut.store(false, Ordering::Relaxed);
    let refused = a.anything(&scene.hands).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Locked, "{refused:?}");
    assert_eq!(a.fence.superseded().await.unwrap().kind, FaultKind::Locked);
    assert_eq!(a.memory.outside().events.len(), 1, "nothing was journalled");
    b.open(&scene.hands).await;
    b.anything(&scene.hands).await.unwrap();
}

/// It cannot reach the claims: that is not the same as having lost them, so its own hold may be released.
#[tokio::test]
async fn who_cannot_reach_the_claims_is_stopped_but_not_superseded() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.way.cut.store(true, Ordering::Relaxed);
    scene.hands.move_on(30).await;
    a.anything(&scene.hands).await.unwrap();
    scene.hands.move_on(30).await;
    let refused = a.anything(&scene.hands).await.unwrap_err();
    assert_eq!(refused.kind, FaultKind::Unreachable);
    assert_eq!(a.fence.superseded().await, None);
    // It comes back in time, and nobody was faster.
    a.way.cut.store(false, Ordering::Relaxed);
    a.anything(&scene.hands).await.unwrap();
}

#[tokio::test]
async fn a_pause_is_told_before_it_is_journalled() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    assert!(a.way.claims().iter().all(|claim| claim.held.is_none()));
    a.memory.outside().journal_holds = Some(1);
    assert_eq!(a.pause(&scene.hands).await.unwrap_err().kind, FaultKind::Storage);
    let told: Vec<Held> = a.way.claims().into_iter().filter_map(|claim| claim.held).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].run, told[0].fingerprint.to_string()), (&run(), "f".into()));
}

#[tokio::test]
async fn a_pause_that_cannot_be_told_is_not_made() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.way.cut.store(true, Ordering::Relaxed);
    assert_eq!(a.pause(&scene.hands).await.unwrap_err().kind, FaultKind::Unreachable);
    let b = scene.host("b");
    b.way.cut.store(true, Ordering::Relaxed);
    b.fence.claim(NAME, "2@b").await.unwrap();
    b.open(&scene.hands).await;
    b.anything(&scene.hands).await.unwrap();
    assert_eq!(b.pause(&scene.hands).await.unwrap_err().kind, FaultKind::Unreachable);
    for host in [&a, &b] {
        let paused = |event: &Event| matches!(event, Event::Intended { .. });
        assert!(!host.memory.outside().events.iter().any(paused));
    }
}

/// As in a new pod: its journal is empty, and the claim tells whose the pause is.
#[tokio::test]
async fn an_empty_journal_inherits_the_pause_and_hands_it_on() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.pause(&scene.hands).await.unwrap();
    drop(a);
    let b = scene.host("b");
    scene.claims(&b).await.0.unwrap();
    assert_eq!(b.fence.inherited().map(|held| held.run), Some(run()));
    // It dies before it has released, and the next one knows as much.
    drop(b);
    let c = scene.host("c");
    scene.claims(&c).await.0.unwrap();
    assert_eq!(c.fence.inherited().map(|held| held.run), Some(run()));
    c.fence.settle().await;
    c.fence.leave().await;
    let d = scene.owner("d").await;
    assert_eq!(d.fence.inherited(), None);
}

/// Whoever has lifted a pause is told when its claim still says that it is there.
#[tokio::test]
async fn what_could_not_be_claimed_or_settled_is_known() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    assert_eq!(a.fence.unclaimed(), None);
    a.way.cut.store(true, Ordering::Relaxed);
    a.fence.settle().await;
    assert_eq!(a.fence.unclaimed().map(|fault| fault.kind), Some(FaultKind::Unreachable));
    a.way.cut.store(false, Ordering::Relaxed);
    a.fence.leave().await;
    assert_eq!(a.fence.unclaimed(), None);
    let b = scene.host("b");
    b.way.cut.store(true, Ordering::Relaxed);
    b.fence.claim(NAME, "2@b").await.unwrap();
    b.fence.settle().await;
    b.fence.leave().await;
    assert!(b.fence.unclaimed().is_some(), "without a claim nothing can be settled");
}

/// A store that hangs says nothing, and time tells.
#[tokio::test]
async fn what_hangs_is_not_settled() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.way.cut.store(true, Ordering::Relaxed);
    a.way.hangs.store(true, Ordering::Relaxed);
    let fence = Arc::clone(&a.fence);
    let settling = tokio::spawn(async move { fence.settle().await });
    scene.hands.move_on(15).await;
    settling.await.unwrap();
    assert!(a.fence.unclaimed().is_some());
}

#[tokio::test]
async fn a_run_that_is_closed_holds_nothing() {
    let scene = Scene::new();
    let a = scene.owner("a").await;
    a.open(&scene.hands).await;
    a.pause(&scene.hands).await.unwrap();
    a.append(vec![Event::Closed { outcome: Outcome::Complete, at: scene.hands.now() }]).await.unwrap();
    a.fence.leave().await;
    assert_eq!(scene.owner("b").await.fence.inherited(), None);
}

/// Copied to another name, it would lead whoever believes it back to an old claim; of a later version, it may mean anything.
#[tokio::test]
async fn a_claim_that_is_another_one_than_its_name_says_is_damaged() {
    let scene = Scene::new();
    scene.owner("a").await.fence.leave().await;
    let b = scene.owner("b").await;
    let (old, newest) = ("default/claims/1.1.json", "default/claims/2.json");
    assert!(b.way.names().contains(&old.to_owned()), "{:?}", b.way.names());
    let good: Claim = serde_json::from_slice(&b.way.objects.lock().unwrap()[newest]).unwrap();
    let copied = b.way.objects.lock().unwrap()[old].clone();
    let later = serde_json::to_vec(&Claim { format: 99, ..good.clone() }).unwrap();
    let vault: Arc<dyn Vault> = Arc::new(b.way.clone());
    for (bytes, why) in [(copied, "renewal 1 of 1"), (later, "format 99")] {
        b.way.objects.lock().unwrap().insert(newest.into(), bytes);
        let fault = newest_claim(Arc::clone(&vault), NAME).await.unwrap_err();
        assert!(fault.kind == FaultKind::Damaged && fault.answer.contains(why), "{fault:?}");
    }
    b.way.objects.lock().unwrap().insert(newest.into(), serde_json::to_vec(&good).unwrap());
    assert_eq!(newest_claim(vault, NAME).await.unwrap(), Some(good));
}
