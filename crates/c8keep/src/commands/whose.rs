//! Whose a pause is and who keeps a backup from starting, for verbs that only tell of it: by the journal of this host and by
//! the claims in a common vault.

use std::sync::Arc;

use c8keep_core::Run;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Fingerprint;
use c8keep_engine::World;
use c8keep_engine::open_runs::{self, Open};
use c8keep_engine::ports::{Journal, Vault};
use jiff::Timestamp;

use super::claims::{self, Told};
use super::inherited;
use super::other_names::{self, Namesake};
use super::take_over::is_at_work;
use crate::session;
use crate::settings::Settings;

/// What is said last of a pause that keeps no backup from being taken, and the disks of the brokers from being freed.
pub(super) const LEFT_PAUSED: &str = "exporting is PAUSED by a dead run; `c8keep resume-exporting` releases it now, the next backup does so first";

/// What is known of it.
pub(super) struct Whose {
    /// Who is at work, on this host or, as far as its claim tells, on another one.
    pub(super) worker: Option<String>,
    /// Open runs of this name.
    pub(super) open: Open,
    told: Option<Told>,
    others: Vec<Namesake>,
    /// Which cluster answers, where that could be told.
    cluster: Option<Fingerprint>,
    now: Timestamp,
}

impl Whose {
    pub(super) async fn read(
        settings: &Settings,
        journal: &dyn Journal,
        vault: &Result<Arc<dyn Vault>, Fault>,
        world: Option<&World>,
        now: Timestamp,
    ) -> Whose {
        let open = open_runs::open(journal, settings.name()).await;
        let mut open = open.unwrap_or_else(|fault| Open { unreadable: vec![fault], ..Open::default() });
        let cluster = world.map(|world| world.installation.fingerprint.clone());
        let mut worker = session::holder(settings).unwrap_or_default();
        let told = match worker {
            Some(_) => None,
            None => claims::told(settings, vault, journal, &open).await.unwrap_or_else(|fault| {
                open.unreadable.push(fault);
                None
            }),
        };
        if let Some(told) = told.as_ref().filter(|told| told.is_at_work(now)) {
            worker = Some(format!("{} on another host", told.claim.by));
        }
        let others = match &cluster {
            Some(cluster) => other_names::on(settings, journal, Some(cluster)).await,
            None => Vec::new(),
        };
        if let (None, Some(other)) = (&worker, other_names::at_work(&others)) {
            let holder = other.holder.as_deref().unwrap_or_default();
            worker = Some(format!("{holder} (installation {}, on this very cluster)", other.installation));
        }
        Whose { worker, open, told, others, cluster, now }
    }

    /// Who keeps another backup from starting now.
    pub(super) fn at_work(&self) -> Option<String> {
        let worker = self.worker.as_deref()?;
        let what = match self.open.runs.iter().find(|(run, _)| is_at_work(run, Some(worker))) {
            Some((run, _)) => format!("backup {} is running ({worker})", run.plan().backup()),
            None => format!("{worker} is at work"),
        };
        Some(format!("{what}: another backup would end with 11"))
    }

    /// What a backup takes over first.
    pub(super) fn left(&self) -> Vec<String> {
        let runs = self.open.runs.iter().filter(|(run, _)| self.is_here(run.plan().fingerprint()));
        let held = self.told.as_ref().and_then(|told| Some((told, told.left_paused(self.now)?)));
        let held = held.filter(|(_, held)| self.is_here(&held.fingerprint));
        let held = held.map(|(told, held)| format!("{} (by {})", held.run, told.claim.by));
        runs.map(|(run, _)| run.id().to_string()).chain(held).collect()
    }

    /// A pause that one of our own runs on this cluster has left is told as that; what a backup lifts first is no foreign
    /// one.
    pub(super) fn own(&self, fault: Fault) -> Fault {
        if fault.kind != FaultKind::ForeignPause {
            return fault;
        }
        if let Some(answer) = self.own_pause() {
            return Fault { kind: FaultKind::Precondition, answer, ..fault }
                .with_hint("`c8keep resume-exporting` lets it run again; `c8keep backup` does so first");
        }
        // A backup under this name lifts nothing of another one.
        match other_names::left_paused(&self.others) {
            Some(other) => Fault { answer: other.says(), ..fault }.with_hint(other.next()),
            None => fault,
        }
    }

    /// Whether it tells of a pause that a run of ours has left, and nobody is at work on.
    pub(super) fn is_left_paused(&self, fault: &Fault) -> bool {
        self.worker.is_none() && fault.kind == FaultKind::ForeignPause && self.own_pause().is_some()
    }

    fn own_pause(&self) -> Option<String> {
        let is_ours = |run: &Run| run.hold().is_open() && self.is_here(run.plan().fingerprint());
        if let Some((run, _)) = self.open.runs.iter().find(|(run, _)| is_ours(run)) {
            return Some(format!("exporting is paused by run {}, which was left open", run.id()));
        }
        let told = self.told.as_ref()?;
        let held = told.left_paused(self.now).filter(|held| self.is_here(&held.fingerprint))?;
        let state = if told.has_ended { "has ended" } else { "may be dead" };
        Some(format!("exporting is paused by run {} of a process that {state} ({})", held.run, told.claim.by))
    }

    /// What is left, and no backup under this name begins beside: runs that nobody can read, and pauses of other clusters and
    /// under other names.
    pub(super) fn in_the_way(&self, world: Option<&World>) -> Vec<Fault> {
        let mut faults = self.open.unreadable.clone();
        if let Some(world) = world {
            let runs = self.open.runs.iter();
            faults.extend(runs.filter_map(|(run, _)| {
                let fault = open_runs::check_fingerprint(world, run).err()?;
                Some(ends_with(fault, if run.hold().is_open() { 20 } else { 10 }))
            }));
            let held = self.told.as_ref().and_then(|told| told.left_paused(self.now));
            let held = held.filter(|held| !self.is_here(&held.fingerprint));
            faults.extend(held.map(|held| ends_with(inherited::elsewhere(world, held), 20)));
            if let Some(other) = other_names::left_paused(&self.others) {
                let fault = other.fault("looking for open runs", &world.installation.management);
                faults.push(ends_with(fault, 20));
            }
        }
        faults
    }

    /// Where nobody can tell which cluster answers, what is known of this name counts.
    fn is_here(&self, fingerprint: &Fingerprint) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.is_same_installation(fingerprint))
    }
}

fn ends_with(fault: Fault, code: u8) -> Fault {
    let answer = format!("{}; a backup would end with {code}", fault.answer);
    Fault { answer, ..fault }
}
