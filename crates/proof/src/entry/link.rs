//! Chains: the entries of a log that are about the same subject, key, organization or model, in order.

use minicbor::Decode;
use serde::{Deserialize, Serialize};

use super::BadForm;

/// What a chain is about. Ordinals are stored and never reused; in JSON it is a word.
#[derive(Clone, Copy, Debug, Decode, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(test, derive(minicbor::Encode))]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// A person or workload, or a credential that nobody stands behind.
    #[n(1)]
    Subject = 1,
    /// A credential.
    #[n(2)]
    Key = 2,
    /// An organization: an affiliation of the caller names it, or the credential's tenant is it.
    #[n(3)]
    Organization = 3,
    /// A model version.
    #[n(4)]
    Model = 4,
    /// What was in force: every snapshot entry. There is one such chain, its id is all zeros.
    #[n(5)]
    InForce = 5,
}

impl Class {
    /// Every class, in rising order of ordinals.
    pub const ALL: [Self; 5] = [Self::Subject, Self::Key, Self::Organization, Self::Model, Self::InForce];

    /// Returns the number that stands for the class wherever it is stored.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        self as u8
    }
}

/// The place of an entry in one chain: the entries of one log that are about the same subject, key, organization or
/// model, in order.
#[derive(Clone, Copy, Debug, Decode, Eq, PartialEq)]
#[cfg_attr(test, derive(minicbor::Encode))]
#[cbor(array)]
pub struct Link {
    /// What the chain is about.
    #[n(0)]
    pub class: Class,
    /// Whose chain it is: a pseudonym.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub id: [u8; 16],
    /// How many entries of the chain come before this one.
    #[n(2)]
    pub seq: u64,
    /// How many entries of the log the chain's previous entry lies back; 0 in the first of the chain.
    #[n(3)]
    pub back: u64,
}

/// Checks the links of one entry: one at least, rising by class and id.
pub(super) fn check(links: &[Link]) -> Result<(), BadForm> {
    let place = |link: &Link| (link.class, link.id);
    let rising = links.is_sorted_by(|a, b| place(a) < place(b));
    if links.is_empty() || !rising || !links.iter().all(Link::is_well_formed) {
        return Err(BadForm::Links);
    }
    Ok(())
}

impl Link {
    /// Only the first of a chain has no predecessor, and there is one chain of what was in force.
    fn is_well_formed(&self) -> bool {
        (self.seq == 0) == (self.back == 0) && (self.class != Class::InForce || self.id == [0; 16])
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{DecodeError, EncodeError, Entry, Kind, tests::read_back};

    prop_compose! {
        fn any_link()(class in proptest::sample::select(&Class::ALL), id: [u8; 16], seq: u64, back in 1_u64..) -> Link {
            let id = if class == Class::InForce { [0; 16] } else { id };
            Link { class, id, seq, back: if seq == 0 { 0 } else { back } }
        }
    }

    prop_compose! {
        pub(in crate::entry) fn any_links()(mut links in proptest::collection::vec(any_link(), 1..5)) -> Vec<Link> {
            links.sort_by_key(|link| (link.class, link.id));
            links.dedup_by_key(|link| (link.class, link.id));
            links
        }
    }

    #[test]
    fn a_class_is_a_word_in_json() {
        let words = Class::ALL.map(|class| serde_json::to_value(class).unwrap());
        assert_eq!(words, ["subject", "key", "organization", "model", "in_force"]);
    }

    #[test]
    fn every_class_stands_at_its_ordinal() {
        assert!(Class::ALL.iter().zip(1..).all(|(class, ordinal)| class.ordinal() == ordinal));
    }

    fn linked(links: &[Link]) -> Entry {
        Entry { links: Some(links.to_vec()), ..Entry::new(Kind::Open) }
    }

    #[test]
    fn links_have_the_bytes_that_the_format_says() {
        let link = Link { class: Class::Organization, id: [0xee; 16], seq: 24, back: 300 };
        let bytes = [
            &[0xa4, 0x00, 0x02, 0x01, 0x03, 0x02, 0x00, 0x0f, 0x81, 0x84, 0x03, 0x50][..],
            &[0xee; 16],
            &[0x18, 24, 0x19, 0x01, 0x2c],
        ]
        .concat();
        assert_eq!(linked(&[link]).encode().unwrap(), bytes);
        assert_eq!(Entry::decode(&bytes).unwrap().link(Class::Organization, &[0xee; 16]), Some(&link));
        assert_eq!(linked(&[link]).link(Class::Subject, &[0xee; 16]), None);
    }

    #[test]
    fn links_out_of_order_repeated_or_impossible_are_refused() {
        let link = |class, id, seq, back| Link { class, id: [id; 16], seq, back };
        let (subject, key) = (link(Class::Subject, 9, 1, 1), link(Class::Key, 1, 0, 0));
        assert_eq!(read_back(&linked(&[subject, key])), Ok(linked(&[subject, key])));
        for (what, links) in [
            ("none", vec![]),
            ("classes out of order", vec![key, subject]),
            ("ids out of order", vec![link(Class::Key, 2, 0, 0), key]),
            ("a chain twice", vec![key, link(Class::Key, 1, 1, 4)]),
            ("a first with a predecessor", vec![link(Class::Key, 1, 0, 4)]),
            ("a later one without", vec![link(Class::Key, 1, 4, 0)]),
            ("another chain of what was in force", vec![link(Class::InForce, 1, 0, 0)]),
        ] {
            assert_eq!(linked(&links).encode(), Err(EncodeError::Form(BadForm::Links)), "{what}");
            assert_eq!(read_back(&linked(&links)), Err(DecodeError::Form(BadForm::Links)), "{what}");
        }
    }
}
