//! What a witness knows of a log, and what may follow: pure.

use proof::{
    checkpoint::Checkpoint,
    tree::{EMPTY_ROOT, Hash, verify_consistency},
};

use crate::Refusal;

/// The largest tree of a log that was cosigned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Latest {
    /// Its entries; 0 if nothing was cosigned yet.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Latest {
    /// What is known of a log before its first checkpoint.
    pub const NOTHING: Self = Self { size: 0, root: EMPTY_ROOT };

    /// Returns what is known once `checkpoint`, signed by the log, is cosigned; `proof` shows that it extends this tree,
    /// which `old` says it has the size of.
    ///
    /// # Errors
    ///
    /// [`Refusal::Malformed`], [`Refusal::Conflict`], [`Refusal::Inconsistent`], in the order in which the protocol names them.
    ///
    /// # Source
    ///
    /// C2SP tlog-witness, `add-checkpoint`.
    pub fn advance(&self, old: u64, proof: &[Hash], checkpoint: &Checkpoint) -> Result<Self, Refusal> {
        let Checkpoint { size, root, .. } = *checkpoint;
        if old > size {
            return Err(Refusal::Malformed("the old size is larger than that of the checkpoint"));
        }
        if size == 0 && root != EMPTY_ROOT {
            return Err(Refusal::Inconsistent("the tree without entries has another root"));
        }
        if old != self.size {
            return Err(Refusal::Conflict(self.size));
        }
        if old > 0 {
            verify_consistency(old, size, proof, &self.root, &root)
                .map_err(|_| Refusal::Inconsistent("the proof does not lead from one to the other"))?;
        } else if !proof.is_empty() {
            return Err(Refusal::Inconsistent("nothing is to be proved of the empty tree"));
        }
        Ok(Self { size, root })
    }

    /// Returns true if a log that signed both shows two histories: one size, two roots.
    #[must_use]
    pub fn contradicts(&self, checkpoint: &Checkpoint) -> bool {
        self.size == checkpoint.size && self.root != checkpoint.root
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proof::tree::{Frontier, HashReader, leaf_hash, prove_consistency};
    use proptest::prelude::*;

    use super::*;

    /// A log of numbered leaves; two with different salts are two histories.
    struct Log(u8);

    impl Log {
        fn root(&self, from: u64, to: u64) -> Hash {
            let mut tree = Frontier::new();
            (from..to).for_each(|n| tree.push(leaf_hash(&[&[self.0], n.to_be_bytes().as_slice()].concat())));
            tree.root()
        }

        fn checkpoint(&self, size: u64) -> Checkpoint {
            Checkpoint { origin: "log".to_owned(), size, root: self.root(0, size) }
        }

        fn proof(&self, from: u64, to: u64) -> Vec<Hash> {
            prove_consistency(self, from, to).unwrap()
        }
    }

    impl HashReader for Log {
        type Error = Infallible;
        fn hash(&self, level: u8, index: u64) -> Result<Hash, Infallible> {
            Ok(self.root(index << level, (index + 1) << level))
        }
    }

    fn latest(log: &Log, size: u64) -> Latest {
        Latest { size, root: log.root(0, size) }
    }

    #[test]
    fn a_log_grows_from_nothing_and_from_a_checkpoint_without_entries() {
        let log = Log(1);
        let zero = Latest::NOTHING.advance(0, &[], &log.checkpoint(0)).unwrap();
        assert_eq!(zero, Latest::NOTHING);
        let five = zero.advance(0, &[], &log.checkpoint(5)).unwrap();
        assert_eq!(five.advance(5, &log.proof(5, 9), &log.checkpoint(9)).unwrap(), latest(&log, 9));
        assert_eq!(five.advance(5, &[], &log.checkpoint(5)).unwrap(), five);
    }

    #[test]
    fn each_rule_has_its_own_refusal_in_the_order_of_the_protocol() {
        let (log, five) = (Log(1), latest(&Log(1), 5));
        let status = |old, proof: &[Hash], checkpoint: &Checkpoint| {
            five.advance(old, proof, checkpoint).map_or_else(|refusal| refusal.status(), |_| 200)
        };
        assert_eq!(status(6, &[], &log.checkpoint(5)), 400);
        assert_eq!(status(3, &log.proof(3, 9), &log.checkpoint(9)), 409);
        assert_eq!(status(0, &[], &log.checkpoint(9)), 409);
        assert_eq!(status(0, &[], &Checkpoint { root: [1; 32], ..log.checkpoint(0) }), 422);
        assert_eq!(status(5, &[], &log.checkpoint(9)), 422);
        assert_eq!(status(5, &log.proof(4, 9), &log.checkpoint(9)), 422);
        assert_eq!(status(5, &[], &Log(2).checkpoint(5)), 422);
        assert!(matches!(five.advance(3, &[], &log.checkpoint(9)), Err(Refusal::Conflict(5))));
    }

    #[test]
    fn a_proof_is_refused_where_nothing_is_to_be_proved() {
        let refused = Latest::NOTHING.advance(0, &[[0; 32]], &Log(1).checkpoint(5)).unwrap_err();
        assert_eq!(refused.status(), 422);
    }

    #[test]
    fn one_size_with_two_roots_is_two_histories() {
        let five = latest(&Log(1), 5);
        assert!(five.contradicts(&Log(2).checkpoint(5)));
        assert!(!five.contradicts(&Log(1).checkpoint(5)));
        assert!(!five.contradicts(&Log(2).checkpoint(6)));
    }

    proptest! {
        /// Whatever is submitted, what was cosigned is one history that never gets shorter.
        #[test]
        fn everything_that_is_cosigned_is_one_history(
            requests in proptest::collection::vec((1_u8..3, 0_u64..40, 0_u64..40), 1..40),
        ) {
            let mut known = Latest::NOTHING;
            let mut history = 0;
            for (salt, old, size) in requests {
                let log = Log(salt);
                let Ok(next) = known.advance(old, &log.proof(old, size), &log.checkpoint(size)) else {
                    continue;
                };
                prop_assert!(next.size >= known.size);
                if known.size > 0 {
                    prop_assert_eq!(salt, history);
                }
                history = salt;
                known = next;
            }
        }
    }
}
