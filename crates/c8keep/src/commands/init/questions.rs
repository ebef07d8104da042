//! Which question comes next: pure, from what the servers have told and what was asked before.

use std::collections::BTreeMap;

use c8keep_adapters::discovery::{AppPiece, Survey};
use c8keep_core::HistoryApp;
use c8keep_core::fault::{Fault, FaultKind};

use crate::settings::{NAME_DEFAULT, Settings};

/// How often one thing is asked.
pub(super) const TRIES_MAX: u32 = 5;

/// Every server that may want to know who we are, as in `access`.
const SERVERS: [&str; 7] = ["management", "brokers", "rest", "operate", "tasklist", "optimize", "search"];

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
    /// The snapshot repository.
    Repository,
    /// The records' index prefix.
    Prefix,
    /// The application address.
    Rest,
    /// All brokers.
    Brokers,
    /// The installation's name.
    Name,
    /// The vault.
    Vault,
}

/// The next question, if the servers leave one open that has not been asked too often.
pub(super) fn next(
    surveyed: &Result<Survey, Fault>,
    settings: &Settings,
    asked: &BTreeMap<Question, u32>,
) -> Option<Question> {
    let open = match surveyed {
        Ok(survey) => of_survey(survey, settings),
        Err(fault) => of_fault(fault, settings).into_iter().collect(),
    };
    open.into_iter().find(|question| {
        let max = if is_optional(*question) { 1 } else { TRIES_MAX };
        asked.get(question).copied().unwrap_or(0) < max
    })
}

/// Why it is asked, where something has failed.
pub(super) fn why(question: Question, surveyed: &Result<Survey, Fault>) -> Option<Fault> {
    let survey = match surveyed {
        Err(fault) => return Some(fault.clone()),
        Ok(survey) => survey,
    };
    match question {
        Question::App(app) => survey.apps.iter().find_map(|(of, piece)| match piece {
            AppPiece::Missing(fault) if *of == app => Some(fault.clone()),
            _ => None,
        }),
        Question::Search | Question::Credential(_) => survey.search.as_ref().err().cloned(),
        Question::Prefix => survey.records.as_ref().err().cloned(),
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
            "who c8keep is to {server}, and where the secret is found: basic:USER:SECRET, bearer:SECRET or api-key:SECRET, \
             with env:NAME, file:/path or command:program argument for SECRET:"
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
        Question::Name => format!("name of the installation [{NAME_DEFAULT}]:"),
        Question::Vault => {
            "where manifests are kept: a folder, s3://bucket/prefix, gs:// or az:// (empty: on this machine only):".into()
        }
    }
}

/// Where a port-forward of the documented procedure leads.
const LOCAL: &str = "http://localhost:9600";

/// What an empty answer stands for, as the prompt says in brackets. Where it stands for nothing, what may be left out is left
/// out, and all else is asked again.
pub(super) fn default_of(question: Question) -> Option<&'static str> {
    match question {
        Question::Management => Some(LOCAL),
        Question::Name => Some(NAME_DEFAULT),
        _ => None,
    }
}

/// A backup can be taken without an answer.
fn is_optional(question: Question) -> bool {
    matches!(question, Question::Rest | Question::Brokers)
}

fn of_survey(survey: &Survey, settings: &Settings) -> Vec<Question> {
    let mut open = Vec::new();
    match &survey.search {
        Err(fault) if fault.kind == FaultKind::Unauthorised => open.push(Question::Credential("search")),
        Err(_) => open.push(Question::Search),
        Ok(_) => {}
    }
    let missing = survey.apps.iter().filter(|(_, piece)| matches!(piece, AppPiece::Missing(_)));
    open.extend(missing.map(|(app, _)| Question::App(*app)));
    // Components that differ are to be mended, and no answer of ours mends them.
    if matches!(&survey.repository, Err(fault) if fault.kind == FaultKind::Usage) {
        open.push(Question::Repository);
    }
    if survey.records.is_err() {
        open.push(Question::Prefix);
    }
    if survey.rest.is_err() {
        open.push(Question::Rest);
    }
    let reached = survey.brokers.iter().filter(|broker| broker.reached).count();
    if settings.brokers.is_empty()
        && survey.brokers_expected.is_none_or(|expected| reached < expected as usize)
    {
        open.push(Question::Brokers);
    }
    open
}

/// The survey itself failed: at one of the addresses that were given, or for want of one.
fn of_fault(fault: &Fault, settings: &Settings) -> Option<Question> {
    // A secret that is not where the answer said.
    if let Some(server) = fault.target.strip_prefix("access.") {
        return SERVERS.into_iter().find(|known| *known == server).map(Question::Credential);
    }
    let key = settings.address_in(&fault.target);
    if fault.kind == FaultKind::Unauthorised {
        return Some(Question::Credential(key?.trim_end_matches(".address")));
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
            brokers: Vec::new(),
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
        assert_eq!((asked[&app], asked[&Rest]), (TRIES_MAX, 1));
        assert!(why(app, &surveyed).is_some() && why(Rest, &surveyed).is_none());
    }

    #[test]
    fn a_default_is_what_the_prompt_says() {
        for question in [Question::Management, Question::Name] {
            let default = default_of(question).unwrap();
            assert!(prompt(question, None).ends_with(&format!("[{default}]:")));
        }
        assert_eq!(default_of(App(HistoryApp::Operate)), None, "nothing is left out by accident");
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
