//! The fence between hosts: a journal that takes nothing from a process whose claim in the common vault is not its own
//! any more.
//!
//! It wraps the journal of this host, because every intent passes there before anything is sent: refused there, nothing is
//! sent. It decides nothing; [`c8keep_core::claim`] does. It never removes or changes an object.
//!
//! A claim store that cannot be reached keeps nobody from releasing a hold of its own: only a new pause needs the claim. While
//! exporting is paused, whoever drives a run waits for the end of its claim as well as for everything else.

mod beside;
mod faults;
mod store;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use c8keep_core::claim::{self, Bid, Claim, Held, Lease, Standing, WATCH_FOR, Watched};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::Plan;
use c8keep_core::run::{Event, RunId};
use jiff::{SignedDuration, Timestamp};

use self::beside::beside;
use self::faults::{CLAIMING, RENEWING, busy, superseded, told_of_run, unsure};
use self::store::ClaimStore;
use crate::open_runs;
use crate::ports::{Clock, Journal, RunRow, RuntimeTasks, Tasks, Term, Vault};

/// How often a claim that may be alive is looked at.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);
/// How soon a renewal that did not arrive is tried again.
const RENEW_AGAIN: SignedDuration = SignedDuration::from_secs(5);
/// How long a run waits for a renewal that is due; longer than a healthy store takes, and short for a release.
const RENEW_WITHIN: SignedDuration = SignedDuration::from_secs(10);
/// How often somebody else may be faster at creating a term before this one gives up.
const RACES_MAX: u32 = 5;

/// A journal behind the fence. Dropping it ends the renewals; [`Fence::leave`] tells others that they need not wait.
pub struct Fence {
    journal: Arc<dyn Journal>,
    claims: Option<Claims>,
}

/// What is needed for claims in a common vault.
#[derive(Clone)]
struct Claims {
    clock: Arc<dyn Clock>,
    /// Which journal this is, and on which host.
    id: String,
    tell: Arc<dyn Fn(&str) + Send + Sync>,
    vault: Arc<dyn Vault>,
    /// Never locked across a wait: whoever waits may be left alone with it for as long as something else goes on.
    kept: Arc<Mutex<Kept>>,
    tasks: Arc<dyn Tasks>,
    /// Held while a renewal is under way: a later one must not be overtaken by one that knows less. Only tasks hold it or queue
    /// for it, because they go on whatever else is waited for.
    one_by_one: Arc<tokio::sync::Mutex<()>>,
}

/// What is known of our own claim.
#[derive(Default)]
struct Kept {
    store: Option<Arc<ClaimStore>>,
    lease: Option<Lease>,
    held: Option<Held>,
    plans: BTreeMap<RunId, Plan>,
    /// Why the last claim or renewal has failed, if so.
    failed: Option<Fault>,
}

/// The newest claim on an installation, for whoever only wants to tell of it. Whether its owner is alive takes watching.
pub async fn newest_claim(vault: Arc<dyn Vault>, installation: &str) -> Result<Option<Claim>, Fault> {
    ClaimStore::new(vault, installation, "", "").newest(None).await
}

impl Fence {
    /// A journal without a common vault: one host excludes only itself.
    pub fn of_this_host(journal: Arc<dyn Journal>) -> Fence {
        Fence { journal, claims: None }
    }

    /// With claims in a vault that other hosts use, too. `id`: which journal this is, and on which host. `tell`: who is told
    /// of waiting.
    pub fn between_hosts(
        journal: Arc<dyn Journal>,
        vault: Arc<dyn Vault>,
        clock: Arc<dyn Clock>,
        id: impl Into<String>,
        tell: impl Fn(&str) + Send + Sync + 'static,
    ) -> Fence {
        let (id, tell) = (id.into(), Arc::new(tell));
        let (kept, one_by_one, tasks) = (Arc::default(), Arc::default(), Arc::new(RuntimeTasks));
        Fence { journal, claims: Some(Claims { clock, id, tell, vault, kept, tasks, one_by_one }) }
    }

    /// Renews in tasks of another kind than those of the runtime.
    #[must_use]
    pub fn with_tasks(mut self, tasks: Arc<dyn Tasks>) -> Fence {
        if let Some(claims) = &mut self.claims {
            claims.tasks = tasks;
        }
        self
    }

    /// The pause that an earlier claim held and that no release is known of; ours by that claim, whatever our journal knows.
    pub fn inherited(&self) -> Option<Held> {
        self.claims.as_ref()?.kept().held.clone()
    }

    /// Why the claim could not be read or taken, or does not say yet what this process knows; none where all is well.
    pub fn unclaimed(&self) -> Option<Fault> {
        self.claims.as_ref()?.kept().failed.clone()
    }

    /// The inherited pause was released. Where that cannot be told, [`Fence::unclaimed`] says why.
    pub async fn settle(&self) {
        let Some(claims) = &self.claims else { return };
        claims.kept().held = None;
        // A later renewal says it as well.
        let _ = claims.renew_soon(false).await;
    }

    /// Tells others that this process sends nothing more, so that they need not watch its claim.
    pub async fn leave(&self) {
        let Some(claims) = &self.claims else { return };
        if claims.standing().is_some_and(|standing| standing != Standing::Lost) {
            // Without it the next one watches for a minute, and that is all.
            let _ = claims.renew_soon(true).await;
        }
        claims.kept().lease = None;
    }
}

impl Claims {
    /// Gets the claim, or says whose it is.
    async fn take(&self, installation: &str, by: &str) -> Result<(), Fault> {
        let store = Arc::new(ClaimStore::new(Arc::clone(&self.vault), installation, by, &self.id));
        let mut watched: Option<Watched> = None;
        let mut races = 0;
        loop {
            let newest = store.newest(watched.as_ref().map(|w| &w.first)).await?;
            let now = self.clock.now();
            match claim::bid(newest.as_ref(), &self.id, watched.as_ref(), now) {
                Bid::Busy => return Err(busy(&store, newest.as_ref())),
                Bid::Watch(until) => {
                    if let (None, Some(first)) = (&watched, newest) {
                        self.say_watching(&first);
                        watched = Some(Watched { first, since: now });
                    }
                    self.clock.sleep_until(until.min(now + LOOK_EVERY)).await;
                }
                Bid::Take(term) => {
                    let held = newest.as_ref().and_then(|claim| claim.held.clone());
                    if store.create(term, 0, held.as_ref(), false, now).await? {
                        self.keep(store, term, held, now);
                        return self.let_the_former_see_it(newest.as_ref()).await;
                    }
                    races += 1;
                    if races >= RACES_MAX {
                        return Err(busy(&store, newest.as_ref()));
                    }
                }
            }
        }
    }

    /// From here on the claim is ours, and is renewed for as long as somebody keeps it.
    fn keep(&self, store: Arc<ClaimStore>, term: u64, held: Option<Held>, sent_at: Timestamp) {
        {
            let mut kept = self.kept();
            kept.lease = Some(Lease { term, renewal: 0, sent_at, superseded_by: None });
            (kept.held, kept.store) = (held, Some(store));
        }
        let (weak, claims) = (Arc::downgrade(&self.kept), Claims { kept: Arc::default(), ..self.clone() });
        self.tasks.spawn(Box::pin(renewing(weak, claims)));
    }

    /// Its owner may have woken up and renewed just before we created our term: then it believes in its renewal for a while,
    /// until it sees ours, and may even pause meanwhile.
    async fn let_the_former_see_it(&self, former: Option<&Claim>) -> Result<(), Fault> {
        let store = self.kept().store.clone();
        let Some(former) = former.filter(|former| !former.left && former.journal != self.id) else {
            return Ok(());
        };
        let Some(store) = store else { return Ok(()) };
        if store.read(former.term, former.renewal + 1).await?.is_none() {
            return Ok(());
        }
        self.clock.sleep_until(self.clock.now() + WATCH_FOR).await;
        let last = store.last_renewal(former).await?;
        self.kept().held = last.and_then(|claim| claim.held);
        self.renew_soon(false).await?;
        self.check_standing().await
    }

    fn say_watching(&self, claim: &Claim) {
        let seconds = WATCH_FOR.as_secs();
        (self.tell)(&format!(
            "{} is claimed by {}, last at {}: watching for {seconds} s whether it is alive; if it is not, this goes on, \
             and what it has left paused is released",
            claim.installation, claim.by, claim.at
        ));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        locked(&self.kept)
    }

    /// Tells that we are alive and what we hold, and looks whether somebody has a higher term.
    async fn renew(&self, left: bool) -> Result<(), Fault> {
        let _one_by_one = self.one_by_one.lock().await;
        self.renew_now(left).await
    }

    /// The same, unless somebody has renewed since `seen` was sent: who only wants to be sure need not do it again.
    async fn freshen(&self, seen: Timestamp) -> Result<(), Fault> {
        let _one_by_one = self.one_by_one.lock().await;
        let is_fresh = self.kept().lease.as_ref().is_some_and(|lease| lease.sent_at > seen);
        if is_fresh { Ok(()) } else { self.renew_now(false).await }
    }

    async fn renew_now(&self, left: bool) -> Result<(), Fault> {
        let (store, lease, held) = {
            let kept = self.kept();
            let (Some(store), Some(lease)) = (&kept.store, &kept.lease) else { return Ok(()) };
            (Arc::clone(store), lease.clone(), kept.held.clone())
        };
        let sent_at = self.clock.now();
        let renewal = store.renew(lease.term, lease.renewal, held.as_ref(), left, sent_at).await?;
        let higher = store.read(lease.term + 1, 0).await?;
        self.kept().failed = None;
        if let Some(lease) = self.kept().lease.as_mut().filter(|kept| kept.term == lease.term) {
            lease.renewal = lease.renewal.max(renewal);
            lease.sent_at = lease.sent_at.max(sent_at);
            lease.superseded_by = higher.map(|claim| claim.by).or(lease.superseded_by.take());
        }
        Ok(())
    }

    /// Renews where somebody waits for it.
    async fn renew_soon(&self, left: bool) -> Result<(), Fault> {
        let claims = self.clone();
        self.in_a_task(self.clock.now() + RENEW_WITHIN, async move { claims.renew(left).await }).await
    }

    async fn freshen_until(&self, seen: Timestamp, until: Timestamp) -> Result<(), Fault> {
        let claims = self.clone();
        self.in_a_task(until, async move { claims.freshen(seen).await }).await
    }

    /// Goes on although whoever waits for it may be busy with something else, such as an append that needs the same lock. Its time
    /// is limited in there, too; given up, it ends.
    async fn in_a_task(
        &self,
        until: Timestamp,
        renewing: impl Future<Output = Result<(), Fault>> + Send + 'static,
    ) -> Result<(), Fault> {
        let (clock, place) = (Arc::clone(&self.clock), self.vault.place());
        let within = until.duration_since(clock.now());
        let failed = move |answer: String| Fault::new(FaultKind::Unreachable, RENEWING, place, answer);
        let broken_off = failed.clone();
        let renewed = beside(&*self.tasks, async move {
            tokio::select! {
                biased;
                renewed = renewing => renewed,
                () = clock.sleep_until(until) => Err(failed(format!("no end within {within:#}"))),
            }
        });
        let renewed = renewed.await.unwrap_or_else(|| Err(broken_off("the renewal was broken off".into())));
        renewed.inspect_err(|fault| self.kept().failed = Some(fault.clone()))
    }

    /// Returns when nothing more may be taken on: somebody has taken over, or nobody can tell when the lease ends. The renewals
    /// in the background keep it from ending; when they have failed for long enough it is looked at closely.
    async fn standing_lost(&self) -> Fault {
        let mut failed: Option<Fault> = None;
        loop {
            let Some(lease) = self.kept().lease.clone() else {
                return std::future::pending().await;
            };
            let (now, ends) = (self.clock.now(), lease.good_until());
            let until = match (lease.standing(now), failed.take()) {
                (Standing::Lost, _) => return superseded(&self.vault, &lease),
                (Standing::Stale, Some(fault)) => return unsure(fault),
                (Standing::Sure, _) if now < ends - RENEW_WITHIN => {
                    self.clock.sleep_until(ends - RENEW_WITHIN).await;
                    continue;
                }
                (Standing::Sure, _) => ends,
                // After a standstill: nothing was tried meanwhile.
                (Standing::Stale, None) => now + RENEW_WITHIN,
            };
            failed = self.freshen_until(lease.sent_at, until).await.err();
            let again = self.clock.now() + RENEW_AGAIN;
            self.clock.sleep_until(if failed.is_some() { again.min(until) } else { again }).await;
        }
    }

    /// Whether the run may go on, renewed first if that is due.
    async fn check_standing(&self) -> Result<(), Fault> {
        let seen = self.kept().lease.as_ref().map(|lease| lease.sent_at);
        if let (Some(Standing::Stale), Some(seen)) = (self.standing(), seen) {
            self.freshen_until(seen, self.clock.now() + RENEW_WITHIN).await?;
        }
        let kept = self.kept();
        match &kept.lease {
            Some(lease) if lease.superseded_by.is_some() => Err(superseded(&self.vault, lease)),
            _ => Ok(()),
        }
    }

    fn standing(&self) -> Option<Standing> {
        self.kept().lease.as_ref().map(|lease| lease.standing(self.clock.now()))
    }

    /// What must be true before these events are journalled.
    async fn before(&self, journal: &dyn Journal, run: &RunId, events: &[Event]) -> Result<(), Fault> {
        if let Some(held) = self.new_hold(journal, run, events).await? {
            self.tell_hold(held).await?;
        }
        self.check_standing().await
    }

    /// Nothing is paused before other hosts can know of it.
    async fn tell_hold(&self, held: Held) -> Result<(), Fault> {
        if self.standing().is_none() {
            let answer = "the installation could not be claimed, so exporting is not paused";
            return Err(Fault::new(FaultKind::Unreachable, CLAIMING, self.vault.place(), answer)
                .with_hint("see to the vault, then start again"));
        }
        let former = self.kept().held.replace(held);
        let told = self.renew_soon(false).await;
        if told.is_err() {
            self.kept().held = former;
        }
        told
    }

    /// The hold in these events that no renewal has told of yet.
    async fn new_hold(
        &self,
        journal: &dyn Journal,
        run: &RunId,
        events: &[Event],
    ) -> Result<Option<Held>, Fault> {
        self.know(journal, run, events).await?;
        let kept = self.kept();
        let plan = kept.plans.get(run);
        Ok(plan.and_then(|plan| claim::to_tell(run, plan, events, kept.held.as_ref())))
    }

    /// Learns a run's plan when it is first seen, and a hold that an earlier process of this host left.
    async fn know(&self, journal: &dyn Journal, run: &RunId, events: &[Event]) -> Result<(), Fault> {
        if let Some(Event::Opened { plan, .. }) = events.first() {
            self.kept().plans.insert(run.clone(), plan.clone());
        }
        if self.kept().plans.contains_key(run) {
            return Ok(());
        }
        if let Some((loaded, _)) = open_runs::load(journal, run).await? {
            let mut kept = self.kept();
            if let Some(held) = claim::held_by(&loaded) {
                kept.held = Some(held);
            }
            kept.plans.insert(run.clone(), loaded.plan().clone());
        }
        Ok(())
    }

    /// A run that is closed holds nothing.
    fn after(&self, run: &RunId, events: &[Event]) {
        if events.iter().any(|event| matches!(event, Event::Closed { .. })) {
            let mut kept = self.kept();
            if kept.held.as_ref().is_some_and(|held| held.run == *run) {
                kept.held = None;
            }
        }
    }
}

/// Nobody leaves it half changed.
fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews for as long as somebody keeps the claim.
async fn renewing(kept: Weak<Mutex<Kept>>, claims: Claims) {
    let mut due = claims.clock.now() + claim::RENEW_EVERY;
    loop {
        claims.clock.sleep_until(due).await;
        let Some(kept) = kept.upgrade() else { return };
        let lease = locked(&kept).lease.clone();
        let claims = Claims { kept, ..claims.clone() };
        let now = claims.clock.now();
        due = match lease {
            Some(lease) if lease.superseded_by.is_some() => return,
            Some(lease) if lease.renewal_due() > now => lease.renewal_due(),
            Some(_) => match claims.renew(false).await {
                Ok(()) => now + claim::RENEW_EVERY,
                Err(_) => now + RENEW_AGAIN,
            },
            None => return,
        };
    }
}

#[async_trait]
impl Journal for Fence {
    async fn claim(&self, installation: &str, by: &str) -> Result<Term, Fault> {
        let claimed = self.journal.claim(installation, by).await;
        let term = match claimed {
            Err(fault) if fault.kind == FaultKind::Locked => {
                return Err(told_of_run(fault, &*self.journal, installation).await);
            }
            claimed => claimed?,
        };
        let Some(claims) = &self.claims else { return Ok(term) };
        match claims.take(installation, by).await {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::Locked => return Err(fault),
            // What that means depends on what it is claimed for: [`Fence::unclaimed`] says it.
            Err(fault) => {
                let mut kept = claims.kept();
                (kept.lease, kept.failed) = (None, Some(fault));
            }
        }
        Ok(term)
    }

    async fn append(&self, run: &RunId, seq: u64, term: Term, events: &[Event]) -> Result<(), Fault> {
        let Some(claims) = &self.claims else { return self.journal.append(run, seq, term, events).await };
        claims.before(&*self.journal, run, events).await?;
        self.journal.append(run, seq, term, events).await?;
        claims.after(run, events);
        Ok(())
    }

    async fn standing_lost(&self) -> Fault {
        match &self.claims {
            Some(claims) => claims.standing_lost().await,
            None => self.journal.standing_lost().await,
        }
    }

    async fn superseded(&self) -> Option<Fault> {
        let claims = self.claims.as_ref()?;
        let kept = claims.kept();
        kept.lease
            .as_ref()
            .filter(|lease| lease.superseded_by.is_some())
            .map(|l| superseded(&claims.vault, l))
    }

    async fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault> {
        self.journal.events(run).await
    }

    async fn runs(&self, installation: &str, limit: u32) -> Result<Vec<RunRow>, Fault> {
        self.journal.runs(installation, limit).await
    }

    async fn installations(&self) -> Result<Vec<String>, Fault> {
        self.journal.installations().await
    }

    async fn holder(&self, installation: &str) -> Result<Option<String>, Fault> {
        self.journal.holder(installation).await
    }
}

impl std::fmt::Debug for Fence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fence").field("between_hosts", &self.claims.is_some()).finish_non_exhaustive()
    }
}
