//! Every entry takes the next place in the chains that it belongs to, and the log says truly where they stand.

use std::collections::{BTreeMap, BTreeSet};

use policy::{CallerFacts, Facts};
use proof::{
    entry::{Class, Entry, Kind, Link},
    heads::Heads,
    walk::BadLeafReason,
};

use crate::facts::Read;

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
    pub(crate) fn take(&mut self, index: u64, entry: &Entry, read: Option<&Read>) -> Result<(), String> {
        let stands = self.stand(index, entry);
        let belongs = belong(entry);
        let named = match (entry.kind, read) {
            (Kind::Open | Kind::Refusal, Some(read)) => self.names.check(entry, read),
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
    ///
    /// Whose chain is known stays known: facts that many entries refer to are spelled out until all their names are.
    fn check(&mut self, entry: &Entry, read: &Read) -> Result<(), String> {
        let chains = entry.links.iter().flatten().map(Link::chain);
        if read.chains.get().is_some_and(|known| chains.clone().eq(known.iter().copied())) {
            return Ok(());
        }
        let mut all_known = true;
        for class in [Class::Subject, Class::Key, Class::Organization, Class::Model] {
            let ids = chains.clone().filter(|chain| chain.class == class).map(|chain| chain.id).collect();
            all_known &= self.check_class(class, names(class, &read.facts), ids)?;
        }
        if all_known {
            read.chains.get_or_init(|| chains.collect());
        }
        Ok(())
    }

    /// Each name has one of the ids: its own if that is known, or else the one that is left if one is. Returns true if it
    /// is known of each now.
    fn check_class(
        &mut self,
        class: Class,
        names: BTreeSet<String>,
        mut ids: BTreeSet<[u8; 16]>,
    ) -> Result<bool, String> {
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
        let all_known = unknown.len() <= 1;
        if all_known {
            self.0.extend(unknown.into_iter().zip(ids));
        }
        Ok(all_known)
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

    fn check(names: &mut Names, given: &[&str], ids: &[u8]) -> Result<bool, String> {
        let given = given.iter().map(|name| (*name).to_owned()).collect();
        names.check_class(Class::Organization, given, ids.iter().map(|id| [*id; 16]).collect())
    }

    #[test]
    fn the_same_name_is_always_in_the_same_chain() {
        let mut names = Names::default();
        assert_eq!(check(&mut names, &NAMES, &[1, 2]), Ok(false), "nobody knows yet which is which");
        assert_eq!(check(&mut names, &NAMES[..1], &[2]), Ok(true));
        assert_eq!(check(&mut names, &NAMES, &[1, 2]), Ok(true), "now it is known");
        assert!(check(&mut names, &NAMES[1..], &[2]).is_err());
        assert!(check(&mut names, &NAMES[1..], &[3]).is_err());
        assert_eq!(check(&mut names, &NAMES[1..], &[1]), Ok(true));
    }

    #[test]
    fn a_name_without_a_chain_and_a_chain_without_a_name_are_faults() {
        assert!(check(&mut Names::default(), &NAMES, &[1]).is_err());
        assert!(check(&mut Names::default(), &NAMES[..1], &[1, 2]).is_err());
        assert_eq!(check(&mut Names::default(), &[], &[]), Ok(true));
    }

    /// An entry in the chains of a credential, its organization and a model, and as many others.
    fn entry(ids: [u8; 4]) -> Entry {
        let classes = [Class::Subject, Class::Key, Class::Organization, Class::Model];
        let link = |(class, id)| Link { class, id: [id; 16], seq: 0, back: 0 };
        Entry { links: Some(classes.into_iter().zip(ids).map(link).collect()), ..Entry::new(Kind::Open) }
    }

    #[test]
    fn facts_that_are_referred_to_again_are_in_the_chains_of_their_names_and_in_no_other() {
        let credential = r#"{"id":"k","expires_at":"2026-06-27T00:00:00Z","revoked":false,"organization":"acme"}"#;
        let facts = r#""caller":{"kind":"unbound"},"organizations":[],"consumed":[]"#;
        let facts = format!(r#"{{"at":"2026-06-26T00:00:00Z","model":"m","credential":{credential},{facts}}}"#);
        let (mut names, read) = (Names::default(), crate::facts::read(facts.as_bytes()).unwrap());
        for _ in 0..2 {
            assert_eq!(names.check(&entry([1, 2, 3, 4]), &read), Ok(()));
            assert!(read.chains.get().is_some());
            assert!(names.check(&entry([1, 2, 5, 4]), &read).is_err());
            assert!(names.check(&Entry::new(Kind::Open), &read).is_err());
        }
        let again = crate::facts::read(facts.as_bytes()).unwrap();
        assert_eq!(names.check(&entry([1, 2, 3, 4]), &again), Ok(()));
        assert!(names.check(&entry([1, 2, 3, 5]), &again).is_err());
    }
}
