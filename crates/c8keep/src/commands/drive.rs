//! Driving a run with a view and with signals.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_engine::World;
use c8keep_engine::drive::{self, Driven, Options};
use c8keep_engine::ports::Term;
use jiff::SignedDuration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit;
use crate::printer::Printer;
use crate::show;

/// Drives a run to its end, or to the end of our patience with the release.
pub(super) async fn drive(
    world: &Arc<World>,
    run: Run,
    seq: u64,
    term: Term,
    release_wait: Option<SignedDuration>,
    printer: Printer,
) -> Driven {
    let (stop, stopped) = watch::channel(false);
    let signals = tokio::spawn(watch_signals(stop, printer));
    let view = show::view(printer);
    let options = Options { reporter: &*view, stop: stopped, release_wait };
    let ticking = async {
        let mut interval = tokio::time::interval(view.rhythm());
        loop {
            interval.tick().await;
            view.tick(world.clock.now());
        }
    };
    let driven = tokio::select! {
        driven = drive::drive(Arc::clone(world), run, seq, term, options) => driven,
        () = ticking => unreachable!("the ticker never ends"),
    };
    view.finish(world.clock.now());
    signals.abort();
    driven
}

/// The first signal stops the run, the second the program.
async fn watch_signals(stop: watch::Sender<bool>, printer: Printer) {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut first = true;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if !first {
            printer.problem(
                "stopped by a second signal before exporting was confirmed to run",
                "run `c8keep resume-exporting`",
            );
            std::process::exit(i32::from(exit::MAY_BE_PAUSED));
        }
        first = false;
        printer.say(
            "signal received: resuming exporting if it is paused, then stopping (once more to stop at once)",
        );
        let _ = stop.send(true);
    }
}
