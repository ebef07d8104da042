//! A stream for programs: every event as it is journalled, one a line.

use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark, Run, RunId};
use c8keep_engine::progress::Reporter;
use jiff::Timestamp;
use serde::Serialize;

use super::View;
use crate::printer::Printer;

/// Events on standard output.
#[derive(Debug)]
pub struct Stream {
    printer: Printer,
}

#[derive(Serialize)]
struct Line<'a> {
    run: &'a RunId,
    #[serde(flatten)]
    event: &'a Event,
}

impl Stream {
    /// A stream in the printer's format.
    pub fn new(printer: Printer) -> Stream {
        Stream { printer }
    }
}

impl Reporter for Stream {
    fn event(&self, run: &Run, event: &Event) {
        self.printer.line(&Line { run: run.id(), event });
    }

    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}
}

impl View for Stream {
    fn tick(&self, _: Timestamp) {}
    fn finish(&self, _: Timestamp) {}
}
