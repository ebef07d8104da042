//! The vault in a folder: what only a file system can do to it. Nothing here needs a network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use c8keep_core::fault::{Effect, FaultKind};
use c8keep_engine::ports::Vault;

use crate::vault::{FolderVault, Patience, contract, sha256_hex};

const MANIFEST: &str = "default/backups/17/manifest.json";

fn vault() -> (FolderVault, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (FolderVault::new(folder.path().join("a/vault")).with_parents(), folder)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn every_promise_holds() {
    let (vault, _folder) = vault();
    assert_eq!(contract::holds(&vault, "default").await.unwrap(), 10);
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_written() {
    let (vault, _folder) = vault();
    assert_eq!(vault.read(MANIFEST).await.unwrap(), None);
    assert_eq!(vault.list("default").await.unwrap(), Vec::<String>::new());
    let sha256 = vault.create(MANIFEST, b"{}\n").await.unwrap();
    assert_eq!(sha256, sha256_hex(b"{}\n"));
    assert_eq!(sha256, "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356");
    assert_eq!(vault.read(MANIFEST).await.unwrap().unwrap(), b"{}\n");
    assert_eq!(vault.list("default/").await.unwrap(), [MANIFEST]);
    let file = vault.root().join(MANIFEST);
    assert_eq!((mode(&file), mode(file.parent().unwrap()), mode(vault.root())), (0o600, 0o700, 0o700));
}

#[tokio::test]
async fn sha256sum_can_check_it() {
    let (vault, _folder) = vault();
    vault.create(MANIFEST, b"{\"a\":1}").await.unwrap();
    let folder = vault.root().join("default/backups/17");
    let check = || {
        let run =
            Command::new("sha256sum").args(["-c", "manifest.json.sha256"]).current_dir(&folder).output();
        run.unwrap().status.success()
    };
    assert!(check());
    fs::write(folder.join("manifest.json"), b"{\"a\":2}").unwrap();
    assert!(!check());
}

#[tokio::test]
async fn damage_is_seen_when_reading() {
    let (vault, _folder) = vault();
    vault.create(MANIFEST, b"one").await.unwrap();
    fs::write(vault.root().join(MANIFEST), b"onf").unwrap();
    let fault = vault.read(MANIFEST).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged);
    assert!(fault.answer.contains(&sha256_hex(b"one")) && fault.hint.contains("copy"), "{fault:?}");
}

/// The writer died between the object and its checksum.
#[tokio::test]
async fn a_missing_checksum_is_added_by_writing_again() {
    let (vault, _folder) = vault();
    vault.create(MANIFEST, b"one").await.unwrap();
    let checksum = vault.root().join(format!("{MANIFEST}.sha256"));
    fs::remove_file(&checksum).unwrap();
    assert_eq!(vault.read(MANIFEST).await.unwrap().unwrap(), b"one");
    vault.create(MANIFEST, b"one").await.unwrap();
    assert!(checksum.exists());
}

#[tokio::test]
async fn leftovers_of_a_crash_are_no_objects() {
    let (vault, _folder) = vault();
    vault.create(MANIFEST, b"one").await.unwrap();
    fs::write(vault.root().join("default/backups/17/.new-1-1"), b"half").unwrap();
    assert_eq!(vault.list("default").await.unwrap(), [MANIFEST]);
    let names: Vec<_> = fs::read_dir(vault.root().join("default/backups/17")).unwrap().flatten().collect();
    assert_eq!(names.len(), 3, "our own temporary files are gone: {names:?}");
}

#[tokio::test]
async fn paths_cannot_leave_the_vault() {
    let (vault, _folder) = vault();
    for bad in ["", "/etc/x", "../x", "a/../x", "a//x", "./a", "a/.hidden", "a\\b", "a\nb", "a/", "a.sha256"]
    {
        assert_eq!(vault.create(bad, b"x").await.unwrap_err().kind, FaultKind::Usage, "{bad:?}");
        assert!(vault.read(bad).await.is_err(), "{bad:?}");
    }
    assert!(vault.list("../").await.is_err() && vault.check("../x").await.is_err());
    assert!(!vault.root().exists(), "nothing was made");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_to_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    for (place, words) in
        [("file", "where the folder should be"), ("file/vault", "where a folder should be: ")]
    {
        let vault = FolderVault::new(folder.path().join(place));
        let reader = vault.clone().that_exists();
        for fault in [
            vault.create(MANIFEST, b"x").await.unwrap_err(),
            vault.check("default").await.unwrap_err(),
            vault.could_be_made().await.unwrap_err(),
            reader.list("default").await.unwrap_err(),
        ] {
            assert_eq!((fault.kind, fault.effect), (FaultKind::Precondition, Effect::None), "{fault:?}");
            assert!(fault.answer.contains(words) && fault.target.ends_with(place), "{fault:?}");
            assert_eq!(fault.is_retryable(), fault.doing.starts_with("writing"), "{fault:?}");
        }
    }
}

/// As below /proc, where not even root makes one. Where one can be made, nothing is left of the attempt.
#[tokio::test]
async fn a_place_that_cannot_be_made_is_told() {
    let vault = FolderVault::new("/proc/c8keep-vault");
    for fault in [vault.check("default").await.unwrap_err(), vault.could_be_made().await.unwrap_err()] {
        assert_eq!(fault.kind, FaultKind::Precondition, "{fault:?}");
        assert!(fault.answer.starts_with("it does not exist and cannot be made: "), "{fault:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    FolderVault::new(folder.path().join("vault")).could_be_made().await.unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A volume that is not mounted, or a path that is mistyped: nothing is made there, and nothing is found there, either.
#[tokio::test]
async fn a_place_that_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FolderVault::new(folder.path().join("mnt/vault"));
    for fault in [
        vault.check("default").await.unwrap_err(),
        vault.list("default").await.unwrap_err(),
        vault.read(MANIFEST).await.unwrap_err(),
        vault.create(MANIFEST, b"x").await.unwrap_err(),
        vault.upload("default/dump").await.err().unwrap(),
    ] {
        assert_eq!(fault.kind, FaultKind::Precondition, "{fault:?}");
        assert!(fault.answer.contains("no such folder") && fault.answer.ends_with("/mnt"), "{fault:?}");
        assert!(fault.hint.contains("mounted"), "{fault:?}");
        // The check before a run begins is not made again and again; what a run ends with is.
        assert_eq!(fault.is_retryable(), fault.doing.starts_with("writing"), "{fault:?}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    fs::create_dir(folder.path().join("mnt")).unwrap();
    let reader = vault.clone().that_exists();
    for fault in [reader.list("default").await.unwrap_err(), reader.read(MANIFEST).await.unwrap_err()] {
        assert!(fault.answer.contains("does not exist") && fault.hint.contains("mounted"), "{fault:?}");
    }
    assert_eq!(vault.list("default").await.unwrap(), Vec::<String>::new());
    vault.create(MANIFEST, b"x").await.unwrap();
    assert_eq!(reader.list("default").await.unwrap(), [MANIFEST]);
}

#[tokio::test]
async fn checking_leaves_nothing_behind() {
    let (vault, _folder) = vault();
    vault.check("default").await.unwrap();
    assert_eq!(vault.list("").await.unwrap(), Vec::<String>::new());
    assert!(!vault.root().parent().unwrap().exists(), "folders that it made are gone");
    vault.create(MANIFEST, b"x").await.unwrap();
    vault.check("default").await.unwrap();
    assert_eq!(fs::read_dir(vault.root().join("default")).unwrap().count(), 1, "the others stay");
    assert!(vault.place().starts_with('/') && vault.place().ends_with("a/vault"));
}

#[tokio::test]
async fn an_object_larger_than_any_of_ours_is_not_read() {
    let (vault, _folder) = vault();
    vault.create(MANIFEST, b"x").await.unwrap();
    let file = fs::OpenOptions::new().write(true).open(vault.root().join(MANIFEST)).unwrap();
    file.set_len(64 * 1024 * 1024 + 1).unwrap();
    assert_eq!(vault.read(MANIFEST).await.unwrap_err().kind, FaultKind::Damaged);
}

/// A share that is gone keeps the work for ever: nobody waits for it, and only so many threads are lost to it. A named
/// pipe that nobody writes into stands for such a share.
#[tokio::test]
async fn a_hung_share() {
    let folder = tempfile::tempdir().unwrap();
    let patience = Patience { operation: std::time::Duration::from_millis(40), ..crate::vault::PATIENCE };
    let vault = FolderVault::new(folder.path()).with_patience(patience);
    let pipe = folder.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for _ in 0..6 {
        let fault = vault.read("pipe").await.unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unreachable, "{fault:?}");
        assert!(fault.is_retryable() && fault.answer.contains("no end within"), "{fault:?}");
    }
    // Ends the work that still waits, as the share's return would.
    fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
}

#[test]
fn what_a_file_system_says_is_told_by_its_hint() {
    use std::io::{Error, ErrorKind};
    for (kind, word) in [
        (ErrorKind::StorageFull, "make room"),
        (ErrorKind::QuotaExceeded, "make room"),
        (ErrorKind::ReadOnlyFilesystem, "written to"),
        (ErrorKind::PermissionDenied, "own the folder"),
        (ErrorKind::StaleNetworkFileHandle, "mount it again"),
    ] {
        let fault = crate::vault::fault::storage("writing", Path::new("/v"), &Error::from(kind));
        assert_eq!(fault.kind, FaultKind::Storage);
        assert!(fault.hint.contains(word) && fault.is_retryable(), "{fault:?}");
    }
}
