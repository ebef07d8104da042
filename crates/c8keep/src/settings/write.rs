//! The configuration file as `init` writes it: every key that matters, with what it means. What is known stands there with
//! where it comes from; what is not is commented out, with its default or an example. It never holds a secret, only where
//! one is found; it reads back as the settings that it was written from.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt::Write;

use super::access::{Basic, Entry, Reference};
use super::{App, Settings};

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
    page.section("search", search.address.is_some() || search.repository.is_some());
    page.key("search.address", text(search.address.as_ref()), "http://elasticsearch:9200");
    page.key("search.repository", text(search.repository.as_ref()), "camunda");
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
    page.section("connect_to", false);
    page.key("connect_to.camunda-core:9600", None, "127.0.0.1:19600");
}

fn keeping(page: &mut Page, settings: &Settings) {
    page.about(
        "Where manifests are kept: a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix; \
         docs/vaults.md. The default is a folder on this machine, which is no place for the only copy, and keeps no \
         other host from starting a backup at the same time.",
    );
    let vault = settings.vault.as_ref().map(|vault| &vault.url);
    page.key("vault", text(vault), "s3://backups/camunda");
    page.about("The journal of all runs, on a local disk. Default: $XDG_STATE_HOME/c8keep/journal.db.");
    let journal = settings.journal.as_ref().map(|path| path.display().to_string());
    page.key("journal", text(journal.as_ref()), "/var/lib/c8keep/journal.db");
    page.about(
        "PostgreSQL databases that belong to a backup, Web Modeler's and any other; no server names them. docs/databases.md.",
    );
    page.section("databases", false);
    let example = "{host: modeler-db, user: c8keep, password: {file: /run/secrets/modeler}, dbname: modeler}";
    page.key("databases.web-modeler", None, example);
    let limits = &settings.limits;
    page.about("Limits: the longest that exporting may stay paused, how long a wait may see nothing move, and last in all.");
    let given = [limits.hold_budget, limits.stall, limits.wait_deadline].iter().any(Option::is_some);
    page.section("limits", given);
    let time = |time: Option<jiff::SignedDuration>| time.map(|time| format!("{time:#}"));
    page.key("limits.hold_budget", time(limits.hold_budget), "2h");
    page.key("limits.stall", time(limits.stall), "10m");
    page.key("limits.wait_deadline", time(limits.wait_deadline), "12h");
}

/// What `init` can ask for; other ways are written by hand.
fn entry_text(entry: &Entry) -> String {
    let mut ways = Vec::new();
    if let Some(Basic { user, password }) = &entry.basic {
        ways.push(format!("basic: {{user: {}, password: {}}}", scalar(user), reference(password)));
    }
    ways.extend(entry.bearer.iter().map(|token| format!("bearer: {}", reference(token))));
    ways.extend(entry.api_key.iter().map(|key| format!("api_key: {}", reference(key))));
    let issuers = entry.tls.ca_file.iter().map(|path| scalar(&path.display().to_string()));
    ways.extend(issuers.map(|path| format!("tls: {{ca_file: {path}}}")));
    format!("{{{}}}", ways.join(", "))
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
