//! Large objects on their way into a vault, piece by piece, with their SHA-256 made on the way. Never more than one part is
//! held in memory, and nothing is seen under the object's name before it is whole.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::{Stored, Upload};
use object_store::{MultipartUpload, PutPayload};
use sha2::{Digest, Sha256};

use super::{CHECKSUM, FolderVault, ObjectVault, checksum_line, fault, files, hex};

const DOING: &str = "writing into the vault";

/// S3 wants 5 MiB at least and 10,000 parts at most; a slow line must get one through within a request's time.
const PART_BYTES: usize = 8 * 1024 * 1024;
const PARTS_MAX: usize = 10_000;

/// What is known of the bytes so far.
#[derive(Default)]
struct Count {
    bytes: u64,
    sha256: Sha256,
}

impl Count {
    fn take(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sha256.update(bytes);
    }

    fn stored(self) -> Stored {
        Stored { bytes: self.bytes, sha256: hex(&self.sha256.finalize()) }
    }
}

/// Into a folder.
pub(super) struct FolderUpload {
    vault: FolderVault,
    object: String,
    /// Gone while it is written to, and for good when that was never answered.
    file: Option<File>,
    temporary: PathBuf,
    count: Count,
}

impl FolderUpload {
    pub(super) async fn begin(vault: FolderVault, object: String) -> Result<FolderUpload, Fault> {
        let name = object.clone();
        let (file, temporary) = vault.writing(DOING, move |root| files::begin(root, &name)).await?;
        Ok(FolderUpload { vault, object, file: Some(file), temporary, count: Count::default() })
    }

    fn file(&mut self) -> Result<File, Fault> {
        let lost =
            || Fault::new(FaultKind::Storage, DOING, &self.object, "an earlier piece could not be written");
        self.file.take().ok_or_else(lost)
    }
}

#[async_trait]
impl Upload for FolderUpload {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let (mut file, temporary) = (self.file()?, self.temporary.clone());
        let piece = bytes.to_vec();
        let written = self.vault.blocking(DOING, move |_| match file.write_all(&piece) {
            Ok(()) => Ok(file),
            Err(error) => Err(fault::storage(DOING, &temporary, &error)),
        });
        self.file = Some(written.await?);
        self.count.take(bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Fault> {
        let file = self.file()?;
        let FolderUpload { vault, object, temporary, count, .. } = *self;
        let stored = count.stored();
        let (sha256, lasting) = (stored.sha256.clone(), vault.lasting());
        let work = move |root: &std::path::Path| {
            files::finish(root, &object, (&file, &temporary), &sha256, &lasting)
        };
        vault.blocking(DOING, work).await?;
        Ok(stored)
    }

    async fn abandon(self: Box<Self>) {
        let temporary = self.temporary.clone();
        // A leftover does no harm: its name begins with a dot.
        let _ = self.vault.blocking(DOING, move |_| Ok(std::fs::remove_file(temporary))).await;
    }
}

/// Into an object store, as a multipart upload.
pub(super) struct StoreUpload {
    vault: ObjectVault,
    object: String,
    upload: Box<dyn MultipartUpload>,
    pending: Vec<u8>,
    parts: usize,
    count: Count,
}

impl StoreUpload {
    pub(super) fn new(vault: ObjectVault, object: String, upload: Box<dyn MultipartUpload>) -> StoreUpload {
        StoreUpload { vault, object, upload, pending: Vec::new(), parts: 0, count: Count::default() }
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), Fault> {
        self.parts += 1;
        if self.parts > PARTS_MAX {
            let answer = format!("more than {PARTS_MAX} parts of {PART_BYTES} bytes");
            return Err(Fault::new(FaultKind::Storage, DOING, self.vault.target(&self.object), answer));
        }
        let sent = self.upload.put_part(PutPayload::from(part));
        let (vault, target) = (&self.vault, self.vault.target(&self.object));
        let sent = async { sent.await.map_err(|error| fault::of_store(DOING, &target, &error, false)) };
        vault.within(DOING, &self.object, sent).await
    }
}

#[async_trait]
impl Upload for StoreUpload {
    async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        self.count.take(bytes);
        while self.pending.len() + bytes.len() >= PART_BYTES {
            let (now, later) = bytes.split_at(PART_BYTES - self.pending.len());
            let mut part = std::mem::take(&mut self.pending);
            part.extend_from_slice(now);
            self.send(part).await?;
            bytes = later;
        }
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Stored, Fault> {
        let last = std::mem::take(&mut self.pending);
        if !last.is_empty() || self.parts == 0 {
            self.send(last).await?;
        }
        let StoreUpload { vault, object, mut upload, count, .. } = *self;
        let target = vault.target(&object);
        let completed = async {
            match upload.complete().await {
                Ok(_) => Ok(()),
                // The answer was lost, or its second copy found nothing more to do: only this upload has this name.
                Err(_) if vault.has(DOING, &object, count.bytes).await => Ok(()),
                Err(error) => Err(fault::of_store(DOING, &target, &error, true)),
            }
        };
        vault.within(DOING, &object, completed).await?;
        let stored = count.stored();
        let line = checksum_line(&stored.sha256, &object);
        let checksum = format!("{object}{CHECKSUM}");
        let settled = vault.within(DOING, &checksum, vault.create_once(DOING, &checksum, line.as_bytes()));
        settled.await.map_err(Fault::with_unknown_effect)?;
        Ok(stored)
    }

    async fn abandon(mut self: Box<Self>) {
        // Parts that stay are seen by nobody; a rule of the bucket clears them away.
        let _ = self.vault.within(DOING, &self.object, async { Ok(self.upload.abort().await) }).await;
    }
}
