//! What is known about one call at one moment; everything [`crate::decide`] may look at.

use std::{collections::BTreeSet, sync::Arc};

use terms::{
    AccountState, ChannelId, EndUse, InstrumentId, KeyId, ModelVersionId, Moment, Organization, OrganizationId, Person,
    Workload,
};

use crate::{Period, evidence::Now};

/// What is known about one call at one moment. Serialized into the record, so that the decision can be replayed.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// When.
    pub at: Moment,
    /// What is asked for.
    pub model: ModelVersionId,
    /// The credential presented.
    pub credential: CredentialFacts,
    /// Who stands behind it.
    pub caller: CallerFacts,
    /// Every organization that the caller's affiliations or the credential name; in order of id.
    pub organizations: Vec<Arc<Organization>>,
    /// Tokens already used under instruments that cap them, for each period they cap, in the current one.
    ///
    /// A capped instrument that is missing here counts as used up: what is not known permits nothing.
    pub consumed: Vec<Consumed>,
    /// Up to when each channel can be relied on that evidence about the caller rests on; in order of id.
    ///
    /// A channel that is missing here is not relied on: what is not known permits nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<Reliance>,
}

/// The credential presented, already authenticated.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialFacts {
    /// Its public id.
    pub id: KeyId,
    /// When it expires.
    pub expires_at: Moment,
    /// True once it was revoked.
    pub revoked: bool,
    /// The organization whose tenant it belongs to, if any.
    pub organization: Option<OrganizationId>,
    /// The end use it was made for (15 CFR 772.1), if one was declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_use: Option<EndUse>,
}

/// Who stands behind a credential.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum CallerFacts {
    /// One natural person.
    Person {
        /// That person.
        person: Arc<Person>,
    },
    /// A non-human caller.
    Workload {
        /// The workload.
        workload: Arc<Workload>,
        /// Its accountable owners that are still in the registry; in order of id.
        owners: Vec<Arc<Person>>,
        /// Its fixed recipients that are still in the registry; in order of id.
        recipients: Vec<Arc<Person>>,
    },
    /// Nobody: a shared credential.
    Unbound,
}

impl Facts {
    /// Returns true if somebody who would receive the output may no longer use the tenant's credentials.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.caller.is_locked_out(self.credential.organization.as_ref())
    }

    pub(crate) fn now(&self) -> Now<'_> {
        Now { at: self.at, channels: &self.channels }
    }
}

impl CallerFacts {
    /// Returns every person behind the credential, owners before recipients; one may be both.
    pub fn people(&self) -> impl Iterator<Item = &Arc<Person>> {
        let (one, owners, recipients) = match self {
            Self::Person { person } => (Some(person), &[][..], &[][..]),
            Self::Workload { owners, recipients, .. } => (None, owners.as_slice(), recipients.as_slice()),
            Self::Unbound => (None, &[][..], &[][..]),
        };
        one.into_iter().chain(owners).chain(recipients)
    }

    /// Returns true if somebody who would receive the output may no longer use the tenant's credentials: their account at
    /// one of its sources is suspended or over.
    #[must_use]
    pub fn is_locked_out(&self, tenant: Option<&OrganizationId>) -> bool {
        let receivers = match self {
            Self::Person { person } => std::slice::from_ref(person),
            Self::Workload { recipients, .. } => recipients.as_slice(),
            Self::Unbound => &[],
        };
        let mut accounts = receivers.iter().flat_map(|person| &person.accounts);
        accounts.any(|account| account.organization.as_ref() == tenant && account.state != AccountState::Active)
    }

    /// Returns the ids of every channel that evidence about the people rests on. What [`Facts::channels`] must hold, in
    /// its order.
    #[must_use]
    pub fn channels(&self) -> BTreeSet<ChannelId> {
        let attested = self.people().flat_map(|person| &person.attestations).filter_map(|a| a.channel.clone());
        let affiliated = self.people().flat_map(|person| &person.affiliations).filter_map(|a| a.channel.clone());
        attested.chain(affiliated).collect()
    }

    /// Returns the ids of every organization that a call may involve: those that the people act for, the workload's and
    /// the tenant. What [`Facts::organizations`] must hold, in its order.
    #[must_use]
    pub fn organizations(&self, tenant: Option<&OrganizationId>) -> BTreeSet<OrganizationId> {
        let affiliations = self.people().flat_map(|person| &person.affiliations);
        let mut ids: BTreeSet<OrganizationId> = affiliations.map(|a| a.organization.clone()).collect();
        ids.extend(tenant.cloned());
        if let Self::Workload { workload, .. } = self {
            ids.insert(workload.organization.clone());
        }
        ids
    }
}

/// Up to when a channel can be relied on, unless it is heard before.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Reliance {
    /// The channel.
    pub channel: ChannelId,
    /// From then on what rests on it establishes nothing.
    pub until: Moment,
}

/// Tokens used under one instrument in the current period of one kind.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Consumed {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Which period.
    pub per: Period,
    /// Tokens so far.
    pub tokens: u64,
}
