//! Azure Blob on loopback: Azurite with one container. Its account and key are the ones that every Azurite has, written
//! in its manual, and worth nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use reqwest::Method;

use super::http::{self, Hopeless};
use super::ports;
use super::process::{Process, Spec};

pub const ACCOUNT: &str = "devstoreaccount1";
/// learn.microsoft.com, "Use Azurite for local Azure Storage development", well-known storage account and key.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
pub const CONTAINER: &str = "vault";
/// A shared access signature of that account until 2099, made with that key: who asks for containers need not sign.
pub const SIGNATURE: &str = "sv=2018-11-09&ss=b&srt=sco&sp=rwdlac&se=2099-01-01T00%3A00%3A00Z&spr=https%2Chttp&\
    sig=K%2BOQqJj6KnEczTtcVU385IwXLAzlxsauImxanI94hY0%3D";
const READY_LIMIT: Duration = Duration::from_mins(1);
const STOP_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Azure {
    port: u16,
    process: Process,
}

impl Azure {
    /// Starts Azurite's program in a folder of its own.
    pub async fn up(program: &Path, dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let port = ports::free()?;
        let mut process = Process::start(&spec(program, dir, port))?;
        let root = format!("http://127.0.0.1:{port}/");
        http::until("Azurite", READY_LIMIT, async || {
            process.check_alive().map_err(Hopeless)?;
            // Any answer will do; without a login it is a refusal.
            http::call(Method::GET, &root, None, READY_LIMIT).await.map(Some)
        })
        .await?;
        let azure = Self { port, process };
        let container = format!("{}/{CONTAINER}?restype=container&{SIGNATURE}", azure.url());
        http::put(&container, &serde_json::Value::Null).await?.good()?;
        Ok(azure)
    }

    /// The account's address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }

    pub async fn stop(self) -> Result<()> {
        self.process.stop(STOP_LIMIT).await
    }
}

fn spec(program: &Path, dir: &Path, port: u16) -> Spec {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let port = port.to_string();
    let line = [
        "node",
        &text(program),
        "--silent",
        // It would report to its makers otherwise.
        "--disableTelemetry",
        "--skipApiVersionCheck",
        "--location",
        &text(&dir.join("data")),
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        &port,
    ];
    Spec {
        name: "azurite".to_owned(),
        command: line.map(str::to_owned).to_vec(),
        env: [("HOME".to_owned(), text(dir))].into(),
        folder: dir.to_owned(),
        log: dir.join("azurite.log"),
    }
}
