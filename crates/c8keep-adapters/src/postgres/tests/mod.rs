//! Against tools that are played by small scripts: what they can do wrong, and what must come of it.

mod dumps;
mod fuzz;
mod looks;
mod memory;
mod stage;
mod words;
