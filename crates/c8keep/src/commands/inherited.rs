//! A pause that an earlier process on another host left, known by its claim in the vault: as in the new pod of a CronJob,
//! whose journal is empty. It is released and nothing else; its run cannot be finished here.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::claim::{self, Held};
use c8keep_core::fault::Fault;
use c8keep_core::run::Hold;
use c8keep_engine::fence::Fence;
use c8keep_engine::ports::Journal;
use c8keep_engine::{World, open_runs};

use super::resume_exporting::release_ours;
use super::take_over::{How, may_be_paused};
use crate::cli::OnOpen;
use crate::exit::{self, Stop};
use crate::settings::Settings;
use crate::show::time::span;

/// The pause that our claim has inherited, unless this host's own journal knows its run: an open one is taken over as always,
/// and one that is closed holds nothing.
pub(super) async fn of(fence: &Fence, open: &[(Run, u64)]) -> Option<Held> {
    let held = fence.inherited()?;
    match known(fence, open, &held).await {
        Known::Open => None,
        Known::Released => {
            fence.settle().await;
            None
        }
        Known::No => Some(held),
    }
}

/// What this host's own journal knows of a pause that a claim tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Open,
    Released,
    No,
}

pub(super) async fn known(journal: &dyn Journal, open: &[(Run, u64)], held: &Held) -> Known {
    if open.iter().any(|(run, _)| claim::held_by(run).is_some_and(|own| own.is_same_pause(held))) {
        return Known::Open;
    }
    match open_runs::load(journal, &held.run).await {
        Ok(Some((run, _))) if has_released(&run, held) => Known::Released,
        _ => Known::No,
    }
}

/// Two hosts may give the same id to two runs; the instant of the pause tells them apart.
fn has_released(run: &Run, held: &Held) -> bool {
    matches!(run.hold(), Hold::Released { since, .. } if since == held.since)
}

/// Releases it, or leaves it alone where that was asked for. It is one of this cluster.
pub(super) async fn release(
    settings: &Settings,
    world: &Arc<World>,
    fence: &Fence,
    held: &Held,
    how: &How,
) -> Result<(), Stop> {
    let paused = format!(
        "run {} of a process that has ended paused exporting {} ago and has not told that it runs again",
        held.run,
        span(world.clock.now().duration_since(held.since))
    );
    let then = match how.on_open {
        Some(OnOpen::Fail) => {
            let what = format!("{paused}; it was left alone, as --on-open fail asks");
            how.printer
                .problem(&what, "`c8keep resume-exporting` releases it; `c8keep backup` does so first");
            return Err(Stop::told(exit::MAY_BE_PAUSED, what));
        }
        Some(OnOpen::Finish) => "it cannot be finished here, as its journal is another one; releasing it",
        Some(OnOpen::Release) | None => "releasing it",
    };
    how.printer.say(&format!("{paused}; {then}"));
    tokio::select! {
        released = release_ours(settings, how.release_wait, how.printer) => released?,
        // A successor releases it, and what this process still sends would lift the pause of that one's backup.
        lost = fence.standing_lost() => return Err(may_be_paused(lost)),
    }
    fence.settle().await;
    Ok(())
}

/// One of another cluster, which nothing here may touch.
pub(super) fn elsewhere(world: &World, held: &Held) -> Fault {
    let ours = &world.installation.fingerprint;
    Fault::precondition(
        format!("releasing the pause of run {}", held.run),
        &world.installation.management,
        format!("run {} paused the installation {}, what answers here is {ours}", held.run, held.fingerprint),
        "point c8keep at the cluster that the run was started on, or give this cluster a name of its own",
    )
}
