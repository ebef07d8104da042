//! Claims in the common vault, for verbs that only tell of them.

use std::sync::Arc;

use c8keep_core::claim::{Claim, GOOD_FOR, Held};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::fence::newest_claim;
use c8keep_engine::open_runs::Open;
use c8keep_engine::ports::{Journal, Vault};
use jiff::Timestamp;
use serde::Serialize;

use super::inherited::{self, Known};
use crate::session;
use crate::settings::Settings;
use crate::show::time::{ago, span};

/// The newest claim, where it tells what this host's own journal does not: of somebody at work elsewhere, or of a pause that is
/// left.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    pub(super) claim: Claim,
    /// Whether its process is known to have ended, whenever it was renewed.
    pub(super) has_ended: bool,
}

/// What it tells, where nobody is at work on this host; or that it is none. A vault that cannot be read is told of elsewhere.
pub(super) async fn told(
    settings: &Settings,
    vault: &Result<Arc<dyn Vault>, Fault>,
    journal: &dyn Journal,
    open: &Open,
) -> Result<Option<Told>, Fault> {
    let Some(vault) = vault.as_ref().ok().filter(|_| settings.vault.is_some()) else { return Ok(None) };
    let mut claim = match newest_claim(Arc::clone(vault), settings.name()).await {
        Ok(Some(claim)) => claim,
        Err(fault) if fault.kind == FaultKind::Damaged => return Err(fault),
        Ok(None) | Err(_) => return Ok(None),
    };
    if let Some(held) = &claim.held
        && inherited::known(journal, &open.runs, held).await != Known::No
    {
        claim.held = None;
    }
    // A claim of this very journal is what a process that has ended has left.
    let own = session::journal_id(settings).await;
    let has_ended = claim.left || own.as_ref() == Some(&claim.journal);
    Ok(Some(Told { claim, has_ended }).filter(|told| !told.has_ended || told.claim.held.is_some()))
}

impl Told {
    /// Whether its process seems to be alive: its owner trusts no renewal that is older, either. By the clock of that host, so
    /// it proves nothing; to be sure takes watching.
    pub(super) fn is_at_work(&self, now: Timestamp) -> bool {
        !self.has_ended && self.claim.at.duration_since(now).abs() < GOOD_FOR
    }

    /// The pause under it that nobody seems to be at work on.
    pub(super) fn left_paused(&self, now: Timestamp) -> Option<&Held> {
        self.claim.held.as_ref().filter(|_| !self.is_at_work(now))
    }

    /// It and what to do about it.
    pub(super) fn lines(&self, now: Timestamp) -> [String; 2] {
        let Claim { by, at, held, .. } = &self.claim;
        let renewed = format!("renewed {} by its clock", ago(*at, now));
        let (says, next) = match (self.is_at_work(now), held) {
            (true, held) => {
                let holds = held
                    .as_ref()
                    .map_or_else(String::new, |held| format!("; run {} holds a pause", held.run));
                let next = "it is at work on another host: wait until it has ended, or stop it there (it resumes \
                            exporting)";
                (format!("{by}, {renewed}{holds}"), next.to_owned())
            }
            (false, Some(held)) if self.has_ended => (
                format!("run {} of a process that has ended ({by}) holds a pause", held.run),
                "`c8keep resume-exporting` releases it; the next `c8keep backup` does so first".into(),
            ),
            (false, held) => {
                let silent = format!(
                    "it has not been renewed for {} and may be dead",
                    span(now.duration_since(*at).abs())
                );
                match held {
                    Some(held) => (
                        format!("{by}, {renewed}; run {} holds a pause", held.run),
                        format!(
                            "{silent}: `c8keep resume-exporting`, or the next `c8keep backup`, watches it for 60 s, takes \
                             over and releases its pause"
                        ),
                    ),
                    None => (
                        format!("{by}, {renewed}"),
                        format!("{silent}: the next `c8keep backup` watches it for 60 s and takes over"),
                    ),
                }
            }
        };
        [format!("claim         {says}"), format!("  next        {next}")]
    }
}
