//! Where the journal lies, how large it is, and whether it could be written to: looked at, not tried.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use c8keep_core::fault::{Fault, FaultKind};
use rustix::fs::{Access, access};

use super::fault::OWNED;

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
            writable(nearest_folder(path), path)?;
            return Ok(JournalPlace { path: path.to_owned(), bytes: None });
        }
        metadata => metadata.map_err(|error| unusable(path, &error.to_string()))?,
    };
    if !metadata.is_file() {
        return Err(unusable(path, "it is no file"));
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
        return Err(unusable(journal, &format!("{} is no folder", what.display())));
    }
    access(what, wanted).map_err(|error| unusable(journal, &format!("{}: {error}", what.display())))
}

fn unusable(journal: &Path, why: &str) -> Fault {
    Fault::new(FaultKind::Storage, LOOKING, journal.display().to_string(), why).with_hint(OWNED)
}

#[cfg(test)]
mod tests {
    use std::fs;

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
        ] {
            let fault = look(&path).unwrap_err();
            assert!(fault.answer.contains(why) && !fault.hint.is_empty(), "{fault:?}");
        }
    }
}
