//! What is true after a restore, asked of the servers: which instances the engine has, which the exported records tell
//! of, and which Operate shows. It knows nothing of c8keep.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::peers::cluster::Cluster;
use crate::peers::http;
use crate::peers::load::{PROCESS, Started, key_of};
use crate::say::say;

const CATCH_UP_LIMIT: Duration = Duration::from_mins(5);
const AWAKE_EVERY: Duration = Duration::from_millis(200);
const PAGE: usize = 5_000;
const PAGES_MAX: usize = 200;
const JOBS_AT_ONCE: usize = 1_000;
/// Short, so that the next oracle finds the same jobs; long enough to see them all.
const JOB_TIMEOUT_MS: u64 = 30_000;
const WAIT_FOR_JOBS_MS: u64 = 12_000;
/// A job that is not handed out for this long, although the engine has it, never will be.
const HANDED_OUT_MAX: Duration = CATCH_UP_LIMIT;
const MARKS_MAX: usize = 50;
/// The partition of a key stands above these bits.
const KEY_BITS: u32 = 51;

/// The instances that must be there and those that must not, seen from outside.
#[derive(Debug)]
pub struct Expected {
    /// Acknowledged before the runtime backup was asked for: before the checkpoint.
    /// With the business number that each was started with.
    pub before: BTreeMap<u64, u64>,
    /// Asked for only after the runtime backup was complete: after the checkpoint.
    pub after: BTreeSet<u64>,
}

impl Expected {
    /// `posted`: when the runtime backup was asked for. `complete`: when it was told to be complete.
    pub fn new(started: &[Started], posted: Instant, complete: Instant) -> Self {
        let before = started.iter().filter(|one| one.acknowledged < posted);
        let after = started.iter().filter(|one| one.asked > complete);
        Self {
            before: before.map(|one| (one.key, one.number)).collect(),
            after: after.map(|one| one.key).collect(),
        }
    }
}

/// What the restored servers have.
#[derive(Debug)]
pub struct Found {
    pub engine: BTreeSet<u64>,
    /// The business number of each instance, as the engine has it.
    numbers: BTreeMap<u64, u64>,
    /// How often each instance stands in the exported records.
    pub records: BTreeMap<u64, usize>,
    pub operate: Option<BTreeSet<u64>>,
}

impl Found {
    /// Waits until everything that the restored engine exports is exported, then looks.
    pub async fn after_restore(cluster: &Cluster, with_operate: bool) -> Result<Self> {
        tokio::select! {
            found = Self::looked_for(cluster, with_operate) => found,
            never = awake(cluster) => match never? {},
        }
    }

    async fn looked_for(cluster: &Cluster, with_operate: bool) -> Result<Self> {
        let begin = Instant::now();
        exported(cluster).await?;
        let exported = begin.elapsed();
        let records = records(cluster).await?;
        let jobs = jobs(cluster, &records).await?;
        let engine: BTreeSet<u64> = jobs.keys().copied().collect();
        let numbers = jobs.iter().filter_map(|(key, job)| Some((*key, job["variables"]["n"].as_u64()?)));
        let numbers = numbers.collect();
        let operate = if with_operate { Some(operate(cluster, &engine).await?) } else { None };
        say(format_args!("  exported after {exported:.0?}, all seen after {:.0?}", begin.elapsed()));
        Ok(Self { engine, numbers, records, operate })
    }

    /// Everything from before the checkpoint is there once, everywhere, and nothing from after it.
    pub fn is_whole(&self, expected: &Expected) -> Result<String> {
        ensure!(
            !expected.before.is_empty(),
            "no instance was acknowledged before the checkpoint: nothing is shown"
        );
        let lost = expected.before.keys().filter(|key| !self.engine.contains(key)).count();
        ensure!(lost == 0, "LOST: the engine lacks {lost} of {} instances", expected.before.len());
        let changed =
            expected.before.iter().filter(|(key, number)| self.numbers.get(key) != Some(number)).count();
        ensure!(changed == 0, "TORN: {changed} instances have another number than they were started with");
        let ghosts = expected.after.intersection(&self.engine).count();
        ensure!(ghosts == 0, "GHOST: the engine has {ghosts} instances from after the backup");
        let missing = self.missing_records();
        ensure!(missing == 0, "MISSING: the records lack {missing} of {} instances", self.engine.len());
        let known: BTreeSet<u64> = self.records.keys().copied().collect();
        let strange = known.difference(&self.engine).count();
        ensure!(strange == 0, "GHOST: the records tell of {strange} instances that the engine does not have");
        let twice = self.records.values().filter(|times| **times > 1).count();
        ensure!(twice == 0, "TWICE: {twice} instances stand in the records more than once");
        if let Some(operate) = &self.operate {
            ensure!(
                *operate == self.engine,
                "TORN: Operate shows {} instances, {} of the engine's {} are not among them",
                operate.len(),
                self.engine.difference(operate).count(),
                self.engine.len()
            );
        }
        Ok(format!(
            "{} instances in engine and records, once each; {} acknowledged before the checkpoint, {} asked for after it",
            self.engine.len(),
            expected.before.len(),
            expected.after.len()
        ))
    }

    /// How many instances the engine has of which the records know nothing.
    pub fn missing_records(&self) -> usize {
        self.engine.iter().filter(|key| !self.records.contains_key(key)).count()
    }
}

/// Starts new instances until every partition has one, and waits for these in the records. A partition exports in
/// order, so all that came before them is exported then. Positions cannot tell: a trailing record that the exporter
/// leaves out (a checkpoint) is never counted as exported.
async fn exported(cluster: &Cluster) -> Result<()> {
    let mut partitions: BTreeSet<u64> = leaders(cluster).await?.into_keys().map(u64::from).collect();
    let rest = cluster.brokers.iter().find(|broker| broker.is_started()).context("no broker runs")?.rest();
    let body = json!({ "processDefinitionId": PROCESS });
    let mut marks = BTreeSet::new();
    for _ in 0..MARKS_MAX {
        // A leader that has just started may be too slow for the gateway's own deadline.
        let key = http::until("a new instance", CATCH_UP_LIMIT, async || {
            let answer = http::post(&format!("{rest}/v2/process-instances"), Some(&body)).await?;
            Ok(key_of(&answer.good()?.json()?["processInstanceKey"]))
        })
        .await?;
        partitions.remove(&(key >> KEY_BITS));
        marks.insert(key);
        if partitions.is_empty() {
            break;
        }
    }
    ensure!(partitions.is_empty(), "no new instance on partitions {partitions:?} after {MARKS_MAX} starts");
    http::until("the export of the restored log", CATCH_UP_LIMIT, async || {
        let exported = records(cluster).await?;
        let missing = marks.iter().filter(|key| !exported.contains_key(key)).count();
        ensure!(missing == 0, "{missing} of {} new instances are not exported", marks.len());
        Ok(Some(()))
    })
    .await
}

/// Processed and exported position of every partition, told by its leader.
pub async fn leaders(cluster: &Cluster) -> Result<BTreeMap<u32, (i64, i64)>> {
    let mut leaders = BTreeMap::new();
    for broker in cluster.brokers.iter().filter(|broker| broker.is_started()) {
        for (partition, status) in broker.partitions().await? {
            if status["role"] == "LEADER" {
                let position = |name: &str| status[name].as_i64().unwrap_or(-1);
                leaders.insert(partition, (position("processedPosition"), position("exportedPosition")));
            }
        }
    }
    Ok(leaders)
}

/// A restored partition of 8.6.0 that nobody writes to may leave its last commands unprocessed until something follows
/// them (seen: appended, committed, and not looked at for 15 s, after which the gateway gives the answer up). So something
/// always follows: messages that nobody waits for, on every partition.
async fn awake(cluster: &Cluster) -> Result<Infallible> {
    let rest = cluster.brokers.iter().find(|broker| broker.is_started()).context("no broker runs")?.rest();
    let url = format!("{rest}/v2/messages/publication");
    for turn in 0_u64.. {
        let body = json!({ "name": "awake", "correlationKey": turn.to_string(), "timeToLive": 0 });
        // Whether it arrives is nothing to wait for: the next one comes anyway.
        let _ = http::call(Method::POST, &url, Some(&body), AWAKE_EVERY).await;
        tokio::time::sleep(AWAKE_EVERY).await;
    }
    bail!("awake for ever")
}

/// The engine's own truth: every instance waits at its one job, so all activated jobs are all instances.
async fn jobs(cluster: &Cluster, records: &BTreeMap<u64, usize>) -> Result<BTreeMap<u64, Value>> {
    let rest = cluster.brokers.iter().find(|broker| broker.is_started()).context("no broker runs")?.rest();
    let mut body = json!({
        "type": "pay", "worker": "oracle", "timeout": JOB_TIMEOUT_MS, "maxJobsToActivate": JOBS_AT_ONCE,
        "fetchVariable": ["n"], "requestTimeout": -1,
    });
    let mut instances: BTreeMap<u64, Value> = BTreeMap::new();
    let mut given_back: BTreeMap<u64, bool> = BTreeMap::new();
    let mut new_at = Instant::now();
    for _ in 0..PAGES_MAX * 5 {
        let answer = http::post(&format!("{rest}/v2/jobs/activation"), Some(&body)).await?;
        // The gateway gives up after 15 s; what it has lost on the way is locked.
        let answer = if matches!(answer.status, 503 | 504) { json!({}) } else { answer.good()?.json()? };
        let jobs = answer["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
        for job in jobs {
            let key = key_of(&job["processInstanceKey"]).with_context(|| format!("no instance: {job}"))?;
            let former = instances.insert(key, job.clone());
            if former.is_none() {
                new_at = Instant::now();
            }
            let is_same = former.is_none_or(|former| job_key(&former) == job_key(job));
            ensure!(is_same, "TWICE: instance {key} waits at two jobs");
        }
        if !jobs.is_empty() {
            continue;
        }
        let missing: Vec<u64> = records.keys().copied().filter(|key| !instances.contains_key(key)).collect();
        for &key in &missing {
            if let Entry::Vacant(place) = given_back.entry(key) {
                place.insert(give_back(cluster, &rest, key).await?);
            }
        }
        let is_known = missing.iter().all(|key| given_back.get(key) == Some(&false));
        if is_known || new_at.elapsed() > HANDED_OUT_MAX {
            return Ok(instances);
        }
        // After a few empty answers the gateway asks the brokers no more for calls that do not wait; for those that do
        // it looks again every 10 s.
        body["requestTimeout"] = WAIT_FOR_JOBS_MS.into();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bail!("more than {} instances", instances.len())
}

/// A job that the records tell of may be locked: by the oracle that looked before the backup, or by a call whose answer was
/// lost. 8.6.0 forgets to lift some locks that had ended when it started (seen: a deadline five minutes ago), so the job is
/// failed on that worker's behalf, with retries left, which makes it free again. `false`: the engine knows no such job.
async fn give_back(cluster: &Cluster, rest: &str, instance: u64) -> Result<bool> {
    let Some(job) = created_job(cluster, instance).await? else { return Ok(false) };
    let body = json!({ "retries": 3, "errorMessage": "given back" });
    http::until("giving a locked job back", CATCH_UP_LIMIT, async || {
        let answer = http::post(&format!("{rest}/v2/jobs/{job}/failure"), Some(&body)).await?;
        match answer.status {
            404 => Ok(Some(false)),
            // Not locked: it will be handed out.
            409 => Ok(Some(true)),
            _ => answer.good().map(|_| Some(true)),
        }
    })
    .await
}

/// `key` in 8.6, `jobKey` later.
fn job_key(job: &Value) -> Option<&Value> {
    job.get("jobKey").or_else(|| job.get("key"))
}

async fn records(cluster: &Cluster) -> Result<BTreeMap<u64, usize>> {
    let filter = json!([{ "term": { "intent": "ELEMENT_ACTIVATED" } }, { "term": { "value.bpmnElementType": "PROCESS" } }]);
    let mut times = BTreeMap::new();
    for key in keys(cluster, "zeebe-record_process-instance_*", &filter).await? {
        *times.entry(key).or_insert(0) += 1;
    }
    Ok(times)
}

/// The job at which an instance waits, as the records tell.
async fn created_job(cluster: &Cluster, instance: u64) -> Result<Option<u64>> {
    let url = format!("{}/zeebe-record_job_*/_search", cluster.search.url());
    let filter =
        json!([{ "term": { "intent": "CREATED" } }, { "term": { "value.processInstanceKey": instance } }]);
    let body = json!({ "size": 1, "query": { "bool": { "filter": filter } }, "_source": ["key"] });
    let answer = http::post(&url, Some(&body)).await?.good()?.json()?;
    Ok(key_of(&answer["hits"]["hits"][0]["_source"]["key"]))
}

/// Operate imports from the records at its own pace: waits until it shows as many as the engine has.
async fn operate(cluster: &Cluster, engine: &BTreeSet<u64>) -> Result<BTreeSet<u64>> {
    let filter = json!([{ "term": { "joinRelation": "processInstance" } }]);
    let end = Instant::now() + CATCH_UP_LIMIT;
    loop {
        let shown: BTreeSet<u64> = keys(cluster, "operate-list-view-*", &filter).await?.into_iter().collect();
        if shown.is_superset(engine) || Instant::now() >= end {
            return Ok(shown);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The field `key` of all matching documents, page by page.
async fn keys(cluster: &Cluster, index: &str, filter: &Value) -> Result<Vec<u64>> {
    let url = format!("{}/{index}", cluster.search.url());
    http::post(&format!("{url}/_refresh"), None).await?.good()?;
    let mut keys = Vec::new();
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let mut body = json!({
            "size": PAGE, "query": { "bool": { "filter": filter } }, "_source": ["key"],
            "sort": [{ "key": "asc" }, { "partitionId": "asc" }, { "_doc": "asc" }],
        });
        if let Some(after) = after.take() {
            body["search_after"] = after;
        }
        let answer = http::post(&format!("{url}/_search"), Some(&body)).await?.good()?.json()?;
        let hits = answer["hits"]["hits"].as_array().map(Vec::as_slice).unwrap_or_default();
        for hit in hits {
            keys.push(
                key_of(&hit["_source"]["key"]).with_context(|| format!("a document without key: {hit}"))?,
            );
        }
        match hits.last() {
            Some(last) if hits.len() == PAGE => after = Some(last["sort"].clone()),
            _ => return Ok(keys),
        }
    }
    bail!("more than {} documents in {index}", keys.len())
}
