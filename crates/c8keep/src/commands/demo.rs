//! `demo`: a simulated installation on loopback, and what c8keep does with it on good and on bad days.
//!
//! The installation is the twin, served over HTTP, under load. The backups are made by this very program, started again as a
//! child with the documented variables; nothing is faked in between. Every verdict and every count is what the twin's
//! oracle found in this run; where it differs from what is announced here, the demo fails.

mod stage;

use std::process::ExitStatus;

use c8keep_core::fault::{Fault, FaultKind};
use c8keep_twin::LossKind;

use self::stage::{Scene, Stage};
use crate::cli::{DemoArgs, Output};
use crate::exit::{self, Stop};
use crate::printer::Printer;
use crate::signals;

pub(super) async fn run(args: &DemoArgs, printer: Printer) -> Result<u8, Stop> {
    if printer.output() != Output::Text {
        let hint = "leave `--output` away; `c8keep backup -o json` is for programs";
        return Err(Fault::new(
            FaultKind::Usage,
            "starting the demo",
            "--output",
            "the demo is told to people",
        )
        .with_hint(hint)
        .into());
    }
    tokio::select! {
        played = Box::pin(play(args, printer)) => played,
        // Dropped, the stage takes its children and its folder with it.
        () = signals::any() => {
            let what = "the demo was stopped; the simulated installation, its pause and its folder are gone with it";
            printer.say(what);
            Err(Stop::told(exit::INTERRUPTED, what))
        }
    }
}

async fn play(args: &DemoArgs, printer: Printer) -> Result<u8, Stop> {
    let stage = Stage::set(args.seed, printer).await?;
    let mut announced = Announced { printer, kept: true };
    stage.tell(&[
        "c8keep demo: a simulated Camunda 8.6 (2 partitions, Operate, Tasklist, Elasticsearch) is running on this",
        "machine under load, 40 new process instances a second. Nothing else is installed, nothing leaves loopback.",
    ]);
    let first = a_hot_backup(&stage, &mut announced).await?;
    a_kill_in_the_window(&stage, &mut announced).await?;
    the_restore(&stage, &mut announced, first);
    a_foreign_hand(&stage, &mut announced).await?;
    stage.heading("The catalog of this demo");
    stage.c8keep(&["list"]).await?;
    if announced.kept {
        stage.tell(&["", "Everything came out as announced."]);
    }
    Ok(announced.code())
}

/// Holds what happened against what was announced.
struct Announced {
    printer: Printer,
    kept: bool,
}

impl Announced {
    fn is(&mut self, what: &str, holds: bool) {
        if !holds {
            self.kept = false;
            self.printer.problem(&format!("the demo announced: {what}; that is not what happened"), "");
        }
    }

    /// One thing that came out differently is enough.
    fn code(&self) -> u8 {
        if self.kept { exit::DONE } else { exit::FAILED }
    }

    fn exit_code(&mut self, what: &str, status: ExitStatus, code: i32) {
        self.is(&format!("{what} ends with exit code {code} (it was {status})"), status.code() == Some(code));
    }
}

async fn a_hot_backup(stage: &Stage, announced: &mut Announced) -> Result<u64, Stop> {
    stage.heading("1. A hot backup, in one command");
    let status = stage.c8keep(&["backup"]).await?;
    announced.exit_code("the first backup", status, 0);
    announced.is("exporting runs afterwards", !stage.is_paused());
    let newest = stage.newest_backup();
    let witness = stage.witness(newest.unwrap_or_default()).await?;
    announced.is(&format!("the first backup is proven (it is {witness})"), witness == "proven");
    newest.ok_or_else(|| {
        Fault::new(FaultKind::Absent, "looking for the first backup", "the demo's vault", "it is empty")
            .into()
    })
}

async fn a_kill_in_the_window(stage: &Stage, announced: &mut Announced) -> Result<(), Stop> {
    stage.heading("2. A second backup, killed with SIGKILL while exporting is paused");
    let earlier = stage.newest_run();
    let mut child = stage.start(&["backup", "--no-progress"])?;
    // Not while the pause is still unanswered: its release would be confirmed only when it can no longer land, 20 s later.
    let in_window = |scene: &mut Scene<'_>| scene.copies_records_after(earlier);
    let paused = stage.until("exporting is paused", in_window).await;
    announced.is("the second backup pauses exporting", paused);
    let _ = child.start_kill();
    let _ = child.wait().await;
    announced.is("a killed backup leaves exporting paused", stage.is_paused());
    stage.tell(&["", "Killed. Exporting is still paused; `c8keep status` says so:"]);
    let status = stage.c8keep(&["status"]).await?;
    announced.exit_code("status", status, i32::from(exit::MAY_BE_PAUSED));
    stage.tell(&["", "The journal knows whose pause it is; the next start releases it:"]);
    let status = stage.c8keep(&["resume-exporting", "--no-progress"]).await?;
    announced.exit_code("resume-exporting", status, 0);
    announced.is("exporting runs again", !stage.is_paused());
    Ok(())
}

fn the_restore(stage: &Stage, announced: &mut Announced, first: u64) {
    stage.heading("3. The first backup, restored into the simulation");
    let verdict = stage.restore(first);
    stage.tell(&[&format!(
        "Of {} process instances at the checkpoint {} are back, each once and whole; lost: {}, ghosts: {}.",
        verdict.instances_at_checkpoint,
        verdict.instances_restored,
        verdict.records(LossKind::Lost),
        verdict.records(LossKind::Ghost),
    )]);
    announced.is("nothing is lost in a restore of the first backup", verdict.whole());
    let all =
        verdict.instances_at_checkpoint > 0 && verdict.instances_restored == verdict.instances_at_checkpoint;
    announced.is("every instance of the first backup is back", all);
}

async fn a_foreign_hand(stage: &Stage, announced: &mut Announced) -> Result<(), Stop> {
    stage.heading("4. A third backup, during which somebody else resumes exporting");
    // The snapshot of the killed backup may still run.
    let earlier = stage.newest_run();
    let mut child = stage.start(&["backup"])?;
    let in_window = |scene: &mut Scene<'_>| scene.copies_records_after(earlier);
    let started = stage.until("the records snapshot runs", in_window).await;
    announced.is("the third backup snapshots the records", started);
    stage.resume_by_hand().await;
    let status = child.wait().await.map_err(|e| stage::broken("waiting for the third backup", &e))?;
    announced.exit_code("a backup whose pause did not hold", status, 1);
    let id = stage.newest_run();
    let witness = stage.witness(id).await?;
    announced.is(&format!("the third backup is violated (it is {witness})"), witness == "violated");
    let verdict = stage.restore(id);
    let lost = verdict.records(LossKind::Lost);
    stage.tell(&[
        "",
        "Every server called every part a success. The witness did not believe them, and it was right: a restore",
        &format!(
            "of {id} would have lost {lost} records; {} of {} process instances would not have come back whole.",
            verdict.instances_at_checkpoint - verdict.instances_restored,
            verdict.instances_at_checkpoint
        ),
    ]);
    announced.is("the backup without a pause loses records in a restore", lost > 0);
    announced.is("exporting runs at the end", !stage.is_paused());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came out otherwise is not forgotten over what came out as announced.
    #[test]
    fn one_difference_is_enough() {
        let mut announced = Announced { printer: Printer::plain(), kept: true };
        announced.is("as announced", true);
        assert_eq!(announced.code(), exit::DONE);
        announced.is("otherwise", false);
        announced.is("as announced", true);
        assert_eq!(announced.code(), exit::FAILED);
    }
}
