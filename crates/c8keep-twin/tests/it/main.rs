//! One test binary: linking is slower than running.

mod dialects;
mod faults;
mod hand;
mod http;
mod likeness;
mod mutants;
mod oracle;
mod products;
mod proof;
mod witness;
