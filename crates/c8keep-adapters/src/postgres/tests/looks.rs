//! Looking at a database before anything is dumped.

use c8keep_core::database::DumpMode;
use c8keep_core::fault::FaultKind;
use serde_json::json;

use super::stage::{CANARY, Stage};

#[tokio::test]
async fn what_a_server_tells() {
    let stage = Stage::new();
    let server = stage.look(DumpMode::Database).await.unwrap();
    assert_eq!((server.version.as_str(), server.tool.as_str()), ("15.18", "15.18"));
    assert_eq!(
        (server.database.as_str(), server.owner.as_str(), server.bytes),
        ("modeler", "modeler", 8_000_000)
    );
    let arguments = stage.noted("psql.arguments");
    assert!(arguments.starts_with("--no-psqlrc\n--no-password\n"), "{arguments}");
    assert!(arguments.contains("--dbname=dbname='modeler'\n"), "{arguments}");
}

/// A newer tool reads an older server; the other way round it refuses, and that is better known before the pause.
#[tokio::test]
async fn a_tool_older_than_the_server_is_refused() {
    let stage = Stage::new();
    stage.tells(&json!({"version": "18.6", "number": 180_006}));
    for mode in [DumpMode::Database, DumpMode::Dumpall] {
        let fault = stage.look(mode).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Precondition);
        assert_eq!(fault.answer, "the server has version 18.6, the tools here 15.18");
        assert!(fault.hint.contains("`databases.web-modeler.tools`"), "{}", fault.hint);
        assert!(fault.hint.contains("/usr/lib/postgresql/18/bin"), "{}", fault.hint);
    }
    stage.tool("pg_dump", "19beta1", "");
    assert_eq!(stage.look(DumpMode::Database).await.unwrap().tool, "19beta1");
    stage.tells(&json!({"version": "15.1", "number": 150_001}));
    assert!(stage.look(DumpMode::Database).await.is_ok(), "the minor version does not matter");
}

#[tokio::test]
async fn what_would_fail_later_is_refused_now() {
    for (more, mode, words) in [
        (json!({"unreadable": ["public.t"]}), DumpMode::Database, "backup may not read public.t"),
        (json!({"unreadable": ["a", "b"]}), DumpMode::Database, "backup may not read a and others"),
        (json!({"unreadable": ["a\u{1b}[2J"]}), DumpMode::Database, "may not read a\\u{1b}[2J"),
        (json!({"large_object": "4711"}), DumpMode::Database, "may not read the large object 4711"),
        (json!({"broken_names": 1}), DumpMode::Dumpall, "line break in its name"),
    ] {
        let stage = Stage::new();
        stage.tells(&more);
        let fault = stage.look(mode).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Precondition);
        assert!(fault.answer.contains(words), "{fault}");
        assert!(!fault.hint.is_empty());
    }
    let stage = Stage::new();
    stage.tells(&json!({"broken_names": 1}));
    assert!(stage.look(DumpMode::Database).await.is_ok(), "one by one they are no trouble");
}

#[tokio::test]
async fn a_tool_that_is_not_there() {
    for program in ["psql", "pg_dump", "pg_dumpall"] {
        let stage = Stage::new();
        std::fs::remove_file(stage.path("bin").join(program)).unwrap();
        let fault = stage.look(DumpMode::Database).await.unwrap_err();
        assert_eq!((fault.kind, fault.answer), (FaultKind::Precondition, format!("{program} is not found")));
        assert!(fault.hint.contains("databases.web-modeler.tools"), "{}", fault.hint);
    }
}

/// What PostgreSQL 15 and 18 say, and what is made of it.
#[tokio::test]
async fn each_refusal_says_what_to_do() {
    const REFUSED: &str = "connection to server at \"127.0.0.1\", port 15432 failed: ";
    for (said, kind, retry, hint) in [
        (
            "FATAL:  password authentication failed for user \"u\"",
            FaultKind::Unauthorised,
            false,
            ".password",
        ),
        ("fe_sendauth: no password supplied", FaultKind::Unauthorised, false, "password file"),
        ("FATAL:  no pg_hba.conf entry for host \"::1\"", FaultKind::Unauthorised, false, "pg_hba.conf"),
        ("Connection refused", FaultKind::Unreachable, true, ".host"),
        ("timeout expired", FaultKind::Unreachable, true, ".port"),
        ("FATAL:  the database system is starting up", FaultKind::Unreachable, true, "is the server up"),
        ("FATAL:  database \"x\" does not exist", FaultKind::Absent, false, ".dbname"),
        ("FATAL:  role \"x\" does not exist", FaultKind::Absent, false, ".user"),
        ("SSL error: certificate verify failed", FaultKind::Unreachable, false, ".sslrootcert"),
        ("FATAL:  sorry, too many clients already", FaultKind::Refused, true, "no connection left"),
        ("something new", FaultKind::Refused, false, ""),
    ] {
        let stage = Stage::new();
        stage.tool("psql", "15.18", &format!("echo 'psql: error: {REFUSED}{said}' >&2; exit 2"));
        let fault = stage.look(DumpMode::Database).await.unwrap_err();
        assert_eq!((fault.kind, fault.is_retryable()), (kind, retry), "{said}: {fault}");
        assert!(fault.answer.contains(said) && fault.hint.contains(hint), "{said}: {fault} {}", fault.hint);
        assert!(
            fault.target.starts_with("database web-modeler at db.example.org:5433/modeler"),
            "{}",
            fault.target
        );
    }
}

#[tokio::test]
async fn an_answer_that_nobody_expects() {
    for (tool, does) in [("psql", "echo 'hello'"), ("pg_dump", "")] {
        let stage = Stage::new();
        if tool == "psql" {
            stage.tool(tool, "15.18", does);
        } else {
            stage.tool(tool, "unknown", does);
        }
        let fault = stage.look(DumpMode::Database).await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Strange, "{fault}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told_by_its_key() {
    let mut stage = Stage::new();
    stage.connection.password = Some(crate::transport::Secret::File("/nowhere/password".into()));
    let fault = stage.look(DumpMode::Database).await.unwrap_err();
    assert_eq!((fault.kind, fault.target.as_str()), (FaultKind::Usage, "databases.web-modeler.password"));
    assert!(!format!("{:?}", Stage::new().connection).contains(CANARY));
}
