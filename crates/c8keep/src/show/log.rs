//! Plain lines for logs: one an event, and a heartbeat while nothing happens.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use c8keep_core::fault::Fault;
use c8keep_core::plan::{Kind, StepName};
use c8keep_core::run::{Answer, Event, Hold, Mark, Run, StepState, StopReason};
use c8keep_engine::progress::Reporter;
use jiff::{SignedDuration, Timestamp};

use super::View;
use super::time::{span, stamp};
use crate::printer::Printer;

/// How long a log may be silent.
const HEARTBEAT: SignedDuration = SignedDuration::from_secs(30);

/// Lines on standard error.
#[derive(Debug)]
pub struct Log {
    printer: Printer,
    state: Mutex<State>,
}

/// What the next heartbeat tells.
#[derive(Debug, Default)]
struct State {
    /// What is waited for, since when, and what was seen last.
    waits: BTreeMap<StepName, (Timestamp, String)>,
    paused_since: Option<Timestamp>,
    spoke_at: Option<Timestamp>,
}

impl Log {
    /// A log that has said nothing yet.
    pub fn new(printer: Printer) -> Log {
        Log { printer, state: Mutex::default() }
    }
}

impl Reporter for Log {
    fn event(&self, run: &Run, event: &Event) {
        if let Some(line) = line(run, event) {
            self.printer.say(&format!("{} {line}", stamp(event.at())));
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.follow(run, event);
        if !matches!(event, Event::Noted { .. }) {
            state.spoke_at = Some(event.at());
        }
    }

    fn journal_lost(&self, run: &Run, fault: &Fault, at: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waits.clear();
        state.spoke_at = Some(at);
        let what = lost(run, fault);
        self.printer.say(&format!("{} {what}", stamp(at)));
    }

    fn unreleased(&self, _: &Run, fault: &Fault, at: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.spoke_at = Some(at);
        self.printer.say(&format!("{} EXPORTING IS STILL PAUSED: {fault}", stamp(at)));
    }

    fn waiting(&self, _: &Run, step: &StepName, mark: &Mark) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, says)) = state.waits.get_mut(step) {
            says.clone_from(&mark.says);
        }
    }
}

impl View for Log {
    fn tick(&self, now: Timestamp) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.spoke_at.is_none_or(|at| now.duration_since(at) < HEARTBEAT) {
            return;
        }
        state.spoke_at = Some(now);
        for (step, (since, says)) in &state.waits {
            let since = span(now.duration_since(*since));
            self.printer.say(&format!("{} still waiting: {step} for {since}: {says}", stamp(now)));
        }
        if let Some(since) = state.paused_since {
            let length = span(now.duration_since(since));
            self.printer.say(&format!("{} EXPORTING IS PAUSED for {length} now", stamp(now)));
        }
    }

    fn finish(&self, _: Timestamp) {}
}

impl State {
    fn follow(&mut self, run: &Run, event: &Event) {
        // A dump is looked at by nobody until it ends, which may be long after.
        if let Event::Intended { step, at, .. } = event
            && run.plan().step(step).is_some_and(|step| step.action.is_beside_window())
        {
            self.waits.insert(step.clone(), (run.state(step).since().unwrap_or(*at), "under way".into()));
        }
        if let Event::Answered { step, answer, .. } = event {
            match (answer, run.state(step).since()) {
                (Answer::Pending { mark }, Some(since)) => {
                    self.waits.insert(step.clone(), (since, mark.says.clone()));
                }
                _ => {
                    self.waits.remove(step);
                }
            }
        }
        self.paused_since = match run.hold() {
            Hold::Open { since } | Hold::ReleasePending { since } => Some(since),
            Hold::NotTaken | Hold::Released { .. } => None,
        };
    }
}

/// Who drives the run from here on.
pub(super) fn taken_over(run: &Run, by: &str) -> String {
    format!("run {} taken over by {by}", run.id())
}

/// What a journal that takes nothing more means.
pub(super) fn lost(run: &Run, fault: &Fault) -> String {
    let then = if run.hold().is_open() { "resuming exporting without it" } else { "stopping" };
    format!("NOTHING CAN BE WRITTEN DOWN ANY MORE, {then}: {fault}")
}

/// Whether a step that has failed is tried again: a release always is, other steps only while the run goes on.
fn is_made_again(run: &Run, step: &StepName) -> bool {
    let is_release = run.plan().release().is_some_and(|release| release.name == *step);
    matches!(run.state(step), StepState::Retrying { .. }) && (is_release || !run.is_winding_down())
}

fn line(run: &Run, event: &Event) -> Option<String> {
    let numbered = |step: &StepName| {
        let page = run.plan().step(step).and_then(|s| s.page);
        page.map_or_else(|| step.to_string(), |n| format!("{step} (page step {n})"))
    };
    Some(match event {
        Event::Opened { plan, .. } => format!("backup {} of {}: started", plan.backup(), plan.installation()),
        Event::Adopted { by, .. } => taken_over(run, by),
        Event::Intended { step, attempt, .. } => {
            let is_effect = run.plan().step(step).is_some_and(|s| s.kind != Kind::Probe);
            match attempt {
                1 if is_effect => format!("{}: {}", numbered(step), run.plan().step(step)?.action.describe()),
                1 => return None,
                n => format!("{}: attempt {n}", numbered(step)),
            }
        }
        Event::Answered { step, answer: Answer::Done { .. }, at, .. } => {
            let took = run.state(step).since().map(|since| span(at.duration_since(since)))?;
            match run.hold() {
                Hold::Released { since, at } if run.plan().release().is_some_and(|r| r.name == *step) => {
                    format!(
                        "{}: exporting runs again; it was paused for {}",
                        numbered(step),
                        span(at.duration_since(since))
                    )
                }
                _ => format!("{}: done in {took}", numbered(step)),
            }
        }
        Event::Answered { step, answer: Answer::Pending { mark }, .. } => {
            format!("{}: {}", numbered(step), mark.says)
        }
        // A long wait moves hundreds of times; the heartbeat tells how far it is.
        Event::Noted { .. } => return None,
        Event::Answered { step, attempt, answer: Answer::Fault { fault, .. }, .. } => {
            if is_made_again(run, step) {
                format!("{}: attempt {attempt} failed and will be made again: {fault}", numbered(step))
            } else {
                format!("{}: FAILED: {fault}", numbered(step))
            }
        }
        Event::StopAsked { reason, .. } => {
            let releasing = if run.hold().is_open() { "; resuming exporting" } else { "" };
            match reason {
                // For those who read it later, that process is another one; here it is the one that speaks.
                StopReason::TakenOver if run.is_past_pivot() => format!("its backup is ended{releasing}"),
                StopReason::TakenOver => format!("it is ended, not gone on with{releasing}"),
                reason => format!("stopping: {reason}{releasing}"),
            }
        }
        Event::Closed { outcome, .. } => format!("run {} is {}", run.id(), outcome.name()),
    })
}
