//! A whole Camunda installation on loopback: search server, S3 store, brokers, web apps. Dropping it ends every
//! process of it; `down` does the same in order and waits.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::broker::{self, Broker, Shape};
use super::guide;
use super::packages;
use super::search::{Kind, REPOSITORY, Search};
use super::store::Store;
use super::webapp::{App, WebApp};
use crate::say::say;

#[derive(Debug, Clone)]
pub struct Options {
    pub search: Kind,
    pub brokers: usize,
    pub partitions: usize,
    pub operate: bool,
    pub tasklist: bool,
    /// Where all state, logs and snapshots of this run go.
    pub dir: PathBuf,
}

#[derive(Debug)]
pub struct Cluster {
    pub brokers: Vec<Broker>,
    pub operate: Option<WebApp>,
    pub tasklist: Option<WebApp>,
    pub search: Search,
    pub store: Store,
}

impl Cluster {
    /// Brings everything up, side by side, and returns when all of it is ready.
    pub async fn up(options: &Options) -> Result<Self> {
        let kit = packages::kit(options.search).await?;
        std::fs::create_dir_all(&options.dir)
            .with_context(|| format!("cannot create {}", options.dir.display()))?;
        let (search, store) = tokio::try_join!(
            twice(&options.dir, "search", async |dir| Search::up(options.search, &kit, dir).await),
            twice(&options.dir, "store", async |dir| Store::up(&kit.weed, dir).await),
        )?;
        say(format_args!("search server {} and S3 store {} are up", search.url(), store.url()));
        let ports = (0..options.brokers).map(|_| broker::Ports::free()).collect::<Result<Vec<_>>>()?;
        let shape = Shape { ports, partitions: options.partitions };
        let brokers = (0..options.brokers)
            .map(|node| Broker::new(node, &shape, &kit, &options.dir, &search, &store))
            .collect::<Result<Vec<_>>>()?;
        let gateway = brokers.first().context("a cluster needs a broker")?.gateway();
        let app = |app: App, wanted: bool| {
            wanted.then(|| WebApp::new(app, &kit, &options.dir, &search, &gateway)).transpose()
        };
        let (operate, tasklist) =
            (app(App::Operate, options.operate)?, app(App::Tasklist, options.tasklist)?);
        let mut cluster = Self { brokers, operate, tasklist, search, store };
        if let Err(first) = cluster.start().await {
            // A busy machine may make a server miss its own start-up deadlines once; a broken one fails again.
            say(format_args!("once more after: {first:#}"));
            cluster.stop_camunda().await?;
            cluster.start().await?;
        }
        Ok(cluster)
    }

    /// Starts whatever of Camunda does not run, and waits until all of it is ready.
    pub async fn start(&mut self) -> Result<()> {
        for broker in self.brokers.iter_mut().filter(|broker| !broker.is_started()) {
            broker.start()?;
        }
        for app in self.apps_mut().filter(|app| !app.is_started()) {
            app.start()?;
        }
        for broker in &mut self.brokers {
            broker.ready().await?;
        }
        for app in self.apps_mut() {
            app.ready().await?;
        }
        Ok(())
    }

    /// SIGTERM to the web apps, then to the brokers.
    pub async fn stop_camunda(&mut self) -> Result<()> {
        for app in self.apps_mut() {
            app.stop().await?;
        }
        for broker in &mut self.brokers {
            broker.stop().await?;
        }
        Ok(())
    }

    /// Everything of Camunda's is gone afterwards: processes, broker data, indices. Snapshots and store remain.
    pub async fn destroy(&mut self) -> Result<()> {
        self.stop_and_wipe().await?;
        self.search.destroy_camunda().await
    }

    async fn stop_and_wipe(&mut self) -> Result<()> {
        self.stop_camunda().await?;
        self.brokers.iter().try_for_each(Broker::wipe)
    }

    /// Puts a backup back with the servers' own means: the snapshots in the order given, then `bin/restore` for each
    /// broker. Starts nothing.
    pub async fn restore(&self, id: u64, snapshots: &[String]) -> Result<()> {
        for name in snapshots {
            self.search.restore(name).await?;
        }
        self.restore_brokers(id).await
    }

    async fn restore_brokers(&self, id: u64) -> Result<()> {
        for broker in &self.brokers {
            broker.restore(id).await?;
        }
        Ok(())
    }

    /// A total loss and the way back: destroyed, restored, started, ready.
    pub async fn lose_and_restore(&mut self, id: u64, snapshots: &[String]) -> Result<()> {
        let begin = Instant::now();
        self.destroy().await?;
        let destroyed = begin.elapsed();
        self.restore(id, snapshots).await?;
        let restored = begin.elapsed();
        self.start().await?;
        say(format_args!(
            "  destroyed after {destroyed:.0?}, restored from {} snapshots and the store after {restored:.0?}, ready after {:.0?}",
            snapshots.len(),
            begin.elapsed()
        ));
        Ok(())
    }

    /// The same, with the indices where they are: what becomes of them is the guide's business.
    pub async fn lose_and_restore_by(&mut self, id: u64, guide: &Path, snapshots: usize) -> Result<()> {
        let begin = Instant::now();
        self.stop_and_wipe().await?;
        guide::restore_indices(guide, &self.search.url(), snapshots).await?;
        self.restore_brokers(id).await?;
        let restored = begin.elapsed();
        self.start().await?;
        say(format_args!(
            "  restored from {snapshots} snapshots by RESTORE.md and from the store after {restored:.0?}, ready after {:.0?}",
            begin.elapsed()
        ));
        Ok(())
    }

    /// The variables of the documented procedure that lead to this cluster.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let (endpoint, repository) = match self.search.kind {
            Kind::Es => ("ELASTIC_ENDPOINT", "ELASTIC_SNAPSHOT_REPOSITORY"),
            Kind::Os => ("OPENSEARCH_ENDPOINT", "OPENSEARCH_SNAPSHOT_REPOSITORY"),
        };
        let mut variables = vec![(endpoint, self.search.url()), (repository, REPOSITORY.to_owned())];
        variables.extend(
            self.brokers.first().map(|one| ("ORCHESTRATION_CLUSTER_MANAGEMENT_API", one.management())),
        );
        variables.extend(self.operate.as_ref().map(|one| ("OPERATE_MANAGEMENT_API", one.management())));
        variables.extend(self.tasklist.as_ref().map(|one| ("TASKLIST_MANAGEMENT_API", one.management())));
        variables
    }

    pub async fn down(mut self) -> Result<()> {
        self.stop_camunda().await?;
        self.search.stop().await?;
        self.store.stop().await
    }

    fn apps_mut(&mut self) -> impl Iterator<Item = &mut WebApp> {
        self.operate.iter_mut().chain(self.tasklist.iter_mut())
    }
}

/// Tries twice, each time in a fresh folder: a busy machine may make a server miss its deadlines once.
async fn twice<T>(dir: &Path, name: &str, bring_up: impl AsyncFn(&Path) -> Result<T>) -> Result<T> {
    match bring_up(&dir.join(name)).await {
        Ok(peer) => Ok(peer),
        Err(first) => {
            say(format_args!("once more after: {first:#}"));
            bring_up(&dir.join(format!("{name}-again"))).await
        }
    }
}
