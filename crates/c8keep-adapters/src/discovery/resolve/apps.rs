//! Which applications have a backup of their own, and the repository that all of them must share. An application whose
//! indices exist is never left out silently: it has an address, or it is switched off by name.

use std::collections::BTreeSet;

use c8keep_core::backup::HistoryApp;
use c8keep_core::capability::{CamundaVersion, Dialect};
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::{AppAddress, NotCovered};

use super::DOING;
use crate::camunda::configprops::Told;
use crate::discovery::observe::{AppSeen, INDEX_PATTERNS, Observed};
use crate::discovery::{AppPiece, Configured, Finding, Level, Sourced, hints};

pub(in crate::discovery) fn choose(
    configured: &Configured,
    observed: &Observed,
    findings: &mut Vec<Finding>,
) -> Result<Vec<(HistoryApp, AppPiece)>, Fault> {
    let cluster = &observed.cluster;
    let wanted: &[HistoryApp] = match cluster.dialect {
        Dialect::SplitActuators => &[HistoryApp::Operate, HistoryApp::Tasklist, HistoryApp::Optimize],
        Dialect::UnifiedActuators => &[HistoryApp::Webapps, HistoryApp::Optimize],
    };
    if cluster.dialect == Dialect::UnifiedActuators
        && !cluster.endpoints.iter().any(|e| e.eq_ignore_ascii_case("backupHistory"))
    {
        return Err(Fault::precondition(
            DOING,
            cluster.management.join("/actuator"),
            "the endpoint backupHistory is missing",
            "it exists only where the secondary storage is Elasticsearch or OpenSearch; a relational one is not \
             backed up by this version of c8keep",
        ));
    }
    let mut apps = Vec::new();
    for app in wanted {
        if configured.off.contains(app) {
            let why = "switched off in the configuration".into();
            apps.push((*app, AppPiece::Out(Some(NotCovered { what: app.to_string(), why }))));
        } else if let Some(seen) = observed.apps.get(app) {
            let optional = configured.optional.contains(app);
            if let Some(fault) = unusable(*app, seen, optional, observed) {
                apps.push((*app, AppPiece::Missing(fault)));
                continue;
            }
            let repository = seen.told.as_ref().and_then(|told| own_repository(*app, told));
            findings.push(finding_of(*app, seen));
            findings.extend(other_version(*app, seen, &cluster.version));
            let there = AppAddress {
                app: *app,
                address: seen.endpoint.address().to_owned(),
                repository: repository.map(|(_, name)| name.clone()),
                index_prefix: seen.told.as_ref().and_then(|told| other_index_prefix(*app, told, observed)),
                required: !optional,
            };
            apps.push((*app, AppPiece::There(there)));
        } else {
            let piece =
                absent(*app, observed, findings).map_or_else(AppPiece::Missing, |()| AppPiece::Out(None));
            apps.push((*app, piece));
        }
    }
    for (app, address) in
        [(HistoryApp::Operate, &configured.operate), (HistoryApp::Tasklist, &configured.tasklist)]
    {
        if cluster.dialect == Dialect::UnifiedActuators && address.is_some() {
            let what = format!("an address of {app} is not needed from 8.8 on and is not used");
            findings.push(Finding::new(Level::Note, what, "configured"));
        }
    }
    Ok(apps)
}

/// Why there is no backup with it. One without which a backup may do is kept where it is only out of reach: its step fails,
/// and the backup is told to be partial.
fn unusable(app: HistoryApp, seen: &AppSeen, optional: bool, observed: &Observed) -> Option<Fault> {
    match &seen.fault {
        Some(fault) if optional && fault.kind == FaultKind::Unreachable => None,
        Some(fault) => Some(fault.clone()),
        None => mistaken(app, seen, observed).err(),
    }
}

fn finding_of(app: HistoryApp, seen: &AppSeen) -> Finding {
    let address = seen.endpoint.address();
    if let Some(why) = seen.fault.as_ref().map(|fault| &fault.answer) {
        let what = format!(
            "{app} is out of reach: {why}; it is not required, so a backup without it will be partial"
        );
        return Finding::new(Level::Note, what, address);
    }
    let version = seen.version.as_deref().map_or_else(String::new, |v| format!(" {v}"));
    Finding::new(Level::Found, format!("{app}{version}"), address)
}

/// Parts of different minor versions are restored into neither. Patches may differ, and up to 8.5 Optimize counted by itself
/// (3.13 belongs to 8.5).
fn other_version(app: HistoryApp, seen: &AppSeen, cluster: &CamundaVersion) -> Option<Finding> {
    let version: CamundaVersion = seen.version.as_ref()?.parse().ok()?;
    let minor = |version: &CamundaVersion| (version.numbers.0, version.numbers.1);
    if minor(&version) == minor(cluster) || app == HistoryApp::Optimize && version.numbers.0 < 8 {
        return None;
    }
    let what = format!("{app} is {version}, the cluster {cluster}");
    let todo = "bring all components to one minor version: a backup is restored into the versions that it was taken from";
    Some(Finding::new(Level::Contradiction, what, seen.endpoint.address()).with_todo(todo))
}

/// Operate and Tasklist have the same paths: with their addresses exchanged or the same twice, one of them would be
/// backed up under the other's name and the other not at all.
fn mistaken(app: HistoryApp, seen: &AppSeen, observed: &Observed) -> Result<(), Fault> {
    // They are where the cluster is; whoever else is said to be there is mistaken.
    if app == HistoryApp::Webapps {
        return Ok(());
    }
    let address = seen.endpoint.address();
    let told = seen.told.iter();
    let properties: Vec<&str> = told
        .flat_map(|t| t.repositories.iter().chain(&t.searches).chain(&t.record_prefixes))
        .map(|(property, _)| property.as_str())
        .collect();
    let speaks_as = |other: HistoryApp| {
        let prefix = crate::camunda::configuration_prefix(other).unwrap_or("?");
        properties.iter().any(|property| property.starts_with(prefix))
    };
    let others = [HistoryApp::Operate, HistoryApp::Tasklist].into_iter().filter(|other| *other != app);
    let answers = others.into_iter().find(|other| !speaks_as(app) && speaks_as(*other));
    let same = observed.apps.iter().find(|(other, s)| **other != app && s.endpoint.address() == address);
    let answer = match (same, answers) {
        // Whose address it really is, is not the mistaken one.
        (Some((other, _)), None) if speaks_as(app) && !speaks_as(*other) => return Ok(()),
        // Nothing tells which of the two is there.
        (Some((other, _)), _) if !speaks_as(*other) => {
            let answer = format!("{app} and {other} have the same address");
            return Err(Fault::new(FaultKind::Usage, DOING, address, answer)
                .with_hint(hints::one_of_both(app, *other)));
        }
        (Some((other, _)), _) => format!("{app} and {other} have the same address, which is that of {other}"),
        (None, Some(other)) => format!("{other} answers there, not {app}"),
        (None, None) => return Ok(()),
    };
    Err(Fault::new(FaultKind::Usage, DOING, address, answer).with_hint(hints::elsewhere(app)))
}

/// No address: fine where there is nothing to back up, a precondition where its indices say otherwise.
fn absent(app: HistoryApp, observed: &Observed, findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let (variable, key) = hints::names_of(app);
    let search = observed.searches.iter().find(|s| s.identity.is_ok()).map_or("", |s| s.endpoint.address());
    let pattern = INDEX_PATTERNS.iter().find(|(of, _)| *of == app).map_or("", |(_, pattern)| *pattern);
    let prefix = pattern.trim_end_matches('*');
    let Some(indices) = &observed.indices else {
        let what = format!(
            "whether there is {app} cannot be told: indices are not listed; set {variable} if there is"
        );
        findings.push(Finding::new(Level::Note, what, search));
        return Ok(());
    };
    let found: Vec<&String> = indices.iter().filter(|name| name.starts_with(prefix)).collect();
    let Some(first) = found.first() else {
        // Elasticsearch leaves out of a list what the login may not see (seen on 8.16.6).
        let what = if observed.unseen.iter().any(|right| right.ends_with(pattern)) {
            format!(
                "whether there is {app} cannot be told: the login may not see {pattern}; set {variable} if there is"
            )
        } else {
            format!("no {app}: no index {pattern}, no address")
        };
        findings.push(Finding::new(Level::Note, what, search));
        return Ok(());
    };
    Err(Fault::precondition(
        DOING,
        search,
        format!(
            "{} indices of {app} exist ({first}, …), but its management address is not known",
            found.len()
        ),
        format!(
            "set {variable} (or `{key}` in the configuration), or leave it out with `{app}: {{enabled: false}}`"
        ),
    ))
}

/// What an application tells of its repository.
fn own_repository(app: HistoryApp, told: &Told) -> Option<&(String, String)> {
    told.repository_under(crate::camunda::configuration_prefix(app)?)
}

/// What its indices are called, where that is not what they are called by default. It tells a property of both products.
fn other_index_prefix(app: HistoryApp, told: &Told, observed: &Observed) -> Option<String> {
    let product = observed.searches.iter().find_map(|search| Some(search.identity.as_ref().ok()?.product))?;
    let property = format!("{}.{product}.", crate::camunda::configuration_prefix(app)?).to_lowercase();
    let own = told.index_prefixes.iter().find(|(name, _)| name.to_lowercase().starts_with(&property));
    own.map(|(_, prefix)| prefix.clone()).filter(|prefix| *prefix != app.to_string())
}

/// Which value to change: ours, where the components agree among themselves.
fn different_repositories(configured: &Configured, said: &[(String, String)]) -> String {
    let told = &said[usize::from(configured.repository.is_some())..];
    let theirs: BTreeSet<&str> = told.iter().map(|(_, name)| name.as_str()).collect();
    match theirs.into_iter().collect::<Vec<_>>().as_slice() {
        [theirs] => format!(
            "set ELASTIC_SNAPSHOT_REPOSITORY or OPENSEARCH_SNAPSHOT_REPOSITORY, or `search.repository` in the configuration, \
             to {theirs}, which the components use"
        ),
        _ => "configure every component with the same repository, by the properties named here: parts of one backup must \
              lie in one place"
            .into(),
    }
}

/// The one repository: configured, or what the applications say. Different ones would scatter the parts of a backup.
pub(in crate::discovery) fn repository(
    configured: &Configured,
    observed: &Observed,
    findings: &mut Vec<Finding>,
) -> Result<Sourced<String>, Fault> {
    let mut said: Vec<(String, String)> = Vec::new();
    if let Some(name) = &configured.repository {
        said.push(("the configuration".into(), name.clone()));
    }
    let used = observed.apps.iter().filter(|(app, _)| !configured.off.contains(app));
    for (app, seen) in used {
        let own = seen.told.as_ref().and_then(|told| own_repository(*app, told));
        if let Some((property, name)) = own {
            said.push((format!("{property} at {}", seen.endpoint.address()), name.clone()));
        } else if seen.fault.is_none() {
            let what = format!("{app} does not tell its repository; whether it is the same is not checked");
            findings.push(Finding::new(Level::Note, what, seen.endpoint.address()));
        }
    }
    let names: BTreeSet<&str> = said.iter().map(|(_, name)| name.as_str()).collect();
    match names.into_iter().collect::<Vec<_>>().as_slice() {
        [name] => {
            let sources: Vec<&str> = said.iter().map(|(source, _)| source.as_str()).collect();
            let source = sources.join(", ");
            findings.push(Finding::new(Level::Found, format!("snapshot repository {name}"), &source));
            Ok(Sourced { value: (*name).to_owned(), source })
        }
        [] => {
            let registered = if observed.repositories.is_empty() {
                "none is known to be registered".to_owned()
            } else {
                format!("registered there: {}", observed.repositories.join(", "))
            };
            let search = observed.searches.iter().find(|s| s.identity.is_ok());
            let target = search.map_or("the applications", |s| s.endpoint.address());
            let answer = format!("nobody tells which snapshot repository to use; {registered}");
            Err(Fault::new(FaultKind::Usage, DOING, target, answer).with_hint(
                "set ELASTIC_SNAPSHOT_REPOSITORY or OPENSEARCH_SNAPSHOT_REPOSITORY, or `search.repository`, to the \
                 one that all components are configured with",
            ))
        }
        _ => {
            let each: Vec<String> =
                said.iter().map(|(source, name)| format!("{source} says {name}")).collect();
            Err(Fault::precondition(
                DOING,
                "the snapshot repositories",
                each.join("; "),
                different_repositories(configured, &said),
            ))
        }
    }
}
