//! What is known about one call at one moment; everything [`crate::decide`] may look at.

use std::sync::Arc;

use terms::{InstrumentId, KeyId, ModelVersionId, Moment, Organization, OrganizationId, Person, Workload};

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
    /// Tokens already used under instruments that cap them, in the current calendar month (UTC).
    ///
    /// A capped instrument that is missing here counts as used up: what is not known permits nothing.
    pub consumed: Vec<Consumed>,
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

/// Tokens used under one instrument in its current period.
#[derive(Clone, Debug, Eq, PartialEq, serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
pub struct Consumed {
    /// The instrument.
    pub instrument: InstrumentId,
    /// Tokens so far.
    pub tokens: u64,
}
