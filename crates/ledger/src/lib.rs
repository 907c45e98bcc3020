//! What happened? Writes what was decided before it takes effect, and what came of it.
//!
//! [`Ledger`] appends: entries gather in a queue, one thread writes all that wait as one batch into a pre-written
//! segment and syncs it, and then tells the waiters. Tiles, checkpoints and receipts are derived from the segments
//! afterwards. [`Reader`] reads a log without opening it for appending. The module `layout` says what is kept where.

mod batch;
mod bytes;
mod calls;
mod frame;
mod handle;
mod keys;
mod layout;
mod open;
mod pace;
mod queue;
mod reader;
mod recover;
mod salts;
mod segment;
mod sequencer;
mod shared;
mod slot;
mod spare;
pub mod storage;
mod tiles;
mod wal;
mod writer;

pub use handle::{
    Draft, Health, Ledger, LookupError, OpenError, Options, Pending, Receipt, Recorded, Recovery, Stored, Unavailable,
};
pub use reader::{Entries, Reader};
