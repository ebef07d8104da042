//! A run that was left open, and whose pause is over by other means than its own release.

use c8keep_twin::Host;

use crate::interrupted::{kill, paused, slow};
use crate::theatre::Theatre;

/// Killed when its pause was answered: nothing of it can still take effect.
fn killed_in_window(theatre: &Theatre) {
    let child = paused(theatre, &["backup", "--id", "1000"]);
    theatre.until("the pause is answered", |theatre| {
        let shown = theatre.run(&["show", "1000", "-o", "json"]).json();
        let pause = |step: &&serde_json::Value| step["step"] == "pause-exporting";
        shown["steps"].as_array().unwrap().iter().find(pause).unwrap()["state"] == "done"
    });
    kill(child);
}

/// Somebody has resumed exporting by other means than the run's own: it is open, and nobody is woken up for it.
#[test]
fn a_run_left_open_whose_pause_is_over() {
    let mut config = slow();
    config.durations.records = 3_000;
    let theatre = Theatre::new(config);
    killed_in_window(&theatre);
    theatre.run(&["status"]).expect(20, &["LEFT OPEN", "`c8keep resume-exporting`"]);
    theatre.world().faults.unreachable.insert(Host::Search);
    theatre.run(&["resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
    // Whether it is the cluster that the run paused is not known yet.
    theatre.run(&["status"]).expect(20, &["exporting     runs", "LEFT OPEN"]);
    theatre.world().faults.unreachable.clear();
    let words = ["backup-1000", "LEFT OPEN", "exporting runs by now", "the next `c8keep backup` ends it"];
    let status = theatre.run(&["status"]).expect(0, &words);
    assert!(!status.said().contains("resume-exporting"), "{}", status.said());
    assert_eq!(theatre.run(&["status", "-o", "json"]).json()["open_runs"][0]["resumed_meanwhile"], true);
    // Paused again by somebody: nobody can tell that it is not this run's.
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["status"]).expect(20, &["PAUSED"]);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    theatre.run(&["backup"]).expect(0, &["is complete"]);
    let status = theatre.run(&["status"]).expect(0, &[]);
    assert!(!status.said().contains("LEFT OPEN"), "{}", status.said());
}

/// One broker of three says nothing of the others, so the pause may still be there.
#[test]
fn what_was_not_read_may_be_paused() {
    let mut config = Theatre::quick("8.8.0");
    (config.optimize, config.durations.records) = (false, 60_000);
    let theatre = Theatre::new(config);
    killed_in_window(&theatre);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    theatre.until("exporting runs", |theatre| !theatre.is_paused());
    theatre.run(&["status"]).expect(20, &["exporting     runs", "LEFT OPEN", "`c8keep resume-exporting`"]);
    let file = theatre.home().join("c8keep.yaml");
    let brokers: Vec<String> = (0..3).map(|n| theatre.url(Host::Broker(n))).collect();
    std::fs::write(&file, format!("brokers: {brokers:?}\n")).unwrap();
    theatre.run(&["-c", file.to_str().unwrap(), "status"]).expect(0, &["exporting runs by now"]);
}

/// One line tells that it is this process now which drives the run, before anything else of it.
#[test]
fn whoever_takes_over_is_told() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let ended = theatre.run(&["resume-exporting", "-o", "json"]).expect(0, &[]);
    let first: serde_json::Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["event"], &first["run"]), (&"adopted".into(), &"backup-1000".into()), "{first}");
    assert!(first["by"].as_str().unwrap().contains('@'), "{first}");
    kill(paused(&theatre, &["backup", "--id", "2000"]));
    let ended = theatre.run(&["resume-exporting"]).expect(0, &["; resuming exporting"]);
    assert_eq!(ended.said().matches("run backup-2000 taken over by").count(), 1, "{}", ended.said());
}
