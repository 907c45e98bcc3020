//! What was proved about the rules, for every possible caller; and, as plainly, what was not.

use policy::plan::Proof;

use super::{
    super::{
        page::{Block, Callout, Cell, ColumnKind, Section, Table, Tone},
        view::{ProofVerdict, ProofView, ProofsView, View},
        words,
    },
    section,
};

/// What was proved.
pub(super) fn proved(view: &View) -> Section {
    let blocks = match (&view.proofs, &view.report.proofs) {
        (Some(ProofsView::Solver { name, version, canaries_ok, proofs }), _) => {
            solved(&format!("{name} {version}"), *canaries_ok, proofs)
        }
        (Some(ProofsView::NoSolver { why }), _) => vec![nothing(why)],
        (None, Some(proofs)) => short(proofs),
        (None, None) => vec![nothing("No prover was asked.")],
    };
    section("proofs", "What was proved", blocks)
}

fn solved(solver: &str, canaries_ok: bool, proofs: &[ProofView]) -> Vec<Block> {
    let verdicts = [ProofVerdict::Proved, ProofVerdict::Refuted, ProofVerdict::Failed];
    let [proved, refuted, failed] =
        verdicts.map(|verdict| words::count(proofs.iter().filter(|proof| proof.verdict == verdict).count() as u64));
    let canaries = if canaries_ok { "It found every fault that was planted to test it." } else { "" };
    let mut blocks = vec![Block::Text(
        format!("{solver}: {proved} proved, {refuted} refuted, {failed} without an answer. {canaries}")
            .trim()
            .to_owned(),
    )];
    if !canaries_ok {
        let text = "The solver missed a fault that was planted to test it. Do not rely on any verdict below.";
        blocks.push(callout(Tone::Loud, "THE SOLVER FAILED ITS OWN TEST", text));
    }
    blocks.extend(proofs.iter().filter(|proof| proof.verdict != ProofVerdict::Proved).map(warned));
    blocks.push(Block::Table(table(proofs)));
    blocks
}

fn warned(proof: &ProofView) -> Block {
    let title = format!("{} {}: {}", proof.id, verdict(proof.verdict).0, proof.title);
    let example = proof.counterexample.as_deref().unwrap_or("No counterexample was given.");
    let replayed = proof.replayed.as_deref().map(|answer| format!(" Decided again for that caller: {answer}."));
    callout(verdict(proof.verdict).1, &title, &format!("{example}{}", replayed.unwrap_or_default()))
}

fn table(proofs: &[ProofView]) -> Table {
    let heads = [
        (ColumnKind::Id, "id"),
        (ColumnKind::Words, "property"),
        (ColumnKind::Words, "about"),
        (ColumnKind::Id, "verdict"),
        (ColumnKind::Extra, "took"),
        (ColumnKind::Extra, "SHA-256 of the question"),
    ];
    Table::new("Properties, for every possible caller", &heads).fill(proofs, usize::MAX, |proof| {
        let (verdict, tone) = verdict(proof.verdict);
        let digest: String = proof.smt_sha256.chars().take(12).collect();
        vec![
            proof.id.as_str().into(),
            proof.title.as_str().into(),
            proof.about.as_str().into(),
            Cell::toned(verdict, tone),
            words::micros(proof.micros).into(),
            Cell::toned(format!("{digest}\u{2026}"), Tone::Quiet),
        ]
    })
}

fn verdict(verdict: ProofVerdict) -> (&'static str, Tone) {
    match verdict {
        ProofVerdict::Proved => ("proved", Tone::Permit),
        ProofVerdict::Refuted => ("REFUTED", Tone::Loud),
        ProofVerdict::Failed => ("NO ANSWER", Tone::Loud),
    }
}

/// The report's own list, where nothing more is known.
fn short(proofs: &[Proof]) -> Vec<Block> {
    let heads = [
        (ColumnKind::Words, "property"),
        (ColumnKind::Id, "holds"),
        (ColumnKind::Words, "a caller for whom it does not"),
    ];
    let table = Table::new("Properties, for every possible caller", &heads).fill(proofs, usize::MAX, |proof| {
        let (holds, tone) = if proof.holds { ("proved", Tone::Permit) } else { ("REFUTED", Tone::Loud) };
        let example = proof.counterexample.as_deref().unwrap_or_default();
        vec![proof.property.as_str().into(), Cell::toned(holds, tone), example.into()]
    });
    vec![Block::Table(table)]
}

fn nothing(why: &str) -> Block {
    callout(Tone::Loud, "NOTHING IS PROVED", &format!("{why} The counts above come from decisions alone."))
}

fn callout(tone: Tone, title: &str, text: &str) -> Block {
    Block::Callout(Callout { tone, title: title.to_owned(), text: text.to_owned() })
}
