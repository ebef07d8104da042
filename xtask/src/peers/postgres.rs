//! PostgreSQL on loopback, of two major versions: one from Debian, one from a wheel. Each server is a cluster of its own in a
//! folder of its own, never the packaged one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::http::{self, Hopeless};
use super::process::{Process, Spec};
use super::{ports, tools};

/// The administrator's password, made up and worth nothing.
pub const PASSWORD: &str = "canary-postgres-Pa55";
pub const ADMINISTRATOR: &str = "postgres";
const READY_LIMIT: Duration = Duration::from_mins(2);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const TOOL_LIMIT: Duration = Duration::from_mins(5);

/// The programs of one version.
#[derive(Debug, Clone)]
pub struct Programs {
    pub major: u32,
    /// Everything that they need of each other.
    pub home: PathBuf,
    /// Where in it they are.
    pub within: &'static str,
    /// Whether other users of this machine may run them.
    pub public: bool,
}

#[derive(Debug)]
pub struct Postgres {
    pub major: u32,
    pub port: u16,
    pub bin: PathBuf,
    process: Process,
}

impl Programs {
    pub fn bin(&self) -> PathBuf {
        self.home.join(self.within)
    }
}

impl Postgres {
    /// Makes a cluster and starts it. Logins need their password.
    pub async fn up(programs: &Programs, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("own"))?;
        let password = dir.join("own/password");
        fs::write(&password, PASSWORD)?;
        let switch = other_user(&dir.join("own")).await?;
        let home = readable_home(programs, dir, !switch.is_empty()).await?;
        let (bin, port) = (home.join(programs.within), ports::free()?);
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let data = path(&dir.join("own/data"));
        let words = |words: &[&str]| -> Vec<String> {
            switch.iter().cloned().chain(words.iter().map(|&word| word.to_owned())).collect()
        };
        let (initdb, postgres) = (path(&bin.join("initdb")), path(&bin.join("postgres")));
        let init = words(&[
            &initdb,
            "-D",
            &data,
            "-U",
            ADMINISTRATOR,
            "-A",
            "scram-sha-256",
            "--pwfile",
            &path(&password),
            "-E",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ]);
        let init: Vec<&str> = init.iter().map(String::as_str).collect();
        tools::run(init[0], &init[1..], TOOL_LIMIT).await?;
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", path(&dir.join("own"))),
            // Nothing here has to survive a power cut.
            "fsync=off".to_owned(),
        ];
        let mut command = words(&[&postgres, "-D", &data]);
        command.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let spec = Spec {
            name: format!("postgres {}", programs.major),
            command,
            env: BTreeMap::new(),
            folder: dir.to_owned(),
            log: dir.join("postgres.log"),
        };
        let mut server = Self { major: programs.major, port, bin, process: Process::start(&spec)? };
        http::until("PostgreSQL", READY_LIMIT, async || {
            server.process.check_alive().map_err(Hopeless)?;
            Ok(server.sql("postgres", "select 1").await.ok())
        })
        .await?;
        Ok(server)
    }

    /// The variables with which PostgreSQL's tools find it, as its administrator.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let port = self.port.to_string();
        [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", ADMINISTRATOR), ("PGPASSWORD", PASSWORD)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    /// What a query answers, one line a row.
    pub async fn sql(&self, database: &str, query: &str) -> Result<String> {
        let output = self.psql(database, query)?.output();
        let output = tokio::time::timeout(TOOL_LIMIT, output).await.context("the query does not end")??;
        if !output.status.success() {
            bail!("{query}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A psql at work on a query; dropping its child ends it.
    pub fn psql(&self, database: &str, query: &str) -> Result<Command> {
        // Any name is one in a connection string that quotes it.
        let quoted = database.replace('\\', "\\\\").replace('\'', "\\'");
        let mut command = Command::new(self.bin.join("psql"));
        command
            .args(["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", query])
            .arg(format!("--dbname=dbname='{quoted}'"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").context("PATH is not set")?)
            .envs(self.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Runs lines of a shell in which PostgreSQL's tools find this server.
    pub async fn shell(&self, lines: &str) -> Result<()> {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").context("PATH is not set")?);
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-o", "pipefail", "-c", lines])
            .env_clear()
            .env("PATH", path)
            .envs(self.variables())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output =
            tokio::time::timeout(TOOL_LIMIT, shell.output()).await.context("the lines do not end")??;
        if !output.status.success() {
            let said = [output.stdout, output.stderr].concat();
            bail!("{}: {}\n{lines}", output.status, String::from_utf8_lossy(&said).trim());
        }
        Ok(())
    }

    pub async fn stop(self) -> Result<()> {
        self.process.stop(STOP_LIMIT).await
    }
}

/// PostgreSQL refuses to run as root. Where this is root, another user runs it, who is given the folder.
async fn other_user(folder: &Path) -> Result<Vec<String>> {
    if !tools::is_root().await? {
        return Ok(Vec::new());
    }
    let user = tools::SEARCH_USER;
    tools::run("chown", &["-R", &format!("{user}:{user}"), &folder.to_string_lossy()], TOOL_LIMIT).await?;
    let switch = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"];
    Ok(switch.map(str::to_owned).to_vec())
}

/// The cache may lie where that user cannot read: the programs are then linked (or copied) into the run's folder.
async fn readable_home(programs: &Programs, dir: &Path, for_another: bool) -> Result<PathBuf> {
    if programs.public || !for_another {
        return Ok(programs.home.clone());
    }
    let (from, home) = (programs.home.to_string_lossy().into_owned(), dir.join("programs"));
    let to = home.to_string_lossy().into_owned();
    if !home.exists() && tools::run("cp", &["-al", &from, &to], TOOL_LIMIT).await.is_err() {
        tools::run("cp", &["-a", &from, &to], TOOL_LIMIT).await?;
    }
    Ok(home)
}
