//! The lock beside the journal: one process a host for each installation. The kernel takes it back when the process
//! ends, however it ends, so there is nothing to clean up. The file itself stays: removing it would let two processes
//! lock two files of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use jiff::{Timestamp, Unit};

/// A lock that is held.
#[derive(Debug)]
pub(super) struct HostLock {
    _file: File,
    holder: String,
}

const CLAIMING: &str = "claiming the installation";
/// Whoever asks for the holder has the lock for an instant; a claim waits that long and no longer.
const TRIES_MAX: u32 = 10;
const TRY_EVERY: Duration = Duration::from_millis(5);
const HOLDER_BYTES_MAX: u64 = 500;

impl HostLock {
    /// Takes the lock, or says who has it.
    pub(super) async fn take(journal: &Path, installation: &str, by: &str) -> Result<HostLock, Fault> {
        let path = path_of(journal, installation)?;
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| failed(&path, &error))?;
        for tries in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES_MAX => tokio::time::sleep(TRY_EVERY).await,
                Err(TryLockError::WouldBlock) => return Err(held(&path, installation, &told_by(&mut file))),
                Err(TryLockError::Error(error)) => return Err(failed(&path, &error)),
            }
        }
        let since = Timestamp::now().round(Unit::Second).unwrap_or_default();
        let holder = format!("{by} since {since}");
        // The text is for people; a lock without it is a lock all the same.
        let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(holder.as_bytes()));
        Ok(HostLock { _file: file, holder })
    }

    /// Who has it, in words.
    pub(super) fn holder(&self) -> &str {
        &self.holder
    }
}

/// Who holds an installation, if some process does. Makes no file.
pub(super) fn holder(journal: &Path, installation: &str) -> Result<Option<String>, Fault> {
    let path = path_of(journal, installation)?;
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&path, &error)),
    };
    match file.try_lock_shared() {
        // What the file says is then of a process that has ended.
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(told_by(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed(&path, &error)),
    }
}

fn path_of(journal: &Path, installation: &str) -> Result<PathBuf, Fault> {
    let plain = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if installation.is_empty() || installation.len() > 100 || !installation.chars().all(plain) {
        let answer = "an installation's name has letters, digits, - _ and . only";
        return Err(Fault::new(FaultKind::Usage, CLAIMING, format!("installation {installation:?}"), answer));
    }
    let mut name = journal.as_os_str().to_owned();
    name.push(format!(".{installation}.lock"));
    Ok(name.into())
}

fn told_by(file: &mut File) -> String {
    let mut told = Vec::new();
    let read = file.rewind().and_then(|()| file.take(HOLDER_BYTES_MAX).read_to_end(&mut told));
    let told: String = String::from_utf8_lossy(&told).chars().filter(|c| !c.is_control()).collect();
    if read.is_err() || told.is_empty() { "a process that does not say who it is".into() } else { told }
}

fn held(path: &Path, installation: &str, by: &str) -> Fault {
    let answer = format!("{installation} is held by {by}");
    Fault::new(FaultKind::Locked, CLAIMING, path.display().to_string(), answer)
        .with_hint("wait until it has ended; `c8keep status` shows what it does")
}

fn failed(path: &Path, error: &std::io::Error) -> Fault {
    let hint = if error.kind() == ErrorKind::Unsupported { "the file system has no locks" } else { "" };
    Fault::new(FaultKind::Storage, CLAIMING, path.display().to_string(), error.to_string()).with_hint(hint)
}
