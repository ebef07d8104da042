//! What `resume-exporting` asks of the brokers themselves: looking, resuming, and again until an answer comes. It decides nothing
//! about whose a pause is.

use std::collections::BTreeMap;

use c8keep_adapters::clock::SystemClock;
use c8keep_core::facts::Positions;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::words::counted;
use c8keep_engine::ports::Clock;
use jiff::SignedDuration;

use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session::{self, Management};
use crate::signals;

pub(super) const RESUMING: &str = "resuming exporting";
/// How long nothing is said.
const QUIET_MAX: SignedDuration = SignedDuration::from_secs(1);
pub(super) const TRY_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// Whether exporting is paused, as far as the brokers tell; asked until they do or the time is over, where there is one.
pub(super) async fn look(
    management: &Management,
    wait: Option<SignedDuration>,
    printer: Printer,
) -> Result<Result<Positions, Fault>, Stop> {
    let clock = SystemClock::new();
    let began = clock.now();
    let mut told = false;
    loop {
        let looking = management.camunda.positions(&management.brokers, session::now());
        let what = format!("{} to tell whether exporting is paused", management.address);
        let fault = match aloud(what, looking, printer).await {
            Ok(positions) => return Ok(Ok(positions)),
            Err(fault) => fault,
        };
        if wait.is_none_or(|wait| clock.now().duration_since(began) >= wait) {
            return Ok(Err(fault));
        }
        if !std::mem::replace(&mut told, true) {
            printer.fault(&fault);
            printer.say(&trying("until that can be told", wait));
        }
        or_still_paused(&fault, clock.sleep_until(clock.now() + TRY_EVERY)).await?;
    }
}

/// What is tried again, and for how long.
pub(super) fn trying(until: &str, wait: Option<SignedDuration>) -> String {
    let limit = wait.map_or_else(String::new, |wait| format!(", for {wait:#} at most (--release-wait)"));
    format!("trying again {until}{limit}; Ctrl-C stops trying")
}

/// One line a partition and state; its replicas are counted.
pub(super) fn paused_lines(paused: &[(String, u32, String)]) -> Vec<String> {
    let mut replicas: BTreeMap<(u32, &str), usize> = BTreeMap::new();
    for (_, partition, phase) in paused {
        *replicas.entry((*partition, phase)).or_default() += 1;
    }
    let line = |((partition, phase), count)| {
        format!("paused: partition {partition}: {phase} on {}", counted(count, "replica", "replicas"))
    };
    replicas.into_iter().map(line).collect()
}

/// Resumes, again and again, until it is confirmed or the patience ends.
pub(super) async fn resume(
    management: &Management,
    patience: Option<SignedDuration>,
    nobody_knows: bool,
    printer: Printer,
) -> Result<(), Stop> {
    let clock = SystemClock::new();
    let began = clock.now();
    let mut told = false;
    let no_answer = "it was sent, and no answer had come when c8keep was asked to stop";
    let mut last = Fault::new(FaultKind::Unreachable, "resuming exporting", &management.address, no_answer);
    loop {
        let resuming =
            aloud(format!("{} to resume exporting", management.address), resume_once(management), printer);
        let fault = match or_still_paused(&last, resuming).await? {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if patience.is_some_and(|patience| clock.now().duration_since(began) >= patience) {
            let stop = Stop::from(session::out_of_reach(fault));
            return Err(if nobody_knows { stop } else { stop.while_paused() });
        }
        if !std::mem::replace(&mut told, true) {
            printer.fault(&fault);
            printer.say(&trying("until it works", patience));
        }
        or_still_paused(&fault, clock.sleep_until(clock.now() + TRY_EVERY)).await?;
        last = fault;
    }
}

/// Whoever stops trying is told what has kept exporting paused so far.
pub(super) async fn or_still_paused<T>(fault: &Fault, doing: impl Future<Output = T>) -> Result<T, Stop> {
    let still_paused = |_| {
        let first = if fault.hint.is_empty() { String::new() } else { format!("{}; then ", fault.hint) };
        let hint = format!("exporting may still be PAUSED: {first}run `c8keep resume-exporting` again");
        Stop::from(fault.clone().with_hint(hint)).while_paused()
    };
    signals::or_stop(exit::MAY_BE_PAUSED, doing).await.map_err(still_paused)
}

/// A cluster that hangs takes its time, and whoever looks on must know at once what is waited for.
pub(super) async fn aloud<T>(what: impl AsRef<str>, work: impl Future<Output = T>, printer: Printer) -> T {
    let clock = SystemClock::new();
    let mut work = std::pin::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = clock.sleep_until(clock.now() + QUIET_MAX) => {}
    }
    printer.say(&format!("waiting for {}", what.as_ref()));
    work.await
}

/// Confirmed twice: by the answer, and by every broker that can be read.
async fn resume_once(management: &Management) -> Result<(), Fault> {
    management.camunda.resume_exporting().await?;
    let Ok(positions) = management.camunda.positions(&management.brokers, session::now()).await else {
        return Ok(());
    };
    let Some((broker, partition, phase)) = positions.paused().into_iter().next() else { return Ok(()) };
    let target = format!("{broker}, partition {partition}");
    let answer = format!("the call was accepted, but the partition still says {phase}");
    Err(Fault::new(FaultKind::Refused, "resuming exporting", target, answer).with_retry())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted() {
        let paused = |broker: &str, partition, phase: &str| (broker.to_owned(), partition, phase.to_owned());
        let lines = paused_lines(&[
            paused("broker 0", 1, "SOFT_PAUSED"),
            paused("broker 0", 2, "SOFT_PAUSED"),
            paused("broker 1", 1, "SOFT_PAUSED"),
            paused("broker 1", 2, "PAUSED"),
        ]);
        let expected = [
            "paused: partition 1: SOFT_PAUSED on 2 replicas",
            "paused: partition 2: PAUSED on 1 replica",
            "paused: partition 2: SOFT_PAUSED on 1 replica",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_limit_is_named_where_there_is_one() {
        let wait = Some(SignedDuration::from_secs(5));
        assert_eq!(trying("until it works", None), "trying again until it works; Ctrl-C stops trying");
        let limited = "trying again until it works, for 5s at most (--release-wait); Ctrl-C stops trying";
        assert_eq!(trying("until it works", wait), limited);
    }
}
