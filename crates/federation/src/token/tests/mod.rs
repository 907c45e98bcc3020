//! Every grant over HTTP, and all that must not be granted.

mod answers;
mod bindings;
mod clients;
mod exchange;
mod settings;
mod workloads;
mod world;
