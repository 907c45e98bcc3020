//! The destruction of what nothing keeps any more.
//!
//! A registry that is lost is made again from the ledger, without what was destroyed. So that it grants nothing that was
//! taken back, and knows nobody less well than the one that was lost, only those are erased who can do nothing any more,
//! and their earliest quarter first: whatever took something back is destroyed no earlier than what had granted it.

use std::collections::BTreeSet;

use ledger::Draft;
use proof::entry::{Entry, Kind};
use terms::OrganizationId;

use super::{Changed, NewErasure, Officer, checks::Checks};
use crate::{
    Effect, Fault,
    control::read,
    hold::{Bearer, Erased, kept_by},
    production::Chained,
    store::{Filter, Page, Store, StoreError},
};

impl Officer<'_> {
    /// Destroys the key under which the private parts of a subject's entries in one epoch are kept, once neither retention
    /// nor a hold keeps them, the subject can do nothing any more, and no earlier epoch of theirs is left. Entries, proofs,
    /// links and sums stay as they are; there is no way back.
    ///
    /// It is on record before it is done; done again after a crash in between, it says that there was nothing left.
    ///
    /// # Errors
    ///
    /// [`Fault::Conflict`] naming the rule or the hold that keeps them, or what has to be done before;
    /// [`Fault::Invalid`], [`Fault::Unrecorded`], [`Fault::NotErased`].
    pub fn erase(&self, new: NewErasure) -> Result<Changed<Erased>, Fault> {
        let registry = self.admin.inner.registry()?;
        let subject = subject_of(&new)?;
        self.check_kept(&registry.store, &subject, new.epoch)?;
        self.check_gone(&registry.store, &subject)?;
        self.check_earliest(&new)?;
        let index = self.record_erasure(&new)?;
        let pseudonym = self.admin.inner.ledger.pseudonym(&new.subject);
        let destroyed = self.admin.inner.ledger.erase(&pseudonym, new.epoch).map_err(Fault::NotErased)?;
        drop(registry);
        tracing::info!(index, epoch = new.epoch, destroyed, "a subject's key was destroyed");
        let item = Erased { subject: new.subject, epoch: new.epoch, destroyed };
        Ok(Changed { receipt: index, effect: Effect::default(), item })
    }

    /// Requires that neither retention nor a hold keeps what is to be erased.
    fn check_kept(&self, store: &Store, subject: &Chained, epoch: u32) -> Result<(), Fault> {
        let retention = read(&self.admin.inner.retention).clone();
        if let Some(why) = kept_by(&retention, epoch, self.admin.now()) {
            return Err(Fault::Conflict(why));
        }
        let bearer = Bearer { subject: subject.clone(), organizations: self.organizations_of(store, subject)? };
        for hold in store.holds(&Page::ALL)? {
            if hold.keeps(&bearer) {
                let why =
                    format!("`{}` keeps these records ({}): it takes a written authorization", hold.id, hold.authority);
                return Err(Fault::Conflict(why));
            }
        }
        Ok(())
    }

    /// Returns the organizations in whose chains calls of a person may be: those of their affiliations, ended ones too, of
    /// their keys, revoked ones too, and of their accounts, also those that are gone. `None` for whoever is no person or is
    /// not known, and where anything of them was erased: a registry made again has nothing of what was destroyed.
    fn organizations_of(
        &self,
        store: &Store,
        subject: &Chained,
    ) -> Result<Option<BTreeSet<OrganizationId>>, StoreError> {
        let Chained::Person(id) = subject else { return Ok(None) };
        let ledger = &self.admin.inner.ledger;
        if ledger.has_erased(&ledger.pseudonym(&format!("person:{id}"))) {
            return Ok(None);
        }
        let Some(person) = store.person(id)? else { return Ok(None) };
        let keys = store.keys(Some(Filter { column: "person", value: id.as_str().to_owned() }), &Page::ALL)?;
        let affiliated = person.affiliations.into_iter().map(|held| held.organization);
        let accounts = store.account_organizations(id)?;
        let tenants = keys.into_iter().filter_map(|key| key.organization);
        Ok(Some(affiliated.chain(accounts).chain(tenants).collect()))
    }

    /// Requires that the subject can do nothing any more.
    fn check_gone(&self, store: &Store, subject: &Chained) -> Result<(), Fault> {
        let now = self.admin.now();
        let current = |column| {
            let keys = store.keys(Some(Filter { column, value: id_of(subject).to_owned() }), &Page::ALL)?;
            Ok::<_, StoreError>(keys.into_iter().any(|key| key.revoked_at.is_none() && key.expires_at > now))
        };
        let (active, key) = match subject {
            Chained::Person(id) => (store.person_record(id)?.is_some_and(|person| person.active), current("person")?),
            Chained::Workload(id) => (store.workload(id)?.is_some_and(|held| held.active), current("workload")?),
            _ => (false, current("id")?),
        };
        match (active, key) {
            (true, _) => {
                Err(Fault::Conflict("the subject is active in the registry: withdraw their access first".to_owned()))
            }
            (false, true) => {
                Err(Fault::Conflict("a key of the subject is good in the registry: revoke it first".to_owned()))
            }
            (false, false) => Ok(()),
        }
    }

    /// Requires that nothing is left of the subject from before the epoch.
    fn check_earliest(&self, new: &NewErasure) -> Result<(), Fault> {
        let ledger = &self.admin.inner.ledger;
        let kept = ledger.kept_epochs(&ledger.pseudonym(&new.subject));
        match kept.first().filter(|first| **first < new.epoch) {
            Some(first) => Err(Fault::Conflict(format!("epoch {first} of the subject is still there: erase it first"))),
            None => Ok(()),
        }
    }

    /// Records the erasure under the subject's own key of today, since it names them.
    fn record_erasure(&self, new: &NewErasure) -> Result<u64, Fault> {
        let inner = self.admin.inner;
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some("record.erase".to_owned());
        entry.subject = Some(inner.ledger.pseudonym(&new.subject));
        let said = serde_json::json!({
            "actor": self.admin.actor().name(), "subject": new.subject, "epoch": new.epoch, "reason": new.reason,
        });
        Ok(inner.ledger.append(Draft::new(entry, said.to_string()))?.wait()?.index())
    }
}

/// Reads whose records are meant; faults name every wrong field.
fn subject_of(new: &NewErasure) -> Result<Chained, Fault> {
    let mut checks = Checks::default();
    checks.text(&new.reason, "reason");
    let subject = Chained::parse(&new.subject).ok();
    let subject = subject.filter(|subject| !matches!(subject, Chained::Organization(_) | Chained::Model(_)));
    let detail = "write it as the log names callers: `person:ada`, `workload:nightly`, `key:ID`";
    checks.require(subject.is_some(), "subject", detail);
    checks.finish()?;
    subject.ok_or_else(|| Fault::invalid("subject", detail))
}

fn id_of(subject: &Chained) -> &str {
    match subject {
        Chained::Person(id) => id.as_str(),
        Chained::Workload(id) => id.as_str(),
        Chained::Key(id) => id.as_str(),
        Chained::Organization(id) => id.as_str(),
        Chained::Model(id) => id.as_str(),
    }
}
