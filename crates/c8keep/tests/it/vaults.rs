//! Vaults as an operator meets them: shared by two hosts, out of reach, or told wrongly. A second home is a second host: it
//! has a journal of its own.

use std::fs;

use c8keep_twin::Config;
use jiff::Timestamp;

use crate::theatre::{Theatre, ended};

/// Nobody listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

fn file(theatre: &Theatre, name: &str, text: &str) -> String {
    let path = theatre.home().join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn shared(theatre: &Theatre) -> String {
    file(theatre, "shared.yaml", &format!("vault: {}\n", theatre.home().join("shared").display()))
}

fn out_of_reach(theatre: &mut Theatre) -> String {
    theatre.set("KEY", "canary-secret-key");
    let text = format!(
        "vault:\n  url: s3://backups/camunda\n  endpoint: {NOWHERE}\n  access_key: AKIA\n  secret: {{env: KEY}}\n"
    );
    file(theatre, "away.yaml", &text)
}

fn slow() -> Config {
    let mut config = Theatre::quick("8.6.0");
    config.durations.records = 60_000;
    config
}

#[test]
fn two_hosts_share_a_vault() {
    let mut theatre = Theatre::new(Theatre::quick("8.6.0"));
    let shared = shared(&theatre);
    theatre.run(&["-c", &shared, "backup", "--id", "1000"]).expect(0, &["backup 1000 is complete"]);
    let claims = theatre.home().join("shared/default/claims");
    let first = fs::read_to_string(claims.join("1.json")).unwrap();
    assert!(first.contains("\"term\":1") && first.contains("\"held\":null"), "{first}");
    let other = theatre.home().join("other");
    fs::create_dir(&other).unwrap();
    theatre.set("HOME", &other.display().to_string());
    theatre.run(&["-c", &shared, "list"]).expect(0, &["1000", "complete"]);
    // The first host has left in good order, so nobody waits for it, and its pause was told and is over.
    let ended = theatre.run(&["-c", &shared, "backup"]).expect(0, &["is complete"]);
    assert!(!ended.said().contains("watching") && !ended.said().contains("another host"), "{}", ended.said());
    assert!(claims.join("2.json").exists());
    let told = fs::read_dir(&claims).unwrap().flatten();
    let told: Vec<String> = told.filter_map(|file| fs::read_to_string(file.path()).ok()).collect();
    assert_eq!(told.iter().filter(|claim| claim.contains("\"run\":\"backup-1000\"")).count(), 1, "{told:?}");
}

/// Killed in the window; on the same host nobody waits, whatever the vault says.
#[test]
fn the_same_host_goes_on_at_once() {
    let theatre = Theatre::new(slow());
    let shared = shared(&theatre);
    let mut child = theatre.start(&["-c", &shared, "backup", "--id", "1000"]);
    theatre.until("exporting is paused", Theatre::is_paused);
    child.kill().unwrap();
    child.wait().unwrap();
    // What the dead process's own claim says is no sign of life here.
    theatre.run(&["-c", &shared, "status"]).expect(20, &["LEFT OPEN", "paused exporting"]);
    let other = theatre.home().join("other");
    let renewed =
        || crate::inherited::renew(&theatre, |claim| claim["at"] = Timestamp::now().to_string().into());
    renewed();
    let elsewhere = theatre.command(&["-c", &shared, "status"]).env("HOME", &other).output().unwrap();
    // From elsewhere it may still be at work: the claim was renewed just now.
    let told = crate::theatre::ended(elsewhere).expect(0, &["claim  ", "run backup-1000 holds a pause"]);
    let told = told.expect(0, &["it is at work on another host: wait until it has ended"]);
    for verb in ["doctor", "plan"] {
        renewed();
        let asked = theatre.command(&["-c", &shared, verb]).env("HOME", &other).output().unwrap();
        let words = ["on another host is at work: another backup would end with 11"];
        let _: crate::theatre::Ended = crate::theatre::ended(asked).expect(0, &words);
    }
    assert!(!told.said().contains("LEFT OPEN") && !other.exists(), "a host that only reads leaves no trace");
    let ended = theatre.run(&["-c", &shared, "resume-exporting"]).expect(0, &["exporting runs"]);
    let status = theatre.run(&["-c", &shared, "status"]).expect(0, &["exporting     runs"]);
    assert!(!status.said().contains("claim  "), "it was given back: {}", status.said());
    assert!(!ended.said().contains("watching"), "{}", ended.said());
    assert!(!theatre.is_paused());
}

/// Who cannot reach the claims may still lift a pause of its own.
#[test]
fn a_pause_of_ours_is_lifted_without_the_vault() {
    let mut theatre = Theatre::new(slow());
    let (shared, away) = (shared(&theatre), out_of_reach(&mut theatre));
    let mut child = theatre.start(&["-c", &shared, "backup", "--id", "1000"]);
    theatre.until("exporting is paused", Theatre::is_paused);
    child.kill().unwrap();
    child.wait().unwrap();
    theatre.run(&["-c", &away, "status"]).expect(20, &["LEFT OPEN", "s3://backups/camunda"]);
    theatre.run(&["-c", &away, "resume-exporting"]).expect(0, &["exporting runs", "WARNING: the claim"]);
    assert!(!theatre.is_paused());
}

#[test]
fn a_vault_out_of_reach_is_told_before_the_pause() {
    let mut theatre = Theatre::new(Theatre::quick("8.8.0"));
    let away = out_of_reach(&mut theatre);
    for verb in ["backup", "list"] {
        let ended = theatre.run(&["-c", &away, verb]);
        assert!(!ended.said().contains("canary"), "{}", ended.said());
        assert!(ended.said().contains("s3://backups/camunda/default"), "{}", ended.said());
    }
    theatre.run(&["-c", &away, "backup"]).expect(13, &["refused"]);
    assert!(!theatre.is_paused());
}

#[test]
fn what_is_told_wrongly_is_refused_with_its_key() {
    let theatre = Theatre::new(Theatre::quick("8.8.0"));
    for (text, word) in [
        ("vault: s4://backups", "s4://"),
        ("vault: 's3:/backups'", "two slashes"),
        ("vault: {url: 's3://b', access_key: A, secret: {env: NOT_SET_AT_ALL}}", "NOT_SET_AT_ALL"),
        ("vault: {url: 's3://b', secret: {env: A}}", "access_key"),
        ("vault: {url: 's3://b', endpoint: 'http://minio.example.org'}", "allow_http"),
        ("vault: 's3://AKIA:canary@b/p'", "vault holds a password"),
        ("vault: {path: /var}", "path"),
    ] {
        let config = file(&theatre, "wrong.yaml", text);
        let ended = theatre.run(&["-c", &config, "backup"]).expect(2, &[word]);
        assert!(!ended.said().contains("canary"), "{}", ended.said());
    }
    // A vault that is told wrongly hides nothing else.
    let config = file(&theatre, "wrong.yaml", "vault: s4://backups");
    theatre.run(&["-c", &config, "status"]).expect(2, &["exporting     runs", "s4://"]);
    assert!(!theatre.is_paused());
}

/// A timer starts c8keep in another folder than an operator does, and both mean the same vault and the same journal.
#[test]
fn relative_places_are_seen_from_the_file() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let (settings, elsewhere) = (theatre.home().join("settings"), theatre.home().join("elsewhere"));
    for folder in [&settings, &elsewhere] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::write(settings.join("c8keep.yaml"), "vault: ./vault\njournal: state/journal.db\n").unwrap();
    let started_in =
        |folder, arguments: &[&str]| ended(theatre.command(arguments).current_dir(folder).output().unwrap());
    let backup = started_in(&elsewhere, &["-c", "../settings/c8keep.yaml", "backup", "--id", "1000"]);
    backup.expect(0, &[]);
    assert!(settings.join("vault/default/backups/1000/manifest.json").is_file());
    assert!(settings.join("state/journal.db").is_file());
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
    started_in(&settings, &["-c", "c8keep.yaml", "list"]).expect(0, &["1000", "complete"]);
    let vault = settings.canonicalize().unwrap().join("vault").display().to_string();
    let doctor = started_in(&settings, &["-c", "c8keep.yaml", "doctor"]);
    assert!(doctor.said().contains(&vault) && !doctor.said().contains("./vault"), "{}", doctor.said());
}

/// A volume that is not mounted, or a mistyped path: nothing is made there, and nobody calls that an empty vault.
#[test]
fn a_vault_that_is_not_there_is_told() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let mnt = theatre.home().join("mnt");
    let vault = mnt.join("vault").display().to_string();
    let config = file(&theatre, "c8keep.yaml", &format!("vault: {vault}\n"));
    let c8keep = |arguments: &[&str]| theatre.run(&[&["-c", config.as_str()], arguments].concat());
    let missing = ["no such folder: ", "is the volume mounted?", "correct `vault`"];
    let doctor = c8keep(&["doctor"]).expect(10, &missing).expect(10, &["BAD   vault"]);
    assert_eq!(doctor.stdout.matches("no such folder").count(), 1, "told once: {}", doctor.said());
    c8keep(&["backup"]).expect(10, &missing);
    c8keep(&["plan"]).expect(10, &missing);
    c8keep(&["status"]).expect(10, &["exporting     runs", "no such folder: ", "last backup   unknown"]);
    for verb in [&["list"][..], &["show", "latest"]] {
        let told = c8keep(verb).expect(10, &["is the volume mounted?"]);
        assert!(!told.said().contains("no backups yet"), "{}", told.said());
    }
    assert!(!mnt.exists() && !theatre.is_paused());
    fs::create_dir(&mnt).unwrap();
    c8keep(&["doctor"]).expect(0, &["ok    vault"]);
    // Before the first backup there is nothing to miss.
    let to_come = [vault.as_str(), "is not there yet, the first backup makes it", "mounted?"];
    c8keep(&["list"]).expect(0, &["no backups yet"]).expect(0, &to_come);
    c8keep(&["status"]).expect(0, &["last backup   none"]).expect(0, &to_come);
    assert_eq!(fs::read_dir(&mnt).unwrap().count(), 0, "the doctor leaves nothing behind");
    c8keep(&["backup", "--id", "1000"]).expect(0, &["is complete"]);
}

/// Whoever looks at it says the same. Each fails for every user, root included.
#[test]
fn a_vault_that_cannot_be_written_to() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let in_the_way = file(&theatre, "vault", "");
    let below = format!("{in_the_way}/below");
    for (vault, words) in [
        (in_the_way.as_str(), "a file lies where the folder should be"),
        (&below, "a file lies where a folder should be: "),
        ("/proc/c8keep-vault", "it does not exist and cannot be made: "),
    ] {
        let config = file(&theatre, "c8keep.yaml", &format!("vault: {vault}\n"));
        for verb in ["doctor", "backup", "status", "list"] {
            theatre.run(&["-c", &config, verb]).expect(10, &[words, "`vault` in the configuration"]);
        }
    }
}

/// What the journal knows and the vault does not have is missed, before it is needed.
#[test]
fn a_vault_that_has_lost_what_the_journal_knows() {
    let theatre = Theatre::new(Theatre::quick("8.6.0"));
    let mnt = theatre.home().join("mnt");
    fs::create_dir(&mnt).unwrap();
    let config = file(&theatre, "c8keep.yaml", &format!("vault: {}\n", mnt.display()));
    let c8keep = |arguments: &[&str]| theatre.run(&[&["-c", config.as_str()], arguments].concat());
    let first = c8keep(&["backup", "--id", "1000"]).expect(0, &["is complete"]);
    assert!(!first.said().contains("does not have it"), "{}", first.said());
    // Unmounted: what is below it is seen instead.
    fs::rename(&mnt, theatre.home().join("unmounted")).unwrap();
    c8keep(&["list"]).expect(10, &["1000", "manifest missing", "does not exist"]);
    fs::create_dir(&mnt).unwrap();
    let lost = ["the journal knows backup 1000, the vault does not have it", "mounted"];
    let status = c8keep(&["status"]).expect(0, &lost);
    assert!(!status.said().contains("last backup   none"), "{}", status.said());
    assert_eq!(c8keep(&["status", "-o", "json"]).json()["not_in_vault"], 1000);
    c8keep(&["doctor"]).expect(0, &lost).expect(0, &["WARN  last backup"]);
    c8keep(&["backup"]).expect(0, &["warning: the journal knows backup 1000", "is complete"]);
}
