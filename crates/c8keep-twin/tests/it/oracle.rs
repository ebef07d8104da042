//! The oracle proves itself: the documented orders lose nothing in any seed, the wrong ones lose something in some.

use std::collections::BTreeSet;

use c8keep_twin::{Config, LossKind, Verdict};

use crate::hand::{Bench, SPLIT, Step, UNIFIED, seeded};

fn take(base: &Config, steps: &[Step], seed: u64) -> Verdict {
    let mut bench = Bench::new(seeded(base.clone(), seed));
    bench.run(steps, 100);
    bench.pass(1_000);
    bench.world.restore(100)
}

/// The kinds of loss seen over the seeds, ending early once the wanted one was seen.
fn kinds(base: &Config, steps: &[Step], wanted: LossKind) -> BTreeSet<LossKind> {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let verdict = take(base, steps, seed);
        seen.extend(verdict.losses.iter().map(|loss| loss.kind));
        if seen.contains(&wanted) {
            break;
        }
    }
    seen
}

fn without(steps: &[Step], gone: &[Step]) -> Vec<Step> {
    steps.iter().copied().filter(|step| !gone.contains(step)).collect()
}

/// The steps with one taken out and put before another.
fn moved(steps: &[Step], step: Step, before: Step) -> Vec<Step> {
    let mut rest = without(steps, &[step]);
    let at = rest.iter().position(|other| *other == before).expect("a step of the script");
    rest.insert(at, step);
    rest
}

fn assert_whole(base: &Config, steps: &[Step]) {
    for seed in 0..50 {
        let verdict = take(base, steps, seed);
        assert!(verdict.whole(), "seed {seed}: {verdict}");
        assert!(verdict.instances_at_checkpoint > 60, "seed {seed}: nothing happened: {verdict}");
        assert_eq!(verdict.instances_restored, verdict.instances_at_checkpoint, "seed {seed}: {verdict}");
    }
}

#[test]
fn the_documented_order_of_8_6_loses_nothing() {
    assert_whole(&Config::demo_8_6(), SPLIT);
}

#[test]
fn the_documented_order_of_8_8_loses_nothing() {
    assert_whole(&Config::seed_8_8(), UNIFIED);
}

#[test]
fn harmless_swaps_of_8_8_lose_nothing() {
    assert_whole(&Config::seed_8_8(), &moved(UNIFIED, Step::Optimize, Step::History));
    assert_whole(&Config::seed_8_8(), &moved(UNIFIED, Step::WaitOptimize, Step::WaitHistory));
}

#[test]
fn without_the_pause_records_are_lost() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        assert!(kinds(&base, &without(steps, &[Step::Pause]), LossKind::Lost).contains(&LossKind::Lost));
    }
}

#[test]
fn a_pause_after_the_history_loses_history_from_8_8_on() {
    let late = moved(UNIFIED, Step::Pause, Step::Records);
    assert!(kinds(&Config::seed_8_8(), &late, LossKind::Lost).contains(&LossKind::Lost));
}

#[test]
fn a_pause_after_the_records_loses_records() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        let late = moved(steps, Step::Pause, Step::Runtime);
        assert!(kinds(&base, &late, LossKind::Lost).contains(&LossKind::Lost));
    }
}

#[test]
fn resuming_before_the_runtime_backup_loses_records() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        let early = moved(steps, Step::Resume, Step::Runtime);
        assert!(kinds(&base, &early, LossKind::Lost).contains(&LossKind::Lost));
    }
}

#[test]
fn resuming_before_the_runtime_backup_is_complete_loses_records_in_some_seed() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        let early = moved(steps, Step::Resume, Step::WaitRuntime);
        assert!(kinds(&base, &early, LossKind::Lost).contains(&LossKind::Lost));
    }
}

#[test]
fn records_after_the_runtime_backup_bring_ghosts() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        let late = moved(&moved(steps, Step::Runtime, Step::Records), Step::WaitRuntime, Step::Records);
        assert!(kinds(&base, &late, LossKind::Ghost).contains(&LossKind::Ghost));
    }
}

#[test]
fn history_after_the_runtime_backup_brings_ghosts() {
    for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
        let late = moved(&moved(steps, Step::History, Step::Resume), Step::WaitHistory, Step::Resume);
        assert!(kinds(&base, &late, LossKind::Ghost).contains(&LossKind::Ghost));
    }
}

#[test]
fn not_waiting_for_the_records_brings_ghosts() {
    let hasty = without(SPLIT, &[Step::WaitRecords]);
    assert!(kinds(&Config::demo_8_6(), &hasty, LossKind::Ghost).contains(&LossKind::Ghost));
}

#[test]
fn what_was_never_taken_is_missing() {
    let optimize = [Step::Optimize, Step::WaitOptimize];
    let history = [Step::History, Step::WaitHistory];
    let records = [Step::Records, Step::WaitRecords];
    let runtime = [Step::Runtime, Step::WaitRuntime];
    for gone in [optimize, history, records, runtime] {
        for (base, steps) in [(Config::demo_8_6(), SPLIT), (Config::seed_8_8(), UNIFIED)] {
            // Seed 0 has Optimize.
            let verdict = take(&base, &without(steps, &gone), 0);
            assert!(verdict.has(LossKind::Missing), "{gone:?}: {verdict}");
        }
    }
}

#[test]
fn a_failed_partition_is_missing_and_nothing_is_restored() {
    let mut bench = Bench::new(seeded(Config::demo_8_6(), 1));
    bench.world.faults.partitions_failing.insert(2);
    bench.run(&without(SPLIT, &[Step::WaitRuntime]), 100);
    bench.pass(5_000);
    let verdict = bench.world.restore(100);
    assert!(verdict.has(LossKind::Missing), "{verdict}");
    assert_eq!(verdict.instances_restored, 0);
    assert!(verdict.to_string().contains("MISSING runtime backup 100: partition 2 failed"), "{verdict}");
}

#[test]
fn a_log_that_is_not_reserved_leaves_a_gap() {
    let seen = (0..200).any(|seed| {
        let mut bench = Bench::new(seeded(Config::demo_8_6(), seed));
        bench.world.faults.log_not_reserved = true;
        bench.run(&moved(SPLIT, Step::Resume, Step::WaitRuntime), 100);
        bench.world.restore(100).has(LossKind::Gap)
    });
    assert!(seen);
}

#[test]
fn a_checkpoint_that_does_not_travel_tears_messages() {
    let seen = (0..200).any(|seed| {
        let mut config = seeded(Config::demo_8_6(), seed);
        config.load = 200;
        let mut bench = Bench::new(config);
        bench.world.faults.checkpoints_do_not_travel = true;
        bench.run(SPLIT, 100);
        bench.world.restore(100).has(LossKind::Torn)
    });
    assert!(seen);
}

#[test]
fn the_world_does_not_depend_on_how_often_it_is_looked_at() {
    let config = seeded(Config::seed_8_8(), 7);
    let mut often = Bench::new(config.clone());
    let mut rarely = Bench::new(config);
    for bench in [&mut often, &mut rarely] {
        bench.run(&without(UNIFIED, &[Step::Resume]), 100);
    }
    (0..400).for_each(|_| often.pass(25));
    rarely.pass(10_000);
    for bench in [&mut often, &mut rarely] {
        bench.step(Step::Resume, 100);
    }
    let path = "/_cat/indices?format=json&h=index,docs.count";
    assert_eq!(often.get(c8keep_twin::Host::Search, path), rarely.get(c8keep_twin::Host::Search, path));
    let path = "/actuator/partitions";
    assert_eq!(often.get(c8keep_twin::Host::Gateway, path), rarely.get(c8keep_twin::Host::Gateway, path));
    assert_eq!(often.world.restore(100), rarely.world.restore(100));
}
