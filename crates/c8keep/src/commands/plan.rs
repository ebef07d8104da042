//! `plan`: what a backup would do, and what was found. Reads only.

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Installation;
use c8keep_core::plan::StepName;
use c8keep_core::recipe::{self, Request};
use c8keep_core::{BackupId, Plan, Run};
use c8keep_engine::{World, ids, open_runs, perform};
use serde::Serialize;

use crate::cli::{Global, PlanArgs};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Finding, Session};
use crate::settings::Settings;

#[derive(Serialize)]
struct Shown<'a> {
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
    let made = made.into_iter().map(|(step, result)| {
        let fault = result.err().map(|fault| of_our_own(fault, &open));
        Check { step, ok: fault.is_none(), fault }
    });
    let checks: Vec<Check> = made.collect();
    let shown =
        Shown { installation: &world.installation, findings: &findings, plan: &plan, checks: &checks };
    printer.result(&format!("{plan}\n{}", text(&checks)), &shown);
    let mut faults = checks.iter().filter_map(|check| check.fault.as_ref()).peekable();
    let code = faults.peek().map_or(exit::DONE, |fault| fault.kind.exit_code());
    faults.for_each(|fault| printer.fault(fault));
    Ok(code)
}

fn text(checks: &[Check]) -> String {
    let mut lines = vec!["checks, made just now".to_owned()];
    for Check { step, fault, .. } in checks {
        lines.push(match fault {
            None => format!("  ok   {step}"),
            Some(fault) => format!("  BAD  {step:<21} {}", fault.answer),
        });
    }
    lines.push("  -    check-vault           made by the backup itself: it writes".into());
    lines.join("\n")
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
