//! What takes several answers: which comes next, whether it can be meant, and what becomes of all of them. Pure. No secret is
//! taken, only where one is found, and what may be one is not repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use c8keep_adapters::transport::AwsKeys;

use super::given::{address, place};
use crate::settings::Vault;
use crate::settings::access::{Aws, Entry, OAuth, Pair, Reference, TlsSettings, reference};
use crate::settings::databases::Database;

/// Something that takes several answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A token by client credentials.
    OAuth,
    /// Signatures of AWS.
    Aws,
    /// A certificate of our own.
    Certificate,
    /// What an object store wants to know.
    S3,
    /// The same of Azure.
    Azure,
    /// The same of Google.
    Gcs,
    /// A database.
    Database,
}

/// One answer of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) prompt: &'static str,
    takes: Takes,
    empty: Empty,
}

/// What an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Text,
    Address,
    Port,
    Secret,
    File,
}

/// What an empty answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    /// Nothing: it is asked again.
    Again,
    /// This one is left out.
    Skip,
    /// This one and all that follow are left out.
    Rest,
}

/// The answers so far.
pub(super) type Answers = BTreeMap<&'static str, String>;

/// Where a secret is found, in words.
const FOUND: &str = "say where it is found: env:NAME, file:/path or command:program argument";

const fn field(key: &'static str, prompt: &'static str, takes: Takes, empty: Empty) -> Field {
    Field { key, prompt, takes, empty }
}

const OAUTH: &[Field] = &[
    field("token_url", "address of the token endpoint:", Takes::Address, Empty::Again),
    field("client_id", "client id:", Takes::Text, Empty::Again),
    field(
        "client_secret",
        "client secret is found at (env:NAME, file:/path, command:…):",
        Takes::Secret,
        Empty::Again,
    ),
    field(
        "audience",
        "audience, where the token endpoint wants one (empty: none):",
        Takes::Text,
        Empty::Skip,
    ),
    field("scope", "scope, where the token endpoint wants one (empty: none):", Takes::Text, Empty::Skip),
];
const AWS: &[Field] = &[
    field("region", "AWS region, as in eu-central-1:", Takes::Text, Empty::Again),
    field(
        "access_key_id",
        "access key id is found at (env:NAME, file:/path, command:…):",
        Takes::Secret,
        Empty::Again,
    ),
    field("secret_access_key", "secret access key is found at:", Takes::Secret, Empty::Again),
    field("session_token", "session token is found at (empty: none):", Takes::Secret, Empty::Skip),
];
const CERTIFICATE: &[Field] = &[
    field("certificate", "file with c8keep's certificate, PEM:", Takes::File, Empty::Again),
    field("key", "file with its key, PEM, not encrypted:", Takes::File, Empty::Again),
];
const S3: &[Field] = &[
    field(
        "endpoint",
        "address of the store, where it is not Amazon's own (empty: Amazon's):",
        Takes::Address,
        Empty::Skip,
    ),
    field("region", "its region (empty: what the environment says):", Takes::Text, Empty::Skip),
    field(
        "access_key",
        "access key id (empty: the login that the environment gives):",
        Takes::Text,
        Empty::Rest,
    ),
    field("secret", "secret key is found at (env:NAME, file:/path, command:…):", Takes::Secret, Empty::Again),
];
const AZURE: &[Field] = &[
    field("account", "storage account (empty: what the environment says):", Takes::Text, Empty::Skip),
    field(
        "secret",
        "account key or shared access signature is found at (empty: the login that the environment gives):",
        Takes::Secret,
        Empty::Rest,
    ),
];
const GCS: &[Field] = &[field(
    "secret",
    "the service account's key file, as file:/path (empty: the login that the environment gives):",
    Takes::Secret,
    Empty::Rest,
)];
const DATABASE: &[Field] = &[
    field("host", "host of its PostgreSQL server (empty: what PGHOST says):", Takes::Text, Empty::Skip),
    field("port", "port (empty: what PGPORT says, or 5432):", Takes::Port, Empty::Skip),
    field("user", "user (empty: what PGUSER says):", Takes::Text, Empty::Skip),
    field("dbname", "name of the database there (empty: what PGDATABASE says):", Takes::Text, Empty::Skip),
    field(
        "password",
        "password is found at (empty: what libpq's password file says):",
        Takes::Secret,
        Empty::Skip,
    ),
];

impl Form {
    /// The form behind a word that stands for a whole credential.
    pub(super) fn of_credential(word: &str) -> Option<Form> {
        match word.trim().to_ascii_lowercase().as_str() {
            "oauth" => Some(Form::OAuth),
            "aws" if AwsKeys::SUPPORTED => Some(Form::Aws),
            _ => None,
        }
    }

    /// The form that an object store takes; a folder takes none.
    pub(super) fn of_vault(url: &str) -> Option<Form> {
        match url.split_once("://")?.0 {
            "s3" => Some(Form::S3),
            "az" => Some(Form::Azure),
            "gs" => Some(Form::Gcs),
            _ => None,
        }
    }

    /// What is asked next, if anything is.
    pub(super) fn next(self, answers: &Answers) -> Option<Field> {
        let fields = self.fields();
        let ends = |field: &Field| {
            field.empty == Empty::Rest && answers.get(field.key).is_some_and(String::is_empty)
        };
        if fields.iter().any(ends) {
            return None;
        }
        fields.iter().find(|field| !answers.contains_key(field.key)).copied()
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Form::OAuth => OAUTH,
            Form::Aws => AWS,
            Form::Certificate => CERTIFICATE,
            Form::S3 => S3,
            Form::Azure => AZURE,
            Form::Gcs => GCS,
            Form::Database => DATABASE,
        }
    }
}

impl Field {
    /// The answer as it is kept, or why it cannot be meant.
    pub(super) fn check(&self, answer: &str) -> Result<String, String> {
        let answer = answer.trim();
        match (answer.is_empty(), self.empty, self.takes) {
            (true, Empty::Again, _) => {
                Err("nothing is taken for that: an answer is needed, or Ctrl-C".into())
            }
            (true, ..) => Ok(String::new()),
            (_, _, Takes::Text) => Ok(answer.to_owned()),
            (_, _, Takes::Address) => address(answer),
            (_, _, Takes::Port) => match answer.parse::<u16>() {
                Ok(1..) => Ok(answer.to_owned()),
                _ => Err("a port is a number from 1 to 65535".into()),
            },
            // What is no reference may be the secret itself.
            (_, _, Takes::Secret) => reference(answer).map(|_| answer.to_owned()).ok_or_else(|| FOUND.into()),
            (_, _, Takes::File) => {
                let path = place(answer)?;
                let readable = std::fs::metadata(&path).map(|file| file.is_file());
                match readable {
                    Ok(true) => Ok(path),
                    Ok(false) => Err(format!("{path} is no file")),
                    Err(error) => Err(format!("{path}: {error}")),
                }
            }
        }
    }
}

/// A credential from its answers.
pub(super) fn credential(form: Form, answers: &Answers) -> Option<Entry> {
    let mut entry = Entry::default();
    match form {
        Form::OAuth => {
            entry.oauth = Some(OAuth {
                token_url: text(answers, "token_url")?,
                client_id: text(answers, "client_id")?,
                client_secret: secret(answers, "client_secret")?,
                client_auth: crate::settings::access::ClientAuthText::default(),
                scope: text(answers, "scope"),
                audience: text(answers, "audience"),
                resource: None,
                tls: TlsSettings::default(),
            });
        }
        Form::Aws => {
            entry.aws = Some(Aws {
                region: text(answers, "region")?,
                service: crate::settings::access::search_service(),
                access_key_id: secret(answers, "access_key_id")?,
                secret_access_key: secret(answers, "secret_access_key")?,
                session_token: secret(answers, "session_token"),
            });
        }
        _ => return None,
    }
    Some(entry)
}

/// Our own certificate from its answers.
pub(super) fn certificate(answers: &Answers) -> Option<Pair> {
    let path = |key| text(answers, key).map(PathBuf::from);
    Some(Pair { certificate: path("certificate")?, key: path("key")? })
}

/// What is known of a vault, with what its form has told.
pub(super) fn vault(vault: &Vault, answers: &Answers) -> Vault {
    let or = |key, old: &Option<String>| text(answers, key).or_else(|| old.clone());
    Vault {
        endpoint: or("endpoint", &vault.endpoint),
        region: or("region", &vault.region),
        account: or("account", &vault.account),
        access_key: or("access_key", &vault.access_key),
        secret: secret(answers, "secret").or_else(|| vault.secret.clone()),
        ..vault.clone()
    }
}

/// A database from its answers.
pub(super) fn database(answers: &Answers) -> Database {
    Database {
        host: text(answers, "host"),
        port: text(answers, "port").and_then(|port| port.parse().ok()),
        user: text(answers, "user"),
        dbname: text(answers, "dbname"),
        password: secret(answers, "password"),
        ..Database::default()
    }
}

fn text(answers: &Answers, key: &str) -> Option<String> {
    answers.get(key).filter(|answer| !answer.is_empty()).cloned()
}

fn secret(answers: &Answers, key: &str) -> Option<Reference> {
    reference(&text(answers, key)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers a form field by field, as it asks for them.
    fn filled(form: Form, given: &[(&'static str, &str)]) -> Answers {
        let mut answers = Answers::new();
        for (key, answer) in given {
            let field = form.next(&answers).unwrap_or_else(|| panic!("nothing is asked instead of {key}"));
            assert_eq!(field.key, *key);
            answers.insert(field.key, field.check(answer).unwrap());
        }
        assert_eq!(form.next(&answers), None);
        answers
    }

    #[test]
    fn a_form_asks_for_one_thing_after_the_other() {
        let answers = filled(
            Form::OAuth,
            &[
                ("token_url", "https://idp/token"),
                ("client_id", "c8keep"),
                ("client_secret", "command:pass show c8keep"),
                ("audience", ""),
                ("scope", "a b"),
            ],
        );
        let oauth = credential(Form::OAuth, &answers).unwrap().oauth.unwrap();
        assert_eq!((oauth.audience, oauth.scope.as_deref()), (None, Some("a b")));
        assert!(matches!(oauth.client_secret, Reference::Command(words) if words.len() == 3));
    }

    /// Without a key there is no secret to ask for.
    #[test]
    fn a_login_that_the_environment_gives_is_not_asked_for() {
        let answers = filled(Form::S3, &[("endpoint", ""), ("region", "eu-central-1"), ("access_key", "")]);
        let bucket = Vault { url: "s3://b".into(), ..Vault::default() };
        let vault_of = vault(&bucket, &answers);
        assert!(vault_of.check().is_ok() && vault_of.region.is_some() && vault_of.secret.is_none());
        filled(Form::Gcs, &[("secret", "")]);
        let answers = filled(Form::Azure, &[("account", "a"), ("secret", "env:KEY")]);
        assert_eq!(vault(&bucket, &answers).secret, Some(Reference::Env("KEY".into())));
    }

    #[test]
    fn what_cannot_be_meant_is_asked_again_and_not_repeated() {
        let of = |form: Form, key: &str| *form.fields().iter().find(|field| field.key == key).unwrap();
        for (form, key, answer) in [
            (Form::OAuth, "client_secret", "hunter2"),
            (Form::OAuth, "client_secret", ""),
            (Form::OAuth, "token_url", "https://u:hunter2@idp/"),
            (Form::OAuth, "token_url", "4711"),
            (Form::Aws, "access_key_id", "AKIAHUNTER2"),
            (Form::Certificate, "key", "/nonexistent"),
            (Form::Certificate, "certificate", "/"),
            (Form::Database, "port", "0"),
            (Form::Database, "port", "x"),
            (Form::Database, "password", "hunter2"),
        ] {
            let why = of(form, key).check(answer).unwrap_err();
            assert!(!why.to_ascii_lowercase().contains("hunter2"), "{key}: {why}");
        }
    }

    #[test]
    fn a_word_stands_for_a_form() {
        assert_eq!(Form::of_credential(" OAuth "), Some(Form::OAuth));
        assert_eq!(Form::of_credential("aws").is_some(), AwsKeys::SUPPORTED);
        assert_eq!(Form::of_credential("basic:u:env:X"), None);
        assert_eq!(Form::of_vault("/mnt/s3"), None);
        assert_eq!(Form::of_vault("az://c/p"), Some(Form::Azure));
    }
}
