//! Whether `tests/canaries.yaml` has a canary in every field that takes a secret. Every structure is taken apart without `..`:
//! whoever adds a field says here what it is, and if it takes a secret, puts a canary into that file.

use std::collections::BTreeSet;
use std::path::Path;

use super::access::{AccessSettings, Aws, Basic, Entry, HeaderText, OAuth, Pair, Reference, TlsSettings};
use super::databases::Database;
use super::{Settings, Vault, parse};

/// Fields that take a secret: all, and those with a canary in them.
#[derive(Debug, Default)]
struct Fields {
    known: BTreeSet<&'static str>,
    with_canary: BTreeSet<&'static str>,
    /// Ways in which they are given: by variable, file, command.
    ways: BTreeSet<&'static str>,
}

impl Fields {
    fn field(&mut self, name: &'static str, reference: Option<&Reference>) {
        self.known.insert(name);
        let Some(reference) = reference else { return };
        let (way, canary) = match reference {
            Reference::Env(name) => ("env", name.starts_with("CANARY_")),
            Reference::File(path) => ("file", is_canary(path)),
            Reference::Command(words) => {
                ("command", words.last().is_some_and(|word| is_canary(Path::new(word))))
            }
        };
        assert!(canary, "{name} has no canary: {reference:?}");
        self.with_canary.insert(name);
        self.ways.insert(way);
    }

    /// A file that is a secret itself.
    fn file(&mut self, name: &'static str, path: Option<&Path>) {
        self.field(name, path.map(|path| Reference::File(path.to_owned())).as_ref());
    }

    fn settings(&mut self, settings: &Settings) {
        let Settings {
            access,
            databases,
            vault,
            // No secrets: what may be one in an address is refused in the file.
            name: _,
            management: _,
            rest: _,
            brokers: _,
            operate: _,
            tasklist: _,
            optimize: _,
            search: _,
            connect_to: _,
            records: _,
            journal: _,
            limits: _,
            release: _,
        } = settings;
        let AccessSettings { management, brokers, rest, operate, tasklist, optimize, search } = access;
        for entry in [management, brokers, rest, operate, tasklist, optimize, search] {
            self.entry(entry.as_ref());
        }
        self.vault(vault.as_ref());
        for database in databases.values() {
            self.database(database.as_ref());
        }
    }

    fn entry(&mut self, entry: Option<&Entry>) {
        let default = Entry::default();
        let Entry { basic, bearer, api_key, oauth, aws, headers, tls } = entry.unwrap_or(&default);
        self.field("basic.password", basic.as_ref().map(|Basic { user: _, password }| password));
        self.field("bearer", bearer.as_ref());
        self.field("api_key", api_key.as_ref());
        self.oauth(oauth.as_ref());
        self.aws(aws.as_ref());
        let referred = headers.values().find_map(|header| match header {
            HeaderText::Reference(reference) => Some(reference),
            // Its name does not sound like a secret, or it is refused.
            HeaderText::Plain(_) => None,
        });
        self.field("headers", referred);
        self.tls("tls.client_certificate.key", tls);
    }

    fn oauth(&mut self, oauth: Option<&OAuth>) {
        self.known.extend([
            "oauth.client_secret",
            "oauth.client_secret as basic",
            "oauth.tls.client_certificate.key",
        ]);
        let Some(oauth) = oauth else { return };
        let OAuth {
            token_url: _,
            client_id: _,
            client_secret,
            client_auth,
            scope: _,
            audience: _,
            resource: _,
            tls,
        } = oauth;
        let name = match client_auth {
            super::access::ClientAuthText::Body => "oauth.client_secret",
            super::access::ClientAuthText::Basic => "oauth.client_secret as basic",
        };
        self.field(name, Some(client_secret));
        self.tls("oauth.tls.client_certificate.key", tls);
    }

    fn aws(&mut self, aws: Option<&Aws>) {
        self.known.extend(["aws.access_key_id", "aws.secret_access_key", "aws.session_token"]);
        let Some(aws) = aws else { return };
        let Aws { region: _, service: _, access_key_id, secret_access_key, session_token } = aws;
        self.field("aws.access_key_id", Some(access_key_id));
        self.field("aws.secret_access_key", Some(secret_access_key));
        self.field("aws.session_token", session_token.as_ref());
    }

    fn tls(&mut self, name: &'static str, tls: &TlsSettings) {
        let TlsSettings { ca_file: _, ca_only: _, client_certificate } = tls;
        self.file(name, client_certificate.as_ref().map(|Pair { certificate: _, key }| key.as_path()));
    }

    fn vault(&mut self, vault: Option<&Vault>) {
        self.known.extend(["vault.secret of s3", "vault.secret of az", "vault.secret of gs"]);
        let Some(vault) = vault else { return };
        // The id of a key is no secret; the key is.
        let Vault {
            url,
            endpoint: _,
            region: _,
            path_style: _,
            allow_http: _,
            account: _,
            access_key: _,
            secret,
        } = vault;
        let name = match url.split("://").next() {
            Some("s3") => "vault.secret of s3",
            Some("az") => "vault.secret of az",
            Some("gs") => "vault.secret of gs",
            other => panic!("{other:?} takes no secret"),
        };
        self.field(name, secret.as_ref());
    }

    fn database(&mut self, database: Option<&Database>) {
        let default = Database::default();
        let Database {
            password,
            sslkey,
            host: _,
            port: _,
            user: _,
            dbname: _,
            mode: _,
            sslmode: _,
            sslrootcert: _,
            sslcert: _,
            tools: _,
            required: _,
        } = database.unwrap_or(&default);
        self.field("databases.password", password.as_ref());
        self.file("databases.sslkey", sslkey.as_deref());
    }
}

fn is_canary(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("canary-"))
}

#[test]
fn every_field_that_takes_a_secret_has_a_canary() {
    let mut fields = Fields::default();
    for document in include_str!("../../tests/canaries.yaml").split("---\n") {
        let settings = parse(document).unwrap_or_else(|why| panic!("{why:?}\n{document}"));
        fields.settings(&settings);
        // A section that no document has is known all the same.
        fields.vault(None);
        fields.database(None);
        fields.entry(None);
    }
    assert_eq!(fields.known, fields.with_canary, "put one into tests/canaries.yaml");
    assert_eq!(fields.ways, BTreeSet::from(["env", "file", "command"]));
}
