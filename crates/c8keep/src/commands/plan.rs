//! `plan`: what a backup would do, and what was found. Reads only.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Installation;
use c8keep_core::plan::{Action, StepName};
use c8keep_core::recipe::{self, Request};
use c8keep_core::{BackupId, Plan};
use c8keep_engine::ports::Journal;
use c8keep_engine::{World, ids, open_runs, perform};
use jiff::SignedDuration;
use serde::Serialize;

use super::budget::{self, Compared};
use super::take_over::{describe, what_to_do};
use super::whose::{LEFT_PAUSED, Whose};
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
    /// The budget of the pause beside what the last ones took.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_budget: Option<&'a Compared>,
    /// What keeps a backup from beginning: open runs, a vault that is not there, and checks that failed.
    in_the_way: &'a [Fault],
}

/// One check with which a backup would begin, made now.
#[derive(Serialize)]
struct Check {
    step: StepName,
    ok: bool,
    fault: Option<Fault>,
    /// What a backup makes of it first, where it would otherwise be a fault.
    note: Option<String>,
    /// What nobody could tell; that keeps no backup.
    untold: Option<String>,
}

pub(super) async fn run(global: &Global, args: &PlanArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await?;
    let Session { world, findings, .. } = match session::assemble(&settings, journal.clone()).await {
        Ok(session) => session,
        Err(fault) => {
            tell_open(&*journal, &settings, printer).await;
            return Err(fault.into());
        }
    };
    session::announce(&world.installation, &findings, true, printer);
    let plan = match make(&world, &settings, args).await {
        // What keeps the highest id from being read is told by the checks below; the plan is worth seeing all the same.
        Err(_) if args.id().is_none() => of_id(&world, &settings, args, next_id(&world, None)?)?,
        made => made?,
    };
    let made = perform::check(&world, &plan).await;
    let vault = session::vault(&settings).await;
    let now = world.clock.now();
    let whose = Whose::read(&settings, &*world.journal, &vault, Some(&world), now).await;
    let mut faults = made.iter().filter_map(|(_, made)| made.as_ref().err());
    let last = if faults.any(|fault| whose.is_left_paused(fault)) { LEFT_PAUSED } else { "" };
    let checks: Vec<Check> = made
        .into_iter()
        .map(|(step, made)| {
            let optional = plan.step(&step).is_some_and(|step| !step.required);
            check(step, made, optional, &whose)
        })
        .collect();
    let first = whose.at_work().or_else(|| taken_over_first(&whose.left(), args));
    let mut in_the_way = whose.in_the_way(Some(&world));
    // Whether a vault can be written to the backup finds out; that there is none is known now.
    let vault = ids::in_vault(&*world.vault, settings.name()).await.err();
    in_the_way.extend(vault.filter(|fault| fault.kind == FaultKind::Precondition));
    in_the_way.extend(checks.iter().filter_map(|check| check.fault.clone()));
    let budget = budget::by_journal(&*world.journal, settings.name(), plan.hold_budget()).await;
    let shown = Shown {
        first: first.as_deref(),
        installation: &world.installation,
        findings: &findings,
        plan: &plan,
        checks: &checks,
        hold_budget: budget.as_ref(),
        in_the_way: &in_the_way,
    };
    let beforehand = first.as_ref().map_or_else(String::new, |first| format!("{first}\n\n"));
    printer.result(&format!("{beforehand}{plan}\n{}\n{last}", text(&checks, &plan, budget.as_ref())), &shown);
    for fault in &in_the_way {
        printer.fault(fault);
    }
    Ok(exit::first_of(in_the_way.iter().map(|fault| fault.kind.exit_code())))
}

/// A pause that was left weighs more than what keeps a backup from being planned.
async fn tell_open(journal: &dyn Journal, settings: &Settings, printer: Printer) {
    let open = open_runs::open(journal, settings.name()).await.unwrap_or_default();
    let holder = session::holder(settings).unwrap_or_default();
    for (run, _) in open.runs.iter().filter(|(run, _)| run.hold().is_open() && holder.is_none()) {
        printer.problem(&describe(run, session::now(), false), what_to_do(run.hold()));
    }
}

fn text(checks: &[Check], plan: &Plan, budget: Option<&Compared>) -> String {
    let mut lines = vec!["checks, made just now".to_owned()];
    for Check { step, fault, note, untold, .. } in checks {
        lines.push(match (fault, note, untold) {
            (Some(fault), ..) => format!("  BAD  {step:<21} {}", fault.answer),
            (None, Some(note), _) => format!("  -    {step:<21} {note}"),
            (None, None, Some(untold)) => format!("  ?    {step:<21} {untold}"),
            (None, None, None) => format!("  ok   {step}"),
        });
    }
    lines.extend(plan.steps().iter().filter_map(|step| {
        let why = match step.action {
            Action::CheckVault => "it writes",
            Action::AwaitQuiet { .. } => "it waits",
            _ => return None,
        };
        Some(format!("  -    {:<21} made by the backup itself: {why}", step.name))
    }));
    lines.extend(budget.map(|Compared { says, is_enough }| {
        let (sign, advice) =
            if *is_enough { ("ok  ", String::new()) } else { ("WARN", format!("; {}", budget::ADVICE)) };
        format!("  {sign} hold budget           {says}{advice}")
    }));
    lines.join("\n")
}

/// A pause of our own stands in the way of no backup: it is lifted first, or its run is at work and keeps others out.
fn check(step: StepName, made: Result<Option<String>, Fault>, optional: bool, whose: &Whose) -> Check {
    let (untold, fault) = made.map_or_else(|fault| (None, Some(fault)), |untold| (untold, None));
    let is_pause = fault.as_ref().is_some_and(|fault| fault.kind == FaultKind::ForeignPause);
    let (fault, note) = match (fault, &whose.worker) {
        (Some(_), Some(_)) if is_pause => (None, Some("exporting is paused while a run is at work".into())),
        (Some(fault), _) if is_pause => match whose.own(fault) {
            foreign if foreign.kind == FaultKind::ForeignPause => (Some(foreign), None),
            own => (None, Some(format!("{}: a backup lifts that first", own.answer))),
        },
        (Some(fault), _) if optional => (None, Some(format!("a backup would be partial: {}", fault.answer))),
        (fault, _) => (fault, None),
    };
    Check { step, ok: fault.is_none() && note.is_none(), fault, note, untold }
}

/// What becomes of what was left open before a new one begins.
fn taken_over_first(left: &[String], args: &PlanArgs) -> Option<String> {
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

/// The plan that the settings and the options ask for.
pub(super) async fn make(world: &World, settings: &Settings, args: &PlanArgs) -> Result<Plan, Stop> {
    let id = match args.id() {
        Some(id) => id,
        None => next_id(world, ids::highest_seen(world).await?)?,
    };
    Ok(of_id(world, settings, args, id)?)
}

fn next_id(world: &World, highest: Option<BackupId>) -> Result<BackupId, Fault> {
    BackupId::generate(world.clock.now(), highest).ok_or_else(ids::none_left)
}

/// How long exporting may stay paused, where no option says otherwise.
pub(super) fn hold_budget(settings: &Settings) -> SignedDuration {
    settings.limits.hold_budget.unwrap_or(recipe::HOLD_BUDGET)
}

fn of_id(world: &World, settings: &Settings, args: &PlanArgs, id: BackupId) -> Result<Plan, Fault> {
    let mut request = Request::new(id);
    let limits = &settings.limits;
    for (wished, slot) in [
        (args.hold_budget.or(limits.hold_budget), &mut request.hold_budget),
        (args.stall.or(limits.stall), &mut request.stall),
        (args.wait_deadline.or(limits.wait_deadline), &mut request.wait_deadline),
    ] {
        *slot = wished.unwrap_or(*slot);
    }
    recipe::backup(&world.installation, &request).map_err(Fault::from)
}
