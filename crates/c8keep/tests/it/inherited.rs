//! A pause that only a claim in the common vault tells of, as in the new pod of a CronJob: ours, whatever our journal knows.

use std::fs;
use std::path::{Path, PathBuf};

use c8keep_twin::Host;
use serde_json::Value;

use crate::interrupted::{kill, paused, slow};
use crate::theatre::{Ended, Theatre};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

pub fn shared(theatre: &Theatre) -> String {
    let file = theatre.home().join("shared.yaml");
    fs::write(&file, format!("vault: {}\n", theatre.home().join("shared").display())).unwrap();
    file.display().to_string()
}

/// Killed in the window on a host that is gone since: its claim is the only thing that is left of it.
pub fn left_by_another_host(theatre: &mut Theatre) -> String {
    let shared = shared(theatre);
    kill(paused(theatre, &["-c", &shared, "backup", "--id", "1000"]));
    renew(theatre, |claim| claim["left"] = true.into());
    let other = theatre.home().join("other");
    fs::create_dir(&other).unwrap();
    theatre.set("HOME", other.to_str().unwrap());
    shared
}

/// One more renewal of the first claim, as a process would have written it that lived a little longer.
pub fn renew(theatre: &Theatre, change: impl Fn(&mut Value)) {
    let claims = theatre.home().join("shared/default/claims");
    let (at, newest) = newest(&claims);
    let mut claim: Value = serde_json::from_slice(&fs::read(newest).unwrap()).unwrap();
    assert_eq!(claim["held"]["run"], "backup-1000", "{claim}");
    claim["renewal"] = (at + 1).into();
    change(&mut claim);
    fs::write(claims.join(format!("1.{}.json", at + 1)), claim.to_string()).unwrap();
}

fn newest(claims: &Path) -> (u64, PathBuf) {
    let path = |at: u64| match at {
        0 => claims.join("1.json"),
        at => claims.join(format!("1.{at}.json")),
    };
    let at = (0..1000).take_while(|at| path(*at).exists()).last().unwrap();
    (at, path(at))
}

#[track_caller]
fn without(ended: &Ended, words: &[&str]) {
    for word in words {
        assert!(!ended.said().contains(word), "{word:?} is in:\n{}", ended.said());
    }
}

/// An application that is down stands in the way of a backup, and not of a release.
#[test]
fn it_is_lifted_while_an_application_is_down() {
    let mut config = Theatre::quick("8.8.0");
    config.durations.records = 60_000;
    let mut theatre = Theatre::new(config);
    let shared = left_by_another_host(&mut theatre);
    theatre.set("OPTIMIZE_MANAGEMENT_API", NOWHERE);
    theatre.run(&["-c", &shared, "backup"]).expect(13, &["run backup-1000", "127.0.0.1:1", "refused"]);
    assert!(!theatre.is_paused());
}

/// Nothing tells whether this is the cluster that was paused: whoever reads it is told of the pause, and what to run.
#[test]
fn what_cannot_be_lifted_is_told() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    theatre.world().faults.unreachable.insert(Host::Search);
    let ended = theatre.run(&["-c", &shared, "backup"]).expect(20, &["PAUSED", "`c8keep resume-exporting`"]);
    without(&ended, &["--yes"]);
    assert!(theatre.is_paused());
    theatre.world().faults.unreachable.clear();
    theatre.run(&["-c", &shared, "resume-exporting"]).expect(0, &["run backup-1000", "exporting runs"]);
    assert!(!theatre.is_paused());
}

/// What belongs to another cluster keeps nothing of this one paused.
#[test]
fn one_of_another_cluster_comes_last() {
    for verb in ["backup", "resume-exporting"] {
        let mut theatre = Theatre::new(slow());
        let shared = left_by_another_host(&mut theatre);
        let mut config = slow();
        config.seed += 1;
        let other = Theatre::new(config);
        kill(paused(&other, &["backup", "--id", "2000"]));
        let words = ["run backup-2000", "left open", "run backup-1000 paused the installation"];
        other.run(&["-c", &shared, verb]).expect(20, &words);
        assert!(!other.is_paused(), "{verb}: its own pause was left");
        assert!(theatre.is_paused());
    }
}

#[test]
fn it_is_left_alone_where_that_is_asked_for() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    let before = theatre.asked().len();
    let words = ["run backup-1000", "left alone, as --on-open fail asks", "`c8keep resume-exporting`"];
    theatre.run(&["-c", &shared, "backup", "--on-open", "fail"]).expect(20, &words);
    assert_eq!(theatre.asked().len(), before, "{:?}", theatre.asked());
    // The newest claim is one of this very journal by now, and of a run that it does not know.
    let words = ["run backup-1000 of a process that has ended", "`c8keep resume-exporting`"];
    theatre.run(&["-c", &shared, "status"]).expect(20, &words);
    theatre.run(&["-c", &shared, "resume-exporting"]).expect(0, &["exporting runs"]);
}

#[test]
fn it_cannot_be_finished() {
    let mut config = slow();
    config.durations.records = 3_000;
    let mut theatre = Theatre::new(config);
    let shared = left_by_another_host(&mut theatre);
    let words = ["it cannot be finished here", "releasing it", "is complete"];
    theatre.run(&["-c", &shared, "backup", "--on-open", "finish"]).expect(0, &words);
}

/// To those who only look it is no stranger's, either.
#[test]
fn every_verb_tells_whose_it_is() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    let words = ["PAUSED", "run backup-1000 of a process that has ended", "`c8keep resume-exporting`"];
    let status = theatre.run(&["-c", &shared, "status"]).expect(20, &words);
    without(&status, &["--yes", "no run in this journal"]);
    let paused = "exporting is paused by run backup-1000 of a process that has ended";
    let words = [paused, "WARN  runs          left open: backup-1000 (by "];
    let doctor = theatre.run(&["-c", &shared, "doctor"]).expect(0, &words);
    without(&doctor, &["not by a run", "BAD"]);
    let plan = theatre.run(&["-c", &shared, "plan"]).expect(0, &[paused, "a backup lifts that first"]);
    assert!(plan.stdout.starts_with("left open: backup-1000 (by "), "{}", plan.said());
    // On another cluster it is a stranger's, and a backup would refuse to begin.
    let mut config = slow();
    config.seed += 1;
    let other = Theatre::new(config);
    for verb in ["plan", "doctor"] {
        let words = ["run backup-1000 paused the installation", "a backup would end with 20"];
        other.run(&["-c", &shared, verb]).expect(10, &words);
    }
    // Somebody has lifted it by other means.
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    theatre.until("exporting runs", |theatre| !theatre.is_paused());
    // Just told, by the clock of that host, it may still take effect.
    renew(&theatre, |claim| claim["held"]["since"] = "2100-01-01T00:00:00Z".into());
    theatre.run(&["-c", &shared, "status"]).expect(20, &["exporting     runs", "`c8keep resume-exporting`"]);
    renew(&theatre, |claim| claim["held"]["since"] = "2020-01-01T00:00:00Z".into());
    let status = theatre.run(&["-c", &shared, "status"]).expect(0, &["exporting runs by now", "backup-1000"]);
    without(&status, &["resume-exporting"]);
}
