//! A folder with tools that are scripts, a vault, and one configured database.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use c8keep_core::BackupId;
use c8keep_core::database::{DatabaseDump, DatabaseServer, DumpMode};
use c8keep_core::fault::Fault;
use c8keep_engine::ports::{Databases, DumpRequest, Vault};
use jiff::SignedDuration;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::postgres::{Connection, Postgres};
use crate::transport::Secret;

use super::memory::Memory;

/// In nothing that is shown, kept, or an argument.
pub(super) const CANARY: &str = "canary-5e1d";

/// The end of every good script of pg_dumpall.
pub(super) const END: &str = "printf '%s\\n' '--' '-- PostgreSQL database cluster dump complete' '--' ''";

pub(super) struct Stage {
    pub(super) dir: TempDir,
    pub(super) connection: Connection,
    pub(super) vault: Memory,
}

/// What the server tells; `more` goes over it.
pub(super) fn told(more: &serde_json::Value) -> String {
    let mut told = serde_json::json!({
        "version": "15.18 (Debian 15.18-0+deb12u1)", "number": 150_018, "database": "modeler", "user": "backup",
        "owner": "modeler", "encoding": "UTF8", "collate": "C.UTF-8", "ctype": "C.UTF-8", "bytes": 8_000_000,
        "role_passwords": true, "broken_names": 0, "unreadable": null,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        told[key] = value.clone();
    }
    told.to_string()
}

impl Stage {
    /// Three tools of version 15 that do well.
    pub(super) fn new() -> Stage {
        let dir = TempDir::new().unwrap();
        let connection = Connection {
            name: "web-modeler".parse().unwrap(),
            host: Some("db.example.org".into()),
            port: Some(5433),
            user: Some("backup".into()),
            password: Some(Secret::Given(SecretString::from(CANARY))),
            database: Some("modeler".into()),
            variables: [("PGSSLMODE", "verify-full".to_owned())].into(),
            tools: Some(dir.path().join("bin")),
            inherited: [("PATH".to_owned(), std::env::var_os("PATH").unwrap())].into(),
        };
        let vault = Memory::with_room(1 << 30);
        let stage = Stage { dir, connection, vault };
        fs::create_dir(stage.path("bin")).unwrap();
        stage.tool("pg_dump", "15.18", "printf PGDMP; printf 'the archive'");
        stage.tool("pg_dumpall", "15.18", &format!("echo 'CREATE ROLE modeler;'; {END}"));
        stage.tells(&serde_json::json!({}));
        stage
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tool that notes how it was called, and then does this.
    pub(super) fn tool(&self, program: &str, version: &str, does: &str) {
        let script = format!(
            "case \"$*\" in --version) echo '{program} (PostgreSQL) {version} (a remark)'; exit;; esac\n\
             cd '{}' || exit\nprintf '%s\\n' \"$@\" > {program}.arguments\nenv > {program}.environment\necho $$ > {program}.pid\n{does}\n",
            self.dir.path().display()
        );
        let link = self.path("bin").join(program);
        fs::write(link.with_extension("does"), script).unwrap();
        if !link.exists() {
            symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/postgres/tool.sh"), link).unwrap();
        }
    }

    /// What psql answers.
    pub(super) fn tells(&self, more: &serde_json::Value) {
        fs::write(self.path("answer.json"), told(more)).unwrap();
        self.tool("psql", "15.18", "cat answer.json");
    }

    pub(super) fn noted(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).unwrap()
    }

    fn postgres(&self) -> Postgres {
        Postgres::new([(self.connection.name.clone(), self.connection.clone())].into())
    }

    pub(super) async fn look(&self, mode: DumpMode) -> Result<DatabaseServer, Fault> {
        self.postgres().check(&self.connection.name, mode).await
    }

    pub(super) fn request(&self, mode: DumpMode) -> DumpRequest {
        DumpRequest {
            database: self.connection.name.clone(),
            mode,
            folder: "default/backups/7/databases/web-modeler/backup-7.1".into(),
            backup: BackupId::new(7).unwrap(),
            stall: SignedDuration::from_secs(60),
            deadline: SignedDuration::from_secs(120),
        }
    }

    pub(super) async fn dump(&self, mode: DumpMode) -> Result<DatabaseDump, Fault> {
        self.dump_into(&self.request(mode), &self.vault).await
    }

    pub(super) async fn dump_into(
        &self,
        request: &DumpRequest,
        vault: &dyn Vault,
    ) -> Result<DatabaseDump, Fault> {
        self.postgres().dump(request, vault).await
    }

    /// The paths of everything that can be seen in the vault.
    pub(super) fn seen(&self) -> Vec<String> {
        self.vault.seen().into_keys().collect()
    }

    /// Whether the process that a script noted there is gone; a zombie is.
    pub(super) fn is_gone(&self, file: &str) -> bool {
        let Ok(pid) = fs::read_to_string(self.path(file)) else { return false };
        let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    }

    /// Waits for something that another process does.
    pub(super) async fn until(&self, what: &str, happened: impl Fn(&Stage) -> bool) {
        let began = std::time::Instant::now();
        while !happened(self) {
            assert!(began.elapsed().as_secs() < 60, "never happened: {what}");
            tokio::task::yield_now().await;
        }
    }
}
