//! What a process does: the same calls in the same order as the program's verb `backup`, without a terminal.

use std::pin::pin;
use std::sync::Arc;

use c8keep_adapters::discovery::{self, Configured};
use c8keep_adapters::transport::Transport;
use c8keep_core::BackupId;
use c8keep_core::claim::{self, Held};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::StepName;
use c8keep_core::recipe;
use c8keep_core::run::{Event, Hold, Mark, Run};
use c8keep_engine::drive::{Driven, END_AFTER_SIGNAL, End, Options, drive};
use c8keep_engine::fence::Fence;
use c8keep_engine::open_runs::{self, Taking};
use c8keep_engine::ports::{Clock, Journal, NoDatabases, Vault};
use c8keep_engine::progress::Reporter;
use c8keep_engine::{World, ids};
use c8keep_twin::Host;
use futures::future::{Either, select};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::checks::TIDY_FOR;
use crate::mutants::Mutant;
use crate::night::address;
use crate::seat::{Seat, sleep};
use crate::setting::Setting;

/// The password of every endpoint: it may be in nothing that is kept or shown.
pub const CANARY: &str = "canary-7d1f";

/// How a process ended.
#[derive(Debug)]
pub enum Ended {
    /// It did not come to a run of its own.
    Refused(Fault),
    /// It drove a run as far as it could.
    Drove(Box<Driven>),
}

/// One process from its start to its end.
pub(crate) async fn live(seat: Seat) -> Ended {
    let fence = Arc::new(fence(&seat));
    let ended = backup(&seat, &fence).await;
    or_out_of_time(&seat, fence.leave()).await;
    match ended {
        Ok(driven) => Ended::Drove(Box::new(driven)),
        Err(fault) => Ended::Refused(fault),
    }
}

/// The journal of this host; on nights with several of them behind claims in the vault.
fn fence(seat: &Seat) -> Fence {
    let journal: Arc<dyn Journal> = Arc::new(seat.clone());
    let setting = seat.night().setting.clone();
    if !setting.between_hosts || setting.mutant == Some(Mutant::ClaimsIgnored) {
        return Fence::of_this_host(journal);
    }
    let id = format!("journal-{}", seat.host());
    let own = Arc::new(seat.clone());
    Fence::between_hosts(journal, own.clone(), own.clone(), id, |_| {}).with_tasks(own)
}

async fn backup(seat: &Seat, fence: &Arc<Fence>) -> Result<Driven, Fault> {
    let by = format!("process-{}", seat.me());
    let setting = seat.night().setting.clone();
    let journal: Arc<dyn Journal> = fence.clone();
    let stop = match setting.mutant {
        Some(Mutant::SignalIgnored) => watch::channel(false).1,
        _ => seat.night().processes[seat.me()].stop.subscribe(),
    };
    let term = or_stop(&stop, journal.claim(NAME, &by)).await;
    if term.as_ref().is_err_and(|fault| fault.answer.contains("on another host")) {
        seat.night().sometimes("another host was kept out by a claim");
    }
    let term = term?;
    let mut open = open_runs::open(&*journal, NAME).await?.runs;
    if setting.mutant == Some(Mutant::OpenRunsIgnored) {
        open.clear();
    }
    let inherited = match setting.mutant {
        Some(Mutant::InheritedPauseIgnored) => None,
        _ => inherited(fence, &open).await,
    };
    let transport: Arc<dyn Transport> = Arc::new(seat.clone());
    let found = or_stop(&stop, discovery::discover(transport, &configured(&setting))).await?;
    let vault: Arc<dyn Vault> = Arc::new(seat.clone());
    let clock: Arc<dyn Clock> = Arc::new(seat.clone());
    let world = Arc::new(World {
        installation: found.installation,
        camunda: Arc::new(found.camunda),
        search: Arc::new(found.search),
        databases: Arc::new(NoDatabases),
        vault,
        journal,
        clock,
        c8keep: "simulated".into(),
    });
    let alarm = Alarm(seat.clone());
    let options = || Options { reporter: &alarm, stop: stop.clone(), release_wait: None };
    if let Some(held) = inherited {
        or_stop(&stop, while_standing(fence, release(seat, &world, &held))).await?;
        fence.settle().await;
    }
    let mut finished: Option<Driven> = None;
    for (mut run, mut seq) in open {
        let wished = if finished.is_some() { Taking::Release } else { setting.taking };
        open_runs::check_fingerprint(&world, &run)?;
        let taking = match wished {
            Taking::Finish => {
                let look = async { Ok(open_runs::why_not_finish(&world, &run).await) };
                let why_not = or_stop(&stop, look).await.unwrap_or_else(|stopped| Some(stopped.answer));
                wished.allowed(why_not.as_deref())
            }
            Taking::Release => Taking::Release,
        };
        let taken = open_runs::take(&world, &mut run, &mut seq, &by, term, taking);
        or_end(seat, &stop, taken).await?;
        seat.night().sometimes(match taking {
            Taking::Finish => "an open run was taken over and finished",
            Taking::Release => "an open run was taken over and released",
        });
        let driven = drive(Arc::clone(&world), run, seq, term, options()).await;
        let closed = matches!(driven.end, End::Closed(_));
        if taking == Taking::Finish || !closed || *stop.borrow() {
            finished.get_or_insert(driven);
        }
        if !closed {
            break;
        }
    }
    if let Some(driven) = finished {
        return Ok(driven);
    }
    let highest = or_stop(&stop, ids::highest_seen(&world)).await?;
    let id = BackupId::generate(world.clock.now(), highest).ok_or_else(ids::none_left)?;
    let request = setting.request(id);
    let plan = match setting.mutant {
        None => recipe::backup(&world.installation, &request)?,
        Some(mutant) => mutant.plan(recipe::backup(&world.installation, &mutant.request(request))?)?,
    };
    let (run, seq) = or_stop(&stop, open_runs::begin(&world, plan, &by, term)).await?;
    Ok(drive(world, run, seq, term, options()).await)
}

const NAME: &str = "default";

/// The pause that the claim before ours left, unless this host's own journal knows what became of it.
async fn inherited(fence: &Fence, open: &[(Run, u64)]) -> Option<Held> {
    let held = fence.inherited()?;
    if open.iter().any(|(run, _)| claim::held_by(run).is_some_and(|own| own.is_same_pause(&held))) {
        return None;
    }
    match open_runs::load(fence, &held.run).await {
        Ok(Some((run, _))) if matches!(run.hold(), Hold::Released { since, .. } if since == held.since) => {
            fence.settle().await;
            None
        }
        _ => Some(held),
    }
}

/// Releases it and nothing else: its run cannot be finished here.
async fn release(seat: &Seat, world: &World, held: &Held) -> Result<(), Fault> {
    seat.night().memory.inheriting.insert(seat.me());
    loop {
        let resumed = world.camunda.resume_exporting().await.is_ok();
        let now = world.clock.now();
        let told = world.camunda.positions(&world.installation.brokers, now).await;
        if resumed && told.is_ok_and(|positions| positions.paused().is_empty()) {
            break;
        }
        world.clock.sleep_until(now + TRY_EVERY).await;
    }
    let mut night = seat.night();
    night.memory.inheriting.remove(&seat.me());
    let host = night.processes[seat.me()].host;
    let theirs = night.journal.books.iter_mut().filter(|book| book.id == held.run && book.host != host);
    theirs.for_each(|book| book.released_elsewhere = true);
    Ok(())
}

/// A successor releases it, and what this process still sends would lift the pause of that one's backup.
async fn while_standing(
    fence: &Fence,
    releasing: impl Future<Output = Result<(), Fault>>,
) -> Result<(), Fault> {
    match select(pin!(releasing), pin!(fence.standing_lost())).await {
        Either::Left((released, _)) => released,
        Either::Right((lost, _)) => Err(lost),
    }
}

const TRY_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// What is good to be done, for as long as a process that was asked to stop may live.
async fn or_out_of_time(seat: &Seat, doing: impl Future<Output = ()>) {
    let mut stop = seat.night().processes[seat.me()].stop.subscribe();
    let over = async {
        if stop.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
        let asked = seat.night().memory.asked_to_stop.get(&seat.me()).copied();
        let asked = asked.unwrap_or(seat.night().now);
        sleep(seat, asked + END_AFTER_SIGNAL + TIDY_FOR).await;
    };
    select(pin!(doing), pin!(over)).await;
}

/// What a signal does not cut short; the process ends all the same when its time is up.
async fn or_end<T>(
    seat: &Seat,
    stop: &watch::Receiver<bool>,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut stop = stop.clone();
    let over = async {
        if stop.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
        seat.sleep_until(Clock::now(seat) + END_AFTER_SIGNAL).await;
    };
    match select(pin!(doing), pin!(over)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => {
            Err(Fault::new(FaultKind::Refused, "taking over", "the process", "its time is up"))
        }
    }
}

/// What need not be finished by a process that is asked to stop.
async fn or_stop<T>(
    stop: &watch::Receiver<bool>,
    doing: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    let mut stop = stop.clone();
    let asked = async {
        if stop.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match select(pin!(doing), pin!(asked)).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => {
            Err(Fault::new(FaultKind::Refused, "beginning", "the process", "it was asked to stop"))
        }
    }
}

/// Whoever looks at the output: it must be told what needs somebody.
struct Alarm(Seat);

impl Reporter for Alarm {
    fn event(&self, _: &Run, _: &Event) {}
    fn waiting(&self, _: &Run, _: &StepName, _: &Mark) {}

    fn journal_lost(&self, _: &Run, fault: &Fault, _: Timestamp) {
        let mut night = self.0.night();
        let (now, me) = (night.now, self.0.me());
        night.trace.explain(now, || format!("p{me} says that the journal is lost: {fault}"));
        night.memory.told_of_loss.insert(me);
    }

    fn unreleased(&self, _: &Run, _: &Fault, _: Timestamp) {
        self.0.night().sometimes("a release without a journal failed");
    }
}

fn configured(setting: &Setting) -> Configured {
    let config = &setting.config;
    let with_login = |host: Host| address(host).replace("://", &format!("://keeper:{CANARY}@"));
    let split = !config.unified();
    Configured {
        name: NAME.into(),
        management: Some(with_login(Host::Gateway)),
        rest: Some(with_login(Host::Rest)),
        brokers: (0..config.brokers).map(|node| with_login(Host::Broker(node))).collect(),
        operate: split.then(|| with_login(Host::Operate)),
        tasklist: (split && config.tasklist).then(|| with_login(Host::Tasklist)),
        optimize: config.optimize.then(|| with_login(Host::Optimize)),
        search: Some(with_login(Host::Search)),
        repository: Some("camunda".into()),
        ..Configured::default()
    }
}
