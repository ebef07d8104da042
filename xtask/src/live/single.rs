//! The promises on one broker with its web apps: a hot backup under load, everything destroyed and put back, the order
//! of 8.8 on the real engine, and the control without the pause.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::evidence::{self, Manifest};
use super::oracle::{self, Expected, Found};
use super::program::{Finished, Program, variables};
use crate::peers::broker::Broker;
use crate::peers::cluster::Cluster;
use crate::peers::face88::Face88;
use crate::peers::http;
use crate::peers::load::{Load, Pressure, Started};
use crate::peers::proxy::{Gate, Point, Seen};
use crate::peers::webapp::WebApp;
use crate::say::say;

pub const BACKUP_LIMIT: Duration = Duration::from_mins(10);
const STEP_LIMIT: Duration = Duration::from_mins(5);
const RUNTIME: &str = "/actuator/backups";

/// A backup that was taken while instances were started, and what was seen from outside meanwhile.
#[derive(Debug)]
pub struct Taken {
    pub id: u64,
    shown: Value,
    manifest: String,
    started: Vec<Started>,
    posted: Instant,
    complete: Instant,
    seen: Vec<Seen>,
}

/// Promise 1. The program knows nothing but the management addresses of the documented procedure; it finds the rest.
pub async fn hot_backup(cluster: &Cluster, program: &Program) -> Result<Taken> {
    let gate = Gate::before(&first(cluster)?.management()).await?;
    let mut known = variables(cluster, &["OPERATE", "TASKLIST"]);
    known.push(("ORCHESTRATION_CLUSTER_MANAGEMENT_API", gate.url()));
    let program = program.at(&program.home().join("hot"), known)?;
    let taken = take(cluster, &program, &gate, RUNTIME).await?;
    let manifest = Manifest::of(&taken.shown)?;
    let apps = usize::from(cluster.operate.is_some()) + usize::from(cluster.tasklist.is_some());
    manifest.agrees_with(cluster, taken.id, apps + 2).await?;
    manifest.restore_guide_names_all(Path::new(&taken.manifest), taken.id)?;
    in_order(&taken.seen, &["/actuator/exporting/pause?soft=true", RUNTIME, "/actuator/exporting/resume"])?;
    for app in cluster.operate.iter().chain(cluster.tasklist.iter()) {
        told_complete(app, taken.id).await?;
    }
    exports(cluster).await?;
    Ok(taken)
}

/// Promise 2. Everything is destroyed and put back with the servers' own means: the indices by the lines of `RESTORE.md`, word
/// for word, which also delete what is newer than the backup.
pub async fn put_back(cluster: &mut Cluster, taken: &Taken) -> Result<()> {
    let copied = Manifest::of(&taken.shown)?.snapshots_with_indices()?;
    let guide = Path::new(&taken.manifest).with_file_name("RESTORE.md");
    cluster.lose_and_restore_by(taken.id, &guide, copied).await?;
    let expected = Expected::new(&taken.started, taken.posted, taken.complete);
    let found = Found::after_restore(cluster, true).await?;
    say(format_args!("  {}", found.is_whole(&expected)?));
    Ok(())
}

/// Promise 5. The order of the 8.8 page, over its endpoints, on the real engine.
pub async fn unified_order(cluster: &Cluster, program: &Program) -> Result<Taken> {
    let apps = cluster.operate.iter().chain(cluster.tasklist.iter()).map(WebApp::management).collect();
    let face = Face88::before(first(cluster)?.management(), apps, cluster.search.repository()).await?;
    let gate = Gate::before(&face.url()).await?;
    let mut known = variables(cluster, &["ELASTIC", "OPENSEARCH"]);
    known.push(("ORCHESTRATION_CLUSTER_MANAGEMENT_API", gate.url()));
    let program = program.at(&program.home().join("unified"), known)?;
    let taken = take(cluster, &program, &gate, "/actuator/backupRuntime").await?;
    let manifest = Manifest::of(&taken.shown)?;
    manifest.agrees_with(cluster, taken.id, 3).await?;
    let pages = [
        "/actuator/exporting/pause?soft=true",
        "/actuator/backupHistory",
        "/actuator/backupRuntime",
        "/actuator/exporting/resume",
    ];
    in_order(&taken.seen, &pages)?;
    exports(cluster).await?;
    Ok(taken)
}

/// The answers to the pause and to the runtime backup are lost on the way, after their effects: both are read back.
pub async fn lost_answers(cluster: &Cluster, program: &Program) -> Result<()> {
    let gate = Gate::before(&first(cluster)?.management()).await?;
    let mut known = variables(cluster, &["OPERATE", "TASKLIST"]);
    known.push(("ORCHESTRATION_CLUSTER_MANAGEMENT_API", gate.url()));
    let program = program.at(&program.home().join("lost"), known)?;
    let lost = ["/actuator/exporting/pause", RUNTIME].map(|path| gate.hold(Point::AfterAnswer, "POST", path));
    let cut = async {
        for mut held in lost {
            held.reached(BACKUP_LIMIT).await?;
            held.cut();
        }
        Ok(())
    };
    let (taken, ()) = tokio::try_join!(take(cluster, &program, &gate, RUNTIME), cut)?;
    let apps = usize::from(cluster.operate.is_some()) + usize::from(cluster.tasklist.is_some());
    Manifest::of(&taken.shown)?.agrees_with(cluster, taken.id, apps + 2).await?;
    exports(cluster).await
}

/// Promise 3, the control. A foreign hand resumes exporting once P0 is read (it is read before the records' snapshot
/// is asked for), and the runtime backup is held until the brokers' own snapshots show positions above P0.
pub async fn control(cluster: &mut Cluster, program: &Program) -> Result<()> {
    let broker = first(cluster)?;
    let (gate, search) =
        (Gate::before(&broker.management()).await?, Gate::before(&cluster.search.url()).await?);
    let mut known = variables(cluster, &["OPERATE", "TASKLIST"]);
    known.push(("ORCHESTRATION_CLUSTER_MANAGEMENT_API", gate.url()));
    for (name, value) in variables(cluster, &["ELASTIC", "OPENSEARCH"]) {
        known.push((name, if name.ends_with("_ENDPOINT") { search.url() } else { value }));
    }
    let program = program.at(&program.home().join("control"), known)?;
    let load = loaded(cluster).await?;
    let mut records =
        search.hold(Point::BeforeForwarding, "PUT", "/_snapshot/camunda/camunda_zeebe_records_backup_");
    let mut runtime = gate.hold(Point::BeforeForwarding, "POST", RUNTIME);
    let mut running = program.start(&["backup", "-o", "json"])?;
    running.until(records.reached(BACKUP_LIMIT)).await?;
    let at_pause = oracle::leaders(cluster).await?;
    let resumed = broker.exporting("resume").await?.good()?.json()?;
    ensure!(resumed["status"] == 204, "the foreign hand could not resume: {resumed}");
    records.go();
    running.until(runtime.reached(BACKUP_LIMIT)).await?;
    snapshots_above(broker, &at_pause).await?;
    runtime.go();
    let done = running.ended(BACKUP_LIMIT).await?.with_code(1)?;
    load.stop().await?;
    let id = violated(&done)?;
    let shown = program.show(id).await?;
    ensure!(
        shown["complete"] == false && shown["manifest"].is_null(),
        "a violated backup has a manifest: {shown}"
    );
    exports(cluster).await?;
    let snapshots: Vec<String> = evidence::of_backup(cluster, id).await?.into_iter().collect();
    cluster.lose_and_restore(id, &snapshots).await?;
    let missing = Found::after_restore(cluster, false).await?.missing_records();
    ensure!(missing > 0, "nothing is missing: the control shows nothing");
    say(format_args!("  without the pause {missing} instances are missing from the records for ever"));
    Ok(())
}

/// Takes a backup while instances are started; `runtime` is the path of the runtime backup's request.
pub async fn take(cluster: &Cluster, program: &Program, gate: &Gate, runtime: &str) -> Result<Taken> {
    let load = loaded(cluster).await?;
    let begin = Instant::now();
    let done = program.run(&["backup", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?;
    let complete = Instant::now();
    load.more(50, STEP_LIMIT).await?;
    let started = load.stop().await?;
    let result = done.result()?;
    let id = result["backup"].as_u64().context("a result without an id")?;
    ensure!(result["complete"] == true && result["exporting_runs"] == true, "{result}");
    let manifest = result["manifest"].as_str().context("a result without a manifest")?.to_owned();
    let seen: Vec<Seen> = gate.log().into_iter().filter(|one| one.at >= begin).collect();
    let posted = seen.iter().find(|one| one.method == "POST" && one.path == runtime);
    let posted = posted.context("the runtime backup was never asked for")?.at;
    say(format_args!("  backup {id} after {:.1?}, paused for {} ms", complete - begin, result["paused_ms"]));
    let shown = program.show(id).await?;
    Ok(Taken { id, shown, manifest, started, posted, complete, seen })
}

impl Taken {
    pub fn shown(&self) -> &Value {
        &self.shown
    }
}

/// Every partition of every broker exports.
pub async fn exports(cluster: &Cluster) -> Result<()> {
    for broker in cluster.brokers.iter().filter(|broker| broker.is_started()) {
        for (partition, status) in broker.partitions().await? {
            let phase = &status["exporterPhase"];
            ensure!(
                status["role"] != "LEADER" || phase == "EXPORTING",
                "broker {} partition {partition}: exporting is {phase}",
                broker.node
            );
        }
    }
    Ok(())
}

pub async fn loaded(cluster: &Cluster) -> Result<Load> {
    let rest: Vec<String> = cluster.brokers.iter().map(Broker::rest).collect();
    let load = Load::start(&rest, Pressure::default());
    load.more(200, STEP_LIMIT).await?;
    // A broker that has no snapshot yet when it is backed up, and has one a moment later, leaves the witness unproven.
    for broker in &cluster.brokers {
        snapshots_above(broker, &BTreeMap::new()).await?;
    }
    Ok(load)
}

/// Asks the broker for snapshots until those of all partitions lie above these exported positions.
pub async fn snapshots_above(broker: &Broker, at_pause: &BTreeMap<u32, (i64, i64)>) -> Result<()> {
    http::until("snapshots above P0", STEP_LIMIT, async || {
        http::post(&format!("{}/actuator/partitions/takeSnapshot", broker.management()), None)
            .await?
            .good()?;
        for (partition, status) in broker.partitions().await? {
            let exported = status["snapshotId"].as_str().and_then(evidence::exported_in);
            let p0 = at_pause.get(&partition).map(|(_, exported)| *exported);
            ensure!(exported > p0, "partition {partition}: snapshot {}, P0 {p0:?}", status["snapshotId"]);
        }
        Ok(Some(()))
    })
    .await
}

fn violated(done: &Finished) -> Result<u64> {
    let result = done.result()?;
    ensure!(result["complete"] == false && result["manifest"].is_null(), "it counts as a backup: {result}");
    ensure!(result["witness"]["verdict"]["kind"] == "violated", "the witness says {}", result["witness"]);
    ensure!(done.err.contains("the pause did not hold"), "standard error does not say so:\n{}", done.err);
    result["backup"].as_u64().context("a result without an id")
}

async fn told_complete(app: &WebApp, id: u64) -> Result<()> {
    let told = http::get(&format!("{}/actuator/backups/{id}", app.management())).await?.good()?.json()?;
    ensure!(told["state"] == "COMPLETED", "{} says {told}", app.app.name());
    Ok(())
}

/// The POSTs with these paths came in this order, each of them once.
fn in_order(seen: &[Seen], paths: &[&str]) -> Result<()> {
    let posts: Vec<&str> =
        seen.iter().filter(|one| one.method == "POST").map(|one| one.path.as_str()).collect();
    let known: Vec<&str> = posts.iter().copied().filter(|path| paths.contains(path)).collect();
    ensure!(known == paths, "the calls came as {posts:?} instead of {paths:?}");
    Ok(())
}

fn first(cluster: &Cluster) -> Result<&Broker> {
    cluster.brokers.first().context("no broker")
}
