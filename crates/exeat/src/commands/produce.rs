//! `exeat ledger produce`: from the approvals to the folder.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use ledger::Reader;
use proof::note::VerifierKey;
use serde_json::{Value, json};
use terms::InstrumentId;

use super::{
    Exit,
    admin::{Call, Connection, escaped},
    productions::PATH,
};
use crate::{
    config::{self, Meant, peers, roots},
    output::{self, Format},
    produce::{Signatures, Writer},
    timestamp::Authority,
};

/// What to write, and with what.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  exeat ledger produce production-4f1c2d3e4f5061728394a5b6 --out acme-june\n  exeat ledger produce --custody 20401 --out acme-june --ledger /var/lib/exeat/ledger\n  exeat ledger produce --custody 20401 --out acme-june --unsigned && exeat ledger timestamp acme-june.part/checkpoint --request acme.tsq"
)]
pub(crate) struct ProduceArgs {
    /// The production, approved: a server is asked to record that it is made.
    #[arg(required_unless_present = "custody", conflicts_with = "custody")]
    id: Option<InstrumentId>,
    /// The entry that records a production, if a server recorded it before: no server is asked.
    #[arg(long, value_name = "INDEX")]
    custody: Option<u64>,
    /// The folder to write; must not be there yet. What is not whole is called FOLDER.part, and written on when this is
    /// called again.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Takes the time-stamping authority, the witnesses and the mirrors from the server's configuration.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose signatures the checkpoint must bear (C2SP tlog-policy); if not given, one of every witness and every mirror of
    /// the configuration, and without one the log's alone.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// For how many seconds a checkpoint with these signatures is waited for, 1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    wait: u64,
    /// A time stamp over the checkpoint that was got elsewhere (RFC 3161).
    #[arg(long, value_name = "FILE", requires = "timestamp_roots")]
    timestamp: Vec<PathBuf>,
    /// The root certificates, in PEM, under which these time stamps must stand.
    #[arg(long, value_name = "FILE")]
    timestamp_roots: Option<PathBuf>,
    /// Stops before the manifest is signed, so that a time stamp over the checkpoint can be got elsewhere.
    #[arg(long)]
    unsigned: bool,
    #[command(flatten)]
    connection: Connection,
}

impl ProduceArgs {
    /// Has the production recorded, and writes it from the log in `ledger`.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached or refuses, or the folder cannot be written.
    pub(crate) fn run(&self, ledger: &Path, format: Format) -> anyhow::Result<Exit> {
        let patience = Duration::from_secs(self.wait);
        let (custody, covered) = self.recorded(patience)?;
        let reader = Reader::open(ledger)?;
        let meant = self.config.as_deref().map(config::load).transpose()?;
        let stamps = match &self.timestamp_roots {
            Some(file) => Some((self.timestamp.as_slice(), roots(file)?)),
            None => None,
        };
        let writer = Writer {
            reader: &reader,
            out: &self.out,
            signatures: self.signatures(&reader, meant.as_ref())?,
            patience,
            authority: meant.as_ref().and_then(authority).transpose()?,
            stamps,
        };
        let unsigned = writer.write(custody, covered, &mut OnTerminal::new())?;
        let answer = match self.unsigned {
            true => json!({ "custody": custody, "checkpoint": unsigned.checkpoint() }),
            false => {
                json!({ "production": self.out, "custody": custody, "manifest_sha256": writer.finish(unsigned)? })
            }
        };
        output::answer(format, &answer)?;
        Ok(Exit::Done)
    }

    /// Returns the entry that records the production, and one that the checkpoint must cover.
    fn recorded(&self, patience: Duration) -> anyhow::Result<(u64, u64)> {
        let id = match (&self.id, self.custody) {
            (_, Some(custody)) => return Ok((custody, custody)),
            (Some(id), None) => id,
            (None, None) => bail!("name a production, or the entry that records one"),
        };
        let call = Call::post(format!("{PATH}/{}/produce", escaped(id.as_str())), json!({}));
        let answer = self.connection.ask_within(&call, patience)?;
        let entry = |name: &str| answer.pointer(name).and_then(Value::as_u64);
        entry("/item/custody").zip(entry("/item/heads")).context("the server named no entries")
    }

    /// Returns whose signatures the checkpoint must bear.
    fn signatures(&self, reader: &Reader, meant: Option<&Meant>) -> anyhow::Result<Signatures> {
        if let Some(file) = &self.policy {
            return Signatures::of_file(file);
        }
        let key: VerifierKey = reader.verifier_key()?.parse().context("the log's verifier key")?;
        let named = |section, configs| peers(section, configs).map_err(|faults| anyhow!("{faults:?}"));
        let (witnesses, mirrors) = match meant {
            Some(meant) => (named("witnesses", &meant.witnesses)?, named("mirrors", &meant.mirrors)?),
            None => (Vec::new(), Vec::new()),
        };
        Signatures::of_all(&key, &witnesses, &mirrors)
    }
}

fn authority(meant: &Meant) -> Option<anyhow::Result<Authority>> {
    meant.timestamps.as_ref().map(|timestamps| Authority::new(timestamps, &meant.outbound))
}

/// Says on a terminal, a few times a second, how far a pass has come.
struct OnTerminal {
    last: Instant,
    /// How often it was told: of entries that lie far apart, too.
    told: u64,
}

impl OnTerminal {
    fn new() -> Self {
        Self { last: Instant::now(), told: 0 }
    }
}

impl produce::Progress for OnTerminal {
    fn entries(&mut self, done: u64, total: u64) {
        let last = done == total;
        self.told += 1;
        if !(last || self.told.is_multiple_of(256)) || !io::stderr().is_terminal() {
            return;
        }
        if last || self.last.elapsed() > Duration::from_millis(250) {
            self.last = Instant::now();
            output::progress(&format!("{done} of {total} entries{}", if last { "\n" } else { "" }));
        }
    }
}
