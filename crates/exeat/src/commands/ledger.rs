//! The record, read from its files; a server may run beside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use ledger::{Reader, Stored};
use proof::entry::{Entry, Usage};
use serde_json::{Value, json};
use terms::Moment;

use super::{Exit, record};
use crate::output::{self, Format};

/// Where the record lies.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The folder of the ledger, in the server's data folder.
    #[arg(long, env = "EXEAT_LEDGER", default_value = "exeat-data/ledger")]
    ledger: PathBuf,
}

/// The record.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Checks everything: hashes, signatures, order, commitments, and every decision by deciding it again.
    #[command(
        after_help = "Examples:\n  exeat ledger verify\n  exeat ledger verify --ledger /var/lib/exeat/ledger --key auditor.vkey"
    )]
    Verify {
        #[command(flatten)]
        place: Place,
        /// The log's verifier key, or a file that holds it, got elsewhere; the log's own is used otherwise.
        #[arg(long)]
        key: Option<String>,
    },
    /// Writes a bundle for an offline auditor; `exeat-verify bundle` checks it.
    #[command(
        after_help = "Example:\n  exeat ledger export record && exeat-verify bundle record --key exeat-data/ledger/log/log.vkey"
    )]
    Export {
        /// The folder to write; must not be there yet.
        out: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Shows one entry.
    #[command(after_help = "Examples:\n  exeat ledger show 17\n  exeat ledger show 17 --private --json")]
    Show {
        /// Its index.
        index: u64,
        /// Shows also what the log commits to and does not publish: facts, registry records, documents.
        #[arg(long)]
        private: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Prints one entry with the proof that a signed checkpoint covers it (C2SP tlog-proof).
    #[command(after_help = "Example:\n  exeat ledger receipt 17")]
    Receipt {
        /// Its index.
        index: u64,
        #[command(flatten)]
        place: Place,
    },
}

/// Does what `exeat ledger` says.
///
/// # Errors
///
/// If the record cannot be read, or what was asked for is not in it.
pub(crate) fn run(command: &LedgerCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        LedgerCommand::Verify { place, key } => verify(&place.ledger, key.as_deref(), format),
        LedgerCommand::Export { out, place } => {
            let size = record::export(&Reader::open(&place.ledger)?, out)?;
            output::answer(format, &json!({ "bundle": out, "entries": size }))?;
            Ok(Exit::Done)
        }
        LedgerCommand::Show { index, private, place } => {
            let stored = Reader::open(&place.ledger)?.stored(*index)?;
            output::answer(format, &shown(&stored, *private)?)?;
            Ok(Exit::Done)
        }
        LedgerCommand::Receipt { index, place } => receipt(&place.ledger, *index, format),
    }
}

/// Returns when the last entry was written; `None` for a log without entries.
///
/// # Errors
///
/// If the files cannot be read or contradict each other.
pub(crate) fn last_entry(dir: &Path) -> anyhow::Result<Option<Moment>> {
    let reader = Reader::open(dir)?;
    let from = reader.checkpoint_size()?.saturating_sub(1);
    let mut last = None;
    for stored in reader.entries(from)? {
        last = Some(moment(entry(&stored?)?.at_ms));
    }
    Ok(last)
}

/// Exports what the log has signed into a folder beside it, verifies that, and removes it again.
fn verify(dir: &Path, key: Option<&str>, format: Format) -> anyhow::Result<Exit> {
    let bundle = dir.join(format!("verify-{}.part", std::process::id()));
    let checked = record::export(&Reader::open(dir)?, &bundle)
        .and_then(|_| record::verify(&bundle, key, &mut record::OnTerminal::new()));
    let removed = fs::remove_dir_all(&bundle).with_context(|| format!("cannot remove `{}`", bundle.display()));
    let report = checked?;
    removed?;
    match format {
        Format::Json => output::answer(format, &serde_json::to_value(&report)?)?,
        Format::Text => output::line(report.to_string().trim_end())?,
    }
    Ok(if report.holds() { Exit::Done } else { Exit::Failed })
}

fn receipt(dir: &Path, index: u64, format: Format) -> anyhow::Result<Exit> {
    let receipt = Reader::open(dir)?.receipt(index)?;
    match format {
        Format::Json => {
            output::answer(format, &json!({ "index": index, "leaf": hex(&receipt.leaf), "proof": receipt.proof }))?
        }
        Format::Text => output::line(&format!("leaf {}\n\n{}", hex(&receipt.leaf), receipt.proof.trim_end()))?,
    }
    Ok(Exit::Done)
}

fn entry(stored: &Stored) -> anyhow::Result<Entry> {
    Entry::decode(&stored.leaf).map_err(|error| anyhow!("entry {}: {error}", stored.index))
}

/// Renders an entry; what it does not have is left out.
fn shown(stored: &Stored, with_private: bool) -> anyhow::Result<Value> {
    let entry = entry(stored)?;
    let kind = format!("{:?}", entry.kind).to_lowercase();
    let outcome = entry.outcome.map(|outcome| format!("{outcome:?}").to_lowercase());
    let mut shown = json!({
        "index": stored.index, "kind": kind, "at": moment(entry.at_ms).to_string(),
        "call": entry.call.map(|call| hex(&call)), "opened": entry.opened,
        "subject": entry.subject.map(|subject| hex(&subject)), "model": entry.model, "requested": entry.requested,
        "snapshot": entry.snapshot.map(|digest| hex(&digest)), "basis": entry.basis,
        "outcome": outcome, "code": entry.code, "usage": entry.usage.map(used),
        "request": entry.request.map(|digest| hex(&digest)), "private": entry.private.map(|digest| hex(&digest)),
    });
    if let Some(fields) = shown.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        if with_private {
            fields.insert("opening".to_owned(), opening(stored));
        }
    }
    Ok(shown)
}

fn used(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens,
        "delivered_events": usage.delivered_events, "delivered_bytes": usage.delivered_bytes,
    })
}

/// What opens the commitment: the salt, and the private part as JSON where it is.
fn opening(stored: &Stored) -> Value {
    let private = serde_json::from_slice(&stored.private).unwrap_or_else(|_| Value::String(hex(&stored.private)));
    json!({ "salt": hex(&stored.salt), "private": private })
}

fn moment(at_ms: u64) -> Moment {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
