//! Fault lists that are enumerated and not drawn: every single fault on every topology, and every pair on one.

use crate::many::Case;
use crate::setting::{Setting, TOPOLOGIES};
use crate::simulate::calm;
use crate::weather::{Fault, OWN, TROUBLES, WIRES, What};

/// The seed of all listed nights.
const SEED: u64 = 8_600;
/// The topology of the pairs: three brokers, everything in the window.
const PAIRED: usize = 3;

/// Every single fault at every event of a calm night that can matter to it.
pub fn singles() -> Vec<Case> {
    (0..TOPOLOGIES)
        .flat_map(|topology| {
            let setting = Setting::at(topology, SEED);
            let faults = faults(topology, 1);
            faults.into_iter().map(move |fault| Case { setting: setting.clone(), faults: vec![fault] })
        })
        .collect()
}

/// Every pair of a thinned list, on one topology.
pub fn pairs() -> Vec<Case> {
    let setting = Setting::at(PAIRED, SEED);
    let faults = thinned(faults(PAIRED, 1), PAIRS_OF);
    let mut cases = Vec::new();
    for (place, first) in faults.iter().enumerate() {
        for second in &faults[place + 1..] {
            cases.push(Case { setting: setting.clone(), faults: vec![*first, *second] });
        }
    }
    cases
}

/// So many faults make some 31,000 pairs.
const PAIRS_OF: usize = 250;

fn faults(topology: usize, every: usize) -> Vec<Fault> {
    let (first, last) = calm(topology);
    let events = (first..=last).step_by(every);
    let mut faults = Vec::new();
    for at in events {
        // Death at every event: each step's boundary and the middle of every performance.
        faults.push(Fault { at, what: What::Kill });
        let place = usize::try_from(at).unwrap_or(0);
        // Of all else, one a time at each event, in turn: over all events each meets every phase of a run.
        faults.push(Fault { at, what: What::Wire(WIRES[place % WIRES.len()]) });
        faults.push(Fault { at, what: What::Wire(WIRES[(place + 5) % WIRES.len()]) });
        faults.push(Fault { at, what: What::Trouble(TROUBLES[place % TROUBLES.len()], 0) });
        faults.push(Fault { at, what: What::Trouble(TROUBLES[(place + 7) % TROUBLES.len()], 25_000) });
        faults.push(Fault { at, what: OWN[place % OWN.len()] });
    }
    faults
}

fn thinned(faults: Vec<Fault>, wanted: usize) -> Vec<Fault> {
    let all = faults.len();
    let keep = |place: usize| place * wanted / all != (place + 1) * wanted / all;
    faults.into_iter().enumerate().filter(|(place, _)| keep(*place)).map(|(_, fault)| fault).collect()
}
