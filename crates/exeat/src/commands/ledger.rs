//! The record, read from its files; a server may run beside.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use ledger::{Private, Reader, Stored};
use proof::{
    commit::{Field, Opening},
    cose::CoseReceipt,
    entry::{Entry, Link, Usage},
    hex,
};
use serde_json::{Value, json};
use terms::Moment;

use super::{
    Exit, events,
    holds::{EraseArgs, HoldCommand},
    lake::{self, LakeCommand},
    produce::ProduceArgs,
    query::{self, QueryArgs},
    reconcile::{self, ReconcileOptions},
    record,
    timestamp::TimestampArgs,
};
use crate::{
    output::{self, Format},
    secrets,
};

/// Where the record lies.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The folder of the ledger, in the server's data folder.
    #[arg(long, env = "EXEAT_LEDGER", default_value = "exeat-data/ledger")]
    ledger: PathBuf,
}

impl Place {
    /// Returns the folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.ledger
    }
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
    /// Writes a bundle for an offline auditor, which `exeat-verify bundle` checks; or events for other programs.
    #[command(
        after_help = "Examples:\n  exeat ledger export record && exeat-verify bundle record --key exeat-data/ledger/log/log.vkey\n  exeat ledger export day.jsonl --format ocsf --from 2026-06-01T00:00:00Z --to 2026-06-02T00:00:00Z"
    )]
    Export {
        /// The folder to write, for events the file; must not be there yet. `-` writes events to standard output.
        out: PathBuf,
        /// Writes events in place of a bundle, one a line: `ocsf`, `otel` or `jsonl`. They prove nothing by themselves.
        #[arg(long)]
        format: Option<views::Format>,
        /// Events from this time on.
        #[arg(long, requires = "format", value_parser = Moment::parse)]
        from: Option<Moment>,
        /// Events up to this time.
        #[arg(long, requires = "format", value_parser = Moment::parse)]
        to: Option<Moment>,
        #[command(flatten)]
        place: Place,
    },
    /// The archive of the record: status, verify, compact.
    #[command(subcommand)]
    Lake(LakeCommand),
    /// Answers the common questions about calls, from the lake and the log: calls, refusals, who, tokens, longest.
    #[command(
        after_help = "Examples:\n  exeat ledger query calls --from 2026-06-01T00:00:00Z --to 2026-07-01T00:00:00Z\n  exeat ledger query who --model mythos-5 --names --csv"
    )]
    Query(QueryArgs),
    /// Legal holds: place, release, list. Asks the server.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Makes the private parts of somebody's entries of one quarter unreadable for good. Asks the server.
    ///
    /// It refuses while retention or a legal hold keeps them. Entries, proofs, links and sums stay as they are.
    #[command(
        after_help = "Example:\n  exeat ledger erase --subject person:ada --epoch 2026Q1 --reason 'request of 2031-09-01'"
    )]
    Erase(EraseArgs),
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
    /// Prints the public key of the tickets that the server gives model servers behind a meter, as a JWK.
    #[command(after_help = "Example:\n  exeat ledger ticket-key > gateway-tickets.jwk")]
    TicketKey {
        /// The file of the key, in the server's data folder; the server makes it at its first start.
        #[arg(long, env = "EXEAT_TICKET_KEY", default_value = "exeat-data/ticket.key")]
        file: PathBuf,
    },
    /// Holds the record against a meter's, hour by hour: a line for each model version, and what does not fit by name.
    ///
    /// Ends with 0 if all agree, with 1 if something does not.
    #[command(
        after_help = "Examples:\n  exeat ledger reconcile --meter meter-data/ledger\n  exeat ledger reconcile --meter meter-data/ledger --hour 2026-06-12T21:00Z --json\n  exeat ledger reconcile --meter-url https://meter.example --secret-file reconciliation.secret --vkey meter.vkey"
    )]
    Reconcile {
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        options: ReconcileOptions,
    },
    /// Writes a part of the record for whoever asked for it, approved by two people; `exeat-verify production` checks it.
    Produce {
        #[command(flatten)]
        args: Box<ProduceArgs>,
        #[command(flatten)]
        place: Place,
    },
    /// Carries a checkpoint to a time-stamping authority and back by files (RFC 3161).
    Timestamp(TimestampArgs),
    /// Prints one entry with the proof that a signed checkpoint covers it (C2SP tlog-proof).
    #[command(after_help = "Examples:\n  exeat ledger receipt 17\n  exeat ledger receipt 17 --cose receipt.cbor")]
    Receipt {
        /// Its index.
        index: u64,
        /// Also writes the proof into this file as a COSE receipt (RFC 9942), signed anew by the log's key.
        #[arg(long, value_name = "FILE")]
        cose: Option<PathBuf>,
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
        LedgerCommand::Export { out, format: Some(of), from, to, place } => {
            let mut written = record::OnTerminal::new("written");
            let events = events::export(&Reader::open(&place.ledger)?, *of, (*from, *to), out, &mut written)?;
            if out.as_os_str() != "-" {
                output::answer(format, &json!({ "file": out, "events": events }))?;
            }
            Ok(Exit::Done)
        }
        LedgerCommand::Export { out, place, .. } => {
            let size = record::export(&Reader::open(&place.ledger)?, out, &mut record::OnTerminal::new("written"))?;
            output::answer(format, &json!({ "bundle": out, "entries": size }))?;
            Ok(Exit::Done)
        }
        LedgerCommand::Show { index, private, place } => {
            let stored = Reader::open(&place.ledger)?.stored(*index)?;
            output::answer(format, &shown(&stored, *private)?)?;
            Ok(Exit::Done)
        }
        LedgerCommand::TicketKey { file } => {
            output::line(&secrets::ticket_key_in(file)?.public().to_value().to_string())?;
            Ok(Exit::Done)
        }
        LedgerCommand::Reconcile { place, options } => reconcile::run(&place.ledger, options, format),
        LedgerCommand::Hold(command) => command.run(format),
        LedgerCommand::Erase(args) => args.run(format),
        LedgerCommand::Lake(command) => lake::run(command, format),
        LedgerCommand::Query(args) => query::run(args, format),
        LedgerCommand::Produce { args, place } => args.run(&place.ledger, format),
        LedgerCommand::Timestamp(args) => args.run(format),
        LedgerCommand::Receipt { index, cose, place } => receipt(&place.ledger, *index, cose.as_deref(), format),
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
    let checked = record::export(&Reader::open(dir)?, &bundle, &mut record::OnTerminal::new("written"))
        .and_then(|_| record::verify(&bundle, key, &mut record::OnTerminal::new("checked")));
    let removed = fs::remove_dir_all(&bundle).with_context(|| format!("cannot remove `{}`", bundle.display()));
    let report = checked?;
    removed?;
    match format {
        Format::Json => output::answer(format, &serde_json::to_value(&report)?)?,
        Format::Text => output::line(report.to_string().trim_end())?,
    }
    Ok(if report.holds() { Exit::Done } else { Exit::Failed })
}

fn receipt(dir: &Path, index: u64, cose: Option<&Path>, format: Format) -> anyhow::Result<Exit> {
    let reader = Reader::open(dir)?;
    let receipt = reader.receipt(index)?;
    if let Some(file) = cose {
        let written = fs::write(file, cose_receipt(&reader, &receipt)?);
        written.with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    match format {
        Format::Json => {
            output::answer(format, &json!({ "index": index, "leaf": hex(&receipt.leaf), "proof": receipt.proof }))?
        }
        Format::Text => output::line(&format!("leaf {}\n\n{}", hex(&receipt.leaf), receipt.proof.trim_end()))?,
    }
    Ok(Exit::Done)
}

/// Signs the root that the proof leads to, once the proof was checked against the log's checkpoint.
fn cose_receipt(reader: &Reader, receipt: &ledger::Receipt) -> anyhow::Result<Vec<u8>> {
    let key = reader.signer_key()?;
    let proof = proof::receipt::Receipt::parse(&receipt.proof)?;
    let checkpoint = proof.verify(&receipt.leaf, key.name(), &[key.verifier()])?;
    let cose = CoseReceipt::sign(&key, checkpoint.size, &checkpoint.root, proof.index, proof.hashes);
    cose.verify(&receipt.leaf, &key.verifier())?;
    Ok(cose.to_bytes())
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
        "links": entry.links.map(linked), "facts": entry.facts, "lease": entry.lease,
        "root": entry.root.map(|root| hex(&root)), "covered": entry.covered, "private": entry.private.map(|digest| hex(&digest)),
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

fn linked(links: Vec<Link>) -> Vec<Value> {
    let linked =
        |link: Link| json!({ "class": link.class.ordinal(), "id": hex(&link.id), "seq": link.seq, "back": link.back });
    links.into_iter().map(linked).collect()
}

/// What opens the commitment: of each field the salt, and the value as JSON where it is; null where it is withheld.
fn opening(stored: &Stored) -> Value {
    let Private::Open(openings) = &stored.private else {
        return Value::Null;
    };
    openings.iter().map(|(field, opening)| shown_field(field, opening)).collect()
}

fn shown_field(field: Field, opening: &Opening) -> Value {
    match opening {
        Opening::Shown { salt, value } => {
            let value = serde_json::from_slice(value).unwrap_or_else(|_| Value::String(hex(value)));
            json!({ "field": field.id(), "salt": hex(salt), "value": value })
        }
        Opening::Withheld(commitment) => json!({ "field": field.id(), "commitment": hex(commitment) }),
    }
}

fn moment(at_ms: u64) -> Moment {
    Moment::from_millis(i64::try_from(at_ms).unwrap_or(i64::MAX))
}
