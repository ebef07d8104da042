//! What an action is called, and what helps when it does not end, for people.

use super::Action;
use crate::database::DumpMode;

impl Action {
    /// What it does, for people.
    pub fn describe(&self) -> String {
        match self {
            Action::CheckCluster => "all brokers up, no scaling pending".into(),
            Action::CheckExporting => "nobody else has paused exporting".into(),
            Action::CheckStore => "the brokers have a backup store".into(),
            Action::CheckRepository { repository } => {
                format!("repository {repository} registered, and the same in every component")
            }
            Action::CheckVault => "the vault can be written to".into(),
            Action::CheckDatabase { database, .. } => {
                format!("database {database} can be dumped with the tools at hand")
            }
            Action::AwaitQuiet { .. } => "no application is still taking a part of an earlier backup".into(),
            Action::TakeCensus { records: Some(prefix) } => {
                format!("list and count {prefix}* and history indices")
            }
            Action::TakeCensus { records: None } => "list and count history indices".into(),
            Action::CheckId { id } => format!("{id} must be above every id seen"),
            Action::PauseExporting => "soft-pause exporting".into(),
            Action::ResumeExporting => "resume exporting, whatever happened before".into(),
            Action::ReadFirstPositions => "read the exported positions (witness)".into(),
            Action::ReadLastPositions => "read the exported positions again".into(),
            Action::StartHistory { app, id } => format!("start backup {id} of {app}"),
            Action::AwaitHistory { app, id, .. } => format!("wait until backup {id} of {app} is whole"),
            Action::SnapshotRecords { snapshot, prefix, .. } => format!("snapshot {prefix}* as {snapshot}"),
            Action::AwaitRecords { .. } => "wait until that snapshot is whole".into(),
            Action::StartRuntime { id } => format!("start backup {id} of the Zeebe partitions"),
            Action::AwaitRuntime { .. } => "wait until every partition is complete".into(),
            Action::JudgeWitness => "judge whether the pause held".into(),
            Action::DumpDatabase { database, mode: DumpMode::Database } => {
                format!("dump database {database}")
            }
            Action::DumpDatabase { database, mode: DumpMode::Dumpall } => {
                format!("dump all databases of {database}'s server")
            }
            Action::Publish { .. } => "publish the manifest: the backup counts from here on".into(),
            Action::RecordRelease { .. } => "record the release beside the manifest".into(),
        }
    }

    /// The same as something that can fail: what a probe looks for is described as it should be.
    pub fn doing(&self) -> String {
        match self {
            Action::AwaitQuiet { .. } => {
                "waiting until no application is taking a part of an earlier backup any more".into()
            }
            Action::CheckCluster
            | Action::CheckExporting
            | Action::CheckStore
            | Action::CheckRepository { .. }
            | Action::CheckVault
            | Action::CheckDatabase { .. }
            | Action::CheckId { .. } => format!("checking: {}", self.describe()),
            _ => self.describe(),
        }
    }

    /// What to look at when it has used up its time: what was seen on real servers, or is known from their issues.
    pub fn advice(&self) -> String {
        match self {
            // A part that has failed or timed out can leave the rest of the queue in memory for ever (camunda issues
            // 29182 and 43104).
            Action::StartHistory { app, .. } | Action::AwaitHistory { app, .. } => format!(
                "see the log of {app}; where it runs no backup any more and still refuses the next, restart its \
                 pod: its queue lives in memory. Then back up again under a new id"
            ),
            Action::AwaitQuiet { repository } => format!(
                "see what the search server lists as running in repository {repository}, and whether it reaches that \
                 store; then back up again"
            ),
            Action::SnapshotRecords { repository, .. } | Action::AwaitRecords { repository, .. } => format!(
                "see the log of the search server and whether it reaches the store of repository {repository}; \
                 then back up again"
            ),
            // A store that is full, frozen or gone shows as 404 or IN_PROGRESS for ever (seen on 8.6.0).
            Action::StartRuntime { .. } | Action::AwaitRuntime { .. } => {
                "see the brokers' logs and whether they reach their backup store; then back up again under a \
                 new id"
                    .into()
            }
            _ => "see the log of the server that is named; then back up again".into(),
        }
    }
}
