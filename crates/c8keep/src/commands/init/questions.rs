//! Which question comes next: pure, from what the servers have told and what was asked before.

use std::collections::BTreeMap;

use c8keep_adapters::discovery::{AppPiece, Survey};
use c8keep_adapters::transport::{AwsKeys, TlsTrouble};
use c8keep_core::HistoryApp;
use c8keep_core::fault::{Fault, FaultKind};

use super::forms::Form;
use super::given::SERVERS;
use crate::settings::access::TlsFile;
use crate::settings::{NAME_DEFAULT, Settings};

/// How often one thing is asked.
pub(super) const TRIES_MAX: u32 = 5;

/// Something that an operator may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Question {
    /// The management address.
    Management,
    /// An application's address.
    App(HistoryApp),
    /// The search server's address.
    Search,
    /// Who we are to a server.
    Credential(&'static str),
    /// Whom to trust at a server.
    Issuers(&'static str),
    /// Our own certificate for a server.
    Certificate(&'static str),
    /// The name that a server's certificate is for.
    Name(&'static str),
    /// The snapshot repository.
    Repository,
    /// The records' index prefix.
    Prefix,
    /// The application address.
    Rest,
    /// All brokers.
    Brokers,
    /// The installation's name.
    Installation,
    /// The vault.
    Vault,
    /// A database.
    Database,
}

/// The next question, if the servers leave one open that has not been asked too often.
pub(super) fn next(
    surveyed: &Result<Survey, Fault>,
    settings: &Settings,
    asked: &BTreeMap<Question, u32>,
) -> Option<Question> {
    let may_be_asked = |question: &Question| asked.get(question).copied().unwrap_or(0) < TRIES_MAX;
    open(surveyed, settings).into_iter().find(may_be_asked)
}

/// What is still open and was asked for too often to be asked again.
pub(super) fn given_up(
    surveyed: &Result<Survey, Fault>,
    settings: &Settings,
    asked: &BTreeMap<Question, u32>,
) -> Vec<Question> {
    let mut open = open(surveyed, settings);
    // One that was left out was not asked so often.
    open.retain(|question| asked.get(question).is_some_and(|tries| *tries == TRIES_MAX));
    open
}

fn open(surveyed: &Result<Survey, Fault>, settings: &Settings) -> Vec<Question> {
    match surveyed {
        Ok(survey) => of_survey(survey, settings),
        Err(fault) => of_fault(fault, settings).into_iter().collect(),
    }
}

/// Why it is asked, where something has failed.
pub(super) fn why(question: Question, surveyed: &Result<Survey, Fault>) -> Option<Fault> {
    let survey = match surveyed {
        Err(fault) => return Some(fault.clone()),
        Ok(survey) => survey,
    };
    let of_app = |app: HistoryApp| {
        survey.apps.iter().find_map(|(of, piece)| match piece {
            AppPiece::Missing(fault) if *of == app => Some(fault.clone()),
            _ => None,
        })
    };
    match question {
        Question::App(app) => of_app(app),
        Question::Search => survey.search.as_ref().err().cloned(),
        Question::Credential(server)
        | Question::Issuers(server)
        | Question::Certificate(server)
        | Question::Name(server) => match app_of(server) {
            None if server == "rest" => survey.rest.as_ref().err().map(|why| {
                Fault::new(
                    FaultKind::Unauthorised,
                    "looking for the topology",
                    "the application address",
                    why,
                )
            }),
            Some(app) => of_app(app),
            None => survey.search.as_ref().err().cloned(),
        },
        Question::Prefix => survey.records.as_ref().err().cloned(),
        _ => None,
    }
}

/// What is asked in several pieces from the start.
pub(super) fn form_at_once(question: Question) -> Option<Form> {
    matches!(question, Question::Certificate(_)).then_some(Form::Certificate)
}

/// What an answer leads on to: some take several.
pub(super) fn form_of(question: Question, answer: &str) -> Option<Form> {
    match question {
        Question::Credential(_) => Form::of_credential(answer),
        Question::Vault => Form::of_vault(answer),
        Question::Database => Some(Form::Database),
        _ => None,
    }
}

/// How it is put.
pub(super) fn prompt(question: Question, survey: Option<&Survey>) -> String {
    match question {
        Question::Management => {
            format!("management address of the orchestration cluster, up to 8.7 of the gateway [{LOCAL}]:")
        }
        Question::App(app) => format!("management address of {app} (`off` leaves it out of backups):"),
        Question::Search => "address of Elasticsearch or OpenSearch:".into(),
        Question::Credential(server) => format!(
            "who c8keep is to {server}, and where the secret is found: basic:USER:SECRET, bearer:SECRET, api-key:SECRET or \
             header:NAME:SECRET, with env:NAME, file:/path or command:program argument for SECRET; {FORMS}:"
        ),
        Question::Issuers(server) => {
            format!("file with the certificates of the issuers to trust at {server}, PEM:")
        }
        Question::Certificate(server) => {
            format!("{server} wants to see a certificate of c8keep:")
        }
        Question::Name(server) => format!(
            "name, and port, that the certificate of {server} is for; the address that was given is dialled for it:"
        ),
        Question::Repository => {
            let registered = survey.map(|survey| survey.registered.join(", ")).unwrap_or_default();
            format!("snapshot repository that all components are configured with (registered: {registered}):")
        }
        Question::Prefix => "index prefix of the exported records that the applications read:".into(),
        Question::Rest => {
            "application address with /v2/topology, which tells whether all brokers are there (empty: none):".into()
        }
        Question::Brokers => {
            let reached = survey.map_or(0, |survey| survey.brokers.iter().filter(|b| b.reached).count());
            let expected = survey.and_then(|survey| survey.brokers_expected);
            let of = expected.map_or_else(|| "?".into(), |n| n.to_string());
            format!(
                "{reached} of {of} brokers are reached; management addresses of all, separated by commas (empty: as they are found):"
            )
        }
        Question::Installation => format!("name of the installation [{NAME_DEFAULT}]:"),
        Question::Database => {
            "PostgreSQL database to back up with it, by a name like web-modeler (empty: none, or no more):".into()
        }
        Question::Vault => {
            "where manifests are kept: a folder, s3://bucket/prefix, gs:// or az:// (empty: on this machine only):".into()
        }
    }
}

/// What it is about, where it is left open.
pub(super) fn topic(question: Question) -> String {
    match question {
        Question::Management => "the management address".into(),
        Question::App(app) => format!("the address of {app}"),
        Question::Search => "the address of the search server".into(),
        Question::Credential(server) => format!("who c8keep is to {server}"),
        Question::Issuers(server) => format!("whom to trust at {server}"),
        Question::Certificate(server) => format!("the certificate for {server}"),
        Question::Name(server) => format!("the name in the certificate of {server}"),
        Question::Repository => "the snapshot repository".into(),
        Question::Prefix => "the records' index prefix".into(),
        Question::Rest => "the application address".into(),
        Question::Brokers => "the brokers".into(),
        Question::Installation => "the name".into(),
        Question::Vault => "the vault".into(),
        Question::Database => "the databases".into(),
    }
}

/// Credentials that take several answers.
const FORMS: &str = if AwsKeys::SUPPORTED {
    "or `oauth` for a token by client credentials, `aws` for signatures of AWS"
} else {
    "or `oauth` for a token by client credentials"
};

/// Where a port-forward of the documented procedure leads.
const LOCAL: &str = "http://localhost:9600";

/// What an empty answer stands for, as the prompt says in brackets. Where it stands for nothing, what may be left out is left
/// out, and all else is asked again.
pub(super) fn default_of(question: Question) -> Option<&'static str> {
    match question {
        Question::Management => Some(LOCAL),
        Question::Installation => Some(NAME_DEFAULT),
        _ => None,
    }
}

/// A backup can be taken without an answer: one that can be read is taken as it is, whether anything answers there or not.
pub(super) fn is_optional(question: Question) -> bool {
    matches!(question, Question::Rest | Question::Brokers)
}

/// The same where an empty answer leaves it out; one that cannot be meant is asked again.
pub(super) fn may_be_left_out(question: Question) -> bool {
    is_optional(question) || question == Question::Credential("rest")
}

fn of_survey(survey: &Survey, settings: &Settings) -> Vec<Question> {
    let mut open = Vec::new();
    if let Err(fault) = &survey.search {
        open.push(of_server("search", fault, settings).unwrap_or(Question::Search));
    }
    for (app, piece) in &survey.apps {
        if let (Some(server), AppPiece::Missing(fault)) = (server_of(*app), piece) {
            open.push(of_server(server, fault, settings).unwrap_or(Question::App(*app)));
        }
    }
    // Components that differ are to be mended, and no answer of ours mends them.
    if matches!(&survey.repository, Err(fault) if fault.kind == FaultKind::Usage) {
        open.push(Question::Repository);
    }
    if survey.records.is_err() {
        open.push(Question::Prefix);
    }
    if survey.rest.is_err() {
        let wanted = if survey.rest_wants_login { Question::Credential("rest") } else { Question::Rest };
        open.push(wanted);
    }
    let reached = survey.brokers.iter().filter(|broker| broker.reached).count();
    if settings.brokers.is_empty()
        && survey.brokers_expected.is_none_or(|expected| reached < expected as usize)
    {
        open.push(Question::Brokers);
    }
    open
}

/// What a server that was reached wants, if that is what its answer shows; else it is its address that is asked for.
fn of_server(server: &'static str, fault: &Fault, settings: &Settings) -> Option<Question> {
    if fault.kind == FaultKind::Unauthorised {
        return Some(Question::Credential(server));
    }
    match TlsTrouble::told_by(fault)? {
        TlsTrouble::Issuer => Some(Question::Issuers(server)),
        TlsTrouble::ClientCertificate | TlsTrouble::ClientCertificateRefused => {
            Some(Question::Certificate(server))
        }
        // Only an address that was given can have another name in it.
        TlsTrouble::Name => settings.address_in(&fault.target).map(|_| Question::Name(server)),
        _ => None,
    }
}

/// An application as in `access`; what is where the cluster is, has no address of its own.
fn server_of(app: HistoryApp) -> Option<&'static str> {
    match app {
        HistoryApp::Operate => Some("operate"),
        HistoryApp::Tasklist => Some("tasklist"),
        HistoryApp::Optimize => Some("optimize"),
        HistoryApp::Webapps => None,
    }
}

fn app_of(server: &str) -> Option<HistoryApp> {
    [HistoryApp::Operate, HistoryApp::Tasklist, HistoryApp::Optimize]
        .into_iter()
        .find(|app| server_of(*app) == Some(server))
}

/// The survey itself failed: at one of the addresses that were given, or for want of one.
fn of_fault(fault: &Fault, settings: &Settings) -> Option<Question> {
    // A secret that is not where the answer said.
    if let Some(server) = fault.target.strip_prefix("access.") {
        return SERVERS.into_iter().find(|known| *known == server).map(Question::Credential);
    }
    // A file that is not there, or is none.
    match settings.access.of_file(&fault.target) {
        Some((server, TlsFile::Issuers)) => return Some(Question::Issuers(server)),
        Some((server, TlsFile::Own)) => return Some(Question::Certificate(server)),
        None => {}
    }
    let key = settings.address_in(&fault.target);
    let server = key.map(|key| key.trim_end_matches(".address"));
    if let Some(question) = server.and_then(|server| of_server(server, fault, settings)) {
        return Some(question);
    }
    Some(match key {
        Some("operate.address") => Question::App(HistoryApp::Operate),
        Some("tasklist.address") => Question::App(HistoryApp::Tasklist),
        Some("optimize.address") => Question::App(HistoryApp::Optimize),
        Some("search.address") => Question::Search,
        Some("management") => Question::Management,
        // What c8keep does not support is not mended by another address.
        _ if settings.management.is_none() && settings.release.is_none() => Question::Management,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Question::{App, Brokers, Credential, Prefix, Repository, Rest};
    use super::*;
    use crate::settings::access::Pair;

    fn fault(kind: FaultKind, target: &str) -> Fault {
        Fault::new(kind, "asking", target, "no")
    }

    fn settings() -> Settings {
        let mut settings = Settings { management: Some("core:9600".into()), ..Settings::default() };
        settings.optimize.address = Some("http://optimize:8092".into());
        settings
    }

    fn survey() -> Survey {
        let told = |target| fault(FaultKind::Usage, target);
        Survey {
            version: "8.8.0".parse().unwrap(),
            dialect: c8keep_core::Dialect::UnifiedActuators,
            management: "http://core:9600".into(),
            rest: Err("refused".into()),
            rest_wants_login: false,
            brokers: Vec::new(),
            brokers_unread: Vec::new(),
            brokers_expected: Some(3),
            apps: vec![(HistoryApp::Optimize, AppPiece::Missing(told("optimize")))],
            search: Err(fault(FaultKind::Unauthorised, "search")),
            repository: Err(told("repository")),
            registered: vec!["camunda".into()],
            records: Err(told("records")),
            findings: Vec::new(),
        }
    }

    #[test]
    fn every_gap_is_asked_for_and_none_for_ever() {
        let (surveyed, settings) = (Ok(survey()), settings());
        let mut asked = BTreeMap::new();
        let mut order = Vec::new();
        while let Some(question) = next(&surveyed, &settings, &asked) {
            let tries = asked.entry(question).or_insert(0);
            *tries += 1;
            if *tries == 1 {
                order.push(question);
            }
            assert!(*tries <= TRIES_MAX);
        }
        let app = App(HistoryApp::Optimize);
        assert_eq!(order, [Credential("search"), app, Repository, Prefix, Rest, Brokers]);
        assert_eq!(given_up(&surveyed, &settings, &asked), order);
        assert!(order.iter().all(|question| asked[question] == TRIES_MAX));
        assert!(why(app, &surveyed).is_some() && why(Rest, &surveyed).is_none());
    }

    #[test]
    fn a_default_is_what_the_prompt_says() {
        for question in [Question::Management, Question::Installation] {
            let default = default_of(question).unwrap();
            assert!(prompt(question, None).ends_with(&format!("[{default}]:")));
        }
        assert_eq!(default_of(App(HistoryApp::Operate)), None, "nothing is left out by accident");
    }

    /// What a server that is there wants is asked for, and not where it is.
    #[test]
    fn what_an_answer_shows_is_asked_for() {
        let optimize = "GET http://optimize:8092/actuator/backups";
        let trouble = |trouble: TlsTrouble| fault(FaultKind::Unreachable, optimize).with_hint(trouble.hint());
        for (fault, wanted) in [
            (fault(FaultKind::Unauthorised, optimize), Credential("optimize")),
            (trouble(TlsTrouble::Issuer), Question::Issuers("optimize")),
            (trouble(TlsTrouble::ClientCertificate), Question::Certificate("optimize")),
            (trouble(TlsTrouble::ClientCertificateRefused), Question::Certificate("optimize")),
            (trouble(TlsTrouble::Name), Question::Name("optimize")),
            (trouble(TlsTrouble::PlainHttp), App(HistoryApp::Optimize)),
            (trouble(TlsTrouble::Expired), App(HistoryApp::Optimize)),
            (fault(FaultKind::Unreachable, optimize), App(HistoryApp::Optimize)),
        ] {
            let missing = vec![(HistoryApp::Optimize, AppPiece::Missing(fault.clone()))];
            let surveyed = Ok(Survey { apps: missing, ..survey() });
            let open = open(&surveyed, &settings());
            assert!(open.contains(&wanted), "{wanted:?} is not in {open:?}");
            assert_eq!(why(wanted, &surveyed), Some(fault));
        }
        let elsewhere =
            fault(FaultKind::Unreachable, "GET https://found:9200/").with_hint(TlsTrouble::Name.hint());
        assert_eq!(of_server("search", &elsewhere, &settings()), None, "it was found and not given");
    }

    /// The application port of a cluster with authentication is there, and its topology is told to whoever logs in.
    #[test]
    fn an_application_port_that_wants_a_login() {
        let surveyed = Ok(Survey { rest_wants_login: true, ..survey() });
        let open = open(&surveyed, &settings());
        assert!(open.contains(&Credential("rest")) && !open.contains(&Rest), "{open:?}");
        assert_eq!(why(Credential("rest"), &surveyed).unwrap().answer, "refused");
        assert!(may_be_left_out(Credential("rest")) && !may_be_left_out(Credential("search")));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_asked_for_again() {
        let mut settings = settings();
        let entry = settings.access.optimize.get_or_insert_default();
        entry.tls.ca_file = Some("/ca.pem".into());
        let pair = Pair { certificate: "/c.pem".into(), key: "/k.pem".into() };
        entry.tls.client_certificate = Some(pair);
        let ask = |target| of_fault(&fault(FaultKind::Usage, target), &settings);
        assert_eq!(ask("/ca.pem"), Some(Question::Issuers("optimize")));
        for target in ["/c.pem", "/k.pem", "/c.pem with /k.pem"] {
            assert_eq!(ask(target), Some(Question::Certificate("optimize")), "{target}");
        }
    }

    #[test]
    fn a_fault_at_a_given_address_asks_for_that_one() {
        let ask = |kind, target| next(&Err(fault(kind, target)), &settings(), &BTreeMap::new());
        let optimize = "GET http://optimize:8092/actuator/backups";
        assert_eq!(ask(FaultKind::Unreachable, optimize), Some(Question::App(HistoryApp::Optimize)));
        assert_eq!(ask(FaultKind::Unauthorised, optimize), Some(Question::Credential("optimize")));
        let management = "GET http://core:9600/actuator/info";
        assert_eq!(ask(FaultKind::Unreachable, management), Some(Question::Management));
        assert_eq!(ask(FaultKind::Usage, "access.search"), Some(Question::Credential("search")));
        assert_eq!(ask(FaultKind::Precondition, "elsewhere"), None);
        let nothing =
            next(&Err(fault(FaultKind::Usage, "the configuration")), &Settings::default(), &BTreeMap::new());
        assert_eq!(nothing, Some(Question::Management));
    }
}
