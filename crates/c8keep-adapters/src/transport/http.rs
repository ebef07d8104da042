//! HTTP/1.1 over reqwest.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use secrecy::SecretString;
use url::Url;

use super::access::{Headers, Scrub};
use super::clients::{CONNECT_TIMEOUT, Clients};
use super::connect_to::{ConnectTo, Place};
use super::tls::{Tls, TlsTrouble};
use super::{Method, Request, Response, Transport, TransportError, Trouble};

/// The real network.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    /// As the platform trusts; an access may bring clients of its own.
    clients: Arc<Clients>,
    connect_to: ConnectTo,
    /// The longest that any answer is waited for.
    patience: Duration,
}

/// What a request carries.
pub(super) enum Content {
    /// JSON.
    Json(Bytes),
    /// A form, encoded.
    Form(String),
}

/// The way to a server.
struct Way {
    client: reqwest::Client,
    url: Url,
    /// Where another place is dialled: which, and the `Host` that the address has.
    elsewhere: Option<(Place, HeaderValue)>,
}

/// The largest answers seen are lists of snapshots with their indices, some hundred kilobytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

impl HttpTransport {
    /// The network as it is. Nothing is opened or read before the first request.
    pub fn new() -> HttpTransport {
        HttpTransport {
            clients: Arc::new(Clients::new(Tls::default())),
            connect_to: ConnectTo::default(),
            patience: Duration::MAX,
        }
    }

    /// The same, waiting for no answer any longer than this, whatever a request allows.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> HttpTransport {
        self.patience = patience;
        self
    }

    /// The same, dialling some addresses elsewhere.
    #[must_use]
    pub fn with_connect_to(mut self, connect_to: ConnectTo) -> HttpTransport {
        self.connect_to = connect_to;
        self
    }

    /// Sends with the credentials of the request; a token that was refused is renewed once. A 401 comes before anything
    /// is carried out, so the same request may follow it, also one that changes something.
    async fn authorised(&self, request: Request) -> Result<Response, TransportError> {
        let Some(source) = request.access.token_source() else { return self.once(&request, None).await };
        let token = source.token(self, None).await?;
        let answer = self.once(&request, Some(token.clone())).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        tracing::debug!("{} answered 401: renewing the token of {source}", request.describe());
        let token = source.token(self, Some(&token)).await?;
        self.once(&request, Some(token)).await
    }

    async fn once(&self, request: &Request, token: Option<SecretString>) -> Result<Response, TransportError> {
        let body = request.body.as_ref().map(|body| Bytes::from(body.to_string()));
        let headers = request.access.headers(request, body.as_deref().unwrap_or_default(), token).await;
        let headers = headers.map_err(|cause| TransportError {
            cause,
            may_have_arrived: false,
            trouble: Trouble::Credentials,
        })?;
        self.exchange(request, headers, body.map(Content::Json)).await
    }

    /// One request and its answer, as they are.
    pub(super) async fn exchange(
        &self,
        request: &Request,
        headers: Headers,
        content: Option<Content>,
    ) -> Result<Response, TransportError> {
        let Headers { map, scrub } = headers;
        let Way { client, url, elsewhere } = self.way_to(request)?;
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let failed = |error: &reqwest::Error| failed(error, elsewhere.as_ref().map(|(place, _)| place));
        let mut builder = client.request(method, url).headers(map);
        if let Some((_, host)) = &elsewhere {
            builder = builder.header(HOST, host);
        }
        builder = match content {
            Some(Content::Json(body)) => builder.header(CONTENT_TYPE, "application/json").body(body),
            Some(Content::Form(form)) => {
                builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form)
            }
            // RFC 9110, 8.6: a POST says so when it has no body; some proxies answer 411 to one that does not.
            None if matches!(request.method, Method::Post | Method::Put) => builder.header(CONTENT_LENGTH, 0),
            None => builder,
        };
        let mut answer = builder.send().await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        let content_type = content_type_of(answer.headers());
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(arrived(format!("{status} with a body of more than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(without_secrets(Response { status, content_type, body: body.freeze() }, &scrub))
    }

    fn way_to(&self, request: &Request) -> Result<Way, TransportError> {
        let not_sent = |cause: String| TransportError::line(cause, false);
        let mut url = Url::parse(&request.url).map_err(|e| not_sent(e.to_string()))?;
        let place = self.connect_to.of(&url).cloned();
        let clients = request.access.clients().unwrap_or(&self.clients);
        let dialled = place.as_ref().map(|place| place.host.as_str());
        let client = clients.get(url.scheme() == "https", dialled).map_err(|error| TransportError {
            cause: format!("TLS cannot be prepared here: {}", cause_of(&error)),
            may_have_arrived: false,
            trouble: Trouble::NoTls,
        })?;
        let Some(place) = place else { return Ok(Way { client, url, elsewhere: None }) };
        // The library takes the host from its resolver and the port from the URL, so the port has to go there; the name
        // stays, and with it what TLS asks for and verifies.
        let host = HeaderValue::try_from(authority(&url)).map_err(|e| not_sent(e.to_string()))?;
        url.set_port(Some(place.port)).map_err(|()| not_sent("an address without a port".into()))?;
        Ok(Way { client, url, elsewhere: Some((place, host)) })
    }
}

impl Default for HttpTransport {
    fn default() -> HttpTransport {
        HttpTransport::new()
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let deadline = request.deadline.min(self.patience);
        match tokio::time::timeout(deadline, self.authorised(request)).await {
            Ok(result) => result,
            Err(_) => Err(arrived(format!("no whole answer within {deadline:?}"))),
        }
    }
}

fn arrived(cause: String) -> TransportError {
    TransportError::line(cause, true)
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn content_type_of(headers: &HeaderMap) -> Option<String> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// An answer that is shown to people must not repeat what we sent. Data stays as it is: a short password may well be a part
/// of a name in it.
fn without_secrets(response: Response, scrub: &Scrub) -> Response {
    if scrub.is_empty() || (response.is_success() && !response.is_html()) {
        return response;
    }
    let body = Bytes::from(scrub.apply(&String::from_utf8_lossy(&response.body)));
    Response { body, ..response }
}

fn failed(error: &reqwest::Error, dialled: Option<&Place>) -> TransportError {
    let way = dialled.map_or_else(String::new, |place| format!(" (dialled at {place}, as connect_to says)"));
    if let Some((trouble, told)) = TlsTrouble::of(error) {
        let may_have_arrived = !error.is_connect() && !trouble.is_before_the_request();
        return TransportError { cause: told + &way, may_have_arrived, trouble: Trouble::Tls(trouble) };
    }
    // Everything up to a finished TLS handshake counts as connecting to reqwest.
    let may_have_arrived = !error.is_connect() && !error.is_builder();
    let cause = if error.is_dns() {
        format!("the name cannot be resolved ({})", cause_of(error))
    } else if error.is_connect() && error.is_timeout() {
        format!("no connection within {CONNECT_TIMEOUT:?}")
    } else {
        cause_of(error)
    };
    TransportError::line(cause + &way, may_have_arrived)
}

/// The innermost cause: the outer ones only repeat the URL.
fn cause_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if let Some(io) = cause.downcast_ref::<std::io::Error>() {
        match io.kind() {
            std::io::ErrorKind::ConnectionRefused => return "connection refused".into(),
            std::io::ErrorKind::ConnectionReset => return "the connection was reset".into(),
            std::io::ErrorKind::UnexpectedEof => return "the connection was closed in the middle".into(),
            _ => {}
        }
    }
    let text = cause.to_string();
    if text.contains("closed before message completed") || text.contains("end of file before message length")
    {
        return "the connection was closed in the middle".into();
    }
    // What hyper makes of a TLS alert, which is how a TLS server answers plain HTTP.
    if text.contains("invalid HTTP version") {
        return "what answers there does not speak plain HTTP".into();
    }
    super::excerpt(text.as_bytes())
}
