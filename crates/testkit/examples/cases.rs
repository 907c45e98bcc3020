//! Decides every case of `cases/` and every variant of it, and prints what came out: a table, or JSON with `--json`.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use policy::{Determination, Snapshot, SnapshotDocument, decide};
use serde_json::{Value, json};
use testkit::cases::{
    self, Case, Check, Verdict,
    variants::{self, Answer, Law, Variant},
};

/// One check, decided.
struct Row<'a> {
    case: &'a Case,
    check: &'a Check,
    got: String,
    met: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let as_json = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--json") => true,
        Some(other) => bail!("`{other}`: the one option is --json"),
    };
    let cases = cases::load(&cases::directory())?;
    let mut compiler = Compiler::default();
    let pairs = cases.iter().flat_map(|case| case.checks.iter().map(move |check| (case, check)));
    let rows = pairs.map(|(case, check)| row(&mut compiler, case, check)).collect::<anyhow::Result<Vec<_>>>()?;
    let laws = laws(&mut compiler, &cases)?;
    let text = if as_json { document(&rows, &laws) } else { table(&rows, &laws) };
    writeln!(io::stdout(), "{text}").context("standard output is closed")?;
    let met = rows.iter().all(|row| row.met) && laws.values().all(|kept| kept.broken == 0);
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Compiles each document once.
#[derive(Default)]
struct Compiler(BTreeMap<Vec<u8>, Snapshot>);

impl Compiler {
    fn compiled(&mut self, document: &SnapshotDocument) -> anyhow::Result<&Snapshot> {
        let key = serde_json::to_vec(document)?;
        if !self.0.contains_key(&key) {
            let compiled = Snapshot::compile(document.clone());
            self.0.insert(key.clone(), compiled.map_err(|faults| anyhow!("{faults:?}"))?);
        }
        self.0.get(&key).context("a document that was compiled is gone")
    }
}

/// How often variants were decided under one law, and how often the law was broken.
#[derive(Default)]
struct Kept {
    variants: usize,
    broken: usize,
}

fn laws(compiler: &mut Compiler, cases: &[Case]) -> anyhow::Result<BTreeMap<Law, Kept>> {
    let mut laws: BTreeMap<Law, Kept> = BTreeMap::new();
    for variant in variants::of(cases)? {
        let broken = !is_lawful(compiler, cases, &variant)?;
        let kept = laws.entry(variant.law).or_default();
        kept.variants += 1;
        kept.broken += usize::from(broken);
    }
    Ok(laws)
}

fn is_lawful(compiler: &mut Compiler, cases: &[Case], variant: &Variant) -> anyhow::Result<bool> {
    let case = cases.iter().find(|case| case.id == variant.case);
    let check = case.and_then(|case| case.checks.get(variant.check)).context("a variant of no case")?;
    let last = variant.steps.last().context("a variant without steps")?;
    let before = Answer::of(&decide(compiler.compiled(&check.document)?, &check.facts));
    let after = Answer::of(&decide(compiler.compiled(&last.document)?, &last.facts));
    Ok(variant.law.allows(&before, &after))
}

fn row<'a>(compiler: &mut Compiler, case: &'a Case, check: &'a Check) -> anyhow::Result<Row<'a>> {
    let snapshot = compiler.compiled(&check.document);
    let snapshot = snapshot.with_context(|| format!("case {} under {}", case.id, check.stage))?;
    let determination = decide(snapshot, &check.facts);
    let met = check.expected.is_met_by(&determination);
    let got = if met { check.expected.to_string() } else { spelled(&determination) };
    Ok(Row { case, check, got, met })
}

fn spelled(determination: &Determination) -> String {
    let reason = match determination {
        Determination::Permit(permit) => permit.basis().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Determination::Refuse(refusal) => refusal.code().as_str().to_owned(),
    };
    format!("{} {reason}", Verdict::of(determination))
}

fn table(rows: &[Row<'_>], laws: &BTreeMap<Law, Kept>) -> String {
    let mut text = format!("{:<24} {:<8} {:<11} {:<44} {}\n", "case", "stage", "model", "decided", "title");
    for Row { case, check, got, met } in rows {
        text += &format!(
            "{:<24} {:<8} {:<11} {got:<44} {}\n",
            case.id,
            check.stage,
            check.facts.model.as_str(),
            case.title
        );
        if !met {
            text += &format!("{:>42} expected {}\n", "WRONG:", check.expected);
        }
    }
    let wrong = rows.iter().filter(|row| !row.met).count();
    text += &format!("\n{} checks, {wrong} decided otherwise than expected\n", rows.len());
    text + &variants_table(laws)
}

/// Says in one line for each law how many variants of the cases were decided under it.
fn variants_table(laws: &BTreeMap<Law, Kept>) -> String {
    let mut text =
        "\nEach case was also decided with one thing changed. Whatever the answer, these must hold:\n\n".to_owned();
    for (law, kept) in laws {
        let broken = if kept.broken == 0 { String::new() } else { format!("   WRONG: {} times broken", kept.broken) };
        text += &format!("{:>6}  {law}{broken}\n", kept.variants);
    }
    let all: usize = laws.values().map(|kept| kept.variants).sum();
    let broken: usize = laws.values().map(|kept| kept.broken).sum();
    text + &format!("\n{all} variants, {broken} of them decided against the law they are under")
}

fn document(rows: &[Row<'_>], laws: &BTreeMap<Law, Kept>) -> String {
    let checks: Vec<Value> = rows.iter().map(one).collect();
    let law =
        |(law, kept): (&Law, &Kept)| json!({"law": law.to_string(), "variants": kept.variants, "broken": kept.broken});
    let variants: Vec<Value> = laws.iter().map(law).collect();
    json!({"checks": checks, "variants": variants}).to_string()
}

fn one(row: &Row<'_>) -> Value {
    json!({
        "case": row.case.id, "title": row.case.title, "stage": row.check.stage, "model": row.check.facts.model,
        "decided": row.got, "expected": row.check.expected.to_string(), "met": row.met,
    })
}
