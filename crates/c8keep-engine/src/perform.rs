//! One exhaustive match from action to calls on ports. Every arm has two beats: look whether the effect is already
//! there, then act if it is not. On the first attempt nothing can be there: the probes have just looked, and no
//! earlier intent of this run was ever sent.

pub(crate) mod databases;
mod exporting;
mod history;
pub(crate) mod probes;
mod publish;
mod records;
mod runtime;

use c8keep_core::fault::Fault;
use c8keep_core::plan::Action;
use c8keep_core::run::{Answer, Mark, Order, Run};

pub use probes::{check, highest_id};

use crate::World;

/// Performs one order and says what came of it.
pub async fn perform(world: &World, run: &Run, order: &Order) -> Answer {
    let Some(step) = run.plan().step(&order.step) else {
        unreachable!("the run orders only steps of its own plan");
    };
    let again = order.attempt > 1;
    let answer = match &step.action {
        Action::CheckCluster => probes::cluster(world).await,
        Action::CheckExporting => probes::exporting(world).await,
        Action::CheckStore => probes::store(world).await,
        Action::CheckRepository { repository } => probes::usable_repository(world, repository).await,
        Action::CheckVault => probes::vault(world).await,
        Action::CheckDatabase { database, mode } => databases::check(world, database, *mode).await,
        Action::AwaitQuiet { repository } => history::quiet(world, repository).await,
        Action::TakeCensus { records } => probes::census(world, records.as_deref()).await,
        Action::CheckId { id } => probes::id(world, *id).await,
        Action::PauseExporting => exporting::pause(world).await,
        Action::ResumeExporting => exporting::resume(world, run).await,
        Action::ReadFirstPositions => exporting::first_positions(world).await,
        Action::ReadLastPositions => exporting::last_positions(world).await,
        Action::StartHistory { app, id } => history::start(world, *app, *id, again).await,
        Action::AwaitHistory { app, id, repository } => {
            history::look(world, run, &order.step, *app, *id, repository).await
        }
        Action::SnapshotRecords { repository, snapshot, prefix } => {
            records::start(world, run, repository, snapshot, prefix, again).await
        }
        Action::AwaitRecords { repository, snapshot, .. } => {
            records::look(world, run, &order.step, repository, snapshot).await
        }
        Action::StartRuntime { id } => runtime::start(world, *id, again).await,
        Action::AwaitRuntime { id } => runtime::look(world, run, *id).await,
        Action::DumpDatabase { database, mode } => {
            databases::dump(world, run, (step, order.attempt), database, *mode).await
        }
        Action::JudgeWitness => Ok(publish::judge(run)),
        Action::Publish { .. } => publish::publish(world, run).await,
        Action::RecordRelease { .. } => publish::record_release(world, run).await,
    };
    match answer {
        Ok(answer) => answer,
        Err(fault) if step.action.is_wait() && fault.is_retryable() => could_not_look(&fault),
        Err(fault) => fault.into(),
    }
}

/// A wait that could not look has not failed: it has seen nothing move.
fn could_not_look(fault: &Fault) -> Answer {
    let says = format!("cannot look: {}: {}", fault.target, fault.answer);
    Answer::Pending { mark: Mark { moved: String::new(), says } }
}

/// What every arm returns; a fault becomes the answer, or a pending wait.
type Performed = Result<Answer, Fault>;
