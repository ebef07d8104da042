//! The loop: ask the run what comes next, journal the intent durably, perform it, journal the answer.
//!
//! It holds nothing that the journal lacks, except what is in flight. It never acts on an intent that is not durable,
//! with one exception that the hold's own intent covers: when the journal cannot be written in time while exporting is
//! paused, the release is sent all the same (`without_journal`).

pub(crate) mod limits;
mod unreleased;
mod without_journal;

use std::collections::BTreeMap;
use std::sync::Arc;

use c8keep_core::disk::Disk;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::{Kind, Step, StepName};
use c8keep_core::run::{Answer, Event, InFlight, Next, Order, Outcome, Run, StepState, StopReason};
use futures::future::{AbortHandle, Aborted, BoxFuture, FutureExt, abortable};
use futures::stream::{FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

pub use self::limits::END_AFTER_SIGNAL;
use self::limits::time_is_up;
pub use self::unreleased::Unreleased;
use crate::never_behind::never_behind;
use crate::perform::perform;
use crate::ports::Term;
use crate::progress::Reporter;
use crate::{World, disk};

/// How often progress is journalled at most: seldom enough to cost nothing. A short stall time needs it more often, because
/// what is not journalled has not moved.
const NOTE_EVERY: SignedDuration = SignedDuration::from_secs(2);

fn note_every(stall: SignedDuration) -> SignedDuration {
    NOTE_EVERY.min(stall / 4)
}

/// Drives one run to its end.
pub struct Driver<'a> {
    world: Arc<World>,
    reporter: &'a dyn Reporter,
    /// Turns true when the process is asked to stop.
    stop: watch::Receiver<bool>,
    /// Ends the one wait that has no limit.
    release_wait: Option<SignedDuration>,
    /// The run with all that has happened: what is decided upon.
    run: Run,
    /// What has happened and is not in the journal yet. Nothing is sent before it is.
    fresh: Vec<Event>,
    /// The run as the journal holds it: what is told, and what counts when the journal fails.
    journalled: Arc<Run>,
    seq: u64,
    term: Term,
    in_flight: InFlight,
    performances: FuturesUnordered<BoxFuture<'static, Result<(Order, Answer), Aborted>>>,
    aborts: BTreeMap<StepName, AbortHandle>,
    /// When the release became due in this process, for `release_wait`.
    releasing_since: Option<Timestamp>,
    /// Why the journal takes nothing more, if so.
    lost: Option<Fault>,
    disks: disk::Watch,
    /// Becomes the reason why nothing more may be taken on, in time before anybody else may act.
    standing: Option<BoxFuture<'static, Fault>>,
}

/// How driving ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Driven {
    /// The run as it stands.
    pub run: Run,
    /// How it ended.
    pub end: End,
    /// What kept the release from being confirmed, where it is not.
    pub unreleased: Option<Unreleased>,
}

/// How driving ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// The run is closed.
    Closed(Outcome),
    /// The release was not confirmed in the time allowed; the run stays open and the next start goes on.
    ReleasePending,
    /// Asked to stop, and something under way did not end in the time allowed. Exporting is not paused by this run; it stays
    /// open and the next start goes on.
    LeftOpen,
    /// Another process has taken the installation over; this one has sent nothing more.
    Superseded(Fault),
    /// The journal takes nothing more. The run stays open; past its pivot the manifest may be there or not.
    JournalLost {
        /// What the journal said.
        fault: Fault,
        /// Whether this run's pause is confirmed to be lifted, or never was made.
        released: bool,
    },
}

/// What a driver needs to know besides the world.
pub struct Options<'a> {
    /// Who is told.
    pub reporter: &'a dyn Reporter,
    /// Turns true when the process is asked to stop.
    pub stop: watch::Receiver<bool>,
    /// How long the release may be tried; `None` for ever.
    pub release_wait: Option<SignedDuration>,
}

impl std::fmt::Debug for Options<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("release_wait", &self.release_wait).finish_non_exhaustive()
    }
}

/// Drives a run whose last journalled event has the number `seq`.
pub async fn drive(world: Arc<World>, run: Run, seq: u64, term: Term, options: Options<'_>) -> Driven {
    let clock = never_behind(&world.clock, run.last_at());
    let driver = Driver {
        world: Arc::new(World { clock, ..World::clone(&world) }),
        reporter: options.reporter,
        stop: options.stop,
        release_wait: options.release_wait,
        journalled: Arc::new(run.clone()),
        run,
        fresh: Vec::new(),
        seq,
        term,
        in_flight: InFlight::default(),
        performances: FuturesUnordered::new(),
        aborts: BTreeMap::new(),
        releasing_since: None,
        lost: None,
        disks: disk::Watch::default(),
        standing: None,
    };
    if seq == 1 {
        driver.reporter.event(&driver.journalled, &driver.run.opening());
    }
    driver.until_it_ends().await
}

impl Driver<'_> {
    /// Whatever is under way, a process that was asked to stop ends in time; what it leaves is read back by the next start.
    async fn until_it_ends(mut self) -> Driven {
        let time_is_up = time_is_up(self.stop.clone(), Arc::clone(&self.world.clock));
        let end = tokio::select! {
            biased;
            end = self.go_on() => end,
            () = time_is_up => self.left(),
        };
        let unreleased = self.unreleased(&end);
        Driven { run: Arc::unwrap_or_clone(self.journalled), end, unreleased }
    }

    async fn go_on(&mut self) -> End {
        loop {
            match self.step().await {
                Ok(None) => {}
                Ok(Some(end)) => return end,
                // A resume has no owner: ours would open the window of whoever has taken over.
                Err(fault) if fault.kind == FaultKind::Locked => return End::Superseded(fault),
                Err(fault) => return self.release_without_journal(fault).await,
            }
        }
    }

    /// How it ends where time is up. Only what is durable counts: the next start knows no more.
    fn left(&mut self) -> End {
        match self.lost.take() {
            Some(fault) => End::JournalLost { fault, released: !self.still_holds() },
            None if self.journalled.hold().is_open() => End::ReleasePending,
            None => End::LeftOpen,
        }
    }

    /// One turn of the loop; `Err` is a journal that cannot be written.
    async fn step(&mut self) -> Result<Option<End>, Fault> {
        if *self.stop.borrow() && self.run.stopping().is_none() && !self.is_ending_well() {
            let at = self.now();
            self.note(Event::StopAsked { reason: StopReason::Signal, at });
        }
        self.abort_what_leaves_nothing();
        let now = self.now();
        let watched = self.run.hold().is_open() && !self.run.is_winding_down() && !self.run.is_past_pivot();
        self.disks.follow(&self.world, watched, now);
        match self.run.next(now, &self.in_flight) {
            Next::Start(orders) => self.start(orders).await?,
            Next::Expire { step, fault } => {
                let attempt = attempt_of(self.run.state(&step));
                self.note(Event::Answered { step, attempt, answer: fault.into(), at: now });
            }
            Next::Stop(reason) => self.note(Event::StopAsked { reason, at: now }),
            Next::Close(outcome) => {
                self.note(Event::Closed { outcome: outcome.clone(), at: now });
                self.make_durable().await?;
                return Ok(Some(End::Closed(outcome)));
            }
            Next::Wait { until } => {
                self.make_durable().await?;
                return self.wait(until).await;
            }
        }
        Ok(None)
    }

    /// A run whose manifest is on its way only goes forward; a signal then changes nothing but the patience.
    fn is_ending_well(&self) -> bool {
        self.run.is_past_pivot()
    }

    /// Performs what is ordered, after all intents have become durable together.
    async fn start(&mut self, orders: Vec<Order>) -> Result<(), Fault> {
        let at = self.now();
        for order in orders.iter().filter(|order| !order.looks_only) {
            self.note(Event::Intended { step: order.step.clone(), attempt: order.attempt, at });
        }
        self.make_durable().await?;
        for order in orders {
            self.perform(order, Arc::clone(&self.journalled));
        }
        Ok(())
    }

    fn perform(&mut self, order: Order, run: Arc<Run>) {
        let step = order.step.clone();
        let world = Arc::clone(&self.world);
        let (performance, abort) = abortable(async move {
            let answer = perform(&world, &run, &order).await;
            (order, answer)
        });
        self.in_flight.performing.insert(step.clone());
        self.aborts.insert(step, abort);
        self.performances.push(Box::pin(performance));
    }

    /// Waits for an answer, the next due instant, a signal, the end of our patience with the release, or of our standing: in a
    /// wait in which nothing moves nothing is journalled, and nobody else would notice.
    async fn wait(&mut self, until: Option<Timestamp>) -> Result<Option<End>, Fault> {
        let patience = self.patience_ends();
        if patience.is_some_and(|ends| ends <= self.now()) {
            return Ok(Some(End::ReleasePending));
        }
        let wake = [until, patience, self.disks.due()].into_iter().flatten().min();
        let sleep = self.sleep_until(wake);
        // Asked to stop while something was being written down.
        if *self.stop.borrow() && self.run.stopping().is_none() && !self.is_ending_well() {
            return Ok(None);
        }
        let holds = self.run.hold().is_open();
        let journal = Arc::clone(&self.world.journal);
        let standing =
            self.standing.get_or_insert_with(|| Box::pin(async move { journal.standing_lost().await }));
        let mut stop = self.stop.clone();
        let stopped = async {
            if *stop.borrow_and_update() {
                std::future::pending::<()>().await;
            }
            if stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => {}
            Some(ended) = self.performances.next() => self.answered(ended),
            // What is not paused can wait for the vault: the next intent asks.
            fault = standing, if holds => return Err(fault),
            disk = self.disks.scarce() => self.spare(disk),
            () = sleep => {}
        }
        // What has answered in the meantime becomes durable together.
        while let Some(Some(ended)) = self.performances.next().now_or_never() {
            self.answered(ended);
        }
        Ok(None)
    }

    /// What is left on a broker's disk belongs to the broker: the window ends.
    fn spare(&mut self, disk: Option<Disk>) {
        if let Some(disk) = disk {
            tracing::warn!(broker = %disk.address, "{disk}");
            let at = self.now();
            self.note(Event::StopAsked { reason: StopReason::DiskSpace, at });
        }
    }

    /// When the release has been tried for long enough in this process: `release_wait` counts from its beginning.
    fn patience_ends(&mut self) -> Option<Timestamp> {
        if !self.run.hold().is_open() || !self.run.is_winding_down() && !self.release_has_begun() {
            return None;
        }
        let now = self.now();
        let since = *self.releasing_since.get_or_insert(now);
        self.release_wait.map(|wait| since + wait)
    }

    fn release_has_begun(&self) -> bool {
        self.run.plan().release().is_some_and(|step| self.run.state(&step.name).since().is_some())
    }

    fn answered(&mut self, ended: Result<(Order, Answer), Aborted>) {
        let Ok((order, answer)) = ended else { return };
        let Order { step, attempt, .. } = order;
        self.in_flight.performing.remove(&step);
        self.aborts.remove(&step);
        let at = self.now();
        if let Answer::Pending { mark } = &answer {
            self.in_flight.asked.insert(step.clone(), at);
            self.reporter.waiting(&self.journalled, &step, mark);
            if let StepState::Pending { mark: former, moved_at, .. } = self.run.state(&step) {
                let every =
                    self.run.plan().step(&step).map_or(NOTE_EVERY, |step| note_every(step.limits.stall));
                let is_news = mark.shows_progress_since(former) && at.duration_since(*moved_at) >= every;
                if is_news {
                    self.note(Event::Noted { step, mark: mark.clone(), at });
                }
                return;
            }
        }
        self.note(Event::Answered { step, attempt, answer, at });
    }

    /// Once the run winds down, nobody waits for what no longer matters: a look at something, or a dump.
    fn abort_what_leaves_nothing(&mut self) {
        if !self.run.is_winding_down() || self.run.is_past_pivot() {
            return;
        }
        self.abort(|step| step.kind == Kind::Probe || step.action.is_beside_window());
    }

    fn abort(&mut self, doomed: impl Fn(&Step) -> bool) {
        let of = |step: &StepName| self.run.plan().step(step).is_some_and(&doomed);
        let steps: Vec<StepName> = self.in_flight.performing.iter().filter(|s| of(s)).cloned().collect();
        for step in steps {
            if let Some(abort) = self.aborts.remove(&step) {
                abort.abort();
            }
            self.in_flight.performing.remove(&step);
        }
    }

    /// Takes an event into account; [`Driver::make_durable`] writes it down, if anything can be written.
    fn note(&mut self, event: Event) {
        apply(&mut self.run, &event);
        if self.lost.is_none() {
            self.fresh.push(event);
        }
    }

    /// Writes what is fresh into the journal, in one transaction, and tells of it.
    async fn make_durable(&mut self) -> Result<(), Fault> {
        if self.fresh.is_empty() {
            return Ok(());
        }
        self.append().await?;
        for event in self.fresh.drain(..) {
            self.seq += 1;
            apply(Arc::make_mut(&mut self.journalled), &event);
            self.reporter.event(&self.journalled, &event);
        }
        Ok(())
    }

    /// Sleeps until an instant, or for ever.
    fn sleep_until(&self, instant: Option<Timestamp>) -> impl Future<Output = ()> + use<> {
        let clock = Arc::clone(&self.world.clock);
        async move {
            match instant {
                Some(instant) => clock.sleep_until(instant).await,
                None => std::future::pending().await,
            }
        }
    }

    /// Time never runs behind what is journalled.
    fn now(&self) -> Timestamp {
        self.world.clock.now().max(self.run.last_at())
    }
}

impl std::fmt::Debug for Driver<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("run", self.run.id()).finish_non_exhaustive()
    }
}

fn apply(run: &mut Run, event: &Event) {
    if let Err(illegal) = run.apply(event) {
        unreachable!("the engine journals only events that can follow: {illegal}");
    }
}

fn attempt_of(state: &StepState) -> u32 {
    match state {
        StepState::Performing { attempt, .. }
        | StepState::Pending { attempt, .. }
        | StepState::Retrying { attempt, .. } => *attempt,
        StepState::Waiting | StepState::Done { .. } | StepState::Failed { .. } => 1,
    }
}
