//! A secret by reference: where it is found, read when it is used. It never shows what it found.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use tokio::io::AsyncReadExt;

/// Where a secret is found.
#[derive(Clone)]
pub enum Secret {
    /// In an address, as in `https://user:password@host`.
    Given(SecretString),
    /// In an environment variable.
    Env(String),
    /// In a file, which may be replaced at any time: it is read anew for each use, because it is small and what is read
    /// then is never stale.
    File(PathBuf),
}

/// Longer ones do not fit into the headers that servers accept (8 KiB in Tomcat and Netty).
const BYTES_MAX: u64 = 8 * 1024;

impl Secret {
    /// The secret, without the line break that editors leave at the end of a file; or why there is none.
    pub async fn read(&self) -> Result<SecretString, String> {
        let text = match self {
            Secret::Given(secret) => return Ok(secret.clone()),
            Secret::Env(name) => std::env::var(name).map_err(|_| format!("{self} is not set"))?,
            Secret::File(path) => {
                let failed = |why: &dyn fmt::Display| format!("{self} cannot be read: {why}");
                let file = tokio::fs::File::open(path).await.map_err(|e| failed(&e))?;
                let mut text = String::new();
                let read = file.take(BYTES_MAX + 1).read_to_string(&mut text).await;
                read.map_err(|e| failed(&e))?;
                text
            }
        };
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(format!("{self} is empty"));
        }
        if secret.len() as u64 > BYTES_MAX {
            return Err(format!("{self} is longer than {BYTES_MAX} bytes: is it the right one?"));
        }
        Ok(secret.into())
    }

    /// Whether nobody needs to be told where it is: it stands in an address that is shown anyway.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Secret::Given(_))
    }
}

/// Where it is found, and never what.
impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Given(_) => f.write_str("the one in the address"),
            Secret::Env(name) => write!(f, "the variable {name}"),
            Secret::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

/// Takes secrets out of what a server sent back: some repeat a header that they do not like.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrub(Vec<SecretString>);

impl Scrub {
    /// Shorter ones would take letters out of ordinary words.
    const CHARS_MIN: usize = 6;

    /// Remembers a secret that is sent.
    pub(crate) fn add(&mut self, secret: &SecretString) {
        if secret.expose_secret().len() >= Self::CHARS_MIN {
            self.0.push(secret.clone());
        }
    }

    /// Whether nothing is sent that must not come back.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text without them.
    pub(crate) fn apply(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "…"))
    }
}
