//! One picture of a run: which step is where, what each waits for and since when, and the paused time in large. Pure: text
//! from a run and an instant.

use std::collections::BTreeMap;
use std::fmt::Write;

use c8keep_core::plan::{Kind, StepName};
use c8keep_core::run::{Hold, Run, StepState, StopReason};
use jiff::Timestamp;

use c8keep_core::words::wrapped;

use super::time::span;

/// How bright a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Not begun, or of no interest any more.
    Quiet,
    /// Ordinary.
    Plain,
    /// Ended well.
    Good,
    /// Under way.
    Busy,
    /// Ended badly, or exporting is paused.
    Bad,
}

/// A line and how bright it is.
pub type Line = (Tone, String);

const SPINNER: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Messages are broken into lines of this width where nobody knows how wide the screen is.
pub const WIDTH_DEFAULT: usize = 90;

/// The picture, with the paused time. `notes` holds what each wait last saw, journalled or not; `beat` turns the spinner.
pub fn frame(
    run: &Run,
    notes: &BTreeMap<StepName, String>,
    now: Timestamp,
    beat: Option<usize>,
    width: usize,
) -> Vec<Line> {
    let mut lines = steps(run, notes, now, beat);
    lines.extend(pause_lines(run, now, width));
    lines
}

/// The steps alone, as they stood at that instant.
pub fn steps(
    run: &Run,
    notes: &BTreeMap<StepName, String>,
    now: Timestamp,
    beat: Option<usize>,
) -> Vec<Line> {
    let plan = run.plan();
    let mut lines = vec![(Tone::Plain, format!("backup {} of {}", plan.backup(), plan.installation()))];
    let checks = plan.steps().iter().take_while(|s| s.after.is_empty()).count();
    lines.extend(check_line(run, checks, now, beat));
    for (step, state) in run.steps().skip(checks) {
        let page = step.page.map_or_else(String::new, |n| n.to_string());
        let given_up = run.is_winding_down() && !state.is_settled() && step.kind == Kind::Probe;
        let (tone, sign) = if given_up { (Tone::Quiet, "–") } else { sign(state, beat) };
        let mut line = format!("{sign} {page:>2} {:<21}", step.name);
        let since = state.since().map(|since| span(ended(state, now).duration_since(since)));
        let _ = match state {
            StepState::Waiting => Ok(()),
            StepState::Pending { mark, .. } => {
                let says = notes.get(&step.name).unwrap_or(&mark.says);
                write!(line, " {:>7}  {says}", since.unwrap_or_default())
            }
            StepState::Retrying { fault, attempt, .. } => {
                write!(line, " {:>7}  attempt {attempt}: {}", since.unwrap_or_default(), fault.answer)
            }
            StepState::Failed { fault, .. } => {
                write!(line, " {:>7}  {}", since.unwrap_or_default(), fault.answer)
            }
            StepState::Performing { .. } | StepState::Done { .. } => {
                write!(line, " {:>7}", since.unwrap_or_default())
            }
        };
        let never = *state == StepState::Waiting && run.is_winding_down() && step.kind != Kind::Release;
        lines.push((if never { Tone::Quiet } else { tone }, line.trim_end().to_owned()));
    }
    lines
}

fn check_line(run: &Run, checks: usize, now: Timestamp, beat: Option<usize>) -> Option<Line> {
    let states: Vec<(&str, &StepState)> =
        run.steps().take(checks).map(|(step, state)| (step.name.0.as_str(), state)).collect();
    let since = states.iter().filter_map(|(_, s)| s.since()).min()?;
    let end = states.iter().map(|(_, s)| ended(s, now)).max()?;
    let took = span(end.duration_since(since));
    if let Some((name, StepState::Failed { fault, .. })) =
        states.iter().find(|(_, s)| matches!(s, StepState::Failed { .. }))
    {
        return Some((Tone::Bad, format!("✗    {name:<21} {took:>7}  {}", fault.answer)));
    }
    let open: Vec<&str> = states.iter().filter(|(_, s)| !s.is_done()).map(|(name, _)| *name).collect();
    if open.is_empty() {
        return Some((Tone::Good, format!("✓    {:<21} {took:>7}", format!("{checks} checks"))));
    }
    let spinner = spinner(beat);
    Some((
        Tone::Busy,
        format!("{spinner}    {:<21} {took:>7}  {}", format!("{checks} checks"), open.join(", ")),
    ))
}

fn spinner(beat: Option<usize>) -> &'static str {
    beat.map_or("?", |beat| SPINNER[beat % SPINNER.len()])
}

fn sign(state: &StepState, beat: Option<usize>) -> (Tone, &'static str) {
    match state {
        StepState::Waiting => (Tone::Quiet, "·"),
        StepState::Performing { .. } | StepState::Pending { .. } => (Tone::Busy, spinner(beat)),
        StepState::Retrying { .. } => (Tone::Bad, "↻"),
        StepState::Done { .. } => (Tone::Good, "✓"),
        StepState::Failed { .. } => (Tone::Bad, "✗"),
    }
}

fn ended(state: &StepState, now: Timestamp) -> Timestamp {
    match state {
        StepState::Done { at, .. } | StepState::Failed { at, .. } => *at,
        _ => now,
    }
}

/// The paused time in large while the window is open, in one line afterwards.
fn pause_lines(run: &Run, now: Timestamp, width: usize) -> Vec<Line> {
    let hold = run.hold();
    let Some(length) = hold.length(now) else { return Vec::new() };
    if let Hold::Released { .. } = hold {
        return vec![(Tone::Good, format!("exporting runs again; it was paused for {}", span(length)))];
    }
    let words = match hold {
        Hold::ReleasePending { .. } => "EXPORTING PAUSED: release pending",
        _ => "EXPORTING PAUSED",
    };
    let seconds = length.as_secs().max(0);
    let mut lines = vec![(Tone::Plain, String::new())];
    for (row, digits) in large(&format!("{:02}:{:02}", seconds / 60, seconds % 60)).into_iter().enumerate() {
        let beside = match row {
            0 => words.to_owned(),
            1 => format!("at most {:#}", run.plan().hold_budget()),
            _ => String::new(),
        };
        lines.push((Tone::Bad, format!("   {digits}   {beside}").trim_end().to_owned()));
    }
    if let Some(reason) = run.stopping() {
        let limit = match reason {
            StopReason::Signal => ", for 25 s at most (once more to stop at once)",
            _ => "",
        };
        lines.push((Tone::Bad, format!("   {reason}: resuming exporting first{limit}")));
    }
    let release = run.plan().release().map(|step| run.state(&step.name));
    if let Some(StepState::Retrying { fault, .. }) = release {
        lines.extend(
            wrapped(&fault.answer, width.saturating_sub(3), 0)
                .into_iter()
                .map(|line| (Tone::Bad, format!("   {line}"))),
        );
    }
    lines
}

/// Digits and colons three rows high.
fn large(text: &str) -> [String; 3] {
    let mut rows = [String::new(), String::new(), String::new()];
    for c in text.chars() {
        let glyph = match c {
            '0' => ["█▀█", "█ █", "▀▀▀"],
            '1' => ["▀█ ", " █ ", "▀▀▀"],
            '2' => ["▀▀█", "█▀▀", "▀▀▀"],
            '3' => ["▀▀█", " ▀█", "▀▀▀"],
            '4' => ["█ █", "▀▀█", "  ▀"],
            '5' => ["█▀▀", "▀▀█", "▀▀▀"],
            '6' => ["█▀▀", "█▀█", "▀▀▀"],
            '7' => ["▀▀█", "  █", "  ▀"],
            '8' => ["█▀█", "█▀█", "▀▀▀"],
            '9' => ["█▀█", "▀▀█", "▀▀▀"],
            _ => [" ▄ ", " ▄ ", "   "],
        };
        for (row, part) in rows.iter_mut().zip(glyph) {
            row.push_str(part);
            row.push(' ');
        }
    }
    rows
}
