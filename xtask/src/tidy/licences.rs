//! Licences of everything that is built for the released platform, and crates that must not be part of it.
//!
//! `deny.toml` says the same to cargo-deny; this check needs nothing but cargo. It reads licence expressions and
//! never guesses: a crate without one, or with one it cannot read, is a finding.

use std::collections::BTreeSet;

use super::Finding;

/// The one platform that is released. Crates of other platforms are in the lock file and never built.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Licences that can be shipped inside an Apache-2.0 program without asking anyone.
const ALLOWED: &[&str] = &[
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Optional parts of crates we use that must stay switched off.
const NOT_BUILT: &[(&str, &str)] =
    &[("ring", "one TLS stack: rustls with aws-lc-rs"), ("chrono", "times are jiff's")];

/// What `cargo tree` prints with this format for everything that is built: unlike `cargo metadata` it leaves out
/// what only an optional feature nobody switched on would bring.
pub(super) const TREE: &[&str] =
    &["--workspace", "--target", PLATFORM, "--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"];

/// Looks at the output of `cargo tree` with the arguments `TREE`.
pub(super) fn check(tree: &str) -> Vec<Finding> {
    let mut findings = BTreeSet::new();
    for line in tree.lines().filter(|line| !line.trim().is_empty()) {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split_whitespace().next().unwrap_or_default();
        if !is_allowed(licence) {
            findings.insert(Finding::new(
                name,
                "licence",
                format!("{licence:?} is not among the allowed ones"),
            ));
        }
        if let Some((_, why)) = NOT_BUILT.iter().find(|(banned, _)| *banned == name) {
            findings.insert(Finding::new(name, "banned crate", format!("is part of the build: {why}")));
        }
    }
    findings.into_iter().collect()
}

/// Whether a licence expression can be met by allowed licences: one side of an `OR`, both sides of an `AND`.
fn is_allowed(expression: &str) -> bool {
    // A slash was cargo's own way to write OR before it took SPDX expressions.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    either(&mut rest) == Some(true) && rest.is_empty()
}

fn either(rest: &mut &[&str]) -> Option<bool> {
    let mut met = both(rest)?;
    while take(rest, "OR") {
        met |= both(rest)?;
    }
    Some(met)
}

fn both(rest: &mut &[&str]) -> Option<bool> {
    let mut met = one(rest)?;
    while take(rest, "AND") {
        met &= one(rest)?;
    }
    Some(met)
}

fn one(rest: &mut &[&str]) -> Option<bool> {
    if take(rest, "(") {
        let met = either(rest)?;
        return take(rest, ")").then_some(met);
    }
    let (first, tail) = rest.split_first()?;
    *rest = tail;
    if take(rest, "WITH") {
        let (exception, tail) = rest.split_first()?;
        *rest = tail;
        return Some(ALLOWED.contains(&format!("{first} WITH {exception}").as_str()));
    }
    Some(ALLOWED.contains(first))
}

fn take(rest: &mut &[&str], word: &str) -> bool {
    match rest.split_first() {
        Some((first, tail)) if *first == word => {
            *rest = tail;
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_as_written() {
        for good in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "ISC AND (Apache-2.0 OR GPL-3.0)",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
        ] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT",
            "MIT)",
            "MIT Apache-2.0",
            "MIT WITH Odd-exception",
            "OR",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
    }

    #[test]
    fn each_crate_that_is_built_is_looked_at() {
        assert_eq!(check("x v1.0.0|MIT\nring-like v1.0.0 (proc-macro)|Apache-2.0\n\n"), []);
        assert_eq!(check("x v1.0.0|\nx v1.0.0|\n").len(), 1);
        assert_eq!(check("x v1.0.0|GPL-3.0\n")[0].rule, "licence");
        assert_eq!(check("ring v1.0.0|MIT\n")[0].rule, "banned crate");
    }
}
