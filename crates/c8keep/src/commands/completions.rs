//! `completions`: a script for a shell.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::exit;

pub(super) fn run(shell: Shell) -> u8 {
    clap_complete::generate(shell, &mut Cli::command(), "c8keep", &mut std::io::stdout());
    exit::DONE
}
