//! The HTTP client under the object stores' library: the same manners as the transport of everything else (no redirects,
//! no proxies of the environment, bodies with a limit, plain HTTP only where it is allowed), and answers kept so that a
//! fault can name them.
//!
//! It knows no store's dialect beyond the two words in an error: code and message.

use std::error::Error;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use object_store::{ClientConfigKey, ClientOptions};

use super::OBJECT_BYTES_MAX;
use crate::transport::{Scrub, excerpt, mannered};

/// What a store answered when it did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoreAnswer {
    /// HTTP status.
    pub(super) status: u16,
    /// The store's own word for it, such as `NoSuchBucket`; may be empty.
    pub(super) code: String,
    /// What it says about it.
    pub(super) message: String,
}

/// Nobody told a login, and the place where a machine in the cloud gets one does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NoLogin(pub(super) String);

/// An answer with more bytes than any object of ours.
#[derive(Debug)]
pub(super) struct TooLong;

/// Makes clients for the library.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) request: Duration,
}

/// How long a machine's own metadata service may take: it is next door, or this is no machine in a cloud.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// An error has said what it has to say by then.
const ANSWER_BYTES_READ: usize = 64 * 1024;

const FORM: &[u8] = b"application/x-www-form-urlencoded";

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    allow_http: bool,
}

impl HttpConnector for Wire {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = mannered()
            .timeout(self.request)
            .build()
            .map_err(|error| object_store::Error::Generic { store: "HTTP", source: Box::new(error) })?;
        let allow_http =
            options.get_config_value(&ClientConfigKey::AllowHttp).is_some_and(|value| value == "true");
        Ok(HttpClient::new(Service { client, allow_http }))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let plain = request.uri().scheme_str() != Some("https");
        if is_metadata(&host) {
            let asked =
                tokio::time::timeout(METADATA_TIMEOUT, HttpService::call(&self.client, request)).await;
            return match asked {
                Ok(Ok(answer)) if answer.status().is_success() => Ok(answer),
                Ok(Ok(answer)) => Err(no_login(format!("{host} answered {}", answer.status().as_u16()))),
                Ok(Err(error)) => Err(no_login(format!("{host}: {}", deepest(&error)))),
                Err(_) => Err(no_login(format!("{host} did not answer"))),
            };
        }
        if plain && !self.allow_http {
            let answer = "plain HTTP beyond this machine would show everything to whoever listens";
            return Err(HttpError::new(HttpErrorKind::Unknown, refused_by_us(answer)));
        }
        let secrets = secrets_of(&request);
        let (parts, body) = HttpService::call(&self.client, request).await?.into_parts();
        let body = collect(body).await?;
        let status = parts.status.as_u16();
        match StoreAnswer::of(status, &body, &secrets) {
            Some(answer) => Err(HttpError::new(answer.repeat(), answer)),
            None => Ok(HttpResponse::from_parts(parts, body.freeze().into())),
        }
    }
}

impl StoreAnswer {
    /// An answer that the library has no word for. What it understands passes: 404, 409 and 412 are the words for "there
    /// is none" and "there is one already", unless it is the bucket itself that is not there. What was sent and must not come
    /// back is taken out before anything is cut off.
    pub(super) fn of(status: u16, body: &[u8], secrets: &Scrub) -> Option<StoreAnswer> {
        let body = secrets.apply(&String::from_utf8_lossy(&body[..body.len().min(ANSWER_BYTES_READ)]));
        let body = body.as_bytes();
        let code = between(body, "Code").unwrap_or_default();
        let no_bucket = matches!(code.as_str(), "NoSuchBucket" | "ContainerNotFound");
        match status {
            200..=299 | 304 | 409 | 412 => None,
            404 if !no_bucket => None,
            _ => {
                let message = between(body, "Message").unwrap_or_else(|| excerpt(body));
                Some(StoreAnswer { status, code, message })
            }
        }
    }

    /// Whether the library may make the request again by itself: "not sent" is its word for yes.
    pub(super) fn repeat(&self) -> HttpErrorKind {
        let passing = matches!(self.status, 408 | 429 | 500 | 502..=504);
        if passing { HttpErrorKind::Request } else { HttpErrorKind::Unknown }
    }
}

/// The source of an error that says the most about what happened on the wire.
pub(super) fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    excerpt(deepest.to_string().as_bytes())
}

/// What a request carries that gives access: some stores repeat what they were sent. A shared access signature of Azure
/// stands in the address, everything else in a header or, where a token is asked for, in a form.
fn secrets_of(request: &HttpRequest) -> Scrub {
    const HEADERS: [&str; 2] = ["authorization", "x-amz-security-token"];
    const FIELDS: [&str; 5] = ["sig", "X-Amz-Security-Token", "assertion", "client_secret", "refresh_token"];
    let mut scrub = Scrub::default();
    for value in HEADERS.into_iter().filter_map(|name| request.headers().get(name)?.to_str().ok()) {
        scrub.add(&value.into());
        scrub.add(&value.split_once(' ').map_or(value, |(_, credential)| credential).into());
    }
    let form = request.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(FORM));
    let body =
        request.body().as_bytes().filter(|_| form).map(|body| String::from_utf8_lossy(body).into_owned());
    for text in [request.uri().query(), body.as_deref()].into_iter().flatten() {
        for (name, encoded) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            if FIELDS.contains(&name) {
                scrub.add(&encoded.into());
                let pair = format!("x={encoded}");
                let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
                scrub.add(&decoded.map_or_else(String::new, |(_, value)| value.into_owned()).into());
            }
        }
    }
    scrub
}

async fn collect(body: HttpResponseBody) -> Result<BytesMut, HttpError> {
    let mut bytes = BytesMut::new();
    let mut stream = body.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > OBJECT_BYTES_MAX {
            return Err(HttpError::new(HttpErrorKind::Unknown, TooLong));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// Where the clouds hand out logins to their own machines: link-local addresses, and Google's name for one.
fn is_metadata(host: &str) -> bool {
    let link_local = |ip: IpAddr| matches!(ip, IpAddr::V4(v4) if v4.is_link_local());
    host == "metadata.google.internal" || host.parse().is_ok_and(link_local)
}

/// The text of an element of the small XML documents in which all three clouds tell errors.
fn between(body: &[u8], element: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&body[..body.len().min(4096)]);
    let (_, rest) = text.split_once(&format!("<{element}>"))?;
    let (value, _) = rest.split_once("</")?;
    Some(excerpt(value.as_bytes()))
}

fn no_login(why: String) -> HttpError {
    HttpError::new(HttpErrorKind::Unknown, NoLogin(why))
}

fn refused_by_us(message: &str) -> StoreAnswer {
    StoreAnswer { status: 0, code: String::new(), message: message.into() }
}

impl std::fmt::Display for StoreAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [self.code.as_str(), self.message.as_str()];
        let words = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
        match self.status {
            0 => write!(f, "{words}"),
            status => write!(f, "{}", format!("{status} {words}").trim_end()),
        }
    }
}

impl Error for StoreAnswer {}

impl std::fmt::Display for NoLogin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no login was given, and this machine has none of its own ({})", self.0)
    }
}

impl Error for NoLogin {}

impl std::fmt::Display for TooLong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "more than {OBJECT_BYTES_MAX} bytes")
    }
}

impl Error for TooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, header: (&'static str, &str), body: &str) -> HttpRequest {
        let mut request = HttpRequest::new(body.to_owned().into());
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().insert(header.0, header.1.parse().unwrap());
        request
    }

    /// Some repeat what they were sent, as it was sent or as they read it.
    #[test]
    fn what_was_sent_does_not_come_back() {
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        let plain = ("x", "y");
        for (request, sent) in [
            (
                request("http://s/b?sv=1&sig=canary%2Bsecret%3D", plain, ""),
                ["canary%2Bsecret%3D", "canary+secret="],
            ),
            (
                request("http://s/b", ("authorization", "Bearer canary-token"), ""),
                ["Bearer canary-token", "canary-token"],
            ),
            (
                request("http://s/b", ("x-amz-security-token", "canary-lent"), ""),
                ["canary-lent", "canary-lent"],
            ),
            (
                request("http://s/t", FORM, "grant_type=x&assertion=canary.a.b"),
                ["canary.a.b", "assertion=canary.a.b"],
            ),
        ] {
            let secrets = secrets_of(&request);
            for sent in sent {
                // Cut off in the middle of it, there would be no whole one to take out.
                let long =
                    format!("<Error><Code>No</Code><Message>{}{sent}</Message></Error>", "x".repeat(185));
                for body in [format!("refused: {sent}"), long] {
                    let answer = StoreAnswer::of(403, body.as_bytes(), &secrets).unwrap().to_string();
                    assert!(!answer.contains("canary"), "{answer}");
                }
            }
        }
        assert!(secrets_of(&request("http://s/b?prefix=a&comp=list", plain, "sig=x")).is_empty());
    }

    /// What stores say of themselves when they refuse.
    #[test]
    fn fuzz_store_answers() {
        let examples = [
            br#"<?xml version="1.0"?><Error><Code>NoSuchBucket</Code><Message>none</Message></Error>"#
                .to_vec(),
            br#"{"error": {"code": 403, "message": "denied"}}"#.to_vec(),
        ];
        c8keep_fuzz::feed("store answers", &examples, |input| {
            let status = input.pick(&[301, 403, 404, 500, 507]);
            let answer = StoreAnswer::of(status, &input.bytes, &Scrub::default());
            answer.map(|answer| answer.to_string()).into_iter().collect()
        });
    }
}
