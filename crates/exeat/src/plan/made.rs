//! A plan as the server made it, read into what is shown.

use anyhow::{Context, bail};
use policy::plan::{CodeCount, Count, ReplayReport, Report};
use prover::{Answer, Example, Proofs, Property, Verdict};
use serde::Deserialize;
use serde_json::Value;

use super::view::{
    ChangeView, Effect, ProofVerdict, ProofView, ProofsView, ReplayRow, ReplaySplit, ReplayView, SignatureView, View,
};

/// A plan as the server made it.
#[derive(Debug, Deserialize)]
pub(crate) struct Made {
    report: Report,
    changes: Vec<DocumentChanges>,
    proofs: Option<Proofs>,
    unproved: Option<String>,
    replay: Option<Replayed>,
    documents: Vec<Value>,
    #[serde(skip)]
    seal: Option<SignatureView>,
}

/// A replay of past calls, and what it took.
#[derive(Debug, Deserialize)]
struct Replayed {
    #[serde(flatten)]
    report: ReplayReport,
    took_ms: u64,
}

impl Replayed {
    fn view(self) -> ReplayView {
        let Self { report, took_ms } = self;
        let split = |all: u64, refused: u64| ReplaySplit { permitted: all.saturating_sub(refused), held: 0, refused };
        let row = |name: String, all: Count, refused: Count| ReplayRow {
            name,
            answers: split(all.calls, refused.calls),
            tokens_lost: refused.tokens,
        };
        let lost = [&report.held, &report.denied];
        ReplayView {
            from: report.from,
            to: report.until,
            calls: report.all.calls,
            tokens: report.all.tokens,
            answers: ReplaySplit {
                permitted: report.permitted.calls,
                held: report.held.calls,
                refused: report.denied.calls,
            },
            by_code: report.by_code.iter().map(by_code).collect(),
            by_day: report.by_day.into_iter().map(|day| row(day.day, day.all, day.refused)).collect(),
            by_model: report.by_model.into_iter().map(|of| row(of.model.to_string(), of.all, of.refused)).collect(),
            first: lost.iter().filter_map(|count| count.first).min(),
            last: lost.iter().filter_map(|count| count.last).max(),
            calls_per_second: report.all.calls.saturating_mul(1_000) / took_ms.max(1),
            dropped_groups: report.unreadable,
        }
    }
}

#[derive(Debug, Deserialize)]
struct DocumentChanges {
    id: String,
    changes: Vec<Change>,
}

#[derive(Debug, Deserialize)]
struct Change {
    path: String,
    meaning: String,
    bearing: Effect,
    old: Option<Value>,
    new: Option<Value>,
}

/// What a plan says of where it is recorded.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Seal {
    /// The SHA-256 of the plan without its seal, in hexadecimal.
    pub(crate) sha256: String,
    /// The ledger's entry that records it.
    pub(crate) entry: u64,
    /// The verifier key of that ledger.
    pub(crate) log: String,
}

/// Checks that a plan is what its seal covers, and returns the seal.
///
/// # Errors
///
/// If it has no seal, or was changed.
pub(crate) fn check_seal(made: &Value) -> anyhow::Result<Seal> {
    let seal: Seal = serde_json::from_value(made.get("seal").cloned().unwrap_or_default())
        .context("the plan has no seal: was it made by `plan --save`?")?;
    let mut bare = made.clone();
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("seal");
    }
    let digest = control::document_sha256(&bare)?;
    if digest != seal.sha256 {
        bail!("the plan was changed after it was sealed: its digest is {digest}, and the seal covers {}", seal.sha256);
    }
    Ok(seal)
}

impl Made {
    /// Reads what the server answered.
    ///
    /// # Errors
    ///
    /// If it is not a plan of this release.
    pub(crate) fn read(made: &Value) -> anyhow::Result<Self> {
        let mut plan: Self = serde_path_to_error::deserialize(made).context("this is not a plan of this release")?;
        let name = made.pointer("/seal/log").and_then(Value::as_str).map(str::to_owned);
        plan.seal = name.map(|key| SignatureView { key, verified: check_seal(made).is_ok() });
        Ok(plan)
    }

    /// Returns what is shown.
    pub(crate) fn view(self, title: String, command: String) -> View {
        let proofs = match (self.proofs, self.unproved) {
            (Some(proofs), _) => Some(proofs_view(&proofs)),
            (None, Some(why)) => Some(ProofsView::NoSolver { why }),
            (None, None) => None,
        };
        let one = self.changes.len() == 1;
        let changes = self.changes.into_iter().flat_map(|of| {
            let id = of.id;
            of.changes.into_iter().map(move |change| change.view((!one).then_some(id.as_str())))
        });
        View {
            report: self.report,
            title,
            proofs,
            replay: self.replay.map(|replay| replay.view()),
            changes: changes.collect(),
            document: self.documents.into_iter().next(),
            signature: self.seal,
            command: (!command.is_empty()).then_some(command),
        }
    }
}

impl Change {
    fn view(self, of: Option<&str>) -> ChangeView {
        let text =
            |value: Option<Value>| value.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        ChangeView {
            path: of.map_or_else(|| self.path.clone(), |of| format!("{of} {}", self.path)),
            meaning: self.meaning.replace('_', " "),
            old: text(self.old),
            new: text(self.new),
            effect: self.bearing,
        }
    }
}

fn by_code(of: &CodeCount) -> ReplayRow {
    let calls = of.count.calls;
    let (held, refused) = if of.hold { (calls, 0) } else { (0, calls) };
    ReplayRow {
        name: of.code.as_str().to_owned(),
        answers: ReplaySplit { permitted: 0, held, refused },
        tokens_lost: of.count.tokens,
    }
}

fn proofs_view(proofs: &Proofs) -> ProofsView {
    ProofsView::Solver {
        name: proofs.solver.name.clone(),
        version: proofs.solver.version.clone(),
        canaries_ok: !proofs.canaries.is_empty(),
        proofs: proofs.properties.iter().map(proof_view).collect(),
    }
}

fn proof_view(property: &Property) -> ProofView {
    let (verdict, counterexample, replayed) = match &property.verdict {
        Verdict::Proved { example, .. } => (ProofVerdict::Proved, example.as_deref().map(described), None),
        Verdict::Refuted { counterexample } => {
            (ProofVerdict::Refuted, Some(described(counterexample)), Some(replayed(counterexample)))
        }
        Verdict::Failed { why } => (ProofVerdict::Failed, Some(why.clone()), None),
    };
    ProofView {
        id: property.id.clone(),
        title: property.title.clone(),
        about: property.about.clone(),
        verdict,
        counterexample,
        replayed,
        micros: property.micros,
        smt_sha256: property.smt_sha256.clone(),
    }
}

fn described(example: &Example) -> String {
    example.description.clone()
}

fn replayed(example: &Example) -> String {
    match &example.decide {
        Some(Answer::Permits { by }) => format!("permits, on {}", by.join(", ")),
        Some(Answer::Refuses { why }) => format!("refuses: {why}"),
        Some(Answer::Errs { why }) => format!("cannot be decided: {why}"),
        None => "no facts of this snapshot lead to it".to_owned(),
    }
}
