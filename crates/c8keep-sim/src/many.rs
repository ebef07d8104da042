//! Many nights on all cores: which of them broke a promise, and what they met.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::simulate::run;
use crate::{Fault, Report, Setting, Violation};

/// One night to be played.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where.
    pub setting: Setting,
    /// With what.
    pub faults: Vec<Fault>,
}

/// A night that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The night.
    pub case: Case,
    /// What was broken.
    pub violations: Vec<Violation>,
}

/// What many nights came to.
#[derive(Debug, Default)]
pub struct Sum {
    /// How many nights.
    pub nights: u64,
    /// The first few that broke a promise, in order.
    pub failures: Vec<(u64, Failure)>,
    /// How many broke one.
    pub failed: u64,
    /// In how many nights each rare thing happened.
    pub seen: BTreeMap<&'static str, u64>,
    /// Events in all of them.
    pub events: u64,
    /// Seconds on the nights' clocks.
    pub seconds: u64,
    /// Nights that were played twice and compared.
    pub twice: u64,
}

/// How many failures are kept.
const FAILURES_MAX: usize = 10;
/// Every so many nights one is played again, and must be the same.
const TWICE_EVERY: u64 = 100;

/// Plays `count` nights; `case` makes each from its number.
pub fn play(count: u64, threads: usize, case: impl Fn(u64) -> Case + Sync) -> Sum {
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut own = Sum::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    own.add(number, case(number));
                }
                sum.lock().unwrap_or_else(PoisonError::into_inner).join(own);
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    sum.failures.sort_by_key(|(number, _)| *number);
    sum
}

/// Does the same for every number below `count`, on so many threads; the results in order.
pub fn in_parallel<T: Send>(count: usize, threads: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        break;
                    }
                    let result = of(place);
                    done.lock().unwrap_or_else(PoisonError::into_inner).insert(place, result);
                }
            });
        }
    });
    done.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect()
}

impl Sum {
    fn add(&mut self, number: u64, case: Case) {
        let mut report = run(&case.setting, &case.faults, false);
        if number.is_multiple_of(TWICE_EVERY) {
            self.twice += 1;
            let again = run(&case.setting, &case.faults, false);
            if again.hash != report.hash {
                let what = "two runs of one night differ".to_owned();
                report.violations.push(Violation { check: "determinism", what });
            }
        }
        self.count(&report);
        if !report.violations.is_empty() {
            self.failed += 1;
            if self.failures.len() < FAILURES_MAX {
                self.failures.push((number, Failure { case, violations: report.violations }));
            }
        }
    }

    fn count(&mut self, report: &Report) {
        self.nights += 1;
        self.events += u64::from(report.events);
        self.seconds += u64::try_from(report.length.as_secs()).unwrap_or(0);
        for what in &report.seen {
            *self.seen.entry(what).or_default() += 1;
        }
    }

    fn join(&mut self, other: Sum) {
        self.nights += other.nights;
        self.failed += other.failed;
        self.events += other.events;
        self.seconds += other.seconds;
        self.twice += other.twice;
        self.failures.extend(other.failures);
        for (what, count) in other.seen {
            *self.seen.entry(what).or_default() += count;
        }
    }
}

/// The shortest list of faults found that still breaks the same promise.
pub fn shrink(case: &Case, check: &str) -> Vec<Fault> {
    let breaks = |faults: &[Fault]| {
        run(&case.setting, faults, false).violations.iter().any(|violation| violation.check == check)
    };
    let mut faults = case.faults.clone();
    let mut place = 0;
    while place < faults.len() {
        let mut fewer = faults.clone();
        fewer.remove(place);
        if breaks(&fewer) {
            faults = fewer;
            place = 0;
        } else {
            place += 1;
        }
    }
    faults
}
