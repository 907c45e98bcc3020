//! Each run of the demo has a folder of its own, so that each begins the same way; the last few are kept.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::Context;
use terms::{Clock, SystemClock};

use crate::{secrets, serve::LEDGER_DIR};

/// Runs that are kept, with their records.
const KEPT: usize = 5;

/// Makes the folder of a new run and removes those of long ago that nobody uses.
///
/// # Errors
///
/// The operating system's error with the folder's name.
pub(super) fn begin(data: &Path) -> anyhow::Result<PathBuf> {
    let runs = data.join("runs");
    secrets::private_dir(&runs)?;
    let earlier = earlier(&runs).with_context(|| format!("cannot read `{}`", runs.display()))?;
    for old in earlier.iter().rev().skip(KEPT - 1).filter(|run| !in_use(run)) {
        fs::remove_dir_all(old).with_context(|| format!("cannot remove `{}`", old.display()))?;
    }
    let name = format!("{:015}-{}", SystemClock::default().now().as_millis(), std::process::id());
    let run = runs.join(name);
    secrets::private_dir(&run)?;
    Ok(run)
}

/// Returns the folders of earlier runs, oldest first; whatever else lies there is left alone.
fn earlier(runs: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name
            .to_str()
            .is_some_and(|name| name.len() > 16 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
        if ours && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn in_use(run: &Path) -> bool {
    let lock = File::open(run.join(LEDGER_DIR).join("wal").join("lock"));
    lock.is_ok_and(|lock| lock.try_lock().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_few_runs_are_kept_and_nothing_else_is_touched() {
        let data = tempfile::tempdir().unwrap();
        fs::create_dir_all(data.path().join("runs/mine")).unwrap();
        for n in 0..8 {
            fs::create_dir_all(data.path().join(format!("runs/{n:015}-77"))).unwrap();
        }
        let run = begin(data.path()).unwrap();
        assert!(run.is_dir());
        let left = earlier(&data.path().join("runs")).unwrap();
        assert_eq!(left.len(), KEPT);
        assert!(left.first().unwrap().ends_with("000000000000004-77"));
        assert!(data.path().join("runs/mine").is_dir());
    }
}
