//! Files and folders, without async: the work of a vault in a folder.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use c8keep_core::fault::{Fault, FaultKind};

use super::fault::{a_file, damaged, no_folder, not_to_be_made, other_bytes, storage, writes_again};
use super::folder::Missing;
use super::path::DEPTH_MAX;
use super::{CHECKSUM, OBJECT_BYTES_MAX, OBJECTS_MAX, checksum_line, differs, sha256_hex};

/// Writes an object that does not exist, makes it durable, and then its checksum. The object comes first: two who
/// write different bytes at the same time must not leave one's object beside the other's checksum. A crash between the
/// two leaves a whole object without a checksum; writing the same bytes again adds it.
pub(super) fn create(
    root: &Path,
    object: &str,
    bytes: &[u8],
    lasting: &Mutex<BTreeSet<PathBuf>>,
) -> Result<String, Fault> {
    let doing = "writing into the vault";
    let path = root.join(object);
    let sha256 = sha256_hex(bytes);
    let folder = path.parent().unwrap_or(root);
    make_folders(doing, folder)?;
    if !write_once(doing, &path, bytes)? {
        let there = read_limited(doing, &path)?;
        if there.as_deref() != Some(bytes) {
            return Err(other_bytes(doing, path.display().to_string()));
        }
    }
    // From here on the object is there, whatever fails.
    let line = checksum_line(&sha256, object);
    let settle = || -> Result<(), Fault> {
        write_once(doing, &checksum_of(&path), line.as_bytes())?;
        sync_folders(doing, root, folder, lasting)
    };
    settle().map_err(Fault::with_unknown_effect)?;
    Ok(sha256)
}

/// A file without a name of its own yet, for an object that is written piece by piece.
pub(super) fn begin(root: &Path, object: &str) -> Result<(File, PathBuf), Fault> {
    let doing = "writing into the vault";
    let path = root.join(object);
    make_folders(doing, path.parent().unwrap_or(root))?;
    if fs::symlink_metadata(&path).is_ok() {
        return Err(other_bytes(doing, path.display().to_string()));
    }
    let temporary = path.with_file_name(temporary_name());
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
    Ok((opened.map_err(|error| storage(doing, &path, &error))?, temporary))
}

/// Gives it its name, if nothing has that, and its checksum.
pub(super) fn finish(
    root: &Path,
    object: &str,
    (file, temporary): (&File, &Path),
    sha256: &str,
    lasting: &Mutex<BTreeSet<PathBuf>>,
) -> Result<(), Fault> {
    let doing = "writing into the vault";
    let path = root.join(object);
    let linked = file.sync_all().and_then(|()| fs::hard_link(temporary, &path));
    let _ = fs::remove_file(temporary);
    linked.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => other_bytes(doing, path.display().to_string()),
        _ => storage(doing, &path, &error),
    })?;
    let settle = || -> Result<(), Fault> {
        write_once(doing, &checksum_of(&path), checksum_line(sha256, object).as_bytes())?;
        sync_folders(doing, root, path.parent().unwrap_or(root), lasting)
    };
    settle().map_err(Fault::with_unknown_effect)
}

/// Reads an object and compares it with its checksum.
pub(super) fn read(root: &Path, object: &str, missing: Missing) -> Result<Option<Vec<u8>>, Fault> {
    let doing = "reading from the vault";
    let path = root.join(object);
    let Some(bytes) = read_limited(doing, &path)? else {
        return may_be_missing(doing, root, missing).map(|()| None);
    };
    // Without one the writer died between the two files; the object itself was whole before it had its name.
    let line = read_limited(doing, &checksum_of(&path))?;
    if let Some(why) = line.and_then(|line| differs(&bytes, &line)) {
        return Err(damaged(doing, &path, why));
    }
    Ok(Some(bytes))
}

/// All objects below a folder, as paths from the root.
pub(super) fn list(root: &Path, below: &Path, missing: Missing) -> Result<Vec<String>, Fault> {
    let doing = "listing the vault";
    may_be_missing(doing, root, missing)?;
    let mut found = BTreeSet::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        let entries = match fs::read_dir(&full) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(storage(doing, &full, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| storage(doing, &full, &error))?;
            let kind = entry.file_type().map_err(|error| storage(doing, &entry.path(), &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = folder.join(&name);
            if name.starts_with('.') || name.ends_with(CHECKSUM) {
                continue;
            }
            // Links are not followed: they can go round in circles, and nobody here makes any.
            if kind.is_dir() && path.components().count() <= DEPTH_MAX {
                folders.push(path);
            } else if kind.is_file() {
                found.insert(path.to_string_lossy().into_owned());
            }
        }
        if found.len() > OBJECTS_MAX {
            let answer = format!("more than {OBJECTS_MAX} objects");
            return Err(Fault::new(FaultKind::Storage, doing, full.display().to_string(), answer));
        }
    }
    Ok(found.into_iter().collect())
}

/// Writes a file twice and removes it, durably: the second time must find the first. Folders that it made are gone afterwards.
pub(super) fn check(root: &Path, folder: &Path, missing: Missing) -> Result<(), Fault> {
    let doing = "checking that the vault can be written to";
    let folder = root.join(folder);
    let is_new = |folder: &&Path| fs::symlink_metadata(folder).is_err();
    let new: Vec<PathBuf> = folder.ancestors().take_while(is_new).map(Path::to_owned).collect();
    let made = make_root(doing, root, missing).and_then(|()| make_folders(doing, &folder));
    let checked = made.and_then(|()| check_in(doing, &folder));
    // The innermost first; one that somebody has begun to use meanwhile is not empty and stays.
    let _: Option<()> = new.iter().map_while(|folder| fs::remove_dir(folder).ok()).last();
    checked
}

fn check_in(doing: &str, folder: &Path) -> Result<(), Fault> {
    let path = folder.join(temporary_name());
    let text = b"written and removed by c8keep to see whether it can\n";
    let written = write_once(doing, &path, text);
    let again = write_once(doing, &path, b"written again\n");
    let removed = fs::remove_file(&path);
    match (written?, again?) {
        (true, false) => removed.map_err(|error| storage(doing, &path, &error)),
        _ => Err(writes_again(doing, &path.display().to_string())),
    }
}

/// Whether the file was created; `false` if there was one. It has its name only once its bytes are on disk.
fn write_once(doing: &str, path: &Path, bytes: &[u8]) -> Result<bool, Fault> {
    let temporary = path.with_file_name(temporary_name());
    let written = write_new(&temporary, bytes);
    let linked = written.and_then(|()| fs::hard_link(&temporary, path));
    // A leftover does no harm: its name begins with a dot.
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(storage(doing, path, &error)),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_limited(doing: &str, path: &Path) -> Result<Option<Vec<u8>>, Fault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage(doing, path, &error)),
    };
    let mut bytes = Vec::new();
    let read = file.take(OBJECT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|error| storage(doing, path, &error))?;
    if bytes.len() > OBJECT_BYTES_MAX {
        return Err(damaged(doing, path, format!("it has more than {OBJECT_BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

/// Makes the root, as far as that is ours to do.
pub(super) fn make_root(doing: &str, root: &Path, missing: Missing) -> Result<(), Fault> {
    may_be_missing(doing, root, missing)?;
    let made = folders().create(root);
    made.map_err(|error| match error.kind() {
        // Not found as below /proc, where not even root makes any.
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            not_to_be_made(doing, root, &error)
        }
        _ => storage(doing, root, &error),
    })
}

/// Whether a root that is not there yet could be made: one is made beside it and removed again.
pub(super) fn could_be_made(root: &Path) -> Result<(), Fault> {
    let doing = "looking for the vault";
    may_be_missing(doing, root, Missing::Made)?;
    let tried = root.with_file_name(temporary_name());
    let made = fs::create_dir(&tried).and_then(|()| fs::remove_dir(&tried));
    made.map_err(|error| not_to_be_made(doing, root, &error))
}

/// Refuses a root that is a file or lies below one, and one that is missing, or whose parent is, where nobody but an operator
/// makes it.
fn may_be_missing(doing: &str, root: &Path, missing: Missing) -> Result<(), Fault> {
    let is_other = |path: &&Path| fs::metadata(path).is_ok_and(|found| !found.is_dir());
    if let Some(file) = root.ancestors().find(is_other) {
        return Err(a_file(doing, root, file));
    }
    let wanted = match missing {
        Missing::MadeWithParents => return Ok(()),
        Missing::Made => root.parent().filter(|parent| !parent.as_os_str().is_empty()),
        Missing::Told => Some(root),
    };
    let is_missing =
        |folder: &&Path| fs::metadata(folder).is_err_and(|error| error.kind() == ErrorKind::NotFound);
    match wanted.filter(is_missing) {
        Some(folder) => Err(no_folder(doing, root, folder)),
        None => Ok(()),
    }
}

/// Nobody else needs to read them.
fn folders() -> DirBuilder {
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(0o700);
    folders
}

fn make_folders(doing: &str, folder: &Path) -> Result<(), Fault> {
    let made = folders().create(folder);
    made.map_err(|error| storage(doing, folder, &error))
}

/// A new name is durable only when its folder is, and so on up to the folder that holds the root, or one whose own name
/// is known to last.
fn sync_folders(
    doing: &str,
    root: &Path,
    folder: &Path,
    lasting: &Mutex<BTreeSet<PathBuf>>,
) -> Result<(), Fault> {
    let mut lasting = lasting.lock().unwrap_or_else(PoisonError::into_inner);
    for one in folder.ancestors() {
        let inside = one.starts_with(root);
        match File::open(one).and_then(|file| file.sync_all()) {
            Err(error) if inside => return Err(storage(doing, one, &error)),
            // Whoever may write below the root need not be allowed to open what is above it.
            _ if !inside || lasting.contains(one) => break,
            _ => {}
        }
    }
    lasting.extend(folder.ancestors().take_while(|one| one.starts_with(root)).map(Path::to_owned));
    Ok(())
}

fn checksum_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(CHECKSUM);
    name.into()
}

fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(".new-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
