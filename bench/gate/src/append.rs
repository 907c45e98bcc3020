//! One entry of the ledger, from the caller to the disk and back, with everything that works on it in between.

use std::{path::Path, sync::Arc, time::Duration};

use ledger::{Draft, Ledger, Options};
use proof::{
    commit::Field,
    entry::{Entry, Kind},
};
use terms::{Clock, ManualClock, Moment};

/// Entries in one batch.
const BATCH: u32 = 64;

/// Appends entries, each when the one before is durable.
///
/// # Errors
///
/// The ledger fails.
pub(crate) fn one_by_one(count: u32) -> anyhow::Result<()> {
    with_ledger(|ledger| {
        for call in 0..count {
            drop(ledger.append(draft(call))?.wait()?);
        }
        Ok(())
    })
}

/// Appends entries in batches, each when the batch before is durable.
///
/// # Errors
///
/// The ledger fails.
pub(crate) fn in_batches(count: u32) -> anyhow::Result<()> {
    with_ledger(|ledger| {
        for batch in 0..count / BATCH {
            let calls = batch * BATCH..(batch + 1) * BATCH;
            let pending = calls.map(|call| ledger.append(draft(call))).collect::<Result<Vec<_>, _>>()?;
            for entry in pending {
                drop(entry.wait()?);
            }
        }
        Ok(())
    })
}

/// Opens a ledger that does nothing on its own while entries are appended.
///
/// # Errors
///
/// It cannot be opened.
pub(crate) fn open(dir: &Path, clock: Arc<dyn Clock>) -> anyhow::Result<Ledger> {
    let options = Options {
        origin: "gate.example.com/exeat/1".to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 100_000,
        checkpoint_every: Duration::from_secs(3_600),
        heads_every: Duration::from_secs(3_600),
    };
    Ok(Ledger::open(dir, options, clock)?.0)
}

fn with_ledger(work: impl FnOnce(&Ledger) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ledger = open(dir.path(), Arc::new(ManualClock::at(Moment::from_millis(1_782_000_000_000))))?;
    work(&ledger)?;
    ledger.stop()?;
    Ok(())
}

/// An opening entry of about 230 bytes, with a private part of 400.
fn draft(call: u32) -> Draft {
    let mut entry = Entry::new(Kind::Open);
    let mut id = [0; 16];
    id.split_at_mut(4).0.copy_from_slice(&call.to_be_bytes());
    entry.call = Some(id);
    entry.subject = Some([7; 16]);
    entry.model = Some("mythos-5".to_owned());
    entry.snapshot = Some([9; 32]);
    entry.basis = Some(vec!["larkspur.standing.us-person".to_owned(), "larkspur.license.annex-a".to_owned()]);
    Draft::new(entry, vec![b'f'; 400]).with(Field::Request, vec![3; 32])
}
