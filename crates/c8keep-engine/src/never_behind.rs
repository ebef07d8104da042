//! A clock that never runs behind an instant. A wall clock that was set back between two processes must not make time stand
//! still in a run: its waits would last as long as the clock is behind, the release's too.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::ports::Clock;

/// The given clock, or the same one moved forward by what it is behind.
pub fn never_behind(clock: &Arc<dyn Clock>, last: Timestamp) -> Arc<dyn Clock> {
    let behind = last.duration_since(clock.now());
    if behind.is_positive() {
        Arc::new(Ahead { clock: Arc::clone(clock), by: behind })
    } else {
        Arc::clone(clock)
    }
}

struct Ahead {
    clock: Arc<dyn Clock>,
    by: SignedDuration,
}

#[async_trait]
impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        self.clock.now() + self.by
    }

    async fn sleep_until(&self, instant: Timestamp) {
        self.clock.sleep_until(instant - self.by).await;
    }
}
