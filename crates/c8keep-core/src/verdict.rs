//! Verdicts: from what a server says to whether a part is whole, still going, or lost.
//!
//! The servers use the same words for "not yet" and "never" (404, INCOMPLETE, 400, IN_PROGRESS; seen on 8.6.0), so
//! nothing here is fatal that is normal for a while: the run ends a wait when nothing moves any more. And no word
//! that is not known is ever taken for success.

use crate::words::counted;
use std::collections::BTreeSet;

use crate::backup::{BackupId, HistoryApp, PartName};
use crate::facts::{RuntimeEvidence, RuntimePartition, SnapshotEvidence};
use crate::run::Mark;

/// What an application says of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStatus {
    /// Its word for the whole: `COMPLETED`, `INCOMPLETE`, …; or what it answered instead, such as `404`.
    pub state: String,
    /// Why it failed, if it says.
    pub failure: Option<String>,
    /// Its snapshots, in no promised order.
    pub parts: Vec<PartStatus>,
}

/// One snapshot, as an application tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartStatus {
    /// Its name.
    pub name: String,
    /// The search server's word for it.
    pub state: String,
}

/// What the brokers say of one backup; `None` partitions while they know nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// The aggregate word, or what was answered instead, such as `404`.
    pub state: String,
    /// Why it failed, if they say.
    pub failure: Option<String>,
    /// One line a partition, in no promised order.
    pub partitions: Vec<RuntimePartition>,
}

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing<T> {
    /// Whole, with what proves it.
    Whole(T),
    /// Not whole yet, or never; only time tells.
    Going(Mark),
    /// Lost for good, with the reason.
    Lost(String),
}

/// Judges an application's own status. Whole means: it says so, and the names it gives are all parts 1 to n of this
/// id in one version, each `SUCCESS`, among them every one it announced.
pub fn history(
    app: HistoryApp,
    id: BackupId,
    announced: &[String],
    status: &HistoryStatus,
) -> Standing<Vec<String>> {
    let done = status.parts.iter().filter(|p| p.state == "SUCCESS").count();
    let of = status
        .parts
        .iter()
        .filter_map(|p| PartName::parse(&p.name))
        .map(|p| p.of as usize)
        .max()
        .unwrap_or(announced.len());
    match status.state.as_str() {
        // The documents name both words for Optimize; the servers say COMPLETED.
        "COMPLETED" | "COMPLETE" => {
            let mut names: Vec<String> = status.parts.iter().map(|p| p.name.clone()).collect();
            names.sort_by_key(|name| PartName::parse(name).map(|p| p.part));
            match parts_problem(app, id, announced, status) {
                None => Standing::Whole(names),
                Some(problem) => Standing::Lost(problem),
            }
        }
        "FAILED" | "INCOMPATIBLE" => Standing::Lost(describe_failure(status)),
        _ => {
            let moved: Vec<String> = status.parts.iter().map(|p| format!("{}={}", p.name, p.state)).collect();
            let says = match status.parts.iter().find(|p| p.state != "SUCCESS") {
                Some(part) => format!("{done} of {of} parts, {} {}", short_part(&part.name), part.state),
                None if of == 0 || status.state == "404" => format!("not there yet ({})", status.state),
                None => format!("{done} of {of} parts, {}", status.state),
            };
            // The aggregate word flickers between the parts without anything moving: it is told, not counted.
            Standing::Going(Mark { moved: moved.join(","), says })
        }
    }
}

fn short_part(name: &str) -> String {
    PartName::parse(name).map_or_else(|| name.into(), |p| format!("part {}", p.part))
}

fn describe_failure(status: &HistoryStatus) -> String {
    let bad: Vec<String> = status
        .parts
        .iter()
        .filter(|p| p.state != "SUCCESS")
        .map(|p| format!("{} is {}", p.name, p.state))
        .collect();
    let reason = status.failure.clone().unwrap_or_else(|| bad.join(", "));
    if reason.is_empty() { status.state.clone() } else { format!("{}: {reason}", status.state) }
}

fn parts_problem(
    app: HistoryApp,
    id: BackupId,
    announced: &[String],
    status: &HistoryStatus,
) -> Option<String> {
    if let Some(part) = status.parts.iter().find(|p| p.state != "SUCCESS") {
        return Some(format!("it says {} while {} is {}", status.state, part.name, part.state));
    }
    let told: BTreeSet<&str> = status.parts.iter().map(|p| p.name.as_str()).collect();
    if let Some(missing) = announced.iter().find(|name| !told.contains(name.as_str())) {
        return Some(format!("the announced snapshot {missing} is missing"));
    }
    let mut numbers = BTreeSet::new();
    let mut of = None;
    let mut version = None;
    for name in &told {
        let Some(part) = PartName::parse(name).filter(|p| p.app == app && p.backup == id) else {
            return Some(format!("{name} is not a snapshot of backup {id} of {app}"));
        };
        if *of.get_or_insert(part.of) != part.of
            || *version.get_or_insert(part.version.clone()) != part.version
        {
            return Some(format!("{name} does not belong to the same set as the others"));
        }
        numbers.insert(part.part);
    }
    let of = of?;
    let missing: Vec<String> = (1..=of).filter(|n| !numbers.contains(n)).map(|n| n.to_string()).collect();
    (!missing.is_empty()).then(|| format!("part {} of {of} is missing", missing.join(", ")))
}

/// Judges the brokers' own status. Whole means: every partition of the topology is there and `COMPLETED`.
pub fn runtime(partition_count: Option<u32>, status: &RuntimeStatus) -> Standing<RuntimeEvidence> {
    let mut partitions = status.partitions.clone();
    partitions.sort_by_key(|p| p.partition);
    match status.state.as_str() {
        "COMPLETED" => {
            let told: BTreeSet<u32> = partitions.iter().map(|p| p.partition).collect();
            let expected = partition_count.unwrap_or(u32::try_from(told.len()).unwrap_or(u32::MAX)).max(1);
            if let Some(missing) = (1..=expected).find(|p| !told.contains(p)) {
                return Standing::Lost(format!(
                    "it says COMPLETED, but partition {missing} of {expected} is missing"
                ));
            }
            if let Some(p) = partitions.iter().find(|p| p.state != "COMPLETED") {
                return Standing::Lost(format!(
                    "it says COMPLETED, but partition {} is {}",
                    p.partition, p.state
                ));
            }
            Standing::Whole(RuntimeEvidence { state: status.state.clone(), partitions })
        }
        "FAILED" | "INCOMPATIBLE" | "DELETED" => {
            let reasons: Vec<String> = partitions
                .iter()
                .filter_map(|p| p.failure.as_ref().map(|f| format!("partition {}: {f}", p.partition)))
                .collect();
            let reason = if reasons.is_empty() { status.failure.clone() } else { Some(reasons.join("; ")) };
            Standing::Lost(format!(
                "{}: {}",
                status.state,
                reason.unwrap_or_else(|| "no reason given".into())
            ))
        }
        _ => {
            let done = partitions.iter().filter(|p| p.state == "COMPLETED").count();
            let moved: Vec<String> = partitions
                .iter()
                .map(|p| format!("{}={}@{}", p.partition, p.state, p.updated_at.as_deref().unwrap_or("")))
                .collect();
            let of = partition_count.map_or_else(|| "?".into(), |n| n.to_string());
            let says = format!("{done} of {of} partitions, {}", status.state);
            Standing::Going(Mark { moved: moved.join(","), says })
        }
    }
}

/// Judges a snapshot by what `GET` says of it. `_status` is not asked: it calls a PARTIAL snapshot SUCCESS
/// (Elasticsearch; biothings.api issue 48). Returns the expected indices that are not in it.
///
/// # Errors
/// Why it is not whole.
pub fn snapshot(evidence: &SnapshotEvidence, expected: &BTreeSet<String>) -> Result<Vec<String>, String> {
    let SnapshotEvidence { name, state, shards_total, shards_failed, shards_successful, .. } = evidence;
    if state != "SUCCESS" {
        let failures = evidence.failures.join("; ");
        return Err(format!(
            "{name} is {state}, {shards_failed} of {shards_total} shards failed; {failures}"
        ));
    }
    if !evidence.failures.is_empty() || *shards_failed > 0 || shards_successful != shards_total {
        let failures = evidence.failures.join("; ");
        return Err(format!("{name}: {shards_successful} of {shards_total} shards are in it; {failures}"));
    }
    let inside: BTreeSet<&str> = evidence.indices.iter().map(String::as_str).collect();
    if *shards_total == 0 && !expected.is_empty() {
        let expected = counted(expected.len(), "index was", "indices were");
        return Err(format!("{name} is empty, {expected} expected in it"));
    }
    Ok(expected.iter().filter(|index| !inside.contains(index.as_str())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> BackupId {
        BackupId::new(100).unwrap()
    }

    fn operate(state: &str, parts: &[(u32, &str)], of: u32) -> HistoryStatus {
        let name = |n: &u32| format!("camunda_operate_100_8.6.0_part_{n}_of_{of}");
        HistoryStatus {
            state: state.into(),
            failure: None,
            parts: parts.iter().map(|(n, s)| PartStatus { name: name(n), state: (*s).into() }).collect(),
        }
    }

    fn judge(status: &HistoryStatus) -> Standing<Vec<String>> {
        history(HistoryApp::Operate, id(), &["camunda_operate_100_8.6.0_part_1_of_2".into()], status)
    }

    #[test]
    fn parts_are_whole_only_when_all_are_there() {
        let both = [(2, "SUCCESS"), (1, "SUCCESS")];
        let Standing::Whole(names) = judge(&operate("COMPLETED", &both, 2)) else { panic!() };
        assert!(names[0].ends_with("part_1_of_2"), "in part order: {names:?}");
        let lost = |status| matches!(judge(&status), Standing::Lost(_));
        assert!(lost(operate("COMPLETED", &[(1, "SUCCESS")], 2)), "a part is missing");
        assert!(lost(operate("COMPLETED", &[(2, "SUCCESS")], 2)), "an announced part is missing");
        assert!(lost(operate("COMPLETED", &[(1, "SUCCESS"), (2, "PARTIAL")], 2)));
        assert!(lost(operate("COMPLETED", &[(1, "SUCCESS"), (2, "SUCCESS")], 3)));
        assert!(lost(operate("FAILED", &[(1, "SUCCESS"), (2, "PARTIAL")], 2)));
    }

    /// Operate 8.6.0 says INCOMPLETE and IN_PROGRESS in turns between its parts; neither is progress by itself.
    #[test]
    fn flicker_is_neither_failure_nor_progress() {
        let going = |state: &str, parts: &[(u32, &str)]| match judge(&operate(state, parts, 2)) {
            Standing::Going(mark) => mark,
            other => panic!("{other:?}"),
        };
        let between = going("INCOMPLETE", &[(1, "SUCCESS")]);
        let asked_again = going("IN_PROGRESS", &[(1, "SUCCESS")]);
        assert_eq!(between.moved, asked_again.moved);
        assert_ne!(between.moved, going("IN_PROGRESS", &[(1, "SUCCESS"), (2, "IN_PROGRESS")]).moved);
        assert_eq!(going("404", &[]).says, "not there yet (404)");
        assert!(matches!(
            judge(&operate("BRAND_NEW", &[(1, "SUCCESS"), (2, "SUCCESS")], 2)),
            Standing::Going(_)
        ));
    }

    fn partitions(state: &str, of: &[(u32, &str)]) -> RuntimeStatus {
        let line = |(partition, state): &(u32, &str)| RuntimePartition {
            partition: *partition,
            state: (*state).into(),
            failure: None,
            snapshot: None,
            checkpoint: None,
            broker_version: None,
            created_at: None,
            updated_at: None,
        };
        RuntimeStatus { state: state.into(), failure: None, partitions: of.iter().map(line).collect() }
    }

    #[test]
    fn every_partition_of_the_topology_counts() {
        let two = [(2, "COMPLETED"), (1, "COMPLETED")];
        assert!(matches!(runtime(Some(2), &partitions("COMPLETED", &two)), Standing::Whole(_)));
        assert!(matches!(runtime(Some(3), &partitions("COMPLETED", &two)), Standing::Lost(_)));
        let one_open = [(1, "COMPLETED"), (2, "IN_PROGRESS")];
        assert!(matches!(runtime(Some(2), &partitions("COMPLETED", &one_open)), Standing::Lost(_)));
        assert!(matches!(runtime(Some(2), &partitions("FAILED", &two)), Standing::Lost(_)));
        for normal in ["404", "INCOMPLETE", "IN_PROGRESS", "DOES_NOT_EXIST", "BRAND_NEW"] {
            assert!(matches!(runtime(Some(2), &partitions(normal, &two)), Standing::Going(_)), "{normal}");
        }
        assert!(matches!(runtime(None, &partitions("COMPLETED", &[])), Standing::Lost(_)));
    }

    fn evidence(state: &str, total: u32, failed: u32, indices: &[&str]) -> SnapshotEvidence {
        SnapshotEvidence {
            name: "camunda_zeebe_records_backup_100".into(),
            repository: "camunda".into(),
            uuid: "u".into(),
            version: "8.16.6".into(),
            state: state.into(),
            indices: indices.iter().map(|i| (*i).to_owned()).collect(),
            shards_total: total,
            shards_failed: failed,
            shards_successful: total - failed,
            failures: Vec::new(),
            started_at: None,
            ended_at: None,
            removed_meanwhile: Vec::new(),
        }
    }

    #[test]
    fn a_snapshot_is_whole_by_state_shards_and_indices() {
        let expected: BTreeSet<String> = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(snapshot(&evidence("SUCCESS", 2, 0, &["a", "b"]), &expected), Ok(vec![]));
        assert_eq!(snapshot(&evidence("SUCCESS", 1, 0, &["a"]), &expected), Ok(vec!["b".to_owned()]));
        assert!(snapshot(&evidence("PARTIAL", 2, 1, &["a", "b"]), &expected).is_err());
        assert!(snapshot(&evidence("SUCCESS", 2, 1, &["a", "b"]), &expected).is_err());
        assert!(snapshot(&evidence("SUCCESS", 0, 0, &[]), &expected).is_err(), "a snapshot of nothing");
        assert_eq!(snapshot(&evidence("SUCCESS", 0, 0, &[]), &BTreeSet::new()), Ok(vec![]), "an empty part");
    }
}
