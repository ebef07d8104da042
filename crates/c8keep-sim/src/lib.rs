//! The simulator: one seed is one bad night, in which the production engine and the production HTTP adapters make a backup
//! of the twin, on virtual time.
//!
//! A night has a phase in which things go wrong (requests and answers get lost, processes die in the middle of what they
//! do, brokers and search servers go away, the journal and the vault fail, somebody else pauses and resumes) and one in
//! which everything heals and must converge. After every event each promise is compared with the truth.
//!
//! On one night in four processes run on several hosts, each with a journal of its own and a common vault: the production fence
//! claims the installation there, and whoever comes next releases the pause that a dead one has left.
//!
//! Nothing here reads a clock, sleeps, or draws from anything but the seed; the same seed is the same night, to the byte.
//! Transport, journal, vault and clock are simulated at their ports, and nothing above them: what is tested is what ships.

mod befall;
mod change;
pub mod checks;
pub mod coverage;
pub mod dice;
pub mod hunt;
pub mod ledger;
pub mod lists;
pub mod long;
pub mod many;
pub mod mutants;
pub mod night;
pub mod orders;
pub mod process;
pub mod seat;
pub mod setting;
pub mod simulate;
pub mod trace;
pub mod weather;
mod wire;

pub use night::Violation;
pub use setting::Setting;
pub use simulate::{Report, faults_of, run};
pub use weather::{Fault, What};
