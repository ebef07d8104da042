//! Stores on bad days: a server on loopback that says exactly what a test wants, in the words of the real ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use c8keep_core::fault::{Effect, FaultKind};
use c8keep_engine::ports::Vault;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::vault::{Login, ObjectVault, Patience, Store};

/// Short, so that no test waits; what waits here waits for something that never comes.
const PATIENCE: Patience =
    Patience { operation: Duration::from_secs(20), request: Duration::from_secs(10), retries: 0 };
const MANIFEST: &str = "default/backups/17/manifest.json";

/// What the server does with one request.
#[derive(Clone)]
enum Act {
    Answer(u16, String),
    /// Takes the request and closes the connection.
    Cut,
    /// Takes the request and says nothing.
    Silence,
}

/// The requests that came: the line, and the header lines.
type Seen = Arc<Mutex<Vec<(String, Vec<String>)>>>;

fn say(status: u16, code: &str) -> Act {
    Act::Answer(status, format!("<Error><Code>{code}</Code><Message>in words</Message></Error>"))
}

fn ok(body: &str) -> Act {
    Act::Answer(200, body.to_owned())
}

/// A server that acts by the number of the request, counted from zero, and what it has seen.
async fn server(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let (kept, act) = (Arc::clone(&seen), Arc::new(act));
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, Arc::clone(&kept), Arc::clone(&act)));
        }
    });
    (url, seen)
}

async fn serve(mut connection: TcpStream, seen: Seen, act: Arc<impl Fn(usize, &str) -> Act>) {
    let mut bytes = Vec::new();
    while connection.read_buf(&mut bytes).await.unwrap_or(0) > 0 {
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let mut lines = head.lines().map(str::to_owned);
        let line = lines.next().unwrap();
        let headers: Vec<String> = lines.collect();
        let length =
            headers.iter().find_map(|h| h.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        if bytes.len() < end + 4 + length {
            continue;
        }
        bytes.drain(..end + 4 + length);
        let nth = {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push((line.clone(), headers));
            seen.len() - 1
        };
        match act(nth, &line) {
            Act::Answer(status, body) => {
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nETag: \"e\"\r\nLast-Modified: Sun, 22 Nov 2026 00:00:00 GMT\r\n\r\n"
                );
                let body = if line.starts_with("head") { "" } else { &body };
                let _ = connection.write_all(format!("{head}{body}").as_bytes()).await;
            }
            Act::Cut => return,
            Act::Silence => std::future::pending().await,
        }
    }
}

fn s3(endpoint: &str) -> Store {
    Store {
        url: "s3://backups/camunda".into(),
        endpoint: Some(endpoint.into()),
        login: Some(Login { id: Some("AKIA".into()), secret: "canary-secret".into() }),
        ..Store::default()
    }
}

async fn vault(act: impl Fn(usize, &str) -> Act + Send + Sync + 'static) -> (ObjectVault, Seen) {
    let (url, seen) = server(act).await;
    (s3(&url).open_with(PATIENCE).unwrap(), seen)
}

fn lines(seen: &Seen) -> Vec<String> {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.iter().map(|(line, _)| line.trim_end_matches(" http/1.1").to_owned()).collect()
}

#[tokio::test]
async fn a_full_vault() {
    for (status, code) in [(507, "InsufficientStorage"), (400, "XMinioStorageFull"), (403, "QuotaExceeded")] {
        let (vault, _) = vault(move |_, _| say(status, code)).await;
        let fault = vault.create(MANIFEST, b"x").await.unwrap_err();
        assert_eq!((fault.kind, fault.effect), (FaultKind::Storage, Effect::None), "{fault:?}");
        assert!(fault.hint.contains("make room") && fault.answer.contains(code), "{fault:?}");
        assert!(fault.is_retryable());
    }
}

/// SeaweedFS without a free volume says no more than this to every PUT.
#[tokio::test]
async fn a_vault_that_is_full_and_says_only_that_it_failed() {
    let (vault, seen) =
        vault(
            |_, line| if line.starts_with("put") { say(500, "InternalError") } else { say(404, "NoSuchKey") },
        )
        .await;
    let fault = vault.create(MANIFEST, b"x").await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Refused, Effect::Unknown), "{fault:?}");
    assert!(fault.hint.contains("no room"), "{fault:?}");
    assert_eq!(lines(&seen).len(), 6, "tried three times, and read back each time: {:?}", lines(&seen));
}

#[tokio::test]
async fn a_read_only_vault() {
    let (vault, _) =
        vault(
            |_, line| if line.starts_with("put") { say(403, "AccessDenied") } else { say(404, "NoSuchKey") },
        )
        .await;
    for fault in [vault.create(MANIFEST, b"x").await.unwrap_err(), vault.check("default").await.unwrap_err()]
    {
        assert_eq!((fault.kind, fault.effect), (FaultKind::Unauthorised, Effect::None), "{fault:?}");
        assert!(fault.target.starts_with("s3://backups/camunda/default/"), "{fault:?}");
        assert!(!fault.is_retryable() && !format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    assert_eq!(vault.read(MANIFEST).await.unwrap(), None);
}

#[tokio::test]
async fn a_slow_vault() {
    let (url, _) = server(|_, _| Act::Silence).await;
    let patience = Patience { operation: Duration::from_millis(60), ..PATIENCE };
    let vault = s3(&url).open_with(patience).unwrap();
    let fault = vault.create(MANIFEST, b"x").await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Unreachable, Effect::Unknown), "{fault:?}");
    for fault in [vault.read(MANIFEST).await.unwrap_err(), vault.list("default").await.unwrap_err()] {
        assert_eq!((fault.kind, fault.effect), (FaultKind::Unreachable, Effect::None), "{fault:?}");
        assert!(fault.answer.contains("no end within"), "{fault:?}");
    }
}

#[tokio::test]
async fn a_vault_that_vanishes() {
    let (vault, _) = vault(|_, _| Act::Cut).await;
    let fault = vault.create(MANIFEST, b"x").await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Unreachable, Effect::Unknown), "{fault:?}");
    assert!(fault.is_retryable() && !fault.hint.is_empty());
    // Nobody listens any more: nothing was sent, so nothing can have happened.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let fault = s3(&url).open_with(PATIENCE).unwrap().create(MANIFEST, b"x").await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Unreachable, Effect::None), "{fault:?}");
}

/// The answer to the create is lost, and the object is there.
#[tokio::test]
async fn a_lost_answer_is_read_back() {
    let (vault, seen) = vault(|nth, line| match nth {
        0 => Act::Cut,
        1 if line.starts_with("get") => ok("one"),
        _ => ok(""),
    })
    .await;
    vault.create(MANIFEST, b"one").await.unwrap();
    let object = format!("/backups/camunda/{MANIFEST}");
    assert_eq!(
        lines(&seen),
        [format!("put {object}"), format!("get {object}"), format!("put {object}.sha256")]
    );
}

/// The end of a large object: its answer is lost, and the object is there.
#[tokio::test]
async fn a_lost_end_of_an_upload_is_read_back() {
    for (length, whole) in [(5, true), (4, false)] {
        let (vault, seen) = vault(move |nth, line| match nth {
            0 => say(404, "NoSuchKey"),
            1 => ok("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"),
            2 => ok(""),
            3 => Act::Cut,
            _ if line.starts_with("head") => ok(&"x".repeat(length)),
            _ => ok(""),
        })
        .await;
        let mut upload = vault.upload("default/dumps/a.zst").await.unwrap();
        upload.write(b"12345").await.unwrap();
        let finished = upload.finish().await;
        assert_eq!(
            finished.as_ref().is_ok_and(|stored| stored.bytes == 5),
            whole,
            "{finished:?} {:?}",
            lines(&seen)
        );
        let unknown = finished.err().is_some_and(|fault| fault.effect == Effect::Unknown);
        assert_eq!(unknown, !whole);
    }
}

/// It is not there: it is sent again, and what arrives late cannot be written over.
#[tokio::test]
async fn a_lost_create_is_sent_again() {
    let (vault, seen) = vault(|nth, _| match nth {
        0 => Act::Cut,
        1 => say(404, "NoSuchKey"),
        _ => ok(""),
    })
    .await;
    vault.create(MANIFEST, b"one").await.unwrap();
    assert_eq!(lines(&seen).len(), 4);
}

#[tokio::test]
async fn a_lost_answer_with_other_bytes_is_a_refusal() {
    let (vault, _) = vault(|nth, _| if nth == 0 { Act::Cut } else { ok("two") }).await;
    let fault = vault.create(MANIFEST, b"one").await.unwrap_err();
    assert_eq!((fault.kind, fault.effect), (FaultKind::Refused, Effect::None), "{fault:?}");
}

/// It takes the header and writes all the same, as some servers that speak like S3 do.
#[tokio::test]
async fn a_store_that_writes_over_objects_is_found_out() {
    let (vault, _) =
        vault(|_, line| if line.starts_with("get") { ok("written again\n") } else { ok("") }).await;
    let fault = vault.check("default").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Precondition);
    assert!(fault.answer.contains("written over") && fault.hint.contains("If-None-Match"), "{fault:?}");
}

#[tokio::test]
async fn what_a_store_says_is_told_by_kind() {
    for (status, code, kind, word) in [
        (403, "RequestTimeTooSkewed", FaultKind::Unauthorised, "clocks"),
        (403, "SignatureDoesNotMatch", FaultKind::Unauthorised, "login"),
        (404, "NoSuchBucket", FaultKind::Absent, "create the bucket"),
        (404, "ContainerNotFound", FaultKind::Absent, "create the bucket"),
        (301, "PermanentRedirect", FaultKind::Refused, "region"),
        (503, "SlowDown", FaultKind::Unreachable, "not up"),
        (501, "NotImplemented", FaultKind::Precondition, "If-None-Match"),
    ] {
        let (vault, _) = vault(move |_, _| say(status, code)).await;
        for fault in [vault.read(MANIFEST).await.unwrap_err(), vault.list("default").await.unwrap_err()] {
            assert_eq!((fault.kind, fault.effect), (kind, Effect::None), "{code}: {fault:?}");
            assert!(fault.hint.contains(word), "{code}: {fault:?}");
            assert!(fault.answer.contains(code) && fault.answer.contains("in words"), "{code}: {fault:?}");
        }
    }
}

#[tokio::test]
async fn an_object_larger_than_any_of_ours_is_not_taken_in() {
    // Told in the head; nothing of the body is sent.
    let (vault, _) = vault(|_, _| Act::Answer(200, "x".repeat(super::super::OBJECT_BYTES_MAX + 1))).await;
    let fault = vault.read(MANIFEST).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Damaged, "{fault:?}");
}

/// The shape of what Google is asked: no server that can be had as a package speaks all of it.
#[tokio::test]
async fn google_is_asked_for_generation_zero() {
    let (url, seen) = server(|nth, line| match nth {
        0 => say(412, "PreconditionFailed"),
        _ if line.starts_with("get") => ok("one"),
        _ => ok(""),
    })
    .await;
    let key = format!(
        r#"{{"private_key":"","private_key_id":"","client_email":"","gcs_base_url":"{url}","disable_oauth":true}}"#
    );
    let google = Store {
        url: "gs://backups/camunda".into(),
        endpoint: Some(url),
        login: Some(Login { id: None, secret: key.into() }),
        ..Store::default()
    };
    let vault = google.open_with(PATIENCE).unwrap();
    vault.create(MANIFEST, b"one").await.unwrap();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let object = "/backups/camunda%2fdefault%2fbackups%2f17%2fmanifest%2ejson";
    let lines: Vec<&str> = seen.iter().map(|(line, _)| line.as_str()).collect();
    let expected = [
        format!("put {object} http/1.1"),
        format!("get {object} http/1.1"),
        format!("put {object}%2esha256 http/1.1"),
    ];
    assert_eq!(lines, expected);
    for (line, headers) in seen.iter().filter(|(line, _)| line.starts_with("put")) {
        assert!(headers.contains(&"x-goog-if-generation-match: 0".to_owned()), "{line}: {headers:?}");
    }
}

/// And S3: the header that makes a put one that only creates.
#[tokio::test]
async fn s3_is_asked_with_if_none_match() {
    let (vault, seen) = vault(|_, _| ok("")).await;
    vault.create(MANIFEST, b"one").await.unwrap();
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert!(seen.iter().all(|(_, headers)| headers.contains(&"if-none-match: *".to_owned())), "{seen:?}");
}

#[test]
fn addresses_that_cannot_be_meant_are_refused() {
    let with = |url: &str, endpoint: Option<&str>| Store {
        url: url.into(),
        endpoint: endpoint.map(str::to_owned),
        ..s3("https://x")
    };
    for (store, word) in [
        (with("ftp://b/p", None), "not known"),
        (with("s3://", None), "bucket"),
        (with("s3://AKIA:canary-secret@b/p", None), "bucket and a prefix"),
        (with("s3://b/p", Some("http://minio.example.org")), "plain HTTP"),
        (with("s3://b/p", Some("https://AKIA:canary-secret@minio.example.org")), "login"),
        (with("s3://b/p", Some("minio.example.org:9000")), "https"),
    ] {
        let fault = store.open().unwrap_err();
        assert_eq!(fault.kind, FaultKind::Usage);
        assert!(fault.answer.contains(word), "{word}: {fault:?}");
        assert!(!format!("{fault:?}").contains("canary"), "{fault:?}");
    }
    assert!(with("s3://b/p", Some("http://127.0.0.1:9000")).open().is_ok());
    let allowed = Store { allow_http: true, ..with("s3://b/p", Some("http://minio.example.org")) };
    assert!(allowed.open().is_ok());
}
