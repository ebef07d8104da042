//! One seed, one night: a phase in which things go wrong, then one in which everything heals and all must be well in the
//! end. One thread, virtual time, and an executor that polls in one fixed order, so that a night can be had again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};

use c8keep_core::run::Outcome;
use c8keep_engine::drive::End;
use jiff::SignedDuration;

use crate::dice::Dice;
use crate::night::{Due, Life, Night, Spawned, Violation};
use crate::process::{self, Ended};
use crate::seat::{Seat, lock};
use crate::setting::{Setting, TOPOLOGIES, WAIT_DEADLINE};
use crate::weather::{self, Fault};

/// How a night ended.
#[derive(Debug)]
pub struct Report {
    /// Broken promises, the first one first.
    pub violations: Vec<Violation>,
    /// Rare things that happened.
    pub seen: BTreeSet<&'static str>,
    /// Equal for equal nights.
    pub hash: u64,
    /// What happened, where it was asked for.
    pub lines: Vec<String>,
    /// How many events there were.
    pub events: u32,
    /// At which event the first run was open.
    pub opened_at: u32,
    /// At which event the first process had ended.
    pub first_ended_at: u32,
    /// How many processes there were.
    pub processes: usize,
    /// How long the night was.
    pub length: SignedDuration,
    /// What lies in the vault in the end.
    pub vault: BTreeMap<String, Vec<u8>>,
}

/// No night has more events; a busy loop does.
const EVENTS_MAX: u32 = 60_000;
/// How many processes may be started after the healing before one of them must have made a backup.
const MORNINGS_MAX: u32 = 3;
/// Processes before the healing; what a crash loop does more often, it does again.
const NIGHT_STARTS_MAX: usize = 6;
/// How long after one process ends on the healthy installation the next is started.
const BETWEEN_MORNINGS: SignedDuration = SignedDuration::from_secs(20);
/// When it is looked whether due releases are out, after the healing.
pub(crate) const LOOK_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// The faults of a seed's night, drawn over the events of a calm night at the same place.
pub fn faults_of(setting: &Setting) -> Vec<Fault> {
    let (first, last) = calm(setting.topology);
    let mut dice = Dice::new(setting.seed, "weather");
    weather::draw(&mut dice, first, last)
}

/// At which event of a calm night the first run is open, and at which it has ended.
pub fn calm(topology: usize) -> (u32, u32) {
    static CALM: [OnceLock<(u32, u32)>; TOPOLOGIES] = [const { OnceLock::new() }; TOPOLOGIES];
    *CALM[topology % TOPOLOGIES].get_or_init(|| {
        let calm = run(&Setting::at(topology, 0), &[], false);
        (calm.opened_at, calm.first_ended_at)
    })
}

/// One night.
pub fn run(setting: &Setting, faults: &[Fault], with_lines: bool) -> Report {
    let night = Arc::new(Mutex::new(Night::new(setting, faults, with_lines)));
    let mut stage = Stage {
        night: Arc::clone(&night),
        tasks: Vec::new(),
        beside: Vec::new(),
        mornings: 0,
        complete: false,
        over: false,
    };
    {
        let mut night = lock(&night);
        let heal = night.now + setting.heal_after;
        night.plan(heal, Due::Heal);
        let now = night.now;
        night.plan(now, Due::Start);
    }
    let began = lock(&night).now;
    stage.play();
    drop(stage);
    let mut night = lock(&night);
    let trace = std::mem::take(&mut night.trace);
    Report {
        violations: std::mem::take(&mut night.violations),
        seen: std::mem::take(&mut night.seen),
        hash: trace.hash(),
        lines: trace.into_lines(),
        events: night.events,
        opened_at: night.opened_at.unwrap_or(1),
        first_ended_at: night.first_ended_at.unwrap_or(night.events),
        processes: night.processes.len(),
        length: night.now.duration_since(began),
        vault: std::mem::take(&mut night.vault),
    }
}

struct Stage {
    night: Arc<Mutex<Night>>,
    tasks: Vec<Option<Task<Ended>>>,
    /// What processes have begun beside themselves, each with whose it is.
    beside: Vec<(usize, Task<()>)>,
    mornings: u32,
    /// A process has made a backup since the healing.
    complete: bool,
    over: bool,
}

struct Task<T> {
    future: Pin<Box<dyn Future<Output = T>>>,
    flag: Arc<Flag>,
    waker: Waker,
}

impl<T> Task<T> {
    fn new(future: Pin<Box<dyn Future<Output = T>>>) -> Task<T> {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&flag));
        Task { future, flag, waker }
    }

    fn poll(&mut self) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(&self.waker))
    }
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Flag>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Stage {
    fn play(&mut self) {
        while !self.over {
            while self.poll_one() {}
            let due = {
                let mut night = lock(&self.night);
                if night.events > EVENTS_MAX {
                    night.violated("L2", format!("more than {EVENTS_MAX} events"));
                    return;
                }
                night.pop()
            };
            match due {
                Some(due) => self.happen(due),
                None => return,
            }
        }
    }

    /// Polls the first process that can go on; false if there is none.
    fn poll_one(&mut self) -> bool {
        for number in 0..self.tasks.len() {
            let Some(task) = &mut self.tasks[number] else { continue };
            if lock(&self.night).processes[number].life == Life::Frozen
                || !task.flag.0.swap(false, Ordering::Relaxed)
            {
                continue;
            }
            let polled = task.poll();
            let died = lock(&self.night).processes[number].life == Life::Dead;
            match polled {
                _ if died => self.has_died(number),
                Poll::Ready(ended) => self.has_ended(number, &ended),
                Poll::Pending => {}
            }
            return true;
        }
        self.poll_one_beside()
    }

    fn poll_one_beside(&mut self) -> bool {
        let mut panicking = None;
        {
            let mut night = lock(&self.night);
            for (number, process) in night.processes.iter_mut().enumerate() {
                let spawned = process.spawned.drain(..).map(|Spawned(task)| (number, Task::new(task)));
                self.beside.extend(spawned);
                if std::mem::take(&mut process.panics) {
                    panicking = Some(number);
                }
            }
        }
        if let Some(number) = panicking {
            self.panic(number);
            return true;
        }
        for place in 0..self.beside.len() {
            let (number, task) = &mut self.beside[place];
            let number = *number;
            if lock(&self.night).processes[number].life == Life::Frozen
                || !task.flag.0.swap(false, Ordering::Relaxed)
            {
                continue;
            }
            let polled = task.poll();
            if polled.is_ready() {
                drop(self.beside.remove(place));
            }
            if lock(&self.night).processes[number].life == Life::Dead {
                self.has_died(number);
            }
            return true;
        }
        false
    }

    /// The oldest task of a process is gone, and nobody tells it; one without any is gone itself.
    fn panic(&mut self, number: usize) {
        if let Some(place) = self.beside.iter().position(|(whose, _)| *whose == number) {
            lock(&self.night).sometimes("a task beside a process panicked");
            drop(self.beside.remove(place));
            return;
        }
        lock(&self.night).kill(number);
        if self.tasks[number].is_some() {
            self.has_died(number);
        }
    }

    /// A process is gone, and everything of it.
    fn clear_away(&mut self, number: usize) {
        self.tasks[number] = None;
        self.beside.retain(|(whose, _)| *whose != number);
        let spawned = std::mem::take(&mut lock(&self.night).processes[number].spawned);
        drop(spawned);
    }

    fn happen(&mut self, due: Due) {
        let mut night = lock(&self.night);
        match due {
            Due::Wake(waker) => {
                drop(night);
                waker.wake();
            }
            Due::Arrive(number) => {
                night.arrive(number);
                let dead: Vec<usize> = (0..self.tasks.len())
                    .filter(|n| self.tasks[*n].is_some() && night.processes[*n].life == Life::Dead)
                    .collect();
                drop(night);
                for number in dead {
                    self.has_died(number);
                }
            }
            Due::Then(number, request) => night.answer_then(number, &request),
            Due::Keep(write) => night.lands(write),
            Due::Deliver(number, answer) => night.deliver(number, answer),
            Due::GiveUp(number) => night.give_up(number),
            Due::Lift(trouble) => night.lift(trouble),
            Due::Thaw(process) => {
                if night.processes[process].life == Life::Frozen {
                    let now = night.now;
                    night.processes[process].life = Life::Alive;
                    night.processes[process].alive_since = now;
                    let waiting = std::mem::take(&mut night.processes[process].waiting);
                    drop(night);
                    waiting.into_iter().for_each(Waker::wake);
                }
            }
            Due::Start => {
                drop(night);
                self.start();
            }
            Due::Heal => {
                drop(night);
                self.heal();
            }
            Due::Look => {
                drop(night);
                self.look();
            }
            Due::Morning => {
                drop(night);
                self.begin_or_end();
            }
        }
    }

    fn start(&mut self) {
        let number = lock(&self.night).born();
        let seat = Seat::new(Arc::clone(&self.night), number);
        self.tasks.push(Some(Task::new(Box::pin(process::live(seat)))));
    }

    fn has_died(&mut self, number: usize) {
        // Whatever the process was doing is dropped where it stands.
        self.clear_away(number);
        let mut night = lock(&self.night);
        let (now, restart) = (night.now, night.setting.restart_after);
        night.trace.note(now, format_args!("p{number}"), "is dead", "");
        if !night.weather.healed && night.processes.len() < NIGHT_STARTS_MAX {
            night.plan(now + restart, Due::Start);
        }
    }

    fn has_ended(&mut self, number: usize, ended: &Ended) {
        self.clear_away(number);
        let mut night = lock(&self.night);
        let process = &mut night.processes[number];
        process.life = Life::Ended;
        process.holds_lock = false;
        let of_the_morning = is_of_the_morning(&night, number);
        night.has_ended(number, ended);
        let complete = matches!(ended, Ended::Drove(driven) if driven.end == End::Closed(Outcome::Complete));
        self.complete |= complete && of_the_morning;
        let (now, events) = (night.now, night.events);
        night.first_ended_at.get_or_insert(events);
        let healed = night.weather.healed;
        if self.tasks.iter().any(Option::is_some) {
            return;
        }
        if complete && !healed && !night.goes_on_all_the_same() {
            // It has come to a good end in spite of everything, and nothing of it is left over.
            self.over = true;
            return;
        }
        if healed {
            night.plan(now + BETWEEN_MORNINGS, Due::Morning);
        } else {
            // Nobody is left: the morning may as well begin, unless somebody is started again.
            let heal = now + night.setting.restart_after;
            night.plan(heal, Due::Heal);
        }
    }

    fn heal(&mut self) {
        let mut night = lock(&self.night);
        if night.weather.healed {
            return;
        }
        night.heal();
        let now = night.now;
        night.trace.note(now, "everything", "heals", "");
        night.plan(now + LOOK_AFTER, Due::Look);
        // The longest that a run can take, with all that it may still wait for.
        let limit = now + WAIT_DEADLINE * 4 + night.setting.hold_budget + SignedDuration::from_mins(20);
        night.morning = Some((now, limit));
        drop(night);
        if !self.somebody_lives() {
            self.begin_or_end();
        }
    }

    /// After the healing: whether due releases are out, and whether everybody ends in time.
    fn look(&mut self) {
        let mut night = lock(&self.night);
        let Some((_, limit)) = night.morning else { return };
        night.released_since_healing();
        if night.now > limit {
            night.violated("L2", "a process goes on long after everything healed".into());
            self.over = true;
        } else if self.somebody_lives() {
            let again = night.now + LOOK_AFTER;
            night.plan(again, Due::Look);
        }
    }

    /// Nobody is at work on the healthy installation: somebody makes a backup, unless that has been done.
    fn begin_or_end(&mut self) {
        let mut night = lock(&self.night);
        self.over = self.complete || self.mornings >= MORNINGS_MAX;
        if !self.over {
            self.mornings += 1;
            drop(night);
            self.start();
            return;
        }
        if !self.complete {
            let what = format!("no complete backup in {MORNINGS_MAX} starts on a healthy installation");
            night.violated("L3", what);
        }
        night.nothing_left_paused("L1", "in the end");
    }

    fn somebody_lives(&self) -> bool {
        self.tasks.iter().any(Option::is_some)
    }
}

fn is_of_the_morning(night: &Night, number: usize) -> bool {
    night.morning.is_some_and(|(healed_at, _)| night.processes[number].began >= healed_at)
}
