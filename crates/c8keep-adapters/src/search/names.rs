//! Guards on names that go into URLs. `DELETE` and `GET` take lists and wildcards where a name belongs, an empty name
//! turns one call into another, and an empty pattern means everything to both products (camunda issue 26618).

use c8keep_core::fault::{Fault, FaultKind};

/// Both servers refuse longer names as file names.
const NAME_BYTES_MAX: usize = 255;
/// Elasticsearch reads a request line of 4 KiB by default; the rest of it is short.
const LIST_BYTES_MAX: usize = 2048;
const PATTERNS_MAX: usize = 10_000;

/// One repository's name.
pub(super) fn repository(doing: &str, name: &str) -> Result<(), Fault> {
    plain(doing, "repository name", name)
}

/// One snapshot's name, by the servers' own rules.
pub(super) fn snapshot(doing: &str, name: &str) -> Result<(), Fault> {
    plain(doing, "snapshot name", name)?;
    if name.chars().any(char::is_uppercase) {
        return Err(refused(doing, "snapshot name", name, "upper case"));
    }
    Ok(())
}

/// A snapshot name with one `*` at its end and something before it.
pub(super) fn prefix_pattern(doing: &str, pattern: &str) -> Result<(), Fault> {
    match pattern.strip_suffix('*') {
        Some(prefix) => snapshot(doing, prefix),
        None => Err(refused(doing, "snapshot pattern", pattern, "no * at its end")),
    }
}

/// One index pattern that cannot mean everything, a list, or an exclusion.
pub(super) fn pattern(doing: &str, pattern: &str) -> Result<(), Fault> {
    plain(doing, "index pattern", &pattern.replace('*', ""))
        .map_err(|_| refused(doing, "index pattern", pattern, "it is empty, a list, or means everything"))?;
    if pattern.starts_with(['*', '-']) {
        return Err(refused(doing, "index pattern", pattern, "it begins with * or -"));
    }
    Ok(())
}

/// Patterns in lists that fit into a URL.
pub(super) fn chunks(doing: &str, patterns: &[String]) -> Result<Vec<Vec<String>>, Fault> {
    if patterns.len() > PATTERNS_MAX {
        return Err(refused(doing, "index pattern", "…", "there are more than 10,000 of them"));
    }
    let mut chunks: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for one in patterns {
        pattern(doing, one)?;
        if chunks.is_empty() || bytes + one.len() + 1 > LIST_BYTES_MAX {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += one.len() + 1;
        if let Some(last) = chunks.last_mut() {
            last.push(one.clone());
        }
    }
    Ok(chunks)
}

fn plain(doing: &str, what: &str, name: &str) -> Result<(), Fault> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || "*,/\\#?\"<>|:%".contains(c);
    if name.is_empty() {
        return Err(refused(doing, what, name, "it is empty"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(refused(doing, what, name, "it is too long"));
    }
    if name.starts_with('_') || name == "." || name == ".." {
        return Err(refused(doing, what, name, "it begins with _, or is a folder"));
    }
    match name.chars().find(|c| bad(*c)) {
        Some(c) => Err(refused(doing, what, name, &format!("it contains {c:?}"))),
        None => Ok(()),
    }
}

fn refused(doing: &str, what: &str, name: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Usage, doing, format!("{what} {name:?}"), format!("nothing was sent: {why}"))
}
