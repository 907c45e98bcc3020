//! The directory the gateway reads on every call: people, organizations, workloads and keys, in memory.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use terms::{KeyId, Organization, OrganizationId, Person, PersonId, Workload, WorkloadId};

use crate::{Holder, KeyRecord};

/// One change to the directory, already durable in the registry and in the ledger.
#[derive(Clone, Debug)]
pub enum Change {
    /// A person was added or changed, with their attestations and affiliations.
    Person(Arc<Person>),
    /// An organization was added or changed.
    Organization(Arc<Organization>),
    /// A workload was added or changed.
    Workload(Arc<Workload>),
    /// A key was added, revoked or changed.
    Key(Arc<KeyRecord>),
}

/// Who stands behind a key, as the directory knows them now.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// One natural person.
    Person(Arc<Person>),
    /// A workload with whoever of its owners and recipients the directory knows, in order of id.
    Workload {
        /// The workload.
        workload: Arc<Workload>,
        /// Its owners.
        owners: Vec<Arc<Person>>,
        /// Its recipients.
        recipients: Vec<Arc<Person>>,
    },
    /// Nobody: a shared key, or a holder that the directory does not know.
    Unbound,
}

/// The directory. Reads take one uncontended lock of one shard; writes touch one shard.
#[derive(Debug, Default)]
pub struct Directory {
    people: Shards<PersonId, Person>,
    organizations: Shards<OrganizationId, Organization>,
    workloads: Shards<WorkloadId, Workload>,
    keys: Shards<KeyId, KeyRecord>,
    revision: AtomicU64,
}

impl Directory {
    /// Applies a change. Readers see it whole; [`Directory::revision`] has grown when this returns.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Person(person) => self.people.put(person.id.clone(), person),
            Change::Organization(org) => self.organizations.put(org.id.clone(), org),
            Change::Workload(workload) => self.workloads.put(workload.id.clone(), workload),
            Change::Key(key) => self.keys.put(key.id.clone(), key),
        }
        self.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns a number that grows with every change, after it can be read.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    /// Returns a key's record.
    #[must_use]
    pub fn key(&self, id: &KeyId) -> Option<Arc<KeyRecord>> {
        self.keys.get(id)
    }

    /// Returns a person.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<Arc<Person>> {
        self.people.get(id)
    }

    /// Returns an organization.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<Arc<Organization>> {
        self.organizations.get(id)
    }

    /// Returns a workload.
    #[must_use]
    pub fn workload(&self, id: &WorkloadId) -> Option<Arc<Workload>> {
        self.workloads.get(id)
    }

    /// Returns who stands behind `holder` now.
    #[must_use]
    pub fn resolve(&self, holder: &Holder) -> Resolved {
        match holder {
            Holder::Person { person } => self.person(person).map_or(Resolved::Unbound, Resolved::Person),
            Holder::Workload { workload } => self.workload(workload).map_or(Resolved::Unbound, |workload| {
                let owners = self.known(&workload.owners);
                let recipients = self.known(&workload.recipients);
                Resolved::Workload { workload, owners, recipients }
            }),
            Holder::Shared => Resolved::Unbound,
        }
    }

    fn known(&self, people: &[PersonId]) -> Vec<Arc<Person>> {
        people.iter().filter_map(|id| self.person(id)).collect()
    }
}

const SHARDS: usize = 64;

#[derive(Debug)]
struct Shards<K, V>(Vec<RwLock<BTreeMap<K, Arc<V>>>>);

impl<K, V> Default for Shards<K, V> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

impl<K: Hash + Ord, V> Shards<K, V> {
    fn shard(&self, key: &K) -> Option<&RwLock<BTreeMap<K, Arc<V>>>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        self.0.get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }

    fn get(&self, key: &K) -> Option<Arc<V>> {
        let shard = self.shard(key)?;
        shard.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: K, value: Arc<V>) {
        if let Some(shard) = self.shard(&key) {
            shard.write().unwrap_or_else(PoisonError::into_inner).insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terms::Screening;

    fn person(id: &str) -> Arc<Person> {
        Arc::new(Person {
            id: PersonId::parse(id).unwrap(),
            display_name: id.to_owned(),
            screening: Screening::Cleared,
            active: true,
            attestations: Vec::new(),
            affiliations: Vec::new(),
        })
    }

    #[test]
    fn a_change_is_seen_by_the_next_read_and_moves_the_revision() {
        let directory = Directory::default();
        let before = directory.revision();
        directory.apply(Change::Person(person("ada")));
        assert!(directory.revision() > before);
        assert_eq!(directory.person(&PersonId::parse("ada").unwrap()), Some(person("ada")));
    }

    #[test]
    fn a_key_whose_holder_is_not_known_is_bound_to_nobody() {
        let directory = Directory::default();
        let holder = Holder::Person { person: PersonId::parse("ghost").unwrap() };
        assert!(matches!(directory.resolve(&holder), Resolved::Unbound));
    }
}
