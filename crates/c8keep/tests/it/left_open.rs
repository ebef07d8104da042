//! A run that was left open, and whose pause is over by other means than its own release.

use c8keep_twin::Host;

use crate::interrupted::{kill, paused, slow};
use crate::terminal::{INTERRUPT, typed};
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
    let untold = ["exporting     runs", "LEFT OPEN", "cannot be told before its search server answers"];
    theatre.run(&["status"]).expect(20, &untold);
    theatre.run(&["plan"]).expect(13, &["run backup-1000 by", "`c8keep resume-exporting` releases it"]);
    theatre.world().faults.unreachable.clear();
    let words = ["backup-1000", "LEFT OPEN", "exporting runs by now", "the next `c8keep backup` ends it"];
    let status = theatre.run(&["status"]).expect(0, &words);
    assert!(!status.said().contains("resume-exporting"), "{}", status.said());
    assert_eq!(theatre.run(&["status", "-o", "json"]).json()["open_runs"][0]["resumed_meanwhile"], true);
    // Whoever is asked is told what is known, and may leave it for another night.
    let question = [("elease and end it", "q")];
    let words = ["which runs by now", "left alone, as you chose", "nothing has to be resumed"];
    let asked = typed(&theatre, &["backup"], &question).expect(1, &words);
    assert!(!asked.said().contains("has not confirmed"), "{}", asked.said());
    theatre.run(&["backup", "--on-open", "fail"]).expect(1, &["left alone, as --on-open fail asks"]);
    theatre.run(&["list"]).expect(0, &["left open, had paused exporting"]);
    // Paused again by somebody: nobody can tell that it is not this run's.
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
    theatre.run(&["status"]).expect(20, &["PAUSED"]);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    theatre.run(&["backup"]).expect(0, &["is complete"]);
    let status = theatre.run(&["status"]).expect(0, &[]);
    assert!(!status.said().contains("LEFT OPEN"), "{}", status.said());
}

/// What a backup lacks does not keep a pause that was left; only the next backup has to wait for it.
#[test]
fn a_repository_that_is_not_there_keeps_nothing_paused() {
    let mut theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    theatre.set("ELASTIC_SNAPSHOT_REPOSITORY", "nope");
    theatre.run(&["backup"]).expect(10, &["run backup-1000", "exporting runs again", "nope"]);
    assert!(!theatre.is_paused());
}

/// Whoever looks at one backup is told of the pause of another one.
#[test]
fn every_backup_that_is_shown_tells_of_a_run_left_open() {
    let mut config = slow();
    config.durations.records = 3_000;
    let theatre = Theatre::new(config);
    theatre.run(&["backup", "--id", "900"]).expect(0, &[]);
    killed_in_window(&theatre);
    let words = ["backup 900", "backup 1000: open: run", "`c8keep resume-exporting` releases it"];
    theatre.run(&["show", "900"]).expect(0, &words);
    let shown = theatre.run(&["show", "900", "-o", "json"]).json();
    assert_eq!(shown["others_open"], serde_json::json!([1000]));
}

/// The prompt of a takeover: each answer is answered.
#[test]
fn who_is_asked_is_told_what_became_of_it() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    let left = ["has not confirmed that it runs again", "`c8keep resume-exporting` releases it"];
    for (answer, why) in [("q", "as you chose"), (INTERRUPT, "as a signal came before you chose")] {
        let asked = typed(&theatre, &["backup"], &[("elease and end it", answer)]);
        let said = asked.expect(20, &left).expect(20, &["an open run was found and left alone", why]).said();
        assert!(!said.contains("signal received: resuming"), "nothing is resumed here: {said}");
    }
    assert!(theatre.is_paused());
    for verb in ["doctor", "plan"] {
        let told = theatre.run(&[verb]).expect(0, &[]);
        let last = told.stdout.trim_end().lines().last().unwrap();
        assert!(last.starts_with("exporting is PAUSED by a dead run; `c8keep resume-exporting`"), "{last}");
    }
    // With its pause lifted it cannot be gone on with.
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    theatre.until("exporting runs", |theatre| !theatre.is_paused());
    let answers = [("elease and end it", "f"), ("elease and end it", "q")];
    typed(&theatre, &["backup"], &answers).expect(1, &["it cannot be finished: "]);
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

/// Neither a secret of the vault nor one of an application is needed to let exporting run again.
#[test]
fn secrets_that_cannot_be_fetched_keep_nothing_paused() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    let file = theatre.home().join("secrets.yaml");
    let (vault, access) = (
        "vault: {url: 's3://there', access_key: A, secret: {env: NOT_THERE}}",
        "access: {operate: {basic: {user: u, password: {env: NOT_THERE}}}}",
    );
    std::fs::write(&file, format!("{vault}\n{access}\n")).unwrap();
    theatre.run(&["-c", file.to_str().unwrap(), "resume-exporting"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
}

/// A release waits for nothing that only finishing needs: which ids are taken is not asked.
#[test]
fn a_release_asks_for_no_backup() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    let before = theatre.asked_in_all().len();
    theatre.run(&["resume-exporting"]).expect(0, &["exporting runs"]);
    let asked = theatre.asked_in_all();
    let is_list = |line: &&String| line.contains("/actuator/backup") || line.contains("/_snapshot/camunda/");
    let backups: Vec<&String> = asked[before..].iter().filter(is_list).collect();
    assert!(backups.is_empty(), "{backups:?}");
}

/// Its last look at exporting is old: what is paused now was paused by somebody else, and is not taken for its own.
#[test]
fn a_pause_that_came_before_its_own_is_not_ours() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    theatre.in_journal(
        "DELETE FROM event WHERE seq >= (SELECT min(seq) FROM event WHERE seq > 1 AND body LIKE '%pause-exporting%')",
    );
    let words = ["cannot be finished: somebody else has paused exporting", "PAUSED"];
    theatre.run(&["backup", "--on-open", "finish"]).expect(10, &words);
    assert!(theatre.is_paused(), "a pause of somebody else was lifted");
}

/// A run that holds no pause explains none: what to do about one is told all the same.
#[test]
fn a_pause_of_somebody_else_beside_a_run_without_one() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    theatre.in_journal(
        "DELETE FROM event WHERE seq >= (SELECT min(seq) FROM event WHERE seq > 1 AND body LIKE '%pause-exporting%')",
    );
    theatre.run(&["status"]).expect(20, &["PAUSED", "no run in this journal did it", "LEFT OPEN"]);
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

/// The next backup lifts that pause and then ends before one of its own: the last line says both.
#[test]
fn a_pause_that_was_lifted_for_nothing() {
    let theatre = Theatre::new(slow());
    killed_in_window(&theatre);
    // It can be read and not written to, for every user.
    let vault = theatre.home().join(".local/share/c8keep/vault/default");
    std::fs::create_dir_all(&vault).unwrap();
    std::fs::write(vault.join("doctor"), "").unwrap();
    let words = [
        "failed at check-vault; it did not pause exporting; the pause that an earlier run had left was released",
    ];
    let ended = theatre.run(&["backup"]).expect(10, &words);
    assert!(!theatre.is_paused() && !ended.said().contains("not touched"), "{}", ended.said());
    let again = theatre.run(&["backup"]).expect(10, &["failed at check-vault; exporting was not touched"]);
    assert!(!again.said().contains("earlier run"), "{}", again.said());
}
