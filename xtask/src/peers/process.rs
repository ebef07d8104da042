//! One server as a process: started under a small shell watcher that ends it when this process is gone, stopped by a
//! signal to its own group. It never signals anything that it did not start: signals go through the watcher's pipe.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

const WATCH: &str = include_str!("../../assets/watch.sh");
const LOG_TAIL_LINES: usize = 30;

/// What to start, in full: the environment holds nothing but `env` and a plain `PATH`.
#[derive(Debug, Clone)]
pub struct Spec {
    pub name: String,
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub folder: PathBuf,
    pub log: PathBuf,
}

#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    watcher: Child,
    // Closing this pipe ends the server: dropping a `Process` is always enough.
    orders: ChildStdin,
}

impl Process {
    pub fn start(spec: &Spec) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .with_context(|| format!("cannot open the log {}", spec.log.display()))?;
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "watch"])
            .args(&spec.command)
            .current_dir(&spec.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(&spec.env)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Its own group: Ctrl-C on the terminal reaches this process, which then stops the servers in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", spec.name))?;
        let orders = watcher.stdin.take().context("the watcher has no pipe")?;
        Ok(Self { name: spec.name.clone(), log: spec.log.clone(), watcher, orders })
    }

    /// SIGTERM, then SIGKILL once `patience` is over. Returns when the server is gone.
    pub async fn stop(mut self, patience: Duration) -> Result<()> {
        self.signal("TERM").await;
        if tokio::time::timeout(patience, self.watcher.wait()).await.is_err() {
            return self.kill().await;
        }
        Ok(())
    }

    /// SIGKILL. Returns when the server is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.signal("KILL").await;
        let gone = tokio::time::timeout(Duration::from_secs(30), self.watcher.wait()).await;
        gone.with_context(|| format!("{} survived SIGKILL for 30 s", self.name))??;
        Ok(())
    }

    /// SIGSTOP: it stands still, and its ports stay open.
    pub async fn freeze(&mut self) {
        self.signal("STOP").await;
    }

    /// SIGCONT.
    pub async fn thaw(&mut self) {
        self.signal("CONT").await;
    }

    /// Waits for a server that ends by itself and returns its exit code.
    pub async fn ended(mut self, limit: Duration) -> Result<i32> {
        match tokio::time::timeout(limit, self.watcher.wait()).await {
            Ok(status) => status?.code().context("the watcher was killed"),
            Err(_) => bail!("{} did not end within {limit:?}\n{}", self.name, self.log_tail()),
        }
    }

    /// An error with the end of the log if the server has ended, although nobody asked it to.
    pub fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.watcher.try_wait()? {
            bail!("{} ended by itself: {status}\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_TAIL_LINES)..];
        format!("the end of {}:\n{}", self.log.display(), tail.join("\n"))
    }

    async fn signal(&mut self, name: &str) {
        // A watcher that has ended already reads no orders; waiting for it then returns at once.
        let _ = self.orders.write_all(format!("{name}\n").as_bytes()).await;
        let _ = self.orders.flush().await;
    }
}
