//! The witness, put to the test: whatever happens in the window, "proven" must mean that nothing is lost.

use std::collections::BTreeMap;

use c8keep_twin::{Config, Host, LossKind, Request, handle};
use serde_json::Value;

use crate::hand::{Bench, SPLIT, Step, UNIFIED, seeded};

type Positions = BTreeMap<String, u64>;

/// The highest exported position that any reached broker tells, for each partition.
fn told(bench: &mut Bench) -> Positions {
    let mut highest = Positions::new();
    for node in 0..bench.world.config().brokers {
        let request = Request::get("/actuator/partitions");
        let answer = handle(&mut bench.world, Host::Broker(node), &request, bench.now).answer();
        let body = answer.map_or(Value::Null, |answer| answer.value());
        for (partition, status) in body.as_object().into_iter().flatten() {
            let position = status["exportedPosition"].as_u64().unwrap_or(0);
            let known = highest.entry(partition.clone()).or_default();
            *known = position.max(*known);
        }
    }
    highest
}

/// The exported positions inside the runtime backup; a partition without a snapshot has exported nothing.
fn saved(bench: &mut Bench, path: &str) -> Positions {
    let body = bench.get(Host::Gateway, path).value();
    let details = body["details"].as_array().cloned().unwrap_or_default();
    let position = |detail: &Value| detail["snapshotId"].as_str()?.split('-').nth(3)?.parse().ok();
    details.iter().map(|detail| (detail["partitionId"].to_string(), position(detail).unwrap_or(0))).collect()
}

/// A small generator of its own; the world's must not be asked.
fn dice(state: &mut u64, sides: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % sides
}

/// Somebody or something does what it must not in the window.
fn disturb(bench: &mut Bench, state: &mut u64) {
    let path = match dice(state, 12) {
        0 | 1 => "/actuator/exporting/resume",
        2 => "/actuator/exporting/pause?soft=true",
        3 | 4 => {
            let broker = u32::try_from(dice(state, 3)).expect("small");
            bench.world.faults.brokers_down.insert(broker);
            return bench.pass(i64::try_from(dice(state, 12_000)).expect("small"));
        }
        5 => {
            bench.world.faults.brokers_down.clear();
            return bench.pass(i64::try_from(dice(state, 3_000)).expect("small"));
        }
        _ => return bench.pass(i64::try_from(dice(state, 1_500)).expect("small")),
    };
    handle(&mut bench.world, Host::Gateway, &Request::new("POST", path), bench.now);
}

/// Runs one disturbed backup: whether it was proven, and whether anything was lost.
fn trial(base: &Config, steps: &[Step], seed: u64) -> Option<(bool, bool)> {
    let mut state = seed.wrapping_mul(977) + 1;
    let mut config = seeded(base.clone(), seed);
    (config.brokers, config.partitions, config.replication) = (3, 3, 3);
    let path = if config.unified() { "/actuator/backupRuntime/100" } else { "/actuator/backups/100" };
    let mut bench = Bench::new(config);
    let mut read = Positions::new();
    for step in steps {
        if *step == Step::WaitRuntime {
            // A leader change may have failed the backup; that is another matter than a false proof.
            bench.pass(10_000);
            if bench.get(Host::Gateway, path).value()["state"] != "COMPLETED" {
                return None;
            }
            continue;
        }
        bench.step(*step, 100);
        if *step == Step::Pause {
            read = told(&mut bench);
        }
        let window = !read.is_empty() && *step != Step::Runtime;
        if window && bench.world.faults.brokers_down.len() < 2 {
            disturb(&mut bench, &mut state);
        }
        if bench.world.faults.brokers_down.len() > 1 {
            bench.world.faults.brokers_down.clear();
        }
    }
    let saved = saved(&mut bench, path);
    let proven = saved.len() == 3 && saved.iter().all(|(partition, held)| read.get(partition) >= Some(held));
    Some((proven, bench.world.restore(100).has(LossKind::Lost)))
}

fn proven_means_nothing_is_lost(base: &Config, steps: &[Step]) {
    let mut seen: BTreeMap<(bool, bool), u32> = BTreeMap::new();
    for seed in 0..80 {
        let Some(outcome) = trial(base, steps, seed) else { continue };
        assert_ne!(outcome, (true, true), "seed {seed}: proven, and yet something is lost");
        *seen.entry(outcome).or_default() += 1;
    }
    // Without enough of both the test would say nothing.
    assert!(seen.get(&(true, false)) > Some(&8) && seen.get(&(false, true)) > Some(&2), "{seen:?}");
}

#[test]
fn proven_means_that_nothing_is_lost_on_8_6() {
    proven_means_nothing_is_lost(&Config::demo_8_6(), SPLIT);
}

#[test]
fn proven_means_that_nothing_is_lost_on_8_8() {
    proven_means_nothing_is_lost(&Config::seed_8_8(), UNIFIED);
}
