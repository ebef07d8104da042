//! `backup`: the whole documented procedure under one id.

use std::sync::Arc;

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::manifest;
use c8keep_core::plan::{Kind, Step};
use c8keep_core::run::{StepState, StopReason};
use c8keep_core::words::counted;
use c8keep_core::{BackupId, Outcome};
use c8keep_engine::World;
use c8keep_engine::drive::{Driven, End};
use c8keep_engine::fence::Fence;
use c8keep_engine::ids;
use c8keep_engine::open_runs::{self, Open};
use c8keep_engine::ports::{Journal, Term};

use super::catalog::{self, LOST};
use super::drive::Begun;
use super::take_over::{
    How, Left, interrupted, may_be_paused, take_over_all, tell_left_open, tell_unreleased,
};
use super::{other_names, status};
use crate::cli::{BackupArgs, Global, OnOpen, Output};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Session, actor};
use crate::settings::Settings;
use crate::show::summary;
use crate::show::time::span;
use crate::signals;

pub(super) async fn run(global: &Global, args: &BackupArgs, printer: Printer) -> Result<u8, Stop> {
    if args.dry_run {
        let planning = Box::pin(super::plan::run(global, &args.plan, printer));
        let planned = signals::or_stop(exit::INTERRUPTED, planning).await;
        return planned.map_err(|stop| interrupted(stop.code, "planning the backup", printer))?;
    }
    let settings = Settings::load(global)?;
    refuse_retry_under_one_id(args)?;
    let journal = match session::journal_to_write(&settings, printer).await {
        Ok(journal) => journal,
        Err(fault) => return Err(without_journal(&settings, fault, printer).await),
    };
    let ended = Box::pin(claimed(global, args, &settings, &journal, printer)).await;
    signals::or_out_of_time(journal.leave()).await;
    ended
}

/// An id is given to one backup, and whoever starts again needs another one.
fn refuse_retry_under_one_id(args: &BackupArgs) -> Result<(), Fault> {
    let Some(id) = args.plan.id().filter(|_| args.retry > 0) else { return Ok(()) };
    let answer = format!("the id {id} is given, and an id is used once");
    let hint = format!("leave out --retry, or --id and the variable {}", crate::env::BACKUP_ID);
    Err(Fault::new(FaultKind::Usage, "reading the command line", "--retry", answer).with_hint(hint))
}

/// Nothing was begun. What the journal would say of a pause must then be asked of the brokers.
async fn without_journal(settings: &Settings, fault: Fault, printer: Printer) -> Stop {
    let unwritable = fault.kind == FaultKind::Storage;
    let stop = Stop::from(fault);
    if status::is_paused(settings).await {
        printer.problem(
            "exporting is PAUSED, and the journal that may tell who did it cannot be opened",
            "mend the journal, then `c8keep resume-exporting`; it also does without, once it has shown what is paused",
        );
        return stop.while_paused();
    }
    if unwritable { Stop { code: FaultKind::Precondition.exit_code(), ..stop } } else { stop }
}

async fn claimed(
    global: &Global,
    args: &BackupArgs,
    settings: &Settings,
    journal: &Arc<Fence>,
    printer: Printer,
) -> Result<u8, Stop> {
    // A claim of another host may have to be watched for a minute, and somebody may lose patience.
    let known = open_runs::open(&**journal, settings.name()).await.unwrap_or_default();
    let or_paused = |paused| move |fault| if paused { may_be_paused(fault) } else { Stop::from(fault) };
    let by = actor();
    let claim = journal.claim(settings.name(), &by);
    let code = interrupted_with(&known);
    let claimed = signals::or_stop(code, claim).await;
    let claimed = claimed.map_err(|_| interrupted(code, "claiming the installation", printer))?;
    let term = claimed.map_err(or_paused(known.has_hold()))?;
    tell_unclaimed(settings, journal, printer);
    let inherits = journal.inherited().is_some();
    let open = open_runs::open(&**journal, settings.name()).await.map_err(or_paused(inherits))?;
    let Open { runs, unreadable } = open;
    let left = Left { inherited: super::inherited::of(journal, &runs).await, runs };
    let paused = left.has_hold();
    signals::guard(paused);
    let code = if paused { exit::MAY_BE_PAUSED } else { exit::INTERRUPTED };
    let assembled = signals::or_stop(code, session::assemble(settings, journal.clone())).await;
    let assembled = assembled.map_err(|_| interrupted(code, "looking at the installation", printer))?;
    let Session { world, findings, .. } = match assembled {
        Ok(session) => session,
        Err(fault) if paused => {
            let stopped = Box::pin(release_at_least(settings, args, journal, left, term, fault, printer));
            return Err(stopped.await);
        }
        Err(fault) => return Err(fault.into()),
    };
    let is_first = world.journal.runs(settings.name(), 1).await.map_err(or_paused(paused))?.is_empty();
    session::announce(&world.installation, &findings, is_first || global.verbose > 0, printer);
    let how = How {
        on_open: on_open(args, &unreadable),
        term,
        release_wait: args.release_wait,
        force: false,
        printer,
    };
    let was_open = !left.runs.is_empty();
    let (finished, rest) = take_over_all(settings, &world, journal, left, &how).await;
    if let Some(driven) = finished {
        let code = finished_instead(&world, settings, &driven, args, printer);
        return match rest {
            Ok(()) => Ok(code),
            Err(stop) => Err(Stop { code: exit::first_of([code, stop.code]), ..stop }),
        };
    }
    rest?;
    let unreadable = with_claims(unreadable, journal);
    if !unreadable.is_empty() {
        return Err(beside_unreadable(&world, unreadable, printer).await);
    }
    // Nothing of another name is taken over under this one.
    let others = other_names::on(settings, &**journal, Some(&world.installation.fingerprint)).await;
    if let Some(other) = other_names::left_paused(&others) {
        let stop = Stop::from(other.fault("starting a backup", &world.installation.management));
        // Whoever ends that run lifts the pause that this backup would make: it has to end first, paused or not.
        let runs = status::runs_everywhere(&world).await.is_some();
        return Err(if runs { stop } else { stop.while_paused() });
    }
    if let (true, Some(id)) = (was_open, args.plan.id()) {
        return Ok(not_started(&world, id, printer).await);
    }
    if let Some(lost) = catalog::lost(&*world.vault, &*world.journal, settings.name()).await {
        let place = world.vault.place();
        printer.say(&format!(
            "warning: the journal knows backup {lost}, the vault {place} does not have it: {LOST}"
        ));
    }
    let mut tries_left = args.retry;
    loop {
        let driven = one(&world, settings, args, term, printer).await?;
        let code = tell(&world, settings, &driven, args, paused, printer);
        if tries_left == 0 || !is_worth_another_id(&driven) {
            return Ok(code);
        }
        tries_left -= 1;
        printer.say("starting again under a higher id");
    }
}

/// Told at once, although it ends the backup only before its pause.
fn tell_unclaimed(settings: &Settings, journal: &Fence, printer: Printer) {
    if let Some(fault) = journal.unclaimed() {
        let name = settings.name();
        printer.say(&format!("{name} cannot be claimed in the vault, so nothing can be paused: {fault}"));
    }
}

/// An id is given to one backup, and what was open came first.
async fn not_started(world: &World, id: BackupId, printer: Printer) -> u8 {
    // Where the servers do not tell, the refusal of the next start does.
    let highest = ids::highest_seen(world).await.ok().flatten();
    let next = match highest.filter(|highest| *highest >= id) {
        Some(highest) => {
            format!("start again with the id {} or a higher one, or without one", highest.get() + 1)
        }
        None => "start again with the same id".into(),
    };
    let ended = "an earlier run was open and has just been ended";
    printer.problem(&format!("backup {id} was not started: {ended}"), &next);
    exit::FAILED
}

/// A run that was open has been gone on with: that was this command's backup, unless another one was asked for.
fn finished_instead(
    world: &World,
    settings: &Settings,
    driven: &Driven,
    args: &BackupArgs,
    printer: Printer,
) -> u8 {
    let code = tell(world, settings, driven, args, false, printer);
    let finished = driven.run.plan().backup();
    let Some(wanted) = args.plan.id().filter(|wanted| *wanted != finished) else { return code };
    let what =
        format!("backup {wanted} was not started: backup {finished} was open, and has been gone on with");
    printer.problem(&what, "start again for another one");
    exit::first_of([code, exit::FAILED])
}

/// No backup can be taken now; that keeps no pause of ours. What stands in the way decides the code, if exporting runs.
async fn release_at_least(
    settings: &Settings,
    args: &BackupArgs,
    fence: &Arc<Fence>,
    left: Left,
    term: Term,
    fault: Fault,
    printer: Printer,
) -> Stop {
    let journal: Arc<dyn Journal> = fence.clone();
    let assembled = session::assemble_to_release(settings, journal);
    let world = match signals::or_stop(exit::MAY_BE_PAUSED, assembled).await {
        Ok(Ok(session)) => session.world,
        // What stands in the way of identifying the cluster, `resume-exporting` waits for or tells of.
        Ok(Err(_)) => {
            let hint = format!(
                "an earlier run has left exporting PAUSED, as far as is known: `c8keep resume-exporting`; then: {}",
                fault.hint
            );
            return Stop::from(fault.with_hint(hint)).while_paused();
        }
        Err(stop) => return interrupted(stop.code, "looking at the installation", printer),
    };
    let on_open = args.on_open.filter(|wished| *wished == OnOpen::Fail).or(Some(OnOpen::Release));
    let how = How { on_open, term, release_wait: args.release_wait, force: false, printer };
    match take_over_all(settings, &world, fence, left, &how).await.1 {
        Ok(()) => fault.into(),
        Err(stop) => {
            printer.fault(&fault);
            stop
        }
    }
}

/// The exit code of a signal before these runs are ended.
fn interrupted_with(open: &Open) -> u8 {
    if open.has_hold() { exit::MAY_BE_PAUSED } else { exit::INTERRUPTED }
}

/// With a run beside it that nobody can read, an open run is ended and not finished: whose the pause is that it would go on
/// under cannot be told.
fn on_open(args: &BackupArgs, unreadable: &[Fault]) -> Option<OnOpen> {
    match args.on_open {
        Some(OnOpen::Fail) => Some(OnOpen::Fail),
        _ if !unreadable.is_empty() => Some(OnOpen::Release),
        wished => wished,
    }
}

/// A claim that nobody can read will not be read at the pause, either: what was begun until then would be for nothing.
fn with_claims(unreadable: Vec<Fault>, journal: &Fence) -> Vec<Fault> {
    let damaged = journal.unclaimed().filter(|fault| fault.kind == FaultKind::Damaged);
    unreadable.into_iter().chain(damaged).collect()
}

/// No backup begins beside a run that nobody can read: it may have paused exporting. Those that can be read have been
/// released by then.
async fn beside_unreadable(world: &World, faults: Vec<Fault>, printer: Printer) -> Stop {
    let positions = world.camunda.positions(&world.installation.brokers, world.clock.now()).await;
    // Brokers that cannot be read may be paused as well as those that say so.
    let paused = positions.map_or(true, |positions| !positions.paused().is_empty());
    let mut faults = faults.into_iter();
    let first = faults.next().map_or_else(|| Stop::told(exit::FAILED, "a run cannot be read"), Stop::from);
    faults.for_each(|fault| printer.fault(&fault));
    if paused { first.while_paused() } else { first }
}

async fn one(
    world: &Arc<World>,
    settings: &Settings,
    args: &BackupArgs,
    term: Term,
    printer: Printer,
) -> Result<Driven, Stop> {
    let planned = signals::or_stop(exit::INTERRUPTED, super::plan::make(world, settings, &args.plan)).await;
    let plan = planned.map_err(|stop| interrupted(stop.code, "planning the backup", printer))??;
    let by = actor();
    let begun = signals::or_stop(exit::INTERRUPTED, open_runs::begin(world, plan, &by, term)).await;
    let (run, seq) = begun.map_err(|stop| interrupted(stop.code, "opening the run", printer))??;
    let begun = Begun { run, seq, untold: Vec::new() };
    Ok(super::drive::drive(world, begun, term, args.release_wait, printer).await)
}

/// What failed outside may pass under a new id; a prerequisite, a full disk or a signal will not.
fn is_worth_another_id(driven: &Driven) -> bool {
    match &driven.end {
        End::Closed(Outcome::Stopped { reason }) => *reason == StopReason::HoldBudget,
        End::Closed(Outcome::Failed { fault, .. }) => !matches!(
            fault.kind,
            FaultKind::Precondition
                | FaultKind::ForeignPause
                | FaultKind::Unauthorised
                | FaultKind::Usage
                | FaultKind::Locked
        ),
        _ => false,
    }
}

/// Says how it ended, and returns the exit code. `earlier`: whether the pause of an earlier run has been lifted before.
fn tell(
    world: &World,
    settings: &Settings,
    driven: &Driven,
    args: &BackupArgs,
    earlier: bool,
    printer: Printer,
) -> u8 {
    let code = exit::of(driven, args.require_proof);
    let run = &driven.run;
    let manifest = run.facts().published.as_ref().map(|path| format!("{}/{path}", world.vault.place()));
    let limit = summary::ended_by_limit(run);
    let fault_and = |fault: Option<&Fault>, said: String| {
        if let Some(fault) = fault {
            printer.fault(fault);
        }
        printer.say(&said);
        said
    };
    let id = run.plan().backup();
    let said = match (&driven.end, &manifest) {
        (End::Closed(Outcome::Complete | Outcome::Partial { .. }), Some(manifest)) => {
            let text = summary::complete(run, &world.installation, manifest);
            if printer.output() == Output::Text {
                printer.result(&text, &());
            }
            warn(driven, settings.vault.is_none(), printer);
            String::new()
        }
        (End::Closed(Outcome::Failed { step, fault }), _) => {
            fault_and(Some(fault), after_failure(driven, &format!("backup {id} failed at {step}"), earlier))
        }
        (End::Closed(Outcome::Stopped { reason }), _) => {
            fault_and(limit.as_ref(), after_failure(driven, &format!("backup {id}: {reason}"), earlier))
        }
        (End::LeftOpen, _) => tell_left_open(driven, printer),
        (End::Superseded(fault), _) => {
            printer.fault(fault);
            String::new()
        }
        (End::JournalLost { fault, released: true }, _) => {
            fault_and(Some(fault), summary::without_journal(run))
        }
        _ => tell_unreleased(driven, printer),
    };
    printer.line(&summary::result(driven, limit.as_ref(), manifest, &said, code));
    code
}

/// What a complete backup still has to say.
fn warn(driven: &Driven, is_default_vault: bool, printer: Printer) {
    if let Some(witness) = &driven.run.facts().witness
        && let c8keep_core::witness::WitnessVerdict::Unproven { reason } = &witness.verdict
    {
        printer.say(&format!(
            "warning: the backup is complete, but nothing proves that the pause held: {reason}; give every broker's \
             management address as `brokers` in the configuration"
        ));
    }
    let parts = manifest::parts(&driven.run);
    let left_out = manifest::left_out(driven.run.facts(), &parts);
    if !left_out.is_empty() {
        printer.say(&format!(
            "warning: the applications have left out {}: archived copies are in no snapshot of 8.8 and 8.9 before camunda issue \
             47122 was mended; `c8keep show` names them",
            counted(left_out.len(), "index", "indices")
        ));
    }
    for (step, state) in driven.run.steps() {
        if let (true, StepState::Failed { fault, .. }) = (driven.run.is_past_pivot(), state) {
            printer.say(&format!("warning: {}: {fault}", step.name));
        }
    }
    if is_default_vault {
        printer.say("note: journal and vault lie on this machine only; put the vault elsewhere with `vault` in the configuration");
    }
}

/// Where exporting stands after a failure, and which id comes next.
fn after_failure(driven: &Driven, what: &str, earlier: bool) -> String {
    let run = &driven.run;
    let exporting = match run.hold().length(run.last_at()) {
        None if earlier => {
            "it did not pause exporting; the pause that an earlier run had left was released before"
                .to_owned()
        }
        None => "exporting was not touched".to_owned(),
        Some(length) => format!("exporting runs again; it was paused for {}", span(length)),
    };
    let id = run.plan().backup();
    // A dump burns no id.
    let sends = |step: &Step| step.kind == Kind::Effect && !step.action.is_beside_window();
    let sent = run.steps().any(|(step, state)| sends(step) && state.since().is_some());
    if sent {
        format!(
            "{what}; {exporting}\n  do not use id {id} again; the next free one is {}",
            summary::next_id(run)
        )
    } else {
        format!("{what}; {exporting}")
    }
}
