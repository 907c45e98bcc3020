//! Measures `decide` without a harness: nanoseconds per decision under 2, 10, 40 and 200 instruments, the first after a
//! snapshot was compiled, which asks Cedar, and those after it, which ask what was asked before.
//!
//! `cargo run --release -p policy --example decide_bench`

use std::{
    io::{self, Write},
    time::Instant,
};

use policy::{License, Snapshot, SnapshotDocument, decide};
use testkit::cases::{self, Check};

const ROUNDS: usize = 20_000;
const COMPILED: usize = 15;

fn main() -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    let cases = cases::load(&cases::directory())?;
    writeln!(
        out,
        "{:<6} {:>11} {:>10} {:>10} {:>10} {:>10}",
        "case", "instruments", "first ns", "p50 ns", "p99 ns", "p99.9 ns"
    )?;
    for name in ["P01", "E02", "E04", "E23"] {
        let checks = cases.iter().filter(|case| case.id == name).flat_map(|case| &case.checks);
        let Some(check) = checks.into_iter().find(|check| check.stage == "june_26") else {
            continue;
        };
        for instruments in [2, 10, 40, 200] {
            let document = with_instruments(check, instruments)?;
            let first = first(&document, check)?;
            let [p50, p99, p999] = measured(&compiled(document)?, check);
            writeln!(out, "{name:<6} {instruments:>11} {first:>10} {p50:>10} {p99:>10} {p999:>10}")?;
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

/// Returns how long the first decision of a snapshot takes, the median of some snapshots.
fn first(document: &SnapshotDocument, check: &Check) -> anyhow::Result<u128> {
    let times = (0..COMPILED).map(|_| Ok(once(&compiled(document.clone())?, check)));
    let mut times = times.collect::<anyhow::Result<Vec<u128>>>()?;
    times.sort_unstable();
    Ok(times.get(COMPILED / 2).copied().unwrap_or_default())
}

fn once(snapshot: &Snapshot, check: &Check) -> u128 {
    let start = Instant::now();
    let determination = decide(snapshot, &check.facts);
    let took = start.elapsed().as_nanos();
    std::hint::black_box(&determination);
    took
}

fn measured(snapshot: &Snapshot, check: &Check) -> [u128; 3] {
    let mut times: Vec<u128> = (0..ROUNDS).map(|_| once(snapshot, check)).collect();
    times.sort_unstable();
    [ROUNDS / 2, ROUNDS / 100 * 99, ROUNDS / 1_000 * 999].map(|at| times.get(at).copied().unwrap_or_default())
}
