//! The one way a change happens: recorded, stored, in effect, in this order.

use std::sync::Arc;

use identity::Change;
use ledger::{Draft, Ledger, Unavailable};
use policy::{Snapshot, SnapshotDocument};
use proof::entry::{Entry, Kind};
use terms::PersonId;

use crate::{
    Actor, Effect, Fault,
    control::{Inner, Registry, read, write},
    record::{Envelope, Record},
    store::{Store, StoreError},
};

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
        let stored = registry.store.apply(index, &record);
        registry.keep_up(index, stored)?;
        let effect = self.take_effect(&registry.store, &record)?;
        tracing::info!(
            code = act.code,
            actor = act.actor.name(),
            index,
            recalled = effect.recalled,
            "registry changed"
        );
        Ok(Receipt { index, effect })
    }

    /// Puts a document in force under the next epoch, if it compiles.
    pub(crate) fn enact(
        &self,
        registry: &mut Registry,
        act: Act<'_>,
        document: SnapshotDocument,
    ) -> Result<Receipt, Fault> {
        let snapshot = Snapshot::compile(document).map_err(Fault::does_not_compile)?;
        let index = record_snapshot(&self.ledger, act, &snapshot)?;
        let stored = registry.store.apply_snapshot(index, snapshot.digest(), snapshot.document());
        registry.keep_up(index, stored)?;
        let epoch = snapshot.epoch();
        let effect = self.put_in_force(Arc::new(snapshot));
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
        if let Record::AdminToken(token) = record {
            write(&self.tokens).insert(token.id.clone(), token.clone());
        }
        let Some(change) = change_of(store, record)? else {
            return Ok(Effect::default());
        };
        self.directory.apply(change.clone());
        let publish = read(&self.publish).clone();
        Ok(publish.map_or_else(Effect::default, |publish| publish.directory(change)))
    }
}

impl Registry {
    /// Remembers that a durable entry still has to be applied, if it could not be.
    fn keep_up(&mut self, index: u64, stored: Result<(), StoreError>) -> Result<(), Fault> {
        stored.map_err(|source| {
            self.behind = true;
            tracing::error!(index, %source, "the registry lags behind the ledger");
            Fault::Behind { index, source }
        })
    }
}

fn record_change(ledger: &Ledger, act: Act<'_>, record: &Record) -> Result<u64, Unavailable> {
    let mut entry = Entry::new(record.kind());
    entry.code = Some(act.code.to_owned());
    entry.subject = record.subject().map(|subject| ledger.pseudonym(&subject));
    let envelope = Envelope::new(act.actor.name().to_owned(), record.clone());
    let private = serde_json::to_vec(&envelope).map_err(|_| Unavailable::TooLong)?;
    let recorded = ledger.append(Draft { entry, private })?.wait()?;
    Ok(recorded.index())
}

/// Records who acted, then the snapshot itself, whose private part is the canonical document and nothing else.
///
/// A crash between the two leaves a record of an act that took no effect.
pub(crate) fn record_snapshot(ledger: &Ledger, act: Act<'_>, snapshot: &Snapshot) -> Result<u64, Unavailable> {
    let said = serde_json::json!({ "actor": act.actor.name(), "epoch": snapshot.epoch() });
    let mut admin = Entry::new(Kind::Admin);
    admin.code = Some(act.code.to_owned());
    admin.snapshot = Some(*snapshot.digest());
    let admin = ledger.append(Draft { entry: admin, private: said.to_string().into_bytes() })?;
    let mut entry = Entry::new(Kind::Snapshot);
    entry.code = Some(act.code.to_owned());
    entry.snapshot = Some(*snapshot.digest());
    let entry = ledger.append(Draft { entry, private: snapshot.canonical() })?;
    let _ = admin.wait()?;
    Ok(entry.wait()?.index())
}

fn change_of(store: &Store, record: &Record) -> Result<Option<Change>, StoreError> {
    let change = match record {
        Record::Organization(body) => Change::Organization(Arc::new(body.clone())),
        Record::Workload(body) => Change::Workload(Arc::new(body.clone())),
        Record::Key(body) => Change::Key(Arc::new(body.clone())),
        Record::Person(body) => return person_change(store, &body.id),
        Record::Attestation(body) => return person_change(store, &body.person),
        Record::Withdrawal(body) => return person_change(store, &body.person),
        Record::Affiliation(body) => return person_change(store, &body.person),
        Record::AdminToken(_) | Record::Directive(_) | Record::License(_) => return Ok(None),
    };
    Ok(Some(change))
}

fn person_change(store: &Store, id: &PersonId) -> Result<Option<Change>, StoreError> {
    let person = store.person(id)?;
    Ok(person.map(|person| Change::Person(Arc::new(person))))
}
