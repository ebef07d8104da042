//! A vault in a folder. Every object is written once: beside it lies `<object>.sha256` in the form that
//! `sha256sum -c` reads, and reading compares the two.
//!
//! Nothing here ever writes over an object, or removes one. A crash leaves an object whole or not there at all; a name
//! that begins with a dot is a leftover of a crash and no object.

mod fault;
mod folder;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::Vault;
use sha2::{Digest, Sha256};

/// A vault in a folder of this machine.
#[derive(Debug, Clone)]
pub struct FolderVault {
    root: PathBuf,
    /// Folders of which this process has made sure that they survive a power cut.
    lasting: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl FolderVault {
    /// The folder is created with the first object, not before: reading verbs leave no trace.
    pub fn new(root: impl Into<PathBuf>) -> FolderVault {
        FolderVault { root: root.into(), lasting: Arc::default() }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs file work where it does not hold up the network.
    async fn blocking<T, F>(&self, doing: &'static str, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> Result<T, Fault> + Send + 'static,
    {
        let root = self.root.clone();
        let place = self.place();
        let ended = tokio::task::spawn_blocking(move || work(&root)).await;
        ended.unwrap_or_else(|_| {
            Err(Fault::new(FaultKind::Storage, doing, place, "the work was cut off").with_unknown_effect())
        })
    }
}

#[async_trait]
impl Vault for FolderVault {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        let doing = "writing into the vault";
        let object = folder::object(doing, path)?;
        let bytes = bytes.to_vec();
        let lasting = Arc::clone(&self.lasting);
        self.blocking(doing, move |root| folder::create(root, &object, &bytes, &lasting)).await
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        let doing = "reading from the vault";
        let object = folder::object(doing, path)?;
        self.blocking(doing, move |root| folder::read(root, &object)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let doing = "listing the vault";
        let below = prefix.trim_end_matches('/');
        let below = if below.is_empty() { PathBuf::new() } else { folder::object(doing, below)? };
        self.blocking(doing, move |root| folder::list(root, &below)).await
    }

    async fn check(&self, installation: &str) -> Result<(), Fault> {
        let doing = "checking that the vault can be written to";
        let folder_of = folder::object(doing, installation)?.join("doctor");
        self.blocking(doing, move |root| folder::check(root, &folder_of)).await
    }
}

/// SHA-256 in lower-case hex, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
    Sha256::digest(bytes).iter().copied().flat_map(digits).collect()
}
