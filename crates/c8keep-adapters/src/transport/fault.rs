//! From what the wire did to a fault that somebody tired can act on.

use c8keep_core::fault::{Effect, Fault, FaultKind};
use serde::de::DeserializeOwned;

use super::{Request, Response, Transport, TransportError, Trouble};

/// Sends a request; a missing answer becomes a fault, every answer with a status is returned.
pub async fn ask(transport: &dyn Transport, doing: &str, request: &Request) -> Result<Response, Fault> {
    transport.send(request.clone()).await.map_err(|error| transport_fault(doing, request, &error))
}

/// There was no whole answer: worth repeating, and of unknown effect if a change may have arrived. Credentials that nobody
/// gives out are not had by asking again.
pub fn transport_fault(doing: &str, request: &Request, error: &TransportError) -> Fault {
    let fault = |kind| Fault::new(kind, doing, request.describe(), &error.cause);
    let fault = match error.trouble {
        Trouble::Credentials => fault(FaultKind::Unauthorised).with_hint(no_credentials(request)),
        Trouble::NoTls => fault(FaultKind::Unreachable).with_retry().with_hint(NO_TLS),
        Trouble::Tls(trouble) => fault(FaultKind::Unreachable).with_retry().with_hint(trouble.hint()),
        Trouble::Line => {
            fault(FaultKind::Unreachable).with_retry().with_hint(line_hint(request, &error.cause))
        }
    };
    if request.method.changes() && error.may_have_arrived { fault.with_unknown_effect() } else { fault }
}

/// A status that the adapter has no better word for: 401 and 403 are `Unauthorised`, 404 is `Absent`, 429 and all 5xx
/// are worth repeating, the rest is `Refused`. A change that fails on the server's side (5xx) has an unknown effect:
/// half of the work may be done by then (seen on 8.6.0 when one of three brokers is gone).
pub fn status_fault(doing: &str, request: &Request, response: &Response) -> Fault {
    let answer = format!("{} {}", response.status, excerpt(&response.body)).trim_end().to_owned();
    let fault = |kind| Fault::new(kind, doing, request.describe(), answer.clone());
    match response.status {
        401 | 403 => fault(FaultKind::Unauthorised).with_hint(request.access.who().hint(response.status)),
        404 => fault(FaultKind::Absent).with_hint("is this the address of the right component?"),
        429 => {
            fault(FaultKind::Refused).with_retry().with_hint("the server has too much to do; try again later")
        }
        300..=399 => {
            fault(FaultKind::Strange).with_hint("redirects are not followed: give the final address")
        }
        500.. => {
            let effect = if request.method.changes() { Effect::Unknown } else { Effect::None };
            let gateway = matches!(response.status, 502..=504);
            let kind = if gateway { FaultKind::Unreachable } else { FaultKind::Refused };
            let hint = if gateway {
                "the server, or what a proxy leads to, is not up"
            } else {
                "the log of that server says why"
            };
            Fault { effect, ..fault(kind).with_retry().with_hint(hint) }
        }
        _ => fault(FaultKind::Refused).with_hint("is this the address of the right component?"),
    }
}

/// Reads a body as JSON. HTML is the usual sign of a wrong port, so it gets a message of its own.
pub fn json<T: DeserializeOwned>(doing: &str, request: &Request, response: &Response) -> Result<T, Fault> {
    serde_json::from_slice(&response.body).map_err(|error| {
        let strange = |answer: String| Fault::new(FaultKind::Strange, doing, request.describe(), answer);
        let shown = excerpt(&response.body);
        let fault = if response.is_html() {
            strange(format!("{} with an HTML page: {shown}", response.status)).with_hint(
                "is this the management port? (9600 for Camunda, 8092 for Optimize, 9200 for search)",
            )
        } else if response.body.is_empty() {
            strange(format!("{} with an empty body", response.status))
                .with_hint("check that the address belongs to the right component")
        } else {
            strange(format!("{} with something that cannot be read ({error}): {shown}", response.status))
                .with_hint("check that the address belongs to the right component")
        };
        if request.method.changes() { fault.with_unknown_effect() } else { fault }
    })
}

/// The beginning of a body on one line, without control characters.
pub fn excerpt(body: &[u8]) -> String {
    excerpt_within(body, 200)
}

/// The same with another limit, for words that are known to be worth more.
pub fn excerpt_within(body: &[u8], chars_max: usize) -> String {
    // Four bytes a character at most, and some for what is squeezed out.
    let text = String::from_utf8_lossy(&body[..body.len().min(chars_max * 8)]);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars_max {
        return line;
    }
    line.chars().take(chars_max - 1).chain(['…']).collect()
}

impl Response {
    /// Whether the body is a web page.
    pub fn is_html(&self) -> bool {
        let told = self.content_type.as_deref().is_some_and(|t| t.to_ascii_lowercase().contains("text/html"));
        let seen =
            String::from_utf8_lossy(&self.body[..self.body.len().min(64)]).trim_start().to_ascii_lowercase();
        told || seen.starts_with("<!doctype html") || seen.starts_with("<html")
    }
}

const NO_TLS: &str = "the platform's root certificates could not be read: are ca-certificates installed? Where they are \
                      not wanted, give `tls.ca_file` with `tls.ca_only` (docs/access.md)";

fn no_credentials(request: &Request) -> String {
    format!("see that what {} needs is there (docs/access.md)", request.access.place_in_words())
}

/// An address that names no port is rarely meant so: none of these servers listens at that of the web.
fn line_hint(request: &Request, cause: &str) -> String {
    let hint = hint_for(cause);
    let host = request.url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?']).next());
    let has_port = |host: &str| host.rsplit(']').next().is_some_and(|end| end.contains(':'));
    match host {
        Some(host) if !has_port(host) => format!(
            "port 80 was tried, as for every http address without one, and Camunda's management port is 9600, Optimize's \
             8092, a search server's 9200; {hint}"
        ),
        _ => hint.to_owned(),
    }
}

fn hint_for(cause: &str) -> &'static str {
    if cause.contains("refused") {
        "nothing listens there: is the address right, and is the port-forward open?"
    } else if cause.contains("resolve") {
        "the name is not known here: in-cluster names work inside the cluster only"
    } else if cause.contains("plain HTTP") {
        "does it speak TLS? Then the address begins with https://"
    } else if cause.contains("within") {
        "it may be overloaded, or a firewall swallows the packets"
    } else if cause.contains("closed") || cause.contains("reset") {
        "the server, or a proxy or port-forward before it, ended the connection: see whether it has just restarted"
    } else if cause.contains("with a body of more than") {
        "no answer of the right server is that long: is this the right address?"
    } else {
        "see whether the server is up, and what lies between here and there"
    }
}
