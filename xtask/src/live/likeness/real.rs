//! One real installation as the cases see it: their requests by HTTP, their moves by the handles of its processes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use c8keep_twin::likeness::{Case, Move};
use c8keep_twin::{Answer, Host, Request};
use reqwest::Method;
use serde_json::Value;

use super::ids::Ids;
use super::repositories::{self, Repositories};
use crate::peers::broker::Broker;
use crate::peers::cluster::Cluster;
use crate::peers::http;

const CALL_LIMIT: Duration = Duration::from_mins(1);
const STATE_LIMIT: Duration = Duration::from_mins(1);
const EXCERPT_CHARS: usize = 600;
const TOPOLOGY_LIMIT: Duration = Duration::from_mins(3);
/// States pass in moments: asked as often as the server can answer, with a breath between.
const BREATH: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Real<'a> {
    pub cluster: &'a mut Cluster,
    ids: Ids,
    repositories: Repositories,
    /// Whether the repository is the server's own, which the web apps write into.
    own_repository: bool,
    /// Backups of web apps that this attempt has made.
    made: Vec<(Host, u64)>,
    /// Those of them that the case has deleted itself.
    deleted: Vec<(Host, u64)>,
}

impl<'a> Real<'a> {
    pub async fn new(cluster: &'a mut Cluster) -> Result<Self> {
        let repositories = Repositories::new(&cluster.search).await?;
        Ok(Self {
            cluster,
            ids: Ids::after_now(),
            repositories,
            own_repository: true,
            made: Vec::new(),
            deleted: Vec::new(),
        })
    }

    /// One attempt: the way into the situation, then the request, and what differs in the answer.
    pub async fn play(&mut self, case: &Case) -> Result<Vec<String>> {
        self.ids.next(case);
        self.prepare(case).await?;
        let found = self.compare(case).await;
        self.tidy().await?;
        found
    }

    async fn compare(&mut self, case: &Case) -> Result<Vec<String>> {
        let already = self.already_down(case);
        let mut last = None;
        for (index, step) in case.moves.iter().enumerate() {
            if index >= already {
                last = self.step(case, index, step).await.with_context(|| format!("on the way: {step:?}"))?;
            }
        }
        let answer = match last {
            // The answer that ended the wait: a second one may already tell of the next state.
            Some(answer) => answer,
            None => self.send(case.host, &case.request, false).await?,
        };
        self.patiently(case, answer).await
    }

    /// Puts back what the cases have changed.
    pub async fn end(mut self) -> Result<()> {
        self.bring_back().await?;
        self.repositories.restore(&self.cluster.search).await
    }

    /// The only broker with an empty disk, as on its first day.
    pub async fn first_day(&mut self) -> Result<()> {
        self.no_backups().await?;
        let broker = self.cluster.brokers.first_mut().context("no broker")?;
        broker.stop().await?;
        broker.wipe()?;
        broker.start()?;
        self.whole().await
    }

    async fn prepare(&mut self, case: &Case) -> Result<()> {
        match case.host {
            Host::Search => {
                self.own_repository = false;
                self.repositories.prepare(case).await
            }
            Host::Operate | Host::Tasklist => {
                ensure!(self.own_repository, "the web apps' cases come before the search server's");
                Ok(())
            }
            _ => {
                if self.already_down(case) > 0 {
                    return Ok(());
                }
                self.bring_back().await?;
                self.exporting().await?;
                if case.name.ends_with("-empty") { self.no_backups().await } else { Ok(()) }
            }
        }
    }

    /// How many of the first moves have been made for the case before: its brokers are down, and no others.
    fn already_down(&self, case: &Case) -> usize {
        let downs: Vec<u32> = case
            .moves
            .iter()
            .map_while(|step| if let Move::BrokerDown(node) = step { Some(*node) } else { None })
            .collect();
        let down = |broker: &&Broker| !broker.is_started();
        let now: Vec<usize> = self.cluster.brokers.iter().filter(down).map(|one| one.node).collect();
        let same = downs.iter().map(|node| *node as usize).eq(now.iter().copied());
        // A case that asks at once after the end needs an end of its own.
        if same && case.moves.len() > downs.len() { downs.len() } else { 0 }
    }

    /// Makes one move. An answer is given where it is also the answer to the case's request.
    async fn step(&mut self, case: &Case, index: usize, step: &Move) -> Result<Option<Answer>> {
        match step {
            Move::Send(host, request) => {
                self.send(*host, request, true).await?;
            }
            Move::Until(host, request, status, wanted) => {
                let answer = self.until(*host, request, *status, wanted.as_ref()).await?;
                let same = *host == case.host && *request == case.request && index + 1 == case.moves.len();
                return Ok(same.then_some(answer));
            }
            Move::Pass { .. } => {
                let down = self.cluster.brokers.iter().any(|broker| !broker.is_started());
                if down {
                    self.whole().await?;
                }
                // Else time is given by asking again, see `patience`.
                ensure!(down || case.request.method == "GET", "no way to know when this time has passed");
            }
            Move::BrokerDown(node) => self.broker(*node)?.kill().await?,
            Move::BrokerUp(node) => {
                self.broker(*node)?.start()?;
                self.broker(*node)?.ready().await?;
                self.whole().await?;
            }
            Move::Partial(_) => self.repositories.lose_a_shard().await?,
        }
        Ok(None)
    }

    /// Reads again for a while where the situation itself takes time.
    async fn patiently(&self, case: &Case, mut answer: Answer) -> Result<Vec<String>> {
        let end = Instant::now() + patience(case);
        loop {
            let found = case.real_differences(&answer);
            if found.is_empty() || case.request.method != "GET" || Instant::now() >= end {
                let body = String::from_utf8_lossy(&answer.body);
                let excerpt: String = body.chars().take(EXCERPT_CHARS).collect();
                return Ok(if found.is_empty() { found } else { [found, vec![excerpt]].concat() });
            }
            tokio::time::sleep(BREATH * 20).await;
            answer = self.ask(case.host, &case.request).await?;
        }
    }

    async fn until(
        &mut self,
        host: Host,
        request: &Request,
        status: u16,
        wanted: Option<&(&'static str, Value)>,
    ) -> Result<Answer> {
        let end = Instant::now() + STATE_LIMIT;
        loop {
            let answer = self.ask(host, request).await?;
            let there = |(at, value): &(&str, Value)| answer.value().pointer(at) == Some(value);
            if answer.status == status && wanted.is_none_or(there) {
                return Ok(answer);
            }
            let text = String::from_utf8_lossy(&answer.body);
            ensure!(Instant::now() < end, "never {status} {wanted:?}; last {} {text}", answer.status);
            tokio::time::sleep(BREATH).await;
        }
    }

    /// Sends a request of a case and remembers what it makes.
    async fn send(&mut self, host: Host, request: &Request, on_the_way: bool) -> Result<Answer> {
        if host == Host::Search {
            return self.exchange(host, &self.repositories.outward(request, on_the_way)).await;
        }
        let (sent, id) = self.ids.outward(request);
        let answer = self.exchange(host, &sent).await?;
        if matches!(host, Host::Operate | Host::Tasklist) {
            match (sent.method.as_str(), answer.status) {
                ("POST", 200) => self.made.extend(id.map(|id| (host, id))),
                ("DELETE", 204) => self.deleted.extend(id.map(|id| (host, id))),
                _ => {}
            }
        }
        Ok(self.ids.inward(answer))
    }

    /// Sends a request that only reads.
    async fn ask(&self, host: Host, request: &Request) -> Result<Answer> {
        let (sent, _) =
            if host == Host::Search { (request.clone(), None) } else { self.ids.outward(request) };
        Ok(self.ids.inward(self.exchange(host, &sent).await?))
    }

    async fn exchange(&self, host: Host, request: &Request) -> Result<Answer> {
        let url = format!("{}{}", self.address(host)?, request.path);
        let method = Method::from_bytes(request.method.as_bytes())?;
        let call = format!("{method} {url}");
        let mut builder = http::client().request(method, &url).query(&request.query).timeout(CALL_LIMIT);
        if !request.body.is_empty() {
            builder = builder.header("content-type", "application/json").body(request.body.clone());
        }
        let response = builder.send().await.with_context(|| call.clone())?;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
        let content_type = kind.map(str::to_owned);
        let body = response.bytes().await.with_context(|| call)?.to_vec();
        Ok(Answer { status, content_type, body, ..Answer::default() })
    }

    fn address(&self, host: Host) -> Result<String> {
        let broker = |node: u32| self.cluster.brokers.get(node as usize).context("no such broker");
        let app = |app: &Option<crate::peers::webapp::WebApp>| {
            app.as_ref().map(crate::peers::webapp::WebApp::management).context("no such web app")
        };
        Ok(match host {
            Host::Broker(node) => broker(node)?.management(),
            Host::Gateway => broker(0)?.management(),
            Host::Rest => broker(0)?.rest(),
            Host::Operate => app(&self.cluster.operate)?,
            Host::Tasklist => app(&self.cluster.tasklist)?,
            Host::Search => self.cluster.search.url(),
            Host::Optimize => bail!("there is no Optimize"),
        })
    }

    fn broker(&mut self, node: u32) -> Result<&mut Broker> {
        self.cluster.brokers.get_mut(node as usize).context("no such broker")
    }

    /// Ends and removes the web apps' backups of this attempt: the next one is refused while one runs.
    async fn tidy(&mut self) -> Result<()> {
        for (host, id) in std::mem::take(&mut self.made) {
            let url = format!("{}/actuator/backups/{id}", self.address(host)?);
            let app = if host == Host::Operate { "operate" } else { "tasklist" };
            let parts = format!(
                "{}/_snapshot/camunda/camunda_{app}_{id}_*?ignore_unavailable=true",
                self.cluster.search.url()
            );
            if !self.deleted.contains(&(host, id)) {
                http::until("the end of a web app's backup", STATE_LIMIT, async || {
                    let state = http::get(&url).await?.good()?.json()?["state"].clone();
                    Ok((state == "COMPLETED").then_some(()))
                })
                .await?;
                http::delete(&url).await?.good()?;
            }
            http::until("a web app's backup deleted", STATE_LIMIT, async || {
                let left = http::get(&parts).await?.json()?;
                Ok(left["snapshots"].as_array().is_none_or(Vec::is_empty).then_some(()))
            })
            .await?;
        }
        self.deleted.clear();
        Ok(())
    }

    async fn exporting(&self) -> Result<()> {
        for broker in &self.cluster.brokers {
            http::until("exporting", STATE_LIMIT, async || {
                let resumed = broker.exporting("resume").await?.good()?.json()?;
                Ok((resumed["status"] == 204).then_some(()))
            })
            .await?;
        }
        Ok(())
    }

    /// Deletes every runtime backup, until the list is empty.
    async fn no_backups(&self) -> Result<()> {
        let url = format!("{}/actuator/backups", self.address(Host::Gateway)?);
        http::until("an empty list of backups", STATE_LIMIT, async || {
            let list = http::get(&url).await?.good()?.json()?;
            let list = list.as_array().context("no list")?.clone();
            for backup in &list {
                http::delete(&format!("{url}/{}", backup["backupId"])).await?;
            }
            Ok(list.is_empty().then_some(()))
        })
        .await
    }

    async fn bring_back(&mut self) -> Result<()> {
        let mut ended: Vec<&mut Broker> =
            self.cluster.brokers.iter_mut().filter(|broker| !broker.is_started()).collect();
        if ended.is_empty() {
            return Ok(());
        }
        for broker in &mut ended {
            broker.start()?;
        }
        self.whole().await
    }

    /// Waits until the brokers that run, and no others, are known and every partition has a leader.
    async fn whole(&mut self) -> Result<()> {
        let first = self.cluster.brokers.iter().find(|broker| broker.is_started()).context("no broker")?;
        let count = self.cluster.brokers.iter().filter(|broker| broker.is_started()).count();
        let url = format!("{}/v2/topology", first.rest());
        http::until("a whole topology", TOPOLOGY_LIMIT, async || {
            let told = http::get(&url).await?.good()?.json()?;
            let brokers = told["brokers"].as_array().context("no brokers")?;
            let all: Vec<&Value> =
                brokers.iter().filter_map(|broker| broker["partitions"].as_array()).flatten().collect();
            let leaders = all.iter().filter(|one| one["role"] == "leader").count();
            let healthy = all.iter().all(|one| one["health"] == "healthy");
            let partitions = told["partitionsCount"].as_u64().context("no partitions")?;
            ensure!(brokers.len() == count && leaders as u64 == partitions && healthy, "{told}");
            Ok(Some(()))
        })
        .await
    }
}

/// How long the answer may take to become the recorded one: where time passes in the case, three times that; a broker
/// that has just started, or is busy, may first tell less (`{}` for its partitions).
fn patience(case: &Case) -> Duration {
    match case.moves.last() {
        Some(Move::Pass { millis }) => Duration::from_millis(u64::from(*millis) * 3),
        Some(Move::BrokerUp(_)) => STATE_LIMIT,
        // The first shard has not begun at once.
        _ if repositories::needs_time(case) => Duration::from_secs(5),
        _ if case.request.path == "/actuator/partitions" => Duration::from_secs(10),
        _ => Duration::ZERO,
    }
}
