//! What PostgreSQL's tools say when they fail: cut somewhere, in any words, with anything in it.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use c8keep_fuzz::feed;

use super::stage::{CANARY, Stage};
use crate::fuzz::told;
use crate::postgres::fault::of_tool;
use crate::postgres::tool::{Failure, shown};
use crate::transport::Scrub;

#[test]
fn complaints() {
    let texts = [
        "pg_dump: error: connection to server at \"db\" (10.0.0.7), port 5432 failed: FATAL:  password authentication failed for user \"backup\"\n",
        "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 18.1; pg_dump version: 15.18\n",
        "pg_dumpall: error: query failed: ERROR:  permission denied for table pg_authid\npg_dumpall: detail: Query was: SELECT 1\n",
        "psql: warning: the password canary-5e1d is not a good one\npsql: error: canary-5e1d\n",
    ];
    let examples = texts.map(|text| text.as_bytes().to_vec());
    let stage = Stage::new();
    let mut scrub = Scrub::default();
    scrub.add(&CANARY.into());
    feed("complaints", &examples, |input| {
        let said = shown(&input.bytes, &scrub);
        assert!(!said.contains(CANARY), "{said}");
        let program = "pg_dump";
        let failure = match input.number % 2 {
            0 => Failure::Ended { program, status: ExitStatus::from_raw(256), said },
            _ => Failure::Hung { program, limit: Duration::from_secs(30), said },
        };
        told::<()>(Err(of_tool(&stage.connection, "dumping a database", &failure))).into_iter().collect()
    });
}

/// More was said than is kept: what is left of the first line may be half a password.
#[test]
fn half_a_password_is_not_shown() {
    let mut scrub = Scrub::default();
    scrub.add(&CANARY.into());
    let said = format!("nary-5e1d is wrong\n{}", "and so on\n".repeat(500));
    assert!(!shown(said.as_bytes(), &scrub).contains("nary-5e1d"));
    assert!(shown(b"one line", &scrub).contains("one line"));
}

/// `PGPASSWORD=` is a password to nobody, and stands between any two letters.
#[test]
fn an_empty_password_leaves_words_as_they_are() {
    let mut scrub = Scrub::default();
    scrub.add(&"".into());
    assert_eq!(shown(b"connection refused\n", &scrub), "connection refused");
}
