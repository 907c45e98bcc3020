//! What happened? Writes what was decided before it takes effect, and what came of it.
//!
//! [`Ledger`] appends: entries gather in a queue, one thread writes all that wait as one batch into a pre-written
//! segment and syncs it, and then tells the waiters. Tiles, checkpoints and receipts are derived from the segments
//! afterwards. [`Reader`] reads a log without opening it for appending. The module `layout` says what is kept where.

mod batch;
mod bytes;
mod calls;
mod chains;
mod cosign;
mod frame;
pub mod fuzzing;
mod guard;
mod handle;
mod heads;
mod keys;
mod layout;
mod nonces;
mod open;
mod pace;
mod queue;
pub mod quorum;
mod reader;
mod ready;
mod recover;
mod seal;
mod segment;
mod sequencer;
mod shared;
mod slot;
mod spare;
pub mod storage;
mod stored;
mod tiles;
mod told;
mod vault;
mod view;
mod wal;
mod writer;

pub use guard::{CheckpointStore, Mark};
pub use handle::{
    Draft, EraseError, Health, Ledger, LookupError, OpenError, Options, Pending, Receipt, Recorded, Recovery,
    Unavailable,
};
pub use keys::Pseudonyms;
pub use open::entry_bytes_max;
pub use proof::heads::Chain;
pub use reader::{Entries, Kept, KeptEntries, Reader, Unopened};
pub use stored::{Private, Stored};
pub use vault::epoch as key_epoch;
