//! The real binary as a process: killed, stopped, starved, misconfigured and reloaded.

mod agent;
mod approvals;
mod client;
mod config;
mod drill;
mod faults;
mod history;
mod identity;
mod kill;
mod metering;
mod plan;
mod produce;
mod reload;
mod stop;
mod strangers;
mod world;
