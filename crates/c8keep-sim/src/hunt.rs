//! The hunt for mutants: nights with the weather that each of them needs to be found out, and little else.
//!
//! The same nights are played with c8keep as it is, too: a promise that they break without the mutant tells nothing of it.

use crate::dice::Dice;
use crate::many::{Case, play};
use crate::mutants::Mutant;
use crate::simulate::calm;
use crate::{Fault, Setting};

/// Every mutant must be found out within so many nights.
pub const NIGHTS_MAX: u64 = 2_000;
/// They are looked at in portions, and one that is found out is left alone.
const PORTION: u64 = 100;

/// How a mutant was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In which night, counted from 1.
    pub night: u64,
    /// By which promise.
    pub check: &'static str,
    /// In how many of its portion's nights.
    pub nights: u64,
    /// The nights of the portion.
    pub of: u64,
}

/// How a hunt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hunt {
    /// It broke a promise of its own.
    Dead(Found),
    /// No promise of its own was broken.
    Alive,
    /// The nights are of no use: c8keep itself breaks this promise in them.
    Useless(&'static str),
}

/// Plays until the mutant is found out.
pub fn hunt(mutant: Mutant, threads: usize) -> Hunt {
    let mut played = 0;
    while played < NIGHTS_MAX {
        let sum = play(PORTION, threads, |n| night(mutant, played + n, true));
        // Failures are kept in order, and the first few are enough to see the first one.
        let own = sum.failures.iter().find_map(|(number, failure)| {
            let broken = failure.violations.iter().map(|violation| violation.check);
            Some((*number, broken.into_iter().find(|check| mutant.breaks().contains(check))?))
        });
        if let Some((number, check)) = own {
            let sane = play(PORTION, threads, |n| night(mutant, played + n, false));
            let broken = sane.failures.first().and_then(|(_, failure)| failure.violations.first());
            return match broken {
                Some(violation) => Hunt::Useless(violation.check),
                None => {
                    Hunt::Dead(Found { night: played + number + 1, check, nights: sum.failed, of: PORTION })
                }
            };
        }
        played += PORTION;
    }
    Hunt::Alive
}

/// One of a mutant's nights, with or without it.
pub fn night(mutant: Mutant, seed: u64, broken: bool) -> Case {
    let setting = Setting::of(seed);
    let between_hosts = setting.between_hosts || mutant.needs_hosts();
    let setting = Setting { mutant: broken.then_some(mutant), between_hosts, ..setting };
    let (_, last) = calm(setting.topology);
    let mut dice = Dice::new(seed, "hunt");
    let mut at = || 1 + u32::try_from(dice.below(u64::from(last))).unwrap_or(0);
    let mut places: Vec<u32> = mutant.weather().iter().map(|_| at()).collect();
    places.sort_unstable();
    let faults = mutant.weather().iter().zip(places).map(|(what, at)| Fault { at, what: *what }).collect();
    Case { setting, faults }
}
