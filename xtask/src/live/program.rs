//! The program under test: the release build, run as an operator runs it, with nothing in its environment but what a
//! test gives it. Tests see what an operator sees: exit code, standard output, standard error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::peers::cluster::Cluster;

const BUILD_LIMIT: Duration = Duration::from_mins(30);
const READ_VERB_LIMIT: Duration = Duration::from_mins(1);
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// The program with a home of its own: journal and vault lie below it.
#[derive(Debug, Clone)]
pub struct Program {
    binary: PathBuf,
    home: PathBuf,
    env: BTreeMap<String, String>,
}

/// A command under way. Dropping it ends it.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
}

#[derive(Debug)]
pub struct Finished {
    pub line: String,
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Program {
    /// Builds the release binary and gives it an empty home.
    pub async fn build(home: &Path) -> Result<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build
            .args(["build", "--release", "--package", "c8keep"])
            .current_dir(crate::root())
            .kill_on_drop(true);
        let status =
            tokio::time::timeout(BUILD_LIMIT, build.status()).await.context("the build takes too long")??;
        ensure!(status.success(), "`cargo build --release --package c8keep`: {status}");
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
        let binary = target.join("release/c8keep");
        ensure!(binary.is_file(), "the build left no {}", binary.display());
        Ok(Self { binary, home: home.to_owned(), env: BTreeMap::new() })
    }

    /// A binary that is there already.
    pub fn given(binary: &Path, home: &Path) -> Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("no program at {}", binary.display()))?;
        Ok(Self { binary, home: home.to_owned(), env: BTreeMap::new() })
    }

    /// The same program for another installation: its own home, and only these variables.
    pub fn at(
        &self,
        home: &Path,
        variables: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self> {
        std::fs::create_dir_all(home)?;
        let env = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { binary: self.binary.clone(), home: home.to_owned(), env })
    }

    /// The same program with these variables.
    pub fn with(self, env: BTreeMap<String, String>) -> Self {
        Self { env, ..self }
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    pub fn start(&self, args: &[&str]) -> Result<Running> {
        let mut child = Command::new(&self.binary)
            .args(args)
            .current_dir(&self.home)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .envs(&self.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let out = collect(child.stdout.take().context("no standard output")?);
        let err = collect(child.stderr.take().context("no standard error")?);
        Ok(Running { line: format!("c8keep {}", args.join(" ")), child, out, err })
    }

    /// Runs a verb to its end.
    pub async fn run(&self, args: &[&str], limit: Duration) -> Result<Finished> {
        self.start(args)?.ended(limit).await
    }

    /// `show <id> -o json`.
    pub async fn show(&self, id: u64) -> Result<Value> {
        self.run(&["show", &id.to_string(), "-o", "json"], READ_VERB_LIMIT).await?.with_code(0)?.json()
    }

    /// `status -o json`, whatever its exit code: an open run has its own.
    pub async fn status(&self) -> Result<Value> {
        self.status_ended().await?.json()
    }

    /// The same with its exit code.
    pub async fn status_ended(&self) -> Result<Finished> {
        self.run(&["status", "-o", "json"], READ_VERB_LIMIT).await
    }
}

impl Running {
    /// Whether it still runs.
    pub fn is_alive(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Sends it a signal by name.
    pub async fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().context("it has ended")?.to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await?;
        ensure!(sent.success(), "it could not be sent {name}");
        Ok(())
    }

    /// SIGKILL.
    pub async fn killed(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Waits for something that can only happen while the program runs.
    pub async fn until<T>(&mut self, happens: impl Future<Output = Result<T>>) -> Result<T> {
        let status = tokio::select! {
            happened = happens => return happened,
            status = self.child.wait() => status?,
        };
        let err = (&mut self.err).await?;
        anyhow::bail!("`{}` ended too early, {status}:\n{}", self.line, end_of(&err))
    }

    pub async fn ended(mut self, limit: Duration) -> Result<Finished> {
        let status = tokio::time::timeout(limit, self.child.wait()).await;
        if status.is_err() {
            self.child.kill().await?;
            let err = self.err.await?;
            anyhow::bail!("`{}` did not end within {limit:?}; standard error:\n{err}", self.line);
        }
        let code = status??.code().context("the program was killed")?;
        Ok(Finished { line: self.line, code, out: self.out.await?, err: self.err.await? })
    }
}

impl Finished {
    pub fn with_code(self, code: i32) -> Result<Self> {
        ensure!(
            self.code == code,
            "`{}` ended with {} instead of {code}\nstandard output:\n{}\nstandard error:\n{}",
            self.line,
            self.code,
            end_of(&self.out),
            end_of(&self.err)
        );
        Ok(self)
    }

    /// Standard output as one document.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.out).with_context(|| {
            format!("`{}` printed no JSON: {}\n{}", self.line, end_of(&self.out), end_of(&self.err))
        })
    }

    /// The last line of the event stream of `backup -o json`.
    pub fn result(&self) -> Result<Value> {
        let last = self
            .out
            .lines()
            .last()
            .with_context(|| format!("`{}` printed nothing: {}", self.line, self.err))?;
        let result: Value = serde_json::from_str(last).with_context(|| format!("not an event: {last}"))?;
        ensure!(result["event"] == "result", "the stream ends without its result: {last}");
        ensure!(
            result["exit_code"] == self.code,
            "it says {} and ends with {}",
            result["exit_code"],
            self.code
        );
        Ok(result)
    }
}

/// The variables of the documented procedure, those that start with one of `names`.
pub fn variables(cluster: &Cluster, names: &[&str]) -> Vec<(&'static str, String)> {
    let wanted = |name: &&'static str| names.iter().any(|start| name.starts_with(start));
    cluster.variables().into_iter().filter(|(name, _)| wanted(name)).collect()
}

fn collect(pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut bytes = Vec::new();
        // A broken pipe ends the text; what was read until then is what the test sees.
        let _ = pipe.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes).await;
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn end_of(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
