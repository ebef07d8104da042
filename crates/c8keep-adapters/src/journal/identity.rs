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
    match read(&path) {
        Ok(text) if is_one(text.trim()) => return Ok(text.trim().to_owned()),
        // A crash left half of one, or a disk something else; nobody knows it.
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

/// Its beginning, which is all of it.
fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(4 * LENGTH as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// It goes into claims, and to whoever reads them.
fn is_one(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
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
        let endless = [b'x'; 4000];
        for damaged in [&b"half"[..], b"\x1b[2J and so on, as long as one..", &[0xff; LENGTH], &endless] {
            fs::write(folder.path().join("a.db.id"), damaged).unwrap();
            let again = of(&one).unwrap();
            assert!(again != drawn && is_one(&again), "{again:?}");
        }
        assert!(of(&folder.path().join("no/such/folder")).is_err());
    }
}
