use std::time::Duration;

use c8keep_engine::ports::Clock;
use jiff::Timestamp;

use super::{ManualClock, SystemClock};

fn second(n: i64) -> Timestamp {
    Timestamp::from_second(n).unwrap()
}

#[tokio::test]
async fn the_system_clock_wakes_when_it_is_time_and_at_once_for_the_past() {
    let clock = SystemClock::new();
    clock.sleep_until(second(0)).await;
    let instant = clock.now().checked_add(jiff::SignedDuration::from_millis(5)).unwrap();
    clock.sleep_until(instant).await;
    assert!(clock.now() >= instant);
}

#[tokio::test]
async fn a_manual_clock_wakes_sleepers_in_order_and_only_when_moved() {
    let clock = ManualClock::at(second(100));
    let (woke, mut seen) = tokio::sync::mpsc::unbounded_channel();
    for n in [130, 110, 120] {
        let (clock, woke) = (clock.clone(), woke.clone());
        tokio::spawn(async move {
            clock.sleep_until(second(n)).await;
            woke.send((n, clock.now())).unwrap();
        });
    }
    clock.until_asleep(3).await;
    assert!(seen.try_recv().is_err(), "nobody wakes by itself");
    assert_eq!(clock.jump(), Some(second(110)));
    assert_eq!(seen.recv().await, Some((110, second(110))));
    clock.advance(Duration::from_secs(10));
    assert_eq!(seen.recv().await, Some((120, second(120))));
    clock.advance_to(second(90));
    assert_eq!(clock.now(), second(120), "never back");
    assert_eq!(clock.earliest_sleeper(), Some(second(130)));
    clock.advance_to(second(500));
    assert_eq!(seen.recv().await, Some((130, second(500))));
    assert_eq!(clock.jump(), None);
}

#[tokio::test]
async fn a_sleeper_that_is_dropped_is_forgotten() {
    let clock = ManualClock::at(second(0));
    let sleeper = tokio::spawn({
        let clock = clock.clone();
        async move { clock.sleep_until(second(10)).await }
    });
    clock.until_asleep(1).await;
    sleeper.abort();
    assert!(sleeper.await.unwrap_err().is_cancelled());
    assert_eq!(clock.earliest_sleeper(), None);
    clock.sleep_until(second(0)).await;
}
