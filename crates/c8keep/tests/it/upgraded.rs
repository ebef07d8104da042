//! An upgrade of Camunda between two starts: what was left before it is ours, and is not finished on another version.

use c8keep_twin::Host;

use crate::inherited::left_by_another_host;
use crate::interrupted::{kill, paused};
use crate::theatre::Theatre;

fn theatre(version: &str) -> Theatre {
    let mut config = Theatre::quick(version);
    config.durations.records = 2_000;
    Theatre::new(config)
}

/// The same installation on 8.9, with the home that is there, and still paused: a soft pause is durable.
fn upgraded(home: &str) -> Theatre {
    let mut theatre = theatre("8.9.0");
    theatre.set("HOME", home);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.until("exporting is paused", Theatre::is_paused);
    theatre
}

#[track_caller]
fn is_of_this_cluster(said: &str) {
    for word in ["belongs to the installation", "another cluster"] {
        assert!(!said.contains(word), "{word:?} is in:\n{said}");
    }
}

#[test]
fn what_was_left_open_before_it_is_ended() {
    let before = theatre("8.8.0");
    before.run(&["backup", "--id", "900"]).expect(0, &["is complete"]);
    kill(paused(&before, &["backup", "--id", "1000"]));
    let after = upgraded(before.home().to_str().unwrap());
    let told = after.run(&["status"]).expect(20, &["LEFT OPEN", "`c8keep resume-exporting` releases it"]);
    is_of_this_cluster(&told.said());
    let told = after.run(&["doctor"]);
    is_of_this_cluster(&told.said());
    assert!(told.said().contains("left open: backup-1000"), "{}", told.said());
    let told = after.run(&["plan"]);
    is_of_this_cluster(&told.said());
    let words =
        ["it cannot be finished: it was begun on Camunda 8.8.0, and 8.9.0 answers now", "is complete"];
    let ended = after.run(&["backup", "--on-open", "finish"]).expect(0, &words);
    is_of_this_cluster(&ended.said());
    assert!(!after.is_paused());
    assert!(after.run(&["doctor"]).said().contains("ok    last backup"));
}

/// Journals of before hold one of the two only: here the cluster's id, above the place of its data.
#[test]
fn an_earlier_journal_is_known_again() {
    let before = theatre("8.9.0");
    kill(paused(&before, &["backup", "--id", "1000"]));
    let place = "(SELECT substr(fingerprint, instr(fingerprint, ' (')) FROM run WHERE run.run = event.run)";
    before.in_journal(&format!("UPDATE event SET body = replace(body, {place}, '')"));
    before.in_journal("UPDATE run SET fingerprint = substr(fingerprint, 1, instr(fingerprint, ' (') - 1)");
    let told = before.run(&["status"]).expect(20, &["LEFT OPEN", "`c8keep resume-exporting` releases it"]);
    is_of_this_cluster(&told.said());
    before.run(&["resume-exporting"]).expect(0, &["run backup-1000"]);
    assert!(!before.is_paused());
}

#[test]
fn a_pause_that_a_claim_tells_of_is_lifted() {
    let mut before = theatre("8.8.0");
    let shared = left_by_another_host(&mut before);
    let other = before.home().join("other");
    let after = upgraded(other.to_str().unwrap());
    after.run(&["-c", &shared, "resume-exporting"]).expect(0, &["run backup-1000"]);
    assert!(!after.is_paused());
}
