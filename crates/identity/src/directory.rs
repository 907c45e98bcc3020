//! The directory the gateway reads on every call: people, organizations, workloads and keys, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use terms::{KeyId, Organization, OrganizationId, Person, PersonId, Workload, WorkloadId};

use crate::{
    Holder, KeyRecord,
    packed::{Names, Packed},
};

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
    people: Shards<BTreeSet<Packed>>,
    names: Names,
    organizations: Shards<BTreeMap<OrganizationId, Arc<Organization>>>,
    workloads: Shards<BTreeMap<WorkloadId, Arc<Workload>>>,
    keys: Shards<BTreeMap<KeyId, Arc<KeyRecord>>>,
    revision: AtomicU64,
}

impl Directory {
    /// Applies a change. Readers see it whole; [`Directory::revision`] has grown when this returns.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Person(person) => self.put_person(&person),
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

    /// Returns a person, unpacked anew for each reader.
    #[must_use]
    pub fn person(&self, id: &PersonId) -> Option<Arc<Person>> {
        let people = read(self.people.shard(id.as_str())?);
        people.get(id.as_str().as_bytes())?.open(&self.names).map(Arc::new)
    }

    /// Visits every key, shard by shard: each as it was when its shard was visited, in no particular order.
    pub fn for_each_key(&self, visit: impl FnMut(&Arc<KeyRecord>)) {
        self.keys.for_each(visit);
    }

    fn put_person(&self, person: &Person) {
        let packed = Packed::pack(person, &self.names);
        if let Some(shard) = self.people.shard(person.id.as_str()) {
            write(shard).replace(packed);
        }
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

/// One lock for each part of the keys, so that writers of one do not keep readers of another waiting.
#[derive(Debug)]
struct Shards<T>(Vec<RwLock<T>>);

impl<T: Default> Default for Shards<T> {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| RwLock::default()).collect())
    }
}

impl<T> Shards<T> {
    fn shard<K: Hash + ?Sized>(&self, key: &K) -> Option<&RwLock<T>> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(key);
        self.0.get(usize::try_from(hash % SHARDS as u64).unwrap_or(0))
    }
}

impl<K: Hash + Ord, V> Shards<BTreeMap<K, Arc<V>>> {
    fn get(&self, key: &K) -> Option<Arc<V>> {
        read(self.shard(key)?).get(key).cloned()
    }

    fn put(&self, key: K, value: Arc<V>) {
        if let Some(shard) = self.shard(&key) {
            write(shard).insert(key, value);
        }
    }

    fn for_each(&self, mut visit: impl FnMut(&Arc<V>)) {
        self.0.iter().for_each(|shard| read(shard).values().for_each(&mut visit));
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
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
