//! HTTP/1.1 over reqwest.

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use c8keep_core::fault::{Fault, FaultKind};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use secrecy::ExposeSecret;

use super::{Method, Request, Response, Transport, TransportError};

/// The real network.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    trusts_platform: bool,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answers seen are lists of snapshots with their indices, some hundred kilobytes.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Below Tomcat's keep-alive of 20 s: a connection that the server is just closing makes a change's outcome unknown.
const IDLE_MAX: Duration = Duration::from_secs(10);
const IDLE_CONNECTIONS_MAX: usize = 4;

impl HttpTransport {
    /// `needs_tls`: whether some endpoint is `https`. Reading the platform's root certificates costs milliseconds and
    /// memory, so it is only done then.
    pub fn new(needs_tls: bool) -> Result<HttpTransport, Fault> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("c8keep/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
        let builder = if needs_tls { builder } else { builder.tls_certs_only([]) };
        let client = builder.build().map_err(|error| {
            Fault::new(FaultKind::Usage, "preparing HTTP", "this machine", cause_of(&error)).with_hint(
                "the platform's root certificates could not be read: are ca-certificates installed?",
            )
        })?;
        Ok(HttpTransport { client, trusts_platform: needs_tls })
    }

    async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, &request.url);
        if let Some(login) = &request.login {
            builder = builder.basic_auth(&login.user, Some(login.password.expose_secret()));
        }
        builder = match &request.body {
            Some(body) => builder.json(body),
            // RFC 9110, 8.6: a POST says so when it has no body; some proxies answer 411 to one that does not.
            None if matches!(request.method, Method::Post | Method::Put) => builder.header(CONTENT_LENGTH, 0),
            None => builder,
        };
        let mut answer = builder.send().await.map_err(|error| failed(&error))?;
        let status = answer.status().as_u16();
        let content_type =
            answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(arrived(format!("{status} with a body of more than {BODY_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, content_type, body: body.freeze() })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        if !self.trusts_platform && request.url.starts_with("https://") {
            let cause = "an https address, but HTTP was prepared without TLS".into();
            return Err(TransportError { cause, may_have_arrived: false });
        }
        let deadline = request.deadline;
        match tokio::time::timeout(deadline, self.exchange(request)).await {
            Ok(result) => result,
            Err(_) => Err(arrived(format!("no whole answer within {deadline:?}"))),
        }
    }
}

fn arrived(cause: String) -> TransportError {
    TransportError { cause, may_have_arrived: true }
}

fn failed(error: &reqwest::Error) -> TransportError {
    // Everything up to a finished TLS handshake counts as connecting to reqwest.
    let may_have_arrived = !error.is_connect() && !error.is_builder();
    let cause = if error.is_dns() {
        format!("the name cannot be resolved ({})", cause_of(error))
    } else if error.is_connect() && error.is_timeout() {
        format!("no connection within {CONNECT_TIMEOUT:?}")
    } else {
        cause_of(error)
    };
    TransportError { cause, may_have_arrived }
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
    // What rustls makes of an answer in plain HTTP.
    if text.contains("InvalidContentType") {
        return "what answers there does not speak TLS".into();
    }
    super::excerpt(text.as_bytes())
}
