//! A token by client credentials (RFC 6749, 4.4): fetched when it is needed, kept while it is fresh, and fetched again
//! before it expires or once it was refused. The secret goes to the token endpoint alone, never to a redirect's target.

use std::fmt;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::super::http::{Content, HttpTransport};
use super::super::{Endpoint, Method, Response, TransportError, Trouble, excerpt};
use super::{Headers, Secret, basic};

/// Where tokens come from.
#[derive(Debug)]
pub struct TokenSource {
    endpoint: Endpoint,
    client_id: String,
    secret: Secret,
    client_auth: ClientAuth,
    /// `scope`, `audience` and `resource`, as far as they are set.
    parameters: Vec<(String, String)>,
    kept: Mutex<Kept>,
}

/// How the client proves itself to the token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// In the form, as Camunda's own clients do.
    #[default]
    Body,
    /// As basic authentication.
    Basic,
}

/// The last token, and when it was asked for without success.
#[derive(Debug, Default)]
struct Kept {
    token: Option<Token>,
    /// A token endpoint that has just said no is not asked by every request of a burst.
    refused: Option<(Instant, TransportError)>,
}

#[derive(Debug, Clone)]
struct Token {
    value: SecretString,
    renew_at: Instant,
}

/// For one call of the token endpoint. Requests with shorter deadlines end by their own.
const DEADLINE: Duration = Duration::from_secs(10);
/// Where the answer does not say (RFC 6749, 5.1 only recommends it).
const LIFE_DEFAULT: Duration = Duration::from_mins(5);
/// However long it lives, a token is renewed after this.
const LIFE_MAX: Duration = Duration::from_hours(1);
/// For the way of a request, and clocks that go differently.
const MARGIN: Duration = Duration::from_secs(30);
/// So long a refusal is believed without asking again.
const REFUSED_FOR: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<f64>,
}

/// RFC 6749, 5.2.
#[derive(Deserialize, Default)]
struct Refused {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl TokenSource {
    /// A source that has no token yet. The endpoint's access says over which TLS it is spoken to.
    pub fn new(endpoint: Endpoint, client_id: impl Into<String>, secret: Secret) -> TokenSource {
        TokenSource {
            endpoint,
            client_id: client_id.into(),
            secret,
            client_auth: ClientAuth::default(),
            parameters: Vec::new(),
            kept: Mutex::default(),
        }
    }

    /// The same with the client's proof in another place.
    #[must_use]
    pub fn with_client_auth(mut self, client_auth: ClientAuth) -> TokenSource {
        self.client_auth = client_auth;
        self
    }

    /// The same with one more parameter: `scope`, `audience`, `resource`.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: impl Into<String>) -> TokenSource {
        self.parameters.push((name.to_owned(), value.into()));
        self
    }

    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// A token that is fresh now. `refused` is one that a server did not accept: it is not given again. However many ask
    /// at once, one of them fetches.
    pub(in super::super) async fn token(
        &self,
        transport: &HttpTransport,
        refused: Option<&SecretString>,
    ) -> Result<SecretString, TransportError> {
        let mut kept = self.kept.lock().await;
        if let Some(token) = &kept.token {
            let is_refused = refused.is_some_and(|r| r.expose_secret() == token.value.expose_secret());
            if !is_refused && Instant::now() < token.renew_at {
                return Ok(token.value.clone());
            }
        }
        if let Some((at, error)) = &kept.refused
            && at.elapsed() < REFUSED_FOR
        {
            return Err(error.clone());
        }
        match tokio::time::timeout(DEADLINE, self.fetch(transport)).await {
            Ok(Ok(token)) => {
                let value = token.value.clone();
                *kept = Kept { token: Some(token), refused: None };
                Ok(value)
            }
            Ok(Err(error)) => {
                kept.refused = Some((Instant::now(), error.clone()));
                Err(error)
            }
            Err(_) => Err(self.failed(Trouble::Line, &format!("no whole answer within {DEADLINE:?}"))),
        }
    }

    async fn fetch(&self, transport: &HttpTransport) -> Result<Token, TransportError> {
        let asked_at = Instant::now();
        let (form, headers) = self.form().await.map_err(|why| self.failed(Trouble::Credentials, &why))?;
        let request = self.endpoint.request(Method::Post, "");
        let scrub = headers.scrub.clone();
        let answer = transport.exchange(&request, headers, Some(Content::Form(form))).await;
        let answer = answer.map_err(|error| self.failed(error.trouble, &error.cause))?;
        self.granted(&answer, asked_at, &scrub)
    }

    /// A token, or why there is none.
    fn granted(
        &self,
        answer: &Response,
        asked_at: Instant,
        scrub: &super::Scrub,
    ) -> Result<Token, TransportError> {
        if !answer.is_success() {
            return Err(self.refusal(answer, scrub));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| self.failed(Trouble::Credentials, "an answer without access_token"))?;
        Ok(Token { value: granted.access_token.into(), renew_at: asked_at + life(granted.expires_in) })
    }

    async fn form(&self) -> Result<(String, Headers), String> {
        let secret = self.secret.read().await?;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in &self.parameters {
            form.append_pair(name, value);
        }
        let mut headers = Headers::default();
        match self.client_auth {
            ClientAuth::Body => {
                form.append_pair("client_id", &self.client_id);
                form.append_pair("client_secret", secret.expose_secret());
                headers.scrub.add(&secret);
            }
            ClientAuth::Basic => {
                // RFC 6749, 2.3.1: both are form-encoded before they are joined.
                let encode =
                    |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let encoded = encode(secret.expose_secret()).into();
                headers.authorise(&basic(&encode(&self.client_id), &encoded))?;
                headers.scrub.add(&secret);
            }
        }
        Ok((form.finish(), headers))
    }

    /// Every other status than a server's own trouble is a no.
    fn refusal(&self, answer: &Response, scrub: &super::Scrub) -> TransportError {
        let told: Refused = serde_json::from_slice(&answer.body).unwrap_or_default();
        let words = [told.error, told.error_description].join(" ");
        let words =
            if words.trim().is_empty() { String::from_utf8_lossy(&answer.body).into() } else { words };
        let said = format!("{} {}", answer.status, excerpt(scrub.apply(&words).as_bytes()));
        let trouble =
            if answer.status >= 500 || answer.status == 429 { Trouble::Line } else { Trouble::Credentials };
        self.failed(trouble, said.trim_end())
    }

    fn failed(&self, trouble: Trouble, why: &str) -> TransportError {
        let cause = format!("no token for client {} from {}: {why}", self.client_id, self.endpoint);
        TransportError { cause, may_have_arrived: false, trouble }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} with a token of {}", self.client_id, self.endpoint)
    }
}

/// How long a token is used: not to its end, and a short one at least for half of its life.
fn life(expires_in: Option<f64>) -> Duration {
    let told = expires_in.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or(LIFE_DEFAULT);
    let told = told.min(LIFE_MAX);
    told.saturating_sub(MARGIN).max(told / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_before_it_expires() {
        assert_eq!(life(Some(300.0)), Duration::from_secs(270));
        assert_eq!(life(Some(40.0)), Duration::from_secs(20), "half of it, where the margin would eat more");
        assert_eq!(life(None), LIFE_DEFAULT.saturating_sub(MARGIN));
        assert_eq!(life(Some(1e9)), LIFE_MAX.saturating_sub(MARGIN));
        assert_eq!(life(Some(-1.0)), LIFE_DEFAULT.saturating_sub(MARGIN), "nonsense counts as nothing");
        assert_eq!(life(Some(f64::NAN)), LIFE_DEFAULT.saturating_sub(MARGIN));
    }

    /// Whatever a token endpoint grants or refuses.
    #[test]
    fn fuzz_token_answers() {
        let endpoint = Endpoint::parse("https://login.example.org/token").unwrap();
        let source = TokenSource::new(endpoint, "c8keep", Secret::Given("canary-secret".into()));
        let examples = [
            br#"{"access_token": "ey.J.x", "token_type": "Bearer", "expires_in": 300}"#.to_vec(),
            br#"{"error": "invalid_client", "error_description": "unknown client"}"#.to_vec(),
        ];
        c8keep_fuzz::feed("token answers", &examples, |input| {
            let answer = crate::fuzz::response(input);
            let (now, scrub) = (Instant::now(), super::super::Scrub::default());
            match source.granted(&answer, now, &scrub) {
                Ok(token) => {
                    assert!(token.renew_at <= now + LIFE_MAX);
                    Vec::new()
                }
                Err(error) => vec![error.cause],
            }
        });
    }
}
