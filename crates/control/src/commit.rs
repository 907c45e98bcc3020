//! The one way a change happens: recorded, stored, in effect, in this order.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use identity::Change;
use ledger::{Draft, Ledger, Unavailable};
use policy::Snapshot;
use proof::entry::{Entry, Kind};
use terms::{Person, PersonId};

use crate::{
    Actor, DeskPolicy, Effect, Fault,
    control::{Inner, Registry, read, write},
    follow::Followed,
    production::Custody,
    record::{Envelope, Record},
    store::{Store, StoreError},
};

/// The code of the entry that says a part of the record was produced.
pub(crate) const CUSTODY: &str = "custody.export";

/// Who does what: the stable verb that the record shows.
#[derive(Clone, Copy)]
pub(crate) struct Act<'a> {
    pub(crate) actor: &'a Actor,
    pub(crate) code: &'static str,
}

impl<'a> Act<'a> {
    pub(crate) fn new(actor: &'a Actor, code: &'static str) -> Self {
        Self { actor, code }
    }
}

/// Where a change is recorded and what it did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) index: u64,
    pub(crate) effect: Effect,
}

impl Inner {
    /// Makes one validated change: durable in the ledger, then in the registry, then in effect on live calls.
    ///
    /// A crash before the entry is durable leaves nothing; a crash after it leaves an entry that the next start applies.
    pub(crate) fn commit(&self, registry: &mut Registry, act: Act<'_>, record: Record) -> Result<Receipt, Fault> {
        let index = record_change(&self.ledger, act, &record)?;
        let stored = registry.store.apply(index, act.actor.name(), &record);
        if stored.is_err() {
            self.take_effect_unstored(&record);
        }
        registry.keep_up(index, stored)?;
        let taken = self.take_effect(&registry.store, &record);
        let effect = taken.or_else(|source| self.catch_up_later(registry, index, record, source))?;
        tracing::info!(
            code = act.code,
            actor = act.actor.name(),
            index,
            recalled = effect.recalled,
            "registry changed"
        );
        Ok(Receipt { index, effect })
    }

    /// Puts a snapshot in force.
    pub(crate) fn enact(&self, registry: &mut Registry, act: Act<'_>, snapshot: Snapshot) -> Result<Receipt, Fault> {
        let index = record_snapshot(&self.ledger, act, &snapshot)?;
        let snapshot = Arc::new(snapshot);
        // It is on record, so it binds, whatever becomes of the registry.
        let started = Instant::now();
        let effect = self.put_in_force(Arc::clone(&snapshot));
        let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_apply_ms.store(took.max(1), Ordering::Relaxed);
        let stored = registry.store.apply_snapshot(index, snapshot.digest(), snapshot.document());
        registry.keep_up(index, stored)?;
        let epoch = snapshot.epoch();
        tracing::info!(
            code = act.code,
            actor = act.actor.name(),
            index,
            epoch,
            recalled = effect.recalled,
            "snapshot in force"
        );
        Ok(Receipt { index, effect })
    }

    pub(crate) fn put_in_force(&self, snapshot: Arc<Snapshot>) -> Effect {
        *write(&self.snapshot) = Arc::clone(&snapshot);
        let publish = read(&self.publish).clone();
        publish.map_or_else(Effect::default, |publish| publish.snapshot(snapshot))
    }

    /// Brings a stored record into the directory and to the live calls.
    pub(crate) fn take_effect(&self, store: &Store, record: &Record) -> Result<Effect, StoreError> {
        match record {
            Record::AdminToken(token) => drop(write(&self.tokens).insert(token.id.clone(), token.clone())),
            Record::BreakGlass(glass) => self.note_glass(glass),
            _ => {}
        }
        if let Record::Heard(heard) = record {
            self.directory.heard(&heard.channel, heard.at);
        }
        let mut effect = Effect::default();
        for change in changes_of(store, record)? {
            effect = effect.and(self.spread(change));
        }
        Ok(effect)
    }

    /// Brings a stored record that cannot be read back to the live calls as far as it goes by itself, and remembers to bring
    /// it there in full before the next change.
    fn catch_up_later(
        &self,
        registry: &mut Registry,
        index: u64,
        record: Record,
        source: StoreError,
    ) -> Result<Effect, Fault> {
        self.take_effect_unstored(&record);
        registry.unspread.push_back(Followed::Record(Box::new(record)));
        Err(registry.lags(index, source))
    }

    /// Brings a durable record that the registry could not store to the live calls all the same.
    fn take_effect_unstored(&self, record: &Record) {
        let mut people: BTreeMap<PersonId, Person> = BTreeMap::new();
        for part in record.parts() {
            if let Some(id) = part.person() {
                let held = people.remove(id).or_else(|| self.directory.person(id).map(|held| held.as_ref().clone()));
                people.extend(part.applied_to(held).map(|person| (id.clone(), person)));
            }
        }
        let people = people.into_values().map(|person| Change::Person(Arc::new(person)));
        people.chain(record.parts().iter().filter_map(change_of_record)).for_each(|change| {
            self.spread(change);
        });
    }

    fn spread(&self, change: Change) -> Effect {
        self.directory.apply(change.clone());
        let publish = read(&self.publish).clone();
        publish.map_or_else(Effect::default, |publish| publish.directory(change))
    }
}

impl Registry {
    /// Remembers that a durable entry still has to be applied, if it could not be.
    pub(crate) fn keep_up(&mut self, index: u64, stored: Result<(), StoreError>) -> Result<(), Fault> {
        stored.map_err(|source| self.lags(index, source))
    }

    fn lags(&mut self, index: u64, source: StoreError) -> Fault {
        self.behind = true;
        tracing::error!(index, %source, "the registry lags behind the ledger");
        Fault::Behind { index, source }
    }
}

fn record_change(ledger: &Ledger, act: Act<'_>, record: &Record) -> Result<u64, Unavailable> {
    let mut entry = Entry::new(record.kind());
    entry.code = Some(act.code.to_owned());
    entry.subject = record.subject().map(|subject| ledger.pseudonym(&subject));
    let envelope = Envelope::new(act.actor.name().to_owned(), record.clone());
    let private = serde_json::to_vec(&envelope).map_err(|_| Unavailable::TooLong)?;
    let recorded = ledger.append(Draft::new(entry, private))?.wait()?;
    Ok(recorded.index())
}

/// Records under which policy the desk works from now on.
pub(crate) fn record_policy(ledger: &Ledger, actor: &Actor, policy: DeskPolicy) -> Result<(), Unavailable> {
    let said = serde_json::json!({ "actor": actor.name(), "approvals": policy.approvals });
    let mut entry = Entry::new(Kind::Admin);
    entry.code = Some("desk.policy".to_owned());
    ledger.append(Draft::new(entry, said.to_string()))?.wait().map(drop)
}

/// Records that a part of the record is produced; returns once the entry is durable.
pub(crate) fn record_custody(ledger: &Ledger, custody: &Custody) -> Result<u64, Unavailable> {
    let private = serde_json::to_vec(custody).map_err(|_| Unavailable::TooLong)?;
    let mut entry = Entry::new(Kind::Admin);
    entry.code = Some(CUSTODY.to_owned());
    Ok(ledger.append(Draft::new(entry, private))?.wait()?.index())
}

/// Records who acted, then the snapshot itself, whose private part is the canonical document and nothing else.
///
/// A crash between the two leaves a record of an act that took no effect.
pub(crate) fn record_snapshot(ledger: &Ledger, act: Act<'_>, snapshot: &Snapshot) -> Result<u64, Unavailable> {
    let said = serde_json::json!({ "actor": act.actor.name(), "epoch": snapshot.epoch() });
    let mut admin = Entry::new(Kind::Admin);
    admin.code = Some(act.code.to_owned());
    admin.snapshot = Some(*snapshot.digest());
    let admin = ledger.append(Draft::new(admin, said.to_string()))?;
    let mut entry = Entry::new(Kind::Snapshot);
    entry.code = Some(act.code.to_owned());
    entry.snapshot = Some(*snapshot.digest());
    let entry = ledger.append(Draft::new(entry, snapshot.canonical()))?;
    let _ = admin.wait()?;
    Ok(entry.wait()?.index())
}

/// Returns what a record changes: each person once, as the registry now has them, then the rest in order.
fn changes_of(store: &Store, record: &Record) -> Result<Vec<Change>, StoreError> {
    let people: BTreeSet<&PersonId> = record.parts().iter().filter_map(Record::person).collect();
    let mut changes = Vec::new();
    for person in people {
        changes.extend(store.person(person)?.map(|person| Change::Person(Arc::new(person))));
    }
    changes.extend(record.parts().iter().filter_map(change_of_record));
    Ok(changes)
}

/// Returns what a record changes by itself, without what else the registry holds.
fn change_of_record(record: &Record) -> Option<Change> {
    Some(match record {
        Record::Organization(body) => Change::Organization(Arc::new(body.clone())),
        Record::Workload(body) => Change::Workload(Arc::new(body.clone())),
        Record::Key(body) => Change::Key(Arc::new(body.clone())),
        Record::Channel(body) => Change::Channel(Arc::new(body.clone())),
        Record::SessionEnd(body) => Change::Session(Arc::new(body.clone())),
        _ => return None,
    })
}
