//! Vaults on real object stores: the contract of every vault, and a whole backup of the simulated installation into each.
//! No Camunda is needed: what is proved is what the stores do.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use c8keep_adapters::vault::{FolderVault, Login, Store as Address, contract};
use c8keep_core::fault::FaultKind;
use c8keep_engine::ports::Vault;
use c8keep_twin::Config;

use super::Suite;
use super::program::Program;
use crate::bench::stage::Stage;
use crate::peers::azure::{self, Azure};
use crate::peers::store::{self, Store};
use crate::peers::{http, packages};
use crate::say::say;

pub const NAME: &str = "vaults";
const CONTRACT: &str =
    "every promise of a vault holds: write once, read back, list, exactly one of many writers";
const SIGNED: &str = "a shared access signature is as good as a key";
const BACKUP: &str = "a backup of the simulated installation: complete, listed and shown from the store";
const DENIED: &str = "a login that may only read, a wrong one, no bucket: told apart, and before the pause";
const INHERITED: &str =
    "killed in the window: another host with an empty journal knows the pause by the claim and lifts it";
const GONE: &str = "the store is gone: unreachable, with the address, and exporting untouched";
const BACKUP_LIMIT: Duration = Duration::from_mins(3);

/// Every promise about vaults. The stores are brought up for them and end with them.
pub async fn all(suite: &mut Suite, dir: &Path, program: &Program) -> Result<()> {
    let (weed, azurite) = packages::object_stores().await?;
    let store = Store::up(&weed, &dir.join("s3")).await?;
    let azure = Azure::up(&azurite, &dir.join("azure")).await?;
    say(format_args!("S3 store {} and Azure store {} are up", store.url(), azure.url()));
    let folder = FolderVault::new(dir.join("folder"));
    suite.promise_on(NAME, "a folder", CONTRACT, keeps(&folder)).await;
    let s3 = s3(&store, (store::ACCESS_KEY, store::SECRET_KEY), store::BUCKET);
    suite.promise_on(NAME, "S3", CONTRACT, async { keeps(&s3.open()?).await }).await;
    suite.promise_on(NAME, "Azure", CONTRACT, async { keeps(&az(&azure, azure::KEY).open()?).await }).await;
    suite.promise_on(NAME, "Azure", SIGNED, signed(&azure)).await;
    suite.promise_on(NAME, "S3", DENIED, denied(&store)).await;
    let of_s3 = format!(
        "vault:\n  url: s3://{}/backups\n  endpoint: {}\n  access_key: {}\n  secret: {{command: [echo, {}]}}\n",
        store::BUCKET,
        store.url(),
        store::ACCESS_KEY,
        store::SECRET_KEY
    );
    let of_azure = format!(
        "vault:\n  url: az://{}/backups\n  endpoint: {}\n  account: {}\n  secret: {{command: [echo, '{}']}}\n",
        azure::CONTAINER,
        azure.url(),
        azure::ACCOUNT,
        azure::KEY
    );
    suite.promise_on(NAME, "S3", BACKUP, backup(program, &dir.join("by-s3"), &of_s3)).await;
    suite.promise_on(NAME, "Azure", BACKUP, backup(program, &dir.join("by-azure"), &of_azure)).await;
    suite.promise_on(NAME, "S3", INHERITED, inherited(program, &dir.join("hosts"), &of_s3)).await;
    store.stop().await?;
    suite.promise_on(NAME, "S3", GONE, gone(program, &dir.join("gone"), &of_s3)).await;
    azure.stop().await
}

async fn keeps(vault: &dyn Vault) -> Result<()> {
    let kept = contract::holds(vault, "contract").await?;
    say(format_args!("{kept} promises kept in {}", vault.place()));
    Ok(())
}

/// Not the whole contract: Azurite refuses a batch of deletes under a signature, so the probe's object stays.
async fn signed(azure: &Azure) -> Result<()> {
    let vault = az(azure, azure::SIGNATURE).open()?;
    vault.create("default/a.json", b"one").await?;
    let again = vault.create("default/a.json", b"two").await.err().context("it was written over")?;
    ensure!(again.kind == FaultKind::Refused, "{again:?}");
    ensure!(vault.read("default/a.json").await?.as_deref() == Some(b"one"), "it was not kept");
    Ok(vault.check("default").await?)
}

async fn denied(store: &Store) -> Result<()> {
    for (what, login) in [("may only read", store::READER), ("a wrong key", (store::ACCESS_KEY, "wrong"))] {
        let vault = s3(store, login, store::BUCKET).open()?;
        let fault = vault.check("contract").await.err().with_context(|| format!("{what}: accepted"))?;
        ensure!(fault.kind == FaultKind::Unauthorised && !fault.hint.is_empty(), "{what}: {fault:?}");
    }
    // Asked by reading: this store makes a bucket for an administrator who writes into none.
    let nowhere = s3(store, (store::ACCESS_KEY, store::SECRET_KEY), "nowhere").open()?;
    let fault = nowhere.list("contract").await.err().context("no bucket: accepted")?;
    ensure!(fault.kind == FaultKind::Absent && !fault.hint.is_empty(), "no bucket: {fault:?}");
    Ok(())
}

/// The program as an operator uses it, with the vault in its file and nothing else.
async fn backup(program: &Program, dir: &Path, vault: &str) -> Result<()> {
    let (program, stage) = on_stage(program, dir, vault)?;
    let taken = program.run(&["backup", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?;
    let result = taken.result()?;
    let id = result["backup"].as_u64().context("a backup has an id")?;
    let manifest = result["manifest"].as_str().context("a backup has a manifest")?;
    ensure!(manifest.contains("://"), "the manifest lies in {manifest}");
    let list = program.run(&["list", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?;
    ensure!(list.out.contains(&id.to_string()), "list does not know it: {}", list.out);
    let shown = program.run(&["show", "latest"], BACKUP_LIMIT).await?.with_code(0)?;
    ensure!(shown.out.contains("://"), "show does not name the store: {}", shown.out);
    let secrets = [store::SECRET_KEY, azure::KEY];
    for said in [&taken.out, &taken.err, &list.out, &shown.out, &shown.err] {
        ensure!(!secrets.iter().any(|secret| said.contains(secret)), "a secret was shown: {said}");
    }
    stage.close(id).map(|_| ())
}

/// Two homes are two hosts: another journal, the same vault.
async fn inherited(program: &Program, dir: &Path, vault: &str) -> Result<()> {
    let (first, stage) = on_stage(program, &dir.join("first"), vault)?;
    let mut backup = first.start(&["--installation", "pod", "backup"])?;
    let paused = http::until("the pause", BACKUP_LIMIT, async || {
        let status =
            first.run(&["--installation", "pod", "status", "-o", "json"], BACKUP_LIMIT).await?.json()?;
        Ok(status["open_runs"][0]["paused_ms"].is_number().then_some(()))
    });
    backup.until(paused).await?;
    // That kills it.
    drop(backup);
    let second = at(program, &dir.join("second"), vault, &stage)?;
    let ended =
        second.run(&["--installation", "pod", "resume-exporting"], BACKUP_LIMIT).await?.with_code(0)?;
    let says_whose = ended.err.contains("of a process that has ended paused exporting");
    ensure!(says_whose, "it does not say whose: {}", ended.err);
    let taken =
        second.run(&["--installation", "pod", "backup", "-o", "json"], BACKUP_LIMIT).await?.with_code(0)?;
    let id = taken.result()?["backup"].as_u64().context("a backup has an id")?;
    stage.close(id).map(|_| ())
}

async fn gone(program: &Program, dir: &Path, vault: &str) -> Result<()> {
    let (program, _stage) = on_stage(program, dir, vault)?;
    let ended = program.run(&["backup"], BACKUP_LIMIT).await?.with_code(13)?;
    ensure!(ended.err.contains("s3://"), "it does not say which store: {}", ended.err);
    ensure!(!ended.err.contains("page step 1"), "something was paused: {}", ended.err);
    Ok(())
}

const FILE: &str = "c8keep.yaml";

/// The program with this file on a fresh stage.
pub fn on_stage(program: &Program, dir: &Path, file: &str) -> Result<(Program, Stage)> {
    let config = Config::seed_8_8();
    let stage = Stage::open(&config)?;
    Ok((at(program, dir, file, &stage)?, stage))
}

/// The program with a home of its own on a stage, as on another host.
fn at(program: &Program, dir: &Path, vault: &str, stage: &Stage) -> Result<Program> {
    let mut variables = stage.environment(&Config::seed_8_8().repositories.history)?;
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(FILE), vault)?;
    variables.insert("C8KEEP_CONFIG".to_owned(), FILE.to_owned());
    Ok(program.at(dir, [])?.with(variables))
}

fn s3(store: &Store, (id, secret): (&str, &str), bucket: &str) -> Address {
    Address {
        url: format!("s3://{bucket}/contract"),
        endpoint: Some(store.url()),
        login: Some(Login { id: Some(id.to_owned()), secret: secret.into() }),
        ..Address::default()
    }
}

fn az(azure: &Azure, secret: &str) -> Address {
    // Each login has a place of its own: the contract wants one that nothing has used.
    let place = if secret == azure::KEY { "by-key" } else { "by-signature" };
    Address {
        url: format!("az://{}/{place}", azure::CONTAINER),
        endpoint: Some(azure.url()),
        account: Some(azure::ACCOUNT.to_owned()),
        login: Some(Login { id: None, secret: secret.into() }),
        ..Address::default()
    }
}
