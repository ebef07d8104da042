//! The one way in which the tasks speak: a line on standard error. Standard output is left to what a task produces.

use std::fmt::Display;
use std::io::Write as _;

/// Says one line. A closed terminal is no reason to stop the work, so a failure to write is ignored.
pub fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints one line of the task's product on standard output.
pub fn print(line: impl Display) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
