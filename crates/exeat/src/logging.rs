//! Structured logs on standard error; the level can change while the process runs.

use std::{fmt, io};

use tracing_subscriber::{
    Registry,
    filter::Targets,
    fmt::Layer,
    layer::{Layer as _, SubscriberExt},
    reload,
    util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat};

/// Changes the level of a running process's log.
#[derive(Clone, Default)]
pub(crate) struct Level(Option<reload::Handle<Targets, Registry>>);

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Level")
    }
}

impl Level {
    /// Sets the level; what is no level was refused when the configuration was checked.
    pub(crate) fn set(&self, level: &str) {
        if let (Some(handle), Ok(targets)) = (&self.0, level.parse::<Targets>()) {
            let _ = handle.reload(targets);
        }
    }
}

/// Starts logging. A second call in one process changes nothing.
pub(crate) fn start(config: &LogConfig) -> Level {
    let (filter, handle) = reload::Layer::new(config.level.parse::<Targets>().unwrap_or_default());
    let layer = Layer::new().with_writer(io::stderr);
    let layer = match config.format {
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
        LogFormat::Text => layer.compact().boxed(),
    };
    let started = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    Level(started.is_ok().then_some(handle))
}
