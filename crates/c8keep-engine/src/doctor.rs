//! The doctor: everything that a backup needs, looked at side by side. It changes nothing but what the check of the vault
//! writes and removes again. What it looks at is judged by pure functions (`judge`).

mod absent;
mod examine;
mod judge;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use c8keep_core::HistoryApp;
use c8keep_core::facts::Positions;
use c8keep_core::fault::{Fault, FaultKind};
use serde::Serialize;

pub use self::absent::NoSearch;
pub use self::examine::{Known, databases, examine};
use crate::perform::probes;

/// One thing that a backup needs, as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub subject: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was seen.
    pub says: String,
    /// What to do, where something is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub todo: String,
    /// The fault behind a bad verdict; it decides the exit code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// What kept it from being as it should be, to tell one cause only once.
    #[serde(skip)]
    cause: Option<Fault>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Nobody tells, from here.
    CannotTell,
    /// A backup can be taken, and something wants attention.
    Warning,
    /// A backup would be refused, or fail.
    Bad,
}

/// Whether exporting runs, where nothing is known but a management address.
pub fn exporting_alone(management: &str, positions: &Result<Positions, Fault>) -> Check {
    let foreign = positions.as_ref().ok().and_then(|positions| probes::foreign_pause(management, positions));
    judge::exporting(positions, foreign)
}

/// The vault, where there is nothing else to look at.
pub fn vault_of(place: &str, checked: Result<(), Fault>) -> Check {
    judge::vault(place, checked)
}

/// One cause, one line: what else could not be judged because of it says so and no more.
pub fn one_cause_one_line(checks: Vec<Check>) -> Vec<Check> {
    let told: Vec<(&'static str, Verdict, Fault)> = checks
        .iter()
        .filter_map(|check| Some((check.subject, check.verdict, check.cause.clone()?)))
        .collect();
    let first_of = |cause: &Fault| {
        let mut same = told.iter().filter(|(_, _, other)| is_one_cause(other, cause));
        let first = same.clone().next();
        same.find(|(_, verdict, _)| *verdict == Verdict::Bad).or(first).map(|(subject, ..)| *subject)
    };
    let once = |check: Check| match check.cause.as_ref().and_then(first_of) {
        Some(first) if first != check.subject => Check::not_judged(check.subject, first),
        _ => check,
    };
    checks.into_iter().map(once).collect()
}

/// The same answer from the same place; or no way to a server at all, whatever it was asked.
fn is_one_cause(one: &Fault, other: &Fault) -> bool {
    let no_way = matches!(one.kind, FaultKind::Unreachable | FaultKind::Unauthorised);
    let same_server = || !servers(&one.target).is_disjoint(&servers(&other.target));
    one.kind == other.kind
        && (one.target == other.target && one.answer == other.answer || no_way && same_server())
        || is_missing_secret(one, other)
}

/// A secret that is not there is noticed when it is looked up, and again by every request that needs it.
fn is_missing_secret(one: &Fault, other: &Fault) -> bool {
    let kinds = [one.kind, other.kind];
    one.answer == other.answer
        && kinds.contains(&FaultKind::Usage)
        && kinds.contains(&FaultKind::Unauthorised)
}

/// Hosts and ports of the addresses in a text.
fn servers(target: &str) -> BTreeSet<&str> {
    let after_scheme = target.split("://").skip(1);
    after_scheme.filter_map(|rest| rest.split(['/', ',', ' ']).next()).collect()
}

/// The line of an application.
pub fn subject_of(app: HistoryApp) -> &'static str {
    match app {
        HistoryApp::Operate => "operate",
        HistoryApp::Tasklist => "tasklist",
        HistoryApp::Webapps => "web apps",
        HistoryApp::Optimize => "optimize",
    }
}

impl Check {
    /// As it should be.
    pub fn ok(subject: &'static str, says: impl Into<String>) -> Check {
        let (todo, fault, cause) = (String::new(), None, None);
        Check { subject, verdict: Verdict::Ok, says: says.into(), todo, fault, cause }
    }

    /// Something that wants attention.
    pub fn warning(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::Warning, todo: todo.into(), ..Check::ok(subject, says) }
    }

    /// The same with what kept it from being as it should be.
    fn because_of(self, fault: &Fault) -> Check {
        Check { cause: Some(fault.clone()), ..self }
    }

    /// Nobody tells.
    pub fn cannot_tell(subject: &'static str, says: impl Into<String>, todo: impl Into<String>) -> Check {
        Check { verdict: Verdict::CannotTell, ..Check::warning(subject, says, todo) }
    }

    /// Nobody tells, because of a fault that refuses no backup.
    pub fn untold(subject: &'static str, fault: &Fault) -> Check {
        Check::cannot_tell(subject, &fault.answer, &fault.hint).because_of(fault)
    }

    /// Nobody tells, because of what another line says.
    pub fn not_judged(subject: &'static str, because_of: &str) -> Check {
        Check::cannot_tell(subject, format!("not judged: see {because_of}"), "")
    }

    /// A backup would be refused, or fail.
    pub fn bad(subject: &'static str, fault: Fault) -> Check {
        let says = format!("{}: {}", fault.target, fault.answer);
        let todo = if fault.hint.is_empty() { whatever(fault.kind) } else { &fault.hint };
        let (todo, cause) = (todo.to_owned(), Some(fault.clone()));
        Check { verdict: Verdict::Bad, says, todo, fault: Some(fault), subject, cause }
    }
}

/// What to do about a fault of this kind of which nothing better is known.
fn whatever(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Unreachable => "see whether it is up, and what lies between here and there",
        FaultKind::Unauthorised => "see which login is used, and what it may do (docs/access.md)",
        FaultKind::Strange => "see whether the address is the right one, and what a proxy before it does",
        FaultKind::Storage | FaultKind::Damaged => "see to the disk and the rights of the folder",
        _ => "its own log says more; mend that, and ask again",
    }
}
