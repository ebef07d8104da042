//! `resume-exporting`: lets exporting run again after an interrupted backup.

use c8keep_adapters::clock::SystemClock;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::open_runs;
use c8keep_engine::ports::Clock;
use jiff::SignedDuration;
use serde::Serialize;

use super::take_over::{How, Taken, take_over};
use crate::cli::{Global, OnOpen, ResumeArgs};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Management, actor};
use crate::settings::Settings;

#[derive(Serialize)]
struct Resumed {
    resumed: bool,
    said: String,
}

pub(super) async fn run(global: &Global, args: &ResumeArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_write(&settings).await?;
    let claimed = journal.claim(settings.name(), &actor()).await;
    let term = match claimed {
        Ok(term) => term,
        Err(fault) if fault.kind == FaultKind::Locked && args.force => {
            printer.say("another run is alive; resuming all the same, its backup will fail");
            return unknown_pause(&settings, args, true, printer).await;
        }
        Err(fault) => {
            let hint = "wait for that run, or stop it with Ctrl-C or SIGTERM (it resumes exporting itself); --force \
                        resumes under it, and its backup fails";
            return Err(fault.with_hint(hint).into());
        }
    };
    let open = open_runs::open(&*journal, settings.name()).await?;
    if !open.iter().any(|(run, _)| run.hold().is_open()) {
        return unknown_pause(&settings, args, false, printer).await;
    }
    let world = match session::assemble(&settings, journal).await {
        Ok(session) => session.world,
        Err(fault) => return without_identity(&settings, args, fault, printer).await,
    };
    let how = How { on_open: Some(OnOpen::Release), term, release_wait: args.release_wait, printer };
    for (run, seq) in open {
        match take_over(&world, run, seq, &how).await? {
            Taken::Released | Taken::Finished(_) => {}
        }
    }
    said(printer, true, "exporting runs");
    Ok(exit::DONE)
}

/// Our own pause, but the search server is out of reach, so nothing tells whether this is the same installation.
async fn without_identity(
    settings: &Settings,
    args: &ResumeArgs,
    fault: Fault,
    printer: Printer,
) -> Result<u8, Stop> {
    printer.fault(&fault);
    if !args.yes {
        printer.problem(
            "c8keep paused exporting, but cannot tell whether what answers now is the same installation",
            "if it is, run `c8keep resume-exporting --yes`",
        );
        return Err(Stop::with(exit::MAY_BE_PAUSED));
    }
    unknown_pause(settings, args, true, printer).await
}

/// A pause that is not known to be ours: shown first, resumed only when that is asked for.
async fn unknown_pause(
    settings: &Settings,
    args: &ResumeArgs,
    sure: bool,
    printer: Printer,
) -> Result<u8, Stop> {
    let management = session::management_only(settings).await?;
    let positions = management.camunda.positions(&management.brokers, session::now()).await;
    let paused = match &positions {
        Ok(positions) => positions.paused(),
        Err(fault) => {
            printer.say(&format!("the brokers do not tell whether exporting is paused: {}", fault.answer));
            Vec::new()
        }
    };
    if positions.is_ok() && paused.is_empty() && !sure {
        said(printer, false, "exporting is not paused on any broker that was reached; nothing to do");
        return Ok(exit::DONE);
    }
    for (broker, partition, phase) in &paused {
        printer.say(&format!("paused: {broker}, partition {partition}: {phase}"));
    }
    if !args.yes && !sure {
        let fault = Fault::precondition(
            "resuming exporting",
            &management.address,
            "c8keep did not make this pause",
            "find out who did (another backup may be running); then run `c8keep resume-exporting --yes`",
        );
        return Err(fault.into());
    }
    resume(&management, args.release_wait.unwrap_or(SignedDuration::MAX), printer).await?;
    said(printer, true, "exporting runs");
    Ok(exit::DONE)
}

/// Resumes, again and again, until it is confirmed or the patience ends.
async fn resume(management: &Management, patience: SignedDuration, printer: Printer) -> Result<(), Stop> {
    let clock = SystemClock::new();
    let began = clock.now();
    let mut told = false;
    loop {
        match management.camunda.resume_exporting().await {
            Ok(()) => return Ok(()),
            Err(fault) if clock.now().duration_since(began) >= patience => {
                return Err(Stop::from(fault).while_paused());
            }
            Err(fault) => {
                if !std::mem::replace(&mut told, true) {
                    printer.fault(&fault);
                    printer.say("trying again until it works; Ctrl-C stops trying");
                }
                clock.sleep_until(clock.now() + SignedDuration::from_secs(2)).await;
            }
        }
    }
}

fn said(printer: Printer, resumed: bool, text: &str) {
    printer.result(text, &Resumed { resumed, said: text.to_owned() });
}
