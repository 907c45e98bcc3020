//! Gathers the facts about a call and asks `policy::decide`; remembers the answer while it provably holds.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use identity::{Directory, Holder, KeyRecord, Resolved};
use policy::{CallerFacts, CredentialFacts, Facts, Resolution, Snapshot, resolve};
use terms::{KeyId, ModelVersionId, Moment};

use crate::{
    authenticate::Caller,
    lease::Subject,
    tally::{Account, Tally},
};

/// Names of models that a worker remembers decisions for; beyond it the memory starts anew.
/// 4,096 entries of about 2 KiB are 8 MiB a worker.
const REMEMBERED_MAX: usize = 4_096;

/// What was decided about one call, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Decided {
    /// The determination and what was passed over.
    pub(crate) resolution: Resolution,
    /// The facts, serialized as they are recorded.
    pub(crate) facts: Bytes,
    /// What the call depends on.
    pub(crate) subjects: Arc<[Subject]>,
    /// The pseudonym of whoever stands behind it.
    pub(crate) pseudonym: [u8; 16],
    /// The accounts of the capped licenses that permit it; none if nothing permits or no cap is set.
    pub(crate) accounts: Vec<Arc<Account>>,
    /// What was in force.
    pub(crate) seen: Seen,
}

/// What a decision rests on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InForce<'a> {
    /// Who is who.
    pub(crate) directory: &'a Directory,
    /// Directives, licenses and models.
    pub(crate) snapshot: &'a Snapshot,
    /// What is used under capped licenses.
    pub(crate) tally: &'a Tally,
}

/// What was in force when a call was decided. Equal means that nothing changed since.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seen {
    revision: u64,
    tally: u64,
    snapshot: [u8; 32],
}

impl Seen {
    /// Reads what is in force now. Read it before gathering facts, and again after entering the lease.
    pub(crate) fn now(InForce { directory, snapshot, tally }: InForce<'_>) -> Self {
        Self { revision: directory.revision(), tally: tally.revision(), snapshot: *snapshot.digest() }
    }

    /// Returns the digest of the snapshot.
    pub(crate) fn snapshot(&self) -> [u8; 32] {
        self.snapshot
    }
}

/// Decisions that still hold, one memory per worker thread.
#[derive(Debug, Default)]
pub(crate) struct Memory(RefCell<Remembered>);

/// Decisions by the credential and the name it asks for, with when they were made.
#[derive(Debug, Default)]
struct Remembered {
    by_key: BTreeMap<KeyId, BTreeMap<String, (Moment, Arc<Decided>)>>,
    kept: usize,
}

impl Memory {
    /// Returns what was decided for the same credential and name, if nothing changed and its time has not come.
    ///
    /// `decide` depends on time only through boundaries, and every answer says up to when it holds, so the
    /// remembered answer is the one that deciding again would give.
    pub(crate) fn recall(&self, key: &KeyId, requested: &str, seen: Seen, now: Moment) -> Option<Arc<Decided>> {
        let memory = self.0.borrow();
        let (at, decided) = memory.by_key.get(key)?.get(requested)?;
        let holds = decided.seen == seen && *at <= now && now < decided.resolution.valid_until;
        holds.then(|| Arc::clone(decided))
    }

    /// Remembers a decision made at `at`.
    pub(crate) fn keep(&self, key: KeyId, requested: String, at: Moment, decided: Arc<Decided>) {
        let mut memory = self.0.borrow_mut();
        if memory.kept >= REMEMBERED_MAX {
            *memory = Remembered::default();
        }
        let before = memory.by_key.entry(key).or_default().insert(requested, (at, decided));
        memory.kept += usize::from(before.is_none());
    }
}

/// Decides a call for a requested name; `None` if nobody knows the name.
pub(crate) fn decide(
    in_force: InForce<'_>,
    pseudonym: impl Fn(&str) -> [u8; 16],
    caller: &Caller,
    requested: &str,
    now: Moment,
) -> Option<Decided> {
    let seen = Seen::now(in_force);
    let first = first_candidate(in_force.snapshot, requested)?;
    let facts = gather(in_force, &caller.key, first, now);
    let resolution = resolve(in_force.snapshot, &facts, requested)?;
    let (model, accounts) = match &resolution.determination {
        policy::Determination::Permit(permit) => (permit.model().clone(), in_force.tally.named_by(permit.basis())),
        policy::Determination::Refuse(refusal) => (refusal.model().clone(), Vec::new()),
    };
    let facts = Facts { model, ..facts };
    Some(Decided {
        facts: serialized(&facts),
        subjects: subjects(&facts).into(),
        pseudonym: pseudonym(&holder(&caller.key)),
        resolution,
        accounts,
        seen,
    })
}

/// Gathers what is known about a credential now, for one model version.
pub(crate) fn gather(in_force: InForce<'_>, key: &KeyRecord, model: ModelVersionId, at: Moment) -> Facts {
    let InForce { directory, snapshot, tally } = in_force;
    let caller = match directory.resolve(&key.holder) {
        Resolved::Person(person) => CallerFacts::Person { person },
        Resolved::Workload { workload, owners, recipients } => CallerFacts::Workload { workload, owners, recipients },
        Resolved::Unbound => CallerFacts::Unbound,
    };
    let named = caller.organizations(key.organization.as_ref());
    let organizations: Vec<_> = named.iter().filter_map(|id| directory.organization(id)).collect();
    Facts {
        at,
        model,
        credential: CredentialFacts {
            id: key.id.clone(),
            expires_at: key.expires_at,
            revoked: key.revoked_at.is_some(),
            organization: key.organization.clone(),
            end_use: key.end_use.clone(),
        },
        caller,
        consumed: tally.consumed(snapshot, &named, &organizations, at),
        organizations,
    }
}

/// Serializes facts as they are recorded and replayed.
pub(crate) fn serialized(facts: &Facts) -> Bytes {
    // Facts are plain data with string keys: serialization into memory does not fail. Were it to, the record
    // would hold nothing that replays, and the verifier would say so.
    serde_json::to_vec(facts).unwrap_or_default().into()
}

fn first_candidate(snapshot: &Snapshot, requested: &str) -> Option<ModelVersionId> {
    let document = snapshot.document();
    let alias = document.aliases.iter().find(|alias| alias.name.as_str() == requested);
    match alias {
        Some(alias) => alias.versions.first().cloned(),
        None => ModelVersionId::parse(requested).ok(),
    }
}

/// Lists everything whose change must bring the call back before `policy::decide`, including people and
/// organizations that are named but not known: they may appear.
pub(crate) fn subjects(facts: &Facts) -> Vec<Subject> {
    let mut all = vec![Subject::Key(facts.credential.id.clone())];
    all.extend(facts.caller.people().map(|person| Subject::Person(person.id.clone())));
    let affiliations = facts.caller.people().flat_map(|person| &person.affiliations);
    all.extend(affiliations.map(|affiliation| Subject::Organization(affiliation.organization.clone())));
    all.extend(facts.credential.organization.clone().map(Subject::Organization));
    if let CallerFacts::Workload { workload, .. } = &facts.caller {
        all.push(Subject::Workload(workload.id.clone()));
        all.push(Subject::Organization(workload.organization.clone()));
        all.extend(workload.owners.iter().chain(&workload.recipients).cloned().map(Subject::Person));
    }
    all.push(Subject::Model(facts.model.clone()));
    all.extend(facts.consumed.iter().map(|used| Subject::License(used.instrument.clone())));
    all.sort();
    all.dedup();
    all
}

/// Names whoever a key belongs to, for the pseudonym: the person, else the workload, else the key itself.
pub(crate) fn holder(key: &KeyRecord) -> String {
    match &key.holder {
        Holder::Person { person } => format!("person:{person}"),
        Holder::Workload { workload } => format!("workload:{workload}"),
        Holder::Shared => format!("key:{}", key.id),
    }
}
