//! What a status says, and with which code.

use jiff::SignedDuration;

use super::text::text;
use super::*;
use crate::show::time::span;

/// A pause under a claim that is renewed is somebody's work; under one that is not it is left over.
#[test]
fn a_claim_that_is_renewed_is_somebody_at_work() {
    let now = Timestamp::from_second(1_748_937_221).unwrap();
    let of = |age: i64, held: serde_json::Value, has_ended: bool| {
        let claim = serde_json::json!({
            "format": 1, "installation": "default", "term": 1, "renewal": 3, "by": "1@other", "journal": "j",
            "at": now - SignedDuration::from_secs(age), "held": held, "left": false,
        });
        Status {
            installation: "default".into(),
            exporting: Exporting::Paused {
                short: None,
                places: vec!["broker 0, partition 1: SOFT_PAUSED".into()],
                leaders: Leaders { read: 1, of: Some(1), unread: Vec::new() },
                hard: Hardness::Soft,
            },
            open_runs: Vec::new(),
            holder: None,
            other_names: Vec::new(),
            claim: Some(Told { claim: serde_json::from_value(claim).unwrap(), has_ended }),
            claim_is_over: false,
            last_backup: None,
            not_in_vault: None,
            vault_to_come: None,
            faults: Vec::new(),
        }
    };
    let status = |age| of(age, serde_json::Value::Null, false);
    let held = serde_json::json!({
        "run": "backup-7", "since": now, "fingerprint": "uuid/zeebe-record",
    });
    assert_eq!(code(&status(20), now), exit::DONE);
    assert!(text(&status(20), now).contains("next        it is at work on another host: wait"));
    // A renewal is overdue: nobody may be alive any more, long before a watcher would take over.
    for age in [50, 120] {
        assert_eq!(code(&status(age), now), exit::MAY_BE_PAUSED);
        let silent =
            format!("it has not been renewed for {} and may be dead", span(SignedDuration::from_secs(age)));
        let said = text(&status(age), now);
        assert!(said.contains(&silent) && said.contains("the next `c8keep backup`"), "{said}");
    }
    // One that has ended was renewed just now.
    let ended = of(1, held, true);
    assert_eq!(code(&ended, now), exit::MAY_BE_PAUSED);
    let said = text(&ended, now);
    assert!(said.contains("run backup-7 of a process that has ended (1@other) holds a pause"), "{said}");
    assert!(!said.contains("--yes"), "{said}");
}

/// A hard pause is none of ours, and says so also where all replicas are told in a few words.
#[test]
fn a_hard_pause_is_told_from_a_soft_one() {
    let of = Hardness::of;
    assert_eq!(of(&["SOFT_PAUSED", "SOFT_PAUSED"]), Hardness::Soft);
    assert_eq!(of(&["PAUSED"]), Hardness::Hard);
    assert_eq!(of(&["SOFT_PAUSED", "PAUSED"]), Hardness::Mixed);
    assert_eq!(of(&["PAUSED", "RESTING"]), Hardness::Unknown);
}
