//! The reading verbs and `resume-exporting` on a bad night: journal or vault damaged, brokers silent, names mistyped.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use c8keep_twin::Host;

use crate::theatre::Theatre;

const PAUSE: &str = "/actuator/exporting/pause?soft=true";

fn theatre() -> Theatre {
    Theatre::new(Theatre::quick("8.6.0"))
}

/// A paused installation whose backup was killed.
fn killed() -> Theatre {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 60_000;
    let theatre = Theatre::new(config);
    let mut child = theatre.start(&["backup", "--id", "1000"]);
    theatre.until("exporting is paused", Theatre::is_paused);
    child.kill().unwrap();
    child.wait().unwrap();
    theatre
}

fn damage_journal(theatre: &Theatre) {
    let path = theatre.journal();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(path.with_file_name(format!("journal.db{side}")));
    }
    fs::write(path, "this is no database. ".repeat(400)).unwrap();
}

fn manifest(theatre: &Theatre, id: &str) -> PathBuf {
    theatre.home().join(format!(".local/share/c8keep/vault/default/backups/{id}/manifest.json"))
}

/// A server that answers everything with one status, until it is dropped.
struct Stub {
    url: String,
    address: std::net::SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Stub {
    fn new(status: &'static str) -> Stub {
        const CONNECTIONS_MAX: usize = 200;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let is_ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            for stream in listener.incoming().take(CONNECTIONS_MAX) {
                if is_ended.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = stream.read(&mut [0; 4096]);
                let _ = write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            }
        });
        Stub { url: format!("http://{address}"), address, ended }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// The backup's own record is gone, the pause is not: it is shown, and released when that is asked for.
#[test]
fn a_damaged_journal_does_not_keep_exporting_paused() {
    let theatre = killed();
    damage_journal(&theatre);
    theatre
        .run(&["status"])
        .expect(20, &["PAUSED", "cannot tell whether c8keep made the pause", "journal       cannot be read"]);
    let resume = theatre.run(&["resume-exporting"]);
    // It goes on without its journal: that is no failure of the command.
    resume.expect(20, &["paused:", "SOFT_PAUSED", "--yes", "journal.db", "warning: opening the journal"]);
    let list = theatre.run(&["list"]).expect(14, &["journal.db"]);
    assert!(!list.said().contains("no backups yet"), "{}", list.said());
    assert!(theatre.is_paused(), "not without --yes");
    theatre.run(&["resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
    theatre.run(&["resume-exporting"]).expect(0, &["nothing to do"]);
    theatre.run(&["status"]).expect(14, &["exporting     runs", "cannot be read"]);
    let doctor = theatre.run(&["doctor"]).expect(14, &["BAD   journal", "ok    exporting", "ok    vault"]);
    assert_eq!(doctor.stdout.matches("journal.db").count(), 1, "told once: {}", doctor.said());
}

/// A run that was refused before it began anything says nothing of its id.
#[test]
fn a_refused_run_does_not_speak_for_its_id() {
    let theatre = theatre();
    theatre.run(&["backup", "--id", "1000"]).expect(0, &["is complete"]);
    theatre.run(&["backup", "--id", "1000"]).expect(10, &["check-id"]);
    let states = |theatre: &Theatre| -> Vec<(u64, String)> {
        let rows = theatre.run(&["list", "-o", "json"]).json();
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| (row["backup"].as_u64().unwrap(), row["state"].as_str().unwrap().into())).collect()
    };
    assert_eq!(states(&theatre), [(1000, "complete".into())]);
    theatre.run(&["show", "1000"]).expect(0, &["witness    proven", "refused later: backup-1000.2"]);
    // The plan says it beforehand, as a demand and as what stands in the way.
    let plan = theatre.run(&["plan", "--id", "5", "-o", "json"]).expect(10, &[]);
    assert_eq!(plan.json()["in_the_way"].as_array().unwrap().len(), 1, "{}", plan.said());
    let plan = theatre.run(&["plan", "--id", "5"]).expect(10, &["5 must be above every id seen"]);
    assert_eq!(plan.stderr.matches("failed:").count(), 1, "{}", plan.stderr);
    fs::remove_file(manifest(&theatre, "1000")).unwrap();
    assert_eq!(states(&theatre), [(1000, "manifest-missing".into())]);
    let shown = theatre.run(&["show", "1000"]).expect(0, &["its manifest is not in the vault"]);
    assert!(!shown.said().contains("parts of a failed backup"), "{}", shown.said());
    // The last run of all is told, whatever became of it; an older one that began nothing is not.
    theatre.run(&["backup", "--id", "999"]).expect(10, &["check-id"]);
    assert_eq!(states(&theatre), [(1000, "manifest-missing".into()), (999, "failed".into())]);
    theatre.run(&["backup", "--id", "1001"]).expect(0, &["is complete"]);
    assert_eq!(states(&theatre), [(1001, "complete".into()), (1000, "manifest-missing".into())]);
    let all = theatre.run(&["list", "--all"]);
    assert!(["1001", "1000", "999"].iter().all(|id| all.stdout.contains(id)), "{}", all.said());
    theatre.run(&["show", "999"]).expect(0, &["not a backup: failed at step check-id"]);
}

#[test]
fn a_journal_that_may_not_be_written() {
    let theatre = theatre();
    // A folder where the file should be fails for every user, root included.
    fs::create_dir_all(theatre.journal()).unwrap();
    theatre.by_hand(Host::Gateway, "POST", PAUSE);
    theatre.run(&["resume-exporting"]).expect(20, &["--yes"]);
    theatre.run(&["resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
}

/// A living process is known by its lock, whatever has become of the file.
#[test]
fn a_damaged_journal_does_not_hide_a_run_that_is_alive() {
    let theatre = theatre();
    damage_journal(&theatre);
    let lock = fs::File::create(theatre.journal().with_file_name("journal.db.default.lock")).unwrap();
    lock.lock().unwrap();
    theatre.by_hand(Host::Gateway, "POST", PAUSE);
    theatre.run(&["resume-exporting", "--yes"]).expect(11, &["--force"]);
    assert!(theatre.is_paused(), "the window of a living run was opened");
    theatre.run(&["resume-exporting", "--force"]).expect(0, &["exporting runs"]);
    assert!(!theatre.is_paused());
}

/// Nobody saw a pause, so nobody claims one.
#[test]
fn brokers_that_cannot_be_read() {
    let mut theatre = theatre();
    let gateway = theatre.url(Host::Gateway);
    theatre.world().faults.html.insert(Host::Gateway);
    for arguments in [&["resume-exporting"][..], &["resume-exporting", "--yes"]] {
        let words = ["cannot tell whether exporting is paused", &gateway, "HTML"];
        let ended = theatre.run(arguments).expect(13, &words);
        assert!(!ended.said().contains("did not make"), "{}", ended.said());
    }
    // Whoever gives it time is told by the code what was not confirmed in it.
    for arguments in [&["resume-exporting"][..], &["resume-exporting", "--yes"]] {
        let words = ["trying again until", "for 10ms at most (--release-wait)", &gateway];
        theatre.run(&[arguments, &["--release-wait", "10ms"]].concat()).expect(20, &words);
    }
    let status = theatre.run(&["status"]).expect(13, &["unknown", &gateway, "HTML", "`management`"]);
    assert!(!status.said().contains("`brokers`"), "another address helps nobody: {}", status.said());
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", "http://127.0.0.1:1");
    theatre.run(&["resume-exporting"]).expect(13, &["127.0.0.1:1", "refused"]);
    let locked = Stub::new("401 Unauthorized");
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &locked.url);
    theatre.run(&["resume-exporting"]).expect(12, &["401"]);
    theatre.run(&["status"]).expect(12, &["401"]);
}

/// Our own pause is not given up because the cluster is away for a while.
#[test]
fn our_own_pause_waits_for_the_cluster() {
    let theatre = killed();
    theatre.world().faults.unreachable.insert(Host::Gateway);
    theatre.run(&["resume-exporting", "--release-wait", "1ms"]).expect(20, &["may still be PAUSED"]);
    let mut child = theatre.start(&["resume-exporting", "-o", "json"]);
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("trying again until the cluster answers")));
    theatre.world().faults.unreachable.clear();
    let ended = crate::theatre::ended(child.wait_with_output().unwrap()).expect(0, &[]);
    assert!(!theatre.is_paused());
    let last: serde_json::Value = serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"result".into(), &0.into()));
    assert_eq!(last["resumed"], true);
}

/// One line for programs, however it ends.
#[test]
fn resume_exporting_ends_with_a_result() {
    let theatre = theatre();
    let last = |arguments: &[&str]| -> serde_json::Value {
        let ended = theatre.run(arguments);
        serde_json::from_str(ended.stdout.lines().last().unwrap()).unwrap()
    };
    let nothing = last(&["resume-exporting", "-o", "json"]);
    assert_eq!((&nothing["event"], &nothing["exit_code"]), (&"result".into(), &0.into()));
    assert_eq!(nothing["resumed"], false);
    theatre.by_hand(Host::Gateway, "POST", PAUSE);
    let refused = last(&["resume-exporting", "-o", "json"]);
    assert_eq!((&refused["event"], &refused["exit_code"]), (&"result".into(), &20.into()));
}

/// A pause that is ours under another name is found.
#[test]
fn another_installation_in_the_same_journal_has_paused() {
    let theatre = killed();
    theatre
        .run(&["resume-exporting", "--installation", "prod"])
        .expect(20, &["run backup-1000 of installation default", "--installation default resume-exporting"]);
    theatre.run(&["show", "--installation", "prod"]).expect(2, &["other installations: default"]);
    theatre.run(&["list", "--installation", "prod"]).expect(0, &["other installations: default"]);
    theatre.run(&["resume-exporting"]).expect(0, &[]);
}

/// One damaged manifest costs its own row.
#[test]
fn a_damaged_manifest_hides_nothing_else() {
    let theatre = theatre();
    theatre.run(&["backup", "--id", "1000"]).expect(0, &[]);
    theatre.run(&["backup", "--id", "1001"]).expect(0, &[]);
    fs::write(manifest(&theatre, "1001"), "{ cut").unwrap();
    theatre.run(&["list"]).expect(14, &["1001", "damaged", "1000", "complete"]);
    let rows = theatre.run(&["list", "-o", "json"]).json();
    assert_eq!((&rows[0]["state"], &rows[1]["state"]), (&"damaged".into(), &"complete".into()));
    theatre.run(&["show", "1000"]).expect(0, &["backup 1000", "witness"]);
    theatre.run(&["show", "1001"]).expect(14, &["manifest.json"]);
    theatre.run(&["show"]).expect(0, &["backup 1000", "1001 is newer"]);
    theatre.run(&["status"]).expect(14, &["exporting     runs", "1001", "last backup   1000"]);
    // It needs to be mended, and the next backup does not need it.
    theatre.run(&["doctor"]).expect(14, &["BAD   last backup", "1001", "a backup can be taken; 1 to mend"]);
    let doctor = theatre.run(&["doctor", "-o", "json"]).json();
    assert_eq!((&doctor["can_be_taken"], &doctor["exit_code"]), (&true.into(), &14.into()), "{doctor}");
    let status = theatre.run(&["status", "-o", "json"]).json();
    assert_eq!(status["exporting"]["state"], "runs");
    damage_journal(&theatre);
    theatre.run(&["list"]).expect(14, &["1000", "complete"]);
}

#[test]
fn status_names_the_places_that_are_paused() {
    let theatre = theatre();
    theatre.by_hand(Host::Gateway, "POST", PAUSE);
    let status = theatre.run(&["status", "-o", "json"]).json();
    assert_eq!(status["exporting"]["state"], "paused");
    assert!(status["exporting"]["places"][0].as_str().unwrap().contains("SOFT_PAUSED"), "{status}");
}

/// The broker's own gateway, named twice and once more by another name of this machine, is one broker.
#[test]
fn status_counts_a_broker_once_whatever_it_is_called() {
    let theatre = theatre();
    theatre.by_hand(Host::Gateway, "POST", PAUSE);
    let gateway = theatre.url(Host::Gateway);
    let (other_name, broker) = (gateway.replace("127.0.0.1", "localhost"), theatre.url(Host::Broker(0)));
    let file = theatre.home().join("c8keep.yaml");
    std::fs::write(&file, format!("brokers: [\"{gateway}\", \"{other_name}\", \"{broker}\"]\n")).unwrap();
    let status = theatre.run(&["-c", file.to_str().unwrap(), "status", "-o", "json"]).json();
    let places = status["exporting"]["places"].as_array().unwrap();
    let partitions = theatre.world().config().partitions;
    assert_eq!(places.len(), partitions as usize, "{status}");
    assert!(status["exporting"]["leaders"]["unread"].as_array().unwrap().is_empty(), "{status}");
}

/// Killed before its pause: there is nothing to resume.
#[test]
fn a_run_that_was_killed_before_its_pause() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.history_parts = vec![60_000];
    let theatre = Theatre::new(config);
    let mut child = theatre.start(&["backup", "--id", "1000"]);
    theatre.until("a run is open", |t| t.run(&["list"]).stdout.contains("1000"));
    child.kill().unwrap();
    child.wait().unwrap();
    let ended = theatre.run(&["status"]).expect(0, &["LEFT OPEN", "`c8keep backup` ends it"]);
    assert!(!ended.said().contains("resume-exporting"), "{}", ended.said());
}

/// One address of three brokers does not speak for all.
#[test]
fn status_says_for_how_many_leaders_it_speaks() {
    let mut config = Theatre::quick("8.8.0");
    config.optimize = false;
    let theatre = Theatre::new(config);
    let words =
        ["exporting     runs as far as was read (the leaders of 1 of 3 partitions were read; ", "`brokers`"];
    theatre.run(&["status"]).expect(0, &words);
}

/// A cluster that takes connections and is silent: what is waited for is said at once, not when the patience ends.
#[test]
fn a_release_says_what_it_waits_for() {
    let mut theatre = killed();
    // Nobody accepts; the kernel connects all the same.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &address);
    let mut child = theatre.start(&["resume-exporting"]);
    let said = BufReader::new(child.stderr.take().unwrap());
    let waiting = said.lines().map_while(Result::ok).find(|line| line.starts_with("waiting for"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(waiting.is_some_and(|line| line.contains(&address)));
}

/// A backup that failed because its pause was lifted says so in the list.
#[test]
fn a_violated_witness_is_listed() {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 4_000;
    config.rhythm.snapshot = 300;
    config.load = 100;
    let theatre = Theatre::new(config);
    let child = theatre.start(&["backup", "--id", "1000"]);
    theatre.until_records_are_taken(1000);
    theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/resume");
    crate::theatre::ended(child.wait_with_output().unwrap()).expect(1, &[]);
    theatre.run(&["list"]).expect(0, &["failed", "violated"]);
    let rows = theatre.run(&["list", "-o", "json"]).json();
    assert_eq!(rows[0]["witness"], "violated");
    let shown = theatre.run(&["show", "-o", "yaml", "1000"]).expect(0, &["violated"]);
    assert!(!shown.stdout.contains("\n---"), "one document");
}
