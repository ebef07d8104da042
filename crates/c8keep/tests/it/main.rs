//! The program as its users meet it: started as a process, against a simulated installation over HTTP.

mod backup;
mod bad_input;
mod interrupted;
mod surface;
mod theatre;
