//! The twin: one simulated Camunda installation, as data.
//!
//! The world is a function of its [`Config`], the requests it was sent and the explicit `now` of each. It reads no
//! clock, never sleeps, draws from nothing but the seed in its configuration, and does no I/O (only [`http`] does, on
//! loopback). A wrong order of backup calls really loses data in it, and [`World::restore`] says what was lost.
//!
//! ```
//! use c8keep_twin::{Config, Host, Request, World, handle};
//!
//! let mut world = World::new(Config::demo_8_6());
//! let now = "2026-11-22T12:00:00Z".parse().expect("an instant");
//! let answer = handle(&mut world, Host::Gateway, &Request::get("/actuator/info"), now).answer().expect("an answer");
//! assert_eq!(answer.value()["build"]["version"], "8.6.0");
//! ```
//!
//! An answer may carry `ready_at`: a real server would give it only then. The effect on the world is there at once; who
//! has a clock waits before passing the answer on, and sends `then` (if any) instead, as [`http`] does.
//!
//! It must never know anything about c8keep's own plans: what it answers is what the real servers answer.

pub mod config;
pub mod host;
pub mod http;
pub mod likeness;
pub mod page;
pub mod wire;
pub mod world;

pub use config::{Config, Contexts, Durations, OwnBackups, Product, Repositories};
pub use host::Host;
pub use wire::{Answer, Request, Response, handle};
pub use world::World;
pub use world::faults::Faults;
pub use world::verdict::{Loss, LossKind, Verdict};
