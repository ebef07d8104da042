//! A vault in memory: what can be seen in it, and one that is full.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::{Stored, Upload, Vault};
use sha2::{Digest, Sha256};

/// Objects that are whole, by path. Takes so many bytes in all.
#[derive(Clone)]
pub(super) struct Memory {
    seen: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    room: Arc<Mutex<usize>>,
}

struct Object {
    vault: Memory,
    path: String,
    bytes: Vec<u8>,
}

impl Memory {
    pub(super) fn with_room(bytes: usize) -> Memory {
        Memory { seen: Arc::default(), room: Arc::new(Mutex::new(bytes)) }
    }

    /// Everything that can be seen.
    pub(super) fn seen(&self) -> BTreeMap<String, Vec<u8>> {
        self.seen.lock().unwrap().clone()
    }
}

pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn unused<T>() -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Usage, "using the vault", "memory", "only uploads are played"))
}

#[async_trait]
impl Vault for Memory {
    fn place(&self) -> String {
        "memory".into()
    }

    async fn create(&self, _: &str, _: &[u8]) -> Result<String, Fault> {
        unused()
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn Upload>, Fault> {
        Ok(Box::new(Object { vault: self.clone(), path: path.to_owned(), bytes: Vec::new() }))
    }

    async fn read(&self, _: &str) -> Result<Option<Vec<u8>>, Fault> {
        unused()
    }

    async fn list(&self, _: &str) -> Result<Vec<String>, Fault> {
        unused()
    }

    async fn check(&self, _: &str) -> Result<(), Fault> {
        unused()
    }
}

#[async_trait]
impl Upload for Object {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut room = self.vault.room.lock().unwrap();
        let full = || Fault::new(FaultKind::Storage, "writing", "memory", "no space left");
        *room = room.checked_sub(bytes.len()).ok_or_else(full)?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Stored, Fault> {
        let Object { vault, path, bytes } = *self;
        let stored = Stored { bytes: bytes.len() as u64, sha256: sha256_hex(&bytes) };
        vault.seen.lock().unwrap().insert(path, bytes);
        Ok(stored)
    }

    async fn abandon(self: Box<Self>) {}
}
