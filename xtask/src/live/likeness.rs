//! The likeness suite on the real servers: the situations in which the twin is compared with recorded answers, got into
//! by the same plain requests on Camunda, Elasticsearch and OpenSearch, and compared by the same comparer. What differs
//! is a fault of the twin, of a rule, or of a recording; it is never passed over.

mod ids;
mod real;
mod repositories;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use c8keep_twin::likeness::{Case, Source, Stage, cases};
use c8keep_twin::{Host, Product};

use self::real::Real;
use super::{Suite, with_apps};
use crate::peers::cluster::{Cluster, Options};
use crate::peers::http;
use crate::peers::load::{self, Load, Pressure};
use crate::peers::search::Kind;
use crate::say::say;

pub const NAME: &str = "likeness";
pub const OF_THREE: &str = "likeness-of-three";
const PROMISE: &str = "the twin's situations: the real servers answer as they were recorded";
const PROMISE_OF_THREE: &str =
    "the twin's situations with three brokers: the real ones answer as they were recorded";
const WARM_UP_LIMIT: Duration = Duration::from_mins(3);
/// Some states last for moments; whoever misses one tries again.
const ATTEMPTS_MAX: u32 = 3;

/// The suite for itself: it needs no program, only servers.
pub async fn alone(suite: &mut Suite, kinds: &[Kind], dir: &Path) -> Result<()> {
    for kind in kinds {
        let options = with_apps(*kind, &dir.join(kind.name()));
        let Some(mut cluster) = suite.cluster(&options).await else { continue };
        load::deploy(&cluster.brokers[0].rest()).await?;
        on_one_broker(suite, &mut cluster).await;
        cluster.down().await?;
    }
    let (kind, name) = (kinds[kinds.len() - 1], "three");
    let dir = dir.join(name);
    let options = Options { search: kind, brokers: 3, partitions: 3, operate: false, tasklist: false, dir };
    let Some(mut cluster) = suite.cluster(&options).await else { return Ok(()) };
    load::deploy(&cluster.brokers[0].rest()).await?;
    on_three_brokers(suite, &mut cluster).await;
    cluster.down().await
}

/// The cases of one broker, its web apps and its search server. The broker's disk is emptied on the way: nothing may
/// need this cluster's data afterwards.
pub async fn on_one_broker(suite: &mut Suite, cluster: &mut Cluster) {
    let kind = cluster.search.kind;
    let long = suite.long;
    suite.promise(NAME, kind, PROMISE, one_broker(cluster, long)).await;
}

/// The cases of three brokers.
pub async fn on_three_brokers(suite: &mut Suite, cluster: &mut Cluster) {
    let kind = cluster.search.kind;
    suite.promise(OF_THREE, kind, PROMISE_OF_THREE, three_brokers(cluster)).await;
}

/// A young installation is a cluster that starts from nothing, twice: minutes, and so for the long run.
async fn one_broker(cluster: &mut Cluster, long: bool) -> Result<()> {
    let kind = cluster.search.kind;
    let mut all = Comparison::default();
    let mut real = Real::new(cluster).await?;
    let load = loaded(real.cluster).await?;
    all.play(&mut real, |case| stage(case) == Some(On::Loaded(kind)) && case.host != Host::Search).await;
    load.stop().await?;
    all.play(&mut real, |case| stage(case) == Some(On::Loaded(kind)) && case.host == Host::Search).await;
    if kind == Kind::Es && long {
        for young in [Stage::Fresh, Stage::NoSnapshotYet] {
            real.first_day().await?;
            all.play(&mut real, |case| case.stage == young).await;
        }
    }
    real.end().await?;
    all.told(cluster, |case| {
        stage(case).is_some_and(|on| on != On::Three && (on != On::Young || long) && on.kind() == kind)
    })
    .await
}

async fn three_brokers(cluster: &mut Cluster) -> Result<()> {
    let mut all = Comparison::default();
    let mut real = Real::new(cluster).await?;
    let load = loaded(real.cluster).await?;
    all.play(&mut real, |case| stage(case) == Some(On::Three)).await;
    load.stop().await?;
    real.end().await?;
    all.told(cluster, |case| stage(case) == Some(On::Three)).await
}

/// Where a case can be replayed; nowhere for what no real server here can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Loaded(Kind),
    Young,
    Three,
}

impl On {
    fn kind(self) -> Kind {
        if let Self::Loaded(kind) = self { kind } else { Kind::Es }
    }
}

fn stage(case: &Case) -> Option<On> {
    Some(match case.stage {
        Stage::Loaded(Product::Elasticsearch) => On::Loaded(Kind::Es),
        Stage::Loaded(Product::OpenSearch) => On::Loaded(Kind::Os),
        Stage::Fresh | Stage::NoSnapshotYet => On::Young,
        Stage::ThreeBrokers => On::Three,
        Stage::Unified(_)
        | Stage::UnifiedNoSnapshotYet
        | Stage::Documented(_)
        | Stage::DocumentedOnOpenSearch(_)
        | Stage::DocumentedNoSnapshotYet(_)
        | Stage::DocumentedThreeBrokers(_)
        | Stage::OwnBackups => {
            return None;
        }
    })
}

#[derive(Debug, Default)]
struct Comparison {
    alike: BTreeMap<&'static str, u32>,
    again: Vec<&'static str>,
    different: Vec<&'static str>,
}

impl Comparison {
    async fn play(&mut self, real: &mut Real<'_>, wanted: impl Fn(&Case) -> bool) {
        for case in cases().iter().filter(|case| wanted(case)) {
            let mut found = Vec::new();
            for attempt in 1..=ATTEMPTS_MAX {
                found = real.play(case).await.unwrap_or_else(|error| vec![format!("{error:#}")]);
                if found.is_empty() {
                    *self.alike.entry(server(case)).or_default() += 1;
                    self.again.extend((attempt > 1).then_some(case.name));
                    break;
                }
            }
            if !found.is_empty() {
                say(format_args!("  {} differs:\n    {}", case.name, found.join("\n    ")));
                self.different.push(case.name);
            }
        }
    }

    /// Says what was compared, and fails with what differs.
    async fn told(self, cluster: &Cluster, here: impl Fn(&Case) -> bool) -> Result<()> {
        for (server, count) in &self.alike {
            let version = version(cluster, server).await?;
            say(format_args!("  {count} cases replayed on the real {version}: alike"));
        }
        if !self.again.is_empty() {
            say(format_args!("  at another attempt: {}", self.again.join(", ")));
        }
        let all = cases();
        let twin_only: Vec<&str> =
            all.iter().filter(|case| stage(case).is_none()).map(|case| case.name).collect();
        say(format_args!(
            "  {} twin only, compared with the documents' answers (8.7 to 8.9 and Optimize cannot be had): {}",
            twin_only.len(),
            twin_only.join(", ")
        ));
        let wanted = all.iter().filter(|case| here(case)).count();
        say(format_args!("  {} belong to other installations", all.len() - wanted - twin_only.len()));
        let played = self.alike.values().map(|count| *count as usize).sum::<usize>() + self.different.len();
        ensure!(
            self.different.is_empty(),
            "{} of {wanted} differ: {}",
            self.different.len(),
            self.different.join(", ")
        );
        ensure!(played == wanted && wanted > 0, "{played} of {wanted} cases were played");
        Ok(())
    }
}

/// The recordings' servers, as this run names them.
fn server(case: &Case) -> &'static str {
    if case.source == Source::Camunda86 { "Camunda" } else { "search server" }
}

async fn version(cluster: &Cluster, server: &str) -> Result<String> {
    if server == "Camunda" {
        let broker = cluster.brokers.first().context("no broker")?;
        let info = http::get(&format!("{}/actuator/info", broker.management())).await?.good()?.json()?;
        return Ok(format!("Camunda {}", info["build"]["version"].as_str().unwrap_or("?")));
    }
    let root = http::get(&cluster.search.url()).await?.good()?.json()?;
    let number = root["version"]["number"].as_str().unwrap_or("?");
    Ok(format!("{} {number}", cluster.search.kind.product()))
}

/// Load, until every partition has exported and has a local snapshot.
async fn loaded(cluster: &Cluster) -> Result<Load> {
    let rest: Vec<String> = cluster.brokers.iter().map(crate::peers::broker::Broker::rest).collect();
    let load = Load::start(&rest, Pressure::default());
    load.more(100, WARM_UP_LIMIT).await?;
    for broker in &cluster.brokers {
        http::until("local snapshots", WARM_UP_LIMIT, async || {
            let take = format!("{}/actuator/partitions/takeSnapshot", broker.management());
            http::post(&take, None).await?.good()?;
            let partitions = broker.partitions().await?;
            Ok(partitions.values().all(|one| one["snapshotId"].is_string()).then_some(()))
        })
        .await?;
    }
    Ok(load)
}
