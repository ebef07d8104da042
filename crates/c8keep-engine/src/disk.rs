//! The brokers' disks while exporting is paused: logs only grow then, so the pause must end before a broker does.

use std::sync::Arc;

use c8keep_core::disk::{Disk, Written, tightest};
use c8keep_core::fault::Fault;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use crate::World;
use crate::ports::Machine;

/// Where a broker stops processing unless it is configured otherwise (Camunda docs 8.5–8.10: `disk.free-space.processing`).
const STOPS_AT_DEFAULT: u64 = 2_000_000_000;

/// How often the disks are looked at while exporting is paused.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(10);

/// The disks that the brokers tell of.
pub fn told(machines: &[Machine]) -> impl Iterator<Item = Disk> {
    machines.iter().filter_map(|machine| {
        let stops_at = machine.stops_at.unwrap_or(STOPS_AT_DEFAULT);
        let written = machine.log_written.zip(machine.uptime);
        let written = written.map(|(bytes, within)| Written { bytes, within });
        Some(Disk { address: machine.address.clone(), free: machine.disk_free?, stops_at, written })
    })
}

/// Why a backup is refused.
pub fn scarce(disk: &Disk) -> Fault {
    Fault::precondition(
        "looking at the brokers' disks",
        &disk.address,
        disk.to_string(),
        "give the broker more space first: while exporting is paused its log only grows, and a full disk stops it",
    )
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
                tightest(told(&machines)).filter(Disk::is_scarce)
            }
            None => std::future::pending().await,
        }
    }
}
