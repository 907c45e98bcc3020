//! Proves the documents of `examples/`: the order of June 12, and the list of June 26 on top of it.
//!
//! `cargo run -p prover --example prove_examples`

use std::{error::Error, process::ExitCode, time::Instant};

use policy::{CountryGroups, Directive, License, Regime, Snapshot, SnapshotDocument};
use prover::{Proofs, Property, Settings, Verdict, prove};

const JUNE_12: &str = include_str!("../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../examples/annex-a.license.json");
const MODELS: &str = r#"[
  {"id": "fable-5.0", "family": "fable-5", "control": "subject", "clearance": "open"},
  {"id": "mythos-5.0", "family": "mythos-5", "control": "subject", "clearance": "open"},
  {"id": "mythos-5.1", "family": "mythos-5", "control": "subject", "clearance": "identified"},
  {"id": "quill-1.0", "family": "quill-1", "control": "published", "clearance": "open"}
]"#;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let june_12 = snapshot(1, &[])?;
    let june_26 = snapshot(2, &[License::parse(ANNEX_A.as_bytes())?])?;
    let settings = Settings::default();
    let mut passed = true;
    for (title, before, after) in [("June 12", None, &june_12), ("June 26", Some(&june_12), &june_26)] {
        let started = Instant::now();
        let proofs = prove(before, after, &settings)?;
        show(title, &proofs);
        say(&format!("{} ms in all\n", started.elapsed().as_millis()));
        passed &= proofs.passed();
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn snapshot(epoch: u64, licenses: &[License]) -> Result<Snapshot, Box<dyn Error>> {
    let document = SnapshotDocument {
        version: 1,
        epoch,
        lab: Some(terms::OrganizationId::parse("larkspur-labs")?),
        country_groups: CountryGroups::bundled(),
        regimes: vec![Regime::bundled()],
        models: serde_json::from_str(MODELS)?,
        aliases: Vec::new(),
        directives: vec![Directive::parse(JUNE_12.as_bytes())?],
        licenses: licenses.to_vec(),
    };
    Snapshot::compile(document).map_err(|faults| format!("{faults:?}").into())
}

fn show(title: &str, proofs: &Proofs) {
    say(&format!("{title}: {} ({})", proofs.solver.version, proofs.solver.name));
    for property in &proofs.properties {
        let Property { id, about, asked, micros, .. } = property;
        let verdict = in_words(&property.verdict);
        say(&format!("  {id}  {:>6.1} ms  {asked:>2} asked  {about:<50}  {verdict}", as_ms(*micros)));
    }
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Proved { finding, example: None } => format!("proved: {finding}"),
        Verdict::Proved { finding, example: Some(example) } => {
            format!("proved: {finding}, such as {}", example.description)
        }
        Verdict::Refuted { counterexample } => {
            format!("REFUTED: {} (confirmed: {})", counterexample.description, counterexample.confirmed)
        }
        Verdict::Failed { why } => format!("FAILED: {why}"),
    }
}

fn as_ms(micros: u64) -> f64 {
    let micros = u32::try_from(micros).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}

#[expect(clippy::print_stdout, reason = "this is what the example is for")]
fn say(line: &str) {
    println!("{line}");
}
