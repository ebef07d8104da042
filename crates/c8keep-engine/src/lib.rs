//! Doing what `c8keep-core` decides, behind ports.
//!
//! This crate knows no HTTP, no SQL and no file system; it never reads a clock but through [`ports::Clock`].
//! [`drive::drive`] is the loop: ask the run what comes next, journal the intent durably, perform it, journal the answer.
//! [`perform::perform`] is one exhaustive match from action to calls on ports.

pub mod ports;
