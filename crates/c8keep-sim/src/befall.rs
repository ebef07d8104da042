//! What a fault does when its moment has come, and what its end does.

use c8keep_twin::{Answer, Faults, Host, Request, handle};
use jiff::SignedDuration;
use serde_json::json;

use crate::coverage;
use crate::night::{Due, Life, Night};
use crate::weather::{Trouble, What};

/// Less than a broker needs to go on, 2 GiB.
const DISK_LEFT: u64 = 2_000_000_000;

/// What a snapshot takes longer where the storage is slow: less than nothing may move for.
const SLOW_MS: u32 = 18_000;

/// The broker that is gone when a pause comes, and for how long.
pub(crate) const MISSES_PAUSE: What = What::Trouble(Trouble::BrokerDown(1), 25_000);

/// By how many seconds brokers' clocks may be wrong.
const CLOCKS_AHEAD: i64 = 3_600;

const REPOSITORY: &str = "/_snapshot/camunda";

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
            What::Panic => self.processes[process].panics = !self.is_gone(process),
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
            What::VaultSlow => self.weather.vault_is_slow = true,
            What::VaultSilent => self.weather.vault_is_silent = true,
            What::VaultLost => self.weather.vault_is_lost_to = Some(self.processes[process].host),
            What::JournalLost => self.weather.journal_is_lost = true,
            What::Wire(_)
            | What::Aimed(_)
            | What::AtPause(_)
            | What::DownAtPause
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
        let pause = match trouble {
            Trouble::ForeignPause => Some("/actuator/exporting/pause?soft=true"),
            Trouble::ForeignHardPause => Some("/actuator/exporting/pause"),
            _ => None,
        };
        if let Some(pause) = pause {
            self.weather.foreign_pause = true;
            self.by_hand(pause);
        }
        if trouble == Trouble::RepositoryGone {
            self.weather.repository_is_gone = true;
            self.send_by_hand(Host::Search, &Request::new("DELETE", REPOSITORY));
        }
        let changes = self.world.leader_changes();
        self.refresh();
        let in_window = self.journal.books.iter().any(|book| book.run.hold().is_open());
        if in_window && self.world.leader_changes() > changes {
            self.sometimes("a leader changed in the window");
        }
        if in_window {
            self.seen.extend(coverage::of_trouble(trouble));
        }
    }

    /// A trouble is over.
    pub(crate) fn lift(&mut self, trouble: Trouble) {
        let Some(place) = self.weather.on.iter().position(|on| *on == trouble) else { return };
        self.weather.on.remove(place);
        self.refresh();
        self.end(trouble);
    }

    /// What somebody does, or what was kept back does, when a trouble is over.
    fn end(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::ForeignPause | Trouble::ForeignHardPause if self.weather.foreign_pause => {
                self.resume_by_hand();
            }
            Trouble::QueueStuck => self.world.restart_applications(self.now),
            Trouble::SearchFrozen | Trouble::BrokersFrozen | Trouble::AppsFrozen => self.serve_buffered(),
            _ => {}
        }
        self.register_again();
    }

    /// Whoever lost the repository registers it again, as soon as the search server is there to be asked.
    fn register_again(&mut self) {
        if self.weather.on.contains(&Trouble::RepositoryGone) || !self.weather.repository_is_gone {
            return;
        }
        let body = json!({"type": "fs", "settings": {"location": "/var/snapshots/camunda"}});
        let answer = self.send_by_hand(Host::Search, &Request::new("PUT", REPOSITORY).json(&body));
        self.weather.repository_is_gone = answer.is_none_or(|answer| answer.status != 200);
    }

    /// Nothing is wrong any more, and nothing more will be.
    pub(crate) fn heal(&mut self) {
        self.weather.healed = true;
        let over = std::mem::take(&mut self.weather.on);
        self.weather.armed.clear();
        self.heal_vault();
        self.weather.journal_is_lost = false;
        self.refresh();
        for trouble in over {
            self.end(trouble);
        }
        if self.weather.foreign_pause {
            self.resume_by_hand();
        }
    }

    fn heal_vault(&mut self) {
        let weather = &mut self.weather;
        let was_lost = weather.vault_is_lost_to.take().is_some();
        let was_slow =
            std::mem::take(&mut weather.vault_is_slow) | std::mem::take(&mut weather.vault_is_silent);
        if std::mem::take(&mut weather.vault_is_full) || was_lost || was_slow {
            self.memory.vault_is_good_since = Some(self.now);
        }
        for write in std::mem::take(&mut self.weather.late_writes) {
            self.plan(self.now, Due::Keep(write));
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
                Trouble::QueueStuck => _ = faults.queues_stuck.insert("part_2_of".into()),
                Trouble::PartLeftOut => _ = faults.parts_left_out.insert("part_2_of".into()),
                Trouble::PartitionLeftOut => _ = faults.partitions_left_out.insert(1),
                Trouble::RecordsEmpty => _ = faults.snapshots_empty.insert("zeebe_records".into()),
                // What stands still moves no snapshot either.
                Trouble::SnapshotsFrozen | Trouble::SearchFrozen => faults.snapshots_frozen = true,
                Trouble::SnapshotsSlow => faults.snapshots_slow_by = SLOW_MS,
                Trouble::RepositoryReadonly => faults.repositories_readonly = true,
                Trouble::StoreFrozen => faults.store_frozen = true,
                Trouble::ForeignPause
                | Trouble::ForeignHardPause
                | Trouble::RepositoryGone
                | Trouble::BrokersFrozen
                | Trouble::AppsFrozen => {}
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
        let told = self.send_by_hand(Host::Gateway, &Request::new("POST", target));
        told.is_some_and(|answer| answer.value()["status"] == 204)
    }

    fn send_by_hand(&mut self, host: Host, request: &Request) -> Option<Answer> {
        let now = self.now;
        handle(&mut self.world, host, request, now).answer()
    }
}
