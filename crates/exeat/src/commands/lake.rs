//! The archive of the record, from the command line.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand};
use lake::{Files, Keep, Lock, Log, Place, SPAN_LEAVES, Source, Store};
use ledger::Reader;
use serde_json::json;
use terms::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};

use super::{Exit, ledger::Place as LedgerPlace};
use crate::{
    config::{self, ObjectLock},
    output::{self, Format},
};

/// Which lake.
#[derive(Clone, Debug, Args)]
pub(crate) struct Where {
    #[command(flatten)]
    place: LedgerPlace,
    /// The lake: `file:///...`, `s3://bucket/prefix`, `gs://...` or `az://...`; credentials come from the environment.
    #[arg(long, env = "EXEAT_LAKE", value_name = "URL")]
    lake: String,
}

/// The archive of the record.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum LakeCommand {
    /// Says how far the lake is behind the log.
    #[command(after_help = "Example:\n  exeat ledger lake status --lake file:///srv/lake")]
    Status(Where),
    /// Reads every file back and checks every leaf against the log's signed checkpoint.
    ///
    /// Ends with 1 also where leaves are in no file that fill one: it says which.
    #[command(after_help = "Example:\n  exeat ledger lake verify --lake s3://bucket/prefix")]
    Verify(Where),
    /// Makes one wide file of small ones that fill it, reads it back, and removes the small ones.
    #[command(after_help = "Example:\n  exeat ledger lake compact --lake s3://bucket/prefix")]
    Compact {
        #[command(flatten)]
        at: Where,
        /// Leaves in a wide file: a power of two, 131072 to 1048576.
        #[arg(long, default_value_t = lake::SPAN_LEAVES_MAX, value_parser = wide)]
        leaves: u64,
        /// The server's configuration: where it asks for an object lock, wide files get one too.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Does what `exeat ledger lake` says.
///
/// # Errors
///
/// If the log or the lake cannot be read, or something in the lake is not what it should be.
pub(crate) fn run(command: &LakeCommand, format: Format) -> anyhow::Result<Exit> {
    match command {
        LakeCommand::Status(at) => at.open()?.status(format),
        LakeCommand::Verify(at) => at.open()?.verify(format),
        LakeCommand::Compact { at, leaves, config } => {
            let lock = config.as_deref().map(locked).transpose()?.flatten();
            at.open()?.compact(*leaves, lock.as_ref(), format)
        }
    }
}

/// A log and its lake.
pub(crate) struct Opened {
    pub(crate) runtime: Runtime,
    pub(crate) log: Arc<Log>,
    pub(crate) place: Place,
}

impl Where {
    fn open(&self) -> anyhow::Result<Opened> {
        open(&self.place, &self.lake)
    }
}

/// Opens a log and the lake at `url`.
///
/// # Errors
///
/// If there is no log, or the address is none.
pub(crate) fn open(place: &LedgerPlace, url: &str) -> anyhow::Result<Opened> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.context("cannot start a thread")?;
    let log = Arc::new(Log::new(Reader::open(place.dir())?)?);
    let place_in_lake = Place::new(Store::open(url)?, log.origin());
    Ok(Opened { runtime, log, place: place_in_lake })
}

impl Opened {
    fn status(&self, format: Format) -> anyhow::Result<Exit> {
        let files = self.runtime.block_on(self.place.files())?;
        let (covered, size) = (files.covered(), self.log.size()?);
        let behind = size.saturating_sub(covered);
        output::answer(
            format,
            &json!({ "files": files.count(), "in_lake": covered, "in_log": size, "behind": behind }),
        )?;
        Ok(Exit::Done)
    }

    fn verify(&self, format: Format) -> anyhow::Result<Exit> {
        let (files, size) = (self.runtime.block_on(self.place.files())?, self.log.size()?);
        let missing = missing(&files, size);
        missing.iter().for_each(|leaves| output::note(&format!("leaves {leaves} are in no file of the lake")));
        let foreign = named(files.strange(), "is no file of the lake, and engines read it: remove it");
        let doubled = files.doubled().map(|(_, path)| path);
        let doubled =
            named(doubled, "has leaves that are in a wider file too, and engines count both: compact, or remove it");
        let (mut checked, mut leaves) = (0, 0);
        for (span, path) in files.widest() {
            ensure!(span.end() <= size, "leaves {span} are in the lake, and the log's checkpoint covers {size} only");
            let root = self.log.root(span.first(), span.end())?;
            self.runtime.block_on(self.place.file(path, span, &root))?;
            (checked, leaves) = (checked + 1, leaves + span.leaves());
            told(format, &format!("{leaves} leaves hold"));
        }
        told(format, "");
        if checked == 0 {
            output::note(&format!("no file of `{}` is in the lake: nothing was checked", self.log.origin()));
        }
        let holds = checked > 0 && missing.is_empty() && foreign.is_empty() && doubled.is_empty();
        output::answer(
            format,
            &json!({
                "files": checked, "leaves": leaves, "in_log": size, "missing": missing, "foreign": foreign, "doubled": doubled,
                "holds": holds,
            }),
        )?;
        Ok(if holds { Exit::Done } else { Exit::Failed })
    }

    fn compact(&self, leaves: u64, lock: Option<&Lock>, format: Format) -> anyhow::Result<Exit> {
        let keep = Keep { lock, now: SystemClock::default().now() };
        let source = Arc::clone(&self.log) as Arc<dyn Source>;
        let each = |span| told(format, &format!("leaves {span} are one file"));
        let done = self.runtime.block_on(lake::compact(&source, &self.place, leaves, keep, each))?;
        output::answer(format, &json!({ "made": done.made, "removed": done.removed }))?;
        Ok(Exit::Done)
    }
}

/// Says of each file what is wrong with it; returns their paths.
fn named<'a, P: AsRef<str> + 'a>(files: impl IntoIterator<Item = &'a P>, what: &str) -> Vec<&'a str> {
    let files = files.into_iter().map(AsRef::as_ref);
    files.inspect(|path| output::note(&format!("`{path}` {what}"))).collect()
}

/// Returns the ranges of leaves that should be in the lake of a log of `size` leaves and are in no file, as `FIRST-LAST`.
fn missing(files: &Files, size: u64) -> Vec<String> {
    let there = files.widest().map(|(span, _)| (span.first(), span.end()));
    let whole = size - size % SPAN_LEAVES;
    let (mut end, mut missing) = (0, Vec::new());
    for (first, next) in there.chain([(whole, whole)]) {
        if end < first {
            missing.push(format!("{end}-{}", first - 1));
        }
        end = end.max(next);
    }
    missing
}

/// Returns the lock that a configuration asks for.
fn locked(file: &Path) -> anyhow::Result<Option<Lock>> {
    let meant = config::load(file)?;
    let required = meant.lake.is_some_and(|lake| lake.object_lock == ObjectLock::Required);
    Ok(required.then(|| Lock::new(meant.retention, Arc::new(SystemClock::default()))))
}

/// Reads how many leaves a wide file is to have.
fn wide(text: &str) -> Result<u64, String> {
    let leaves = text.parse().ok().filter(|leaves| *leaves > SPAN_LEAVES && lake::Span::of(*leaves, 0).is_ok());
    leaves.ok_or_else(|| "write a power of two, 131072 to 1048576".to_owned())
}

/// Shows how far long work is, to people at a terminal.
pub(crate) fn told(format: Format, text: &str) {
    if format == Format::Text && output::is_terminal() {
        output::progress(text);
    }
}
