//! `status`: whether exporting is paused, runs that are open, the last backup. Reads only.

use c8keep_core::Run;
use c8keep_core::facts::Positions;
use c8keep_core::fault::Fault;
use c8keep_core::run::Hold;
use c8keep_engine::open_runs;
use jiff::Timestamp;
use serde::Serialize;

use super::catalog;
use crate::cli::Global;
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::session;
use crate::settings::Settings;
use crate::show::time::{ago, span};

#[derive(Serialize)]
struct Status {
    installation: String,
    exporting: Exporting,
    open_runs: Vec<OpenRun>,
    last_backup: Option<LastBackup>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
enum Exporting {
    Runs { partitions: usize },
    Paused { where_: Vec<String> },
    Unknown { fault: Fault },
}

#[derive(Serialize)]
struct OpenRun {
    run: String,
    by: String,
    alive: bool,
    #[serde(flatten)]
    hold: Hold,
    last_event_at: Timestamp,
    paused_ms: Option<i64>,
}

#[derive(Serialize)]
struct LastBackup {
    backup: u64,
    completed_at: Timestamp,
    witness: String,
}

pub(super) async fn run(global: &Global, printer: Printer) -> Result<u8, Stop> {
    let settings = Settings::load(global)?;
    let journal = session::journal_to_read(&settings).await?;
    let holder = journal.holder(settings.name()).await?;
    let now = session::now();
    let open: Vec<OpenRun> = open_runs::open(&*journal, settings.name())
        .await?
        .iter()
        .map(|(run, _)| open_run(run, holder.is_some(), now))
        .collect();
    let entries = catalog::entries(&*session::vault(&settings), &*journal, settings.name()).await?;
    let last_backup = entries.iter().find_map(|e| e.manifest.as_ref()).map(|m| LastBackup {
        backup: m.backup.get(),
        completed_at: m.completed_at,
        witness: m.witness.witness.verdict.name().into(),
    });
    let exporting = exporting(&settings).await;
    let status = Status { installation: settings.name().into(), exporting, open_runs: open, last_backup };
    printer.result(&text(&status, now), &status);
    Ok(code(&status))
}

async fn exporting(settings: &Settings) -> Exporting {
    let read = async {
        let management = session::management_only(settings).await?;
        management.camunda.positions(&management.brokers, session::now()).await
    };
    match read.await {
        Ok(positions) if positions.paused().is_empty() => {
            Exporting::Runs { partitions: partitions(&positions) }
        }
        Ok(positions) => {
            let place = |(broker, partition, phase)| format!("{broker}, partition {partition}: {phase}");
            Exporting::Paused { where_: positions.paused().into_iter().map(place).collect() }
        }
        Err(fault) => Exporting::Unknown { fault },
    }
}

fn partitions(positions: &Positions) -> usize {
    let all: std::collections::BTreeSet<&u32> =
        positions.brokers.iter().flat_map(|b| b.partitions.keys()).collect();
    all.len()
}

fn open_run(run: &Run, alive: bool, now: Timestamp) -> OpenRun {
    let paused_ms = run.hold().length(now).and_then(|d| i64::try_from(d.as_millis()).ok());
    OpenRun {
        run: run.id().0.clone(),
        by: run.by().into(),
        alive,
        hold: run.hold(),
        last_event_at: run.last_at(),
        paused_ms,
    }
}

/// 20 while exporting is, or may be, paused and nobody is at work on it.
fn code(status: &Status) -> u8 {
    let at_work = status.open_runs.iter().any(|run| run.alive);
    let paused = matches!(status.exporting, Exporting::Paused { .. });
    let left = status.open_runs.iter().any(|run| run.hold.is_open());
    match &status.exporting {
        _ if (paused || left) && !at_work => exit::MAY_BE_PAUSED,
        Exporting::Unknown { fault } => fault.kind.exit_code(),
        Exporting::Runs { .. } | Exporting::Paused { .. } => exit::DONE,
    }
}

fn text(status: &Status, now: Timestamp) -> String {
    let mut lines = vec![format!("installation  {}", status.installation)];
    lines.push(match &status.exporting {
        Exporting::Runs { partitions } => format!("exporting     runs on {partitions} partitions"),
        Exporting::Paused { where_ } => format!("exporting     PAUSED on {}", where_.join("; ")),
        Exporting::Unknown { fault } => {
            format!("exporting     unknown: {}: {}; {}", fault.target, fault.answer, fault.hint)
        }
    });
    for run in &status.open_runs {
        let alive = if run.alive { "at work" } else { "LEFT OPEN" };
        let paused = match run.hold {
            Hold::Open { since } | Hold::ReleasePending { since } => {
                format!(", paused exporting {} ago", span(now.duration_since(since)))
            }
            Hold::NotTaken | Hold::Released { .. } => String::new(),
        };
        lines.push(format!(
            "run           {} by {}: {alive}, last event {}{paused}",
            run.run,
            run.by,
            ago(run.last_event_at, now)
        ));
        if !run.alive {
            lines.push(
                "  next        `c8keep resume-exporting` releases it; `c8keep backup` takes it over".into(),
            );
        }
    }
    lines.push(match &status.last_backup {
        Some(last) => format!(
            "last backup   {}, {}, witness {}",
            last.backup,
            ago(last.completed_at, now),
            last.witness
        ),
        None => "last backup   none".into(),
    });
    lines.join("\n")
}
