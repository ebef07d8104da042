//! A secret by reference, as the file and the command line write it: where it is found. A value that stands there instead is
//! refused, and not repeated in the message.

use std::fmt;
use std::path::PathBuf;

use c8keep_adapters::transport::{Command, Secret};
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

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

/// What is said of a value where a reference belongs.
pub const PLAIN_SECRET: &str = "the file holds no secrets: write {env: NAME}, {file: /path} or {command: [program, argument]} instead of the value";

/// Where a secret is found, in one line: `env:NAME`, `file:/path` or `command:program argument`.
pub fn reference(text: &str) -> Option<Reference> {
    let (place, rest) = text.trim().split_once(':')?;
    let rest = rest.trim();
    match place {
        _ if rest.is_empty() => None,
        "env" => Some(Reference::Env(rest.into())),
        "file" => Some(Reference::File(rest.into())),
        "command" => Some(Reference::Command(rest.split_whitespace().map(str::to_owned).collect())),
        _ => None,
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
