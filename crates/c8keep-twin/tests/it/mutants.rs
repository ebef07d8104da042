//! Every drop and every adjacent swap of the ten steps of the page "Create a backup" (8.8), each classified beforehand.
//!
//! A harmful one that never shows in any seed is a hole in the twin; a harmless one that shows is a lie of the oracle.

use c8keep_twin::{Config, LossKind, Verdict};

use crate::hand::{Bench, Step, UNIFIED, seeded};

/// What a wrong order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    Loses(LossKind),
    /// Nothing is lost, but exporting stays paused.
    LeavesPaused,
}

use Does::{LeavesPaused, Loses, Nothing};
use LossKind::{Ghost, Lost, Missing};

/// By number of the page's step: leaving it out.
const DROPS: [Does; 10] = [
    Loses(Lost),    // 1 pause
    Loses(Missing), // 2 history
    Loses(Missing), // 3 Optimize
    Loses(Ghost),   // 4 wait for the history
    Loses(Ghost),   // 5 wait for Optimize
    Loses(Missing), // 6 records
    Loses(Ghost),   // 7 wait for the records: here step 6 does not wait
    Loses(Missing), // 8 runtime
    Loses(Lost),    // 9 wait for the runtime backup: resuming right after its start
    LeavesPaused,   // 10 resume
];

/// Swapping a step with the one after it.
const SWAPS: [Does; 9] = [
    Loses(Lost),  // 1-2 the history begins before the pause
    Nothing,      // 2-3
    Nothing,      // 3-4
    Nothing,      // 4-5
    Nothing, // 5-6 Optimize still ends before the checkpoint, and under the pause its source is exported again
    Nothing, // 6-7 with a wait for records that were not begun: the script then waits inside step 6
    Loses(Ghost), // 7-8 the runtime backup begins before the records are complete
    Nothing, // 8-9 likewise a wait for what was not begun
    Loses(Lost), // 9-10 resuming before the runtime backup is complete
];

fn take(steps: &[Step], seed: u64) -> Verdict {
    let mut config = seeded(Config::seed_8_8(), seed);
    config.optimize = true;
    // Sometimes Optimize is what takes longest, sometimes the history.
    config.durations.optimize_parts = if seed.is_multiple_of(2) { vec![900, 1_200] } else { vec![60, 60] };
    let mut bench = Bench::new(config);
    for step in steps {
        bench.step(*step, 100);
        // Some callers are slow.
        bench.pass(if seed.is_multiple_of(3) { 1_000 } else { 0 });
    }
    bench.pass(8_000);
    bench.world.restore(100)
}

/// A wait for something that was not begun ends at once in the script; waiting is then the next step's own matter.
fn settle(steps: &[Step]) -> Vec<Step> {
    let mut settled = Vec::new();
    let mut owed = Vec::new();
    for step in steps {
        match step.waits_for() {
            Some(begin) if !settled.contains(&begin) => owed.push((begin, *step)),
            _ => {
                settled.push(*step);
                let due = owed.iter().find(|(begin, _)| begin == step).map(|(_, wait)| *wait);
                settled.extend(due.filter(|_| steps.contains(step)));
            }
        }
    }
    settled
}

/// The first seed that shows the wanted kind, out of 200.
fn shows(steps: &[Step], wanted: LossKind) -> Option<u64> {
    (0..200).find(|seed| take(steps, *seed).has(wanted))
}

fn check(name: &str, steps: &[Step], does: Does, wrong: &mut Vec<String>) {
    match does {
        Loses(kind) if shows(steps, kind).is_none() => wrong.push(format!("{name} never shows {kind}")),
        Loses(_) => {}
        Nothing | LeavesPaused => {
            if let Some(verdict) = (0..30).map(|seed| take(steps, seed)).find(|verdict| !verdict.whole()) {
                wrong.push(format!("{name} should be harmless: {verdict}"));
            }
        }
    }
}

#[test]
fn every_step_left_out_does_what_is_expected_of_it() {
    let mut wrong = Vec::new();
    for (place, does) in DROPS.into_iter().enumerate() {
        let mut steps = UNIFIED.to_vec();
        let gone = steps.remove(place);
        check(&format!("without {} {gone:?}", place + 1), &settle(&steps), does, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_swap_of_neighbours_does_what_is_expected_of_it() {
    let mut wrong = Vec::new();
    for (place, does) in SWAPS.into_iter().enumerate() {
        let mut steps = UNIFIED.to_vec();
        steps.swap(place, place + 1);
        check(&format!("swap {}-{}", place + 1, place + 2), &settle(&steps), does, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
