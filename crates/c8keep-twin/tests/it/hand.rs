//! A hand at the twin's keyboard: the documented calls, by virtual time. It knows nothing of c8keep's plans.

use c8keep_twin::page::Call;
pub use c8keep_twin::page::{SPLIT, Step, UNIFIED};
use c8keep_twin::{Answer, Config, Host, Request, World, handle};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// A world and the instant at which it is.
pub struct Bench {
    pub world: World,
    pub now: Timestamp,
}

impl Bench {
    pub fn new(config: Config) -> Self {
        let now = "2026-11-22T12:00:00Z".parse().expect("a fixed instant");
        let mut world = World::new(config);
        world.advance(now);
        Self { world, now }
    }

    pub fn pass(&mut self, millis: i64) {
        self.now += SignedDuration::from_millis(millis);
        self.world.advance(self.now);
    }

    pub fn send(&mut self, host: Host, request: &Request) -> Answer {
        handle(&mut self.world, host, request, self.now).answer().expect("an answer")
    }

    pub fn get(&mut self, host: Host, path: &str) -> Answer {
        self.send(host, &Request::get(path))
    }

    pub fn post(&mut self, host: Host, path: &str, body: &Value) -> Answer {
        self.send(host, &Request::new("POST", path).json(body))
    }

    /// Asks again and again, for at most two virtual minutes, until the answer's state is the wanted one.
    pub fn wait(&mut self, host: Host, path: &str, at: &str, wanted: &str) {
        for _ in 0..480 {
            if self.get(host, path).value().pointer(at).and_then(Value::as_str) == Some(wanted) {
                return;
            }
            self.pass(250);
        }
        panic!("{path} never became {wanted}: {}", self.get(host, path).value());
    }

    pub fn step(&mut self, step: Step, id: u64) {
        for call in step.calls(self.world.config(), id) {
            match call {
                Call::Send(host, request) => _ = self.send(host, &request),
                Call::Await { host, path, at, wanted } => self.wait(host, &path, at, wanted),
            }
        }
        // A caller is never infinitely fast.
        self.pass(20);
    }

    pub fn run(&mut self, steps: &[Step], id: u64) {
        for step in steps {
            self.step(*step, id);
        }
    }
}

/// A small installation whose rhythm and stage times depend on the seed.
pub fn seeded(base: Config, seed: u64) -> Config {
    let vary = |value: u32, salt: u64| {
        value / 2 + u32::try_from((seed + 1) * (salt * 7919 + 13) % 1_000).expect("small") * value / 1_000
    };
    let mut config = base;
    config.seed = seed;
    config.load = 30;
    config.warm_up_ms = 2_000;
    config.partitions = 2 + u32::try_from(seed % 2).expect("small");
    config.optimize = seed.is_multiple_of(3);
    config.durations.records = vary(800, 1);
    config.durations.runtime = vary(1_500, 2);
    config.durations.runtime_appears = vary(400, 3);
    config.durations.history_parts = (0..6).map(|part| vary(250, 4 + part)).collect();
    config.rhythm.snapshot = vary(1_500, 11);
    config.rhythm.snapshot_takes = vary(300, 12);
    config.rhythm.export = vary(300, 13);
    config.rhythm.import = vary(500, 14);
    config
}
