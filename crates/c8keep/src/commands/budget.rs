//! Whether the hold budget is enough, by the pauses of the last runs.

use c8keep_core::Run;
use c8keep_engine::open_runs;
use c8keep_engine::ports::Journal;
use jiff::SignedDuration;
use serde::Serialize;

use crate::show::time::span;

/// How many runs are looked at.
const RUNS_COMPARED: u32 = 10;

/// What to do where it is not.
pub(super) const ADVICE: &str =
    "raise `limits.hold_budget`, or find out what is slow while exporting is paused";

/// The budget beside the longest of the last pauses.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    pub(super) says: String,
    /// A budget that a healthy run nearly uses up ends the next one that is a little slower.
    pub(super) is_enough: bool,
}

/// By runs that have ended, newest first, against the budget that the next one will have.
pub(super) fn compare<'a>(runs: impl Iterator<Item = &'a Run>, next: SignedDuration) -> Option<Compared> {
    let ended = runs.take(RUNS_COMPARED as usize).filter(|run| run.outcome().is_some());
    let longest = ended.filter_map(|run| run.hold().length(run.last_at())).max()?;
    let says = format!("{} at most; the longest of the last pauses took {}", span(next), span(longest));
    Some(Compared { says, is_enough: longest * 2 <= next })
}

/// The same by the runs of a journal; nothing, where it cannot be read: whoever needs it says so.
pub(super) async fn by_journal(
    journal: &dyn Journal,
    installation: &str,
    next: SignedDuration,
) -> Option<Compared> {
    let mut runs = Vec::new();
    for row in journal.runs(installation, RUNS_COMPARED).await.ok()? {
        runs.extend(open_runs::load(journal, &row.run).await.ok().flatten().map(|(run, _)| run));
    }
    compare(runs.iter(), next)
}
