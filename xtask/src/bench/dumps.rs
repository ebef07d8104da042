//! What a dump costs beside the bare tool and beside the usual shell pipe: the same server, the same data, in one run.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::{Scratch, measure};
use crate::live::{Program, on_stage};
use crate::peers::packages;
use crate::peers::postgres::{ADMINISTRATOR, PASSWORD, Postgres};
use crate::say::say;

const LIMIT: Duration = Duration::from_mins(10);

/// What is dumped. How much a dump has to wait for its compression depends on how much work the server has with a byte.
const FILLS: [(&str, &str); 2] = [
    (
        "3,000,000 short rows and 600,000 JSON documents",
        "create table accounts as select n as aid, n % 30 as bid, n * 7 % 1000 as abalance, ''::char(84) as filler \
             from generate_series(1, 3000000) n; \
         create table documents as select n as id, json_build_object('processInstanceKey', 2251799813685249 + n, \
             'bpmnProcessId', 'order-' || n % 50, 'state', 'COMPLETED', 'startDate', now() + n * interval '1 second', \
             'variables', json_build_object('amount', n * 7 % 1000, 'customer', md5(n::text)))::text as body \
             from generate_series(1, 600000) n",
    ),
    (
        "500,000 XML texts of a kilobyte",
        "create table files as select n as id, md5(n::text) as version, string_agg(format( \
             '<bpmn:serviceTask id=\"Activity_%s\" name=\"Charge the customer\"><bpmn:incoming>Flow_%s</bpmn:incoming></bpmn:serviceTask>', \
             substr(md5((n * 7 + m)::text), 1, 7), substr(md5((n * 11 + m)::text), 1, 7)), E'\\n') as content \
             from generate_series(1, 500000) n, generate_series(1, 8) m group by n",
    ),
];

/// Medians of one server.
pub(super) struct Dumps {
    what: &'static str,
    bytes: u64,
    tool: Duration,
    pipe: Duration,
    ours: Duration,
}

/// Brings up a server of its own, and dumps each filling of it in three ways, in turn.
pub(super) fn dumps(program: &Path, runs: usize, scratch: &Scratch) -> Result<Vec<Dumps>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let [_, newer] = packages::postgres().await?;
        let dir = scratch.0.join("postgres");
        std::fs::create_dir_all(&dir)?;
        let server = Postgres::up(&newer, &dir.join("server")).await?;
        let mut all = Vec::new();
        for (number, (what, fill)) in FILLS.into_iter().enumerate() {
            say(format_args!("filling a database: {what}"));
            server.sql("postgres", "drop database if exists modeler").await?;
            server.sql("postgres", "create database modeler").await?;
            server.sql("modeler", fill).await?;
            all.push(of_one(program, runs, &server, what, &dir.join(format!("fill-{number}"))).await?);
        }
        server.stop().await?;
        Ok(all)
    })
}

async fn of_one(
    program: &Path,
    runs: usize,
    server: &Postgres,
    what: &'static str,
    dir: &Path,
) -> Result<Dumps> {
    std::fs::create_dir_all(dir)?;
    let bytes = server.sql("modeler", "select pg_database_size('modeler')").await?.parse()?;
    let (mut tools, mut pipes, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..runs.max(1) {
        say(format_args!("dumps, {} of {runs}", run + 1));
        tools.push(timed(server, "pg_dumpall --quote-all-identifiers > /dev/null").await?);
        let file = dir.join("piped.gz");
        let pipe = format!("pg_dumpall --quote-all-identifiers | gzip > {}", file.display());
        pipes.push(timed(server, &pipe).await?);
        ours.push(taken(program, server, &dir.join(run.to_string())).await?);
    }
    let none = "no run";
    Ok(Dumps {
        what,
        bytes,
        tool: measure::median(&tools).context(none)?,
        pipe: measure::median(&pipes).context(none)?,
        ours: measure::median(&ours).context(none)?,
    })
}

async fn timed(server: &Postgres, lines: &str) -> Result<Duration> {
    let begin = Instant::now();
    server.shell(lines).await?;
    Ok(begin.elapsed())
}

/// The whole server by c8keep, as one script: how long its step took by its own manifest.
async fn taken(program: &Path, server: &Postgres, dir: &Path) -> Result<Duration> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("password"), PASSWORD)?;
    let file = format!(
        "databases:\n  whole: {{host: 127.0.0.1, port: {}, user: {ADMINISTRATOR}, password: {{file: {}}}, dbname: modeler, \
         tools: {}, mode: dumpall}}\n",
        server.port,
        dir.join("password").display(),
        server.bin.display()
    );
    let (program, stage) = on_stage(&Program::given(program, dir)?, dir, &file)?;
    let done = program.run(&["backup", "-o", "json"], LIMIT).await?.with_code(0)?;
    let id = done.result()?["backup"].as_u64().context("a result without an id")?;
    let shown = program.show(id).await?;
    stage.end()?;
    let steps = shown["manifest"]["steps"].as_array().context("a manifest without steps")?;
    let step = steps.iter().find(|step| step["step"] == "dump-whole").context("no step dump-whole")?;
    let at = |key: &str| -> Result<Timestamp> { Ok(step[key].as_str().context("no time")?.parse()?) };
    Ok(at("ended_at")?.duration_since(at("started_at")?).try_into()?)
}

pub(super) fn render(all: &[Dumps]) -> String {
    let mut page = "\n## Dumps of databases\n\nA PostgreSQL server dumped whole (`mode: dumpall`): compressed, hashed and in the vault, \
                    beside the bare tool\nand the shell's pipe. Server, tool and compression share the machine's processors: where the \
                    server hardly works for a byte,\nas with long texts, the compression is what is waited for.\n\n\
                    | what | MiB | `pg_dumpall > /dev/null` | `pg_dumpall \\| gzip` | c8keep | beside the tool | must be | faster than the \
                    pipe | must be |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for dumps in all {
        let [tool, pipe, ours] = [dumps.tool, dumps.pipe, dumps.ours].map(|time| time.as_secs_f64());
        let _ = writeln!(
            page,
            "| {} | {} | {tool:.2} s | {pipe:.2} s | {ours:.2} s | {:.2} | ≤ 1.10 | {:.1} × | ≥ 3 × |",
            dumps.what,
            dumps.bytes >> 20,
            ours / tool,
            pipe / ours
        );
    }
    page
}
