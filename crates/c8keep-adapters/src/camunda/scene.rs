//! A transport for tests that knows several servers: each answers `METHOD url` with what real ones answered.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::transport::{Request, Response, Transport, TransportError};

/// Several servers. What is not in the scene refuses the connection.
#[derive(Debug, Default)]
pub(crate) struct Scene {
    answers: Mutex<BTreeMap<String, Vec<Response>>>,
    fallbacks: Vec<(String, Response)>,
    asked: Mutex<Vec<Request>>,
}

impl Scene {
    /// An answer to `"GET http://host:port/path"`; several are given in order, the last again and again.
    pub(crate) fn on(self, request: &str, status: u16, body: &Value) -> Scene {
        let body = match body {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let response = Response { status, content_type: None, body: body.into() };
        self.answers.lock().unwrap().entry(request.to_owned()).or_default().push(response);
        self
    }

    /// The same with what a recorded server answered, at the recorded path of another address.
    pub(crate) fn recorded(self, address: &str, name: &str) -> Scene {
        let fixture = fixture(name);
        let text = |key: &str| fixture.request[key].as_str().unwrap().to_owned();
        let request = format!("{} {address}{}", text("method"), text("path"));
        self.on(&request, fixture.status, &fixture.body)
    }

    /// An answer to everything that begins like this and has none of its own.
    pub(crate) fn fallback(mut self, start: &str, status: u16, body: &Value) -> Scene {
        let response = Response { status, content_type: None, body: body.to_string().into() };
        self.fallbacks.push((start.to_owned(), response));
        self
    }

    /// Servers that do not exist are the default; this one exists and answers 404 in JSON, as Spring does.
    pub(crate) fn missing(self, request: &str) -> Scene {
        self.on(request, 404, &json!({"status": 404, "error": "Not Found"}))
    }

    /// `METHOD url` of everything that was asked, oldest first.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(Request::describe).collect()
    }

    /// `METHOD url` of everything that was asked, and by whom.
    pub(crate) fn asked_by(&self) -> Vec<(String, String)> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| (request.describe(), request.access.who().to_string())).collect()
    }

    /// The body of the last request.
    pub(crate) fn last_body(&self) -> Option<Value> {
        self.asked.lock().unwrap().last().and_then(|r| r.body.clone())
    }
}

#[async_trait]
impl Transport for Scene {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let key = request.describe();
        self.asked.lock().unwrap().push(request);
        let mut answers = self.answers.lock().unwrap();
        match answers.get_mut(&key) {
            Some(left) if left.len() > 1 => Ok(left.remove(0)),
            Some(left) => Ok(left[0].clone()),
            None => match self.fallbacks.iter().find(|(start, _)| key.starts_with(start)) {
                Some((_, response)) => Ok(response.clone()),
                None => Err(TransportError::line("connection refused", false)),
            },
        }
    }
}

/// One recorded exchange.
#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    pub(crate) request: Value,
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Reads a recorded exchange, such as `camunda-8.6.0/zeebe/backup-create`.
pub(crate) fn fixture(name: &str) -> Fixture {
    // Whoever feeds discovery asks for the same ones a thousand times.
    static READ: Mutex<BTreeMap<String, Fixture>> = Mutex::new(BTreeMap::new());
    let mut read = READ.lock().unwrap();
    read.entry(name.to_owned()).or_insert_with(|| read_fixture(name)).clone()
}

fn read_fixture(name: &str) -> Fixture {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut all: Value = serde_json::from_str(&text).unwrap();
    let status = u16::try_from(all["response"]["status"].as_u64().unwrap()).unwrap();
    Fixture { request: all["request"].take(), status, body: all["response"]["body"].take() }
}
