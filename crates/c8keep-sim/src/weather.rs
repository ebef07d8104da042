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
    /// It does not act, and the answer is 200 with a body whose status is 500.
    FailsInBody,
    /// It acts, and the answer is 200 with a body whose status is 500.
    FailsInBodyAfter,
    /// It is refused with 404.
    Absent,
    /// It acts; in the answer numbers stand for words and words for numbers.
    WrongTypes,
    /// It acts; every state in the answer is a word that nobody knows.
    UnknownWords,
    /// It acts; the answer is longer than the transport takes.
    TooLong,
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
    /// The web applications' queue waits for ever before a part, until their pods are started again.
    QueueStuck,
    /// The web applications leave out a part, and say that the backup is complete.
    PartLeftOut,
    /// Runtime backups leave out a partition, and say that they are complete.
    PartitionLeftOut,
    /// The records snapshot succeeds with nothing in it.
    RecordsEmpty,
    /// The storage behind the repository does not answer: no snapshot moves.
    SnapshotsFrozen,
    /// The storage behind the repository is slow: the web applications' parts take minutes together.
    SnapshotsSlow,
    /// The repository takes reads only.
    RepositoryReadonly,
    /// The repository is not registered.
    RepositoryGone,
    /// The search server takes connections and answers nothing; it does later what was asked of it meanwhile.
    SearchFrozen,
    /// The same with all brokers.
    BrokersFrozen,
    /// The same with the applications.
    AppsFrozen,
    /// The brokers' backup store takes connections and answers nothing.
    StoreFrozen,
    /// Somebody else pauses exporting with the hard pause, and resumes it when this is over.
    ForeignHardPause,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The process whose event it is dies without another word.
    Kill,
    /// It is asked to stop.
    Signal,
    /// A task that it has begun beside itself panics, or, where there is none, the process itself.
    Panic,
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
    /// This happens to the next request that changes something.
    Aimed(Wire),
    /// This happens to the next pause.
    AtPause(Wire),
    /// A broker goes just before the next pause arrives, when the gateway does not know yet.
    DownAtPause,
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
    /// Every write into the vault takes long, some of them too long, until everything heals.
    VaultSlow,
    /// The vault answers nobody until everything heals; what was written meanwhile is there then.
    VaultSilent,
}

/// Everything that can happen to a request.
pub const WIRES: [Wire; 21] = [
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
    Wire::FailsInBody,
    Wire::FailsInBodyAfter,
    Wire::Absent,
    Wire::WrongTypes,
    Wire::UnknownWords,
    Wire::TooLong,
];

/// Everything that can happen to the installation.
pub const TROUBLES: [Trouble; 36] = [
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
    Trouble::QueueStuck,
    Trouble::PartLeftOut,
    Trouble::PartitionLeftOut,
    Trouble::RecordsEmpty,
    Trouble::SnapshotsFrozen,
    Trouble::SnapshotsSlow,
    Trouble::RepositoryReadonly,
    Trouble::RepositoryGone,
    Trouble::SearchFrozen,
    Trouble::BrokersFrozen,
    Trouble::AppsFrozen,
    Trouble::StoreFrozen,
    Trouble::ForeignHardPause,
];

/// Everything else.
pub const OWN: [What; 18] = [
    What::Kill,
    What::Signal,
    What::Panic,
    What::Freeze(3),
    What::Freeze(90),
    What::Second,
    What::SecondUnlocked,
    What::ClockOff(-3600),
    What::ClockOff(3600),
    What::ForeignResume,
    What::DownAtPause,
    What::JournalFails,
    What::JournalTakesAndFails,
    What::JournalLost,
    What::VaultFails,
    What::VaultTakesAndFails,
    What::VaultSlow,
    What::VaultSilent,
];

/// What hits the journal, the vault and the lock, and would come too seldom among the others.
const GRAVE: [What; 9] = [
    What::JournalFails,
    What::JournalTakesAndFails,
    What::JournalLost,
    What::JournalHangs,
    What::VaultFull,
    What::VaultLost,
    What::VaultSlow,
    What::VaultSilent,
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
    if dice.once_in(5) {
        faults.push(draw_for_the_witness(dice, first, last));
    }
    faults.sort_unstable();
    faults
}

/// Somebody stops a process while something is in its way: the one without the other is easy.
fn draw_stop(dice: &mut Dice, first: u32, last: u32) -> [Fault; 2] {
    let at = between(dice, first, last);
    let in_its_way = [What::VaultFull, What::Wire(Wire::Lose), What::Trouble(Trouble::BrokerDown(0), 0)];
    let soon = at + 1 + u32::try_from(dice.below(12)).unwrap_or(0);
    [Fault { at, what: in_its_way[dice.index(3)] }, Fault { at: soon, what: What::Signal }]
}

/// What keeps a pause from being whole, lifts it, or makes another replica lead, in the second half, where the window is: drawn
/// among everything else it seldom comes there.
fn draw_for_the_witness(dice: &mut Dice, first: u32, last: u32) -> Fault {
    let at = between(dice, u32::midpoint(first, last), last);
    let lasts = LASTS_MS[dice.index(LASTS_MS.len())];
    let what = match dice.below(7) {
        0 | 1 => What::ForeignResume,
        2 => What::Trouble(Trouble::PauseForgotten, lasts),
        3 => return Fault { at: first, what: What::DownAtPause },
        4 => return Fault { at: first, what: What::AtPause(Wire::Late) },
        _ => What::Trouble(TROUBLES[dice.index(3)], lasts),
    };
    Fault { at, what }
}

fn between(dice: &mut Dice, first: u32, last: u32) -> u32 {
    first + u32::try_from(dice.below(u64::from(last.saturating_sub(first)) + 1)).unwrap_or(0)
}

fn draw_one(dice: &mut Dice, first: u32, last: u32) -> Fault {
    // Finding the installation is the quieter part of the night: most faults belong behind it.
    let from = if dice.below(8) == 0 { 1 } else { first };
    let at = between(dice, from, last);
    let what = match dice.below(15) {
        0..=2 => What::Kill,
        3 | 4 => What::Wire(WIRES[dice.index(WIRES.len())]),
        5..=7 => What::Aimed(WIRES[dice.index(WIRES.len())]),
        8..=10 => What::Trouble(TROUBLES[dice.index(TROUBLES.len())], LASTS_MS[dice.index(LASTS_MS.len())]),
        11 | 12 => OWN[dice.index(OWN.len())],
        13 => What::Signal,
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
        let aimed = WIRES.iter().flat_map(|wire| [What::Aimed(*wire), What::AtPause(*wire)]);
        let what =
            all().into_iter().chain(aimed).find(|known| format!("{known:?}") == what).ok_or_else(not)?;
        Ok(Fault { at, what })
    }
}

/// Every kind of fault, each once; what is aimed is one of them in another place.
pub fn all() -> Vec<What> {
    let wires = WIRES.iter().map(|wire| What::Wire(*wire));
    let troubles = TROUBLES.iter().flat_map(|t| LASTS_MS.iter().map(|ms| What::Trouble(*t, *ms)));
    OWN.into_iter()
        .chain([What::JournalHangs, What::VaultFull, What::VaultLost])
        .chain(wires)
        .chain(troubles)
        .collect()
}
