//! Indices of the applications that no snapshot of theirs holds.

use std::collections::BTreeSet;

use crate::facts::{IndexCount, SnapshotEvidence};

/// Of the indices that were there before, those that are in none of the snapshots, by name.
pub fn uncovered<'a>(
    before: impl Iterator<Item = &'a IndexCount>,
    snapshots: impl Iterator<Item = &'a SnapshotEvidence>,
) -> Vec<String> {
    let copied: BTreeSet<&String> = snapshots.flat_map(|snapshot| &snapshot.indices).collect();
    before.map(|index| &index.name).filter(|name| !copied.contains(name)).cloned().collect()
}

/// The same of one application, whose indices have names that begin so. One that has copied only indices of other names calls its
/// own otherwise: those of the usual names are another installation's.
pub fn left_out_by(
    prefixes: &[String],
    before: &[IndexCount],
    snapshots: &[SnapshotEvidence],
) -> Vec<String> {
    let is_its = |name: &str| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let mut copied = snapshots.iter().flat_map(|snapshot| &snapshot.indices).peekable();
    if copied.peek().is_some() && !copied.any(|name| is_its(name)) {
        return Vec::new();
    }
    uncovered(before.iter().filter(|index| is_its(&index.name)), snapshots.iter())
}

/// Whether it is an archived copy, of one day: `operate-list-view-8.3.0_2026-11-23`. Applications of 8.8 and 8.9 leave some of
/// these out of every backup (camunda issue 47122: those of usage metrics and of operations), which no backup of c8keep can
/// mend; an index without a date is never left out.
pub fn is_archived_copy(name: &str) -> bool {
    let day = name.rsplit('_').next().unwrap_or_default();
    day.parse::<jiff::civil::Date>().is_ok() && day.len() == "2026-11-23".len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_at_the_end_tells_a_copy() {
        for copy in ["operate-list-view-8.3.0_2026-11-23", "camunda-usage-metric-8.8.0_2026-01-01"] {
            assert!(is_archived_copy(copy), "{copy}");
        }
        for other in
            ["operate-list-view-8.3.0_", "operate-incident-8.3.1_20261123", "tasklist-task-8.5.0_old", ""]
        {
            assert!(!is_archived_copy(other), "{other}");
        }
    }
}
