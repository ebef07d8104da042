//! Product mutants: c8keep broken on purpose, one way at a time, at its ports or in its plan. Each must break a promise in
//! some seed, or the checks are worth nothing. Nothing of this is in what ships.

use c8keep_adapters::transport::{Method, Request, Response, TransportError};
use c8keep_core::BackupId;
use c8keep_core::plan::{Action, NotAPlan, Plan, PlanParts};
use c8keep_core::recipe;
use jiff::SignedDuration;

mod answers;

use self::answers::{
    done, far_ahead, flattered, good, replaced, with_every_part, with_every_partition, with_something,
};

use crate::weather::{Trouble, What, Wire};

/// One way to be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Intents become durable after what they intend was sent.
    IntentAfterEffect,
    /// An append that failed counts as durable.
    FailedAppendIsDurable,
    /// The journal takes appends of any term.
    NoTermCheck,
    /// HTTP 200 is success for pause and resume, whatever the body says.
    StatusInBodyIgnored,
    /// The pause is the hard one.
    HardPause,
    /// The release is never sent, and believed.
    ReleaseBelieved,
    /// What an earlier process left open is not looked for.
    OpenRunsIgnored,
    /// A pause that somebody else made is taken for none.
    ForeignPauseUnseen,
    /// The witness sees positions that allow everything.
    WitnessBlind,
    /// A snapshot in which a shard failed is as good as any.
    PartialAccepted,
    /// Nobody waits for the records snapshot.
    RecordsNotAwaited,
    /// Nobody waits for the web applications.
    HistoryNotAwaited,
    /// INCOMPLETE is the end at once.
    IncompleteIsFinal,
    /// A wait has no end.
    NoStall,
    /// The pause has no limit.
    NoHoldBudget,
    /// Exporting is resumed before the runtime backup.
    ReleaseTooEarly,
    /// Every run has the same id, and nobody looks whether it is free.
    IdReused,
    /// A write into the vault that failed counts as written.
    VaultFailureIgnored,
    /// Who is asked to stop does not hear it.
    SignalIgnored,
    /// Exporting is resumed only where everything went well.
    ReleaseOnlyAfterSuccess,
    /// Exporting is resumed only where something failed.
    ReleaseOnlyAfterFailure,
    /// Between hosts nobody claims anything.
    ClaimsIgnored,
    /// A pause that the claim of another host tells of is left to others.
    InheritedPauseIgnored,
    /// A partition whose backup failed is as good as any.
    FailedPartitionAccepted,
    /// A part of the web applications that is not there is taken to be.
    MissingPartAccepted,
    /// A partition of which the brokers say nothing is taken to be there.
    MissingPartitionAccepted,
    /// A records snapshot of nothing is as good as any.
    EmptyAccepted,
    /// A pause that somebody else made is resumed.
    ForeignPauseReleased,
    /// A change whose answer was lost has happened.
    UnknownIsSuccess,
    /// A change whose answer was lost has not happened.
    UnknownIsFailure,
}

/// All of them.
pub const ALL: [Mutant; 30] = [
    Mutant::IntentAfterEffect,
    Mutant::FailedAppendIsDurable,
    Mutant::NoTermCheck,
    Mutant::StatusInBodyIgnored,
    Mutant::HardPause,
    Mutant::ReleaseBelieved,
    Mutant::OpenRunsIgnored,
    Mutant::ForeignPauseUnseen,
    Mutant::WitnessBlind,
    Mutant::PartialAccepted,
    Mutant::RecordsNotAwaited,
    Mutant::HistoryNotAwaited,
    Mutant::IncompleteIsFinal,
    Mutant::NoStall,
    Mutant::NoHoldBudget,
    Mutant::ReleaseTooEarly,
    Mutant::IdReused,
    Mutant::VaultFailureIgnored,
    Mutant::SignalIgnored,
    Mutant::ReleaseOnlyAfterSuccess,
    Mutant::ReleaseOnlyAfterFailure,
    Mutant::ClaimsIgnored,
    Mutant::InheritedPauseIgnored,
    Mutant::FailedPartitionAccepted,
    Mutant::MissingPartAccepted,
    Mutant::MissingPartitionAccepted,
    Mutant::EmptyAccepted,
    Mutant::ForeignPauseReleased,
    Mutant::UnknownIsSuccess,
    Mutant::UnknownIsFailure,
];

/// Mutants that were thought of and are not here, each with its reason.
pub const ABSENT: &[(&str, &str)] = &[
    ("retry a POST with a new id", "an id is part of the plan; no call can carry another one"),
    (
        "no second look after the release",
        "no server of the twin says that it resumed and did not; a pause that lands late is covered by time",
    ),
    ("wall clock for deadlines", "one clock only; set-back clocks are a fault of every night"),
    ("retention and deletion (five of them)", "no retention yet"),
    (
        "no folder sync, no checksum, retry after a failed sync",
        "tests of the SQLite journal and the folder vault",
    ),
];

/// What a mutant may know of the process that it is in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knows {
    /// It has sent a pause.
    pub(crate) paused: bool,
    /// It has sent a resume.
    pub(crate) resumed: bool,
    /// A step of its run has failed.
    pub(crate) failed: bool,
}

impl Mutant {
    /// What happens for certain in the nights in which it must be found out, each at some event; everything else is calm. A
    /// mutant that needs none is wrong on the best of nights.
    pub fn weather(self) -> &'static [What] {
        match self {
            Mutant::FailedAppendIsDurable => &[What::JournalFails],
            Mutant::NoTermCheck => &[What::SecondUnlocked],
            Mutant::StatusInBodyIgnored => &[What::Trouble(Trouble::BrokerDown(1), 25_000)],
            Mutant::OpenRunsIgnored | Mutant::IdReused | Mutant::InheritedPauseIgnored => &[What::Kill],
            Mutant::ClaimsIgnored => &[What::Second],
            Mutant::ForeignPauseUnseen | Mutant::ForeignPauseReleased => {
                &[What::Trouble(Trouble::ForeignPause, 0)]
            }
            Mutant::MissingPartAccepted => &[What::Trouble(Trouble::PartLeftOut, 0)],
            Mutant::MissingPartitionAccepted => &[What::Trouble(Trouble::PartitionLeftOut, 0)],
            Mutant::EmptyAccepted => &[What::Trouble(Trouble::RecordsEmpty, 0)],
            Mutant::UnknownIsSuccess => &[What::Trouble(Trouble::GatewayDown, 25_000)],
            Mutant::UnknownIsFailure => &[What::Aimed(Wire::LoseAnswer), What::Kill],
            Mutant::WitnessBlind => &[What::ForeignResume],
            Mutant::PartialAccepted => &[What::Trouble(Trouble::RecordsPartial, 0)],
            Mutant::NoStall => &[What::Trouble(Trouble::PartMissing, 0)],
            Mutant::NoHoldBudget => &[What::Trouble(Trouble::Stuck, 0)],
            Mutant::VaultFailureIgnored => &[What::VaultFull],
            Mutant::SignalIgnored => &[What::VaultFull, What::Signal],
            Mutant::ReleaseOnlyAfterSuccess | Mutant::FailedPartitionAccepted => {
                &[What::Trouble(Trouble::PartitionFails, 0)]
            }
            _ => &[],
        }
    }

    /// Whether its nights have several hosts.
    pub fn needs_hosts(self) -> bool {
        matches!(self, Mutant::ClaimsIgnored | Mutant::InheritedPauseIgnored)
    }

    /// The promises of which it breaks one: found out for another reason, it is not understood.
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Mutant::IntentAfterEffect | Mutant::ForeignPauseReleased => &["S1"],
            Mutant::FailedAppendIsDurable | Mutant::NoTermCheck => &["S8"],
            Mutant::HardPause | Mutant::ForeignPauseUnseen => &["S5"],
            Mutant::OpenRunsIgnored => &["L1", "L3", "S7"],
            Mutant::WitnessBlind | Mutant::RecordsNotAwaited | Mutant::EmptyAccepted => &["S4"],
            Mutant::PartialAccepted
            | Mutant::HistoryNotAwaited
            | Mutant::FailedPartitionAccepted
            | Mutant::MissingPartAccepted
            | Mutant::MissingPartitionAccepted => &["S2"],
            Mutant::IncompleteIsFinal | Mutant::ReleaseTooEarly => &["L3"],
            Mutant::ClaimsIgnored => &["S7", "S6"],
            Mutant::InheritedPauseIgnored => &["L1", "L3"],
            Mutant::NoStall | Mutant::SignalIgnored => &["L2"],
            Mutant::NoHoldBudget => &["L4"],
            Mutant::IdReused => &["S6"],
            Mutant::VaultFailureIgnored => &["S14"],
            Mutant::StatusInBodyIgnored
            | Mutant::ReleaseBelieved
            | Mutant::ReleaseOnlyAfterSuccess
            | Mutant::ReleaseOnlyAfterFailure
            | Mutant::UnknownIsSuccess
            | Mutant::UnknownIsFailure => &["L1", "S14"],
        }
    }

    /// What it sends in place of a request; the answer where it sends nothing.
    pub(crate) fn before(self, request: &mut Request, knows: Knows) -> Option<Response> {
        let resume = request.url.ends_with("/exporting/resume");
        match self {
            Mutant::HardPause => {
                request.url = request.url.replace("?soft=true", "");
                None
            }
            Mutant::ReleaseBelieved if resume => Some(good()),
            Mutant::ReleaseOnlyAfterSuccess if resume && knows.failed => Some(good()),
            Mutant::ReleaseOnlyAfterFailure if resume && !knows.failed => Some(good()),
            _ => None,
        }
    }

    /// What it makes of an answer.
    pub(crate) fn after(
        self,
        request: &Request,
        knows: Knows,
        answer: Result<Response, TransportError>,
    ) -> Result<Response, TransportError> {
        let exporting = request.url.contains("/actuator/exporting/") && request.method == Method::Post;
        let partitions = request.url.ends_with("/actuator/partitions");
        let snapshot = request.url.contains("/_snapshot/");
        match (self, answer) {
            (Mutant::StatusInBodyIgnored, Ok(answer)) if exporting && answer.status == 200 => Ok(good()),
            (Mutant::ForeignPauseUnseen, Ok(answer)) if partitions && !knows.paused => {
                Ok(replaced(answer, &[("SOFT_PAUSED", "EXPORTING")]))
            }
            // Nobody looks, with or without a release of one's own before: what is believed is that it runs.
            (
                Mutant::ReleaseBelieved | Mutant::ReleaseOnlyAfterSuccess | Mutant::ReleaseOnlyAfterFailure,
                Ok(answer),
            ) if partitions && knows.resumed => Ok(replaced(answer, &[("SOFT_PAUSED", "EXPORTING")])),
            (Mutant::WitnessBlind, Ok(answer)) if partitions => Ok(far_ahead(answer)),
            (Mutant::FailedPartitionAccepted, Ok(answer)) if request.url.contains("/actuator/backup") => {
                Ok(replaced(answer, &[("\"FAILED\"", "\"COMPLETED\"")]))
            }
            (Mutant::PartialAccepted, Ok(answer)) if snapshot => Ok(flattered(answer)),
            (Mutant::IncompleteIsFinal, Ok(answer)) if request.url.contains("/actuator/backup") => {
                Ok(replaced(answer, &[("\"INCOMPLETE\"", "\"FAILED\"")]))
            }
            (Mutant::MissingPartAccepted, Ok(answer)) => Ok(with_every_part(request, answer)),
            (Mutant::MissingPartitionAccepted, Ok(answer)) if request.url.contains("/actuator/backup") => {
                Ok(with_every_partition(answer))
            }
            (Mutant::EmptyAccepted, Ok(answer)) => Ok(with_something(request, answer)),
            (Mutant::UnknownIsSuccess, Err(lost)) if lost.may_have_arrived => done(request).ok_or(lost),
            (Mutant::UnknownIsFailure, Err(lost)) if request.method.changes() => {
                Err(TransportError::line(lost.cause, false))
            }
            (_, answer) => answer,
        }
    }

    /// What it sends beside a request, given its answer.
    pub(crate) fn beside(self, request: &Request, knows: Knows, answer: &Response) -> Option<Request> {
        let reads = request.url.ends_with("/actuator/partitions");
        let paused = String::from_utf8_lossy(&answer.body).contains("SOFT_PAUSED");
        if self != Mutant::ForeignPauseReleased || !reads || !paused || knows.paused {
            return None;
        }
        let url = request.url.replace("/actuator/partitions", "/actuator/exporting/resume");
        Some(Request { method: Method::Post, url, ..request.clone() })
    }

    /// The request that it makes of one.
    pub(crate) fn request(self, mut request: recipe::Request) -> recipe::Request {
        const FOR_EVER: SignedDuration = SignedDuration::from_hours(10_000);
        match self {
            Mutant::NoStall => (request.stall, request.wait_deadline) = (FOR_EVER, FOR_EVER),
            Mutant::NoHoldBudget => request.hold_budget = FOR_EVER,
            Mutant::IdReused => request.id = BackupId::new(1_700_000_000).unwrap_or(request.id),
            _ => {}
        }
        request
    }

    /// The plan that it makes of one.
    pub(crate) fn plan(self, plan: Plan) -> Result<Plan, NotAPlan> {
        let mut parts = PlanParts::from(plan);
        match self {
            Mutant::RecordsNotAwaited => {
                without(&mut parts, |action| matches!(action, Action::AwaitRecords { .. }));
            }
            Mutant::HistoryNotAwaited => {
                without(&mut parts, |action| matches!(action, Action::AwaitHistory { .. }));
            }
            Mutant::IdReused => without(&mut parts, |action| matches!(action, Action::CheckId { .. })),
            Mutant::ReleaseTooEarly => {
                let first = step_of(&parts, |action| matches!(action, Action::ReadFirstPositions));
                let release = parts.steps.iter_mut().find(|step| step.action == Action::ResumeExporting);
                if let (Some(first), Some(release)) = (first, release) {
                    release.after = [first].into();
                }
            }
            _ => {}
        }
        Plan::new(parts)
    }
}

fn step_of(parts: &PlanParts, is: impl Fn(&Action) -> bool) -> Option<c8keep_core::StepName> {
    parts.steps.iter().find(|step| is(&step.action)).map(|step| step.name.clone())
}

/// Takes steps out; what waited for them waits for what they waited for.
fn without(parts: &mut PlanParts, is: impl Fn(&Action) -> bool) {
    while let Some(place) = parts.steps.iter().position(|step| is(&step.action)) {
        let gone = parts.steps.remove(place);
        for step in &mut parts.steps {
            if step.after.remove(&gone.name) {
                step.after.extend(gone.after.iter().cloned());
            }
        }
    }
}
