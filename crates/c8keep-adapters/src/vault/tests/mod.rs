//! Vaults of every kind under test; none of these leaves this machine, see `cargo xtask live --only vaults` for real stores.

mod folder;
mod fuzz;
mod objects;
mod scripted;
