//! Bundles: written from a log, and verified.

use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use ledger::{LookupError, Reader, Stored};
use proof::{bundle::BundleEntry, note::VerifierKey};
use verifier::{BundleSource, Options, Progress, Report, verify_bundle, write_bundle};

use crate::output;

/// Writes everything that the latest signed checkpoint of `reader` covers as a bundle; returns how many entries.
///
/// # Errors
///
/// If `out` is there already, no checkpoint was signed yet, or the files cannot be read or written.
pub(crate) fn export(reader: &Reader, out: &Path, progress: &mut dyn Progress) -> anyhow::Result<u64> {
    let checkpoint = reader.checkpoint()?.context("the log has no signed checkpoint yet: try again in a second")?;
    let key = reader.verifier_key()?;
    let name: VerifierKey = key.parse().context("the log's verifier key cannot be read")?;
    // Its first lines are the origin, the size and the root (C2SP tlog-checkpoint); the reader checked the signature.
    let size: u64 =
        checkpoint.lines().nth(1).and_then(|size| size.parse().ok()).context("the checkpoint has no size")?;
    fs::create_dir(out)
        .with_context(|| format!("cannot make `{}`: name a folder that is not there yet", out.display()))?;
    let source = BundleSource { origin: name.name(), key: &key, checkpoint: &checkpoint };
    let covered = reader.entries(0)?.take_while(|stored| stored.as_ref().map_or(true, |stored| stored.index < size));
    let told = covered.inspect(|stored| {
        if let Ok(stored) = stored {
            progress.entries(stored.index + 1, size);
        }
    });
    let manifest = write_bundle(out, &source, told.map(bundled))?;
    if manifest.size != size {
        bail!("the log has {} entries and its checkpoint says {size}: it is damaged", manifest.size);
    }
    Ok(size)
}

fn bundled(stored: Result<Stored, LookupError>) -> io::Result<BundleEntry> {
    let stored = stored.map_err(io::Error::other)?;
    let fields = stored.private.openings().cloned().unwrap_or_default();
    Ok(BundleEntry { index: stored.index, leaf: stored.leaf, fields })
}

/// Verifies a bundle offline: `key` is the log's, or a file that holds it, got elsewhere.
///
/// What does not hold is in the report.
///
/// # Errors
///
/// If the bundle or the key cannot be read.
pub(crate) fn verify(bundle: &Path, key: Option<&str>, progress: &mut dyn Progress) -> anyhow::Result<Report> {
    let key = key.map(verifier_key).transpose()?;
    let options = Options { key, ..Options::default() };
    Ok(verify_bundle(bundle, &options, progress)?)
}

fn verifier_key(given: &str) -> anyhow::Result<VerifierKey> {
    let text = match fs::read_to_string(given) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => given.to_owned(),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{given}`")),
    };
    text.trim()
        .parse()
        .with_context(|| format!("`{given}` is neither a verifier key (`name+hash+key`) nor a file that holds one"))
}

/// Says on standard error, once a second, how far long work has come.
#[derive(Debug)]
pub(crate) struct OnTerminal {
    last: Instant,
    /// What is done with entries, such as `checked`.
    done: &'static str,
}

impl OnTerminal {
    /// Begins now.
    pub(crate) fn new(done: &'static str) -> Self {
        Self { last: Instant::now(), done }
    }
}

impl Progress for OnTerminal {
    fn entries(&mut self, done: u64, total: u64) {
        if done.is_multiple_of(1_024) && self.last.elapsed() > Duration::from_secs(1) {
            self.last = Instant::now();
            output::note(&format!("{done} of {total} entries {}", self.done));
        }
    }
}

/// Copies the files of a folder that has no folders in it into a new one.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn copy_flat(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copy = || -> io::Result<()> {
        fs::create_dir(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
        Ok(())
    };
    copy().with_context(|| format!("cannot copy `{}`", from.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ledger::{Draft, Ledger};
    use proof::{
        bundle::ENTRIES_FILE,
        entry::{Entry, Kind},
    };
    use terms::SystemClock;

    use super::*;

    /// Remembers what it was told.
    struct Told(Vec<(u64, u64)>);

    impl Progress for Told {
        fn entries(&mut self, done: u64, total: u64) {
            self.0.push((done, total));
        }
    }

    fn log(dir: &Path) -> (Reader, String) {
        let options = ledger::Options {
            origin: "exeat.test/log".to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 64,
            checkpoint_every: Duration::from_millis(10),
            heads_every: Duration::from_secs(3_600),
        };
        let (ledger, _) = Ledger::open(dir, options, Arc::new(SystemClock::default())).unwrap();
        let mut entry = Entry::new(Kind::Admin);
        entry.code = Some("test".to_owned());
        let _recorded = ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap();
        ledger.stop().unwrap();
        (Reader::open(dir).unwrap(), ledger.verifier_key())
    }

    #[test]
    fn an_exported_log_verifies_with_its_key_and_not_once_a_bit_changed() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, key) = log(&dir.path().join("ledger"));
        let bundle = dir.path().join("bundle");
        let mut told = Told(Vec::new());
        let size = export(&reader, &bundle, &mut told).unwrap();
        assert_eq!(told.0, (1..=size).map(|done| (done, size)).collect::<Vec<_>>());
        let report = verify(&bundle, Some(&key), &mut ()).unwrap();
        assert!(report.holds(), "{report}");
        assert_eq!((report.entries, report.key_pinned), (size, true));
        let entries = bundle.join(ENTRIES_FILE);
        let mut bytes = fs::read(&entries).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&entries, bytes).unwrap();
        assert!(!verify(&bundle, Some(&key), &mut ()).unwrap().holds());
    }

    #[test]
    fn an_export_never_writes_into_a_folder_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, _) = log(&dir.path().join("ledger"));
        assert!(export(&reader, dir.path(), &mut ()).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_of_another_log_does_not_pass() {
        let dir = tempfile::tempdir().unwrap();
        let (reader, _) = log(&dir.path().join("one"));
        let (_, other) = log(&dir.path().join("two"));
        let bundle = dir.path().join("bundle");
        export(&reader, &bundle, &mut ()).unwrap();
        assert!(!verify(&bundle, Some(&other), &mut ()).unwrap().holds());
        assert!(verify(&bundle, Some("no key at all"), &mut ()).is_err());
    }
}
