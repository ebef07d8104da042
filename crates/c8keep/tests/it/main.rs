//! The program as its users meet it: started as a process, against a simulated installation over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod access;
mod backup;
mod bad_input;
mod databases;
mod doctor;
mod field;
mod guard;
mod init;
mod interrupted;
mod left_open;
mod misbehaving;
mod optional;
mod reading;
mod surface;
mod theatre;
mod vaults;
