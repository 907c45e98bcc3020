//! A log is loaded again, under the name, the key and the time that it had or others. The cases are those of Sunlight's
//! log (`internal/ctlog`).

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ledger::OpenError;
use proof::tree::{Hash, leaf_hash};
use terms::{ManualClock, Moment};

use crate::{
    fsck::files,
    world::{ORIGIN, World, put},
};

/// Everything that a log's folder has, with the hash of what is in it.
fn all(dir: &Path) -> Vec<(PathBuf, Hash)> {
    files(dir).into_iter().map(|path| (path.clone(), leaf_hash(&std::fs::read(path).unwrap()))).collect()
}

#[test]
fn reload_wrong_name() {
    let mut world = World::new();
    world.open().stop().unwrap();
    let before = all(world.dir());
    world.options.origin = "log.other.example/1".to_owned();
    let refused = world.try_open().unwrap_err().to_string();
    assert_eq!(all(world.dir()), before);
    assert!(refused.contains(ORIGIN) && refused.contains("log.other.example/1"), "{refused}");
}

/// Another key of the same name, as a backup of another log has it.
#[test]
fn reload_wrong_key() {
    let (world, other) = (World::new(), World::new());
    let ledger = world.open();
    let entry = put(&ledger, "under the right key");
    ledger.stop().unwrap();
    drop(ledger);
    other.open().stop().unwrap();
    for (secret, why) in [("key", "its checkpoint is not its own"), ("vault/1.kek", "has no key in slot 0")] {
        let path = world.dir().join(secret);
        let right = std::fs::read(&path).unwrap();
        std::fs::copy(other.dir().join(secret), &path).unwrap();
        let before = all(world.dir());
        let refused = world.try_open().unwrap_err();
        assert!(matches!(&refused, OpenError::Damaged { .. }) && refused.to_string().contains(why), "{refused}");
        assert_eq!(all(world.dir()), before, "{secret}");
        std::fs::write(path, right).unwrap();
    }
    assert_eq!(world.open().stored(entry).unwrap().main(), Some(&b"under the right key"[..]));
}

#[test]
fn time_regress() {
    let world = World::new();
    let ledger = world.open();
    world.clock.advance(Duration::from_secs(60));
    put(&ledger, "late");
    ledger.stop().unwrap();
    let before = all(world.dir());
    let early = World { clock: Arc::new(ManualClock::at(Moment::parse("2026-06-12T21:21:54Z").unwrap())), ..world };
    let refused = early.try_open();
    assert!(matches!(refused, Err(OpenError::ClockBehind { .. })), "{refused:?}");
    assert_eq!(all(early.dir()), before);
    early.clock.advance(Duration::from_secs(1));
    assert!(early.try_open().is_ok());
}
