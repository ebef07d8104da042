//! Runs: beginning one, and finding what an earlier process left open.

use c8keep_core::capability::CamundaVersion;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::plan::{Action, Kind, Plan};
use c8keep_core::run::{Event, Hold, Run, RunId, StopReason};
use jiff::{Timestamp, Unit};

use crate::drive::limits::{APPEND_WITHIN, hangs, pass};
use crate::perform::highest_id;
use crate::ports::{Journal, Term};
use crate::{World, ids};

/// How many runs of an installation are looked through for an open one.
const RUNS_MAX: u32 = 200;

/// Journals the first event of a new run.
pub async fn begin(world: &World, plan: Plan, by: &str, term: Term) -> Result<(Run, u64), Fault> {
    let run = free_run_id(world, &plan).await?;
    let opened = Event::Opened { run: run.clone(), plan, by: by.into(), at: world.clock.now() };
    world.journal.append(&run, 1, term, std::slice::from_ref(&opened)).await?;
    let run = Run::open(opened).map_err(|e| unreadable(&run, &e.to_string()))?;
    Ok((run, 1))
}

/// `backup-<id>`, or the next free one where a run of that id ended before anything was sent.
async fn free_run_id(world: &World, plan: &Plan) -> Result<RunId, Fault> {
    for nth in 1..=RUNS_MAX {
        let run = RunId::of_backup(plan.backup(), nth);
        if world.journal.events(&run).await?.is_empty() {
            return Ok(run);
        }
    }
    Err(Fault::new(
        FaultKind::Usage,
        "opening a run",
        "the journal",
        format!("backup {} was tried {RUNS_MAX} times", plan.backup()),
    ))
}

/// A run as the journal tells it, with the number of its last event.
pub async fn load(journal: &dyn Journal, run: &RunId) -> Result<Option<(Run, u64)>, Fault> {
    let events = journal.events(run).await?;
    if events.is_empty() {
        return Ok(None);
    }
    let seq = events.len() as u64;
    let folded = Run::replay(events).map_err(|e| unreadable(run, &e.to_string()))?;
    Ok(Some((folded, seq)))
}

/// Runs that are not closed.
#[derive(Debug, Default)]
pub struct Open {
    /// Those that can be read, newest first, each with the number of its last event.
    pub runs: Vec<(Run, u64)>,
    /// Why the others cannot. Nothing tells whether such a run holds a pause.
    pub unreadable: Vec<Fault>,
}

impl Open {
    /// Whether a run that can be read has paused exporting and not confirmed that it runs again.
    pub fn has_hold(&self) -> bool {
        self.runs.iter().any(|(run, _)| run.hold().is_open())
    }

    /// What a process that is alive is doing, for whoever it keeps out: the newest run is its own.
    pub fn at_work(&self) -> String {
        let Some((run, _)) = self.runs.first() else {
            let unreadable = !self.unreadable.is_empty();
            return if unreadable { "what its run does cannot be read" } else { "it has no run open yet" }
                .into();
        };
        let exporting = match run.hold() {
            Hold::NotTaken => "has not paused exporting".into(),
            Hold::Open { since } => format!("has kept exporting paused since {}", whole(since)),
            Hold::ReleasePending { since } => {
                format!("is resuming exporting, paused since {}", whole(since))
            }
            Hold::Released { .. } => "has resumed exporting".into(),
        };
        format!("its run {}, begun at {}, {exporting}", run.id(), whole(run.opened_at()))
    }
}

/// Every run of an installation that is not closed. One that cannot be read hides none of the others: a pause of theirs must
/// be lifted whatever has become of it.
pub async fn open(journal: &dyn Journal, installation: &str) -> Result<Open, Fault> {
    let mut open = Open::default();
    for row in journal.runs(installation, RUNS_MAX).await?.into_iter().filter(|row| !row.closed) {
        match load(journal, &row.run).await {
            Ok(loaded) => open.runs.extend(loaded),
            Err(fault) => open.unreadable.push(Fault { doing: reading(&row.run), ..fault }),
        }
    }
    Ok(open)
}

/// What becomes of a run that is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    /// It goes on under its own id.
    Finish,
    /// It ends, and exporting runs again.
    Release,
}

impl Taking {
    /// What is done of what is wished: a run that cannot be finished is released.
    #[must_use]
    pub fn allowed(self, why_not_finish: Option<&str>) -> Taking {
        if why_not_finish.is_some() { Taking::Release } else { self }
    }
}

/// Journals that this process has taken the run over, and what becomes of it; driving it is next. Returns these events for whoever
/// shows the run: driving tells only of what follows.
pub async fn take(
    world: &World,
    run: &mut Run,
    seq: &mut u64,
    by: &str,
    term: Term,
    taking: Taking,
) -> Result<Vec<Event>, Fault> {
    let at = world.clock.now().max(run.last_at());
    let mut taken = vec![append(world, run, seq, term, Event::Adopted { by: by.into(), at }).await?];
    if taking == Taking::Release && run.stopping().is_none() {
        let at = world.clock.now().max(run.last_at());
        let reason = StopReason::TakenOver;
        taken.push(append(world, run, seq, term, Event::StopAsked { reason, at }).await?);
    }
    Ok(taken)
}

/// Journals one more event of a run and applies it. A journal that hangs does not keep exporting paused.
async fn append(
    world: &World,
    run: &mut Run,
    seq: &mut u64,
    term: Term,
    event: Event,
) -> Result<Event, Fault> {
    let events = std::slice::from_ref(&event);
    let appending = world.journal.append(run.id(), *seq + 1, term, events);
    let given_up = async {
        if !run.hold().is_open() {
            std::future::pending::<()>().await;
        }
        pass(&*world.clock, APPEND_WITHIN).await;
    };
    tokio::select! {
        biased;
        appended = appending => appended?,
        () = given_up => return Err(hangs(events, APPEND_WITHIN)),
    }
    *seq += 1;
    run.apply(&event).map_err(|e| unreadable(run.id(), &e.to_string()))?;
    Ok(event)
}

/// Why an open run cannot be finished and must be released, if so: its pause is spent, or has not held, or its id is not the
/// highest any more. Only whoever may finish it needs to ask: it takes as long as the servers do.
pub async fn why_not_finish(world: &World, run: &Run) -> Option<String> {
    if let Some((step, _)) = run.first_failure() {
        return Some(format!("{} has failed already", step.name));
    }
    if let Some(why) = upgraded(world, run) {
        return Some(why);
    }
    let why = match run.hold() {
        Hold::Open { since } => pause_is_spent(world, run, since).await,
        _ if run.is_winding_down() => Some("it was already winding down".into()),
        Hold::NotTaken if has_looked(run) => pause_of_others(world).await,
        _ => None,
    };
    match why {
        None => higher_id(world, run).await,
        why => why,
    }
}

/// A restore needs the very version that took a backup, so that no backup may be of two.
fn upgraded(world: &World, run: &Run) -> Option<String> {
    let begun: &str = &run.facts().cluster.as_ref()?.version;
    let now = &world.installation.version;
    let is_other = begun.parse::<CamundaVersion>().is_ok_and(|begun| begun != *now);
    is_other.then(|| format!("it was begun on Camunda {begun}, and {now} answers now"))
}

/// Whether it has had its last look at exporting before its own pause. That is old now, and nothing looks again.
fn has_looked(run: &Run) -> bool {
    let mut looks = run.steps().filter(|(step, _)| step.action == Action::CheckExporting);
    looks.all(|(_, state)| state.is_done())
}

async fn pause_of_others(world: &World) -> Option<String> {
    match world.camunda.positions(&world.installation.brokers, world.clock.now()).await {
        Ok(positions) if positions.paused().is_empty() => None,
        Ok(_) => Some("somebody else has paused exporting meanwhile".into()),
        Err(fault) => Some(format!("no broker says whether exporting runs: {}", fault.answer)),
    }
}

async fn pause_is_spent(world: &World, run: &Run, since: Timestamp) -> Option<String> {
    let now = world.clock.now();
    if now.duration_since(since) >= run.plan().hold_budget() {
        return Some(format!("exporting has been paused for longer than {:#}", run.plan().hold_budget()));
    }
    match world.camunda.positions(&world.installation.brokers, now).await {
        Ok(positions) if positions.every_reached_leader_is_soft_paused() => None,
        Ok(_) => Some("exporting is no longer paused on every partition".into()),
        Err(fault) => Some(format!("no broker says whether exporting is still paused: {}", fault.answer)),
    }
}

/// Another host may have begun one meanwhile, and ids only rise. What a server has of a run's own id is another backup's where the
/// run has asked for nothing under it yet (found by the simulator: two hosts within one second).
async fn higher_id(world: &World, run: &Run) -> Option<String> {
    if !has_asked(run) {
        match highest_id(world).await {
            Ok(highest) if highest == Some(run.plan().backup()) => {
                return Some("another backup was begun with its id meanwhile".into());
            }
            Ok(_) => {}
            Err(fault) => return Some(format!("nobody says which ids are taken: {}", fault.answer)),
        }
    }
    match ids::highest_seen(world).await {
        Ok(highest) if highest.is_some_and(|highest| highest > run.plan().backup()) => {
            Some("a backup with a higher id was begun meanwhile".into())
        }
        Ok(_) => None,
        Err(fault) => Some(format!("nobody says which ids are taken: {}", fault.answer)),
    }
}

/// Whether a server may know the run's id from the run itself.
fn has_asked(run: &Run) -> bool {
    run.steps().any(|(step, state)| {
        step.kind == Kind::Effect && !step.action.is_beside_window() && state.since().is_some()
    })
}

/// Refuses to touch a run that belongs to another installation: `localhost:9600` may be another cluster today.
pub fn check_fingerprint(world: &World, run: &Run) -> Result<(), Fault> {
    let (theirs, ours) = (run.plan().fingerprint(), &world.installation.fingerprint);
    if ours.is_same_installation(theirs) {
        return Ok(());
    }
    Err(Fault::precondition(
        format!("taking over run {}", run.id()),
        &world.installation.management,
        format!("run {} belongs to the installation {theirs}, what answers here is {ours}", run.id()),
        "point c8keep at the cluster that the run was started on, or give this cluster a name of its own",
    ))
}

/// To the second: for people.
fn whole(at: Timestamp) -> Timestamp {
    at.round(Unit::Second).unwrap_or(at)
}

fn unreadable(run: &RunId, why: &str) -> Fault {
    Fault::new(FaultKind::Damaged, reading(run), "the journal", why).with_hint(
        "`c8keep status` shows whether exporting is paused; if it is, `c8keep resume-exporting --yes` lets it run \
         again. Then move the journal file away, keep it for inspection, and start again",
    )
}

fn reading(run: &RunId) -> String {
    format!("reading run {run}")
}
