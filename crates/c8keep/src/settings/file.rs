//! Reading the configuration file, and no more of it than a person writes.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::path::Path;

/// Hundreds of databases fit into it.
const BYTES_MAX: u64 = 1024 * 1024;

pub(super) fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_ends_is_no_configuration() {
        assert!(text(Path::new("/dev/zero")).unwrap_err().to_string().contains("more than"));
        assert_eq!(text(Path::new("/dev/null")).unwrap(), "");
    }
}
