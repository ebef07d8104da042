//! Addresses. User and password are taken out of an address when it is read, so nothing that is printed can hold them.

use std::sync::Arc;

use c8keep_core::fault::{Fault, FaultKind};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::Url;

use super::{Access, Credential, DEADLINE_DEFAULT, Method, Request, Secret};

/// One server's address, with the access that it wants.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Scheme, host, port and context path; no user, no trailing slash.
    base: String,
    access: Arc<Access>,
}

impl Endpoint {
    /// Reads an address. Without a scheme it means `http://`, as for curl; a context path is kept.
    pub fn parse(address: &str) -> Result<Endpoint, Fault> {
        let address = address.trim();
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let mut url = Url::parse(&full).map_err(|error| not_an_address(address, &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(not_an_address(address, "only http and https are spoken"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(not_an_address(address, "an address ends with its path, without ? and #"));
        }
        let access = Arc::new(login_of(&url));
        // Both can only fail for addresses without a host, which http addresses always have.
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| not_an_address(address, "it has no host"))?;
        if url.path().trim_end_matches('/').ends_with("/actuator") {
            return Err(not_an_address(address, "it ends with /actuator")
                .with_hint("leave out /actuator: c8keep adds it, and what comes after it"));
        }
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(Endpoint { base, access })
    }

    /// The same with an access. Its credentials, if it has any, win over the login in the address.
    #[must_use]
    pub fn with_access(self, access: &Access) -> Endpoint {
        Endpoint { access: Arc::new(access.clone().or(&self.access)), ..self }
    }

    /// With which credentials it is spoken to, and how.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The address without user and password, for messages and comparisons.
    pub fn address(&self) -> &str {
        &self.base
    }

    /// The URL of a path below the context path. Dynamic segments go through [`path_segment`] first.
    /// An empty path is the address itself.
    pub fn join(&self, path: &str) -> String {
        if path.is_empty() {
            return self.base.clone();
        }
        format!("{}/{}", self.base, path.trim_start_matches('/'))
    }

    /// `POST http://host:9600/actuator/…`, for messages.
    pub fn describe(&self, method: Method, path: &str) -> String {
        format!("{method} {}", self.join(path))
    }

    /// A request for a path, without a body and with the default deadline.
    pub fn request(&self, method: Method, path: &str) -> Request {
        let (url, access) = (self.join(path), Arc::clone(&self.access));
        Request { method, url, access, body: None, deadline: DEADLINE_DEFAULT }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::Get, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::Post, path)
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.base)
    }
}

/// Text as one segment of a path or one value of a query: everything but letters, digits and `-._~*` is escaped.
pub fn path_segment(text: &str) -> String {
    const ESCAPED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'*');
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn login_of(url: &Url) -> Access {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    if url.username().is_empty() && url.password().is_none() {
        return Access::default();
    }
    let password = Secret::Given(plain(url.password().unwrap_or_default()).into());
    Access::default().with_credential(Credential::Basic { user: plain(url.username()), password })
}

fn not_an_address(address: &str, why: &str) -> Fault {
    // Everything up to the last @ may be a login, also where the rest could not be understood.
    let shown = match address.rsplit_once('@') {
        Some((_, host)) => format!("…@{host}"),
        None => address.to_owned(),
    };
    Fault::new(FaultKind::Usage, "reading an address", shown, why)
        .with_hint("an address looks like http://localhost:9600 or https://search.example.org/prefix")
}
