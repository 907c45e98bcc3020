//! What an auditor holds a record against: what came from another source than the record itself.

use std::{collections::BTreeSet, str::FromStr};

use proof::{note::VerifierKey, policy_file::Policy, production::Approver};

/// What to hold a bundle against.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The log's key, from a source other than the bundle. Without it the bundle's own key is used and the report
    /// says that it was not pinned.
    pub key: Option<VerifierKey>,
    /// Those who may have metered its models.
    pub meters: Meters,
    /// True to take withheld private parts for granted, and the decisions that need them; they are still counted.
    pub allow_withheld: bool,
}

/// What to hold a production against.
#[derive(Debug)]
pub struct ProductionOptions {
    /// The log's key, from a source other than the production.
    pub key: VerifierKey,
    /// Whose signatures the checkpoint must have; that of the production is used to name witnesses without it.
    pub policy: Option<Policy>,
    /// Those who may have approved it; without any, their names and keys are taken from the production.
    pub approvers: Vec<PinnedApprover>,
    /// Those who may have metered its models.
    pub meters: Meters,
    /// True to take withheld fields for granted that were asked for, such as those of destroyed keys.
    pub allow_withheld: bool,
}

/// What to hold the statements of gateway and meters against.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// The keys of meters, from a source other than what is checked; without any, those in it are taken.
    pub keys: Vec<VerifierKey>,
    /// The reconciliations that are taken although gateway and meter do not agree in them; they are still counted.
    pub differences: BTreeSet<Difference>,
}

impl Meters {
    /// Returns true if gateway and meter need not agree in the reconciliation at this index.
    pub(crate) fn allow_difference(&self, index: u64) -> bool {
        [Difference::Any, Difference::In(index)].iter().any(|one| self.differences.contains(one))
    }
}

/// A reconciliation whose sides need not agree: that at an index, spelled in decimal, or any, spelled `all`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Difference {
    /// That at an index of the log, somebody having looked into it.
    In(u64),
    /// Any.
    Any,
}

/// The text names no reconciliation.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not the index of a reconciliation entry, nor `all`")]
pub struct BadDifference(String);

impl FromStr for Difference {
    type Err = BadDifference;

    fn from_str(text: &str) -> Result<Self, BadDifference> {
        if text == "all" {
            return Ok(Self::Any);
        }
        let index = text.parse().ok().filter(|index: &u64| index.to_string() == text);
        index.map(Self::In).ok_or_else(|| BadDifference(text.chars().take(120).collect()))
    }
}

/// An approver whose key is known from another source, spelled `NAME=KEY`, the key in base64url.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PinnedApprover {
    name: String,
    key: String,
}

/// The text is not an approver with a key.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is not NAME=KEY with an Ed25519 key of 43 characters in base64url")]
pub struct BadApprover(String);

impl FromStr for PinnedApprover {
    type Err = BadApprover;

    fn from_str(text: &str) -> Result<Self, BadApprover> {
        let digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        match text.split_once('=') {
            Some((name, key)) if !name.is_empty() && key.len() == 43 && key.bytes().all(digit) => {
                Ok(Self { name: name.to_owned(), key: key.to_owned() })
            }
            _ => Err(BadApprover(text.chars().take(120).collect())),
        }
    }
}

impl PinnedApprover {
    /// Returns true if this is who approved, under the same key.
    pub(crate) fn is(&self, approver: &Approver) -> bool {
        self.name == approver.name && self.key == approver.key
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_approver_is_pinned_by_name_and_key() {
        let key = "A".repeat(43);
        let pinned: PinnedApprover = format!("iris={key}").parse().unwrap();
        let by =
            |name: &str, key: &str| Approver { name: name.to_owned(), role: "counsel".to_owned(), key: key.to_owned() };
        assert!(pinned.is(&by("iris", &key)));
        assert!(!pinned.is(&by("otto", &key)) && !pinned.is(&by("iris", &"B".repeat(43))));
    }

    #[test]
    fn what_is_no_approver_with_a_key_is_refused() {
        let key = "A".repeat(43);
        for bad in [String::new(), key.clone(), format!("={key}"), format!("iris={key}="), "iris=AAAA".to_owned()] {
            assert_eq!(bad.parse::<PinnedApprover>(), Err(BadApprover(bad)));
        }
    }

    #[test]
    fn a_difference_is_named_by_its_index_in_its_one_spelling() {
        assert_eq!(
            ["all", "0", "18"].map(str::parse),
            [Ok(Difference::Any), Ok(Difference::In(0)), Ok(Difference::In(18))]
        );
        for bad in ["", "ALL", "-1", "+7", "07", "7 ", "0x7", "18446744073709551616"] {
            assert_eq!(bad.parse::<Difference>(), Err(BadDifference(bad.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*|[a-z]{0,3}=[A-Za-z0-9_-]{42,44}") {
            if let Ok(pinned) = text.parse::<PinnedApprover>() {
                prop_assert_eq!(format!("{}={}", pinned.name, pinned.key), text);
            }
        }
    }
}
