//! Signals, for the whole life of a verb that may have paused exporting. The first asks everything to stop, which releases; the
//! process then ends within 25 s, whatever is in flight. A second one ends it at once.
//!
//! A terminal that is closed, or a wrapper that hands signals on, sends several at the same time: they count as one, for by
//! accident nobody may leave exporting paused.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use c8keep_engine::drive::END_AFTER_SIGNAL;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::exit::{self, Ended, Stop};
use crate::printer::Printer;

/// Signals that come together are one.
const TOGETHER: Duration = Duration::from_secs(1);
/// How long after that time somebody may still tidy up, such as give a claim back to a vault that hangs.
const TIDY_FOR: Duration = Duration::from_secs(2);
/// The end of everything, should anything not keep to its time: what is promised, and within the 30 s that Kubernetes gives by
/// default.
const OVER_AFTER: Duration = Duration::from_secs(25);
const _: () = assert!(
    END_AFTER_SIGNAL.as_secs().unsigned_abs() + TIDY_FOR.as_secs() < OVER_AFTER.as_secs(),
    "driving and tidying up end before everything does"
);

static STOPPED: OnceLock<watch::Receiver<bool>> = OnceLock::new();
static FIRST: OnceLock<Instant> = OnceLock::new();
static MAY_BE_PAUSED: AtomicBool = AtomicBool::new(false);
/// Whether what is under way is given up with the first signal, and nothing follows.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Begins to listen for Ctrl-C, SIGTERM, and the SIGHUP of a terminal or an ssh session that is lost.
pub fn install(printer: Printer) {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let Ok([interrupt, terminate, hangup]) =
        kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>().map(|list| {
            <[Signal; 3]>::try_from(list).unwrap_or_else(|_| unreachable!("three kinds make three signals"))
        })
    else {
        return;
    };
    let (stop, stopped) = watch::channel(false);
    if STOPPED.set(stopped).is_ok() {
        tokio::spawn(listen(interrupt, terminate, hangup, stop, printer));
    }
}

/// Returns with the first signal, for a verb that holds no pause and has nothing to release.
pub async fn any() {
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals: Vec<Signal> = kinds.map(signal).into_iter().filter_map(Result::ok).collect();
    if signals.is_empty() {
        return std::future::pending().await;
    }
    futures::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
}

/// Turns true with the first signal; never, where nobody listens.
pub fn stopped() -> watch::Receiver<bool> {
    STOPPED.get().cloned().unwrap_or_else(|| watch::channel(false).1)
}

/// Whether a signal has come.
pub fn have_come() -> bool {
    STOPPED.get().is_some_and(|stopped| *stopped.borrow())
}

/// Returns when a signal has come.
pub async fn come() {
    if stopped().wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Tells whether exporting may be paused by us: the last word of a process that is ended at once depends on it.
pub fn guard(may_be_paused: bool) {
    MAY_BE_PAUSED.store(may_be_paused, Ordering::Relaxed);
}

/// Does something that need not be finished, unless a signal comes first; then the command ends with `code`.
pub async fn or_stop<T>(code: u8, doing: impl Future<Output = T>) -> Result<T, Stop> {
    GIVEN_UP.store(true, Ordering::SeqCst);
    let done = tokio::select! {
        done = doing => Ok(done),
        () = come() => Err(Stop::told(code, "stopped by a signal")),
    };
    GIVEN_UP.store(false, Ordering::SeqCst);
    done
}

/// Does something that is good to be done, for as long as a process that was asked to stop may live.
pub async fn or_out_of_time(doing: impl Future<Output = ()>) {
    let out_of_time = async {
        come().await;
        sleep_until(until(TIDY_FOR)).await;
    };
    tokio::select! {
        () = doing => {}
        () = out_of_time => {}
    }
}

/// The end of a process that was asked to stop, and some more.
fn until(more: Duration) -> Instant {
    *FIRST.get_or_init(Instant::now) + END_AFTER_SIGNAL.unsigned_abs() + more
}

async fn listen(
    mut interrupt: Signal,
    mut terminate: Signal,
    mut hangup: Signal,
    stop: watch::Sender<bool>,
    printer: Printer,
) {
    loop {
        let first = FIRST.get().copied();
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            () = over(), if first.is_some() => end(printer, "it was asked to stop and did not end in time"),
        }
        match first {
            Some(first) if first.elapsed() > TOGETHER => end(printer, "stopped by a second signal"),
            Some(_) => {}
            None => {
                FIRST.get_or_init(Instant::now);
                let given_up = GIVEN_UP.load(Ordering::SeqCst);
                stop.send_replace(true);
                if given_up {
                    printer.say("signal received: stopping");
                } else if !printer.is_live() {
                    printer.say(
                        "signal received: resuming exporting if it is paused, then stopping, within 25 s (once more to stop at once)",
                    );
                }
            }
        }
    }
}

async fn over() {
    sleep_until(*FIRST.get_or_init(Instant::now) + OVER_AFTER).await;
}

fn end(printer: Printer, why: &str) -> ! {
    let (code, what, next) = if MAY_BE_PAUSED.load(Ordering::Relaxed) {
        let what = format!("{why} before exporting was confirmed to run");
        (exit::MAY_BE_PAUSED, what, "run `c8keep resume-exporting`")
    } else {
        (exit::INTERRUPTED, format!("{why}; exporting is not paused by c8keep"), "the same command goes on")
    };
    printer.problem(&what, next);
    printer.line(&Ended::new(&what, None, code));
    Printer::flush(Some(exit::FLUSH));
    std::process::exit(i32::from(code));
}
