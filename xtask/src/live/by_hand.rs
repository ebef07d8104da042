//! The self-check of this tool: the documented procedure by plain calls, everything destroyed and put back, and the
//! oracle's word on it. If this fails, nothing that the other promises say about c8keep counts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::oracle::{self, Expected, Found};
use super::single;
use crate::peers::broker::Broker;
use crate::peers::cluster::Cluster;
use crate::peers::http;
use crate::peers::load::{self, Load, Pressure};
use crate::peers::search::REPOSITORY;
use crate::say::say;

pub const NAME: &str = "by-hand";
pub const CONTROL: &str = "by-hand-control";
pub const CONTROL_PROMISE: &str = "the same without the pause: the oracle must see what is missing";
pub const PROMISE: &str =
    "the documented calls under load, everything destroyed and restored: no instance is lost";

const PART_LIMIT: Duration = Duration::from_mins(5);

pub async fn check(cluster: &mut Cluster) -> Result<()> {
    let (backup, expected) = under_load(cluster, Pause::Held).await?;
    cluster.lose_and_restore(backup.id, &backup.snapshots).await?;
    let found = Found::after_restore(cluster, true).await?;
    say(format_args!("  {}", found.is_whole(&expected)?));
    Ok(())
}

/// The same without the pause. An oracle that calls this whole is no oracle.
pub async fn check_control(cluster: &mut Cluster) -> Result<()> {
    let (backup, expected) = under_load(cluster, Pause::Left).await?;
    cluster.lose_and_restore(backup.id, &backup.snapshots).await?;
    let found = Found::after_restore(cluster, false).await?;
    let Err(verdict) = found.is_whole(&expected) else { bail!("the oracle sees nothing wrong") };
    ensure!(found.missing_records() > 0, "nothing is missing from the records");
    say(format_args!("  {verdict}"));
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    Held,
    Left,
}

async fn under_load(cluster: &Cluster, pause: Pause) -> Result<(Backup, Expected)> {
    let rest: Vec<String> = cluster.brokers.iter().map(Broker::rest).collect();
    load::deploy(rest.first().context("no broker")?).await?;
    let load = Load::start(&rest, Pressure::default());
    load.more(200, Duration::from_mins(2)).await?;
    let backup = backup(cluster, pause).await?;
    load.more(50, Duration::from_mins(2)).await?;
    let started = load.stop().await?;
    let expected = Expected::new(&started, backup.posted, backup.complete);
    Ok((backup, expected))
}

struct Backup {
    id: u64,
    snapshots: Vec<String>,
    posted: Instant,
    complete: Instant,
}

async fn backup(cluster: &Cluster, pause: Pause) -> Result<Backup> {
    let id = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let begin = Instant::now();
    let mut snapshots = Vec::new();
    // Up to 8.7 the web apps come before the pause.
    for app in cluster.operate.iter().chain(cluster.tasklist.iter()) {
        let answer = schedule(&app.management(), id).await?;
        let scheduled = answer["scheduledSnapshots"].as_array().context("no scheduled snapshots")?;
        snapshots.extend(scheduled.iter().filter_map(|name| Some(name.as_str()?.to_owned())));
    }
    for app in cluster.operate.iter().chain(cluster.tasklist.iter()) {
        complete(app.app.name(), &app.management(), id).await?;
    }
    say(format_args!("  web apps after {:.1?}", begin.elapsed()));
    let broker = cluster.brokers.first().context("no broker")?;
    if pause == Pause::Held {
        let paused = broker.exporting("pause?soft=true").await?.good()?;
        ensure!(paused.json()?["status"] == 204, "pause: {}", paused.body);
    }
    let records = format!("camunda_zeebe_records_backup_{id}");
    let url = format!("{}/_snapshot/{REPOSITORY}/{records}?wait_for_completion=true", cluster.search.url());
    let made = http::put(&url, &json!({ "indices": "zeebe-record*" })).await?.good()?.json()?;
    ensure!(made["snapshot"]["state"] == "SUCCESS", "records: {made}");
    snapshots.push(records);
    if pause == Pause::Left {
        single::snapshots_above(broker, &oracle::leaders(cluster).await?).await?;
    }
    let posted = Instant::now();
    schedule(&broker.management(), id).await?;
    let runtime = complete("runtime", &broker.management(), id).await;
    let complete = Instant::now();
    let resumed = broker.exporting("resume").await?.good()?;
    ensure!(resumed.json()?["status"] == 204, "resume: {}", resumed.body);
    runtime?;
    say(format_args!("  backup {id} after {:.1?}", begin.elapsed()));
    Ok(Backup { id, snapshots, posted, complete })
}

async fn schedule(management: &str, id: u64) -> Result<Value> {
    http::post(&format!("{management}/actuator/backups"), Some(&json!({ "backupId": id })))
        .await?
        .good()?
        .json()
}

/// While a backup runs, almost any answer is normal: only `COMPLETED` and the deadline count.
async fn complete(what: &str, management: &str, id: u64) -> Result<()> {
    let url = format!("{management}/actuator/backups/{id}");
    http::until(&format!("backup {id} of {what}"), PART_LIMIT, async || {
        let state = http::get(&url).await?.good()?.json()?["state"].clone();
        ensure!(state == "COMPLETED", "state {state}");
        Ok(Some(()))
    })
    .await
}
