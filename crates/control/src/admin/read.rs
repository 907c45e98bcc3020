//! What administrators read. Each area belongs to the role that changes it, and all of them to the auditor.

use identity::KeyRecord;
use policy::Snapshot;
use serde::Serialize;
use std::sync::Arc;
use terms::{
    Affiliation, AffiliationId, Attestation, AttestationId, InstrumentId, KeyId, Organization, OrganizationId, Person,
    PersonId, Workload, WorkloadId,
};

use super::desk::InstrumentState;
use crate::{
    Admin, Approver, Fault, InstrumentKind, Role,
    control::read,
    store::{Filter, Page, Store, StoreError},
    token::TokenRecord,
};

/// One page of a list.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed<T> {
    pub(crate) items: Vec<T>,
    /// What `after` must be to get the next page; absent on the last one.
    pub(crate) next: Option<String>,
}

impl<T> Listed<T> {
    /// Shows each item in another form.
    pub(crate) fn map<U>(self, form: impl FnMut(T) -> U) -> Listed<U> {
        Listed { items: self.items.into_iter().map(form).collect(), next: self.next }
    }
}

/// An attestation and whether it still counts.
#[derive(Clone, Debug, Serialize)]
pub struct AttestationStatus {
    /// True if it is neither superseded nor withdrawn. It may have expired.
    pub held: bool,
    /// The attestation.
    pub attestation: Attestation,
}

/// What can be read, and who may.
#[derive(Clone, Copy)]
pub(crate) enum Area {
    Registry,
    Instruments,
    Tokens,
    Receipts,
    Operations,
    History,
}

impl Area {
    fn readers(self) -> &'static [Role] {
        match self {
            Self::Registry => &[Role::Registrar, Role::Auditor],
            Self::Instruments | Self::History => &[Role::Officer, Role::Auditor],
            Self::Tokens | Self::Receipts => &[Role::Auditor],
            Self::Operations => &[Role::Operator, Role::Auditor],
        }
    }
}

/// Reads, for an actor who may read the area it was made for.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(pub(super) &'a Admin<'a>);

impl Admin<'_> {
    /// Returns what reads one area.
    pub(crate) fn reader(&self, area: Area) -> Result<Reader<'_>, Fault> {
        self.allow(area.readers()).map(Reader)
    }
}

impl Reader<'_> {
    pub(crate) fn organization(&self, id: &OrganizationId) -> Result<Organization, Fault> {
        let found = self.store(|store| store.organization(id))?;
        found.ok_or_else(|| Fault::not_found("organization", id))
    }

    pub(crate) fn organizations(&self, page: Page) -> Result<Listed<Organization>, Fault> {
        self.listed(page, |store, page| store.organizations(page), |item| item.id.as_str())
    }

    pub(crate) fn person(&self, id: &PersonId) -> Result<Person, Fault> {
        let found = self.store(|store| store.person(id))?;
        found.ok_or_else(|| Fault::not_found("person", id))
    }

    pub(crate) fn people(&self, page: Page) -> Result<Listed<Person>, Fault> {
        self.listed(page, |store, page| store.people(page), |item| item.id.as_str())
    }

    pub(crate) fn workload(&self, id: &WorkloadId) -> Result<Workload, Fault> {
        let found = self.store(|store| store.workload(id))?;
        found.ok_or_else(|| Fault::not_found("workload", id))
    }

    pub(crate) fn workloads(&self, page: Page) -> Result<Listed<Workload>, Fault> {
        self.listed(page, |store, page| store.workloads(page), |item| item.id.as_str())
    }

    pub(crate) fn attestation(&self, id: &AttestationId) -> Result<AttestationStatus, Fault> {
        self.store(|store| {
            let found = store.attestation(id)?;
            found.map(|found| status(store, found)).transpose()
        })?
        .ok_or_else(|| Fault::not_found("attestation", id))
    }

    pub(crate) fn attestations(&self, person: Option<String>, page: Page) -> Result<Listed<AttestationStatus>, Fault> {
        let filter = of("person", person);
        self.listed(
            page,
            |store, page| {
                let found = store.attestations(filter, page)?.into_iter();
                found.map(|found| status(store, found)).collect()
            },
            |item| item.attestation.id.as_str(),
        )
    }

    pub(crate) fn affiliation(&self, id: &AffiliationId) -> Result<Affiliation, Fault> {
        let found = self.store(|store| store.affiliation(id))?;
        found.ok_or_else(|| Fault::not_found("affiliation", id))
    }

    pub(crate) fn affiliations(&self, person: Option<String>, page: Page) -> Result<Listed<Affiliation>, Fault> {
        let filter = of("person", person);
        self.listed(page, |store, page| store.affiliations(filter, page), |item| item.id.as_str())
    }

    pub(crate) fn key(&self, id: &KeyId) -> Result<KeyRecord, Fault> {
        let found = self.store(|store| store.key(id))?;
        found.ok_or_else(|| Fault::not_found("key", id))
    }

    pub(crate) fn keys(&self, person: Option<String>, page: Page) -> Result<Listed<KeyRecord>, Fault> {
        let filter = of("person", person);
        self.listed(page, |store, page| store.keys(filter, page), |item| item.id.as_str())
    }

    pub(crate) fn tokens(&self, page: Page) -> Result<Listed<TokenRecord>, Fault> {
        self.listed(page, |store, page| store.tokens(page), |item| item.id.as_str())
    }

    pub(crate) fn instruments(&self, kind: InstrumentKind, page: Page) -> Result<Listed<InstrumentState>, Fault> {
        self.listed(
            page,
            |store, page| {
                let filed = store.instruments(kind, page)?.into_iter();
                filed.map(|filed| InstrumentState::read(store, filed)).collect()
            },
            |item| item.id.as_str(),
        )
    }

    /// Returns every version, latest first.
    pub(crate) fn versions(&self, kind: InstrumentKind, id: &InstrumentId) -> Result<Vec<InstrumentState>, Fault> {
        let versions = self.store(|store| {
            let filed = store.versions(kind, id)?.into_iter().rev();
            filed.map(|filed| InstrumentState::read(store, filed)).collect::<Result<Vec<_>, _>>()
        })?;
        if versions.is_empty() {
            return Err(Fault::not_found(kind.as_str(), id));
        }
        Ok(versions)
    }

    pub(crate) fn approvers(&self, page: Page) -> Result<Listed<Approver>, Fault> {
        self.listed(page, |store, page| store.approvers(page), |item| item.id.as_str())
    }

    /// Returns the snapshot in force and the entry that put it in force.
    pub(crate) fn snapshot(&self) -> Result<(Arc<Snapshot>, Option<u64>), Fault> {
        let snapshot = self.0.inner.snapshot();
        let entry = self.store(|store| store.snapshot_entry(snapshot.epoch()))?;
        Ok((snapshot, entry))
    }

    pub(crate) fn receipt(&self, index: u64) -> Result<ledger::Receipt, Fault> {
        Ok(self.0.inner.ledger.receipt(index)?)
    }

    /// Returns what the control plane and the ledger say of themselves.
    pub(crate) fn health(&self) -> Health {
        let ledger = self.0.inner.ledger.health();
        let behind = self.0.inner.peek().behind;
        let current = read(&self.0.inner.tokens).clone();
        let now = self.0.now();
        Health {
            ready: ledger.unavailable.is_none() && !behind,
            registry_behind: behind,
            ledger_unavailable: ledger.unavailable.map(|why| why.to_string()),
            ledger_durable: ledger.durable,
            ledger_queued: u64::try_from(ledger.queued).unwrap_or(u64::MAX),
            ledger_checkpoint: ledger.checkpoint,
            snapshot_epoch: self.0.inner.snapshot().epoch(),
            clock_behind_seconds: self.0.inner.clock.behind().as_secs(),
            approvals_needed: u64::from(self.0.inner.desk.approvals),
            break_glass_open: u64::try_from(read(&self.0.inner.glass).len()).unwrap_or(u64::MAX),
            admin_tokens: u64::try_from(current.values().filter(|t| t.is_current(now)).count()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn store<T>(&self, read: impl FnOnce(&Store) -> Result<T, StoreError>) -> Result<T, Fault> {
        Ok(read(&self.0.inner.peek().store)?)
    }

    /// Reads one row more than asked for, which tells whether there is another page.
    pub(super) fn listed<T>(
        &self,
        mut page: Page,
        list: impl FnOnce(&Store, &Page) -> Result<Vec<T>, StoreError>,
        id: impl Fn(&T) -> &str,
    ) -> Result<Listed<T>, Fault> {
        let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
        page.limit = page.limit.saturating_add(1);
        let mut items = self.store(|store| list(store, &page))?;
        let more = items.len() > wanted;
        items.truncate(wanted);
        let next = items.last().filter(|_| more).map(|last| id(last).to_owned());
        Ok(Listed { items, next })
    }
}

/// What the control plane and the ledger say of themselves.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Health {
    /// True if changes can be made.
    ready: bool,
    /// True if a durable entry waits to be applied to the registry.
    registry_behind: bool,
    /// Why the ledger takes no entry, if so.
    ledger_unavailable: Option<String>,
    /// Entries that are durable.
    ledger_durable: u64,
    /// Entries that wait for the disk.
    ledger_queued: u64,
    /// The size of the latest signed checkpoint.
    ledger_checkpoint: u64,
    /// The epoch of the snapshot in force.
    snapshot_epoch: u64,
    /// How far the clock stepped back, in seconds.
    clock_behind_seconds: u64,
    /// How many people must approve what the directive desk does; 0 lets one officer act alone.
    approvals_needed: u64,
    /// Instruments in force without their approvals: an alarm if above 0.
    break_glass_open: u64,
    /// Admin tokens that are good now.
    admin_tokens: u64,
}

fn status(store: &Store, attestation: Attestation) -> Result<AttestationStatus, StoreError> {
    Ok(AttestationStatus { held: store.is_held(&attestation.id)?, attestation })
}

fn of(column: &'static str, value: Option<String>) -> Option<Filter> {
    value.map(|value| Filter { column, value })
}
