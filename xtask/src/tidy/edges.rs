//! The allowed edges between the crates of this workspace: the dependency graph is the architecture.
//!
//! Development dependencies are edges too. A new edge or crate is an architecture change: it comes with a line in
//! ARCHITECTURE.md that says why, and only then with a line here.

use serde_json::Value;

use super::{Finding, lexer};

/// Who may import whom. `None` stands for everybody.
const ALLOWED: &[(&str, Option<&[&str]>)] = &[
    ("c8keep-fuzz", Some(&[])),
    ("c8keep-core", Some(&["c8keep-fuzz"])),
    ("c8keep-engine", Some(&["c8keep-core"])),
    ("c8keep-adapters", Some(&["c8keep-core", "c8keep-engine", "c8keep-fuzz"])),
    ("c8keep-server", Some(&["c8keep-core", "c8keep-engine"])),
    ("c8keep-operator", Some(&["c8keep-core", "c8keep-engine"])),
    ("c8keep-twin", Some(&["c8keep-core"])),
    ("c8keep-sim", Some(&["c8keep-core", "c8keep-engine", "c8keep-adapters", "c8keep-twin"])),
    ("c8keep", None),
    ("xtask", None),
];

/// What the two pure crates must not be able to do, so they may not name who could do it.
const IMPURE: &[(&str, &[&str])] = &[
    (
        "c8keep-core",
        &[
            "tokio",
            "futures",
            "async-trait",
            "reqwest",
            "sqlx",
            "axum",
            "rand",
            "uuid",
            "clap",
            "tracing-subscriber",
            "c8keep-fuzz",
        ],
    ),
    ("c8keep-engine", &["reqwest", "sqlx", "axum", "rand", "uuid", "clap", "tracing-subscriber"]),
];

/// Looks at `cargo metadata --no-deps`.
pub(super) fn check(metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let from = package["name"].as_str().unwrap_or_default();
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == from) else {
            findings.push(Finding::new(from, "edges", "this crate is not in the table of edges"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default();
            let kind = dependency["kind"].as_str().unwrap_or("normal");
            let internal = dependency["path"].is_string();
            if internal && allowed.is_some_and(|allowed| !allowed.contains(&to)) {
                findings.push(Finding::new(
                    from,
                    "edges",
                    format!("must not depend on {to} ({kind} dependency)"),
                ));
            }
            if IMPURE.iter().any(|(name, banned)| *name == from && banned.contains(&to)) && kind == "normal" {
                findings.push(Finding::new(
                    from,
                    "edges",
                    format!("is pure by its manifest, but names {to}"),
                ));
            }
        }
    }
    findings
}

/// The crate whose folders are one outside system each.
const ADAPTERS: &str = "crates/c8keep-adapters/src/";

/// Which other folders an adapter may name, besides `transport`, through which all of them speak.
const ADAPTERS_KNOWN: &[(&str, &[&str])] =
    &[("discovery", &["camunda", "search"]), ("fuzz", &["camunda", "discovery", "search"])];

/// What all of them may name: the way to every server, and what feeds their tests.
const COMMON: &[&str] = &["transport", "fuzz"];

/// No adapter knows another, so that each can be read, tested and replaced alone.
pub(super) fn check_adapters(path: &str, text: &str) -> Vec<Finding> {
    let Some((own, _)) = path.strip_prefix(ADAPTERS).and_then(|rest| rest.split_once('/')) else {
        return Vec::new();
    };
    let known = ADAPTERS_KNOWN.iter().find(|(name, _)| *name == own).map_or(&[][..], |(_, known)| known);
    let code = lexer::code_only(text);
    let mut findings = Vec::new();
    for (at, mark) in code.match_indices("crate::") {
        let named: String =
            code[at + mark.len()..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let allowed = named == own || COMMON.contains(&named.as_str()) || known.contains(&named.as_str());
        let glued =
            code[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$');
        if !allowed && !glued {
            let line = 1 + code[..at].matches('\n').count();
            findings.push(Finding::new(
                format!("{path}:{line}"),
                "edges",
                format!("{own} must not know {named}"),
            ));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(from: &str, to: &str, kind: Option<&str>, path: Option<&str>) -> Vec<String> {
        let metadata = json!({"packages": [
            {"name": from, "dependencies": [{"name": to, "kind": kind, "path": path}]}
        ]});
        check(&metadata).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_allowed_edge_passes() {
        assert!(found("c8keep-engine", "c8keep-core", None, Some("crates/c8keep-core")).is_empty());
        assert!(found("xtask", "c8keep-twin", None, Some("crates/c8keep-twin")).is_empty());
        assert!(found("c8keep-core", "serde", None, None).is_empty());
    }

    #[test]
    fn an_edge_against_the_direction_is_found_even_for_tests_only() {
        let normal = found("c8keep-core", "c8keep-engine", None, Some("crates/c8keep-engine"));
        assert_eq!(normal, ["c8keep-core: [edges] must not depend on c8keep-engine (normal dependency)"]);
        let dev = found("c8keep-twin", "c8keep-adapters", Some("dev"), Some("crates/c8keep-adapters"));
        assert_eq!(dev, ["c8keep-twin: [edges] must not depend on c8keep-adapters (dev dependency)"]);
    }

    #[test]
    fn a_crate_nobody_decided_about_is_found() {
        assert_eq!(
            found("c8keep-misc", "serde", None, None),
            ["c8keep-misc: [edges] this crate is not in the table of edges"]
        );
    }

    #[test]
    fn the_domain_may_not_name_a_runtime() {
        assert_eq!(
            found("c8keep-core", "tokio", None, None),
            ["c8keep-core: [edges] is pure by its manifest, but names tokio"]
        );
        assert!(found("c8keep-core", "tokio", Some("dev"), None).is_empty());
    }

    #[test]
    fn no_adapter_knows_another() {
        let found = |path: &str, text: &str| check_adapters(path, text).len();
        let search = "crates/c8keep-adapters/src/search/mod.rs";
        assert_eq!(
            found(search, "use crate::transport::ask;\nuse crate::search::wire;\n// crate::camunda\n"),
            0
        );
        assert_eq!(found(search, "use crate::camunda::wire;\n"), 1);
        assert_eq!(found("crates/c8keep-adapters/src/discovery/mod.rs", "use crate::camunda::wire;\n"), 0);
        assert_eq!(found("crates/c8keep-adapters/src/lib.rs", "use crate::camunda::wire;\n"), 0);
        assert_eq!(found("crates/c8keep/src/main.rs", "use crate::camunda::wire;\n"), 0);
    }
}
