//! `RESTORE.md`, carried out as its reader would: the lines of its section on the search server, word for word.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

const LIMIT: Duration = Duration::from_mins(10);
/// What the guide has for the reader's own address.
const ADDRESS: &str = "http://localhost:9200";

/// Deletes all indices of the installation and restores every snapshot that holds any.
pub async fn restore_indices(guide: &Path, search: &str, snapshots: usize) -> Result<()> {
    let text = fs::read_to_string(guide).with_context(|| format!("no {}", guide.display()))?;
    let folder = guide.parent().context("RESTORE.md lies somewhere")?;
    let blocks = blocks(&text)?;
    let [address, delete, restore, check] = blocks.as_slice() else {
        anyhow::bail!("section 2 of RESTORE.md has {} blocks of lines, not four", blocks.len());
    };
    ensure!(address.contains(ADDRESS), "RESTORE.md asks for no address: {address}");
    let address = address.replace(ADDRESS, search);
    let deleted = shell(folder, &format!("{address}{delete}")).await?;
    ensure!(deleted.contains("\"acknowledged\":true"), "nothing was deleted: {deleted}");
    let restored = shell(folder, &format!("{address}{restore}")).await?;
    let whole = restored.matches("\"failed\":0").count();
    ensure!(whole == snapshots, "{whole} of {snapshots} snapshots were restored: {restored}");
    let left = shell(folder, &format!("{address}{check}")).await?;
    ensure!(left.trim().is_empty(), "RESTORE.md says that this prints nothing: {left}");
    Ok(())
}

/// The blocks of lines in the section on the search server.
fn blocks(guide: &str) -> Result<Vec<&str>> {
    let (_, section) = guide.split_once("\n## 2. ").context("RESTORE.md has no section 2")?;
    let (section, _) = section.split_once("\n## 3. ").context("RESTORE.md has no section 3")?;
    let after = section.split("```bash\n").skip(1);
    Ok(after.filter_map(|block| Some(block.split_once("```")?.0)).collect())
}

/// What the lines print. They keep a list in a file.
async fn shell(folder: &Path, lines: &str) -> Result<String> {
    let running = Command::new("bash")
        .args(["-u", "-c", lines])
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(LIMIT, running).await.context("the lines of RESTORE.md hang")??;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
