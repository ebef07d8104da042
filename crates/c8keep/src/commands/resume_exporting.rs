//! `resume-exporting`: lets exporting run again after an interrupted backup.

mod brokers;

use std::sync::Arc;

use c8keep_adapters::clock::SystemClock;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::World;
use c8keep_engine::fence::Fence;
use c8keep_engine::open_runs::{self, Open};
use c8keep_engine::ports::{Clock, Journal, Term};
use jiff::SignedDuration;
use serde::Serialize;

use self::brokers::{RESUMING, TRY_EVERY, aloud, look, or_still_paused, paused_lines, resume, trying};
use super::take_over::{How, Left, interrupted, take_over_all};
use super::{inherited, other_names};
use crate::cli::{Global, OnOpen, Output, ResumeArgs};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Management, actor};
use crate::settings::Settings;
use crate::signals;

/// The last line for programs.
#[derive(Serialize)]
struct Ended<'a> {
    event: &'static str,
    resumed: bool,
    said: &'a str,
    /// Why the claim in the vault could not be read or settled, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'a Fault>,
    exit_code: u8,
}

/// What was done.
struct Resumed {
    resumed: bool,
    said: &'static str,
}

/// Whose pause it may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The journal was read and knows of no pause of this installation.
    NotUs,
    /// The journal knows of none, and what the claims in the vault know cannot be read.
    Unclaimed,
    /// Ours, or asked for by force: released without another question.
    Sure,
    /// The journal cannot be read, or the installation cannot be told: it may be ours.
    Unknown,
}

pub(super) async fn run(global: &Global, args: &ResumeArgs, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    signals::guard(true);
    let claiming = aloud("the journal and the vault", claim(&settings, printer), printer);
    let claimed = signals::or_stop(exit::MAY_BE_PAUSED, claiming).await;
    let claimed = claimed.map_err(|stop| interrupted(stop.code, "claiming the installation", printer))?;
    let journal = claimed.as_ref().map(|(journal, ..)| Arc::clone(journal)).ok();
    let ended = Box::pin(release(&settings, claimed, args, printer)).await;
    let mut unclaimed = None;
    if let Some(journal) = journal {
        signals::or_out_of_time(journal.leave()).await;
        unclaimed = journal.unclaimed();
    }
    let claim = unclaimed.as_ref();
    let warn = || claim.into_iter().for_each(|fault| tell_unclaimed(fault, printer));
    let Resumed { resumed, said } = ended.inspect_err(|_| warn())?;
    match printer.output() {
        Output::Text => printer.result(said, &()),
        _ => printer.line(&Ended { event: "result", resumed, said, claim, exit_code: exit::DONE }),
    }
    warn();
    Ok(exit::DONE)
}

/// What matters of a claim for whoever pauses nothing.
fn tell_unclaimed(fault: &Fault, printer: Printer) {
    printer.say(&format!(
        "WARNING: the claim in the vault could not be read or settled: {fault}\n  next mend that, then run \
         `c8keep resume-exporting` once more: until then other hosts may still tell of a pause, and watch a claim for a \
         minute"
    ));
}

/// A journal that cannot be opened, claimed, read or folded must not keep exporting paused: on such a night the pause is
/// one whose owner cannot be told. Only another process that is alive stands in the way.
async fn release(
    settings: &Settings,
    claimed: Result<Claimed, Fault>,
    args: &ResumeArgs,
    printer: Printer,
) -> Result<Resumed, Stop> {
    let (journal, term, open) = match claimed {
        Ok(claimed) => claimed,
        Err(fault) if fault.kind == FaultKind::Locked && args.force => {
            printer.say("another run is alive; resuming all the same, its backup will fail");
            return by_the_brokers(settings, args, Owner::Sure, printer).await;
        }
        Err(fault) if fault.kind == FaultKind::Locked => {
            let hint = "wait for that run, or stop it with Ctrl-C or SIGTERM (it resumes exporting itself); --force \
                        resumes under it, and its backup fails";
            return Err(fault.with_hint(hint).into());
        }
        Err(fault) => {
            printer.warning(&fault);
            return by_the_brokers(settings, args, Owner::Unknown, printer).await;
        }
    };
    release_claimed(settings, &journal, term, open, args, printer).await
}

/// The installation is ours to act on, as far as the claims tell. One that cannot be read keeps nothing of ours paused.
async fn release_claimed(
    settings: &Settings,
    fence: &Arc<Fence>,
    term: Term,
    open: Open,
    args: &ResumeArgs,
    printer: Printer,
) -> Result<Resumed, Stop> {
    open.unreadable.iter().for_each(|fault| printer.fault(fault));
    let left = Left { inherited: inherited::of(fence, &open.runs).await, runs: open.runs };
    let lost = async || fence.standing_lost().await;
    let by_the_brokers =
        async |owner| unless_superseded(lost, by_the_brokers(settings, args, owner, printer)).await;
    if !left.has_hold() {
        let owner = match beside_other_names(settings, args, printer).await? {
            true => Owner::Sure,
            false if !open.unreadable.is_empty() => Owner::Unknown,
            false if fence.unclaimed().is_some() => Owner::Unclaimed,
            false => Owner::NotUs,
        };
        return by_the_brokers(owner).await;
    }
    let inherited = left.inherited.clone();
    let as_journal: Arc<dyn Journal> = fence.clone();
    let world = match identify(settings, &as_journal, args, printer).await? {
        Ok(world) => world,
        Err(fault) => {
            let releasing = without_identity(settings, args, &fault, printer);
            let resumed = unless_superseded(lost, releasing).await?;
            // Whoever says yes says that it is this cluster. An open run is ended by the next backup, which can tell.
            if inherited.is_some() {
                fence.settle().await;
            }
            return Ok(resumed);
        }
    };
    let ours = &world.installation.fingerprint;
    let known = left
        .runs
        .iter()
        .any(|(run, _)| run.hold().is_open() && ours.is_same_installation(run.plan().fingerprint()));
    let (release_wait, force) = (args.release_wait, args.force);
    let how = How { on_open: Some(OnOpen::Release), term, release_wait, force, printer };
    match take_over_all(settings, &world, fence, left, &how).await.1 {
        Ok(()) => Ok(RESUMED),
        // The pause is ours; a journal or a claim that takes nothing more does not change that.
        Err(Stop { unwritten: true, fault: Some(fault), .. }) if known || args.yes => {
            // Its hint is for whoever stops here.
            printer.say(&format!(
                "nothing can be written down any more, resuming exporting all the same: {fault}"
            ));
            let resumed = by_the_brokers(Owner::Sure).await?;
            if inherited.is_some_and(|held| ours.is_same_installation(&held.fingerprint)) {
                fence.settle().await;
            }
            Ok(resumed)
        }
        Err(stop) => Err(stop),
    }
}

/// Whoever is seen to have taken over meanwhile keeps its window. Claims that cannot be read stop nothing. `lost`: ends when this
/// process is not sure of its claim any more, again and again.
async fn unless_superseded<T>(
    lost: impl AsyncFn() -> Fault,
    releasing: impl Future<Output = Result<T, Stop>>,
) -> Result<T, Stop> {
    let superseded = async {
        loop {
            let lost = lost().await;
            if lost.kind == FaultKind::Locked {
                return lost;
            }
        }
    };
    tokio::select! {
        released = releasing => released,
        lost = superseded => Err(lost.into()),
    }
}

/// Whether somebody is at work on this cluster under another name, and is to be disregarded as one of the same name would be.
async fn beside_other_names(settings: &Settings, args: &ResumeArgs, printer: Printer) -> Result<bool, Stop> {
    let looking = aloud("the servers, to tell which cluster they are", other_names::here(settings), printer);
    let others = signals::or_stop(exit::MAY_BE_PAUSED, looking).await;
    let others =
        others.map_err(|stop| interrupted(stop.code, "looking for runs under other names", printer))?;
    let Some(other) = other_names::at_work(&others) else { return Ok(false) };
    if args.force {
        printer.say("another run is alive; resuming all the same, its backup will fail");
        return Ok(true);
    }
    let fault = other.fault(RESUMING, "the journal");
    let hint = format!("{}; --force resumes under it, and its backup fails", fault.hint);
    Err(fault.with_hint(hint).into())
}

const RESUMED: Resumed = Resumed { resumed: true, said: "exporting runs" };

type Claimed = (Arc<Fence>, Term, Open);

async fn claim(settings: &Settings, printer: Printer) -> Result<Claimed, Fault> {
    let claimed = async {
        let journal = session::journal_to_write(settings, printer).await?;
        let term = journal.claim(settings.name(), &actor()).await?;
        let open = open_runs::open(&*journal, settings.name()).await?;
        Ok::<Claimed, Fault>((journal, term, open))
    };
    match claimed.await {
        // The lock lies beside the journal and tells of a living process also when the journal is damaged.
        Err(fault) if fault.kind != FaultKind::Locked => match session::holder(settings) {
            Ok(Some(holder)) => Err(Fault {
                kind: FaultKind::Locked,
                answer: format!("{} is held by {holder}, and {}", settings.name(), fault.answer),
                ..fault
            }),
            _ => Err(fault),
        },
        other => other,
    }
}

/// Finds out what answers, for a pause of our own. A cluster that is out of reach is waited for, as a release is tried
/// without end; what else goes wrong is the inner result.
async fn identify(
    settings: &Settings,
    journal: &Arc<dyn Journal>,
    args: &ResumeArgs,
    printer: Printer,
) -> Result<Result<Arc<World>, Fault>, Stop> {
    let address = session::management_only(settings).await.map_err(|f| Stop::from(f).while_paused())?.address;
    let clock = SystemClock::new();
    let began = clock.now();
    let mut told = false;
    loop {
        let assembled = Box::pin(session::assemble_to_release(settings, Arc::clone(journal)));
        let assembled = aloud(format!("the servers, {address} first"), assembled, printer);
        let assembled = signals::or_stop(exit::MAY_BE_PAUSED, assembled).await;
        let assembled =
            assembled.map_err(|stop| interrupted(stop.code, "looking at the installation", printer))?;
        let fault = match assembled {
            Ok(session) => return Ok(Ok(session.world)),
            Err(fault) => fault,
        };
        let silent = fault.kind == FaultKind::Unreachable && fault.target.contains(&address);
        if !silent || args.yes {
            return Ok(Err(fault));
        }
        if args.release_wait.is_some_and(|wait| clock.now().duration_since(began) >= wait) {
            let next = "c8keep paused exporting, and it may still be PAUSED: bring the cluster back, then run \
                        `c8keep resume-exporting` again";
            return Err(Stop::from(fault.with_hint(next)).while_paused());
        }
        if !std::mem::replace(&mut told, true) {
            printer.fault(&fault);
            let trying = trying("until the cluster answers", args.release_wait);
            printer.say(&format!("c8keep paused exporting; {trying}"));
        }
        or_still_paused(&fault, clock.sleep_until(clock.now() + TRY_EVERY)).await?;
    }
}

/// Our own pause, but nothing tells whether this is the same installation: the search server is out of reach, for example.
async fn without_identity(
    settings: &Settings,
    args: &ResumeArgs,
    fault: &Fault,
    printer: Printer,
) -> Result<Resumed, Stop> {
    printer.fault(fault);
    if !args.yes {
        let what =
            "c8keep paused exporting, but cannot tell whether what answers now is the same installation";
        printer.problem(what, "if it is, run `c8keep resume-exporting --yes`");
        return Err(Stop::told(exit::MAY_BE_PAUSED, what));
    }
    by_the_brokers(settings, args, Owner::Sure, printer).await
}

/// A pause that is ours, although no run here tells of it.
pub(super) async fn release_ours(
    settings: &Settings,
    release_wait: Option<SignedDuration>,
    printer: Printer,
) -> Result<(), Stop> {
    let args = ResumeArgs { yes: false, force: false, release_wait };
    by_the_brokers(settings, &args, Owner::Sure, printer).await.map(|_| ())
}

/// By what the brokers say: shown first, and resumed only when it is ours or that is asked for.
async fn by_the_brokers(
    settings: &Settings,
    args: &ResumeArgs,
    owner: Owner,
    printer: Printer,
) -> Result<Resumed, Stop> {
    let sure = owner == Owner::Sure;
    let may_be_ours = owner != Owner::NotUs;
    let unseen = |fault| if may_be_ours { Stop::from(fault).while_paused() } else { Stop::from(fault) };
    let management = session::management_only(settings).await.map_err(unseen)?;
    let wait = args.release_wait.filter(|_| !sure && !args.yes);
    let positions = look(&management, wait, printer).await?;
    let paused = match positions {
        Ok(positions) if positions.paused().is_empty() && !sure => {
            let said = "exporting is not paused on any broker that was reached; nothing to do";
            return Ok(Resumed { resumed: false, said });
        }
        Ok(positions) => Some(positions.paused()),
        Err(fault) if sure || args.yes => {
            printer
                .say(&format!("cannot tell whether exporting is paused: {}: {}", fault.target, fault.answer));
            None
        }
        Err(fault) => {
            let hint = format!(
                "cannot tell whether exporting is paused: make the management address answer, then look again; {} ({})",
                "`c8keep resume-exporting --yes` resumes without looking", fault.hint
            );
            let stop = unseen(fault.with_hint(hint));
            return Err(if wait.is_some() { stop.while_paused() } else { stop });
        }
    };
    for line in paused_lines(paused.as_deref().unwrap_or_default()) {
        printer.say(&line);
    }
    if !args.yes && !sure {
        return Err(Stop::from(not_known_to_be_ours(settings, &management, owner).await).while_paused());
    }
    // Where nobody knows of a pause, nothing is owed to it: one try, unless more was asked for.
    let nobody_knows = paused.is_none() && !may_be_ours && args.release_wait.is_none();
    let patience = args.release_wait.or(nobody_knows.then_some(SignedDuration::ZERO));
    resume(&management, patience, nobody_knows, printer).await?;
    Ok(RESUMED)
}

async fn not_known_to_be_ours(settings: &Settings, management: &Management, owner: Owner) -> Fault {
    let (name, place) = (settings.name(), settings.journal().display().to_string());
    let others = other_names::here(settings).await;
    if let Some(other) = other_names::left_paused(&others) {
        return other.fault(RESUMING, &management.address);
    }
    let told = match owner {
        Owner::NotUs => {
            format!("c8keep did not make this pause: {place} knows no open one of installation {name}")
        }
        Owner::Unclaimed => format!(
            "exporting is paused; {place} knows no open pause of installation {name}, and the claims in the vault cannot be \
             read, which may tell of one that c8keep made on another host"
        ),
        Owner::Sure | Owner::Unknown => {
            format!("exporting is paused, and {place} does not tell whether c8keep made the pause")
        }
    };
    let hint = match owner {
        Owner::Unclaimed => {
            "make the vault answer, and run `c8keep resume-exporting` again; or find out who paused (another backup may be \
             running), then run `c8keep resume-exporting --yes`"
        }
        _ => "find out who did (another backup may be running); then run `c8keep resume-exporting --yes`",
    };
    Fault::precondition(RESUMING, &management.address, told, hint)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A vault that is away stops nothing; somebody who has taken over does.
    #[tokio::test]
    async fn only_a_successor_ends_a_release() {
        let asked = Cell::new(0);
        let lost = async || {
            tokio::task::yield_now().await;
            asked.set(asked.get() + 1);
            let kind = if asked.get() < 3 { FaultKind::Unreachable } else { FaultKind::Locked };
            Fault::new(kind, "renewing the claim", "/vault", "said")
        };
        let stop = unless_superseded(lost, std::future::pending::<Result<(), Stop>>()).await.unwrap_err();
        assert_eq!((stop.code, asked.get()), (11, 3));
        asked.set(0);
        let releasing = async {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            Ok(())
        };
        unless_superseded(lost, releasing).await.unwrap();
    }
}
