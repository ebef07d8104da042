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
        Verb::List(args) => list::run(global, *args, printer).await,
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
    let what = format!("writing to standard output failed: {error}");
    // What was done is as true when nobody could be told; of a reading verb nothing else is left.
    let Some(lost) = done_all_the_same(&cli.verb).filter(|_| drives || code == exit::DONE) else {
        printer.problem(&what, "");
        Printer::flush(Some(exit::FLUSH));
        return if code == exit::DONE { exit::FAILED } else { code };
    };
    printer.say(&format!("WARNING: {what}: {lost}"));
    Printer::flush(Some(exit::FLUSH));
    code
}

/// What is lost with the output of a verb that does something else as well, and where else it can be had.
fn done_all_the_same(verb: &Verb) -> Option<&'static str> {
    match verb {
        Verb::Backup(args) if !args.dry_run => {
            Some("the summary is lost, what was done is not; `c8keep list` and `c8keep show` tell it again")
        }
        Verb::ResumeExporting(_) => {
            Some("its last line is lost, what was done is not; `c8keep status` tells how things stand")
        }
        Verb::Demo(_) => Some("some of the demo's story is lost; it came out as its exit code says"),
        _ => None,
    }
}

/// A command that ended early, for people and for programs.
pub fn tell(stop: &Stop, printer: Printer) {
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
