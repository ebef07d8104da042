//! Everything that reads foreign bytes, fed with what real servers answered and what became of it by chance. No answer may
//! make it panic, take long, or put more than a message into a message.

pub(crate) mod answers;
mod files;
mod wire;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use c8keep_core::fault::Fault;
use c8keep_fuzz::Input;
use serde_json::Value;

use crate::transport::{Request, Response, Transport, TransportError};

/// What servers answer with.
const STATUSES: [u16; 14] = [200, 200, 200, 202, 204, 302, 400, 401, 404, 405, 409, 500, 503, 504];
const TYPES: [Option<&str>; 4] = [None, Some("application/json"), Some("text/html"), Some("text/plain")];

/// A server that answers everything alike.
#[derive(Debug)]
struct Always(Response);

#[async_trait]
impl Transport for Always {
    async fn send(&self, _: Request) -> Result<Response, TransportError> {
        Ok(self.0.clone())
    }

    async fn wait(&self, _: Duration) {}
}

pub(crate) fn response(input: &Input) -> Response {
    let content_type = input.pick(&TYPES).map(str::to_owned);
    Response { status: input.pick(&STATUSES), content_type, body: input.bytes.clone().into() }
}

fn always(input: &Input) -> Arc<Always> {
    Arc::new(Always(response(input)))
}

/// What a person would be told of an answer.
pub(crate) fn told<T: std::fmt::Debug>(answered: Result<T, Fault>) -> Option<String> {
    answered.err().map(|fault| format!("{fault}\n{}", fault.hint))
}

/// The bodies of all recorded answers whose path has one of these in it.
pub(crate) fn recorded(of: &[&str]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")];
    while let Some(folder) = folders.pop() {
        let mut paths: Vec<PathBuf> = folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                folders.push(path);
            } else if of.iter().any(|part| path.to_string_lossy().contains(part)) {
                bodies.push(body(&std::fs::read(&path).unwrap()));
            }
        }
    }
    assert!(!bodies.is_empty(), "nothing is recorded of {of:?}");
    bodies
}

/// Recordings have it in one of two places; what is none is a body itself.
fn body(recording: &[u8]) -> Vec<u8> {
    let Ok(all) = serde_json::from_slice::<Value>(recording) else { return recording.to_vec() };
    let inner = all.get("response").and_then(|response| response.get("body")).or_else(|| all.get("body"));
    match inner {
        Some(Value::String(text)) => text.clone().into_bytes(),
        Some(body) => body.to_string().into_bytes(),
        None => recording.to_vec(),
    }
}

/// Runs it to its end.
pub(crate) fn now(future: impl Future<Output = Vec<String>>) -> Vec<String> {
    // Nothing waits: the transport answers at once.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(future)
}
