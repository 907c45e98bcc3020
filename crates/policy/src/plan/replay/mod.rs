//! Calls that were already served, decided again under rules that were not in force.
//!
//! A record repeats itself: the same key calls again and its facts have not changed. So facts are compared as bytes,
//! without their time, and decided only where they are new or where a determination has come to its end.

mod memory;
mod tally;

use std::{borrow::Cow, ops::Range};

use serde_json::Value;
use terms::Moment;

use crate::{Determination, Directive, Facts, Snapshot, SnapshotDocument, Status, decide, resolve};
use memory::{Group, Memory, Window};
use tally::{Bucket, Ledger};

pub use tally::{CodeCount, Count, DayCount, ModelCount, ReplayReport, TenantCount};

/// Facts remembered at most, by default; with 1.3 KB each, some 500 MB.
const GROUPS_MAX: usize = 400_000;
/// How the facts of a call begin.
const AT: &[u8] = b"{\"at\":\"";

/// One recorded call.
#[derive(Clone, Copy, Debug)]
pub struct RecordedCall<'a> {
    /// When it was opened or refused: the time of the entry.
    pub at: Moment,
    /// The name that was asked for, if not the version's own.
    pub requested: Option<&'a str>,
    /// The facts as recorded: the private part of the entry.
    pub facts: &'a [u8],
    /// Tokens that it used.
    pub tokens: u64,
}

/// Decides recorded calls under a snapshot, each as of its own time.
///
/// The answers are exactly those that deciding each call would give, whatever the order of the calls. In order of time
/// it is fastest. Memory is bounded: facts not met for long are forgotten, and decided again when they come back.
#[derive(Debug)]
pub struct Replay<'a> {
    snapshot: &'a Snapshot,
    window: Range<Moment>,
    memory: Memory,
    ledger: Ledger,
}

impl<'a> Replay<'a> {
    /// Begins a replay of calls from `from` up to, and without, `until`.
    #[must_use]
    pub fn new(snapshot: &'a Snapshot, from: Moment, until: Moment) -> Self {
        Self::with_memory(snapshot, from, until, GROUPS_MAX)
    }

    /// Begins a replay that remembers at most `groups` different facts; each takes its bytes and about 150 more.
    #[must_use]
    pub fn with_memory(snapshot: &'a Snapshot, from: Moment, until: Moment, groups: usize) -> Self {
        Self { snapshot, window: from..until, memory: Memory::new(groups), ledger: Ledger::default() }
    }

    /// Decides a call, or remembers what was decided, and counts it.
    pub fn feed(&mut self, call: RecordedCall<'_>) {
        if !self.window.contains(&call.at) {
            self.ledger.outside += 1;
            return;
        }
        let bucket = timeless(call.facts).and_then(|bytes| self.bucket(&call, &bytes));
        match bucket {
            Some(bucket) => self.ledger.count(bucket, call.at, call.tokens),
            None => self.ledger.unreadable += 1,
        }
    }

    /// Returns what was counted so far.
    #[must_use]
    pub fn report(&self) -> ReplayReport {
        self.ledger.report(super::mark(self.snapshot), self.window.clone(), self.memory.dropped())
    }

    fn bucket(&mut self, call: &RecordedCall<'_>, timeless: &[u8]) -> Option<u32> {
        let hash = memory::hash(timeless, call.requested);
        if let Some(group) = self.memory.find(hash, timeless, call.requested) {
            if let Some(window) = group.window(call.at) {
                return Some(window.bucket);
            }
            let window = decided(self.snapshot, &mut self.ledger, call)?;
            group.add(window);
            return Some(window.bucket);
        }
        let window = decided(self.snapshot, &mut self.ledger, call)?;
        self.memory.insert(Group::new(hash, timeless, call.requested, window));
        Some(window.bucket)
    }
}

/// Decides one call as of its own time.
fn decided(snapshot: &Snapshot, ledger: &mut Ledger, call: &RecordedCall<'_>) -> Option<Window> {
    let facts: Facts = serde_json::from_slice(call.facts).ok()?;
    let facts = Facts { at: call.at, ..facts };
    ledger.decisions += 1;
    let (bucket, until) = outcome(snapshot, &facts, call.requested);
    Some(Window { from: call.at, until, bucket: ledger.bucket(bucket) })
}

fn outcome(snapshot: &Snapshot, facts: &Facts, requested: Option<&str>) -> (Bucket, Moment) {
    let tenant = tenant(facts);
    let model = facts.model.clone();
    match decide(snapshot, facts) {
        Determination::Permit(permit) => (Bucket { tenant, model, refused: None, lesser: false }, permit.valid_until()),
        Determination::Refuse(refusal) => {
            let other = requested.and_then(|name| lesser(snapshot, facts, name));
            let until = other.map_or(Moment::MAX, |(_, until)| until).min(refusal.valid_until());
            let lesser = other.is_some_and(|(served, _)| served);
            (Bucket { tenant, model, refused: Some((refusal.is_hold(), refusal.code())), lesser }, until)
        }
    }
}

/// Tells whether the name asked for would have led to another version, and how long that holds.
fn lesser(snapshot: &Snapshot, facts: &Facts, requested: &str) -> Option<(bool, Moment)> {
    let resolution = resolve(snapshot, facts, requested)?;
    Some((matches!(resolution.determination, Determination::Permit(_)), resolution.valid_until))
}

fn tenant(facts: &Facts) -> Option<terms::OrganizationId> {
    let of_workload = match &facts.caller {
        crate::CallerFacts::Workload { workload, .. } => Some(&workload.organization),
        crate::CallerFacts::Person { .. } | crate::CallerFacts::Unbound => None,
    };
    facts.credential.organization.as_ref().or(of_workload).cloned()
}

/// Returns the bytes of facts without their time; `None` if they are no facts.
///
/// Facts as the gateway writes them begin with their time and are cut; others are read and written anew.
fn timeless(facts: &[u8]) -> Option<Cow<'_, [u8]>> {
    if let Some(rest) = cut(facts) {
        return Some(Cow::Borrowed(rest));
    }
    let read: Facts = serde_json::from_slice(facts).ok()?;
    let written = serde_json::to_vec(&read).ok()?;
    Some(Cow::Owned(cut(&written)?.to_vec()))
}

fn cut(facts: &[u8]) -> Option<&[u8]> {
    let from_time = facts.strip_prefix(AT)?;
    let end = from_time.iter().take(40).position(|byte| *byte == b'"')?;
    from_time.get(end..)?.strip_prefix(b"\",")
}

/// Returns a document in which each directive that is pending or in force binds from `from` on, if it does not yet.
///
/// For "would have been denied, had this been in force". Of several versions of a directive the highest is taken and
/// the others are dropped; `effective_at` and `status_since` become `from` where they are later, the status becomes
/// `in_force`, and no grace is given. A directive that is stayed, vacated, superseded or lifted, or that has expired by
/// `from`, stays as it is; so do all licenses.
#[must_use]
pub fn as_if_in_force(document: &SnapshotDocument, from: Moment) -> SnapshotDocument {
    let binds = |directive: &Directive| matches!(directive.status(), Status::Pending | Status::InForce);
    let latest = |directive: &Directive| {
        let others = document.directives.iter().filter(|other| other.id() == directive.id());
        others.map(Directive::version).max() == Some(directive.version())
    };
    let replaced = |directive: &Directive| {
        let mut others = document.directives.iter().filter(|other| other.id() == directive.id());
        others.any(|other| latest(other) && binds(other))
    };
    let directives = document.directives.iter().filter(|directive| latest(directive) || !replaced(directive));
    let moved = directives.map(|directive| {
        let moved = if latest(directive) && binds(directive) { in_force_from(directive, from) } else { None };
        moved.unwrap_or_else(|| directive.clone())
    });
    SnapshotDocument { directives: moved.collect(), ..document.clone() }
}

/// Moves a directive's dates; `None` if it then could never bind.
fn in_force_from(directive: &Directive, from: Moment) -> Option<Directive> {
    let mut value = serde_json::to_value(directive).ok()?;
    let fields = value.as_object_mut()?;
    let mut set = |key: &str, at: Moment| fields.insert(key.to_owned(), Value::from(at.to_string()));
    set("effective_at", directive.effective_at().min(from));
    set("status_since", directive.status_since().min(from));
    fields.remove("grace_minutes");
    fields.insert("status".to_owned(), Value::from(Status::InForce.as_str()));
    serde_json::from_value(value).ok()
}
