//! From what the file system says to a fault.

use std::io::{Error, ErrorKind};
use std::path::Path;

use c8keep_core::fault::{Fault, FaultKind};

/// An operation on a file or folder that failed. Worth repeating: disks are made room on and shares come back, and the
/// step's own limits end it.
pub(super) fn storage(doing: &str, path: &Path, error: &Error) -> Fault {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room, then start again",
        ErrorKind::PermissionDenied => "the user that runs this needs to own the folder",
        ErrorKind::ReadOnlyFilesystem => "choose a folder that can be written to",
        ErrorKind::NotADirectory => "a file lies where a folder should be",
        ErrorKind::Unsupported => "the file system has no hard links: choose a folder on another one",
        _ => "",
    };
    Fault::new(FaultKind::Storage, doing, path.display().to_string(), error.to_string())
        .with_hint(hint)
        .with_retry()
}

/// An object that does not match its checksum.
pub(super) fn damaged(doing: &str, path: &Path, answer: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Damaged, doing, path.display().to_string(), answer)
        .with_hint("the file was changed or damaged after it was written: take it from a copy of the vault")
}
