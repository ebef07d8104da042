//! What the servers themselves need for one backup: the same procedure, driven without a network and with an eye on
//! them every millisecond.
//!
//! The twin is a function of the time it is told, so this takes no time and always comes out the same.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use c8keep_twin::{Answer, Config, Host, Request, Response, World, handle};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// How often a status is looked at.
const LOOK_EVERY: SignedDuration = SignedDuration::from_millis(1);

/// No stage of the twin takes longer.
const STAGE_MAX: SignedDuration = SignedDuration::from_mins(10);

/// The floor under every run with the same configuration and id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own {
    /// From the pause's request to the answer of the resume.
    pub(super) wall: Duration,
    /// From the instant at which exporting is paused to the instant at which it runs again.
    pub(super) paused: Duration,
}

pub(super) fn floor(config: &Config, repository: &str, id: u64) -> anyhow::Result<Own> {
    let start = Timestamp::from_second(1_748_937_221).context("a fixed instant")?;
    let mut driver = Driver { world: World::new(config.clone()), now: start };
    driver.world.advance(start);
    driver.send(Host::Gateway, &Request::new("POST", "/actuator/exporting/pause?soft=true"))?;
    let body = json!({"backupId": id});
    driver.send(Host::Gateway, &Request::new("POST", "/actuator/backupHistory").json(&body))?;
    driver.send(Host::Optimize, &Request::new("POST", "/actuator/backups").json(&body))?;
    driver.completed(Host::Gateway, &format!("/actuator/backupHistory/{id}"))?;
    driver.completed(Host::Optimize, &format!("/actuator/backups/{id}"))?;
    let snapshot =
        format!("/_snapshot/{repository}/camunda_zeebe_records_backup_{id}?wait_for_completion=true");
    let body = json!({"indices": "zeebe-record*", "feature_states": ["none"]});
    driver.send(Host::Search, &Request::new("PUT", &snapshot).json(&body))?;
    let body = json!({"backupId": id});
    driver.send(Host::Gateway, &Request::new("POST", "/actuator/backupRuntime").json(&body))?;
    driver.completed(Host::Gateway, &format!("/actuator/backupRuntime/{id}"))?;
    let resumed = driver.now;
    driver.send(Host::Gateway, &Request::new("POST", "/actuator/exporting/resume"))?;
    let verdict = driver.world.restore(id);
    ensure!(verdict.whole(), "the floor itself loses data: {verdict}");
    // The pause takes effect with its request, and so does the resume.
    Ok(Own { wall: between(start, driver.now)?, paused: between(start, resumed)? })
}

struct Driver {
    world: World,
    now: Timestamp,
}

impl Driver {
    /// Sends a request and lets the time pass that the server takes to answer.
    fn send(&mut self, host: Host, request: &Request) -> anyhow::Result<Answer> {
        let mut next = Some(request.clone());
        let mut last = None;
        while let Some(request) = next.take() {
            let Response::Answer(mut answer) = handle(&mut self.world, host, &request, self.now) else {
                bail!("{host} closed the connection on {}", request.path);
            };
            self.now = answer.ready_at.map_or(self.now, |ready| ready.max(self.now));
            next = answer.then.take().map(|then| *then);
            ensure!(answer.status < 300 || request.method == "GET", "{host} answered {}", answer.status);
            last = Some(answer);
        }
        last.context("no answer")
    }

    fn completed(&mut self, host: Host, path: &str) -> anyhow::Result<()> {
        let begin = self.now;
        loop {
            let answer = self.send(host, &Request::get(path))?;
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if body["state"] == "COMPLETED" {
                return Ok(());
            }
            ensure!(self.now.duration_since(begin) < STAGE_MAX, "{host}{path} never completed: {body}");
            self.now += LOOK_EVERY;
        }
    }
}

fn between(from: Timestamp, to: Timestamp) -> anyhow::Result<Duration> {
    Duration::try_from(to.duration_since(from)).context("time went backwards")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_is_the_sum_of_the_stages_and_the_same_every_time() {
        let config = Config::seed_8_8();
        let own = floor(&config, "camunda", 1_748_937_221).unwrap();
        let stages = &config.durations;
        let least =
            stages.pause + stages.history_parts.iter().sum::<u32>() + stages.records + stages.runtime / 2;
        assert!(own.paused >= Duration::from_millis(u64::from(least)), "{own:?}");
        assert!(own.wall >= own.paused + Duration::from_millis(u64::from(stages.resume)), "{own:?}");
        let again = floor(&config, "camunda", 1_748_937_221).unwrap();
        assert_eq!((own.wall, own.paused), (again.wall, again.paused));
    }
}
