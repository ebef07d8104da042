//! From what SQLite says to a fault.

use std::io::{self, ErrorKind};
use std::path::Path;

use c8keep_core::fault::{Fault, FaultKind};
use rustix::fs::{Access, access};

/// SQLite's primary result codes (sqlite.org/rescode.html).
mod code {
    pub(super) const BUSY: u32 = 5;
    pub(super) const LOCKED: u32 = 6;
    pub(super) const READONLY: u32 = 8;
    pub(super) const IOERR: u32 = 10;
    pub(super) const CORRUPT: u32 = 11;
    pub(super) const FULL: u32 = 13;
    pub(super) const CANTOPEN: u32 = 14;
    pub(super) const NOTADB: u32 = 26;
}

const OWNED: &str = "the user that runs this needs to own the journal and its folder";
const READ_ONLY: &str = "its file system can only be read: mount it for writing, or put the journal elsewhere (`journal` in the \
                         configuration, or XDG_STATE_HOME)";
const A_FILE: &str = "a file lies where a folder should be: put the journal elsewhere (`journal` in the configuration, or \
                      XDG_STATE_HOME)";
const NO_PLACE: &str = "nothing can be made there: put the journal elsewhere (`journal` in the configuration, or XDG_STATE_HOME)";
const MAKE_ROOM: &str = "make room on the disk that holds the journal, then start again";

/// What to do where it cannot be written to.
pub(super) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem => READ_ONLY,
        ErrorKind::NotADirectory => A_FILE,
        ErrorKind::NotFound => NO_PLACE,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => MAKE_ROOM,
        _ => OWNED,
    }
}

/// SQLite does not tell why a file cannot be opened or written to; what holds the file does.
fn advice_at(path: &Path) -> &'static str {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    access(folder, Access::WRITE_OK).map_or_else(|error| advice(&error.into()), |()| OWNED)
}

/// What a failed statement means.
pub(super) fn storage(doing: &str, path: &Path, error: &sqlx::Error) -> Fault {
    let answer = match error {
        sqlx::Error::Database(told) => told.message().to_owned(),
        other => other.to_string(),
    };
    let fault = Fault::new(FaultKind::Storage, doing, path.display().to_string(), &answer);
    match primary_code(error) {
        Some(code::CORRUPT | code::NOTADB) => damaged(doing, path, answer),
        Some(code::BUSY | code::LOCKED) => {
            fault.with_hint("another process is writing; try again").with_retry()
        }
        Some(code::FULL) => fault.with_hint(MAKE_ROOM),
        Some(code::IOERR) => fault.with_hint("check the disk that holds the journal, then start again"),
        Some(code::READONLY | code::CANTOPEN) => fault.with_hint(advice_at(path)),
        _ => fault,
    }
}

/// A journal that cannot be understood.
pub(super) fn damaged(doing: &str, path: &Path, answer: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Damaged, doing, path.display().to_string(), answer).with_hint(
        "keep the file for inspection and move it away: the backups themselves are in the vault, and exporting that \
         is still paused is released by `c8keep resume-exporting --yes`",
    )
}

/// The lower eight bits; the rest refines them.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<u32>().ok().map(|code| code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rights do not help where the file system takes nothing.
    #[test]
    fn the_advice_fits_the_error() {
        for (errno, words) in [
            (rustix::io::Errno::ROFS, "mount it for writing"),
            (rustix::io::Errno::ACCESS, "needs to own"),
            (rustix::io::Errno::NOTDIR, "a file lies where a folder should be"),
            (rustix::io::Errno::NOENT, "put the journal elsewhere"),
            (rustix::io::Errno::NOSPC, "make room"),
        ] {
            assert!(advice(&errno.into()).contains(words), "{errno}");
        }
    }
}
