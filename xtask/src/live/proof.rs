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

/// Writes the table, also of what failed. What an earlier table has, and this run did not try again, stays with its own
/// commit and day.
pub fn write(file: &Path, shown: &[Shown], commit: &str) -> Result<()> {
    let earlier = std::fs::read_to_string(file).unwrap_or_default();
    let text = table(&rows(&earlier, shown, commit, Timestamp::now()));
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

/// The cells of a row: promise, on, what, outcome, took, commit, day.
const CELLS: usize = 7;
const HELD: &str = "held";

type Row = [String; CELLS];

/// The rows of the earlier table with those of now in their places; new ones come last.
fn rows(earlier: &str, shown: &[Shown], commit: &str, now: Timestamp) -> Vec<Row> {
    let mut rows: Vec<Row> = earlier.lines().filter_map(row).collect();
    let day = now.strftime("%Y-%m-%d").to_string();
    for one in shown {
        let outcome = if one.passed { HELD } else { "**not held**" };
        // A bar would end the cell.
        let what = one.text.replace('|', "/");
        let row: Row = [
            one.name.clone(),
            one.place.clone(),
            what,
            outcome.into(),
            format!("{:.0?}", one.took),
            commit.into(),
            day.clone(),
        ];
        match rows.iter_mut().find(|known| known[..3] == row[..3]) {
            Some(known) => *known = row,
            None => rows.push(row),
        }
    }
    rows
}

fn row(line: &str) -> Option<Row> {
    let cells: Vec<String> =
        line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let row: Row = cells.try_into().ok()?;
    (row[0] != "promise" && !row[0].starts_with("---")).then_some(row)
}

fn table(rows: &[Row]) -> String {
    let held = rows.iter().filter(|row| row[3] == HELD).count();
    let mut text = format!(
        "# Shown on real servers\n\nWritten by `cargo xtask live --long --proof FILE`; run it again to repeat it, with `--only` for some of \
         it. {held} of {} promises held, each at the commit of its row. Camunda 8.6.0 (Operate, and Tasklist on Elasticsearch), \
         Elasticsearch 8.16.6, OpenSearch 2.19.1, PostgreSQL 15 and 18, SeaweedFS and Azurite as object stores, all on loopback.\n\n\
         | promise | on | what | outcome | took | commit | day |\n| --- | --- | --- | --- | --- | --- | --- |\n",
        rows.len()
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(place: &str, passed: bool) -> Shown {
        let (name, text) = ("control".into(), "a | b".into());
        Shown { name, place: place.into(), text, passed, took: Duration::from_secs(46) }
    }

    #[test]
    fn what_failed_is_in_the_table_too_and_what_was_not_tried_again_stays() {
        let first = table(&rows("", &[one("A", true), one("B", false)], "abc", Timestamp::UNIX_EPOCH));
        assert!(first.contains("1 of 2 promises held"), "{first}");
        assert!(first.contains("| control | B | a / b | **not held** | 46s | abc | 1970-01-01 |"), "{first}");
        let again = table(&rows(&first, &[one("B", true), one("C", true)], "def", Timestamp::UNIX_EPOCH));
        assert!(again.contains("3 of 3 promises held"), "{again}");
        for (place, commit) in [("A", "abc"), ("B", "def"), ("C", "def")] {
            let row = format!("| control | {place} | a / b | held | 46s | {commit} | 1970-01-01 |");
            assert!(again.contains(&row), "{again}");
        }
    }
}
