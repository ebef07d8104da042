//! `plan`: what a backup would do, and what was found. Reads only.

use c8keep_core::installation::Installation;
use c8keep_core::recipe::{self, Request};
use c8keep_core::{BackupId, Plan};
use c8keep_engine::World;
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
}

pub(super) async fn run(global: &Global, args: &PlanArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await?;
    let Session { world, findings } = session::assemble(&settings, journal).await?;
    session::announce(&world.installation, &findings, true, printer);
    let plan = make(&world, &settings, args).await?;
    let shown = Shown { installation: &world.installation, findings: &findings, plan: &plan };
    printer.result(&plan.to_string(), &shown);
    Ok(exit::DONE)
}

/// The plan that the settings and the options ask for.
pub(super) async fn make(world: &World, settings: &Settings, args: &PlanArgs) -> Result<Plan, Stop> {
    let id = match args.id {
        Some(id) => id,
        None => BackupId::generate(world.clock.now(), super::catalog::highest_id(world).await?),
    };
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
