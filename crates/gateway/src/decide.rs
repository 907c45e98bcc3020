//! Gathers the facts about a call and asks `policy::decide`; remembers the answer while it provably holds.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use identity::{Directory, Holder, Resolved};
use ledger::Ledger;
use policy::{CallerFacts, CredentialFacts, Facts, Reliance, Resolution, Snapshot, resolve};
use terms::{KeyId, ModelVersionId, Moment, Person};

use crate::{
    authenticate::{Caller, EndUser, Standing},
    grounds::Grounds,
    lease::Subject,
    party::Party,
    tally::{Account, Tally},
};

/// Names of models that a worker remembers decisions for; beyond it the memory starts anew.
/// 4,096 entries of about 2 KiB are 8 MiB a worker.
const REMEMBERED_MAX: usize = 4_096;

/// What was decided about one call, and on what.
#[derive(Debug)]
pub(crate) struct Decided {
    /// The determination and what was passed over.
    pub(crate) resolution: Resolution,
    /// The facts, as they are recorded.
    pub(crate) grounds: Grounds,
    /// What the call depends on.
    pub(crate) subjects: Arc<[Subject]>,
    /// As whom the log knows it.
    pub(crate) party: Party,
    /// The accounts of the capped licenses that permit it; none if nothing permits or no cap is set.
    pub(crate) accounts: Vec<Arc<Account>>,
    /// Up to when it holds if nothing changes.
    pub(crate) until: Moment,
    /// What was in force.
    pub(crate) seen: Seen,
}

/// What is known about a call, and up to when.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// What is decided on.
    pub(crate) facts: Facts,
    /// Whom the credential belongs to.
    pub(crate) holder: Holder,
    /// When the facts change with time alone, though the decision would not see it.
    pub(crate) until: Moment,
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
        let holds = decided.seen == seen && *at <= now && now < decided.until;
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

/// Decides a call for a requested name, which `ledger` will record; `None` if nobody knows the name.
pub(crate) fn decide(
    in_force: InForce<'_>,
    ledger: &Ledger,
    caller: &Caller,
    requested: &str,
    now: Moment,
) -> Option<Decided> {
    let seen = Seen::now(in_force);
    let (Gathered { facts, holder, until }, resolution) = resolved(in_force, caller, requested, now)?;
    let (model, accounts) = match &resolution.determination {
        policy::Determination::Permit(permit) => (permit.model().clone(), in_force.tally.named_by(permit.basis())),
        policy::Determination::Refuse(refusal) => (refusal.model().clone(), Vec::new()),
    };
    let facts = Facts { model, ..facts };
    Some(Decided {
        grounds: Grounds::new(serialized(&facts)),
        subjects: subjects(&facts, caller, &holder).into(),
        party: Party::of(ledger, &spelled(&holder, caller.credential_id()), &facts),
        until: until.min(resolution.valid_until),
        resolution,
        accounts,
        seen,
    })
}

/// Returns whether a call would be permitted now; nothing is recorded.
pub(crate) fn would_permit(in_force: InForce<'_>, caller: &Caller, requested: &str, now: Moment) -> bool {
    let resolved = resolved(in_force, caller, requested, now);
    resolved.is_some_and(|(_, resolution)| matches!(resolution.determination, policy::Determination::Permit(_)))
}

fn resolved(in_force: InForce<'_>, caller: &Caller, requested: &str, now: Moment) -> Option<(Gathered, Resolution)> {
    let first = first_candidate(in_force.snapshot, requested)?;
    let gathered = gather(in_force, caller, first, now);
    let resolution = resolve(in_force.snapshot, &gathered.facts, requested)?;
    Some((gathered, resolution))
}

/// Gathers what is known about a credential now, for one model version. It may have been presented a while ago: what
/// counts is what the directory holds of it now.
pub(crate) fn gather(in_force: InForce<'_>, presented: &Caller, model: ModelVersionId, at: Moment) -> Gathered {
    let InForce { directory, snapshot, tally } = in_force;
    let presented = presented.renewed(directory);
    let holder = presented.holder(directory);
    let (caller, standing) = behind(directory, &presented, &holder, at);
    let organization = presented.organization(directory);
    let named = caller.organizations(organization.as_ref());
    let organizations: Vec<_> = named.iter().filter_map(|id| directory.organization(id)).collect();
    let facts = Facts {
        at,
        model,
        credential: CredentialFacts {
            id: presented.credential_id().clone(),
            expires_at: presented.expires_at(),
            revoked: standing.revoked,
            organization,
            end_use: presented.end_use(),
        },
        channels: reliance(directory, &caller),
        caller,
        consumed: tally.consumed(snapshot, &named, &organizations, at),
        organizations,
    };
    Gathered { facts, holder, until: standing.until }
}

/// Returns who stands behind a credential now, as far as that is established, and what speaks against it.
fn behind(directory: &Directory, presented: &Caller, holder: &Holder, at: Moment) -> (CallerFacts, Standing) {
    let standing = |person: Option<&Person>| presented.standing(directory, person, at);
    let (caller, standing) = match directory.resolve(holder) {
        Resolved::Person(person) => {
            let standing = standing(Some(&person));
            (CallerFacts::Person { person }, standing)
        }
        Resolved::Workload { workload, owners, recipients } => {
            let all = CallerFacts::Workload { workload, owners, recipients };
            for_end_user(directory, presented, all, standing(None), at)
        }
        Resolved::Unbound => (CallerFacts::Unbound, standing(None)),
    };
    (if standing.establishes { caller } else { CallerFacts::Unbound }, standing)
}

/// Narrows the recipients of a workload to the end user for whom it calls, if it says so.
fn for_end_user(
    directory: &Directory,
    presented: &Caller,
    caller: CallerFacts,
    standing: Standing,
    at: Moment,
) -> (CallerFacts, Standing) {
    let (CallerFacts::Workload { workload, owners, .. }, Some(assertion)) = (&caller, presented.assertion()) else {
        return (caller, standing);
    };
    let person = match assertion.holder(directory) {
        Holder::Person { person } => directory.person(&person),
        Holder::Workload { .. } | Holder::Shared => None,
    };
    let asserted = assertion.standing(directory, person.as_deref(), at);
    let workload = Arc::new(EndUser::narrow(assertion, workload, directory, asserted));
    let recipients = person.into_iter().filter(|person| workload.recipients.contains(&person.id)).collect();
    (CallerFacts::Workload { workload, owners: owners.clone(), recipients }, standing.with_end_user(asserted))
}

/// Returns up to when each channel can be relied on that evidence about the caller rests on.
fn reliance(directory: &Directory, caller: &CallerFacts) -> Vec<Reliance> {
    let channels = caller.channels().into_iter().filter_map(|id| directory.channel(&id));
    channels.map(|channel| Reliance { channel: channel.id.clone(), until: channel.stale_at() }).collect()
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
pub(crate) fn subjects(facts: &Facts, caller: &Caller, holder: &Holder) -> Vec<Subject> {
    let mut all = vec![Subject::Key(facts.credential.id.clone())];
    if let Holder::Person { person } = holder {
        all.push(Subject::Person(person.clone()));
    }
    for token in caller.tokens() {
        all.push(Subject::Channel(token.channel.clone()));
        all.push(Subject::Account(token.channel.clone(), token.subject.clone()));
        let sessions = token.sessions.iter().cloned();
        all.extend(sessions.map(|session| Subject::Session(token.channel.clone(), session)));
    }
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
    all.extend(facts.caller.channels().into_iter().map(Subject::Channel));
    all.extend(facts.consumed.iter().map(|used| Subject::License(used.instrument.clone())));
    all.sort();
    all.dedup();
    all
}

/// Names whoever a credential belongs to, for the pseudonym: the person, else the workload, else the credential itself.
pub(crate) fn spelled(holder: &Holder, credential: &KeyId) -> String {
    match holder {
        Holder::Person { person } => format!("person:{person}"),
        Holder::Workload { workload } => format!("workload:{workload}"),
        Holder::Shared => format!("key:{credential}"),
    }
}
