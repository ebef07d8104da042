//! Load on a real engine: one process with a service task that nobody works on, so that every instance stays open,
//! and workers that start instances and write down every acknowledgement.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::http;

pub const PROCESS: &str = "order";
const BPMN: &str = include_str!("../../assets/order.bpmn");
const DEPLOY_LIMIT: Duration = Duration::from_mins(2);

/// An instance that the engine acknowledged. `number` is its variable `n`.
#[derive(Debug, Clone, Copy)]
pub struct Started {
    pub asked: Instant,
    pub acknowledged: Instant,
    pub key: u64,
    pub number: u64,
}

/// How hard to press, and when to stop by itself.
#[derive(Debug, Clone, Copy)]
pub struct Pressure {
    pub workers: usize,
    /// Per worker, between two starts.
    pub pace: Duration,
    pub instances_max: u64,
}

impl Default for Pressure {
    fn default() -> Self {
        Self { workers: 4, pace: Duration::from_millis(100), instances_max: 200_000 }
    }
}

#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    workers: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    number: AtomicU64,
    failures: AtomicU64,
    started: Mutex<Vec<Started>>,
}

/// Deploys the process. The gateway may still be finding its leaders, so this is tried until it is taken.
pub async fn deploy(rest: &str) -> Result<()> {
    http::until("deployment of the process", DEPLOY_LIMIT, async || {
        let part = reqwest::multipart::Part::text(BPMN).file_name("order.bpmn");
        let form = reqwest::multipart::Form::new().part("resources", part);
        let request = http::client().post(format!("{rest}/v2/deployments")).multipart(form);
        let response = request.timeout(Duration::from_secs(30)).send().await?;
        let (status, body) = (response.status(), response.text().await?);
        ensure!(status.is_success(), "{status}: {body}");
        Ok(Some(()))
    })
    .await
}

impl Load {
    /// Starts the workers on these application ports, in turn.
    pub fn start(rest: &[String], pressure: Pressure) -> Self {
        let shared = Arc::new(Shared::default());
        let mut workers = JoinSet::new();
        for (worker, url) in rest.iter().cycle().take(pressure.workers).enumerate() {
            let _ = worker;
            workers.spawn(work(url.clone(), pressure, Arc::clone(&shared)));
        }
        Self { shared, workers }
    }

    /// What is acknowledged so far.
    pub fn so_far(&self) -> Vec<Started> {
        self.shared.started.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until at least `count` more are acknowledged than now.
    pub async fn more(&self, count: usize, limit: Duration) -> Result<()> {
        let goal = self.so_far().len() + count;
        http::until(&format!("{goal} started instances"), limit, async || {
            let now = self.so_far().len();
            ensure!(
                now >= goal,
                "{now} acknowledged, {} refused",
                self.shared.failures.load(Ordering::Relaxed)
            );
            Ok(Some(()))
        })
        .await
    }

    /// Stops the workers, waits for the calls under way, and returns every acknowledged instance.
    pub async fn stop(mut self) -> Result<Vec<Started>> {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(done) = self.workers.join_next().await {
            done.context("a worker of the load ended badly")?;
        }
        Ok(self.so_far())
    }
}

async fn work(rest: String, pressure: Pressure, shared: Arc<Shared>) {
    let url = format!("{rest}/v2/process-instances");
    while !shared.stop.load(Ordering::Relaxed) {
        let number = shared.number.fetch_add(1, Ordering::Relaxed);
        if number >= pressure.instances_max {
            return;
        }
        let asked = Instant::now();
        let body = json!({ "processDefinitionId": PROCESS, "variables": { "n": number } });
        let key = match http::post(&url, Some(&body))
            .await
            .and_then(http::Answer::good)
            .and_then(|good| good.json())
        {
            Ok(answer) => key_of(&answer["processInstanceKey"]),
            Err(_) => None,
        };
        match key {
            Some(key) => {
                let one = Started { asked, acknowledged: Instant::now(), key, number };
                shared.started.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
            None => {
                shared.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(pressure.pace).await;
    }
}

/// Keys are numbers in 8.6 and strings later.
pub fn key_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}
