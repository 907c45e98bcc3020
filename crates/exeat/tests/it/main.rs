//! The real binary as a process: killed, stopped, starved, misconfigured and reloaded.

mod agent;
mod approvals;
mod archive;
mod client;
mod config;
mod drill;
mod faults;
mod history;
mod holds;
mod identity;
mod kill;
mod lake;
mod metering;
mod plan;
mod produce;
mod record;
mod reload;
mod resumed;
mod stop;
mod strangers;
mod world;
