//! What an operator gives: variables, options, answers. Each value keeps where it comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use c8keep_adapters::transport::Endpoint;
use c8keep_core::HistoryApp;
use c8keep_core::fault::{Fault, FaultKind};

use super::forms::{self, Answers, Form};
use super::questions::Question;
use crate::cli::{Global, InitArgs};
use crate::env;
use crate::settings::databases::Database;
use crate::settings::{App, Entry, Settings, Vault, credential};

/// Settings with the source of each value.
pub(super) struct Given {
    pub(super) settings: Settings,
    pub(super) sources: BTreeMap<&'static str, String>,
    /// The database whose answers come next.
    database: Option<String>,
}

const ANSWERED: &str = "answered";
/// An application is not there, or not wanted.
const OFF: &str = "off";

impl Given {
    /// The environment, with the options over it.
    pub(super) fn of(global: &Global, args: &InitArgs) -> Result<Given, Fault> {
        env::check()?;
        let (settings, sources) = (Settings::of_environment(), BTreeMap::new());
        let mut given = Given { settings, sources, database: None };
        given.remember_variables();
        given.settings.name.clone_from(&global.installation);
        let options = [
            (Question::Management, &args.management, "given"),
            (Question::Rest, &args.rest, "--rest"),
            (Question::App(HistoryApp::Operate), &args.operate, "--operate"),
            (Question::App(HistoryApp::Tasklist), &args.tasklist, "--tasklist"),
            (Question::App(HistoryApp::Optimize), &args.optimize, "--optimize"),
            (Question::Search, &args.search, "--search"),
            (Question::Repository, &args.repository, "--repository"),
            (Question::Vault, &args.vault, "--vault"),
        ];
        let refused = |option: &str, why: String| {
            Fault::new(FaultKind::Usage, "reading the command line", option, why)
                .with_hint("`c8keep init --help` shows what it takes")
        };
        for (question, value, option) in options {
            if let Some(value) = value {
                given.put(question, value, option).map_err(|why| refused(option, why))?;
            }
        }
        if !args.brokers.is_empty() {
            given
                .put(Question::Brokers, &args.brokers.join(","), "--brokers")
                .map_err(|why| refused("--brokers", why))?;
        }
        for text in &args.credential {
            let refused = |why| refused("--credential", why);
            let known = |server: &str| SERVERS.into_iter().find(|known| *known == server);
            let named = text.split_once('=').and_then(|(server, way)| Some((known(server)?, way)));
            let (server, way) = named.ok_or_else(|| refused(no_server("WAY:SECRET")))?;
            let question = Question::Credential(server);
            given.put(question, way, "--credential").map_err(refused)?;
        }
        for text in &args.ca_file {
            let known = |name: &str| SERVERS.into_iter().find(|known| *known == name);
            let trusted = text.split_once('=').and_then(|(server, file)| Some((known(server)?, file)));
            let (server, file) = trusted.ok_or_else(|| refused("--ca-file", no_server("FILE")))?;
            given
                .put(Question::Issuers(server), file, "--ca-file")
                .map_err(|why| refused("--ca-file", why))?;
        }
        given.settings.check()?;
        Ok(given)
    }

    /// An answer from the terminal, or why it cannot be meant.
    pub(super) fn answer(&mut self, question: Question, answer: &str) -> Result<(), String> {
        self.put(question, answer, ANSWERED)
    }

    /// The answers to a form, which the question has led to; or why they cannot be meant.
    pub(super) fn fill(&mut self, question: Question, form: Form, answers: &Answers) -> Result<(), String> {
        let mut wished = self.settings.clone();
        match question {
            Question::Credential(server) => {
                let filled = forms::credential(form, answers).ok_or(CREDENTIAL)?;
                let entry = entry(&mut wished, server).ok_or(CREDENTIAL)?;
                put_on(entry, filled);
            }
            Question::Certificate(server) => {
                let entry = entry(&mut wished, server).ok_or(CREDENTIAL)?;
                entry.tls.client_certificate = forms::certificate(answers);
            }
            Question::Vault => wished.vault = wished.vault.map(|vault| forms::vault(&vault, answers)),
            Question::Database => {
                let last = self.database.clone().unwrap_or_default();
                wished.databases.insert(last, Some(forms::database(answers)));
            }
            _ => return Ok(()),
        }
        self.wish(wished)
    }

    fn wish(&mut self, wished: Settings) -> Result<(), String> {
        wished.check().map_err(|fault| format!("{}; {}", fault.answer, fault.hint))?;
        self.settings = wished;
        Ok(())
    }

    /// Whether nothing needs to be asked.
    pub(super) fn knows(&self, question: Question) -> bool {
        match question {
            Question::Installation => self.settings.name.is_some(),
            Question::Vault => self.settings.vault.is_some(),
            _ => false,
        }
    }

    fn put(&mut self, question: Question, value: &str, source: &str) -> Result<(), String> {
        let value = value.trim();
        let mut wished = self.settings.clone();
        let key = match question {
            Question::Management => set("management", &mut wished.management, address(value)?),
            Question::Rest => set("rest", &mut wished.rest, address(value)?),
            Question::Search => {
                wished.search.product = None;
                set("search.address", &mut wished.search.address, address(value)?)
            }
            Question::App(HistoryApp::Operate) => {
                set_app(["operate", "operate.address"], &mut wished.operate, value)?
            }
            Question::App(HistoryApp::Tasklist) => {
                set_app(["tasklist", "tasklist.address"], &mut wished.tasklist, value)?
            }
            Question::App(_) => set_app(["optimize", "optimize.address"], &mut wished.optimize, value)?,
            Question::Repository => set("search.repository", &mut wished.search.repository, value.into()),
            Question::Prefix => set("records.prefix", &mut wished.records.prefix, value.into()),
            Question::Installation => set("name", &mut wished.name, value.into()),
            Question::Vault => {
                wished.vault = Some(Vault { url: place(value)?, ..Vault::default() });
                "vault"
            }
            Question::Brokers => {
                let all = value.split([',', ' ']).filter(|one| !one.is_empty()).map(address);
                wished.brokers = all.collect::<Result<_, _>>()?;
                "brokers"
            }
            Question::Credential(server) => {
                let given = credential(value).ok_or(CREDENTIAL)?;
                put_on(entry(&mut wished, server).ok_or(CREDENTIAL)?, given);
                return self.wish(wished);
            }
            Question::Issuers(server) => {
                let file = place(value)?;
                entry(&mut wished, server).ok_or(CREDENTIAL)?.tls.ca_file = Some(PathBuf::from(file));
                return self.wish(wished);
            }
            Question::Name(server) => {
                rename(&mut wished, server, value)?;
                return self.wish(wished);
            }
            Question::Database => {
                wished.databases.insert(value.to_owned(), Some(Database::default()));
                wished.check().map_err(|fault| format!("{}; {}", fault.answer, fault.hint))?;
                self.database = Some(value.to_owned());
                return Ok(());
            }
            // Their forms say it all.
            Question::Certificate(_) => return Ok(()),
        };
        self.wish(wished)?;
        self.sources.insert(key, source.to_owned());
        Ok(())
    }

    fn remember_variables(&mut self) {
        let settings = &self.settings;
        let search = [(env::ELASTIC, env::ELASTIC_REPOSITORY), (env::OPENSEARCH, env::OPENSEARCH_REPOSITORY)];
        let variables = [
            ("management", settings.management.is_some(), env::MANAGEMENT),
            ("operate.address", settings.operate.address.is_some(), env::OPERATE),
            ("tasklist.address", settings.tasklist.address.is_some(), env::TASKLIST),
            ("optimize.address", settings.optimize.address.is_some(), env::OPTIMIZE),
        ];
        for (key, is_set, variable) in variables {
            if is_set {
                self.sources.insert(key, variable.into());
            }
        }
        for (address, repository) in search {
            for (key, variable) in [("search.address", address), ("search.repository", repository)] {
                if env::var(variable).is_some() {
                    self.sources.insert(key, variable.into());
                }
            }
        }
    }
}

/// Every server that may want to know who we are, as in `access`.
pub(super) const SERVERS: [&str; 7] =
    ["management", "brokers", "rest", "operate", "tasklist", "optimize", "search"];

/// What is said where no server, or none that is known, is named; the text itself may hold a secret.
fn no_server(what: &str) -> String {
    format!("it is SERVER={what}, and SERVER is one of {}", SERVERS.join(", "))
}

/// What is said of a credential that cannot be meant; the text itself may hold a secret.
const CREDENTIAL: &str = "a credential is basic:USER:SECRET, bearer:SECRET, api-key:SECRET or header:NAME:SECRET, and SECRET says where \
                          it is found: env:NAME, file:/path or command:program argument";

/// How a server is spoken to.
fn entry<'a>(settings: &'a mut Settings, server: &str) -> Option<&'a mut Entry> {
    let access = &mut settings.access;
    let slot = match server {
        "management" => &mut access.management,
        "brokers" => &mut access.brokers,
        "rest" => &mut access.rest,
        "operate" => &mut access.operate,
        "tasklist" => &mut access.tasklist,
        "optimize" => &mut access.optimize,
        "search" => &mut access.search,
        _ => return None,
    };
    Some(slot.get_or_insert_default())
}

/// A new credential takes the place of the old one; headers and TLS stand beside it, and a header beside the credential.
fn put_on(entry: &mut Entry, given: Entry) {
    let old = std::mem::take(entry);
    let only_header = !given.headers.is_empty();
    *entry = if only_header { old.clone() } else { given.clone() };
    entry.headers = old.headers.into_iter().chain(given.headers).collect();
    entry.tls = old.tls;
}

/// The name that a certificate is for, in the address, and where that is really dialled.
fn rename(settings: &mut Settings, server: &str, name: &str) -> Result<(), String> {
    let slot = match server {
        "management" => &mut settings.management,
        "rest" => &mut settings.rest,
        "operate" => &mut settings.operate.address,
        "tasklist" => &mut settings.tasklist.address,
        "optimize" => &mut settings.optimize.address,
        "search" => &mut settings.search.address,
        _ => return Err("that address was not given; give it first".into()),
    };
    let written = slot.clone().unwrap_or_default();
    let (scheme, rest) = written.split_once("://").ok_or("that address was not given; give it first")?;
    let (dialled, path) = rest.split_once('/').map_or((rest, ""), |(dialled, path)| (dialled, path));
    let port = dialled.rsplit_once(':').map_or("443", |(_, port)| port);
    let name = if name.contains(':') { name.to_owned() } else { format!("{name}:{port}") };
    let dialled = if dialled.contains(':') { dialled.to_owned() } else { format!("{dialled}:{port}") };
    *slot = Some(address(format!("{scheme}://{name}/{path}").trim_end_matches('/'))?);
    settings.connect_to.insert(name, dialled);
    Ok(())
}

fn set(key: &'static str, slot: &mut Option<String>, value: String) -> &'static str {
    *slot = Some(value);
    key
}

fn set_app([section, key]: [&'static str; 2], app: &mut App, value: &str) -> Result<&'static str, String> {
    if value.eq_ignore_ascii_case(OFF) {
        (app.address, app.enabled) = (None, false);
        return Ok(section);
    }
    (app.address, app.enabled) = (Some(address(value)?), true);
    Ok(key)
}

/// An address as it will stand in the file.
pub(super) fn address(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("the file holds no secrets: give the address without user and password".into());
    }
    match Endpoint::parse(text) {
        // A port alone is refused by whoever reads the file.
        Ok(_) if text.chars().all(|c| c.is_ascii_digit()) => {
            Err(format!("{text} is a number, not an address: http://localhost:{text}?"))
        }
        Ok(endpoint) => Ok(endpoint.address().to_owned()),
        Err(fault) => Err(format!("{}; {}", fault.answer, fault.hint)),
    }
}

/// A folder is meant from here, and the file may be read from elsewhere.
pub(super) fn place(text: &str) -> Result<String, String> {
    if text.contains('@') {
        return Err("the file holds no secrets: give the place without a login; docs/vaults.md".into());
    }
    if text.contains("://") {
        return Ok(text.to_owned());
    }
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    Ok(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Given {
        Given { settings: Settings::default(), sources: BTreeMap::new(), database: None }
    }

    /// Whatever is answered: taken, and then it is good, or refused with what was there left as it was.
    #[test]
    fn fuzz_answers() {
        let texts = [
            "http://core:9600",
            "off",
            "b0:9600, b1:9600",
            "basic:elastic:env:X",
            "s3://b/p",
            "/mnt/vault",
            "prod",
        ];
        let examples = texts.map(|text| text.as_bytes().to_vec());
        let questions = [
            Question::Management,
            Question::App(HistoryApp::Operate),
            Question::Search,
            Question::Credential("search"),
            Question::Repository,
            Question::Prefix,
            Question::Rest,
            Question::Brokers,
            Question::Name("search"),
            Question::Issuers("search"),
            Question::Certificate("search"),
            Question::Installation,
            Question::Vault,
            Question::Database,
        ];
        c8keep_fuzz::feed("answers on a terminal", &examples, |input| {
            let mut given = nothing();
            let refused = given.answer(input.pick(&questions), &input.text());
            match &refused {
                Ok(()) => given.settings.check().unwrap(),
                Err(_) => assert_eq!(given.settings, Settings::default()),
            }
            // As it is told: within a fault.
            let fault = |why| Fault::new(FaultKind::Usage, "asking", "init", why);
            refused.err().map(|why| fault(why).to_string()).into_iter().collect()
        });
    }

    #[test]
    fn what_cannot_be_meant_changes_nothing() {
        let mut given = nothing();
        for (question, answer) in [
            (Question::Management, "9600"),
            (Question::Management, "http://demo:secret@core:9600"),
            (Question::Rest, "ftp://core"),
            (Question::Installation, "Prod!"),
            (Question::Vault, "s3://key:secret@bucket"),
            (Question::Credential("search"), "hunter2"),
            (Question::Credential("search"), "basic:elastic:hunter2"),
            (Question::Credential("nobody"), "bearer:env:X"),
        ] {
            let why = given.answer(question, answer).unwrap_err();
            assert!(!why.contains("secret@") && !why.contains("hunter2"), "{why}");
        }
        assert_eq!(given.settings, Settings::default());
    }

    /// Who we are and whom we trust are two options of one entry, in whatever order.
    #[test]
    fn a_credential_keeps_the_issuers_beside_it() {
        let mut given = nothing();
        given.answer(Question::Issuers("search"), "/ca.pem").unwrap();
        given.answer(Question::Credential("search"), "header:X-Scope-OrgID:env:ORG").unwrap();
        given.answer(Question::Credential("search"), "api-key:env:KEY").unwrap();
        let entry = given.settings.access.search.as_ref().unwrap();
        assert!(entry.api_key.is_some() && entry.tls.ca_file.is_some() && entry.headers.len() == 1);
        given.answer(Question::Credential("search"), "header:X-Other:env:OTHER").unwrap();
        let entry = given.settings.access.search.as_ref().unwrap();
        assert!(entry.api_key.is_some() && entry.headers.len() == 2);
    }

    /// A port-forward with TLS: the name is in the address, and dialled where it was reached.
    #[test]
    fn a_name_goes_into_the_address_and_the_way_beside_it() {
        let mut given = nothing();
        given.answer(Question::Search, "https://127.0.0.1:19200/path").unwrap();
        given.answer(Question::Name("search"), "es.camunda:9200").unwrap();
        assert_eq!(given.settings.search.address.as_deref(), Some("https://es.camunda:9200/path"));
        assert_eq!(given.settings.connect_to["es.camunda:9200"], "127.0.0.1:19200");
        given.answer(Question::Management, "https://localhost").unwrap();
        given.answer(Question::Name("management"), "core").unwrap();
        assert_eq!(given.settings.connect_to["core:443"], "localhost:443");
        let why = given.answer(Question::Name("search"), "10.0.0.1").unwrap_err();
        assert!(why.contains("must be a name"), "{why}");
        assert!(given.answer(Question::Name("operate"), "operate").is_err(), "it was never given");
    }

    #[test]
    fn a_form_fills_what_its_question_asked_for() {
        let mut given = nothing();
        let of = |pairs: &[(&'static str, &str)]| -> Answers {
            pairs.iter().map(|(key, answer)| (*key, (*answer).to_owned())).collect()
        };
        let oauth = [("token_url", "https://idp/token"), ("client_id", "c"), ("client_secret", "env:S")];
        given.fill(Question::Credential("tasklist"), Form::OAuth, &of(&oauth)).unwrap();
        let pair = [("certificate", "/c.pem"), ("key", "/k.pem")];
        given.fill(Question::Certificate("tasklist"), Form::Certificate, &of(&pair)).unwrap();
        let entry = given.settings.access.tasklist.as_ref().unwrap();
        assert!(entry.oauth.is_some() && entry.tls.client_certificate.is_some());
        given.answer(Question::Vault, "s3://b").unwrap();
        given.fill(Question::Vault, Form::S3, &of(&[("access_key", "A"), ("secret", "env:S")])).unwrap();
        assert!(given.settings.vault.as_ref().unwrap().secret.is_some());
        assert!(given.answer(Question::Database, "Web Modeler").is_err());
        given.answer(Question::Database, "web-modeler").unwrap();
        assert!(given.settings.databases.is_empty(), "not before its answers");
        given.fill(Question::Database, Form::Database, &of(&[("host", "db")])).unwrap();
        assert_eq!(given.settings.databases.len(), 1);
    }

    #[test]
    fn answers_are_kept_with_their_source() {
        let mut given = nothing();
        given.answer(Question::Management, "core:9600").unwrap();
        given.answer(Question::App(HistoryApp::Optimize), "off").unwrap();
        given.answer(Question::Brokers, "b0:9600, b1:9600").unwrap();
        given.answer(Question::Credential("search"), "basic:elastic:file:/run/secret").unwrap();
        given.answer(Question::Vault, "s3://b/p").unwrap();
        let Settings { management, brokers, optimize, access, .. } = given.settings;
        assert_eq!(management.as_deref(), Some("http://core:9600"));
        assert_eq!(brokers, ["http://b0:9600", "http://b1:9600"]);
        assert!(!optimize.enabled && access.search.is_some());
        assert_eq!(given.sources["management"], ANSWERED);
    }
}
