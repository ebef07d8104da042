//! Databases on real PostgreSQL servers of two major versions. The cluster is simulated: what is proved is what becomes of the
//! databases, and that `RESTORE.md` restores them as it stands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Suite;
use super::program::{Finished, Program};
use super::vaults::on_stage;
use crate::bench::stage::Stage;
use crate::peers::postgres::{ADMINISTRATOR, PASSWORD, Postgres, Programs};
use crate::peers::{http, packages};
use crate::say::say;

pub const NAME: &str = "databases";
const RESTORED: &str = "dumped while rows are written, under hostile names; restored by RESTORE.md's own lines: nothing torn, nothing lost";
const WHOLE_SERVER: &str = "the whole server as one script that psql reads into an empty one";
const REFUSED: &str = "a wrong password, no password, no such database, rights that are missing: 10 with what to do, and no pause";
const LEAST: &str = "a login with pg_read_all_data is enough but for large objects, which is told before the pause; the owner's is \
                     enough for its own database, and RESTORE.md says that the roles come without passwords";
const CUT: &str = "the server ends the dump's connection: taken again, under another name";
const SIGNAL: &str = "a signal ends a dump that waits for a lock: promptly, and its tool with it";
const OLDER: &str = "tools that are older than the server: refused before the pause";
const LIMIT: Duration = Duration::from_mins(3);

/// Names that mean something to a shell, to libpq, to SQL or to a terminal.
const HOSTILE: [&str; 8] = [
    "modeler",
    "sp ace; drop",
    "quo'te\"d",
    "postgres://u:p@h/d",
    "host=evil dbname=x",
    "--help",
    "new\nline",
    "ünï\\cöde $(id)",
];
/// pg_dumpall refuses a server with such a name, so its own test does without.
const UNFIT_FOR_DUMPALL: &str = "new\nline";

/// Rows that are there before the dump begins.
const ROWS: u32 = 20_000;

/// Every promise about databases. The servers are brought up for them and end with them.
pub async fn all(suite: &mut Suite, dir: &Path, program: &Program) -> Result<()> {
    let [older, newer] = packages::postgres().await?;
    for programs in [&older, &newer] {
        let dir = dir.join(programs.major.to_string());
        one_major(suite, &dir, programs, &newer, program).await?;
    }
    let server = Postgres::up(&newer, &dir.join("mixed")).await?;
    let place = format!("PostgreSQL {} with tools of {}", newer.major, older.major);
    let scene = Scene { dir: dir.join("too-old"), program, server: &server };
    let shown = too_old(&scene, &older);
    suite.promise_on(NAME, &place, OLDER, shown).await;
    server.stop().await
}

async fn one_major(
    suite: &mut Suite,
    dir: &Path,
    programs: &Programs,
    newer: &Programs,
    program: &Program,
) -> Result<()> {
    let place = format!("PostgreSQL {}", programs.major);
    let server = Postgres::up(programs, &dir.join("source")).await?;
    // What is dumped by an older version must come back in a newer one; the newer one restores into itself.
    let target = Postgres::up(newer, &dir.join("target")).await?;
    say(format_args!("{place} is up, and {} to restore into", target.major));
    prepare(&server).await?;
    let scene = |name: &str| Scene { dir: dir.join(name), program, server: &server };
    suite.promise_on(NAME, &place, RESTORED, restored(&scene("restored"), &target)).await;
    suite.promise_on(NAME, &place, REFUSED, refused(&scene("refused"))).await;
    suite.promise_on(NAME, &place, LEAST, least(&scene("least"))).await;
    suite.promise_on(NAME, &place, CUT, cut(&scene("cut"))).await;
    suite.promise_on(NAME, &place, SIGNAL, signalled(&scene("signal"))).await;
    target.stop().await?;
    let empty = Postgres::up(newer, &dir.join("empty")).await?;
    suite.promise_on(NAME, &place, WHOLE_SERVER, whole_server(&scene("server"), &empty)).await;
    empty.stop().await?;
    server.stop().await
}

/// One promise's own folder, with the server that is backed up.
struct Scene<'a> {
    dir: PathBuf,
    program: &'a Program,
    server: &'a Postgres,
}

impl Scene<'_> {
    /// The program on a fresh stage with these databases; each line is YAML.
    fn set(&self, databases: &[(String, String)]) -> Result<(Program, Stage)> {
        std::fs::create_dir_all(&self.dir)?;
        std::fs::write(self.dir.join("password"), format!("{PASSWORD}\n"))?;
        let lines = databases.iter().map(|(name, keys)| format!("  {name}: {{{keys}}}\n"));
        let file = format!("databases:\n{}", lines.collect::<String>());
        on_stage(self.program, &self.dir, &file)
    }

    /// Keys with which the administrator reaches a database.
    fn keys(&self, database: &str) -> Result<String> {
        self.keys_of(ADMINISTRATOR, &self.dir.join("password"), database)
    }

    fn keys_of(&self, user: &str, password: &Path, database: &str) -> Result<String> {
        // JSON is YAML.
        Ok(format!(
            "host: 127.0.0.1, port: {}, user: {user}, password: {{file: {}}}, dbname: {}, tools: {}",
            self.server.port,
            password.display(),
            serde_json::to_string(database)?,
            self.server.bin.display()
        ))
    }

    fn one(&self, database: &str) -> Result<(Program, Stage)> {
        self.set(&[("one".to_owned(), self.keys(database)?)])
    }

    /// A session of the server's that does something until it is dropped, or asked to end.
    fn session(&self, database: &str, does: &str) -> Result<tokio::process::Child> {
        Ok(self.server.psql(database, does)?.spawn()?)
    }
}

/// Databases with rows in pairs, and things that are easily left out of a dump.
async fn prepare(server: &Postgres) -> Result<()> {
    server.sql("postgres", "create role modeler login password 'modeler'").await?;
    for name in HOSTILE {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        server.sql("postgres", &format!("create database {quoted} owner modeler")).await?;
        for statement in [
            "create table written(n bigint primary key)".to_owned(),
            "create table mirror(n bigint)".to_owned(),
            format!("insert into written select generate_series(1, {ROWS})"),
            "insert into mirror select n from written".to_owned(),
            "create table \"sel'ect; --\"(\"order\" text)".to_owned(),
            "insert into \"sel'ect; --\" values (E'it''s\\n\\\\.\\n\"x\"')".to_owned(),
            "create sequence counted; select setval('counted', 4711)".to_owned(),
            "select lo_from_bytea(4711, '\\x00ff')".to_owned(),
            "alter table written owner to modeler".to_owned(),
        ] {
            server.sql(name, &statement).await?;
        }
    }
    Ok(())
}

/// Writes each number into both tables, in one transaction.
const WRITE: &str = "do $$ begin for i in 20001..10000000 loop insert into written values (i); insert into mirror values (i); \
                     commit; perform pg_sleep(0.001); end loop; end $$";

/// True where no transaction is torn, no row is lost, and all that is easily forgotten is there.
const WHOLE: &str = "select count(*) = max(n) and count(*) >= 20000 and count(*) = (select count(*) from mirror) \
                     and (select last_value = 4711 from counted) \
                     and (select \"order\" = E'it''s\\n\\\\.\\n\"x\"' from \"sel'ect; --\") \
                     and lo_get(4711) = '\\x00ff' from written";

async fn restored(scene: &Scene<'_>, target: &Postgres) -> Result<()> {
    let named: Vec<(String, &str)> =
        HOSTILE.iter().enumerate().map(|(n, name)| (format!("h{n}"), *name)).collect();
    let lines = named.iter().map(|(key, name)| Ok((key.clone(), scene.keys(name)?)));
    let (program, stage) = scene.set(&lines.collect::<Result<Vec<_>>>()?)?;
    let _writers: Vec<_> =
        HOSTILE.iter().map(|name| scene.session(name, WRITE)).collect::<Result<Vec<_>>>()?;
    http::until("rows are written", LIMIT, async || {
        let written = scene.server.sql(HOSTILE[0], "select count(*) from written").await?;
        Ok((written.parse::<u32>()? > ROWS).then_some(()))
    })
    .await?;
    let taken = Taken::by(&program, stage).await?;
    for (key, name) in &named {
        ensure!(taken.part(key)?["dump"]["server"]["database"] == *name, "{key} is not {name:?}");
        taken.restore(key, target).await?;
        let restored = format!("{key}-restored");
        ensure!(target.sql(&restored, WHOLE).await? == "t", "{name:?} came back torn");
        let owner = "select pg_get_userbyid(relowner) from pg_class where relname = 'written'";
        ensure!(target.sql(&restored, owner).await? == "modeler", "{name:?}: the owner is lost");
    }
    Ok(())
}

async fn whole_server(scene: &Scene<'_>, empty: &Postgres) -> Result<()> {
    let keys = format!("{}, mode: dumpall", scene.keys(HOSTILE[2])?);
    let (program, _stage) = scene.set(&[("whole".to_owned(), keys.clone())])?;
    let refused = backup(&program).await?.with_code(10)?;
    told(&refused, &["line break in its name"])?;
    scene.server.sql("postgres", &format!("drop database \"{UNFIT_FOR_DUMPALL}\" with (force)")).await?;
    let (program, stage) = scene.set(&[("whole".to_owned(), keys)])?;
    let taken = Taken::by(&program, stage).await?;
    taken.restore("whole", empty).await?;
    for name in HOSTILE.iter().filter(|name| **name != UNFIT_FOR_DUMPALL) {
        ensure!(empty.sql(name, WHOLE).await? == "t", "{name:?} came back torn");
    }
    let roles = "select count(*) from pg_authid where rolname = 'modeler' and rolpassword is not null";
    ensure!(empty.sql("postgres", roles).await? == "1", "the role came back without its password");
    Ok(())
}

async fn refused(scene: &Scene<'_>) -> Result<()> {
    scene.server.sql("postgres", "create role poor login password 'poor'").await?;
    let (wrong, poor) = (scene.dir.join("wrong"), scene.dir.join("poor"));
    std::fs::create_dir_all(&scene.dir)?;
    std::fs::write(&wrong, "canary-wrong-Pa55")?;
    std::fs::write(&poor, "poor")?;
    let without = scene
        .keys("modeler")?
        .replace(&format!("password: {{file: {}}}, ", scene.dir.join("password").display()), "");
    for (what, keys, words) in [
        (
            "a wrong password",
            scene.keys_of(ADMINISTRATOR, &wrong, "modeler")?,
            ["password authentication failed", "databases.one.password"],
        ),
        ("no password", without, ["no password supplied", "databases.one.password"]),
        ("no such database", scene.keys("nowhere")?, ["does not exist", "databases.one.dbname"]),
        ("no rights", scene.keys_of("poor", &poor, "modeler")?, ["poor may not read", "pg_read_all_data"]),
    ] {
        let (program, _stage) = scene.set(&[("one".to_owned(), keys)])?;
        let ended = backup(&program).await?;
        let ended = ended.with_code(10).with_context(|| what.to_owned())?;
        told(&ended, &words)?;
        ensure!(!ended.err.contains("page step 1"), "{what}: something was paused: {}", ended.err);
    }
    Ok(())
}

async fn least(scene: &Scene<'_>) -> Result<()> {
    scene.server.sql("postgres", "create role reader login password 'reader'").await?;
    scene.server.sql("postgres", "grant pg_read_all_data to reader").await?;
    std::fs::create_dir_all(&scene.dir)?;
    let password = scene.dir.join("reader");
    std::fs::write(&password, "reader")?;
    let keys = scene.keys_of("reader", &password, "modeler")?;
    let (program, _stage) = scene.set(&[("one".to_owned(), keys.clone())])?;
    told(&backup(&program).await?.with_code(10)?, &["reader may not read the large object 4711"])?;
    scene.server.sql("modeler", "grant select on large object 4711 to reader").await?;
    let (program, stage) = scene.set(&[("one".to_owned(), keys)])?;
    let taken = Taken::by(&program, stage).await?;
    // It reads all tables, so also the one that holds the passwords' hashes.
    ensure!(taken.part("one")?["dump"]["server"]["role_passwords"] == true, "{}", taken.shown);

    scene.server.sql("postgres", "create role owner login password 'owner'").await?;
    scene.server.sql("postgres", "create database owned owner owner").await?;
    let password = scene.dir.join("owner");
    std::fs::write(&password, "owner")?;
    let (program, stage) = scene.set(&[("one".to_owned(), scene.keys_of("owner", &password, "owned")?)])?;
    let taken = Taken::by(&program, stage).await?;
    ensure!(taken.part("one")?["dump"]["server"]["role_passwords"] == false, "{}", taken.shown);
    ensure!(taken.guide()?.contains("set them anew"), "RESTORE.md says nothing of the passwords");
    Ok(())
}

/// How many dumps the server knows of, by the name that they give.
const DUMPS: &str =
    "from pg_stat_activity where application_name ~ '^c8keep/[0-9]+' and wait_event_type = 'Lock'";

/// A lock that a dump waits for, as a migration would hold it.
const LOCK: &str = "begin; lock table written; select pg_sleep(600)";

async fn cut(scene: &Scene<'_>) -> Result<()> {
    let (program, stage) = scene.one("modeler")?;
    let lock = scene.session("modeler", LOCK)?;
    let mut running = program.start(&["backup", "-o", "json"])?;
    let waits = waiting(scene);
    running.until(waits).await?;
    scene.server.sql("postgres", &format!("select pg_terminate_backend(pid) {DUMPS}")).await?;
    release(scene, lock).await?;
    let taken = Taken::of(&program, stage, running.ended(LIMIT).await?).await?;
    let path = taken.part("one")?["dump"]["objects"][0]["path"].to_string();
    ensure!(path.contains(".2/"), "the second attempt has no name of its own: {path}");
    Ok(())
}

async fn signalled(scene: &Scene<'_>) -> Result<()> {
    let (program, stage) = scene.one("modeler")?;
    let lock = scene.session("modeler", LOCK)?;
    let mut running = program.start(&["backup"])?;
    running.until(waiting(scene)).await?;
    ensure!(dumps(scene.server)?, "the tool that waits cannot be found");
    let begin = std::time::Instant::now();
    running.signal("TERM").await?;
    let ended = running.ended(LIMIT).await?.with_code(130)?;
    ensure!(begin.elapsed() < Duration::from_secs(15), "it took {:?}", begin.elapsed());
    told(&ended, &["exporting"])?;
    http::until("the tool is gone", Duration::from_secs(5), async || {
        Ok((!dumps(scene.server)?).then_some(()))
    })
    .await?;
    release(scene, lock).await?;
    drop(stage);
    Ok(())
}

async fn waiting(scene: &Scene<'_>) -> Result<()> {
    http::until("the dump waits for the lock", LIMIT, async || {
        let count = scene.server.sql("postgres", &format!("select count(*) {DUMPS}")).await?;
        Ok((count == "1").then_some(()))
    })
    .await
}

async fn release(scene: &Scene<'_>, mut lock: tokio::process::Child) -> Result<()> {
    lock.kill().await?;
    let holder = "select pg_terminate_backend(pid) from pg_stat_activity where query like '%lock table written%' and pid <> pg_backend_pid()";
    scene.server.sql("postgres", holder).await?;
    Ok(())
}

/// Whether a dump of this server still runs: nobody else's has its port in the environment.
fn dumps(server: &Postgres) -> Result<bool> {
    let port = format!("PGPORT={}", server.port);
    let has = |entry: &std::fs::DirEntry| {
        let tool = std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.ends_with("pg_dump"));
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        tool && environment.split(|byte| *byte == 0).any(|variable| variable == port.as_bytes())
    };
    Ok(std::fs::read_dir("/proc")?.flatten().any(|entry| has(&entry)))
}

async fn too_old(scene: &Scene<'_>, older: &Programs) -> Result<()> {
    let keys = scene.keys("postgres")?;
    let keys = keys.replace(&scene.server.bin.display().to_string(), &older.bin().display().to_string());
    let (program, _stage) = scene.set(&[("one".to_owned(), keys)])?;
    let ended = backup(&program).await?.with_code(10)?;
    told(&ended, &["the server has version 18", "databases", "/usr/lib/postgresql/18/bin"])?;
    ensure!(!ended.err.contains("page step 1"), "something was paused: {}", ended.err);
    Ok(())
}

async fn backup(program: &Program) -> Result<Finished> {
    program.run(&["backup"], LIMIT).await
}

fn told(ended: &Finished, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(ended.err.contains(word), "it does not say {word:?}:\n{}", ended.err);
    }
    ensure!(
        !ended.err.contains("canary") && !ended.out.contains("canary"),
        "it shows a password:\n{}",
        ended.err
    );
    Ok(())
}

/// A backup that is complete.
struct Taken {
    folder: PathBuf,
    vault: PathBuf,
    shown: Value,
}

impl Taken {
    async fn by(program: &Program, stage: Stage) -> Result<Taken> {
        let ended = program.run(&["backup", "-o", "json"], LIMIT).await?;
        Taken::of(program, stage, ended).await
    }

    async fn of(program: &Program, stage: Stage, ended: Finished) -> Result<Taken> {
        let ended = ended.with_code(0)?;
        told(&ended, &[])?;
        let id = ended.result()?["backup"].as_u64().context("a backup has an id")?;
        let shown = program.show(id).await?;
        ensure!(!shown.to_string().contains("canary"), "the manifest holds a password");
        stage.close(id)?;
        let vault = program.home().join(".local/share/c8keep/vault");
        Ok(Taken { folder: vault.join(format!("default/backups/{id}")), vault, shown })
    }

    fn part(&self, name: &str) -> Result<&Value> {
        let parts = self.shown["manifest"]["parts"].as_array().context("a manifest has parts")?;
        parts.iter().find(|part| part["name"] == name).with_context(|| format!("{name} is no part"))
    }

    fn guide(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.join("RESTORE.md"))?)
    }

    /// Does what RESTORE.md says of one database, word for word, in a copy of its folder.
    async fn restore(&self, name: &str, into: &Postgres) -> Result<()> {
        let guide = self.guide()?;
        let (_, section) = guide.split_once(&format!("### {name}\n")).context("it is not in RESTORE.md")?;
        let (head, rest) = section.split_once("```bash\n").context("RESTORE.md has no lines for it")?;
        let (lines, _) = rest.split_once("```").context("the lines have no end")?;
        let folder = head.split('`').nth(1).context("RESTORE.md names no folder")?;
        let (from, copy) = (self.vault.join(folder), self.vault.with_file_name(format!("copy-of-{name}")));
        let lines =
            format!("cp -r '{}' '{}'\ncd '{}'\n{lines}", from.display(), copy.display(), copy.display());
        into.shell(&lines).await.with_context(|| format!("restoring {name} by RESTORE.md"))
    }
}
