//! The program as its users meet it: started as a process, against a simulated installation over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod access;
mod addresses;
mod backup;
mod bad_input;
mod brokers_down;
mod canaries;
mod databases;
mod doctor;
mod field;
mod foreign;
mod guard;
mod inherited;
mod init;
mod interrupted;
mod last_line;
mod left_open;
mod misbehaving;
mod optional;
mod other_names;
mod own_disk;
mod reading;
mod surface;
mod terminal;
mod theatre;
mod upgraded;
mod vaults;
mod versions;
mod without_claims;
