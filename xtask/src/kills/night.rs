//! One night: a backup, killed at one instant, the commands of the next morning, and what is true afterwards.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use c8keep_twin::http::{Moment, Watcher};
use c8keep_twin::{Config, Host, Request};
use serde_json::Value;

use crate::bench::stage::Stage;

/// No command takes longer, on a machine that is five times slower.
const COMMAND_MAX: Duration = Duration::from_mins(2);
/// Shorter than what c8keep takes from one file in the vault to the next.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// The kinds of instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instant {
    /// A request has arrived: its effect comes after the death.
    Arrived,
    /// A request has had its effect, and its answer never comes.
    Answering,
    /// An event was journalled and told.
    Told,
    /// A file has appeared in the vault.
    Kept,
}

impl Instant {
    pub(super) const ALL: [Instant; 4] = [Instant::Arrived, Instant::Answering, Instant::Told, Instant::Kept];
}

/// One night.
#[derive(Debug, Clone, Copy)]
pub(super) struct Night<'a> {
    pub(super) program: &'a Path,
    pub(super) config: &'a Config,
    pub(super) kind: Instant,
    /// The how-manieth instant of its kind.
    pub(super) at: usize,
    /// Another host, with a journal of its own and the same vault, takes over.
    pub(super) elsewhere: bool,
}

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// The backup had ended before the instant came.
    Over,
    Killed(Killed),
}

/// A kill, after which everything was as promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Killed {
    /// At which instant of its kind.
    pub(super) at: usize,
    /// What was going on.
    pub(super) during: String,
    /// Whether exporting was paused then.
    pub(super) paused: bool,
    /// Whether the next start was killed as well.
    pub(super) again: bool,
}

/// On which host a command runs: each has a journal of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    First,
    Other,
}

const BACKUP: [&str; 3] = ["backup", "-o", "json"];

/// Every so many nights the next start is killed, too, at one of its first instants: there it releases, or takes over.
const AGAIN_EVERY: usize = 4;
const AGAIN_WITHIN: usize = 16;

/// The program, and what it was doing when it was killed.
#[derive(Debug, Default)]
struct Victim {
    child: Option<Child>,
    killed_during: Option<String>,
    seen: usize,
    /// The instant of its death.
    at: usize,
}

impl Night<'_> {
    pub(super) fn pass(&self) -> anyhow::Result<Told> {
        let victim = Arc::new(Mutex::new(Victim::default()));
        let home = Home::new(self.elsewhere)?;
        let stage = Stage::open_watched(self.config, self.watcher(&victim))?;
        let command = |on: On, arguments: &[&str]| self.command(&stage, &home, on, arguments);
        let first = |arguments: &[&str]| command(On::First, arguments);
        let ended = self.killed(first(&BACKUP)?, &home.vault(), &victim, self.at)?;
        let Some(during) = lock(&victim).killed_during.take() else {
            ensure!(ended.status.success(), "the backup failed by itself: {}", said(&ended));
            return Ok(Told::Over);
        };
        let paused = !stage.exports();
        // The other host takes the claim for alive for a minute.
        let status = finished(first(&["status", "-o", "json"])?)?;
        // A pause that is still on its way is seen by the next look.
        ensure!(
            !paused || status.status.code() == Some(20),
            "status does not tell of the pause: {}",
            said(&status)
        );
        let mut again = false;
        if self.elsewhere {
            self.next_morning(|arguments| command(On::Other, arguments))?;
            ensure!(stage.exports(), "exporting was left paused by the other host");
            all_restore(&finished(command(On::Other, &["list", "-o", "json"])?)?, &stage)?;
        } else if self.at.is_multiple_of(AGAIN_EVERY) {
            let at = 1 + self.at / AGAIN_EVERY % AGAIN_WITHIN;
            let ended = self.killed(first(&BACKUP)?, &home.vault(), &victim, at)?;
            again = lock(&victim).killed_during.take().is_some();
            ensure!(again || ended.status.success(), "the next start ended with {}", said(&ended));
        }
        // Who was killed comes back with its run open, though another host may have dealt with its window.
        self.next_morning(first)?;
        ensure!(stage.exports(), "exporting was left paused");
        all_restore(&finished(first(&["list", "-o", "json"])?)?, &stage)?;
        stage.end()?;
        Ok(Told::Killed(Killed { at: self.at, during, paused, again }))
    }

    fn command(&self, stage: &Stage, home: &Home, on: On, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(self.program);
        command.args(arguments).env_clear().envs(stage.environment(crate::bench::REPOSITORY)?);
        command.envs(home.variables(on));
        command.stdin(Stdio::null()).stderr(Stdio::piped()).stdout(Stdio::piped());
        Ok(command)
    }

    /// What an operator or a CronJob does next, one after the other.
    fn next_morning(&self, command: impl Fn(&[&str]) -> anyhow::Result<Command>) -> anyhow::Result<()> {
        let mornings: [&[&[&str]]; 3] =
            [&[&["backup"]], &[&["backup", "--on-open", "finish"]], &[&["resume-exporting"], &["backup"]]];
        for arguments in mornings[self.at % mornings.len()] {
            let ended = finished(command(arguments)?)?;
            ensure!(ended.status.success(), "{} ended with {}", arguments.join(" "), said(&ended));
        }
        Ok(())
    }

    /// Runs the backup until its instant, or to its end.
    fn killed(
        &self,
        mut command: Command,
        vault: &Path,
        victim: &Arc<Mutex<Victim>>,
        at: usize,
    ) -> anyhow::Result<Output> {
        // Nothing is counted before the process can be killed.
        let mut started = lock(victim);
        let mut child = command.spawn().context("starting c8keep")?;
        let stdout = child.stdout.take().context("its output was taken")?;
        let stderr = child.stderr.take().context("its output was taken")?;
        *started = Victim { child: Some(child), at, ..Victim::default() };
        drop(started);
        let told = {
            let (victim, kind) = (Arc::clone(victim), self.kind);
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if kind == Instant::Told {
                        lock(&victim).see(|| event_of(&line));
                    }
                }
            })
        };
        let complained = std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
        });
        let mut kept = BTreeSet::new();
        let status = ended(|| {
            if self.kind == Instant::Kept {
                for file in files_in(vault).into_iter().filter(|file| kept.insert(file.clone())) {
                    lock(victim).see(|| format!("kept: {}", plain(&file)));
                }
            }
            let mut victim = lock(victim);
            victim.child.as_mut().map_or(Ok(None), Child::try_wait)
        })?;
        told.join().ok().context("the reader broke")?;
        let stderr = complained.join().ok().context("the reader broke")?.into_bytes();
        Ok(Output { status, stdout: Vec::new(), stderr })
    }

    fn watcher(&self, victim: &Arc<Mutex<Victim>>) -> Watcher {
        let (victim, kind) = (Arc::clone(victim), self.kind);
        Arc::new(move |moment: Moment, host: Host, request: &Request| {
            let is_ours = matches!(
                (kind, moment),
                (Instant::Arrived, Moment::Arrived) | (Instant::Answering, Moment::Answering)
            );
            if is_ours {
                lock(&victim).see(|| format!("{host}: {} {}", request.method, plain(&request.path)));
            }
        })
    }
}

/// Every backup that is called complete is.
fn all_restore(listed: &Output, stage: &Stage) -> anyhow::Result<()> {
    let listed: Value = serde_json::from_slice(&listed.stdout).context("reading the list")?;
    let backups = listed.as_array().context("a list without backups")?;
    let complete = backups.iter().filter(|backup| backup["state"] == "complete");
    let mut whole = 0;
    for backup in complete {
        let id = backup["backup"].as_u64().context("a backup without an id")?;
        let verdict = stage.restore(id);
        ensure!(verdict.whole(), "backup {id} is listed as complete, and restores as: {verdict}");
        whole += 1;
    }
    ensure!(whole > 0, "no complete backup is listed: {listed}");
    Ok(())
}

impl Victim {
    /// Counts an instant, and kills at the right one.
    fn see(&mut self, during: impl FnOnce() -> String) {
        self.seen += 1;
        if self.seen == self.at
            && let Some(child) = &mut self.child
            && matches!(child.try_wait(), Ok(None))
            && child.kill().is_ok()
        {
            self.killed_during = Some(during());
        }
    }
}

/// Runs a command to its end.
fn finished(mut command: Command) -> anyhow::Result<Output> {
    let mut child = command.spawn().context("starting c8keep")?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let read = |stream: Option<&mut dyn std::io::Read>| {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        bytes
    };
    let complained = std::thread::spawn(move || read(stderr.as_mut().map(|s| s as &mut dyn std::io::Read)));
    let printed = std::thread::spawn(move || read(stdout.as_mut().map(|s| s as &mut dyn std::io::Read)));
    let status = ended(|| child.try_wait()).inspect_err(|_| {
        let _ = child.kill();
    })?;
    let stdout = printed.join().ok().context("the reader broke")?;
    let stderr = complained.join().ok().context("the reader broke")?;
    Ok(Output { status, stdout, stderr })
}

fn ended(
    mut look: impl FnMut() -> std::io::Result<Option<std::process::ExitStatus>>,
) -> anyhow::Result<std::process::ExitStatus> {
    let began = std::time::Instant::now();
    loop {
        if let Some(status) = look().context("waiting for c8keep")? {
            return Ok(status);
        }
        if began.elapsed() > COMMAND_MAX {
            bail!("no end within {COMMAND_MAX:?}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn said(ended: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}:\n{}\n{}", ended.status, text(&ended.stdout), text(&ended.stderr))
}

/// A path without what differs from run to run.
fn plain(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let segments = path.split('/').map(|segment| {
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        if digits > 5 { "…" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

/// Every object below a folder, as a path from it. What has no name yet begins with a dot.
fn files_in(folder: &Path) -> BTreeSet<String> {
    let (mut files, mut folders) = (BTreeSet::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if !entry.file_name().to_string_lossy().starts_with('.') {
                files.extend(path.strip_prefix(folder).map(|path| path.display().to_string()));
            }
        }
    }
    files
}

fn event_of(line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    let name = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
    format!("told: {} {}", name("event"), name("step")).trim_end().to_owned()
}

fn lock(victim: &Mutex<Victim>) -> MutexGuard<'_, Victim> {
    victim.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told {
    pub(super) fn killed(self) -> Option<Killed> {
        match self {
            Told::Over => None,
            Told::Killed(killed) => Some(killed),
        }
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Instant::Arrived => "before the effect of a request",
            Instant::Answering => "after the effect of a request",
            Instant::Told => "after an event",
            Instant::Kept => "after a file in the vault",
        })
    }
}

impl fmt::Display for Night<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elsewhere = if self.elsewhere { ", taken over by another host" } else { "" };
        write!(f, "{}, {}, number {}{elsewhere}", self.config.version, self.kind, self.at)
    }
}

/// A folder of its own for journals and vault.
struct Home {
    folder: PathBuf,
    /// The configuration that names the vault which two hosts have in common, if they do.
    shared: Option<PathBuf>,
}

impl Home {
    fn new(is_shared: bool) -> anyhow::Result<Home> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = crate::scratch().join(format!("c8keep-kills-{}-{number}", std::process::id()));
        std::fs::create_dir_all(folder.join("other")).context("making a home")?;
        let mut home = Home { folder, shared: None };
        if is_shared {
            let file = home.folder.join("shared.yaml");
            std::fs::write(&file, format!("vault: {}\n", home.folder.join("vault").display()))
                .context("writing a configuration")?;
            home.shared = Some(file);
        }
        Ok(home)
    }

    fn variables(&self, on: On) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let home = if on == On::First { self.folder.clone() } else { self.folder.join("other") };
        let shared = self.shared.clone().map(|file| ("C8KEEP_CONFIG", file));
        [("HOME", home)].into_iter().chain(shared)
    }

    /// Where c8keep keeps backups: together, or where it does if nobody says anything else.
    fn vault(&self) -> PathBuf {
        let place = if self.shared.is_some() { "vault" } else { ".local/share/c8keep/vault" };
        self.folder.join(place)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
