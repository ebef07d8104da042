//! The weather: what may go wrong, as data. A fault is an event's number and what happens there, so a list of them with a
//! seed is a whole night that can be told, replayed and made shorter.

use std::fmt;
use std::str::FromStr;

use crate::dice::Dice;

/// One fault: at the `at`-th event of the night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Which event, counted from 1.
    pub at: u32,
    /// What happens.
    pub what: What,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wire {
    /// It never arrives; the client waits for its whole deadline.
    Lose,
    /// The connection is refused.
    Refuse,
    /// It arrives and acts; the answer is lost.
    LoseAnswer,
    /// It arrives long after, perhaps when the client has given up.
    Late,
    /// It acts at once and answers late.
    Slow,
    /// It arrives, and is refused with 401.
    Unauthorised,
    /// It arrives, and is refused with 403.
    Forbidden,
    /// It is refused with 429.
    TooMany,
    /// It is refused with 500.
    ServerError,
    /// It is refused with 503.
    Unavailable,
    /// It acts, and a gateway answers 502 in its place.
    BadGatewayAfter,
    /// It acts, and after 10 s a gateway answers 504 in its place.
    GatewayTimeoutAfter,
    /// A proxy answers with a page.
    Page,
    /// It acts; half of the answer's body comes through.
    Cut,
    /// It acts; the answer's body is empty.
    Empty,
}

/// What happens to the installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// One broker is gone.
    BrokerDown(u32),
    /// Nothing answers at the shared management address.
    GatewayDown,
    /// Nothing answers at the search server.
    SearchDown,
    /// Nothing answers at an application.
    AppDown,
    /// Every broker is busy: asked for partitions, it says `{}` every other time.
    Busy,
    /// The cluster is being scaled.
    Scaling,
    /// Accepted runtime backups never appear (store full or gone: 404 for ever).
    NeverAppears,
    /// Runtime backups stay in progress for ever (store killed while saving).
    Stuck,
    /// One partition's runtime backup fails.
    PartitionFails,
    /// The records snapshot ends PARTIAL.
    RecordsPartial,
    /// The records snapshot is accepted and never seen again.
    RecordsVanish,
    /// A part of the web applications ends PARTIAL.
    PartPartial,
    /// The web applications' queue stops before a part.
    PartMissing,
    /// A local snapshot may pass the checkpoint (camunda issue 63806).
    SnapshotPasses,
    /// The exported records are gone.
    RecordsGone,
    /// A proxy's page in place of the search server.
    SearchPage,
    /// The brokers' disks are nearly full.
    DiskFills,
    /// Somebody else pauses exporting, and resumes it when this is over.
    ForeignPause,
    /// A partition exports although its status says that it is paused (camunda pull request 60893).
    PauseForgotten,
    /// The applications answer 500 to everything.
    AppBroken,
    /// The brokers' clocks are ahead.
    ClocksAhead,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The process whose event it is dies without another word.
    Kill,
    /// It is asked to stop.
    Signal,
    /// It stands still for as many seconds, and knows nothing of it.
    Freeze(u32),
    /// Another process is started beside it.
    Second,
    /// Another process is started that does not see the lock of the first, as on another host with a common journal.
    SecondUnlocked,
    /// Clocks of processes started from here on are off by as many seconds.
    ClockOff(i32),
    /// This happens to the next request.
    Wire(Wire),
    /// This is so from here on for as many milliseconds; 0 means until everything heals.
    Trouble(Trouble, u32),
    /// Somebody else resumes exporting.
    ForeignResume,
    /// The next append fails, and left nothing.
    JournalFails,
    /// The next append fails, and is there all the same.
    JournalTakesAndFails,
    /// The journal takes nothing from anybody until everything heals.
    JournalLost,
    /// The next append does not return until everything heals.
    JournalHangs,
    /// The next write into the vault fails, and left nothing.
    VaultFails,
    /// The next write into the vault fails, and is there all the same.
    VaultTakesAndFails,
    /// Nothing can be written into the vault until everything heals.
    VaultFull,
    /// One host neither reads nor writes the vault until everything heals.
    VaultLost,
}

/// Everything that can happen to a request.
pub const WIRES: [Wire; 15] = [
    Wire::Lose,
    Wire::Refuse,
    Wire::LoseAnswer,
    Wire::Late,
    Wire::Slow,
    Wire::Unauthorised,
    Wire::Forbidden,
    Wire::TooMany,
    Wire::ServerError,
    Wire::Unavailable,
    Wire::BadGatewayAfter,
    Wire::GatewayTimeoutAfter,
    Wire::Page,
    Wire::Cut,
    Wire::Empty,
];

/// Everything that can happen to the installation.
pub const TROUBLES: [Trouble; 23] = [
    Trouble::BrokerDown(0),
    Trouble::BrokerDown(1),
    Trouble::BrokerDown(2),
    Trouble::GatewayDown,
    Trouble::SearchDown,
    Trouble::AppDown,
    Trouble::Busy,
    Trouble::Scaling,
    Trouble::NeverAppears,
    Trouble::Stuck,
    Trouble::PartitionFails,
    Trouble::RecordsPartial,
    Trouble::RecordsVanish,
    Trouble::PartPartial,
    Trouble::PartMissing,
    Trouble::SnapshotPasses,
    Trouble::RecordsGone,
    Trouble::SearchPage,
    Trouble::DiskFills,
    Trouble::ForeignPause,
    Trouble::PauseForgotten,
    Trouble::AppBroken,
    Trouble::ClocksAhead,
];

/// Everything else.
pub const OWN: [What; 14] = [
    What::Kill,
    What::Signal,
    What::Freeze(3),
    What::Freeze(90),
    What::Second,
    What::SecondUnlocked,
    What::ClockOff(-3600),
    What::ClockOff(3600),
    What::ForeignResume,
    What::JournalFails,
    What::JournalTakesAndFails,
    What::JournalLost,
    What::VaultFails,
    What::VaultTakesAndFails,
];

/// What hits the journal, the vault and the lock, and would come too seldom among the others.
const GRAVE: [What; 7] = [
    What::JournalFails,
    What::JournalTakesAndFails,
    What::JournalLost,
    What::JournalHangs,
    What::VaultFull,
    What::VaultLost,
    What::Second,
];

/// How long troubles last that end before everything heals: shorter and longer than what brokers and we wait for.
const LASTS_MS: [u32; 3] = [0, 3_000, 25_000];

/// Draws the faults of a night between two events.
pub fn draw(dice: &mut Dice, first: u32, last: u32) -> Vec<Fault> {
    let count = [0, 1, 1, 2, 2, 3, 4, 6][dice.index(8)];
    let mut faults: Vec<Fault> = (0..count).map(|_| draw_one(dice, first, last)).collect();
    if dice.once_in(16) {
        faults.extend(draw_stop(dice, first, last));
    }
    faults.sort_unstable();
    faults
}

/// Somebody stops a process while something is in its way: the one without the other is easy.
fn draw_stop(dice: &mut Dice, first: u32, last: u32) -> [Fault; 2] {
    let at = first + u32::try_from(dice.below(u64::from(last.saturating_sub(first)) + 1)).unwrap_or(0);
    let in_its_way = [What::VaultFull, What::Wire(Wire::Lose), What::Trouble(Trouble::BrokerDown(0), 0)];
    let soon = at + 1 + u32::try_from(dice.below(12)).unwrap_or(0);
    [Fault { at, what: in_its_way[dice.index(3)] }, Fault { at: soon, what: What::Signal }]
}

fn draw_one(dice: &mut Dice, first: u32, last: u32) -> Fault {
    // Finding the installation is the quieter part of the night: most faults belong behind it.
    let from = if dice.below(8) == 0 { 1 } else { first };
    let at = from + u32::try_from(dice.below(u64::from(last.saturating_sub(from)) + 1)).unwrap_or(0);
    let what = match dice.below(11) {
        0..=2 => What::Kill,
        3..=5 => What::Wire(WIRES[dice.index(WIRES.len())]),
        6 | 7 => What::Trouble(TROUBLES[dice.index(TROUBLES.len())], LASTS_MS[dice.index(LASTS_MS.len())]),
        8 => OWN[dice.index(OWN.len())],
        9 => What::Signal,
        _ => GRAVE[dice.index(GRAVE.len())],
    };
    Fault { at, what }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.at, self.what)
    }
}

/// Text that is not a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAFault(pub String);

impl FromStr for Fault {
    type Err = NotAFault;

    /// `17:Kill`, as a fault is shown.
    fn from_str(text: &str) -> Result<Fault, NotAFault> {
        let not = || NotAFault(text.to_owned());
        let (at, what) = text.split_once(':').ok_or_else(not)?;
        let at = at.parse().map_err(|_| not())?;
        let what = all().into_iter().find(|known| format!("{known:?}") == what).ok_or_else(not)?;
        Ok(Fault { at, what })
    }
}

/// Every kind of fault, each once.
pub fn all() -> Vec<What> {
    let wires = WIRES.iter().map(|wire| What::Wire(*wire));
    let troubles = TROUBLES.iter().flat_map(|t| LASTS_MS.iter().map(|ms| What::Trouble(*t, *ms)));
    OWN.into_iter()
        .chain([What::JournalHangs, What::VaultFull, What::VaultLost])
        .chain(wires)
        .chain(troubles)
        .collect()
}
