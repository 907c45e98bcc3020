//! Versions of one license that name the same people: to have a role under one is to have it under the other.

use cedar_policy::{Policy, PolicySet};
use policy::{FormalLicense, License};

use crate::{
    Fault,
    rulebook::{self, Rulebook, document_of, parse_one},
};

/// What of a document says who has a role under a license.
const WHO: [&str; 3] = ["grantees", "entity_scope", "tenant_binding"];
/// What says when it is used up.
const CAPS: [&str; 1] = ["conditions"];

/// Calls a role by one name where `policy` gives it under several versions of a license alike.
///
/// Roles come from affiliations and from what [`WHO`] says; where that agrees, a person has both roles or neither. So
/// policies about either can be compared as policies about one.
pub(crate) struct OneName {
    names: Vec<(String, String)>,
}

impl OneName {
    /// Finds what is called by several names in the licenses of two snapshots; the latest name in `after` stays.
    pub(crate) fn of(before: &Rulebook<'_>, after: &Rulebook<'_>) -> Self {
        let mut names = Vec::new();
        for (old, old_rules) in before.licenses().chain(after.licenses()) {
            let later = after.licenses().filter(|(new, _)| new.id() == old.id() && new.version() > old.version());
            let alike = |parts: &[&str]| {
                later.clone().filter(|(new, _)| agree(old, new, parts)).max_by_key(|(new, _)| new.version())
            };
            if let Some((_, new_rules)) = alike(&WHO) {
                names.extend(roles(old_rules, new_rules));
            }
            if let Some((_, new_rules)) = alike(&CAPS) {
                names.push((old_rules.uid.clone(), new_rules.uid.clone()));
            }
        }
        Self { names }
    }

    /// Writes policies with one name for each role.
    ///
    /// # Errors
    ///
    /// [`Fault::Rules`]: a policy has no text.
    pub(crate) fn write(&self, policies: &PolicySet) -> Result<PolicySet, Fault> {
        let policies: Vec<Policy> = policies.policies().map(|p| self.write_one(p)).collect::<Result<_, _>>()?;
        Ok(rulebook::set(policies.iter()))
    }

    fn write_one(&self, policy: &Policy) -> Result<Policy, Fault> {
        let text = policy.to_cedar().unwrap_or_default();
        let renamed = self.names.iter().fold(text.clone(), |text, (old, new)| text.replace(old, new));
        if renamed == text {
            return Ok(policy.clone());
        }
        Ok(parse_one(&renamed)?.new_id(policy.id().clone()))
    }
}

fn agree(old: &License, new: &License, parts: &[&str]) -> bool {
    let (old, new) = (document_of(old), document_of(new));
    parts.iter().all(|part| old.get(part) == new.get(part))
}

fn roles(old: &FormalLicense, new: &FormalLicense) -> Vec<(String, String)> {
    let pairs = old.roles.iter().flat_map(|one| new.roles.iter().map(move |other| (one, other)));
    let alike = pairs.filter(|(one, other)| (one.own_staff, one.engagement) == (other.own_staff, other.engagement));
    alike.map(|(one, other)| (one.uid.clone(), other.uid.clone())).collect()
}
