//! Which journal this is, for claims that other hosts read: a number drawn once, in a file beside the journal. It stays
//! when the journal is damaged and set aside, and is no secret.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use c8keep_core::fault::{Fault, FaultKind};

const LENGTH: usize = 32;

/// The journal's number in hex; drawn if there is none.
pub(super) fn of(journal: &Path) -> Result<String, Fault> {
    let mut name = journal.as_os_str().to_owned();
    name.push(".id");
    let path = PathBuf::from(name);
    let failed = |error: std::io::Error| {
        Fault::new(
            FaultKind::Storage,
            "reading the journal's identity",
            path.display().to_string(),
            error.to_string(),
        )
    };
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().len() == LENGTH => return Ok(text.trim().to_owned()),
        // A crash left half of one; nobody knows it.
        Ok(_) => fs::remove_file(&path).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let drawn = draw().map_err(failed)?;
    let written = OpenOptions::new().write(true).create_new(true).open(&path);
    written
        .and_then(|mut file| file.write_all(format!("{drawn}\n").as_bytes()).and_then(|()| file.sync_all()))
        .map_err(failed)?;
    Ok(drawn)
}

fn draw() -> std::io::Result<String> {
    let mut bytes = [0_u8; LENGTH / 2];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:0LENGTH$x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_drawn_once_and_mended() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a.db"), folder.path().join("b.db"));
        let drawn = of(&one).unwrap();
        assert_eq!(of(&one).unwrap(), drawn);
        assert_ne!(of(&other).unwrap(), drawn);
        fs::write(folder.path().join("a.db.id"), "half").unwrap();
        assert_ne!(of(&one).unwrap(), drawn);
        assert!(of(&folder.path().join("no/such/folder")).is_err());
    }
}
