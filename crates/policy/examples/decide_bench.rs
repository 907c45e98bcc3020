//! Measures `decide` without a harness: nanoseconds per decision under 2, 10, 40 and 200 instruments.
//!
//! `cargo run --release -p policy --example decide_bench`

use std::{
    io::{self, Write},
    time::Instant,
};

use policy::{License, Snapshot, SnapshotDocument, decide};
use testkit::cases::{self, Check};

const ROUNDS: usize = 20_000;

fn main() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let cases = cases::load(&cases::directory())?;
    writeln!(out, "{:<22} {:>11} {:>10} {:>10} {:>10}", "case", "instruments", "p50 ns", "p99 ns", "p99.9 ns")?;
    for name in ["P01", "E02", "E04", "E23"] {
        let checks = cases.iter().filter(|case| case.id == name).flat_map(|case| &case.checks);
        let Some(check) = checks.into_iter().find(|check| check.stage == "june_26") else {
            continue;
        };
        for instruments in [2, 10, 40, 200] {
            let snapshot = compiled(with_instruments(check, instruments)?)?;
            let [p50, p99, p999] = measured(&snapshot, check);
            writeln!(out, "{name:<22} {instruments:>11} {p50:>10} {p99:>10} {p999:>10}")?;
        }
    }
    Ok(())
}

/// Adds copies of the approval list under other ids: the worst case, for all name the same family and grantees.
fn with_instruments(check: &Check, count: usize) -> anyhow::Result<SnapshotDocument> {
    let mut document = check.document.clone();
    let Some(list) = document.licenses.first().map(serde_json::to_value) else {
        return Ok(document);
    };
    let mut list = list?;
    for at in document.directives.len() + document.licenses.len()..count {
        if let Some(id) = list.get_mut("id") {
            *id = format!("LTR-{at}").into();
        }
        document.licenses.push(License::parse(list.to_string().as_bytes())?);
    }
    Ok(document)
}

fn compiled(document: SnapshotDocument) -> anyhow::Result<Snapshot> {
    Snapshot::compile(document).map_err(|faults| anyhow::anyhow!("{faults:?}"))
}

fn measured(snapshot: &Snapshot, check: &Check) -> [u128; 3] {
    let mut times: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let determination = decide(snapshot, &check.facts);
            let took = start.elapsed().as_nanos();
            std::hint::black_box(&determination);
            took
        })
        .collect();
    times.sort_unstable();
    [ROUNDS / 2, ROUNDS / 100 * 99, ROUNDS / 1_000 * 999].map(|at| times.get(at).copied().unwrap_or_default())
}
