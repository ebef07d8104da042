//! What programs read last: a result with the exit code and why, however early a command ends.

use std::fs;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::inherited::{renew, shared};
use crate::interrupted::{finish, kill, paused, signal, silent, slow};
use crate::theatre::{Ended, Theatre};

#[track_caller]
fn last(ended: &Ended, code: u8, words: &[&str]) -> Value {
    assert_eq!(ended.code, Some(code.into()), "{}", ended.said());
    let line = ended.stdout.lines().last().unwrap_or_default();
    let last: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}", ended.said()));
    assert_eq!((&last["event"], &last["exit_code"]), (&"result".into(), &code.into()), "{last}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line}");
    }
    last
}

/// Asked to stop while it looks at a cluster that does not answer.
fn stopped_at_start(theatre: &mut Theatre, arguments: &[&str]) -> Ended {
    let (_guard, asked, _until) = silent(theatre);
    let child = theatre.start(arguments);
    theatre.until("the cluster is asked", |_| asked.load(std::sync::atomic::Ordering::SeqCst));
    signal(&child, "-TERM");
    finish(child)
}

#[test]
fn a_signal_while_the_installation_is_looked_at() {
    for arguments in [&["backup", "-o", "json"][..], &["backup", "--dry-run", "-o", "json"]] {
        let mut theatre = Theatre::new(slow());
        let ended = stopped_at_start(&mut theatre, arguments);
        last(&ended, 130, &["stopped by a signal", "exporting was not touched"]);
    }
    let mut theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    for verb in ["backup", "resume-exporting"] {
        let ended = stopped_at_start(&mut theatre, &[verb, "-o", "json"]);
        last(&ended, 20, &["may still be PAUSED", "a signal came"]);
    }
}

/// A claim of another host that may be alive is watched for a minute.
#[test]
fn a_signal_while_another_host_is_watched() {
    for (verb, code) in [("backup", 130), ("resume-exporting", 20)] {
        let mut theatre = Theatre::new(slow());
        let shared = shared(&theatre);
        kill(paused(&theatre, &["-c", &shared, "backup", "--id", "1000"]));
        renew(&theatre, |_| {});
        let other = theatre.home().join("other");
        fs::create_dir(&other).unwrap();
        theatre.set("HOME", other.to_str().unwrap());
        let mut child = theatre.start(&["-c", &shared, verb, "-o", "json"]);
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().contains("watching for 60 s")));
        signal(&child, "-TERM");
        last(&finish(child), code, &["claiming the installation"]);
    }
}

/// The second signal ends it at once; also then somebody may read why.
#[test]
fn a_second_signal() {
    let mut config = slow();
    config.durations.resume = 30_000;
    let theatre = Theatre::new(config);
    let mut child = paused(&theatre, &["backup", "-o", "json"]);
    while child.try_wait().unwrap().is_none() {
        signal(&child, "-INT");
        std::thread::yield_now();
    }
    last(&finish(child), 20, &["second signal", "before exporting was confirmed to run"]);
}

/// What a command has told people, it tells programs, too.
#[test]
fn what_was_left_alone() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    let ended = theatre.run(&["backup", "--on-open", "fail", "-o", "json"]);
    last(&ended, 20, &["left alone, as --on-open fail asks"]);
    theatre.run(&["resume-exporting"]).expect(0, &[]);
}

/// Refused before there is anything to do: also then the last line says why, and help is no result.
#[test]
fn a_command_line_that_cannot_be_meant() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    last(&theatre.run(&["-o", "json", "backup", "--bogus"]), 2, &["--bogus"]);
    last(&theatre.run(&["-ojson", "backup", "--retry", "3", "--id", "99"]), 2, &["--retry", "99"]);
    theatre.set("BACKUP_ID", "xyz");
    last(&theatre.run(&["-o", "json", "backup"]), 2, &["xyz", "BACKUP_ID"]);
    let text = theatre.run(&["backup"]).expect(2, &["xyz"]);
    assert_eq!(text.stdout, "");
    assert!(!theatre.run(&["-o", "json", "--version"]).expect(0, &[]).stdout.contains("result"));
    assert!(theatre.asked_in_all().is_empty(), "{:?}", theatre.asked_in_all());
}

/// Nothing has failed: what people are told is what programs are told.
#[test]
fn a_signal_in_the_window() {
    let theatre = Theatre::new(slow());
    let child = paused(&theatre, &["backup", "--id", "1000", "-o", "json"]);
    signal(&child, "-TERM");
    last(&finish(child), 130, &["\"fault\":null,\"said\":\"backup 1000: ", "exporting runs again"]);
}
