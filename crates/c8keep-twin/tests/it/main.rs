//! One test binary: linking is slower than running.

mod hand;
mod oracle;
mod witness;
