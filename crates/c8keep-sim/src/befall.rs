//! What a fault does when its moment has come, and what its end does.

use c8keep_twin::{Faults, Host, Request, handle};
use jiff::SignedDuration;

use crate::night::{Due, Life, Night};
use crate::weather::{Trouble, What};

/// Less than a broker needs to go on, 2 GiB.
const DISK_LEFT: u64 = 2_000_000_000;

/// By how many seconds brokers' clocks may be wrong.
const CLOCKS_AHEAD: i64 = 3_600;

impl Night {
    /// A fault's moment has come, at an event of that process.
    pub(crate) fn befall(&mut self, process: usize, what: What) {
        match what {
            What::Kill => self.kill(process),
            What::Signal => {
                self.sometimes("a signal came");
                let now = self.now;
                self.memory.asked_to_stop.entry(process).or_insert(now);
                self.processes[process].stop.send_replace(true);
            }
            What::Freeze(seconds) => {
                if self.processes[process].life == Life::Alive {
                    self.processes[process].life = Life::Frozen;
                    self.plan(self.now + SignedDuration::from_secs(i64::from(seconds)), Due::Thaw(process));
                }
            }
            What::Second => {
                self.plan(self.now + SignedDuration::from_millis(10), Due::Start);
            }
            // On another host nobody sees the lock anyway.
            What::SecondUnlocked if self.setting.between_hosts => {
                self.plan(self.now + SignedDuration::from_millis(10), Due::Start);
            }
            What::SecondUnlocked => {
                self.weather.lock_is_unseen = true;
                self.plan(self.now + SignedDuration::from_millis(10), Due::Start);
            }
            What::ClockOff(seconds) => {
                self.weather.clock_off = SignedDuration::from_secs(i64::from(seconds));
            }
            What::Trouble(trouble, lasts) => {
                self.begin(trouble);
                if lasts > 0 {
                    self.plan(self.now + SignedDuration::from_millis(i64::from(lasts)), Due::Lift(trouble));
                }
            }
            What::ForeignResume => {
                self.resume_by_hand();
                if self.journal.books.iter().any(|book| book.run.hold().is_open()) {
                    self.sometimes("somebody else resumed in the window");
                }
            }
            What::VaultFull => self.weather.vault_is_full = true,
            What::VaultLost => self.weather.vault_is_lost_to = Some(self.processes[process].host),
            What::JournalLost => self.weather.journal_is_lost = true,
            What::Wire(_)
            | What::JournalFails
            | What::JournalTakesAndFails
            | What::JournalHangs
            | What::VaultFails
            | What::VaultTakesAndFails => self.weather.armed.push(what),
        }
    }

    /// The process is gone in the middle of what it does.
    pub(crate) fn kill(&mut self, process: usize) {
        if self.is_gone(process) {
            return;
        }
        self.tell_of_death(process);
        let dying = &mut self.processes[process];
        dying.life = Life::Dead;
        dying.holds_lock = false;
    }

    fn tell_of_death(&mut self, process: usize) {
        use c8keep_core::run::{Hold, StepState};
        let books = self.journal.books.iter().filter(|book| book.driver == process && !book.is_closed());
        let mut deaths = Vec::new();
        for book in books {
            let run = &book.run;
            let pausing = run.plan().hold().map(|step| run.state(&step.name));
            let releasing = run.plan().release().map(|step| run.state(&step.name));
            match run.hold() {
                Hold::NotTaken => deaths.push("death before the pause"),
                Hold::Open { .. } if matches!(pausing, Some(StepState::Performing { .. })) => {
                    deaths.push("death with nothing but the intent to pause");
                }
                Hold::Open { .. } => deaths.push("death in the window"),
                Hold::ReleasePending { .. } if matches!(releasing, Some(StepState::Performing { .. })) => {
                    deaths.push("death between the release and its record");
                }
                Hold::ReleasePending { .. } => deaths.push("death with a release that is due"),
                Hold::Released { .. } => deaths.push("death after the release"),
            }
            if run.is_past_pivot() {
                deaths.push("death past the pivot");
            }
        }
        self.seen.extend(deaths);
    }

    fn begin(&mut self, trouble: Trouble) {
        self.weather.on.push(trouble);
        if trouble == Trouble::ForeignPause {
            self.weather.foreign_pause = true;
            self.by_hand("/actuator/exporting/pause?soft=true");
        }
        let changes = self.world.leader_changes();
        self.refresh();
        let in_window = self.journal.books.iter().any(|book| book.run.hold().is_open());
        if in_window && self.world.leader_changes() > changes {
            self.sometimes("a leader changed in the window");
        }
    }

    /// A trouble is over.
    pub(crate) fn lift(&mut self, trouble: Trouble) {
        let Some(place) = self.weather.on.iter().position(|on| *on == trouble) else { return };
        self.weather.on.remove(place);
        self.refresh();
        if trouble == Trouble::ForeignPause && self.weather.foreign_pause {
            self.resume_by_hand();
        }
    }

    /// Nothing is wrong any more, and nothing more will be.
    pub(crate) fn heal(&mut self) {
        self.weather.healed = true;
        self.weather.on.clear();
        self.weather.armed.clear();
        let was_lost = self.weather.vault_is_lost_to.take().is_some();
        if std::mem::take(&mut self.weather.vault_is_full) || was_lost {
            self.memory.vault_is_good_since = Some(self.now);
        }
        self.weather.journal_is_lost = false;
        self.refresh();
        if self.weather.foreign_pause {
            self.resume_by_hand();
        }
    }

    fn refresh(&mut self) {
        let mut faults = Faults::default();
        let config = &self.setting.config;
        for trouble in &self.weather.on {
            match trouble {
                // The last one of a cluster is never taken: that is GatewayDown.
                Trouble::BrokerDown(node) if config.brokers > 1 => {
                    _ = faults.brokers_down.insert(node % config.brokers);
                }
                Trouble::BrokerDown(_) | Trouble::GatewayDown => {
                    faults.unreachable.extend((0..config.brokers).map(Host::Broker));
                }
                Trouble::SearchDown => _ = faults.unreachable.insert(Host::Search),
                Trouble::AppDown => {
                    faults.unreachable.extend([Host::Operate, Host::Tasklist, Host::Optimize]);
                }
                Trouble::Busy => faults.brokers_busy.extend(0..config.brokers),
                Trouble::Scaling => faults.scaling = true,
                Trouble::NeverAppears => faults.runtime_never_appears = true,
                Trouble::Stuck => faults.runtime_stuck = true,
                Trouble::PartitionFails => _ = faults.partitions_failing.insert(1),
                Trouble::RecordsPartial => _ = faults.snapshots_partial.insert("zeebe_records".into()),
                Trouble::RecordsVanish => _ = faults.snapshots_vanishing.insert("zeebe_records".into()),
                Trouble::PartPartial => _ = faults.snapshots_partial.insert("part_2_of".into()),
                Trouble::PartMissing => _ = faults.parts_missing.insert("part_2_of".into()),
                Trouble::SnapshotPasses => faults.snapshots_pass_checkpoints = true,
                Trouble::RecordsGone => faults.records_absent = true,
                Trouble::SearchPage => _ = faults.html.insert(Host::Search),
                Trouble::DiskFills => faults.disk_free = Some(DISK_LEFT),
                Trouble::PauseForgotten => _ = faults.pauses_forgotten.insert(1),
                Trouble::AppBroken => faults.broken.extend([Host::Operate, Host::Tasklist, Host::Optimize]),
                Trouble::ClocksAhead => faults.clocks_ahead = CLOCKS_AHEAD,
                Trouble::ForeignPause => {}
            }
        }
        self.world.disturb(self.now, |now| *now = faults);
    }

    /// Whoever else paused resumes; while a broker is missing, some of it stays theirs.
    fn resume_by_hand(&mut self) {
        self.weather.foreign_pause &= !self.by_hand("/actuator/exporting/resume");
    }

    /// Somebody else's request to the brokers, and whether it worked.
    fn by_hand(&mut self, target: &str) -> bool {
        let now = self.now;
        let response = handle(&mut self.world, Host::Gateway, &Request::new("POST", target), now);
        response.answer().is_some_and(|answer| answer.value()["status"] == 204)
    }
}
