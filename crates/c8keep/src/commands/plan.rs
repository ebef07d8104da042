//! `plan`: what a backup would do, and what was found. Reads only.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Installation;
use c8keep_core::plan::StepName;
use c8keep_core::recipe::{self, Request};
use c8keep_core::{BackupId, Plan, Run};
use c8keep_engine::{World, ids, open_runs, perform};
use serde::Serialize;

use super::claims;
use super::take_over::is_at_work;
use crate::cli::{Global, PlanArgs};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Finding, Session};
use crate::settings::Settings;

#[derive(Serialize)]
struct Shown<'a> {
    /// What a backup would do before the plan, or why it would not do it now.
    first: Option<&'a str>,
    installation: &'a Installation,
    findings: &'a [Finding],
    plan: &'a Plan,
    checks: &'a [Check],
}

/// One check with which a backup would begin, made now.
#[derive(Serialize)]
struct Check {
    step: StepName,
    ok: bool,
    fault: Option<Fault>,
    /// What a backup makes of it first, where it would otherwise be a fault.
    note: Option<String>,
}

pub(super) async fn run(global: &Global, args: &PlanArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await?;
    let Session { world, findings, .. } = session::assemble(&settings, journal).await?;
    session::announce(&world.installation, &findings, true, printer);
    let plan = match make(&world, &settings, args).await {
        // What keeps the highest id from being read is told by the checks below; the plan is worth seeing all the same.
        Err(_) if args.id().is_none() => of_id(&world, &settings, args, next_id(&world, None)?)?,
        made => made?,
    };
    let made = perform::check(&world, &plan).await;
    let open = open_runs::open(&*world.journal, &world.installation.name).await.unwrap_or_default().runs;
    let vault = session::vault(&settings).await;
    let holder = claims::anybody_at_work(&settings, &vault, world.clock.now()).await;
    let checks: Vec<Check> = made
        .into_iter()
        .map(|(step, made)| {
            let optional = plan.step(&step).is_some_and(|step| !step.required);
            check(step, made.err(), optional, holder.as_deref(), &open)
        })
        .collect();
    let first = at_work(holder.as_deref(), &open).or_else(|| taken_over_first(&open, args));
    let shown = Shown {
        first: first.as_deref(),
        installation: &world.installation,
        findings: &findings,
        plan: &plan,
        checks: &checks,
    };
    let beforehand = first.as_ref().map_or_else(String::new, |first| format!("{first}\n\n"));
    printer.result(&format!("{beforehand}{plan}\n{}", text(&checks)), &shown);
    let mut faults = checks.iter().filter_map(|check| check.fault.as_ref()).peekable();
    let code = faults.peek().map_or(exit::DONE, |fault| fault.kind.exit_code());
    faults.for_each(|fault| printer.fault(fault));
    Ok(code)
}

fn text(checks: &[Check]) -> String {
    let mut lines = vec!["checks, made just now".to_owned()];
    for Check { step, fault, note, .. } in checks {
        lines.push(match (fault, note) {
            (Some(fault), _) => format!("  BAD  {step:<21} {}", fault.answer),
            (None, Some(note)) => format!("  -    {step:<21} {note}"),
            (None, None) => format!("  ok   {step}"),
        });
    }
    lines.push("  -    check-vault           made by the backup itself: it writes".into());
    lines.join("\n")
}

/// A pause of our own stands in the way of no backup: it is lifted first, or its run is at work and keeps others out.
fn check(
    step: StepName,
    fault: Option<Fault>,
    optional: bool,
    holder: Option<&str>,
    open: &[(Run, u64)],
) -> Check {
    let is_pause = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::ForeignPause);
    let (fault, note) = match (fault, holder) {
        (Some(_), Some(_)) if is_pause => (None, Some("exporting is paused while a run is at work".into())),
        (Some(fault), _) if is_pause => match of_our_own(fault, open) {
            foreign if foreign.kind == FaultKind::ForeignPause => (Some(foreign), None),
            own => (None, Some(format!("{}: a backup lifts that first", own.answer))),
        },
        (Some(fault), _) if optional => (None, Some(format!("a backup would be partial: {}", fault.answer))),
        (fault, _) => (fault, None),
    };
    Check { step, ok: fault.is_none() && note.is_none(), fault, note }
}

/// Who keeps another backup from starting now.
pub(super) fn at_work(holder: Option<&str>, open: &[(Run, u64)]) -> Option<String> {
    let holder = holder?;
    let what = match open.iter().find(|(run, _)| is_at_work(run, Some(holder))) {
        Some((run, _)) => format!("backup {} is running ({holder})", run.plan().backup()),
        None => format!("{holder} is at work"),
    };
    Some(format!("{what}: another backup would end with 11"))
}

/// What becomes of runs that were left open before a new one begins.
fn taken_over_first(open: &[(Run, u64)], args: &PlanArgs) -> Option<String> {
    let left: Vec<String> = open.iter().map(|(run, _)| run.id().to_string()).collect();
    if left.is_empty() {
        return None;
    }
    let then = if args.id().is_some() {
        "a backup takes that over first, and with a given id ends after it; start it again for what follows"
    } else {
        "a backup takes that over first (--on-open), and then does what follows"
    };
    Some(format!("left open: {}; {then}", left.join(", ")))
}

/// A pause that one of our own runs has left is told as that.
pub(super) fn of_our_own(fault: Fault, open: &[(Run, u64)]) -> Fault {
    let left = open.iter().find(|(run, _)| run.hold().is_open());
    let Some((run, _)) = left.filter(|_| fault.kind == FaultKind::ForeignPause) else { return fault };
    let answer = format!("exporting is paused by run {}, which was left open", run.id());
    Fault { kind: FaultKind::Precondition, answer, ..fault }
        .with_hint("`c8keep resume-exporting` lets it run again; `c8keep backup` takes the run over")
}

/// The plan that the settings and the options ask for.
pub(super) async fn make(world: &World, settings: &Settings, args: &PlanArgs) -> Result<Plan, Stop> {
    let id = match args.id() {
        Some(id) => id,
        None => next_id(world, ids::highest_seen(world).await?)?,
    };
    of_id(world, settings, args, id)
}

fn next_id(world: &World, highest: Option<BackupId>) -> Result<BackupId, Fault> {
    BackupId::generate(world.clock.now(), highest).ok_or_else(ids::none_left)
}

fn of_id(world: &World, settings: &Settings, args: &PlanArgs, id: BackupId) -> Result<Plan, Stop> {
    let mut request = Request::new(id);
    let limits = &settings.limits;
    for (wished, slot) in [
        (args.hold_budget.or(limits.hold_budget), &mut request.hold_budget),
        (args.stall.or(limits.stall), &mut request.stall),
        (args.wait_deadline.or(limits.wait_deadline), &mut request.wait_deadline),
    ] {
        *slot = wished.unwrap_or(*slot);
    }
    Ok(recipe::backup(&world.installation, &request).map_err(c8keep_core::Fault::from)?)
}
