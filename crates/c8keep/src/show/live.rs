//! The live view: the picture of [`super::frame`], drawn again in place.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use c8keep_core::fault::Fault;
use c8keep_core::plan::StepName;
use c8keep_core::run::{Event, Mark, Run};
use c8keep_core::words::{harmless, wrapped};
use c8keep_engine::progress::Reporter;
use console::{Style, Term, truncate_str};
use jiff::Timestamp;

use super::frame::{Line, Tone, WIDTH_DEFAULT, frame};
use super::{View, log};
use crate::printer::Printer;

/// A live view on standard error.
#[derive(Debug)]
pub struct Live {
    printer: Printer,
    term: Term,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    run: Option<Run>,
    notes: BTreeMap<StepName, String>,
    /// Why nothing can be written down any more.
    lost: Option<String>,
    /// Lines on the screen that the next picture replaces.
    drawn: usize,
    beat: usize,
}

impl Live {
    /// A view that has drawn nothing yet.
    pub fn new(printer: Printer) -> Live {
        Live { printer, term: Term::stderr(), state: Mutex::default() }
    }

    fn draw(&self, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(run) = &state.run else { return };
        let (height, width) = self.term.size();
        let room = usize::from(width).min(WIDTH_DEFAULT);
        let mut lines = frame(run, &state.notes, now, Some(state.beat), room);
        lines.extend(state.lost.iter().flat_map(|lost| wrapped(lost, room, 0)).map(|line| (Tone::Bad, line)));
        // What does not fit would scroll away and could not be drawn over: the newest lines are kept.
        let skip = lines.len().saturating_sub(usize::from(height).saturating_sub(1).max(4));
        let shown = &lines[skip..];
        let mut text = String::new();
        for (tone, line) in shown {
            let _ = writeln!(
                text,
                "{}",
                style(*tone).apply_to(truncate_str(&harmless(line), usize::from(width), "…"))
            );
        }
        // Back to the first line of the former picture, and everything from there on is new.
        let back = match state.drawn {
            0 => String::new(),
            lines => format!("\x1b[{lines}A"),
        };
        self.printer.draw(format!("{back}\r\x1b[0J{text}"));
        state.drawn = shown.len();
        state.beat += 1;
    }
}

/// Prints one picture, for views that are not live.
pub fn style(tone: Tone) -> Style {
    let style = Style::new().for_stderr();
    match tone {
        Tone::Quiet => style.dim(),
        Tone::Plain => style.bold(),
        Tone::Good => style.green(),
        Tone::Busy => style.cyan(),
        Tone::Bad => style.yellow().bold(),
    }
}

/// The text of lines without any style.
pub fn plain(lines: &[Line]) -> String {
    lines.iter().flat_map(|(_, line)| [line.as_str(), "\n"]).collect()
}

impl Reporter for Live {
    fn event(&self, run: &Run, event: &Event) {
        // The first event of its process, so no picture is there yet that the line would tear.
        if let Event::Adopted { by, .. } = event {
            self.printer.say(&log::taken_over(run, by));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.run = Some(run.clone());
        drop(state);
        self.draw(event.at());
    }

    fn journal_lost(&self, run: &Run, fault: &Fault, at: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.run = Some(run.clone());
        state.lost = Some(log::lost(run, fault));
        drop(state);
        self.draw(at);
    }

    fn unreleased(&self, run: &Run, _: &Fault, at: Timestamp) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).run = Some(run.clone());
        self.draw(at);
    }

    fn waiting(&self, _: &Run, step: &StepName, mark: &Mark) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.notes.insert(step.clone(), mark.says.clone());
    }
}

impl View for Live {
    fn rhythm(&self) -> Duration {
        Duration::from_millis(120)
    }

    fn tick(&self, now: Timestamp) {
        self.draw(now);
    }

    fn finish(&self, now: Timestamp) {
        self.draw(now);
    }
}
