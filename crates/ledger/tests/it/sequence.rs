//! What happens where a checkpoint is made: each file on the way fails, with and without being written, around the size
//! at which a tile is full, once and again, and the log is loaded anew each time. After the tests of the same names in
//! Sunlight (`internal/ctlog/ctlog_test.go`) and Tessera.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ledger::{Ledger, Unavailable};

use crate::{
    faults::{Fault, Faulty, Op, open, quick},
    world::{World, note, put, submit, until},
};

const EIO: i32 = 5;

/// The files on the way to a checkpoint.
const TARGETS: [&str; 6] = ["wal/tiled", "wal/heads", "log/checkpoint", "log/tile/0/", "log/tile/entries/", ".seg"];
/// How the write of one fails.
const FAULTS: [(&str, Op, Fault); 5] = [
    ("is not made", Op::Create, Fault::Refuse(EIO)),
    ("is not written", Op::Write, Fault::Refuse(EIO)),
    ("is written and fails", Op::Write, Fault::Forget(EIO)),
    ("is not named", Op::Rename, Fault::Refuse(EIO)),
    ("is named and fails", Op::Rename, Fault::Forget(EIO)),
];

/// Makes operations fail while it is on, and counts them.
#[derive(Default)]
struct Switch {
    on: AtomicBool,
    felt: AtomicUsize,
}

impl Switch {
    fn turn(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }
}

/// A storage on which one operation on files like `target` fails while the switch is on.
fn failing(target: &'static str, op: Op, fault: Fault, switch: &Arc<Switch>) -> Arc<Faulty> {
    let switch = Arc::clone(switch);
    Faulty::new(move |_, done, path| {
        let is_it = done == op && path.to_string_lossy().contains(target) && switch.on.load(Ordering::SeqCst);
        switch.felt.fetch_add(usize::from(is_it), Ordering::SeqCst);
        is_it.then_some(fault)
    })
}

fn fill(ledger: &Ledger, until: u64) -> u64 {
    let mut index = ledger.health().durable;
    while index + 1 < until {
        let Ok(pending) = ledger.append(note("filling")) else { break };
        index = pending.index();
    }
    index
}

/// Goes on from whatever is there, and checks that all of it can be proved.
fn reload(world: &World, what: &str) -> u64 {
    let ledger = open(world, &Faulty::new(|_, _, _| None)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = submit(&ledger, "after").index();
    until("it signs again", || ledger.health().checkpoint > last);
    for index in [0, last / 2, last.saturating_sub(1), last] {
        ledger.receipt(index).unwrap_or_else(|error| panic!("{what}: entry {index}: {error}"));
    }
    ledger.stop().unwrap();
    world.reader().entries(0).unwrap().for_each(|entry| drop(entry.unwrap()));
    last
}

#[test]
fn sequence_errors() {
    for target in TARGETS {
        for (how, op, fault) in FAULTS {
            let what = format!("{target} {how}");
            let world = quick();
            open(&world, &Faulty::new(|_, _, _| None)).unwrap().stop().unwrap();
            let switch = Arc::new(Switch::default());
            // A segment is made as a spare, and named.
            let is_felt = target != ".seg" || op != Op::Create;
            // One below a full tile, at it, and one above; then the same again where it failed before.
            for size in [255, 256, 257, 257] {
                let storage = failing(target, op, fault, &switch);
                let ledger = open(&world, &storage).unwrap_or_else(|error| panic!("{what}: {error}"));
                switch.turn(true);
                let before = ledger.health().checkpoint;
                fill(&ledger, size);
                let _felt = ledger.heads().map(|pending| pending.wait().map(drop));
                std::thread::sleep(world.options.checkpoint_every * 3);
                if is_felt && size == 257 {
                    until("it fails", || switch.felt.load(Ordering::SeqCst) > 0);
                }
                assert!(ledger.health().checkpoint >= before, "{what}");
                drop(ledger);
                switch.turn(false);
                reload(&world, &what);
            }
            assert_eq!(switch.felt.load(Ordering::SeqCst) > 0, is_felt, "{what}");
        }
    }
}

#[test]
fn a_checkpoint_that_could_not_be_written_is_written_when_it_can_be() {
    let world = quick();
    let switch = Arc::new(Switch::default());
    switch.turn(true);
    let ledger = open(&world, &failing("log/checkpoint", Op::Write, Fault::Refuse(EIO), &switch)).unwrap();
    let index = submit(&ledger, "waits").index();
    std::thread::sleep(world.options.checkpoint_every * 5);
    assert_eq!(ledger.health().checkpoint, 0);
    assert_eq!(ledger.health().unavailable, None);
    switch.turn(false);
    until("it is signed", || ledger.health().checkpoint > index);
}

/// Turns over one bit of the next write to a file like `target`, and says what is signed after it.
fn flip(target: &'static str, at: Option<usize>) -> (bool, String) {
    let world = quick();
    open(&world, &Faulty::new(|_, _, _| None)).unwrap().stop().unwrap();
    let armed = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&armed);
    let storage = Faulty::new(move |_, op, path: &Path| {
        let is_it = op == Op::Write && path.to_string_lossy().contains(target);
        (is_it && flag.swap(false, Ordering::SeqCst)).then_some(Fault::Flip(at))
    });
    let ledger = open(&world, &storage).unwrap();
    until("the opening is signed", || ledger.health().checkpoint == ledger.health().durable);
    armed.store(true, Ordering::SeqCst);
    let mut refused = false;
    until("it is fenced or signed", || {
        refused = ledger.append(note("x")).is_err_and(|why| why == Unavailable::Fenced);
        let written = !armed.load(Ordering::SeqCst);
        refused || (written && ledger.health().checkpoint > 300)
    });
    (refused, world.reader().checkpoint().unwrap().unwrap())
}

/// After the logs that a single flipped bit ended: Yeti 2022 and Nimbus 2018.
#[test]
fn a_bit_that_flips_in_any_part_of_a_batch_or_a_tile_fences_the_log_before_it_is_signed() {
    // In the header, its predecessor, its root, its checksum, the first frame's length, checksum and leaf.
    for at in [0, 12, 40, 60, 100, 126, 129, 133, 138, 160] {
        assert!(flip(".seg", Some(at)).0, "byte {at} of a batch");
    }
    for at in [0, 31, 32] {
        assert!(flip("log/tile/0/", Some(at)).0, "byte {at} of a tile");
    }
}

#[test]
fn nobody_is_told_of_an_entry_before_a_mirror_holds_it_where_one_is_required() {
    let mut world = quick();
    world.options.queue_entries = 8;
    let ledger = world.open();
    put(&ledger, "before");
    ledger.require_mirror();
    let first = ledger.append(note("first")).unwrap();
    let (index, told) = (first.index(), Arc::new(AtomicBool::new(false)));
    let flag = Arc::clone(&told);
    let waiting = std::thread::spawn(move || {
        drop(first.wait().unwrap());
        flag.store(true, Ordering::SeqCst);
    });
    // It is on the disk, signed, and can be mirrored.
    until("it is signed", || ledger.health().checkpoint > index);
    assert!(!told.load(Ordering::SeqCst));
    until("too many wait", || ledger.append(note("x")).is_err_and(|why| why == Unavailable::Full));
    ledger.mirrored(index);
    assert!(!told.load(Ordering::SeqCst));
    ledger.mirrored(index + 1);
    waiting.join().unwrap();
    until("there is room again", || ledger.append(note("x")).is_ok());
    ledger.stop().unwrap();
}

#[test]
fn many_writers_and_readers_at_once_see_one_log() {
    let world = quick();
    let ledger = open(&world, &Faulty::new(|_, _, _| None)).unwrap();
    let (written, proved) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (ledger, written) = (&ledger, &written);
            scope.spawn(move || {
                for n in 0..150 {
                    let text = format!("{writer} {n}");
                    let index = submit(ledger, &text).wait().unwrap().index();
                    written.lock().unwrap().push((index, text));
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while proved.load(Ordering::SeqCst) < 200 {
                    let size = ledger.health().checkpoint;
                    for index in (0..size).step_by(7) {
                        ledger.receipt(index).unwrap();
                        proved.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    for (index, text) in written.into_inner().unwrap() {
        assert_eq!(ledger.stored(index).unwrap().main(), Some(text.as_bytes()));
    }
}
