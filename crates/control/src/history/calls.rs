//! Why a recorded call was answered as it was.

use policy::{
    CredentialFacts, Facts, Snapshot, explain,
    explain::{Explanation, Tried},
};
use proof::{
    entry::{Entry, Kind, Outcome},
    hex,
};
use serde::Serialize;
use terms::{CallId, Moment};

use super::{
    History, gather,
    scan::{self, Found},
};
use crate::Fault;

/// A recorded call, explained as it was decided and as it would be decided now.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    /// The call.
    call: String,
    /// The entry that opened or refused it.
    entry: u64,
    /// `open` or `refusal`.
    kind: &'static str,
    /// When it was decided.
    at: Moment,
    /// What the entry says.
    recorded: Recorded,
    /// True if deciding again on the recorded facts says what the entry says.
    agrees: bool,
    /// Why, on the recorded facts under the recorded snapshot.
    explanation: Explanation,
    /// What became of it, if it was opened and is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    closed: Option<Closed>,
    /// What deciding now would say to the same key; absent if the key is not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Explanation>,
}

/// What an entry says was decided.
#[derive(Debug, Serialize)]
struct Recorded {
    model: Option<String>,
    code: Option<String>,
    basis: Vec<String>,
    snapshot: String,
}

/// The end of a call.
#[derive(Debug, Serialize)]
struct Closed {
    entry: u64,
    at: Moment,
    outcome: &'static str,
    code: Option<String>,
    /// Why it was cut, if a decision cut it.
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Explanation>,
}

impl History<'_> {
    /// Explains a call by its id; by the index of one of its entries where that is given.
    pub(crate) fn explain_call(self, call: Option<CallId>, entry: Option<u64>) -> Result<Explained, Fault> {
        let opening = self.opening(call, entry)?;
        if call.is_some_and(|call| opening.entry.call != Some(call.0)) {
            let detail = format!("entry {} is about another call", opening.index);
            return Err(Fault::invalid("entry", detail));
        }
        self.explained(&opening)
    }

    fn opening(self, call: Option<CallId>, entry: Option<u64>) -> Result<Found, Fault> {
        let ledger = &self.inner.ledger;
        let Some(index) = entry else {
            let call = call.ok_or_else(|| Fault::invalid("call", "name a call or an entry"))?;
            let found = scan::opening(ledger, call)?;
            return found.ok_or_else(|| Fault::not_found("call among the last 1,048,576 entries", call));
        };
        let found = scan::entry(ledger, index)?;
        match found.entry.opened {
            _ if scan::is_opening(&found.entry) => Ok(found),
            Some(opened) => scan::entry(ledger, opened),
            None => Err(Fault::invalid("entry", format!("entry {index} is not about a call"))),
        }
    }

    fn explained(self, opening: &Found) -> Result<Explained, Fault> {
        let entry = &opening.entry;
        let digest = entry.snapshot.ok_or_else(|| unreadable(opening.index))?;
        let facts = facts(opening)?;
        let explanation = again(&self.snapshot(&digest)?, &facts, entry)?;
        let closed = match entry.kind {
            Kind::Open => scan::closing(&self.inner.ledger, opening.index)?,
            _ => None,
        };
        let closed = closed.map(|closing| self.closed(&closing)).transpose()?;
        Ok(Explained {
            call: entry.call.map(|call| CallId(call).to_string()).unwrap_or_default(),
            entry: opening.index,
            kind: if entry.kind == Kind::Open { "open" } else { "refusal" },
            at: opening.at(),
            recorded: Recorded::of(entry, &digest),
            agrees: explanation.decisive().is_some_and(|tried| says_the_same(entry, tried)),
            now: self.now(&facts, entry),
            explanation,
            closed,
        })
    }

    fn closed(self, closing: &Found) -> Result<Closed, Fault> {
        let entry = &closing.entry;
        let decided = entry.snapshot.filter(|_| !closing.private.is_empty());
        let explanation = decided.map(|digest| again(&self.snapshot(&digest)?, &facts(closing)?, entry)).transpose()?;
        Ok(Closed {
            entry: closing.index,
            at: closing.at(),
            outcome: entry.outcome.map_or("unknown", Outcome::name),
            code: entry.code.clone(),
            explanation,
        })
    }

    /// Explains what the same key would hear now.
    fn now(self, then: &Facts, entry: &Entry) -> Option<Explanation> {
        let directory = &self.inner.directory;
        let key = directory.key(&then.credential.id)?;
        let credential = CredentialFacts {
            id: key.id.clone(),
            expires_at: key.expires_at,
            revoked: key.revoked_at.is_some(),
            organization: key.organization.clone(),
            end_use: key.end_use.clone(),
        };
        let now = self.inner.clock.now();
        let facts = gather(directory.as_ref(), &key.holder, credential, then.model.clone(), now);
        again(&self.inner.snapshot(), &facts, entry).ok()
    }
}

impl Recorded {
    fn of(entry: &Entry, digest: &[u8; 32]) -> Self {
        Self {
            model: entry.model.clone(),
            code: entry.code.clone(),
            basis: entry.basis.clone().unwrap_or_default(),
            snapshot: hex(digest),
        }
    }
}

/// Explains the answer to the name that an entry says was asked for.
fn again(snapshot: &Snapshot, facts: &Facts, entry: &Entry) -> Result<Explanation, Fault> {
    let requested = entry.requested.as_deref().unwrap_or(facts.model.as_str());
    explain(snapshot, facts, requested).ok_or_else(|| Fault::not_found("model version or alias", requested))
}

fn says_the_same(entry: &Entry, tried: &Tried) -> bool {
    let notes = tried.answer.basis.iter().chain(&tried.answer.denied_by);
    let basis: Vec<&str> = notes.map(|note| note.id.as_str()).collect();
    entry.model.as_deref() == Some(tried.model.as_str())
        && entry.code.as_deref() == tried.answer.code.map(policy::Code::as_str)
        && entry.basis.as_deref().unwrap_or_default() == basis
}

fn facts(found: &Found) -> Result<Facts, Fault> {
    if found.private.is_empty() {
        let index = found.index;
        return Err(Fault::Conflict(format!("the facts of entry {index} were destroyed with their subject's key")));
    }
    serde_json::from_slice(&found.private).map_err(|_| unreadable(found.index))
}

fn unreadable(index: u64) -> Fault {
    Fault::Lookup(ledger::LookupError::Damaged(index))
}
