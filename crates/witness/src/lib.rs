//! Who else has seen the log? Witnesses that cosign checkpoints, mirrors that hold the log, and the client that asks them.
//!
//! A [`Witness`] remembers of each log the largest tree it has seen and cosigns only what extends it, so no log can show
//! two histories to people who ask for its cosignature. A [`Mirror`] holds all entries besides, and its cosignature says
//! so. [`Cosigner`] runs beside a ledger and brings their cosignatures to its checkpoints.
//!
//! # Source
//!
//! C2SP tlog-witness v1.0.0, tlog-mirror (commit 5ba5ee8), tlog-cosignature v1.1.0.

mod client;
pub mod fuzzing;
mod headlog;
mod mirror;
mod refusal;
mod request;
mod server;
mod state;
mod store;
mod watch;

pub use client::{Cosigner, CosignerSettings, Peer};
pub use headlog::{HeadLog, HeadLogError, Shard, prove_shard};
pub use mirror::{Mirror, MirrorInfo, Unfinished, mirror_router};
pub use refusal::Refusal;
pub use request::AddCheckpoint;
pub use server::router;
pub use state::Latest;
pub use watch::{OpenError, Witness, origin_hash};
