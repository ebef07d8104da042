//! A process's place in the night: the ports over which the production engine and adapters touch the simulated world.
//!
//! Every touch is an event before and after: there a process may die, and then nothing of it ever runs again.

mod journal;
mod vault;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_adapters::transport::{Request, Response, Transport, TransportError};
use c8keep_engine::ports::{Clock, Tasks};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::night::{Due, Life, Night, Spawned};

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

    pub(crate) fn host(&self) -> usize {
        self.night().processes[self.me].host
    }

    /// An event of this process; it returns if the process outlives it.
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

pub(crate) async fn sleep(seat: &Seat, until: Timestamp) {
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
        if let Some(more) = answer.as_ref().ok().and_then(|answer| mutant.beside(&request, knows, answer)) {
            // Whatever becomes of it.
            let _ = self.exchange(more).await;
        }
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
