//! Real servers on loopback, from packages alone: Camunda 8.6.0, Elasticsearch or OpenSearch, an S3 store, an Azure store,
//! and PostgreSQL.
//! Everything that is started here ends by itself, even if this process is killed; nothing listens beyond 127.0.0.1.

pub mod azure;
pub mod broker;
pub mod cluster;
pub mod face88;
mod guide;
pub mod http;
pub mod load;
pub mod packages;
mod ports;
pub mod postgres;
mod process;
pub mod proxy;
pub mod search;
pub mod store;
mod tools;
pub mod webapp;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use tokio::signal::unix::{SignalKind, signal};

use crate::say::{print, say};
use cluster::{Cluster, Options};
use search::Kind;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Install the tools that the peers need (Debian packages, by name)
    Install,
    /// Bring the servers up, print their addresses, and end by itself
    Up(Up),
}

#[derive(Debug, clap::Args)]
struct Up {
    /// The search server
    #[arg(long, value_enum, default_value = "es")]
    search: Kind,
    /// How many brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=3))]
    brokers: u8,
    #[command(flatten)]
    apps: Apps,
    /// With PostgreSQL of two major versions beside the cluster
    #[arg(long)]
    databases: bool,
    /// Start process instances all the time
    #[arg(long)]
    load: bool,
    /// End after so many minutes
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=24 * 60))]
    minutes: u64,
    /// Where state, logs and snapshots go (default: a new folder for temporary files)
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Apps {
    /// Without Operate
    #[arg(long)]
    no_operate: bool,
    /// With Tasklist (the default on Elasticsearch; 8.6.0 does not start on a plain OpenSearch)
    #[arg(long, overrides_with = "no_tasklist")]
    tasklist: bool,
    /// Without Tasklist
    #[arg(long)]
    no_tasklist: bool,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match args.task {
            Task::Install => tools::install().await?,
            Task::Up(up) => bring_up(up).await?,
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// A folder of its own for one run.
pub fn run_folder(what: &str) -> PathBuf {
    std::env::temp_dir().join(format!("c8keep-{what}-{}", std::process::id()))
}

/// Ends when somebody asks this process to stop.
pub async fn asked_to_stop() -> Result<()> {
    let mut term = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done.context("cannot listen for SIGINT"),
        _ = term.recv() => Ok(()),
        _ = hangup.recv() => Ok(()),
    }
}

async fn bring_up(up: Up) -> Result<()> {
    let dir = up.dir.clone().unwrap_or_else(|| run_folder("peers"));
    let brokers = usize::from(up.brokers);
    let options = Options {
        search: up.search,
        brokers,
        partitions: if brokers == 1 { 2 } else { brokers },
        operate: !up.apps.no_operate,
        tasklist: !up.apps.no_tasklist && (up.apps.tasklist || up.search == Kind::Es),
        dir: dir.clone(),
    };
    let limit = Duration::from_mins(up.minutes);
    let held = tokio::select! {
        held = hold(&options, &up) => Some(held?),
        done = asked_to_stop() => { done?; None }
    };
    if held.is_some() {
        tokio::select! {
            done = asked_to_stop() => done?,
            () = tokio::time::sleep(limit) => say(format_args!("{} minutes are over", up.minutes)),
        }
    }
    say("the servers are ending");
    if let Some((cluster, load, databases)) = held {
        for database in databases {
            database.stop().await?;
        }
        if let Some(load) = load {
            say(format_args!("{} instances were started", load.stop().await?.len()));
        }
        cluster.down().await?;
    }
    if up.dir.is_none() {
        remove(&dir).await;
    }
    Ok(())
}

/// Everything up, addresses told, load running if it is wanted.
async fn hold(options: &Options, up: &Up) -> Result<(Cluster, Option<load::Load>, Vec<postgres::Postgres>)> {
    say(format_args!("state and logs: {}", options.dir.display()));
    let cluster = Cluster::up(options).await?;
    let rest: Vec<String> = cluster.brokers.iter().map(broker::Broker::rest).collect();
    let load = match rest.first() {
        Some(first) if up.load => {
            load::deploy(first).await?;
            Some(load::Load::start(&rest, load::Pressure::default()))
        }
        _ => None,
    };
    let mut databases = Vec::new();
    if up.databases {
        for programs in packages::postgres().await? {
            let dir = options.dir.join(format!("postgres-{}", programs.major));
            databases.push(postgres::Postgres::up(&programs, &dir).await?);
        }
    }
    for server in &databases {
        say(format_args!(
            "PostgreSQL {}: 127.0.0.1:{}, user {}, password {}, tools in {}",
            server.major,
            server.port,
            postgres::ADMINISTRATOR,
            postgres::PASSWORD,
            server.bin.display()
        ));
    }
    for broker in &cluster.brokers {
        say(format_args!("broker {}: {} (application {})", broker.node, broker.management(), broker.rest()));
    }
    say(format_args!("S3 store: {}, bucket {}", cluster.store.url(), store::BUCKET));
    for (name, value) in cluster.variables() {
        print(format_args!("export {name}={value}"));
    }
    say("ready; Ctrl-C ends it");
    Ok((cluster, load, databases))
}

/// The servers were told to end a moment ago and may still be writing, so removing is tried for a while.
pub async fn remove(dir: &std::path::Path) {
    let removed = http::until("removing the folder", Duration::from_secs(30), async || {
        if dir.exists() {
            std::fs::remove_dir_all(dir)?;
        }
        Ok(Some(()))
    });
    if let Err(error) = removed.await {
        say(format_args!("{} remains: {error:#}", dir.display()));
    }
}
