//! A process's place in the night: the ports over which the production engine and adapters touch the simulated world.
//!
//! Every touch is an event before and after: there a process may die, and then nothing of it ever runs again.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_adapters::transport::{Request, Response, Transport, TransportError};
use c8keep_adapters::vault::sha256_hex;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::{Answer, Event, RunId};
use c8keep_engine::ports::{Clock, Journal, RunRow, Tasks, Term, Vault};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::coverage;
use crate::ledger::refused;
use crate::mutants::{Knows, Mutant};
use crate::night::{Due, Life, Night, Process, Spawned};
use crate::weather::What;

/// One process's way to the night.
#[derive(Clone)]
pub struct Seat {
    night: Arc<Mutex<Night>>,
    me: usize,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat").field("me", &self.me).finish_non_exhaustive()
    }
}

impl Seat {
    pub(crate) fn new(night: Arc<Mutex<Night>>, me: usize) -> Seat {
        Seat { night, me }
    }

    pub(crate) fn night(&self) -> MutexGuard<'_, Night> {
        lock(&self.night)
    }

    pub(crate) fn me(&self) -> usize {
        self.me
    }

    /// An event of this process; it returns if the process outlives it.
    pub(crate) fn host(&self) -> usize {
        self.night().processes[self.me].host
    }

    async fn event(&self, what: &str, detail: &str) {
        self.alive().await;
        self.night().event(self.me, what, detail);
        self.alive().await;
    }

    /// Returns when the process is alive: at once, after a thaw, or never.
    async fn alive(&self) {
        poll_fn(|context| {
            let mut night = self.night();
            let process = &mut night.processes[self.me];
            match process.life {
                Life::Alive => Poll::Ready(()),
                Life::Frozen => {
                    process.waiting.push(context.waker().clone());
                    Poll::Pending
                }
                Life::Dead | Life::Ended => Poll::Pending,
            }
        })
        .await;
    }
}

impl Seat {
    fn reaches_vault(&self) -> Result<(), Fault> {
        let host = self.host();
        let mut night = self.night();
        if night.weather.vault_is_lost_to != Some(host) {
            return Ok(());
        }
        night.sometimes("the vault was lost to one host");
        Err(Fault { kind: FaultKind::Unreachable, ..vault_fault("no route to host") }.with_retry())
    }

    /// Whoever gives up waiting finds the journal closed, as the real one is.
    async fn hang(&self) {
        if !self.night().begins_to_hang(self.me) {
            return;
        }
        while !self.night().weather.healed {
            let until = self.night().now + HANGS_FOR;
            sleep(self, until).await;
        }
        self.night().processes[self.me].journal_is_poisoned = false;
    }
}

/// How often a hanging append is looked at.
const HANGS_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Nobody holds the lock while it panics but a test that has failed already.
pub(crate) fn lock(night: &Mutex<Night>) -> MutexGuard<'_, Night> {
    night.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until an instant of the night, or for nobody any more.
struct Sleep<'a> {
    seat: &'a Seat,
    until: Timestamp,
    planned: Option<(Timestamp, u64)>,
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.planned {
            self.seat.night().unplan(key);
        }
    }
}

async fn sleep(seat: &Seat, until: Timestamp) {
    let mut sleep = Sleep { seat, until, planned: None };
    poll_fn(move |context| {
        let mut night = sleep.seat.night();
        if let Some(key) = sleep.planned.take() {
            night.unplan(key);
        }
        if night.now >= sleep.until {
            return Poll::Ready(());
        }
        sleep.planned = Some(night.plan(sleep.until, Due::Wake(context.waker().clone())));
        Poll::Pending
    })
    .await;
}

#[async_trait]
impl Clock for Seat {
    fn now(&self) -> Timestamp {
        let night = self.night();
        night.now + night.processes[self.me].clock_off
    }

    async fn sleep_until(&self, instant: Timestamp) {
        let until = instant - self.night().processes[self.me].clock_off;
        sleep(self, until).await;
    }
}

/// A request whose sender may stop listening.
struct Listening<'a> {
    seat: &'a Seat,
    number: u64,
}

impl Drop for Listening<'_> {
    fn drop(&mut self) {
        let mut night = self.seat.night();
        if let Some(exchange) = night.exchanges.get_mut(&self.number) {
            exchange.dropped = true;
            exchange.waker = None;
        }
    }
}

#[async_trait]
impl Transport for Seat {
    async fn send(&self, mut request: Request) -> Result<Response, TransportError> {
        let mutant = self.night().setting.mutant;
        let Some(mutant) = mutant else { return self.exchange(request).await };
        let knows = self.night().known_to(self.me);
        if request.url.ends_with("/exporting/resume") {
            self.night().memory.resuming.insert(self.me);
        }
        if let Some(answer) = mutant.before(&mut request, knows) {
            return Ok(answer);
        }
        let answer = self.exchange(request.clone()).await;
        mutant.after(&request, knows, answer)
    }

    async fn wait(&self, pause: Duration) {
        let until = self.night().now + SignedDuration::try_from(pause).unwrap_or(SignedDuration::ZERO);
        sleep(self, until).await;
    }
}

impl Tasks for Seat {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.night().processes[self.me].spawned.push(Spawned(task));
    }
}

impl Seat {
    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let target = request.describe();
        self.event("sends", &target).await;
        let number = self.night().sent(self.me, request);
        let listening = Listening { seat: self, number };
        let answer = poll_fn(|context| {
            let mut night = self.night();
            let Some(exchange) = night.exchanges.get_mut(&number) else { return Poll::Pending };
            if let Some(answer) = exchange.answer.take() {
                return Poll::Ready(answer);
            }
            exchange.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
        drop(listening);
        self.alive().await;
        let mut status = [0; 3];
        let told = match &answer {
            Ok(response) => digits(response.status, &mut status),
            Err(error) => error.cause.as_str(),
        };
        self.event("hears", told).await;
        answer
    }
}

fn digits(status: u16, into: &mut [u8; 3]) -> &str {
    for (place, power) in [(0, 100), (1, 10), (2, 1)] {
        into[place] = b'0' + u8::try_from(status / power % 10).unwrap_or(0);
    }
    std::str::from_utf8(into).unwrap_or_default()
}

#[async_trait]
impl Journal for Seat {
    async fn claim(&self, installation: &str, by: &str) -> Result<Term, Fault> {
        self.event("claims", installation).await;
        let mut night = self.night();
        if night.weather.journal_is_lost {
            return Err(refused("no space left on device"));
        }
        let unseen = night.weather.lock_is_unseen;
        let host = night.processes[self.me].host;
        let holds = |process: &Process| process.holds_lock && process.host == host;
        let holder = night.processes.iter().position(holds);
        if let Some(holder) = holder.filter(|holder| *holder != self.me && !unseen) {
            night.sometimes("a second process was refused");
            let answer = format!("process-{holder} is at work");
            return Err(Fault { kind: FaultKind::Locked, ..refused(&answer) });
        }
        if holder.is_some_and(|holder| holder != self.me) {
            night.sometimes("two processes at once");
        }
        let me = self.me;
        night.processes[me].holds_lock = true;
        let term = night.journal.claim(host);
        night.trace.explain(Timestamp::UNIX_EPOCH, || format!("{by} has term {}", term.0));
        Ok(term)
    }

    async fn append(&self, run: &RunId, seq: u64, term: Term, events: &[Event]) -> Result<(), Fault> {
        let names: Vec<&str> = events.iter().map(Event::name).collect();
        let detail = if names.len() == 1 { names[0].to_owned() } else { names.join(",") };
        self.event("appends", &detail).await;
        self.hang().await;
        let done = self.night().appended(self.me, run, seq, term, events);
        self.event("has appended", if done.is_ok() { "well" } else { "badly" }).await;
        done
    }

    async fn events(&self, run: &RunId) -> Result<Vec<Event>, Fault> {
        self.alive().await;
        let host = self.host();
        self.night().journal.events(host, run)
    }

    async fn runs(&self, installation: &str, limit: u32) -> Result<Vec<RunRow>, Fault> {
        self.alive().await;
        let host = self.host();
        Ok(self.night().journal.rows(host, installation, limit))
    }

    async fn holder(&self, _: &str) -> Result<Option<String>, Fault> {
        let host = self.host();
        let holds = |process: &Process| process.holds_lock && process.host == host;
        let holder = self.night().processes.iter().position(holds);
        Ok(holder.map(|holder| format!("process-{holder}")))
    }
}

impl Night {
    fn known_to(&self, me: usize) -> Knows {
        let own = self.journal.books.iter().rev().find(|book| book.driver == me);
        Knows {
            paused: self.memory.pausing.contains(&me),
            resumed: self.memory.resuming.contains(&me),
            failed: own.is_some_and(|book| book.run.first_failure().is_some()),
        }
    }

    fn appended(
        &mut self,
        me: usize,
        run: &RunId,
        seq: u64,
        term: Term,
        events: &[Event],
    ) -> Result<(), Fault> {
        if self.processes[me].journal_is_poisoned {
            return Err(refused("an earlier write failed, so nothing more is taken"));
        }
        let mutant = self.setting.mutant;
        if mutant == Some(Mutant::IntentAfterEffect) {
            return self.keeps_back(me, run, seq, term, events);
        }
        let armed = |what: &What| match what {
            What::JournalFails => Some(false),
            What::JournalTakesAndFails => Some(true),
            _ => None,
        };
        let fails = if self.weather.journal_is_lost { Some(false) } else { self.take_armed(armed) };
        let Some(takes) = fails else {
            let done = self.journal.append((self.processes[me].host, me), run, seq, term, events, true);
            match &done {
                Ok(()) => self.has_appended(me, run, events),
                Err(fault) if fault.kind == FaultKind::Locked => self.memory.superseded.push(me),
                Err(fault) => self.violated("S8", format!("an append cannot follow: {fault}")),
            }
            return done;
        };
        if mutant == Some(Mutant::FailedAppendIsDurable) {
            return Ok(());
        }
        self.loses_journal(me);
        if takes {
            self.sometimes("an append that failed is there all the same");
            self.journal.append((self.processes[me].host, me), run, seq, term, events, false)?;
        }
        Err(refused("input/output error").with_unknown_effect())
    }

    /// An append that does not return begins here, if one is due.
    fn begins_to_hang(&mut self, me: usize) -> bool {
        if self.processes[me].journal_is_poisoned {
            return false;
        }
        let hangs = self.take_armed(|what| (*what == What::JournalHangs).then_some(())).is_some();
        if hangs {
            self.sometimes("an append did not return");
            self.loses_journal(me);
        }
        hangs
    }

    /// Who cannot write the journal may release its own pause, though another one may have done so meanwhile.
    fn loses_journal(&mut self, me: usize) {
        self.processes[me].journal_is_poisoned = true;
        let host = self.processes[me].host;
        let mut books = self.journal.books.iter().filter(|book| book.host == host && book.driver == me);
        if books.any(|book| book.run.hold().is_open()) || self.memory.pausing.contains(&me) {
            self.sometimes("the journal failed in the window");
            self.memory.without_journal.insert(me);
        }
    }

    /// The mutant's journal: the intents at the end are written with what comes after them.
    fn keeps_back(
        &mut self,
        me: usize,
        run: &RunId,
        seq: u64,
        term: Term,
        events: &[Event],
    ) -> Result<(), Fault> {
        let mut all = std::mem::take(&mut self.processes[me].unwritten);
        let first = seq - all.len() as u64;
        all.extend_from_slice(events);
        let is_intent = |event: &&Event| matches!(event, Event::Intended { .. });
        let late = all.iter().rev().take_while(is_intent).count();
        self.processes[me].unwritten = all.split_off(all.len() - late);
        if all.is_empty() {
            Ok(())
        } else {
            self.journal.append((self.processes[me].host, me), run, first, term, &all, true)
        }
    }

    fn has_appended(&mut self, me: usize, run: &RunId, events: &[Event]) {
        let looks = |event: &Event| matches!(event, Event::Intended { step, .. } if step.0.starts_with("check-exporting"));
        if events.iter().any(looks) {
            self.memory.foreign_at_look =
                self.weather.foreign_pause && !self.world.paused_replicas().is_empty();
        }
        for event in events {
            if let Event::Answered { step, answer: Answer::Fault { fault, .. }, .. } = event {
                coverage::of_fault(self, me, run, step, fault);
            }
        }
        if self.opened_at.is_none() {
            self.opened_at = Some(self.events);
        }
        if !self.trace_is_told() {
            return;
        }
        for event in events {
            let line = match event {
                Event::Opened { run, .. } => format!("    opened {run}"),
                Event::Intended { step, attempt, .. } => format!("    intended {step} ({attempt})"),
                Event::Answered { step, answer, .. } => format!("    answered {step}: {}", brief(answer)),
                other => format!("    {other:?}"),
            };
            self.trace.explain(self.now, || line);
        }
    }

    pub(crate) fn trace_is_told(&self) -> bool {
        self.trace.has_lines()
    }
}

fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Done { .. } => "done".into(),
        Answer::Pending { mark } => format!("pending, {}", mark.says),
        Answer::Fault { fault, .. } => format!("{:?} {fault}", fault.kind),
    }
}

#[async_trait]
impl Vault for Seat {
    fn place(&self) -> String {
        "the simulated vault".into()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        self.event("keeps", path).await;
        self.reaches_vault()?;
        let done = self.night().kept(self.me, path, bytes);
        self.event("has kept", if done.is_ok() { "well" } else { "badly" }).await;
        done
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        Ok(self.night().vault.get(path).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        self.alive().await;
        self.reaches_vault()?;
        Ok(self.night().vault.keys().filter(|path| path.starts_with(prefix)).cloned().collect())
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        self.alive().await;
        self.reaches_vault()?;
        let full = self.night().weather.vault_is_full;
        if full { Err(vault_fault("no space left on device").with_retry()) } else { Ok(()) }
    }
}

impl Night {
    fn kept(&mut self, me: usize, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        let fails = self.take_armed(|what| match what {
            What::VaultFails => Some(false),
            What::VaultTakesAndFails => Some(true),
            _ => None,
        });
        if (self.weather.vault_is_full || fails == Some(false))
            && self.setting.mutant == Some(Mutant::VaultFailureIgnored)
        {
            return Ok(sha256_hex(bytes));
        }
        if self.weather.vault_is_full || fails == Some(false) {
            self.sometimes("the vault failed");
            return Err(vault_fault("no space left on device").with_retry());
        }
        match self.vault.get(path) {
            Some(there) if there == bytes => {}
            Some(_) => {
                self.sometimes("the vault has another object there");
                return Err(Fault { kind: FaultKind::Refused, ..vault_fault("other bytes are there") });
            }
            None => {
                self.vault.insert(path.to_owned(), bytes.to_vec());
                self.claimed(me, path);
            }
        }
        if fails == Some(true) {
            self.sometimes("a write that failed is in the vault all the same");
            return Err(vault_fault("input/output error").with_retry().with_unknown_effect());
        }
        Ok(sha256_hex(bytes))
    }
}

fn vault_fault(answer: &str) -> Fault {
    Fault::new(FaultKind::Storage, "writing into the vault", "the simulated vault", answer)
}
