//! A change cuts live calls: finds the ones it touches and asks the same `policy::decide` again.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
    sync::Arc,
    time::Duration,
};

use identity::Change;
use policy::{Determination, Directive, License, Permit, Snapshot, SnapshotDocument, decide};
use proof::entry::{Entry, Kind};
use terms::{KeyId, ModelFamily, ModelVersion, ModelVersionId, Moment};

use crate::{
    Problem, Shared,
    authenticate::Caller,
    closing::{AGAIN, may_pass},
    decide::{Gathered, Seen, gather, serialized, subjects},
    grounds::Grounds,
    lease::{Live, Recall, Subject},
    record::spelled,
};

/// The longest a worker waits before it looks at its clock again. A clock that jumps ahead, as after a
/// suspended machine, ends what expired meanwhile within this time.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Times that one call is decided again in a row because something changed meanwhile; beyond it, it is recalled.
const REVISIONS_MAX: usize = 64;

/// What a change did to live calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Effect {
    /// Live calls that were decided again.
    pub examined: u64,
    /// Of these, calls that were recalled: their streams end before the next chunk.
    pub recalled: u64,
}

/// What was decided in one pass over live calls, by credential and model version.
#[derive(Debug, Default)]
struct Answers(BTreeMap<(KeyId, ModelVersionId), Answer>);

/// What was decided about the calls of one credential on one model version.
#[derive(Debug)]
struct Answer {
    seen: Seen,
    determination: Determination,
    subjects: Arc<[Subject]>,
    grounds: Grounds,
    until: Moment,
}

impl Answer {
    fn new(snapshot: &Snapshot, caller: &Caller, gathered: &Gathered, seen: Seen) -> Self {
        let Gathered { facts, holder, until } = gathered;
        let determination = decide(snapshot, facts);
        let until = match &determination {
            Determination::Permit(permit) => permit.valid_until().min(*until),
            Determination::Refuse(_) => *until,
        };
        let subjects = subjects(facts, caller, holder).into();
        Self { seen, determination, subjects, grounds: Grounds::new(serialized(facts)), until }
    }
}

impl Shared {
    /// Decides again every live call that a change of the directory touches. The change must already be in it.
    pub(crate) fn changed(&self, change: &Change) -> Effect {
        let subject = match change {
            Change::Person(person) => Subject::Person(person.id.clone()),
            Change::Organization(organization) => Subject::Organization(organization.id.clone()),
            Change::Workload(workload) => Subject::Workload(workload.id.clone()),
            Change::Key(key) => Subject::Key(key.id.clone()),
            Change::Channel(channel) => Subject::Channel(channel.id.clone()),
            Change::Session(end) => Subject::Session(end.channel.clone(), end.session.clone()),
        };
        let mut live = self.leases.touching(&subject);
        if let Change::Person(person) = change {
            let accounts = person.accounts.iter();
            let accounts = accounts.map(|account| Subject::Account(account.channel.clone(), account.subject.clone()));
            live.extend(accounts.flat_map(|account| self.leases.touching(&account)));
            live.sort_by_key(|live| live.call.0);
            live.dedup_by_key(|live| live.call.0);
        }
        self.decide_again(&live)
    }

    /// Puts a snapshot in force and decides again every live call on a model version that it treats differently.
    pub(crate) fn enforce(&self, snapshot: Arc<Snapshot>) -> Effect {
        self.follow(&snapshot);
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        self.tally.forget_others(&snapshot);
        let live = match touched(before.document(), snapshot.document()) {
            Touched::All => self.leases.all(),
            Touched::Models(models) => {
                models.into_iter().flat_map(|model| self.leases.touching(&Subject::Model(model))).collect()
            }
        };
        self.decide_again(&live)
    }

    /// Decides live calls again, on the facts and the snapshot of now; those of one credential on one model version
    /// together.
    pub(crate) fn decide_again(&self, live: &[Arc<Live>]) -> Effect {
        let mut answers = Answers::default();
        let recalled = live.iter().filter(|live| self.revise_with(&mut answers, live)).count();
        let effect = Effect { examined: live.len() as u64, recalled: recalled as u64 };
        self.metrics.decided_again(effect.examined, effect.recalled);
        effect
    }

    /// Decides one live call again; returns true if this recalled it.
    pub(crate) fn revise(&self, live: &Live) -> bool {
        self.revise_with(&mut Answers::default(), live)
    }

    /// What the call depends on may be more than before, for example another organization: it stands under that
    /// from now on, and is decided once more if anything changed before it did.
    fn revise_with(&self, answers: &mut Answers, live: &Live) -> bool {
        for _ in 0..REVISIONS_MAX {
            let snapshot = self.snapshot.load_full();
            let seen = Seen::now(self.in_force(&snapshot));
            let answer = self.answer(answers, live, &snapshot, seen);
            if self.revise_once(live, answer) {
                return true;
            }
            if Seen::now(self.in_force(&self.snapshot.load())) == seen {
                return false;
            }
        }
        let message = "what the call depends on changes faster than it can be decided";
        self.recall(live, Recall::stopped("revisions_exceeded", message))
    }

    /// Returns what is decided about a call when `seen` is in force.
    fn answer<'a>(&self, answers: &'a mut Answers, live: &Live, snapshot: &Snapshot, seen: Seen) -> &'a Answer {
        let question = (live.caller.id().clone(), live.model.clone());
        match answers.0.entry(question) {
            btree_map::Entry::Occupied(known) if known.get().seen == seen => known.into_mut(),
            entry => {
                let gathered = gather(self.in_force(snapshot), &live.caller, live.model.clone(), self.clock.now());
                entry.insert_entry(Answer::new(snapshot, &live.caller, &gathered, seen)).into_mut()
            }
        }
    }

    fn revise_once(&self, live: &Live, answer: &Answer) -> bool {
        self.leases.depend(live, &answer.subjects);
        match &answer.determination {
            Determination::Permit(permit) if permit.obligations().is_empty() => {
                self.renew(live, permit.clone(), answer)
            }
            Determination::Permit(_) => {
                let message = "the permit now demands what this gateway cannot do";
                self.recall(live, Recall::stopped("obligation_unmet", message))
            }
            Determination::Refuse(refusal) => {
                self.recall(live, Recall::refused(refusal, answer.grounds.facts().clone()))
            }
        }
    }

    fn recall(&self, live: &Live, recall: Recall) -> bool {
        self.leases.forget_time(live);
        live.recall(recall)
    }

    /// Lets a call go on under a newer permit; another legal basis is recorded. Where the ledger has no room for that, the
    /// call is decided again in a moment; where it will never take it, the call is recalled, and this returns true.
    fn renew(&self, live: &Live, permit: Permit, answer: &Answer) -> bool {
        let mut entry = Entry::new(Kind::Redecision);
        entry.call = Some(live.call.0);
        entry.model = Some(permit.model().as_str().to_owned());
        entry.snapshot = Some(*permit.snapshot());
        entry.basis = Some(spelled(permit.basis()));
        self.put_on(live, &self.tally.named_by(permit.basis()));
        if !self.leases.renew(live, permit, answer.until) {
            return false;
        }
        let Some((opened, party)) = live.opened() else { return false };
        entry.opened = Some(opened);
        let (now, append) = (self.clock.now(), |draft| self.ledger.append(draft));
        match answer.grounds.submit(entry, party, (&self.ledger, now), append) {
            Ok(_) => false,
            Err(error) if may_pass(error) => {
                tracing::warn!(call = %live.call, %error, "a re-decision waits to be recorded in the ledger");
                live.not_recorded();
                self.leases.decide_at(live, answer.until.min(now.plus(AGAIN)));
                false
            }
            Err(error) => {
                tracing::error!(call = %live.call, %error, "a re-decision could not be recorded: its call is recalled");
                let code = Problem::LedgerUnavailable.code();
                self.recall(live, Recall::stopped(code, "the record of this call cannot be completed"))
            }
        }
    }
}

/// Decides again, at its time, every call of one worker whose permit ends with time alone. Runs as long as the worker.
pub(crate) async fn watch_time(shared: Arc<Shared>, worker: usize) {
    loop {
        let now = shared.clock.now();
        let (due, next) = shared.leases.due(worker, now);
        if !due.is_empty() {
            shared.decide_again(&due);
        }
        let wait = next.map_or(LOOK_AGAIN, |next| next.since(now).min(LOOK_AGAIN));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = shared.leases.earlier(worker) => {}
        }
    }
}

/// What two snapshots treat differently.
enum Touched {
    All,
    Models(BTreeSet<ModelVersionId>),
}

/// Finds the model versions that two documents treat differently: those whose own terms changed and those in a
/// family that a changed instrument names. Anything else that differs touches all.
fn touched(before: &SnapshotDocument, after: &SnapshotDocument) -> Touched {
    let rest = |document: &SnapshotDocument| SnapshotDocument {
        epoch: 0,
        models: Vec::new(),
        aliases: Vec::new(),
        directives: Vec::new(),
        licenses: Vec::new(),
        ..document.clone()
    };
    if rest(before) != rest(after) {
        return Touched::All;
    }
    let mut families: BTreeSet<&ModelFamily> = BTreeSet::new();
    families.extend(differing(&before.directives, &after.directives).flat_map(Directive::families));
    families.extend(differing(&before.licenses, &after.licenses).flat_map(License::families));
    let models = differing(&before.models, &after.models).map(|model| model.id.clone());
    let named = before.models.iter().chain(&after.models).filter(|model| reaches(&families, model));
    Touched::Models(models.chain(named.map(|model| model.id.clone())).collect())
}

fn reaches(families: &BTreeSet<&ModelFamily>, model: &ModelVersion) -> bool {
    families.contains(&model.family) || model.derived_from.as_ref().is_some_and(|from| families.contains(from))
}

/// Returns what is in one list and not in the other.
fn differing<'a, T: PartialEq>(before: &'a [T], after: &'a [T]) -> impl Iterator<Item = &'a T> {
    let gone = before.iter().filter(|old| !after.contains(old));
    gone.chain(after.iter().filter(|new| !before.contains(new)))
}
