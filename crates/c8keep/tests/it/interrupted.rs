//! Runs that are killed, stopped, or met by another.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use c8keep_twin::{Config, Host};

use crate::guard::Guard;
use crate::theatre::{Ended, Theatre, ended};

pub fn slow() -> Config {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 60_000;
    config
}

pub fn paused(theatre: &Theatre, arguments: &[&str]) -> Child {
    let child = theatre.start(arguments);
    theatre.until("exporting is paused", Theatre::is_paused);
    child
}

pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

pub fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args([name, &id]).status().unwrap().success());
}

pub fn finish(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

/// The same once more: two runs that both hold a pause.
fn copy_run(theatre: &Theatre, from: &str, to: &str) {
    theatre.in_journal(&format!(
        "INSERT INTO run (run, installation, fingerprint, closed) SELECT '{to}', installation, fingerprint, closed FROM run \
         WHERE run = '{from}'"
    ));
    theatre.in_journal(&format!(
        "INSERT INTO event (run, seq, term, at, body) SELECT '{to}', seq, term, at, replace(body, '{from}', '{to}') FROM event \
         WHERE run = '{from}'"
    ));
}

/// A cluster that answers nothing for as long as the last value is kept, and tells when it was asked.
pub fn silent(theatre: &mut Theatre) -> (Guard, Arc<AtomicBool>, Sender<()>) {
    let asked = Arc::new(AtomicBool::new(false));
    let is_asked = Arc::clone(&asked);
    let (until, kept) = channel();
    let kept = Mutex::new(kept);
    let guard = Guard::before(&theatre.url(Host::Gateway), move |_| {
        is_asked.store(true, Ordering::SeqCst);
        let _: Result<(), _> = kept.lock().unwrap().recv_timeout(Duration::from_mins(1));
        None
    });
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &guard.url());
    (guard, asked, until)
}

/// A signal at the start, when nothing was begun: what is said of exporting depends on what was left open.
#[test]
fn a_signal_at_the_start_says_what_it_leaves() {
    let stopped_at_start = |theatre: &mut Theatre, verb: &str| {
        let (_guard, asked, _until) = silent(theatre);
        let child = theatre.start(&[verb]);
        theatre.until("the cluster is asked", |_| asked.load(Ordering::SeqCst));
        signal(&child, "-TERM");
        finish(child)
    };
    let mut theatre = Theatre::new(slow());
    let words =
        ["stopped by a signal while c8keep was looking at the installation", "exporting was not touched"];
    stopped_at_start(&mut theatre, "backup").expect(130, &words);
    let mut theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let words = ["may still be PAUSED", "never sent, because a signal came", "`c8keep resume-exporting`"];
    for verb in ["backup", "resume-exporting"] {
        stopped_at_start(&mut theatre, verb).expect(20, &words);
    }
}

/// Before the pause there is nothing to release, and that is said.
#[test]
fn a_signal_before_the_pause() {
    let mut config = slow();
    config.durations.history_parts = vec![60_000];
    let theatre = Theatre::new(config);
    let child = theatre.start(&["backup", "--id", "1000"]);
    theatre.until("a run is open", |t| t.run(&["list"]).stdout.contains("1000"));
    signal(&child, "-TERM");
    let ended = finish(child).expect(130, &["stopped by a signal", "exporting was not touched"]);
    assert!(!ended.said().contains("exporting runs again"), "{}", ended.said());
}

/// A release that is refused until nobody waits any more: the refusal is what is told, and what to do about it.
#[test]
fn a_release_that_was_refused_says_how() {
    let mut theatre = Theatre::new(slow());
    let guard = Guard::before(&theatre.url(Host::Gateway), |request| {
        request.starts_with("POST /actuator/exporting/resume").then(|| (500, String::new()))
    });
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &guard.url());
    let arguments = ["backup", "--hold-budget", "1s", "--release-wait", "1s", "-o", "json"];
    let ended = theatre.run(&arguments).expect(20, &["may still be PAUSED: resuming exporting", "HTTP 500"]);
    let last: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["outcome"], "release-pending");
    assert!(last["fault"]["answer"].as_str().unwrap().contains("HTTP 500"), "{last}");
    theatre.run(&["resume-exporting", "--release-wait", "1s"]).expect(20, &["HTTP 500"]);
}

/// Several runs may be open; a signal while the first is being released leaves none of the others.
#[test]
fn a_signal_leaves_none_of_several_open() {
    for verb in ["backup", "resume-exporting"] {
        let mut config = slow();
        config.durations.resume = 1_500;
        let theatre = Theatre::new(config);
        let child = paused(&theatre, &["backup", "--id", "1000"]);
        // Until every replica has been seen paused, a release waits 20 s of the 25 s that a signal leaves.
        let line = "PUT /_snapshot/camunda/camunda_zeebe";
        theatre.until("the records are asked for", |theatre| theatre.has_been_asked(line));
        kill(child);
        copy_run(&theatre, "backup-1000", "backup-999");
        theatre.run(&["status"]).expect(20, &["backup-1000", "backup-999"]);
        let mut child = theatre.start(&[verb]);
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("was left open")));
        signal(&child, "-TERM");
        let rest: Vec<String> = said.map_while(Result::ok).collect();
        finish(child).expect(130, &[]);
        let said = rest.join("\n");
        assert!(said.contains("stopped by a signal; what was open is ended, and exporting runs"), "{said}");
        let status = theatre.run(&["status"]).expect(0, &["exporting     runs"]);
        assert!(!status.said().contains("LEFT OPEN"), "{verb}: {}", status.said());
    }
}

/// One of two is finished, and the other is ended all the same.
#[test]
fn what_is_open_beside_a_finished_run_is_ended() {
    let mut config = slow();
    config.durations.records = 4_000;
    let theatre = Theatre::new(config);
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    copy_run(&theatre, "backup-1000", "backup-999");
    theatre.run(&["backup", "--on-open", "finish"]).expect(0, &["is complete"]);
    let status = theatre.run(&["status"]).expect(0, &["exporting     runs"]);
    assert!(!status.said().contains("LEFT OPEN"), "{}", status.said());
}

/// SIGKILL in the window: every reading verb says so, and `resume-exporting` releases.
#[test]
fn a_killed_run_is_reported_and_released() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    assert!(theatre.is_paused());
    theatre.run(&["status"]).expect(20, &["backup-1000", "LEFT OPEN", "resume-exporting"]);
    theatre.run(&["list"]).expect(0, &["left open, had paused exporting", "`status` tells whether it runs"]);
    let row = theatre.run(&["list", "-o", "json"]).json()[0].clone();
    assert_eq!((&row["state"], &row["detail"]), (&"left-open".into(), &"had paused exporting".into()));
    let words = ["open: run backup-1000", "it paused exporting", "next `c8keep resume-exporting`"];
    let shown = theatre.run(&["show", "1000"]).expect(0, &words).expect(0, &["`c8keep status` tells"]);
    assert!(!shown.said().contains("EXPORTING PAUSED"), "nobody asked the brokers: {}", shown.said());
    assert!(!shown.said().contains("at most 2h"), "nobody keeps that limit: {}", shown.said());
    theatre.run(&["show", "latest"]).expect(2, &["no complete backup yet", "open: run backup-1000"]);
    let shown = theatre.run(&["show", "1000", "-o", "json"]).json();
    assert_eq!((&shown["open"]["hold"], shown["open"]["holder"].is_null()), (&"open".into(), true));
    // A backup would lift it first; a plan is what it would do after that.
    let ended = theatre.run(&["doctor"]).expect(0, &["by run backup-1000", "`c8keep resume-exporting`"]);
    assert!(!ended.said().contains("not by a run"), "{}", ended.said());
    let first =
        "left open: backup-1000; a backup takes that over first (--on-open), and then does what follows";
    let ended = theatre.run(&["plan"]).expect(0, &["by run backup-1000", "a backup lifts that first"]);
    assert!(ended.stdout.starts_with(first), "{}", ended.said());
    theatre.run(&["plan", "--id", "2000"]).expect(0, &["with a given id ends after it"]);
    theatre.run(&["resume-exporting"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
    theatre.run(&["list"]).expect(0, &["stopped"]);
}

/// The next backup takes a killed run over: release first, then a new run under a generated id.
#[test]
fn the_next_backup_releases_first() {
    let mut config = slow();
    config.durations.records = 3_000;
    let theatre = Theatre::new(config);
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let ended = theatre.run(&["backup"]).expect(0, &["backup-1000", "left open", "is complete"]);
    assert!(!theatre.is_paused(), "{}", ended.said());
}

/// While a part runs, Operate of 8.6 on OpenSearch answers 400 to everything: also to a list, and to whoever asks for what
/// it is doing already (seen on 8.6.0).
#[test]
fn operate_that_cannot_read_what_runs() {
    let mut config = Theatre::quick("8.6.0");
    (config.search, config.tasklist) = (c8keep_twin::Product::OpenSearch, false);
    config.durations.history_parts = vec![300];
    let theatre = Theatre::new(config.clone());
    let child = theatre.start(&["backup", "--id", "1000"]);
    let asked =
        |theatre: &Theatre| theatre.asked().iter().any(|line| line.starts_with("POST /actuator/backups"));
    theatre.until("Operate is asked", asked);
    theatre.until("a part runs", |theatre| theatre.by_hand(Host::Operate, "GET", "/actuator/backups") == 400);
    kill(child);
    theatre.run(&["backup"]).expect(0, &["backup-1000", "is complete"]);
    // The answer is lost, and a part runs when it is asked for again.
    let theatre = Theatre::new(config);
    theatre.world().faults.answers_lost.insert("/actuator/backups".into());
    theatre.run(&["backup", "--id", "1000"]).expect(0, &["backup 1000 is complete"]);
}

/// An application that is down stands in the way of a backup, and not of a release.
#[test]
fn a_release_needs_no_application() {
    let mut config = Theatre::quick("8.8.0");
    config.durations.records = 60_000;
    let mut theatre = Theatre::new(config);
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    theatre.set("OPTIMIZE_MANAGEMENT_API", "http://127.0.0.1:1");
    theatre.run(&["backup"]).expect(13, &["left open", "127.0.0.1:1", "connection refused"]);
    assert!(!theatre.is_paused());
    theatre.run(&["status"]).expect(0, &["exporting     runs"]);
    theatre.set("OPTIMIZE_MANAGEMENT_API", &theatre.url(c8keep_twin::Host::Optimize));
    kill(paused(&theatre, &["backup"]));
    theatre.set("OPTIMIZE_MANAGEMENT_API", "http://127.0.0.1:1");
    theatre.run(&["resume-exporting"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
}

/// The backup that was asked for by its id is not the one that was open.
#[test]
fn another_id_than_that_of_the_finished_run_is_no_success() {
    let mut config = slow();
    config.durations.records = 4_000;
    let theatre = Theatre::new(config);
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let words = ["backup 1000 is complete", "backup 2000 was not started"];
    theatre.run(&["backup", "--id", "2000", "--on-open", "finish"]).expect(1, &words);
}

/// With a given id the next backup only releases, and names the next free id.
#[test]
fn a_given_id_is_not_started_after_a_takeover() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    theatre.run(&["backup", "--id", "1001"]).expect(1, &["1001", "not started"]);
    assert!(!theatre.is_paused());
}

#[test]
fn a_takeover_may_be_refused() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    theatre.run(&["backup", "--on-open", "fail"]).expect(20, &["left alone"]);
    assert!(theatre.is_paused(), "left alone means left alone");
    theatre.run(&["resume-exporting"]).expect(0, &[]);
}

/// Finishing goes on under the same id, and the backup is whole.
#[test]
fn a_killed_run_can_be_finished() {
    let mut config = slow();
    config.durations.records = 4_000;
    let theatre = Theatre::new(config);
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    theatre.run(&["backup", "--on-open", "finish"]).expect(0, &["backup 1000 is complete", "proven"]);
    let verdict = theatre.world().restore(1000);
    assert!(verdict.whole(), "{verdict}");
}

/// Ctrl-C and SIGTERM release first and say so.
#[test]
fn signals_release_first() {
    for name in ["-INT", "-TERM", "-HUP"] {
        let theatre = Theatre::new(slow());
        let child = paused(&theatre, &["backup"]);
        signal(&child, name);
        finish(child).expect(130, &["resuming exporting", "exporting runs again"]);
        assert!(!theatre.is_paused(), "{name}");
        theatre.run(&["list"]).expect(0, &["stopped"]);
    }
}

/// A terminal that closes sends several at once: exporting is not left paused by that.
#[test]
fn signals_that_come_together_are_one() {
    let mut config = slow();
    config.durations.resume = 3_000;
    let theatre = Theatre::new(config);
    let child = paused(&theatre, &["backup"]);
    signal(&child, "-HUP");
    signal(&child, "-TERM");
    finish(child).expect(130, &["resuming exporting", "exporting runs again"]);
    assert!(!theatre.is_paused());
}

#[test]
fn a_second_signal_ends_at_once_and_says_what_it_leaves() {
    let mut config = slow();
    config.durations.resume = 30_000;
    let theatre = Theatre::new(config);
    let mut child = paused(&theatre, &["backup"]);
    while child.try_wait().unwrap().is_none() {
        signal(&child, "-INT");
    }
    finish(child).expect(20, &["second signal", "before exporting was confirmed to run", "resume-exporting"]);
}

/// A process whose claim was superseded sends nothing more, not even a release: it would open the other's window.
#[test]
fn a_superseded_process_sends_nothing() {
    let theatre = Theatre::new(slow());
    let child = paused(&theatre, &["backup"]);
    theatre.in_journal("UPDATE claim SET term = term + 1");
    signal(&child, "-TERM");
    finish(child).expect(11, &["superseded"]);
    assert!(theatre.is_paused(), "a resume was sent");
}

/// From here on the journal takes no event that looks like this.
pub fn lose_journal(theatre: &Theatre, like: &str) {
    theatre.in_journal(&format!(
        "CREATE TRIGGER lost BEFORE INSERT ON event WHEN NEW.body LIKE '{like}' BEGIN SELECT RAISE(ABORT, 'lost'); END"
    ));
}

/// The journal is lost in the window: exporting is resumed without it, and everything about it is said.
#[test]
fn a_lost_journal_is_told() {
    let mut config = slow();
    config.durations.records = 2_000;
    let theatre = Theatre::new(config);
    let child = paused(&theatre, &["backup", "--id", "1000"]);
    lose_journal(&theatre, "%");
    let words =
        ["NOTHING CAN BE WRITTEN DOWN", "resumed all the same", "backup 1000 has failed", "stays open"];
    finish(child).expect(1, &words);
    assert!(!theatre.is_paused());
}

/// Past the pivot nobody may say that the backup has failed: its manifest is there.
#[test]
fn a_journal_lost_past_the_pivot_claims_nothing() {
    let mut config = slow();
    config.durations.records = 2_000;
    let theatre = Theatre::new(config);
    let child = paused(&theatre, &["backup", "--id", "1000"]);
    lose_journal(&theatre, r#"%"answered"%publish-manifest%"#);
    let ended = finish(child).expect(1, &["may be in the vault", "`c8keep show 1000`"]);
    assert!(!ended.said().contains("failed;") && !ended.said().contains("has failed"), "{}", ended.said());
    theatre.run(&["show", "1000"]).expect(0, &["proven", "records (whole)"]);
}

/// Nobody reads the output: the run goes on, and a signal still releases.
#[test]
fn an_output_that_nobody_reads_holds_nothing_up() {
    let theatre = Theatre::new(slow());
    let mut command = theatre.command(&["backup", "-o", "json"]);
    let (reader, writer) = std::io::pipe().unwrap();
    // The plan alone is larger than what is left in a pipe that is all but full.
    let mut filler = writer.try_clone().unwrap();
    std::io::Write::write_all(&mut filler, &vec![b'x'; 60_000]).unwrap();
    let child = command.stdout(writer).spawn().unwrap();
    drop((filler, command));
    theatre.until("exporting is paused", Theatre::is_paused);
    signal(&child, "-TERM");
    theatre.until("exporting runs", |theatre| !theatre.is_paused());
    finish(child).expect(130, &[]);
    drop(reader);
}

/// Two at once: the second ends at once with 11 and touches nothing.
#[test]
fn a_second_run_at_the_same_time() {
    let theatre = Theatre::new(slow());
    let first = paused(&theatre, &["backup"]);
    let words = ["its run backup-", "has kept exporting paused since 20"];
    theatre.run(&["backup"]).expect(11, &words);
    theatre.run(&["resume-exporting"]).expect(11, &words).expect(11, &["--force"]);
    theatre.run(&["status"]).expect(0, &["at work"]);
    let running = format!("is running ({}@", first.id());
    for verb in ["doctor", "plan"] {
        let ended = theatre.run(&[verb]).expect(0, &[&running, "another backup would end with 11"]);
        assert!(!ended.said().contains("left open"), "{}", ended.said());
    }
    theatre
        .run(&["doctor"])
        .expect(0, &["WARN  runs", "wait until it has ended", "a backup can be taken, but not now: backup"]);
    let pid = format!("by {}@", first.id());
    let listed = theatre.run(&["list"]).expect(0, &["running, exporting paused", &pid]);
    assert!(!listed.said().contains("left open"), "{}", listed.said());
    let id = theatre.run(&["list", "-o", "json"]).json()[0]["backup"].to_string();
    let shown = theatre.run(&["show", &id]).expect(0, &["at work on it", "wait for its end"]);
    assert!(!shown.said().contains("resume-exporting`"), "{}", shown.said());
    // One that was left open beside it is nobody's work.
    let own =
        theatre.run(&["status", "-o", "json"]).json()["open_runs"][0]["run"].as_str().unwrap().to_owned();
    copy_run(&theatre, &own, "backup-999");
    theatre
        .in_journal(r#"UPDATE event SET body = replace(body, '"by":"', '"by":"0') WHERE run = 'backup-999'"#);
    let words = ["at work", "backup-999 by 0", "LEFT OPEN", &format!("wait until {}@", first.id())];
    theatre.run(&["status"]).expect(0, &words);
    theatre.run(&["show", "999"]).expect(0, &["was left open", &format!("wait until {}@", first.id())]);
    theatre.run(&["list"]).expect(0, &["running, exporting paused", "left open, had paused exporting"]);
    assert!(theatre.is_paused(), "the first run's pause was lifted");
    signal(&first, "-TERM");
    finish(first).expect(130, &[]);
}

/// One that nobody can read hides no other: a pause of ours is lifted, and then that one is named instead of a new backup.
#[test]
fn an_unreadable_run_beside_one_that_is_open() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    theatre.in_journal(
        "INSERT INTO run (run, installation, fingerprint, closed) VALUES ('backup-999', 'default', 'x', 0)",
    );
    theatre.in_journal("INSERT INTO event (run, seq, term, at, body) VALUES ('backup-999', 1, 1, '', 'cut')");
    let words = ["backup-999 cannot be read", "LEFT OPEN", "backup-1000"];
    let status = theatre.run(&["status"]).expect(20, &words);
    assert_eq!(status.said().matches("backup-999").count(), 1, "told once: {}", status.said());
    theatre
        .run(&["doctor"])
        .expect(14, &["WARN  runs          left open: backup-1000", "BAD   runs", "event 1 of backup-999"]);
    theatre.run(&["plan"]).expect(14, &["left open: backup-1000;", "reading run backup-999"]);
    let ended = theatre.run(&["backup", "--on-open", "finish"]);
    ended.expect(14, &["reading run backup-999", "move it away", "run backup-1000"]);
    assert!(!theatre.is_paused(), "a pause of ours comes first");
    theatre.run(&["list"]).expect(14, &["1000", "stopped", "999", "damaged"]);
    // Whose pause it is can then be told by nobody.
    theatre.by_hand(c8keep_twin::Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["resume-exporting"]).expect(20, &["reading run backup-999", "--yes"]);
    theatre.run(&["backup"]).expect(20, &["reading run backup-999"]);
    assert!(theatre.is_paused());
    theatre.run(&["resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
}

/// What was left open on one cluster is never released on another.
#[test]
fn another_cluster_is_not_touched() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let mut config = slow();
    config.seed += 1;
    let mut other = Theatre::new(config);
    other.set("HOME", theatre.home().to_str().unwrap());
    other.run(&["backup"]).expect(20, &["belongs to the installation"]);
    other.run(&["resume-exporting"]).expect(20, &["belongs to the installation"]);
    let words = ["run backup-1000", "belongs to the installation", "a backup would end with 20"];
    for verb in ["plan", "doctor"] {
        let ended = other.run(&[verb]).expect(10, &words);
        assert!(!ended.said().contains("left open"), "{}", ended.said());
    }
    let told = other.run(&["status"]).expect(20, &["backup-1000", "another cluster answers here"]);
    assert!(!told.said().contains("`backup` takes it over"), "{}", told.said());
    // A pause of somebody else on that one is not this run's.
    other.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    for verb in ["plan", "doctor"] {
        let ended = other.run(&[verb]).expect(10, &["not by a run"]);
        assert!(!ended.said().contains("paused by run"), "{}", ended.said());
    }
    theatre.run(&["resume-exporting"]).expect(0, &[]);
}

/// The newest run left open may be one of another cluster; that keeps no pause of this one from being lifted.
#[test]
fn what_is_of_this_cluster_comes_first() {
    let mut config = slow();
    config.durations.records = 3_000;
    let theatre = Theatre::new(config);
    for (verb, id) in [("resume-exporting", "1000"), ("backup", "2000")] {
        kill(paused(&theatre, &["backup", "--id", id]));
        let (own, other) = (format!("backup-{id}"), format!("backup-{id}1"));
        copy_run(&theatre, &own, &other);
        theatre.in_journal(&format!(
            r#"UPDATE event SET body = replace(body, '"fingerprint":"', '"fingerprint":"another-') WHERE run = '{other}'"#
        ));
        let released = format!("run {own} by");
        let refused = format!("run {other} belongs to the installation another-");
        theatre.run(&[verb]).expect(20, &[&released, &refused]);
        assert!(!theatre.is_paused(), "{verb}");
        theatre.in_journal(&format!("UPDATE run SET closed = 1 WHERE run = '{other}'"));
    }
}
