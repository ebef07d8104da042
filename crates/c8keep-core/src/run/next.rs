//! What a run may do now: pure, given the time and what is in flight.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Hold, Outcome, Run, StepState, StopReason};
use crate::fault::{Fault, FaultKind};
use crate::plan::{Action, Kind, Step, StepName};

/// What the process at hand is doing; the only thing about a run that its journal does not hold.
#[derive(Debug, Clone, Default)]
pub struct InFlight {
    /// Steps being performed.
    pub performing: BTreeSet<StepName>,
    /// When each wait was last looked at.
    pub asked: BTreeMap<StepName, Timestamp>,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Perform these now, side by side.
    Start(Vec<Order>),
    /// A limit is reached: journal this fault as the step's answer.
    Expire {
        /// Which step.
        step: StepName,
        /// Why.
        fault: Fault,
    },
    /// The run must stop: journal that.
    Stop(StopReason),
    /// Nothing to do before this instant, or before something in flight answers.
    Wait {
        /// The next instant at which something is due.
        until: Option<Timestamp>,
    },
    /// The run has ended.
    Close(Outcome),
}

/// What holds for all steps alike.
struct Survey<'a> {
    winding_down: bool,
    past_pivot: bool,
    /// Optional steps that failed, or that wait for one that did.
    lost: BTreeSet<&'a StepName>,
}

/// A step to perform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which.
    pub step: StepName,
    /// Which performance, from 1.
    pub attempt: u32,
    /// Whether this only looks again at something under way, so that no intent is journalled.
    pub looks_only: bool,
}

/// How long to wait between two looks at something that has been under way for `elapsed`: 5 % of it, so that the
/// overshoot stays small for long waits and no server is asked more than about three times a second.
pub fn poll_interval(elapsed: SignedDuration) -> SignedDuration {
    (elapsed / 20).clamp(POLL_MIN, SignedDuration::from_secs(5))
}

const POLL_MIN: SignedDuration = SignedDuration::from_millis(300);

/// The same for a wait that ends when nothing moves for `stall`: several looks fall into it, or it would end before anything
/// could be seen to move.
fn look_again_after(elapsed: SignedDuration, stall: SignedDuration) -> SignedDuration {
    poll_interval(elapsed).min((stall / 4).max(POLL_MIN))
}

/// Pause before attempt `attempt + 1`: doubling, capped.
fn back_off(attempt: u32) -> SignedDuration {
    SignedDuration::from_millis(250 * 2_i64.pow(attempt.saturating_sub(1).min(6)))
        .min(SignedDuration::from_secs(10))
}

impl Run {
    /// What may happen now.
    pub fn next(&self, now: Timestamp, in_flight: &InFlight) -> Next {
        if let Some(outcome) = self.outcome() {
            return Next::Close(outcome.clone());
        }
        if self.hold_budget_is_spent(now) {
            return Next::Stop(StopReason::HoldBudget);
        }
        let survey = self.survey();
        let mut orders = Vec::new();
        let mut until: Option<Timestamp> = None;
        for (step, state) in self.steps() {
            let busy = state.is_settled() || in_flight.performing.contains(&step.name);
            if busy || !self.may_run(step, &survey, in_flight) {
                continue;
            }
            if let Some(fault) = self.limit_reached(step, state, now) {
                return Next::Expire { step: step.name.clone(), fault };
            }
            let (order, due) = self.order(step, state, now, in_flight);
            if due <= now {
                orders.push(order);
            } else {
                until = Some(until.map_or(due, |u| u.min(due)));
            }
        }
        if !orders.is_empty() {
            Next::Start(orders)
        } else if until.is_none() && in_flight.performing.is_empty() {
            Next::Close(self.ending(&survey))
        } else {
            if let (Hold::Open { since }, false) = (self.hold(), survey.past_pivot) {
                let budget_ends = since + self.plan().hold_budget();
                until = Some(until.map_or(budget_ends, |u| u.min(budget_ends)));
            }
            Next::Wait { until }
        }
    }

    /// The next attempt of the release and when it is due, for a process that may do nothing else any more. None where
    /// nothing is held, or while pause or release are being performed.
    pub fn next_release(&self, now: Timestamp, in_flight: &InFlight) -> Option<(Order, Timestamp)> {
        let (hold, release) = (self.plan().hold()?, self.plan().release()?);
        let busy = [&hold.name, &release.name].into_iter().any(|step| in_flight.performing.contains(step));
        let due = self.hold().is_open() && !busy;
        due.then(|| self.order(release, self.state(&release.name), now, in_flight))
    }

    /// What holds for all steps alike, looked up once.
    fn survey(&self) -> Survey<'_> {
        let mut lost = BTreeSet::new();
        // Predecessors come first in a plan, so one pass finds all that follows from a loss.
        for (step, state) in self.steps().filter(|(step, _)| !step.required) {
            let failed = matches!(state, StepState::Failed { .. });
            if failed || step.after.iter().any(|before| lost.contains(before)) {
                lost.insert(&step.name);
            }
        }
        Survey { winding_down: self.is_winding_down(), past_pivot: self.is_past_pivot(), lost }
    }

    /// Whether the manifest is, or may be, published: from there the run only goes forward.
    pub fn is_past_pivot(&self) -> bool {
        self.steps().any(|(step, state)| {
            step.kind == Kind::Pivot && !matches!(state, StepState::Waiting | StepState::Failed { .. })
        })
    }

    /// Exporting may not stay paused longer than the plan allows, in wall time since the intent to pause; what
    /// is already published is not failed by a slow release.
    fn hold_budget_is_spent(&self, now: Timestamp) -> bool {
        let Hold::Open { since } = self.hold() else { return false };
        !self.is_past_pivot() && now.duration_since(since) >= self.plan().hold_budget()
    }

    /// Whether an unsettled step may be performed, now or at its next due instant.
    fn may_run(&self, step: &Step, survey: &Survey<'_>, in_flight: &InFlight) -> bool {
        if step.kind == Kind::Release {
            return self.release_is_due(step, survey, in_flight);
        }
        if self.is_dropped(step, survey) || survey.lost.contains(&step.name) {
            return false;
        }
        step.after.iter().all(|before| self.is_satisfied(before, survey))
    }

    /// A release becomes ready once its predecessors are settled, well or not: they all went well, or the run
    /// winds down and nothing but the hold itself could still land after it.
    fn release_is_due(&self, release: &Step, survey: &Survey<'_>, in_flight: &InFlight) -> bool {
        let Some(hold) = self.plan().hold() else { return false };
        if self.hold() == Hold::NotTaken || in_flight.performing.contains(&hold.name) {
            return false;
        }
        survey.winding_down || release.after.iter().all(|before| self.is_satisfied(before, survey))
    }

    /// A step that will never be performed because the run winds down.
    fn is_dropped(&self, step: &Step, survey: &Survey<'_>) -> bool {
        survey.winding_down && !(survey.past_pivot && (step.kind == Kind::Pivot || self.follows_pivot(step)))
    }

    fn follows_pivot(&self, step: &Step) -> bool {
        step.after.iter().filter_map(|name| self.plan().step(name)).any(|before| before.kind == Kind::Pivot)
    }

    fn is_satisfied(&self, name: &StepName, survey: &Survey<'_>) -> bool {
        self.state(name).is_done() || survey.lost.contains(name)
    }

    /// The order for an unsettled step, and when it is due.
    fn order(
        &self,
        step: &Step,
        state: &StepState,
        now: Timestamp,
        in_flight: &InFlight,
    ) -> (Order, Timestamp) {
        let order = |attempt, looks_only| Order { step: step.name.clone(), attempt, looks_only };
        match state {
            StepState::Performing { attempt, .. } => (order(attempt + 1, false), now),
            StepState::Retrying { attempt, at, .. } => {
                (order(attempt + 1, false), self.due_again(step, *at, *attempt))
            }
            StepState::Pending { attempt, since, .. } => {
                let asked = in_flight.asked.get(&step.name);
                let due = asked.map_or(now, |asked| {
                    *asked + look_again_after(self.alive(*since, now), step.limits.stall)
                });
                (order(*attempt, true), due)
            }
            StepState::Waiting | StepState::Done { .. } | StepState::Failed { .. } => (order(1, false), now),
        }
    }

    /// A release that waits for a pause on its way is confirmed as soon as that is over, whatever the back-off says: the
    /// patience after a signal is short. And a back-off is that of the process that failed: whoever takes over may know
    /// that all is well again, and tries at once.
    fn due_again(&self, step: &Step, failed: Timestamp, attempt: u32) -> Timestamp {
        if let Some(adopted) = self.adopted_at().filter(|adopted| *adopted > failed) {
            return adopted;
        }
        let due = failed + back_off(attempt);
        let over = self.pause_may_land_until().filter(|until| *until > failed);
        match over {
            Some(over) if step.kind == Kind::Release => due.min(over),
            _ => due,
        }
    }

    /// The fault of a step that has used up its time or its attempts; a release never does.
    fn limit_reached(&self, step: &Step, state: &StepState, now: Timestamp) -> Option<Fault> {
        let since = state.since().filter(|_| step.kind != Kind::Release)?;
        let limits = step.limits;
        if self.alive(since, now) >= limits.deadline {
            let seen = match state {
                StepState::Pending { mark, .. } => format!("last seen: {}", mark.says),
                StepState::Retrying { fault, .. } => format!("last fault: {fault}"),
                _ => "no answer".into(),
            };
            let why = format!("not done after {:#}; {seen}", limits.deadline);
            let fault = limit_fault(FaultKind::Deadline, step, why);
            return Some(match state {
                // What was answered last knows better what helps than the step does.
                StepState::Retrying { fault: last, .. } if !last.hint.is_empty() => {
                    fault.with_hint(&last.hint)
                }
                _ => fault,
            });
        }
        match state {
            StepState::Pending { mark, moved_at, .. } if self.alive(*moved_at, now) >= limits.stall => {
                let why = format!("nothing has moved for {:#}; last seen: {}", limits.stall, mark.says);
                Some(limit_fault(FaultKind::Stalled, step, why))
            }
            StepState::Performing { attempt, .. } if *attempt >= limits.attempts_max => Some(limit_fault(
                FaultKind::Deadline,
                step,
                format!("interrupted {attempt} times without an answer"),
            )),
            _ => None,
        }
    }

    /// How a run ends in which nothing is left to do.
    fn ending(&self, survey: &Survey<'_>) -> Outcome {
        let published = self.steps().any(|(step, state)| step.kind == Kind::Pivot && state.is_done());
        if published {
            let missing: Vec<StepName> = self
                .steps()
                .filter(|(step, state)| {
                    matches!(state, StepState::Failed { .. }) && survey.lost.contains(&step.name)
                })
                .map(|(step, _)| step.name.clone())
                .collect();
            return if missing.is_empty() { Outcome::Complete } else { Outcome::Partial { missing } };
        }
        match (self.first_failure(), self.stopping()) {
            (_, Some(reason)) => Outcome::Stopped { reason },
            (Some((step, fault)), None) => Outcome::Failed { step: step.name.clone(), fault: fault.clone() },
            (None, None) => {
                unreachable!("a plan has a pivot, and every step before it can run or has failed")
            }
        }
    }
}

fn limit_fault(kind: FaultKind, step: &Step, why: String) -> Fault {
    // What is waited for before the pause is a prerequisite that does not hold.
    let kind = if matches!(step.action, Action::AwaitQuiet { .. }) { FaultKind::Precondition } else { kind };
    let fault = Fault::new(kind, step.action.doing(), format!("step {}", step.name), why)
        .with_hint(step.action.advice());
    // Who only looks, or waits, changes nothing.
    if step.kind == Kind::Probe { fault } else { fault.with_unknown_effect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What moves all the time must be seen to: also in the shortest stall time, and after hours.
    #[test]
    fn several_looks_fall_into_a_stall_time() {
        for seconds in [1, 2, 10, 600] {
            let stall = SignedDuration::from_secs(seconds);
            for elapsed in [0, 10, 100, 100_000].map(SignedDuration::from_secs) {
                assert!(look_again_after(elapsed, stall) * 3 <= stall, "{elapsed} {stall}");
            }
        }
        let (hours, default) = (SignedDuration::from_hours(3), SignedDuration::from_mins(10));
        assert_eq!(look_again_after(hours, default), poll_interval(hours), "no more than usual");
    }
}
