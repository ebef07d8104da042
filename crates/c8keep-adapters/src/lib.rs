//! The outside world of c8keep: one folder per system, all of the same shape. `mod` implements the port, `wire` holds
//! what goes over the line, `fault` turns what the line says into a fault, `tests` feeds it what real servers answered.
//!
//! Nothing here decides what a run does next, and no adapter knows another: HTTP goes through [`transport`] alone.

pub mod camunda;
pub mod clock;
pub mod discovery;
#[cfg(test)]
mod fuzz;
pub mod journal;
pub mod postgres;
pub mod search;
pub mod transport;
pub mod vault;
