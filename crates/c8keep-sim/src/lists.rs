//! Fault lists that are enumerated and not drawn: every single fault on every topology, and every pair on one.

use c8keep_engine::open_runs::Taking;

use crate::many::Case;
use crate::setting::{Setting, TOPOLOGIES};
use crate::simulate::run;
use crate::weather::{self, Fault, WIRES, What};

/// The seed of all listed nights.
const SEED: u64 = 8_600;
/// The topology of the pairs: three brokers, everything in the window.
const PAIRED: usize = 3;

/// Every single fault at every event of a calm night that can matter to it, in both ways to live: on one host that finishes
/// what it finds open, and on several that release it.
pub fn singles() -> Vec<Case> {
    let settings = (0..TOPOLOGIES).flat_map(|topology| [on_one_host(topology), between_hosts(topology)]);
    settings
        .flat_map(|setting| {
            let faults = faults(&setting);
            faults.into_iter().map(move |fault| Case { setting: setting.clone(), faults: vec![fault] })
        })
        .collect()
}

/// Every pair of a thinned list, on one topology.
pub fn pairs() -> Vec<Case> {
    let setting = on_one_host(PAIRED);
    let faults = thinned(faults(&setting), PAIRS_OF);
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

fn on_one_host(topology: usize) -> Setting {
    Setting { taking: Taking::Finish, between_hosts: false, ..Setting::at(topology, SEED) }
}

fn between_hosts(topology: usize) -> Setting {
    let setting = Setting::at(topology, SEED).in_the_other_version();
    Setting { taking: Taking::Release, between_hosts: true, ..setting }
}

/// How many kinds of fault beside death are played at each event, in turn.
const KINDS_AT_ONCE: usize = 5;

/// By the events of the very night that they are played in.
fn faults(setting: &Setting) -> Vec<Fault> {
    let calm = run(setting, &[], true);
    let kinds: Vec<What> = weather::all().into_iter().filter(|what| *what != What::Kill).collect();
    let mut turns = kinds.iter().cycle();
    let mut faults = Vec::new();
    for at in calm.opened_at..=calm.events {
        // Death at every event: each step's boundary and the middle of every performance.
        faults.push(Fault { at, what: What::Kill });
        faults.extend(turns.by_ref().take(KINDS_AT_ONCE).map(|what| Fault { at, what: *what }));
    }
    let changing = calm.lines.iter().filter_map(|line| changing(line)).filter(|at| *at > calm.opened_at);
    // The request after that event is the one that it hits.
    let hits = changing.flat_map(|at| WIRES.map(|wire| Fault { at: at - 1, what: What::Wire(wire) }));
    faults.extend(hits);
    faults.sort_unstable();
    faults.dedup();
    faults
}

/// The number of the event in which a request is sent that changes something.
fn changing(line: &str) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let number = words.next()?.parse().ok()?;
    let (_, what, method) = (words.next()?, words.next()?, words.next()?);
    (what == "sends" && matches!(method, "POST" | "PUT")).then_some(number)
}

fn thinned(faults: Vec<Fault>, wanted: usize) -> Vec<Fault> {
    let all = faults.len();
    let keep = |place: usize| place * wanted / all != (place + 1) * wanted / all;
    faults.into_iter().enumerate().filter(|(place, _)| keep(*place)).map(|(_, fault)| fault).collect()
}
