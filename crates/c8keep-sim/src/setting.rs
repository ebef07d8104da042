//! Where a night takes place: the installation, its pace, and the habits of whoever runs c8keep. All of it follows from the
//! seed.

use c8keep_core::BackupId;
use c8keep_core::recipe::Request;
use c8keep_engine::open_runs::Taking;
use c8keep_twin::config::{Durations, Rhythm};
use c8keep_twin::{Config, Contexts, OwnBackups, Product, Repositories};
use jiff::SignedDuration;

use crate::dice::Dice;
use crate::mutants::Mutant;

/// How many topologies there are.
pub const TOPOLOGIES: usize = 4;

/// One night's stage.
#[derive(Debug, Clone)]
pub struct Setting {
    /// What everything was drawn from.
    pub seed: u64,
    /// Which of the [`TOPOLOGIES`].
    pub topology: usize,
    /// The installation.
    pub config: Config,
    /// What becomes of open runs.
    pub taking: Taking,
    /// Limits of a run; short, so that a night is.
    pub stall: SignedDuration,
    /// The longest pause.
    pub hold_budget: SignedDuration,
    /// When a process that died is started again.
    pub restart_after: SignedDuration,
    /// When everything heals at the latest.
    pub heal_after: SignedDuration,
    /// Whether processes run on several hosts, each with a journal of its own, and exclude each other by claims in the vault.
    pub between_hosts: bool,
    /// What is wrong with c8keep, if something is.
    pub mutant: Option<Mutant>,
}

/// The longest wait of a run.
pub const WAIT_DEADLINE: SignedDuration = SignedDuration::from_mins(8);

impl Setting {
    /// The night of a seed.
    pub fn of(seed: u64) -> Setting {
        let mut dice = Dice::new(seed, "setting");
        let topology = dice.index(TOPOLOGIES);
        Setting::at(topology, seed)
    }

    /// A seed's night on one of the topologies.
    pub fn at(topology: usize, seed: u64) -> Setting {
        let mut dice = Dice::new(seed, "habits");
        Setting {
            seed,
            topology,
            config: config(topology, seed),
            taking: if dice.once_in(3) { Taking::Finish } else { Taking::Release },
            stall: SignedDuration::from_secs([20, 45][dice.index(2)]),
            hold_budget: SignedDuration::from_secs([30, 60, 240][dice.index(3)]),
            restart_after: SignedDuration::from_millis([200, 2_000, 15_000, 60_000][dice.index(4)]),
            heal_after: SignedDuration::from_secs([60, 150, 300][dice.index(3)]),
            between_hosts: dice.once_in(4),
            mutant: None,
        }
    }

    /// The same night in the other version of its order.
    #[must_use]
    pub fn in_the_other_version(mut self) -> Setting {
        let other = match self.config.version.as_str() {
            "8.8.0" => "8.9.0",
            "8.9.0" => "8.8.0",
            "8.7.2" => "8.6.0",
            _ => "8.7.2",
        };
        other.clone_into(&mut self.config.version);
        self
    }

    /// On which host a process runs: the first one's, the other one's, or, as in a new pod, one that is new.
    pub fn host_of(&self, process: usize) -> usize {
        if !self.between_hosts || process == 0 {
            return 0;
        }
        let mut dice = Dice::new(self.seed.wrapping_add(process as u64), "host");
        [0, 1, process + 1][dice.index(3)]
    }

    /// What a process asks for under an id.
    pub fn request(&self, id: BackupId) -> Request {
        let (stall, hold_budget) = (self.stall, self.hold_budget);
        Request { id, hold_budget, stall, wait_deadline: WAIT_DEADLINE }
    }
}

/// The versions that each order is played in; what else tells them apart is the twin's business.
///
/// The oldest has dice of its own, so that what is known by its seed stays in the version that it was found in.
fn version(unified: bool, seed: u64) -> &'static str {
    let newer = Dice::new(seed, "version").index(2);
    if unified {
        ["8.8.0", "8.9.0"][newer]
    } else if Dice::new(seed, "oldest").once_in(4) {
        OLDEST
    } else {
        ["8.6.0", "8.7.2"][newer]
    }
}

const OLDEST: &str = "8.5.8";

/// One broker and three, both orders of the procedure, with and without Optimize and the records.
fn config(topology: usize, seed: u64) -> Config {
    let mut dice = Dice::new(seed, "config");
    let unified = topology >= 2;
    let large = topology % 2 == 1;
    let version = version(unified, seed);
    let product = if dice.once_in(2) { Product::Elasticsearch } else { Product::OpenSearch };
    let mut part = |base: u64| u32::try_from(base + dice.below(900)).unwrap_or(0);
    let durations = Durations {
        pause: part(20),
        resume: part(10),
        history_parts: vec![part(300), part(900)],
        optimize_parts: vec![part(500)],
        part_gap: 50,
        records: part(800),
        runtime_appears: part(50),
        runtime: part(900),
    };
    Config {
        version: version.to_owned(),
        search: product,
        brokers: if large { 3 } else { 1 },
        partitions: if large { 3 } else { 2 },
        replication: if large { 3 } else { 1 },
        tasklist: !unified && !large,
        // Its Optimize cannot be backed up on OpenSearch (documentation 8.5).
        optimize: large && !(version == OLDEST && product == Product::OpenSearch),
        records_exporter: topology != 2,
        record_prefix: "zeebe-record".to_owned(),
        repositories: Repositories::all("camunda"),
        store: Some("zeebe".to_owned()),
        own_backups: OwnBackups::default(),
        contexts: Contexts::default(),
        gateways_in_turn: false,
        load: 4,
        warm_up_ms: 3_000,
        durations,
        rhythm: Rhythm {
            tick: 250,
            export: 250,
            import: 500,
            snapshot: 900,
            snapshot_takes: 100,
            share_positions: 5_000,
        },
        seed,
    }
}
