//! The settings that are written: what was given, with what was found beside it. Pure.

use c8keep_adapters::discovery::{AppPiece, Sourced, Survey};
use c8keep_adapters::transport::Endpoint;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Records;
use c8keep_core::{Dialect, HistoryApp};

use super::given::Given;
use crate::session;
use crate::settings::write::Notes;
use crate::settings::{App, Settings};

/// What is written, and what has to be set by hand.
pub(super) struct Composed {
    pub(super) settings: Settings,
    pub(super) notes: Notes,
    pub(super) missing: Vec<Fault>,
}

pub(super) fn compose(given: &Given, survey: &Survey) -> Composed {
    let Given { settings, sources, .. } = given;
    let notes = Notes {
        about: format!("Written by `c8keep init`: {}", who(survey)),
        sources: sources.clone(),
        ..Notes::default()
    };
    let mut composed = Composed { settings: without_logins(settings), notes, missing: Vec::new() };
    composed.found("management", |s| &mut s.management, &survey.management, "found");
    match &survey.rest {
        Ok(rest) => composed.found("rest", |s| &mut s.rest, rest, "found at the management address"),
        Err(why) => composed.no_topology(settings, survey, why),
    }
    composed.brokers(survey);
    composed.not_used(settings, survey);
    for (app, piece) in &survey.apps {
        composed.app(*app, piece);
    }
    match &survey.search {
        Ok(Sourced { value, source }) => {
            composed.found("search.address", |s| &mut s.search.address, &value.address, source);
        }
        Err(fault) => composed.missing("search.address", fault),
    }
    match &survey.repository {
        Ok(Sourced { value, source }) => {
            composed.found("search.repository", |s| &mut s.search.repository, value, source);
        }
        Err(fault) => composed.missing("search.repository", fault),
    }
    match &survey.records {
        // A default that is merely tried stays one.
        Ok(Sourced { value: Records::Prefix { prefix }, source }) if !source.is_empty() => {
            composed.found("records.prefix", |s| &mut s.records.prefix, prefix, source);
        }
        Ok(_) => {}
        Err(fault) => composed.missing("records.prefix", fault),
    }
    composed.mark_logins(settings);
    composed
}

fn who(survey: &Survey) -> String {
    let search = survey.search.as_ref().map_or_else(
        |_| String::new(),
        |search| format!(", with {} {}", search.value.product, search.value.version),
    );
    format!("Camunda {} ({}) answered at {}{search}.", survey.version, survey.dialect, survey.management)
}

impl Composed {
    /// A value that was found, unless one was given.
    fn found(
        &mut self,
        key: &'static str,
        slot: impl Fn(&mut Settings) -> &mut Option<String>,
        value: &str,
        source: &str,
    ) {
        *slot(&mut self.settings) = Some(value.to_owned());
        self.notes.sources.entry(key).or_insert_with(|| source.to_owned());
    }

    fn missing(&mut self, key: &'static str, fault: &Fault) {
        let fault = session::out_of_reach(fault.clone());
        self.notes.missing.insert(key, fault.answer.clone());
        // One thing that is out of reach may be missed by several.
        if !self.missing.contains(&fault) {
            self.missing.push(fault);
        }
    }

    /// Where the address was given, it leads elsewhere or nowhere; that it was not found is no fault.
    fn no_topology(&mut self, given: &Settings, survey: &Survey, why: &str) {
        let Some(address) = given.rest.as_ref().and_then(|address| Endpoint::parse(address).ok()) else {
            return;
        };
        let kind = if survey.rest_wants_login { FaultKind::Unauthorised } else { FaultKind::Unreachable };
        let fault = Fault::new(kind, "asking for the topology", address.address(), why)
            .with_hint("correct `rest` (--rest), or leave it out: then it is looked for");
        self.missing("rest", &fault);
    }

    /// From 8.8 on there is neither Operate nor Tasklist beside the cluster.
    fn not_used(&mut self, given: &Settings, survey: &Survey) {
        if survey.dialect == Dialect::SplitActuators {
            return;
        }
        for (key, app, option) in [
            ("operate.address", &given.operate, "operate"),
            ("tasklist.address", &given.tasklist, "tasklist"),
        ] {
            let Some(address) = app.address.as_ref().and_then(|address| Endpoint::parse(address).ok()) else {
                continue;
            };
            let why = format!("Camunda {} has none of its own, so this address is not used", survey.version);
            let fault = Fault::new(FaultKind::Usage, format!("placing {option}"), address.address(), why)
                .with_hint(format!("leave it out: --{option}, or {}_MANAGEMENT_API", option.to_uppercase()));
            self.missing(key, &fault);
        }
    }

    /// Listed only where all are reached: a list that lacks one would keep it from being found when it is back.
    fn brokers(&mut self, survey: &Survey) {
        let expected = survey.brokers_expected.map_or(usize::MAX, |n| n as usize);
        let reached: Vec<&str> =
            survey.brokers.iter().filter(|b| b.reached).map(|b| b.address.as_str()).collect();
        let itself = reached == [survey.management.as_str()];
        if self.settings.brokers.is_empty() && reached.len() >= expected && !itself {
            self.settings.brokers = reached.into_iter().map(str::to_owned).collect();
            self.notes.sources.insert("brokers", "found by the names that the cluster tells".into());
        } else if self.settings.brokers.is_empty() && reached.len() < expected {
            let of = survey.brokers_expected.map_or_else(|| "?".into(), |n| n.to_string());
            let what = format!("{} of {of} were reached from here", reached.len());
            self.notes.sources.insert("brokers", what);
        }
        for (address, why) in &survey.brokers_unread {
            let fault = Fault::new(FaultKind::Unreachable, "asking a broker", address, why)
                .with_hint("correct `brokers` (--brokers), or leave them out: then they are looked for");
            self.missing("brokers", &fault);
        }
    }

    fn app(&mut self, app: HistoryApp, piece: &AppPiece) {
        let (section, key) = match app {
            HistoryApp::Operate => ("operate", "operate.address"),
            HistoryApp::Tasklist => ("tasklist", "tasklist.address"),
            HistoryApp::Optimize => ("optimize", "optimize.address"),
            // They have no address of their own, and what is wrong with them no key mends.
            HistoryApp::Webapps => return,
        };
        match piece {
            AppPiece::There(there) => {
                self.found(key, |s| &mut slot(s, app).address, &there.address, "found");
            }
            AppPiece::Missing(fault) => self.missing(section, fault),
            AppPiece::Out(Some(left_out)) => {
                self.notes.sources.entry(section).or_insert_with(|| left_out.why.clone());
            }
            AppPiece::Out(None) => {
                self.notes.sources.insert(section, "none was found".into());
            }
        }
    }

    /// An address with a login is only given by its variable, and the login stays there.
    fn mark_logins(&mut self, given: &Settings) {
        for (key, address) in given.addresses() {
            if let (true, Some(source)) = (address.contains('@'), self.notes.sources.get_mut(key)) {
                source.push_str("; the login in it is not written here: keep the variable, or see `access`");
            }
        }
    }
}

fn slot(settings: &mut Settings, app: HistoryApp) -> &mut App {
    match app {
        HistoryApp::Operate => &mut settings.operate,
        HistoryApp::Tasklist => &mut settings.tasklist,
        HistoryApp::Optimize | HistoryApp::Webapps => &mut settings.optimize,
    }
}

/// What only the environment may say stays there; addresses of the rest come back from the survey, without their logins.
fn without_logins(given: &Settings) -> Settings {
    let mut settings = Settings { release: None, ..given.clone() };
    settings.search.product = None;
    let slots = [
        &mut settings.management,
        &mut settings.rest,
        &mut settings.operate.address,
        &mut settings.tasklist.address,
        &mut settings.optimize.address,
        &mut settings.search.address,
    ];
    for slot in slots {
        if slot.as_ref().is_some_and(|address| address.contains('@')) {
            *slot = None;
        }
    }
    settings
}
