//! The promises on three brokers: the witness from all of them, and a broker that is gone before the run or at the
//! worst instant inside it.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::evidence::Manifest;
use super::program::{Program, Running};
use super::single::{self, BACKUP_LIMIT};
use crate::peers::cluster::Cluster;
use crate::peers::http;
use crate::peers::proxy::{Gate, Point};
use crate::peers::search::REPOSITORY;
use crate::say::say;

const VICTIM: usize = 2;
const STEP_LIMIT: Duration = Duration::from_mins(5);
const PAUSE: &str = "/actuator/exporting/pause";
const RESUME: &str = "/actuator/exporting/resume";

/// The witness is read from all three brokers.
pub async fn witness_of_all(cluster: &Cluster, program: &Program) -> Result<()> {
    let gate = gate(cluster).await?;
    let program = configured(cluster, program, &gate, "witness")?;
    let taken = single::take(cluster, &program, &gate, "/actuator/backups").await?;
    let manifest = Manifest::of(taken.shown())?;
    manifest.agrees_with(cluster, taken.id, 2).await?;
    let read = manifest.brokers_read()?;
    ensure!(read == BTreeSet::from([0, 1, 2]), "the witness was read from brokers {read:?}");
    single::exports(cluster).await
}

/// One broker gone before the run: refused with the reason, and nothing was paused.
pub async fn gone_before(cluster: &mut Cluster, program: &Program) -> Result<()> {
    let gate = gate(cluster).await?;
    let program = configured(cluster, program, &gate, "before")?;
    victim(cluster)?.kill().await?;
    members(cluster, 2).await?;
    let done = program.run(&["backup"], BACKUP_LIMIT).await?.with_code(10)?;
    ensure!(done.err.contains("broker"), "the reason does not speak of a broker:\n{}", done.err);
    let asked: Vec<String> =
        gate.log().into_iter().filter(|one| one.method == "POST").map(|one| one.path).collect();
    ensure!(asked.is_empty(), "it sent {asked:?} to a cluster that it refused");
    single::exports(cluster).await?;
    back(cluster).await
}

/// Gone between the check and the pause: what is paused where is told, and the release goes out until it is taken.
pub async fn gone_at_pause(cluster: &mut Cluster, program: &Program) -> Result<()> {
    let mut gate = gate(cluster).await?;
    let program = configured(cluster, program, &gate, "pause")?;
    let mut running = half_paused(cluster, &program, &gate, &["backup"]).await?;
    // It asks again and again; two more are enough to see that.
    let mut since = Instant::now();
    for _ in 0..2 {
        since = gate.seen("POST", RESUME, since, STEP_LIMIT).await?.at + Duration::from_millis(1);
    }
    ensure!(running.is_alive()?, "it gave up although nobody told it to");
    let status = program.status().await?;
    ensure!(status["exporting"]["state"] == "paused", "status says {}", status["exporting"]);
    let told = status["exporting"]["places"].to_string();
    for paused in paused(cluster).await? {
        ensure!(told.contains(&paused), "status does not say that {paused} is paused: {told}");
    }
    ensure!(!status["open_runs"].as_array().context("no open runs")?.is_empty(), "no open run: {status}");
    back(cluster).await?;
    let done = running.ended(BACKUP_LIMIT).await?.with_code(1)?;
    ensure!(
        tells_what_is_paused(&done.err),
        "standard error does not say what is paused where:\n{}",
        done.err
    );
    let posts = gate.log().into_iter().filter(|one| one.method == "POST");
    let strange: Vec<String> =
        posts.map(|one| one.path).filter(|path| !path.starts_with(PAUSE) && path != RESUME).collect();
    ensure!(strange.is_empty(), "it went on with {strange:?} after a pause that had failed");
    single::exports(cluster).await
}

/// Told to stop waiting, it ends with 20, and a later `resume-exporting` puts it right.
pub async fn told_to_stop_waiting(cluster: &mut Cluster, program: &Program) -> Result<()> {
    let gate = gate(cluster).await?;
    let program = configured(cluster, program, &gate, "wait")?;
    let running = half_paused(cluster, &program, &gate, &["backup", "--release-wait", "30s"]).await?;
    let done = running.ended(BACKUP_LIMIT).await?.with_code(20)?;
    ensure!(
        tells_what_is_paused(&done.err),
        "standard error does not say what is paused where:\n{}",
        done.err
    );
    ensure!(!paused(cluster).await?.is_empty(), "nothing is paused: the instant was missed");
    back(cluster).await?;
    program.run(&["resume-exporting"], BACKUP_LIMIT).await?.with_code(0)?;
    single::exports(cluster).await
}

/// The leader of a partition dies in the window, and another one leads. Whatever the run makes of it: it says so, exporting
/// runs as soon as the broker is back, and only what the servers say is called complete.
pub async fn leader_moves(cluster: &mut Cluster, program: &Program) -> Result<()> {
    let mut gate = gate(cluster).await?;
    let program = configured(cluster, program, &gate, "leader")?;
    let victim = leader(cluster).await?;
    let mut runtime = gate.hold(Point::BeforeForwarding, "POST", "/actuator/backups");
    let mut running = program.start(&["backup", "--stall", "60s", "-o", "json"])?;
    running.until(runtime.reached(BACKUP_LIMIT)).await?;
    cluster.brokers[victim].kill().await?;
    members(cluster, 2).await?;
    runtime.go();
    running.until(gate.seen("POST", RESUME, Instant::now(), STEP_LIMIT)).await?;
    comes_back(cluster, victim).await?;
    let done = running.ended(BACKUP_LIMIT).await?;
    let code = i32::from(done.code != 0);
    let result = done.with_code(code)?.result()?;
    say(format_args!("  broker {victim} was gone: exit code {code}"));
    ensure!(result["exporting_runs"] == true && result["complete"] == (code == 0), "{result}");
    single::exports(cluster).await?;
    program.run(&["backup"], BACKUP_LIMIT).await?.with_code(0)?;
    let listed = program.run(&["list", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?.json()?;
    for row in
        listed.as_array().context("a list without rows")?.iter().filter(|row| row["state"] == "complete")
    {
        let id = row["backup"].as_u64().context("a backup without an id")?;
        Manifest::of(&program.show(id).await?)?.agrees_with(cluster, id, 2).await?;
    }
    Ok(())
}

/// A broker other than the first, through which the run speaks, that leads a partition; asks the cluster for its
/// preferred leaders where the first one leads them all.
async fn leader(cluster: &Cluster) -> Result<usize> {
    let first = cluster.brokers.first().context("no broker")?.management();
    http::until("a leader beside the first broker", STEP_LIMIT, async || {
        for (index, broker) in cluster.brokers.iter().enumerate().skip(1) {
            if broker.partitions().await?.values().any(|one| one["role"] == "LEADER") {
                return Ok(Some(index));
            }
        }
        http::post(&format!("{first}/actuator/rebalancing"), None).await?.good()?;
        Ok(None)
    })
    .await
}

/// Starts a backup and kills one broker at the instant at which the pause is on its way. For some seconds the gateway
/// does not know of the loss: a pause and a resume then reach the other brokers and are answered with 500. The first
/// resume is held until the gateway knows, and refuses it as a whole: what is paused stays paused.
async fn half_paused(
    cluster: &mut Cluster,
    program: &Program,
    gate: &Gate,
    args: &[&str],
) -> Result<Running> {
    let mut pause = gate.hold(Point::BeforeForwarding, "POST", PAUSE);
    let mut resume = gate.hold(Point::BeforeForwarding, "POST", RESUME);
    let mut running = program.start(args)?;
    running.until(pause.reached(BACKUP_LIMIT)).await?;
    victim(cluster)?.kill().await?;
    pause.go();
    running.until(resume.reached(BACKUP_LIMIT)).await?;
    members(cluster, 2).await?;
    let half = paused(cluster).await?;
    ensure!(!half.is_empty(), "the gateway knew of the lost broker before the pause: the instant was missed");
    say(format_args!("  half paused: {}", half.join(", ")));
    resume.go();
    Ok(running)
}

/// `partition N` of every partition that a reached leader reports as paused.
async fn paused(cluster: &Cluster) -> Result<Vec<String>> {
    let mut paused = Vec::new();
    for broker in cluster.brokers.iter().filter(|broker| broker.is_started()) {
        for (partition, status) in broker.partitions().await? {
            if status["role"] == "LEADER" && status["exporterPhase"] == "SOFT_PAUSED" {
                paused.push(format!("partition {partition}"));
            }
        }
    }
    Ok(paused)
}

/// Every replica of the brokers that are left, or those by name that a loss spared.
fn tells_what_is_paused(said: &str) -> bool {
    ["paused now: all 6 replicas of 2 brokers", "paused now: broker"].iter().any(|told| said.contains(told))
}

async fn back(cluster: &mut Cluster) -> Result<()> {
    comes_back(cluster, VICTIM).await
}

async fn comes_back(cluster: &mut Cluster, broker: usize) -> Result<()> {
    let gone = cluster.brokers.get_mut(broker).context("no such broker")?;
    gone.start()?;
    gone.ready().await?;
    members(cluster, 3).await
}

/// Waits until the gateway knows so many brokers, and a leader for every partition.
async fn members(cluster: &Cluster, count: usize) -> Result<()> {
    let rest = cluster.brokers.first().context("no broker")?.rest();
    http::until(&format!("a cluster of {count} brokers"), STEP_LIMIT, async || {
        let topology = http::get(&format!("{rest}/v2/topology")).await?.good()?.json()?;
        let brokers = topology["brokers"].as_array().context("no brokers")?;
        let leads = |partition: &&Value| partition["role"] == "leader" && partition["health"] == "healthy";
        let partitions = brokers.iter().filter_map(|broker| broker["partitions"].as_array()).flatten();
        let led: BTreeSet<u64> =
            partitions.clone().filter(leads).filter_map(|one| one["partitionId"].as_u64()).collect();
        let healthy = partitions.clone().all(|one| one["health"] == "healthy");
        let whole = count < cluster.brokers.len() || partitions.count() == led.len() * count;
        ensure!(brokers.len() == count && led.len() == 3 && healthy && whole, "{topology}");
        Ok(Some(()))
    })
    .await
}

/// A configuration file with the addresses of all brokers: on one host the topology cannot tell their ports apart.
fn configured(cluster: &Cluster, program: &Program, gate: &Gate, name: &str) -> Result<Program> {
    let home = program.home().join(name);
    fs::create_dir_all(&home)?;
    let brokers: Vec<String> = cluster
        .brokers
        .iter()
        .map(|broker| if broker.node == 0 { gate.url() } else { broker.management() })
        .collect();
    let settings = json!({
        "management": gate.url(),
        "rest": cluster.brokers.first().context("no broker")?.rest(),
        "brokers": brokers,
        "operate": { "enabled": false },
        "tasklist": { "enabled": false },
        "search": { "address": cluster.search.url(), "repository": REPOSITORY },
    });
    let file = home.join("c8keep.yaml");
    // JSON is YAML.
    fs::write(&file, settings.to_string())?;
    program.at(&home, [("C8KEEP_CONFIG", file.to_string_lossy().into_owned())])
}

async fn gate(cluster: &Cluster) -> Result<Gate> {
    Gate::before(&cluster.brokers.first().context("no broker")?.management()).await
}

fn victim(cluster: &mut Cluster) -> Result<&mut crate::peers::broker::Broker> {
    cluster.brokers.get_mut(VICTIM).context("no third broker")
}
