//! The S3 store of the brokers' backups and of vaults: SeaweedFS on loopback with one bucket. The keys are made up and
//! worth nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::http::{self, Hopeless};
use super::ports;
use super::process::{Process, Spec};

pub const BUCKET: &str = "zeebe";
pub const ACCESS_KEY: &str = "AK";
/// So long that nothing holds it by chance: what c8keep says is searched for it.
pub const SECRET_KEY: &str = "the-secret-key-of-this-peer";
/// A login that may read and list, and write nothing.
pub const READER: (&str, &str) = ("AKREAD", "the-secret-key-of-its-reader");
const READY_LIMIT: Duration = Duration::from_mins(2);

#[derive(Debug)]
pub struct Store {
    port: u16,
    filer: u16,
    spec: Spec,
    /// None while it is killed.
    process: Option<Process>,
}

impl Store {
    /// Starts the store in a folder of its own and makes the bucket.
    pub async fn up(weed: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir.join("data"))?;
        let keys = dir.join("s3.json");
        fs::write(
            &keys,
            format!(
                r#"{{"identities":[{{"name":"peer","credentials":[{{"accessKey":"{ACCESS_KEY}","secretKey":"{SECRET_KEY}"}}],"actions":["Admin","Read","Write","List","Tagging"]}},{{"name":"reader","credentials":[{{"accessKey":"{}","secretKey":"{}"}}],"actions":["Read","List"]}}]}}"#,
                READER.0, READER.1
            ),
        )?;
        let (port, filer) = (ports::free()?, ports::free()?);
        let spec = spec(weed, dir, &keys, port, filer)?;
        let mut store = Self { port, filer, spec, process: None };
        store.start().await?;
        Ok(store)
    }

    /// Starts it with whatever it holds, and waits until the bucket is there.
    pub async fn start(&mut self) -> Result<()> {
        let spec = self.spec.clone();
        self.started(&spec).await
    }

    /// Starts it as one whose disk is full: it reads and lists, and refuses to write.
    pub async fn start_full(&mut self) -> Result<()> {
        let mut spec = self.spec.clone();
        // In percent of the disk: all of it must be free, so no volume is writable.
        spec.command.push("-volume.minFreeSpace=100".to_owned());
        self.started(&spec).await
    }

    async fn started(&mut self, spec: &Spec) -> Result<()> {
        let (port, filer) = (self.port, self.filer);
        let process = self.process.insert(Process::start(spec)?);
        // A folder below /buckets of the filer is a bucket. The first answers after the start are refusals.
        http::until("the S3 store", READY_LIMIT, async || {
            process.check_alive().map_err(Hopeless)?;
            let made = http::post(&format!("http://127.0.0.1:{filer}/buckets/{BUCKET}/"), None).await?;
            let s3 = http::get(&format!("http://127.0.0.1:{port}/")).await?;
            let there = made.is_good() || made.status == 409;
            Ok((there && s3.status == 403).then_some(()))
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

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub async fn stop(mut self) -> Result<()> {
        // Its orderly end takes half a minute, and nothing in it is needed any more.
        self.kill().await
    }
}

fn spec(weed: &Path, dir: &Path, keys: &Path, port: u16, filer: u16) -> Result<Spec> {
    let flag = |name: &str, value: String| format!("-{name}={value}");
    let path = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(Spec {
        name: "store".to_owned(),
        command: vec![
            path(weed.to_owned()),
            "server".to_owned(),
            "-s3".to_owned(),
            flag("ip", "127.0.0.1".to_owned()),
            flag("ip.bind", "127.0.0.1".to_owned()),
            flag("dir", path(dir.join("data"))),
            flag("s3.port", port.to_string()),
            flag("s3.config", path(keys.to_owned())),
            flag("master.port", ports::free()?.to_string()),
            flag("volume.port", ports::free()?.to_string()),
            flag("filer.port", filer.to_string()),
            // Two catalogs with fixed ports, which would keep a second store on this machine from starting.
            flag("s3.port.iceberg", "0".to_owned()),
            flag("s3.port.lance", "0".to_owned()),
            // It would report to its makers otherwise.
            flag("master.telemetry", "false".to_owned()),
            // Every bucket takes several volumes; a store without a free one answers 500 to every PUT.
            flag("volume.max", "200".to_owned()),
            flag("master.volumeSizeLimitMB", "64".to_owned()),
        ],
        env: [("HOME".to_owned(), path(dir.to_owned()))].into(),
        folder: dir.to_owned(),
        log: dir.join("store.log"),
    })
}
