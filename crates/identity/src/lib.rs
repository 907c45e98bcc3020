//! Who calls? Keys, and the directory of people, organizations and workloads behind them.

mod directory;
mod key;
mod packed;

pub use directory::{Change, Directory, Resolved, SessionEnd};
pub use key::{Confirmation, Holder, KeyFault, KeyRecord, KeyText, Pepper, Purpose};
