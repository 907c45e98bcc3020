//! Organizations, people and workloads.

use std::collections::BTreeSet;

use terms::{Organization, OrganizationId, Person, PersonId, Workload, WorkloadId};

use super::{
    Changed, NewOrganization, NewPerson, NewWorkload, OrganizationUpdate, PersonUpdate, Registrar, WorkloadUpdate,
    checks::Checks,
};
use crate::{
    Fault,
    control::Registry,
    record::{PersonRecord, Record},
    store::Store,
};

/// The most people that one workload may name as owners, and as recipients.
const WORKLOAD_PEOPLE_MAX: usize = 64;

impl Registrar<'_> {
    /// Adds an organization.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`], [`Fault::Conflict`] if the id is taken, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn add_organization(&self, new: NewOrganization) -> Result<Changed<Organization>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let taken = registry.store.organization(&new.id)?.is_some();
        free(taken, "organization", &new.id)?;
        let organization = Organization {
            id: new.id,
            legal_name: new.legal_name,
            country: new.country,
            kind: new.kind,
            screening: new.screening,
            coverage: new.coverage,
            resells: new.resells,
            headquarters: new.headquarters,
            ties: in_order(new.ties),
        };
        self.put_organization(&mut registry, "organization.add", organization)
    }

    /// Changes an organization's name, screening, coverage, resale, headquarters or ties.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Invalid`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn update_organization(
        &self,
        id: &OrganizationId,
        update: OrganizationUpdate,
    ) -> Result<Changed<Organization>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let old = registry.store.organization(id)?;
        let old = old.ok_or_else(|| Fault::not_found("organization", id))?;
        let new = Organization {
            legal_name: update.legal_name.unwrap_or_else(|| old.legal_name.clone()),
            screening: update.screening.unwrap_or(old.screening),
            coverage: update.coverage.unwrap_or(old.coverage),
            resells: update.resells.unwrap_or(old.resells),
            headquarters: update.headquarters.or(old.headquarters),
            ties: update.ties.map_or_else(|| old.ties.clone(), in_order),
            ..old.clone()
        };
        differs(&old, &new)?;
        self.put_organization(&mut registry, "organization.update", new)
    }

    fn put_organization(
        &self,
        registry: &mut Registry,
        code: &'static str,
        organization: Organization,
    ) -> Result<Changed<Organization>, Fault> {
        let mut checks = Checks::default();
        checks.text(&organization.legal_name, "legal_name");
        checks.finish()?;
        let record = Record::Organization(organization.clone());
        self.0.commit(registry, code, record, organization)
    }

    /// Adds a person, active and without evidence.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`], [`Fault::Conflict`] if the id is taken, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn add_person(&self, new: NewPerson) -> Result<Changed<Person>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let taken = registry.store.person_record(&new.id)?.is_some();
        free(taken, "person", &new.id)?;
        let person =
            PersonRecord { id: new.id, display_name: new.display_name, screening: new.screening, active: true };
        self.put_person(&mut registry, "person.add", person)
    }

    /// Changes a person's name or screening, or withdraws or restores access.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Invalid`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn update_person(&self, id: &PersonId, update: PersonUpdate) -> Result<Changed<Person>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let old = registry.store.person_record(id)?;
        let old = old.ok_or_else(|| Fault::not_found("person", id))?;
        let new = PersonRecord {
            id: old.id.clone(),
            display_name: update.display_name.unwrap_or_else(|| old.display_name.clone()),
            screening: update.screening.unwrap_or(old.screening),
            active: update.active.unwrap_or(old.active),
        };
        differs(&old, &new)?;
        let code = toggled(old.active, new.active, PERSON_CODES);
        self.put_person(&mut registry, code, new)
    }

    fn put_person(
        &self,
        registry: &mut Registry,
        code: &'static str,
        person: PersonRecord,
    ) -> Result<Changed<Person>, Fault> {
        let mut checks = Checks::default();
        checks.text(&person.display_name, "display_name");
        checks.finish()?;
        let id = person.id.clone();
        let changed = self.0.commit(registry, code, Record::Person(person), ())?;
        self.with_person(registry, changed, &id)
    }

    /// Adds the person as they are now to a change that concerns them.
    pub(super) fn with_person(
        &self,
        registry: &Registry,
        changed: Changed<()>,
        id: &PersonId,
    ) -> Result<Changed<Person>, Fault> {
        let person = registry.store.person(id)?;
        Ok(Changed {
            receipt: changed.receipt,
            effect: changed.effect,
            item: person.ok_or_else(|| Fault::not_found("person", id))?,
        })
    }

    /// Adds a workload with its accountable owners.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming each fault, [`Fault::Conflict`] if the id is taken, [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn add_workload(&self, new: NewWorkload) -> Result<Changed<Workload>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let taken = registry.store.workload(&new.id)?.is_some();
        free(taken, "workload", &new.id)?;
        let workload = Workload {
            id: new.id,
            purpose: new.purpose,
            organization: new.organization,
            owners: in_order(new.owners),
            recipients: in_order(new.recipients),
            active: true,
        };
        self.put_workload(&mut registry, "workload.add", workload)
    }

    /// Changes a workload's purpose, owners or recipients, or withdraws or restores access.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Invalid`], [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn update_workload(&self, id: &WorkloadId, update: WorkloadUpdate) -> Result<Changed<Workload>, Fault> {
        let mut registry = self.0.inner.registry()?;
        let old = registry.store.workload(id)?;
        let old = old.ok_or_else(|| Fault::not_found("workload", id))?;
        let new = Workload {
            purpose: update.purpose.unwrap_or_else(|| old.purpose.clone()),
            owners: update.owners.map_or_else(|| old.owners.clone(), in_order),
            recipients: update.recipients.map_or_else(|| old.recipients.clone(), in_order),
            active: update.active.unwrap_or(old.active),
            ..old.clone()
        };
        differs(&old, &new)?;
        let code = toggled(old.active, new.active, WORKLOAD_CODES);
        self.put_workload(&mut registry, code, new)
    }

    fn put_workload(
        &self,
        registry: &mut Registry,
        code: &'static str,
        workload: Workload,
    ) -> Result<Changed<Workload>, Fault> {
        check_workload(&registry.store, &workload)?;
        let record = Record::Workload(workload.clone());
        self.0.commit(registry, code, record, workload)
    }
}

fn check_workload(store: &Store, workload: &Workload) -> Result<(), Fault> {
    let mut checks = Checks::default();
    checks.text(&workload.purpose, "purpose");
    let organization = store.organization(&workload.organization)?;
    let detail = "must be a registered organization: add it first";
    checks.require(organization.is_some(), "organization", detail);
    let detail = "must name 1 to 64 people who answer for the workload";
    let count = workload.owners.len();
    checks.require((1..=WORKLOAD_PEOPLE_MAX).contains(&count), "owners", detail);
    let few = workload.recipients.len() <= WORKLOAD_PEOPLE_MAX;
    checks.require(few, "recipients", "must name at most 64 people");
    for owner in workload.owners.iter().take(WORKLOAD_PEOPLE_MAX) {
        let active = store.person_record(owner)?.is_some_and(|person| person.active);
        let detail = format!("`{owner}` must be a registered, active person");
        checks.require(active, "owners", &detail);
    }
    for recipient in workload.recipients.iter().take(WORKLOAD_PEOPLE_MAX) {
        let known = store.person_record(recipient)?.is_some();
        let detail = format!("`{recipient}` must be a registered person");
        checks.require(known, "recipients", &detail);
    }
    checks.finish()
}

/// The verbs for a change, a withdrawal of access, and its return.
type Codes = [&'static str; 3];
const PERSON_CODES: Codes = ["person.update", "person.deactivate", "person.reactivate"];
const WORKLOAD_CODES: Codes = ["workload.update", "workload.deactivate", "workload.reactivate"];

fn toggled(before: bool, after: bool, [update, deactivate, reactivate]: Codes) -> &'static str {
    match (before, after) {
        (true, false) => deactivate,
        (false, true) => reactivate,
        _ => update,
    }
}

fn in_order<T: Ord>(items: Vec<T>) -> Vec<T> {
    let items: BTreeSet<T> = items.into_iter().collect();
    items.into_iter().collect()
}

/// Requires that an id is not taken yet.
pub(super) fn free(taken: bool, what: &str, id: impl std::fmt::Display) -> Result<(), Fault> {
    if taken {
        let detail = format!("there already is {what} `{id}`: choose another id");
        return Err(Fault::Conflict(detail));
    }
    Ok(())
}

/// Requires that an update changes something, so that the log holds no empty changes.
fn differs<T: serde::Serialize>(old: &T, new: &T) -> Result<(), Fault> {
    let same = serde_json::to_vec(old).ok() == serde_json::to_vec(new).ok();
    if same {
        let detail = "changes nothing: name at least one field with a new value";
        return Err(Fault::invalid("", detail));
    }
    Ok(())
}
