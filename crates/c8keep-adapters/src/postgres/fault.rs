//! From what PostgreSQL's tools say to a fault.

use std::io::ErrorKind;
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};

use super::connection::Connection;
use super::tool::Failure;
use super::wire::{PLACE, Refusal};

/// What is spoken of: the name in the configuration, and where it is.
pub(super) fn target(connection: &Connection) -> String {
    format!("database {} at {}", connection.name, connection.address())
}

/// A tool that did not do what it was started for.
pub(super) fn of_tool(connection: &Connection, doing: &str, failure: &Failure) -> Fault {
    let fault = |kind, answer: String| Fault::new(kind, doing, target(connection), answer);
    let place = format!("databases.{}", connection.name);
    match failure {
        Failure::Broken { program, why } if why.kind() == ErrorKind::NotFound => {
            fault(FaultKind::Precondition, format!("{program} is not found")).with_hint(format!(
                "install PostgreSQL's client tools (Debian: postgresql-client), or set `{place}.tools` to their folder"
            ))
        }
        Failure::Broken { program, why } => fault(FaultKind::Precondition, format!("{program}: {why}"))
            .with_hint(format!("see whether `{place}.tools` names a folder with programs for this machine")),
        Failure::Hung { program, limit, said } => {
            let said = if said.is_empty() { String::new() } else { format!("; it said: {said}") };
            fault(FaultKind::Stalled, format!("nothing came from {program} for {limit:?}{said}"))
                .with_hint("see what the server is waiting for (pg_stat_activity, application_name c8keep)")
                .with_retry()
        }
        Failure::Ended { program, status, said } => {
            let said = if said.is_empty() { "it said nothing" } else { said };
            let (kind, retry, hint) = classified(said, &place);
            let fault = fault(kind, format!("{program}: {status}: {said}")).with_hint(hint);
            if retry { fault.with_retry() } else { fault }
        }
    }
}

/// By the words of PostgreSQL's messages, which have stayed the same for many versions: their codes do not get out of the tools.
/// What is not known is refused without a hint of ours.
fn classified(said: &str, place: &str) -> (FaultKind, bool, String) {
    let found = KNOWN.iter().find(|known| known.words.iter().any(|word| said.contains(word)));
    match found {
        Some(known) => (known.kind, known.retry, known.hint.replace("{}", place)),
        None => (FaultKind::Refused, false, String::new()),
    }
}

/// What a message with one of these words means. `{}` in a hint stands for the database's place in the configuration.
struct Known {
    words: &'static [&'static str],
    kind: FaultKind,
    /// Whether it may pass.
    retry: bool,
    hint: &'static str,
}

/// The first that fits counts.
const KNOWN: [Known; 10] = [
    Known {
        words: &["password authentication failed", "no password supplied", "authentication failed"],
        kind: FaultKind::Unauthorised,
        retry: false,
        hint: "check `{}.user` and `{}.password`, or PGUSER with PGPASSWORD or a password file that only its owner can \
               read",
    },
    Known {
        words: &["no pg_hba.conf entry", "pg_hba.conf rejects"],
        kind: FaultKind::Unauthorised,
        retry: false,
        hint: "the server lets nobody in from here like that: see its pg_hba.conf, and whether it wants TLS (`{}.sslmode`)",
    },
    Known {
        words: &["certificate", "SSL error", "server does not support SSL"],
        kind: FaultKind::Unreachable,
        retry: false,
        hint: "check `{}.sslmode` and `{}.sslrootcert`",
    },
    Known {
        words: &["server version mismatch"],
        kind: FaultKind::Precondition,
        retry: false,
        hint: "set `{}.tools` to the folder of newer client tools",
    },
    Known {
        words: &["permission denied"],
        kind: FaultKind::Unauthorised,
        retry: false,
        hint: "give the login the right to read everything: GRANT pg_read_all_data (PostgreSQL 14 and later)",
    },
    Known {
        words: &["lock timeout"],
        kind: FaultKind::Refused,
        retry: true,
        hint: "somebody holds a lock for long, such as a migration: look into pg_locks, then back up again",
    },
    Known {
        words: &["conflict with recovery"],
        kind: FaultKind::Refused,
        retry: true,
        hint: "this is a replica: set hot_standby_feedback or max_standby_streaming_delay there, or dump from the primary",
    },
    Known {
        words: &["too many clients", "remaining connection slots", "too many connections"],
        kind: FaultKind::Refused,
        retry: true,
        hint: "the server has no connection left",
    },
    Known {
        words: &["\" does not exist"],
        kind: FaultKind::Absent,
        retry: false,
        hint: "check `{}.dbname` and `{}.user`",
    },
    Known {
        words: &[
            "could not translate host name",
            "could not connect",
            "Connection refused",
            "No route to host",
            "timeout expired",
            "timed out",
            "No such file or directory",
            "closed the connection unexpectedly",
            "terminating connection",
            "is starting up",
            "is shutting down",
            "Connection reset",
            "SSL SYSCALL error",
        ],
        kind: FaultKind::Unreachable,
        retry: true,
        hint: "is the server up, and are `{}.host` and `{}.port` (or PGHOST and PGPORT) right?",
    },
];

/// A database that would not be dumped.
pub(super) fn refused(connection: &Connection, refusal: Refusal) -> Fault {
    let hint = refusal.hint.replace(PLACE, &format!("databases.{}", connection.name));
    Fault::precondition("checking a database", target(connection), refusal.why, hint)
}

/// An answer that nobody expects.
pub(super) fn strange(connection: &Connection, program: &str, answer: &str) -> Fault {
    let answer: String = answer.chars().filter(|c| !c.is_control()).take(200).collect();
    Fault::new(
        FaultKind::Strange,
        "checking a database",
        target(connection),
        format!("{program} said {answer:?}"),
    )
    .with_hint("is this really one of PostgreSQL's tools, and PostgreSQL behind it?")
}

/// A tool that ended well and has not written all.
pub(super) fn cut_short(connection: &Connection, why: &str) -> Fault {
    let answer = format!("the tool ended well, but what it wrote is not whole: {why}");
    Fault::new(FaultKind::Incomplete, "dumping a database", target(connection), answer)
        .with_hint("is `tools` the folder of PostgreSQL's own programs?")
}

/// A dump that has used up its time.
pub(super) fn too_long(connection: &Connection, limit: Duration) -> Fault {
    let answer = format!("not done after {limit:?}");
    Fault::new(FaultKind::Deadline, "dumping a database", target(connection), answer)
        .with_hint("raise `limits.wait_deadline`, or find out what is slow")
}
