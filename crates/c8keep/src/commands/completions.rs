//! `completions`: a script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit;
use crate::printer::Printer;

pub(super) fn run(shell: Shell, printer: Printer) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "c8keep", &mut script);
    printer.text(&String::from_utf8_lossy(&script));
    exit::DONE
}
