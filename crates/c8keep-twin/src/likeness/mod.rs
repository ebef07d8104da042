//! How like the real servers the twin is: situations as data, each with the answer a real server gave in it.
//!
//! A [`Case`] says how to get into a situation by plain requests, which request to send then, and which recorded answer
//! to compare with. [`replay`] plays one against the twin; a test tool may send the same requests to real servers. The
//! comparison looks at status, content type, shape and meaning, never at times, identifiers and counts.

mod applications;
mod brokers;
mod documents;
mod search;
mod shape;

pub use shape::{Rules, meaning_diff, shape_diff};

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use self::shape::Whose;
use crate::config::{Config, Product, Repositories};
use crate::host::Host;
use crate::wire::{Answer, Request, Response, handle};
use crate::world::World;

/// Where a recorded answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Camunda86,
    Elasticsearch8,
    OpenSearch2,
    Camunda87Documentation,
    Camunda88Documentation,
    Camunda89Documentation,
    OptimizeDocumentation,
}

/// The installation that a situation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// 8.6, one broker with two partitions on which nothing has happened.
    Fresh,
    /// 8.6 under load, one broker with two partitions.
    Loaded(Product),
    /// 8.6 under load, three brokers, three partitions, three replicas.
    ThreeBrokers,
    /// 8.6 under load whose partitions have no local snapshot yet.
    NoSnapshotYet,
    /// 8.8 under load with Optimize.
    Unified(Product),
    /// The same, before the first local snapshot of its partitions.
    UnifiedNoSnapshotYet,
    /// That version under load with Optimize, one broker.
    Documented(&'static str),
    /// The same on OpenSearch.
    DocumentedOnOpenSearch(&'static str),
    /// The same before the first local snapshot of its partitions.
    DocumentedNoSnapshotYet(&'static str),
    /// The same with three brokers and replicas.
    DocumentedThreeBrokers(&'static str),
    /// 8.9 that takes backups by itself, all the time.
    OwnBackups,
}

/// One move on the way into a situation.
#[derive(Clone, Debug)]
pub enum Move {
    Send(Host, Request),
    /// Send again and again until the answer's status is this one and its body has this value there (if any).
    Until(Host, Request, u16, Option<(&'static str, Value)>),
    Pass {
        millis: u32,
    },
    /// A broker ends, or comes back; against real servers the tool must do it itself.
    BrokerDown(u32),
    BrokerUp(u32),
    /// Snapshots with this in their name become PARTIAL; against real servers an unassigned shard does it.
    Partial(&'static str),
}

/// One situation and what a real server answered in it.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: &'static str,
    pub source: Source,
    pub stage: Stage,
    pub moves: Vec<Move>,
    pub host: Host,
    pub request: Request,
    pub rules: Rules,
}

/// A recorded answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub request: Request,
    pub status: u16,
    /// None where the source does not tell.
    pub content_type: Option<Option<String>>,
    /// The same.
    pub body: Option<Value>,
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut all = brokers::cases();
    all.extend(applications::cases());
    all.extend(search::cases());
    all.extend(documents::cases());
    all
}

impl Source {
    pub const ALL: [Self; 7] = [
        Self::Camunda86,
        Self::Elasticsearch8,
        Self::OpenSearch2,
        Self::Camunda87Documentation,
        Self::Camunda88Documentation,
        Self::Camunda89Documentation,
        Self::OptimizeDocumentation,
    ];

    fn text(self) -> &'static str {
        match self {
            Self::Camunda86 => include_str!("../../fixtures/camunda-8.6.0.json"),
            Self::Camunda87Documentation => include_str!("../../fixtures/camunda-8.7-documentation.json"),
            Self::Camunda88Documentation => include_str!("../../fixtures/camunda-8.8-documentation.json"),
            Self::Camunda89Documentation => include_str!("../../fixtures/camunda-8.9-documentation.json"),
            Self::OptimizeDocumentation => include_str!("../../fixtures/optimize-documentation.json"),
            Self::Elasticsearch8 => include_str!("../../fixtures/elasticsearch-8.16.6.json"),
            Self::OpenSearch2 => include_str!("../../fixtures/opensearch-2.19.1.json"),
        }
    }

    /// The file of this source; each is read once.
    fn exchanges(self) -> &'static Value {
        static READ: [OnceLock<Value>; Source::ALL.len()] = [const { OnceLock::new() }; Source::ALL.len()];
        let read = || serde_json::from_str(self.text()).unwrap_or(Value::Null);
        READ.get(self as usize).map_or(&Value::Null, |cell| cell.get_or_init(read))
    }

    /// The names of all recorded exchanges.
    pub fn names(self) -> Vec<String> {
        self.exchanges()["exchanges"].as_object().map(|all| all.keys().cloned().collect()).unwrap_or_default()
    }

    /// The recorded exchange of that name.
    pub fn recorded(self, name: &str) -> Option<Recorded> {
        let exchange = self.exchanges()["exchanges"].get(name)?;
        let content_type = exchange.get("content_type").map(|value| value.as_str().map(str::to_owned));
        Some(Recorded {
            request: request(&exchange["request"])?,
            status: u16::try_from(exchange["status"].as_u64()?).ok()?,
            content_type,
            body: exchange.get("body").cloned(),
        })
    }
}

/// Requests are recorded as an object, or as a line like `PUT /path {"json": 1}`.
fn request(recorded: &Value) -> Option<Request> {
    let Some(line) = recorded.as_str() else {
        let request = Request::new(recorded["method"].as_str()?, recorded["path"].as_str()?);
        let body = &recorded["body"];
        return Some(if body.is_object() { request.json(body) } else { request });
    };
    let mut words = line.splitn(3, ' ');
    let mut request = Request::new(words.next()?, words.next()?);
    request.body = words.next().unwrap_or_default().as_bytes().to_vec();
    Some(request)
}

/// A case whose request is the recorded one. A missing fixture gives an impossible request, which the tests show.
fn case(source: Source, stage: Stage, host: Host, name: &'static str) -> Case {
    let request = source.recorded(name).map(|recorded| recorded.request).unwrap_or_default();
    Case { name, source, stage, moves: Vec::new(), host, request, rules: Rules::default() }
}

impl Case {
    fn after(mut self, moves: impl IntoIterator<Item = Move>) -> Self {
        self.moves.extend(moves);
        self
    }

    fn asking(mut self, target: &str) -> Self {
        self.request = Request::new(&self.request.method.clone(), target);
        self
    }

    fn varies(mut self, places: &'static [&'static str]) -> Self {
        self.rules.varies = places;
        self
    }

    fn maps(mut self, places: &'static [&'static str]) -> Self {
        self.rules.maps = places;
        self
    }

    fn partial(mut self, places: &'static [&'static str]) -> Self {
        self.rules.partial = places;
        self
    }

    fn alone(mut self, places: &'static [&'static str]) -> Self {
        self.rules.alone = places;
        self
    }

    /// What differs between the recorded answer and this one of the twin; nothing if they are alike.
    pub fn differences(&self, answer: &Answer) -> Vec<String> {
        self.differences_of(answer, Whose::Twin)
    }

    /// The same for an answer of a real server.
    pub fn real_differences(&self, answer: &Answer) -> Vec<String> {
        self.differences_of(answer, Whose::Real)
    }

    fn differences_of(&self, answer: &Answer, whose: Whose) -> Vec<String> {
        let Some(recorded) = self.source.recorded(self.name) else {
            return vec!["no such fixture".to_owned()];
        };
        let mut found = Vec::new();
        if recorded.status != answer.status {
            found.push(format!("status {} instead of {}", answer.status, recorded.status));
        }
        if let Some(wanted) = recorded.content_type.filter(|wanted| *wanted != answer.content_type) {
            found.push(format!("content type {:?} instead of {wanted:?}", answer.content_type));
        }
        if let Some(wanted) = &recorded.body {
            let body = if answer.body.is_empty() { Value::from("") } else { answer.value() };
            found.extend(shape::shape_diff_by(wanted, &body, &self.rules, whose));
            found.extend(meaning_diff(wanted, &body, &self.rules));
        }
        found
    }
}

fn send(host: Host, method: &str, target: &str, body: &Value) -> Move {
    let request = Request::new(method, target);
    Move::Send(host, if body.is_null() { request } else { request.json(body) })
}

impl Stage {
    /// A twin that is this installation.
    pub fn config(self) -> Config {
        let mut config = match self {
            Self::Unified(_) | Self::UnifiedNoSnapshotYet => Config::seed_8_8(),
            Self::Documented(version)
            | Self::DocumentedOnOpenSearch(version)
            | Self::DocumentedNoSnapshotYet(version)
            | Self::DocumentedThreeBrokers(version) => documented(version),
            Self::OwnBackups => Config::of("8.9.0"),
            _ => Config::demo_8_6(),
        };
        match self {
            Self::Documented(_) => {}
            Self::Fresh => {
                config.load = 0;
                config.warm_up_ms = 0;
            }
            Self::ThreeBrokers | Self::DocumentedThreeBrokers(_) => {
                config.brokers = 3;
                config.partitions = 3;
                config.replication = 3;
            }
            Self::NoSnapshotYet | Self::UnifiedNoSnapshotYet | Self::DocumentedNoSnapshotYet(_) => {
                config.rhythm.snapshot = u32::MAX;
            }
            Self::Loaded(product) | Self::Unified(product) => config.search = product,
            Self::DocumentedOnOpenSearch(_) => config.search = Product::OpenSearch,
            Self::OwnBackups => {
                config.own_backups.continuous = true;
                config.own_backups.schedule = Some("PT1H".to_owned());
            }
        }
        config.repositories = Repositories::all("camunda");
        config
    }
}

fn documented(version: &str) -> Config {
    Config { optimize: true, brokers: 1, replication: 1, ..Config::of(version) }
}

/// Plays a case against the twin and gives back the last answer.
pub fn replay(case: &Case) -> Result<Answer, String> {
    let mut twin = Player::new(case.stage.config());
    for step in &case.moves {
        twin.play(step)?;
    }
    twin.send(case.host, &case.request)
}

struct Player {
    world: World,
    now: Timestamp,
}

impl Player {
    fn new(config: Config) -> Self {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 50);
        let mut world = World::new(config);
        world.advance(now);
        Self { world, now }
    }

    fn pass(&mut self, millis: u32) {
        self.now += SignedDuration::from_millis(i64::from(millis));
        self.world.advance(self.now);
    }

    /// Sends a request and waits for its answer as an HTTP client would.
    fn send(&mut self, host: Host, request: &Request) -> Result<Answer, String> {
        let dropped = || format!("{host} answered nothing to {} {}", request.method, request.path);
        let Response::Answer(mut answer) = handle(&mut self.world, host, request, self.now) else {
            return Err(dropped());
        };
        self.now = answer.ready_at.unwrap_or(self.now).max(self.now);
        if let Some(then) = answer.then.take() {
            answer = handle(&mut self.world, host, &then, self.now).answer().ok_or_else(dropped)?;
        }
        Ok(answer)
    }

    fn play(&mut self, step: &Move) -> Result<(), String> {
        match step {
            Move::Send(host, request) => _ = self.send(*host, request)?,
            Move::Until(host, request, status, wanted) => {
                return self.until(*host, request, *status, wanted.as_ref());
            }
            Move::Pass { millis } => self.pass(*millis),
            Move::BrokerDown(node) => _ = self.world.faults.brokers_down.insert(*node),
            Move::BrokerUp(node) => _ = self.world.faults.brokers_down.remove(node),
            Move::Partial(name) => _ = self.world.faults.snapshots_partial.insert((*name).to_owned()),
        }
        self.world.advance(self.now);
        Ok(())
    }

    fn until(
        &mut self,
        host: Host,
        request: &Request,
        status: u16,
        wanted: Option<&(&'static str, Value)>,
    ) -> Result<(), String> {
        for _ in 0..6_000 {
            let answer = self.send(host, request)?;
            let there = |(at, value): &(&str, Value)| answer.value().pointer(at) == Some(value);
            if answer.status == status && wanted.is_none_or(there) {
                return Ok(());
            }
            self.pass(10);
        }
        Err(format!("{} {} never became {status} {wanted:?}", request.method, request.path))
    }
}
