//! The configuration file as `init` writes it: every key that matters, with what it means. What is known stands there with
//! where it comes from; what is not is commented out, with its default or an example. It never holds a secret, only where
//! one is found; it reads back as the settings that it was written from.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::access::{Aws, Basic, ClientAuthText, Entry, HeaderText, OAuth, Pair, Reference, TlsSettings};
use super::databases::Database;
use super::{App, Search, Settings, Vault};

/// What is said beside the keys.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// What the servers say they are.
    pub about: String,
    /// Where a value comes from, by its key.
    pub sources: BTreeMap<&'static str, String>,
    /// Why a value is missing, or contradicted, by its key.
    pub missing: BTreeMap<&'static str, String>,
}

/// The file.
pub fn write(settings: &Settings, notes: &Notes) -> String {
    let mut page = Page { text: String::new(), notes, inside: None };
    page.prose(&format!("c8keep: one Camunda 8 installation. {}", notes.about));
    page.prose(
        "What stands here wins over what is found by asking the servers, and the variables of Camunda's page win over \
         what stands here. Keys that are commented out show their default, or an example. All of them: \
         docs/configuration.md.",
    );
    addresses(&mut page, settings);
    search(&mut page, settings);
    access(&mut page, settings);
    keeping(&mut page, settings);
    page.text
}

fn addresses(page: &mut Page, settings: &Settings) {
    page.about("Its name: lower-case letters, digits, hyphens. Backups are kept under it, and two clusters of one name exclude each other.");
    page.key("name", text(settings.name.as_ref()), "prod");
    page.about("Management address of the orchestration cluster; up to Camunda 8.7 of the gateway.");
    page.key("management", text(settings.management.as_ref()), "http://localhost:9600");
    page.about("Application address with /v2/topology, which tells whether all brokers are there.");
    page.key("rest", text(settings.rest.as_ref()), "http://localhost:8080");
    page.about(
        "Management addresses of all brokers. Without their own word on each partition nothing proves that the pause of \
         exporting held. Left out, the brokers are looked for by the names that the cluster tells.",
    );
    page.list("brokers", &settings.brokers, "[http://broker-0:9600, http://broker-1:9600]");
    page.about(
        "Web applications with management addresses of their own: Operate and Tasklist up to 8.7, and Optimize. \
         enabled: false leaves one out; required: false makes a backup without it partial rather than failed.",
    );
    app(page, ["operate", "operate.address", "operate.enabled", "operate.required"], &settings.operate, 9600);
    let keys = ["tasklist", "tasklist.address", "tasklist.enabled", "tasklist.required"];
    app(page, keys, &settings.tasklist, 9600);
    let keys = ["optimize", "optimize.address", "optimize.enabled", "optimize.required"];
    app(page, keys, &settings.optimize, 8092);
}

fn app(page: &mut Page, [section, address, enabled, required]: [&'static str; 4], app: &App, port: u16) {
    page.section(section, *app != App::default());
    page.key(address, text(app.address.as_ref()), &format!("http://{section}:{port}"));
    page.key(enabled, (!app.enabled).then(|| "false".into()), "true");
    page.key(required, (!app.required).then(|| "false".into()), "true");
}

fn search(page: &mut Page, settings: &Settings) {
    let (search, records) = (&settings.search, &settings.records);
    page.about(
        "Elasticsearch or OpenSearch, and the snapshot repository that all components are configured with.",
    );
    page.section("search", *search != Search::default());
    page.key("search.address", text(search.address.as_ref()), "http://elasticsearch:9200");
    page.key("search.repository", text(search.repository.as_ref()), "camunda");
    let foreign: Vec<String> = search.foreign_indices.iter().map(|name| scalar(name)).collect();
    let foreign = (!foreign.is_empty()).then(|| format!("[{}]", foreign.join(", ")));
    page.key("search.foreign_indices", foreign, "[camunda-logs-*]");
    page.about("The exported records: the exporter's index prefix.");
    page.section("records", records.prefix.is_some() || !records.enabled);
    page.key("records.prefix", text(records.prefix.as_ref()), "zeebe-record");
    page.key("records.enabled", (!records.enabled).then(|| "false".into()), "true");
}

fn access(page: &mut Page, settings: &Settings) {
    let access = &settings.access;
    let entries = [
        ("access.management", &access.management, "{bearer: {file: /run/secrets/token}}"),
        ("access.brokers", &access.brokers, "{bearer: {file: /run/secrets/token}}"),
        ("access.rest", &access.rest, "{basic: {user: backup, password: {env: REST_PASSWORD}}}"),
        ("access.operate", &access.operate, "{bearer: {file: /run/secrets/token}}"),
        ("access.tasklist", &access.tasklist, "{bearer: {file: /run/secrets/token}}"),
        ("access.optimize", &access.optimize, "{bearer: {file: /run/secrets/token}}"),
        ("access.search", &access.search, "{api_key: {file: /run/secrets/search-api-key}}"),
    ];
    page.about(
        "Who c8keep is to each server: basic, bearer, api_key, oauth or aws; headers and tls beside them. Secrets never \
         stand here, only where they are found: {env: NAME}, {file: /path} or {command: [program, argument]}. \
         docs/access.md has examples.",
    );
    page.section("access", entries.iter().any(|(_, entry, _)| entry.is_some()));
    for (key, entry, example) in entries {
        page.key(key, entry.as_ref().map(entry_text), example);
    }
    page.about("Where an address is really dialled, for port-forwards with TLS.");
    let ways = settings.connect_to.iter().map(|(name, dialled)| (name.as_str(), scalar(dialled))).collect();
    page.map("connect_to", ways, "camunda-core:9600: 127.0.0.1:19600");
}

fn keeping(page: &mut Page, settings: &Settings) {
    page.about(
        "Where manifests are kept: a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; \
         docs/vaults.md. The default is a folder on this machine, which is no place for the only copy, and keeps no \
         other host from starting a backup at the same time.",
    );
    match settings.vault.as_ref().map(vault) {
        Some(keys) if keys.len() > 1 => page.map("vault", keys, ""),
        _ => page.key("vault", text(settings.vault.as_ref().map(|vault| &vault.url)), "s3://backups/camunda"),
    }
    page.about("The journal of all runs, on a local disk. Default: $XDG_STATE_HOME/c8keep/journal.db.");
    let journal = settings.journal.as_ref().map(|path| path.display().to_string());
    page.key("journal", text(journal.as_ref()), "/var/lib/c8keep/journal.db");
    page.about(
        "PostgreSQL databases that belong to a backup, Web Modeler's and any other; no server names them. docs/databases.md.",
    );
    let databases =
        settings.databases.iter().map(|(name, database)| (name.as_str(), database_text(database.as_ref())));
    let example = "web-modeler: {host: modeler-db, user: c8keep, password: {file: /run/secrets/modeler}, dbname: modeler}";
    page.map("databases", databases.collect(), example);
    let limits = &settings.limits;
    page.about("Limits: the longest that exporting may stay paused, how long a wait may see nothing move, and last in all.");
    let given = [limits.hold_budget, limits.stall, limits.wait_deadline].iter().any(Option::is_some);
    page.section("limits", given);
    let time = |time: Option<jiff::SignedDuration>| time.map(|time| format!("{time:#}"));
    page.key("limits.hold_budget", time(limits.hold_budget), "2h");
    page.key("limits.stall", time(limits.stall), "10m");
    page.key("limits.wait_deadline", time(limits.wait_deadline), "12h");
}

fn entry_text(entry: &Entry) -> String {
    let Entry { basic, bearer, api_key, oauth, aws, headers, tls } = entry;
    let mut ways = Vec::new();
    if let Some(Basic { user, password }) = basic {
        ways.push(format!("basic: {{user: {}, password: {}}}", scalar(user), reference(password)));
    }
    ways.extend(bearer.iter().map(|token| format!("bearer: {}", reference(token))));
    ways.extend(api_key.iter().map(|key| format!("api_key: {}", reference(key))));
    ways.extend(oauth.iter().map(|oauth| format!("oauth: {}", oauth_text(oauth))));
    ways.extend(aws.iter().map(|aws| format!("aws: {}", aws_text(aws))));
    if !headers.is_empty() {
        let text = |(name, text): (&String, &HeaderText)| match text {
            HeaderText::Plain(text) => format!("{}: {}", scalar(name), scalar(text)),
            HeaderText::Reference(found) => format!("{}: {}", scalar(name), reference(found)),
        };
        ways.push(format!("headers: {}", flow(headers.iter().map(text))));
    }
    ways.extend(tls_text(tls));
    flow(ways)
}

fn oauth_text(oauth: &OAuth) -> String {
    let OAuth { token_url, client_id, client_secret, client_auth, scope, audience, resource, tls } = oauth;
    let mut keys = vec![
        format!("token_url: {}", scalar(token_url)),
        format!("client_id: {}", scalar(client_id)),
        format!("client_secret: {}", reference(client_secret)),
    ];
    keys.extend((*client_auth == ClientAuthText::Basic).then(|| "client_auth: basic".to_owned()));
    let others = [("scope", scope), ("audience", audience), ("resource", resource)];
    keys.extend(
        others.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", scalar(value.as_ref()?)))),
    );
    keys.extend(tls_text(tls));
    flow(keys)
}

fn aws_text(aws: &Aws) -> String {
    let Aws { region, service, access_key_id, secret_access_key, session_token } = aws;
    let mut keys = vec![
        format!("region: {}", scalar(region)),
        format!("service: {}", scalar(service)),
        format!("access_key_id: {}", reference(access_key_id)),
        format!("secret_access_key: {}", reference(secret_access_key)),
    ];
    keys.extend(session_token.iter().map(|token| format!("session_token: {}", reference(token))));
    flow(keys)
}

fn tls_text(tls: &TlsSettings) -> Option<String> {
    let TlsSettings { ca_file, ca_only, client_certificate } = tls;
    let path = |path: &Path| scalar(&path.display().to_string());
    let mut keys: Vec<String> = ca_file.iter().map(|file| format!("ca_file: {}", path(file))).collect();
    keys.extend(ca_only.then(|| "ca_only: true".to_owned()));
    keys.extend(client_certificate.iter().map(|Pair { certificate, key }| {
        format!("client_certificate: {{certificate: {}, key: {}}}", path(certificate), path(key))
    }));
    (!keys.is_empty()).then(|| format!("tls: {}", flow(keys)))
}

/// Every key of a vault that says anything.
fn vault(vault: &Vault) -> Vec<(&'static str, String)> {
    let Vault { url, endpoint, region, path_style, allow_http, account, access_key, secret } = vault;
    let mut keys = vec![("url", scalar(url))];
    let texts =
        [("endpoint", endpoint), ("region", region), ("account", account), ("access_key", access_key)];
    keys.extend(texts.into_iter().filter_map(|(key, value)| Some((key, scalar(value.as_ref()?)))));
    keys.extend(path_style.map(|is_so| ("path_style", is_so.to_string())));
    keys.extend(allow_http.then(|| ("allow_http", "true".to_owned())));
    keys.extend(secret.iter().map(|secret| ("secret", reference(secret))));
    keys
}

/// What `init` asks for; what it does not is written by hand.
fn database_text(database: Option<&Database>) -> String {
    let Some(database) = database else { return "null".into() };
    let Database { host, port, user, password, dbname, .. } = database;
    let texts = [("host", host), ("user", user), ("dbname", dbname)];
    let mut keys: Vec<String> = texts
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}: {}", scalar(value.as_ref()?))))
        .collect();
    keys.extend(port.iter().map(|port| format!("port: {port}")));
    keys.extend(password.iter().map(|password| format!("password: {}", reference(password))));
    flow(keys)
}

/// A map in one line.
fn flow(keys: impl IntoIterator<Item = String>) -> String {
    format!("{{{}}}", keys.into_iter().collect::<Vec<_>>().join(", "))
}

fn reference(reference: &Reference) -> String {
    match reference {
        Reference::Env(name) => format!("{{env: {}}}", scalar(name)),
        Reference::File(path) => format!("{{file: {}}}", scalar(&path.display().to_string())),
        Reference::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| scalar(word)).collect();
            format!("{{command: [{}]}}", words.join(", "))
        }
    }
}

fn text(value: Option<&String>) -> Option<String> {
    value.map(|value| scalar(value))
}

/// A text in YAML: as it is where nothing in it means anything else, else in double quotes as JSON writes it.
fn scalar(text: &str) -> String {
    const MEANS_MORE: [&str; 7] = ["true", "false", "null", "yes", "no", "on", "off"];
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    let begins_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain = begins_well
        && text.chars().all(plain)
        && !text.ends_with(':')
        && !MEANS_MORE.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// The file as it grows.
struct Page<'a> {
    text: String,
    notes: &'a Notes,
    /// Whether the section that was begun last is there, or commented out with all that is in it.
    inside: Option<bool>,
}

/// Marks what has to be set by hand.
pub const LOOK_HERE: &str = "LOOK HERE:";
/// Prose is broken here.
const WIDTH: usize = 100;
/// Where notes begin, behind keys that leave room for them.
const NOTES_AT: usize = 44;

impl Page<'_> {
    /// What comes next, in words.
    fn about(&mut self, words: &str) {
        self.text.push('\n');
        self.prose(words);
    }

    fn prose(&mut self, words: &str) {
        let mut line = String::from("#");
        for word in words.split_whitespace() {
            if line.len() + 1 + word.len() > WIDTH {
                let _ = writeln!(self.text, "{line}");
                line = String::from("#");
            }
            let _ = write!(line, " {word}");
        }
        let _ = writeln!(self.text, "{line}");
        self.inside = None;
    }

    /// A key with keys below it.
    fn section(&mut self, key: &'static str, is_there: bool) {
        self.inside = Some(is_there);
        let sign = if is_there { "" } else { "#" };
        self.line(key, &format!("{sign}{key}:"));
    }

    /// A key with a value, or with an example.
    fn key(&mut self, path: &'static str, value: Option<String>, example: &str) {
        let (indent, key) = path.split_once('.').map_or(("", path), |(_, key)| ("  ", key));
        let line = match (value, self.inside) {
            (Some(value), _) => format!("{indent}{key}: {value}"),
            (None, Some(false)) => format!("#{indent}{key}: {example}"),
            (None, _) => format!("{indent}#{key}: {example}"),
        };
        self.line(path, &line);
    }

    /// A section whose keys are nobody's but the operator's; an example where there is none.
    fn map(&mut self, key: &'static str, entries: Vec<(&str, String)>, example: &str) {
        self.section(key, !entries.is_empty());
        if entries.is_empty() {
            let _ = writeln!(self.text, "#  {example}");
        }
        for (name, value) in entries {
            let _ = writeln!(self.text, "  {}: {value}", scalar(name));
        }
    }

    fn list(&mut self, key: &'static str, values: &[String], example: &str) {
        if values.is_empty() {
            return self.key(key, None, example);
        }
        self.line(key, &format!("{key}:"));
        for value in values {
            let _ = writeln!(self.text, "  - {}", scalar(value));
        }
    }

    fn line(&mut self, path: &'static str, line: &str) {
        let source = self.notes.sources.get(path).map(|note| one_line(note));
        let missing = self.notes.missing.get(path).map(|note| format!("{LOOK_HERE} {}", one_line(note)));
        let note: Vec<String> = source.into_iter().chain(missing).collect();
        let _ = if note.is_empty() {
            writeln!(self.text, "{line}")
        } else {
            writeln!(self.text, "{line:<NOTES_AT$} # {}", note.join("; "))
        };
    }
}

/// What servers say may hold anything.
fn one_line(note: &str) -> String {
    note.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
