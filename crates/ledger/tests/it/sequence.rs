//! What happens where a checkpoint is made: each file on the way fails, with and without being written, at the sizes around
//! a full tile, twice at each, and then no more. The cases are those of the sequencing errors of Sunlight
//! (`internal/ctlog`), on files in the place of its backends.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use ledger::{Ledger, Unavailable};

use crate::{
    faults::{Fault, Faulty, Op, open, quick},
    fsck::fsck,
    world::{World, note, put, submit, until},
};

const EIO: i32 = 5;

/// One below a full tile, at it, and one above.
const SIZES: [u64; 3] = [255, 256, 257];

/// The files on the way to a checkpoint, in the order in which they are written.
const TARGETS: [&str; 6] =
    ["wal/heads", "log/tile/entries/", "log/tile/0/", "log/tile/1/", "log/checkpoint", "wal/tiled"];
/// How the write of one fails.
const FAULTS: [(&str, Op, Fault); 6] = [
    ("is not made", Op::Create, Fault::Refuse(EIO)),
    ("is not written", Op::Write, Fault::Refuse(EIO)),
    ("is written and fails", Op::Write, Fault::Forget(EIO)),
    ("is not synced", Op::Sync, Fault::Refuse(EIO)),
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

    fn felt(&self) -> usize {
        self.felt.load(Ordering::SeqCst)
    }

    /// Waits until it was felt twice more; each operation asks at most twice.
    fn is_felt_twice(&self, what: &str) {
        let before = self.felt();
        until(&format!("{what}, again"), || self.felt() >= before + 4);
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

/// One case: what fails, how, and at which size.
#[derive(Clone, Copy)]
struct Case {
    target: &'static str,
    how: &'static str,
    op: Op,
    fault: Fault,
    size: u64,
}

impl Case {
    fn all(target: &'static str) -> impl Iterator<Item = Self> {
        let cases = FAULTS
            .into_iter()
            .flat_map(move |(how, op, fault)| SIZES.into_iter().map(move |size| Self { target, how, op, fault, size }));
        cases.filter(Self::is_made)
    }

    /// Only two are synced by themselves, and a tile of the second level is new only where one of the first is full.
    fn is_made(&self) -> bool {
        let is_synced = ["log/checkpoint", "wal/tiled"].contains(&self.target);
        (is_synced || self.op != Op::Sync) && (self.target != "log/tile/1/" || self.size == 256)
    }

    /// Returns true if the checkpoint is published all the same.
    fn is_published(&self) -> bool {
        let named = self.op == Op::Rename && matches!(self.fault, Fault::Forget(_));
        self.target.starts_with("wal/") || (self.target == "log/checkpoint" && named)
    }

    /// A mark that was written all the same is found by the next try, which then has nothing to do.
    fn is_tried_again(&self) -> bool {
        self.target != "wal/tiled" || self.op != Op::Rename || self.fault == Fault::Refuse(EIO)
    }

    fn what(&self) -> String {
        format!("{} {} at {}", self.target, self.how, self.size)
    }

    fn run(&self) {
        let (mut world, what, switch) = (quick(), self.what(), Arc::new(Switch::default()));
        world.options.segment_bytes = 2 << 20;
        let ledger = open(&world, &failing(self.target, self.op, self.fault, &switch)).unwrap();
        self.reach(&ledger, &switch);
        until(&what, || switch.felt() > 0);
        // Twice at one size, without a new beginning.
        if self.is_tried_again() {
            switch.is_felt_twice(&what);
        }
        assert_eq!(ledger.health().unavailable, None, "{what}");
        assert_eq!(ledger.health().durable, self.size, "{what}");
        let published = self.size - u64::from(!self.is_published());
        assert_eq!(fsck(world.dir()), Ok(published), "{what}");
        switch.turn(false);
        if self.size.is_multiple_of(2) {
            // The next try makes other tiles; else the same.
            drop(ledger.heads().unwrap().wait().unwrap());
        }
        until("all is signed", || ledger.health().checkpoint == ledger.health().durable);
        self.stop_while_failing(&ledger, &switch);
        drop(ledger);
        fsck(world.dir()).unwrap_or_else(|why| panic!("{what}: {why}"));
        switch.turn(false);
        reload(&world, &what);
    }

    /// Fills a log, turns the switch on once a checkpoint of one entry less is published, and appends the last.
    fn reach(&self, ledger: &Ledger, switch: &Switch) {
        if self.target == "wal/tiled" {
            // It is written where a segment was filled, so that comes last.
            fill(ledger, self.size - 20, "");
            switch.turn(true);
            fill(ledger, self.size, &"long".repeat(40_000));
        } else {
            fill(ledger, self.size - 1, "");
            switch.turn(true);
            drop(ledger.heads().unwrap().wait().unwrap());
        }
    }

    /// A log that has to end meanwhile ends, and says so only where entries may be lost, which they are not.
    fn stop_while_failing(&self, ledger: &Ledger, switch: &Switch) {
        let before = switch.felt();
        switch.turn(true);
        ledger.stop().unwrap();
        // A tile of the second level is not new a second time.
        assert!(self.target == "log/tile/1/" || switch.felt() > before, "{}", self.what());
    }
}

/// Appends until the log has so many entries and a checkpoint of them.
fn fill(ledger: &Ledger, size: u64, text: &str) {
    while ledger.submitted() < size {
        let _pending = submit(ledger, text);
    }
    until("it is signed", || ledger.health().checkpoint == size);
}

/// Goes on from whatever is there, and checks that all of it can be proved.
fn reload(world: &World, what: &str) {
    let ledger = open(world, &Faulty::new(|_, _, _| None)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = submit(&ledger, "after").index();
    until("it signs again", || ledger.health().checkpoint > last);
    ledger.stop().unwrap();
    drop(ledger);
    assert_eq!(fsck(world.dir()), Ok(world.entries().len() as u64), "{what}");
}

#[test]
fn sequence_errors() {
    std::thread::scope(|scope| {
        for target in TARGETS {
            scope.spawn(move || Case::all(target).for_each(|case| case.run()));
        }
    });
}

/// Errors that end a log, as opposed to those after which it tries again.
#[test]
fn sequence_errors_of_a_segment_are_fatal() {
    for (how, op, fault) in FAULTS.into_iter().filter(|(_, op, _)| [Op::Write, Op::Sync].contains(op)) {
        for size in SIZES {
            let (mut world, what, switch) =
                (quick(), format!("a segment {how} at {size}"), Arc::new(Switch::default()));
            world.options.segment_bytes = 2 << 20;
            // A file is known by the name it was opened under: the segment has its own from the second opening on.
            open(&world, &Faulty::new(|_, _, _| None)).unwrap().stop().unwrap();
            for _ in 0..2 {
                let ledger = open(&world, &failing(".seg", op, fault, &switch)).unwrap();
                fill(&ledger, ledger.submitted().max(size - 1), "");
                let (signed, felt) = (ledger.health().checkpoint, switch.felt());
                switch.turn(true);
                assert_eq!(ledger.append(note("lost")).unwrap().wait().unwrap_err(), Unavailable::Fenced, "{what}");
                assert!(switch.felt() > felt, "{what}");
                assert_eq!(ledger.stop(), Err(Unavailable::Fenced), "{what}");
                drop(ledger);
                switch.turn(false);
                assert_eq!(fsck(world.dir()), Ok(signed), "{what}");
            }
            reload(&world, &what);
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
    // The first of its kind that is written, and one that is full: of hashes, and of entries.
    for tile in ["log/tile/0/", "log/tile/0/000.tmp", "log/tile/entries/", "log/tile/entries/000.tmp"] {
        for at in [0, 31, 32] {
            assert!(flip(tile, Some(at)).0, "byte {at} of {tile}");
        }
    }
    assert!(flip("log/tile/1/", Some(7)).0, "a hash above a full tile");
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
