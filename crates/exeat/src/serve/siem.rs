//! The streams of events of a running server.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use fetch::Client;
use ledger::Ledger;
use terms::Clock;
use views::{Progress, Stream};

use super::{LEDGER_DIR, tasks::Tasks};
use crate::{config::Meant, secrets};

/// How far each stream is, in words for metrics.
const GAUGES: [(&str, &str); 3] = [
    ("exeat_siem_behind", "Entries under the latest checkpoint that the stream has not sent."),
    ("exeat_siem_failed", "1 if the last batch was not sent; it is tried again."),
    (
        "exeat_siem_skipped",
        "Entries that were left out since the start: too long for the sink, or none of this version.",
    ),
];

/// The streams of one server. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Siem {
    streams: Vec<(Stream, Progress)>,
    ledger: Ledger,
    data_dir: PathBuf,
}

impl Siem {
    /// Reads what the streams need, secrets and authorities among it, and makes the folder that keeps how far they are.
    ///
    /// # Errors
    ///
    /// If something of it is missing or malformed.
    pub(crate) fn open(meant: &Meant, ledger: &Ledger, client: &Client) -> anyhow::Result<Self> {
        let stream = |siem: &crate::config::SiemConfig| {
            let stream = siem.stream(client).with_context(|| format!("siem `{}`", siem.name))?;
            anyhow::Ok((stream, Progress::default()))
        };
        let streams = meant.siem.iter().map(stream).collect::<anyhow::Result<Vec<_>>>()?;
        let siem = Self { streams, ledger: ledger.clone(), data_dir: meant.data_dir.clone() };
        if !siem.streams.is_empty() {
            secrets::private_dir(&siem.cursors())?;
        }
        Ok(siem)
    }

    fn cursors(&self) -> PathBuf {
        self.data_dir.join("siem")
    }

    /// Tells those who watch of every entry for as long as the process runs.
    pub(crate) fn serve(&self, tasks: &Tasks, clock: &Arc<dyn Clock>) {
        for (stream, progress) in self.streams.clone() {
            let (ledger, cursors, clock) = (self.data_dir.join(LEDGER_DIR), self.cursors(), Arc::clone(clock));
            tasks.spawn("siem", async move { views::follow(stream, ledger, &cursors, clock, progress).await });
        }
    }

    /// Returns the gauges of each stream as OpenMetrics text; nothing where there is none.
    pub(crate) fn metrics(&self) -> String {
        if self.streams.is_empty() {
            return String::new();
        }
        let size = self.ledger.health().checkpoint;
        let values = |progress: &Progress| {
            [size.saturating_sub(progress.next()), u64::from(progress.failed()), progress.skipped()]
        };
        let gauge = |(at, (name, help)): (usize, (&str, &str))| {
            let lines = self.streams.iter().filter_map(|(stream, progress)| {
                let value = values(progress).get(at).copied()?;
                Some(format!("{name}{{name=\"{}\"}} {value}\n", stream.name))
            });
            format!("# HELP {name} {help}\n# TYPE {name} gauge\n{}", lines.collect::<String>())
        };
        GAUGES.into_iter().enumerate().map(gauge).collect()
    }
}
