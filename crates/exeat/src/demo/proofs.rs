//! What the record proves: one call by its receipt, and the whole of it offline.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use proof::{bundle::ENTRIES_FILE, entry::Entry, note::VerifierKey, receipt::Receipt};
use serde_json::Value;
use verifier::Report;

use super::{Demo, PATIENCE, world::Caller};
use crate::{
    client::{Request, Server},
    commands::record,
    serve::Running,
};

/// A checkpoint is signed four times a second; a busy disk may take longer.
const COVERED_WITHIN: Duration = Duration::from_secs(15);

/// Fetches a receipt as the caller does and checks it with nothing but the log's key; says what it proves.
///
/// # Errors
///
/// If it cannot be had or proves nothing.
pub(super) fn one_call(gateway: &Server, caller: &Caller, id: &str, running: &Running) -> anyhow::Result<String> {
    let shown = fetch(gateway, caller, id)?;
    let field =
        |name: &str| shown.get(name).and_then(Value::as_str).with_context(|| format!("the receipt has no `{name}`"));
    let leaf = STANDARD.decode(field("leaf")?).context("the leaf is not base64")?;
    // Pinned: taken from the server's own state, not from what the receipt says of itself.
    let key: VerifierKey = running.ledger.verifier_key().parse().context("the log has no verifier key")?;
    let checkpoint = Receipt::parse(field("proof")?)?.verify(&leaf, key.name(), std::slice::from_ref(&key))?;
    let entry = Entry::decode(&leaf).context("the entry cannot be read")?;
    let basis = entry.basis.unwrap_or_default().join(", ");
    Ok(format!(
        "entry of {} on the basis {basis}, in a log of {} entries under a signed checkpoint",
        entry.model.unwrap_or_default(),
        checkpoint.size
    ))
}

fn fetch(gateway: &Server, caller: &Caller, id: &str) -> anyhow::Result<Value> {
    let path = format!("/receipts/{id}");
    let deadline = Instant::now() + COVERED_WITHIN;
    loop {
        let request = Request::get(&path).header("authorization", format!("Bearer {}", caller.key));
        let response = gateway.send(&request, PATIENCE)?;
        let status = response.status;
        let text = response.text()?;
        if status == 200 {
            return serde_json::from_str(&text).context("the receipt is not JSON");
        }
        if Instant::now() > deadline {
            bail!("the gateway answered {status} for the receipt: {text}");
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// What the export of the record showed.
pub(super) struct Shown {
    /// Where the bundle is.
    pub(super) bundle: PathBuf,
    /// What was verified.
    pub(super) verified: String,
    /// How a changed copy failed.
    pub(super) tampered: String,
}

/// Exports the record, verifies it offline, and shows that a copy with one changed bit fails.
///
/// # Errors
///
/// If the record does not verify, or the changed copy does.
pub(super) fn whole_record(demo: &Demo, running: &Running) -> anyhow::Result<Shown> {
    wait_until_covered(running)?;
    let bundle = demo.run_dir.join("record");
    record::export(&running.ledger.reader(), &bundle, &mut ())?;
    let key = running.ledger.verifier_key();
    let began = Instant::now();
    let report = record::verify(&bundle, Some(&key), &mut ())?;
    ensure!(report.holds(), "the record does not verify: {report}");
    let verified = summary(&report, began.elapsed());
    let tampered = tamper(&bundle, &key)?;
    Ok(Shown { bundle, verified, tampered })
}

/// Waits until a checkpoint covers what was recorded by now.
fn wait_until_covered(running: &Running) -> anyhow::Result<()> {
    let wanted = running.ledger.health().durable;
    let deadline = Instant::now() + COVERED_WITHIN;
    while running.ledger.health().checkpoint < wanted {
        ensure!(Instant::now() < deadline, "no checkpoint covers the record");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn tamper(bundle: &Path, key: &str) -> anyhow::Result<String> {
    let copy = bundle.with_file_name("record-tampered");
    record::copy_flat(bundle, &copy)?;
    let entries = copy.join(ENTRIES_FILE);
    let mut bytes = fs::read(&entries).context("cannot read the copy")?;
    let middle = bytes.len() / 2;
    let byte = bytes.get_mut(middle).context("the copy is empty")?;
    *byte ^= 1;
    fs::write(&entries, bytes).context("cannot write the copy")?;
    let report = record::verify(&copy, Some(key), &mut ())?;
    let why = report.faults.first().map(ToString::to_string);
    let why = why.with_context(|| format!("a copy with byte {middle} changed still verifies"))?;
    Ok(format!("a copy with one bit of byte {middle} changed fails: {why}"))
}

/// Says what a report that holds stands for.
fn summary(report: &Report, took: Duration) -> String {
    let again = &report.replays;
    format!(
        "exported; {} entries verified in {} with the pinned key: every hash, {} commitments, and {} decisions made again with the same answer ({} permits, {} refusals, {} on live calls)",
        report.entries,
        super::show::seconds(took),
        report.opened_commitments,
        again.permits + again.refusals + again.redecisions,
        again.permits,
        again.refusals,
        again.redecisions,
    )
}
