//! What an installation looks like and how long its servers take.

use serde::{Deserialize, Serialize};

use crate::host::Host;

/// The versions that the twin plays: of each minor version one.
pub const VERSIONS: [&str; 5] = ["8.5.8", "8.6.0", "8.7.2", "8.8.0", "8.9.0"];

/// The search product behind the web applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Product {
    Elasticsearch,
    OpenSearch,
}

/// One simulated installation. Everything random in the world comes from `seed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state machine")]
pub struct Config {
    /// Camunda version; decides the dialect (`split` up to 8.7, `unified` from 8.8).
    pub version: String,
    pub search: Product,
    pub brokers: u32,
    pub partitions: u32,
    pub replication: u32,
    pub tasklist: bool,
    pub optimize: bool,
    /// Whether the classic exporter writes `zeebe-record*`. Always so up to 8.7, where importers live from it.
    pub records_exporter: bool,
    pub record_prefix: String,
    pub repositories: Repositories,
    /// The bucket of the runtime backup store; none means no store is configured.
    pub store: Option<String>,
    /// From 8.9 on: the backups that the cluster takes by itself.
    pub own_backups: OwnBackups,
    /// Below which path each component serves.
    pub contexts: Contexts,
    /// The shared management address leads to every broker in turn, as a service with several pods behind it may; otherwise
    /// to the first one that is up.
    pub gateways_in_turn: bool,
    /// Process instances created per second of `now`.
    pub load: u32,
    /// How long the installation has been running when the world is first looked at.
    pub warm_up_ms: u32,
    pub durations: Durations,
    pub rhythm: Rhythm,
    pub seed: u64,
}

/// Snapshot repositories: which are registered, and which one each component uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repositories {
    pub registered: Vec<String>,
    /// Operate up to 8.7, all web applications from 8.8.
    pub history: String,
    pub tasklist: String,
    pub optimize: String,
}

impl Repositories {
    /// Every component uses the one registered repository.
    pub fn all(name: &str) -> Self {
        Self {
            registered: vec![name.to_owned()],
            history: name.to_owned(),
            tasklist: name.to_owned(),
            optimize: name.to_owned(),
        }
    }
}

/// `camunda.data.primary-storage.backup.*`: backups that a cluster takes by itself. With any of these it makes the ids, too, and
/// refuses one that is given (camunda issue 46784; documentation 8.9, "zeebe-backup-and-restore").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnBackups {
    pub continuous: bool,
    pub schedule: Option<String>,
    pub checkpoint_interval: Option<String>,
}

impl OwnBackups {
    pub fn make_ids(&self) -> bool {
        self.continuous || self.schedule.is_some() || self.checkpoint_interval.is_some()
    }
}

/// Context paths, such as `/zeebe`; an empty one is the root. Helm's `contextPath` goes before the actuator's path and before
/// `/v2`. Optimize's management stays at the root whatever is set (documentation of the management API and of Optimize's
/// backups, 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts {
    /// Brokers and gateway, on both ports.
    pub cluster: String,
    pub operate: String,
    pub tasklist: String,
}

impl Contexts {
    /// The path below which a host serves.
    pub fn of(&self, host: Host) -> &str {
        match host {
            Host::Broker(_) | Host::Gateway | Host::Rest => &self.cluster,
            Host::Operate => &self.operate,
            Host::Tasklist => &self.tasklist,
            Host::Optimize | Host::Search => "",
        }
    }
}

/// How long the servers take for each stage, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durations {
    pub pause: u32,
    pub resume: u32,
    /// One snapshot part of the web applications each; the last entry holds for all further parts.
    pub history_parts: Vec<u32>,
    pub optimize_parts: Vec<u32>,
    /// Pause between two parts, in which the servers show no running snapshot.
    pub part_gap: u32,
    pub records: u32,
    /// From the accepted request to the first partition that shows its backup.
    pub runtime_appears: u32,
    /// From the accepted request to the last completed partition.
    pub runtime: u32,
}

impl Durations {
    pub fn part(list: &[u32], index: usize) -> u32 {
        list.get(index).or(list.last()).copied().unwrap_or(0)
    }
}

/// How often the installation's inner clocks beat, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rhythm {
    pub tick: u32,
    pub export: u32,
    pub import: u32,
    /// Period of the partitions' local snapshots.
    pub snapshot: u32,
    /// A local snapshot reads the processed position first and the exported one this much later.
    pub snapshot_takes: u32,
    /// How often a leader tells its followers the exported position.
    pub share_positions: u32,
}

impl Default for Rhythm {
    fn default() -> Self {
        Self {
            tick: 50,
            export: 250,
            import: 500,
            snapshot: 3_000,
            snapshot_takes: 200,
            share_positions: 15_000,
        }
    }
}

impl Config {
    /// An installation of that version: the small one up to 8.7, that of the page from 8.8 on.
    pub fn of(version: &str) -> Self {
        let small = Self { version: version.to_owned(), ..Self::demo_8_6() };
        if small.unified() { Self { version: version.to_owned(), ..Self::seed_8_8() } } else { small }
    }

    /// A small 8.6 installation under load, quick enough for a demonstration.
    pub fn demo_8_6() -> Self {
        Self {
            version: "8.6.0".to_owned(),
            search: Product::Elasticsearch,
            brokers: 1,
            partitions: 2,
            replication: 1,
            tasklist: true,
            optimize: false,
            records_exporter: true,
            record_prefix: "zeebe-record".to_owned(),
            repositories: Repositories::all("camunda"),
            store: Some("zeebe".to_owned()),
            own_backups: OwnBackups::default(),
            contexts: Contexts::default(),
            gateways_in_turn: false,
            load: 40,
            warm_up_ms: 5_000,
            durations: Durations {
                pause: 60,
                resume: 20,
                history_parts: vec![180, 320, 60, 420, 60, 160],
                optimize_parts: vec![200, 300],
                part_gap: 60,
                records: 450,
                runtime_appears: 120,
                runtime: 900,
            },
            // Frequent local snapshots: whoever lifts the pause is punished at once.
            rhythm: Rhythm { snapshot: 400, snapshot_takes: 50, ..Rhythm::default() },
            seed: 86,
        }
    }

    /// The installation of the page "Create a backup" (8.8), with the stage times of its example answers.
    pub fn seed_8_8() -> Self {
        Self {
            version: "8.8.0".to_owned(),
            brokers: 3,
            partitions: 3,
            replication: 3,
            optimize: true,
            durations: Durations {
                pause: 50,
                resume: 20,
                // Start times of the five parts in the page's answer, then the last one's own length.
                history_parts: vec![553, 754, 151, 955, 50],
                optimize_parts: vec![450, 450],
                part_gap: 50,
                records: 603,
                runtime_appears: 150,
                runtime: 4_160,
            },
            rhythm: Rhythm::default(),
            seed: 88,
            ..Self::demo_8_6()
        }
    }

    /// Major and minor version; an unreadable one counts as the newest.
    pub fn dialect(&self) -> (u32, u32) {
        let mut parts = self.version.split('.').map(|part| part.parse().unwrap_or(u32::MAX));
        (parts.next().unwrap_or(u32::MAX), parts.next().unwrap_or(u32::MAX))
    }

    /// From 8.8 on, Operate, Tasklist and Zeebe are one application with one management port.
    pub fn unified(&self) -> bool {
        self.dialect() >= (8, 8)
    }
}
