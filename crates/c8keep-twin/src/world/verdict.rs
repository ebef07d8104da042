//! What a restore would bring back, and what not.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many process instances a loss names at most; the count is always whole.
pub const NAMED: usize = 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LossKind {
    /// The engine believes that it exported something that no restored index has.
    Lost,
    /// A restored index has something that the restored engine has never done.
    Ghost,
    /// One half of something that crossed partitions.
    Torn,
    /// The saved log does not join the saved snapshot.
    Gap,
    /// A part or a partition is absent or not complete.
    Missing,
}

/// One finding of the oracle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub kind: LossKind,
    /// The snapshot, index or partition concerned.
    pub place: String,
    pub partition: Option<u32>,
    /// Records concerned; for missing parts 1.
    pub records: u64,
    /// Process instances concerned.
    pub instances: u64,
    /// The first of these instances, by number.
    pub examples: Vec<u32>,
    pub what: String,
}

/// The oracle's answer for one backup id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub backup: u64,
    /// Process instances that the engine knew at the checkpoint.
    pub instances_at_checkpoint: u64,
    /// Of these, how many are whole everywhere after a restore.
    pub instances_restored: u64,
    /// Records at or below the checkpoint, over all partitions.
    pub records_at_checkpoint: u64,
    pub losses: Vec<Loss>,
}

impl Verdict {
    /// Nothing is lost, torn or missing, and nothing is there that should not be.
    pub fn whole(&self) -> bool {
        self.losses.is_empty()
    }

    pub fn has(&self, kind: LossKind) -> bool {
        self.losses.iter().any(|loss| loss.kind == kind)
    }

    /// Records concerned by losses of one kind.
    pub fn records(&self, kind: LossKind) -> u64 {
        self.losses.iter().filter(|loss| loss.kind == kind).map(|loss| loss.records).sum()
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost => "LOST",
            Self::Ghost => "GHOST",
            Self::Torn => "TORN",
            Self::Gap => "GAP",
            Self::Missing => "MISSING",
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.kind, self.place, self.what)?;
        if self.instances > 0 {
            write!(f, " ({} records, {} process instances)", self.records, self.instances)?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "backup {}: {} of {} process instances restored whole",
            self.backup, self.instances_restored, self.instances_at_checkpoint
        )?;
        self.losses.iter().try_for_each(|loss| write!(f, "\n  {loss}"))
    }
}
