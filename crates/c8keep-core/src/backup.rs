//! Names of what is backed up: ids, components, snapshots.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The one id under which all parts of a backup are taken. Zeebe burns it for ever, whatever happens to it
/// ("Zeebe backup and restore": an id must be higher than every earlier one), so ids only rise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct BackupId(u64);

/// A number or text that is not a backup id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a backup id: ids are whole numbers from 1 to {max}", max = i64::MAX)]
pub struct NotABackupId(pub String);

/// One thing with a backup of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Component {
    /// Operate up to 8.7.
    Operate,
    /// Tasklist up to 8.7.
    Tasklist,
    /// The web applications' history from 8.8 on.
    History,
    /// Optimize.
    Optimize,
    /// The exported Zeebe records in Elasticsearch or OpenSearch.
    Records,
    /// The Zeebe partitions.
    Runtime,
    /// A database beside the cluster: Web Modeler's, or any other.
    Database,
}

/// A component that snapshots its own indices when asked over its management port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryApp {
    /// Operate up to 8.7.
    Operate,
    /// Tasklist up to 8.7.
    Tasklist,
    /// All web applications behind `/actuator/backupHistory`, from 8.8 on.
    Webapps,
    /// Optimize.
    Optimize,
}

impl BackupId {
    /// The id for a number; ids are positive and fit Zeebe's signed 64 bit.
    pub fn new(number: u64) -> Result<BackupId, NotABackupId> {
        if number == 0 || i64::try_from(number).is_err() {
            return Err(NotABackupId(number.to_string()));
        }
        Ok(BackupId(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The id of a new backup: seconds since 1970 like the documented procedure, or milliseconds where the
    /// installation already uses ids of that size; always above every id seen. `None` where there is none above.
    pub fn generate(now: jiff::Timestamp, highest_seen: Option<BackupId>) -> Option<BackupId> {
        /// No clock shows this many seconds before the year 5138: an id above it counts milliseconds.
        const SECONDS_MAX: u64 = 100_000_000_000;
        let highest = highest_seen.map_or(0, BackupId::get);
        let seconds = u64::try_from(now.as_second()).unwrap_or(1).max(1);
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(1).max(1);
        let candidate = if highest > SECONDS_MAX { millis } else { seconds };
        BackupId::new(candidate.max(highest + 1)).ok()
    }

    /// The name of the records snapshot, the same as in the documented procedure, so that sets made by hand
    /// and by c8keep are one kind.
    pub fn records_snapshot(self) -> String {
        format!("{RECORDS_SNAPSHOT_PREFIX}{self}")
    }
}

/// What every records snapshot's name begins with.
pub const RECORDS_SNAPSHOT_PREFIX: &str = "camunda_zeebe_records_backup_";

impl TryFrom<u64> for BackupId {
    type Error = NotABackupId;
    fn try_from(number: u64) -> Result<BackupId, NotABackupId> {
        BackupId::new(number)
    }
}

impl From<BackupId> for u64 {
    fn from(id: BackupId) -> u64 {
        id.0
    }
}

impl FromStr for BackupId {
    type Err = NotABackupId;
    fn from_str(text: &str) -> Result<BackupId, NotABackupId> {
        // One text for each id: a folder called +7 or 007 is not that of backup 7.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = text.parse::<u64>().ok().filter(|_| is_plain);
        number.and_then(|n| BackupId::new(n).ok()).ok_or_else(|| NotABackupId(text.into()))
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Component {
    /// The word used everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Component::Operate => "operate",
            Component::Tasklist => "tasklist",
            Component::History => "history",
            Component::Optimize => "optimize",
            Component::Records => "records",
            Component::Runtime => "runtime",
            Component::Database => "database",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl HistoryApp {
    /// The component that this application's backup is a part of.
    pub fn component(self) -> Component {
        match self {
            HistoryApp::Operate => Component::Operate,
            HistoryApp::Tasklist => Component::Tasklist,
            HistoryApp::Webapps => Component::History,
            HistoryApp::Optimize => Component::Optimize,
        }
    }

    /// What the names of its snapshots begin with, before `_<id>_<version>_part_<i>_of_<n>`.
    pub fn snapshot_prefix(self) -> &'static str {
        match self {
            HistoryApp::Operate => "camunda_operate",
            HistoryApp::Tasklist => "camunda_tasklist",
            HistoryApp::Webapps => "camunda_webapps",
            HistoryApp::Optimize => "camunda_optimize",
        }
    }

    /// The pattern that the names of one backup's snapshots match.
    pub fn snapshots_of(self, id: BackupId) -> String {
        format!("{}_{id}_*", self.snapshot_prefix())
    }
}

impl fmt::Display for HistoryApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.component().name())
    }
}

/// A snapshot name of a history application, taken apart: `camunda_operate_100_8.6.0_part_1_of_6`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartName {
    /// Which application wrote it.
    pub app: HistoryApp,
    /// The backup it belongs to.
    pub backup: BackupId,
    /// The application's version, as written in the name.
    pub version: String,
    /// Its number, from 1.
    pub part: u32,
    /// How many parts there are.
    pub of: u32,
}

impl PartName {
    /// Takes a name apart; `None` for every other name.
    pub fn parse(name: &str) -> Option<PartName> {
        const APPS: [HistoryApp; 4] =
            [HistoryApp::Operate, HistoryApp::Tasklist, HistoryApp::Webapps, HistoryApp::Optimize];
        let app = APPS.into_iter().find(|app| name.starts_with(&format!("{}_", app.snapshot_prefix())))?;
        let rest = name.get(app.snapshot_prefix().len() + 1..)?;
        let (backup, rest) = rest.split_once('_')?;
        let (version, numbers) = rest.rsplit_once("_part_")?;
        let (part, of) = numbers.split_once("_of_")?;
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&part).then_some(())?;
        Some(PartName { app, backup: backup.parse().ok()?, version: version.into(), part, of })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_and_fit_zeebe() {
        assert!(BackupId::new(0).is_err());
        assert!(BackupId::new(u64::MAX).is_err());
        assert!("-1".parse::<BackupId>().is_err());
        assert!("12a".parse::<BackupId>().is_err());
        assert!("+7".parse::<BackupId>().is_err() && "007".parse::<BackupId>().is_err());
        assert_eq!("1748937221".parse::<BackupId>().unwrap().get(), 1_748_937_221);
    }

    #[test]
    fn generated_ids_always_rise() {
        let now = jiff::Timestamp::from_second(1_748_937_221).unwrap();
        let next = |highest| BackupId::generate(now, BackupId::new(highest).ok()).map(BackupId::get);
        assert_eq!(next(0), Some(1_748_937_221), "none was seen");
        assert_eq!(next(7), Some(1_748_937_221));
        assert_eq!(next(1_748_937_221), Some(1_748_937_222));
        assert_eq!(next(1_748_937_000_000), Some(1_748_937_221_000));
        assert_eq!(next(1_799_999_000_000), Some(1_799_999_000_001));
        // Found by feeding: an id that no journal could have read again.
        assert_eq!(next(i64::MAX as u64), None);
    }

    #[test]
    fn part_names_are_taken_apart() {
        let part = PartName::parse("camunda_operate_100_8.6.0_part_2_of_6").unwrap();
        assert_eq!((part.backup.get(), part.part, part.of, part.version.as_str()), (100, 2, 6, "8.6.0"));
        let part = PartName::parse("camunda_webapps_7_8.8.0-alpha_1_part_5_of_5").unwrap();
        assert_eq!((part.app, part.version.as_str()), (HistoryApp::Webapps, "8.8.0-alpha_1"));
        for bad in [
            "camunda_operate_100_8.6.0",
            "camunda_operate_0_8.6.0_part_1_of_6",
            "camunda_operate_1_8_part_7_of_6",
        ] {
            assert_eq!(PartName::parse(bad), None, "{bad}");
        }
    }
}
