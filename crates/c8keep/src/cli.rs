//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use c8keep_core::BackupId;
use c8keep_core::plan::STALL_MIN;
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;

use crate::env;

/// Consistent hot backups of Camunda 8 Self-Managed, in one command.
///
/// With the variables of Camunda's page "Create a backup" in the environment, `c8keep backup` performs all of its
/// ten steps under one id, resumes exporting whatever happens, and proves that the pause held.
#[derive(Debug, Parser)]
#[command(name = "c8keep", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// A variable that is set to nothing asks for nothing.
    #[must_use]
    pub fn without_empty_variables(mut self) -> Cli {
        let Global { config, installation, .. } = &mut self.global;
        if env::is_empty(env::CONFIG) && config.as_ref().is_some_and(|path| env::is_blank(path.as_os_str())) {
            *config = None;
        }
        if env::is_empty(env::INSTALLATION)
            && installation.as_ref().is_some_and(|name| env::is_blank(name.as_ref()))
        {
            *installation = None;
        }
        self
    }
}

/// A path, even an empty one, as a variable may be.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// How results are wanted by a command line that cannot be meant.
pub fn wanted_output(words: impl Iterator<Item = OsString>) -> Output {
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let mut wanted = Output::Text;
    for (nth, word) in words.iter().enumerate() {
        let next = || words.get(nth + 1).map(String::as_str);
        let short = word.strip_prefix('-').map(|flags| flags.trim_start_matches('v'));
        let value = match (word.strip_prefix("--output"), short.and_then(|flags| flags.strip_prefix('o'))) {
            (Some(""), _) | (None, Some("")) => next(),
            (Some(rest), _) => rest.strip_prefix('='),
            (None, Some(rest)) => Some(rest.strip_prefix('=').unwrap_or(rest)),
            (None, None) => None,
        };
        if let Some(output) = value.and_then(|value| Output::from_str(value, true).ok()) {
            wanted = output;
        }
    }
    wanted
}

/// What is wrong with a command line, without the usage below it.
pub fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let what = text.split("\n\n").next().unwrap_or_default().trim();
    what.strip_prefix("error: ").unwrap_or(what).to_owned()
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file; without one, the environment is enough. `init` writes it
    #[arg(long, short, global = true, env = env::CONFIG, hide_env_values = true, value_name = "FILE", value_parser = any_path())]
    pub config: Option<PathBuf>,
    /// Name of the installation
    #[arg(long, global = true, env = env::INSTALLATION, hide_env_values = true, value_name = "NAME")]
    pub installation: Option<String>,
    /// How results are written to standard output
    #[arg(long, short, global = true, value_enum, default_value = "text")]
    pub output: Output,
    /// Say more on standard error
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Plain lines instead of a live view
    #[arg(long, global = true)]
    pub no_progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people
    Text,
    /// For programs; `backup` writes one event a line
    Json,
    /// For programs
    Yaml,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Write a configuration file from what the servers tell, and ask for the rest on a terminal
    Init(InitArgs),
    /// Show what a backup would do, step by step, and what was found; changes nothing
    Plan(PlanArgs),
    /// Take a hot backup: the whole documented procedure under one id
    Backup(BackupArgs),
    /// Check everything that a backup needs, one line each, with what to do
    Doctor,
    /// Show whether exporting is paused, runs that are open, and the last backup
    Status,
    /// List backups and failed runs
    List(ListArgs),
    /// Show one backup with its evidence
    Show {
        /// An id, `latest`, or `latest~1` for the one before
        #[arg(default_value = "latest")]
        backup: String,
    },
    /// Let exporting run again after an interrupted backup
    ResumeExporting(ResumeArgs),
    /// Take, break and restore backups of a simulated installation, with nothing installed or running
    Demo(DemoArgs),
    /// Write a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub struct ListArgs {
    /// Also runs that were refused before they began anything; without it only the last run of all is listed whatever became
    /// of it
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Id of the backup; generated (seconds since 1970) unless given
    #[arg(long = "id", env = env::BACKUP_ID, hide_env_values = true, value_name = "ID", value_parser = wanted_id)]
    wanted: Option<WantedId>,
    /// How long exporting may stay paused
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hold_budget: Option<SignedDuration>,
    /// How long a wait may see nothing move
    #[arg(long, value_name = "TIME", value_parser = stall)]
    pub stall: Option<SignedDuration>,
    /// How long one wait may take in all
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub wait_deadline: Option<SignedDuration>,
}

/// What is given beside the variables of the documented procedure.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// Management address of the orchestration cluster, up to 8.7 of the gateway
    #[arg(value_name = "ADDRESS")]
    pub management: Option<String>,
    /// Application address with /v2/topology
    #[arg(long, value_name = "ADDRESS")]
    pub rest: Option<String>,
    /// Management addresses of all brokers
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub brokers: Vec<String>,
    /// Management address of Operate, up to 8.7; `off` leaves it out of backups
    #[arg(long, value_name = "ADDRESS")]
    pub operate: Option<String>,
    /// Management address of Tasklist, up to 8.7; `off` leaves it out of backups
    #[arg(long, value_name = "ADDRESS")]
    pub tasklist: Option<String>,
    /// Management address of Optimize; `off` leaves it out of backups
    #[arg(long, value_name = "ADDRESS")]
    pub optimize: Option<String>,
    /// Address of Elasticsearch or OpenSearch
    #[arg(long, value_name = "ADDRESS")]
    pub search: Option<String>,
    /// Snapshot repository
    #[arg(long, value_name = "NAME")]
    pub repository: Option<String>,
    /// Where manifests are kept: a folder, s3://bucket/prefix, gs:// or az://
    #[arg(long, value_name = "PLACE")]
    pub vault: Option<String>,
    /// Who c8keep is to a server, and where the secret is: `search=basic:elastic:env:NAME`, `rest=bearer:file:/path`,
    /// `search=api-key:command:pass show key`
    #[arg(long, value_name = "SERVER=WAY:SECRET")]
    pub credential: Vec<String>,
    /// Certificates of the issuers to trust at a server, PEM: `search=/etc/c8keep/ca.pem`
    #[arg(long, value_name = "SERVER=FILE")]
    pub ca_file: Vec<String>,
    /// Print the file instead of writing it
    #[arg(long)]
    pub stdout: bool,
    /// Write over a file that exists
    #[arg(long, conflicts_with = "stdout")]
    pub force: bool,
}

/// An id that was asked for; a variable that is set to nothing asks for none.
#[derive(Debug, Clone, Copy)]
struct WantedId(Option<BackupId>);

impl PlanArgs {
    /// The id that was asked for.
    pub fn id(&self) -> Option<BackupId> {
        self.wanted.and_then(|wanted| wanted.0)
    }
}

#[derive(Debug, Clone, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    pub plan: PlanArgs,
    /// Show the plan and stop
    #[arg(long)]
    pub dry_run: bool,
    /// What to do with a run that an earlier process left open [default: ask on a terminal, else release]
    #[arg(long, value_enum, value_name = "WHAT")]
    pub on_open: Option<OnOpen>,
    /// Stop trying to resume exporting after this time (exit code 20) instead of never
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub release_wait: Option<SignedDuration>,
    /// Exit with 3 unless the positions prove that the pause held
    #[arg(long)]
    pub require_proof: bool,
    /// Start again this often, each time under a higher generated id, when a backup fails
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=10))]
    pub retry: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOpen {
    /// Go on with it under its own id, if its pause still holds
    Finish,
    /// Resume exporting, end it, and start a new run
    Release,
    /// Touch nothing and exit
    Fail,
}

#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Resume also a pause that c8keep did not make, or whose installation cannot be told
    #[arg(long)]
    pub yes: bool,
    /// Resume even while another run is alive; its backup will fail
    #[arg(long)]
    pub force: bool,
    /// Stop trying after this time (exit code 20) instead of never
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub release_wait: Option<SignedDuration>,
}

#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Seed of the simulated installation
    #[arg(long, default_value = "8")]
    pub seed: u64,
}

fn wanted_id(text: &str) -> Result<WantedId, String> {
    match text.trim() {
        "" => Ok(WantedId(None)),
        id => id.parse().map(|id| WantedId(Some(id))).map_err(|e: c8keep_core::backup::NotABackupId| {
            format!("{e} (from --id, or the variable {})", env::BACKUP_ID)
        }),
    }
}

fn duration(text: &str) -> Result<SignedDuration, String> {
    match text.parse::<SignedDuration>() {
        Ok(duration) if duration.is_positive() => Ok(duration),
        _ => Err(format!("{text:?} is not a time; write it like 90s, 10m or 2h")),
    }
}

fn stall(text: &str) -> Result<SignedDuration, String> {
    match duration(text)? {
        time if time < STALL_MIN => {
            Err(format!("{time:#} is too short to see anything move; {STALL_MIN:#} at least"))
        }
        time => Ok(time),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_output_is_known_before_the_rest_is() {
        let wanted = |line: &str| wanted_output(line.split(' ').map(OsString::from));
        for line in ["-o json backup --bogus", "backup -ojson", "-o=json", "-vvo json", "--output json x"] {
            assert_eq!(wanted(line), Output::Json, "{line}");
        }
        assert_eq!(wanted("list --output=yaml"), Output::Yaml);
        for line in ["backup --bogus", "-o", "-o bogus", "--output-format json", "--operate json"] {
            assert_eq!(wanted(line), Output::Text, "{line}");
        }
    }

    /// Whatever somebody types, or a script has put together.
    #[test]
    fn fuzz_words() {
        let examples =
            ["1748937221", "90s", "2h 5m", "latest~1", " 17 "].map(|text| text.as_bytes().to_vec());
        c8keep_fuzz::feed("words of options", &examples, |input| {
            let text = input.text();
            let id = wanted_id(&text).map(|id| id.0.map_or(0, c8keep_core::BackupId::get));
            let time = duration(&text);
            assert!(time.as_ref().is_ok_and(SignedDuration::is_positive) || time.is_err());
            // Told by clap, which escapes nothing: the words are quoted here.
            [id.err(), time.err()]
                .into_iter()
                .flatten()
                .map(|why| why.chars().take(8_000).collect())
                .collect()
        });
    }

    #[test]
    fn times_are_positive() {
        assert_eq!(duration("90s"), Ok(SignedDuration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(SignedDuration::from_hours(2)));
        for bad in ["", "90", "-1s", "0s", "soon"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(stall("1s"), Ok(STALL_MIN));
        assert!(stall("999ms").unwrap_err().contains("1s at least") && stall("soon").is_err());
    }
}
