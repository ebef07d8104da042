//! What happens in a run, told to whoever shows it. Reporting never fails and never decides.

use c8keep_core::fault::Fault;
use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark, Run};
use jiff::Timestamp;

/// Somebody who shows a run: a terminal, a log, a stream of JSON lines.
pub trait Reporter: Send + Sync {
    /// An event was journalled and applied.
    fn event(&self, run: &Run, event: &Event);

    /// A wait was looked at; nothing was journalled unless something moved.
    fn waiting(&self, run: &Run, step: &StepName, mark: &Mark);

    /// The journal takes nothing more: from here on only the release goes on, and no event is told any more.
    fn journal_lost(&self, run: &Run, fault: &Fault, at: Timestamp);

    /// A release without a journal has failed and is tried again.
    fn unreleased(&self, run: &Run, fault: &Fault, at: Timestamp);
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _: &Run, _: &Event) {}
    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}
    fn journal_lost(&self, _: &Run, _: &Fault, _: Timestamp) {}
    fn unreleased(&self, _: &Run, _: &Fault, _: Timestamp) {}
}
