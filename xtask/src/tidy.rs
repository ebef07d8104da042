//! `cargo xtask tidy`: the dependency edges and the house rules, read from the tree and from cargo's own metadata.
//!
//! It only reads. Every rule is a pure function from text to findings, so that its unit test can show that it bites.

use std::fmt;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

use crate::say::say;

mod documents;
mod edges;
mod functions;
mod lexer;
mod manifests;
mod source;
mod text;

pub(crate) use documents::{DEMO_COMMAND, TEST_COMMAND};

/// One breach of a rule, at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// File, with the line behind a colon where there is one; or the name of a crate.
    place: String,
    rule: &'static str,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, rule: &'static str, what: impl Into<String>) -> Self {
        Self { place: place.into(), rule, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: [{}] {}", self.place, self.rule, self.what)
    }
}

pub(crate) fn run() -> anyhow::Result<ExitCode> {
    let files = tracked_files()?;
    let mut findings = Vec::new();
    findings.extend(edges::check(&metadata()?));
    findings.extend(documents::check_readme(&files));
    findings.extend(documents::check_variables(&files));
    for (path, content) in &files {
        findings.extend(text::check(path, content));
        if has_extension(path, "rs") {
            findings.extend(source::check(path, content));
            findings.extend(functions::check(path, content));
            findings.extend(edges::check_adapters(path, content));
        }
        if path.ends_with("Cargo.toml") {
            findings.extend(manifests::check_manifest(path, content));
        }
        if path == "Cargo.lock" {
            findings.extend(manifests::check_lock(content));
        }
        if has_extension(path, "md") {
            findings
                .extend(documents::check_links(path, content, |target| crate::root().join(target).exists()));
        }
    }
    findings.sort();
    for finding in &findings {
        say(format_args!("{finding}"));
    }
    if findings.is_empty() {
        say(format_args!("tidy: {} files, nothing to say", files.len()));
        return Ok(ExitCode::SUCCESS);
    }
    bail!("tidy: {} finding(s)", findings.len())
}

fn has_extension(path: &str, wanted: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == wanted)
}

/// Every tracked or new text file by its path from the root; what git ignores, and binary files, are left out.
fn tracked_files() -> anyhow::Result<Vec<(String, String)>> {
    let output = Command::new("git")
        .current_dir(crate::root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("starting git ls-files")?;
    ensure!(output.status.success(), "git ls-files ended with {}", output.status);
    let names = String::from_utf8(output.stdout).context("file names from git")?;
    let mut files = Vec::new();
    for name in names.split_terminator('\0') {
        // A file that was deleted but not yet staged is listed and cannot be read; a binary one is no text.
        if let Ok(content) = std::fs::read_to_string(crate::root().join(name)) {
            files.push((name.to_owned(), content));
        }
    }
    Ok(files)
}

fn metadata() -> anyhow::Result<serde_json::Value> {
    let output = Command::new(env!("CARGO"))
        .current_dir(crate::root())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("starting cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata ended with {}", output.status);
    serde_json::from_slice(&output.stdout).context("reading cargo metadata")
}
