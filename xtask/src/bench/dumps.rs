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
/// Rows like those of Web Modeler: XML with identifiers of its own, about a kilobyte each.
const FILL: &str = "create table files as select n as id, md5(n::text) as version, string_agg(format( \
    '<bpmn:serviceTask id=\"Activity_%s\" name=\"Charge the customer\"><bpmn:incoming>Flow_%s</bpmn:incoming></bpmn:serviceTask>', \
    substr(md5((n * 7 + m)::text), 1, 7), substr(md5((n * 11 + m)::text), 1, 7)), E'\\n') as content \
    from generate_series(1, 250000) n, generate_series(1, 8) m group by n";

/// Medians of one server.
pub(super) struct Dumps {
    bytes: u64,
    tool: Duration,
    pipe: Duration,
    ours: Duration,
}

/// Brings up a server of its own, fills it, and dumps it in three ways, in turn.
pub(super) fn dumps(program: &Path, runs: usize, scratch: &Scratch) -> Result<Dumps> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let [_, newer] = packages::postgres().await?;
        let dir = scratch.0.join("postgres");
        std::fs::create_dir_all(&dir)?;
        let server = Postgres::up(&newer, &dir.join("server")).await?;
        say("filling a database");
        server.sql("postgres", "create database modeler").await?;
        server.sql("modeler", FILL).await?;
        let bytes = server.sql("modeler", "select pg_database_size('modeler')").await?.parse()?;
        let (mut tools, mut pipes, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for run in 0..runs.max(1) {
            say(format_args!("dumps, {} of {runs}", run + 1));
            tools.push(timed(&server, "pg_dumpall --quote-all-identifiers > /dev/null").await?);
            let file = dir.join("piped.gz");
            let pipe = format!("pg_dumpall --quote-all-identifiers | gzip > {}", file.display());
            pipes.push(timed(&server, &pipe).await?);
            ours.push(taken(program, &server, &dir.join(run.to_string())).await?);
        }
        server.stop().await?;
        let none = "no run";
        Ok(Dumps {
            bytes,
            tool: measure::median(&tools).context(none)?,
            pipe: measure::median(&pipes).context(none)?,
            ours: measure::median(&ours).context(none)?,
        })
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

pub(super) fn render(dumps: &Dumps) -> String {
    let [tool, pipe, ours] = [dumps.tool, dumps.pipe, dumps.ours].map(|time| time.as_secs_f64());
    let mut page = format!(
        "\n## Dumps of databases\n\nA PostgreSQL server with {} MiB, dumped whole (`mode: dumpall`): compressed, hashed and in the \
         vault, beside\nthe bare tool and the shell's pipe.\n\n| way | time | beside the tool | must be |\n| --- | --- | --- | --- |\n",
        dumps.bytes >> 20
    );
    let mut row = |way: &str, time: f64, must: &str| {
        let _ = writeln!(page, "| {way} | {time:.2} s | {:.2} | {must} |", time / tool);
    };
    row("`pg_dumpall > /dev/null`", tool, "");
    row("`pg_dumpall \\| gzip`", pipe, "");
    row("c8keep", ours, "≤ 1.10");
    let _ = writeln!(page, "\nc8keep is {:.1} times as fast as the pipe (must be: 3).", pipe / ours);
    page
}
