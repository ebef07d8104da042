//! Time: the real one, and one that is moved by hand.
//!
//! `now` never jumps with the wall clock: it is the wall time at the start plus monotonic time since, so a corrected
//! clock neither shortens nor stretches a deadline inside a process.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use c8keep_engine::ports::Clock;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    wall: Timestamp,
    since: Instant,
}

impl SystemClock {
    /// Starts now.
    pub fn new() -> SystemClock {
        SystemClock { wall: Timestamp::now(), since: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        later(self.wall, self.since.elapsed())
    }

    async fn sleep_until(&self, instant: Timestamp) {
        // A timer may be a little early against our own reckoning: ask again until it is true.
        while let Ok(left) = Duration::try_from(instant.duration_since(self.now())) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}

/// A clock that only moves when it is told to; clones share the time, so an engine and a simulated installation behind
/// HTTP can live in one.
#[derive(Debug, Clone)]
pub struct ManualClock {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    now: watch::Sender<Timestamp>,
    sleepers: Mutex<Sleepers>,
    count: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Sleepers {
    next: u64,
    until: BTreeMap<u64, Timestamp>,
}

impl ManualClock {
    /// Stands still at an instant.
    pub fn at(start: Timestamp) -> ManualClock {
        let shared = Shared {
            now: watch::Sender::new(start),
            sleepers: Mutex::default(),
            count: watch::Sender::new(0),
        };
        ManualClock { shared: Arc::new(shared) }
    }

    /// Moves to an instant and wakes whoever waited for it. Moving back is moving nowhere.
    pub fn advance_to(&self, instant: Timestamp) {
        self.shared.now.send_if_modified(|now| {
            let moves = instant > *now;
            *now = (*now).max(instant);
            moves
        });
    }

    /// Moves on by a duration.
    pub fn advance(&self, by: Duration) {
        self.advance_to(later(self.now(), by));
    }

    /// The earliest instant that somebody sleeps until.
    pub fn earliest_sleeper(&self) -> Option<Timestamp> {
        self.sleepers().until.values().min().copied()
    }

    /// Moves to the earliest instant that somebody sleeps until, and says which; `None` if nobody sleeps.
    pub fn jump(&self) -> Option<Timestamp> {
        let instant = self.earliest_sleeper()?;
        self.advance_to(instant);
        Some(instant)
    }

    /// Returns once at least so many sleep: then nothing happens before the clock moves.
    pub async fn until_asleep(&self, count: usize) {
        let mut counts = self.shared.count.subscribe();
        // The sender lives as long as this clock.
        let _ = counts.wait_for(|asleep| *asleep >= count).await;
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.shared.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.shared.now.borrow()
    }

    async fn sleep_until(&self, instant: Timestamp) {
        let mut times = self.shared.now.subscribe();
        if *times.borrow_and_update() >= instant {
            return;
        }
        let _asleep = Asleep::new(self, instant);
        // The sender lives as long as this clock.
        let _ = times.wait_for(|now| *now >= instant).await;
    }
}

/// One sleeper's entry, taken out again when it wakes or is dropped.
struct Asleep<'a> {
    clock: &'a ManualClock,
    number: u64,
}

impl<'a> Asleep<'a> {
    fn new(clock: &'a ManualClock, until: Timestamp) -> Asleep<'a> {
        let mut sleepers = clock.sleepers();
        let number = sleepers.next;
        sleepers.next += 1;
        sleepers.until.insert(number, until);
        clock.shared.count.send_replace(sleepers.until.len());
        Asleep { clock, number }
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.clock.sleepers();
        sleepers.until.remove(&self.number);
        self.clock.shared.count.send_replace(sleepers.until.len());
    }
}

fn later(start: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| start.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}
