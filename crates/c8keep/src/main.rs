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

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; everything else is a usage fault, exit code 2, as for clap itself.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
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
