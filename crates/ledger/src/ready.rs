//! An entry on its way into the queue: committed to and sealed, not numbered yet.

use std::sync::Arc;

use proof::{
    commit::{Field, Fields},
    entry::{ENTRY_BYTES_MAX, ENTRY_VERSION, Entry, FACTS_BYTES_MAX, Kind},
};

use crate::{
    chains, frame,
    handle::{Draft, Unavailable},
    nonces::Nonces,
    seal,
    vault::{self, NOBODY, NoKey, Owner, Vault},
};

/// What it takes to seal an entry.
#[derive(Debug)]
pub(crate) struct Sealer {
    vault: Arc<Vault>,
    nonces: Nonces,
}

impl Sealer {
    pub(crate) fn new(vault: Arc<Vault>) -> Self {
        Self { vault, nonces: Nonces::default() }
    }
}

/// An entry with everything but its index, its places in chains, and perhaps a later time.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) entry: Entry,
    pub(crate) sealed: Vec<u8>,
    fields: Fields,
    /// The most bytes the leaf can take, whatever its numbers will be.
    leaf_max: usize,
}

impl Ready {
    /// Prepares a draft for the time `at_ms`.
    pub(crate) fn new(sealer: &Sealer, draft: Draft, at_ms: u64) -> Result<Self, Unavailable> {
        let Draft { mut entry, private, chains } = draft;
        check_facts(&entry, &private)?;
        let links = chains::unnumbered(entry.kind, &chains).ok_or(Unavailable::TooLong)?;
        entry.version = ENTRY_VERSION;
        entry.at_ms = at_ms;
        entry.links = Some(links).filter(|links| !links.is_empty());
        (entry.private, entry.key_epoch, entry.nonce) = (None, None, None);
        let mut ready = Self { entry, sealed: Vec::new(), fields: private, leaf_max: 0 };
        ready.seal(sealer)?;
        // A leaf that is refused for its length is refused whatever its numbers are.
        ready.leaf_max = match bound(&ready.entry) {
            bound if bound <= ENTRY_BYTES_MAX => bound,
            _ => ready.entry.encode().map_err(|_| Unavailable::TooLong)?.len(),
        };
        Ok(ready)
    }

    /// Prepares it once more, for a time in another epoch.
    pub(crate) fn again(mut self, sealer: &Sealer, at_ms: u64) -> Result<Self, Unavailable> {
        self.entry.at_ms = at_ms;
        self.seal(sealer)?;
        Ok(self)
    }

    /// Returns true if the private part was sealed for the epoch of this time.
    pub(crate) fn is_for(&self, at_ms: u64) -> bool {
        self.entry.key_epoch.is_none_or(|epoch| epoch == vault::epoch(at_ms))
    }

    /// Returns the most bytes its frame can take.
    pub(crate) fn longest(&self) -> usize {
        frame::HEAD + self.leaf_max + self.sealed.len()
    }

    /// Commits to the private part and seals it.
    fn seal(&mut self, sealer: &Sealer) -> Result<(), Unavailable> {
        if self.fields.is_empty() {
            return Ok(());
        }
        let entry = &mut self.entry;
        let owner = Owner { subject: entry.subject.unwrap_or(NOBODY), epoch: vault::epoch(entry.at_ms) };
        let key = sealer.vault.obtain(owner).map_err(|why| match why {
            // Keys are destroyed of epochs that have ended, so the clock is in one of those.
            NoKey::Destroyed => Unavailable::ClockBehind,
            NoKey::Unknown => Unavailable::Fenced,
        })?;
        if !matches!(entry.kind, Kind::Open | Kind::Close | Kind::Refusal) {
            entry.nonce = Some(sealer.nonces.draw().map_err(|_| Unavailable::Fenced)?);
        }
        entry.key_epoch = Some(owner.epoch);
        let key = key.begin();
        entry.private = key.commit(entry, &self.fields);
        self.sealed = seal::seal(&key, entry, &self.fields).ok_or(Unavailable::TooLong)?;
        Ok(())
    }
}

/// No verifier takes longer facts: the call that rests on them is not served.
fn check_facts(entry: &Entry, private: &Fields) -> Result<(), Unavailable> {
    let has_facts = matches!(entry.kind, Kind::Open | Kind::Close | Kind::Refusal | Kind::Redecision);
    let is_long = private.get(Field::Main).is_some_and(|facts| facts.len() > FACTS_BYTES_MAX);
    if has_facts && is_long { Err(Unavailable::TooLong) } else { Ok(()) }
}

/// Returns how many bytes the leaf of an entry has at most, whatever its numbers are, without writing it: of each field
/// that is there its key, the head of its value, and the value or the longest that it can have.
fn bound(entry: &Entry) -> usize {
    let head = 1 + 2 + 2 + 10;
    let numbers = [entry.opened, entry.facts, entry.lease, entry.covered].iter().flatten().count() * 10;
    let short = [entry.nonce, entry.meter].iter().flatten().count() * 10;
    let ids = [entry.call, entry.subject].iter().flatten().count() * 18;
    let hashes = [entry.snapshot, entry.private, entry.root].iter().flatten().count() * 35;
    let others = entry.key_epoch.map_or(0, |_| 6) + entry.outcome.map_or(0, |_| 3) + entry.usage.map_or(0, |_| 42);
    let texts = [&entry.model, &entry.code, &entry.requested].into_iter().flatten();
    let texts: usize = texts.map(|text| 4 + text.len()).sum();
    let basis = entry.basis.as_ref().map_or(0, |basis| 4 + basis.iter().map(|text| 3 + text.len()).sum::<usize>());
    let links = entry.links.as_ref().map_or(0, |links| 4 + links.len() * 38);
    head + numbers + short + ids + hashes + others + texts + basis + links
}

#[cfg(test)]
mod tests {
    use proof::entry::{Class, Link, Outcome, Usage};

    use super::*;

    /// All fields there are, each as long as it can be: one that is new has to be added here, and counted in [`bound`].
    fn longest(text: &str, chains: u8) -> Entry {
        let some = || Some(text.to_owned());
        let usage = Usage {
            input_tokens: Some(u64::MAX),
            output_tokens: Some(u64::MAX),
            delivered_events: u64::MAX,
            delivered_bytes: u64::MAX,
        };
        let link = |id| Link { class: Class::Model, id: [id; 16], seq: u64::MAX, back: u64::MAX };
        Entry {
            version: ENTRY_VERSION,
            kind: Kind::Heads,
            at_ms: u64::MAX,
            call: Some([0xff; 16]),
            opened: Some(u64::MAX),
            subject: Some([0xff; 16]),
            model: some(),
            snapshot: Some([0xff; 32]),
            basis: Some(vec![text.to_owned(), text.to_owned()]),
            outcome: Some(Outcome::Interrupted),
            code: some(),
            usage: Some(usage),
            private: Some([0xff; 32]),
            requested: some(),
            links: Some((0..chains).map(link).collect()),
            facts: Some(u64::MAX),
            lease: Some(u64::MAX),
            key_epoch: Some(u32::MAX),
            nonce: Some([0xff; 8]),
            root: Some([0xff; 32]),
            covered: Some(u64::MAX),
            meter: Some([0xff; 8]),
        }
    }

    #[test]
    fn no_leaf_is_longer_than_its_bound_and_none_much_shorter() {
        for (text, chains) in [("", 1), ("a", 4), ("twenty-four characters..", 16), (&*"x".repeat(90), 5)] {
            let entry = longest(text, chains);
            let length = entry.encode().map(|leaf| leaf.len());
            let bound = bound(&entry);
            assert!(length.as_ref().is_ok_and(|length| (bound - 32..=bound).contains(length)), "{length:?} {bound}");
        }
    }
}
