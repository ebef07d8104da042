//! The soft-pause witness behaves as it did on a real broker of 8.6.0.

use c8keep_twin::{Config, Host};
use serde_json::Value;

use crate::hand::{Bench, SPLIT, Step, seeded};

fn exported(bench: &mut Bench) -> Vec<i64> {
    let body = bench.get(Host::Broker(0), "/actuator/partitions").value();
    let partitions = body.as_object().expect("partitions");
    partitions.values().map(|status| status["exportedPosition"].as_i64().expect("a position")).collect()
}

/// The exported positions inside the runtime backup, by partition.
fn saved(bench: &mut Bench) -> Vec<i64> {
    let body = bench.get(Host::Broker(0), "/actuator/backups/100").value();
    let mut details = body["details"].as_array().expect("details").clone();
    details.sort_by_key(|detail| detail["partitionId"].as_i64());
    let fourth = |detail: &Value| detail["snapshotId"].as_str()?.split('-').nth(3)?.parse().ok();
    details.iter().map(|detail| fourth(detail).expect("a snapshot id")).collect()
}

#[test]
fn the_exported_position_is_frozen_from_pause_to_resume() {
    let mut bench = Bench::new(seeded(Config::demo_8_6(), 3));
    bench.step(Step::Pause, 100);
    let frozen = exported(&mut bench);
    for _ in 0..20 {
        bench.pass(500);
        assert_eq!(exported(&mut bench), frozen);
    }
    bench.step(Step::Resume, 100);
    assert!(exported(&mut bench).iter().zip(&frozen).all(|(after, before)| after > before));
}

#[test]
fn the_runtime_backup_holds_no_more_than_was_frozen() {
    for seed in 0..30 {
        let mut bench = Bench::new(seeded(Config::demo_8_6(), seed));
        bench.run(&SPLIT[..5], 100);
        let frozen = exported(&mut bench);
        bench.run(&SPLIT[5..], 100);
        assert!(saved(&mut bench).iter().zip(&frozen).all(|(saved, frozen)| saved <= frozen), "seed {seed}");
    }
}

#[test]
fn without_the_pause_it_holds_more() {
    let beyond = (0..30).any(|seed| {
        let mut bench = Bench::new(seeded(Config::demo_8_6(), seed));
        bench.run(&SPLIT[..4], 100);
        let read = exported(&mut bench);
        bench.run(&SPLIT[5..9], 100);
        saved(&mut bench).iter().zip(&read).any(|(saved, read)| saved > read)
    });
    assert!(beyond);
}

#[test]
fn a_soft_pause_goes_on_exporting() {
    let mut bench = Bench::new(seeded(Config::demo_8_6(), 4));
    bench.step(Step::Pause, 100);
    let count =
        |bench: &mut Bench| bench.get(Host::Search, "/zeebe-record*/_count").value()["count"].as_u64();
    let before = count(&mut bench);
    bench.pass(3_000);
    assert!(count(&mut bench) > before);
}

#[test]
fn a_hard_pause_stops_exporting() {
    let mut bench = Bench::new(seeded(Config::demo_8_6(), 4));
    bench.post(Host::Gateway, "/actuator/exporting/pause", &Value::Null);
    let count =
        |bench: &mut Bench| bench.get(Host::Search, "/zeebe-record*/_count").value()["count"].as_u64();
    let before = count(&mut bench);
    bench.pass(3_000);
    assert_eq!(count(&mut bench), before);
}

#[test]
fn an_idle_installation_takes_no_further_local_snapshots() {
    let mut bench = Bench::new(Config { load: 0, ..seeded(Config::demo_8_6(), 4) });
    bench.world.set_load(50, bench.now);
    bench.pass(5_000);
    bench.world.set_load(0, bench.now);
    bench.pass(20_000);
    let snapshots = |bench: &mut Bench| {
        let body = bench.get(Host::Broker(0), "/actuator/partitions").value();
        [body["1"]["snapshotId"].clone(), body["2"]["snapshotId"].clone()]
    };
    let before = snapshots(&mut bench);
    assert!(before.iter().all(Value::is_string), "{before:?}");
    bench.post(Host::Gateway, "/actuator/exporting/pause?soft=true", &Value::Null);
    bench.pass(60_000);
    assert_eq!(snapshots(&mut bench), before);
}
