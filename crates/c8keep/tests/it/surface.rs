//! The surface that needs no installation.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::theatre::Theatre;

fn c8keep(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_c8keep")).args(arguments).env_clear().output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn help_names_every_verb() {
    let (code, help) = c8keep(&["--help"]);
    assert_eq!(code, Some(0));
    for verb in [
        "init",
        "doctor",
        "plan",
        "backup",
        "status",
        "list",
        "show",
        "resume-exporting",
        "demo",
        "completions",
    ] {
        assert!(help.contains(verb), "{verb}");
    }
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = c8keep(&["completions", shell]);
        assert_eq!(code, Some(0));
        assert!(script.contains("resume-exporting"), "{shell}");
    }
}

#[test]
fn an_unknown_verb_is_usage() {
    assert_eq!(c8keep(&["bakcup"]).0, Some(2));
}

/// A disk that is full is no reader that has gone.
#[test]
fn output_that_cannot_be_written_is_told() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    for verb in [&["completions", "bash"][..], &["list"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = theatre.command(verb).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("writing to standard output failed"), "{said}");
    }
}

/// What was done is as true when nobody could be told, and is not called failed.
#[test]
fn output_that_is_lost_after_something_was_done() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    for (verb, words) in
        [(&["backup", "--id", "1000"][..], "`c8keep list`"), (&["resume-exporting"], "`c8keep status`")]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = theatre.command(verb).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("WARNING: writing to standard output failed: ") && last.contains(words),
            "{said}"
        );
        assert!(!said.lines().any(|line| line.starts_with("failed:")), "{said}");
    }
    theatre.run(&["list"]).expect(0, &["1000", "complete"]);
}

/// Its servers live in its own process: what it started must end with it, and nothing stays on the disk.
#[test]
fn a_demo_that_is_stopped_leaves_nothing() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let mut demo = Command::new(env!("CARGO_BIN_EXE_c8keep"))
        .args(["demo", "--no-progress"])
        .env_clear()
        .env("TMPDIR", theatre.home())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("pause-exporting") || line.contains("exporting is paused")));
    crate::interrupted::signal(&demo, "-TERM");
    // Its children write to the same pipe, which ends when all of them have.
    let (ended, all_ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(lines.collect::<Vec<_>>()));
    let said =
        all_ended.recv_timeout(std::time::Duration::from_secs(20)).expect("a child is left").join("\n");
    assert_eq!(demo.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("the demo was stopped"), "{said}");
    assert_eq!(std::fs::read_dir(theatre.home()).unwrap().count(), 0);
    assert_eq!(c8keep(&["demo", "-o", "json"]).0, Some(2));
}

/// What makes answers harmless for a terminal must not make our own headings unreadable.
#[test]
fn headings_are_bold() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_c8keep"))
        .arg("demo")
        .env_clear()
        .env("CLICOLOR_FORCE", "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stderr.take().unwrap()).lines();
    let heading = lines.find_map(|line| line.ok().filter(|line| line.contains("1. "))).unwrap();
    demo.kill().unwrap();
    demo.wait().unwrap();
    assert!(heading.contains("\u{1b}[1m1. "), "{heading:?}");
}
