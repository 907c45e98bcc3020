//! `exeat meter`: a meter in front of a model server, until a signal ends it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use ledger::Ledger;
use meter::{Meter, Settings};
use serde::Deserialize;
use terms::{Clock, SystemClock};
use tokio::runtime::{Builder, Runtime};

use super::Exit;
use crate::{
    config::{self, LedgerConfig, LogConfig},
    logging, secrets,
    serve::{LEDGER_DIR, Signals},
};

/// What a meter is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct MeterOptions {
    /// The configuration file of the meter.
    #[arg(long, env = "EXEAT_METER_CONFIG", default_value = "meter.toml")]
    config: PathBuf,
}

/// The configuration file of a meter, as an operator types it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    meter: Settings,
    #[serde(default)]
    ledger: Option<MeterLedger>,
    #[serde(default)]
    log: LogConfig,
}

/// How the log is kept; its origin is the meter's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MeterLedger {
    segment_mib: u64,
    checkpoint_ms: u64,
    queue_entries: usize,
}

impl Default for MeterLedger {
    fn default() -> Self {
        let LedgerConfig { segment_mib, checkpoint_ms, queue_entries, .. } = LedgerConfig::default();
        Self { segment_mib, checkpoint_ms, queue_entries }
    }
}

/// Meters until a signal ends it.
///
/// # Errors
///
/// Why it cannot start, or why the last entries could not be written.
pub(crate) fn run(options: &MeterOptions) -> anyhow::Result<Exit> {
    let file = load(&options.config)?;
    logging::start(&file.log);
    let runtime = Builder::new_multi_thread().thread_name("meter").enable_all().build();
    let runtime = runtime.context("cannot start the threads of the meter")?;
    let mut signals = Signals::new(&runtime)?;
    let meter = start(&runtime, file, Arc::new(SystemClock::default()))?;
    runtime.block_on(signals.end());
    tracing::info!("draining; a second signal ends at once");
    let ended = runtime.block_on(async {
        tokio::select! {
            stopped = meter.stop() => Some(stopped),
            () = signals.end() => None,
        }
    });
    runtime.shutdown_background();
    match ended {
        Some(stopped) => stopped.context("the ledger could not be closed in good order").map(|()| Exit::Done),
        None => Ok(Exit::Killed),
    }
}

/// Opens the log of the meter that a configuration file describes, and starts it on `runtime`.
///
/// # Errors
///
/// Why it cannot start; its log is closed again.
pub(crate) fn start_at(runtime: &Runtime, config: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Meter> {
    start(runtime, load(config)?, clock)
}

fn start(runtime: &Runtime, file: File, clock: Arc<dyn Clock>) -> anyhow::Result<Meter> {
    secrets::private_dir(&file.meter.data_dir)?;
    let dir = file.meter.data_dir.join(LEDGER_DIR);
    let (ledger, recovery) = Ledger::open(&dir, options_of(&file), Arc::clone(&clock))?;
    tracing::info!(
        entries = recovery.entries,
        interrupted = recovery.interrupted,
        unclean = recovery.unclean,
        "ledger open"
    );
    let kept = ledger.clone();
    match runtime.block_on(Meter::start(file.meter, ledger, clock)) {
        Ok(meter) => Ok(meter),
        Err(error) => {
            kept.stop().context("the ledger could not be closed in good order")?;
            Err(error.into())
        }
    }
}

fn options_of(file: &File) -> ledger::Options {
    let MeterLedger { segment_mib, checkpoint_ms, queue_entries } = file.ledger.clone().unwrap_or_default();
    let origin = file.meter.origin.clone();
    LedgerConfig { origin, segment_mib, checkpoint_ms, queue_entries, ..LedgerConfig::default() }.options()
}

fn load(path: &Path) -> anyhow::Result<File> {
    let mut file: File = config::read(path)?;
    let base = path.parent().unwrap_or_else(|| Path::new("."));
    each_path(&mut file.meter, |path| *path = base.join(&*path));
    Ok(file)
}

/// Visits every path of a file, to make it relative to the folder of the configuration file.
fn each_path(settings: &mut Settings, place: impl Fn(&mut PathBuf)) {
    place(&mut settings.data_dir);
    settings.issuers.iter_mut().for_each(|issuer| place(&mut issuer.ticket_key_file));
    settings.upstream.ca_file.iter_mut().for_each(&place);
    settings.reconciliation.iter_mut().for_each(|asked| place(&mut asked.secret_file));
    if let Some(tls) = &mut settings.tls {
        place(&mut tls.cert_chain);
        place(&mut tls.key);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SMALL: &str = r#"
[meter]
origin = "meter.example.com/exeat/1"
data_dir = "data"
listen = "127.0.0.1:8090"
[meter.upstream]
url = "http://127.0.0.1:8000"
[[meter.issuers]]
origin = "log.example.com/exeat/1"
ticket_key_file = "tickets.jwk"
"#;

    fn load_text(text: &str) -> Result<File, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("meter.toml");
        fs::write(&path, text).unwrap();
        load(&path).map_err(|error| format!("{error:#}").replace(&format!("{}/", dir.path().display()), ""))
    }

    #[test]
    fn a_small_configuration_is_enough_and_its_paths_are_beside_it() {
        let file = load_text(SMALL).unwrap();
        assert!(file.meter.data_dir.is_absolute() && file.meter.data_dir.ends_with("data"));
        assert!(file.meter.issuers[0].ticket_key_file.is_absolute());
        assert_eq!(options_of(&file).origin, "meter.example.com/exeat/1");
    }

    #[test]
    fn a_key_that_does_not_exist_is_named_with_its_line() {
        let wrong = load_text(&SMALL.replace("url =", "uri =")).unwrap_err();
        assert!(wrong.contains("meter.toml:7") && wrong.contains("uri"), "{wrong}");
    }
}
