//! The twin: one simulated Camunda installation, as data.
//!
//! The world is a function of its [`Config`], the requests it was sent and the explicit `now` of each. It reads no
//! clock, never sleeps, draws from nothing but the seed in its configuration, and does no I/O (only [`http`] does, on
//! loopback). A wrong order of backup calls really loses data in it, and [`World::restore`] says what was lost.
//!
//! It must never know anything about c8keep's own plans: what it answers is what the real servers answer.

pub mod config;
pub mod host;
pub mod http;
pub mod likeness;
pub mod wire;
pub mod world;

pub use config::{Config, Durations, Product, Repositories};
pub use host::Host;
pub use wire::{Answer, Request, Response, handle};
pub use world::World;
pub use world::faults::Faults;
pub use world::verdict::{Loss, LossKind, Verdict};
