//! How long the driver waits for what could hold up a release, or the end of a process that was asked to stop. Time is the
//! world's, so that a simulated night has it too.

use std::sync::Arc;

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::Event;
use jiff::SignedDuration;
use tokio::sync::watch;

use super::Driver;
use crate::ports::Clock;

/// How long a process lives on after a signal, whatever is in flight, so that a container's grace period is enough, and
/// that with tidying up it ends within the 25 s that are promised.
pub const END_AFTER_SIGNAL: SignedDuration = SignedDuration::from_secs(22);

/// How long a write may take while exporting is paused: longer than the fence waits for a vault, and than SQLite for another
/// process.
pub(crate) const APPEND_WITHIN: SignedDuration = SignedDuration::from_secs(20);
/// The same once the process was asked to stop: most of its time belongs to the release.
const APPEND_AFTER_SIGNAL: SignedDuration = SignedDuration::from_secs(3);
/// How long a release without a journal waits to hear whether somebody has taken over.
const SUPERSEDED_WITHIN: SignedDuration = SignedDuration::from_secs(3);
/// How closely a time is measured that a standstill of the whole machine must not use up.
const TICK: SignedDuration = SignedDuration::from_secs(1);

impl Driver<'_> {
    /// Appends what is fresh. While exporting is paused a journal that hangs is one that is lost: what it makes of the write in
    /// the end is for the next start to read, and nothing is asked of it again.
    pub(super) async fn append(&self) -> Result<(), Fault> {
        let appending = self.world.journal.append(self.run.id(), self.seq + 1, self.term, &self.fresh);
        if !self.journalled.hold().is_open() {
            return appending.await;
        }
        let clock = &self.world.clock;
        let asked_to_stop = async {
            asked(self.stop.clone()).await;
            pass(&**clock, APPEND_AFTER_SIGNAL).await;
        };
        tokio::select! {
            biased;
            appended = appending => appended,
            () = asked_to_stop => Err(hangs(&self.fresh, APPEND_AFTER_SIGNAL)),
            () = pass(&**clock, APPEND_WITHIN) => Err(hangs(&self.fresh, APPEND_WITHIN)),
        }
    }

    /// Who has taken over, as far as that is known: what cannot be reached keeps nobody from releasing.
    pub(super) async fn superseded(&self) -> Option<Fault> {
        tokio::select! {
            biased;
            superseded = self.world.journal.superseded() => superseded,
            () = pass(&*self.world.clock, SUPERSEDED_WITHIN) => None,
        }
    }
}

/// Returns when a process that was asked to stop has lived on for long enough; never, if it is not asked.
pub(super) async fn time_is_up(stop: watch::Receiver<bool>, clock: Arc<dyn Clock>) {
    asked(stop).await;
    clock.sleep_until(clock.now() + END_AFTER_SIGNAL).await;
}

/// Returns when the process is asked to stop; never, if it is not.
async fn asked(mut stop: watch::Receiver<bool>) {
    if stop.wait_for(|asked| *asked).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Lets time pass, of which a standstill counts for one tick: what stood still as well has not hung.
pub(crate) async fn pass(clock: &dyn Clock, time: SignedDuration) {
    for _ in 0..time.as_secs() / TICK.as_secs() {
        clock.sleep_until(clock.now() + TICK).await;
    }
}

pub(crate) fn hangs(events: &[Event], within: SignedDuration) -> Fault {
    let names: Vec<&str> = events.iter().map(Event::name).collect();
    let answer = format!("nothing within {within:#}");
    Fault::new(FaultKind::Storage, format!("writing down {}", names.join(", ")), "the journal", answer)
        .with_hint("see to the disk that the journal is on, and to the vault")
        .with_unknown_effect()
}
