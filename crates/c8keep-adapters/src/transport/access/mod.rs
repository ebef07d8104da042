//! Access: with which credentials, over which TLS and with which headers one server is spoken to.
//!
//! It holds references to secrets and reads them when a request is sent. Nothing of it that can be printed holds one,
//! and there is no way to switch the verification of a certificate off.

mod aws;
mod secret;
mod token;
mod who;

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use c8keep_core::fault::{Fault, FaultKind};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

pub use aws::AwsKeys;
pub(crate) use secret::Scrub;
pub use secret::{Command, Secret};
pub use token::{ClientAuth, TokenSource};
pub use who::Who;

use super::Request;
use super::clients::Clients;
use super::tls::Tls;

/// How one server is spoken to.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The key in the configuration that gives it, for messages.
    place: &'static str,
    credential: Credential,
    headers: Vec<(HeaderName, Secret)>,
    /// `None`: as the platform trusts, and without a certificate of our own.
    clients: Option<Arc<Clients>>,
}

/// What proves who we are.
#[derive(Debug, Clone, Default)]
pub enum Credential {
    /// Nothing.
    #[default]
    None,
    /// User and password, RFC 7617.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token that somebody else renews, RFC 6750.
    Bearer(Secret),
    /// A key of a search server: what Elasticsearch calls `encoded` when it makes one.
    ApiKey(Secret),
    /// A token that is fetched, and renewed, with the client's own credentials.
    Client(Arc<TokenSource>),
    /// Signatures of AWS.
    Aws(AwsKeys),
}

/// The headers of one request, and what must not come back in its answer.
#[derive(Debug, Default)]
pub(super) struct Headers {
    pub(super) map: HeaderMap,
    pub(super) scrub: Scrub,
}

impl Access {
    /// Without credentials. `place` is the key that would give some.
    pub fn at(place: &'static str) -> Access {
        Access { place, ..Access::default() }
    }

    /// The same with credentials.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Access {
        self.credential = credential;
        self
    }

    /// The same with one more header. Those that frame a request are not for sale.
    pub fn with_header(mut self, name: &str, value: Secret) -> Result<Access, Fault> {
        const OURS: [&str; 6] =
            ["host", "content-length", "content-type", "transfer-encoding", "connection", "expect"];
        let refuse = |why: &str| {
            Fault::new(FaultKind::Usage, "reading the configuration", format!("{}.headers", self.place), why)
                .with_hint("give the name of a header as in `X-Scope-OrgID`")
        };
        let known = HeaderName::try_from(name)
            .map_err(|_| refuse(&format!("{name:?} is not the name of a header")))?;
        if OURS.contains(&known.as_str()) {
            return Err(refuse(&format!("the header {name} is c8keep's own business")));
        }
        self.headers.push((known, value));
        Ok(self)
    }

    /// The same over TLS with other roots, or with a certificate of our own.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Access {
        self.clients = Some(Arc::new(Clients::new(tls)));
        self
    }

    /// The same with another's credentials, where it has none of its own.
    #[must_use]
    pub(super) fn or(mut self, other: &Access) -> Access {
        if matches!(self.credential, Credential::None) {
            self.credential = other.credential.clone();
        }
        self
    }

    /// The same towards somebody who must not learn our secrets: without credentials and headers.
    #[must_use]
    pub fn without_credentials(&self) -> Access {
        Access { clients: self.clients.clone(), ..Access::at(self.place) }
    }

    /// Reads every secret once, so that a missing one is told before anything begins.
    pub async fn check(&self) -> Result<(), Fault> {
        let of_credential = match &self.credential {
            Credential::None => Vec::new(),
            Credential::Basic { password: secret, .. }
            | Credential::Bearer(secret)
            | Credential::ApiKey(secret) => vec![secret],
            Credential::Client(source) => vec![source.secret()],
            Credential::Aws(keys) => keys.secrets().collect(),
        };
        for secret in of_credential.into_iter().chain(self.headers.iter().map(|(_, secret)| secret)) {
            secret.read().await.map_err(|why| {
                Fault::new(FaultKind::Usage, "reading a secret", self.place, why)
                    .with_hint("see docs/access.md for the ways to give one")
            })?;
        }
        Ok(())
    }

    /// Who asks, for messages.
    pub fn who(&self) -> Who {
        let named = |what: &str, secret: &Secret| Some(format!("{what} of {secret}"));
        let name = match &self.credential {
            Credential::None => None,
            Credential::Basic { user, .. } => Some(format!("user {user}")),
            Credential::Bearer(secret) => named("the bearer token", secret),
            Credential::ApiKey(secret) => named("the API key", secret),
            Credential::Client(source) => Some(source.to_string()),
            Credential::Aws(keys) => named("the AWS key", &keys.access_key_id),
        };
        let in_address =
            matches!(&self.credential, Credential::Basic { password, .. } if password.is_given());
        Who { name, place: self.place, in_address }
    }

    /// The key that gives it, for messages.
    pub(super) fn place_in_words(&self) -> String {
        if self.place.is_empty() { "`access`".into() } else { format!("`{}`", self.place) }
    }

    pub(super) fn clients(&self) -> Option<&Clients> {
        self.clients.as_deref()
    }

    /// The token source, where there is one.
    pub(super) fn token_source(&self) -> Option<&TokenSource> {
        match &self.credential {
            Credential::Client(source) => Some(source),
            _ => None,
        }
    }

    /// The headers of a request with its body. `token` is what the token source gave, where there is one.
    pub(super) async fn headers(
        &self,
        request: &Request,
        body: &[u8],
        token: Option<SecretString>,
    ) -> Result<Headers, String> {
        let mut headers = Headers::default();
        for (name, secret) in &self.headers {
            let value = secret.read().await?;
            headers.set(name.clone(), "", &value)?;
            // What stands in the configuration is no secret, and may well be a word of an answer.
            if !secret.is_given() {
                headers.scrub.add(&value);
            }
        }
        match (&self.credential, token) {
            (Credential::Basic { user, password }, _) => {
                headers.authorise(&basic(user, &password.read().await?))?;
            }
            (Credential::Bearer(secret), _) => {
                headers.put(AUTHORIZATION, "Bearer ", &secret.read().await?)?;
            }
            (Credential::ApiKey(secret), _) => {
                headers.put(AUTHORIZATION, "ApiKey ", &secret.read().await?)?;
            }
            (Credential::Client(_), Some(token)) => headers.put(AUTHORIZATION, "Bearer ", &token)?,
            (Credential::Aws(keys), _) => keys.sign(request, body, SystemTime::now(), &mut headers).await?,
            (Credential::None | Credential::Client(_), _) => {}
        }
        Ok(headers)
    }
}

impl Headers {
    fn put(&mut self, name: HeaderName, scheme: &str, secret: &SecretString) -> Result<(), String> {
        self.scrub.add(secret);
        self.set(name, scheme, secret)
    }

    fn set(&mut self, name: HeaderName, scheme: &str, secret: &SecretString) -> Result<(), String> {
        let mut value =
            HeaderValue::try_from(format!("{scheme}{}", secret.expose_secret())).map_err(|_| {
                format!("the secret for the header {name} has characters that no header can carry")
            })?;
        value.set_sensitive(true);
        self.map.insert(name, value);
        Ok(())
    }

    /// Basic authentication: the password itself must not come back either.
    pub(super) fn authorise(
        &mut self,
        (encoded, password): &(SecretString, SecretString),
    ) -> Result<(), String> {
        self.scrub.add(password);
        self.put(AUTHORIZATION, "Basic ", encoded)
    }
}

/// User and password as the header carries them, and the password.
fn basic(user: &str, password: &SecretString) -> (SecretString, SecretString) {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{}", password.expose_secret()));
    (encoded.into(), password.clone())
}
