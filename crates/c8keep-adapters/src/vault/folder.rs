//! A vault in a folder, on a local disk or on a share.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_engine::ports::{Upload, Vault};
use tokio::sync::Semaphore;

use super::upload::FolderUpload;
use super::{PATIENCE, Patience, fault, files, path};

/// Work that a hung share never gives back keeps its thread; there are never more of them than this.
const AT_ONCE_MAX: usize = 4;

/// A vault in a folder. A crash leaves an object whole or not there at all; a name that begins with a dot is a leftover
/// of a crash and no object.
#[derive(Debug, Clone)]
pub struct FolderVault {
    root: PathBuf,
    missing: Missing,
    /// Folders of which this process has made sure that they survive a power cut.
    lasting: Arc<Mutex<BTreeSet<PathBuf>>>,
    slots: Arc<Semaphore>,
    patience: Patience,
}

/// What becomes of a root that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// It is made with the first object, where the folder that holds it is there: of a volume that is not mounted, and of a
    /// path that is mistyped, more is missing.
    Made,
    /// It is made with every folder above it.
    MadeWithParents,
    /// That is a fault, for whoever reads, too: an empty vault and none at all are not the same.
    Told,
}

impl FolderVault {
    /// The folder is created with the first object, not before: reading verbs leave no trace. Whatever is above it must be there.
    pub fn new(root: impl Into<PathBuf>) -> FolderVault {
        FolderVault {
            root: root.into(),
            missing: Missing::Made,
            lasting: Arc::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE_MAX)),
            patience: PATIENCE,
        }
    }

    /// The same in a place that c8keep has chosen itself: the folders above it are made, too.
    #[must_use]
    pub fn with_parents(self) -> FolderVault {
        FolderVault { missing: Missing::MadeWithParents, ..self }
    }

    /// The same for whoever only reads, and wants to know if there is nothing to read from.
    #[must_use]
    pub fn that_exists(self) -> FolderVault {
        FolderVault { missing: Missing::Told, ..self }
    }

    /// Whether the folder, where it is not there yet, could be made; nothing is left of the attempt.
    pub async fn could_be_made(&self) -> Result<(), Fault> {
        self.blocking("looking for the vault", files::could_be_made).await
    }

    /// The same with other limits.
    #[cfg(test)]
    pub(super) fn with_patience(self, patience: Patience) -> FolderVault {
        FolderVault { patience, ..self }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folders that are known to last.
    pub(super) fn lasting(&self) -> Arc<Mutex<BTreeSet<PathBuf>>> {
        Arc::clone(&self.lasting)
    }

    /// Writes, once the root is there. What a run writes at its end is worth trying again: shares come back.
    pub(super) async fn writing<T, F>(&self, doing: &'static str, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> Result<T, Fault> + Send + 'static,
    {
        let missing = self.missing;
        let made = move |root: &Path| files::make_root(doing, root, missing).map_err(Fault::with_retry);
        let work = move |root: &Path| made(root).and_then(|()| work(root));
        self.blocking(doing, work).await
    }

    /// Runs file work where it does not hold up the network, and no longer than patience lasts: the kernel lets nobody
    /// give up on a share that does not answer, so the work goes on and nobody waits for it.
    pub(super) async fn blocking<T, F>(&self, doing: &'static str, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&Path) -> Result<T, Fault> + Send + 'static,
    {
        let root = self.root.clone();
        let slots = Arc::clone(&self.slots);
        let ended = tokio::time::timeout(self.patience.operation, async move {
            let slot = slots.acquire_owned().await;
            tokio::task::spawn_blocking(move || {
                let done = work(&root);
                drop(slot);
                done
            })
            .await
        });
        match ended.await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Fault::new(FaultKind::Storage, doing, self.place(), "the work was cut off")
                .with_unknown_effect()),
            Err(_) => Err(fault::hung(doing, &self.place(), self.patience.operation)),
        }
    }
}

#[async_trait]
impl Vault for FolderVault {
    fn place(&self) -> String {
        self.root.display().to_string()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        let doing = "writing into the vault";
        path::check(doing, path)?;
        let (object, bytes) = (path.to_owned(), bytes.to_vec());
        let lasting = Arc::clone(&self.lasting);
        let work = move |root: &Path| files::create(root, &object, &bytes, &lasting);
        self.writing(doing, work).await
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn Upload>, Fault> {
        path::check("writing into the vault", path)?;
        Ok(Box::new(FolderUpload::begin(self.clone(), path.to_owned()).await?))
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        let doing = "reading from the vault";
        path::check(doing, path)?;
        let object = path.to_owned();
        let missing = self.missing;
        let work = move |root: &Path| files::read(root, &object, missing);
        self.blocking(doing, work).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let doing = "listing the vault";
        let below = path::prefix(doing, prefix)?.to_owned();
        let missing = self.missing;
        let work = move |root: &Path| files::list(root, Path::new(&below), missing);
        self.blocking(doing, work).await
    }

    async fn check(&self, installation: &str) -> Result<(), Fault> {
        let doing = "checking that the vault can be written to";
        path::check(doing, installation)?;
        let folder = format!("{installation}/doctor");
        let missing = self.missing;
        let work = move |root: &Path| files::check(root, Path::new(&folder), missing);
        self.blocking(doing, work).await
    }
}
