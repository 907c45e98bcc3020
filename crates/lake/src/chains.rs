//! Places in chains that follow from the entries before, and so need not be kept.
//!
//! Most links of an entry continue a chain whose last link stands a little earlier: then `seq` and `back` are known.
//! The lake keeps the two numbers only where they do not follow within the row group.

use std::collections::BTreeMap;

use proof::entry::{Class, Link};

/// The last link of every chain seen so far, within one row group.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    last: BTreeMap<(Class, [u8; 16]), (u64, u64)>,
}

impl Chains {
    /// Returns the link that continues the chain in the entry at `index`; `None` for a chain not seen yet.
    pub(crate) fn next(&self, index: u64, class: Class, id: [u8; 16]) -> Option<Link> {
        let (seq, at) = self.last.get(&(class, id))?;
        Some(Link { class, id, seq: seq.checked_add(1)?, back: index.checked_sub(*at)? })
    }

    /// Notes a link of the entry at `index`.
    pub(crate) fn note(&mut self, index: u64, link: &Link) {
        self.last.insert((link.class, link.id), (link.seq, index));
    }
}
