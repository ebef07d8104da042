//! The brokers' disks while exporting is paused: logs only grow then, so the pause must end before a broker does.

use std::sync::Arc;

use c8keep_core::fault::Fault;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::World;
use crate::ports::Machine;

/// Where a broker stops processing unless it is configured otherwise (Camunda docs 8.5–8.10: `disk.free-space.processing`).
const STOPS_AT_DEFAULT: u64 = 2_000_000_000;

/// The least that is kept free above a broker's own limit, also where it has none.
const RESERVE_MIN: u64 = 256_000_000;

/// How often the disks are looked at while exporting is paused.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// The broker whose disk is nearest to its limit, if any tells.
pub fn tightest(machines: &[Machine]) -> Option<Disk> {
    let disks = machines.iter().filter_map(|machine| {
        let stops_at = machine.stops_at.unwrap_or(STOPS_AT_DEFAULT);
        Some(Disk { address: machine.address.clone(), free: machine.disk_free?, stops_at })
    });
    disks.min_by_key(|disk| i128::from(disk.free) - i128::from(disk.stops_at))
}

/// One broker's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The broker's management address.
    pub address: String,
    /// Free bytes.
    pub free: u64,
    /// Free bytes below which the broker stops processing.
    pub stops_at: u64,
}

impl Disk {
    /// Whether too little is left for exporting to be paused.
    pub fn is_scarce(&self) -> bool {
        self.free < self.stops_at + (self.stops_at / 2).max(RESERVE_MIN)
    }

    /// Why a backup is refused.
    pub fn fault(&self) -> Fault {
        Fault::precondition(
            "looking at the brokers' disks",
            &self.address,
            self.to_string(),
            "give the broker more space first: while exporting is paused its log only grows, and a full disk stops it",
        )
    }
}

impl std::fmt::Display for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let gb = |bytes: u64| format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000);
        write!(f, "{} free, and it stops below {}", gb(self.free), gb(self.stops_at))
    }
}

/// Looks at the disks again and again, as long as it is asked to.
#[derive(Default)]
pub(crate) struct Watch {
    due: Option<Timestamp>,
    looking: Option<BoxFuture<'static, Vec<Machine>>>,
}

impl Watch {
    /// Begins a look if one is due; `None` as long as exporting is not paused.
    pub(crate) fn follow(&mut self, world: &Arc<World>, paused: bool, now: Timestamp) {
        if !paused {
            *self = Watch::default();
        } else if self.looking.is_none() && now >= *self.due.get_or_insert(now) {
            let world = Arc::clone(world);
            self.looking =
                Some(Box::pin(async move { world.camunda.machines(&world.installation.brokers).await }));
            self.due = Some(now + LOOK_EVERY);
        }
    }

    /// When the next look is due.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.due.filter(|_| self.looking.is_none())
    }

    /// A disk on which too little is left; never returns while nothing is looked at.
    pub(crate) async fn scarce(&mut self) -> Option<Disk> {
        match &mut self.looking {
            Some(looking) => {
                let machines = looking.await;
                self.looking = None;
                tightest(&machines).filter(Disk::is_scarce)
            }
            None => std::future::pending().await,
        }
    }
}
