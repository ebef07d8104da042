//! Places that the file names relative to itself.

use std::path::{Path, PathBuf};

/// A path seen from a folder that has no links in its own path: there, the steps up with which it begins can be taken without
/// asking the disk, and what is shown is where it is. Steps up further on may follow a link, and are left to the system.
pub(super) fn below(folder: &Path, path: &Path) -> PathBuf {
    let (mut from, mut rest) = (folder.to_owned(), path);
    loop {
        if let Ok(after) = rest.strip_prefix("..") {
            from.pop();
            rest = after;
        } else if let Ok(after) = rest.strip_prefix(".") {
            rest = after;
        } else {
            break;
        }
    }
    if rest.as_os_str().is_empty() { from } else { from.join(rest) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_up_are_taken() {
        let seen = |path: &str| below(Path::new("/etc/c8keep"), Path::new(path)).display().to_string();
        assert_eq!(seen("vault"), "/etc/c8keep/vault");
        assert_eq!(seen("../vault"), "/etc/vault");
        assert_eq!(seen("./../../mnt/backups"), "/mnt/backups");
        assert_eq!(seen("../../../x"), "/x");
        assert_eq!(seen(".."), "/etc");
        assert_eq!(seen("/mnt/backups"), "/mnt/backups");
        assert_eq!(seen("a/../b"), "/etc/c8keep/a/../b");
    }
}
