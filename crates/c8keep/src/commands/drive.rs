//! Driving a run with a view and with signals.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_engine::World;
use c8keep_engine::drive::{self, Driven, Options};
use c8keep_engine::ports::Term;
use jiff::SignedDuration;

use crate::printer::Printer;
use crate::{show, signals};

/// Drives a run to its end, or to the end of our patience with the release.
pub(super) async fn drive(
    world: &Arc<World>,
    run: Run,
    seq: u64,
    term: Term,
    release_wait: Option<SignedDuration>,
    printer: Printer,
) -> Driven {
    let view = show::view(printer);
    let options = Options { reporter: &*view, stop: signals::stopped(), release_wait };
    let ticking = async {
        let mut interval = tokio::time::interval(view.rhythm());
        loop {
            interval.tick().await;
            view.tick(world.clock.now());
        }
    };
    let driven = tokio::select! {
        driven = Box::pin(drive::drive(Arc::clone(world), run, seq, term, options)) => driven,
        () = ticking => unreachable!("the ticker never ends"),
    };
    view.finish(world.clock.now());
    driven
}
