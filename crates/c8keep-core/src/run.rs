//! A run: one execution of a plan, as the fold of its journal.
//!
//! There is no recovery code. Starting and starting again after a crash are the same [`Run::replay`] and then
//! [`Run::next`]: a step that was intended and is not in flight is simply ordered again.

mod event;
mod next;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use event::{Answer, Event, Mark, Outcome, RunId, StopReason};
pub use next::{InFlight, Next, Order, poll_interval};

use crate::facts::Facts;
use crate::fault::{Effect, Fault, FaultKind};
use crate::plan::{Kind, Plan, Step, StepName};

/// One execution of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    id: RunId,
    /// Shared, as it never changes and a run is handed to every performance.
    plan: Arc<Plan>,
    by: String,
    opened_at: Timestamp,
    last_at: Timestamp,
    /// In plan order.
    states: Vec<StepState>,
    facts: Facts,
    /// Spans in which no process was alive; they do not count against deadlines.
    gaps: Vec<(Timestamp, Timestamp)>,
    stopping: Option<StopReason>,
    outcome: Option<Outcome>,
    /// Whether some attempt to pause may have paused something: one that was never answered, or whose fault says so.
    pause_in_doubt: bool,
    /// When the latest attempt to pause was intended, and how many there were.
    pause_sent: Option<Timestamp>,
    /// Whether some attempt to pause got no answer at all: only such a one can still be on its way.
    pause_unanswered: bool,
    /// How the release failed last, also while it is being tried again.
    release_fault: Option<Fault>,
}

/// How long after it was intended a pause that was never answered may still take effect: its own deadline, and some more
/// for a broker that acts after we have stopped listening.
const PAUSE_LANDS_WITHIN: SignedDuration = SignedDuration::from_secs(20);

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum StepState {
    /// Not begun.
    Waiting,
    /// Intended and not answered: in flight, or interrupted.
    Performing {
        /// Which performance, from 1.
        attempt: u32,
        /// When the first was intended.
        since: Timestamp,
    },
    /// Under way outside; we look again and again.
    Pending {
        /// Which performance it belongs to.
        attempt: u32,
        /// When the first was intended.
        since: Timestamp,
        /// What was last seen.
        mark: Mark,
        /// When that last changed.
        moved_at: Timestamp,
    },
    /// Failed in a way that may pass.
    Retrying {
        /// Which performance failed.
        attempt: u32,
        /// When the first was intended.
        since: Timestamp,
        /// How.
        fault: Fault,
        /// When.
        at: Timestamp,
    },
    /// Ended well.
    Done {
        /// When it was first intended.
        since: Timestamp,
        /// When it ended.
        at: Timestamp,
    },
    /// Ended badly, for good.
    Failed {
        /// When it was first intended.
        since: Timestamp,
        /// When it ended.
        at: Timestamp,
        /// How.
        fault: Fault,
    },
}

/// Whether this run has paused exporting, and whether it runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "hold")]
pub enum Hold {
    /// Never intended.
    NotTaken,
    /// The window is open: exporting is, or may be, paused.
    Open {
        /// When the pause was first intended.
        since: Timestamp,
    },
    /// The release is due and not confirmed.
    ReleasePending {
        /// When the pause was first intended.
        since: Timestamp,
    },
    /// Exporting runs again, confirmed.
    Released {
        /// When the pause was first intended.
        since: Timestamp,
        /// When the release was confirmed.
        at: Timestamp,
    },
}

/// An event that cannot follow the ones before it: a damaged journal on replay, a bug when live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {event} cannot follow: {why}")]
pub struct IllegalEvent {
    /// Which event.
    pub event: String,
    /// Why not.
    pub why: String,
}

impl Run {
    /// Folds a journal, oldest event first.
    pub fn replay(events: impl IntoIterator<Item = Event>) -> Result<Run, IllegalEvent> {
        let mut events = events.into_iter();
        let first =
            events.next().ok_or_else(|| IllegalEvent::new("none", "the journal of this run is empty"))?;
        let mut run = Run::open(first)?;
        for event in events {
            run.apply(&event)?;
        }
        Ok(run)
    }

    /// Begins the fold with the first event, which carries the plan.
    pub fn open(first: Event) -> Result<Run, IllegalEvent> {
        let Event::Opened { run, plan, by, at } = first else {
            return Err(IllegalEvent::new(first.name(), "the first event of a run is its plan"));
        };
        let states = vec![StepState::Waiting; plan.steps().len()];
        Ok(Run {
            id: run,
            plan: Arc::new(plan),
            by,
            opened_at: at,
            last_at: at,
            states,
            facts: Facts::default(),
            gaps: Vec::new(),
            stopping: None,
            outcome: None,
            pause_in_doubt: false,
            pause_sent: None,
            pause_unanswered: false,
            release_fault: None,
        })
    }

    /// The one transition function.
    pub fn apply(&mut self, event: &Event) -> Result<(), IllegalEvent> {
        if self.outcome.is_some() {
            return Err(IllegalEvent::new(event.name(), "the run is closed"));
        }
        if event.at() < self.last_at {
            return Err(IllegalEvent::new(event.name(), "it is older than the one before it"));
        }
        match event {
            Event::Opened { .. } => return Err(IllegalEvent::new("opened", "the run is open already")),
            Event::Adopted { by, at } => {
                self.gaps.push((self.last_at, *at));
                self.by.clone_from(by);
            }
            Event::Intended { step, attempt, at } => self.intend(step, *attempt, *at)?,
            Event::Answered { step, answer, at, .. } => self.answer(step, answer, *at)?,
            Event::Noted { step, mark, at } => self.note(step, mark, *at)?,
            Event::StopAsked { reason, .. } => self.stopping = Some(*reason),
            Event::Closed { outcome, .. } => self.outcome = Some(outcome.clone()),
        }
        self.last_at = event.at();
        Ok(())
    }

    fn intend(&mut self, step: &StepName, attempt: u32, at: Timestamp) -> Result<(), IllegalEvent> {
        let unanswered = matches!(self.state(step), StepState::Performing { .. });
        if self.is_hold(step) {
            self.pause_in_doubt |= unanswered;
            self.pause_unanswered |= unanswered;
            self.pause_sent = Some(at);
        }
        let state = self.state_mut(step, "intended")?;
        let (expected, since) = match state {
            StepState::Waiting => (1, at),
            StepState::Performing { attempt, since } | StepState::Retrying { attempt, since, .. } => {
                (*attempt + 1, *since)
            }
            StepState::Pending { .. } | StepState::Done { .. } | StepState::Failed { .. } => {
                return Err(IllegalEvent::new("intended", &format!("{step} has been answered")));
            }
        };
        if attempt != expected {
            return Err(IllegalEvent::new("intended", &format!("{step}: attempt {attempt}, not {expected}")));
        }
        *state = StepState::Performing { attempt, since };
        Ok(())
    }

    fn answer(&mut self, step: &StepName, answer: &Answer, at: Timestamp) -> Result<(), IllegalEvent> {
        let limits = self.plan.step(step).map(|s| (s.limits.attempts_max, s.kind == Kind::Release));
        if let Answer::Fault { fault, .. } = answer {
            let in_doubt = fault.effect == Effect::Unknown && self.is_hold(step);
            self.pause_in_doubt |= in_doubt;
            self.pause_unanswered |= in_doubt && fault.kind == FaultKind::Unreachable;
            if limits.is_some_and(|(_, release)| release) {
                self.release_fault = Some(fault.clone());
            }
        }
        let state = self.state_mut(step, "answered")?;
        let (attempt, since) = match state {
            StepState::Performing { attempt, since }
            | StepState::Pending { attempt, since, .. }
            | StepState::Retrying { attempt, since, .. } => (*attempt, *since),
            StepState::Waiting | StepState::Done { .. } | StepState::Failed { .. } => {
                return Err(IllegalEvent::new("answered", &format!("{step} was not asked")));
            }
        };
        // A release is retried whatever its fault: there is no failure in which exporting may stay paused.
        let may_retry = |fault: &Fault| {
            limits.is_some_and(|(max, release)| release || fault.is_retryable() && attempt < max)
        };
        *state = match answer {
            Answer::Done { .. } => StepState::Done { since, at },
            Answer::Pending { mark } => {
                StepState::Pending { attempt, since, mark: mark.clone(), moved_at: at }
            }
            Answer::Fault { fault, .. } if may_retry(fault) => {
                StepState::Retrying { attempt, since, fault: fault.clone(), at }
            }
            Answer::Fault { fault, .. } => StepState::Failed { since, at, fault: fault.clone() },
        };
        if let Answer::Done { facts } | Answer::Fault { facts, .. } = answer {
            for fact in facts {
                self.facts.learn(fact);
            }
        }
        Ok(())
    }

    fn note(&mut self, step: &StepName, seen: &Mark, at: Timestamp) -> Result<(), IllegalEvent> {
        match self.state_mut(step, "noted")? {
            StepState::Pending { mark, moved_at, .. } => {
                if seen.shows_progress_since(mark) {
                    *moved_at = at;
                    mark.moved.clone_from(&seen.moved);
                }
                mark.says.clone_from(&seen.says);
                Ok(())
            }
            _ => Err(IllegalEvent::new("noted", &format!("{step} is not pending"))),
        }
    }

    fn state_mut(&mut self, step: &StepName, event: &str) -> Result<&mut StepState, IllegalEvent> {
        let index = self.index(step);
        index
            .and_then(|index| self.states.get_mut(index))
            .ok_or_else(|| IllegalEvent::new(event, &format!("no step is called {step}")))
    }

    fn index(&self, name: &StepName) -> Option<usize> {
        self.plan.steps().iter().position(|step| step.name == *name)
    }

    /// The event that opened it, for whoever is told of a run from its beginning.
    pub fn opening(&self) -> Event {
        let (run, plan, by) = (self.id.clone(), Plan::clone(&self.plan), self.by.clone());
        Event::Opened { run, plan, by, at: self.opened_at }
    }

    /// The run's id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// Its plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Who drives it, or drove it last.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// When it began.
    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// The instant of the latest event; time never runs behind it.
    pub fn last_at(&self) -> Timestamp {
        self.last_at
    }

    /// What its steps found out.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Why it was asked to stop, if it was.
    pub fn stopping(&self) -> Option<StopReason> {
        self.stopping
    }

    /// Where a step stands.
    pub fn state(&self, step: &StepName) -> &StepState {
        self.index(step).and_then(|index| self.states.get(index)).unwrap_or(&StepState::Waiting)
    }

    /// The steps with where they stand, in plan order.
    pub fn steps(&self) -> impl Iterator<Item = (&Step, &StepState)> {
        self.plan.steps().iter().zip(&self.states)
    }

    /// The first required step that failed, by time.
    pub fn first_failure(&self) -> Option<(&Step, &Fault)> {
        self.steps()
            .filter(|(step, _)| step.required)
            .filter_map(|(step, state)| match state {
                StepState::Failed { fault, at, .. } => Some((at, step, fault)),
                _ => None,
            })
            .min_by_key(|(at, ..)| **at)
            .map(|(_, step, fault)| (step, fault))
    }

    /// Whether nothing new starts any more but the release and what follows the pivot. What goes on beside an open window
    /// does not touch it when it fails: the window ends as planned, and the run after it.
    pub fn is_winding_down(&self) -> bool {
        let counts = |(step, state): (&Step, &StepState)| {
            let failed = step.required && matches!(state, StepState::Failed { .. });
            failed && !(step.action.is_beside_window() && self.is_in_window())
        };
        self.stopping.is_some() || self.steps().any(counts)
    }

    /// From the first intent to pause to the confirmed release.
    fn is_in_window(&self) -> bool {
        let state = |step: Option<&Step>| step.map(|step| self.state(&step.name));
        let begun = state(self.plan.hold()).and_then(StepState::since).is_some();
        begun && !state(self.plan.release()).is_some_and(StepState::is_done)
    }

    fn is_hold(&self, step: &StepName) -> bool {
        self.plan.hold().is_some_and(|hold| hold.name == *step)
    }

    /// Whether this run has paused exporting, and whether it runs again. A pause that certainly had no effect, such as one
    /// that was answered with 403, is none.
    pub fn hold(&self) -> Hold {
        let (Some(hold), Some(release)) = (self.plan.hold(), self.plan.release()) else {
            return Hold::NotTaken;
        };
        let state = self.state(&hold.name);
        let Some(since) = state.since() else { return Hold::NotTaken };
        let refused = matches!(state, StepState::Failed { .. } | StepState::Retrying { .. });
        if refused && !self.pause_in_doubt {
            return Hold::NotTaken;
        }
        match self.state(&release.name) {
            StepState::Done { at, .. } => Hold::Released { since, at: *at },
            StepState::Waiting if !self.is_winding_down() => Hold::Open { since },
            _ => Hold::ReleasePending { since },
        }
    }

    /// How the release failed last, if it was ever tried and did; a state says so only until it is tried again.
    pub fn release_fault(&self) -> Option<&Fault> {
        self.release_fault.as_ref()
    }

    /// Until when a pause of this run may still take effect, long after it was sent: a resume that comes before it does not
    /// undo it. None where every attempt was answered.
    pub fn pause_may_land_until(&self) -> Option<Timestamp> {
        let sent = self.pause_sent?;
        let unanswered = matches!(self.state(&self.plan.hold()?.name), StepState::Performing { .. });
        (unanswered || self.pause_unanswered).then(|| sent + PAUSE_LANDS_WITHIN)
    }

    /// When the process at hand took the run over, if it did.
    pub(crate) fn adopted_at(&self) -> Option<Timestamp> {
        self.gaps.last().map(|(_, adopted)| *adopted)
    }

    /// Time in which a process was alive, from `since` to `now`.
    pub fn alive(&self, since: Timestamp, now: Timestamp) -> SignedDuration {
        let mut alive = now.duration_since(since);
        for (from, to) in &self.gaps {
            let (from, to) = ((*from).max(since), (*to).min(now));
            if from < to {
                alive -= to.duration_since(from);
            }
        }
        alive
    }
}

impl StepState {
    /// When the step was first intended, if it was.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            StepState::Waiting => None,
            StepState::Performing { since, .. }
            | StepState::Pending { since, .. }
            | StepState::Retrying { since, .. }
            | StepState::Done { since, .. }
            | StepState::Failed { since, .. } => Some(*since),
        }
    }

    /// Whether it has ended, well or not.
    pub fn is_settled(&self) -> bool {
        matches!(self, StepState::Done { .. } | StepState::Failed { .. })
    }

    /// Whether it has ended well.
    pub fn is_done(&self) -> bool {
        matches!(self, StepState::Done { .. })
    }
}

impl Hold {
    /// Whether exporting is, or may be, paused by this run.
    pub fn is_open(self) -> bool {
        matches!(self, Hold::Open { .. } | Hold::ReleasePending { .. })
    }

    /// How long exporting has been paused, up to `now` or up to the release.
    pub fn length(self, now: Timestamp) -> Option<SignedDuration> {
        match self {
            Hold::NotTaken => None,
            Hold::Open { since } | Hold::ReleasePending { since } => Some(now.duration_since(since)),
            Hold::Released { since, at } => Some(at.duration_since(since)),
        }
    }
}

impl IllegalEvent {
    fn new(event: &str, why: &str) -> IllegalEvent {
        IllegalEvent { event: event.into(), why: why.into() }
    }
}

#[cfg(test)]
mod tests;
