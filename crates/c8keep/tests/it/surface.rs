//! The surface that needs no installation.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

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
