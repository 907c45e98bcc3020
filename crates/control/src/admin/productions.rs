//! Productions: requested, approved by two people, then shown, and on record before they are.

use terms::{InstrumentId, Moment};

use super::{
    Changed, NewProduction, Officer, SignedAct,
    approve::{approvers_of, check_time},
    checks::Checks,
    random_id,
    read::{Listed, Reader},
};
use crate::{
    ActKind, ActVerb, Approval, ApprovalAct, Effect, Fault, FieldFault, Production,
    approval::Quorum,
    commit,
    control::lock,
    production::{self, Chained, Custody, Signed},
    record::Record,
    store::{Page, Store, StoreError},
};

/// How many people must approve at least, whatever the policy of the desk asks for instruments.
const APPROVALS_MIN: u8 = 2;

/// A production as the desk holds it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ProductionState {
    /// What was requested.
    #[serde(flatten)]
    pub production: Production,
    /// Who approved it, in order of approver, with what they signed.
    pub approvals: Vec<Approval>,
    /// The entry that says it was made, if it was.
    pub custody: Option<u64>,
}

/// Where a production that may now be written stands in the log.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Produced {
    /// The production.
    pub id: InstrumentId,
    /// The index of the entry that says by whose signatures it is made.
    pub custody: u64,
    /// The index of an entry after it that says where every chain stands.
    pub heads: u64,
    /// The size of a signed checkpoint that covers both.
    pub size: u64,
}

impl ProductionState {
    fn read(store: &Store, production: Production) -> Result<Self, StoreError> {
        Ok(Self {
            approvals: store.approvals(ActKind::Production, &production.id, 1)?,
            custody: store.custody_of(&production.id)?,
            production,
        })
    }
}

impl Officer<'_> {
    /// Requests a production. Nothing is shown before two people have signed for it.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming each wrong field: a name that the registry does not have, a time that is empty or not
    /// over yet, a model version that was never served; [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn request_production(&self, new: NewProduction) -> Result<Changed<ProductionState>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let now = self.admin.now();
        check_new(&registry.store, &new, now)?;
        let NewProduction { name, model, from, to, disclose, reason } = new;
        let selection = production::selection(&name, model.as_ref(), (from, to), disclose);
        let selection = selection.map_err(|fault| Fault::Invalid(vec![fault]))?;
        let id = random_id("production")?.parse::<InstrumentId>();
        let id = id.map_err(|error| Fault::invalid("id", error.to_string()))?;
        let requester = self.admin.actor().name().to_owned();
        let production = Production { id, requester, selection, reason, requested_at: now };
        let record = Record::Production(production.clone());
        let state = ProductionState { production, approvals: Vec::new(), custody: None };
        self.admin.commit(&mut registry, "production.request", record, state)
    }

    /// Records that an approver signed for a production. The signature speaks for the approver; whoever hands it in needs
    /// only to be an officer.
    ///
    /// # Errors
    ///
    /// [`Fault::Invalid`] naming what is wrong with act or signature, [`Fault::NotFound`], [`Fault::Conflict`] if it was
    /// made already or this person has approved it already, [`Fault::Unrecorded`], [`Fault::Behind`].
    pub fn approve_production(&self, id: &InstrumentId, signed: SignedAct) -> Result<Changed<ProductionState>, Fault> {
        let mut registry = self.admin.inner.registry()?;
        let now = self.admin.now();
        let production = requested(&registry.store, id)?;
        if registry.store.custody_of(id)?.is_some() {
            return Err(Fault::Conflict(format!("`{id}` was produced already and needs no approval")));
        }
        check_act(&signed.act, &production, now)?;
        let proposers = [production.requester.clone()];
        let approval = self.admin.inner.accept(&registry.store, signed, &proposers, now)?;
        let changed = self.admin.commit(&mut registry, "production.approve", Record::Approval(approval), ())?;
        let state = ProductionState::read(&registry.store, production)?;
        Ok(changed.map(|()| state))
    }

    /// Records that a production with its approvals is made, and says where, once a signed checkpoint covers the record
    /// of it.
    ///
    /// What it shows is written from the log afterwards. A production that is on record already is answered again: whoever
    /// writes it may be interrupted and go on. There is no way around the approvals.
    ///
    /// # Errors
    ///
    /// [`Fault::NotFound`], [`Fault::Unapproved`] with what each approval lacks, [`Fault::Unrecorded`],
    /// [`Fault::Behind`]; [`Fault::Lookup`] until a checkpoint covers it, which the log signs every second or more often:
    /// ask again.
    pub fn produce(&self, id: &InstrumentId) -> Result<Changed<Produced>, Fault> {
        let custody = self.take_custody(id)?;
        let heads = self.heads_after(id)?;
        let size = self.covered(heads)?;
        let item = Produced { id: id.clone(), custody, heads, size };
        Ok(Changed { receipt: custody, effect: Effect::default(), item })
    }

    /// Returns the entry that says the production is made, appended if there is none yet.
    fn take_custody(&self, id: &InstrumentId) -> Result<u64, Fault> {
        let inner = self.admin.inner;
        let mut registry = inner.registry()?;
        let production = requested(&registry.store, id)?;
        if let Some(custody) = registry.store.custody_of(id)? {
            return Ok(custody);
        }
        let approvals = self.approvals(&registry.store, &production)?;
        let actor = self.admin.actor().name().to_owned();
        let custody = Custody { actor, selection: production.selection, approvals };
        let index = commit::record_custody(&inner.ledger, &custody)?;
        let stored = registry.store.apply_custody(index, id);
        registry.keep_up(index, stored)?;
        tracing::info!(code = commit::CUSTODY, actor = custody.actor, index, production = %id, "part of the record produced");
        Ok(index)
    }

    /// Returns the approvals of a production that count, if they are enough.
    fn approvals(&self, store: &Store, production: &Production) -> Result<Vec<Signed>, Fault> {
        let inner = self.admin.inner;
        let approvals = store.approvals(ActKind::Production, &production.id, 1)?;
        let wanted = ApprovalAct::to_produce(&production.id, &production.selection, self.admin.now());
        let wanted = wanted.map_err(|why| Fault::invalid("selection", why.to_string()))?;
        let quorum = Quorum {
            needs: inner.desk.approvals.max(APPROVALS_MIN),
            act: ActVerb::Produce,
            document_sha256: &wanted.document_sha256,
            approvals: &approvals,
            approvers: &approvers_of(store, &approvals)?,
            proposed: &|person| inner.is(&production.requester, person),
            now: self.admin.now(),
        };
        let counted = quorum.check().map_err(Fault::Unapproved)?;
        Ok(counted.into_iter().map(Signed::from).collect())
    }

    /// Returns the heads entry that was written for a production by this process: one however often it is asked for.
    fn heads_after(&self, id: &InstrumentId) -> Result<u64, Fault> {
        let mut heads = lock(&self.admin.inner.produced);
        if let Some(index) = heads.get(id) {
            return Ok(*index);
        }
        // No checkpoint covers it before it is durable, so nobody waits for that here.
        let index = self.admin.inner.ledger.heads()?.index();
        heads.insert(id.clone(), index);
        Ok(index)
    }

    /// Returns the size of a signed checkpoint that covers the entry at `index`, if there is one yet.
    fn covered(&self, index: u64) -> Result<u64, Fault> {
        let size = self.admin.inner.ledger.health().checkpoint;
        if index < size { Ok(size) } else { Err(Fault::Lookup(ledger::LookupError::NotYet(index))) }
    }
}

impl Reader<'_> {
    pub(crate) fn production(&self, id: &InstrumentId) -> Result<ProductionState, Fault> {
        let found = self.store(|store| {
            let found = store.production(id)?;
            found.map(|production| ProductionState::read(store, production)).transpose()
        })?;
        found.ok_or_else(|| Fault::not_found("production", id))
    }

    pub(crate) fn productions(&self, page: Page) -> Result<Listed<ProductionState>, Fault> {
        self.listed(
            page,
            |store, page| {
                let found = store.productions(page)?.into_iter();
                found.map(|production| ProductionState::read(store, production)).collect()
            },
            |item| item.production.id.as_str(),
        )
    }
}

fn requested(store: &Store, id: &InstrumentId) -> Result<Production, Fault> {
    store.production(id)?.ok_or_else(|| Fault::not_found("production", id))
}

/// Requires that what is asked for is known and that its time is over.
fn check_new(store: &Store, new: &NewProduction, now: Moment) -> Result<(), Fault> {
    let chained = Chained::parse(&new.name).map_err(|fault| Fault::Invalid(vec![fault]))?;
    let mut checks = Checks::default();
    checks.text(&new.reason, "reason");
    checks.require(knows(store, &chained)?, "name", &format!("the registry does not know `{}`", new.name));
    if let Some(model) = &new.model {
        checks.require(store.knows_model(model)?, "model", &format!("`{model}` was never served"));
    }
    checks.require(new.to <= now, "to", &format!("must not be in the future: now is {now}"));
    checks.finish()
}

fn knows(store: &Store, chained: &Chained) -> Result<bool, StoreError> {
    match chained {
        Chained::Person(id) => Ok(store.person_record(id)?.is_some()),
        Chained::Workload(id) => Ok(store.workload(id)?.is_some()),
        Chained::Key(id) => Ok(store.key(id)?.is_some()),
        Chained::Organization(id) => Ok(store.organization(id)?.is_some()),
        Chained::Model(id) => store.knows_model(id),
    }
}

/// Requires that an act is exactly the one that produces this selection, for a time that makes sense.
fn check_act(act: &ApprovalAct, production: &Production, now: Moment) -> Result<(), Fault> {
    let wanted = ApprovalAct::to_produce(&production.id, &production.selection, act.valid_until);
    let wanted = wanted.map_err(|why| Fault::invalid("act", why.to_string()))?;
    let differs = [
        ("act.act", act.act != wanted.act, format!("must be `{}`", wanted.act)),
        ("act.kind", act.kind != wanted.kind, format!("must be `{}`", wanted.kind.as_str())),
        ("act.id", act.id != wanted.id, format!("must be `{}`", wanted.id)),
        ("act.version", act.version != wanted.version, format!("must be {}", wanted.version)),
        (
            "act.document_sha256",
            act.document_sha256 != wanted.document_sha256,
            format!("is of another selection: this one has {}", wanted.document_sha256),
        ),
    ];
    let faults = differs.into_iter().filter(|(_, differs, _)| *differs);
    let faults: Vec<FieldFault> = faults.map(|(field, _, detail)| FieldFault::new(field, detail)).collect();
    if !faults.is_empty() {
        return Err(Fault::Invalid(faults));
    }
    check_time(act, now)
}
