//! Databases beside the cluster.

use c8keep_core::database::{DatabaseName, DatabaseServer, DumpMode};
use c8keep_core::facts::Fact;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::Step;
use c8keep_core::run::{Answer, Run};

use super::{Performed, publish};
use crate::World;
use crate::ports::{Databases, DumpRequest};

/// A database that cannot be dumped is better known before the pause, and by the code that says that nothing was touched.
pub(super) async fn check(world: &World, database: &DatabaseName, mode: DumpMode) -> Performed {
    server(&*world.databases, database, mode).await.map(|_| Answer::Done { facts: Vec::new() })
}

/// What a database tells before it is dumped, or why it cannot be.
pub(crate) async fn server(
    databases: &dyn Databases,
    database: &DatabaseName,
    mode: DumpMode,
) -> Result<DatabaseServer, Fault> {
    let told = databases.check(database, mode).await;
    told.map_err(|fault| Fault { kind: FaultKind::Precondition, ..fault })
}

/// Each performance writes under names of its own, so whatever an earlier one left is neither read nor written over.
pub(super) async fn dump(
    world: &World,
    run: &Run,
    (step, attempt): (&Step, u32),
    database: &DatabaseName,
    mode: DumpMode,
) -> Performed {
    let request = DumpRequest {
        database: database.clone(),
        mode,
        folder: format!("{}/databases/{database}/{}.{attempt}", publish::folder(world, run), run.id()),
        backup: run.plan().backup(),
        stall: step.limits.stall,
        deadline: step.limits.deadline,
    };
    Ok(Fact::Database(world.databases.dump(&request, &*world.vault).await?).into())
}
