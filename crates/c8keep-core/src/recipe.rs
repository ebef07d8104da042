//! Recipes: from an installation and a wish to a plan. Pure, and snapshot-tested for every version and topology.

mod backup;

pub use backup::{HOLD_BUDGET, Request, backup, names};

#[cfg(test)]
pub(crate) mod tests;
