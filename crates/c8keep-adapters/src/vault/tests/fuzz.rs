//! What may lie in a vault, and what an object store may answer, whoever wrote it.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_core::claim::{CLAIM_FORMAT, Claim, path};
use c8keep_engine::fence::newest_claim;
use c8keep_engine::ports::Vault;
use c8keep_fuzz::{Input, feed, feed_slowly};
use jiff::Timestamp;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderValue, LAST_MODIFIED};

use crate::fuzz::{now, told};
use crate::transport::Scrub;
use crate::vault::wire::StoreAnswer;
use crate::vault::{FolderVault, ObjectVault, Patience, checksum_line, differs, sha256_hex};

const MANIFEST: &str = "default/backups/17/manifest.json";

/// Beside an object, or the object beside it: read as it was written, or told to be damaged.
#[test]
fn checksums() {
    let folder = tempfile::tempdir().unwrap();
    let vault = FolderVault::new(folder.path());
    let file = folder.path().join(MANIFEST);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let good = checksum_line(&sha256_hex(b"{}"), MANIFEST).into_bytes();
    feed_slowly("checksums", std::slice::from_ref(&good), |input| {
        let (object, line) = match input.number % 3 {
            0 => (&input.bytes[..], &good[..]),
            _ => (&b"{}"[..], &input.bytes[..]),
        };
        fs::write(&file, object).unwrap();
        fs::write(file.with_file_name("manifest.json.sha256"), line).unwrap();
        now(async {
            let read = vault.read(MANIFEST).await;
            if let Ok(there) = &read {
                let begin = String::from_utf8_lossy(line);
                assert!(begin.trim_start().starts_with(&sha256_hex(object)), "{begin}");
                assert_eq!(there.as_deref(), Some(object));
            }
            told(read).into_iter().collect()
        })
    });
}

/// The line alone, as many times as one wants.
#[test]
fn checksum_lines() {
    let good = checksum_line(&sha256_hex(b"{}"), MANIFEST).into_bytes();
    assert_eq!(differs(b"{}", &good), None, "an example is one");
    feed("checksum lines", &[good], |input| {
        let fault = |why| crate::vault::fault::damaged_at("reading", MANIFEST, why);
        told(differs(b"{}", &input.bytes).map_or(Ok(()), |why| Err(fault(why)))).into_iter().collect()
    });
}

fn claim(term: u64, renewal: u64) -> Claim {
    Claim {
        format: CLAIM_FORMAT,
        installation: "default".into(),
        term,
        renewal,
        by: "14809@host-a".into(),
        journal: "host-a/88c445e85222aa61b22d9200f8faa678".into(),
        at: Timestamp::UNIX_EPOCH,
        held: None,
        left: term == 1,
    }
}

/// One claim, or one renewal, is another one than it was: the newest is found among those that are there, or there is a fault. That
/// there is none at all would let two hosts in.
#[test]
fn claims() {
    const THERE: [(u64, u64); 4] = [(1, 0), (1, 1), (2, 0), (2, 1)];
    let folder = tempfile::tempdir().unwrap();
    let vault: Arc<dyn Vault> = Arc::new(FolderVault::new(folder.path()));
    fs::create_dir_all(folder.path().join("default/claims")).unwrap();
    let examples = THERE.map(|(term, renewal)| serde_json::to_vec(&claim(term, renewal)).unwrap());
    feed_slowly("claims", &examples, |input| {
        for ((term, renewal), bytes) in THERE.iter().zip(&examples) {
            let damaged = input.pick(&THERE) == (*term, *renewal);
            let bytes = if damaged { &input.bytes } else { bytes };
            fs::write(folder.path().join(path("default", *term, *renewal)), bytes).unwrap();
        }
        now(async {
            let newest = newest_claim(Arc::clone(&vault), "default").await;
            if let Ok(found) = &newest {
                let found = found.as_ref().expect("a claim is there");
                assert_eq!((found.term, found.renewal), (2, 1), "{found:?}");
            }
            told(newest).into_iter().collect()
        })
    });
}

/// A store that answers everything alike, below the vault's own client.
#[derive(Debug, Clone)]
struct Alike {
    status: u16,
    body: Vec<u8>,
}

impl HttpConnector for Alike {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Alike {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        // A list may say for ever that there is more of it: whoever reads it must get to look at the clock.
        tokio::task::yield_now().await;
        if let Some(answer) = StoreAnswer::of(self.status, &self.body, &Scrub::default()) {
            return Err(HttpError::new(answer.repeat(), answer));
        }
        let mut response = HttpResponse::new(bytes::Bytes::from(self.body.clone()).into());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        let headers = response.headers_mut();
        headers.insert(ETAG, HeaderValue::from_static("\"e\""));
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Sun, 22 Nov 2026 00:00:00 GMT"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        Ok(response)
    }
}

const OF_S3: &[u8] = br#"<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>backups</Name>
<Prefix>default/</Prefix><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated><Contents><Key>default/backups/17/manifest.json</Key>
<LastModified>2026-11-22T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>2</Size></Contents><Contents><Key>default/backups/17/manifest.json.sha256</Key>
<LastModified>2026-11-22T00:00:00.000Z</LastModified><ETag>"f"</ETag><Size>81</Size></Contents></ListBucketResult>"#;
const OF_S3_CUT: &[u8] = br"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>n</NextContinuationToken><KeyCount>0</KeyCount></ListBucketResult>";
const OF_AZURE: &[u8] = br#"<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://a.blob.core.windows.net/" ContainerName="backups"><Blobs><Blob>
<Name>default/backups/17/manifest.json</Name><Properties><Creation-Time>Sun, 22 Nov 2026 00:00:00 GMT</Creation-Time><Last-Modified>Sun, 22 Nov 2026 00:00:00 GMT</Last-Modified>
<Etag>0x8</Etag><Content-Length>2</Content-Length><Content-Type>application/json</Content-Type></Properties></Blob></Blobs><NextMarker /></EnumerationResults>"#;
const REFUSED: &[u8] = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>";

/// Lists, objects and refusals of the three clouds, as the vault reads them.
#[test]
fn object_stores() {
    let examples = [OF_S3, OF_S3_CUT, OF_AZURE, REFUSED, b"{}"].map(<[u8]>::to_vec);
    // A list that never ends is left after ten operations.
    let brief = Duration::from_millis(20);
    let patience = Patience { operation: brief, request: brief, retries: 0 };
    for (example, number) in [(OF_S3, 0), (OF_AZURE, 22), (OF_S3, 33)] {
        let input = Input { bytes: example.to_vec(), number };
        let vault = ObjectVault::new(store(&input), "x://backups", "");
        now(async {
            assert_eq!(vault.list("default/backups").await.unwrap(), [MANIFEST], "an example is one");
            Vec::new()
        });
    }
    feed_slowly("object stores", &examples, |input| {
        let vault = ObjectVault::new(store(input), "x://backups/camunda", "").with_patience(patience);
        now(async {
            let listed = vault.list("default/backups").await;
            let names = listed.iter().flatten();
            assert!(names.clone().all(|name| !name.contains("/.") && !name.ends_with(".sha256")));
            [
                told(listed),
                told(vault.read(MANIFEST).await),
                told(vault.create(MANIFEST, b"other bytes").await),
            ]
            .into_iter()
            .flatten()
            .collect()
        })
    });
}

fn store(input: &Input) -> Arc<dyn ObjectStore> {
    const KEY: &str =
        r#"{"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true}"#;
    let status = input.pick(&[200, 200, 200, 201, 206, 301, 403, 404, 409, 412, 500]);
    let alike = Alike { status, body: input.bytes.clone() };
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    match input.number / 16 % 3 {
        0 => {
            let builder = AmazonS3Builder::new().with_bucket_name("backups").with_region("eu-central-1");
            let builder = builder.with_access_key_id("AKIA").with_secret_access_key("x");
            Arc::new(builder.with_retry(once).with_http_connector(alike).build().unwrap())
        }
        1 => {
            let builder = MicrosoftAzureBuilder::new().with_account("a").with_container_name("backups");
            let builder = builder.with_access_key("eHh4eA==");
            Arc::new(builder.with_retry(once).with_http_connector(alike).build().unwrap())
        }
        _ => {
            let builder = GoogleCloudStorageBuilder::new().with_bucket_name("backups");
            let builder = builder.with_service_account_key(KEY);
            Arc::new(builder.with_retry(once).with_http_connector(alike).build().unwrap())
        }
    }
}
