//! Decides every case of `cases/` and prints what came out: a table, or JSON with `--json`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use policy::{Determination, Snapshot, decide};
use serde_json::{Value, json};
use testkit::cases::{self, Case, Check, Verdict};

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
    let pairs = cases.iter().flat_map(|case| case.checks.iter().map(move |check| (case, check)));
    let rows = pairs.map(|(case, check)| row(case, check)).collect::<anyhow::Result<Vec<_>>>()?;
    let text = if as_json { document(&rows) } else { table(&rows) };
    writeln!(io::stdout(), "{text}").context("standard output is closed")?;
    Ok(if rows.iter().all(|row| row.met) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row<'a>(case: &'a Case, check: &'a Check) -> anyhow::Result<Row<'a>> {
    let compiled = Snapshot::compile(check.document.clone());
    let snapshot = compiled.map_err(|faults| anyhow!("case {} under {}: {faults:?}", case.id, check.stage))?;
    let determination = decide(&snapshot, &check.facts);
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

fn table(rows: &[Row<'_>]) -> String {
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
    text + &format!("\n{} checks, {wrong} decided otherwise than expected", rows.len())
}

fn document(rows: &[Row<'_>]) -> String {
    let rows: Vec<Value> = rows.iter().map(one).collect();
    Value::Array(rows).to_string()
}

fn one(row: &Row<'_>) -> Value {
    json!({
        "case": row.case.id, "title": row.case.title, "stage": row.check.stage, "model": row.check.facts.model,
        "decided": row.got, "expected": row.check.expected.to_string(), "met": row.met,
    })
}
