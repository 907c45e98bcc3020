//! What follows from a vendor's answer, committed once for each event.

use control::{Document, Fault, FederatedChange, Federation, Once, Review, Source, View};
use serde_json::Value;
use terms::{ChannelId, IssuerId, PersonId};

use super::vendor::{Finding, Look, State};
use crate::attest::{Refusal, TrustList, Vault, VaultFault, accept, verified_claims};

/// The collection of sealed evidence.
pub(super) const EVIDENCE: &str = "evidence";
/// To what purpose evidence is sealed.
const PURPOSE: &str = "verified_claims";

/// A delivery with what the vendor's API said.
#[derive(Debug)]
pub(super) struct Delivered {
    pub(super) channel: ChannelId,
    pub(super) issuer: IssuerId,
    /// Names the delivery, or the question that was asked without one.
    pub(super) event: String,
    pub(super) look: Look,
    pub(super) finding: Finding,
}

impl Delivered {
    /// Names the evidence: the channel, and the vendor's own id.
    fn reference(&self) -> String {
        format!("{}/{}", self.channel, self.look.id.as_str())
    }
}

/// Commits what follows; true if the event was taken in before. Blocks on disk.
pub(super) fn settle(
    federation: &Federation,
    trust: &TrustList,
    vault: &Vault,
    delivered: &Delivered,
) -> Result<bool, Fault> {
    let message = (&delivered.channel, delivered.event.as_str());
    let once = match &delivered.finding.state {
        State::Verified(claims) => {
            let source = source(Source::evidence, delivered, "webhook.verified");
            let kept = keep(federation, vault, delivered, claims)?;
            federation.commit_once(&source, message, |view| verified(view, trust, delivered, claims, kept))?
        }
        State::Gone | State::Failed => {
            let source = source(Source::signal, delivered, "webhook.withdrawn");
            federation.commit_once(&source, message, |view| withdrawn(view, delivered))?
        }
        State::Matched => {
            let source = source(Source::signal, delivered, "webhook.matched");
            federation.commit_once(&source, message, |view| matched(view, delivered))?
        }
        State::Open => {
            let source = source(Source::signal, delivered, "webhook.open");
            federation.commit_once(&source, message, |_| Ok(Vec::new()))?
        }
    };
    Ok(matches!(once, Once::Repeated { .. }))
}

fn source(make: fn(ChannelId, &'static str, String) -> Source, delivered: &Delivered, code: &'static str) -> Source {
    make(delivered.channel.clone(), code, delivered.event.clone())
}

/// What was verified, sealed for the person, and the commitment to it that attestations carry.
struct Kept {
    person: PersonId,
    document: Document,
    evidence: String,
}

/// Seals what was verified; `None` if nobody is known by the vendor's name for them, or they were forgotten.
fn keep(federation: &Federation, vault: &Vault, delivered: &Delivered, claims: &Value) -> Result<Option<Kept>, Fault> {
    let Some(person) = federation.read(|view| subject(view, delivered))? else { return Ok(None) };
    let sealed = Vault::commit(&claims.to_string())
        .and_then(|(commitment, opening)| Ok((commitment, vault.seal(&person, PURPOSE, &opening)?)));
    let (commitment, body) = match sealed {
        Ok(sealed) => sealed,
        Err(VaultFault::Forgotten(_)) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    let id = delivered.reference();
    let terms = vec![delivered.channel.to_string(), delivered.look.kind.as_str().to_owned()];
    let evidence = format!("{id}#{commitment}");
    let document = Document { collection: EVIDENCE.to_owned(), id, owner: Some(person.clone()), terms, body };
    Ok(Some(Kept { person, document, evidence }))
}

fn subject(view: &View<'_>, delivered: &Delivered) -> Result<Option<PersonId>, Fault> {
    match &delivered.finding.subject {
        Some(subject) => view.account(&delivered.channel, subject),
        None => Ok(None),
    }
}

/// Accepts what is believed of it. What is not is acknowledged all the same: sent again, it would be believed no more.
fn verified(
    view: &View<'_>,
    trust: &TrustList,
    delivered: &Delivered,
    claims: &Value,
    kept: Option<Kept>,
) -> Result<Vec<FederatedChange>, Fault> {
    let Some(Kept { person, document, evidence }) = kept else { return Ok(Vec::new()) };
    let now = view.now();
    let (issuer, channel) = (&delivered.issuer, Some(&delivered.channel));
    let statements = match verified_claims(claims, &evidence, now) {
        Ok(statements) => statements,
        Err(malformed) => return Ok(ignored(delivered, &malformed)),
    };
    match accept(view, trust, &person, issuer, channel, &statements, now) {
        Ok(changes) if changes.is_empty() => Ok(changes),
        Ok(mut changes) => {
            changes.push(FederatedChange::Document(document));
            Ok(changes)
        }
        Err(Refusal::Registry(fault)) => Err(fault),
        Err(refused) => Ok(ignored(delivered, &refused)),
    }
}

fn ignored(delivered: &Delivered, why: &dyn std::fmt::Display) -> Vec<FederatedChange> {
    tracing::warn!(channel = %delivered.channel, event = delivered.event, %why, "a vendor's answer was left out");
    Vec::new()
}

/// Withdraws whatever rests on the evidence, and lets go of what was kept of it.
fn withdrawn(view: &View<'_>, delivered: &Delivered) -> Result<Vec<FederatedChange>, Fault> {
    let reference = delivered.reference();
    let kept = view.document(EVIDENCE, &reference)?;
    let owner = kept.as_ref().and_then(|kept| kept.owner.clone());
    let person = match owner {
        Some(owner) => Some(owner),
        None => subject(view, delivered)?,
    };
    let person = person.map_or(Ok(None), |person| view.person(&person))?;
    let held = person.into_iter().flat_map(|person| person.attestations);
    let prefix = format!("{reference}#");
    let own = held.filter(|held| held.issuer == delivered.issuer && held.evidence.starts_with(&prefix));
    let reason = match delivered.finding.state {
        State::Gone => "the vendor no longer has the evidence",
        _ => "the vendor took its finding back",
    };
    let withdrawal = |attestation| FederatedChange::Withdrawal { attestation, reason: reason.to_owned() };
    let gone = |kept: Document| FederatedChange::DocumentGone { collection: kept.collection, id: kept.id };
    Ok(own.map(|held| withdrawal(held.id)).chain(kept.map(gone)).collect())
}

/// Opens a review: whether a match is one, a person decides.
fn matched(view: &View<'_>, delivered: &Delivered) -> Result<Vec<FederatedChange>, Fault> {
    let Some(person) = subject(view, delivered)? else { return Ok(Vec::new()) };
    let what = format!("`{}` reports a match on a watched list, `{}`", delivered.issuer, delivered.reference());
    let digest: String = delivered.event.chars().take(32).collect();
    let (id, opened_at) = (format!("rev-{digest}"), view.now());
    Ok(vec![FederatedChange::Review(Review { id, person: Some(person), what, opened_at, closed_at: None })])
}
