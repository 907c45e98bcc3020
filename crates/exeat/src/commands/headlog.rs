//! `exeat headlog`: a log of the logs that make up a record.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use ledger::{Ledger, Reader};
use proof::note::VerifierKey;
use serde::Deserialize;
use terms::SystemClock;
use tokio::{runtime::Builder, time::MissedTickBehavior};
use witness::{HeadLog, HeadLogError, Shard, prove_shard};

use super::Exit;
use crate::{
    config::{self, LedgerConfig, LogConfig},
    logging, output, secrets,
    serve::{LEDGER_DIR, Signals},
};

/// How often the shards are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Where the configuration is.
#[derive(Clone, Debug, Args)]
pub(crate) struct HeadLogFile {
    /// The configuration file; docs/witness.md shows one.
    #[arg(long, env = "EXEAT_HEADLOG_CONFIG", default_value = "headlog.toml")]
    config: PathBuf,
}

/// A log of the logs that make up a record.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HeadLogCommand {
    /// Records the checkpoints of the shards, once a second, until a signal ends it.
    #[command(after_help = "Example:\n  exeat headlog serve --config /etc/exeat/headlog.toml")]
    Serve(HeadLogFile),
    /// Prints the proof that a checkpoint of a shard is covered; `exeat-verify shard` checks it.
    #[command(
        after_help = "Example:\n  exeat headlog prove log.example.com/exeat/1 --entries 100 --ledger headlog-data/ledger > proof"
    )]
    Prove {
        /// The origin of the shard.
        shard: String,
        /// How many entries of the shard must be covered.
        #[arg(long, default_value_t = 0)]
        entries: u64,
        /// The folder of the head log's ledger.
        #[arg(long, default_value = "headlog-data/ledger")]
        ledger: PathBuf,
    },
}

/// The configuration file of a head log, as an operator types it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Where the head log is kept.
    data_dir: PathBuf,
    /// The head log's name in its checkpoints: a URL without a scheme. Never changes.
    origin: String,
    /// The logs that make up the record.
    shards: Vec<ShardConfig>,
    /// What is written to standard error.
    #[serde(default)]
    log: LogConfig,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShardConfig {
    /// The shard's verifier key; its name is the shard's origin.
    key: String,
    /// The folder with its checkpoint and tiles.
    dir: PathBuf,
}

/// Does what `exeat headlog` says.
///
/// # Errors
///
/// Why it cannot start, or what is not covered.
pub(crate) fn run(command: &HeadLogCommand) -> anyhow::Result<Exit> {
    match command {
        HeadLogCommand::Serve(file) => serve(&file.config),
        HeadLogCommand::Prove { shard, entries, ledger } => {
            let proof = prove_shard(&Reader::open(ledger)?, shard, *entries)?;
            output::line(proof.to_string().trim_end())?;
            Ok(Exit::Done)
        }
    }
}

fn serve(path: &Path) -> anyhow::Result<Exit> {
    let file = load(path)?;
    logging::start(&file.log);
    let shards = file.shards.iter().map(ShardConfig::shard).collect::<anyhow::Result<Vec<_>>>()?;
    let runtime = Builder::new_current_thread().enable_all().build().context("cannot start a runtime")?;
    let mut signals = Signals::new(&runtime)?;
    secrets::private_dir(&file.data_dir)?;
    let options = LedgerConfig { origin: file.origin.clone(), ..LedgerConfig::default() }.options();
    let (ledger, _) = Ledger::open(&file.data_dir.join(LEDGER_DIR), options, Arc::new(SystemClock::default()))?;
    let kept = ledger.clone();
    let followed = HeadLog::open(ledger, shards).map(|mut head| {
        runtime.block_on(async {
            tokio::select! {
                () = follow(&mut head) => {}
                () = signals.end() => {}
            }
        });
    });
    kept.stop().context("the head log could not be closed in good order")?;
    followed?;
    Ok(Exit::Done)
}

/// Looks at the shards once in every interval.
async fn follow(head: &mut HeadLog) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (recorded, faults) = head.observe();
        tracing::debug!(recorded, "looked at the shards");
        for fault in faults {
            match fault {
                HeadLogError::Contradicted { .. } => tracing::error!(%fault, "a shard is not what it was"),
                _ => tracing::warn!(%fault, "a shard was not recorded"),
            }
        }
    }
}

impl ShardConfig {
    fn shard(&self) -> anyhow::Result<Shard> {
        let key: VerifierKey = self.key.parse().with_context(|| format!("`{}` is no verifier key", self.key))?;
        Ok(Shard { key, dir: self.dir.clone() })
    }
}

fn load(path: &Path) -> anyhow::Result<File> {
    let mut file: File = config::read(path)?;
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    file.data_dir = base.join(&file.data_dir);
    file.shards.iter_mut().for_each(|shard| shard.dir = base.join(&shard.dir));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("headlog.toml");
        let text = "data_dir = \"d\"\norigin = \"log.example/heads\"\n[[shards]]\nkey = \"k\"\ndir = \"s\"\n";
        fs::write(&path, text).unwrap();
        let file = load(&path).unwrap();
        assert_eq!(file.shards[0].dir, dir.path().join("s"));
        assert!(file.shards[0].shard().unwrap_err().to_string().contains("`k` is no verifier key"));
        fs::write(&path, text.replace("dir = \"s\"", "folder = \"s\"")).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("headlog.toml:5"));
    }
}
