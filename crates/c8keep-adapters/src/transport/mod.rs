//! The one door to HTTP: a request goes in, a response comes out. Every HTTP adapter speaks through [`Transport`], so
//! the simulator can put a simulated installation there and run the adapters themselves.
//!
//! A transport never follows a redirect, never uses a proxy, never shows a secret, and never judges: what a status or a
//! body means is the adapter's business. It never retries, but for a token that was refused, which it renews once.

mod access;
mod clients;
mod connect_to;
mod endpoint;
mod fault;
mod http;
#[cfg(test)]
pub(crate) mod scripted;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub(crate) use access::Scrub;
pub use access::{Access, AwsKeys, ClientAuth, Command, Credential, Secret, TokenSource, Who};
pub(crate) use clients::mannered;
pub use connect_to::ConnectTo;
pub use endpoint::{Endpoint, path_segment};
pub use fault::{ask, excerpt, excerpt_within, json, status_fault, transport_fault};
pub use http::HttpTransport;
pub use tls::{Tls, TlsTrouble};

/// Sends one request and brings back one response.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Every status is a response, 500 as well; an error means that there is no whole response.
    async fn send(&self, request: Request) -> Result<Response, TransportError>;

    /// Lets a server breathe before it is asked again. Beside [`Transport::send`], because time passes where requests
    /// take theirs: on virtual time in the simulator.
    async fn wait(&self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }
}

/// How long a request may take from start to last byte where the adapter does not say otherwise: the brokers
/// themselves give up on a frozen store after 15 s (seen on 8.6.0: 504 "timed out in PT15S").
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(15);

/// What is asked. Made by [`Endpoint`], which keeps passwords out of the URL.
#[derive(Debug, Clone)]
pub struct Request {
    /// GET, POST, PUT or DELETE.
    pub method: Method,
    /// Absolute, without user and password.
    pub url: String,
    /// With which credentials it is sent, and how.
    pub access: Arc<Access>,
    /// Sent as `application/json`.
    pub body: Option<serde_json::Value>,
    /// For the whole exchange, body included.
    pub deadline: Duration,
}

/// The methods that the servers know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, 3xx included.
    pub status: u16,
    /// The `content-type`, as sent.
    pub content_type: Option<String>,
    /// The body, whole.
    pub body: Bytes,
}

/// There is no whole response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct TransportError {
    /// One line, the innermost useful cause.
    pub cause: String,
    /// Whether the server may have seen the request.
    pub may_have_arrived: bool,
    /// Where it failed.
    pub trouble: Trouble,
}

/// Where a request failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// On the way, or at the other end.
    #[default]
    Line,
    /// In the TLS handshake.
    Tls(TlsTrouble),
    /// Here: the platform's root certificates cannot be read.
    NoTls,
    /// Before it: the credentials to send could not be got.
    Credentials,
}

impl TransportError {
    /// An error on the way, or at the other end.
    pub fn line(cause: impl Into<String>, may_have_arrived: bool) -> TransportError {
        TransportError { cause: cause.into(), may_have_arrived, trouble: Trouble::Line }
    }
}

impl Request {
    /// The same with a JSON body.
    #[must_use]
    pub fn with_body(mut self, body: serde_json::Value) -> Request {
        self.body = Some(body);
        self
    }

    /// The same with another deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Request {
        self.deadline = deadline;
        self
    }

    /// `POST http://host:9600/actuator/…`, for messages; a list of a hundred index names is cut.
    pub fn describe(&self) -> String {
        const CHARS_MAX: usize = 200;
        match self.url.char_indices().nth(CHARS_MAX) {
            Some((at, _)) => format!("{} {}…", self.method, &self.url[..at]),
            None => format!("{} {}", self.method, self.url),
        }
    }
}

impl Method {
    /// Whether it may change something at the other end.
    pub fn changes(self) -> bool {
        self != Method::Get
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Delete => "DELETE",
        })
    }
}

impl Response {
    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
