//! A vault on an object store: the port's promises over create-only puts.

use std::sync::Arc;

use async_trait::async_trait;
use c8keep_core::fault::{Effect, Fault, FaultKind};
use c8keep_engine::ports::{Upload, Vault};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::upload::StoreUpload;
use super::{
    CHECKSUM, OBJECT_BYTES_MAX, OBJECTS_MAX, PATIENCE, Patience, checksum_line, differs, fault, path,
    sha256_hex,
};

/// A vault on an object store, below a prefix of one bucket.
#[derive(Debug, Clone)]
pub struct ObjectVault {
    store: Arc<dyn ObjectStore>,
    place: String,
    prefix: String,
    patience: Patience,
}

/// How often a create whose answer was lost is sent again, once it was read back and is not there.
const CREATES_MAX: usize = 3;
/// A list is read a thousand names at a time, and each thousand may take as long as an operation.
const LIST_OPERATIONS_MAX: u32 = 10;

/// How a put that must not write over anything ended.
enum Put {
    Created,
    Exists,
}

impl ObjectVault {
    /// `place`: the address for people, without a secret. `prefix`: where in the bucket the vault begins; may be empty.
    pub fn new(store: Arc<dyn ObjectStore>, place: &str, prefix: &str) -> ObjectVault {
        let prefix = prefix.trim_matches('/');
        ObjectVault {
            store,
            place: place.trim_end_matches('/').to_owned(),
            prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") },
            patience: PATIENCE,
        }
    }

    /// The same with other limits.
    pub(super) fn with_patience(self, patience: Patience) -> ObjectVault {
        ObjectVault { patience, ..self }
    }

    /// Names are what they are: nothing is rewritten, so what was created under a name is listed under it.
    fn key(&self, doing: &str, path: &str) -> Result<Path, Fault> {
        Path::parse(format!("{}{path}", self.prefix)).map_err(|error| {
            Fault::new(FaultKind::Usage, doing, format!("vault path {path:?}"), error.to_string())
        })
    }

    pub(super) fn target(&self, path: &str) -> String {
        format!("{}/{path}", self.place)
    }

    /// Ends what takes longer than it may; the store may still be working on it.
    pub(super) async fn within<T>(
        &self,
        doing: &str,
        path: &str,
        work: impl Future<Output = Result<T, Fault>> + Send,
    ) -> Result<T, Fault> {
        let limit = self.patience.operation;
        let ended = tokio::time::timeout(limit, work).await;
        ended.unwrap_or_else(|_| Err(fault::hung(doing, &self.target(path), limit)))
    }

    async fn put(&self, doing: &str, path: &str, bytes: &[u8]) -> Result<Put, Fault> {
        let (key, payload) = (self.key(doing, path)?, PutPayload::from(bytes.to_vec()));
        match self.store.put_opts(&key, payload, PutMode::Create.into()).await {
            Ok(_) => Ok(Put::Created),
            Err(Error::AlreadyExists { .. }) => Ok(Put::Exists),
            Err(error) => Err(fault::of_store(doing, &self.target(path), &error, true)),
        }
    }

    async fn get(&self, doing: &str, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        let failed = |error: &Error| fault::of_store(doing, &self.target(path), error, false);
        let found = match self.store.get(&self.key(doing, path)?).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if found.meta.size > OBJECT_BYTES_MAX as u64 {
            let answer = format!("it has {} bytes, more than {OBJECT_BYTES_MAX}", found.meta.size);
            return Err(fault::damaged_at(doing, self.target(path), answer));
        }
        found.bytes().await.map(|bytes| Some(bytes.to_vec())).map_err(|error| failed(&error))
    }

    /// Refuses a name that something has already: a multipart upload would write over it.
    async fn check_free(&self, doing: &str, path: &str) -> Result<(), Fault> {
        match self.store.head(&self.key(doing, path)?).await {
            Ok(_) => Err(fault::other_bytes(doing, self.target(path))),
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(fault::of_store(doing, &self.target(path), &error, false)),
        }
    }

    /// Whether there is an object of that length.
    pub(super) async fn has(&self, doing: &str, path: &str, bytes: u64) -> bool {
        let Ok(key) = self.key(doing, path) else { return false };
        self.store.head(&key).await.is_ok_and(|found| found.size == bytes)
    }

    /// Creates an object, or finds that the same one is there. An unknown outcome is read back; only an object that is
    /// certainly not there is sent again, and even one that arrives late cannot be written over.
    pub(super) async fn create_once(&self, doing: &str, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        let mut last = None;
        for _ in 0..CREATES_MAX {
            let uncertain = match self.put(doing, path, bytes).await {
                Ok(Put::Created) => return Ok(()),
                Ok(Put::Exists) => None,
                Err(fault) if fault.effect == Effect::None => return Err(fault),
                Err(fault) => Some(fault),
            };
            match (self.get(doing, path).await, uncertain) {
                (Ok(Some(there)), _) if there == bytes => return Ok(()),
                (Ok(Some(_)), _) => return Err(fault::other_bytes(doing, self.target(path))),
                // It was said to exist and does not: a delete was under way (409 of S3), and it may be sent again.
                (Ok(None), uncertain) => last = uncertain,
                (Err(_), Some(fault)) => return Err(fault),
                (Err(fault), None) => return Err(fault.with_unknown_effect()),
            }
        }
        Err(last.unwrap_or_else(|| {
            let answer = "it is said to exist and cannot be read";
            Fault::new(FaultKind::Strange, doing, self.target(path), answer).with_unknown_effect()
        }))
    }

    /// Creates an object twice with different bytes: the second must be refused, and the first must be what is read.
    async fn try_writing(&self, doing: &str, path: &str) -> Result<(), Fault> {
        let (first, second): (&[u8], &[u8]) =
            (b"written and removed by c8keep to see whether it can\n", b"written again\n");
        self.create_once(doing, path, first).await?;
        let again = self.put(doing, path, second).await;
        let there = self.get(doing, path).await;
        // A login that may create and not delete is a good one; the object that it leaves is of no importance.
        let _ = self.store.delete(&self.key(doing, path)?).await;
        match (again?, there?) {
            (Put::Exists, Some(bytes)) if bytes == first => Ok(()),
            (Put::Exists, _) => {
                let answer = "an object that was just written cannot be read as it was written";
                Err(Fault::new(FaultKind::Strange, doing, self.target(path), answer))
            }
            (Put::Created, _) => Err(fault::writes_again(doing, &self.target(path))),
        }
    }
}

#[async_trait]
impl Vault for ObjectVault {
    fn place(&self) -> String {
        self.place.clone()
    }

    async fn create(&self, path: &str, bytes: &[u8]) -> Result<String, Fault> {
        let doing = "writing into the vault";
        path::check(doing, path)?;
        if bytes.len() > OBJECT_BYTES_MAX {
            let answer = format!("an object of {} bytes; {OBJECT_BYTES_MAX} are the limit", bytes.len());
            return Err(Fault::new(FaultKind::Usage, doing, self.target(path), answer));
        }
        let sha256 = sha256_hex(bytes);
        let line = checksum_line(&sha256, path);
        let checksum = format!("{path}{CHECKSUM}");
        self.within(doing, path, async {
            self.create_once(doing, path, bytes).await?;
            // From here on the object is there, whatever fails. The object comes first, as in a folder: two who write
            // different bytes at the same time must not leave one's object beside the other's checksum.
            let settled = self.create_once(doing, &checksum, line.as_bytes()).await;
            settled.map_err(Fault::with_unknown_effect)
        })
        .await?;
        Ok(sha256)
    }

    async fn upload(&self, path: &str) -> Result<Box<dyn Upload>, Fault> {
        let doing = "writing into the vault";
        path::check(doing, path)?;
        let key = self.key(doing, path)?;
        let begun = self.within(doing, path, async {
            self.check_free(doing, path).await?;
            let begun = self.store.put_multipart(&key).await;
            begun.map_err(|error| fault::of_store(doing, &self.target(path), &error, false))
        });
        Ok(Box::new(StoreUpload::new(self.clone(), path.to_owned(), begun.await?)))
    }

    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, Fault> {
        let doing = "reading from the vault";
        path::check(doing, path)?;
        let checksum = format!("{path}{CHECKSUM}");
        let read = self.within(doing, path, async {
            let (bytes, line) = futures::join!(self.get(doing, path), self.get(doing, &checksum));
            let Some(bytes) = bytes? else { return Ok(None) };
            // Without one the writer died between the two; the object itself was whole before it could be seen.
            if let Some(why) = line?.and_then(|line| differs(&bytes, &line)) {
                return Err(fault::damaged_at(doing, self.target(path), why));
            }
            Ok(Some(bytes))
        });
        read.await.map_err(|fault| Fault { effect: Effect::None, ..fault })
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, Fault> {
        let doing = "listing the vault";
        let below = path::prefix(doing, prefix)?;
        let wider = Patience { operation: self.patience.operation * LIST_OPERATIONS_MAX, ..self.patience };
        let all = self.clone().with_patience(wider);
        let listed = all.within(doing, below, async {
            let mut found = Vec::new();
            let below_key = self.key(doing, below)?;
            let mut objects = self.store.list(Some(&below_key));
            let failed = |error: Error| fault::of_store(doing, &self.target(below), &error, false);
            while let Some(object) = objects.try_next().await.map_err(failed)? {
                let Some(name) = object.location.as_ref().strip_prefix(&self.prefix) else { continue };
                if name.ends_with(CHECKSUM) || path::check(doing, name).is_err() {
                    continue;
                }
                found.push(name.to_owned());
                if found.len() > OBJECTS_MAX {
                    let answer = format!("more than {OBJECTS_MAX} objects");
                    return Err(Fault::new(FaultKind::Storage, doing, self.target(below), answer));
                }
            }
            found.sort();
            Ok(found)
        });
        listed.await.map_err(|fault| Fault { effect: Effect::None, ..fault })
    }

    async fn check(&self, installation: &str) -> Result<(), Fault> {
        let doing = "checking that the vault can be written to";
        path::check(doing, installation)?;
        let nanos = jiff::Timestamp::now().as_nanosecond();
        let path = format!("{installation}/doctor/{}-{nanos}", std::process::id());
        let checked = self.within(doing, &path, self.try_writing(doing, &path)).await;
        checked.map_err(|fault| Fault { effect: Effect::None, ..fault })
    }
}
