//! The control plane that every example stands on.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Result;
use control::{Control, DeskPolicy, ProofPolicy, Settings};
use identity::Pepper;
use ledger::Ledger;
use terms::Clock;

/// Opens a control plane in a folder, or makes one there. Nothing in it is worth keeping secret: its pepper is known.
pub(crate) fn control(folder: &Path, clock: Arc<dyn Clock>) -> Result<Control> {
    let options = ledger::Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 4 << 20,
        queue_entries: 1024,
        checkpoint_every: Duration::from_secs(1),
        heads_every: Duration::from_secs(3_600),
    };
    let (ledger, _) = Ledger::open(&folder.join("ledger"), options, Arc::clone(&clock))?;
    let settings = Settings {
        data_dir: folder.join("registry"),
        lab: None,
        models: Vec::new(),
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    };
    Ok(Control::open(settings, ledger, clock, Pepper::new([7; 32]))?)
}
