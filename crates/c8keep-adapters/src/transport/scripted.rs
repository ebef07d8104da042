//! A transport for tests: each answer is given for one expected `METHOD path`, and what was asked is kept.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;

use super::{Request, Response, Transport, TransportError};

/// Answers by script. A request that the script does not know fails like a refused connection.
#[derive(Debug, Default)]
pub(crate) struct Scripted {
    answers: Mutex<BTreeMap<String, Vec<Result<Response, TransportError>>>>,
    asked: Mutex<Vec<Request>>,
}

impl Scripted {
    /// An answer to `"GET /path"`, whatever its query; several for the same request are given in order, the last one
    /// again and again.
    pub(crate) fn on(self, request: &str, status: u16, body: &serde_json::Value) -> Scripted {
        let (content_type, body) = match body {
            serde_json::Value::String(text) => ("text/plain", text.clone()),
            other => ("application/json", other.to_string()),
        };
        self.then(
            request,
            Ok(Response { status, content_type: Some(content_type.into()), body: body.into() }),
        )
    }

    /// Any outcome.
    pub(crate) fn then(self, request: &str, outcome: Result<Response, TransportError>) -> Scripted {
        self.answers.lock().unwrap().entry(request.to_owned()).or_default().push(outcome);
        self
    }

    /// What was asked, oldest first.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let after_scheme = request.url.split_once("://").unwrap().1;
        let path = after_scheme.find('/').map_or("/", |at| &after_scheme[at..]);
        let path = path.split('?').next().unwrap();
        let key = format!("{} {path}", request.method);
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        match answers.get_mut(&key) {
            Some(left) if left.len() > 1 => left.remove(0),
            Some(left) => left[0].clone(),
            None => Err(TransportError::line(format!("not in the script: {key}"), false)),
        }
    }
}
