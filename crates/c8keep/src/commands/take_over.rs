//! Runs that an earlier process left open. Reading verbs only report them; `backup` and `resume-exporting` take them over.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::run::{Hold, StepState};
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End};
use c8keep_engine::open_runs::{self, Taking};
use c8keep_engine::ports::Term;
use jiff::SignedDuration;

use crate::cli::OnOpen;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::actor;
use crate::show::summary;
use crate::show::time::{ago, span};
use crate::signals;

/// What became of an open run.
pub(super) enum Taken {
    /// It was finished under its own id: that was this command's backup.
    Finished(Box<Driven>),
    /// It was ended and exporting runs.
    Released,
}

/// How to take over.
pub(super) struct How {
    pub(super) on_open: Option<OnOpen>,
    pub(super) term: Term,
    pub(super) release_wait: Option<SignedDuration>,
    pub(super) printer: Printer,
}

/// Ends or finishes one open run.
pub(super) async fn take_over(world: &Arc<World>, run: Run, seq: u64, how: &How) -> Result<Taken, Stop> {
    let printer = how.printer;
    printer.say(&describe(&run, world.clock.now()));
    let guarded = |stop: Stop| if run.hold().is_open() { stop.while_paused() } else { stop };
    open_runs::check_fingerprint(world, &run).map_err(|fault| guarded(fault.into()))?;
    let why_not = tokio::select! {
        why_not = open_runs::why_not_finish(world, &run) => why_not,
        // Who is asked to stop loses no time with looking: a run is released in any case.
        () = signals::come() => Some("this process was asked to stop".into()),
    };
    match choose(how, why_not.as_deref()).await.map_err(guarded)? {
        OnOpen::Fail => {
            let what = "an open run was found and left alone, as --on-open fail asks";
            printer.problem(what, what_to_do(run.hold()));
            Err(guarded(Stop::with(exit::FAILED)))
        }
        OnOpen::Finish if Taking::Finish.allowed(why_not.as_deref()) == Taking::Finish => {
            let driven = adopt_and_drive(world, run, seq, how, Taking::Finish).await?;
            Ok(Taken::Finished(Box::new(driven)))
        }
        OnOpen::Finish | OnOpen::Release => {
            if let (Some(OnOpen::Finish), Some(why)) = (how.on_open, why_not) {
                printer.say(&format!("it cannot be finished: {why}; releasing it instead"));
            }
            let driven = adopt_and_drive(world, run, seq, how, Taking::Release).await?;
            match &driven.end {
                // The signal asks this command to stop as well, not only the run that it found.
                End::Closed(_) if signals::have_come() => Err(Stop::with(exit::INTERRUPTED)),
                End::Closed(_) => Ok(Taken::Released),
                End::JournalLost { fault, released: true } => {
                    printer.say(&summary::without_journal(&driven.run));
                    Err(fault.clone().into())
                }
                End::LeftOpen => {
                    tell_left_open(&driven, printer);
                    Err(Stop::with(exit::INTERRUPTED))
                }
                _ => {
                    tell_unreleased(&driven, printer);
                    Err(Stop::with(exit::of(&driven, false)))
                }
            }
        }
    }
}

async fn adopt_and_drive(
    world: &Arc<World>,
    mut run: Run,
    mut seq: u64,
    how: &How,
    taking: Taking,
) -> Result<Driven, Stop> {
    open_runs::take(world, &mut run, &mut seq, &actor(), how.term, taking).await?;
    Ok(Box::pin(super::drive::drive(world, run, seq, how.term, how.release_wait, how.printer)).await)
}

async fn choose(how: &How, why_not: Option<&str>) -> Result<OnOpen, Stop> {
    Ok(match how.on_open {
        Some(choice) => choice,
        None if !how.printer.can_ask() || signals::have_come() => OnOpen::Release,
        None => {
            let finish = if why_not.is_none() { "[f]inish it, " } else { "" };
            let question = format!("{finish}[r]elease and end it, then go on, or [q]uit? (r)");
            loop {
                let asking = how.printer.ask(question.clone());
                let answer = signals::or_stop(exit::INTERRUPTED, asking).await?;
                match answer.to_lowercase().as_str() {
                    "f" | "finish" if why_not.is_none() => break OnOpen::Finish,
                    "" | "r" | "release" => break OnOpen::Release,
                    "q" | "quit" => break OnOpen::Fail,
                    _ => {}
                }
            }
        }
    })
}

/// An open run in one line, with what it means for exporting.
pub(super) fn describe(run: &Run, now: jiff::Timestamp) -> String {
    let paused = match run.hold() {
        Hold::NotTaken => "it had not paused exporting".to_owned(),
        Hold::Open { since } | Hold::ReleasePending { since } => {
            format!(
                "it paused exporting {} ago and has not confirmed that it runs again",
                span(now.duration_since(since))
            )
        }
        Hold::Released { .. } => "exporting runs again".to_owned(),
    };
    format!("run {} by {} was left open {}: {paused}", run.id(), run.by(), ago(run.last_at(), now))
}

/// What is said when a process that was asked to stop could not wait for what was under way.
pub(super) fn tell_left_open(driven: &Driven, printer: Printer) {
    let run = &driven.run;
    let busy: Vec<String> =
        run.steps().filter(|(_, state)| is_under_way(state)).map(|(step, _)| step.name.to_string()).collect();
    let waited = match busy.as_slice() {
        [] => String::new(),
        busy => format!(", while {} was still under way", busy.join(", ")),
    };
    let exporting = match run.hold() {
        Hold::NotTaken => "exporting was not touched",
        _ => "exporting runs",
    };
    let next = if run.is_past_pivot() {
        "all its parts are whole and its manifest may be missing: `c8keep backup --on-open finish` goes on with it"
    } else {
        "the same command goes on: it finds the run and ends it"
    };
    printer.problem(&format!("run {} was left open after a signal{waited}; {exporting}", run.id()), next);
}

fn is_under_way(state: &StepState) -> bool {
    state.since().is_some() && !state.is_settled()
}

/// What to do about an open run of which no process is alive. Without a pause there is nothing to release.
pub(super) fn what_to_do(hold: Hold) -> &'static str {
    if hold.is_open() {
        "`c8keep resume-exporting` releases it; `c8keep backup` takes it over"
    } else {
        "`c8keep backup` ends it; it holds no pause"
    }
}

/// What is said when a release could not be confirmed.
pub(super) fn tell_unreleased(driven: &Driven, printer: Printer) {
    let run = &driven.run;
    let last = run.plan().release().map(|step| run.state(&step.name));
    let why = match (&driven.end, last) {
        (End::JournalLost { fault, .. }, _) | (_, Some(StepState::Retrying { fault, .. })) => {
            fault.to_string()
        }
        _ => "it was not confirmed in time".into(),
    };
    printer.problem(
        &format!("exporting may still be PAUSED: {why}"),
        "bring every broker back, then run `c8keep resume-exporting`; until then the brokers' disks fill up",
    );
}
