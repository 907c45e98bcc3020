//! Questions about the past: what the answer was, what it would have been, and what was in force when.

use identity::Holder;
use policy::{
    CredentialFacts, Facts, explain,
    explain::{Explanation, InstrumentVersion, instruments_at},
};
use serde::{Deserialize, Serialize};
use terms::{AliasName, CallId, KeyId, ModelVersionId, Moment, OrganizationId, PersonId};
use utoipa::{IntoParams, ToSchema};

use super::read::Reader;
use crate::{
    Fault,
    history::{Explained, History, InForce, Past, gather},
};

/// What the answer would be to somebody who asks for a model, as of one time and as known at another.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The key that would be used; or name a person.
    #[schema(value_type = Option<String>)]
    pub(crate) key: Option<KeyId>,
    /// The person who would ask, by a key that does not expire; or name a key.
    #[schema(value_type = Option<String>, example = "ada")]
    pub(crate) person: Option<PersonId>,
    /// The organization whose tenant is used, with a person; a key has its own.
    #[schema(value_type = Option<String>)]
    pub(crate) organization: Option<OrganizationId>,
    /// The model version or alias asked for.
    #[schema(example = "mythos-5.0")]
    pub(crate) model: String,
    /// Of which moment the answer is wanted; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) as_of: Option<Moment>,
    /// By which moment something must be on record to count; now if absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) known_at: Option<Moment>,
}

/// As of when, and as known at when.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct When {
    /// Of which moment the answer is wanted; now if absent.
    #[param(value_type = Option<String>)]
    as_of: Option<Moment>,
    /// By which moment something must be on record to count; now if absent.
    #[param(value_type = Option<String>)]
    known_at: Option<Moment>,
}

/// The answer to a [`Question`].
#[derive(Debug, Serialize)]
pub(crate) struct Asked {
    as_of: Moment,
    known_at: Moment,
    in_force: Recorded,
    explanation: Explanation,
}

/// Every version of every instrument at one time as known at another.
#[derive(Debug, Serialize)]
pub(crate) struct InstrumentsThen {
    as_of: Moment,
    known_at: Moment,
    in_force: Recorded,
    items: Vec<Standing>,
}

/// The snapshot that was in force at `known_at`.
#[derive(Clone, Debug, Serialize)]
struct Recorded {
    entry: u64,
    since: Moment,
    epoch: u64,
    digest: String,
    /// False if earlier versions of instruments could not be added, and the answer holds since the latest only.
    has_past: bool,
}

/// A version with the reason in words.
#[derive(Debug, Serialize)]
struct Standing {
    #[serde(flatten)]
    version: InstrumentVersion,
    reason: &'static str,
}

impl Recorded {
    fn of(found: &InForce) -> Self {
        Self {
            entry: found.entry,
            since: found.since,
            epoch: found.snapshot.epoch(),
            digest: found.digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            has_past: found.has_past,
        }
    }
}

impl Reader<'_> {
    /// Explains a recorded call by its id, by the index of one of its entries, or by both.
    pub(crate) fn explain_call(&self, call: Option<CallId>, entry: Option<u64>) -> Result<Explained, Fault> {
        self.history().explain_call(call, entry)
    }

    /// Answers what would have been decided, and why.
    pub(crate) fn ask(&self, question: &Question) -> Result<Asked, Fault> {
        let now = self.0.now();
        let (as_of, known_at) = (question.as_of.unwrap_or(now), question.known_at.unwrap_or(now));
        let found = self.history().in_force(known_at)?;
        let past = self.history().past(known_at)?;
        let facts = question.facts(&past, as_of)?;
        let explanation = explain(&found.snapshot, &facts, &question.model);
        let unknown = || Fault::invalid("model", "is no model version or alias of the snapshot in force then");
        Ok(Asked { as_of, known_at, in_force: Recorded::of(&found), explanation: explanation.ok_or_else(unknown)? })
    }

    /// Lists every version of every instrument as it stood.
    pub(crate) fn instruments_then(&self, when: When) -> Result<InstrumentsThen, Fault> {
        let now = self.0.now();
        let (as_of, known_at) = (when.as_of.unwrap_or(now), when.known_at.unwrap_or(now));
        let found = self.history().in_force(known_at)?;
        let versions = instruments_at(&found.snapshot, as_of).into_iter();
        let items = versions.map(|version| Standing { reason: version.why.as_words(), version }).collect();
        Ok(InstrumentsThen { as_of, known_at, in_force: Recorded::of(&found), items })
    }

    fn history(&self) -> History<'_> {
        History::of(self.0.inner)
    }
}

impl Question {
    /// Gathers the facts of the call that would have been made.
    fn facts(&self, past: &Past, as_of: Moment) -> Result<Facts, Fault> {
        let (holder, credential) = match (&self.key, &self.person) {
            (Some(key), None) => self.of_key(past, key, as_of)?,
            (None, Some(person)) => self.of_person(past, person)?,
            _ => return Err(Fault::invalid("key", "name a key or a person, and not both")),
        };
        // Each version that the name stands for is put here in its turn.
        let model = ModelVersionId::parse(&self.model)
            .or_else(|_| AliasName::parse(&self.model).and_then(|alias| ModelVersionId::parse(alias.as_str())));
        let model = model.map_err(|error| Fault::invalid("model", error.to_string()))?;
        Ok(gather(&past.at(as_of), &holder, credential, model, as_of))
    }

    fn of_key(&self, past: &Past, id: &KeyId, as_of: Moment) -> Result<(Holder, CredentialFacts), Fault> {
        if self.organization.is_some() {
            return Err(Fault::invalid("organization", "a key has its own tenant: name a person to try another"));
        }
        let key = past.key(id).ok_or_else(|| Fault::not_found("key known then", id))?;
        if key.created_at > as_of {
            let detail = format!("key `{id}` was made at {}: ask for that or later", key.created_at);
            return Err(Fault::invalid("as_of", detail));
        }
        let credential = CredentialFacts {
            id: key.id.clone(),
            expires_at: key.expires_at,
            revoked: key.revoked_at.is_some_and(|revoked_at| revoked_at <= as_of),
            organization: key.organization.clone(),
            end_use: key.end_use.clone(),
        };
        Ok((key.holder.clone(), credential))
    }

    fn of_person(&self, past: &Past, person: &PersonId) -> Result<(Holder, CredentialFacts), Fault> {
        if !past.knows(person) {
            return Err(Fault::not_found("person known then", person));
        }
        let id = KeyId::parse("asked").map_err(|error| Fault::invalid("person", error.to_string()))?;
        let organization = self.organization.clone();
        let credential = CredentialFacts { id, expires_at: Moment::MAX, revoked: false, organization, end_use: None };
        Ok((Holder::Person { person: person.clone() }, credential))
    }
}
