//! PostgreSQL databases: dumped by PostgreSQL's own tools, streamed through compression and a checksum into a vault.
//!
//! The tools run without a terminal and are never let to ask for a password. What they write is seen in the vault only after
//! every one of them has ended well. Nothing here changes a database, and no password is ever an argument.

mod connection;
mod fault;
mod pour;
mod tool;
mod wire;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_core::database::{DatabaseDump, DatabaseName, DatabaseServer, DumpContent, DumpMode, DumpObject};
use c8keep_core::fault::Fault;
use c8keep_engine::ports::{Databases, DumpRequest, Vault, unknown_database};
use jiff::SignedDuration;
use tokio::sync::Semaphore;

pub use connection::{Connection, Environment, INHERITED};

use connection::conninfo;
use pour::Poured;
use tool::Tool;

/// Dumps at the same time; more would only get into each other's way on the machine that compresses them.
const DUMPS_AT_ONCE_MAX: usize = 2;
/// How long anything that is no dump may take: a version, or the one query. libpq's own limit for connecting is shorter.
const LOOK_DEADLINE: Duration = Duration::from_secs(30);
/// How long a dump waits for a table that a migration holds.
const LOCK_WAIT: &str = "--lock-wait-timeout=60s";

/// The configured databases.
#[derive(Debug)]
pub struct Postgres {
    connections: BTreeMap<DatabaseName, Connection>,
    slots: Semaphore,
}

impl Postgres {
    /// Nothing is started or read yet.
    pub fn new(connections: BTreeMap<DatabaseName, Connection>) -> Postgres {
        Postgres { connections, slots: Semaphore::new(DUMPS_AT_ONCE_MAX) }
    }

    fn connection(&self, database: &DatabaseName) -> Result<&Connection, Fault> {
        self.connections.get(database).ok_or_else(|| unknown_database(database))
    }
}

#[async_trait]
impl Databases for Postgres {
    async fn check(&self, database: &DatabaseName, mode: DumpMode) -> Result<DatabaseServer, Fault> {
        look(self.connection(database)?, mode).await
    }

    async fn dump(&self, request: &DumpRequest, vault: &dyn Vault) -> Result<DatabaseDump, Fault> {
        let connection = self.connection(&request.database)?;
        let limit = duration(request.deadline);
        let dumped = tokio::time::timeout(limit, async {
            let _slot = self.slots.acquire().await;
            dump(connection, request, vault).await
        });
        dumped.await.unwrap_or_else(|_| Err(fault::too_long(connection, limit)))
    }
}

/// Whether the tools are there and new enough, and what the server says of the database.
async fn look(connection: &Connection, mode: DumpMode) -> Result<DatabaseServer, Fault> {
    let doing = "checking a database";
    let mut tool = None;
    for program in programs(mode) {
        let told = Tool::new(connection, program).arg("--version").output(LOOK_DEADLINE).await;
        let told = told.map_err(|why| fault::of_tool(connection, doing, &why))?;
        tool = Some(wire::tool_version(&told).ok_or_else(|| fault::strange(connection, program, &told))?);
    }
    let Some(tool) = tool else { unreachable!("every mode has a program") };
    let psql = Tool::connected(connection, "psql", "c8keep").await?;
    let psql = psql.args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]);
    let psql = match &connection.database {
        Some(name) => psql.arg(format!("--dbname={}", conninfo(name))),
        None => psql,
    };
    let told = psql.arg(format!("--command={}", wire::QUERY)).output(LOOK_DEADLINE).await;
    let told = told.map_err(|why| fault::of_tool(connection, doing, &why))?;
    let told = wire::told(&told).map_err(|why| fault::strange(connection, "psql", &why))?;
    told.refused(&tool, mode).map_or(Ok(()), |why| Err(fault::refused(connection, why)))?;
    Ok(told.server(tool.text))
}

fn programs(mode: DumpMode) -> &'static [&'static str] {
    match mode {
        // The last one's version counts: it makes the archive.
        DumpMode::Database => &["pg_dumpall", "pg_dump"],
        DumpMode::Dumpall => &["pg_dump", "pg_dumpall"],
    }
}

/// All objects are poured before the first is finished, so none is seen unless every tool has ended well.
async fn dump(
    connection: &Connection,
    request: &DumpRequest,
    vault: &dyn Vault,
) -> Result<DatabaseDump, Fault> {
    let server = look(connection, request.mode).await?;
    let mut poured: Vec<(DumpContent, String, Poured)> = Vec::new();
    for holds in request.mode.contents() {
        let path = format!("{}/{}", request.folder, holds.object());
        let tool = dumping(connection, request, &server, *holds).await?;
        let upload = vault.upload(&path).await?;
        match pour::pour(connection, tool, upload, *holds, duration(request.stall)).await {
            Ok(full) => poured.push((*holds, path, full)),
            Err(fault) => {
                abandon(poured).await;
                return Err(fault);
            }
        }
    }
    let mut objects = Vec::new();
    for (holds, path, Poured { upload, unpacked_bytes }) in poured {
        let stored = upload.finish().await?;
        objects.push(DumpObject { path, holds, bytes: stored.bytes, unpacked_bytes, sha256: stored.sha256 });
    }
    Ok(DatabaseDump { name: request.database.clone(), mode: request.mode, server, objects })
}

async fn abandon(poured: Vec<(DumpContent, String, Poured)>) {
    for (_, _, Poured { upload, .. }) in poured {
        upload.abandon().await;
    }
}

/// The tool for one object. Identifiers are quoted in all of them, as on Camunda's page: a later version of PostgreSQL may have
/// made a keyword of one.
async fn dumping(
    connection: &Connection,
    request: &DumpRequest,
    server: &DatabaseServer,
    holds: DumpContent,
) -> Result<Tool, Fault> {
    let name = format!("c8keep/{}", request.backup);
    let program = if holds == DumpContent::Database { "pg_dump" } else { "pg_dumpall" };
    let tool = Tool::connected(connection, program, &name).await?;
    let tool = tool.args(["--no-password", "--quote-all-identifiers", LOCK_WAIT]);
    let database = conninfo(&server.database);
    let tool = match holds {
        DumpContent::Database => {
            // Compressing is ours: the vault's checksum then covers all of it, and no version of pg_dump does it better.
            return Ok(tool.args(["--format=custom", "--compress=0"]).arg(format!("--dbname={database}")));
        }
        DumpContent::Globals => tool.arg("--globals-only"),
        DumpContent::Everything => tool,
    };
    let tool = tool.arg(format!("--database={database}"));
    Ok(if server.role_passwords { tool } else { tool.arg("--no-role-passwords") })
}

fn duration(limit: SignedDuration) -> Duration {
    Duration::try_from(limit).unwrap_or_default()
}
