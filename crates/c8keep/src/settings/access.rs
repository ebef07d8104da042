//! How servers are spoken to: the sections `access` and `connect_to` of the file. It holds where secrets are found and
//! never a secret: one that is written there is refused, and not repeated in the message.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use c8keep_adapters::discovery::Accesses;
use c8keep_adapters::transport::{
    Access, AwsKeys, ClientAuth, Command, Credential, Endpoint, Secret, Tls, TokenSource,
};
use c8keep_core::HistoryApp;
use c8keep_core::fault::Fault;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

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

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    /// The certificate with those between it and its issuer, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
}

/// Where a secret is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// In a variable.
    Env(String),
    /// In a file.
    File(PathBuf),
    /// A command prints it.
    Command(Vec<String>),
}

/// The value of a header: by reference, or as it is where its name does not sound like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderText {
    /// As it is.
    Plain(String),
    /// By reference.
    Reference(Reference),
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

fn search_service() -> String {
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

impl From<&Reference> for Secret {
    fn from(reference: &Reference) -> Secret {
        match reference {
            Reference::Env(name) => Secret::Env(name.clone()),
            Reference::File(path) => Secret::File(path.clone()),
            Reference::Command(words) => Secret::Command(Command::new(words.clone()).into()),
        }
    }
}

/// An entry in one line, for whoever is asked for one: `basic:USER:SECRET`, `bearer:SECRET` or `api-key:SECRET`, where the
/// secret is `env:NAME`, `file:/path` or `command:program argument`. `None` for anything else, which may be a secret.
pub fn credential(text: &str) -> Option<Entry> {
    let (way, rest) = text.trim().split_once(':')?;
    let mut entry = Entry::default();
    match way {
        "basic" => {
            let (user, secret) = rest.split_once(':')?;
            entry.basic = Some(Basic { user: user.to_owned(), password: found(secret)? });
        }
        "bearer" => entry.bearer = Some(found(rest)?),
        "api-key" | "api_key" => entry.api_key = Some(found(rest)?),
        _ => return None,
    }
    Some(entry)
}

fn found(text: &str) -> Option<Reference> {
    let (place, rest) = text.split_once(':')?;
    let rest = rest.trim();
    match place {
        _ if rest.is_empty() => None,
        "env" => Some(Reference::Env(rest.into())),
        "file" => Some(Reference::File(rest.into())),
        "command" => Some(Reference::Command(rest.split_whitespace().map(str::to_owned).collect())),
        _ => None,
    }
}

const PLAIN_SECRET: &str = "the file holds no secrets: write {env: NAME}, {file: /path} or {command: [program, argument]} instead of the value";

/// Whether a header of this name usually carries something that gives access.
fn sounds_secret(name: &str) -> bool {
    const SOUNDS: [&str; 7] = ["authorization", "cookie", "token", "secret", "password", "key", "credential"];
    let name = name.to_ascii_lowercase();
    SOUNDS.iter().any(|sound| name.contains(sound))
}

/// One of the keys of a reference.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Env,
    File,
    Command,
}

struct ReferenceVisitor;

impl<'de> Visitor<'de> for ReferenceVisitor {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("where the secret is found: {env: NAME}, {file: /path} or {command: [program, argument]}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Reference, A::Error> {
        let Some(kind) = map.next_key::<Kind>()? else { return Err(de::Error::custom(PLAIN_SECRET)) };
        let reference = match kind {
            Kind::Env => Reference::Env(map.next_value()?),
            Kind::File => Reference::File(map.next_value()?),
            Kind::Command => Reference::Command(map.next_value()?),
        };
        match map.next_key::<Kind>()? {
            None => Ok(reference),
            Some(_) => {
                Err(de::Error::custom("a secret is found in one place: keep one of env, file and command"))
            }
        }
    }

    // Whatever stands there instead may be the secret itself; the library's own message would repeat it.

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Reference, E> {
        Err(de::Error::custom(PLAIN_SECRET))
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        deserializer.deserialize_any(ReferenceVisitor)
    }
}

impl<'de> Deserialize<'de> for HeaderText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderText, D::Error> {
        struct HeaderVisitor;
        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = HeaderText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, {env: NAME} or {file: /path}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HeaderText, E> {
                Ok(HeaderText::Plain(text.to_owned()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<HeaderText, E> {
                Ok(HeaderText::Plain(number.to_string()))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<HeaderText, E> {
                Ok(HeaderText::Plain(number.to_string()))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<HeaderText, E> {
                Ok(HeaderText::Plain(value.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderText, A::Error> {
                ReferenceVisitor.visit_map(map).map(HeaderText::Reference)
            }
        }
        deserializer.deserialize_any(HeaderVisitor)
    }
}
