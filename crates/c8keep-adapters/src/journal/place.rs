//! Where the journal lies, how large it is, and whether it could be written to. One that is there is looked at and not tried;
//! where there is none, a folder is made and removed again.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::{fs, process};

use c8keep_core::fault::{Fault, FaultKind};
use rustix::fs::{Access, access};

use super::fault::advice;

const LOOKING: &str = "looking at the journal's place";

/// A place for a journal that can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalPlace {
    /// The file.
    pub path: PathBuf,
    /// How large it is with its write-ahead log; nothing where it will only be made.
    pub bytes: Option<u64>,
}

/// The place of a journal, or why a run could not be written there.
pub(super) fn look(path: &Path) -> Result<JournalPlace, Fault> {
    let metadata = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = nearest_folder(path);
            writable(folder, path)?;
            takes_a_folder(folder, path)?;
            return Ok(JournalPlace { path: path.to_owned(), bytes: None });
        }
        metadata => metadata.map_err(|error| unusable(path, "", &error))?,
    };
    if !metadata.is_file() {
        return Err(unusable(path, "it is no file", &ErrorKind::IsADirectory.into()));
    }
    // SQLite makes its side files in the folder, and so do we.
    writable(path, path)?;
    writable(nearest_folder(path), path)?;
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let log = std::fs::metadata(log).map_or(0, |log| log.len());
    Ok(JournalPlace { path: path.to_owned(), bytes: Some(metadata.len() + log) })
}

/// The folder above that is there already: the rest will be made below it.
fn nearest_folder(path: &Path) -> &Path {
    let is_here = |folder: &Path| folder.as_os_str().is_empty();
    let mut above =
        path.ancestors().skip(1).map(|folder| if is_here(folder) { Path::new(".") } else { folder });
    above.find(|folder| folder.symlink_metadata().is_ok()).unwrap_or(Path::new("/"))
}

fn writable(what: &Path, journal: &Path) -> Result<(), Fault> {
    let wanted = if what == journal { Access::WRITE_OK } else { Access::WRITE_OK | Access::EXEC_OK };
    if what != journal && !what.is_dir() {
        let why = format!("{} is no folder", what.display());
        return Err(unusable(journal, &why, &ErrorKind::NotADirectory.into()));
    }
    access(what, wanted).map_err(|error| unusable_at(what, journal, &error.into()))
}

/// Rights are not all: below /proc nobody makes anything, and a quota may be used up.
fn takes_a_folder(folder: &Path, journal: &Path) -> Result<(), Fault> {
    let tried = folder.join(format!(".c8keep-{}", process::id()));
    // In a container every process has the same number: a leftover is one of ours.
    let _ = fs::remove_dir(&tried);
    let made = fs::create_dir(&tried).and_then(|()| fs::remove_dir(&tried));
    made.map_err(|error| unusable_at(folder, journal, &error))
}

fn unusable_at(place: &Path, journal: &Path, error: &io::Error) -> Fault {
    unusable(journal, &format!("{}: {error}", place.display()), error)
}

/// The error itself, unless there is more to say.
fn unusable(journal: &Path, why: &str, error: &io::Error) -> Fault {
    let why = if why.is_empty() { error.to_string() } else { why.to_owned() };
    Fault::new(FaultKind::Storage, LOOKING, journal.display().to_string(), why).with_hint(advice(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_looked_at_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/c8keep/journal.db");
        assert_eq!(look(&path).unwrap().bytes, None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, [0; 100]).unwrap();
        fs::write(path.with_file_name("journal.db-wal"), [0; 11]).unwrap();
        assert_eq!(look(&path).unwrap().bytes, Some(111));
    }

    /// Each fails for every user, root included.
    #[test]
    fn what_no_journal_can_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        for (path, why) in [
            (folder.path().to_owned(), "it is no file"),
            (file.join("journal.db"), "Not a directory"),
            (PathBuf::from("/proc/1/c8keep/journal.db"), "/proc/1"),
            // Root has every right there, and yet nothing can be made.
            (PathBuf::from("/proc/c8keep/journal.db"), "/proc: "),
        ] {
            let fault = look(&path).unwrap_err();
            assert!(fault.answer.contains(why) && !fault.hint.is_empty(), "{fault:?}");
        }
    }
}
