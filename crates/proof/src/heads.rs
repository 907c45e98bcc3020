//! Heads: where every chain of a log stands, folded from its entries and committed to by one root.
//!
//! A heads entry of the log has the root of the map of all heads. With the head of one chain at two such entries,
//! proved by a few hashes each, the entries of the chain in between are provably complete, and nothing of any other
//! chain is shown. `docs/log-format.md` section 8.

use sha2::{Digest, Sha256};

use crate::{
    entry::{Class, Entry, Kind, Link},
    tree::Hash,
};

mod map;
mod path;

pub use map::Heads;
pub use path::{BadHeadProof, Found, HeadProof, Step};

/// A key of the map has this many bits.
const KEY_BITS: u8 = 136;

/// The name of a chain: what it is about, and about whom.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Chain {
    /// What the chain is about.
    pub class: Class,
    /// Whose it is: a pseudonym; all zeros for what was in force.
    pub id: [u8; 16],
}

impl Chain {
    /// The chain of every snapshot entry.
    pub const IN_FORCE: Self = Self { class: Class::InForce, id: [0; 16] };

    /// Returns the key in the map of heads: the class, then the id.
    fn key(&self) -> Key {
        let mut key = [self.class.ordinal(); 17];
        if let Some(id) = key.last_chunk_mut() {
            *id = self.id;
        }
        Key(key)
    }
}

impl Link {
    /// Returns the chain that the link belongs to.
    #[must_use]
    pub fn chain(&self) -> Chain {
        Chain { class: self.class, id: self.id }
    }
}

/// Where a chain stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Head {
    /// How many entries the chain has.
    pub seq: u64,
    /// The index of the last of them.
    pub last: u64,
    /// Calls that were opened. This sum and those below stay at 2^64 - 1 where they would pass it.
    pub calls: u64,
    /// Calls that were refused.
    pub refusals: u64,
    /// Input tokens of calls that were closed, as far as they are known.
    pub input: u64,
    /// Output tokens of calls that were closed, as far as they are known.
    pub output: u64,
    /// Events with output that were delivered, of calls that were closed.
    pub events: u64,
}

impl Head {
    /// Returns the link that the next entry of this chain must have at `index`, which must be above [`Head::last`].
    ///
    /// The default head is that of a chain without entries.
    #[must_use]
    pub fn next(&self, index: u64, chain: Chain) -> Link {
        let back = if self.seq == 0 { 0 } else { index.saturating_sub(self.last) };
        Link { class: chain.class, id: chain.id, seq: self.seq, back }
    }

    /// Returns the head after `entry`, at `index`, was added to the chain.
    #[must_use]
    pub fn after(mut self, index: u64, entry: &Entry) -> Self {
        self.seq = self.seq.saturating_add(1);
        self.last = index;
        match entry.kind {
            Kind::Open => add(&mut self.calls, 1),
            Kind::Refusal => add(&mut self.refusals, 1),
            Kind::Close => {
                let usage = entry.usage.unwrap_or_default();
                add(&mut self.input, usage.input_tokens.unwrap_or(0));
                add(&mut self.output, usage.output_tokens.unwrap_or(0));
                add(&mut self.events, usage.delivered_events);
            }
            _ => {}
        }
        self
    }

    fn hash(&self, key: &Key) -> Hash {
        let numbers = [self.seq, self.last, self.calls, self.refusals, self.input, self.output, self.events];
        let mut hash = Sha256::new_with_prefix([0]).chain_update(key.0);
        for number in numbers {
            hash.update(number.to_be_bytes());
        }
        hash.finalize().into()
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// A link does not go on from the entries of its chain before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "its link of class {} says {} before and {} back, and the entries before it say {} and {}",
    .found.class.ordinal(), .found.seq, .found.back, .wanted.seq, .wanted.back
)]
pub struct BadLink {
    /// What the entry has.
    pub found: Link,
    /// What it should have.
    pub wanted: Link,
}

/// A chain as the map orders it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key([u8; 17]);

impl Key {
    /// Returns one bit, the most significant of the first byte being 0.
    fn bit(&self, bit: u8) -> bool {
        let byte = self.0.get(usize::from(bit / 8)).copied().unwrap_or(0);
        byte & (0x80 >> (bit % 8)) != 0
    }

    /// Returns the first bit in which two keys differ.
    fn first_difference(&self, other: &Self) -> Option<u8> {
        let differ = |(_, (a, b)): &(u8, (&u8, &u8))| a != b;
        let (byte, (a, b)) = (0..).zip(self.0.iter().zip(&other.0)).find(differ)?;
        u8::try_from((a ^ b).leading_zeros()).ok().map(|bit| byte * 8 + bit)
    }
}

/// Returns the hash of a node of the map, which parts its keys by `bit`.
fn node_hash(bit: u8, left: &Hash, right: &Hash) -> Hash {
    Sha256::new_with_prefix([1, 0, bit]).chain_update(left).chain_update(right).finalize().into()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::Usage;

    prop_compose! {
        /// Chains that share long prefixes now and then.
        pub(crate) fn any_chain()(
            class in prop::sample::select(&[Class::Subject, Class::Key, Class::Organization, Class::Model]),
            first: bool, middle in 0_u8..4, last in 0_u8..3,
        ) -> Chain {
            let mut id = [0; 16];
            (id[0], id[7], id[15]) = (u8::from(first) << 7, middle, last);
            Chain { class, id }
        }
    }

    #[test]
    fn a_head_counts_what_its_entries_say() {
        let close = Entry {
            usage: Some(Usage { input_tokens: Some(7), output_tokens: None, delivered_events: 3, delivered_bytes: 99 }),
            ..Entry::new(Kind::Close)
        };
        let head = Head::default()
            .after(4, &Entry::new(Kind::Open))
            .after(5, &close)
            .after(6, &Entry::new(Kind::Refusal))
            .after(9, &Entry::new(Kind::Lease))
            .after(11, &Entry { usage: None, ..close.clone() });
        assert_eq!(head, Head { seq: 5, last: 11, calls: 1, refusals: 1, input: 7, output: 0, events: 3 });
        let many = Usage { input_tokens: Some(u64::MAX), ..Usage::default() };
        assert_eq!(head.after(12, &Entry { usage: Some(many), ..close }).input, u64::MAX);
    }

    #[test]
    fn the_next_link_counts_what_is_before_and_points_back_to_it() {
        let link = |seq, back| Link { class: Class::InForce, id: [0; 16], seq, back };
        assert_eq!(Head::default().next(9, Chain::IN_FORCE), link(0, 0));
        let head = Head::default().after(9, &Entry::new(Kind::Snapshot));
        assert_eq!(head.next(21, Chain::IN_FORCE), link(1, 12));
    }

    #[test]
    fn keys_differ_first_where_their_bits_do() {
        let key = |class, last| Chain { class, id: std::array::from_fn(|n| if n == 15 { last } else { 0 }) }.key();
        assert_eq!(key(Class::Subject, 1).first_difference(&key(Class::Subject, 1)), None);
        assert_eq!(key(Class::Subject, 1).first_difference(&key(Class::Key, 1)), Some(6));
        assert_eq!(key(Class::Subject, 1).first_difference(&key(Class::Subject, 0)), Some(135));
        assert!(key(Class::Subject, 1).bit(135) && key(Class::Subject, 0x80).bit(128) && key(Class::Subject, 0).bit(7));
    }
}
