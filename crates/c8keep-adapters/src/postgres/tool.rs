//! One of PostgreSQL's tools as a process: in a group of its own that ends with us, without a terminal or an input, and with
//! nothing in its environment but what it needs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use rustix::pipe::fcntl_setpipe_size;
use rustix::process::{Pid, Signal, kill_process_group};
use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinSet;

use super::connection::{Connection, Environment};
use crate::transport::Scrub;

/// So much of what a tool complains about is kept, from the end.
const STDERR_MAX: usize = 4 * 1024;
/// So much of an answer is read that is no dump.
const OUTPUT_MAX: u64 = 256 * 1024;
/// So much a tool may be ahead of us; more than Linux allows to everybody by default (`pipe-max-size`) would be refused.
const PIPE_BYTES: usize = 1024 * 1024;
/// How long a tool may take to end once it has closed its output.
const END_MAX: Duration = Duration::from_secs(30);

/// A tool that is not started yet.
pub(super) struct Tool {
    program: &'static str,
    path: PathBuf,
    arguments: Vec<OsString>,
    environment: Environment,
    password: Option<SecretString>,
}

/// Why a tool did not do what it was started for.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be started, or not be read from.
    Broken { program: &'static str, why: std::io::Error },
    /// It ended with another code than 0.
    Ended { program: &'static str, status: ExitStatus, said: String },
    /// It did not end, or nothing came for so long.
    Hung { program: &'static str, limit: Duration, said: String },
}

impl Tool {
    /// A tool that connects to nothing.
    pub(super) fn new(connection: &Connection, program: &'static str) -> Tool {
        let path = match &connection.tools {
            Some(folder) => folder.join(program),
            None => program.into(),
        };
        let environment = connection.bare_environment();
        Tool { program, path, arguments: Vec::new(), environment, password: None }
    }

    /// A tool that connects; reads the password.
    pub(super) async fn connected(
        connection: &Connection,
        program: &'static str,
        application: &str,
    ) -> Result<Tool, Fault> {
        let password = match &connection.password {
            None => None,
            Some(secret) => Some(secret.read().await.map_err(|why| {
                let place = format!("databases.{}.password", connection.name);
                Fault::new(FaultKind::Usage, "reading a secret", place, why)
                    .with_hint("docs/databases.md has the ways to give one")
            })?),
        };
        let environment = connection.environment(application);
        Ok(Tool { environment, password, ..Tool::new(connection, program) })
    }

    pub(super) fn arg(mut self, argument: impl Into<OsString>) -> Tool {
        self.arguments.push(argument.into());
        self
    }

    pub(super) fn args<const N: usize>(self, arguments: [&str; N]) -> Tool {
        arguments.into_iter().fold(self, Tool::arg)
    }

    pub(super) fn start(self) -> Result<Running, Failure> {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env_clear().envs(&self.environment);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password.expose_secret());
        }
        let spawned = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // pg_dumpall starts pg_dump: both end together.
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|why| Failure::Broken { program: self.program, why })?;
        let inherited = self.environment.get("PGPASSWORD").and_then(|value| value.to_str());
        let password = self.password.or_else(|| inherited.map(SecretString::from));
        let mut scrub = Scrub::default();
        if let Some(password) = &password {
            scrub.add(password);
        }
        let said = Said { tail: Arc::default(), scrub };
        let mut listening = JoinSet::new();
        if let Some(stderr) = child.stderr.take() {
            listening.spawn(said.clone().listen(stderr));
        }
        Ok(Running { program: self.program, group: Group(child), said, listening })
    }

    /// What it prints, from start to end.
    pub(super) async fn output(self, limit: Duration) -> Result<String, Failure> {
        let mut running = self.start()?;
        let program = running.program;
        let stdout = running.stdout()?;
        let printed = tokio::time::timeout(limit, async {
            let mut printed = Vec::new();
            let mut stdout = stdout.take(OUTPUT_MAX);
            let read = stdout.read_to_end(&mut printed).await;
            read.map_err(|why| Failure::Broken { program, why })?;
            Ok(printed)
        });
        match printed.await {
            Ok(Ok(printed)) => {
                running.end().await?;
                Ok(String::from_utf8_lossy(&printed).into_owned())
            }
            Ok(Err(failure)) => Err(failure),
            Err(_) => Err(running.hung(limit)),
        }
    }
}

/// A tool at work. Dropped, it is killed with all that it has started.
pub(super) struct Running {
    program: &'static str,
    group: Group,
    said: Said,
    /// Ends with the tool, or with us.
    listening: JoinSet<()>,
}

impl Running {
    /// What it writes; once.
    pub(super) fn stdout(&mut self) -> Result<ChildStdout, Failure> {
        let stdout = self.group.0.stdout.take();
        let stdout =
            stdout.ok_or_else(|| self.broken(std::io::Error::other("its output was taken already")))?;
        // Where that much is not allowed, the pipe stays as it is.
        let _ = fcntl_setpipe_size(&stdout, PIPE_BYTES);
        Ok(stdout)
    }

    /// Waits for its end after it has closed its output.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        let Ok(ended) = tokio::time::timeout(END_MAX, self.group.0.wait()).await else {
            return Err(self.hung(END_MAX));
        };
        let status = ended.map_err(|why| Failure::Broken { program: self.program, why })?;
        // What it said last may still be in the pipe; somebody else may hold the other end.
        let _ = tokio::time::timeout(Duration::from_secs(1), self.listening.join_next()).await;
        if status.success() {
            if let Some(said) = Some(self.said.text()).filter(|said| !said.is_empty()) {
                tracing::warn!(tool = self.program, "{said}");
            }
            return Ok(());
        }
        Err(Failure::Ended { program: self.program, status, said: self.said.text() })
    }

    /// The failure of a tool from which nothing has come for so long.
    pub(super) fn hung(&self, limit: Duration) -> Failure {
        Failure::Hung { program: self.program, limit, said: self.said.text() }
    }

    /// The failure of a tool that cannot be read from.
    pub(super) fn broken(&self, why: std::io::Error) -> Failure {
        Failure::Broken { program: self.program, why }
    }
}

/// Kills the group unless its leader has ended and was waited for: until then nobody else can have its number.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The end of what a tool complains about, fit to be shown.
#[derive(Clone)]
struct Said {
    tail: Arc<Mutex<Vec<u8>>>,
    scrub: Scrub,
}

impl Said {
    /// Reads all of it, so that a tool that complains a lot does not get stuck.
    async fn listen(self, mut stderr: ChildStderr) {
        let mut piece = [0; STDERR_MAX];
        while let Ok(read @ 1..) = stderr.read(&mut piece).await {
            let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
            tail.extend_from_slice(&piece[..read]);
            let surplus = tail.len().saturating_sub(STDERR_MAX);
            tail.drain(..surplus);
        }
    }

    fn text(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner).clone();
        shown(&tail, &self.scrub)
    }
}

/// In one line, without what could move a cursor. The tools show no password; that is not left to them.
pub(super) fn shown(tail: &[u8], scrub: &Scrub) -> String {
    // The first line is cut where more was said than is kept, and half a password is none that can be found.
    let begin = tail.iter().position(|byte| *byte == b'\n').filter(|_| tail.len() >= STDERR_MAX);
    let text = scrub.apply(&String::from_utf8_lossy(&tail[begin.unwrap_or(0)..]));
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line: String = lines.collect::<Vec<_>>().join("; ");
    line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
