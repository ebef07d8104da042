//! A broker's disk against the pause: while exporting is paused its log only grows, and a disk that is full stops it. How long
//! there is room follows from what the broker has written so far; where it does not tell that, from a fixed room.

use std::fmt;

use jiff::SignedDuration;

/// The least that is kept free above a broker's own limit, also where it has none.
const RESERVE_MIN: u64 = 256_000_000;

/// Room that a pause may need where nobody tells how fast a log grows.
const ROOM_WANTED: u64 = 5_000_000_000;

/// A mean over less than this is chance: a broker that has just started writes more than later, or nothing at all.
const MEASURED_MIN: SignedDuration = SignedDuration::from_mins(5);

/// A mean hides busy hours, so the room must last for so many budgets.
const BUDGETS_WANTED: i32 = 2;

/// Longer than any pause; nobody wants to read more of it.
const LASTS_MAX: SignedDuration = SignedDuration::from_hours(1_000);

/// One broker's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The broker's management address.
    pub address: String,
    /// Free bytes.
    pub free: u64,
    /// Free bytes below which the broker stops processing.
    pub stops_at: u64,
    /// What it has written, where it tells.
    pub written: Option<Written>,
}

/// What a broker has written into its log since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of all its partitions.
    pub bytes: u64,
    /// In this time.
    pub within: SignedDuration,
}

/// Whether a disk has room for a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Room {
    /// None at all: no pause may begin.
    None,
    /// As long as the log goes on growing as it did.
    Measured {
        /// Bytes an hour.
        hourly: u64,
        /// So long a pause may take before it has to be ended.
        lasts: SignedDuration,
        /// Whether that is enough for the hold budget, with something to spare.
        is_enough: bool,
    },
    /// How fast its log grows nobody tells.
    Fixed {
        /// Whether there is as much as most pauses need.
        is_enough: bool,
    },
}

/// The disk that is nearest to its limit.
pub fn tightest(disks: impl IntoIterator<Item = Disk>) -> Option<Disk> {
    disks.into_iter().min_by_key(Disk::above_limit)
}

/// The disk that has the least room for a pause of this budget.
pub fn least_room(disks: impl IntoIterator<Item = Disk>, budget: SignedDuration) -> Option<(Disk, Room)> {
    let judged = disks.into_iter().map(|disk| {
        let room = disk.room(budget);
        (disk, room)
    });
    judged.min_by_key(|(disk, room)| (room.rank(), disk.above_limit()))
}

impl Disk {
    /// Whether too little is left for exporting to be paused.
    pub fn is_scarce(&self) -> bool {
        self.free < self.kept_free()
    }

    /// Whether a pause of this budget has room on it.
    pub fn room(&self, budget: SignedDuration) -> Room {
        if self.is_scarce() {
            return Room::None;
        }
        let Some(hourly) = self.written.and_then(Written::hourly) else {
            return Room::Fixed { is_enough: self.free >= self.stops_at.saturating_add(ROOM_WANTED) };
        };
        let seconds = u128::from(self.spare()) * 3_600 / u128::from(hourly.max(1));
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let lasts = SignedDuration::from_secs(seconds).min(LASTS_MAX);
        let wanted = budget.checked_mul(BUDGETS_WANTED).unwrap_or(SignedDuration::MAX);
        Room::Measured { hourly, lasts, is_enough: lasts >= wanted.min(LASTS_MAX) }
    }

    /// What a log may still take until the pause has to be ended.
    fn spare(&self) -> u64 {
        self.free.saturating_sub(self.kept_free())
    }

    /// More than the broker's own limit: it must not come so far that the broker stops.
    fn kept_free(&self) -> u64 {
        self.stops_at.saturating_add((self.stops_at / 2).max(RESERVE_MIN))
    }

    fn above_limit(&self) -> i128 {
        i128::from(self.free) - i128::from(self.stops_at)
    }
}

impl Written {
    /// Bytes an hour, where it has written for long enough to tell.
    fn hourly(self) -> Option<u64> {
        let seconds = u128::try_from(self.within.as_secs()).ok().filter(|_| self.within >= MEASURED_MIN)?;
        u64::try_from(u128::from(self.bytes) * 3_600 / seconds).ok()
    }
}

impl Room {
    /// The worse the lower.
    fn rank(&self) -> u8 {
        match self {
            Room::None => 0,
            Room::Measured { is_enough: false, .. } | Room::Fixed { is_enough: false } => 1,
            Room::Measured { .. } | Room::Fixed { .. } => 2,
        }
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} free, and it stops below {}", gigabytes(self.free), gigabytes(self.stops_at))
    }
}

/// Bytes for people, rounded down.
fn gigabytes(bytes: u64) -> String {
    format!("{}.{} GB", bytes / 1_000_000_000, bytes % 1_000_000_000 / 100_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1_000_000_000;
    const BUDGET: SignedDuration = SignedDuration::from_hours(2);

    fn disk(free: u64) -> Disk {
        Disk { address: "http://b0:9600".into(), free, stops_at: 2 * GB, written: None }
    }

    /// With an hourly growth of so many gigabytes, measured over a day.
    fn growing(free: u64, hourly: u64) -> Disk {
        let within = SignedDuration::from_hours(24);
        Disk { written: Some(Written { bytes: 24 * hourly, within }), ..disk(free) }
    }

    fn lasts(disk: &Disk) -> (SignedDuration, bool) {
        match disk.room(BUDGET) {
            Room::Measured { lasts, is_enough, .. } => (lasts, is_enough),
            other => panic!("{other:?}"),
        }
    }

    /// Half of the broker's limit is kept free above it, and at least 256 MB.
    #[test]
    fn what_is_kept_free_is_no_room() {
        assert!(disk(3 * GB - 1).is_scarce() && !disk(3 * GB).is_scarce());
        let unlimited = |free| Disk { stops_at: 0, ..disk(free) };
        assert!(unlimited(RESERVE_MIN - 1).is_scarce() && !unlimited(RESERVE_MIN).is_scarce());
        assert_eq!(disk(0).room(BUDGET), Room::None, "however slowly it grows");
        assert_eq!(growing(3 * GB - 1, 1).room(BUDGET), Room::None);
    }

    #[test]
    fn the_room_is_compared_with_the_budget_and_something_to_spare() {
        let hours = |hours| SignedDuration::from_hours(hours);
        assert_eq!(lasts(&growing(7 * GB, GB)), (hours(4), true));
        assert_eq!(lasts(&growing(6 * GB, GB)), (hours(3), false), "a busy hour writes more than the mean");
        assert_eq!(lasts(&growing(4 * GB, GB)), (hours(1), false));
        assert_eq!(lasts(&growing(4 * GB, 0)), (LASTS_MAX, true), "an idle cluster");
        assert_eq!(lasts(&growing(u64::MAX, 1)).0, LASTS_MAX);
    }

    /// No room is called enough by a number that is none.
    #[test]
    fn what_cannot_be_measured_is_judged_by_fixed_room() {
        let short = SignedDuration::from_secs(MEASURED_MIN.as_secs() - 1);
        let within = |within| Disk { written: Some(Written { bytes: 0, within }), ..disk(6 * GB) };
        for unmeasured in [disk(6 * GB), within(short), within(SignedDuration::ZERO), within(-BUDGET)] {
            assert_eq!(unmeasured.room(BUDGET), Room::Fixed { is_enough: false }, "{unmeasured:?}");
        }
        assert!(matches!(within(MEASURED_MIN).room(BUDGET), Room::Measured { is_enough: true, .. }));
        assert_eq!(disk(7 * GB).room(BUDGET), Room::Fixed { is_enough: true });
    }

    /// One that fills up soon matters more than one that is small and idle.
    #[test]
    fn the_disk_with_the_least_room_is_told() {
        let named = |name: &str, disk: Disk| Disk { address: name.into(), ..disk };
        let idle = named("idle", growing(5 * GB, 0));
        let busy = named("busy", growing(20 * GB, 10 * GB));
        let full = named("full", growing(2 * GB, 0));
        let worst = |disks: &[&Disk]| least_room(disks.iter().copied().cloned(), BUDGET).unwrap().0.address;
        assert_eq!(worst(&[&idle, &busy]), "busy");
        assert_eq!(worst(&[&idle, &busy, &full]), "full");
        assert_eq!(tightest([busy, idle]).unwrap().address, "idle");
        assert_eq!(least_room([], BUDGET), None);
    }
}
