//! What happens in a run, told to whoever shows it. Reporting never fails and never decides.

use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark, Run};

/// Somebody who shows a run: a terminal, a log, a stream of JSON lines.
pub trait Reporter: Send + Sync {
    /// An event was journalled and applied.
    fn event(&self, run: &Run, event: &Event);

    /// A wait was looked at; nothing was journalled unless something moved.
    fn waiting(&self, run: &Run, step: &StepName, mark: &Mark);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Run, _: &Event) {}
    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}
}
