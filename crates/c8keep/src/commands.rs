//! The verbs, one file each.

mod backup;
mod budget;
mod catalog;
mod claims;
mod completions;
mod demo;
mod doctor;
mod drive;
#[cfg(test)]
mod fuzz;
mod inherited;
mod init;
mod list;
mod other_names;
mod plan;
mod resume_exporting;
mod show;
mod status;
mod take_over;
mod whose;

use crate::cli::{Cli, Verb};
use crate::exit::{self, Ended, Stop};
use crate::printer::Printer;
use crate::signals;

/// Runs the verb and returns the exit code.
pub async fn run(cli: Cli) -> u8 {
    start_log(cli.global.verbose);
    let printer = Printer::new(&cli.global);
    let global = &cli.global;
    let drives = matches!(cli.verb, Verb::Backup(_) | Verb::ResumeExporting(_));
    if drives {
        signals::install(printer);
    }
    let ended = match &cli.verb {
        Verb::Init(args) => init::run(global, args, printer).await,
        Verb::Plan(args) => plan::run(global, args, printer).await,
        Verb::Backup(args) => Box::pin(backup::run(global, args, printer)).await,
        Verb::Doctor => doctor::run(global, printer).await,
        Verb::Status => status::run(global, printer).await,
        Verb::List => list::run(global, printer).await,
        Verb::Show { backup } => show::run(global, backup, printer).await,
        Verb::ResumeExporting(args) => Box::pin(resume_exporting::run(global, args, printer)).await,
        Verb::Demo(args) => demo::run(args, printer).await,
        Verb::Completions { shell } => Ok(completions::run(*shell, printer)),
    };
    let code = match ended {
        Ok(code) => code,
        Err(stop) => {
            tell(&stop, printer);
            stop.code
        }
    };
    // Whoever reads a result may take his time; after a run nobody waits for a reader that has gone.
    Printer::flush(drives.then_some(exit::FLUSH));
    let Some(error) = Printer::lost() else { return code };
    printer.problem(&format!("writing to standard output failed: {error}"), "");
    Printer::flush(Some(exit::FLUSH));
    // What a backup has done is as true when nobody could be told; of a reading verb nothing else is left.
    if drives || code != exit::DONE { code } else { exit::FAILED }
}

/// A command that ended early, for people and for programs.
fn tell(stop: &Stop, printer: Printer) {
    if let Some(fault) = &stop.fault {
        printer.fault(fault);
    }
    printer.line(&Ended::new(&stop.said, stop.fault.as_ref(), stop.code));
}

/// Traces for `-v`, on standard error.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => return,
        1 => "c8keep=debug,c8keep_adapters=debug,c8keep_engine=debug",
        _ => "c8keep=trace,c8keep_adapters=trace,c8keep_engine=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        .init();
}
