//! The journal of the night: one book for each host, whose lock, terms and appends are those of the real one, and which
//! fails, hangs and gets lost.

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::{Answer, Event, RunId};
use c8keep_engine::ports::{Journal, RunRow, Term};
use jiff::{SignedDuration, Timestamp};

use super::{Seat, sleep};
use crate::coverage;
use crate::ledger::refused;
use crate::mutants::{Knows, Mutant};
use crate::night::{Night, Process};
use crate::weather::What;

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

impl Seat {
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

impl Night {
    pub(super) fn known_to(&self, me: usize) -> Knows {
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
            match event {
                Event::Answered { step, answer: Answer::Fault { fault, .. }, .. } => {
                    coverage::of_fault(self, me, run, step, fault);
                }
                Event::Opened { .. } | Event::Adopted { .. } => self.looked_for_ids(me, run),
                Event::Answered { step, .. } if step.0 == "check-id" => self.looked_for_ids(me, run),
                _ => {}
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
