//! What happened? Writes what was decided before it takes effect, and what came of it.

mod handle;

pub use handle::{
    Draft, Health, Ledger, LookupError, OpenError, Options, Pending, Receipt, Recorded, Recovery,
    Stored, Unavailable,
};
