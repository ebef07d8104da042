//! The same cluster under another name in the same journal, as when the file that gives the name was forgotten.

use c8keep_twin::Host;

use crate::interrupted::{kill, paused, slow};
use crate::theatre::Theatre;

const WORDS: [&str; 2] =
    ["run backup-1000 of installation s88", "`c8keep --installation s88 resume-exporting`"];

#[test]
fn a_run_left_open_under_another_name() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["--installation", "s88", "backup", "--id", "1000"]));
    for (verb, code) in
        [("status", 20), ("doctor", 10), ("plan", 10), ("resume-exporting", 20), ("backup", 20)]
    {
        let ended = theatre.run(&[verb]).expect(code, &WORDS);
        assert!(!ended.said().contains("--yes"), "{verb}: {}", ended.said());
        assert!(theatre.is_paused(), "{verb}");
    }
    theatre.run(&["--installation", "s88", "resume-exporting"]).expect(0, &["exporting runs"]);
    let status = theatre.run(&["status"]).expect(0, &["exporting     runs"]);
    assert!(!status.said().contains("s88"), "{}", status.said());
}

/// Somebody has lifted its pause: it is still in the way, as whoever ends it resumes exporting, but nobody is woken up for it.
#[test]
fn a_run_under_another_name_whose_pause_is_over() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["--installation", "s88", "backup", "--id", "1000"]));
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    let words = ["exporting runs by now", "`c8keep --installation s88 backup`"];
    theatre.until("its pause cannot land any more", |theatre| {
        theatre.run(&["status"]).said().contains(words[0])
    });
    theatre.run(&["status"]).expect(0, &words);
    theatre.run(&["backup"]).expect(10, &["run backup-1000 of installation s88"]);
}

#[test]
fn somebody_at_work_under_another_name() {
    let theatre = Theatre::new(slow());
    let child = paused(&theatre, &["--installation", "s88", "backup", "--id", "1000"]);
    theatre
        .run(&["status"])
        .expect(0, &["PAUSED", "run backup-1000 of installation s88", "is at work on it"]);
    for verb in ["plan", "doctor"] {
        theatre.run(&[verb]).expect(0, &["(installation s88, on this very cluster)", "would end with 11"]);
    }
    for arguments in [&["backup"][..], &["resume-exporting"], &["resume-exporting", "--yes"]] {
        theatre.run(arguments).expect(11, &["run backup-1000 of installation s88", "is at work on it"]);
        assert!(theatre.is_paused(), "{arguments:?}: its window was opened");
    }
    theatre.run(&["resume-exporting", "--force"]).expect(0, &["another run is alive", "exporting runs"]);
    kill(child);
}

/// An installation of its own in the same journal has nothing to do with it.
#[test]
fn another_cluster_under_another_name() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["--installation", "s88", "backup", "--id", "1000"]));
    let mut config = slow();
    (config.seed, config.durations.records) = (config.seed + 1, 60);
    let mut other = Theatre::new(config);
    other.set("HOME", theatre.home().to_str().unwrap());
    for verb in ["status", "doctor", "plan", "resume-exporting", "backup"] {
        let ended = other.run(&[verb]).expect(0, &[]);
        assert!(!ended.said().contains("s88"), "{verb}: {}", ended.said());
    }
}
