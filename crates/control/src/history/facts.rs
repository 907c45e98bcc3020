//! The facts of a call that was not made: who would have stood behind it.

use std::{collections::BTreeSet, sync::Arc};

use identity::{Directory, Holder};
use policy::{CallerFacts, CredentialFacts, Facts, Reliance};
use terms::{ChannelId, ModelVersionId, Moment, Organization, OrganizationId, Person, PersonId, Workload, WorkloadId};

/// Who is who, at one moment.
pub(crate) trait Known {
    /// Returns a person with the evidence that was held.
    fn person(&self, id: &PersonId) -> Option<Arc<Person>>;
    /// Returns an organization.
    fn organization(&self, id: &OrganizationId) -> Option<Arc<Organization>>;
    /// Returns a workload.
    fn workload(&self, id: &WorkloadId) -> Option<Arc<Workload>>;
    /// Returns up to when a channel can be relied on.
    fn reliance(&self, id: &ChannelId) -> Option<Reliance>;
}

impl Known for Directory {
    fn person(&self, id: &PersonId) -> Option<Arc<Person>> {
        Self::person(self, id)
    }

    fn organization(&self, id: &OrganizationId) -> Option<Arc<Organization>> {
        Self::organization(self, id)
    }

    fn workload(&self, id: &WorkloadId) -> Option<Arc<Workload>> {
        Self::workload(self, id)
    }

    fn reliance(&self, id: &ChannelId) -> Option<Reliance> {
        self.channel(id).map(|channel| Reliance { channel: id.clone(), until: channel.stale_at() })
    }
}

/// Gathers what was known about a credential at a moment, as the gateway does for a call.
///
/// Tokens used under a cap are not in the log, so a license with a cap counts as used up.
pub(crate) fn gather(
    known: &impl Known,
    holder: &Holder,
    credential: CredentialFacts,
    model: ModelVersionId,
    at: Moment,
) -> Facts {
    let caller = caller(known, holder);
    let organizations = organizations(known, &credential, &caller);
    let channels = caller.channels().iter().filter_map(|channel| known.reliance(channel)).collect();
    Facts { at, model, credential, caller, organizations, consumed: Vec::new(), channels }
}

fn caller(known: &impl Known, holder: &Holder) -> CallerFacts {
    let found = |ids: &[PersonId]| ids.iter().filter_map(|id| known.person(id)).collect();
    match holder {
        Holder::Person { person } => {
            known.person(person).map_or(CallerFacts::Unbound, |person| CallerFacts::Person { person })
        }
        Holder::Workload { workload } => known.workload(workload).map_or(CallerFacts::Unbound, |workload| {
            let (owners, recipients) = (found(&workload.owners), found(&workload.recipients));
            CallerFacts::Workload { workload, owners, recipients }
        }),
        Holder::Shared => CallerFacts::Unbound,
    }
}

fn organizations(known: &impl Known, credential: &CredentialFacts, caller: &CallerFacts) -> Vec<Arc<Organization>> {
    let (people, employer) = match caller {
        CallerFacts::Person { person } => (vec![person], None),
        CallerFacts::Workload { workload, owners, recipients } => {
            (owners.iter().chain(recipients).collect(), Some(&workload.organization))
        }
        CallerFacts::Unbound => (Vec::new(), None),
    };
    let acted_for = people.iter().flat_map(|person| person.affiliations.iter().map(|held| &held.organization));
    let ids: BTreeSet<&OrganizationId> = acted_for.chain(&credential.organization).chain(employer).collect();
    ids.into_iter().filter_map(|id| known.organization(id)).collect()
}
