//! Every entry takes the next place in the chains that it belongs to, and the log says truly where they stand.

use std::collections::{BTreeMap, BTreeSet};

use policy::{CallerFacts, Facts};
use proof::{
    entry::{Class, Entry, Kind},
    heads::Heads,
    walk::BadLeafReason,
};

/// Where all chains of a log stand, and what is known of whose they are.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    heads: Heads,
    names: Names,
}

impl Chains {
    /// Returns how many chains have an entry.
    pub(crate) fn count(&self) -> u64 {
        self.heads.chains()
    }

    /// Takes the next entry, with the facts of its decision if they are at hand.
    pub(crate) fn take(&mut self, index: u64, entry: &Entry, facts: Option<&Facts>) -> Result<(), String> {
        let stands = self.stand(index, entry);
        let belongs = belong(entry);
        let named = match (entry.kind, facts) {
            (Kind::Open | Kind::Refusal, Some(facts)) => self.names.check(entry, facts),
            _ => Ok(()),
        };
        let next = self.heads.apply(index, entry).map_err(|bad| bad.to_string());
        stands.and(belongs).and(named).and(next)
    }

    /// A heads entry says where the chains stood before it.
    fn stand(&mut self, index: u64, entry: &Entry) -> Result<(), String> {
        if entry.kind != Kind::Heads {
            return Ok(());
        }
        if entry.covered != Some(index) {
            return Err(BadLeafReason::Covered.to_string());
        }
        if entry.root != Some(self.heads.root()) {
            return Err(BadLeafReason::Heads.to_string());
        }
        Ok(())
    }
}

/// An entry is in the chains that its kind wants.
pub(crate) fn belong(entry: &Entry) -> Result<(), String> {
    entry.belongs().then_some(()).ok_or_else(|| BadLeafReason::Belongs.to_string())
}

/// Which chain is whose, as far as entries with facts told it: the same name is always in the same chain.
#[derive(Debug, Default)]
struct Names(BTreeMap<(Class, String), [u8; 16]>);

impl Names {
    /// Holds the chains of an entry against the names in the facts of its decision.
    fn check(&mut self, entry: &Entry, facts: &Facts) -> Result<(), String> {
        let chains = entry.chains();
        for class in [Class::Subject, Class::Key, Class::Organization, Class::Model] {
            let ids = chains.iter().filter(|chain| chain.class == class).map(|chain| chain.id).collect();
            self.check_class(class, names(class, facts), ids)?;
        }
        Ok(())
    }

    /// Each name has one of the ids: its own if that is known, or else the one that is left if one is.
    fn check_class(
        &mut self,
        class: Class,
        names: BTreeSet<String>,
        mut ids: BTreeSet<[u8; 16]>,
    ) -> Result<(), String> {
        let wrong = || format!("the chains of class {} are not those of the names in its facts", class.ordinal());
        if names.len() != ids.len() {
            return Err(wrong());
        }
        let mut unknown = Vec::new();
        for name in names {
            let key = (class, name);
            match self.0.get(&key) {
                Some(id) if ids.remove(id) => {}
                Some(_) => return Err(wrong()),
                None => unknown.push(key),
            }
        }
        if let ([_], Some(id)) = (unknown.as_slice(), ids.pop_first()) {
            self.0.extend(unknown.into_iter().map(|key| (key, id)));
        }
        Ok(())
    }
}

/// Spells the names in facts that make chains of this class.
pub(crate) fn names(class: Class, facts: &Facts) -> BTreeSet<String> {
    let credential = &facts.credential;
    match class {
        Class::Subject => BTreeSet::from([match &facts.caller {
            CallerFacts::Person { person } => format!("person:{}", person.id),
            CallerFacts::Workload { workload, .. } => format!("workload:{}", workload.id),
            CallerFacts::Unbound => format!("key:{}", credential.id),
        }]),
        Class::Key => BTreeSet::from([format!("key:{}", credential.id)]),
        Class::Organization => {
            let organizations = facts.caller.organizations(credential.organization.as_ref());
            organizations.into_iter().map(|id| format!("organization:{id}")).collect()
        }
        Class::Model => BTreeSet::from([format!("model:{}", facts.model)]),
        Class::InForce => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 2] = ["organization:acme", "organization:lab"];

    fn check(names: &mut Names, given: &[&str], ids: &[u8]) -> Result<(), String> {
        let given = given.iter().map(|name| (*name).to_owned()).collect();
        names.check_class(Class::Organization, given, ids.iter().map(|id| [*id; 16]).collect())
    }

    #[test]
    fn the_same_name_is_always_in_the_same_chain() {
        let mut names = Names::default();
        assert_eq!(check(&mut names, &NAMES, &[1, 2]), Ok(()), "nobody knows yet which is which");
        assert_eq!(check(&mut names, &NAMES[..1], &[2]), Ok(()));
        assert_eq!(check(&mut names, &NAMES, &[1, 2]), Ok(()), "now it is known");
        assert!(check(&mut names, &NAMES[1..], &[2]).is_err());
        assert!(check(&mut names, &NAMES[1..], &[3]).is_err());
        assert_eq!(check(&mut names, &NAMES[1..], &[1]), Ok(()));
    }

    #[test]
    fn a_name_without_a_chain_and_a_chain_without_a_name_are_faults() {
        assert!(check(&mut Names::default(), &NAMES, &[1]).is_err());
        assert!(check(&mut Names::default(), &NAMES[..1], &[1, 2]).is_err());
        assert_eq!(check(&mut Names::default(), &[], &[]), Ok(()));
    }
}
