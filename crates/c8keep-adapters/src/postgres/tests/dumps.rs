//! Dumps: what is seen in the vault, and what never is.

use c8keep_core::database::{DumpContent, DumpMode};
use c8keep_core::fault::FaultKind;
use jiff::SignedDuration;

use super::memory::{Memory, sha256_hex};
use super::stage::{CANARY, Stage};

#[tokio::test]
async fn a_database_and_the_roles_beside_it() {
    let stage = Stage::new();
    let dump = stage.dump(DumpMode::Database).await.unwrap();
    assert_eq!(dump.server.version, "15.18");
    let folder = "default/backups/7/databases/web-modeler/backup-7.1";
    assert_eq!(stage.seen(), [format!("{folder}/database.dump.zst"), format!("{folder}/globals.psql.zst")]);
    for (holds, plain) in [
        (DumpContent::Database, "PGDMPthe archive".to_owned()),
        (
            DumpContent::Globals,
            "CREATE ROLE modeler;\n--\n-- PostgreSQL database cluster dump complete\n--\n\n".to_owned(),
        ),
    ] {
        let object = dump.object(holds).unwrap();
        let stored = stage.vault.seen()[&object.path].clone();
        assert_eq!((object.bytes, &object.sha256), (stored.len() as u64, &sha256_hex(&stored)));
        assert_eq!(object.unpacked_bytes, plain.len() as u64);
        assert_eq!(zstd::decode_all(&*stored).unwrap(), plain.as_bytes());
    }
}

/// Large enough for many pieces, and not the same everywhere.
#[tokio::test]
async fn every_byte_arrives_in_its_order() {
    let stage = Stage::new();
    stage.tool("pg_dump", "15.18", "printf PGDMP; seq 1 600000");
    let dump = stage.dump(DumpMode::Database).await.unwrap();
    let object = dump.object(DumpContent::Database).unwrap();
    let stored = stage.vault.seen()[&object.path].clone();
    let lines = (1..=600_000).fold(String::from("PGDMP"), |text, n| text + &n.to_string() + "\n");
    assert!(zstd::decode_all(&*stored).unwrap() == lines.as_bytes());
    // The checksum of the frame: a flipped bit does not unpack.
    let mut flipped = stored.clone();
    flipped[stored.len() / 2] ^= 1;
    assert!(zstd::decode_all(&*flipped).is_err());
    assert!(zstd::decode_all(&stored[..stored.len() - 1]).is_err(), "nor does one that is cut");
}

#[tokio::test]
async fn how_the_tools_are_called() {
    let stage = Stage::new();
    stage.dump(DumpMode::Database).await.unwrap();
    assert_eq!(
        stage.noted("pg_dump.arguments"),
        "--no-password\n--quote-all-identifiers\n--lock-wait-timeout=60s\n--format=custom\n--compress=0\n\
         --dbname=dbname='modeler'\n"
    );
    assert_eq!(
        stage.noted("pg_dumpall.arguments"),
        "--no-password\n--quote-all-identifiers\n--lock-wait-timeout=60s\n--globals-only\n--database=dbname='modeler'\n"
    );
    for tool in ["psql", "pg_dump", "pg_dumpall"] {
        assert!(!stage.noted(&format!("{tool}.arguments")).contains(CANARY));
        let environment = stage.noted(&format!("{tool}.environment"));
        let mut names: Vec<&str> = environment.lines().filter_map(|line| line.split('=').next()).collect();
        // What shells add by themselves.
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        names.sort_unstable();
        let expected = [
            "LC_ALL",
            "PATH",
            "PGAPPNAME",
            "PGCONNECT_TIMEOUT",
            "PGHOST",
            "PGPASSWORD",
            "PGPORT",
            "PGSSLMODE",
            "PGUSER",
        ];
        assert_eq!(names, expected, "{tool}");
        assert!(environment.contains(&format!("PGPASSWORD={CANARY}\n")));
    }
    assert!(stage.noted("pg_dump.environment").contains("PGAPPNAME=c8keep/7\n"));
}

#[tokio::test]
async fn a_whole_server_as_one_script() {
    let stage = Stage::new();
    let dump = stage.dump(DumpMode::Dumpall).await.unwrap();
    assert_eq!(dump.objects.len(), 1);
    assert!(dump.objects[0].path.ends_with("/dump.psql.zst"), "{:?}", dump.objects);
    assert!(!stage.noted("pg_dumpall.arguments").contains("globals"));
    // In some minor versions a line that ends the restriction of psql comes after the last words.
    let does =
        "printf '%s\\n' '-- PostgreSQL database cluster dump complete' '--' '' '\\unrestrict 7CfgzY' ''";
    stage.tool("pg_dumpall", "15.18", does);
    let mut request = stage.request(DumpMode::Dumpall);
    request.folder += "b";
    stage.dump_into(&request, &stage.vault).await.unwrap();
}

#[tokio::test]
async fn passwords_that_nobody_may_read_are_left_out_and_that_is_told() {
    let stage = Stage::new();
    stage.tells(&serde_json::json!({"role_passwords": false}));
    let dump = stage.dump(DumpMode::Database).await.unwrap();
    assert!(!dump.server.role_passwords);
    assert!(stage.noted("pg_dumpall.arguments").ends_with("--no-role-passwords\n"));
}

/// Each of these ends with a fault, and with nothing in the vault.
#[tokio::test]
async fn what_is_not_whole_is_never_seen() {
    let middle = "-- PostgreSQL database cluster dump complete";
    let cases: [(&str, &str, &str, FaultKind, &str); 8] = [
        (
            "it fails midway",
            "pg_dump",
            "printf PGDMP; seq 1 100000; echo 'server closed the connection unexpectedly' >&2; exit 1",
            FaultKind::Unreachable,
            "closed the connection",
        ),
        (
            "it writes nothing and fails",
            "pg_dump",
            "echo 'pg_dump: error: permission denied for table t' >&2; exit 1",
            FaultKind::Unauthorised,
            "permission denied",
        ),
        ("it writes nothing and ends well", "pg_dump", "exit 0", FaultKind::Incomplete, "not whole"),
        ("it is another program", "pg_dump", "echo hello", FaultKind::Incomplete, "no archive"),
        ("it is killed", "pg_dump", "printf PGDMP; kill -KILL $$", FaultKind::Refused, "signal: 9"),
        ("the roles cannot be read", "pg_dumpall", "exit 1", FaultKind::Refused, "it said nothing"),
        (
            "the last words are missing",
            "pg_dumpall",
            "echo 'CREATE ROLE'",
            FaultKind::Incomplete,
            "last words",
        ),
        ("the last words are only in the middle", "pg_dumpall", "", FaultKind::Incomplete, "last words"),
    ];
    for (what, tool, does, kind, words) in cases {
        let stage = Stage::new();
        let does =
            if does.is_empty() { format!("echo '{middle}'; echo 'CREATE ROLE'") } else { does.to_owned() };
        stage.tool(tool, "15.18", &does);
        let fault = stage.dump(DumpMode::Database).await.unwrap_err();
        assert_eq!(fault.kind, kind, "{what}: {fault}");
        assert!(fault.answer.contains(words), "{what}: {fault}");
        assert_eq!(stage.seen(), Vec::<String>::new(), "{what}");
    }
}

/// Without a terminal and without an input there is nobody to ask.
#[tokio::test]
async fn a_tool_that_asks_for_a_password_is_not_waited_for() {
    let stage = Stage::new();
    let does = "printf 'Password: ' >&2; read -r answer || { echo 'fe_sendauth: no password supplied' >&2; exit 2; }";
    stage.tool("pg_dump", "15.18", does);
    let fault = stage.dump(DumpMode::Database).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unauthorised);
    assert!(fault.hint.contains("databases.web-modeler.password"), "{}", fault.hint);
}

/// A hung tool ends with everything that it has started.
#[tokio::test]
async fn a_tool_from_which_nothing_comes_is_killed() {
    let stage = Stage::new();
    stage.tool("pg_dump", "15.18", "printf PGDMP; sh -c 'echo $$ > child.pid; sleep 1000; true'");
    let mut request = stage.request(DumpMode::Database);
    request.stall = SignedDuration::from_millis(500);
    let fault = stage.dump_into(&request, &stage.vault).await.unwrap_err();
    assert_eq!((fault.kind, fault.is_retryable()), (FaultKind::Stalled, true), "{fault}");
    stage.until("both are gone", |s| s.is_gone("pg_dump.pid") && s.is_gone("child.pid")).await;
    assert_eq!(stage.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dump_that_takes_too_long_ends() {
    let stage = Stage::new();
    stage.tool("pg_dump", "15.18", "printf PGDMP; while :; do echo more; done");
    let mut request = stage.request(DumpMode::Database);
    request.deadline = SignedDuration::from_millis(700);
    let fault = stage.dump_into(&request, &stage.vault).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Deadline, "{fault}");
    stage.until("it is gone", |s| s.is_gone("pg_dump.pid")).await;
}

/// A signal to c8keep drops the performance: the tool ends with it.
#[tokio::test]
async fn a_dump_that_is_dropped_ends_its_tools() {
    let stage = Stage::new();
    stage.tool("pg_dump", "15.18", "printf PGDMP; sh -c 'echo $$ > child.pid; while :; do echo more; done'");
    let began =
        stage.until("the child writes", |s| s.path("child.pid").metadata().is_ok_and(|m| m.len() > 0));
    tokio::select! {
        dumped = stage.dump(DumpMode::Database) => panic!("{dumped:?}"),
        () = began => {}
    }
    stage.until("both are gone", |s| s.is_gone("pg_dump.pid") && s.is_gone("child.pid")).await;
    assert_eq!(stage.seen(), Vec::<String>::new());
}

/// However much a tool complains, it is read, and only its end is kept: fit to be shown, and without the password.
#[tokio::test]
async fn complaints_are_bounded_and_hold_no_password() {
    let stage = Stage::new();
    let does = format!(
        "seq 1 100000 >&2; printf 'FATAL: \\033[2J no password supplied for \"a\\nb\" {CANARY}\\n' >&2; exit 1"
    );
    stage.tool("pg_dump", "15.18", &does);
    let fault = stage.dump(DumpMode::Database).await.unwrap_err();
    assert!(fault.answer.len() < 5_000, "{}", fault.answer.len());
    assert!(fault.answer.contains("no password supplied"), "{fault}");
    assert!(!fault.answer.contains(CANARY) && !fault.answer.contains(char::is_control), "{fault}");
    // The same for one that libpq's own variable gives.
    let mut stage = Stage::new();
    stage.connection.password = None;
    stage.connection.inherited.insert("PGPASSWORD".into(), CANARY.into());
    stage.tool("pg_dump", "15.18", &does);
    let fault = stage.dump(DumpMode::Database).await.unwrap_err();
    assert!(!fault.answer.contains(CANARY) && fault.answer.contains("no password"), "{fault}");
    assert!(!format!("{:?}", stage.connection).contains(CANARY));
}

/// A vault that fails ends the dump, and the tool with it; the fault is the vault's.
#[tokio::test]
async fn a_vault_that_is_full_ends_the_tool() {
    let stage = Stage::new();
    stage.tool("pg_dump", "15.18", "printf PGDMP; exec cat /dev/urandom");
    let fault =
        stage.dump_into(&stage.request(DumpMode::Database), &Memory::with_room(100_000)).await.unwrap_err();
    assert_eq!((fault.kind, fault.answer.as_str()), (FaultKind::Storage, "no space left"));
    stage.until("it is gone", |s| s.is_gone("pg_dump.pid")).await;
}
