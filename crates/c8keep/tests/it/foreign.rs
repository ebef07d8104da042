//! A vault into which others have written, too: what is ours is shown and counts, what is not is passed by or named.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::theatre::Theatre;

/// An installation with one backup, 1000.
fn theatre() -> Theatre {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    theatre.run(&["backup", "--id", "1000"]).expect(0, &["backup 1000 is complete"]);
    theatre
}

fn vault(theatre: &Theatre) -> PathBuf {
    theatre.home().join(".local/share/c8keep/vault")
}

fn put(theatre: &Theatre, path: &str, bytes: impl AsRef<[u8]>) {
    let file = vault(theatre).join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, bytes).unwrap();
}

fn manifest(theatre: &Theatre) -> String {
    fs::read_to_string(vault(theatre).join("default/backups/1000/manifest.json")).unwrap()
}

fn states(theatre: &Theatre, code: i32) -> Vec<(u64, String)> {
    let rows = theatre.run(&["list", "-o", "json"]).expect(code, &[]).json();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (row["backup"].as_u64().unwrap(), row["state"].as_str().unwrap().into())).collect()
}

/// Only a folder that is called like an id is one: written any other way it would count a backup twice, or burn an id.
#[test]
fn what_is_not_ours_is_passed_by() {
    let theatre = theatre();
    let manifest = manifest(&theatre);
    for path in ["+1000", "01000", "latest", "0", "-1", "1000 (copy)", "9223372036854775808", "1e4"] {
        put(&theatre, &format!("default/backups/{path}/manifest.json"), &manifest);
    }
    for path in
        ["default/backups/README.txt", "default/backups/1000/notes.txt", "config", "data/00/0a", "prod/x"]
    {
        put(&theatre, path, "of another tool");
    }
    let backups = vault(&theatre).join("default/backups");
    std::os::unix::fs::symlink(&backups, backups.join("2000")).unwrap();
    assert_eq!(states(&theatre, 0), [(1000, "complete".into())]);
    theatre.run(&["show"]).expect(0, &["backup 1000"]);
    theatre.run(&["show", "+1000"]).expect(2, &["\"+1000\" is not a backup id"]);
    theatre.run(&["status"]).expect(0, &["last backup   1000"]);
    theatre.run(&["backup", "--id", "1001"]).expect(0, &["backup 1001 is complete"]);
}

/// Damage costs its own line; what a later version has written is not damage.
#[test]
fn manifests_that_are_none_of_ours() {
    let theatre = theatre();
    let whole: Value = serde_json::from_str(&manifest(&theatre)).unwrap();
    let of_later = r#"{"format": 7, "backup": {"id": "a string by now"}}"#;
    let without_parts = Value::Object(whole.as_object().unwrap().clone().into_iter().take(4).collect());
    for (id, bytes) in [
        (2001, r#"{"schema": 5, "snapshots": [], "tool": "another"}"#.to_owned()),
        (2002, of_later.to_owned()),
        (2003, without_parts.to_string()),
        (2004, "[[[[".repeat(100_000)),
        (2005, String::new()),
    ] {
        put(&theatre, &format!("default/backups/{id}/manifest.json"), bytes);
    }
    let damaged = |id| (id, "damaged".to_owned());
    let expected = [
        damaged(2005),
        damaged(2004),
        damaged(2003),
        (2002, "unreadable".into()),
        damaged(2001),
        (1000, "complete".into()),
    ];
    assert_eq!(states(&theatre, 14), expected);
    theatre.run(&["show", "2001"]).expect(14, &["missing field", "compare it with its .sha256 file"]);
    theatre.run(&["show", "2002"]).expect(2, &["it has format 7", "use a newer c8keep"]);
    theatre.run(&["show"]).expect(0, &["backup 1000", "backup 2005 is newer, but cannot be read"]);
    theatre.run(&["status"]).expect(14, &["exporting     runs", "last backup   1000", "2001"]);
}

/// A whole backup under another id is not that backup, however good its checksum is.
#[test]
fn a_manifest_that_was_copied_is_not_another_backup() {
    let theatre = theatre();
    let backups = vault(&theatre).join("default/backups");
    fs::create_dir(backups.join("1001")).unwrap();
    for file in ["manifest.json", "manifest.json.sha256", "release.json", "release.json.sha256"] {
        fs::copy(backups.join("1000").join(file), backups.join("1001").join(file)).unwrap();
    }
    assert_eq!(states(&theatre, 14), [(1001, "damaged".into()), (1000, "complete".into())]);
    theatre.run(&["show", "1001"]).expect(14, &["it is the manifest of backup 1000"]);
    theatre.run(&["show"]).expect(0, &["backup 1000"]);
}

/// What somebody has written into a manifest moves no cursor, in no form of output.
#[test]
fn a_manifest_moves_no_cursor() {
    let theatre = theatre();
    let mut whole: Value = serde_json::from_str(&manifest(&theatre)).unwrap();
    let nasty = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\u{85}8.6.0\r";
    whole["versions"]["camunda"] = nasty.into();
    whole["not_covered"] = serde_json::json!([{"what": nasty, "why": nasty}]);
    fs::remove_file(vault(&theatre).join("default/backups/1000/manifest.json.sha256")).unwrap();
    put(&theatre, "default/backups/1000/manifest.json", whole.to_string());
    for form in ["text", "json", "yaml"] {
        for verb in ["list", "show", "status"] {
            let said = theatre.run(&[verb, "-o", form]).expect(0, &[]).said();
            let moves = |c: &char| c.is_control() && *c != '\n';
            assert_eq!(said.chars().find(moves), None, "{verb} -o {form}: {said:?}");
        }
    }
    // And it is still what it was, for whoever reads it with a program.
    let shown = theatre.run(&["show", "-o", "json"]).json();
    assert_eq!(shown["manifest"]["versions"]["camunda"], nasty);
}

/// Years of hourly backups beside thousands of folders without a manifest.
#[test]
fn a_long_list() {
    let theatre = theatre();
    let whole: Value = serde_json::from_str(&manifest(&theatre)).unwrap();
    for id in 1..=400 {
        let mut other = whole.clone();
        other["backup"] = id.into();
        put(&theatre, &format!("default/backups/{id}/manifest.json"), other.to_string());
    }
    for id in 2000..4000 {
        put(&theatre, &format!("default/backups/{id}/RESTORE.md"), "");
    }
    let states = states(&theatre, 0);
    assert_eq!(
        (states.len(), &states[0], &states[400]),
        (401, &(1000, "complete".into()), &(1, "complete".into()))
    );
    theatre.run(&["show", "latest~400"]).expect(0, &["backup 1 of default"]);
    theatre.run(&["show", "latest~401"]).expect(2, &["not that many"]);
    theatre.run(&["status"]).expect(0, &["last backup   1000"]);
}

/// Nobody may act on claims that nobody can read, and nothing is paused then; whoever asks is told.
#[test]
fn claims_of_somebody_else() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let shared = theatre.home().join("shared");
    let file = theatre.home().join("shared.yaml");
    fs::write(&file, format!("vault: {}\n", shared.display())).unwrap();
    let file = file.to_str().unwrap();
    theatre.run(&["-c", file, "backup", "--id", "1000"]).expect(0, &["is complete"]);
    let claims = shared.join("default/claims");
    let good = fs::read(claims.join("1.json")).unwrap();
    for bytes in [&b"{}"[..], b"\x00\xff", &good] {
        let _ = fs::remove_file(claims.join("2.json.sha256"));
        fs::write(claims.join("2.json"), bytes).unwrap();
        let ended = theatre.run(&["-c", file, "backup", "--id", "1001"]);
        ended.expect(14, &["claims/2.json is no claim that this version can read", "move it away"]);
        let pauses = theatre.asked().iter().filter(|line| line.contains("/exporting/pause")).count();
        assert!(!theatre.is_paused() && pauses == 1, "only the first one paused");
        theatre.run(&["-c", file, "list"]).expect(0, &["1000", "complete"]);
        theatre.run(&["-c", file, "status"]).expect(14, &["exporting     runs", "claims/2.json"]);
        theatre.run(&["-c", file, "doctor"]).expect(14, &["claims/2.json"]);
    }
    // As the message says.
    fs::remove_file(claims.join("2.json")).unwrap();
    theatre.run(&["-c", file, "backup", "--id", "1001"]).expect(0, &["backup 1001 is complete"]);
}
