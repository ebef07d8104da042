//! Vaults: where manifests, guides and claims are kept. A folder, or S3 (and what speaks like it), Google Cloud Storage
//! and Azure Blob.
//!
//! Every object is written once: beside it lies `<object>.sha256` in the form that `sha256sum -c` reads, and reading
//! compares the two. Nothing here ever writes over an object. Nothing removes one either, but for the object with which
//! [`Vault::check`](c8keep_engine::ports::Vault::check) finds out whether the place can be written to. Nothing waits for
//! ever, not even for a folder on a share that is gone.

pub mod contract;
mod fault;
mod files;
mod folder;
mod objects;
mod path;
mod stores;
#[cfg(test)]
mod tests;
mod unopened;
mod upload;
mod wire;

pub use self::folder::FolderVault;
pub use self::objects::ObjectVault;
pub use self::stores::{Login, Store, is_store};
pub use self::unopened::UnopenedVault;

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Manifests are kilobytes; what is larger than this was not written by us.
const OBJECT_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A list longer than this is of no vault of ours.
const OBJECTS_MAX: usize = 1_000_000;
/// What follows an object's name to make its checksum's.
const CHECKSUM: &str = ".sha256";
/// A hash, two spaces and a name have fewer bytes.
const CHECKSUM_LINE_MAX: usize = 1024;

/// How long things may take. Tests take less.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// For one operation, with everything that is tried again.
    pub(crate) operation: Duration,
    /// For one request to a store, from the first byte to the last.
    pub(crate) request: Duration,
    /// How often a request is made again.
    pub(crate) retries: usize,
}

/// An operation is short enough for a claim that is renewed every 20 s, and long enough for a store that has just been
/// restarted. A list of a million objects takes a thousand requests and has more, see [`objects`].
const PATIENCE: Patience =
    Patience { operation: Duration::from_secs(30), request: Duration::from_secs(12), retries: 2 };

/// The line of a checksum file, as `sha256sum` prints it.
fn checksum_line(sha256: &str, object: &str) -> String {
    let name = object.rsplit('/').next().unwrap_or(object);
    format!("{sha256}  {name}\n")
}

/// What is wrong with an object by the line of its checksum's file; nothing where it is as it was written.
fn differs(object: &[u8], line: &[u8]) -> Option<String> {
    let is = sha256_hex(object);
    let line = String::from_utf8_lossy(&line[..line.len().min(CHECKSUM_LINE_MAX)]);
    let told = line.split_whitespace().next().unwrap_or_default();
    (told != is).then(|| format!("its SHA-256 is {is:?}, written down is {told:?}"))
}

/// SHA-256 in lower-case hex, as `sha256sum` prints it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = |byte: u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]].map(char::from);
    bytes.iter().copied().flat_map(digits).collect()
}
