//! Driving a run with a view and with signals.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::fault::Fault;
use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark};
use c8keep_engine::World;
use c8keep_engine::drive::{self, Driven, Options};
use c8keep_engine::ports::Term;
use c8keep_engine::progress::Reporter;
use jiff::{SignedDuration, Timestamp};

use crate::printer::Printer;
use crate::show::View;
use crate::{show, signals};

/// Keeps a second signal from ending the process while exporting may be paused: the intent to pause is told before it is sent.
struct Guarded<'a>(&'a dyn View);

impl Reporter for Guarded<'_> {
    fn event(&self, run: &Run, event: &Event) {
        signals::guard(run.hold().is_open());
        self.0.event(run, event);
    }

    fn waiting(&self, run: &Run, step: &StepName, mark: &Mark) {
        self.0.waiting(run, step, mark);
    }

    fn journal_lost(&self, run: &Run, fault: &Fault, at: Timestamp) {
        self.0.journal_lost(run, fault, at);
    }

    fn unreleased(&self, run: &Run, fault: &Fault, at: Timestamp) {
        self.0.unreleased(run, fault, at);
    }
}

/// A run that was begun or taken over.
pub(super) struct Begun {
    pub(super) run: Run,
    pub(super) seq: u64,
    /// What was journalled of it meanwhile, and told to nobody.
    pub(super) untold: Vec<Event>,
}

/// Drives a run to its end, or to the end of our patience with the release.
pub(super) async fn drive(
    world: &Arc<World>,
    Begun { run, seq, untold }: Begun,
    term: Term,
    release_wait: Option<SignedDuration>,
    printer: Printer,
) -> Driven {
    let view = show::view(printer);
    let guarded = Guarded(&*view);
    for event in &untold {
        guarded.event(&run, event);
    }
    let options = Options { reporter: &guarded, stop: signals::stopped(), release_wait };
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
