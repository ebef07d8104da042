//! One bad night. Whatever happens in it: exporting runs in the end, what is called complete is what the servers say, a
//! failure tells its reason, and the next backup is good.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::live::evidence::Manifest;
use crate::live::program::{Finished, Program, Running, variables};
use crate::live::single::{self, BACKUP_LIMIT};
use crate::peers::cluster::Cluster;
use crate::peers::proxy::{Gate, Held, Point};
use crate::say::say;

/// Operate, the records, and the partitions.
const PARTS: usize = 3;
/// How long nothing may move; a server that is frozen for [`FROZEN`] must not look dead.
const STALL: &str = "90s";
/// The same where it will never move again.
const SHORT_STALL: &str = "20s";
const FROZEN: Duration = Duration::from_mins(1);

const OPERATE: &str = "/actuator/backups";
const RUNTIME: &str = "/actuator/backups";
const RECORDS: &str = "/_snapshot/camunda/camunda_zeebe_records_backup_";

/// Whom a step asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Broker,
    Operate,
    Search,
}

/// An instant: the first request of a step, before or after its effect.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    step: &'static str,
    server: Server,
    method: &'static str,
    path: &'static str,
    point: Point,
}

const STEPS: [(&str, Server, &str, &str); 8] = [
    ("start-operate", Server::Operate, "POST", OPERATE),
    ("await-operate", Server::Operate, "GET", "/actuator/backups/"),
    ("pause-exporting", Server::Broker, "POST", "/actuator/exporting/pause"),
    ("snapshot-records", Server::Search, "PUT", RECORDS),
    // Not the listing of all of them: ids are seconds since 1970.
    ("await-records", Server::Search, "GET", "/_snapshot/camunda/camunda_zeebe_records_backup_1"),
    ("start-runtime", Server::Broker, "POST", RUNTIME),
    ("await-runtime", Server::Broker, "GET", "/actuator/backups/"),
    ("resume-exporting", Server::Broker, "POST", "/actuator/exporting/resume"),
];

/// Every step, before its effect.
pub fn beginnings() -> Vec<Moment> {
    moments().into_iter().filter(|one| one.point == Point::BeforeForwarding).collect()
}

/// Both sides of the effect of every step.
pub fn moments() -> Vec<Moment> {
    let points = [Point::BeforeForwarding, Point::AfterAnswer];
    let both =
        |(step, server, method, path)| points.map(|point| Moment { step, server, method, path, point });
    STEPS.into_iter().flat_map(both).collect()
}

/// The program behind gates, through which every step can be held.
#[derive(Debug)]
pub struct Night {
    program: Program,
    broker: Gate,
    operate: Gate,
    search: Gate,
}

impl Night {
    /// A night of its own: nothing was ever backed up, and nothing is held.
    pub async fn begin(cluster: &Cluster, program: &Program, name: &str) -> Result<Self> {
        let operate = cluster.operate.as_ref().context("no Operate")?;
        let broker = Gate::before(&cluster.brokers.first().context("no broker")?.management()).await?;
        let operate = Gate::before(&operate.management()).await?;
        let search = Gate::before(&cluster.search.url()).await?;
        let mut known = vec![
            ("ORCHESTRATION_CLUSTER_MANAGEMENT_API", broker.url()),
            ("OPERATE_MANAGEMENT_API", operate.url()),
        ];
        for (variable, value) in variables(cluster, &["ELASTIC", "OPENSEARCH"]) {
            known.push((variable, if variable.ends_with("_ENDPOINT") { search.url() } else { value }));
        }
        let program = program.at(&program.home().join(name), known)?;
        Ok(Self { program, broker, operate, search })
    }

    fn hold(&self, moment: &Moment) -> Held {
        let gate = match moment.server {
            Server::Broker => &self.broker,
            Server::Operate => &self.operate,
            Server::Search => &self.search,
        };
        gate.hold(moment.point, moment.method, moment.path)
    }

    /// Starts a backup and waits for its moment.
    async fn until(&self, moment: &Moment, stall: &str) -> Result<(Running, Held)> {
        let mut held = self.hold(moment);
        let mut running = self.program.start(&["backup", "--stall", stall, "-o", "json"])?;
        running.until(held.reached(BACKUP_LIMIT)).await?;
        Ok((running, held))
    }

    /// SIGKILL at a moment, and one of the commands of the next morning.
    pub async fn killed(&self, cluster: &Cluster, moment: &Moment, number: usize) -> Result<()> {
        let (running, held) = self.until(moment, STALL).await?;
        running.killed().await?;
        held.go();
        let status = self.program.status_ended().await?;
        let paused = single::exports(cluster).await.is_err();
        ensure!(
            !paused || status.code == 20,
            "status does not tell of the pause: {} {}",
            status.out,
            status.err
        );
        let mornings: [&[&[&str]]; 3] =
            [&[&["backup"]], &[&["backup", "--on-open", "finish"]], &[&["resume-exporting"], &["backup"]]];
        for command in mornings[number % mornings.len()] {
            self.program.run(command, BACKUP_LIMIT).await?.with_code(0)?;
        }
        self.all_is_true(cluster).await
    }

    /// Every answer is cut off in its middle once, and it is a whole backup all the same.
    pub async fn cut_off(&self, cluster: &Cluster) -> Result<()> {
        let helds: Vec<Held> = moments()
            .iter()
            .filter(|one| one.point == Point::AfterAnswer)
            .map(|one| self.hold(one))
            .collect();
        let backup = async { self.program.run(&["backup"], BACKUP_LIMIT).await?.with_code(0) };
        let mut cuts = JoinSet::new();
        for mut held in helds {
            cuts.spawn(async move {
                held.reached(BACKUP_LIMIT).await?;
                held.cut_in_the_middle();
                anyhow::Ok(())
            });
        }
        let cut = async {
            while let Some(done) = cuts.join_next().await {
                done??;
            }
            Ok(())
        };
        tokio::try_join!(backup, cut)?;
        self.all_is_true(cluster).await
    }

    /// The second of two is refused while the first is in its window, and the first ends well.
    pub async fn two_at_once(&self, cluster: &Cluster) -> Result<()> {
        let (running, held) = self.until(&moment("start-runtime", Point::BeforeForwarding)?, STALL).await?;
        for command in [&["backup"][..], &["resume-exporting"]] {
            let second = self.program.run(command, BACKUP_LIMIT).await?.with_code(11)?;
            ensure!(single::exports(cluster).await.is_err(), "the second released it: {}", second.err);
        }
        held.go();
        running.ended(BACKUP_LIMIT).await?.with_code(0)?;
        self.all_is_true(cluster).await
    }

    /// The broker is killed in the window and comes back. The pause is durable (seen on 8.6.0), the partitions' backups
    /// are not: they fail with the change of the leader.
    pub async fn broker_killed(&self, cluster: &mut Cluster, moment: &Moment) -> Result<()> {
        let (running, held) = self.until(moment, SHORT_STALL).await?;
        let broker = cluster.brokers.first_mut().context("no broker")?;
        broker.kill().await?;
        broker.start()?;
        broker.ready().await?;
        held.go();
        self.good_or_told(running, None).await?;
        self.next_is_good(cluster).await
    }

    /// The search server stands still for a minute.
    pub async fn search_frozen(&self, cluster: &mut Cluster, moment: &Moment) -> Result<()> {
        let (running, held) = self.until(moment, STALL).await?;
        cluster.search.freeze().await;
        held.go();
        tokio::time::sleep(FROZEN).await;
        cluster.search.thaw().await;
        self.good_or_told(running, None).await?;
        self.next_is_good(cluster).await
    }

    /// The search server dies, and comes back only when the backup has ended.
    pub async fn search_killed(&self, cluster: &mut Cluster, moment: &Moment) -> Result<()> {
        let (running, held) = self.until(moment, SHORT_STALL).await?;
        cluster.search.kill().await?;
        held.go();
        let told = self.good_or_told(running, None).await;
        single::exports(cluster).await?;
        cluster.search.start().await?;
        told?;
        self.next_is_good(cluster).await
    }

    /// The store stands still: the partitions' backups never end. It lives again only afterwards.
    pub async fn store_frozen(&self, cluster: &mut Cluster) -> Result<()> {
        let (running, held) =
            self.until(&moment("start-runtime", Point::BeforeForwarding)?, SHORT_STALL).await?;
        cluster.store.freeze().await;
        held.go();
        let told = self.good_or_told(running, Some(1)).await;
        cluster.store.thaw().await;
        told?;
        self.next_is_good(cluster).await
    }

    /// The store dies while the partitions are being saved, and is back at once: what was begun is never ended.
    pub async fn store_killed(&self, cluster: &mut Cluster) -> Result<()> {
        let (running, held) =
            self.until(&moment("start-runtime", Point::BeforeForwarding)?, SHORT_STALL).await?;
        // Frozen first, so that the saving is not over before the kill.
        cluster.store.freeze().await;
        let mut looked = self.hold(&moment("await-runtime", Point::BeforeForwarding)?);
        held.go();
        looked.reached(BACKUP_LIMIT).await?;
        cluster.store.kill().await?;
        cluster.store.start().await?;
        looked.go();
        self.good_or_told(running, Some(1)).await?;
        self.next_is_good(cluster).await
    }

    /// The store is full: accepted, and never to be seen.
    pub async fn store_full(&self, cluster: &mut Cluster) -> Result<()> {
        cluster.store.kill().await?;
        cluster.store.start_full().await?;
        let running = self.program.start(&["backup", "--stall", SHORT_STALL, "-o", "json"])?;
        let told = self.good_or_told(running, Some(1)).await;
        cluster.store.kill().await?;
        cluster.store.start().await?;
        told?;
        self.next_is_good(cluster).await
    }

    /// Ends complete, or failed with the reason and a burnt id; exporting was released.
    async fn good_or_told(&self, running: Running, code: Option<i32>) -> Result<()> {
        let done = running.ended(BACKUP_LIMIT).await?;
        let wanted = code.unwrap_or(i32::from(done.code != 0));
        let done = done.with_code(wanted)?;
        let result = done.result()?;
        say(format_args!("  {}", told(&done)));
        ensure!(result["complete"] == (done.code == 0), "{result}");
        ensure!(result["exporting_runs"] == true, "exporting was not released: {result}");
        if done.code != 0 {
            ensure!(done.err.contains("  said "), "no reason:\n{}", done.err);
            ensure!(result["manifest"].is_null(), "it counts as a backup: {result}");
        }
        Ok(())
    }

    /// A higher id, and all is well.
    async fn next_is_good(&self, cluster: &Cluster) -> Result<()> {
        self.program.run(&["backup"], BACKUP_LIMIT).await?.with_code(0)?;
        self.all_is_true(cluster).await
    }

    /// Exporting runs, nothing is left open, and every complete backup is what the servers say.
    async fn all_is_true(&self, cluster: &Cluster) -> Result<()> {
        single::exports(cluster).await?;
        let status = self.program.status_ended().await?.with_code(0)?.json()?;
        ensure!(status["open_runs"].as_array().is_some_and(Vec::is_empty), "left open: {status}");
        let listed = self.program.run(&["list", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?.json()?;
        let mut complete = 0;
        for row in listed.as_array().context("a list without rows")? {
            if row["state"] == "complete" {
                let id = row["backup"].as_u64().context("a backup without an id")?;
                let shown = self.program.show(id).await?;
                Manifest::of(&shown)?.agrees_with(cluster, id, PARTS).await?;
                complete += 1;
            }
        }
        ensure!(complete > 0, "no complete backup is listed: {listed}");
        Ok(())
    }
}

/// One line of what the program said at its end.
fn told(done: &Finished) -> String {
    let why = done.err.lines().find_map(|line| line.strip_prefix("  said "));
    match (done.code, why) {
        (0, _) => "complete".into(),
        (code, why) => format!("ended with {code}: {}", why.unwrap_or("no reason")),
    }
}

/// A moment by the name of its step.
pub fn moment(step: &str, point: Point) -> Result<Moment> {
    let found = moments().into_iter().find(|one| one.step == step && one.point == point);
    found.with_context(|| format!("no step {step}"))
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.point == Point::BeforeForwarding { "before" } else { "after" };
        write!(f, "{side} the effect of {}", self.step)
    }
}
