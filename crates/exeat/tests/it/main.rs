//! The real binary as a process: killed, stopped, starved, misconfigured and reloaded.

mod approvals;
mod client;
mod config;
mod faults;
mod history;
mod kill;
mod plan;
mod reload;
mod stop;
mod world;
