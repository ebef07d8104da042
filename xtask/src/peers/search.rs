//! The search server: Elasticsearch or OpenSearch as a single node on loopback, with the snapshot repository that the
//! web apps and c8keep share. Security is off, because nothing but this machine can reach it; unless security is the subject.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::http::{self, Hopeless};
use super::packages::Kit;
use super::process::{Process, Spec};
use super::{ports, tools};

pub const REPOSITORY: &str = "camunda";
const READY_LIMIT: Duration = Duration::from_mins(5);
const RESTORE_LIMIT: Duration = Duration::from_mins(5);
const CAMUNDA_INDICES: &str = "zeebe-record*,operate-*,tasklist-*";
/// The superuser of a server with security; the hash is bcrypt's, as its file realm wants it.
const ADMINISTRATOR: (&str, &str) = ("c8keep-admin", "bootstrap-password");
const ADMINISTRATOR_HASH: &str = "$2a$10$c8keepc8keepc8keepc8keFiYe6Gydly./A7C9CM6kIak/RRBs5t6";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Elasticsearch 8.16.6
    Es,
    /// OpenSearch 2.19.1
    Os,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::Os => "os",
        }
    }

    pub fn product(self) -> &'static str {
        match self {
            Self::Es => "Elasticsearch",
            Self::Os => "OpenSearch",
        }
    }
}

#[derive(Debug)]
pub struct Search {
    pub kind: Kind,
    is_secured: bool,
    port: u16,
    folder: PathBuf,
    spec: Spec,
    /// None while it is killed.
    process: Option<Process>,
}

impl Search {
    /// Starts the server in a folder of its own, waits for it and registers the repository.
    pub async fn up(kind: Kind, kit: &Kit, dir: &Path) -> Result<Self> {
        Self::up_with(kind, false, kit, dir).await
    }

    /// Elasticsearch with security, known to its administrator alone. The OpenSearch that is used here comes without its security plugin.
    pub async fn up_secured(kit: &Kit, dir: &Path) -> Result<Self> {
        Self::up_with(Kind::Es, true, kit, dir).await
    }

    async fn up_with(kind: Kind, is_secured: bool, kit: &Kit, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("repo"))?;
        let (port, transport) = (ports::free()?, ports::free()?);
        let spec = match kind {
            Kind::Es => elasticsearch(kit, dir, (port, transport), is_secured).await?,
            Kind::Os => opensearch(kit, dir, port, transport)?,
        };
        let mut search = Self { kind, is_secured, port, folder: dir.join("repo"), spec, process: None };
        search.start().await?;
        search.register_repository().await?;
        Ok(search)
    }

    /// Starts it with whatever data it has, and waits until it answers.
    pub async fn start(&mut self) -> Result<()> {
        let health = format!("{}/_cluster/health?wait_for_status=yellow&timeout=5s", self.url());
        let process = self.process.insert(Process::start(&self.spec)?);
        http::until("the search server", READY_LIMIT, async || {
            process.check_alive().map_err(Hopeless)?;
            Ok(http::get(&health).await?.is_good().then_some(()))
        })
        .await
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// SIGSTOP until [`Self::thaw`].
    pub async fn freeze(&mut self) {
        if let Some(process) = &mut self.process {
            process.freeze().await;
        }
    }

    pub async fn thaw(&mut self) {
        if let Some(process) = &mut self.process {
            process.thaw().await;
        }
    }

    /// Its address; with the administrator's login where it wants one.
    pub fn url(&self) -> String {
        if self.is_secured {
            let (user, password) = ADMINISTRATOR;
            return format!("http://{user}:{password}@127.0.0.1:{}", self.port);
        }
        self.address()
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of the snapshot repository.
    pub fn repository(&self) -> String {
        format!("{}/_snapshot/{REPOSITORY}", self.url())
    }

    pub async fn register_repository(&self) -> Result<()> {
        let body = json!({ "type": "fs", "settings": { "location": self.folder } });
        http::put(&self.repository(), &body).await?.good()?;
        Ok(())
    }

    /// The names of the indices that match, sorted.
    pub async fn indices(&self, pattern: &str) -> Result<Vec<String>> {
        let url = format!("{}/_cat/indices/{pattern}?format=json&h=index&expand_wildcards=all", self.url());
        let answer = http::get(&url).await?.good()?.json()?;
        let names = answer.as_array().into_iter().flatten();
        let mut names: Vec<String> =
            names.filter_map(|row| Some(row["index"].as_str()?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// Deletes every index of Camunda, and its templates, as a lost search cluster would.
    pub async fn destroy_camunda(&self) -> Result<()> {
        for name in self.indices(CAMUNDA_INDICES).await? {
            http::delete(&format!("{}/{name}", self.url())).await?.good()?;
        }
        for kind in ["_index_template", "_component_template"] {
            for prefix in ["zeebe-record*", "operate-*", "tasklist-*"] {
                // Nothing there is as good as deleted.
                http::delete(&format!("{}/{kind}/{prefix}", self.url())).await?;
            }
        }
        Ok(())
    }

    pub async fn snapshot(&self, name: &str) -> Result<Value> {
        let answer = http::get(&format!("{}/{name}", self.repository())).await?.good()?.json()?;
        answer["snapshots"]
            .get(0)
            .cloned()
            .with_context(|| format!("snapshot {name} is not in the answer: {answer}"))
    }

    /// Puts a snapshot back and waits for all its shards. A snapshot without any index is normal (`real-peers` A4).
    pub async fn restore(&self, name: &str) -> Result<()> {
        let url = format!("{}/{name}/_restore?wait_for_completion=true", self.repository());
        let body = json!({ "include_global_state": false });
        let answer =
            http::call(reqwest::Method::POST, &url, Some(&body), RESTORE_LIMIT).await?.good()?.json()?;
        let shards = &answer["snapshot"]["shards"];
        anyhow::ensure!(shards["failed"] == 0, "restore of {name}: {answer}");
        Ok(())
    }

    pub async fn stop(self) -> Result<()> {
        match self.process {
            Some(process) => process.stop(Duration::from_mins(1)).await,
            None => Ok(()),
        }
    }
}

async fn elasticsearch(
    kit: &Kit,
    dir: &Path,
    (port, transport): (u16, u16),
    is_secured: bool,
) -> Result<Spec> {
    for folder in ["conf", "data", "logs", "tmp"] {
        fs::create_dir_all(dir.join(folder))?;
    }
    let show = |path: PathBuf| path.to_string_lossy().into_owned();
    let at = |folder: &str| show(dir.join(folder));
    let settings = json!({
        "cluster.name": "c8keep-peer", "node.name": "c8keep-peer-1", "network.host": "127.0.0.1",
        "http.port": port, "transport.port": transport, "discovery.type": "single-node",
        "path.data": at("data"), "path.logs": at("logs"), "path.repo": [at("repo")],
        "xpack.security.enabled": is_secured, "xpack.security.autoconfiguration.enabled": false,
        "cluster.routing.allocation.disk.threshold_enabled": false, "action.destructive_requires_name": false,
    });
    // JSON is YAML.
    fs::write(dir.join("conf/elasticsearch.yml"), settings.to_string())?;
    fs::write(
        dir.join("conf/jvm.options"),
        format!(
            "-Xms512m\n-Xmx512m\n-XX:+UseSerialGC\n-XX:TieredStopAtLevel=1\n-Des.networkaddress.cache.ttl=60\n-Djava.io.tmpdir={}\n",
            at("tmp")
        ),
    )?;
    fs::write(
        dir.join("conf/log4j2.properties"),
        "status=error\nappender.c.type=Console\nappender.c.name=c\nappender.c.layout.type=PatternLayout\n\
         appender.c.layout.pattern=%d %p %c{1.} %m%n\nrootLogger.level=info\nrootLogger.appenderRef.c.ref=c\n",
    )?;
    if is_secured {
        fs::write(dir.join("conf/users"), format!("{}:{ADMINISTRATOR_HASH}\n", ADMINISTRATOR.0))?;
        fs::write(dir.join("conf/users_roles"), format!("superuser:{}\n", ADMINISTRATOR.0))?;
    }
    let (home, mut command) = own_home(kit, dir).await?;
    let (home, jdk) = (show(home), show(kit.search_jdk.home.clone()));
    command.extend([
        format!("{jdk}/bin/java"),
        "-Xms4m".to_owned(),
        "-Xmx64m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-Dcli.name=server".to_owned(),
        "-Dcli.script=./bin/elasticsearch".to_owned(),
        "-Dcli.libs=lib/tools/server-cli".to_owned(),
        format!("-Des.path.home={home}"),
        format!("-Des.path.conf={}", at("conf")),
        "-Des.distribution.type=tar".to_owned(),
        "-Des.java.type=ES_JAVA_HOME".to_owned(),
        "-cp".to_owned(),
        format!("{home}/lib/*:{home}/lib/cli-launcher/*"),
        "org.elasticsearch.launcher.CliToolLauncher".to_owned(),
    ]);
    let env = BTreeMap::from([
        ("ES_TMPDIR".to_owned(), at("tmp")),
        ("ES_JAVA_HOME".to_owned(), jdk.clone()),
        ("JAVA_HOME".to_owned(), jdk),
    ]);
    Ok(Spec { name: "search".to_owned(), command, env, folder: home.into(), log: dir.join("search.log") })
}

/// Elasticsearch refuses to run as root. Where this is root, another user runs it, who may not be able to read the
/// cache: the home is then linked (or copied) into the run's folder, which is given to that user.
async fn own_home(kit: &Kit, dir: &Path) -> Result<(PathBuf, Vec<String>)> {
    if !tools::is_root().await? {
        return Ok((kit.search.clone(), Vec::new()));
    }
    let (from, home) = (kit.search.to_string_lossy().into_owned(), dir.join("home"));
    let to = home.to_string_lossy().into_owned();
    let limit = Duration::from_mins(2);
    if !home.exists() && tools::run("cp", &["-al", &from, &to], limit).await.is_err() {
        tools::run("cp", &["-a", &from, &to], limit).await?;
    }
    for folder in ["conf", "data", "logs", "tmp", "repo"] {
        let owner = format!("{0}:{0}", tools::SEARCH_USER);
        tools::run("chown", &["-R", &owner, &dir.join(folder).to_string_lossy()], limit).await?;
    }
    let user = tools::SEARCH_USER;
    let switch = ["setpriv", &format!("--reuid={user}"), &format!("--regid={user}"), "--clear-groups"];
    Ok((home, switch.map(str::to_owned).to_vec()))
}

fn opensearch(kit: &Kit, dir: &Path, port: u16, transport: u16) -> Result<Spec> {
    let main = dir.join("OpenSearchPeer.java");
    fs::write(&main, include_str!("../../assets/OpenSearchPeer.java"))?;
    let show = |path: &Path| path.to_string_lossy().into_owned();
    let command = vec![
        format!("{}/bin/java", show(&kit.search_jdk.home)),
        "-Xms512m".to_owned(),
        "-Xmx512m".to_owned(),
        "-XX:+UseSerialGC".to_owned(),
        "-XX:TieredStopAtLevel=1".to_owned(),
        "-Dopensearch.set.netty.runtime.available.processors=false".to_owned(),
        "-cp".to_owned(),
        format!("{}/*", show(&kit.search)),
        show(&main),
        show(dir),
        port.to_string(),
        transport.to_string(),
    ];
    let env = BTreeMap::from([("HOME".to_owned(), show(dir))]);
    Ok(Spec { name: "search".to_owned(), command, env, folder: dir.to_owned(), log: dir.join("search.log") })
}
