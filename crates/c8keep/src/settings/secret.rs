//! Secrets are never in the file: it says where they are.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use c8keep_core::fault::{Fault, FaultKind};
use secrecy::SecretString;
use serde::Deserialize;

use crate::env::var;

/// Where a secret is: exactly one of these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    /// The name of an environment variable.
    pub env: Option<String>,
    /// A file that holds nothing else.
    pub file: Option<PathBuf>,
    /// A command, with its arguments, that prints nothing else.
    pub command: Option<Vec<String>>,
}

/// Keys and tokens are short; the longest is a service account's key file.
const BYTES_MAX: usize = 64 * 1024;
const COMMAND_LIMIT: Duration = Duration::from_secs(10);

impl Secret {
    /// Fetches it; `key` is where in the configuration it is asked for.
    pub async fn fetch(&self, key: &str) -> Result<SecretString, Fault> {
        let bytes = match (&self.env, &self.file, self.command.as_deref()) {
            (Some(name), None, None) => {
                var(name).ok_or_else(|| fault(key, format!("the variable {name} is not set")))?.into_bytes()
            }
            (None, Some(path), None) => {
                let read = tokio::fs::read(path).await;
                read.map_err(|error| fault(key, format!("{}: {error}", path.display())))?
            }
            (None, None, Some([program, arguments @ ..])) => output(key, program, arguments).await?,
            _ => return Err(fault(key, "exactly one of env, file and command says where it is")),
        };
        if bytes.len() > BYTES_MAX {
            return Err(fault(key, format!("it has more than {BYTES_MAX} bytes")));
        }
        let text = String::from_utf8(bytes).map_err(|_| fault(key, "it is not text"))?;
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(fault(key, "it is empty")),
            secret => Ok(SecretString::from(secret)),
        }
    }
}

async fn output(key: &str, program: &str, arguments: &[String]) -> Result<Vec<u8>, Fault> {
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(COMMAND_LIMIT, child).await;
    let ended = ended.map_err(|_| fault(key, format!("`{program}` did not end within {COMMAND_LIMIT:?}")))?;
    let output = ended.map_err(|error| fault(key, format!("`{program}`: {error}")))?;
    if !output.status.success() {
        return Err(fault(key, format!("`{program}` ended with {}", output.status)));
    }
    Ok(output.stdout)
}

fn fault(key: &str, answer: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Usage, "fetching a secret", key, answer)
        .with_hint("say where it is with `{env: NAME}`, `{file: PATH}` or `{command: [PROGRAM, ARGUMENT]}`")
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn command(line: &[&str]) -> Secret {
        Secret { command: Some(line.iter().map(ToString::to_string).collect()), ..Secret::default() }
    }

    #[tokio::test]
    async fn from_a_command_and_from_a_file() {
        let secret = command(&["printf", "%s\\n", "canary"]).fetch("vault.secret").await.unwrap();
        assert_eq!(secret.expose_secret(), "canary");
        assert!(!format!("{secret:?}").contains("canary"));
        let file = Secret { file: Some("/proc/sys/kernel/ostype".into()), ..Secret::default() };
        assert_eq!(file.fetch("vault.secret").await.unwrap().expose_secret(), "Linux");
    }

    #[tokio::test]
    async fn what_cannot_be_fetched_is_told_with_its_key() {
        let none = Secret::default();
        let two = Secret { env: Some("A".into()), ..command(&["true"]) };
        let unset = Secret { env: Some("C8KEEP_TEST_IS_NOT_SET".into()), ..Secret::default() };
        for secret in [none, two, unset, command(&[]), command(&["false"]), command(&["true"])] {
            let fault = secret.fetch("vault.secret").await.unwrap_err();
            assert_eq!((fault.kind, fault.target.as_str()), (FaultKind::Usage, "vault.secret"), "{secret:?}");
        }
    }
}
