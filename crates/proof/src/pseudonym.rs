//! Pseudonyms: what stands in entries for a person, workload, key, organization or model.

use sha2::{Digest, Sha256};

use crate::commit::Salt;

/// What every pseudonym of this version is made of begins with this.
const LABEL: &[u8] = b"exeat/pseudonym/v2";

/// Returns the pseudonym of `name`, such as `person:anna`, under its opening.
///
/// Whoever is shown the opening can check the name; whoever is not cannot try names, as long as the opening is random
/// or follows from a secret.
#[must_use]
pub fn pseudonym(opening: &Salt, name: &str) -> [u8; 16] {
    let hash: [u8; 32] = Sha256::new().chain_update(LABEL).chain_update(opening).chain_update(name).finalize().into();
    hash.first_chunk().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made with another implementation: the `hashlib` of Python, after `docs/log-format.md` section 2.
    #[test]
    fn a_pseudonym_is_the_one_another_implementation_makes() {
        let opening = std::array::from_fn(|n| u8::try_from(n).unwrap());
        let bytes = u128::from_be_bytes(pseudonym(&opening, "person:anna"));
        assert_eq!(format!("{bytes:032x}"), "e00cb465615f266f49f3e75ce0e1e7de");
    }

    proptest! {
        #[test]
        fn another_opening_or_name_has_another_pseudonym(opening: Salt, other: Salt, name: String) {
            let one = pseudonym(&opening, &name);
            prop_assert_eq!(one == pseudonym(&other, &name), opening == other);
            prop_assert_ne!(one, pseudonym(&opening, &format!("{name}a")));
        }
    }
}
