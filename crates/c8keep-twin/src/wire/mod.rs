//! What the servers answer, exactly: one pure function from a request to a response.
//!
//! Every format here was taken from answers of real servers (`tests/fixtures`), or, where a server cannot be had, from
//! the documents' own example answers. It must never be kinder than the real servers are.

pub mod actuator;
pub mod apps;
pub mod configprops;
pub mod management;
mod parameters;
mod progress;
mod repositories;
pub mod runtime;
pub mod search;
pub mod snapshots;
pub mod status;
mod tracked;

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::host::Host;
use crate::world::World;
use crate::world::faults::hits;

/// Content type of most actuator endpoints.
pub const ACTUATOR: &str = "application/vnd.spring-boot.actuator.v3+json";
pub const JSON: &str = "application/json";
pub const PROBLEM: &str = "application/problem+json";

/// A request, free of any transport.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body; `target` may carry a query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let query = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "true"));
            (decode(name), decode(value))
        });
        Self { method: method.to_owned(), path: path.to_owned(), query: query.collect(), ..Self::default() }
    }

    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.headers.insert("content-type".to_owned(), JSON.to_owned());
        self.body = body.to_string().into_bytes();
        self
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query.get(name).is_some_and(|value| value == "true" || value.is_empty())
    }

    /// Path segments, percent-decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
    }
}

/// What comes back: an answer, or nothing at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    Answer(Answer),
    /// The connection is closed without a byte.
    Dropped,
}

/// An HTTP answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// A real server would send this answer only at this instant; who has a clock may wait for it.
    pub ready_at: Option<Timestamp>,
    /// Who has waited sends this instead and passes that answer on: how `wait_for_completion` is served.
    pub then: Option<Box<Request>>,
}

impl Answer {
    pub fn json(status: u16, content_type: &str, body: &Value) -> Self {
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            body: body.to_string().into_bytes(),
            ..Self::default()
        }
    }

    pub fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            body: body.as_bytes().to_vec(),
            ..Self::default()
        }
    }

    pub fn no_content() -> Self {
        Self { status: 204, ..Self::default() }
    }

    #[must_use]
    pub(crate) fn after(mut self, world: &World, millis: u32) -> Self {
        self.ready_at = Some(crate::world::timestamp(world.at() + crate::world::millis(millis)));
        self
    }

    /// The body as JSON; null if it is none.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

impl Response {
    /// The answer, if there is one.
    pub fn answer(self) -> Option<Answer> {
        match self {
            Self::Answer(answer) => Some(answer),
            Self::Dropped => None,
        }
    }
}

/// Sends one request to one host of the installation at `now`.
pub fn handle(world: &mut World, host: Host, request: &Request, now: Timestamp) -> Response {
    world.advance(now);
    world.answers += 1;
    let host = world.behind(host);
    let gone = matches!(host, Host::Broker(node) if world.down.contains_key(&node));
    if gone || world.faults.unreachable.contains(&host) || !world.hosts().contains(&host) {
        return Response::Dropped;
    }
    if world.faults.html.contains(&host) {
        let page =
            "<!doctype html>\n<html><head><title>Sign in</title></head><body>Please sign in.</body></html>\n";
        return Response::Answer(Answer::text(200, "text/html;charset=utf-8", page));
    }
    if world.faults.broken.contains(&host) {
        return Response::Answer(spring_error(world, 500, "Internal Server Error", &request.path));
    }
    let Some(inside) = below_context(world.config.contexts.of(host), request) else {
        return Response::Answer(not_found(world, request));
    };
    let request = inside.as_ref();
    let answer = match host {
        Host::Search => search::answer(world, request),
        Host::Rest => management::rest(world, request),
        Host::Broker(node) => management::broker(world, node, request),
        Host::Operate | Host::Tasklist | Host::Optimize => apps::answer(world, host, request),
        // Nobody is behind the shared address.
        Host::Gateway => return Response::Dropped,
    };
    let changes = matches!(request.method.as_str(), "POST" | "PUT" | "DELETE");
    if changes && hits(&world.faults.answers_lost, &request.path) {
        return Response::Answer(Answer::text(
            504,
            "text/html",
            "<html><body>504 Gateway Time-out</body></html>",
        ));
    }
    Response::Answer(answer)
}

/// The request as the server behind a context path sees it; none if it is not below that path.
fn below_context<'a>(context: &str, request: &'a Request) -> Option<Cow<'a, Request>> {
    if context.is_empty() {
        return Some(Cow::Borrowed(request));
    }
    let path = request.path.strip_prefix(context).filter(|path| path.is_empty() || path.starts_with('/'))?;
    Some(Cow::Owned(Request { path: path.to_owned(), ..request.clone() }))
}

impl World {
    /// The shared management address leads to one broker that is up, as a Kubernetes service does.
    fn behind(&self, host: Host) -> Host {
        let shared = host == Host::Gateway && !self.faults.html.contains(&host);
        if !shared || self.faults.unreachable.contains(&host) {
            return host;
        }
        let mut up = (0..self.config.brokers.max(1)).filter(|node| !self.down.contains_key(node));
        let count = up.clone().count().max(1) as u64;
        let turn = if self.config.gateways_in_turn { self.answers % count } else { 0 };
        up.nth(usize::try_from(turn).unwrap_or(0)).map_or(host, Host::Broker)
    }
}

/// Spring's error page, as JSON.
pub(crate) fn spring_error(world: &World, status: u16, error: &str, path: &str) -> Answer {
    let timestamp = crate::world::timestamp(world.at()).strftime("%Y-%m-%dT%H:%M:%S.%3f+00:00").to_string();
    let body = serde_json::json!({"timestamp": timestamp, "status": status, "error": error, "path": path});
    Answer::json(status, JSON, &body)
}

pub(crate) fn not_found(world: &World, request: &Request) -> Answer {
    spring_error(world, 404, "Not Found", &request.path)
}

/// Undoes percent-encoding; what is not valid UTF-8 afterwards is replaced.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        if let Some(value) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            plain.push(value);
            at += 3;
        } else {
            plain.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}
