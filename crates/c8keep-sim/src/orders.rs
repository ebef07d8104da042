//! Order mutants: the documented steps in every wrong order, played by hand at the twin without any fault and without any of
//! c8keep. Each order is classified beforehand, by a few rules that say what breaks it, and by what a restore then loses. A
//! harmful order that never loses anything is a hole in the twin, a harmless one that does is a lie of the oracle, and a rule
//! that nothing needs is no rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use c8keep_twin::page::{Call, SPLIT, Step, UNIFIED};
use c8keep_twin::{Config, Host, LossKind, World, handle};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::dice::Dice;

/// Which documented order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Procedure {
    /// 8.5 to 8.7.
    Split,
    /// From 8.8 on.
    Unified,
}

/// Both.
pub const PROCEDURES: [Procedure; 2] = [Procedure::Split, Procedure::Unified];

/// One way to deviate from the documented order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// For people.
    pub name: String,
    /// Of which procedure.
    pub procedure: Procedure,
    /// The steps as they are played.
    pub steps: Vec<Step>,
}

/// What is wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Something that the engine must find again is copied before the pause, or after it has ended.
    NotUnderThePause,
    /// Something is copied, or still being copied, when the engine passes its checkpoint.
    PastTheCheckpoint,
    /// A part is not taken at all.
    PartLeftOut,
    /// The pause is not ended.
    NotResumed,
}

/// How an order was seen to behave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The kinds of loss, up to the first seed that showed one.
    pub kinds: BTreeSet<LossKind>,
    /// Exporting was paused in the end.
    pub left_paused: bool,
    /// How many seeds were played.
    pub seeds: u64,
}

impl Rule {
    /// What a restore shows of it; none where no data are lost.
    pub fn loses(self) -> Option<LossKind> {
        match self {
            Rule::NotUnderThePause => Some(LossKind::Lost),
            Rule::PastTheCheckpoint => Some(LossKind::Ghost),
            Rule::PartLeftOut => Some(LossKind::Missing),
            Rule::NotResumed => None,
        }
    }
}

impl Procedure {
    /// The documented order.
    pub fn steps(self) -> &'static [Step] {
        match self {
            Procedure::Split => SPLIT,
            Procedure::Unified => UNIFIED,
        }
    }

    /// What must be copied under the pause: what is never written again after a restore. Up to 8.7 importers write the history
    /// from the records, and go on from where they were.
    fn under_the_pause(self) -> &'static [Step] {
        match self {
            Procedure::Split => &[Step::Records],
            Procedure::Unified => &[Step::History, Step::Records],
        }
    }

    fn config(self, seed: u64) -> Config {
        let mut config = match self {
            Procedure::Split => Config::demo_8_6(),
            Procedure::Unified => Config::seed_8_8(),
        };
        let mut dice = Dice::new(seed, "order");
        let mut vary = |most: u32| most / 2 + u32::try_from(dice.below(u64::from(most))).unwrap_or(0);
        (config.seed, config.load, config.warm_up_ms) = (seed, 30, 2_000);
        (config.optimize, config.records_exporter) = (true, true);
        config.partitions = 2;
        config.durations.records = vary(800);
        config.durations.runtime = vary(1_500);
        config.durations.runtime_appears = vary(400);
        // Each of them is what takes longest at some installation.
        let slow = |is: bool, part: u32| if is { part + 2_000 } else { part };
        config.durations.history_parts = (0..4).map(|_| slow(seed % 4 == 1, vary(300))).collect();
        config.durations.optimize_parts = (0..2).map(|_| slow(seed % 4 == 2, vary(700))).collect();
        config.rhythm.snapshot = vary(1_500);
        config.rhythm.snapshot_takes = vary(300);
        config.rhythm.export = vary(300);
        config.rhythm.import = vary(500);
        config
    }
}

/// Every step left out, every step put at every other place, and every order in which the six parts of the procedure can
/// follow each other, each waited for.
pub fn all(procedure: Procedure) -> Vec<Order> {
    let mut orders = vec![Order::new("as documented".into(), procedure, procedure.steps())];
    for (place, step) in procedure.steps().iter().enumerate() {
        let mut rest = procedure.steps().to_vec();
        rest.remove(place);
        orders.push(Order::new(format!("without {step:?}"), procedure, &rest));
        for (other, neighbour) in rest.iter().enumerate().filter(|(other, _)| *other != place) {
            let mut moved = rest.clone();
            moved.insert(other, *step);
            orders.push(Order::new(format!("{step:?} before {neighbour:?}"), procedure, &moved));
        }
        if place + 1 < procedure.steps().len() {
            let moved: Vec<Step> = rest.iter().copied().chain([*step]).collect();
            orders.push(Order::new(format!("{step:?} at the end"), procedure, &moved));
        }
    }
    orders.extend(permutations(&PARTS).into_iter().map(|parts| {
        let name = parts.iter().map(|part| format!("{:?}", part[0])).collect::<Vec<_>>().join(" ");
        Order::new(name, procedure, &parts.concat())
    }));
    let mut known = BTreeSet::new();
    orders.retain(|order| known.insert(order.steps.clone()));
    orders
}

/// Each start with its wait.
const PARTS: [&[Step]; 6] = [
    &[Step::Pause],
    &[Step::History, Step::WaitHistory],
    &[Step::Optimize, Step::WaitOptimize],
    &[Step::Records, Step::WaitRecords],
    &[Step::Runtime, Step::WaitRuntime],
    &[Step::Resume],
];

fn permutations<'a>(parts: &[&'a [Step]]) -> Vec<Vec<&'a [Step]>> {
    if parts.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (place, first) in parts.iter().enumerate() {
        let mut rest = parts.to_vec();
        rest.remove(place);
        all.extend(permutations(&rest).into_iter().map(|mut tail| {
            tail.insert(0, *first);
            tail
        }));
    }
    all
}

impl Order {
    /// Waiting for what was not begun is no wait: it is the next thing to do once that has begun.
    fn new(name: String, procedure: Procedure, steps: &[Step]) -> Order {
        let mut settled: Vec<Step> = Vec::new();
        let mut owed = Vec::new();
        for step in steps {
            match step.waits_for() {
                Some(start) if !settled.contains(&start) => owed.push((start, *step)),
                _ => {
                    settled.push(*step);
                    settled.extend(owed.iter().filter(|(start, _)| start == step).map(|(_, wait)| *wait));
                }
            }
        }
        Order { name, procedure, steps: settled }
    }

    /// The rules that it breaks.
    pub fn breaks(&self) -> BTreeSet<Rule> {
        let mut broken = BTreeSet::new();
        let parts = [Step::History, Step::Optimize, Step::Records, Step::Runtime];
        if parts.iter().any(|part| self.begin(*part).is_none()) {
            broken.insert(Rule::PartLeftOut);
        }
        let (pause, resume) = (self.begin(Step::Pause), self.begin(Step::Resume));
        if pause.is_some() && resume.is_none_or(|resume| Some(resume) < pause) {
            broken.insert(Rule::NotResumed);
        }
        let Some(checkpoint) = self.begin(Step::Runtime) else { return broken };
        let copied = &parts[..3];
        if copied.iter().any(|part| self.begin(*part).is_some() && self.end(*part) > checkpoint) {
            broken.insert(Rule::PastTheCheckpoint);
        }
        let holds = |from: usize| {
            let paused = pause.is_some_and(|pause| pause < from);
            let ended = resume.filter(|resume| Some(*resume) > pause);
            paused && ended.is_none_or(|resume| resume > self.end(Step::Runtime))
        };
        // What comes after the checkpoint brings too much and not too little.
        let before = |part: &&Step| self.begin(**part).filter(|begin| *begin < checkpoint);
        if self.procedure.under_the_pause().iter().filter_map(|part| before(&part)).any(|begin| !holds(begin))
        {
            broken.insert(Rule::NotUnderThePause);
        }
        broken
    }

    fn begin(&self, step: Step) -> Option<usize> {
        self.steps.iter().position(|other| *other == step)
    }

    /// When a part is known to be whole; never, where nobody waits for it.
    fn end(&self, start: Step) -> usize {
        let wait = self.steps.iter().position(|step| step.waits_for() == Some(start));
        wait.unwrap_or(usize::MAX)
    }

    /// Plays it on one seed after the other until something is lost.
    pub fn play(&self, seeds: u64) -> Seen {
        let mut seen = Seen { kinds: BTreeSet::new(), left_paused: false, seeds: 0 };
        while seen.seeds < seeds && seen.kinds.is_empty() {
            let mut hand = Hand::at(self.procedure.config(seen.seeds));
            // Some callers are slow.
            let pace = [0, 0, 1_000][usize::try_from(seen.seeds % 3).unwrap_or(0)];
            for step in &self.steps {
                hand.step(*step);
                hand.pass(pace);
            }
            hand.pass(8_000);
            seen.kinds.extend(hand.world.restore(ID).losses.iter().map(|loss| loss.kind));
            seen.left_paused = !hand.world.paused_replicas().is_empty();
            seen.seeds += 1;
        }
        seen
    }

    /// What is wrong with the classification, if something is.
    pub fn judge(&self, seen: &Seen) -> Option<String> {
        let broken = self.breaks();
        let expected: BTreeSet<LossKind> = broken.iter().filter_map(|rule| rule.loses()).collect();
        let told = format!("{:?} {}: breaks {broken:?}, and {seen}", self.procedure, self.name);
        if seen.left_paused != broken.contains(&Rule::NotResumed) {
            return Some(format!("{told}: paused in the end, or not, against the rules"));
        }
        match (expected.is_empty(), seen.kinds.is_empty()) {
            (true, false) => Some(format!("{told}: should be harmless")),
            (false, true) => Some(format!("{told}: never shows anything")),
            (false, false) if seen.kinds.is_disjoint(&expected) => Some(format!("{told}: not that")),
            _ => None,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.kinds.iter().map(ToString::to_string).collect();
        match (kinds.is_empty(), self.left_paused) {
            (false, _) => write!(f, "loses in seed {}: {}", self.seeds - 1, kinds.join(", ")),
            (true, true) => write!(f, "loses nothing in {} seeds, and leaves exporting paused", self.seeds),
            (true, false) => write!(f, "loses nothing in {} seeds", self.seeds),
        }
    }
}

/// How many orders there are, by the rules that they break.
pub fn by_rules(orders: &[Order]) -> BTreeMap<Vec<Rule>, usize> {
    let mut counts = BTreeMap::new();
    for order in orders {
        *counts.entry(order.breaks().into_iter().collect()).or_default() += 1;
    }
    counts
}

const ID: u64 = 100;
/// How long the hand waits for one thing.
const PATIENCE: u32 = 480;
const POLL_MS: i64 = 250;

/// A hand that knows the page and nothing else.
struct Hand {
    world: World,
    now: Timestamp,
}

impl Hand {
    fn at(config: Config) -> Hand {
        let now = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut world = World::new(config);
        world.advance(now);
        Hand { world, now }
    }

    fn pass(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
        self.world.advance(self.now);
    }

    fn step(&mut self, step: Step) {
        for call in step.calls(self.world.config(), ID) {
            match call {
                Call::Send(host, request) => _ = handle(&mut self.world, host, &request, self.now),
                Call::Await { host, path, at, wanted } => self.wait(host, &path, at, wanted),
            }
        }
        // A caller is never infinitely fast.
        self.pass(20);
    }

    fn wait(&mut self, host: Host, path: &str, at: &str, wanted: &str) {
        for _ in 0..PATIENCE {
            let request = c8keep_twin::Request::get(path);
            let answer = handle(&mut self.world, host, &request, self.now).answer();
            let told = answer.map(|answer| answer.value()).unwrap_or_default();
            if told.pointer(at).and_then(Value::as_str) == Some(wanted) {
                return;
            }
            self.pass(POLL_MS);
        }
    }
}
