//! Only the claims are out of reach, or nothing tells which cluster answers: exporting is resumed all the same where the pause is
//! known as ours or that is asked for, and what the claims could not be told is said.

use std::fs;

use c8keep_twin::Host;

use crate::inherited::{left_by_another_host, shared};
use crate::interrupted::{kill, lose_journal, paused, slow};
use crate::theatre::{Ended, Theatre};

/// A vault that nobody can open: its secret is gone.
fn not_to_open(theatre: &Theatre) -> String {
    let file = theatre.home().join("no-vault.yaml");
    let text = "vault:\n  url: s3://backups/camunda\n  access_key: AKIA\n  secret: {env: NOT_SET_AT_ALL}\n";
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// A vault whose server is down.
fn out_of_reach(theatre: &mut Theatre) -> String {
    theatre.set("KEY", "canary-secret-key");
    let file = theatre.home().join("away.yaml");
    let text = "vault:\n  url: s3://backups/camunda\n  endpoint: http://127.0.0.1:1\n  access_key: AKIA\n  \
                secret: {env: KEY}\n";
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

/// No renewal of this term can be written: something else lies where each would.
fn no_renewals(theatre: &Theatre, term: u32) {
    let claims = theatre.home().join("shared/default/claims");
    for renewal in 1..30 {
        fs::create_dir_all(claims.join(format!("{term}.{renewal}.json"))).unwrap();
    }
}

fn last(ended: &Ended) -> serde_json::Value {
    serde_json::from_str(ended.stdout.lines().last().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {}", ended.said()))
}

/// The journal knows the pause as ours, and tells on which cluster.
#[test]
fn a_vault_that_cannot_be_opened_keeps_no_exporting_paused() {
    for verb in ["resume-exporting", "backup"] {
        let theatre = Theatre::new(slow());
        let shared = shared(&theatre);
        kill(paused(&theatre, &["-c", &shared, "backup", "--id", "1000"]));
        let no_vault = not_to_open(&theatre);
        let ended = theatre.run(&["-c", &no_vault, verb, "-o", "json"]);
        assert!(!theatre.is_paused(), "{}", ended.said());
        assert!(ended.said().contains("NOT_SET_AT_ALL"), "{}", ended.said());
        let code = if verb == "backup" { 2 } else { 0 };
        assert_eq!((ended.code, &last(&ended)["exit_code"]), (Some(code), &code.into()), "{}", ended.said());
    }
}

/// What was not known of the claims is the last thing that is said, to people and to programs.
#[test]
fn an_unread_claim_is_told_at_the_end() {
    let mut theatre = Theatre::new(slow());
    let shared = shared(&theatre);
    kill(paused(&theatre, &["-c", &shared, "backup", "--id", "1000"]));
    let away = out_of_reach(&mut theatre);
    let ended = theatre.run(&["-c", &away, "resume-exporting", "-o", "json"]);
    let ended = ended.expect(0, &["WARNING: the claim in the vault could not be read or settled"]);
    assert_eq!(ended.stderr.matches("could not be read").count(), 1, "{}", ended.stderr);
    let last = last(&ended);
    assert_eq!((&last["resumed"], &last["exit_code"]), (&true.into(), &0.into()));
    assert!(last["claim"]["target"].as_str().unwrap().contains("s3://backups"), "{last}");
    // With the vault back, the same command settles it.
    let again = theatre.run(&["-c", &shared, "resume-exporting"]).expect(0, &["nothing to do"]);
    assert!(!again.said().contains("the claim in the vault"), "{}", again.said());
    let claims = theatre.home().join("shared/default/claims");
    let settled = fs::read_to_string(claims.join("2.1.json")).unwrap();
    assert!(settled.contains("\"held\":null"), "{settled}");
}

/// Nothing is paused, and nobody wants to pause: what cannot be read is told once, with what it means here.
#[test]
fn nothing_paused_beside_claims_that_cannot_be_read() {
    let mut theatre = Theatre::new(slow());
    let away = out_of_reach(&mut theatre);
    let words = ["nothing to do", "WARNING: the claim in the vault could not be read or settled"];
    let ended = theatre.run(&["-c", &away, "resume-exporting"]).expect(0, &words);
    assert!(!ended.said().contains("nothing can be paused"), "{}", ended.said());
    assert_eq!(ended.said().matches("s3://backups").count(), 1, "{}", ended.said());
    // Whoever wants to pause learns it at once.
    theatre
        .run(&["-c", &away, "backup"])
        .expect(13, &["cannot be claimed in the vault, so nothing can be paused"]);
}

/// The journal knows nothing, and whether a claim of ours does cannot be read: nobody may say that it is not ours.
#[test]
fn an_empty_journal_beside_claims_that_cannot_be_read() {
    for opened in [true, false] {
        let mut theatre = Theatre::new(slow());
        left_by_another_host(&mut theatre);
        let away = if opened { out_of_reach(&mut theatre) } else { not_to_open(&theatre) };
        let words = ["exporting is paused", "the claims in the vault cannot be read", "--yes"];
        let ended = theatre.run(&["-c", &away, "resume-exporting"]).expect(20, &words);
        assert!(!ended.said().contains("c8keep did not make this pause"), "{}", ended.said());
        assert!(theatre.is_paused());
        let words = ["exporting runs", "the claim in the vault could not be read or settled"];
        theatre.run(&["-c", &away, "resume-exporting", "--yes"]).expect(0, &words);
        assert!(!theatre.is_paused());
    }
}

/// Exporting runs, and the claim still says that it is paused.
#[test]
fn a_claim_that_could_not_be_settled_is_told() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    no_renewals(&theatre, 2);
    let words = ["exporting runs", "the claim in the vault could not be read or settled", "2.1.json"];
    theatre.run(&["-c", &shared, "resume-exporting"]).expect(0, &words);
    assert!(!theatre.is_paused());
}

/// Nothing can be written down, of a run that is ours and on this cluster.
#[test]
fn a_journal_that_takes_nothing_keeps_no_exporting_paused() {
    let theatre = Theatre::new(slow());
    kill(paused(&theatre, &["backup", "--id", "1000"]));
    for like in ["%adopted%", "%resume-exporting%"] {
        theatre.by_hand(Host::Gateway, "POST", "/actuator/exporting/pause?soft=true");
        lose_journal(&theatre, like);
        let words = ["resuming exporting all the same", "lost", "exporting runs"];
        let ended = theatre.run(&["resume-exporting"]).expect(0, &words);
        assert!(!ended.said().contains("may still be PAUSED"), "{}", ended.said());
        assert!(!theatre.is_paused(), "{like}");
        theatre.in_journal("DROP TRIGGER lost");
    }
}

/// Somebody who is known to be at work is left alone, with or without `--yes`.
#[test]
fn whoever_is_at_work_elsewhere_keeps_its_window() {
    let mut theatre = Theatre::new(slow());
    let shared = shared(&theatre);
    let child = paused(&theatre, &["-c", &shared, "backup", "--id", "1000"]);
    let other = theatre.home().join("other");
    fs::create_dir(&other).unwrap();
    theatre.set("HOME", other.to_str().unwrap());
    theatre.run(&["-c", &shared, "resume-exporting", "--yes"]).expect(11, &["on another host"]);
    assert!(theatre.is_paused());
    kill(child);
}

/// Released by the brokers' word alone; the claim is settled, and nobody speaks of that pause again.
#[test]
fn what_was_released_without_identity_is_settled() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    theatre.world().faults.unreachable.insert(Host::Search);
    theatre.run(&["-c", &shared, "resume-exporting"]).expect(20, &["--yes"]);
    theatre.run(&["-c", &shared, "resume-exporting", "--yes"]).expect(0, &["exporting runs"]);
    theatre.world().faults.unreachable.clear();
    for verb in ["status", "doctor"] {
        let ended = theatre.run(&["-c", &shared, verb]).expect(0, &[]);
        assert!(!ended.said().contains("backup-1000"), "{verb}: {}", ended.said());
    }
}

/// What could not be resumed is not settled either.
#[test]
fn what_is_still_paused_is_not_settled() {
    let mut theatre = Theatre::new(slow());
    let shared = left_by_another_host(&mut theatre);
    theatre.world().faults.unreachable.extend([Host::Search, Host::Gateway]);
    let arguments = ["-c", &shared, "resume-exporting", "--yes", "--release-wait", "1ms"];
    theatre.run(&arguments).expect(20, &[]);
    theatre.world().faults.unreachable.clear();
    theatre.run(&["-c", &shared, "status"]).expect(20, &["run backup-1000 of a process that has ended"]);
}
