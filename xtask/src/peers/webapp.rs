//! Operate and Tasklist, the two web apps that have backups of their own before 8.8.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::http::{self, Hopeless};
use super::packages::Kit;
use super::ports;
use super::process::{Process, Spec};
use super::search::{Kind, REPOSITORY, Search};

const READY_LIMIT: Duration = Duration::from_mins(10);
const STOP_PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    Operate,
    Tasklist,
}

impl App {
    pub fn name(self) -> &'static str {
        match self {
            Self::Operate => "operate",
            Self::Tasklist => "tasklist",
        }
    }
}

#[derive(Debug)]
pub struct WebApp {
    pub app: App,
    management: u16,
    spec: Spec,
    process: Option<Process>,
}

impl WebApp {
    /// A web app that is not started yet.
    pub fn new(app: App, kit: &Kit, dir: &Path, search: &Search, gateway: &str) -> Result<Self> {
        let dir = dir.join(app.name());
        fs::create_dir_all(&dir)?;
        let management = ports::free()?;
        let spec = Spec {
            name: app.name().to_owned(),
            command: vec![kit.camunda.join("bin").join(app.name()).to_string_lossy().into_owned()],
            env: environment(app, kit, management, search, gateway)?,
            folder: dir.clone(),
            log: dir.join(format!("{}.log", app.name())),
        };
        Ok(Self { app, management, spec, process: None })
    }

    /// The address of the management port, without a trailing slash.
    pub fn management(&self) -> String {
        format!("http://127.0.0.1:{}", self.management)
    }

    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    pub fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.app.name());
        self.process = Some(Process::start(&self.spec)?);
        Ok(())
    }

    pub async fn ready(&mut self) -> Result<()> {
        let health = format!("{}/actuator/health", self.management());
        let process = self.process.as_mut().context("the web app is not started")?;
        http::until(self.app.name(), READY_LIMIT, async || {
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
}

fn environment(
    app: App,
    kit: &Kit,
    management: u16,
    search: &Search,
    gateway: &str,
) -> Result<BTreeMap<String, String>> {
    let mut env = BTreeMap::from([
        ("JAVA_HOME".to_owned(), kit.camunda_jdk.home.to_string_lossy().into_owned()),
        ("JAVA_OPTS".to_owned(), "-Xms256m -Xmx768m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC".to_owned()),
        ("SPRING_PROFILES_ACTIVE".to_owned(), format!("{},auth", app.name())),
        ("SERVER_ADDRESS".to_owned(), "127.0.0.1".to_owned()),
        ("SERVER_PORT".to_owned(), ports::free()?.to_string()),
        ("MANAGEMENT_SERVER_ADDRESS".to_owned(), "127.0.0.1".to_owned()),
        ("MANAGEMENT_SERVER_PORT".to_owned(), management.to_string()),
    ]);
    let prefix = format!("CAMUNDA_{}", app.name().to_uppercase());
    let database = match search.kind {
        Kind::Es => "ELASTICSEARCH",
        Kind::Os => "OPENSEARCH",
    };
    let mut set = |name: String, value: String| env.insert(format!("{prefix}_{name}"), value);
    if search.kind == Kind::Os {
        set("DATABASE".to_owned(), "opensearch".to_owned());
    }
    set(format!("{database}_URL"), search.url());
    set(format!("ZEEBE{database}_URL"), search.url());
    set(format!("{database}_NUMBEROFREPLICAS"), "0".to_owned());
    set("ZEEBE_GATEWAYADDRESS".to_owned(), gateway.to_owned());
    set("BACKUP_REPOSITORYNAME".to_owned(), REPOSITORY.to_owned());
    Ok(env)
}
