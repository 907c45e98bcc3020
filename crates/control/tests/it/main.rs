//! The control plane from outside: through the router without a network, and through its typed methods.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod access;
mod approvals;
mod conform;
mod crash;
mod desk;
mod erasure;
mod evidence;
mod federation;
mod glass;
mod history;
mod holds;
mod parties;
mod productions;
mod secrets;
mod supersede;
mod world;
