//! A search server with security switched on: what a login may do there and what it may not, and when an operator is told.
//! The cluster is simulated and has no applications, so that everything which c8keep asks of the search server is asked of the
//! real one. Elasticsearch alone: the OpenSearch that is used here comes without its security plugin.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use c8keep_twin::{Config, Host};
use serde_json::{Value, json};

use super::Suite;
use super::program::{Finished, Program};
use crate::bench::stage::Stage;
use crate::peers::proxy::{Gate, Point};
use crate::peers::search::{REPOSITORY, Search};
use crate::peers::{http, packages};
use crate::say::say;

pub const NAME: &str = "secured";
const PLACE: &str = "Elasticsearch with security";
const ENOUGH: &str = "the rights of docs/access.md are enough, for a user and for a key: doctor, plan, a proven backup, and no more rights \
                      than that";
const REFUSED: &str = "may not take snapshots, may not see the records, a wrong password, no credentials: 12 with what is missing, \
                       from doctor, plan and backup, and no pause";
const TAKEN_AWAY: &str =
    "the right is taken away while exporting is paused: 12 with its name, and exporting runs";
const LIMIT: Duration = Duration::from_mins(3);
const PASSWORD: &str = "a-password-of-its-own";
const RECORDS: [&str; 2] =
    ["zeebe-record_job_8.6.0_2026-11-23", "zeebe-record_process-instance_8.6.0_2026-11-23"];

/// The promises about logins. The server is brought up for them and ends with them.
pub async fn all(suite: &mut Suite, dir: &Path, program: &Program) -> Result<()> {
    let kit = packages::kit(crate::peers::search::Kind::Es).await?;
    let search = Search::up_secured(&kit, &dir.join("search")).await?;
    say(format_args!("Elasticsearch with security {} is up", search.address()));
    let logins = Logins::made(&search).await?;
    let scene = |name: &str| Scene { dir: dir.join(name), program, search: &search, logins: &logins };
    suite.promise_on(NAME, PLACE, ENOUGH, scene("enough").enough()).await;
    suite.promise_on(NAME, PLACE, REFUSED, scene("refused").refused()).await;
    suite.promise_on(NAME, PLACE, TAKEN_AWAY, scene("taken-away").taken_away()).await;
    search.stop().await
}

/// The request of docs/access.md that makes a key: what operators are told is what is tried.
fn documented() -> Result<Value> {
    let page = std::fs::read_to_string(crate::root().join("docs/access.md"))?;
    let (_, request) =
        page.split_once("/_security/api_key").context("no request for a key in docs/access.md")?;
    let body = request.split('\'').nth(3).context("the request has no body")?;
    serde_json::from_str(body).context("its body is no JSON")
}

/// What is written under `access.search` for each login, by the name of its role.
struct Logins {
    least: Value,
    key: String,
    key_of_reader: String,
}

impl Logins {
    /// Makes records, roles, users and keys.
    async fn made(search: &Search) -> Result<Self> {
        for name in RECORDS {
            let index = json!({"settings": {"number_of_replicas": 0}});
            http::put(&format!("{}/{name}", search.url()), &index).await?.good()?;
            let record = json!({"position": 1});
            http::post(&format!("{}/{name}/_doc?refresh=true", search.url()), Some(&record)).await?.good()?;
        }
        let asked = documented()?;
        let least = asked["role_descriptors"]["c8keep"].clone();
        let mut reader = least.clone();
        reader["cluster"] = json!(["monitor", "monitor_snapshot"]);
        let mut narrow = least.clone();
        narrow["indices"][0]["names"] = json!(["operate-*"]);
        for (name, role) in [("least", &least), ("reader", &reader), ("narrow", &narrow)] {
            put_role(search, name, role).await?;
            let user = json!({"password": PASSWORD, "roles": [name]});
            http::put(&format!("{}/_security/user/{name}", search.url()), &user).await?.good()?;
        }
        let mut of_reader = asked.clone();
        of_reader["role_descriptors"]["c8keep"] = reader;
        Ok(Self { least, key: key(search, &asked).await?, key_of_reader: key(search, &of_reader).await? })
    }
}

async fn put_role(search: &Search, name: &str, role: &Value) -> Result<()> {
    http::put(&format!("{}/_security/role/{name}", search.url()), role).await?.good()?;
    Ok(())
}

async fn key(search: &Search, asked: &Value) -> Result<String> {
    let made =
        http::post(&format!("{}/_security/api_key", search.url()), Some(asked)).await?.good()?.json()?;
    Ok(made["encoded"].as_str().context("a key without `encoded`")?.to_owned())
}

/// One promise's own folder, with the server and its logins.
struct Scene<'a> {
    dir: PathBuf,
    program: &'a Program,
    search: &'a Search,
    logins: &'a Logins,
}

/// How c8keep shows who it is, and the secret that belongs to it.
struct Login<'a> {
    name: &'a str,
    access: String,
    secret: &'a str,
}

fn user<'a>(name: &'a str, secret: &'a str) -> Login<'a> {
    Login { name, access: format!("basic: {{user: {name}, password: {{env: SECRET}}}}"), secret }
}

fn holder<'a>(name: &'a str, secret: &'a str) -> Login<'a> {
    Login { name, access: "api_key: {env: SECRET}".into(), secret }
}

/// A simulated cluster, and the program as an operator of it has set it up.
struct Set {
    program: Program,
    stage: Stage,
    /// Before the management address.
    gate: Gate,
}

impl Scene<'_> {
    /// The program with a login, and `search` as the address of the server.
    async fn set(&self, login: Option<&Login<'_>>, search: &str) -> Result<Set> {
        let config = Config { tasklist: false, ..Config::demo_8_6() };
        let stage = Stage::open(&config)?;
        stage.stand_in(Host::Search, search);
        let mut variables = stage.environment(REPOSITORY)?;
        let management = variables.remove(MANAGEMENT).context("no management address")?;
        let gate = Gate::before(&management).await?;
        variables.remove("OPERATE_MANAGEMENT_API");
        let access =
            login.map_or_else(String::new, |login| format!("access: {{search: {{{}}}}}\n", login.access));
        let file = format!("operate: {{enabled: false}}\ntasklist: {{enabled: false}}\n{access}");
        let dir = self.dir.join(login.map_or("nobody", |login| login.name));
        std::fs::create_dir_all(&dir)?;
        std::fs::write(dir.join("c8keep.yaml"), file)?;
        let more = [
            (MANAGEMENT, gate.url()),
            ("ELASTIC_ENDPOINT", search.to_owned()),
            ("C8KEEP_CONFIG", "c8keep.yaml".to_owned()),
            ("SECRET", login.map_or_else(String::new, |login| login.secret.to_owned())),
        ];
        variables.extend(more.map(|(name, value)| (name.to_owned(), value)));
        Ok(Set { program: self.program.at(&dir, [])?.with(variables), stage, gate })
    }

    async fn enough(&self) -> Result<()> {
        for login in [user("least", PASSWORD), holder("key", &self.logins.key)] {
            let set = self.set(Some(&login), &self.search.address()).await?;
            let doctor = set.run(&login, &["doctor"], 0).await?;
            for line in ["ok    rights", "the login may not ask whether every node reaches it"] {
                ensure!(doctor.out.contains(line), "{}: no {line:?}: {}", login.name, doctor.out);
            }
            set.run(&login, &["plan"], 0).await?;
            let result = set.run(&login, &["backup", "-o", "json"], 0).await?.result()?;
            let id = result["backup"].as_u64().context("a backup has an id")?;
            ensure!(result["witness"]["verdict"]["kind"] == "proven", "{}: {result}", login.name);
            let name = format!("camunda_zeebe_records_backup_{id}");
            let snapshot = self.search.snapshot(&name).await?;
            let indices = snapshot["indices"].as_array().context("a snapshot without indices")?;
            let holds_all = RECORDS.iter().all(|name| indices.contains(&json!(name)));
            ensure!(
                snapshot["state"] == "SUCCESS" && holds_all && indices.len() == RECORDS.len(),
                "{snapshot}"
            );
            self.may_not_delete(&login, &name).await?;
            set.end()?;
        }
        Ok(())
    }

    /// What a backup does not need, its login cannot do.
    async fn may_not_delete(&self, login: &Login<'_>, snapshot: &str) -> Result<()> {
        let request =
            http::client().delete(format!("{}/_snapshot/{REPOSITORY}/{snapshot}", self.search.address()));
        let request = match login.name {
            "key" => request.header("Authorization", format!("ApiKey {}", login.secret)),
            name => request.basic_auth(name, Some(login.secret)),
        };
        let status = request.timeout(LIMIT).send().await?.status().as_u16();
        ensure!(status == 403, "{} may delete a snapshot: {status}", login.name);
        Ok(())
    }

    async fn refused(&self) -> Result<()> {
        let unknown = Login { name: "unknown-key", ..holder("", "bm9ib2R5Om5vdGhpbmc=") };
        let wrong = Login { name: "wrong-password", ..user("least", "not-its-password") };
        let creates = &["the login lacks create_snapshot", "docs/access.md"][..];
        let sees = &["the login lacks monitor of zeebe-record*", "docs/access.md"][..];
        let not_accepted = &["401", "was not accepted", "`access.search`"][..];
        for (login, words) in [
            (Some(&user("reader", PASSWORD)), creates),
            (Some(&Login { name: "key-of-reader", ..holder("", &self.logins.key_of_reader) }), creates),
            (Some(&user("narrow", PASSWORD)), sees),
            (Some(&wrong), not_accepted),
            (Some(&unknown), not_accepted),
            (None, &["401", "it wants credentials and got none", "`access.search`"][..]),
        ] {
            let set = self.set(login, &self.search.address()).await?;
            let nobody = Login { name: "nobody", access: String::new(), secret: "(none)" };
            let login = login.unwrap_or(&nobody);
            for verb in ["doctor", "plan", "backup"] {
                let ended = set.run(login, &[verb], 12).await?;
                let said = format!("{}{}", ended.out, ended.err);
                let unsaid = words.iter().find(|word| !said.contains(**word));
                ensure!(unsaid.is_none(), "{}, {verb}: no {unsaid:?} in {said}", login.name);
            }
            let paused = set.gate.log().iter().any(|seen| seen.path.contains("/exporting/"));
            ensure!(!paused, "{}: exporting was paused", login.name);
            set.end()?;
        }
        Ok(())
    }

    async fn taken_away(&self) -> Result<()> {
        let gate = Gate::before(&self.search.address()).await?;
        let login = user("least", PASSWORD);
        let set = self.set(Some(&login), &gate.url()).await?;
        let mut asked = gate.hold(Point::BeforeForwarding, "PUT", &format!("/_snapshot/{REPOSITORY}/"));
        let mut backup = set.program.start(&["backup"])?;
        backup.until(asked.reached(LIMIT)).await?;
        ensure!(!set.stage.exports(), "the snapshot was asked for without a pause");
        let mut without = self.logins.least.clone();
        without["cluster"] = json!(["monitor", "monitor_snapshot"]);
        put_role(self.search, "least", &without).await?;
        asked.go();
        let ended = backup.ended(LIMIT).await;
        put_role(self.search, "least", &self.logins.least).await?;
        let ended = ended?.with_code(12)?;
        ensure!(ended.err.contains("[create_snapshot,manage,all]"), "no privilege is named: {}", ended.err);
        set.end()
    }
}

const MANAGEMENT: &str = "ORCHESTRATION_CLUSTER_MANAGEMENT_API";

impl Set {
    /// Runs a verb, which shows no secret.
    async fn run(&self, login: &Login<'_>, args: &[&str], code: i32) -> Result<Finished> {
        let ended = self.program.run(args, LIMIT).await?.with_code(code)?;
        for said in [&ended.out, &ended.err] {
            ensure!(!said.contains(login.secret), "{}: its secret was shown: {said}", login.name);
        }
        Ok(ended)
    }

    /// Whatever was done, exporting runs afterwards.
    fn end(self) -> Result<()> {
        ensure!(self.stage.exports(), "exporting was left paused");
        self.stage.end().map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_role_is_found() {
        let role = documented().expect("a request")["role_descriptors"]["c8keep"].clone();
        let cluster = role["cluster"].as_array().cloned().unwrap_or_default();
        assert!(cluster.contains(&json!("create_snapshot")), "{role}");
        assert!(role["indices"][0]["names"].is_array(), "{role}");
    }
}
