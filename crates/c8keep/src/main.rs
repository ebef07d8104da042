//! `c8keep`: the program. It reads the command line, wires the adapters to the engine and shows what happens; it decides
//! nothing about backups.

mod cli;
mod commands;
mod env;
mod exit;
#[cfg(test)]
mod fuzz;
mod printer;
mod session;
mod settings;
mod show;
mod signals;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli.without_empty_variables(),
        Err(error) => return ExitCode::from(refused(&error)),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(commands::run(cli));
            // Work on a share that hangs never ends, and nobody waits for it.
            runtime.shutdown_background();
            ExitCode::from(code)
        }
        Err(error) => {
            printer::Printer::plain().problem(&format!("cannot start: {error}"), "");
            ExitCode::from(1)
        }
    }
}

/// A command line that cannot be meant: exit code 2, as for clap itself. Help and version are not errors.
fn refused(error: &clap::Error) -> u8 {
    if !error.use_stderr() {
        let _ = error.print();
        return exit::DONE;
    }
    let printer = printer::Printer::of(cli::wanted_output(std::env::args_os().skip(1)));
    // It speaks of arguments also where a variable is meant.
    let of_a_variable = env::check().err().filter(|_| error.kind() == ErrorKind::InvalidUtf8);
    let stop = if let Some(fault) = of_a_variable {
        exit::Stop::from(fault)
    } else {
        let _ = error.print();
        exit::Stop::told(exit::USAGE, cli::in_one_line(error))
    };
    commands::tell(&stop, printer);
    printer::Printer::flush(Some(exit::FLUSH));
    stop.code
}
