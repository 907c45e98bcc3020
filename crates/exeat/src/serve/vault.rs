//! After an erasure: another key of the vault, so that what a disk still holds of overwritten keys cannot be opened.

use std::time::Duration;

use ledger::{EraseError, Ledger};
use tokio::task::spawn_blocking;

use super::tasks::Tasks;
use crate::config::Meant;

/// How long erasures are gathered at most: each change writes all keys anew, and commits that need a new key wait for it.
const EVERY: Duration = Duration::from_secs(3_600);

/// Changes the key of the vault within an hour of an erasure, for as long as the process runs.
///
/// A log with followers is left alone: its followers have the sealed keys and never the key of the vault, so the copy of
/// that which somebody keeps elsewhere would no longer open them. There it takes `exeat serve --rekey`.
pub(crate) fn keep_erased(tasks: &Tasks, meant: &Meant, ledger: &Ledger) {
    if meant.ledger.quorum.is_some() {
        if ledger.is_rekey_due() {
            tracing::warn!(
                "keys of private parts were destroyed since the vault's own was changed: see `serve --rekey`"
            );
        }
        return;
    }
    let ledger = ledger.clone();
    tasks.spawn("keys of the vault", async move {
        let mut every = tokio::time::interval(EVERY);
        loop {
            every.tick().await;
            let ledger = ledger.clone();
            if let Ok(Err(error)) = spawn_blocking(move || change_if_due(&ledger)).await {
                tracing::error!(%error, "what was erased may still be read from this disk: tries again in an hour");
            }
        }
    });
}

fn change_if_due(ledger: &Ledger) -> Result<(), EraseError> {
    if ledger.is_rekey_due() { change(ledger) } else { Ok(()) }
}

/// Changes the key of the vault now.
///
/// # Errors
///
/// As [`Ledger::rekey`].
pub(crate) fn change(ledger: &Ledger) -> Result<(), EraseError> {
    ledger.rekey()?;
    tracing::info!("the private parts' keys are kept under another key: a copy of `vault/N.kek` must be made anew");
    Ok(())
}
