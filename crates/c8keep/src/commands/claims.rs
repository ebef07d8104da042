//! Claims of other hosts in the common vault, for verbs that only tell of them.

use std::sync::Arc;

use c8keep_core::claim::Claim;
use c8keep_core::fault::Fault;
use c8keep_engine::fence::newest_claim;
use c8keep_engine::ports::Vault;
use jiff::{SignedDuration, Timestamp};

use crate::session;
use crate::settings::Settings;
use crate::show::time::ago;

/// Claims are renewed every 20 s; the rest is for clocks of other hosts.
const CLAIM_IS_FRESH: SignedDuration = SignedDuration::from_secs(90);

/// A claim that is not given back, of another host than this one; nobody may be at work here. A vault that cannot be read is told
/// of elsewhere.
pub(super) async fn of_another_host(
    settings: &Settings,
    vault: &Result<Arc<dyn Vault>, Fault>,
) -> Option<Claim> {
    let vault = vault.as_ref().ok().filter(|_| settings.vault.is_some())?;
    let claim = newest_claim(Arc::clone(vault), settings.name()).await.ok()??;
    // A claim of this very journal is what a process that has ended has left.
    let own = session::journal_id(settings).await;
    Some(claim).filter(|claim| !claim.left && own.as_ref() != Some(&claim.journal))
}

/// Who is at work on the installation, on this host or, as far as its claim tells, on another one.
pub(super) async fn anybody_at_work(
    settings: &Settings,
    vault: &Result<Arc<dyn Vault>, Fault>,
    now: Timestamp,
) -> Option<String> {
    let holder = session::holder(settings).unwrap_or_default();
    if holder.is_some() {
        return holder;
    }
    let claim = of_another_host(settings, vault).await.filter(|claim| is_renewed(claim, now))?;
    Some(format!("{} on another host", claim.by))
}

/// Whether its process seems to be alive. By its own clock: to be sure takes watching.
pub(super) fn is_renewed(claim: &Claim, now: Timestamp) -> bool {
    claim.at.duration_since(now).abs() < CLAIM_IS_FRESH
}

/// Its times are of another host's clock, so they prove nothing: whether its process is alive takes watching.
pub(super) fn lines(claim: &Claim, now: Timestamp) -> [String; 2] {
    let Claim { by, at, held, .. } = claim;
    let holds = held.as_ref().map_or_else(String::new, |held| format!("; run {} holds a pause", held.run));
    let next = match (is_renewed(claim, now), held) {
        (true, _) => {
            "it is at work on another host: wait until it has ended, or stop it there (it resumes exporting)"
        }
        (false, Some(_)) => {
            "it is not renewed any more: `c8keep resume-exporting`, or the next `c8keep backup`, watches it for 60 s, \
             takes over and releases its pause"
        }
        (false, None) => {
            "it is not renewed any more: the next `c8keep backup` watches it for 60 s and takes over"
        }
    };
    let renewed = format!("claim         {by}, renewed {} by its clock{holds}", ago(*at, now));
    [renewed, format!("  next        {next}")]
}
