//! What is recorded of a credential that was presented.

use std::time::Duration;

use control::{Committed, Document, Fault, FederatedChange, Federation, FieldFault, Source, View};
use policy::Lease;
use proof::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use terms::{
    Assurance, AttestationId, BadId, Channel, ChannelId, ChannelKind, Claim, IssuerId, Means, Moment, PersonId,
};
use vc::status_list::Reference;

use super::{
    issuer,
    names::{CREDENTIALS, LISTS},
};
use crate::attest::{Said, Statement, TrustList, accept};

/// What one presentation brings: claims about a person, and where their revocation will be told.
#[derive(Clone, Debug)]
pub(super) struct Evidence {
    pub(super) person: PersonId,
    pub(super) issuer: IssuerId,
    pub(super) claims: Vec<Claim>,
    /// A digest of the credential: the record can be matched with it and tells nothing of it.
    pub(super) reference: String,
    /// The thumbprint of the key that it is bound to.
    pub(super) holder: String,
    pub(super) status: Option<Reference>,
    pub(super) expires_at: Option<Moment>,
}

/// A status list that is watched, as it is stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WatchedList {
    pub(super) uri: String,
    pub(super) issuer: IssuerId,
}

/// A credential that was presented, as it is stored.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Presented {
    /// Its index in its status list, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) idx: Option<u32>,
    pub(super) attestations: Vec<AttestationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Moment>,
}

impl Evidence {
    /// Records the evidence; with it the list of its status, which is watched from now on.
    ///
    /// `is_valid` says once more, with nobody writing meanwhile, whether the credential is valid: a list that was fetched
    /// since it was verified must not be overtaken by it.
    ///
    /// # Errors
    ///
    /// [`Fault`]: nothing is attested. [`Fault::Invalid`] also if another person presented the credential, or one bound
    /// to the same key.
    pub(super) fn commit(
        &self,
        federation: &Federation,
        trust: &TrustList,
        is_valid: impl Fn() -> bool,
    ) -> Result<Committed, Fault> {
        let uri = self.status.as_ref().map(|status| status.uri.as_str());
        let channel = channel_of(&self.issuer, uri).map_err(|bad| Fault::Conflict(bad.to_string()))?;
        open(federation, &channel, &self.issuer, uri)?;
        let source = Source::evidence(channel.clone(), "wallet.presented", &self.reference);
        federation.commit(&source, |view| {
            if is_valid() { self.changes(view, trust, &channel) } else { Err(refused("status", "is no longer valid")) }
        })
    }

    fn changes(&self, view: &View<'_>, trust: &TrustList, channel: &ChannelId) -> Result<Vec<FederatedChange>, Fault> {
        // They may have been removed since the credential was verified.
        issuer::one(view, &self.issuer)?.ok_or_else(|| refused("issuer", "is no longer trusted"))?;
        self.require_own(view)?;
        let now = view.now();
        let statements: Vec<Statement> = self.claims.iter().map(|claim| self.statement(claim, now)).collect();
        let mut changes = accept(view, trust, &self.person, &self.issuer, Some(channel), &statements, now)?;
        let attestations: Vec<AttestationId> = changes.iter().filter_map(attested).collect();
        if !attestations.is_empty() {
            let idx = self.status.as_ref().map(|status| status.idx);
            changes.push(FederatedChange::Document(Document {
                collection: CREDENTIALS.to_owned(),
                id: self.reference.clone(),
                owner: Some(self.person.clone()),
                terms: vec![channel.to_string(), holder_term(&self.holder)],
                body: stored(&Presented { idx, attestations, expires_at: self.expires_at })?,
            }));
        }
        Ok(changes)
    }

    /// Requires that nobody else presented this credential, or one of the same holder.
    fn require_own(&self, view: &View<'_>) -> Result<(), Fault> {
        let mut known = view.find(CREDENTIALS, &holder_term(&self.holder))?;
        known.extend(view.document(CREDENTIALS, &self.reference)?);
        let own = known.iter().all(|document| document.owner.as_ref() == Some(&self.person));
        if own { Ok(()) } else { Err(refused("holder", "is another person, who presented a credential of this key")) }
    }

    fn statement(&self, claim: &Claim, now: Moment) -> Statement {
        Statement {
            said: Said::Claim(claim.clone()),
            assurance: Assurance::Ial2,
            means: Some(Means::ElectronicRecord),
            framework: None,
            evidence: format!("wallet:{}", self.reference),
            issued_at: now,
            expires_at: self.expires_at,
        }
    }
}

fn holder_term(thumbprint: &str) -> String {
    format!("holder:{thumbprint}")
}

fn refused(field: &str, detail: &str) -> Fault {
    Fault::Invalid(vec![FieldFault { field: field.to_owned(), detail: detail.to_owned() }])
}

fn attested(change: &FederatedChange) -> Option<AttestationId> {
    match change {
        FederatedChange::Attestation(attestation) => Some(attestation.id.clone()),
        _ => None,
    }
}

/// Returns the channel of an issuer's list, or of its credentials without status: what rests on one does not hang on
/// another.
pub(super) fn channel_of(issuer: &IssuerId, uri: Option<&str>) -> Result<ChannelId, BadId> {
    let (prefix, uri) = uri.map_or(("vc", ""), |uri| ("tsl", uri));
    let digest = hex(&Sha256::digest(format!("{issuer}\n{uri}")));
    ChannelId::parse(&format!("{prefix}-{}", digest.get(..40).unwrap_or_default()))
}

/// Returns every channel on which credentials of an issuer rest.
pub(super) fn channels_of(view: &View<'_>, issuer: &IssuerId) -> Result<Vec<Channel>, Fault> {
    let mut ids: Vec<String> = view.find(LISTS, issuer.as_str())?.into_iter().map(|list| list.id).collect();
    ids.extend(channel_of(issuer, None).map(|id| id.to_string()));
    let ids = ids.iter().filter_map(|id| ChannelId::parse(id).ok());
    ids.filter_map(|id| view.channel(&id).transpose()).collect()
}

/// Makes the channel of an issuer's list, or of its credentials without status, if there is none or it was retired.
fn open(federation: &Federation, id: &ChannelId, issuer: &IssuerId, uri: Option<&str>) -> Result<(), Fault> {
    let is_open = |view: &View<'_>| {
        let watched = uri.is_none() || view.document(LISTS, id.as_str())?.is_some();
        Ok(view.channel(id)?.is_some() && watched)
    };
    if federation.read(is_open)? {
        return Ok(());
    }
    let lease = uri.map(|_| federation.freshness().channel(ChannelKind::StatusList));
    let made = |view: &View<'_>| {
        let mut changes = vec![FederatedChange::Channel(channel(id, lease, view.now()))];
        if let Some(uri) = uri {
            let body = stored(&WatchedList { uri: uri.to_owned(), issuer: issuer.clone() })?;
            let (collection, id, terms) = (LISTS.to_owned(), id.to_string(), vec![issuer.to_string()]);
            changes.push(FederatedChange::Document(Document { collection, id, owner: None, terms, body }));
        }
        Ok(changes)
    };
    federation.commit(&Source::own("wallet.channel"), made).map(drop)
}

/// A list that is watched must be heard within its lease; what has no status ends soon by itself.
fn channel(id: &ChannelId, lease: Option<Lease>, now: Moment) -> Channel {
    let seconds = |time: fn(Lease) -> Duration| lease.map_or(0, |lease| time(lease).as_secs());
    Channel {
        id: id.clone(),
        kind: if lease.is_some() { ChannelKind::StatusList } else { ChannelKind::Wallet },
        organization: None,
        issuer: None,
        heard_at: now,
        interval_s: seconds(|lease| lease.fresh),
        grace_s: seconds(|lease| lease.grace),
        enabled: true,
    }
}

/// Writes what a document holds.
pub(super) fn stored(body: &impl Serialize) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(Fault::Unwritable)
}

/// Reads what a document holds.
pub(super) fn read_stored<T: for<'de> Deserialize<'de>>(body: &str) -> Result<T, Fault> {
    serde_json::from_str(body).map_err(|fault| Fault::Conflict(format!("a stored document does not parse: {fault}")))
}
