//! `cargo xtask twin`: a simulated installation to try commands on, with the variables to reach it.
//!
//! It listens on loopback only and ends by itself.

use std::process::ExitCode;
use std::time::Duration;

use c8keep_twin::Config;
use c8keep_twin::config::VERSIONS;

use crate::bench::stage::Stage;
use crate::say::{print, say};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which Camunda it plays.
    #[arg(long, default_value = "8.8", value_parser = ["8.5", "8.6", "8.7", "8.8", "8.9"])]
    camunda: String,
    /// When it ends.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=120))]
    minutes: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let minor = format!("{}.", args.camunda);
    let played = VERSIONS.into_iter().find(|version| version.starts_with(&minor));
    let config = Config::of(played.unwrap_or(args.camunda.as_str()));
    let repository = config.repositories.history.clone();
    let stage = Stage::open(&config)?;
    for (name, value) in stage.environment(&repository)?.into_iter().chain(stage.more_addresses()) {
        print(format_args!("export {name}={value}"));
    }
    say(format_args!(
        "c8keep init --rest \"$TWIN_REST\" --brokers \"$TWIN_BROKERS\" writes a file with all of them"
    ));
    say(format_args!("Camunda {} for {} minutes; Ctrl-C ends it", config.version, args.minutes));
    std::thread::sleep(Duration::from_secs(args.minutes * 60));
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_that_the_twin_plays_can_be_asked_for() {
        let command = <Args as clap::Args>::augment_args(clap::Command::new("twin"));
        let camunda = command.get_arguments().find(|argument| argument.get_id() == "camunda").unwrap();
        let offered: Vec<String> =
            camunda.get_possible_values().iter().map(|value| format!("{}.", value.get_name())).collect();
        let played: Vec<&str> = VERSIONS.iter().filter_map(|version| version.get(..4)).collect();
        assert_eq!(offered, played);
    }

    #[test]
    fn every_address_is_told() {
        let stage = Stage::open(&Config::demo_8_6()).unwrap();
        let more = stage.more_addresses();
        assert!(more["TWIN_REST"].starts_with("http://127.0.0.1:"));
        let brokers: Vec<&str> = more["TWIN_BROKERS"].split(',').collect();
        assert_eq!(brokers.len(), Config::demo_8_6().brokers as usize, "{brokers:?}");
        assert!(brokers.iter().all(|broker| broker.starts_with("http://127.0.0.1:")));
        stage.end().unwrap();
    }
}
