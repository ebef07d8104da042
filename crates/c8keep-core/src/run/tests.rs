//! The state machine against a tiny world without I/O: every step failing, a crash after every record, a signal at every
//! instant. What must hold at the end: exporting runs, and nothing is called complete that is not.

use std::collections::BTreeSet;

use super::*;
use crate::backup::HistoryApp;
use crate::capability::Dialect;
use crate::fault::FaultKind;
use crate::installation::SearchProduct;
use crate::plan::Action;
use crate::recipe::tests::{installation, plan};

/// What goes wrong in a play.
#[derive(Debug, Clone, Default)]
struct Mischief {
    /// This step fails, for good or not.
    fails: Option<(String, bool)>,
    /// The process dies after this many journal records and is started again.
    crash_after: Option<usize>,
    /// A signal arrives after this many records.
    signal_after: Option<usize>,
    /// Resuming fails this often.
    release_fails: u32,
}

struct Play {
    journal: Vec<Event>,
    paused: bool,
    now: Timestamp,
    published: bool,
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_748_937_221 + second).unwrap()
}

fn the_plan() -> Plan {
    plan(&installation(
        Dialect::UnifiedActuators,
        SearchProduct::Elasticsearch,
        &[HistoryApp::Webapps, HistoryApp::Optimize],
        true,
    ))
}

/// Plays a plan to its end and returns everything that was journalled.
fn enact(plan: &Plan, mischief: &Mischief) -> (Run, Play) {
    let opened = Event::Opened { run: RunId("r".into()), plan: plan.clone(), by: "test".into(), at: at(0) };
    let mut stage = Play { journal: vec![opened.clone()], paused: false, now: at(0), published: false };
    let mut run = Run::open(opened).unwrap();
    let mut in_flight = InFlight::default();
    let mut queue: Vec<Order> = Vec::new();
    let mut release_fails = mischief.release_fails;
    let (mut crashed, mut signalled) = (false, false);
    for _ in 0..5_000 {
        stage.now = stage.now.checked_add(SignedDuration::from_millis(50)).unwrap();
        let now = stage.now;
        let record = |stage: &mut Play, run: &mut Run, event: Event| {
            run.apply(&event).unwrap();
            stage.journal.push(event);
        };
        if !crashed && mischief.crash_after.is_some_and(|n| stage.journal.len() >= n) {
            crashed = true;
            stage.now = now.checked_add(SignedDuration::from_mins(30)).unwrap();
            run = Run::replay(stage.journal.clone()).unwrap();
            (queue, in_flight) = (Vec::new(), InFlight::default());
            let adopted = Event::Adopted { by: "next".into(), at: stage.now };
            record(&mut stage, &mut run, adopted);
            continue;
        }
        let may_stop = run.outcome().is_none() && !run.is_past_pivot();
        if !signalled && may_stop && mischief.signal_after.is_some_and(|n| stage.journal.len() >= n) {
            signalled = true;
            record(&mut stage, &mut run, Event::StopAsked { reason: StopReason::Signal, at: now });
            continue;
        }
        match run.next(now, &in_flight) {
            Next::Start(orders) => {
                for order in orders {
                    if !order.looks_only {
                        let (step, attempt) = (order.step.clone(), order.attempt);
                        record(&mut stage, &mut run, Event::Intended { step, attempt, at: now });
                    }
                    in_flight.performing.insert(order.step.clone());
                    queue.push(order);
                }
            }
            Next::Expire { step, fault } => {
                record(
                    &mut stage,
                    &mut run,
                    Event::Answered { step, attempt: 1, answer: fault.into(), at: now },
                );
            }
            Next::Stop(reason) => record(&mut stage, &mut run, Event::StopAsked { reason, at: now }),
            Next::Close(outcome) => {
                record(&mut stage, &mut run, Event::Closed { outcome, at: now });
                return (run, stage);
            }
            Next::Wait { until } if queue.is_empty() => {
                stage.now = until.expect("nothing in flight and nothing due would be the end").max(now);
            }
            Next::Wait { .. } => {
                let order = queue.remove(0);
                in_flight.performing.remove(&order.step);
                in_flight.asked.insert(order.step.clone(), now);
                let answer = answer(&run, &order, mischief, &mut stage, &mut release_fails);
                let event = match (run.state(&order.step), &answer) {
                    (StepState::Pending { .. }, Answer::Pending { mark }) => {
                        Event::Noted { step: order.step, mark: mark.clone(), at: now }
                    }
                    _ => Event::Answered { step: order.step, attempt: order.attempt, answer, at: now },
                };
                record(&mut stage, &mut run, event);
            }
        }
    }
    panic!("the run does not end: {mischief:?}\n{:#?}", run.steps().collect::<Vec<_>>());
}

/// The world's answer: waits are pending once, everything else works unless mischief says otherwise.
fn answer(
    run: &Run,
    order: &Order,
    mischief: &Mischief,
    stage: &mut Play,
    release_fails: &mut u32,
) -> Answer {
    let step = run.plan().step(&order.step).unwrap();
    let fault = Fault::new(FaultKind::Refused, "testing", "the world", "no");
    if step.action == Action::ResumeExporting && *release_fails > 0 {
        *release_fails -= 1;
        return fault.into();
    }
    if let Some((name, retryable)) = &mischief.fails
        && *name == order.step.0
    {
        if step.action == Action::PauseExporting {
            stage.paused = true; // a failed pause may have paused some partitions
        }
        return if *retryable { fault.with_retry().into() } else { fault.into() };
    }
    match &step.action {
        Action::PauseExporting => stage.paused = true,
        Action::ResumeExporting => stage.paused = false,
        Action::Publish { .. } => stage.published = true,
        action if action.is_wait() && !order.looks_only => {
            return Answer::Pending { mark: Mark::new("0 of 1") };
        }
        _ => {}
    }
    Answer::Done { facts: Vec::new() }
}

fn check(mischief: &Mischief, run: &Run, stage: &Play) {
    let outcome = run.outcome().unwrap();
    assert!(!stage.paused, "left paused: {mischief:?}");
    assert!(!run.hold().is_open(), "hold open at the end: {mischief:?}");
    assert_eq!(stage.published, matches!(outcome, Outcome::Complete), "{mischief:?}: {outcome:?}");
    if *outcome == Outcome::Complete {
        assert!(run.steps().all(|(_, state)| state.is_done()), "{mischief:?}");
    }
    assert_eq!(*run, Run::replay(stage.journal.clone()).unwrap(), "replay differs from live: {mischief:?}");
    let mut intended = BTreeSet::new();
    for event in &stage.journal {
        match event {
            Event::Intended { step, .. } => drop(intended.insert(step.clone())),
            Event::Answered { step, .. } => assert!(intended.contains(step), "answer without intent: {step}"),
            _ => {}
        }
    }
}

#[test]
fn everything_well() {
    let (run, stage) = enact(&the_plan(), &Mischief::default());
    check(&Mischief::default(), &run, &stage);
    assert_eq!(run.outcome(), Some(&Outcome::Complete));
}

#[test]
fn every_step_may_fail() {
    let plan = the_plan();
    for step in plan.steps().iter().filter(|s| s.kind != Kind::Release) {
        for retryable in [false, true] {
            let mischief = Mischief { fails: Some((step.name.0.clone(), retryable)), ..Mischief::default() };
            let (run, stage) = enact(&plan, &mischief);
            let outcome = run.outcome().unwrap();
            assert!(!stage.paused && !run.hold().is_open(), "{mischief:?}");
            if step.name.0 == "record-release" {
                assert_eq!(*outcome, Outcome::Complete, "the backup counts from its manifest on");
            } else {
                assert!(matches!(outcome, Outcome::Failed { step: s, .. } if *s == step.name), "{outcome:?}");
                assert!(!stage.published);
            }
        }
    }
}

#[test]
fn a_crash_after_every_record_ends_the_same() {
    let plan = the_plan();
    let records = enact(&plan, &Mischief::default()).1.journal.len();
    for crash_after in 1..records {
        for release_fails in [0, 3] {
            let mischief = Mischief { crash_after: Some(crash_after), release_fails, ..Mischief::default() };
            let (run, stage) = enact(&plan, &mischief);
            check(&mischief, &run, &stage);
            assert_eq!(run.outcome(), Some(&Outcome::Complete), "{mischief:?}");
        }
    }
}

#[test]
fn a_signal_at_every_instant_releases() {
    let plan = the_plan();
    let records = enact(&plan, &Mischief::default()).1.journal.len();
    for signal_after in 1..records {
        let mischief = Mischief { signal_after: Some(signal_after), release_fails: 2, ..Mischief::default() };
        let (run, stage) = enact(&plan, &mischief);
        check(&mischief, &run, &stage);
    }
}

#[test]
fn a_failure_in_the_window_releases_at_once() {
    let mischief = Mischief { fails: Some(("await-history".into(), false)), ..Mischief::default() };
    let (run, _) = enact(&the_plan(), &mischief);
    let StepState::Failed { at: failed, .. } = run.state(&"await-history".into()) else { panic!() };
    let StepState::Done { since: release, .. } = run.state(&"resume-exporting".into()) else { panic!() };
    assert!(release.duration_since(*failed) <= SignedDuration::from_millis(100));
}

/// Exporting is paused for two hours at most; then nothing more starts and the release goes out.
#[test]
fn the_hold_budget_ends_the_run() {
    let plan = the_plan();
    let (mut run, mut journal) = open_until(&plan, "await-history");
    let late = run.last_at().checked_add(SignedDuration::from_hours(2)).unwrap();
    let adopted = Event::Adopted { by: "late".into(), at: late };
    run.apply(&adopted).unwrap();
    journal.push(adopted);
    assert_eq!(run.next(late, &InFlight::default()), Next::Stop(StopReason::HoldBudget));
    run.apply(&Event::StopAsked { reason: StopReason::HoldBudget, at: late }).unwrap();
    let Next::Start(orders) = run.next(late, &InFlight::default()) else { panic!() };
    assert_eq!(orders.iter().map(|o| o.step.0.as_str()).collect::<Vec<_>>(), ["resume-exporting"]);
}

/// A wait ends by lack of progress; time in which no process was alive does not count.
#[test]
fn a_wait_ends_when_nothing_moves() {
    let (mut run, _) = open_until(&the_plan(), "await-history");
    let name = StepName::from("await-history");
    let start = run.last_at();
    let later = |minutes| start.checked_add(SignedDuration::from_mins(minutes)).unwrap();
    let expires = |run: &Run, at| matches!(run.next(at, &InFlight::default()), Next::Expire { .. });
    assert!(!expires(&run, later(9)));
    assert!(expires(&run, later(10)), "the stall time is ten minutes");
    let note = |says: &str, at| Event::Noted { step: name.clone(), mark: Mark::new(says), at };
    run.apply(&note("0 of 1", later(9))).unwrap();
    assert!(expires(&run, later(10)), "the same mark is no progress");
    run.apply(&note("1 of 1", later(9))).unwrap();
    assert!(!expires(&run, later(18)));
    run.apply(&Event::Adopted { by: "next".into(), at: later(60) }).unwrap();
    assert!(!expires(&run, later(69)), "51 minutes passed in which no process was alive");
    assert!(expires(&run, later(70)));
}

/// A run whose optional part fails is partial, and takes everything else.
#[test]
fn an_optional_part_may_fail() {
    let mut installation = installation(
        Dialect::UnifiedActuators,
        SearchProduct::Elasticsearch,
        &[HistoryApp::Webapps, HistoryApp::Optimize],
        true,
    );
    installation.apps[1].required = false;
    let plan = plan(&installation);
    for step in ["start-optimize", "await-optimize"] {
        let (run, stage) =
            enact(&plan, &Mischief { fails: Some((step.into(), false)), ..Mischief::default() });
        assert_eq!(run.outcome(), Some(&Outcome::Partial { missing: vec![step.into()] }));
        assert!(stage.published && !stage.paused);
    }
}

#[test]
fn an_interrupted_step_is_ordered_again_and_not_for_ever() {
    let plan = the_plan();
    let opened = Event::Opened { run: RunId("r".into()), plan, by: "test".into(), at: at(0) };
    let mut run = Run::open(opened).unwrap();
    let step = StepName::from("check-cluster");
    for attempt in 1..=4 {
        run.apply(&Event::Intended { step: step.clone(), attempt, at: at(i64::from(attempt)) }).unwrap();
    }
    assert!(matches!(run.next(at(5), &InFlight::default()), Next::Expire { step: s, .. } if s == step));
}

#[test]
fn events_that_cannot_follow_are_refused() {
    let opened = Event::Opened { run: RunId("r".into()), plan: the_plan(), by: "test".into(), at: at(0) };
    let mut run = Run::open(opened.clone()).unwrap();
    let step = StepName::from("check-cluster");
    let done =
        |at| Event::Answered { step: step.clone(), attempt: 1, answer: Answer::Done { facts: vec![] }, at };
    let intent = |attempt, at| Event::Intended { step: step.clone(), attempt, at };
    assert!(run.apply(&opened).is_err(), "opened twice");
    assert!(run.apply(&done(at(1))).is_err(), "an answer without an intent");
    assert!(run.apply(&intent(2, at(1))).is_err(), "a second attempt without a first");
    run.apply(&intent(1, at(2))).unwrap();
    assert!(run.apply(&done(at(1))).is_err(), "time runs backwards");
    run.apply(&done(at(2))).unwrap();
    assert!(run.apply(&done(at(3))).is_err(), "answered twice");
    assert!(run.apply(&Event::Noted { step: "nobody".into(), mark: Mark::new(""), at: at(3) }).is_err());
    assert!(Run::replay([intent(1, at(1))]).is_err(), "a journal that does not begin with its plan");
    assert!(Run::replay([]).is_err());
}

/// Plays until the named wait is pending.
fn open_until(plan: &Plan, wait: &str) -> (Run, Vec<Event>) {
    let (_, stage) = enact(plan, &Mischief::default());
    let pending = |event: &Event| matches!(event, Event::Answered { step, answer: Answer::Pending { .. }, .. } if step.0 == wait);
    let end = stage.journal.iter().position(pending).unwrap();
    let journal = stage.journal[..=end].to_vec();
    (Run::replay(journal.clone()).unwrap(), journal)
}
