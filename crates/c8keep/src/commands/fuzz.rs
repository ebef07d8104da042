//! A vault into which others have written, as `list` and `show` read it.

use std::fs;

use c8keep_adapters::vault::FolderVault;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::words::harmless;
use c8keep_fuzz::feed;
use serde_json::Value;

use super::catalog::{self, Catalog};
use super::{list, show};
use crate::printer;

const ID: u64 = 1_748_937_221;
const MANIFEST: &[u8] = include_bytes!("../../../c8keep-core/fixtures/manifest.json");
const RELEASE: &[u8] = br#"{"run": "backup-1748937221", "paused_at": "2026-11-23T07:28:32Z", "resumed_at": "2026-11-23T07:28:41Z"}"#;

/// What lies in such a folder and is none of ours.
const FOREIGN: [&str; 6] = [
    "README.txt",
    "+1748937221/manifest.json",
    "01748937221/manifest.json",
    "latest/manifest.json",
    "18446744073709551616/manifest.json",
    "99/backup.info",
];

#[test]
fn vaults() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FolderVault::new(folder.path());
    let backups = folder.path().join("default/backups");
    for foreign in FOREIGN {
        fs::create_dir_all(backups.join(foreign).parent().unwrap()).unwrap();
        fs::write(backups.join(foreign), MANIFEST).unwrap();
    }
    let own = backups.join(ID.to_string());
    fs::create_dir(&own).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let read = || {
        let no_journal = Fault::new(FaultKind::Absent, "opening the journal", "journal.db", "none");
        runtime.block_on(catalog::read_all(Ok(&vault), Err(no_journal), "default"))
    };
    let (small, copied) = (small(ID), small(ID + 1));
    fs::write(own.join("manifest.json"), &small).unwrap();
    assert!(read().entries[0].manifest.is_some(), "an example is one");
    feed("vaults", &[small, copied, RELEASE.to_vec()], |input| {
        let of_manifest = input.number % 3 > 0;
        fs::write(own.join("manifest.json"), if of_manifest { &input.bytes } else { MANIFEST }).unwrap();
        fs::write(own.join("release.json"), if of_manifest { RELEASE } else { &input.bytes }).unwrap();
        let mut told = told(&read());
        // As somebody might ask for it.
        let wanted = input.text().chars().take(9_000).collect::<String>();
        let chosen = show::choose(&[], &wanted, "default").err();
        told.extend(chosen.map(|fault| fault.to_string()));
        told
    });
}

/// One of everything, so that every change meets something that counts.
fn small(id: u64) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(MANIFEST).unwrap();
    shorten(&mut manifest);
    manifest["backup"] = id.into();
    // The beginning of a colour, in one character.
    manifest["versions"]["search"] = "8.16.6\u{9b}31m".into();
    serde_json::to_vec(&manifest).unwrap()
}

fn shorten(value: &mut Value) {
    match value {
        Value::Array(all) => {
            all.truncate(1);
            all.iter_mut().for_each(shorten);
        }
        Value::Object(all) => all.values_mut().for_each(shorten),
        _ => {}
    }
}

/// Shown without a cursor that moves, in every form; only faults are short.
fn told(catalog: &Catalog) -> Vec<String> {
    assert!(catalog.entries.iter().all(|entry| entry.backup.get() == ID), "{:?}", catalog.entries);
    let rows = list::rows(catalog, true, None);
    is_plain(&harmless(&list::text(&rows, "default", &[])));
    is_plain(&printer::json(&rows, true));
    is_plain(&printer::yaml(&rows));
    for entry in &catalog.entries {
        let Some(manifest) = &entry.manifest else { continue };
        assert_eq!(manifest.backup, entry.backup);
        is_plain(&harmless(&show::of_manifest(manifest, entry.release.as_ref(), "/vault")));
        is_plain(&printer::json(manifest, true));
        is_plain(&printer::yaml(manifest));
    }
    let faults = catalog.entries.iter().filter_map(|entry| entry.fault.as_ref());
    faults.map(|fault| format!("{fault}\n{}", fault.hint)).collect()
}

fn is_plain(text: &str) {
    let moves = |c: &char| c.is_control() && *c != '\n';
    assert_eq!(text.chars().find(moves), None, "{text:?}");
}
