//! One night: the simulated world, what survives, what is under way, and what is still to come.
//!
//! Everything that happens passes through here, in one order, on virtual time. Nothing here waits or reads a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Waker;

use c8keep_adapters::transport::{Request, Response, TransportError};
use c8keep_twin::{Host, World};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::checks;
use crate::dice::Dice;
use crate::ledger::Ledger;
use crate::mutants::Mutant;
use crate::setting::Setting;
use crate::trace::Trace;
use crate::weather::{Fault, What};

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which one: `S1`, `L1`, …
    pub check: &'static str,
    /// How.
    pub what: String,
}

/// The state of a night.
#[derive(Debug)]
pub struct Night {
    pub(crate) setting: Setting,
    pub(crate) now: Timestamp,
    pub(crate) world: World,
    pub(crate) journal: Ledger,
    pub(crate) vault: BTreeMap<String, Vec<u8>>,
    pub(crate) processes: Vec<Process>,
    pub(crate) exchanges: BTreeMap<u64, Exchange>,
    pub(crate) dice: Dice,
    pub(crate) trace: Trace,
    pub(crate) weather: Weather,
    /// Rare things that have happened.
    pub(crate) seen: BTreeSet<&'static str>,
    pub(crate) violations: Vec<Violation>,
    pub(crate) memory: checks::Memory,
    /// How many events there were.
    pub(crate) events: u32,
    /// The number of the event at which the first run was open.
    pub(crate) opened_at: Option<u32>,
    pub(crate) first_ended_at: Option<u32>,
    /// When everything healed, and when the last process must have ended after that.
    pub(crate) morning: Option<(Timestamp, Timestamp)>,
    agenda: BTreeMap<(Timestamp, u64), Due>,
    next: u64,
}

/// What is wrong, and what will be.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent things that may be wrong")]
pub(crate) struct Weather {
    /// To come, the next one last.
    pub(crate) coming: Vec<Fault>,
    /// What waits for something to hit: a request, an append, a write.
    pub(crate) armed: Vec<What>,
    pub(crate) vault_is_full: bool,
    pub(crate) vault_is_slow: bool,
    pub(crate) vault_is_silent: bool,
    /// What was asked of a silent vault, in order.
    pub(crate) late_writes: Vec<LateWrite>,
    /// Requests in the buffers of servers that stand still, in order.
    pub(crate) buffered: Vec<u64>,
    /// The host that does not reach it.
    pub(crate) vault_is_lost_to: Option<usize>,
    pub(crate) journal_is_lost: bool,
    pub(crate) clock_off: SignedDuration,
    pub(crate) foreign_pause: bool,
    /// The repository is not registered any more.
    pub(crate) repository_is_gone: bool,
    pub(crate) lock_is_unseen: bool,
    pub(crate) calm: bool,
    pub(crate) healed: bool,
    /// Instances of the twin's troubles that are on.
    pub(crate) on: Vec<crate::weather::Trouble>,
}

/// A write into the vault that nobody waits for any more.
#[derive(Debug)]
pub(crate) struct LateWrite {
    pub(crate) path: String,
    pub(crate) bytes: Vec<u8>,
}

/// One process.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) life: Life,
    /// A task of it is about to panic.
    pub(crate) panics: bool,
    /// Where it runs: what is on one host has one journal and one lock.
    pub(crate) host: usize,
    /// What it has begun beside itself, and nobody polls yet.
    pub(crate) spawned: Vec<Spawned>,
    pub(crate) clock_off: SignedDuration,
    pub(crate) holds_lock: bool,
    pub(crate) journal_is_poisoned: bool,
    pub(crate) stop: watch::Sender<bool>,
    /// Events that a mutant keeps back.
    pub(crate) unwritten: Vec<c8keep_core::run::Event>,
    /// What waits for it to thaw.
    pub(crate) waiting: Vec<Waker>,
    pub(crate) began: Timestamp,
    /// Its start, or the end of its last standstill.
    pub(crate) alive_since: Timestamp,
}

/// A task of a process.
pub(crate) struct Spawned(pub(crate) BoxFuture<'static, ()>);

impl std::fmt::Debug for Spawned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spawned")
    }
}

/// Where a process stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Frozen,
    Dead,
    Ended,
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) process: usize,
    pub(crate) host: Option<Host>,
    pub(crate) request: c8keep_twin::Request,
    pub(crate) changes: bool,
    pub(crate) wire: Option<crate::weather::Wire>,
    pub(crate) asked: Request,
    pub(crate) waker: Option<Waker>,
    pub(crate) answer: Option<Result<Response, TransportError>>,
    pub(crate) dropped: bool,
}

/// Something that will happen at a known instant.
#[derive(Debug)]
pub(crate) enum Due {
    Wake(Waker),
    Arrive(u64),
    Then(u64, c8keep_twin::Request),
    /// A write reaches the vault whose sender has given up.
    Keep(LateWrite),
    Deliver(u64, Result<Response, TransportError>),
    /// The client's patience with a request ends.
    GiveUp(u64),
    Lift(crate::weather::Trouble),
    Thaw(usize),
    Start,
    Heal,
    /// A look at everything some time after the healing.
    Look,
    /// Somebody makes a backup of the healthy installation, if that is still to be done.
    Morning,
}

impl Night {
    pub(crate) fn new(setting: &Setting, faults: &[Fault], with_lines: bool) -> Night {
        let start = Timestamp::from_second(1_795_000_000 + i64::try_from(setting.seed % 86_400).unwrap_or(0));
        let now = start.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut world = World::new(setting.config.clone());
        for host in world.hosts() {
            world.set_address(host, address(host));
        }
        world.advance(now);
        let mut coming = faults.to_vec();
        coming.sort_unstable();
        coming.reverse();
        Night {
            setting: setting.clone(),
            now,
            world,
            journal: Ledger::new(setting.mutant != Some(Mutant::NoTermCheck)),
            vault: BTreeMap::new(),
            processes: Vec::new(),
            exchanges: BTreeMap::new(),
            dice: Dice::new(setting.seed, "night"),
            trace: Trace::new(with_lines),
            weather: Weather { calm: coming.is_empty(), coming, ..Weather::default() },
            seen: BTreeSet::new(),
            violations: Vec::new(),
            memory: checks::Memory::default(),
            events: 0,
            opened_at: None,
            first_ended_at: None,
            morning: None,
            agenda: BTreeMap::new(),
            next: 0,
        }
    }

    /// A new process; its number.
    pub(crate) fn born(&mut self) -> usize {
        let (stop, _) = watch::channel(false);
        if self.weather.clock_off < SignedDuration::ZERO {
            self.sometimes("a clock was set back");
        }
        self.processes.push(Process {
            life: Life::Alive,
            panics: false,
            host: self.setting.host_of(self.processes.len()),
            spawned: Vec::new(),
            clock_off: self.weather.clock_off,
            holds_lock: false,
            journal_is_poisoned: false,
            stop,
            unwritten: Vec::new(),
            waiting: Vec::new(),
            began: self.now,
            alive_since: self.now,
        });
        self.processes.len() - 1
    }

    /// Plans something.
    pub(crate) fn plan(&mut self, at: Timestamp, due: Due) -> (Timestamp, u64) {
        self.next += 1;
        let key = (at.max(self.now), self.next);
        self.agenda.insert(key, due);
        key
    }

    /// Plans something that is not needed any more.
    pub(crate) fn unplan(&mut self, key: (Timestamp, u64)) {
        self.agenda.remove(&key);
    }

    /// Moves to whatever comes next.
    pub(crate) fn pop(&mut self) -> Option<Due> {
        let ((at, _), due) = self.agenda.pop_first()?;
        self.now = self.now.max(at);
        Some(due)
    }

    /// An event: a point at which a process may die, something may go wrong, and every promise is looked at.
    pub(crate) fn event(&mut self, process: usize, what: &str, detail: &str) {
        self.events += 1;
        self.trace.note(self.now, format_args!("{:>4} p{process}", self.events), what, detail);
        while self.weather.coming.last().is_some_and(|fault| fault.at <= self.events) {
            let Some(fault) = self.weather.coming.pop() else { break };
            if !self.weather.healed {
                let (now, dead) = (self.now, self.processes[process].life);
                self.trace.explain(now, || format!("!!! {:?} ({dead:?})", fault.what));
                self.befall(process, fault.what);
            }
        }
        checks::after_event(self);
    }

    pub(crate) fn is_gone(&self, process: usize) -> bool {
        matches!(self.processes[process].life, Life::Dead | Life::Ended)
    }

    /// Takes the first armed thing that fits.
    pub(crate) fn take_armed<T>(&mut self, fits: impl Fn(&What) -> Option<T>) -> Option<T> {
        let place = self.weather.armed.iter().position(|what| fits(what).is_some())?;
        fits(&self.weather.armed.remove(place))
    }

    /// Whether another backup is made in the morning although the night came to a good end: in one of eight.
    pub(crate) fn goes_on_all_the_same(&self) -> bool {
        self.setting.seed.is_multiple_of(8) && !self.weather.calm
    }

    /// Whether no fault was drawn at all.
    pub(crate) fn is_calm(&self) -> bool {
        self.weather.calm
    }

    /// Something rare happened.
    pub(crate) fn sometimes(&mut self, what: &'static str) {
        self.seen.insert(what);
    }

    /// A promise was broken. The first ones tell; what follows from them does not.
    pub(crate) fn violated(&mut self, check: &'static str, what: String) {
        if self.violations.len() < 8 && !self.violations.iter().any(|known| known.check == check) {
            self.trace.explain(self.now, || format!("VIOLATED {check}: {what}"));
            self.violations.push(Violation { check, what });
        }
    }
}

/// Where a host is spoken to.
pub(crate) fn address(host: Host) -> String {
    match host {
        Host::Search => "http://search:9200".to_owned(),
        Host::Rest => "http://rest:8080".to_owned(),
        Host::Optimize => "http://optimize:8092".to_owned(),
        other => format!("http://{other}:9600"),
    }
}

/// The host of an address.
pub(crate) fn host_of(authority: &str) -> Option<Host> {
    Some(match authority.split(':').next()? {
        "search" => Host::Search,
        "rest" => Host::Rest,
        "optimize" => Host::Optimize,
        "gateway" => Host::Gateway,
        "operate" => Host::Operate,
        "tasklist" => Host::Tasklist,
        broker => Host::Broker(broker.strip_prefix("broker-")?.parse().ok()?),
    })
}
