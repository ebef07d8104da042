//! Claims between hosts: who may act on an installation, told by objects in a vault that are only ever created.
//!
//! `<name>/claims/<term>.json` is a claim, `<term>.<n>.json` its n-th renewal; both count without gaps from one. This
//! module decides and does nothing: no clock, no vault. It trusts no other host's clock, either: times in a claim are for
//! people, and whether one is alive is told by renewals that are seen to come.

#[cfg(test)]
mod tests;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::installation::Fingerprint;
use crate::plan::Plan;
use crate::run::{Event, Hold, Run, RunId};

/// How often a claim is renewed.
pub const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(20);
/// How long a claim must be seen without a new renewal before somebody else takes over.
pub const WATCH_FOR: SignedDuration = SignedDuration::from_secs(60);
/// How long its owner trusts a renewal, from when it was sent. Less than others watch, so that both are never sure.
pub const GOOD_FOR: SignedDuration = SignedDuration::from_secs(45);
/// The format written here.
pub const CLAIM_FORMAT: u32 = 1;

/// One claim, or one renewal of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// How to read this.
    pub format: u32,
    /// The installation's name.
    pub installation: String,
    /// The claim's number; the highest one counts.
    pub term: u64,
    /// Which renewal this is; zero for the claim itself.
    pub renewal: u64,
    /// Who, for people.
    pub by: String,
    /// Which journal its runs are in, and on which host: whoever has the lock beside the same one knows that the claim's
    /// process has ended.
    pub journal: String,
    /// When it was written, by its writer's clock, for people.
    pub at: Timestamp,
    /// The pause that its owner is about to make, has made, or has inherited and not yet lifted.
    pub held: Option<Held>,
    /// Whether its owner has ended, or is about to: nothing more will be sent.
    pub left: bool,
}

/// A pause of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The run that paused.
    pub run: RunId,
    /// On which cluster: a name may stand for another one today.
    pub fingerprint: Fingerprint,
    /// Since when, by its clock.
    pub since: Timestamp,
}

impl Held {
    /// Whether both tell of the same pause. Two hosts may give the same id to two runs; the instant tells them apart.
    pub fn is_same_pause(&self, other: &Held) -> bool {
        self.run == other.run
            && self.since == other.since
            && self.fingerprint.is_same_installation(&other.fingerprint)
    }
}

/// What whoever wants an installation does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bid {
    /// Create the claim with this term; whoever creates it has it.
    Take(u64),
    /// Look again until then; nothing else is known yet.
    Watch(Timestamp),
    /// It is somebody's who is alive.
    Busy,
}

/// A claim under observation: what was seen first, and when, by the watcher's own clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What was seen first.
    pub first: Claim,
    /// When.
    pub since: Timestamp,
}

/// What the newest claim allows `us`, a journal whose lock is held here.
pub fn bid(newest: Option<&Claim>, us: &str, watched: Option<&Watched>, now: Timestamp) -> Bid {
    let Some(newest) = newest else { return Bid::Take(1) };
    // Nobody counts that far: a damaged claim. Its number is taken already, so whoever bids for it is refused by the vault.
    let next = newest.term.saturating_add(1);
    if newest.left || newest.journal == us {
        return Bid::Take(next);
    }
    let Some(watched) = watched else { return Bid::Watch(now + WATCH_FOR) };
    if (newest.term, newest.renewal) != (watched.first.term, watched.first.renewal) {
        return Bid::Busy;
    }
    let until = watched.since + WATCH_FOR;
    if now >= until { Bid::Take(next) } else { Bid::Watch(until) }
}

/// A claim as its owner knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Its number.
    pub term: u64,
    /// The last renewal that arrived.
    pub renewal: u64,
    /// When that one was sent. Until it arrived nobody knew that we are alive, so nothing later counts.
    pub sent_at: Timestamp,
    /// Who has created a higher term.
    pub superseded_by: Option<String>,
}

/// What an owner may still do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Sure,
    /// Nothing before it is renewed; if that cannot be done, only the release of its own hold.
    Stale,
    /// Nothing, not even a release: a resume has no owner, and would open another run's window.
    Lost,
}

impl Lease {
    /// What may be done now.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.superseded_by.is_some() {
            return Standing::Lost;
        }
        let age = now.duration_since(self.sent_at);
        // A clock that runs backwards says nothing about the age.
        if age < SignedDuration::ZERO || age >= GOOD_FOR { Standing::Stale } else { Standing::Sure }
    }

    /// Until when its owner is sure of it without another renewal.
    pub fn good_until(&self) -> Timestamp {
        self.sent_at + GOOD_FOR
    }

    /// When the next renewal is due.
    pub fn renewal_due(&self) -> Timestamp {
        self.sent_at + RENEW_EVERY
    }
}

/// The pause that a run holds open, as its claim tells it.
pub fn held_by(run: &Run) -> Option<Held> {
    match run.hold() {
        Hold::Open { since } | Hold::ReleasePending { since } => {
            Some(Held { run: run.id().clone(), fingerprint: run.plan().fingerprint().clone(), since })
        }
        Hold::NotTaken | Hold::Released { .. } => None,
    }
}

/// What the claim must say before these events of a run are journalled, if that is something new: a pause is told before
/// it is sent.
pub fn to_tell(run: &RunId, plan: &Plan, events: &[Event], held: Option<&Held>) -> Option<Held> {
    let pause = &plan.hold()?.name;
    let since = events.iter().find_map(|event| match event {
        Event::Intended { step, at, .. } if step == pause => Some(*at),
        _ => None,
    })?;
    if held.is_some_and(|held| held.run == *run) {
        return None;
    }
    Some(Held { run: run.clone(), fingerprint: plan.fingerprint().clone(), since })
}

/// Where a claim or a renewal of it lies.
pub fn path(installation: &str, term: u64, renewal: u64) -> String {
    match renewal {
        0 => format!("{installation}/claims/{term}.json"),
        n => format!("{installation}/claims/{term}.{n}.json"),
    }
}

/// Finds the last of numbers that exist without gaps from `first` on, by asking: doubling, then halving. Give it the answer
/// to each question until it says that it is done; a vault with ten thousand terms is asked some thirty times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    there: u64,
    absent: Option<u64>,
    step: u64,
}

impl Last {
    /// Everything up to `there` is known to exist.
    pub fn after(there: u64) -> Last {
        Last { there, absent: None, step: 1 }
    }

    /// The number to ask for next; `None` when the last one is found.
    pub fn question(&self) -> Option<u64> {
        match self.absent {
            None => Some(self.there.saturating_add(self.step)),
            Some(absent) if absent - self.there > 1 => Some(self.there + (absent - self.there) / 2),
            Some(_) => None,
        }
    }

    /// Takes the answer to the question.
    pub fn answer(&mut self, number: u64, exists: bool) {
        if exists {
            self.there = self.there.max(number);
            self.step = self.step.saturating_mul(2);
        } else {
            self.absent = Some(self.absent.map_or(number, |absent| absent.min(number)));
        }
    }

    /// The last number that exists.
    pub fn found(&self) -> u64 {
        self.there
    }
}
