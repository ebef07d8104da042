//! From what a file system or a store says to a fault.

use std::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use c8keep_core::fault::{Effect, Fault, FaultKind};
use object_store::client::{HttpError, HttpErrorKind};

use super::wire::{NoLogin, StoreAnswer, TooLong, deepest};

/// An operation on a file or folder that failed. Worth repeating: disks are made room on and shares come back, and the
/// step's own limits end it.
pub(super) fn storage(doing: &str, path: &Path, error: &std::io::Error) -> Fault {
    let hint = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => MAKE_ROOM,
        ErrorKind::PermissionDenied => "the user that runs this needs to own the folder",
        ErrorKind::ReadOnlyFilesystem => "choose a folder that can be written to",
        ErrorKind::NotADirectory => "a file lies where a folder should be",
        ErrorKind::Unsupported => "the file system has no hard links: choose a folder on another one",
        ErrorKind::StaleNetworkFileHandle => "the share was exported anew: mount it again",
        ErrorKind::NotFound => "it was removed meanwhile, or its volume unmounted: see to that",
        _ => "see whether its disk, volume or share is in order (`dmesg` and the system's log say more)",
    };
    Fault::new(FaultKind::Storage, doing, path.display().to_string(), error.to_string())
        .with_hint(hint)
        .with_retry()
}

/// A folder that nobody but an operator makes. Worth no second try where nothing has begun yet.
pub(super) fn no_folder(doing: &str, root: &Path, missing: &Path) -> Fault {
    let answer = if root == missing {
        "it does not exist".to_owned()
    } else {
        format!("no such folder: {}", missing.display())
    };
    let hint = "is the volume mounted? make the folder, or correct `vault` in the configuration";
    unusable(doing, root, answer, hint)
}

/// A file that lies in the vault's way.
pub(super) fn a_file(doing: &str, root: &Path, file: &Path) -> Fault {
    let answer = if root == file {
        "a file lies where the folder should be".to_owned()
    } else {
        format!("a file lies where a folder should be: {}", file.display())
    };
    let hint = "name a folder as `vault` in the configuration";
    unusable(doing, root, answer, hint)
}

/// A folder that is not there and that nothing makes.
pub(super) fn not_to_be_made(doing: &str, root: &Path, error: &std::io::Error) -> Fault {
    let answer = format!("it does not exist and cannot be made: {error}");
    let hint = "is the volume mounted, and may this user write there? make the folder, or correct `vault` in the configuration";
    unusable(doing, root, answer, hint)
}

fn unusable(doing: &str, root: &Path, answer: String, hint: &str) -> Fault {
    Fault::precondition(doing, format!("the vault {}", root.display()), answer, hint)
}

/// An object that does not match its checksum.
pub(super) fn damaged(doing: &str, path: &Path, answer: impl Into<String>) -> Fault {
    damaged_at(doing, path.display().to_string(), answer)
}

/// The same for an object of a store.
pub(super) fn damaged_at(doing: &str, target: impl Into<String>, answer: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Damaged, doing, target, answer)
        .with_hint("it was changed or damaged after it was written: take it from a copy of the vault")
}

/// An object that is there with other bytes than those that were to be written.
pub(super) fn other_bytes(doing: &str, target: impl Into<String>) -> Fault {
    let answer = "it exists with other contents, and nothing in a vault is ever written again";
    Fault::new(FaultKind::Refused, doing, target, answer)
}

/// A place that has written over an object although it was asked to create one.
pub(super) fn writes_again(doing: &str, target: &str) -> Fault {
    let answer = "an object that existed was written over, although only a new one was asked for";
    let hint = "manifests and claims would not be safe there: use a store that honours If-None-Match on PUT \
                (docs/vaults.md names some), or a folder";
    Fault::precondition(doing, target, answer, hint)
}

/// Neither done nor failed in the time that it has.
pub(super) fn hung(doing: &str, target: &str, patience: Duration) -> Fault {
    let answer = format!("no end within {patience:?}");
    Fault::new(FaultKind::Unreachable, doing, target, answer)
        .with_hint("is the share mounted and its server up, is the store reachable?")
        .with_retry()
        .with_unknown_effect()
}

/// What a store's library says. `changes`: whether the request may have had an effect.
pub(super) fn of_store(doing: &str, target: &str, error: &object_store::Error, changes: bool) -> Fault {
    let fault = classified(doing, target, error);
    if changes { fault } else { Fault { effect: Effect::None, ..fault } }
}

const MAKE_ROOM: &str = "make room, then start again";
const LOGIN: &str =
    "the store refuses this login: check the key and what it may do (docs/vaults.md lists the rights)";

fn classified(doing: &str, target: &str, error: &object_store::Error) -> Fault {
    let fault = |kind, answer: String| Fault::new(kind, doing, target, answer);
    if let Some(answer) = find::<StoreAnswer>(error) {
        return answered(doing, target, answer);
    }
    if let Some(no_login) = find::<NoLogin>(error) {
        return fault(FaultKind::Unauthorised, no_login.to_string()).with_hint(
            "set the cloud's usual variables, or the login in the configuration (docs/vaults.md)",
        );
    }
    if find::<TooLong>(error).is_some() {
        return damaged_at(doing, target, TooLong.to_string());
    }
    if let Some(http) = find::<HttpError>(error) {
        let fault = fault(FaultKind::Unreachable, deepest(http))
            .with_hint("see whether the store is up, and what lies between here and there")
            .with_retry();
        let sent = http.kind() != HttpErrorKind::Connect;
        return if sent { fault.with_unknown_effect() } else { fault };
    }
    match error {
        object_store::Error::NotFound { .. } => {
            fault(FaultKind::Absent, "404".into()).with_hint("do the bucket and the address fit together?")
        }
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            fault(FaultKind::Unauthorised, deepest(error)).with_hint(LOGIN)
        }
        _ => fault(FaultKind::Refused, deepest(error)),
    }
}

/// By the store's own words where the status says too little.
fn answered(doing: &str, target: &str, answer: &StoreAnswer) -> Fault {
    const FULL: [&str; 3] = ["InsufficientStorage", "XMinioStorageFull", "QuotaExceeded"];
    let fault = |kind| Fault::new(kind, doing, target, answer.to_string());
    let code = answer.code.as_str();
    if answer.status == 507 || FULL.iter().any(|word| code.contains(word)) {
        return fault(FaultKind::Storage).with_hint(MAKE_ROOM).with_retry();
    }
    match answer.status {
        0 => fault(FaultKind::Usage).with_hint("give an https address, or say `allow_http: true`"),
        401 | 403 if code.contains("TimeTooSkewed") => fault(FaultKind::Unauthorised)
            .with_hint("the clocks of this machine and of the store differ: set them"),
        401 | 403 => fault(FaultKind::Unauthorised).with_hint(LOGIN),
        404 => fault(FaultKind::Absent).with_hint("create the bucket first, or mend its name"),
        300..=399 => {
            fault(FaultKind::Refused).with_hint("the bucket lives elsewhere: check `region` and `endpoint`")
        }
        405 => fault(FaultKind::Refused).with_hint("it can be read only: choose one that can be written to"),
        501 => fault(FaultKind::Precondition)
            .with_hint("the store lacks what a vault needs: use one that honours If-None-Match on PUT"),
        429 => fault(FaultKind::Refused).with_retry().with_hint("the store has too much to do; try later"),
        502..=504 => fault(FaultKind::Unreachable)
            .with_retry()
            .with_unknown_effect()
            .with_hint("the store, or what a proxy leads to, is not up"),
        500.. => fault(FaultKind::Refused)
            .with_retry()
            .with_unknown_effect()
            .with_hint("its own log says why; some stores answer like this when they have no room left"),
        _ => fault(FaultKind::Refused).with_hint("is this the address of an object store?"),
    }
}

/// The first error of a kind in the chain.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
