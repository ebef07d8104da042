//! How servers are spoken to: the sections `access` and `connect_to` of the file. It holds where secrets are found and
//! never a secret: one that is written there is refused, and not repeated in the message.

mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;

use c8keep_adapters::discovery::Accesses;
use c8keep_adapters::transport::{
    Access, AwsKeys, ClientAuth, Credential, Endpoint, Secret, Tls, TokenSource,
};
use c8keep_core::HistoryApp;
use c8keep_core::fault::Fault;
use serde::Deserialize;

use self::reference::PLAIN_SECRET;
pub use self::reference::{HeaderText, Reference, reference};
use super::usage;

/// The section `access`: one entry for each server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessSettings {
    /// The management address; also for `brokers` and `rest` where they have no entry of their own.
    pub management: Option<Entry>,
    /// The brokers' own management addresses.
    pub brokers: Option<Entry>,
    /// The application address.
    pub rest: Option<Entry>,
    /// Operate, up to 8.7.
    pub operate: Option<Entry>,
    /// Tasklist, up to 8.7.
    pub tasklist: Option<Entry>,
    /// Optimize.
    pub optimize: Option<Entry>,
    /// Elasticsearch or OpenSearch.
    pub search: Option<Entry>,
}

/// How one server is spoken to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Entry {
    /// User and password.
    pub basic: Option<Basic>,
    /// A token that somebody else renews.
    pub bearer: Option<Reference>,
    /// A search server's API key.
    pub api_key: Option<Reference>,
    /// A token by client credentials.
    pub oauth: Option<OAuth>,
    /// Signatures of AWS.
    pub aws: Option<Aws>,
    /// Headers beside these.
    pub headers: BTreeMap<String, HeaderText>,
    /// TLS.
    pub tls: TlsSettings,
}

/// User and password.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Reference,
}

/// A token by client credentials.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The token endpoint.
    pub token_url: String,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Reference,
    /// `body` or `basic`.
    #[serde(default)]
    pub client_auth: ClientAuthText,
    /// What the token is for, where the token endpoint wants to know.
    pub scope: Option<String>,
    /// The same in Auth0's and Camunda's words.
    pub audience: Option<String>,
    /// The same in RFC 8707's.
    pub resource: Option<String>,
    /// The token endpoint's own TLS.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// Signatures of AWS.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aws {
    /// As in `eu-central-1`.
    pub region: String,
    /// `es`, or `aoss` for the serverless kind.
    #[serde(default = "search_service")]
    pub service: String,
    /// The access key's id.
    pub access_key_id: Reference,
    /// The access key.
    pub secret_access_key: Reference,
    /// For keys that are lent.
    pub session_token: Option<Reference>,
}

/// Where the client's secret goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthText {
    /// Into the form.
    #[default]
    Body,
    /// Into basic authentication.
    Basic,
}

/// Roots and our own certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSettings {
    /// Issuers to trust, PEM.
    pub ca_file: Option<PathBuf>,
    /// Trust no others, not even the platform's.
    pub ca_only: bool,
    /// The certificate that we show.
    pub client_certificate: Option<Pair>,
}

/// What a file of TLS holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFile {
    /// Issuers to trust.
    Issuers,
    /// Our own certificate, or its key.
    Own,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The certificate with those between it and its issuer, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

impl AccessSettings {
    /// What is wrong with it that can be told without reading a secret.
    pub fn check(&self) -> Result<(), Fault> {
        self.entries().into_iter().filter_map(|(place, entry)| Some((place, entry?))).try_for_each(
            |(place, entry)| {
                let ways = [
                    entry.basic.is_some(),
                    entry.bearer.is_some(),
                    entry.api_key.is_some(),
                    entry.oauth.is_some(),
                    entry.aws.is_some(),
                ];
                if ways.into_iter().filter(|given| *given).count() > 1 {
                    return Err(usage(
                        place,
                        "it has several credentials".into(),
                        "keep one of basic, bearer, api_key, oauth and aws",
                    ));
                }
                let token_tls = entry.oauth.as_ref().map(|oauth| &oauth.tls);
                if [Some(&entry.tls), token_tls]
                    .into_iter()
                    .flatten()
                    .any(|t| t.ca_only && t.ca_file.is_none())
                {
                    return Err(usage(
                        place,
                        "tls.ca_only without tls.ca_file: nobody would be trusted".into(),
                        "give the issuer's certificate as tls.ca_file",
                    ));
                }
                Ok(())
            },
        )
    }

    /// For the adapters. Reads the files of TLS, and no secret.
    pub fn accesses(&self) -> Result<Accesses, Fault> {
        let [management, _, rest, operate, tasklist, optimize, search] = self.entries();
        Ok(Accesses {
            rest: if rest.1.is_none() && management.1.is_some() { build(management)? } else { build(rest)? },
            apps: BTreeMap::from([
                (HistoryApp::Operate, build(operate)?),
                (HistoryApp::Tasklist, build(tasklist)?),
                (HistoryApp::Optimize, build(optimize)?),
            ]),
            search: build(search)?,
            ..self.accesses_to_brokers()?
        })
    }

    /// What is needed to let exporting run again and to know whose it is.
    pub fn accesses_to_release(&self) -> Result<Accesses, Fault> {
        let [management, _, rest, .., search] = self.entries();
        let rest = if rest.1.is_none() && management.1.is_some() { management } else { rest };
        Ok(Accesses { rest: build(rest)?, search: build(search)?, ..self.accesses_to_brokers()? })
    }

    /// Only what is needed to let exporting run again: nothing that is wrong elsewhere may stand in the way of that.
    pub fn accesses_to_brokers(&self) -> Result<Accesses, Fault> {
        let [management, brokers, ..] = self.entries();
        Ok(Accesses {
            management: build(management)?,
            brokers: build(if brokers.1.is_some() { brokers } else { management })?,
            ..Accesses::default()
        })
    }

    /// Every token endpoint with its key, to be checked like the other addresses.
    pub fn addresses(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.entries()
            .into_iter()
            .filter_map(|(place, entry)| Some((place, entry?.oauth.as_ref()?.token_url.as_str())))
    }

    /// The server whose section names this file.
    pub fn of_file(&self, path: &str) -> Option<(&'static str, TlsFile)> {
        let is = |file: &PathBuf| file.display().to_string() == path;
        self.entries().into_iter().find_map(|(place, entry)| {
            let tls = &entry?.tls;
            let server = place.trim_start_matches("access.");
            let own = |pair: &Pair| {
                // Of a pair that does not fit together both are named.
                is(&pair.certificate)
                    || is(&pair.key)
                    || path.starts_with(&pair.certificate.display().to_string())
            };
            if tls.ca_file.as_ref().is_some_and(is) {
                return Some((server, TlsFile::Issuers));
            }
            tls.client_certificate.as_ref().is_some_and(own).then_some((server, TlsFile::Own))
        })
    }

    fn entries(&self) -> [(&'static str, Option<&Entry>); 7] {
        [
            ("access.management", self.management.as_ref()),
            ("access.brokers", self.brokers.as_ref()),
            ("access.rest", self.rest.as_ref()),
            ("access.operate", self.operate.as_ref()),
            ("access.tasklist", self.tasklist.as_ref()),
            ("access.optimize", self.optimize.as_ref()),
            ("access.search", self.search.as_ref()),
        ]
    }
}

fn build((place, entry): (&'static str, Option<&Entry>)) -> Result<Access, Fault> {
    entry.map_or_else(|| Ok(Access::at(place)), |entry| entry.access(place))
}

/// What Amazon OpenSearch Service is called in a signature.
pub fn search_service() -> String {
    "es".into()
}

impl Entry {
    fn access(&self, place: &'static str) -> Result<Access, Fault> {
        let mut access = Access::at(place).with_credential(self.credential(place)?);
        for (name, text) in &self.headers {
            let value = match text {
                HeaderText::Plain(text) if sounds_secret(name) => {
                    return Err(usage(
                        &format!("{place}.headers"),
                        format!("the value of {name} stands in the file ({} characters)", text.len()),
                        PLAIN_SECRET,
                    ));
                }
                HeaderText::Plain(text) => Secret::Given(text.as_str().into()),
                HeaderText::Reference(reference) => reference.into(),
            };
            access = access.with_header(name, value)?;
        }
        Ok(match self.tls.tls()? {
            Some(tls) => access.with_tls(tls),
            None => access,
        })
    }

    fn credential(&self, place: &'static str) -> Result<Credential, Fault> {
        if let Some(Basic { user, password }) = &self.basic {
            return Ok(Credential::Basic { user: user.clone(), password: password.into() });
        }
        if let Some(reference) = &self.bearer {
            return Ok(Credential::Bearer(reference.into()));
        }
        if let Some(reference) = &self.api_key {
            return Ok(Credential::ApiKey(reference.into()));
        }
        if let Some(aws) = &self.aws {
            return aws.credential(place);
        }
        let Some(oauth) = &self.oauth else { return Ok(Credential::None) };
        let mut access = Access::at(place);
        if let Some(tls) = oauth.tls.tls()? {
            access = access.with_tls(tls);
        }
        let endpoint = Endpoint::parse(&oauth.token_url)?.with_access(&access);
        let client_auth = match oauth.client_auth {
            ClientAuthText::Body => ClientAuth::Body,
            ClientAuthText::Basic => ClientAuth::Basic,
        };
        let source = TokenSource::new(endpoint, &oauth.client_id, (&oauth.client_secret).into());
        let parameters =
            [("scope", &oauth.scope), ("audience", &oauth.audience), ("resource", &oauth.resource)];
        let source = parameters
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.as_ref()?)))
            .fold(source.with_client_auth(client_auth), |source, (name, value)| {
                source.with_parameter(name, value)
            });
        Ok(Credential::Client(source.into()))
    }
}

impl Aws {
    fn credential(&self, place: &'static str) -> Result<Credential, Fault> {
        if !AwsKeys::SUPPORTED {
            let answer = "this build of c8keep cannot sign for AWS";
            return Err(usage(&format!("{place}.aws"), answer.into(), "build it with the feature `aws`"));
        }
        Ok(Credential::Aws(AwsKeys {
            region: self.region.clone(),
            service: self.service.clone(),
            access_key_id: (&self.access_key_id).into(),
            secret_access_key: (&self.secret_access_key).into(),
            session_token: self.session_token.as_ref().map(Secret::from),
        }))
    }
}

impl TlsSettings {
    fn tls(&self) -> Result<Option<Tls>, Fault> {
        if self.ca_file.is_none() && self.client_certificate.is_none() {
            return Ok(None);
        }
        let mut tls = Tls::default();
        if let Some(path) = &self.ca_file {
            tls = tls.with_issuers(path, self.ca_only)?;
        }
        if let Some(Pair { certificate, key }) = &self.client_certificate {
            tls = tls.with_identity(certificate, key)?;
        }
        Ok(Some(tls))
    }
}

/// An entry in one line, for whoever is asked for one: `basic:USER:SECRET`, `bearer:SECRET`, `api-key:SECRET` or
/// `header:NAME:SECRET`, where the secret is what `reference` reads. `None` for anything else, which may be a secret.
pub fn credential(text: &str) -> Option<Entry> {
    let (way, rest) = text.trim().split_once(':')?;
    let mut entry = Entry::default();
    match way {
        "basic" => {
            let (user, secret) = rest.split_once(':')?;
            entry.basic = Some(Basic { user: user.to_owned(), password: reference(secret)? });
        }
        "bearer" => entry.bearer = Some(reference(rest)?),
        "api-key" | "api_key" => entry.api_key = Some(reference(rest)?),
        "header" => {
            let (name, secret) = rest.split_once(':')?;
            entry.headers.insert(name.trim().to_owned(), HeaderText::Reference(reference(secret)?));
        }
        _ => return None,
    }
    Some(entry)
}

/// Whether a header of this name usually carries something that gives access.
fn sounds_secret(name: &str) -> bool {
    const SOUNDS: [&str; 7] = ["authorization", "cookie", "token", "secret", "password", "key", "credential"];
    let name = name.to_ascii_lowercase();
    SOUNDS.iter().any(|sound| name.contains(sound))
}
