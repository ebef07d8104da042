//! The only door to the terminal: data on standard output, everything else on standard error.

#![expect(clippy::unused_self, reason = "who may print is given a printer, whatever it is printed")]

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use c8keep_core::fault::Fault;
use c8keep_core::words::{harmless, wrapped};
use serde::Serialize;

use crate::cli::{Global, Output};

/// Writes what a command has to say.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    output: Output,
    /// Whether a person sits at standard error.
    terminal: bool,
    /// Whether a picture may be drawn there, again and again.
    live: bool,
}

impl Printer {
    /// As the options say.
    pub fn new(global: &Global) -> Printer {
        let terminal =
            !global.no_progress && std::io::stderr().is_terminal() && global.output == Output::Text;
        // A dumb terminal cannot go back to a line to draw it again.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Printer { output: global.output, terminal, live: terminal && !dumb }
    }

    /// Before there are options.
    pub fn plain() -> Printer {
        Printer::of(Output::Text)
    }

    /// Where there are none that can be meant but, perhaps, this one.
    pub fn of(output: Output) -> Printer {
        Printer { output, terminal: false, live: false }
    }

    /// How results are written.
    pub fn output(self) -> Output {
        self.output
    }

    /// Whether a live view may be drawn.
    pub fn is_live(self) -> bool {
        self.live
    }

    /// Whether somebody can be asked.
    pub fn can_ask(self) -> bool {
        self.terminal && std::io::stdin().is_terminal()
    }

    /// A result: the text for people, or the value for programs.
    pub fn result(self, text: &str, value: &impl Serialize) {
        match self.output {
            Output::Text => out(&fitted(&harmless(text.trim_end()), &console::Term::stdout())),
            Output::Json => out(&json(value, true)),
            Output::Yaml => out(&yaml(value)),
        }
    }

    /// One line of a stream for programs.
    pub fn line(self, value: &impl Serialize) {
        match self.output {
            Output::Text => {}
            Output::Json => out(&json(value, false)),
            Output::Yaml => {
                out(&format!("---\n{}", yaml(value)));
            }
        }
    }

    /// Something to know, for people.
    pub fn say(self, text: &str) {
        err(&fitted(&harmless(text), &console::Term::stderr()));
    }

    /// What the next lines are about, for people.
    pub fn heading(self, text: &str) {
        let bold = console::Style::new().for_stderr().bold();
        let text = fitted(&harmless(text), &console::Term::stderr());
        err(&format!("\n{}", bold.apply_to(text)));
    }

    /// A fault: what happened, where, what came back, what to do next.
    pub fn fault(self, fault: &Fault) {
        let what = format!("{}\n  at   {}\n  said {}", fault.doing, fault.target, fault.answer);
        self.problem(&what, &fault.hint);
    }

    /// The same where it keeps nothing from going on.
    pub fn warning(self, fault: &Fault) {
        let Fault { doing, target, answer, hint, .. } = fault;
        let yellow = console::Style::new().for_stderr().yellow().bold();
        told("warning:", &format!("{doing}\n  at   {target}\n  said {answer}"), hint, &yellow);
    }

    /// A problem with what to do next.
    pub fn problem(self, what: &str, next: &str) {
        told("failed:", what, next, &console::Style::new().for_stderr().red().bold());
    }

    /// Text for the terminal as it is, control sequences included.
    pub fn draw(self, text: String) {
        let _ = sink().try_send(Piece::Err(text));
    }

    /// Waits until everything is written, or until the limit; without one, for as long as the reader takes.
    pub fn flush(limit: Option<Duration>) {
        let (done, flushed) = channel();
        if sink().try_send(Piece::Flushed(done)).is_ok() {
            let _ = match limit {
                Some(limit) => flushed.recv_timeout(limit).is_ok(),
                None => flushed.recv().is_ok(),
            };
        }
    }

    /// What kept results from being written to standard output, if anything did; true after [`Printer::flush`].
    pub fn lost() -> Option<&'static std::io::Error> {
        LOST.get()
    }

    /// Asks a question on the terminal; the empty answer is the default, and nothing comes where the terminal has ended its
    /// input. Signals are heard meanwhile.
    pub async fn ask(self, question: String) -> Option<String> {
        let asking = move || {
            self.draw(format!("{question} "));
            Printer::flush(None);
            let mut answer = String::new();
            let read = std::io::stdin().read_line(&mut answer);
            matches!(read, Ok(1..)).then(|| answer.trim().to_owned())
        };
        tokio::task::spawn_blocking(asking).await.ok().flatten()
    }

    /// A text as it is, for standard output: a file that somebody wants to see or to pipe.
    pub fn text(self, text: &str) {
        out(text.trim_end());
    }
}

fn told(title: &str, what: &str, next: &str, style: &console::Style) {
    let screen = console::Term::stderr();
    err(&titled(title, &fitted(&format!("{title} {}", harmless(what)), &screen), style));
    if !next.is_empty() {
        let bold = console::Style::new().for_stderr().bold();
        err(&titled("  next", &fitted(&format!("  next {}", harmless(next)), &screen), &bold));
    }
}

/// Text as a person's screen shows it best: long lines broken between words. What goes into a file or a pipe stays as it is.
fn fitted(text: &str, screen: &console::Term) -> String {
    let width = screen.size_checked().filter(|_| screen.is_term()).map(|(_, columns)| usize::from(columns));
    width.map_or_else(|| text.to_owned(), |width| broken(text, width))
}

/// Styled once it is broken: what styles a word takes no room on the screen.
fn titled(word: &str, broken: &str, style: &console::Style) -> String {
    let rest = broken.strip_prefix(word).unwrap_or_default();
    format!("{}{rest}", style.apply_to(word))
}

/// A command for another program is left to the screen: broken, it could not be copied.
fn broken(text: &str, width: usize) -> String {
    let lines = text.lines().map(|line| {
        let indent = line.len() - line.trim_start().len() + 2;
        if line.contains("curl ") { line.to_owned() } else { wrapped(line, width, indent).join("\n") }
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn json(value: &impl Serialize, pretty: bool) -> String {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    escaped(&text.unwrap_or_default())
}

/// Controls in texts are escaped; the library leaves DEL and what begins with U+0080 as it is, which moves cursors, too.
fn escaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Its library escapes all of them.
pub(crate) fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).unwrap_or_default().trim_end().to_owned()
}

/// A line on its way to the terminal.
enum Piece {
    Out(String),
    Err(String),
    /// Everything before this has been written.
    Flushed(Sender<()>),
}

/// Lines that may wait for a reader; a whole run has some hundred.
const WAITING_MAX: usize = 4_096;

/// Writing is a thread's own business: a pipe that nobody reads, or a terminal stopped with Ctrl-S, must not hold up a run
/// whose exporting is paused. What does not fit any more is dropped.
fn sink() -> &'static SyncSender<Piece> {
    static SINK: OnceLock<SyncSender<Piece>> = OnceLock::new();
    SINK.get_or_init(|| {
        let (sender, pieces) = sync_channel(WAITING_MAX);
        std::thread::spawn(move || {
            for piece in pieces {
                // A closed pipe ends the output, not the program: a backup must go on when nobody reads any more.
                match piece {
                    Piece::Out(text) => keep(std::io::stdout().write_all(text.as_bytes())),
                    Piece::Err(text) => drop(std::io::stderr().write_all(text.as_bytes())),
                    Piece::Flushed(done) => {
                        keep(std::io::stdout().flush());
                        let _ = done.send(());
                    }
                }
            }
        });
        sender
    })
}

static LOST: OnceLock<std::io::Error> = OnceLock::new();

/// A reader that has gone has what it wanted; a disk that is full has lost it.
fn keep(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = LOST.set(error);
    }
}

fn out(text: &str) {
    let _ = sink().try_send(Piece::Out(format!("{text}\n")));
}

fn err(text: &str) {
    let _ = sink().try_send(Piece::Err(format!("{text}\n")));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first word counts for the width, what styles it does not.
    #[test]
    fn a_styled_word_takes_the_room_that_is_seen() {
        let bold = console::Style::new().bold().force_styling(true);
        let told = titled("  next", &broken("  next bring the broker back", 22), &bold);
        assert_eq!(told, "\u{1b}[1m  next\u{1b}[0m bring the\n    broker back");
    }

    #[test]
    fn a_narrow_screen_breaks_lines_between_words() {
        let text = "ok    vault         /mnt/backups: an object was written and removed\n  next run `c8keep plan -v`";
        let expected = "ok    vault         /mnt/backups: an\n  object was written and removed\n  next run `c8keep plan -v`";
        assert_eq!(broken(text, 40), expected);
        let command = "  next register it: curl -X PUT 'http://es:9200/_snapshot/camunda' -d '{}'";
        assert_eq!(broken(command, 20), command);
        assert_eq!(broken("\n", 40), "");
    }
}
