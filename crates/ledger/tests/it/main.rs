//! The ledger from outside: what it keeps through crashes, faults and other processes.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod append;
mod cosign;
mod evidence;
mod faults;
mod fsck;
mod hammer;
mod inject;
mod kept;
mod kill;
mod power;
mod quorum;
mod rekey;
mod reload;
mod sequence;
mod strace;
mod upload;
mod world;
