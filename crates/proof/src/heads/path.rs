//! Proofs of where one chain stands in the map of heads, or that it has no entry.

use super::{Chain, Head, KEY_BITS, node_hash};
use crate::tree::{EMPTY_ROOT, Hash};

/// Shows where one chain stands, to whoever has the root of the map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeadProof {
    /// What the key of the chain leads to.
    pub found: Found,
    /// How it is joined to the root, from the leaf up.
    pub path: Vec<Step>,
}

/// What the key of a chain leads to in the map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Found {
    /// The chain's own head.
    Head(Head),
    /// Another chain and its head: the chain that was asked for has no entry.
    Other(Chain, Head),
    /// Nothing: no chain has an entry.
    Empty,
}

/// One node on the way up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Step {
    /// The bit by which the node parts its keys.
    pub bit: u8,
    /// The hash of the side that is not on the way.
    pub other: Hash,
}

/// The proof does not show where the chain stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadHeadProof {
    /// A key has no such bit, or the bits do not fall on the way up.
    #[error("the bits of the proof are not those of a map of heads")]
    Bits,
    /// It shows another chain, which the key of this one does not lead to.
    #[error("the proof shows a chain that the one asked for does not lead to")]
    Elsewhere,
    /// It leads to another root.
    #[error("the proof does not lead to the root of the heads")]
    Root,
}

impl HeadProof {
    /// Returns the head of `chain` in the map with this `root`; `None` if it has no entry there.
    ///
    /// # Errors
    ///
    /// [`BadHeadProof`]: nothing is shown, neither that the chain has entries nor that it has none.
    pub fn verify(&self, root: &Hash, chain: &Chain) -> Result<Option<Head>, BadHeadProof> {
        let (leaf, head) = match self.found {
            Found::Head(head) => (*chain, head),
            Found::Other(other, head) => {
                self.leads_to(chain, &other)?;
                (other, head)
            }
            Found::Empty => return self.check_empty(root),
        };
        if self.climb(&leaf, &head)? != *root {
            return Err(BadHeadProof::Root);
        }
        Ok((leaf == *chain).then_some(head))
    }

    /// The way to `other` is the way to `chain`: they are not the same, and agree in every bit on the path.
    fn leads_to(&self, chain: &Chain, other: &Chain) -> Result<(), BadHeadProof> {
        let (key, shown) = (chain.key(), other.key());
        let agree = self.path.iter().all(|step| key.bit(step.bit) == shown.bit(step.bit));
        (key != shown && agree).then_some(()).ok_or(BadHeadProof::Elsewhere)
    }

    fn check_empty(&self, root: &Hash) -> Result<Option<Head>, BadHeadProof> {
        let empty = self.path.is_empty() && *root == EMPTY_ROOT;
        empty.then_some(None).ok_or(BadHeadProof::Root)
    }

    /// Returns the root that the path leads to from this leaf.
    fn climb(&self, chain: &Chain, head: &Head) -> Result<Hash, BadHeadProof> {
        let key = chain.key();
        let (mut hash, mut below) = (head.hash(&key), KEY_BITS);
        for Step { bit, other } in &self.path {
            if *bit >= below {
                return Err(BadHeadProof::Bits);
            }
            below = *bit;
            hash = if key.bit(*bit) { node_hash(*bit, other, &hash) } else { node_hash(*bit, &hash, other) };
        }
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::Index};

    use super::{super::tests::any_chain, *};
    use crate::{
        entry::{Class, Entry, Kind},
        heads::Heads,
    };

    fn chain(last: u8) -> Chain {
        Chain { class: Class::Subject, id: std::array::from_fn(|n| if n == 15 { last } else { 0 }) }
    }

    fn map(chains: &[Chain]) -> Heads {
        let mut heads = Heads::new();
        for (index, chain) in (0..).zip(chains) {
            let entry = Entry { links: Some(vec![heads.next(index, *chain)]), ..Entry::new(Kind::Open) };
            heads.apply(index, &entry).unwrap();
        }
        heads
    }

    /// Three keys that end in 00, 01 and 10 are parted at bit 134, then at bit 135; the root was made with the `hashlib`
    /// of Python, after `docs/log-format.md` section 8.
    #[test]
    fn a_path_is_the_one_that_the_format_says() {
        let mut heads = map(&[chain(0), chain(1), chain(2)]);
        let leaf = |heads: &Heads, last| heads.get(&chain(last)).unwrap().hash(&chain(last).key());
        let (zero, one, two) = (leaf(&heads, 0), leaf(&heads, 1), leaf(&heads, 2));
        let low = node_hash(135, &zero, &one);
        assert_eq!(heads.root(), node_hash(134, &low, &two));
        let hex = heads.root().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        assert_eq!(hex, "e98f83748a05a0e2961062afeb3f3e15af73da97da2724428677ff17c03c0dc5");
        assert_eq!(heads.prove(&chain(1)).path, [Step { bit: 135, other: zero }, Step { bit: 134, other: two }]);
        let absent = heads.prove(&chain(3));
        assert_eq!(absent.path, [Step { bit: 134, other: low }]);
        assert_eq!(absent.found, Found::Other(chain(2), *heads.get(&chain(2)).unwrap()));
        assert_eq!(absent.verify(&heads.root(), &chain(3)), Ok(None));
    }

    #[test]
    fn an_empty_map_shows_that_there_is_no_chain_and_a_filled_one_does_not() {
        let empty = Heads::new().prove(&chain(1));
        assert_eq!(empty.verify(&EMPTY_ROOT, &chain(1)), Ok(None));
        let mut heads = map(&[chain(0)]);
        assert_eq!(empty.verify(&heads.root(), &chain(1)), Err(BadHeadProof::Root));
        let padded = HeadProof { path: heads.prove(&chain(0)).path, ..empty };
        assert_eq!(padded.verify(&heads.root(), &chain(1)), Err(BadHeadProof::Root));
    }

    #[test]
    fn a_chain_that_has_entries_cannot_be_shown_to_have_none() {
        let mut heads = map(&[chain(0), chain(1), chain(2)]);
        let root = heads.root();
        for (hidden, shown) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
            let mut proof = heads.prove(&chain(shown));
            let Found::Head(head) = proof.found else { panic!("it has entries") };
            proof.found = Found::Other(chain(shown), head);
            assert_eq!(proof.verify(&root, &chain(hidden)), Err(BadHeadProof::Elsewhere), "{hidden} by {shown}");
            assert_eq!(proof.verify(&root, &chain(shown)), Err(BadHeadProof::Elsewhere), "{shown} by itself");
        }
    }

    #[test]
    fn bits_that_rise_repeat_or_do_not_exist_are_refused() {
        let mut heads = map(&[chain(0), chain(1), chain(2)]);
        let root = heads.root();
        for change in [
            (|path| path.reverse()) as fn(&mut Vec<Step>),
            |path| path.push(path[1]),
            |path| path[0].bit = 136,
            |path| path[0].bit = 255,
        ] {
            let mut proof = heads.prove(&chain(0));
            change(&mut proof.path);
            assert_eq!(proof.verify(&root, &chain(0)), Err(BadHeadProof::Bits));
        }
    }

    proptest! {
        #[test]
        fn a_proof_with_anything_changed_shows_nothing(
            chains in vec(any_chain(), 1..20), asked in any_chain(), at: Index, bit in 0_u32..256, sum in 0_usize..7,
        ) {
            let mut heads = map(&chains);
            let (root, good) = (heads.root(), heads.prove(&asked));
            let mut other = good.clone();
            if let Some(step) = other.path.get_mut(at.index(good.path.len().max(1))) {
                step.other[bit as usize / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(other.verify(&root, &asked), Err(BadHeadProof::Root));
                other.path.pop();
                prop_assert!(other.verify(&root, &asked).is_err());
            }
            let mut other = good;
            if let Found::Head(head) | Found::Other(_, head) = &mut other.found {
                let Head { seq, last, calls, refusals, input, output, events } = head;
                *[seq, last, calls, refusals, input, output, events][sum] ^= 1 << (bit % 64);
                prop_assert_eq!(other.verify(&root, &asked), Err(BadHeadProof::Root));
            }
        }
    }
}
