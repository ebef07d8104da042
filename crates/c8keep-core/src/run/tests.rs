//! The state machine against a tiny world without I/O: every step failing, a crash after every record, a signal at every
//! instant. What must hold at the end: exporting runs, and nothing is called complete that is not.

use std::collections::BTreeSet;

use super::*;
use crate::backup::HistoryApp;
use crate::capability::Dialect;
use crate::fault::FaultKind;
use crate::installation::SearchProduct;
use crate::plan::Action;
use crate::recipe::tests::{installation, plan, with_databases, with_optional_optimize};

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

/// The world, the process in it, and everything that was journalled.
#[expect(clippy::struct_excessive_bools, reason = "independent things that may have happened")]
struct Play {
    mischief: Mischief,
    run: Run,
    journal: Vec<Event>,
    now: Timestamp,
    in_flight: InFlight,
    queue: Vec<Order>,
    paused: bool,
    published: bool,
    release_fails: u32,
    crashed: bool,
    signalled: bool,
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

fn a_plan_with_databases() -> Plan {
    let mut installation = with_databases(Dialect::UnifiedActuators);
    installation.databases.iter_mut().for_each(|target| target.required = true);
    plan(&installation)
}

/// Plays a plan to its end and returns everything that was journalled.
fn enact(plan: &Plan, mischief: &Mischief) -> (Run, Play) {
    let opened = Event::Opened { run: RunId("r".into()), plan: plan.clone(), by: "test".into(), at: at(0) };
    let mut stage = Play {
        mischief: mischief.clone(),
        run: Run::open(opened.clone()).unwrap(),
        journal: vec![opened],
        now: at(0),
        in_flight: InFlight::default(),
        queue: Vec::new(),
        paused: false,
        published: false,
        release_fails: mischief.release_fails,
        crashed: false,
        signalled: false,
    };
    for _ in 0..5_000 {
        stage.now = stage.now.checked_add(SignedDuration::from_millis(50)).unwrap();
        if stage.run.outcome().is_some() {
            return (stage.run.clone(), stage);
        }
        if !stage.strikes() {
            stage.turn();
        }
    }
    panic!("the run does not end: {mischief:?}\n{:#?}", stage.run.steps().collect::<Vec<_>>());
}

impl Play {
    fn record(&mut self, event: Event) {
        self.run.apply(&event).unwrap();
        self.journal.push(event);
    }

    /// A crash or a signal, if one is due now.
    fn strikes(&mut self) -> bool {
        let due = |after: Option<usize>, records: usize| after.is_some_and(|n| records >= n);
        if !self.crashed && due(self.mischief.crash_after, self.journal.len()) {
            self.crashed = true;
            self.now = self.now.checked_add(SignedDuration::from_mins(30)).unwrap();
            self.run = Run::replay(self.journal.clone()).unwrap();
            (self.queue, self.in_flight) = (Vec::new(), InFlight::default());
            self.record(Event::Adopted { by: "next".into(), at: self.now });
            return true;
        }
        if !self.signalled && !self.run.is_past_pivot() && due(self.mischief.signal_after, self.journal.len())
        {
            self.signalled = true;
            self.record(Event::StopAsked { reason: StopReason::Signal, at: self.now });
            return true;
        }
        false
    }

    /// One turn of the engine's loop.
    fn turn(&mut self) {
        let at = self.now;
        match self.run.next(at, &self.in_flight) {
            Next::Start(orders) => {
                for order in orders {
                    if !order.looks_only {
                        let (step, attempt) = (order.step.clone(), order.attempt);
                        self.record(Event::Intended { step, attempt, at });
                    }
                    self.in_flight.performing.insert(order.step.clone());
                    self.queue.push(order);
                }
            }
            Next::Expire { step, fault } => {
                self.record(Event::Answered { step, attempt: 1, answer: fault.into(), at });
            }
            Next::Stop(reason) => self.record(Event::StopAsked { reason, at }),
            Next::Close(outcome) => self.record(Event::Closed { outcome, at }),
            Next::Wait { until } if self.queue.is_empty() => {
                self.now = until.expect("nothing in flight and nothing due would be the end").max(at);
            }
            Next::Wait { .. } => self.hear(),
        }
    }

    /// The oldest performance is answered.
    fn hear(&mut self) {
        let at = self.now;
        let order = self.queue.remove(0);
        self.in_flight.performing.remove(&order.step);
        self.in_flight.asked.insert(order.step.clone(), at);
        let answer = self.answer(&order);
        let event = match (self.run.state(&order.step), answer) {
            (StepState::Pending { .. }, Answer::Pending { mark }) => {
                Event::Noted { step: order.step, mark, at }
            }
            (_, answer) => Event::Answered { step: order.step, attempt: order.attempt, answer, at },
        };
        self.record(event);
    }

    /// The world's answer: waits are pending once, everything else works unless mischief says otherwise.
    fn answer(&mut self, order: &Order) -> Answer {
        let action = self.run.plan().step(&order.step).unwrap().action.clone();
        let fault = Fault::new(FaultKind::Refused, "testing", "the world", "no");
        if action == Action::ResumeExporting && self.release_fails > 0 {
            self.release_fails -= 1;
            return fault.into();
        }
        if let Some((name, retryable)) = &self.mischief.fails
            && *name == order.step.0
        {
            if action == Action::PauseExporting {
                // A failed pause may have paused some partitions, and says so.
                self.paused = true;
                let fault = fault.with_unknown_effect();
                return if *retryable { fault.with_retry().into() } else { fault.into() };
            }
            return if *retryable { fault.with_retry().into() } else { fault.into() };
        }
        match action {
            Action::PauseExporting => self.paused = true,
            Action::ResumeExporting => self.paused = false,
            Action::Publish { .. } => self.published = true,
            action if action.is_wait() && !order.looks_only => {
                return Answer::Pending { mark: Mark::new("0 of 1") };
            }
            _ => {}
        }
        Answer::Done { facts: Vec::new() }
    }
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
    let calm = Mischief::default();
    let (run, stage) = enact(&the_plan(), &calm);
    check(&calm, &run, &stage);
    assert_eq!(run.outcome(), Some(&Outcome::Complete));
}

#[test]
fn every_step_may_fail() {
    for plan in [the_plan(), a_plan_with_databases()] {
        for step in plan.steps().iter().filter(|s| s.kind != Kind::Release) {
            for retryable in [false, true] {
                let mischief =
                    Mischief { fails: Some((step.name.0.clone(), retryable)), ..Mischief::default() };
                let (run, stage) = enact(&plan, &mischief);
                let outcome = run.outcome().unwrap();
                assert!(!stage.paused && !run.hold().is_open(), "{mischief:?}");
                if step.name.0 == "record-release" {
                    assert_eq!(*outcome, Outcome::Complete, "the backup counts from its manifest on");
                } else {
                    assert!(
                        matches!(outcome, Outcome::Failed { step: s, .. } if *s == step.name),
                        "{outcome:?}"
                    );
                    assert!(!stage.published);
                }
            }
        }
    }
}

#[test]
fn a_crash_after_every_record_ends_the_same() {
    for plan in [the_plan(), a_plan_with_databases()] {
        let records = enact(&plan, &Mischief::default()).1.journal.len();
        for crash_after in 1..records {
            for release_fails in [0, 3] {
                let mischief =
                    Mischief { crash_after: Some(crash_after), release_fails, ..Mischief::default() };
                let (run, stage) = enact(&plan, &mischief);
                check(&mischief, &run, &stage);
                assert_eq!(run.outcome(), Some(&Outcome::Complete), "{mischief:?}");
            }
        }
    }
}

#[test]
fn a_signal_at_every_instant_releases() {
    for plan in [the_plan(), a_plan_with_databases()] {
        let records = enact(&plan, &Mischief::default()).1.journal.len();
        for signal_after in 1..records {
            let mischief =
                Mischief { signal_after: Some(signal_after), release_fails: 2, ..Mischief::default() };
            let (run, stage) = enact(&plan, &mischief);
            check(&mischief, &run, &stage);
        }
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

/// A pause that was refused for certain is no pause: nothing is released, and the run ends with that fault.
#[test]
fn a_pause_without_effect_is_not_released() {
    let fault = |kind| Fault::new(kind, "pausing", "the cluster", "403");
    let (pause, release) = (StepName::from("pause-exporting"), StepName::from("resume-exporting"));
    for (doubtful, expected) in [(false, 0), (true, 1)] {
        let mut run = open_before(&the_plan(), "pause-exporting");
        let at = run.last_at();
        run.apply(&Event::Intended { step: pause.clone(), attempt: 1, at }).unwrap();
        if doubtful {
            // The process died before the answer, and the second attempt is refused.
            run.apply(&Event::Intended { step: pause.clone(), attempt: 2, at }).unwrap();
        }
        let answer = fault(FaultKind::Unauthorised).into();
        run.apply(&Event::Answered { step: pause.clone(), attempt: 1, answer, at }).unwrap();
        match run.next(at, &InFlight::default()) {
            Next::Start(orders) => assert_eq!((orders.len(), &orders[0].step), (expected, &release)),
            Next::Close(Outcome::Failed { step, .. }) => assert_eq!((expected, step), (0, pause.clone())),
            other => panic!("{other:?}"),
        }
    }
}

/// A pause that was sent and not answered may take effect long after; one that was answered well has done so.
#[test]
fn a_pause_without_an_answer_may_still_land() {
    let plan = the_plan();
    let mut run = open_before(&plan, "pause-exporting");
    let step = StepName::from("pause-exporting");
    assert_eq!(run.pause_may_land_until(), None);
    run.apply(&Event::Intended { step: step.clone(), attempt: 1, at: at(100) }).unwrap();
    assert_eq!(run.pause_may_land_until(), Some(at(120)));
    let mut answered = run.clone();
    let answer = Answer::Done { facts: Vec::new() };
    answered.apply(&Event::Answered { step: step.clone(), attempt: 1, answer, at: at(101) }).unwrap();
    assert_eq!(answered.pause_may_land_until(), None);
    run.apply(&Event::Intended { step, attempt: 2, at: at(107) }).unwrap();
    assert_eq!(run.pause_may_land_until(), Some(at(127)));
}

/// What was answered is not on its way, however the answer was; and a release that waits for one that is comes in time.
#[test]
fn only_a_pause_without_an_answer_is_on_its_way() {
    let step = StepName::from("pause-exporting");
    let after = |kind| {
        let mut run = open_before(&the_plan(), "pause-exporting");
        run.apply(&Event::Intended { step: step.clone(), attempt: 1, at: at(100) }).unwrap();
        let fault = Fault::new(kind, "pausing", "gateway", "Expected 3 members").with_unknown_effect();
        let answer = Answer::Fault { fault, facts: Vec::new() };
        run.apply(&Event::Answered { step: step.clone(), attempt: 1, answer, at: at(101) }).unwrap();
        run
    };
    assert_eq!(after(FaultKind::Refused).pause_may_land_until(), None);
    let mut run = after(FaultKind::Unreachable);
    assert!(run.hold().is_open(), "either may have paused something");
    assert_eq!(run.pause_may_land_until(), Some(at(120)));

    let release = StepName::from("resume-exporting");
    for attempt in 1..=8 {
        let fault = Fault::new(FaultKind::Refused, "resuming", "gateway", "it may still land").with_retry();
        let answer = Answer::Fault { fault, facts: Vec::new() };
        run.apply(&Event::Intended { step: release.clone(), attempt, at: at(118) }).unwrap();
        run.apply(&Event::Answered { step: release.clone(), attempt, answer, at: at(118) }).unwrap();
    }
    assert_eq!(run.next(at(119), &InFlight::default()), Next::Wait { until: Some(at(120)) });
}

/// A back-off is the patience of the process that failed; its successor tries at once, and backs off by its own failures.
#[test]
fn who_takes_a_run_over_tries_the_release_at_once() {
    let mut run = open_before(&the_plan(), "snapshot-records");
    let release = StepName::from("resume-exporting");
    let start = run.last_at();
    let later = |seconds| start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    run.apply(&Event::StopAsked { reason: StopReason::Signal, at: start }).unwrap();
    let fails = |run: &mut Run, attempt, at| {
        let fault =
            Fault::new(FaultKind::Refused, "resuming", "gateway", "HTTP 200, status 500").with_retry();
        let answer = Answer::Fault { fault, facts: Vec::new() };
        run.apply(&Event::Intended { step: release.clone(), attempt, at }).unwrap();
        run.apply(&Event::Answered { step: release.clone(), attempt, answer, at }).unwrap();
    };
    for attempt in 1..=8 {
        fails(&mut run, attempt, start);
    }
    assert_eq!(run.next(later(1), &InFlight::default()), Next::Wait { until: Some(later(10)) });
    run.apply(&Event::Adopted { by: "next".into(), at: later(1) }).unwrap();
    let order = Order { step: release.clone(), attempt: 9, looks_only: false };
    assert_eq!(run.next(later(1), &InFlight::default()), Next::Start(vec![order.clone()]));
    assert_eq!(run.next_release(later(1), &InFlight::default()), Some((order, later(1))));
    fails(&mut run, 9, later(2));
    assert_eq!(run.next(later(3), &InFlight::default()), Next::Wait { until: Some(later(12)) });
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
    let unseen = Mark { moved: String::new(), says: "404".into() };
    run.apply(&Event::Noted { step: name.clone(), mark: unseen, at: later(9) }).unwrap();
    run.apply(&note("0 of 1", later(9))).unwrap();
    assert!(expires(&run, later(10)), "an answer that comes and goes is no progress");
    run.apply(&note("1 of 1", later(9))).unwrap();
    assert!(!expires(&run, later(18)));
    run.apply(&Event::Adopted { by: "next".into(), at: later(60) }).unwrap();
    assert!(!expires(&run, later(69)), "51 minutes passed in which no process was alive");
    assert!(expires(&run, later(70)));
}

/// What is waited for before the pause is a prerequisite: it says what failed, and who only waits has no effect.
#[test]
fn a_wait_before_the_pause_is_a_prerequisite() {
    for (name, kind, doing) in [
        ("await-quiet", FaultKind::Precondition, "waiting until no application is taking"),
        ("await-runtime", FaultKind::Stalled, "wait until every partition is complete"),
    ] {
        let (_, stage) = enact(&the_plan(), &Mischief::default());
        let mut run = open_before(&the_plan(), name);
        // What is under way beside it is answered.
        for event in stage.journal {
            let Event::Answered { step, .. } = &event else { continue };
            if run.state(step).since().is_some() && !run.state(step).is_settled() {
                run.apply(&event).unwrap();
            }
        }
        let (step, at) = (StepName::from(name), run.last_at());
        let answer = Answer::Pending { mark: Mark::new("part 3") };
        run.apply(&Event::Intended { step: step.clone(), attempt: 1, at }).unwrap();
        run.apply(&Event::Answered { step, attempt: 1, answer, at }).unwrap();
        let later = at.checked_add(SignedDuration::from_mins(10)).unwrap();
        let Next::Expire { fault, .. } = run.next(later, &InFlight::default()) else { panic!("{name}") };
        assert_eq!((fault.kind, fault.effect), (kind, Effect::None), "{fault}");
        assert!(fault.doing.starts_with(doing), "{fault}");
    }
}

/// A run whose optional part fails is partial, and takes everything else.
#[test]
fn an_optional_part_may_fail() {
    let plan = plan(&with_optional_optimize());
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

/// Plays until the named step is about to be intended.
fn open_before(plan: &Plan, step: &str) -> Run {
    let (_, stage) = enact(plan, &Mischief::default());
    let intended = |event: &Event| matches!(event, Event::Intended { step: s, .. } if s.0 == step);
    let end = stage.journal.iter().position(intended).unwrap();
    Run::replay(stage.journal[..end].to_vec()).unwrap()
}

/// Plays until the named wait is pending.
fn open_until(plan: &Plan, wait: &str) -> (Run, Vec<Event>) {
    let (_, stage) = enact(plan, &Mischief::default());
    let pending = |event: &Event| matches!(event, Event::Answered { step, answer: Answer::Pending { .. }, .. } if step.0 == wait);
    let end = stage.journal.iter().position(pending).unwrap();
    let journal = stage.journal[..=end].to_vec();
    (Run::replay(journal.clone()).unwrap(), journal)
}
