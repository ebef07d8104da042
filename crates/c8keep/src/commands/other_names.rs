//! Open runs of this journal under other installation names, on the very cluster that answers here: as after a configuration
//! file was forgotten, when `default` stands for what has a name of its own.

use c8keep_core::Run;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_core::installation::Fingerprint;
use c8keep_core::run::Hold;
use c8keep_engine::open_runs;
use c8keep_engine::ports::Journal;

use crate::session;
use crate::settings::Settings;

/// How many names are looked through.
const NAMES_MAX: usize = 100;

/// One of them.
pub(super) struct Namesake {
    pub(super) installation: String,
    pub(super) run: Run,
    /// Who is at work under that name on this host.
    pub(super) holder: Option<String>,
    /// Whether its cluster is known to be the one that answers here.
    pub(super) is_sure: bool,
}

/// Those on this cluster, and what keeps others out first; all of them, where nobody can tell which cluster answers.
pub(super) async fn on(
    settings: &Settings,
    journal: &dyn Journal,
    cluster: Option<&Fingerprint>,
) -> Vec<Namesake> {
    let mut names = journal.installations().await.unwrap_or_default();
    names.retain(|name| name != settings.name());
    let mut found = Vec::new();
    for installation in names.into_iter().take(NAMES_MAX) {
        let holder = session::holder_of(settings, &installation).unwrap_or_default();
        let open = open_runs::open(journal, &installation).await.unwrap_or_default();
        let here = open.runs.into_iter().map(|(run, _)| run);
        let here = here.filter(|run| {
            cluster.is_none_or(|cluster| cluster.is_same_installation(run.plan().fingerprint()))
        });
        found.extend(here.map(|run| Namesake {
            installation: installation.clone(),
            run,
            holder: holder.clone(),
            is_sure: cluster.is_some(),
        }));
    }
    found.sort_by_key(|other| (other.holder.is_none(), !other.run.hold().is_open()));
    found
}

/// The same for whoever has not asked yet which cluster answers; it is asked only where that matters.
pub(super) async fn here(settings: &Settings) -> Vec<Namesake> {
    let Ok(journal) = session::journal_to_read(settings).await else { return Vec::new() };
    let anywhere = on(settings, &*journal, None).await;
    if anywhere.is_empty() {
        return anywhere;
    }
    let no_journal = session::no_journal(settings);
    match Box::pin(session::assemble_to_release(settings, no_journal)).await {
        Ok(session) => on(settings, &*journal, Some(&session.world.installation.fingerprint)).await,
        Err(_) => anywhere,
    }
}

/// Somebody who is at work on this very cluster under another name keeps everybody else out, as under the same name.
pub(super) fn at_work(others: &[Namesake]) -> Option<&Namesake> {
    others.iter().find(|other| other.is_sure && other.holder.is_some())
}

/// One that has kept exporting paused and of which nobody is alive.
pub(super) fn left_paused(others: &[Namesake]) -> Option<&Namesake> {
    others.iter().find(|other| other.holder.is_none() && other.run.hold().is_open())
}

impl Namesake {
    /// Why nothing is done under this name.
    pub(super) fn fault(&self, doing: &str, target: &str) -> Fault {
        let kind = if self.holder.is_some() { FaultKind::Locked } else { FaultKind::Precondition };
        Fault::new(kind, doing, target, self.says()).with_hint(self.next())
    }

    /// What it is.
    pub(super) fn says(&self) -> String {
        let Namesake { installation, run, holder, is_sure } = self;
        let cluster = if *is_sure { "this very cluster" } else { "what may be this cluster" };
        let process = match holder {
            Some(holder) => format!("{holder} is at work on it"),
            None => "its process has ended".to_owned(),
        };
        let paused = match run.hold() {
            Hold::Open { .. } | Hold::ReleasePending { .. } => "has paused exporting on",
            Hold::NotTaken | Hold::Released { .. } => "is open on",
        };
        format!(
            "run {} of installation {installation} in the same journal {paused} {cluster}; {process}",
            run.id()
        )
    }

    /// What to do.
    pub(super) fn next(&self) -> String {
        if self.holder.is_some() {
            let name = &self.installation;
            return format!(
                "wait until it has ended, or stop it with Ctrl-C or SIGTERM (it resumes exporting itself); \
                 `c8keep --installation {name} status` shows it (or -c with the file of that name)"
            );
        }
        self.ends_with(if self.run.hold().is_open() { "resume-exporting" } else { "backup" })
    }

    /// The command that ends it.
    pub(super) fn ends_with(&self, verb: &str) -> String {
        let name = &self.installation;
        format!("`c8keep --installation {name} {verb}` (or -c with the file of that name) ends it")
    }
}
