//! Where every chain of a log stands, as its entries say one after another.

use std::collections::BTreeMap;

use proof::{
    entry::Entry,
    heads::{Chain, Head, Heads},
};

use crate::Fault;

/// Beside [`Heads`], which can prove, this only counts: a map is made of it where one is needed.
#[derive(Debug, Default)]
pub(crate) struct Places(BTreeMap<Chain, Head>);

impl Places {
    /// Adds the entry at `index` to every chain that it has a link in.
    ///
    /// # Errors
    ///
    /// [`Fault::Contradiction`] if a link does not go on from the entries before.
    pub(crate) fn apply(&mut self, index: u64, entry: &Entry) -> Result<(), Fault> {
        for link in entry.links.iter().flatten() {
            let head = self.0.entry(link.chain()).or_default();
            if *link != head.next(index, link.chain()) {
                return Err(Fault::Contradiction(index, "its links do not go on from them"));
            }
            *head = head.after(index, entry);
        }
        Ok(())
    }

    /// Returns true if a chain has an entry.
    pub(crate) fn has(&self, chain: &Chain) -> bool {
        self.0.contains_key(chain)
    }

    /// Returns the map of heads.
    pub(crate) fn heads(&self) -> Heads {
        let mut heads = Heads::new();
        self.0.iter().for_each(|(chain, head)| heads.set(*chain, *head));
        heads
    }
}
