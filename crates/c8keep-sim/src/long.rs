//! A backup of a quarter of an hour, on virtual time: what it takes by c8keep, by the page's own loop, and by the servers
//! themselves. On a real clock a look more or less is a matter of chance and of the machine; here it is neither.

use anyhow::{Context as _, bail, ensure};
use c8keep_core::manifest::{Manifest, Release};
use c8keep_engine::open_runs::Taking;
use c8keep_twin::page::{Call, UNIFIED};
use c8keep_twin::{Config, Host, Request, Response, World, handle};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{Setting, run};

/// What one backup took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// From its first request to the answer of its last.
    pub wall: SignedDuration,
    /// From the request to pause to the answer of the request to resume.
    pub paused: SignedDuration,
}

/// How often the page's loop looks.
pub const PAGE_LOOKS_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// As good as always: a minute has a thousand of them.
pub const SERVERS_OWN: SignedDuration = SignedDuration::from_millis(60);

const ID: u64 = 1_748_937_221;
/// No stage of this installation takes longer.
const STAGE_MAX: SignedDuration = SignedDuration::from_mins(30);

/// The page's example, with stages of minutes.
fn config() -> Config {
    let mut config = Config::seed_8_8();
    config.load = 1;
    config.durations.history_parts = vec![91_300, 62_700, 44_100, 83_900, 58_200, 47_600];
    config.durations.optimize_parts = vec![101_700, 88_400];
    config.durations.records = 297_100;
    config.durations.runtime = 243_800;
    config
}

/// By c8keep: its engine and its adapters, on a night on which nothing goes wrong.
///
/// # Errors
/// Where the backup is not good.
pub fn by_c8keep() -> anyhow::Result<Times> {
    let setting = Setting {
        config: config(),
        taking: Taking::Release,
        stall: SignedDuration::from_mins(10),
        hold_budget: SignedDuration::from_hours(2),
        heal_after: SignedDuration::from_hours(1),
        between_hosts: false,
        ..Setting::at(3, ID)
    };
    let report = run(&setting, &[], false);
    ensure!(report.violations.is_empty(), "{:?}", report.violations);
    let read =
        |name: &str| report.vault.iter().find(|(path, _)| path.ends_with(name)).map(|(_, bytes)| bytes);
    let manifest: Manifest = serde_json::from_slice(read("/manifest.json").context("no manifest")?)?;
    let release: Release = serde_json::from_slice(read("/release.json").context("no release")?)?;
    let (from, to) = release.paused_at.zip(release.resumed_at).context("it was never paused")?;
    let wall = manifest.ended_at(Some(&release)).duration_since(manifest.started_at);
    Ok(Times { wall, paused: to.duration_since(from) })
}

/// By the page's ten steps, with a look every so often.
///
/// # Errors
/// Where the backup is not good.
pub fn by_looking_every(look: SignedDuration) -> anyhow::Result<Times> {
    let start = Timestamp::from_second(1_795_000_000)?;
    let mut hand = Hand { world: World::new(config()), now: start };
    hand.world.advance(start);
    for call in UNIFIED.iter().flat_map(|step| step.calls(&config(), ID)) {
        match call {
            Call::Send(host, request) => _ = hand.send(host, &request)?,
            Call::Await { host, path, at, wanted } => hand.wait(host, &path, at, wanted, look)?,
        }
    }
    let verdict = hand.world.restore(ID);
    ensure!(verdict.whole(), "the page's own order loses data: {verdict}");
    let wall = hand.now.duration_since(start);
    // Its first request pauses, and its last one resumes.
    Ok(Times { wall, paused: wall })
}

struct Hand {
    world: World,
    now: Timestamp,
}

impl Hand {
    /// Sends a request and lets the time pass that the server takes to answer.
    fn send(&mut self, host: Host, request: &Request) -> anyhow::Result<Value> {
        let Response::Answer(answer) = handle(&mut self.world, host, request, self.now) else {
            bail!("{host} closed the connection on {}", request.path);
        };
        ensure!(answer.status < 300 || request.method == "GET", "{host} answered {}", answer.status);
        self.now = answer.ready_at.map_or(self.now, |ready| ready.max(self.now));
        Ok(answer.value())
    }

    fn wait(
        &mut self,
        host: Host,
        path: &str,
        at: &str,
        wanted: &str,
        look: SignedDuration,
    ) -> anyhow::Result<()> {
        let begin = self.now;
        loop {
            let told = self.send(host, &Request::get(path))?;
            if told.pointer(at).and_then(Value::as_str) == Some(wanted) {
                return Ok(());
            }
            ensure!(self.now.duration_since(begin) < STAGE_MAX, "{host}{path} never says {wanted}: {told}");
            self.now += look;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On virtual time these are no measurements: they come out the same everywhere.
    #[test]
    fn a_long_backup_takes_hardly_longer_than_the_servers_need() {
        let own = by_looking_every(SERVERS_OWN).unwrap();
        let ours = by_c8keep().unwrap();
        for (ours, own) in [(ours.wall, own.wall), (ours.paused, own.paused)] {
            let ratio = ours.as_secs_f64() / own.as_secs_f64();
            assert!((1.0..=1.03).contains(&ratio), "{ours:#} of {own:#}: {ratio:.3}");
        }
    }
}
