//! Makes every decision again, under the snapshot that was in force, and holds it against the record.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use policy::{Code, Determination, Facts, Snapshot, SnapshotDocument, decide, resolve};
use proof::{
    entry::{Entry, Kind, Outcome},
    walk::STEP_MS,
};
use terms::{ModelVersionId, Moment, ProvisionId};

use crate::{
    facts::{Basis, Read},
    report::Replays,
    walk::Main,
};

type Digest = [u8; 32];

const WITHOUT_FACTS: &str = "it is a decision without its facts";

/// The snapshot in force, and those that were until just now.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    in_force: Option<Digest>,
    known: BTreeMap<Digest, Known>,
}

/// A snapshot that took force.
#[derive(Debug)]
struct Known {
    /// Absent if its document is withheld or no good.
    compiled: Option<Snapshot>,
    /// When another took its place.
    until_ms: Option<u64>,
}

/// What an entry says was decided.
enum Claim {
    /// That the call may proceed or go on.
    Permit,
    /// That it may not, with this code.
    Refusal(String),
}

/// A decision that was made again, and up to when it holds.
#[derive(Debug)]
struct Replayed {
    determination: Determination,
    valid_until: Moment,
}

/// What was decided on the same facts: by the snapshot, and the name that was asked for.
///
/// Facts that many entries refer to are decided on once under each snapshot.
#[derive(Debug, Default)]
pub(crate) struct Remembered(RefCell<Vec<Once>>);

/// One decision.
#[derive(Debug)]
struct Once {
    by: Digest,
    requested: Option<String>,
    replayed: Rc<Replayed>,
}

impl Remembered {
    /// More snapshots and names than this are not remembered of the same facts.
    const MAX: usize = 16;

    fn get(&self, digest: &Digest, requested: Option<&str>) -> Option<Rc<Replayed>> {
        let known = self.0.borrow();
        let found = known.iter().find(|once| once.by == *digest && once.requested.as_deref() == requested);
        found.map(|once| once.replayed.clone())
    }

    fn put(&self, digest: &Digest, requested: Option<&str>, replayed: &Rc<Replayed>) {
        let mut known = self.0.borrow_mut();
        if known.len() < Self::MAX {
            known.push(Once { by: *digest, requested: requested.map(str::to_owned), replayed: replayed.clone() });
        }
    }
}

impl Replay {
    /// Takes the next entry with field 1 of its private part, if that is at hand, and what it was decided on.
    pub(crate) fn take(
        &mut self,
        entry: &Entry,
        main: Main<'_>,
        basis: &Basis,
        replays: &mut Replays,
    ) -> Result<(), String> {
        match (entry.kind, entry.outcome) {
            (Kind::Snapshot, _) => self.takes_force(entry, main),
            (Kind::Open, _) => {
                let done = self.again(entry, basis, &Claim::Permit, replays)?;
                replays.permits += u64::from(done);
                Ok(())
            }
            (Kind::Refusal, _) => {
                let claim = Claim::Refusal(code(entry)?.to_owned());
                let done = self.again(entry, basis, &claim, replays)?;
                replays.refusals += u64::from(done);
                Ok(())
            }
            (Kind::Redecision, _) => {
                let done = self.again(entry, basis, &Claim::Permit, replays)?;
                replays.redecisions += u64::from(done);
                Ok(())
            }
            (Kind::Close, Some(Outcome::Cut)) => self.cut(entry, basis, replays),
            _ => Ok(()),
        }
    }

    fn takes_force(&mut self, entry: &Entry, main: Main<'_>) -> Result<(), String> {
        let digest = entry.snapshot.ok_or("it puts a snapshot in force without naming it")?;
        let compiled = match main {
            Main::Absent => Err("it puts a snapshot in force without the document".to_owned()),
            Main::Untold | Main::Withheld => Ok(None),
            Main::Shown(document) => compile(&digest, document).map(Some),
        };
        let (compiled, result) = match compiled {
            Ok(compiled) => (compiled, Ok(())),
            Err(why) => (None, Err(why)),
        };
        if let Some(before) = self.in_force.replace(digest).and_then(|before| self.known.get_mut(&before)) {
            before.until_ms = Some(entry.at_ms);
        }
        let recent = |until_ms: Option<u64>| until_ms.is_none_or(|until| until.saturating_add(STEP_MS) >= entry.at_ms);
        self.known.retain(|_, known| recent(known.until_ms));
        self.known.insert(digest, Known { compiled, until_ms: None });
        result
    }

    /// Requires of a decision that it has facts and names the snapshot in force, without making it again.
    pub(crate) fn founded(&self, entry: &Entry, basis: &Basis) -> Result<(), String> {
        let is_cut = entry.kind == Kind::Close && entry.outcome == Some(Outcome::Cut) && entry.snapshot.is_some();
        if !is_cut && !matches!(entry.kind, Kind::Open | Kind::Refusal | Kind::Redecision) {
            return Ok(());
        }
        if let Basis::Absent = basis {
            return Err(WITHOUT_FACTS.to_owned());
        }
        self.named(entry).map(drop)
    }

    /// A cut is decided by policy, and then carries the facts; or by the gateway itself, for a reason of its own.
    fn cut(&self, entry: &Entry, basis: &Basis, replays: &mut Replays) -> Result<(), String> {
        let code = code(entry)?;
        // A cut that names no snapshot was not decided by one, whatever its private part has.
        if entry.snapshot.is_none() {
            if is_policy(code) {
                return Err(format!("it cuts a call for `{code}` without the snapshot that decided"));
            }
            replays.cuts_without_decision += 1;
            return Ok(());
        }
        let claim = Claim::Refusal(code.to_owned());
        let done = self.again(entry, basis, &claim, replays)?;
        replays.redecisions += u64::from(done);
        Ok(())
    }

    /// Makes the decision again; true if that was possible and it came out the same.
    fn again(&self, entry: &Entry, basis: &Basis, claim: &Claim, replays: &mut Replays) -> Result<bool, String> {
        let known = self.named(entry)?;
        let read = match (basis, &known.compiled) {
            (Basis::Absent, _) => return Err(WITHOUT_FACTS.to_owned()),
            (Basis::On(read), Some(snapshot)) => Some((read, snapshot)),
            _ => None,
        };
        let Some((read, snapshot)) = read else {
            replays.not_possible += 1;
            return Ok(false);
        };
        let replayed = replayed(snapshot, read, entry)?;
        check_time(entry, &read.facts, replayed.valid_until)?;
        claim.compare(entry, &replayed.determination)?;
        replays.during_change += u64::from(known.until_ms.is_some());
        Ok(true)
    }

    /// Finds the snapshot that an entry names: it must be in force, or have been until just now.
    fn named(&self, entry: &Entry) -> Result<&Known, String> {
        let digest = entry.snapshot.ok_or("it does not name the snapshot that decided")?;
        let known = self.known.get(&digest);
        let ended = |until_ms: u64| until_ms.saturating_add(STEP_MS) < entry.at_ms;
        match known {
            None => Err("the snapshot it names was not in force".to_owned()),
            Some(known) if known.until_ms.is_some_and(ended) => {
                Err("the snapshot it names was no longer in force".to_owned())
            }
            Some(known) => Ok(known),
        }
    }
}

/// Compiles the private part of a snapshot entry; it must be the canonical document with this digest.
pub(crate) fn compile(digest: &Digest, private: &[u8]) -> Result<Snapshot, String> {
    let document: SnapshotDocument =
        serde_json::from_slice(private).map_err(|e| format!("its private part is not a snapshot: {e}"))?;
    let snapshot = Snapshot::compile(document).map_err(|faults| match faults.first() {
        Some(fault) => format!("its snapshot does not compile: {fault}"),
        None => "its snapshot does not compile".to_owned(),
    })?;
    if snapshot.digest() != digest || snapshot.canonical() != private {
        return Err("its snapshot is not the canonical document of the digest it names".to_owned());
    }
    Ok(snapshot)
}

/// Decides again as the gateway did, or remembers it.
fn replayed(snapshot: &Snapshot, read: &Read, entry: &Entry) -> Result<Rc<Replayed>, String> {
    let requested = entry.requested.as_deref();
    if let Some(known) = read.decisions.get(snapshot.digest(), requested) {
        return Ok(known);
    }
    let replayed = Rc::new(decided(snapshot, &read.facts, requested)?);
    read.decisions.put(snapshot.digest(), requested, &replayed);
    Ok(replayed)
}

/// Decides for the name that was asked for, or for the version itself.
fn decided(snapshot: &Snapshot, facts: &Facts, requested: Option<&str>) -> Result<Replayed, String> {
    let Some(requested) = requested else {
        let determination = decide(snapshot, facts);
        let valid_until = match &determination {
            Determination::Permit(permit) => permit.valid_until(),
            Determination::Refuse(refusal) => refusal.valid_until(),
        };
        return Ok(Replayed { determination, valid_until });
    };
    let resolution = resolve(snapshot, facts, requested)
        .ok_or_else(|| format!("the snapshot has no model version or alias `{requested}`"))?;
    Ok(Replayed { determination: resolution.determination, valid_until: resolution.valid_until })
}

/// A decision may be remembered while it holds; it must not be used after that, nor before it was made.
fn check_time(entry: &Entry, facts: &Facts, valid_until: Moment) -> Result<(), String> {
    let at = Moment::from_millis(i64::try_from(entry.at_ms).unwrap_or(i64::MAX));
    if facts.at > at {
        return Err(format!("its facts are of {}, after the entry", facts.at));
    }
    let until = valid_until.as_millis().saturating_add_unsigned(STEP_MS);
    if entry.kind != Kind::Close && at.as_millis() >= until {
        return Err(format!("the decision held until {valid_until} and was used later"));
    }
    Ok(())
}

impl Claim {
    fn compare(&self, entry: &Entry, replayed: &Determination) -> Result<(), String> {
        match (self, replayed) {
            (Self::Permit, Determination::Permit(permit)) => {
                same_model(entry, permit.model())?;
                same_basis(entry, permit.basis())
            }
            (Self::Refusal(code), Determination::Refuse(refusal)) => {
                same("code", code, refusal.code().as_str())?;
                same_model(entry, refusal.model())?;
                same_basis(entry, refusal.denied_by())
            }
            (Self::Permit, Determination::Refuse(refusal)) => {
                let code = refusal.code();
                Err(format!("it was permitted, and deciding again refuses: {}", code.as_str()))
            }
            (Self::Refusal(code), Determination::Permit(_)) => {
                Err(format!("it was refused with `{code}`, and deciding again permits"))
            }
        }
    }
}

fn same_model(entry: &Entry, replayed: &ModelVersionId) -> Result<(), String> {
    same("model", entry.model.as_deref().unwrap_or_default(), replayed.as_str())
}

fn same_basis(entry: &Entry, replayed: &[ProvisionId]) -> Result<(), String> {
    if entry.basis.iter().flatten().map(String::as_str).eq(replayed.iter().map(ProvisionId::as_str)) {
        return Ok(());
    }
    let replayed: Vec<&str> = replayed.iter().map(ProvisionId::as_str).collect();
    let recorded = entry.basis.as_deref().unwrap_or_default();
    Err(other("basis", &recorded.join(", "), &replayed.join(", ")))
}

fn same(what: &str, recorded: &str, replayed: &str) -> Result<(), String> {
    if recorded == replayed { Ok(()) } else { Err(other(what, recorded, replayed)) }
}

fn other(what: &str, recorded: &str, replayed: &str) -> String {
    format!("the record says {what} `{recorded}`, and deciding again says `{replayed}`")
}

fn code(entry: &Entry) -> Result<&str, String> {
    entry.code.as_deref().ok_or_else(|| "it does not say why".to_owned())
}

fn is_policy(code: &str) -> bool {
    serde_json::from_value::<Code>(serde_json::Value::from(code)).is_ok()
}
