//! Makes one plan, from the documents to the entry that seals it.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use ledger::Draft;
use policy::{
    Snapshot, SnapshotDocument,
    plan::{self, Plan, Population, RecordedCall, Replay, Report},
};
use proof::entry::{Entry, Kind};
use prover::Proofs;
use serde_json::{Value, json};
use terms::Moment;

use super::{
    PlanRequest, PlannedReplay, Progress, ReplayWindow,
    past::{self, Served},
    population::{self, Traffic},
};
use crate::{
    Actor, Control, Fault,
    amend::{self, Change},
    approval::document_sha256,
    control::{Inner, read},
    instrument::Instrument,
};

/// A plan to be made, its request already checked.
pub(crate) struct Job {
    control: Control,
    actor: Actor,
    request: PlanRequest,
    instruments: Vec<Instrument>,
    before: Arc<Snapshot>,
    after: Arc<Snapshot>,
    at: Moment,
    window_ms: u64,
}

/// What a plan says. Its bytes, as JSON without `seal`, are what the seal covers.
#[derive(serde::Serialize)]
struct Planned {
    report: Report,
    changes: Vec<DocumentChanges>,
    /// What was proved; absent if nothing was asked or nothing could be proved.
    proofs: Option<Proofs>,
    /// Why nothing was proved, if so.
    unproved: Option<String>,
    replay: Option<PlannedReplay>,
    documents: Vec<Value>,
    made_at: Moment,
    made_by: String,
    /// Hours over which traffic was measured.
    window_hours: u64,
}

/// How one document differs from the version before it.
#[derive(serde::Serialize)]
struct DocumentChanges {
    id: String,
    version: u64,
    changes: Vec<Change>,
}

impl Job {
    /// Checks a request and compiles what would be in force.
    pub(crate) fn new(control: Control, actor: Actor, request: PlanRequest) -> Result<Self, Fault> {
        let instruments = request.instruments()?;
        let window_ms = request.window_ms()?;
        request.check_replay()?;
        let before = control.0.snapshot();
        let after = with(before.document(), &instruments, control.0.clock.now())?;
        let at = request.at.unwrap_or_else(|| control.0.clock.now());
        Ok(Self { after: Arc::new(after), before, at, window_ms, instruments, request, actor, control })
    }

    /// Makes the plan. Blocks, for as long as the population and the log take.
    pub(crate) fn run(self, progress: &Progress) -> Result<Value, Fault> {
        let inner = &self.control.0;
        let (traffic, replay) = self.read_past(progress)?;
        let minutes = self.window_ms / 60_000;
        let population = population::gather(&inner.directory, &traffic, minutes, progress);
        progress.step("planning", 0);
        let report = self.report(&population);
        let (proofs, unproved) = self.prove(progress);
        let changes = self.changes()?;
        let documents = self.instruments.iter().map(|i| serde_json::to_value(i).map_err(Fault::Unwritable));
        let planned = Planned {
            report,
            changes,
            proofs,
            unproved,
            replay,
            documents: documents.collect::<Result<_, _>>()?,
            made_at: inner.clock.now(),
            made_by: self.actor.name().to_owned(),
            window_hours: self.window_ms / 3_600_000,
        };
        progress.step("sealing", 0);
        self.seal(&planned)
    }

    fn report(&self, population: &Population) -> Report {
        let mut plan = Plan::new(&self.before, &self.after, self.at);
        let last = self.control.0.last_apply_ms.load(Ordering::Relaxed);
        plan.options.apply_and_cut = (last > 0).then(|| Duration::from_millis(last));
        plan.make(population)
    }

    /// Goes through the log once, for traffic and for the replay.
    fn read_past(&self, progress: &Progress) -> Result<(Traffic, Option<PlannedReplay>), Fault> {
        let inner = &self.control.0;
        let now = inner.clock.now();
        let traffic_from = millis(now).saturating_sub(self.window_ms);
        let window = self.request.replay;
        let from = window.map_or(traffic_from, |window| traffic_from.min(millis(window.from)));
        let supposed = window.map(|window| self.supposed(window)).transpose()?;
        let until = window.and_then(|window| window.until).unwrap_or(now);
        let replay = window.zip(supposed.as_ref());
        let mut replay = replay.map(|(window, supposed)| Replay::new(supposed, window.from, until));
        let mut traffic = live(inner);
        let started = Instant::now();
        let entries = past::walk(&inner.ledger, from, progress, |call| {
            if call.at_ms >= traffic_from {
                past::count(&mut traffic, call);
            }
            if let Some(replay) = &mut replay {
                feed(replay, call);
            }
        })?;
        let took = started.elapsed();
        Ok((traffic, replay.map(|replay| finished(&replay, entries, took))))
    }

    /// Returns what past calls are decided under: what would be in force, by its own dates or from the first call on.
    fn supposed(&self, window: ReplayWindow) -> Result<Snapshot, Fault> {
        let document = self.after.document();
        let document = match window.as_if_in_force {
            true => plan::as_if_in_force(document, window.from),
            false => document.clone(),
        };
        Snapshot::compile(document).map_err(Fault::does_not_compile)
    }

    fn prove(&self, progress: &Progress) -> (Option<Proofs>, Option<String>) {
        if self.request.proofs == Some(false) {
            return (None, Some("not asked for".to_owned()));
        }
        progress.step("proving", 0);
        let settings = self.control.0.proofs.settings();
        match prover::prove(Some(&self.before), &self.after, &settings) {
            Ok(proofs) => (Some(proofs), None),
            Err(fault) => (None, Some(fault.to_string())),
        }
    }

    fn changes(&self) -> Result<Vec<DocumentChanges>, Fault> {
        let last = |new: &Instrument| -> Result<Option<Instrument>, Fault> {
            let filed = self.control.0.peek().store.versions(new.kind(), new.id())?;
            Ok(filed.into_iter().filter(|old| old.applied).map(|old| old.instrument).next_back())
        };
        let changes = |new: &Instrument| {
            let old = last(new)?.map(|old| serde_json::to_value(old).map_err(Fault::Unwritable)).transpose()?;
            let value = serde_json::to_value(new).map_err(Fault::Unwritable)?;
            Ok(DocumentChanges {
                id: new.id().to_string(),
                version: new.version(),
                changes: old.map_or_else(Vec::new, |old| amend::diff(&old, &value)),
            })
        };
        self.instruments.iter().map(changes).collect()
    }

    /// Records the digest of a plan, so that the next checkpoint signs when it was made and what it said.
    fn seal(&self, planned: &Planned) -> Result<Value, Fault> {
        let mut value = serde_json::to_value(planned).map_err(Fault::Unwritable)?;
        let sha256 =
            document_sha256(&value).map_err(|error| Fault::Conflict(format!("the plan cannot be sealed: {error}")))?;
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some("plan.make".to_owned());
        entry.snapshot = Some(*self.after.digest());
        let said = json!({ "actor": self.actor.name(), "plan_sha256": sha256, "epoch": self.after.epoch() });
        let draft = Draft::new(entry, said.to_string());
        let index = self.control.0.ledger.append(draft)?.wait()?.index();
        let origin = self.control.0.ledger.verifier_key();
        if let Some(fields) = value.as_object_mut() {
            fields.insert("seal".to_owned(), json!({ "sha256": sha256, "entry": index, "log": origin }));
        }
        Ok(value)
    }
}

/// Compiles what would be in force if these documents were applied together at `now`.
fn with(document: &SnapshotDocument, instruments: &[Instrument], now: Moment) -> Result<Snapshot, Fault> {
    let mut document = document.clone();
    document.epoch = document.epoch.saturating_add(1);
    for instrument in instruments {
        instrument.clone().put_into(&mut document, now);
    }
    Snapshot::compile(document).map_err(Fault::does_not_compile)
}

/// Begins the traffic with the calls that are live now.
fn live(inner: &Inner) -> Traffic {
    let publish = read(&inner.publish).clone();
    let mut traffic = Traffic::default();
    for (place, streams) in publish.map(|publish| publish.live()).unwrap_or_default() {
        traffic.entry(place).or_default().open_streams = streams;
    }
    traffic
}

fn feed(replay: &mut Replay<'_>, call: &Served<'_>) {
    let at = Moment::from_millis(i64::try_from(call.at_ms).unwrap_or(i64::MAX));
    replay.feed(RecordedCall { at, requested: call.requested, facts: call.facts, tokens: call.tokens });
}

fn finished(replay: &Replay<'_>, entries: u64, took: Duration) -> PlannedReplay {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    PlannedReplay { report: replay.report(), entries, took_ms }
}

fn millis(moment: Moment) -> u64 {
    u64::try_from(moment.as_millis()).unwrap_or(0)
}
