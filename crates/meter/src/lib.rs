//! What did the model server really generate? A reverse proxy in front of it that counts for itself.
//!
//! **No ticket, no token.** [`Meter`] passes nothing on without a ticket that a gateway signed for this meter, for this
//! model and for one request. It counts what the model server reports and sends, and keeps a log of its own, under a key
//! of its own, so that what a gateway's log says can be held against what somebody else counted.

mod book;
mod compare;
mod config;
mod counters;
#[doc(hidden)]
pub mod fuzzing;
mod meter;
mod metrics;
mod peer;
mod problem;
mod reconcile;
mod relay;
mod schedule;
mod server;
mod service;
mod start;
mod sums;
mod tally;
mod tickets;
mod upstream;
mod wire;

pub use compare::{Comparison, Discrepancy, DiscrepancyKind};
pub use config::{
    IssuerSettings, Limits, ModelSettings, ReconciliationSettings, Settings, TlsSettings, UpstreamSettings,
};
pub use counters::{CounterSource, keep_counting};
pub use meter::Meter;
pub use peer::{ANSWER_BYTES_MAX, Peer, PeerError};
pub use reconcile::{ReconcileError, Reconciled, Reconciler, Settled};
pub use schedule::{Reconciliations, keep_reconciling};
pub use start::{StartError, read_secret};
pub use tally::{Calls, Counted, Hour, Saw};
pub use upstream::BadUpstream;
