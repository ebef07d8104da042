//! The backup of the Zeebe partitions.

use c8keep_core::backup::BackupId;
use c8keep_core::facts::Fact;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::run::{Answer, Run};
use c8keep_core::verdict::{self, Standing};

use super::Performed;
use crate::World;

pub(super) async fn start(world: &World, id: BackupId, again: bool) -> Performed {
    let accepted = Answer::from(Fact::RuntimeAccepted { at: world.clock.now() });
    if again && is_known(world, id).await? {
        return Ok(accepted);
    }
    match world.camunda.start_runtime(id).await {
        Ok(()) => Ok(accepted),
        // A repeated call that is refused because of our own id: the first one has arrived.
        Err(fault) if again && fault.kind == FaultKind::Refused => {
            let by_us = fault.answer.contains(&format!("latest backup has id {id}."));
            if by_us || is_known(world, id).await? { Ok(accepted) } else { Err(fault) }
        }
        Err(fault) => Err(fault),
    }
}

/// Whether any partition knows the backup.
async fn is_known(world: &World, id: BackupId) -> Result<bool, Fault> {
    let status = world.camunda.runtime(id).await?;
    Ok(status.partitions.iter().any(|p| p.state != "DOES_NOT_EXIST"))
}

pub(super) async fn look(world: &World, run: &Run, id: BackupId) -> Performed {
    let status = world.camunda.runtime(id).await?;
    let partitions = run.facts().cluster.as_ref().and_then(|c| c.partitions);
    match verdict::runtime(partitions, &status) {
        Standing::Whole(evidence) => Ok(Fact::Runtime(evidence).into()),
        Standing::Going(mark) => Ok(Answer::Pending { mark }),
        Standing::Lost(why) => Err(Fault::new(
            FaultKind::Incomplete,
            format!("waiting for backup {id} of the Zeebe partitions"),
            &world.installation.management,
            why,
        )
        .with_hint("the id is burnt; back up again under a higher one")),
    }
}
