//! `vault`: a folder, or an object store with what belongs to it.

use std::path::{Path, PathBuf};

use c8keep_adapters::transport::Secret;
use c8keep_adapters::vault::{Login, Store, is_store};
use c8keep_core::fault::{Fault, FaultKind};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::access::Reference;
use super::place::below;

/// Where manifests are kept. `vault: <address>` is short for `vault: {url: <address>}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
pub struct Vault {
    /// A folder, or `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`.
    pub url: String,
    /// The server, where it is not the cloud's own.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// S3's region.
    #[serde(default)]
    pub region: Option<String>,
    /// Whether the bucket is in the path rather than in the host's name.
    #[serde(default)]
    pub path_style: Option<bool>,
    /// Whether plain HTTP may leave this machine.
    #[serde(default)]
    pub allow_http: bool,
    /// Azure's storage account.
    #[serde(default)]
    pub account: Option<String>,
    /// S3's access key id.
    #[serde(default)]
    pub access_key: Option<String>,
    /// S3: secret key; Azure: account key or shared access signature; GCS: the service account's key file as it is.
    #[serde(default)]
    pub secret: Option<Reference>,
}

/// What a vault turns out to be.
#[derive(Debug)]
pub enum Place {
    /// A folder of this machine, or of a share.
    Folder(PathBuf),
    /// An object store.
    Store(Box<Store>),
}

impl Vault {
    /// Fetches the secret, if there is one.
    pub async fn place(&self) -> Result<Place, Fault> {
        if !is_store(&self.url) {
            return Ok(Place::Folder(PathBuf::from(&self.url)));
        }
        let login = match &self.secret {
            Some(secret) => {
                let read = Secret::from(secret).read().await;
                let fault = |why| {
                    Fault::new(FaultKind::Usage, "fetching a secret", "vault.secret", why)
                        .with_hint("see docs/vaults.md for the ways to give one")
                };
                Some(Login { id: self.access_key.clone(), secret: read.map_err(fault)? })
            }
            None => None,
        };
        Ok(Place::Store(Box::new(Store {
            url: self.url.clone(),
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            path_style: self.path_style,
            allow_http: self.allow_http,
            account: self.account.clone(),
            login,
        })))
    }

    /// A folder that is written relative to another one. An address stays as it is.
    pub fn seen_from(&mut self, folder: &Path) {
        if !is_store(&self.url) && self.check().is_ok() {
            self.url = below(folder, Path::new(&self.url)).display().to_string();
        }
    }

    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<(), Fault> {
        let refused = |answer: &str, hint: &str| {
            Err(Fault::new(FaultKind::Usage, "reading the configuration", "vault", answer).with_hint(hint))
        };
        if self.url.trim().is_empty() {
            return refused("it has no url", "give a folder, or an address like s3://bucket/prefix");
        }
        if let Some((scheme, rest)) = self.url.split_once(':')
            && !rest.starts_with("//")
            && scheme.len() > 1
            && scheme.chars().all(|c| c.is_ascii_alphanumeric())
        {
            return refused(
                &format!("{} is neither a folder nor an address", self.url),
                &format!(
                    "an address has two slashes: {scheme}://…; a folder whose name has a colon begins with /"
                ),
            );
        }
        let only_url = Vault { url: self.url.clone(), ..Vault::default() };
        if !is_store(&self.url) && *self != only_url {
            return refused(
                "a folder has no endpoint, region or login",
                "leave them out, or give an address like s3://bucket/prefix",
            );
        }
        if self.url.starts_with("s3://") && self.access_key.is_some() != self.secret.is_some() {
            return refused(
                "access_key and secret belong together",
                "give both, or none to use the variables",
            );
        }
        Ok(())
    }
}

/// By hand, because an untagged enum forgets where in the file the mistake is.
impl<'de> Deserialize<'de> for Vault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Vault, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Vault;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a folder, an address, or keys with values")
            }

            fn visit_str<E: de::Error>(self, url: &str) -> Result<Vault, E> {
                Ok(Vault { url: url.to_owned(), ..Vault::default() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Vault, A::Error> {
                // The derived one, which `remote = "Self"` leaves beside the trait: the long form.
                Vault::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::parse;

    #[test]
    fn short_and_long() {
        let short = parse("vault: /var/lib/c8keep/vault\n").unwrap().vault.unwrap();
        assert_eq!(short.url, "/var/lib/c8keep/vault");
        let long = parse(
            "vault:\n  url: s3://backups/camunda\n  endpoint: https://minio.example.org\n  region: eu-central-1\n  \
             path_style: true\n  access_key: AKIA\n  secret: {env: MINIO_SECRET}\n",
        );
        let long = long.unwrap().vault.unwrap();
        assert_eq!((long.url.as_str(), long.path_style), ("s3://backups/camunda", Some(true)));
        assert!(long.check().is_ok());
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_the_nearest_key() {
        let (why, hint) = parse("vault:\n  url: s3://b\n  endpont: https://x\n").unwrap_err();
        assert_eq!(why, "line 3, column 3: the key endpont is not known here");
        assert!(hint.contains("\"endpoint\""), "{hint}");
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        for (text, words) in [
            ("vault: ''", "no url"),
            ("vault: {url: /var, region: x}", "a folder has no"),
            ("vault: {url: 's3://b', access_key: AKIA}", "belong together"),
        ] {
            let fault = parse(text).unwrap().vault.unwrap().check().unwrap_err();
            assert!(fault.answer.contains(words), "{fault}");
        }
    }
}
