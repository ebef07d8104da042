//! Licences of everything that is built for the released platform, and crates that must not be part of it.
//!
//! `deny.toml` says the same to cargo-deny; this check needs nothing but cargo. It reads licence expressions and
//! never guesses: a crate without one, or with one it cannot read, is a finding.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Finding;

/// The one platform that is released. Crates of other platforms are in the lock file and never built.
pub(super) const PLATFORM: &str = "x86_64-unknown-linux-gnu";

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

/// Looks at a full `cargo metadata`, resolved for one platform.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let nodes = metadata["resolve"]["nodes"].as_array();
    let built: BTreeSet<&str> = nodes.into_iter().flatten().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array();
    let by_id: BTreeMap<&str, &Value> =
        packages.into_iter().flatten().filter_map(|p| Some((p["id"].as_str()?, p))).collect();
    let mut findings = Vec::new();
    for package in built.iter().filter_map(|id| by_id.get(id)) {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence) {
            findings.push(Finding::new(
                name,
                "licence",
                format!("{licence:?} is not among the allowed ones"),
            ));
        }
        if let Some((_, why)) = NOT_BUILT.iter().find(|(banned, _)| *banned == name) {
            findings.push(Finding::new(name, "banned crate", format!("is part of the build: {why}")));
        }
    }
    findings
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
    use serde_json::json;

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

    fn built(name: &str, licence: Option<&str>) -> Vec<Finding> {
        check(&json!({
            "packages": [{"id": "a", "name": name, "license": licence}, {"id": "b", "name": "ring", "license": "GPL-3.0"}],
            "resolve": {"nodes": [{"id": "a"}]},
        }))
    }

    #[test]
    fn only_what_is_built_counts() {
        assert_eq!(built("x", Some("MIT")), []);
        assert_eq!(built("x", None)[0].rule, "licence");
        assert_eq!(built("ring", Some("MIT"))[0].rule, "banned crate");
    }
}
