//! Signed approvals of filed versions, and whether there are enough to put one in force.

use std::time::Duration;

use terms::{InstrumentId, Moment, PersonId};

use super::{Changed, InstrumentState, Officer, SignedAct};
use crate::{
    Fault, FieldFault, InstrumentKind,
    approval::{ActVerb, Approval, ApprovalAct, Approver, Jws, JwsFault, Quorum},
    control::{Inner, read},
    record::Record,
    store::{Filed, Store},
};

/// How far ahead a signature may end: what nobody put in force within a month is read again.
const VALID_MAX: Duration = Duration::from_hours(30 * 24);

impl Officer<'_> {
    /// Records that an approver signed the act that puts a version in force. The signature speaks for the approver;
    /// whoever hands it in needs only to be an officer.
    ///
    /// It is taken for the latest version while that waits, and for one that is in force by a break of the glass.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming what is wrong with act or signature, [`Fault::NotFound`], [`Fault::Conflict`] if the
    /// version does not wait for approvals or this person has approved it already, [`Fault::Unrecorded`],
    /// [`Fault::Behind`].
    pub fn approve(
        &self,
        kind: InstrumentKind,
        id: &InstrumentId,
        signed: SignedAct,
    ) -> Result<Changed<InstrumentState>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let now = self.admin.now();
        let filed = awaited(&registry.store, kind, id, &signed.act)?;
        check_act(&signed.act, &filed, now)?;
        let proposers = self.admin.inner.proposers(&registry.store, &filed)?;
        let approval = self.admin.inner.accept(&registry.store, signed, &proposers, now)?;
        let changed = self.admin.commit(&mut registry, approve_code(kind), Record::Approval(approval), ())?;
        self.admin.inner.settle_glass(&mut registry);
        let state = InstrumentState::read(&registry.store, filed)?;
        Ok(changed.map(|()| state))
    }
}

/// Returns the version that an act is about, if it waits for approvals.
fn awaited(store: &Store, kind: InstrumentKind, id: &InstrumentId, act: &ApprovalAct) -> Result<Filed, Fault> {
    if act.kind != kind.into() || act.id != *id {
        let detail = format!("is `{} {}`, and was handed in for `{} {id}`", act.kind.as_str(), act.id, kind.as_str());
        return Err(Fault::invalid("act.id", detail));
    }
    let mut versions = store.versions(kind, id)?;
    let latest = versions.last().ok_or_else(|| Fault::not_found(kind.as_str(), id))?.instrument.version();
    let at = versions.iter().position(|filed| filed.instrument.version() == act.version);
    let Some(filed) = at.map(|at| versions.swap_remove(at)) else {
        let detail = format!("`{id}` has no version {}: the latest is {latest}", act.version);
        return Err(Fault::invalid("act.version", detail));
    };
    let by_glass = store.break_glass(kind, id, act.version)?.is_some_and(|glass| glass.ended.is_none());
    if filed.applied && !by_glass {
        return Err(Fault::Conflict(format!("version {} of `{id}` is in force and needs no approval", act.version)));
    }
    if !filed.applied && act.version != latest {
        let detail = format!("version {latest} of `{id}` took the place of version {}: approve that", act.version);
        return Err(Fault::Conflict(detail));
    }
    Ok(filed)
}

/// Requires that an act is exactly the one that puts this document in force, for a time that makes sense.
fn check_act(act: &ApprovalAct, filed: &Filed, now: Moment) -> Result<(), Fault> {
    let wanted =
        ApprovalAct::on(&filed.instrument.json(), act.valid_until).map_err(|why| Fault::invalid("act", why))?;
    if act.act != wanted.act {
        let detail =
            format!("version {} is filed to `{}`, and the act signed is `{}`", act.version, wanted.act, act.act);
        return Err(Fault::invalid("act.act", detail));
    }
    if act.document_sha256 != wanted.document_sha256 {
        let detail = format!("is of another document: version {} has {}", act.version, wanted.document_sha256);
        return Err(Fault::invalid("act.document_sha256", detail));
    }
    check_time(act, now)
}

/// Requires that an act ends neither before now nor too far ahead.
pub(super) fn check_time(act: &ApprovalAct, now: Moment) -> Result<(), Fault> {
    if act.valid_until <= now {
        return Err(Fault::invalid("act.valid_until", format!("ended at {}: sign again", act.valid_until)));
    }
    if act.valid_until > now.plus(VALID_MAX) {
        return Err(Fault::invalid("act.valid_until", "must be at most 30 days ahead"));
    }
    Ok(())
}

/// Returns the approver whose signature this is.
fn signer(store: &Store, signed: &SignedAct) -> Result<Approver, Fault> {
    let refused = |fault: JwsFault| Fault::invalid("jws", fault.to_string());
    let jws = Jws::parse(&signed.jws, &signed.act).map_err(refused)?;
    let Some(approver) = store.approver(&jws.kid)? else {
        return Err(Fault::invalid("jws", format!("its `kid` is `{}`, who is no approver", jws.kid)));
    };
    if let Some(at) = approver.revoked_at {
        return Err(Fault::invalid("jws", format!("the key of `{}` was revoked at {at}", approver.id)));
    }
    jws.verify(&approver.public_key).map_err(refused)?;
    Ok(approver)
}

/// Requires that no earlier approval by the same person still counts.
fn once(store: &Store, act: &ApprovalAct, approver: &Approver, now: Moment) -> Result<(), Fault> {
    let before = store.approvals(act.kind, &act.id, act.version)?;
    let counts = |held: &Approval| {
        held.approver == approver.id && held.public_key == approver.public_key && now < held.act.valid_until
    };
    match before.iter().any(counts) {
        true => Err(Fault::Conflict(format!("`{}` has approved version {} already", approver.id, act.version))),
        false => Ok(()),
    }
}

impl Inner {
    /// Takes a signature under an act that was checked, by an approver who is none of `proposers`.
    pub(super) fn accept(
        &self,
        store: &Store,
        signed: SignedAct,
        proposers: &[String],
        now: Moment,
    ) -> Result<Approval, Fault> {
        let approver = signer(store, &signed)?;
        if proposers.iter().any(|actor| self.is(actor, &approver.id)) {
            let detail = format!("`{}` proposed this: somebody else must approve it", approver.id);
            return Err(Fault::invalid("jws", detail));
        }
        once(store, &signed.act, &approver, now)?;
        Ok(Approval {
            act: signed.act,
            approver: approver.id,
            role: approver.role,
            public_key: approver.public_key,
            jws: signed.jws,
            at: now,
        })
    }

    /// Requires the approvals that the desk's policy asks for before a filed version takes force.
    pub(super) fn check_approved(&self, store: &Store, filed: &Filed) -> Result<(), Fault> {
        if self.desk.is_single_person() {
            return Ok(());
        }
        let (kind, id, version) = (filed.instrument.kind(), filed.instrument.id(), filed.instrument.version());
        let proposers = self.proposers(store, filed)?;
        if proposers.is_empty() {
            let detail = format!("nobody is on record who proposed version {version}: file the next version");
            return Err(Fault::Unapproved(vec![FieldFault::new("proposer", detail)]));
        }
        let approvals = store.approvals(kind, id, version)?;
        let approvers = approvers_of(store, &approvals)?;
        let document = filed.instrument.json();
        let sha256 = crate::approval::document_sha256(&document);
        let quorum = Quorum {
            needs: self.desk.approvals,
            act: ActVerb::of(filed.instrument.status()),
            document_sha256: &sha256.map_err(|why| Fault::invalid("document", why.to_string()))?,
            approvals: &approvals,
            approvers: &approvers,
            proposed: &|person| proposers.iter().any(|actor| self.is(actor, person)),
            now: self.clock.now(),
        };
        quorum.check().map(drop).map_err(Fault::Unapproved)
    }

    /// Returns everyone who is not to approve a version: who filed it, and who put it in force by breaking the glass.
    fn proposers(&self, store: &Store, filed: &Filed) -> Result<Vec<String>, Fault> {
        let instrument = &filed.instrument;
        let glass = store.break_glass(instrument.kind(), instrument.id(), instrument.version())?;
        Ok(filed.proposer.iter().cloned().chain(glass.map(|glass| glass.actor)).collect())
    }

    /// Returns true if `actor`, as the record names actors, is this person: by name, or by the token's holder.
    pub(super) fn is(&self, actor: &str, person: &PersonId) -> bool {
        let name = actor.split_once(':').map_or(actor, |(_, name)| name);
        let holder = || name.parse().ok().and_then(|id| read(&self.tokens).get(&id)?.person.clone());
        name == person.as_str() || holder().is_some_and(|holder| holder == *person)
    }
}

/// Returns everyone who approved, as registered now.
pub(super) fn approvers_of(store: &Store, approvals: &[Approval]) -> Result<Vec<Approver>, Fault> {
    let approvers = approvals.iter().map(|approval| store.approver(&approval.approver));
    Ok(approvers.filter_map(Result::transpose).collect::<Result<_, _>>()?)
}

fn approve_code(kind: InstrumentKind) -> &'static str {
    match kind {
        InstrumentKind::Directive => "directive.approve",
        InstrumentKind::License => "license.approve",
    }
}
