//! Signals, for the whole life of a verb that may have paused exporting. The first asks everything to stop, which releases;
//! the second ends the program at once.

use std::sync::OnceLock;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::{self, Stop};
use crate::printer::Printer;

static STOPPED: OnceLock<watch::Receiver<bool>> = OnceLock::new();

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

/// Turns true with the first signal; never, where nobody listens.
pub fn stopped() -> watch::Receiver<bool> {
    STOPPED.get().cloned().unwrap_or_else(|| watch::channel(false).1)
}

/// Whether a signal has come.
pub fn have_come() -> bool {
    STOPPED.get().is_some_and(|stopped| *stopped.borrow())
}

/// Does something that need not be finished, unless a signal comes first; then the command ends with `code`.
pub async fn or_stop<T>(code: u8, doing: impl Future<Output = T>) -> Result<T, Stop> {
    let mut stopped = stopped();
    let signal = async {
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        done = doing => Ok(done),
        () = signal => Err(Stop::with(code)),
    }
}

async fn listen(
    mut interrupt: Signal,
    mut terminate: Signal,
    mut hangup: Signal,
    stop: watch::Sender<bool>,
    printer: Printer,
) {
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        if stop.send_replace(true) {
            printer.problem(
                "stopped by a second signal before exporting was confirmed to run",
                "run `c8keep resume-exporting`",
            );
            Printer::flush(Some(exit::FLUSH));
            std::process::exit(i32::from(exit::MAY_BE_PAUSED));
        }
        if !printer.is_live() {
            printer.say("signal received: resuming exporting if it is paused, then stopping (once more to stop at once)");
        }
    }
}
