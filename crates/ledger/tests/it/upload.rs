//! Which files a log has under `log/`, how many a checkpoint takes, and what becomes of others in their place. The cases
//! are those of Sunlight's log (`internal/ctlog`), whose uploads are files here.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use ledger::Ledger;

use crate::{
    faults::{Faulty, Op, open, quick},
    fsck::{files, fsck},
    world::{World, put, submit, until},
};

/// The names under `log/`, besides the checkpoint and the key.
fn tiles(dir: &Path) -> Vec<String> {
    let log = dir.join("log");
    let names = files(&log).into_iter().map(|path| path.strip_prefix(&log).unwrap().display().to_string());
    names.filter(|name| !["checkpoint", "log.vkey"].contains(&name.as_str())).collect()
}

/// Appends until the log has so many entries and a checkpoint of them.
fn grow(ledger: &Ledger, size: u64) {
    while ledger.submitted() < size {
        let _pending = submit(ledger, "one more");
    }
    until("it is signed", || ledger.health().checkpoint == size);
}

#[test]
fn upload_paths() {
    let cases: [(u64, &[&str]); 5] = [
        (5, &["tile/0/000.p/5", "tile/entries/000.p/5"]),
        (255, &["tile/0/000.p/255", "tile/entries/000.p/255"]),
        (256, &["tile/0/000", "tile/1/000.p/1", "tile/entries/000"]),
        (257, &["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1", "tile/entries/000", "tile/entries/001.p/1"]),
        (
            600,
            &[
                "tile/0/000",
                "tile/0/001",
                "tile/0/002.p/88",
                "tile/1/000.p/2",
                "tile/entries/000",
                "tile/entries/001",
                "tile/entries/002.p/88",
            ],
        ),
    ];
    for (size, expected) in cases {
        let mut world = World::new();
        // The last checkpoint is the only one with entries.
        world.options.checkpoint_every = std::time::Duration::from_secs(3_600);
        let ledger = world.open();
        // A heads entry and a stop come last.
        while ledger.submitted() + 2 < size {
            let _pending = submit(&ledger, "one more");
        }
        ledger.stop().unwrap();
        assert_eq!(tiles(world.dir()), expected, "{size}");
        assert_eq!(fsck(world.dir()), Ok(size));
    }
}

/// What was given a name under `log/`, in order.
type Named = Arc<Mutex<Vec<String>>>;

/// Opens a log that notes each file it puts under `log/`.
fn noting(world: &World) -> (Ledger, Named) {
    let named = Named::default();
    let (noted, log) = (Arc::clone(&named), world.dir().join("log"));
    let storage = Faulty::new(move |_, op, path| {
        if let (Op::Rename, Ok(name)) = (op, path.strip_prefix(&log)) {
            noted.lock().unwrap().push(name.display().to_string());
        }
        None
    });
    (open(world, &storage).unwrap(), named)
}

#[test]
fn upload_count() {
    let world = quick();
    let (ledger, named) = noting(&world);
    let cases: [(u64, &[&str]); 4] = [
        (10, &["tile/entries/000.p/10", "tile/0/000.p/10", "checkpoint"]),
        (255, &["tile/entries/000.p/255", "tile/0/000.p/255", "checkpoint"]),
        (256, &["tile/entries/000", "tile/0/000", "tile/1/000.p/1", "checkpoint"]),
        (257, &["tile/entries/001.p/1", "tile/0/001.p/1", "checkpoint"]),
    ];
    for (size, expected) in cases {
        grow(&ledger, size - 1);
        named.lock().unwrap().clear();
        grow(&ledger, size);
        assert_eq!(*named.lock().unwrap(), expected, "{size}");
        // Where nothing was recorded, nothing is written.
        std::thread::sleep(world.options.checkpoint_every * 10);
        assert_eq!(named.lock().unwrap().len(), expected.len(), "{size}");
    }
}

/// Sunlight stages its uploads under the name of the next checkpoint, where those of another process may lie. Here it is
/// the tiles themselves that may be there already, from whatever process, with whatever in them.
#[test]
fn staging_collision() {
    let world = quick();
    let (ledger, _) = noting(&world);
    for size in [20, 255, 256, 257, 300] {
        grow(&ledger, size - 1);
        let (tile, width) = ((size - 1) / 256, (size - 1) % 256 + 1);
        let name = if width == 256 { format!("{tile:03}") } else { format!("{tile:03}.p/{width}") };
        for kind in ["0", "entries"] {
            let path = world.dir().join(format!("log/tile/{kind}/{name}"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, [7; 9_000]).unwrap();
            std::fs::write(path.with_added_extension("tmp"), [8; 9_000]).unwrap();
        }
        std::fs::write(world.dir().join("log/checkpoint.tmp"), "of another process").unwrap();
        put(&ledger, "the next");
        until("it is signed", || ledger.health().checkpoint == size);
        assert_eq!(fsck(world.dir()), Ok(size));
    }
}
