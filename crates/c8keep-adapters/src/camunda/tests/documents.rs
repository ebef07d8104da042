//! The example answers of Camunda's documentation, read by the parsers: of versions, and of Optimize, that cannot be had.

use std::collections::BTreeSet;
use std::path::Path;

use c8keep_core::backup::HistoryApp::{self, Operate, Optimize, Tasklist, Webapps};
use c8keep_core::verdict::{self, Standing};

use super::{PERHAPS_PAUSED, answered, call, exporting, id, marks, take};
use crate::camunda::scene::{Fixture, fixture};
use crate::camunda::{topology, wire};

/// The id in the examples of "Create a backup".
const PAGE: u64 = 1_748_937_221;

/// What an example is an answer to, and what it must be read as.
enum Means {
    Done,
    /// So many snapshots are announced.
    Announces(HistoryApp, usize),
    /// The backup of that id, with so many parts.
    Whole(HistoryApp, u64, usize),
    /// An example that shows the first part of several: nothing whole.
    Shortened(HistoryApp, u64),
    Taken,
    /// The backup of that id, with so many partitions.
    Saved(u64, u32),
    Highest(u64),
    /// Read by a test of its own, or by nothing.
    Other,
}

const EXAMPLES: &[(&str, &[(&str, Means)])] = &[
    (
        "camunda-docs-8.7",
        &[
            ("exporting-pause", Means::Done),
            ("exporting-resume", Means::Done),
            ("operate-api-create", Means::Announces(Operate, 6)),
            ("operate-api-get", Means::Shortened(Operate, 123)),
            ("operate-create", Means::Announces(Operate, 6)),
            ("operate-get-COMPLETED", Means::Whole(Operate, PAGE, 6)),
            ("optimize-api-create", Means::Announces(Optimize, 0)),
            ("optimize-api-get", Means::Whole(Optimize, 123_456, 2)),
            ("optimize-create", Means::Announces(Optimize, 0)),
            ("optimize-get-COMPLETED", Means::Whole(Optimize, PAGE, 2)),
            ("records-create-on-elasticsearch", Means::Other),
            ("records-create-on-opensearch", Means::Other),
            ("records-status-on-elasticsearch", Means::Other),
            ("records-status-on-opensearch", Means::Other),
            ("runtime-api-create", Means::Taken),
            ("runtime-api-get", Means::Saved(100, 2)),
            ("runtime-api-list", Means::Highest(200)),
            ("runtime-create", Means::Taken),
            ("runtime-get-COMPLETED-without-snapshot", Means::Saved(PAGE, 1)),
            ("tasklist-create", Means::Announces(Tasklist, 6)),
            ("tasklist-get-COMPLETED", Means::Whole(Tasklist, PAGE, 6)),
        ],
    ),
    (
        "camunda-docs-8.8",
        &[
            ("history-api-create", Means::Announces(Webapps, 6)),
            ("history-api-get", Means::Shortened(Webapps, 123)),
            ("history-create", Means::Announces(Webapps, 5)),
            ("history-get", Means::Whole(Webapps, PAGE, 5)),
            ("optimize-create", Means::Announces(Optimize, 0)),
            ("optimize-get", Means::Whole(Optimize, PAGE, 2)),
            ("records-status-on-elasticsearch", Means::Other),
            ("records-status-on-opensearch", Means::Other),
            ("runtime-api-create", Means::Taken),
            ("runtime-api-get", Means::Saved(100, 2)),
            ("runtime-api-list", Means::Highest(200)),
            ("runtime-api-list-by-prefix", Means::Highest(100)),
            ("runtime-create", Means::Taken),
            ("runtime-get", Means::Saved(PAGE, 1)),
        ],
    ),
    (
        "camunda-docs-8.9",
        &[
            ("cluster-api-get", Means::Other),
            ("exporters-api-list", Means::Other),
            ("exporting-pause", Means::Done),
            ("exporting-pause-refused", Means::Other),
            ("exporting-resume", Means::Done),
            ("history-page-create", Means::Announces(Webapps, 5)),
            ("history-page-get", Means::Whole(Webapps, PAGE, 5)),
            ("optimize-api-create", Means::Announces(Optimize, 0)),
            ("optimize-api-get", Means::Whole(Optimize, 123_456, 2)),
            ("optimize-create", Means::Announces(Optimize, 0)),
            ("optimize-get-COMPLETED", Means::Whole(Optimize, PAGE, 2)),
            ("records-create-on-elasticsearch", Means::Other),
            ("records-create-on-opensearch", Means::Other),
            ("records-status-on-elasticsearch", Means::Other),
            ("records-status-on-opensearch", Means::Other),
            ("runtime-api-create", Means::Taken),
            ("runtime-api-get", Means::Saved(100, 2)),
            ("runtime-api-list", Means::Highest(200)),
            ("runtime-api-state", Means::Other),
            ("runtime-page-create", Means::Taken),
            ("runtime-page-get", Means::Saved(PAGE, 1)),
        ],
    ),
];

fn holds(means: &Means, example: &Fixture) -> bool {
    let (status, body) = (example.status, &example.body);
    let history = |of: u64| answered(status, body, |a| wire::history_status(&call(), id(of), a)).unwrap();
    match *means {
        Means::Done => answered(status, body, exporting) == Ok(()),
        Means::Announces(app, parts) => {
            answered(status, body, |a| wire::history_started(&call(), app, a)).unwrap().len() == parts
        }
        Means::Whole(app, of, parts) => {
            let standing = verdict::history(app, id(of), &[], &history(of));
            matches!(standing, Standing::Whole(names) if names.len() == parts)
        }
        Means::Shortened(app, of) => {
            matches!(verdict::history(app, id(of), &[], &history(of)), Standing::Lost(_))
        }
        Means::Taken => answered(status, body, take) == Ok(()),
        Means::Saved(of, partitions) => {
            let told = answered(status, body, |a| wire::runtime_status(&call(), id(of), a)).unwrap();
            let fewer = verdict::runtime(Some(partitions + 1), &told);
            matches!(verdict::runtime(Some(partitions), &told), Standing::Whole(_))
                && !matches!(fewer, Standing::Whole(_))
        }
        Means::Highest(highest) => {
            answered(status, body, |a| wire::highest_id(&call(), a)) == Ok(Some(id(highest)))
        }
        Means::Other => true,
    }
}

#[test]
fn every_example_is_read_as_what_it_means() {
    for (version, examples) in EXAMPLES {
        for (name, means) in *examples {
            assert!(holds(means, &fixture(&format!("{version}/{name}"))), "{version}/{name}");
        }
    }
}

#[test]
fn no_example_is_left_out() {
    for (version, examples) in EXAMPLES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version);
        let stored: BTreeSet<String> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).map(|path| stem(&path)).collect();
        let read: BTreeSet<String> = examples.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(stored, read, "{version}");
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The page shortens the exception that servers send to its message.
#[test]
fn a_refused_pause_is_perhaps_half_a_pause() {
    let example = fixture("camunda-docs-8.9/exporting-pause-refused");
    let fault = answered(example.status, &example.body, exporting).unwrap_err();
    assert_eq!(marks(&fault), PERHAPS_PAUSED);
    assert!(fault.answer.contains("Expected 3 members of partition 1 but found 2"), "{fault}");
}

#[test]
fn a_cluster_that_is_scaled_up_is_read_with_what_is_to_come() {
    let example = fixture("camunda-docs-8.9/cluster-api-get");
    let members = answered(example.status, &example.body, topology::members).unwrap();
    assert_eq!(members.pending.as_deref(), Some("change 6 is IN_PROGRESS, 16 operations to go"));
    assert_eq!((members.nodes.len(), members.replicas.len(), members.cluster_id), (3, 6, None));
    assert!(members.replicas.values().all(|replicas| *replicas == 3));
}

#[test]
fn exporters_are_told_with_their_states() {
    let example = fixture("camunda-docs-8.9/exporters-api-list");
    let told = answered(example.status, &example.body, topology::exporters).unwrap();
    let told: Vec<(&str, &str)> = told.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
    assert_eq!(told, [("elasticsearch0", "ENABLED"), ("elasticsearch1", "DISABLED")]);
}
