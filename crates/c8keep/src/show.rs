//! How a run is shown while it goes on: a live view on a terminal, lines in a log, or a stream of events for programs.

pub mod frame;
pub mod json;
pub mod live;
pub mod log;
pub mod summary;
pub mod time;

use std::time::Duration;

use c8keep_engine::progress::Reporter;
use jiff::Timestamp;

use crate::cli::Output;
use crate::printer::Printer;

/// A reporter that is also told about the passing of time.
pub trait View: Reporter {
    /// How often it wants to be told.
    fn rhythm(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Time has passed.
    fn tick(&self, now: Timestamp);

    /// The last call.
    fn finish(&self, now: Timestamp);
}

/// The view that fits the options and the terminal.
pub fn view(printer: Printer) -> Box<dyn View> {
    match printer.output() {
        Output::Json | Output::Yaml => Box::new(json::Stream::new(printer)),
        Output::Text if printer.is_live() => Box::new(live::Live::new(printer)),
        Output::Text => Box::new(log::Log::new(printer)),
    }
}
