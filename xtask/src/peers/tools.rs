//! The tools that the peers need on this machine: found, and on request installed by package name. Only `install`
//! changes the machine; everything else says clearly what is missing.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::say::say;

const CHECK_LIMIT: Duration = Duration::from_mins(1);
const APT_LIMIT: Duration = Duration::from_mins(15);
/// The user that runs Elasticsearch where this process is root: it refuses to run as root.
pub const SEARCH_USER: &str = "c8keep-peer";

#[derive(Debug, Clone)]
pub struct Jdk {
    pub home: PathBuf,
    pub version: u32,
}

struct Missing {
    what: String,
    package: &'static str,
}

/// Installs what is missing, by Debian package name, and creates the search server's user where this is root.
pub async fn install() -> Result<()> {
    let missing = missing().await?;
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|one| one.package).collect();
        let list = names.join(" ");
        if !is_root().await? || !succeeds("apt-get", &["--version"]).await {
            bail!("missing: {}. Install the Debian packages {list}, or their like", described(&missing));
        }
        say(format_args!("installing {list}"));
        run("apt-get", &["update", "-q"], APT_LIMIT).await?;
        let mut args = vec!["install", "-q", "-y", "--no-install-recommends"];
        for name in names {
            // Debian 13 has dropped JDK 17 and PostgreSQL 15; what it has instead does as well.
            let known = succeeds("apt-cache", &["show", name]).await;
            args.push(match name {
                JDK_17 if !known => "openjdk-21-jdk-headless",
                POSTGRES_15 if !known => "postgresql",
                name => name,
            });
        }
        run("env", &[&["DEBIAN_FRONTEND=noninteractive", "apt-get"], args.as_slice()].concat(), APT_LIMIT)
            .await?;
    }
    if is_root().await? && !succeeds("id", &[SEARCH_USER]).await {
        let args =
            ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", SEARCH_USER];
        run("useradd", &args, CHECK_LIMIT).await?;
    }
    check().await
}

/// An error that names everything that is missing, and the command that mends it.
pub async fn check() -> Result<()> {
    let missing = missing().await?;
    if !missing.is_empty() {
        bail!("missing: {}. Run `cargo xtask peers install`", described(&missing));
    }
    if is_root().await? && !succeeds("id", &[SEARCH_USER]).await {
        bail!("missing: the user {SEARCH_USER} for the search server. Run `cargo xtask peers install`");
    }
    Ok(())
}

/// The newest JDK (or, where it need not compile, runtime) whose major version is in the range.
pub fn jdk(versions: RangeInclusive<u32>, compiler: bool) -> Option<Jdk> {
    let mut homes: Vec<PathBuf> = std::env::var_os("JAVA_HOME").map(PathBuf::from).into_iter().collect();
    if let Ok(entries) = std::fs::read_dir("/usr/lib/jvm") {
        homes.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    }
    let mut found = Vec::new();
    for home in homes {
        let program = home.join(if compiler { "bin/javac" } else { "bin/java" });
        if program.is_file()
            && let Some(version) = version_of(&home)
            && versions.contains(&version)
        {
            found.push(Jdk { home, version });
        }
    }
    found.into_iter().max_by_key(|jdk| jdk.version)
}

/// The oldest PostgreSQL before 18 that Debian has put here, with its major version.
pub fn postgres() -> Option<(PathBuf, u32)> {
    let homes = (14..=17).map(|major| (PathBuf::from(format!("/usr/lib/postgresql/{major}")), major));
    homes.into_iter().find(|(home, _)| home.join("bin/postgres").is_file())
}

/// Runs a command to its end within `limit`; its output appears only in the error.
pub async fn run(program: &str, args: &[&str], limit: Duration) -> Result<()> {
    let line = format!("{program} {}", args.join(" "));
    let child = Command::new(program).args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(limit, child)
        .await
        .with_context(|| format!("`{line}` did not end within {limit:?}"))?
        .with_context(|| format!("cannot run `{line}`"))?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        bail!("`{line}`: {}\n{}", output.status, String::from_utf8_lossy(&said).trim());
    }
    Ok(())
}

pub async fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().await.context("cannot run `id -u`")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

const JDK_17: &str = "openjdk-17-jdk-headless";
const POSTGRES_15: &str = "postgresql-15";

async fn missing() -> Result<Vec<Missing>> {
    let mut missing = Vec::new();
    let wanted: [(&str, &[&str], &str); 7] = [
        ("npm", &["--version"], "npm"),
        ("mvn", &["--version"], "maven"),
        ("unzip", &["-v"], "unzip"),
        ("python3", &["-m", "pip", "--version"], "python3-pip"),
        ("setsid", &["--version"], "util-linux"),
        ("tar", &["--version"], "tar"),
        ("zstd", &["--version"], "zstd"),
    ];
    for (program, args, package) in wanted {
        if !succeeds(program, args).await {
            let first = args.iter().take_while(|arg| !arg.ends_with("ersion") && **arg != "-v");
            let what = [program].into_iter().chain(first.copied()).collect::<Vec<_>>().join(" ");
            missing.push(Missing { what, package });
        }
    }
    if jdk(17..=21, true).is_none() {
        missing.push(Missing { what: "a JDK 17 or 21 with compiler".to_owned(), package: JDK_17 });
    }
    if postgres().is_none() {
        missing.push(Missing { what: "PostgreSQL 14 to 17".to_owned(), package: POSTGRES_15 });
    }
    Ok(missing)
}

fn described(missing: &[Missing]) -> String {
    missing.iter().map(|one| one.what.as_str()).collect::<Vec<_>>().join(", ")
}

async fn succeeds(program: &str, args: &[&str]) -> bool {
    run(program, args, CHECK_LIMIT).await.is_ok()
}

/// From the file `release` that every JDK carries: `JAVA_VERSION="21.0.8"`.
fn version_of(home: &Path) -> Option<u32> {
    let release = std::fs::read_to_string(home.join("release")).ok()?;
    let line = release.lines().find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    line.trim_matches('"').split(['.', '+', '-']).next()?.parse().ok()
}
