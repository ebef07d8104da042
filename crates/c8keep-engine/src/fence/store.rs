//! Claims as objects of a vault: created, and read. Nothing is decided here.

use std::sync::Arc;

use c8keep_core::claim::{CLAIM_FORMAT, Claim, Held, Last, path};
use c8keep_core::fault::{Fault, FaultKind};
use jiff::Timestamp;

use crate::ports::Vault;

/// How many renewals whose answer was lost may lie in the way of the next one.
const LOST_MAX: u64 = 20;

/// The claims of one installation, and how ours are signed.
pub(super) struct ClaimStore {
    vault: Arc<dyn Vault>,
    installation: String,
    by: String,
    journal: String,
}

impl ClaimStore {
    pub(super) fn new(vault: Arc<dyn Vault>, installation: &str, by: &str, journal: &str) -> ClaimStore {
        ClaimStore { vault, installation: installation.into(), by: by.into(), journal: journal.into() }
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        format!("{}/{}/claims", self.vault.place(), self.installation)
    }

    /// The newest claim in its newest renewal. What was seen before is not asked for again.
    pub(super) async fn newest(&self, seen: Option<&Claim>) -> Result<Option<Claim>, Fault> {
        let mut terms = Last::after(seen.map_or(0, |claim| claim.term));
        while let Some(term) = terms.question() {
            terms.answer(term, self.read(term, 0).await?.is_some());
        }
        let term = terms.found();
        match seen.filter(|claim| claim.term == term) {
            _ if term == 0 => Ok(None),
            Some(seen) => self.last_renewal(seen).await,
            None => match self.read(term, 0).await? {
                Some(claim) => self.last_renewal(&claim).await,
                None => Ok(None),
            },
        }
    }

    /// A claim in its newest renewal, from one that was seen.
    pub(super) async fn last_renewal(&self, seen: &Claim) -> Result<Option<Claim>, Fault> {
        let mut renewals = Last::after(seen.renewal);
        while let Some(renewal) = renewals.question() {
            renewals.answer(renewal, self.read(seen.term, renewal).await?.is_some());
        }
        self.read(seen.term, renewals.found()).await
    }

    /// One claim or renewal, if it exists.
    pub(super) async fn read(&self, term: u64, renewal: u64) -> Result<Option<Claim>, Fault> {
        let path = path(&self.installation, term, renewal);
        let Some(bytes) = self.vault.read(&path).await? else { return Ok(None) };
        let damaged = |why: String| {
            let answer = format!("{path} is no claim that this version can read: {why}");
            Fault::new(FaultKind::Damaged, "reading a claim", self.place(), answer).with_hint(
                "take it from a copy of the vault; without one, see that no other host is at work, and move it away with \
                 its .sha256 file",
            )
        };
        let claim: Claim = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if claim.format > CLAIM_FORMAT {
            let newer = format!("it has format {}, this version reads {CLAIM_FORMAT}", claim.format);
            return Err(damaged(newer).with_hint("use a newer c8keep"));
        }
        // What follows is asked for by the numbers in it: one that was copied to another name would lead back to an old claim.
        if (claim.term, claim.renewal) != (term, renewal) {
            return Err(damaged(format!("it says that it is renewal {} of {}", claim.renewal, claim.term)));
        }
        Ok(Some(claim))
    }

    /// Whether we created it; `false` if somebody else has.
    pub(super) async fn create(
        &self,
        term: u64,
        renewal: u64,
        held: Option<&Held>,
        left: bool,
        at: Timestamp,
    ) -> Result<bool, Fault> {
        let claim = Claim {
            format: CLAIM_FORMAT,
            installation: self.installation.clone(),
            term,
            renewal,
            by: self.by.clone(),
            journal: self.journal.clone(),
            at,
            held: held.cloned(),
            left,
        };
        let bytes = serde_json::to_vec(&claim).map_err(|error| {
            Fault::new(FaultKind::Strange, "writing a claim", self.place(), error.to_string())
        })?;
        match self.vault.create(&path(&self.installation, term, renewal), &bytes).await {
            Ok(_) => Ok(true),
            // Refused because it is there, or for another reason.
            Err(fault) if fault.kind == FaultKind::Refused => match self.read(term, renewal).await? {
                Some(_) => Ok(false),
                None => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Creates the next renewal and returns its number. Only the owner writes them, so one that is there already is ours,
    /// of which the answer was lost.
    pub(super) async fn renew(
        &self,
        term: u64,
        last: u64,
        held: Option<&Held>,
        left: bool,
        at: Timestamp,
    ) -> Result<u64, Fault> {
        for renewal in last + 1..=last + LOST_MAX {
            if self.create(term, renewal, held, left, at).await? {
                return Ok(renewal);
            }
        }
        let answer = format!("renewals of claim {term} up to {} are there already", last + LOST_MAX);
        Err(Fault::new(FaultKind::Refused, "renewing the claim", self.place(), answer))
    }
}
