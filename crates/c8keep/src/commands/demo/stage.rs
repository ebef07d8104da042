//! The stage of the demo: the twin over HTTP, children with the documented variables, and a look behind the scene.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use c8keep_adapters::transport::{Endpoint, HttpTransport, Transport};
use c8keep_core::backup::RECORDS_SNAPSHOT_PREFIX;
use c8keep_core::fault::{Fault, FaultKind};
use c8keep_twin::http::{Served, serve};
use c8keep_twin::{Config, Host, Request, Response, Verdict, World, handle};
use jiff::Timestamp;
use tokio::process::{Child, Command};

use crate::env;
use crate::printer::Printer;

/// How long the demo waits for something that must come; sized for a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often it looks.
const LOOK: Duration = Duration::from_millis(5);

/// A folder that goes with the demo.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Everything the demo plays with.
pub(super) struct Stage {
    world: Arc<Mutex<World>>,
    served: Served,
    folder: Folder,
    printer: Printer,
}

/// A look behind the scene.
pub(super) struct Scene<'a>(MutexGuard<'a, World>);

impl Stage {
    /// Brings the simulated installation up.
    pub(super) async fn set(seed: u64, printer: Printer) -> Result<Stage, Fault> {
        let mut config = Config::demo_8_6();
        config.seed = seed;
        // A window long enough to be watched, and local snapshots often enough that a lifted pause shows at once.
        config.durations.records = 1_500;
        config.rhythm.snapshot = 600;
        let world = Arc::new(Mutex::new(World::new(config)));
        let served = serve(Arc::clone(&world), Arc::new(Timestamp::now))
            .await
            .map_err(|e| broken("starting the simulated installation", &e))?;
        let folder = std::env::temp_dir().join(format!("c8keep-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|e| broken("making a folder for the demo", &e))?;
        // The application port is not where an installation has it, so it is configured.
        let rest = served.url(Host::Rest).unwrap_or_default();
        std::fs::write(folder.join("c8keep.yaml"), format!("rest: {rest}\n"))
            .map_err(|e| broken("writing the demo's configuration", &e))?;
        Ok(Stage { world, served, folder: Folder(folder), printer })
    }

    /// Starts this program as a child with the page's variables.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Child, Fault> {
        self.command(arguments)?.spawn().map_err(|e| broken("starting c8keep", &e))
    }

    fn command(&self, arguments: &[&str]) -> Result<Command, Fault> {
        let program = std::env::current_exe().map_err(|e| broken("looking for this program", &e))?;
        let address = |host| self.served.url(host).unwrap_or_default();
        let mut command = Command::new(program);
        command.args(arguments).kill_on_drop(true);
        for inherited in
            [env::CONFIG, env::INSTALLATION, env::BACKUP_ID, env::RELEASE, env::OPTIMIZE, env::OPENSEARCH]
        {
            command.env_remove(inherited);
        }
        command
            .env(env::CONFIG, self.folder.0.join("c8keep.yaml"))
            .env("XDG_STATE_HOME", self.folder.0.join("state"))
            .env("XDG_DATA_HOME", self.folder.0.join("data"))
            .env(env::MANAGEMENT, address(Host::Gateway))
            .env(env::OPERATE, address(Host::Operate))
            .env(env::TASKLIST, address(Host::Tasklist))
            .env(env::ELASTIC, address(Host::Search))
            .env(env::ELASTIC_REPOSITORY, "camunda");
        Ok(command)
    }

    /// Runs this program to its end.
    pub(super) async fn c8keep(&self, arguments: &[&str]) -> Result<ExitStatus, Fault> {
        self.start(arguments)?.wait().await.map_err(|e| broken("waiting for c8keep", &e))
    }

    /// What c8keep itself says of a backup's witness: `proven`, `violated` or `unproven`.
    pub(super) async fn witness(&self, backup: u64) -> Result<String, Fault> {
        let mut command = self.command(&["show", &backup.to_string(), "-o", "json"])?;
        let output = command.output().await.map_err(|e| broken("asking c8keep for a backup", &e))?;
        let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let kind = shown.pointer("/manifest/witness/verdict/kind").or(shown.pointer("/witness/verdict/kind"));
        Ok(kind.and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned())
    }

    /// Looks behind the scene until something has happened, or patience ends.
    pub(super) async fn until(&self, what: &str, happened: impl Fn(&mut Scene<'_>) -> bool) -> bool {
        let look = async {
            while !happened(&mut self.scene()) {
                tokio::time::sleep(LOOK).await;
            }
        };
        let came = tokio::time::timeout(PATIENCE, look).await.is_ok();
        if !came {
            self.printer.say(&format!("waited for {PATIENCE:?}: {what}"));
        }
        came
    }

    /// Resumes exporting as somebody else would: with the documented call, and without telling c8keep.
    pub(super) async fn resume_by_hand(&self) {
        let address = self.served.url(Host::Gateway).unwrap_or_default();
        if let Ok(endpoint) = Endpoint::parse(&address) {
            let _ = HttpTransport::new().send(endpoint.post("/actuator/exporting/resume")).await;
        }
    }

    /// Whether exporting is paused on some partition.
    pub(super) fn is_paused(&self) -> bool {
        self.scene().is_paused()
    }

    /// What the oracle says of a restore.
    pub(super) fn restore(&self, backup: u64) -> Verdict {
        self.scene().0.restore(backup)
    }

    /// The newest backup with a manifest.
    pub(super) fn newest_backup(&self) -> Option<u64> {
        let backups = std::fs::read_dir(self.folder.0.join("data/c8keep/vault/default/backups")).ok()?;
        backups.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).max()
    }

    /// The newest id that a records snapshot was taken under.
    pub(super) fn newest_run(&self) -> u64 {
        self.scene().newest_records_snapshot().map_or(0, |(id, _)| id)
    }

    /// A heading between two scenes.
    pub(super) fn heading(&self, text: &str) {
        self.printer.heading(text);
    }

    /// Plain words.
    pub(super) fn tell(&self, lines: &[&str]) {
        self.printer.say(&lines.join("\n"));
    }

    fn scene(&self) -> Scene<'_> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(Timestamp::now());
        Scene(world)
    }
}

impl Scene<'_> {
    /// Whether exporting is paused on some partition.
    pub(super) fn is_paused(&self) -> bool {
        (1..=self.0.config().partitions).any(|partition| {
            self.0.exporting(partition).is_some_and(|(_, phase)| phase.wire() != "EXPORTING")
        })
    }

    /// Whether exporting is paused and a records snapshot of a run newer than `earlier` is being copied.
    pub(super) fn copies_records_after(&mut self, earlier: u64) -> bool {
        self.is_paused() && self.newest_records_snapshot().is_some_and(|(id, runs)| id > earlier && runs)
    }

    /// The newest id with a records snapshot, and whether it still runs; asked as anybody would ask.
    fn newest_records_snapshot(&mut self) -> Option<(u64, bool)> {
        let path = format!("/_snapshot/camunda/{RECORDS_SNAPSHOT_PREFIX}*");
        let response = handle(&mut self.0, Host::Search, &Request::new("GET", &path), Timestamp::now());
        let Response::Answer(answer) = response else { return None };
        let body: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
        let newest = |snapshot: &serde_json::Value| {
            let id = snapshot["snapshot"].as_str()?.strip_prefix(RECORDS_SNAPSHOT_PREFIX)?.parse().ok()?;
            Some((id, snapshot["state"] == "IN_PROGRESS"))
        };
        body["snapshots"].as_array()?.iter().filter_map(newest).max()
    }
}

/// Something of the demo's own that does not work.
pub(super) fn broken(doing: &str, error: &io::Error) -> Fault {
    Fault::new(FaultKind::Storage, doing, "this machine", error.to_string())
}
