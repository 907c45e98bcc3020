//! What is measured within a process: recovery, proofs, decisions.

use std::{
    fs,
    hint::black_box,
    path::Path,
    time::{Duration, Instant},
};

use ledger::Reader;
use policy::{Determination, Facts, decide};
use proof::note::VerifierKey;
use serde_json::{Value, json};

use crate::{Failure, like};

/// Opens a log that was not closed, and says how long that took and how many bytes were read.
pub(crate) fn recover(dir: &Path) -> Result<Value, Failure> {
    let origin = Reader::open(dir)?.verifier_key()?.parse::<VerifierKey>()?.name().to_owned();
    let bytes = written(&dir.join("wal"))?;
    let (began, before) = (Instant::now(), read_bytes()?);
    let (ledger, recovery) = crate::open(dir, &origin)?;
    let (seconds, read) = (began.elapsed().as_secs_f64(), read_bytes()?.saturating_sub(before));
    ledger.stop()?;
    Ok(json!({
        "seconds": seconds, "wal_bytes": bytes, "read_bytes": read, "entries": recovery.entries,
        "interrupted": recovery.interrupted, "unclean": recovery.unclean,
    }))
}

/// Returns how many bytes this process read so far, from files in memory too.
fn read_bytes() -> Result<u64, Failure> {
    let text = fs::read_to_string("/proc/self/io")?;
    let read = text.lines().find_map(|line| line.strip_prefix("rchar: "));
    Ok(read.ok_or("the system does not say how much was read")?.parse()?)
}

/// Makes receipts of entries all over the log.
pub(crate) fn prove(dir: &Path, proofs: u64) -> Result<Value, Failure> {
    let reader = Reader::open(dir)?;
    let size = reader.checkpoint_size()?;
    let (mut took, mut bytes) = (Vec::new(), Vec::new());
    for number in 0..proofs.min(size) {
        // A step that has no factor in common with most sizes: near entries are not asked for one after another.
        let index = number.wrapping_mul(7_919_777_777) % size;
        let began = Instant::now();
        let receipt = reader.receipt(index)?;
        took.push(began.elapsed());
        bytes.push(receipt.proof.len());
    }
    took.sort_unstable();
    let at = |share: usize| took.get(took.len().saturating_sub(1) * share / 100).map_or(0.0, micros);
    Ok(
        json!({ "size": size, "proofs": took.len(), "p50_us": at(50), "p99_us": at(99), "bytes_max": bytes.iter().max() }),
    )
}

/// Reads facts and decides on them, again and again, on this thread.
pub(crate) fn replay(dir: &Path, decisions: u64) -> Result<Value, Failure> {
    let like = like::read(dir)?;
    let mut texts = Vec::new();
    for call in &like.calls {
        texts.push(serde_json::to_vec(call.facts())?);
    }
    let began = Instant::now();
    let mut permits = 0_u64;
    for (_, text) in (0..decisions).zip(texts.iter().cycle()) {
        let facts = Facts::from_json(text)?;
        permits += u64::from(matches!(black_box(decide(&like.snapshot, &facts)), Determination::Permit(_)));
    }
    let seconds = began.elapsed().as_secs_f64();
    let bytes = texts.iter().map(Vec::len).sum::<usize>() / texts.len().max(1);
    Ok(json!({ "decisions": decisions, "permits": permits, "seconds": seconds, "facts_bytes": bytes }))
}

/// Returns the bytes of all segments that have entries.
fn written(wal: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in fs::read_dir(wal)? {
        let entry = entry?;
        let is_segment = entry.path().extension().is_some_and(|ending| ending == "seg");
        bytes += if is_segment { entry.metadata()?.len() } else { 0 };
    }
    Ok(bytes)
}

fn micros(took: &Duration) -> f64 {
    took.as_secs_f64() * 1e6
}
