//! The receiver of signals: named after the modules of the OpenID conformance suite where there is one.

mod crash;
mod directory;
mod effects;
mod manage;
mod push;
mod revoke;
mod stream;
mod tenants;
mod transmitter;
mod world;
