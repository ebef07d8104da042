//! One Zeebe broker with its gateway, and the restore application in that broker's own environment.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::http::{self, Answer, Hopeless};
use super::packages::Kit;
use super::ports;
use super::process::{Process, Spec};
use super::search::{Kind, Search};
use super::store::{self, Store};

const READY_LIMIT: Duration = Duration::from_mins(5);
const RESTORE_LIMIT: Duration = Duration::from_mins(5);
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// The ports of one broker; all brokers of a cluster must know each other's before the first one starts.
#[derive(Debug, Clone)]
pub struct Ports {
    rest: u16,
    management: u16,
    gateway: u16,
    command: u16,
    internal: u16,
}

impl Ports {
    pub fn free() -> Result<Self> {
        Ok(Self {
            rest: ports::free()?,
            management: ports::free()?,
            gateway: ports::free()?,
            command: ports::free()?,
            internal: ports::free()?,
        })
    }
}

#[derive(Debug)]
pub struct Broker {
    pub node: usize,
    ports: Ports,
    data: PathBuf,
    spec: Spec,
    restore_program: String,
    process: Option<Process>,
}

/// What the brokers of one cluster share.
#[derive(Debug)]
pub struct Shape {
    pub ports: Vec<Ports>,
    pub partitions: usize,
}

impl Broker {
    /// A broker that is not started yet.
    pub fn new(
        node: usize,
        shape: &Shape,
        kit: &Kit,
        dir: &Path,
        search: &Search,
        store: &Store,
    ) -> Result<Self> {
        let ports = shape.ports.get(node).context("a broker without ports")?.clone();
        let dir = dir.join(format!("broker-{node}"));
        fs::create_dir_all(&dir)?;
        let data = dir.join("data");
        let env = environment(node, shape, kit, &data, search, store)?;
        let program = |name: &str| kit.camunda.join("bin").join(name).to_string_lossy().into_owned();
        let spec = Spec {
            name: format!("broker {node}"),
            command: vec![program("broker")],
            env,
            folder: dir.clone(),
            log: dir.join("broker.log"),
        };
        Ok(Self { node, ports, data, spec, restore_program: program("restore"), process: None })
    }

    /// The address of the management port, without a trailing slash.
    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management)
    }

    /// The address of the application port (`/v2/...`).
    pub fn rest(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.rest)
    }

    pub fn gateway(&self) -> String {
        format!("127.0.0.1:{}", self.ports.gateway)
    }

    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Starts the broker, with whatever data it has. Does not wait: a cluster is ready only together.
    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "broker {} runs already", self.node);
        self.process = Some(Process::start(&self.spec)?);
        Ok(())
    }

    /// Waits until the broker says that it is healthy.
    pub async fn ready(&mut self) -> Result<()> {
        let health = format!("{}/actuator/health", self.management());
        let process = self.process.as_mut().context("the broker is not started")?;
        http::until(&format!("broker {}", self.node), READY_LIMIT, async || {
            process.check_alive().map_err(Hopeless)?;
            Ok(http::get(&health).await?.is_good().then_some(()))
        })
        .await
    }

    /// SIGTERM.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop(STOP_PATIENCE).await,
            None => Ok(()),
        }
    }

    /// SIGKILL.
    pub async fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill().await,
            None => Ok(()),
        }
    }

    /// Removes the broker's data, as a lost disk would. Refuses while the broker runs.
    pub fn wipe(&self) -> Result<()> {
        ensure!(self.process.is_none(), "broker {} still runs", self.node);
        if self.data.exists() {
            fs::remove_dir_all(&self.data)
                .with_context(|| format!("cannot remove {}", self.data.display()))?;
        }
        Ok(())
    }

    /// Runs `bin/restore --backupId` with the broker's own environment into its empty data folder.
    pub async fn restore(&self, id: u64) -> Result<()> {
        ensure!(self.process.is_none(), "broker {} still runs", self.node);
        // The application refuses a folder that is not empty; the folder itself must be there.
        fs::create_dir_all(&self.data)?;
        let mut spec = self.spec.clone();
        spec.name = format!("restore of broker {}", self.node);
        spec.command = vec![self.restore_program.clone(), format!("--backupId={id}")];
        spec.log = spec.folder.join(format!("restore-{id}.log"));
        let process = Process::start(&spec)?;
        let code = process.ended(RESTORE_LIMIT).await?;
        if code != 0 {
            let log = fs::read_to_string(&spec.log).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            bail!(
                "{} ended with {code}: {}",
                spec.name,
                tail.into_iter().rev().collect::<Vec<_>>().join("\n")
            );
        }
        Ok(())
    }

    /// `POST /actuator/exporting/<operation>`: `pause?soft=true` or `resume`, as curl would.
    pub async fn exporting(&self, operation: &str) -> Result<Answer> {
        http::post(&format!("{}/actuator/exporting/{operation}", self.management()), None).await
    }

    /// What this broker says about its own partitions. A busy one sometimes answers `{}`: it is asked again.
    pub async fn partitions(&self) -> Result<BTreeMap<u32, serde_json::Value>> {
        let url = format!("{}/actuator/partitions", self.management());
        http::until(&format!("partitions of broker {}", self.node), Duration::from_mins(1), async || {
            let all: BTreeMap<u32, serde_json::Value> =
                serde_json::from_str(&http::get(&url).await?.good()?.body)?;
            Ok((!all.is_empty()).then_some(all))
        })
        .await
    }
}

fn environment(
    node: usize,
    shape: &Shape,
    kit: &Kit,
    data: &Path,
    search: &Search,
    store: &Store,
) -> Result<BTreeMap<String, String>> {
    let ports = shape.ports.get(node).context("a broker without ports")?;
    let size = shape.ports.len();
    let heap = if size == 1 { "-Xms256m -Xmx1g" } else { "-Xms128m -Xmx512m" };
    let mut env = BTreeMap::from([
        ("JAVA_HOME".to_owned(), kit.camunda_jdk.home.to_string_lossy().into_owned()),
        ("JAVA_OPTS".to_owned(), format!("{heap} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC")),
        ("SERVER_ADDRESS".to_owned(), "127.0.0.1".to_owned()),
        ("SERVER_PORT".to_owned(), ports.rest.to_string()),
        ("MANAGEMENT_SERVER_ADDRESS".to_owned(), "127.0.0.1".to_owned()),
        ("MANAGEMENT_SERVER_PORT".to_owned(), ports.management.to_string()),
    ]);
    let mut broker = |name: &str, value: &str| {
        env.insert(format!("ZEEBE_BROKER_{name}"), value.to_owned());
    };
    broker("NETWORK_HOST", "127.0.0.1");
    broker("NETWORK_COMMANDAPI_PORT", &ports.command.to_string());
    broker("NETWORK_INTERNALAPI_PORT", &ports.internal.to_string());
    broker("GATEWAY_ENABLE", "true");
    broker("GATEWAY_NETWORK_HOST", "127.0.0.1");
    broker("GATEWAY_NETWORK_PORT", &ports.gateway.to_string());
    broker("DATA_DIRECTORY", &data.to_string_lossy());
    broker("DATA_LOGSEGMENTSIZE", "16MB");
    broker("DATA_SNAPSHOTPERIOD", "1m");
    broker("DATA_DISK_ENABLEMONITORING", "false");
    broker("CLUSTER_NODEID", &node.to_string());
    broker("CLUSTER_CLUSTERSIZE", &size.to_string());
    broker("CLUSTER_REPLICATIONFACTOR", &size.to_string());
    broker("CLUSTER_PARTITIONSCOUNT", &shape.partitions.to_string());
    if size > 1 {
        let contacts: Vec<String> =
            shape.ports.iter().map(|one| format!("127.0.0.1:{}", one.internal)).collect();
        broker("CLUSTER_INITIALCONTACTPOINTS", &contacts.join(","));
    }
    broker("DATA_BACKUP_STORE", "S3");
    broker("DATA_BACKUP_S3_BUCKETNAME", store::BUCKET);
    broker("DATA_BACKUP_S3_ENDPOINT", &store.url());
    broker("DATA_BACKUP_S3_REGION", "us-east-1");
    broker("DATA_BACKUP_S3_ACCESSKEY", store::ACCESS_KEY);
    broker("DATA_BACKUP_S3_SECRETKEY", store::SECRET_KEY);
    broker("DATA_BACKUP_S3_FORCEPATHSTYLEACCESS", "true");
    let (exporter, class) = match search.kind {
        Kind::Es => ("EXPORTERS_ELASTICSEARCH", "io.camunda.zeebe.exporter.ElasticsearchExporter"),
        Kind::Os => ("EXPORTERS_OPENSEARCH", "io.camunda.zeebe.exporter.opensearch.OpensearchExporter"),
    };
    broker(&format!("{exporter}_CLASSNAME"), class);
    broker(&format!("{exporter}_ARGS_URL"), &search.url());
    broker(&format!("{exporter}_ARGS_INDEX_NUMBEROFREPLICAS"), "0");
    broker(&format!("{exporter}_ARGS_BULK_DELAY"), "1");
    Ok(env)
}
