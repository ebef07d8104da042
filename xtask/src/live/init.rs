//! `init` on real servers: from one address, and those of the applications, which nobody else knows, it finds the rest and writes
//! a file that stands for all of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::program::{Program, variables};
use crate::peers::cluster::Cluster;
use crate::peers::http;

pub const NAME: &str = "init";
pub const PROMISE: &str = "the file that `init` writes: doctor has nothing to mend with it alone, and plan shows what the variables gave";
const LIMIT: Duration = Duration::from_mins(1);
const FILE: &str = "written.yaml";
/// What may want attention in an installation that is as it should be: nobody has ever backed it up, and 8.6.0 shows passwords.
const UNCONCERNED: [&str; 2] = ["last backup", "secrecy"];

pub async fn check(cluster: &Cluster, program: &Program) -> Result<()> {
    // An exporter that has not exported yet leaves no index, and that would be something to mend.
    http::until("exported records", LIMIT, async || {
        Ok((!cluster.search.indices("zeebe-record*").await?.is_empty()).then_some(()))
    })
    .await?;
    let home = program.home().join(NAME);
    let alone = program.at(&home, [])?;
    let management = cluster.brokers.first().context("no broker")?.management();
    let mut args = vec!["-c".to_owned(), FILE.to_owned(), "init".to_owned(), management];
    for app in cluster.operate.iter().chain(cluster.tasklist.iter()) {
        args.extend([format!("--{}", app.app.name()), app.management()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    alone.run(&args, LIMIT).await?.with_code(0)?;
    says_all(cluster, &home.join(FILE))?;
    nothing_to_mend(&alone.run(&["-c", FILE, "doctor", "-o", "json"], LIMIT).await?.with_code(0)?.json()?)?;
    let by_file = plan(&alone, &["-c", FILE]).await?;
    let by_variables = plan(&program.at(&home, variables(cluster, &[""]))?, &[]).await?;
    for part in ["installation", "plan"] {
        let (file, variables) = (&by_file[part], &by_variables[part]);
        ensure!(
            file.is_object() && file == variables,
            "{part} by the file: {file}\nby variables: {variables}"
        );
    }
    Ok(())
}

/// Nothing is left to be looked at, and what was found and not given stands there.
fn says_all(cluster: &Cluster, file: &Path) -> Result<()> {
    let text = std::fs::read_to_string(file)?;
    ensure!(!text.contains("LOOK HERE"), "something was not found:\n{text}");
    for found in [cluster.search.url(), cluster.brokers[0].rest()] {
        ensure!(text.contains(&found), "{found} is not in the file:\n{text}");
    }
    Ok(())
}

fn nothing_to_mend(doctor: &Value) -> Result<()> {
    let checks = doctor["checks"].as_array().context("the doctor's checks are a list")?;
    ensure!(checks.len() > 10, "the doctor looked at little: {checks:?}");
    for check in checks {
        let is_good = matches!(check["verdict"].as_str(), Some("ok" | "cannot-tell"));
        let is_known =
            check["verdict"] == "warning" && UNCONCERNED.iter().any(|one| check["subject"] == *one);
        ensure!(is_good || is_known, "the doctor says {check}");
    }
    Ok(())
}

/// With an id: what is generated differs each time.
async fn plan(program: &Program, arguments: &[&str]) -> Result<Value> {
    let all: Vec<&str> =
        arguments.iter().copied().chain(["plan", "--id", "9000000000", "-o", "json"]).collect();
    program.run(&all, LIMIT).await?.with_code(0)?.json()
}
