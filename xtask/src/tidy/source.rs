//! House rules for Rust files that can be read from the text.
//!
//! Comments and literals do not count, so a rule may be talked about where it is explained.

use std::ops::Range;

use super::{Finding, functions, lexer};

/// Longest file. Files beyond it are listed in `LONG_FILES` with a reason, or split.
const LINES_MAX: usize = 500;

/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] = &[];

/// Refused in every Rust file.
const EVERYWHERE: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run proves nothing: delete it or make it quick"),
    ("todo!", "finish it, or return a fault that says what is missing"),
    ("unimplemented!", "finish it, or return a fault that says what is missing"),
    ("#[allow", "use #[expect(lint, reason = \"…\")]"),
    ("#![allow", "use #![expect(lint, reason = \"…\")]"),
    ("HashMap", "use BTreeMap: its order is the same in every run"),
    ("HashSet", "use BTreeSet: its order is the same in every run"),
];

/// Refused in tests: they run on manual clocks.
const IN_TESTS: &[&str] = &["thread::sleep", "time::sleep"];

/// Refused in the domain and the engine: time and chance come in as arguments or through a port.
const IMPURE: &[&str] = &[
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "std::env",
    "env::var",
    "rand::",
    "now_v7",
    "new_v4",
    "time::sleep",
    "thread::sleep",
];

/// Refused in the domain on top of that: it does no work of its own.
const EFFECTS: &[&str] = &["async fn", ".await", "std::fs", "std::net", "std::process", "std::thread"];

pub(super) fn check(path: &str, text: &str) -> Vec<Finding> {
    let code = lexer::code_only(text);
    let mut findings = Vec::new();
    let mut refuse = |at: usize, rule: &'static str, what: String| {
        findings.push(Finding::new(format!("{path}:{}", line_of(&code, at)), rule, what));
    };
    for at in words(&code, "unsafe") {
        refuse(at, "unsafe", "this project has no unsafe code".to_owned());
    }
    for (needle, advice) in EVERYWHERE {
        for at in words(&code, needle) {
            refuse(at, "house rule", format!("{needle}: {advice}"));
        }
    }
    for needle in IN_TESTS {
        let tests = test_ranges(path, &code);
        for at in words(&code, needle).filter(|at| tests.iter().any(|range| range.contains(at))) {
            refuse(at, "no sleeping", format!("{needle} in a test: move the manual clock instead"));
        }
    }
    for needle in purity(path) {
        for at in words(&code, needle) {
            refuse(
                at,
                "pure",
                format!("{needle}: the domain and the engine get time and chance from outside"),
            );
        }
    }
    for at in words(&code, "#[expect(").chain(words(&code, "#![expect(")) {
        let attribute = code[at..].split(']').next().unwrap_or_default();
        if !attribute.contains("reason") {
            refuse(at, "house rule", "#[expect] without a reason".to_owned());
        }
    }
    findings.extend(check_shape(path, text));
    findings
}

fn check_shape(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    // The name of `tests.rs` says it all.
    let is_tests = path.ends_with("/tests.rs");
    if !is_tests && !first.is_some_and(|line| line.starts_with("//!")) {
        findings.push(Finding::new(
            format!("{path}:1"),
            "module docs",
            "say on the first line what it is and what it must never do",
        ));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX && !LONG_FILES.iter().any(|(name, _)| *name == path) {
        findings.push(Finding::new(path, "length", format!("{lines} lines, and {LINES_MAX} are the most")));
    }
    findings
}

fn purity(path: &str) -> impl Iterator<Item = &'static &'static str> {
    let domain = path.starts_with("crates/c8keep-core/src/");
    let pure = domain || path.starts_with("crates/c8keep-engine/src/");
    let impure = IMPURE.iter().filter(move |_| pure);
    impure.chain(EFFECTS.iter().filter(move |_| domain))
}

/// Which parts of a file are test code: all of it, or every item behind a `#[cfg(test)]`.
fn test_ranges(path: &str, code: &str) -> Vec<Range<usize>> {
    const MARK: &str = "#[cfg(test)]";
    let name = path.rsplit('/').next().unwrap_or(path);
    if path.contains("/tests/") || name == "tests.rs" || name.ends_with("_tests.rs") {
        return Vec::from([Range { start: 0, end: code.len() }]);
    }
    let items = code.match_indices(MARK).map(|(at, _)| at + MARK.len());
    items.filter_map(|at| Some(at..functions::body_end(code, at)?)).collect()
}

/// Where `needle` occurs as whole words: `unsafe_code` is not `unsafe`.
fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let wordy = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let before = code[..*at].chars().next_back();
        let after = code[*at + needle.len()..].chars().next();
        let glued_before = needle.starts_with(wordy) && before.is_some_and(wordy);
        let glued_after = needle.ends_with(wordy) && after.is_some_and(wordy);
        !glued_before && !glued_after
    })
}

fn line_of(code: &str, at: usize) -> usize {
    1 + code[..at].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, body: &str) -> Vec<String> {
        check(path, &format!("//! Docs.\n{body}")).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn bites(path: &str, body: &str, part: &str) {
        let findings = found(path, body);
        assert!(findings.len() == 1 && findings[0].contains(part), "{body:?} gave {findings:?}");
    }

    #[test]
    fn each_rule_for_every_file_bites() {
        let path = "crates/c8keep/src/main.rs";
        bites(path, "unsafe { x() }", "main.rs:2: [unsafe]");
        bites(path, "#[ignore]\nfn t() {}", "#[ignore");
        bites(path, "fn t() { todo!() }", "todo!");
        bites(path, "fn t() { unimplemented!() }", "unimplemented!");
        bites(path, "#[allow(dead_code)]\nfn t() {}", "#[expect(lint");
        bites(path, "#![allow(dead_code)]", "#![expect(lint");
        bites(path, "use std::collections::HashMap;", "BTreeMap");
        bites(path, "use std::collections::HashSet;", "BTreeSet");
        bites(path, "#[expect(dead_code)]\nfn t() {}", "without a reason");
    }

    #[test]
    fn talking_about_a_rule_is_not_breaking_it() {
        let body =
            "// todo! unsafe #[ignore]\nconst A: &str = \"unsafe todo!\";\nconst unsafe_code: u8 = 1;\n";
        assert_eq!(found("crates/c8keep/src/main.rs", body), [""; 0]);
        let expected = "#[expect(dead_code, reason = \"x\")]\nfn t() {}";
        assert_eq!(found("crates/c8keep/src/main.rs", expected), [""; 0]);
    }

    #[test]
    fn sleeping_is_refused_in_tests_only() {
        let body = "fn f() { std::thread::sleep(D) }\n";
        assert_eq!(found("xtask/src/peers.rs", body), [""; 0]);
        bites("crates/c8keep/tests/it/main.rs", body, "[no sleeping]");
        bites(
            "xtask/src/peers.rs",
            "#[cfg(test)]\nmod tests { fn t() { tokio::time::sleep(D) } }",
            "[no sleeping]",
        );
        let beside =
            "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod more { fn t() {} }\nfn f() { time::sleep(D) }";
        assert_eq!(found("xtask/src/peers.rs", beside), [""; 0]);
    }

    #[test]
    fn the_domain_and_the_engine_have_no_clock_no_chance_no_environment() {
        for needle in
            ["SystemTime::now()", "Instant::now()", "Timestamp::now()", "env::var(\"X\")", "rand::rng()"]
        {
            let body = format!("fn f() {{ {needle}; }}");
            bites("crates/c8keep-core/src/run.rs", &body, "[pure]");
            bites("crates/c8keep-engine/src/drive.rs", &body, "[pure]");
            assert_eq!(found("crates/c8keep-adapters/src/clock.rs", &body), [""; 0]);
        }
        bites("crates/c8keep-core/src/run.rs", "async fn f() {}", "[pure]");
        assert_eq!(found("crates/c8keep-engine/src/drive.rs", "async fn f() {}"), [""; 0]);
    }

    #[test]
    fn a_file_without_module_docs_is_found() {
        let findings = check("xtask/src/x.rs", "use std::fmt;\n");
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].rule, "module docs");
        assert_eq!(check("xtask/src/x/tests.rs", "use std::fmt;\n"), []);
    }

    #[test]
    fn a_file_is_long_from_line_501_on() {
        let longest = "//! Docs.\n".to_owned() + &"\n".repeat(LINES_MAX - 1);
        assert_eq!(check("xtask/src/x.rs", &longest), []);
        let longer = longest + "\n";
        assert_eq!(check("xtask/src/x.rs", &longer)[0].rule, "length");
    }
}
