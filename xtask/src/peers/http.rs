//! Plain HTTP towards the servers: every call has a deadline, every body a limit, and every failure names the call.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use reqwest::Method;
use serde_json::Value;

const BODY_BYTES_MAX: usize = 64 << 20;
const CALL_LIMIT: Duration = Duration::from_mins(1);

#[derive(Debug, Clone)]
pub struct Answer {
    pub call: String,
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn good(self) -> Result<Self> {
        if self.is_good() {
            Ok(self)
        } else {
            bail!("{} answered {}: {}", self.call, self.status, self.excerpt())
        }
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body)
            .with_context(|| format!("{} answered no JSON: {}", self.call, self.excerpt()))
    }

    fn excerpt(&self) -> String {
        self.body.chars().take(800).collect()
    }
}

pub async fn get(url: &str) -> Result<Answer> {
    call(Method::GET, url, None, CALL_LIMIT).await
}

pub async fn post(url: &str, body: Option<&Value>) -> Result<Answer> {
    call(Method::POST, url, body, CALL_LIMIT).await
}

pub async fn put(url: &str, body: &Value) -> Result<Answer> {
    call(Method::PUT, url, Some(body), CALL_LIMIT).await
}

pub async fn delete(url: &str) -> Result<Answer> {
    call(Method::DELETE, url, None, CALL_LIMIT).await
}

/// One exchange within `limit`, whatever its status.
pub async fn call(method: Method, url: &str, body: Option<&Value>, limit: Duration) -> Result<Answer> {
    let call = format!("{method} {url}");
    let mut request = client().request(method, url).timeout(limit);
    if let Some(body) = body {
        request = request.json(body);
    }
    let mut response = request.send().await.with_context(|| call.clone())?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.with_context(|| call.clone())? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > BODY_BYTES_MAX {
            bail!("{call} answered more than {BODY_BYTES_MAX} bytes");
        }
    }
    Ok(Answer { call, status, body: String::from_utf8_lossy(&bytes).into_owned() })
}

/// Asks again until `look` has an answer or `limit` is over; errors on the way are normal and the last is shown.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        let last = match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => "not yet".to_owned(),
            Err(error) if error.is::<Hopeless>() => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() >= end {
            bail!("{what}: not within {limit:?}; last: {last}");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// An error that no further asking will cure.
#[derive(Debug)]
pub struct Hopeless(pub anyhow::Error);

impl std::fmt::Display for Hopeless {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Hopeless {}

pub fn client() -> &'static reqwest::Client {
    static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
    // Proxies of the environment must never see loopback traffic.
    CLIENT.get_or_init(|| reqwest::Client::builder().no_proxy().build().unwrap_or_default())
}
