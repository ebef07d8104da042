//! What claiming says when it cannot go on.

use std::sync::Arc;

use c8keep_core::claim::{self, Claim, Lease};
use c8keep_core::fault::{Fault, FaultKind};

use super::store::ClaimStore;
use crate::open_runs;
use crate::ports::{Journal, Vault};

pub(super) const CLAIMING: &str = "claiming the installation";
pub(super) const RENEWING: &str = "renewing the claim";

/// Somebody on this host is at work; what he does stands in the journal that both use.
pub(super) async fn told_of_run(fault: Fault, journal: &dyn Journal, installation: &str) -> Fault {
    match open_runs::open(journal, installation).await {
        Ok(open) => Fault { answer: format!("{}; {}", fault.answer, open.at_work()), ..fault },
        Err(_) => fault,
    }
}

pub(super) fn busy(store: &ClaimStore, claim: Option<&Claim>) -> Fault {
    let answer = match claim {
        Some(Claim { installation, by, at, term, held, .. }) => {
            let pause = held.as_ref().map_or_else(
                || "it has not paused exporting".into(),
                |held| format!("its run {} has kept exporting paused since {}", held.run, held.since),
            );
            format!("{installation} is held by {by} on another host (claim {term}, renewed at {at}); {pause}")
        }
        None => "others are faster again and again".to_owned(),
    };
    Fault::new(FaultKind::Locked, CLAIMING, store.place(), answer).with_hint(
        "wait until it has ended, or stop it there: it resumes exporting; `c8keep status` shows its claim",
    )
}

pub(super) fn unsure(fault: Fault) -> Fault {
    let (said, age) = (&fault.answer, claim::GOOD_FOR);
    let answer = format!("{said}; the last renewal is {age:#} old, and another host may take over soon");
    Fault { answer, ..fault }
}

pub(super) fn superseded(vault: &Arc<dyn Vault>, lease: &Lease) -> Fault {
    let by = lease.superseded_by.as_deref().unwrap_or("somebody");
    let answer = format!("{by} has taken over with claim {}", lease.term + 1);
    Fault::new(FaultKind::Locked, RENEWING, vault.place(), answer)
        .with_hint("another process has taken the installation over; this one sends nothing more")
}
