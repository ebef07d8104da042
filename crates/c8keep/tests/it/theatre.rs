//! A simulated installation over HTTP, and the program started against it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use c8keep_twin::http::{Moment, Served, Watcher, serve_watched};
use c8keep_twin::{Config, Host, World};
use jiff::Timestamp;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// Longest wait for anything, for a machine five times slower than usual.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The installation, its servers, and a home for the program.
pub struct Theatre {
    pub world: Arc<Mutex<World>>,
    served: Served,
    /// Every request that may have changed something, as method and target.
    asked: Arc<Mutex<Vec<String>>>,
    home: PathBuf,
    environment: Vec<(String, String)>,
    /// Serves the world while the test waits for the program.
    runtime: tokio::runtime::Runtime,
}

/// What a finished program left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A disk to which others write as well may stand still for longer than a journal may hang; memory does not.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

impl Theatre {
    /// Serves a world; the program will be given the page's variables for it.
    pub fn new(config: Config) -> Theatre {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let split = !config.unified();
        let opensearch = config.search == c8keep_twin::Product::OpenSearch;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let world = Arc::new(Mutex::new(World::new(config)));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let watcher = watcher(&asked);
        let served =
            runtime.block_on(serve_watched(Arc::clone(&world), Arc::new(Timestamp::now), watcher)).unwrap();
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = scratch().join(format!("c8keep-it-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&home).unwrap();
        let mut theatre = Theatre { world, served, asked, home, environment: Vec::new(), runtime };
        theatre.set("ORCHESTRATION_CLUSTER_MANAGEMENT_API", &theatre.url(Host::Gateway));
        if split {
            theatre.set_if_served("OPERATE_MANAGEMENT_API", Host::Operate);
            theatre.set_if_served("TASKLIST_MANAGEMENT_API", Host::Tasklist);
        }
        theatre.set_if_served("OPTIMIZE_MANAGEMENT_API", Host::Optimize);
        let (address, repository) = if opensearch {
            ("OPENSEARCH_ENDPOINT", "OPENSEARCH_SNAPSHOT_REPOSITORY")
        } else {
            ("ELASTIC_ENDPOINT", "ELASTIC_SNAPSHOT_REPOSITORY")
        };
        theatre.set(address, &theatre.url(Host::Search));
        theatre.set(repository, "camunda");
        theatre
    }

    /// A quick world: stages of some tens of milliseconds.
    pub fn quick(version: &str) -> Config {
        let mut config = Config::of(version);
        config.warm_up_ms = 3_000;
        config.durations.history_parts = vec![30];
        config.durations.optimize_parts = vec![30];
        config.durations.part_gap = 10;
        config.durations.records = 60;
        config.durations.runtime_appears = 30;
        config.durations.runtime = 120;
        config
    }

    /// Where a host is to be spoken to, its context path included.
    pub fn url(&self, host: Host) -> String {
        let served = self.served.url(host).unwrap_or_else(|| panic!("{host} is not served"));
        served + self.world().config().contexts.of(host)
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Sets a variable for every later start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.unset(name);
        self.environment.push((name.into(), value.into()));
    }

    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(n, _)| n != name);
    }

    fn set_if_served(&mut self, name: &str, host: Host) {
        if self.served.url(host).is_some() {
            self.set(name, &self.url(host));
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_c8keep"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", &self.home)
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    pub fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(Timestamp::now());
        world
    }

    /// Every request so far that may have changed something, as method, path and query.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.asked_in_all();
        asked.retain(|line| !line.starts_with("GET "));
        asked
    }

    /// The same with every look.
    pub fn asked_in_all(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn has_been_asked(&self, line: &str) -> bool {
        self.asked().iter().any(|one| one.starts_with(line))
    }

    pub fn is_paused(&self) -> bool {
        let world = self.world();
        (1..=world.config().partitions)
            .any(|p| world.exporting(p).is_some_and(|(_, phase)| phase.wire() != "EXPORTING"))
    }

    /// Waits until something has happened in the world.
    pub fn until(&self, what: &str, happened: impl Fn(&Theatre) -> bool) {
        let began = Instant::now();
        while !happened(self) {
            assert!(began.elapsed() < PATIENCE, "never happened: {what}");
            // Looked at again and again, but the cores are left to those who make it happen.
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// Waits until the search server has taken the snapshot of the records: exporting is paused by then.
    pub fn until_records_are_taken(&self, id: u64) {
        let snapshot = format!("/_snapshot/camunda/camunda_zeebe_records_backup_{id}");
        self.until("the records snapshot is accepted", |t| t.by_hand(Host::Search, "GET", &snapshot) == 200);
    }

    pub fn journal(&self) -> PathBuf {
        self.home.join(".local/state/c8keep/journal.db")
    }

    /// Runs a statement on the journal, as somebody with a tool of his own would.
    pub fn in_journal(&self, statement: &str) {
        let options = SqliteConnectOptions::new().filename(self.journal());
        self.runtime.block_on(async {
            let mut journal = SqliteConnection::connect_with(&options).await.unwrap();
            let statement = sqlx::AssertSqlSafe(statement.to_owned());
            sqlx::raw_sql(statement).execute(&mut journal).await.unwrap();
            journal.close().await.unwrap();
        });
    }

    /// Sends one request as somebody else would.
    pub fn by_hand(&self, host: Host, method: &str, path: &str) -> u16 {
        let request = c8keep_twin::Request::new(method, path);
        match c8keep_twin::handle(&mut self.world(), host, &request, Timestamp::now()) {
            c8keep_twin::Response::Answer(answer) => answer.status,
            c8keep_twin::Response::Dropped => 0,
        }
    }
}

fn watcher(asked: &Arc<Mutex<Vec<String>>>) -> Watcher {
    let asked = Arc::clone(asked);
    Arc::new(move |moment, _, request| {
        if moment == Moment::Arrived {
            let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let line = format!("{} {}?{}", request.method, request.path, query.join("&"));
            asked.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

impl Drop for Theatre {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.home);
    }
}

impl Ended {
    /// Everything the program said.
    pub fn said(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub fn expect(self, code: i32, words: &[&str]) -> Ended {
        assert_eq!(self.code, Some(code), "{}", self.said());
        for word in words {
            assert!(self.said().contains(word), "{word:?} is not in:\n{}", self.said());
        }
        self
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.stdout))
    }
}

pub fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
