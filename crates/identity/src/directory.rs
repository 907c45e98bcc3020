//! The directory the gateway reads on every call: people, organizations, workloads and keys, in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash},
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use terms::{
    Channel, ChannelId, Freshness, KeyId, Moment, Organization, OrganizationId, Person, PersonId, SubjectName,
    Workload, WorkloadId,
};

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
    /// A channel was added, turned on or off, or its terms changed.
    Channel(Arc<Channel>),
    /// A session at a source, or one token of it, is over.
    Session(Arc<SessionEnd>),
}

/// That a session or a token is over.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// The source that began it.
    pub channel: ChannelId,
    /// What the source calls it: the `sid` of a session or the `jti` of a token; at most 255 characters.
    pub session: SubjectName,
    /// When it was said to be over.
    pub at: Moment,
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
    channels: Shards<BTreeMap<ChannelId, Arc<Channel>>>,
    accounts: Shards<BTreeMap<Named, Arc<PersonId>>>,
    sessions: Shards<BTreeMap<Named, Arc<SessionEnd>>>,
    revision: AtomicU64,
}

/// What a source calls somebody or something.
type Named = (ChannelId, SubjectName);

impl Directory {
    /// Applies a change. Readers see it whole; [`Directory::revision`] has grown when this returns.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Person(person) => self.put_person(&person),
            Change::Organization(org) => self.organizations.put(org.id.clone(), org),
            Change::Workload(workload) => self.workloads.put(workload.id.clone(), workload),
            Change::Key(key) => self.keys.put(key.id.clone(), key),
            Change::Channel(channel) => self.channels.put(channel.id.clone(), channel),
            Change::Session(end) => self.sessions.put((end.channel.clone(), end.session.clone()), end),
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

    /// Returns a channel.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<Arc<Channel>> {
        self.channels.get(id)
    }

    /// Visits every channel, in no particular order.
    pub fn for_each_channel(&self, visit: impl FnMut(&Arc<Channel>)) {
        self.channels.for_each(visit);
    }

    /// Notes that a channel was alive at a moment. Of a channel that was relied on anyway the revision stays, and nothing
    /// is decided again: answers that were given hold for less long than they would now.
    pub fn heard(&self, id: &ChannelId, at: Moment) {
        let Some(known) = self.channel(id).filter(|known| known.heard_at < at) else { return };
        let heard = Arc::new(Channel { heard_at: at, ..known.as_ref().clone() });
        if known.freshness(at) == Freshness::Stale {
            return self.apply(Change::Channel(heard));
        }
        self.channels.put(id.clone(), heard);
    }

    /// Returns the person whom a source calls by this name.
    #[must_use]
    pub fn account(&self, channel: &ChannelId, subject: &SubjectName) -> Option<PersonId> {
        self.accounts.get(&(channel.clone(), subject.clone())).map(|person| person.as_ref().clone())
    }

    /// Returns true if a source said that this session or token is over.
    #[must_use]
    pub fn session_ended(&self, channel: &ChannelId, session: &SubjectName) -> bool {
        self.sessions.get(&(channel.clone(), session.clone())).is_some()
    }

    /// Names that the person no longer has are nobody's; those of others are left alone.
    fn put_accounts(&self, person: &Person) {
        let before = self.person(&person.id);
        let before = before.iter().flat_map(|person| &person.accounts);
        let named = |account: &terms::Account| (account.channel.clone(), account.subject.clone());
        let now: BTreeSet<Named> = person.accounts.iter().map(named).collect();
        for gone in before.map(named).filter(|name| !now.contains(name)) {
            self.accounts.remove_if(&gone, |holder| *holder == person.id);
        }
        let id = Arc::new(person.id.clone());
        now.into_iter().for_each(|name| self.accounts.put(name, Arc::clone(&id)));
    }

    fn put_person(&self, person: &Person) {
        self.put_accounts(person);
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

    fn remove_if(&self, key: &K, condition: impl FnOnce(&V) -> bool) {
        let Some(shard) = self.shard(key) else { return };
        let mut shard = write(shard);
        if shard.get(key).is_some_and(|value| condition(value)) {
            shard.remove(key);
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
    use terms::{Account, AccountState, Screening};

    fn person(id: &str) -> Arc<Person> {
        Arc::new(Person {
            id: PersonId::parse(id).unwrap(),
            display_name: id.to_owned(),
            screening: Screening::Cleared,
            active: true,
            attestations: Vec::new(),
            affiliations: Vec::new(),
            accounts: Vec::new(),
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
    fn a_name_that_passed_to_somebody_else_stays_theirs_when_the_one_before_loses_it() {
        let (directory, channel, subject) = (Directory::default(), "idp".parse().unwrap(), "a@idp".parse().unwrap());
        let account = Account {
            channel: ChannelId::clone(&channel),
            subject: SubjectName::clone(&subject),
            organization: None,
            state: AccountState::Active,
            sessions_end: None,
        };
        let named = |id: &str| Arc::new(Person { accounts: vec![account.clone()], ..person(id).as_ref().clone() });
        directory.apply(Change::Person(named("ada")));
        directory.apply(Change::Person(named("eve")));
        directory.apply(Change::Person(person("ada")));
        assert_eq!(directory.account(&channel, &subject), Some(PersonId::parse("eve").unwrap()));
        directory.apply(Change::Person(person("eve")));
        assert_eq!(directory.account(&channel, &subject), None);
    }

    #[test]
    fn a_key_whose_holder_is_not_known_is_bound_to_nobody() {
        let directory = Directory::default();
        let holder = Holder::Person { person: PersonId::parse("ghost").unwrap() };
        assert!(matches!(directory.resolve(&holder), Resolved::Unbound));
    }
}
