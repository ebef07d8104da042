//! From what SQLite says to a fault.

use std::path::Path;

use c8keep_core::fault::{Fault, FaultKind};

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

/// What to do where it cannot be written to.
pub(super) const OWNED: &str = "the user that runs this needs to own the journal and its folder";

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
        Some(code::FULL) => fault.with_hint("make room on the disk that holds the journal, then start again"),
        Some(code::IOERR) => fault.with_hint("check the disk that holds the journal, then start again"),
        Some(code::READONLY | code::CANTOPEN) => fault.with_hint(OWNED),
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
