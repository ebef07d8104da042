//! What was shown, as a table for `docs/proof/`: it names the commit and the day, and every promise with its outcome.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::Timestamp;

/// One promise, and how it went.
#[derive(Debug)]
pub struct Shown {
    pub name: String,
    pub place: String,
    pub text: String,
    pub passed: bool,
    pub took: Duration,
}

/// Writes the table, also of what failed.
pub fn write(file: &Path, shown: &[Shown], commit: &str) -> Result<()> {
    let text = table(shown, commit, Timestamp::now());
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The commit that is checked out; what is changed beside it would not be what the table speaks of.
pub fn commit() -> Result<String> {
    let head =
        Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).current_dir(crate::root()).output()?;
    ensure!(head.status.success(), "`git rev-parse`: {}", head.status);
    let changed = Command::new("git")
        .args(["status", "--porcelain", "--untracked-files=no"])
        .current_dir(crate::root())
        .output()?;
    let mark = if changed.stdout.is_empty() { "" } else { " with changes" };
    Ok(format!("{}{mark}", String::from_utf8_lossy(&head.stdout).trim()))
}

fn table(shown: &[Shown], commit: &str, now: Timestamp) -> String {
    let passed = shown.iter().filter(|one| one.passed).count();
    let mut text = format!(
        "# Shown on real servers\n\nWritten by `cargo xtask live --long --proof FILE`; run it again to repeat it. Commit {commit}, \
         {}: {passed} of {} promises held. Camunda 8.6.0 (Operate, and Tasklist on Elasticsearch), Elasticsearch 8.16.6, \
         OpenSearch 2.19.1, PostgreSQL 15 and 18, SeaweedFS and Azurite as object stores, all on loopback.\n\n\
         | promise | on | what | outcome | took |\n| --- | --- | --- | --- | --- |\n",
        now.strftime("%Y-%m-%d"),
        shown.len()
    );
    for one in shown {
        let outcome = if one.passed { "held" } else { "**not held**" };
        let what = one.text.replace('|', "\\|");
        let _ = writeln!(text, "| {} | {} | {what} | {outcome} | {:.0?} |", one.name, one.place, one.took);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_is_in_the_table_too() {
        let one = |passed| Shown {
            name: "control".into(),
            place: "OpenSearch".into(),
            text: "a | b".into(),
            passed,
            took: Duration::from_secs(46),
        };
        let text = table(&[one(true), one(false)], "abc", Timestamp::UNIX_EPOCH);
        assert!(text.contains("Commit abc, 1970-01-01: 1 of 2 promises held"), "{text}");
        assert!(text.contains("| control | OpenSearch | a \\| b | **not held** | 46s |"), "{text}");
    }
}
