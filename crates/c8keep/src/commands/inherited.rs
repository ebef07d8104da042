//! A pause that an earlier process on another host left, known by its claim in the vault: as in the new pod of a CronJob,
//! whose journal is empty. It is released and nothing else; its run cannot be finished here.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::claim::Held;
use c8keep_core::fault::Fault;
use c8keep_engine::World;
use c8keep_engine::fence::Fence;
use jiff::SignedDuration;

use super::resume_exporting::release_ours;
use crate::exit::Stop;
use crate::printer::Printer;
use crate::settings::Settings;
use crate::show::time::span;

/// The pause that our claim has inherited, unless a run of this host's own journal is the one that made it.
pub(super) async fn of(fence: &Fence, open: &[(Run, u64)]) -> Option<Held> {
    fence.inherited().await.filter(|held| !open.iter().any(|(run, _)| *run.id() == held.run))
}

/// Releases it, if it is one of this cluster.
pub(super) async fn release(
    settings: &Settings,
    world: &Arc<World>,
    fence: &Fence,
    held: &Held,
    release_wait: Option<SignedDuration>,
    printer: Printer,
) -> Result<(), Stop> {
    let ours = &world.installation.fingerprint;
    if held.fingerprint != *ours {
        let fault = Fault::precondition(
            format!("releasing the pause of run {}", held.run),
            &world.installation.management,
            format!("the run paused the installation {}, what answers here is {ours}", held.fingerprint),
            "point c8keep at the cluster that the run was started on, or give this cluster a name of its own",
        );
        return Err(Stop::from(fault).while_paused());
    }
    printer.say(&format!(
        "run {} on another host paused exporting {} ago and has not told that it runs again; releasing it",
        held.run,
        span(world.clock.now().duration_since(held.since))
    ));
    release_ours(settings, release_wait, printer).await?;
    fence.settle().await;
    Ok(())
}
