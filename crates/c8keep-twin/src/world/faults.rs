//! Switches for misbehaviour, as data. They are independent of each other; the default is a healthy installation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::host::Host;

/// What is wrong with the installation. Set by tests and by the demo at any instant; looked at from then on.
///
/// Not here, because plain requests or the configuration do it: a missing repository (`DELETE /_snapshot/{name}`), a
/// store that is not configured (`Config::store`), exporting paused by a foreign hand (a POST).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, not a state machine")]
pub struct Faults {
    /// Brokers that are gone: their port answers nothing and other replicas lead.
    pub brokers_down: BTreeSet<u32>,
    /// Hosts whose port answers nothing.
    pub unreachable: BTreeSet<Host>,
    /// Hosts that answer every request with an HTML page, as a wrong port or a proxy does.
    pub html: BTreeSet<Host>,
    /// Hosts that answer every request with 500, as an application does that has lost its search server.
    pub broken: BTreeSet<Host>,
    /// Brokers that are busy: every other time they answer `{}` when asked for their partitions.
    pub brokers_busy: BTreeSet<u32>,
    /// Brokers are being added or partitions moved: the cluster shows a pending change and refuses backups.
    pub scaling: bool,
    /// Free bytes on every broker's disk, where it matters.
    pub disk_free: Option<u64>,
    /// Seconds by which the brokers' clocks are ahead.
    pub clocks_ahead: i64,
    /// Partitions whose runtime backups fail.
    pub partitions_failing: BTreeSet<u32>,
    /// Accepted runtime backups never appear, as with a full or missing bucket.
    pub runtime_never_appears: bool,
    /// Started runtime backups never move again, as after the death of the store.
    pub runtime_stuck: bool,
    /// The brokers' backup store does not answer: nothing moves, and whoever asks is told so after 15 s.
    pub store_frozen: bool,
    /// Partitions that runtime backups leave out, and of which their status says nothing.
    pub partitions_left_out: BTreeSet<u32>,
    /// Search snapshots whose name contains one of these lose a shard and end PARTIAL.
    pub snapshots_partial: BTreeSet<String>,
    /// Search snapshots whose name contains one of these are accepted and never seen again.
    pub snapshots_vanishing: BTreeSet<String>,
    /// Search snapshots whose name contains one of these succeed without any index in them, as in a repository whose folder has
    /// vanished and is made anew (seen on OpenSearch 2.19 and 3.8).
    pub snapshots_empty: BTreeSet<String>,
    /// No snapshot moves, and none ends: the storage behind the repository does not answer.
    pub snapshots_frozen: bool,
    /// Milliseconds that every snapshot takes beside its own.
    pub snapshots_slow_by: u32,
    /// Every repository takes reads only.
    pub repositories_readonly: bool,
    /// Web application queues stop before a part whose name contains one of these, as after a restart of the pod.
    pub parts_missing: BTreeSet<String>,
    /// Web applications leave out a part whose name contains one of these, and say that the backup is complete.
    pub parts_left_out: BTreeSet<String>,
    /// Web application queues wait for ever on a part whose name contains one of these, and refuse every later backup as
    /// busy until the pod is restarted (camunda issues 29182 and 43104).
    pub queues_stuck: BTreeSet<String>,
    /// Partitions whose leader exports although its status says that it is paused, as was seen after a leader change
    /// (camunda pull request 60893) and after a restart (camunda issue 18410).
    pub pauses_forgotten: BTreeSet<u32>,
    /// Changes whose path contains one of these have their effect, and a proxy answers 504 in the server's place.
    pub answers_lost: BTreeSet<String>,
    /// No `zeebe-record*` index exists although the exporter is configured.
    pub records_absent: bool,
    /// A local snapshot may be taken between a checkpoint and its reservation and pass it (camunda issue 63806).
    pub snapshots_pass_checkpoints: bool,
    /// Backups do not reserve the log: compaction may pass them.
    pub log_not_reserved: bool,
    /// Messages between partitions do not carry the checkpoint, so the cut is not consistent.
    pub checkpoints_do_not_travel: bool,
}

/// Whether a name contains one of the given fragments.
pub fn hits(fragments: &BTreeSet<String>, name: &str) -> bool {
    fragments.iter().any(|fragment| name.contains(fragment.as_str()))
}
