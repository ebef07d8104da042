//! What the path of an object may look like, the same in every kind of vault.

use c8keep_core::fault::{Fault, FaultKind};

use super::CHECKSUM;

/// How deep an object may lie.
pub(super) const DEPTH_MAX: usize = 16;

/// Refuses a path that is none of an object: it is relative, no name begins with a dot, and it is no checksum.
pub(super) fn check(doing: &str, path: &str) -> Result<(), Fault> {
    let refused = |why: &str| Err(Fault::new(FaultKind::Usage, doing, format!("vault path {path:?}"), why));
    if path.split('/').count() > DEPTH_MAX {
        return refused("it is too deep");
    }
    for name in path.split('/') {
        if name.is_empty() || name.starts_with('.') || name.len() > 200 {
            return refused("each part is a name of 1 to 200 bytes that does not begin with a dot");
        }
        if name.chars().any(|c| c.is_control() || c == '\\') {
            return refused("it contains a control character or a backslash");
        }
    }
    if path.ends_with(CHECKSUM) {
        return refused("checksums are written beside their objects, not by themselves");
    }
    Ok(())
}

/// The same for what is listed: without a slash at its end; empty for everything.
pub(super) fn prefix<'a>(doing: &str, path: &'a str) -> Result<&'a str, Fault> {
    let path = path.trim_end_matches('/');
    if !path.is_empty() {
        check(doing, path)?;
    }
    Ok(path)
}
