//! What a status says to people. It decides nothing.

use c8keep_core::run::Hold;
use c8keep_core::words::counted;
use jiff::Timestamp;

use super::{Answers, Exporting, Hardness, Leaders, OpenRun, Status, Unread};
use crate::commands::catalog::{self, LOST};
use crate::commands::take_over::{RESUMED_NEXT, what_to_do};
use crate::show::time::{ago, span};

/// What the answer does not speak for, if anything.
fn but(leaders: &Leaders) -> String {
    let all = leaders.of.is_none_or(|of| leaders.read >= of as usize);
    if all && leaders.unread.is_empty() {
        return String::new();
    }
    let of = leaders.of.map_or_else(|| "?".into(), |of| of.to_string());
    let silent = if leaders.unread.is_empty() {
        "give every broker's management address as `brokers`".into()
    } else {
        format!("not read: {}", leaders.unread.join("; "))
    };
    format!(" (the leaders of {} of {of} partitions were read; {silent})", leaders.read)
}

pub(super) fn text(status: &Status, now: Timestamp) -> String {
    let mut lines = vec![format!("installation  {}", status.installation)];
    lines.push(match &status.exporting {
        Exporting::Runs { partitions, leaders } => match but(leaders) {
            // A broker knows its replicas of all partitions, and speaks for those that it leads.
            but if !but.is_empty() => format!("exporting     runs as far as was read{but}"),
            _ => format!("exporting     runs on {}", counted(*partitions, "partition", "partitions")),
        },
        Exporting::Paused { short, places, leaders, hard } => {
            let places = short.clone().unwrap_or_else(|| places.join("; "));
            format!("exporting     PAUSED{} on {places}{}", hardness(*hard), but(leaders))
        }
        Exporting::Unknown { fault } => {
            format!("exporting     unknown: {}: {}; {}", fault.target, fault.answer, fault.hint)
        }
    });
    lines.extend(unknown_pause(status, now).map(|next| format!("  next        {next}")));
    for Unread { what, fault } in &status.faults {
        lines.push(format!("{what:<13} cannot be read: {}: {}", fault.target, fault.answer));
        if !fault.hint.is_empty() {
            lines.push(format!("  next        {}", fault.hint));
        }
    }
    if let Some(told) = &status.claim {
        let [says, next] = told.lines(now);
        let over =
            "  next        exporting runs by now, as every replica says; the next `c8keep backup` settles it";
        lines.extend([says, if status.claim_is_over { over.into() } else { next }]);
    }
    lines.extend(status.other_names.iter().flat_map(|other| other.lines.clone()));
    lines.extend(status.open_runs.iter().flat_map(|run| run_lines(run, status.holder.as_deref(), now)));
    lines.extend(last_backup(status, now));
    lines.join("\n")
}

/// A hard pause is none of c8keep's.
fn hardness(hard: Hardness) -> &'static str {
    match hard {
        Hardness::Soft => " (soft)",
        Hardness::Hard => " (hard)",
        Hardness::Mixed => " (partly hard)",
        Hardness::Unknown => "",
    }
}

fn last_backup(status: &Status, now: Timestamp) -> Vec<String> {
    let unread = || status.faults.iter().any(|unread| unread.what == "vault");
    let last = match (&status.last_backup, status.not_in_vault) {
        (Some(last), _) => {
            format!("{}, {}, witness {}", last.backup, ago(last.completed_at, now), last.witness)
        }
        (None, Some(lost)) => format!("the journal knows backup {lost}, the vault does not have it"),
        (None, None) if unread() => "unknown, as the vault cannot be read".into(),
        (None, None) => status
            .vault_to_come
            .as_ref()
            .map_or_else(|| "none".into(), |place| format!("none; {}", catalog::to_come(place))),
    };
    let mut lines = vec![format!("last backup   {last}")];
    if let Some(lost) = status.not_in_vault {
        if status.last_backup.is_some() {
            lines.push(format!("not in vault  {lost}, which the journal knows"));
        }
        lines.push(format!("  next        {LOST}"));
    }
    lines
}

/// What to do about a pause of which nothing tells whose it is: a run that holds none explains none.
fn unknown_pause(status: &Status, now: Timestamp) -> Option<&'static str> {
    let mut runs = status.open_runs.iter().chain(status.other_names.iter().map(|other| &other.run));
    let is_known = status.holder.is_some()
        || status.claim.as_ref().is_some_and(|told| told.is_at_work(now) || told.left_paused(now).is_some())
        || runs.any(|run| run.hold.is_open());
    if is_known || !matches!(status.exporting, Exporting::Paused { .. }) {
        return None;
    }
    Some(if status.faults.iter().any(|unread| unread.what == "journal") {
        "cannot tell whether c8keep made the pause, as the journal cannot be read: see to that first, or find out who did \
         (another backup may be running); `c8keep resume-exporting` shows what is paused"
    } else {
        "no run in this journal did it: find out who (another user, host or tool); if nobody needs it, \
         `c8keep resume-exporting --yes`"
    })
}

fn run_lines(run: &OpenRun, holder: Option<&str>, now: Timestamp) -> Vec<String> {
    let alive = if run.alive { "at work" } else { "LEFT OPEN" };
    let paused = match run.hold {
        Hold::Open { since } | Hold::ReleasePending { since } => {
            format!(", paused exporting {} ago", span(now.duration_since(since)))
        }
        Hold::NotTaken | Hold::Released { .. } => String::new(),
    };
    let resumed = if run.resumed_meanwhile { "; exporting runs by now, as somebody resumed it" } else { "" };
    let at = ago(run.last_event_at, now);
    let mut lines =
        vec![format!("run           {} by {}: {alive}, last event {at}{paused}{resumed}", run.run, run.by)];
    if run.resumed_meanwhile {
        lines.push(format!("  next        {RESUMED_NEXT}"));
    } else if run.alive && run.is_overdue {
        let next = "paused for longer than its budget allows: its log tells why; if it hangs, end that process, then \
                    `c8keep resume-exporting`";
        lines.push(format!("  next        {next}"));
    } else if !run.alive {
        let next = match holder {
            Some(holder) => {
                format!("wait until {holder} has ended: if it does not take the run over, the next one does")
            }
            None if run.answers == Answers::Another => {
                "another cluster answers here than the one that it is of: `c8keep resume-exporting` with \
                 that one's addresses"
                    .into()
            }
            None if run.answers == Answers::Untold && run.hold.is_open() => {
                "exporting runs here, but which cluster this is cannot be told before its search server answers; then \
                 the next `c8keep backup` ends the run"
                    .into()
            }
            None => what_to_do(run.hold).into(),
        };
        lines.push(format!("  next        {next}"));
    }
    lines
}
