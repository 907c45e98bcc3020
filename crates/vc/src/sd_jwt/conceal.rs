//! From claims to digests and disclosures, for an issuer.

use serde_json::{Map, Value, json};

use super::{Disclosure, HashAlg};
use crate::claim_path::{ClaimPath, Step};

/// What an issuer signs, and what it hands to the holder beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Concealed {
    /// The payload, with digests in place of what may be withheld.
    pub payload: Map<String, Value>,
    /// A disclosure for each digest.
    pub disclosures: Vec<Disclosure>,
}

/// Claims that cannot be made disclosable as asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConcealFault {
    /// A path that selects nothing.
    #[error("path {0} selects no claim to make disclosable")]
    Nothing(usize),
    /// A name that the format keeps for itself.
    #[error("a claim may not be named `{0}`")]
    Reserved(String),
}

/// Makes what each of `paths` selects a disclosure of its own, under a salt of 128 bits from `salt`.
///
/// A path may lie within what another selects: then its disclosure lies within the other's.
///
/// # Errors
///
/// [`ConcealFault`] if a path selects nothing or a claim has a reserved name; nothing may be issued.
///
/// # Source
/// RFC 9901, sections 4.2.4, 4.2.6 and 9.3.
pub fn conceal(
    claims: Map<String, Value>,
    paths: &[ClaimPath],
    mut salt: impl FnMut() -> [u8; 16],
) -> Result<Concealed, ConcealFault> {
    refuse_reserved(&claims)?;
    let mut root = Value::Object(claims);
    let mut disclosures = Vec::new();
    let mut order: Vec<(usize, &ClaimPath)> = paths.iter().enumerate().collect();
    order.sort_by_key(|(_, path)| std::cmp::Reverse(path.steps().len()));
    for (at, path) in order {
        let before = disclosures.len();
        hide(&mut root, path.steps(), &mut salt, &mut disclosures);
        if disclosures.len() == before {
            return Err(ConcealFault::Nothing(at));
        }
    }
    let mut payload = match root {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    payload.insert("_sd_alg".to_owned(), Value::from("sha-256"));
    Ok(Concealed { payload, disclosures })
}

fn refuse_reserved(claims: &Map<String, Value>) -> Result<(), ConcealFault> {
    for (name, value) in claims {
        if ["_sd", "...", "_sd_alg"].contains(&name.as_str()) {
            return Err(ConcealFault::Reserved(name.clone()));
        }
        refuse_reserved_within(value)?;
    }
    Ok(())
}

fn refuse_reserved_within(value: &Value) -> Result<(), ConcealFault> {
    match value {
        Value::Object(members) => refuse_reserved(members),
        Value::Array(elements) => elements.iter().try_for_each(refuse_reserved_within),
        _ => Ok(()),
    }
}

/// Walks to what `steps` select and replaces it by digests.
fn hide(value: &mut Value, steps: &[Step], salt: &mut impl FnMut() -> [u8; 16], made: &mut Vec<Disclosure>) {
    match (value, steps) {
        (Value::Object(members), [Step::Name(name)]) => hide_member(members, name, salt, made),
        (Value::Array(elements), [step]) => {
            let chosen = elements.iter_mut().enumerate().filter(|(at, _)| fits(step, *at));
            chosen.for_each(|(_, element)| hide_element(element, salt, made));
        }
        (Value::Object(members), [Step::Name(name), rest @ ..]) => {
            members.get_mut(name).into_iter().for_each(|member| hide(member, rest, salt, made));
        }
        (Value::Array(elements), [step, rest @ ..]) => {
            let chosen = elements.iter_mut().enumerate().filter(|(at, _)| fits(step, *at));
            chosen.for_each(|(_, element)| hide(element, rest, salt, made));
        }
        _ => (),
    }
}

fn fits(step: &Step, at: usize) -> bool {
    match step {
        Step::All => true,
        Step::Index(index) => *index == at,
        Step::Name(_) => false,
    }
}

fn hide_member(
    members: &mut Map<String, Value>,
    name: &str,
    salt: &mut impl FnMut() -> [u8; 16],
    made: &mut Vec<Disclosure>,
) {
    let Some(value) = members.remove(name) else { return };
    let disclosure = Disclosure::make(salt(), Some(name), value);
    let digest = Value::from(HashAlg::Sha256.digest(disclosure.text()));
    if let Value::Array(digests) = members.entry("_sd").or_insert_with(|| json!([])) {
        // In the order of the digests, so that their places say nothing of the claims.
        let at = digests.partition_point(|other| other.as_str() < digest.as_str());
        digests.insert(at, digest);
    }
    made.push(disclosure);
}

/// Hides an element, unless another path hid it already.
fn hide_element(element: &mut Value, salt: &mut impl FnMut() -> [u8; 16], made: &mut Vec<Disclosure>) {
    if element.get("...").is_some() {
        return;
    }
    let disclosure = Disclosure::make(salt(), None, element.take());
    *element = json!({ "...": HashAlg::Sha256.digest(disclosure.text()) });
    made.push(disclosure);
}
