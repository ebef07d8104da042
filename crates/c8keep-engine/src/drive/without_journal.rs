//! The one exception from writing an intent down first: the journal takes nothing more while exporting is, or may be, paused.
//! The durable intent of the hold is also the intent of its release. Everything else stops; the release goes on as always,
//! with the same looks, the same confirmation and the same back-off, but only in memory, and the next start confirms it.

use std::sync::Arc;

use c8keep_core::fault::Fault;
use c8keep_core::plan::Kind;
use c8keep_core::run::{Event, StepState};
use futures::stream::StreamExt;
use jiff::Timestamp;

use super::{Driver, End};

impl Driver<'_> {
    /// Releases until it is confirmed, or patience ends.
    pub(super) async fn release_without_journal(&mut self, fault: Fault) -> End {
        self.lost = Some(fault.clone());
        self.reporter.journal_lost(&self.run, &fault, self.now());
        self.abort(|step| !matches!(step.kind, Kind::Hold { .. } | Kind::Release));
        while self.still_holds() {
            let now = self.now();
            let since = *self.releasing_since.get_or_insert(now);
            let patience = self.release_wait.map(|wait| since + wait);
            if patience.is_some_and(|ends| ends <= now) {
                break;
            }
            match self.run.next_release(now, &self.in_flight) {
                Some((order, due)) if due <= now => {
                    // A resume has no owner: ours would open the window of whoever has taken over.
                    if let Some(fault) = self.superseded().await {
                        return End::Superseded(fault);
                    }
                    self.note(Event::Intended { step: order.step.clone(), attempt: order.attempt, at: now });
                    let run = Arc::new(self.run.clone());
                    self.perform(order, run);
                }
                next => self.until_answered(next.map(|(_, due)| due).into_iter().chain(patience).min()).await,
            }
        }
        End::JournalLost { fault, released: !self.still_holds() }
    }

    /// What was never durable was never sent, and what was answered need not be durable to be true.
    pub(super) fn still_holds(&self) -> bool {
        self.journalled.hold().is_open() && self.run.hold().is_open()
    }

    async fn until_answered(&mut self, due: Option<Timestamp>) {
        let sleep = self.sleep_until(due);
        tokio::select! {
            Some(ended) = self.performances.next() => self.answered(ended),
            () = sleep => return,
        }
        let release = self.run.plan().release().map(|step| self.run.state(&step.name));
        if let Some(StepState::Retrying { fault, .. }) = release {
            self.reporter.unreleased(&self.run, fault, self.now());
        }
    }
}
