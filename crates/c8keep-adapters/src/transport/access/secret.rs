//! A secret by reference: where it is found, read when it is used. It never shows what it found.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;

/// Where a secret is found.
#[derive(Clone)]
pub enum Secret {
    /// As it is: in an address, as in `https://user:password@host`, or as the plain value of a header.
    Given(SecretString),
    /// In an environment variable.
    Env(String),
    /// In a file, which may be replaced at any time: it is read anew for each use, because it is small and what is read
    /// then is never stale.
    File(PathBuf),
    /// What a command prints, as those of password stores do.
    Command(Arc<Command>),
}

/// A command that prints a secret. It is not asked for every request: an answer is kept for a while.
pub struct Command {
    /// The program and its arguments; no shell reads them.
    words: Vec<String>,
    kept: Mutex<Option<(Instant, SecretString)>>,
}

/// Longer ones do not fit into the headers that servers accept (8 KiB in Tomcat and Netty).
const BYTES_MAX: u64 = 8 * 1024;
/// So long what a command has printed is used.
const COMMAND_KEPT: Duration = Duration::from_mins(1);
/// So long a command may take; requests with shorter deadlines end by their own.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);
/// The same for a file.
const FILE_DEADLINE: Duration = Duration::from_secs(10);

impl Secret {
    /// The secret, without the line break that editors leave at the end of a file; or why there is none.
    pub async fn read(&self) -> Result<SecretString, String> {
        let text = match self {
            Secret::Given(secret) => return Ok(secret.clone()),
            Secret::Command(command) => return command.secret().await.map_err(|why| format!("{self} {why}")),
            Secret::Env(name) => std::env::var(name).map_err(|_| format!("{self} is not set"))?,
            Secret::File(path) => {
                // A pipe that nobody writes to, or a share that is gone.
                let read = tokio::time::timeout(FILE_DEADLINE, read_file(path)).await;
                let read = read.map_err(|_| format!("{self} cannot be read within {FILE_DEADLINE:?}"))?;
                read.map_err(|why| format!("{self} cannot be read: {why}"))?
            }
        };
        checked(&text).map_err(|why| format!("{self} {why}"))
    }

    /// Whether it was given as it is: in an address, or as the plain value of a header.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Secret::Given(_))
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command").finish_non_exhaustive()
    }
}

impl Command {
    /// A command by its program and arguments.
    pub fn new(words: Vec<String>) -> Command {
        Command { words, kept: Mutex::default() }
    }

    async fn secret(&self) -> Result<SecretString, String> {
        let mut kept = self.kept.lock().await;
        if let Some((at, secret)) = &*kept
            && at.elapsed() < COMMAND_KEPT
        {
            return Ok(secret.clone());
        }
        let printed = tokio::time::timeout(COMMAND_DEADLINE, self.run()).await;
        let printed = printed.map_err(|_| format!("has not ended within {COMMAND_DEADLINE:?}"))??;
        let secret = checked(&printed)?;
        *kept = Some((Instant::now(), secret.clone()));
        Ok(secret)
    }

    /// What it prints. What it says on standard error is dropped: it may hold the secret.
    async fn run(&self) -> Result<String, String> {
        let Some((program, arguments)) = self.words.split_first() else { return Err("is empty".into()) };
        let failed = |why: std::io::Error| format!("failed: {why}");
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let mut printed = String::new();
        if let Some(stdout) = child.stdout.take() {
            stdout.take(BYTES_MAX + 1).read_to_string(&mut printed).await.map_err(failed)?;
        }
        let status = child.wait().await.map_err(failed)?;
        if status.success() { Ok(printed) } else { Err(format!("failed: {status}")) }
    }
}

async fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    tokio::fs::File::open(path).await?.take(BYTES_MAX + 1).read_to_string(&mut text).await?;
    Ok(text)
}

/// Without the line break at its end; neither empty nor too long.
fn checked(text: &str) -> Result<SecretString, String> {
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty".into()),
        secret if secret.len() as u64 > BYTES_MAX => {
            Err(format!("is longer than {BYTES_MAX} bytes: is it the right one?"))
        }
        secret => Ok(secret.into()),
    }
}

/// Where it is found, and never what.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Given(_) => f.write_str("the one in the address"),
            Secret::Env(name) => write!(f, "the variable {name}"),
            Secret::File(path) => write!(f, "the file {}", path.display()),
            // Its arguments may be of the kind that should not be shown.
            Secret::Command(command) => {
                write!(f, "the command {}", command.words.first().map_or("", String::as_str))
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

/// Takes secrets out of what a server sent back: some repeat a header that they do not like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrub(Vec<SecretString>);

impl Scrub {
    /// Shorter ones would take letters out of ordinary words.
    const CHARS_MIN: usize = 6;

    /// Remembers a secret that is sent.
    pub(crate) fn add(&mut self, secret: &SecretString) {
        if secret.expose_secret().len() >= Self::CHARS_MIN {
            self.0.push(secret.clone());
        }
    }

    /// Whether nothing is sent that must not come back.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without them.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "…"))
    }
}
