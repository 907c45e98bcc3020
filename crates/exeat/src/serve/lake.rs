//! The archive of a running server.

use std::{path::Path, sync::Arc};

use anyhow::{Context, bail};
use lake::{CheckpointObject, Lock, Log, Place, Progress, Store, Uploader, Worm};
use ledger::{
    CheckpointStore, Ledger,
    storage::{Disk, Storage},
};
use terms::Clock;
use tokio::runtime::Runtime;

use super::tasks::Tasks;
use crate::{
    config::{LakeConfig, Meant, ObjectLock},
    copies,
};

/// How far the lake is, in words for metrics.
const GAUGES: [(&str, &str); 5] = [
    ("exeat_lake_covered", "Leaves that are in the lake and were read back."),
    (
        "exeat_lake_behind",
        "Leaves under the latest checkpoint that are not known to be in the lake; below 65536 in good order.",
    ),
    ("exeat_lake_failed", "1 if the last try to bring leaves into the lake failed; it is tried again."),
    (
        "exeat_lake_alarm",
        "Above 0 if an object is in the lake that should not be, or a file cannot be made: a person must look.",
    ),
    ("exeat_lake_worm", "1 if the store was seen to refuse removal, replacement and shortening at the last start."),
];
/// The file in the data folder that says how far objects were read back.
const MARK: &str = "lake.mark";

/// The archive of one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Lake {
    uploader: Arc<Uploader>,
    ledger: Ledger,
    worm: bool,
}

impl Lake {
    /// Opens the store and, where objects are to be held, tries whether it holds a canary.
    ///
    /// # Errors
    ///
    /// If the store cannot be opened, or does not hold what it is told to hold.
    pub(crate) fn open(
        runtime: &Runtime,
        meant: &Meant,
        ledger: &Ledger,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(config) = &meant.lake else {
            return Ok(None);
        };
        let store = Store::open(&config.url)?;
        let worm = config.object_lock == ObjectLock::Required;
        if worm {
            probe(runtime, config, &store, clock.as_ref())?;
        }
        let lock = worm.then(|| Lock::new(meant.retention.clone(), Arc::clone(clock)));
        let log = Arc::new(Log::new(ledger.reader())?);
        let place = Place::new(store, &meant.ledger.origin);
        let uploader = Arc::new(Uploader::new(log, place, lock, meant.data_dir.join(MARK)));
        Ok(Some(Self { uploader, ledger: ledger.clone(), worm }))
    }

    /// Brings the log into the lake for as long as the process runs.
    pub(crate) fn serve(&self, tasks: &Tasks, config: &LakeConfig) {
        let (uploader, interval) = (Arc::clone(&self.uploader), config.interval());
        tasks.spawn("lake", async move { uploader.run(interval).await });
    }

    /// Returns the gauges as OpenMetrics text.
    pub(crate) fn metrics(&self) -> String {
        let Progress { covered, alarm, failed, .. } = self.uploader.progress();
        // The log's own word: the uploader may not have come as far as asking.
        let behind = self.ledger.health().checkpoint.saturating_sub(covered);
        let values = [covered, behind, u64::from(failed.is_some()), u64::from(alarm), u64::from(self.worm)];
        let gauge = |((name, help), value): ((&str, &str), u64)| {
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n")
        };
        GAUGES.into_iter().zip(values).map(gauge).collect()
    }
}

fn probe(runtime: &Runtime, config: &LakeConfig, store: &Store, clock: &dyn Clock) -> anyhow::Result<()> {
    let found = runtime.block_on(lake::probe(store, clock.now()));
    match found.with_context(|| format!("cannot try whether `{}` holds objects", config.url))? {
        Worm::Held => {
            tracing::info!(url = config.url, "the store holds objects until their retention ends (WORM)");
            Ok(())
        }
        Worm::Broken(why) | Worm::Unable(why) => {
            bail!("`lake.object_lock` is required, and `{}` does not hold objects: {why}", config.url)
        }
    }
}

/// Opens the object that guards the log's checkpoints, if the configuration asks for one.
///
/// # Errors
///
/// If the store cannot be opened.
fn checkpoints(runtime: &Runtime, meant: &Meant) -> anyhow::Result<Option<Arc<dyn CheckpointStore>>> {
    let Some(config) = meant.lake.as_ref().filter(|config| config.guard_checkpoints) else {
        return Ok(None);
    };
    let store = Store::open(&config.url)?;
    Ok(Some(Arc::new(CheckpointObject::new(runtime.handle().clone(), store, &meant.ledger.origin))))
}

/// Opens the log on this machine's disk, with followers and guarded if the configuration asks for either.
///
/// # Errors
///
/// As [`Ledger::open`] and [`checkpoints`].
pub(crate) fn open_ledger(
    runtime: &Runtime,
    meant: &Meant,
    dir: &Path,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<(Ledger, ledger::Recovery)> {
    let options = meant.ledger_options();
    let storage: Arc<dyn Storage> = match &meant.ledger.quorum {
        Some(quorum) => Arc::new(copies::begin(dir, &options.origin, quorum)?),
        None => Arc::new(Disk),
    };
    Ok(match checkpoints(runtime, meant)? {
        Some(store) => Ledger::open_guarded(storage, dir, options, clock, store)?,
        None => Ledger::open_on(storage, dir, options, clock)?,
    })
}
