//! A few nights, as a quick look at the simulator itself; the many are played by `cargo xtask sim`.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_sim::coverage::{self, SOMETIMES};
use c8keep_sim::many::{Case, play, shrink};
use c8keep_sim::mutants::Mutant;
use c8keep_sim::orders::Rule;
use c8keep_sim::setting::TOPOLOGIES;
use c8keep_sim::weather::{self, What};
use c8keep_sim::{Fault, Setting, faults_of, hunt, lists, orders, run};

#[test]
fn a_calm_night_ends_complete_on_every_topology() {
    for topology in 0..TOPOLOGIES {
        let report = run(&Setting::at(topology, 1), &[], false);
        assert_eq!(report.violations, [], "topology {topology}");
        assert!(report.seen.contains("a night without faults ended complete"), "topology {topology}");
        assert!(report.seen.contains("a proven backup came back whole"), "topology {topology}");
    }
}

/// Calm nights are enough for what servers of one version say and others do not.
#[test]
fn every_version_is_played_in_its_own_words() {
    let mut seen = BTreeSet::new();
    for seed in 0..32 {
        let report = run(&Setting::of(seed), &[], false);
        assert_eq!(report.violations, [], "seed {seed}");
        seen.extend(report.seen);
    }
    let own = SOMETIMES
        .iter()
        .map(|(what, _)| *what)
        .filter(|what| what.contains("backup of 8.") || what.starts_with("8."));
    let own: BTreeSet<&str> = own.collect();
    assert_eq!(own.len(), 10);
    assert_eq!(own.difference(&seen).collect::<Vec<_>>(), [&""; 0]);
}

/// The listed nights are played in both versions of each order.
#[test]
fn the_other_version_is_of_the_same_order() {
    for topology in 0..TOPOLOGIES {
        let setting = Setting::at(topology, 8_600);
        let other = setting.clone().in_the_other_version();
        assert_ne!(setting.config.version, other.config.version);
        assert_eq!(setting.config.unified(), other.config.unified());
        assert_eq!(run(&other, &[], false).violations, [], "topology {topology}");
    }
}

#[test]
fn one_seed_is_one_night() {
    let hash = |seed, with_lines| {
        let setting = Setting::of(seed);
        let report = run(&setting, &faults_of(&setting), with_lines);
        assert_eq!(report.lines.is_empty(), !with_lines);
        report.hash
    };
    for seed in 0..8 {
        assert_eq!(hash(seed, false), hash(seed, true), "looking on changes nothing");
    }
    assert_ne!(hash(1, false), hash(2, false));
}

#[test]
fn bad_nights_break_no_promise() {
    let sum = play(60, 2, |seed| {
        let setting = Setting::of(seed);
        let faults = faults_of(&setting);
        Case { setting, faults }
    });
    assert!(sum.failures.is_empty(), "{:?}", sum.failures);
    assert_eq!((sum.nights, sum.twice), (60, 1));
    assert!(sum.seen.contains_key("death in the window"), "{:?}", sum.seen);
}

/// Found by seed 1795426058008613: a host goes on with what it had begun, after another host has begun one with a higher id.
#[test]
fn a_run_is_not_gone_on_with_under_an_id_that_is_not_the_highest() {
    let faults = [124, 305].map(|at| Fault { at, what: What::Kill });
    let report = run(&Setting::at(3, 1_795_426_058_008_613), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795446621011149: what an application has accepted and not begun shows nowhere, and a clock that was set back then
/// gives a lower id. That is nobody's mistake; that the brokers are given no lower one is.
#[test]
fn an_id_without_a_trace_is_asked_of_nobody() {
    let faults = [
        Fault { at: 44, what: What::ClockOff(-3600) },
        Fault { at: 54, what: What::Trouble(weather::Trouble::SnapshotsFrozen, 0) },
    ];
    let report = run(&Setting::at(2, 1_795_446_621_011_149), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795435848002736: the only look at exporting fails, and somebody has paused it.
#[test]
fn one_look_that_fails_hides_no_pause() {
    let faults = [
        Fault { at: 85, what: What::Kill },
        Fault { at: 114, what: What::Trouble(weather::Trouble::ForeignPause, 3_000) },
        Fault { at: 176, what: What::Wire(weather::Wire::Unauthorised) },
    ];
    let report = run(&Setting::at(2, 1_795_435_848_002_736), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 77001572: brokers that told of no pause a moment ago are silent when it counts.
#[test]
fn silence_hides_no_pause() {
    let faults = [
        Fault { at: 67, what: What::Kill },
        Fault { at: 92, what: What::Trouble(weather::Trouble::ForeignPause, 3_000) },
        Fault { at: 155, what: What::Trouble(weather::Trouble::BrokerDown(1), 25_000) },
    ];
    let report = run(&Setting::at(2, 77_001_572), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795435848005068: who opens a run in a journal that hangs does not hear a signal.
#[test]
fn a_journal_that_hangs_keeps_nobody_from_stopping() {
    let faults = [(166, What::Kill), (220, What::JournalHangs), (238, What::Signal)]
        .map(|(at, what)| Fault { at, what });
    let report = run(&Setting::at(3, 1_795_435_848_005_068), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795447896008059: a hard pause that somebody else makes is not the pause of ours that is still on its way.
#[test]
fn a_hard_pause_is_not_ours_that_has_landed() {
    let faults = [
        Fault { at: 38, what: What::AtPause(weather::Wire::Late) },
        Fault { at: 100, what: What::Kill },
        Fault { at: 132, what: What::Trouble(weather::Trouble::ForeignHardPause, 25_000) },
        Fault { at: 181, what: What::JournalHangs },
    ];
    let report = run(&Setting::at(2, 1_795_447_896_008_059), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795447896014776: all replicas that are seen paused may be somebody else's work, and ours comes later.
#[test]
fn a_soft_pause_of_somebody_else_is_not_ours_that_has_landed() {
    let faults = [
        Fault { at: 55, what: What::Wire(weather::Wire::TooMany) },
        Fault { at: 58, what: What::AtPause(weather::Wire::Late) },
        Fault { at: 84, what: What::Wire(weather::Wire::Unauthorised) },
        Fault { at: 136, what: What::Trouble(weather::Trouble::ForeignPause, 25_000) },
    ];
    let report = run(&Setting::at(3, 1_795_447_896_014_776), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795450133016755: what tells which cluster it is was not read once, and the run was another cluster's for ever.
#[test]
fn an_installation_that_was_not_told_is_not_guessed() {
    let faults =
        [(5, What::Wire(weather::Wire::FailsInBody)), (121, What::Kill)].map(|(at, what)| Fault { at, what });
    let report = run(&Setting::at(2, 1_795_450_133_016_755), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795457741006255: the endpoint that tells which cluster it is was not found once, and the run that was left open was
/// another cluster's for ever.
#[test]
fn an_endpoint_that_is_listed_and_not_found_is_not_absent() {
    let faults = [(5, What::Wire(weather::Wire::Absent)), (160, What::JournalFails)]
        .map(|(at, what)| Fault { at, what });
    let report = run(&Setting::at(3, 1_795_457_741_006_255), &faults, false);
    assert_eq!(report.violations, []);
}

/// Found by seed 1795450133001175: a run that was left open had its id taken by another host in the same second.
#[test]
fn a_run_whose_id_another_host_has_used_is_not_finished() {
    let faults = [(39, What::VaultTakesAndFails), (91, What::Second)].map(|(at, what)| Fault { at, what });
    let report = run(&Setting::at(2, 1_795_450_133_001_175), &faults, false);
    assert_eq!(report.violations, []);
}

/// A mutant that needs a death to be found out: the list of faults is made as short as that.
#[test]
fn a_broken_promise_is_told_with_the_shortest_list_of_faults() {
    let setting =
        Setting { mutant: Some(Mutant::OpenRunsIgnored), between_hosts: false, ..Setting::at(2, 3) };
    let calm = run(&setting, &[], false);
    assert_eq!(calm.violations, [], "nothing is wrong without a death");
    let kill = Fault { at: u32::midpoint(calm.opened_at, calm.first_ended_at), what: What::Kill };
    let slow = Fault { at: calm.opened_at + 3, what: What::Wire(weather::Wire::Slow) };
    let case = Case { setting, faults: vec![slow, kill] };
    let report = run(&case.setting, &case.faults, false);
    let check = report.violations.first().map(|violation| violation.check);
    assert_eq!(check, Some("L3"), "{:?}", report.violations);
    assert_eq!(shrink(&case, "L3"), [kill]);
}

/// The mutants whose nights are calm: one night is enough to see that the checks still bite.
#[test]
fn what_is_always_wrong_is_found_out_on_a_calm_night() {
    let wrong = [Mutant::IntentAfterEffect, Mutant::HardPause, Mutant::HistoryNotAwaited];
    for mutant in wrong {
        let case = hunt::night(mutant, 0, true);
        let broken: Vec<_> = run(&case.setting, &case.faults, false).violations;
        assert!(
            broken.iter().any(|violation| mutant.breaks().contains(&violation.check)),
            "{mutant:?} {broken:?}"
        );
    }
}

/// All orders are classified by `cargo xtask sim --orders`; here, that each rule has its orders, and that the classification is
/// the page's own where the page speaks.
#[test]
fn orders_are_classified_by_rules_that_are_all_needed() {
    for procedure in orders::PROCEDURES {
        let all = orders::all(procedure);
        assert!(all.len() > 700, "{procedure:?} {}", all.len());
        assert_eq!((all[0].name.as_str(), all[0].breaks().len()), ("as documented", 0));
        let alone = orders::by_rules(&all);
        for rule in [Rule::NotUnderThePause, Rule::PastTheCheckpoint, Rule::PartLeftOut, Rule::NotResumed] {
            assert!(alone.contains_key(&vec![rule]), "{procedure:?} {rule:?}");
        }
        for name in ["without Pause", "without Records", "Resume before Records"] {
            let order = all.iter().find(|order| order.name == name).unwrap();
            let seen = order.play(50);
            assert_eq!(order.judge(&seen), None);
            assert!(!seen.kinds.is_empty(), "{procedure:?} {name}: {seen}");
        }
    }
}

/// An order that does another thing than the rules say is told.
#[test]
fn a_wrong_classification_is_told() {
    let all = orders::all(orders::Procedure::Unified);
    let (good, bad) = (&all[0], all.iter().find(|order| order.name == "without Pause").unwrap());
    let (whole, lossy) = (good.play(1), bad.play(50));
    assert_eq!((good.judge(&whole), bad.judge(&lossy)), (None, None));
    assert!(good.judge(&lossy).is_some_and(|told| told.contains("harmless")));
    assert!(bad.judge(&whole).is_some_and(|told| told.contains("never shows")));
}

#[test]
fn a_fault_is_read_as_it_is_shown() {
    for what in weather::all() {
        let fault = Fault { at: 17, what };
        assert_eq!(fault.to_string().parse(), Ok(fault));
    }
    assert!("17:Nothing".parse::<Fault>().is_err() && "Kill".parse::<Fault>().is_err());
}

#[test]
fn the_lists_hold_every_kind_of_fault() {
    let singles = lists::singles();
    for what in weather::OWN {
        assert!(singles.iter().any(|case| case.faults[0].what == what), "{what:?}");
    }
    for wire in weather::WIRES {
        assert!(singles.iter().any(|case| case.faults[0].what == What::Wire(wire)), "{wire:?}");
    }
    for trouble in weather::TROUBLES {
        let is = |what: What| matches!(what, What::Trouble(of, _) if of == trouble);
        assert!(singles.iter().any(|case| is(case.faults[0].what)), "{trouble:?}");
    }
    let on = |topology| singles.iter().filter(move |case| case.setting.topology == topology).count();
    assert!((0..TOPOLOGIES).all(|topology| on(topology) > 250));
    assert!(lists::pairs().len() > 30_000);
}

/// A long run asks for rates, a short one for what comes often.
#[test]
fn a_case_that_comes_too_seldom_is_told() {
    let usual: BTreeMap<&'static str, u64> =
        SOMETIMES.iter().map(|(what, least)| (*what, *least * 10)).collect();
    assert_eq!(coverage::seldom(&usual, coverage::MANY), Vec::<String>::new());
    let (often, least) = SOMETIMES.iter().find(|(_, least)| *least >= 100).unwrap();
    let mut rare = usual.clone();
    rare.insert(*often, 1);
    assert_eq!(coverage::seldom(&rare, coverage::MANY), [format!("{often} (1, not {})", least * 10)]);
    let never = |nights| coverage::seldom(&BTreeMap::new(), nights).len();
    assert_eq!(never(coverage::MANY), SOMETIMES.len());
    assert!(never(5_000) > SOMETIMES.len() / 2 && never(5_000) < SOMETIMES.len());
}

/// A process dies in its window, and nobody with its journal is ever started again: the claim in the vault tells of the pause.
#[test]
fn a_pause_is_released_by_another_host() {
    let seen = (0..40).map(|seed| hunt::night(Mutant::InheritedPauseIgnored, seed, false)).find_map(|case| {
        let report = run(&case.setting, &case.faults, false);
        assert_eq!(report.violations, [], "{:?}", case.faults);
        report.seen.contains("a pause that was inherited by a claim was released").then_some(report.processes)
    });
    assert!(seen.is_some_and(|processes| processes > 1), "{seen:?}");
}

/// What moves all the time is seen to move, also in a stall time as short as the time between two notes of it.
#[test]
fn a_short_stall_time_ends_nothing_that_moves() {
    for topology in 0..TOPOLOGIES {
        let mut setting = Setting::at(topology, 1);
        setting.stall = c8keep_core::plan::STALL_MIN * 2;
        let durations = &mut setting.config.durations;
        durations.history_parts.fill(600);
        durations.optimize_parts.fill(600);
        (durations.records, durations.runtime) = (600, 600);
        let report = run(&setting, &[], false);
        assert_eq!(report.violations, [], "topology {topology}");
        assert!(report.seen.contains("a night without faults ended complete"), "topology {topology}");
    }
}
