//! The promises, each a small function with its name. They look at the truth of the twin, at what is durable, and at what
//! went over the wire; they never ask c8keep whether it thinks that all is well.

use std::collections::{BTreeMap, BTreeSet};

use c8keep_core::BackupId;
use c8keep_core::claim::GOOD_FOR;
use c8keep_core::run::{Hold, Outcome, RunId};
use c8keep_core::witness::WitnessVerdict;
use c8keep_engine::drive::{Driven, END_AFTER_SIGNAL, End};
use c8keep_engine::exit;
use c8keep_twin::LossKind;
use jiff::{SignedDuration, Timestamp};

use crate::change::{Change, change_of, is_intended};
use crate::coverage;
use crate::ledger::Book;
use crate::night::{Exchange, Life, Night};
use crate::process::{CANARY, Ended};
use crate::simulate::LOOK_AFTER;
use crate::weather::Trouble;

/// What the checks remember of a night.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Requests so far.
    pub(crate) requests: u64,
    /// Processes that were told that another one has taken over.
    pub(crate) superseded: Vec<usize>,
    /// Which run has sent which id.
    ids: BTreeMap<u64, String>,
    /// The highest id that there was a trace of when each run last looked for it.
    highest_at_look: BTreeMap<String, u64>,
    /// Starts that a server has accepted.
    accepted: BTreeSet<(String, u64)>,
    /// Objects of the vault that were compared with the truth.
    looked_at: BTreeSet<String>,
    /// Since when each hold is open, on the night's own clock.
    held: BTreeMap<String, Timestamp>,
    /// Who drives each run whose hold is open, and since when.
    driven: BTreeMap<String, (usize, Timestamp)>,
    /// Since when each release is due.
    due: BTreeMap<String, Timestamp>,
    /// Claims in the vault: the term, who made it, and when.
    claims: BTreeMap<u64, (usize, Timestamp)>,
    /// Processes that are about to release a pause that they have inherited.
    pub(crate) inheriting: BTreeSet<usize>,
    /// Since when the vault can be written to.
    pub(crate) vault_is_good_since: Option<Timestamp>,
    /// Processes that have sent a pause.
    pub(crate) pausing: BTreeSet<usize>,
    /// Processes that have sent a resume, or believe that they have; only mutants ask.
    pub(crate) resuming: BTreeSet<usize>,
    /// Whether somebody else had paused when a run last looked whether that is so.
    pub(crate) foreign_at_look: bool,
    /// Processes whose journal failed while their window was open: they may release it all the same.
    pub(crate) without_journal: BTreeSet<usize>,
    /// When processes were asked to stop.
    pub(crate) asked_to_stop: BTreeMap<usize, Timestamp>,
    /// Processes that said that their journal takes nothing more.
    pub(crate) told_of_loss: BTreeSet<usize>,
    /// How many events of the journal were searched for secrets.
    searched: usize,
}

/// A release must go out this long after the budget: whatever is on its way may take its own deadline.
const BUDGET_GRACE: SignedDuration = SignedDuration::from_secs(20);

/// Who has just woken up sends what it was about to send, before it can know of its successor.
const SUCCESSOR_GRACE: SignedDuration = SignedDuration::from_secs(2);

/// What the program gives itself, after its time is up, to tell other hosts that it leaves.
pub(crate) const TIDY_FOR: SignedDuration = SignedDuration::from_secs(2);

/// Nothing else takes time between the end of a drive and that of its process.
const STOP_GRACE: SignedDuration = SignedDuration::from_millis(10);

/// Looked at after every event.
pub(crate) fn after_event(night: &mut Night) {
    one_window(night);
    hold_budget(night);
    let fresh = fresh_objects(night);
    what_is_published(night, &fresh);
    no_secret(night, &fresh);
}

/// What is in the vault since the last look; nothing there is ever written again.
fn fresh_objects(night: &mut Night) -> Vec<String> {
    if night.vault.len() == night.memory.looked_at.len() {
        return Vec::new();
    }
    let known = &night.memory.looked_at;
    let fresh: Vec<String> = night.vault.keys().filter(|path| !known.contains(*path)).cloned().collect();
    night.memory.looked_at.extend(fresh.iter().cloned());
    fresh
}

/// S7: at most one run has its window open.
fn one_window(night: &mut Night) {
    let open: Vec<&str> = night
        .journal
        .books
        .iter()
        .filter(|book| !book.is_closed() && book.holds())
        .map(|book| book.id.0.as_str())
        .collect();
    if open.len() > 1 {
        let what = format!("windows of {} are open together", open.join(" and "));
        night.violated("S7", what);
    }
}

/// L4: exporting stays paused no longer than the budget while a process lives that could end it.
fn hold_budget(night: &mut Night) {
    let mut late = None;
    for book in night.journal.books.iter().filter(|book| !book.released_elsewhere) {
        if book.is_closed() && !book.run.hold().is_open() {
            continue;
        }
        let hold = book.run.hold();
        if matches!(hold, Hold::ReleasePending { .. }) {
            night.memory.due.entry(book.id.0.clone()).or_insert(night.now);
        }
        let Hold::Open { .. } = hold else { continue };
        let since = *night.memory.held.entry(book.id.0.clone()).or_insert(night.now);
        // Who has just taken over could not have ended it before.
        let seat = night.memory.driven.entry(book.id.0.clone()).or_insert((book.driver, night.now));
        if seat.0 != book.driver {
            *seat = (book.driver, night.now);
        }
        let driver = &night.processes[book.driver];
        let able_since = driver.alive_since.max(seat.1);
        // Whose journal has failed, or whose claim nobody confirms, releases without being able to say so there.
        let lost = [&night.memory.without_journal, &night.memory.told_of_loss];
        let silent = lost.iter().any(|processes| processes.contains(&book.driver));
        let alive =
            !silent && driver.life == Life::Alive && night.now.duration_since(able_since) > BUDGET_GRACE;
        let limit = night.setting.hold_budget + BUDGET_GRACE;
        if alive && !book.run.is_past_pivot() && night.now.duration_since(since) > limit {
            late = Some(format!("{}: the window is open for more than {limit:#}", book.id));
        }
    }
    if let Some(what) = late {
        night.violated("L4", what);
    }
}

/// S2: what has a manifest has every part. S4 and S12: what is proven comes back whole.
fn what_is_published(night: &mut Night, fresh: &[String]) {
    for path in fresh.iter().filter(|path| path.ends_with("/manifest.json")) {
        let Some(id) = path.rsplit('/').nth(1).and_then(|id| id.parse::<u64>().ok()) else { continue };
        judge(night, id, path);
    }
}

fn judge(night: &mut Night, id: u64, path: &str) {
    let truth = night.world.restore(id);
    if truth.has(LossKind::Missing) {
        night.violated("S2", format!("{path} is there, but {truth}"));
    }
    // Two hosts may give one id to two runs, of which one at most has come as far as a witness.
    let mut books = night.journal.books.iter().filter(|book| book.id.backup().map(BackupId::get) == Some(id));
    let book = books.find(|book| book.run.facts().witness.is_some());
    match book.and_then(|book| book.run.facts().witness.as_ref()).map(|witness| witness.verdict.clone()) {
        Some(WitnessVerdict::Proven) if !truth.whole() => {
            night.violated("S4", format!("proven, but {truth}"));
        }
        Some(WitnessVerdict::Proven) => night.sometimes("a proven backup came back whole"),
        Some(WitnessVerdict::Unproven { .. }) => night.sometimes("the witness could not tell"),
        Some(WitnessVerdict::Violated { reason }) => {
            night.violated("S4", format!("{path} is there, but the pause did not hold: {reason}"));
        }
        None => night.violated("S2", format!("{path} is there, and no run has judged its witness")),
    }
}

/// S15: no secret in anything that is kept. What is there was looked through when it came.
fn no_secret(night: &mut Night, fresh: &[String]) {
    let bodies: usize = night.journal.books.iter().map(|book| book.bodies().len()).sum();
    let known = std::mem::replace(&mut night.memory.searched, bodies);
    let latest = night.journal.books.iter().rev().take(2).flat_map(|book| book.bodies().iter().rev().take(4));
    let told = bodies > known && latest.into_iter().any(|body| body.contains(CANARY));
    let holds = |bytes: &Vec<u8>| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    let kept = fresh.iter().filter_map(|path| night.vault.get(path)).any(holds);
    if told || kept {
        night.violated("S15", "a password is in the journal or the vault".into());
    }
}

impl Night {
    /// A process is about to send something that changes the outside.
    pub(crate) fn about_to_change(&mut self, exchange: &Exchange) {
        let target = exchange.asked.describe();
        let process = exchange.process;
        if self.memory.superseded.contains(&process) {
            self.violated("S5", format!("{target} by a process that was told of its successor"));
        }
        let Some(change) = change_of(exchange) else {
            let check = if exchange.request.method == "DELETE" { "S11" } else { "S5" };
            self.violated(check, format!("{target} is nothing that a backup sends"));
            return;
        };
        if change == Change::Pause {
            self.memory.pausing.insert(process);
            let stands = self.weather.foreign_pause && !self.world.paused_replicas().is_empty();
            if self.memory.foreign_at_look && stands {
                self.violated("S5", "a pause that somebody else made is taken for our own".into());
            }
        }
        if let Some(successor) = self.successor_of(process, change == Change::Resume) {
            let what = format!("{target} by process {process}, although process {successor} has claimed");
            return self.violated("S5", what);
        }
        if change == Change::Resume && self.memory.inheriting.contains(&process) {
            return self.sometimes("a pause that was inherited by a claim was released");
        }
        if change == Change::Resume && self.memory.without_journal.contains(&process) {
            return self.sometimes("a release was sent without a journal");
        }
        // Who was superseded after its intent, and was not told yet, cannot know: a release that it sends then opens the
        // window of its successor, and the witness says so.
        let unaware = |book: &Book| book.former.contains(&process) && book.run.hold() != Hold::NotTaken;
        if change == Change::Resume && self.journal.books.iter().any(unaware) {
            return self.sometimes("a release by a process that did not know of its successor");
        }
        let own = |book: &&Book| book.driver == process && !book.is_closed();
        let Some(book) = self.journal.books.iter().find(|book| own(book) && is_intended(&book.run, &change))
        else {
            self.violated("S1", format!("{target} without a durable intent"));
            return;
        };
        let run = format!("host-{}/{}", book.host, book.id);
        if let Some(id) = change.id() {
            self.ids_rise(id, &run);
        }
    }

    /// A new object of the vault may be a claim.
    pub(crate) fn claimed(&mut self, process: usize, path: &str) {
        let name = path.strip_prefix("default/claims/").and_then(|name| name.strip_suffix(".json"));
        let Some(term) = name.and_then(|name| name.parse::<u64>().ok()) else { return };
        let former = self.memory.claims.insert(term, (process, self.now));
        if let Some((_, (former, _))) = self.memory.claims.range(..term).next_back()
            && self.processes[*former].host != self.processes[process].host
        {
            self.sometimes("a claim was taken over by another host");
        }
        if former.is_some() {
            self.violated("S7", format!("claim {term} was made twice"));
        }
    }

    /// S5 between hosts: whoever has a higher claim than this process, which was awake all the time and could know of it. A
    /// release is allowed to who cannot ask the vault.
    fn successor_of(&self, process: usize, is_release: bool) -> Option<usize> {
        let (own, _) = self.memory.claims.iter().rev().find(|(_, (owner, _))| *owner == process)?;
        let (_, (successor, at)) = self.memory.claims.range(own + 1..).next()?;
        let awake = self.now.duration_since(self.processes[process].alive_since.max(*at));
        let good_since = self.memory.vault_is_good_since;
        let was_bad = good_since.is_some_and(|since| self.now.duration_since(since) < LOOK_AFTER);
        let cut_off = self.weather.vault_is_full
            || self.weather.vault_is_silent
            || self.weather.vault_is_lost_to == Some(self.processes[process].host)
            || was_bad;
        // Whoever has just renewed, in a vault that takes long to say so, is sure of it for as long as a renewal is good; its
        // successor waits for longer than that before it does anything.
        let slow = self.weather.vault_is_slow || self.weather.vault_is_silent || was_bad;
        let grace = if slow { GOOD_FOR } else { SUCCESSOR_GRACE };
        (awake > grace && !(is_release && cut_off)).then_some(*successor)
    }

    /// A run has just looked for the highest id: when it was opened, checked its id, or was taken over. Traces are on a server, or
    /// in the journal of the same host; an application that has accepted a start and not begun shows none.
    pub(crate) fn looked_for_ids(&mut self, process: usize, run: &RunId) {
        let host = format!("host-{}", self.processes[process].host);
        let of_host = |(_, owner): &(&u64, &String)| owner.split('/').next() == Some(host.as_str());
        let own = self.memory.ids.iter().filter(of_host).map(|(id, _)| *id).max();
        let highest = self.world.highest_backup_id().max(own.unwrap_or(0));
        self.memory.highest_at_look.insert(format!("{host}/{run}"), highest);
    }

    /// S6: an id belongs to one run, and lies above all that were there before it.
    fn ids_rise(&mut self, id: u64, run: &str) {
        let former = self.memory.ids.get(&id);
        let highest = self.memory.highest_at_look.get(run).copied().unwrap_or(0);
        if id <= highest && former.is_none_or(|owner| owner != run) {
            let owner = former.map_or_else(String::new, |owner| format!(", and {owner} has sent it before"));
            self.violated("S6", format!("{run} sends {id}, which is not above {highest}{owner}"));
        }
    }

    /// What was refused, or dropped, has left nothing: an id is spent where it was accepted.
    fn id_is_spent(&mut self, process: usize, id: u64) {
        let of_run = |book: &&Book| book.driver == process && book.run.plan().backup().get() == id;
        if let Some(book) = self.journal.books.iter().rfind(of_run) {
            let run = format!("host-{}/{}", book.host, book.id);
            self.memory.ids.entry(id).or_insert(run);
        }
    }

    /// S3: a server accepts one start of a kind under one id.
    pub(crate) fn has_changed(&mut self, number: u64, status: u16) {
        let Some(exchange) = self.exchanges.get(&number) else { return };
        let (process, late) = (exchange.process, exchange.answer.is_some() || exchange.dropped);
        let Some(change) = change_of(exchange) else { return };
        if let (Some(id), 200..=299) = (change.id(), status) {
            self.id_is_spent(process, id);
        }
        match &change {
            Change::Pause if !self.sender_lives(process) => {
                self.sometimes("a pause arrived after its sender's death");
            }
            Change::Pause if late => self.sometimes("a pause arrived late"),
            _ => {}
        }
        let paused = self.world.paused_replicas();
        if change == Change::Pause && !paused.is_empty() && !self.world.is_paused_everywhere() {
            self.sometimes("a pause took hold of a part of the cluster");
        }
        if change == Change::Resume && self.world.paused_replicas().is_empty() {
            // A resume has no owner: it ends everybody's pause.
            self.weather.foreign_pause = false;
        }
        // What a server accepts and loses does not exist, and a proxy's page accepts nothing.
        let is_nothing = |trouble: &Trouble| matches!(trouble, Trouble::RecordsVanish | Trouble::SearchPage);
        if matches!(change, Change::Records(..)) && self.weather.on.iter().any(is_nothing) {
            return;
        }
        // Nor does what an application accepted and could not begin.
        if let Change::History(app, id) = &change
            && !self.world.has_snapshots(&format!("{}_{id}_", app.snapshot_prefix()))
        {
            self.memory.accepted.insert((format!("{change:?}"), *id));
            return;
        }
        let name = format!("{change:?}");
        if let (Some(id), 200..=299) = (change.id(), status)
            && !self.memory.accepted.insert((name, id))
        {
            self.violated("S3", format!("{change:?} was accepted twice"));
        }
    }

    /// A process has ended by itself.
    pub(crate) fn has_ended(&mut self, process: usize, ended: &Ended) {
        let last_words = match ended {
            Ended::Refused(fault) => format!("{fault} {}", fault.hint),
            Ended::Drove(driven) => format!("{:?} {:?}", driven.end, driven.unreleased),
        };
        if last_words.contains(CANARY) {
            self.violated("S15", "a password is in the last words of a process".into());
        }
        let now = self.now;
        self.trace.explain(now, || format!("p{process} ends: {last_words}"));
        if let Ended::Drove(driven) = ended {
            self.has_driven(process, driven);
        }
        self.ended_in_time(process);
        self.nothing_left_paused("L1", &format!("process {process} has ended"));
    }

    /// L2: who was asked to stop ends in time, whatever is in flight; a standstill does not count.
    fn ended_in_time(&mut self, process: usize) {
        let Some(asked) = self.memory.asked_to_stop.get(&process) else { return };
        let limit =
            (*asked + END_AFTER_SIGNAL).max(self.processes[process].alive_since) + TIDY_FOR + STOP_GRACE;
        if self.now > limit {
            let took = self.now.duration_since(*asked);
            self.violated("L2", format!("process {process} ended {took:#} after it was asked to stop"));
        }
    }

    /// S14: the exit code says what is true of exporting and of the backup. L7: what needs somebody was said.
    fn exit_tells_the_truth(&mut self, process: usize, driven: &Driven) {
        let code = exit::of(driven, false);
        coverage::of_exit(self, code);
        let run = driven.run.id();
        let own =
            self.journal.book(self.processes[process].host, run).is_some_and(|book| book.driver == process);
        let others = self.journal.books.iter().any(|book| book.id != *run && book.holds());
        let paused = !self.world.paused_replicas().is_empty() && !self.weather.foreign_pause && !others;
        let took_hold = driven.run.hold() != Hold::NotTaken;
        if own && took_hold && paused && !matches!(code, exit::MAY_BE_PAUSED | 11) {
            let paused = self.world.paused_replicas();
            self.violated("S14", format!("{:?} ends with {code}, but {paused:?} are paused", driven.end));
        }
        if code == exit::MAY_BE_PAUSED && !took_hold {
            self.violated("S14", format!("{:?} ends with {code}, and never paused", driven.end));
        }
        let complete = driven.end == End::Closed(Outcome::Complete);
        if complete != (code == exit::DONE) {
            self.violated("S14", format!("{:?} ends with {code}", driven.end));
        }
        let silent = !self.memory.told_of_loss.contains(&process);
        if silent && matches!(driven.end, End::JournalLost { .. }) {
            self.violated("L7", "nobody was told that the journal is lost".into());
        }
    }

    fn has_driven(&mut self, process: usize, driven: &Driven) {
        coverage::of_run(self, driven);
        self.exit_tells_the_truth(process, driven);
        let says_it_runs = match &driven.end {
            End::Closed(_) | End::LeftOpen => true,
            End::JournalLost { released, .. } => *released,
            End::ReleasePending | End::Superseded(_) => false,
        };
        let touched = driven.run.hold() != Hold::NotTaken;
        if says_it_runs && touched && self.is_left_paused() {
            let paused = self.world.paused_replicas();
            self.violated("S14", format!("{:?}, but {paused:?} are paused", driven.end));
        }
        let manifest = format!("default/backups/{}/manifest.json", driven.run.plan().backup());
        let complete = matches!(driven.end, End::Closed(Outcome::Complete | Outcome::Partial { .. }));
        if complete && !self.vault.contains_key(&manifest) {
            self.violated("S14", format!("complete, but there is no {manifest}"));
        }
    }

    /// Some replica is paused, and neither an open run nor another hand accounts for it.
    fn is_left_paused(&self) -> bool {
        let held = self.journal.books.iter().any(|book| !book.is_closed() && book.holds());
        !held && !self.weather.foreign_pause && !self.world.paused_replicas().is_empty()
    }

    /// L1: nothing is paused that nobody will release.
    pub(crate) fn nothing_left_paused(&mut self, check: &'static str, when: &str) {
        if self.is_left_paused() {
            let paused = self.world.paused_replicas();
            self.violated(check, format!("{when}: {paused:?} are paused, and nobody knows of it"));
        }
    }

    /// L1, once all is well again: a release that is due is out within a minute of a living process and a whole cluster.
    pub(crate) fn released_since_healing(&mut self) {
        let a_minute = |since: Timestamp| self.now.duration_since(since) >= LOOK_AFTER;
        let due = |book: &&Book| {
            let waits = matches!(book.run.hold(), Hold::ReleasePending { .. }) && !book.is_closed();
            let driver = &self.processes[book.driver];
            let long = self.memory.due.get(&book.id.0).is_some_and(|since| a_minute(*since));
            waits && long && driver.life == Life::Alive && a_minute(driver.alive_since)
        };
        if let Some(book) = self.journal.books.iter().find(due) {
            let what = format!("{}: the release is still due a minute after everything healed", book.id);
            self.violated("L1", what);
        }
    }
}
