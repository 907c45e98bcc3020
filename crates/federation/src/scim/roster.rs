//! The whole roster of an employer, compared with its users: who is missing from it is suspended.
//!
//! SCIM tells of changes and never that nothing changed, so a deprovisioning that got lost stays lost. Once a day the
//! employer sends everybody's `externalId`: absence suspends, and being back ends what absence did, nothing more.

use std::collections::BTreeSet;

use control::Document;
use scim::{Lookup, LookupKey, ResourceType, ScimType};
use serde_json::Value;
use terms::ChannelId;

use super::{
    Scim,
    record::Record,
    refusal::Refusal,
    tenant::{Agreement, registered},
};

/// The schema of a roster.
pub(super) const SCHEMA: &str = "urn:exeat:scim:api:messages:1.0:Roster";
/// How many people a roster may name: 40 bytes each make 4 MiB.
const NAMES_MAX: usize = 100_000;

/// What a roster led to.
#[derive(Clone, Debug, Default, Eq, PartialEq, serde::Serialize)]
pub struct Reconciled {
    /// How many users are on the roster.
    pub present: usize,
    /// The ids of users who are suspended because they are missing.
    pub suspended: Vec<String>,
    /// The ids of users who were missing before.
    pub restored: Vec<String>,
}

/// Everybody whom the employer has.
#[derive(Debug)]
pub(super) struct Roster(Vec<String>);

impl Roster {
    /// Takes the body of a request. The number of names is sent too, so that a roster cut short suspends nobody.
    pub(super) fn parse(body: &Value) -> Result<Self, Refusal> {
        let malformed = |detail: &str| Refusal::scim(ScimType::InvalidSyntax, detail);
        let schemas = body.get("schemas").and_then(Value::as_array).into_iter().flatten();
        if !schemas.into_iter().any(|urn| urn.as_str() == Some(SCHEMA)) {
            return Err(malformed(&format!("`schemas` lacks `{SCHEMA}`")));
        }
        let names = body.get("externalIds").and_then(Value::as_array);
        let names = names.ok_or_else(|| malformed("`externalIds` is not a list"))?;
        if body.get("totalResults").and_then(Value::as_u64) != u64::try_from(names.len()).ok() {
            return Err(malformed("`totalResults` is not the number of `externalIds`: send the whole roster"));
        }
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(malformed(&format!("a roster names 1 to {NAMES_MAX} people")));
        }
        let texts = names.iter().map(|name| name.as_str().map(str::to_owned));
        let texts: Option<Vec<String>> = texts.collect();
        texts.map(Self).ok_or_else(|| malformed("`externalIds` holds something that is no text"))
    }
}

impl Scim {
    /// Compares the users of a channel with its roster. What was changed before an error stays changed; to send the roster
    /// again does the rest.
    pub(super) fn reconcile(&self, channel: &ChannelId, roster: &Roster) -> Result<Reconciled, Refusal> {
        let lookup = |name: &String| Lookup { key: LookupKey::ExternalId, value: name.clone() };
        let listed = roster.0.iter().map(lookup);
        let listed: BTreeSet<String> = listed.map(|lookup| self.term(channel, ResourceType::User, &lookup)).collect();
        let received_at = self.federation.now();
        let mut outcome = Reconciled::default();
        self.for_each(channel, ResourceType::User, |document| {
            let is_listed = document.terms.iter().any(|term| listed.contains(term));
            outcome.present += usize::from(is_listed);
            let facts = self.facts(document)?;
            match (facts.absent, is_listed) {
                (true, true) => outcome.restored.push(id_of(document)),
                // Who was written since then cannot be on it yet.
                (false, false) if facts.modified < received_at => outcome.suspended.push(id_of(document)),
                _ => {}
            }
            Ok(())
        })?;
        self.mark(channel, &outcome.suspended, true)?;
        self.mark(channel, &outcome.restored, false)?;
        self.commit(channel, "scim.roster", |view| {
            let agreement = Agreement { reconciled_at: received_at, ..registered(view, channel)? };
            Ok((vec![agreement.change(channel)], ()))
        })?;
        Ok(outcome)
    }

    /// Notes of users that the roster lacks them, or has them again.
    pub(super) fn mark(&self, channel: &ChannelId, ids: &[String], absent: bool) -> Result<(), Refusal> {
        self.for_each_of((channel, ResourceType::User), "scim.roster", ids, |view, tenant, old| {
            let new = old.changed(old.resource.clone(), absent, view.now());
            self.consequences(view, tenant, &new, !old.was_open(view.now()))
        })
    }
}

fn id_of(document: &Document) -> String {
    Record::id_in(&document.id).to_owned()
}
