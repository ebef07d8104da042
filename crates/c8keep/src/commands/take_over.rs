//! What an earlier process left open. Reading verbs only report it; `backup` and `resume-exporting` take it over.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::claim::Held;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::{Hold, StepState};
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End, Unreleased};
use c8keep_engine::fence::Fence;
use c8keep_engine::open_runs::{self, Taking};
use c8keep_engine::ports::Term;
use jiff::SignedDuration;

use super::drive::Begun;
use super::status::has_been_resumed;
use super::{inherited, other_names};
use crate::cli::OnOpen;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::actor;
use crate::settings::Settings;
use crate::show::summary;
use crate::show::time::{ago, span};
use crate::signals;

/// What earlier processes left, on this host or another one.
pub(super) struct Left {
    /// A pause that only our claim tells of.
    pub(super) inherited: Option<Held>,
    /// Open runs of this journal, newest first.
    pub(super) runs: Vec<(Run, u64)>,
}

impl Left {
    /// Whether it may keep exporting paused.
    pub(super) fn has_hold(&self) -> bool {
        self.inherited.is_some() || self.runs.iter().any(|(run, _)| run.hold().is_open())
    }
}

/// Lifts the inherited pause, then ends or finishes the open runs: how the one ended that was finished, if any, and what stood
/// in the way of the others. What belongs to another cluster comes last, because it keeps nothing of this one paused.
pub(super) async fn take_over_all(
    settings: &Settings,
    world: &Arc<World>,
    fence: &Fence,
    left: Left,
    how: &How,
) -> (Option<Box<Driven>>, Result<(), Stop>) {
    let ours = &world.installation.fingerprint;
    let others = other_names::on(settings, fence, Some(ours)).await;
    if let (false, Some(other)) = (how.force, other_names::at_work(&others)) {
        let stop = Stop::from(other.fault("looking for open runs", &world.installation.management));
        return (None, Err(if left.has_hold() { stop.while_paused() } else { stop }));
    }
    let (here, elsewhere) = match left.inherited {
        Some(held) if ours.is_same_installation(&held.fingerprint) || how.on_open == Some(OnOpen::Fail) => {
            (Some(held), None)
        }
        other => (None, other),
    };
    if let Some(held) = here
        && let Err(stop) = inherited::release(settings, world, fence, &held, how).await
    {
        return (None, Err(stop));
    }
    let mut runs = left.runs;
    runs.sort_by_key(|(run, _)| !ours.is_same_installation(run.plan().fingerprint()));
    let (finished, ended) = take_over_runs(world, runs, how).await;
    let Some(held) = elsewhere else { return (finished, ended) };
    if let Err(Stop { fault: Some(fault), .. }) = &ended {
        how.printer.fault(fault);
    }
    (finished, Err(Stop::from(inherited::elsewhere(world, &held)).while_paused()))
}

/// The open runs in this order. After a signal all of them are released in the time that is left, and then the command stops,
/// too.
async fn take_over_runs(
    world: &Arc<World>,
    open: Vec<(Run, u64)>,
    how: &How,
) -> (Option<Box<Driven>>, Result<(), Stop>) {
    let mut finished = None;
    for (run, seq) in open {
        // One has been finished, and its window is over: what else was open is older.
        let on_open = if finished.is_some() { Some(OnOpen::Release) } else { how.on_open };
        match take_over(world, run, seq, &How { on_open, ..*how }).await {
            Ok(Taken::Finished(driven)) if matches!(driven.end, End::Closed(_)) => finished = Some(driven),
            // Its pause is not known to be over, or another process has taken over.
            Ok(Taken::Finished(driven)) => return (Some(driven), Ok(())),
            Ok(Taken::Released) => {}
            Err(stop) => return (finished, Err(stop)),
        }
    }
    if finished.is_none() && signals::have_come() {
        let what = "stopped by a signal; what was open is ended, and exporting runs";
        how.printer.say(what);
        return (None, Err(Stop::told(exit::INTERRUPTED, what)));
    }
    (finished, Ok(()))
}

/// What became of an open run.
enum Taken {
    /// It was finished under its own id: that was this command's backup.
    Finished(Box<Driven>),
    /// It was ended and exporting runs.
    Released,
}

/// How to take over.
#[derive(Clone, Copy)]
pub(super) struct How {
    pub(super) on_open: Option<OnOpen>,
    pub(super) term: Term,
    pub(super) release_wait: Option<SignedDuration>,
    /// Also while somebody is at work on this cluster under another name.
    pub(super) force: bool,
    pub(super) printer: Printer,
}

/// Ends or finishes one open run.
async fn take_over(world: &Arc<World>, run: Run, seq: u64, how: &How) -> Result<Taken, Stop> {
    let printer = how.printer;
    // Who releases it in any case loses no time with looking.
    let resumed = may_be_left(how) && has_been_resumed(world, &run).await;
    printer.say(&describe(&run, world.clock.now(), resumed));
    let guarded = |stop: Stop| if run.hold().is_open() && !resumed { stop.while_paused() } else { stop };
    open_runs::check_fingerprint(world, &run).map_err(|fault| guarded(fault.into()))?;
    let why_not = why_not_finish(world, &run, how).await;
    let left_alone = |stop: Stop, why: &str| {
        let next = if resumed { RESUMED_NEXT } else { what_to_do(run.hold()) };
        printer.problem(&format!("an open run was found and left alone, {why}"), next);
        guarded(stop)
    };
    let chosen = choose(how, why_not.as_deref()).await;
    match chosen.map_err(|stop| left_alone(stop, "as a signal came before you chose"))? {
        OnOpen::Fail => {
            let why = if how.on_open.is_some() { "as --on-open fail asks" } else { "as you chose" };
            let what = format!("an open run was found and left alone, {why}");
            Err(left_alone(Stop::told(exit::FAILED, &what), why))
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
                End::Closed(_) => Ok(Taken::Released),
                End::JournalLost { fault, released: true } => {
                    printer.say(&summary::without_journal(&driven.run));
                    Err(Stop::from(fault.clone()).unwritten())
                }
                End::LeftOpen => Err(Stop::told(exit::INTERRUPTED, tell_left_open(&driven, printer))),
                _ => Err(Stop::told(exit::of(&driven, false), tell_unreleased(&driven, printer))),
            }
        }
    }
}

/// Looked at only where it may be finished: a release waits for nothing that it does not need.
async fn why_not_finish(world: &World, run: &Run, how: &How) -> Option<String> {
    if !matches!(how.on_open, Some(OnOpen::Finish)) && !asks(how) {
        return None;
    }
    tokio::select! {
        why_not = open_runs::why_not_finish(world, run) => why_not,
        // Nor does who is asked to stop: a run is released in any case.
        () = signals::come() => Some("this process was asked to stop".into()),
    }
}

/// Whether a person says what becomes of a run.
fn asks(how: &How) -> bool {
    how.on_open.is_none() && how.printer.can_ask() && !signals::have_come()
}

async fn adopt_and_drive(
    world: &Arc<World>,
    mut run: Run,
    mut seq: u64,
    how: &How,
    taking: Taking,
) -> Result<Driven, Stop> {
    let is_open = run.hold().is_open();
    let taken = open_runs::take(world, &mut run, &mut seq, &actor(), how.term, taking).await;
    let not_taken = |fault| if is_open { may_be_paused(fault) } else { Stop::from(fault).unwritten() };
    let from = Begun { run, seq, untold: taken.map_err(not_taken)? };
    Ok(Box::pin(super::drive::drive(world, from, how.term, how.release_wait, how.printer)).await)
}

/// Whether somebody may leave an open run as it is.
fn may_be_left(how: &How) -> bool {
    let asks = how.on_open.is_none() && how.printer.can_ask();
    (asks || how.on_open == Some(OnOpen::Fail)) && !signals::have_come()
}

async fn choose(how: &How, why_not: Option<&str>) -> Result<OnOpen, Stop> {
    Ok(match how.on_open {
        Some(choice) => choice,
        None if !asks(how) => OnOpen::Release,
        None => {
            let finish = if why_not.is_none() { "[f]inish it, " } else { "" };
            let question = format!("{finish}[r]elease and end it, then go on, or [q]uit? (r)");
            loop {
                let asking = how.printer.ask(question.clone());
                // Who has left leaves the decision to what is done without a terminal.
                let answer = signals::or_stop(exit::INTERRUPTED, asking).await?.unwrap_or_default();
                match answer.to_lowercase().as_str() {
                    "f" | "finish" if why_not.is_none() => break OnOpen::Finish,
                    "" | "r" | "release" => break OnOpen::Release,
                    "q" | "quit" => break OnOpen::Fail,
                    "f" | "finish" => {
                        let why = why_not.unwrap_or_default();
                        how.printer.say(&format!("it cannot be finished: {why}"));
                    }
                    _ => {}
                }
            }
        }
    })
}

/// What ends a process that has not lifted a pause of ours. Only a successor lifts it; everybody else must be told of it.
pub(super) fn may_be_paused(fault: Fault) -> Stop {
    if fault.kind == FaultKind::Locked {
        return fault.into();
    }
    let first = if fault.hint.is_empty() { String::new() } else { format!("{}; then ", fault.hint) };
    let hint = format!("exporting may still be PAUSED: {first}run `c8keep resume-exporting`");
    Stop::from(fault.with_hint(hint)).while_paused().unwritten()
}

/// An open run in one line, with what it means for exporting; `resumed`: its pause is known to be over.
pub(super) fn describe(run: &Run, now: jiff::Timestamp, resumed: bool) -> String {
    let paused = match run.hold() {
        _ if resumed => "it had paused exporting, which runs by now, as somebody resumed it".to_owned(),
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

/// Whether the process that drives a run is the one that holds the installation on this host.
pub(super) fn is_at_work(run: &Run, holder: Option<&str>) -> bool {
    let by = |holder: &str| holder.strip_prefix(run.by()).is_some_and(|rest| rest.starts_with(" since "));
    holder.is_some_and(by)
}

/// Says that a process which was asked to stop could not wait for what was under way; returns what it has said.
pub(super) fn tell_left_open(driven: &Driven, printer: Printer) -> String {
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
    let what = format!("run {} was left open after a signal{waited}; {exporting}", run.id());
    printer.problem(&what, next);
    what
}

fn is_under_way(state: &StepState) -> bool {
    state.since().is_some() && !state.is_settled()
}

/// What to do about one whose pause is over.
pub(super) const RESUMED_NEXT: &str = "the next `c8keep backup` ends it; nothing has to be resumed";

/// What to do about an open run of which no process is alive. Without a pause there is nothing to release.
pub(super) fn what_to_do(hold: Hold) -> &'static str {
    if hold.is_open() {
        "`c8keep resume-exporting` releases it; `c8keep backup` takes it over"
    } else {
        "`c8keep backup` ends it; it holds no pause"
    }
}

/// Says that a release could not be confirmed, what kept it and what to do about that; returns what it has said.
pub(super) fn tell_unreleased(driven: &Driven, printer: Printer) -> String {
    if let End::JournalLost { fault, .. } = &driven.end {
        printer.fault(fault);
    }
    let earlier = |before: &Option<Fault>| {
        before.as_ref().map_or_else(String::new, |fault| format!("; the attempt before failed: {fault}"))
    };
    let why = match &driven.unreleased {
        Some(Unreleased::Failed(fault)) => fault.to_string(),
        Some(Unreleased::Unanswered { before }) => {
            format!("resuming it was sent, and no answer came in time{}", earlier(before))
        }
        Some(Unreleased::NeverSent { because, before }) => {
            format!("resuming it was never sent, because {because}{}", earlier(before))
        }
        Some(Unreleased::NotWrittenDown) => {
            let what = "exporting was resumed, and the brokers confirm it; but that could not be written down in time";
            printer.problem(what, "`c8keep status` shows it; the next `c8keep backup` ends the run");
            return what.into();
        }
        None => "it was not confirmed in time".into(),
    };
    let hint = driven.unreleased.as_ref().and_then(Unreleased::fault).map_or("", |fault| fault.hint.as_str());
    let first = match (&driven.unreleased, hint) {
        (Some(Unreleased::NeverSent { before: None, .. }), _) => "",
        (_, "") => "bring every broker back, then ",
        (_, hint) => &format!("{hint}; then "),
    };
    let next = format!("{first}run `c8keep resume-exporting`; until then the brokers' disks fill up");
    let what = format!("exporting may still be PAUSED: {why}");
    printer.problem(&what, &next);
    if summary::is_whole(&driven.run) {
        let id = driven.run.plan().backup();
        printer.say(&format!("backup {id} itself is whole and published: `c8keep show {id}`"));
    }
    what
}

/// A signal came before anything was begun: where that leaves exporting. The code tells whether a pause of ours is known.
pub(super) fn interrupted(code: u8, doing: &str, printer: Printer) -> Stop {
    if code == exit::MAY_BE_PAUSED {
        let what = format!(
            "exporting may still be PAUSED: resuming it was never sent, because a signal came while c8keep was {doing}"
        );
        printer.problem(&what, "run `c8keep resume-exporting`; until then the brokers' disks fill up");
        return Stop::told(code, what);
    }
    let what = format!("stopped by a signal while c8keep was {doing}; exporting was not touched");
    printer.say(&what);
    Stop::told(code, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standing of a process ends in two ways, and only one of them leaves the release to somebody else.
    #[test]
    fn a_pause_that_nobody_else_lifts_is_told() {
        let fault =
            |kind| Fault::new(kind, "renewing the claim", "/vault", "said").with_hint("see to the vault");
        for kind in [FaultKind::Unreachable, FaultKind::Storage, FaultKind::Unauthorised, FaultKind::Damaged]
        {
            let stop = may_be_paused(fault(kind));
            assert!((stop.code, stop.unwritten) == (exit::MAY_BE_PAUSED, true), "{stop:?}");
            let hint = stop.fault.unwrap().hint;
            assert_eq!(
                hint,
                "exporting may still be PAUSED: see to the vault; then run `c8keep resume-exporting`"
            );
        }
        let superseded = may_be_paused(fault(FaultKind::Locked));
        assert!((superseded.code, superseded.unwritten) == (11, false), "{superseded:?}");
        assert_eq!(superseded.fault.unwrap().hint, "see to the vault");
    }
}
