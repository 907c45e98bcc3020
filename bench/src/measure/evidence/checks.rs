//! Verification and replay of a whole log on one core, proofs, and recovery after a crash.

use std::{fs, path::Path};

use super::{
    super::{Bench, turn},
    BUNDLE, BUNDLE_FACTS, DECIDE, LEAVES, LOG,
    log::Small,
    programs::{Programs, answered, number},
};
use crate::{args::Run, report::Report};

const MILLION: f64 = 1e6;
const GIB: f64 = 1_073_741_824.0;
/// Calls of the log that is recovered: a GiB of segments and some more, so that what is read does not grow any more.
const CRASHED_CALLS: u64 = 2_000_000;

/// Makes the logs, and checks each of them in every round.
///
/// # Errors
///
/// A log does not verify, or a program failed.
pub(super) fn measure(
    run: &Run,
    bench: &Bench,
    programs: &Programs<'_>,
    small: &Small,
    records: u64,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = bench.folder.path().join("checks");
    fs::create_dir_all(&folder)?;
    // A call is two entries. With facts of a kilobyte or two in each, a tenth of the calls is enough.
    let logs = [
        (BUNDLE, Exported::make(programs, small, &folder.join("shared"), records / 2, &[])?),
        (BUNDLE_FACTS, Exported::make(programs, small, &folder.join("own"), records / 20, &["--own-facts"])?),
    ];
    let crashed = folder.join("crashed");
    for round in 0..run.rounds() {
        for (name, log) in &logs {
            turn(name, round, report, |report| log.verify(programs, name, round, report))?;
        }
        turn(LEAVES, round, report, |report| leaves(programs, &logs, round, report))?;
        turn(DECIDE, round, report, |report| replay(programs, small, records, round, report))?;
        turn(LOG, round, report, |report| prove(programs, &logs, round, report))?;
        small.fill(programs, &crashed, CRASHED_CALLS.min(4 * records), &["--crash"])?;
        turn(LOG, round, report, |report| recover(programs, &crashed, round, report))?;
        if crashed.exists() {
            fs::remove_dir_all(&crashed)?;
        }
    }
    Ok(fs::remove_dir_all(folder)?)
}

/// A log and its export.
struct Exported {
    ledger: std::path::PathBuf,
    bundle: std::path::PathBuf,
    key: std::path::PathBuf,
}

impl Exported {
    fn make(programs: &Programs<'_>, small: &Small, folder: &Path, calls: u64, more: &[&str]) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let (ledger, bundle) = (folder.join("ledger"), folder.join("bundle"));
        small.fill(programs, &ledger, calls, more)?;
        answered(programs.exeat().args(["ledger", "export"]).arg(&bundle).arg("--ledger").arg(&ledger))?;
        let key = ledger.join("log/log.vkey");
        Ok(Self { ledger, bundle, key })
    }

    fn verify(&self, programs: &Programs<'_>, name: &str, round: usize, report: &mut Report) -> anyhow::Result<()> {
        let mut verify = Programs::on_one_core(programs.verify);
        verify.arg("bundle").arg(&self.bundle).arg("--key").arg(&self.key).arg("--json");
        let (answer, seconds) = answered(&mut verify)?;
        let entries = number(&answer, "/entries")?;
        let decisions = number(&answer, "/replays/permits")? + number(&answer, "/replays/refusals")?;
        add_checked(report, name, round, (entries, seconds));
        report.add(name, round, "decisions", decisions);
        report.add(name, round, "per_million_decisions", seconds / decisions * MILLION);
        Ok(())
    }
}

/// Adds what checking so many entries took.
pub(super) fn add_checked(report: &mut Report, name: &str, round: usize, (entries, seconds): (f64, f64)) {
    report.add(name, round, "records", entries);
    report.add(name, round, "seconds", seconds);
    report.add(name, round, "per_million", seconds / entries * MILLION);
}

/// Walks the tiles of entries of the log itself, without any private part.
fn leaves(programs: &Programs<'_>, logs: &[(&str, Exported)], round: usize, report: &mut Report) -> anyhow::Result<()> {
    let Some((_, log)) = logs.first() else { return Ok(()) };
    let mut verify = Programs::on_one_core(programs.verify);
    verify.arg("leaves").arg(log.ledger.join("log")).arg("--key").arg(&log.key).arg("--json");
    let (answer, seconds) = answered(&mut verify)?;
    add_checked(report, LEAVES, round, (number(&answer, "/entries")?, seconds));
    Ok(())
}

fn replay(
    programs: &Programs<'_>,
    small: &Small,
    decisions: u64,
    round: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut replay = Programs::on_one_core(programs.calls_log);
    replay.arg("replay").arg(small.ledger()).args(["--decisions", &decisions.to_string()]);
    let (answer, _) = answered(&mut replay)?;
    let (decisions, seconds) = (number(&answer, "/decisions")?, number(&answer, "/seconds")?);
    report.add(DECIDE, round, "decisions", decisions);
    report.add(DECIDE, round, "seconds", seconds);
    report.add(DECIDE, round, "per_million_decisions", seconds / decisions * MILLION);
    Ok(())
}

fn prove(programs: &Programs<'_>, logs: &[(&str, Exported)], round: usize, report: &mut Report) -> anyhow::Result<()> {
    let Some((_, log)) = logs.first() else { return Ok(()) };
    let (answer, _) = answered(programs.calls_log().arg("prove").arg(&log.ledger).args(["--proofs", "10000"]))?;
    report.add(LOG, round, "receipt_bytes", number(&answer, "/bytes_max")?);
    report.add(LOG, round, "receipt_p50_us", number(&answer, "/p50_us")?);
    report.add(LOG, round, "receipt_p99_us", number(&answer, "/p99_us")?);
    Ok(())
}

/// Opens the crashed log, the first time in a turn; a second opening would find nothing to recover.
fn recover(programs: &Programs<'_>, crashed: &Path, round: usize, report: &mut Report) -> anyhow::Result<()> {
    if !crashed.exists() {
        return Ok(());
    }
    let (answer, _) = answered(programs.calls_log().arg("recover").arg(crashed))?;
    fs::remove_dir_all(crashed)?;
    let (seconds, bytes) = (number(&answer, "/seconds")?, number(&answer, "/wal_bytes")?);
    report.add(LOG, round, "recovery_s", seconds);
    report.add(LOG, round, "segments_gib", bytes / GIB);
    report.add(LOG, round, "recovery_read_gib", number(&answer, "/read_bytes")? / GIB);
    report.add(LOG, round, "recovery_s_per_gib", seconds / bytes * GIB);
    Ok(())
}
