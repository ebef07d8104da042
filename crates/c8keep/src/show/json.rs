//! A stream for programs: every event as it is journalled, one a line. What happens after the journal is lost has words of its
//! own: `journal-lost`, and `unreleased` for each release that failed.

use c8keep_core::fault::Fault;
use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark, Run};
use c8keep_engine::progress::Reporter;
use jiff::Timestamp;
use serde::Serialize;

use super::View;
use crate::printer::Printer;

/// Something that is in no journal.
#[derive(Serialize)]
struct Unwritten<'a> {
    event: &'static str,
    run: &'a str,
    fault: &'a Fault,
    at: Timestamp,
}

/// Events on standard output.
#[derive(Debug)]
pub struct Stream {
    printer: Printer,
}

impl Stream {
    /// A stream in the printer's format.
    pub fn new(printer: Printer) -> Stream {
        Stream { printer }
    }
}

impl Reporter for Stream {
    fn event(&self, run: &Run, event: &Event) {
        // The first event names its run itself; the others get the name here, so that every line stands alone.
        let mut line = serde_json::to_value(event).unwrap_or_default();
        line["run"] = run.id().0.clone().into();
        self.printer.line(&line);
    }

    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}

    fn journal_lost(&self, run: &Run, fault: &Fault, at: Timestamp) {
        self.printer.line(&Unwritten { event: "journal-lost", run: &run.id().0, fault, at });
    }

    fn unreleased(&self, run: &Run, fault: &Fault, at: Timestamp) {
        self.printer.line(&Unwritten { event: "unreleased", run: &run.id().0, fault, at });
    }
}

impl View for Stream {
    fn tick(&self, _: Timestamp) {}
    fn finish(&self, _: Timestamp) {}
}
