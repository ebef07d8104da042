//! A fresh twin on loopback for one run, and the eye on its exporting phases.
//!
//! It runs inside this program on a thread of its own, so what it costs is not counted as the measured program's.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use c8keep_twin::world::partition::Phase;
use c8keep_twin::{Config, Faults, Host, Verdict, World, http};
use jiff::Timestamp;
use tokio::sync::oneshot;

use super::measure::Environment;

/// How often the phases are looked at: the error of the paused time.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// One served installation.
#[derive(Debug)]
pub(crate) struct Stage {
    world: Arc<Mutex<World>>,
    addresses: BTreeMap<Host, String>,
    close: oneshot::Sender<()>,
    server: JoinHandle<anyhow::Result<()>>,
    eye: JoinHandle<Duration>,
    closing: Arc<AtomicBool>,
}

impl Stage {
    pub(crate) fn open(config: &Config) -> anyhow::Result<Stage> {
        Stage::open_watched(config, Arc::new(|_, _, _| {}))
    }

    /// The same, with somebody who sees every exchange.
    pub(crate) fn open_watched(config: &Config, watcher: http::Watcher) -> anyhow::Result<Stage> {
        let world = Arc::new(Mutex::new(World::new(config.clone())));
        let closing = Arc::new(AtomicBool::new(false));
        let (close, closed) = oneshot::channel();
        let (ready, urls) = std::sync::mpsc::channel();
        let server = {
            let world = Arc::clone(&world);
            std::thread::spawn(move || serve(world, watcher, closed, &ready))
        };
        // The thread drops its end when it cannot serve; why, it says when it is joined.
        let Ok(addresses) = urls.recv() else {
            server.join().ok().context("the twin's thread broke")??;
            bail!("the twin ended before it served");
        };
        let eye = {
            let (world, closing) = (Arc::clone(&world), Arc::clone(&closing));
            std::thread::spawn(move || paused_time(&world, &closing))
        };
        Ok(Stage { world, addresses, close, server, eye, closing })
    }

    /// The variables of Camunda's page for this installation.
    pub(crate) fn environment(&self, repository: &str) -> anyhow::Result<Environment> {
        let required =
            [("ORCHESTRATION_CLUSTER_MANAGEMENT_API", Host::Gateway), ("ELASTIC_ENDPOINT", Host::Search)];
        let optional = [
            ("OPERATE_MANAGEMENT_API", Host::Operate),
            ("TASKLIST_MANAGEMENT_API", Host::Tasklist),
            ("OPTIMIZE_MANAGEMENT_API", Host::Optimize),
        ];
        let mut variables = Environment::new();
        for (name, host) in required {
            let url = self.addresses.get(&host).with_context(|| format!("{host} is not served"))?;
            variables.insert(name.to_owned(), url.clone());
        }
        for (name, host) in optional {
            variables.extend(self.addresses.get(&host).map(|url| (name.to_owned(), url.clone())));
        }
        variables.insert("ELASTIC_SNAPSHOT_REPOSITORY".to_owned(), repository.to_owned());
        Ok(variables)
    }

    /// What the page has no variables for: the application address, and every broker's management address.
    pub(crate) fn more_addresses(&self) -> Environment {
        let brokers = self.addresses.iter().filter(|(host, _)| matches!(host, Host::Broker(_)));
        let brokers: Vec<&str> = brokers.map(|(_, url)| url.as_str()).collect();
        let rest = self.addresses.get(&Host::Rest).map(|url| ("TWIN_REST".to_owned(), url.clone()));
        rest.into_iter().chain([("TWIN_BROKERS".to_owned(), brokers.join(","))]).collect()
    }

    /// Another server stands in for one of the installation's: the others tell its address from now on.
    pub(crate) fn stand_in(&self, host: Host, url: &str) {
        self.at_present().set_address(host, url.to_owned());
    }

    /// Changes what is wrong with the installation.
    pub(crate) fn disturb(&self, change: impl FnOnce(&mut Faults)) {
        self.at_present().disturb(Timestamp::now(), change);
    }

    /// Whether every partition exports now.
    pub(crate) fn exports(&self) -> bool {
        all_in(&self.at_present(), Phase::Exporting)
    }

    /// What the oracle says of a backup.
    pub(crate) fn restore(&self, id: u64) -> Verdict {
        self.at_present().restore(id)
    }

    fn at_present(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(Timestamp::now());
        world
    }

    /// Closes everything.
    pub(crate) fn end(self) -> anyhow::Result<Duration> {
        self.closing.store(true, Ordering::Relaxed);
        let paused = self.eye.join().ok().context("the eye on the twin broke")?;
        // A server that has ended by itself says why when it is joined.
        let _ = self.close.send(());
        self.server.join().ok().context("the twin's thread broke")??;
        Ok(paused)
    }

    /// How long exporting was paused. Fails if it still is, or if the oracle finds a loss in the backup: a figure of a
    /// bad backup is worth nothing.
    pub(crate) fn close(self, id: u64) -> anyhow::Result<Duration> {
        let world = Arc::clone(&self.world);
        let paused = self.end()?;
        let world = world.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(all_in(&world, Phase::Exporting), "exporting was left paused");
        let verdict = world.restore(id);
        ensure!(verdict.whole(), "the backup lost data: {verdict}");
        Ok(paused)
    }
}

fn serve(
    world: Arc<Mutex<World>>,
    watcher: http::Watcher,
    closed: oneshot::Receiver<()>,
    ready: &std::sync::mpsc::Sender<BTreeMap<Host, String>>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async move {
        let clock: http::Clock = Arc::new(Timestamp::now);
        let served = http::serve_watched(world, clock, watcher).await.context("serving the twin")?;
        let urls = served.addresses.keys().filter_map(|host| Some((*host, served.url(*host)?)));
        ready.send(urls.collect()).context("nobody waits for the twin")?;
        // An error means that the other side is gone, which is as good a reason to end.
        let _ = closed.await;
        Ok(())
    })
}

/// From the first instant at which a partition is paused to the last one.
fn paused_time(world: &Mutex<World>, closing: &AtomicBool) -> Duration {
    let mut first = None;
    let mut last = None;
    while !closing.load(Ordering::Relaxed) {
        let runs = all_in(&world.lock().unwrap_or_else(PoisonError::into_inner), Phase::Exporting);
        if !runs {
            let now = Instant::now();
            first.get_or_insert(now);
            last = Some(now);
        }
        std::thread::sleep(LOOK_EVERY);
    }
    first.zip(last).map_or(Duration::ZERO, |(first, last)| last - first)
}

fn all_in(world: &World, phase: Phase) -> bool {
    (1..=world.config().partitions).all(|id| world.exporting(id).is_some_and(|(_, is)| is == phase))
}
