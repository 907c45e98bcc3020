//! Before a mirror cosigns, it holds the entries of a log against each other.

use std::{
    fs::{self, File},
    io::Write,
    path::PathBuf,
    process::Command,
};

use axum::http::header;
use proof::{
    entry::{Entry, Kind},
    heads::{Chain, Heads},
};
use witness::origin_hash;

use crate::{
    mirror::{send, upload},
    world::{Log, Told, World, assert_cosigned},
};

const ORIGIN: &str = "log.example.com/exeat/1";
const ALL: usize = usize::MAX;

/// Entries of one chain; every tenth says where it stands.
fn entries(size: u64) -> Vec<Entry> {
    let mut heads = Heads::new();
    let mut entries = Vec::new();
    for index in 0..size {
        let mut entry = Entry::new(if index % 10 == 9 { Kind::Heads } else { Kind::Snapshot });
        entry.at_ms = 1_000 + index;
        if entry.kind == Kind::Heads {
            (entry.root, entry.covered) = (Some(heads.root()), Some(index));
        } else {
            entry.links = Some(vec![heads.next(index, Chain::IN_FORCE)]);
        }
        heads.apply(index, &entry).unwrap();
        entries.push(entry);
    }
    entries
}

fn log(entries: &[Entry]) -> Log {
    log_of(ORIGIN, entries)
}

fn log_of(origin: &str, entries: &[Entry]) -> Log {
    Log::of(origin, entries.iter().map(|entry| entry.encode().unwrap()).collect())
}

/// A file of a mirror that whoever reads it waits for, until this is dropped.
struct Held {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Held {
    /// Puts a pipe in the place of the first entries of a log.
    fn first_entries(world: &World, log: &Log) -> Self {
        let path = world.dir.path().join(origin_hash(log.origin())).join("tile/entries/000");
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        Self { path, bytes }
    }
}

impl Drop for Held {
    /// Whoever comes from now on reads the file again; whoever waits already is given what is in it.
    fn drop(&mut self) {
        let (pipe, file) = (self.path.with_extension("pipe"), self.path.with_extension("file"));
        fs::hard_link(&self.path, &pipe).unwrap();
        fs::write(&file, &self.bytes).unwrap();
        fs::rename(&file, &self.path).unwrap();
        File::options().read(true).write(true).open(&pipe).unwrap().write_all(&self.bytes).unwrap();
    }
}

/// Asks for the cosignature of what was uploaded until the leaves were looked at.
fn at_last(world: &World, log: &Log, size: u64) -> Told {
    loop {
        let told = world.post(&log.add_entries(size, size, b"", ALL));
        if told.status != 503 {
            return told;
        }
        std::thread::yield_now();
    }
}

/// A mirror that holds `held` entries of `log`, more than are looked at within a request.
fn holding(log: &Log, others: &[&Log], held: u64) -> World {
    let world = World::checking(&[&[log][..], others].concat());
    world.pend(log, 0, held);
    assert!([200, 503].contains(&world.post(&log.add_entries(0, held, b"", ALL)).status));
    at_last(&world, log, held).cosigns(log, held);
    world
}

#[test]
fn a_log_in_order_is_cosigned_also_over_a_restart() {
    let log = log(&entries(700));
    let world = World::checking(&[&log]);
    world.pend(&log, 0, 300);
    world.post(&log.add_entries(0, 300, b"", ALL)).cosigns(&log, 300);
    let world = world.restart();
    world.pend(&log, 300, 700);
    world.post(&log.add_entries(300, 700, b"", ALL)).cosigns(&log, 700);
    world.post(&log.add_entries(700, 700, b"", ALL)).cosigns(&log, 700);
    world.holds(&log, 700);
}

#[test]
fn a_log_whose_heads_are_false_or_whose_chain_forks_is_cosigned_no_further_than_that() {
    type Tamper = fn(&mut [Entry]);
    let ways: [Tamper; 4] = [
        // The tail of the chain is left out of where it stands: the root of ten entries before is said again.
        |log| log[399].root = log[389].root,
        // Two entries take one place in the chain.
        |log| log[401].links = log[400].links.clone(),
        |log| log[399].covered = Some(398),
        |log| log[350].at_ms = 1,
    ];
    for tamper in ways {
        let mut entries = entries(700);
        tamper(&mut entries);
        let log = log(&entries);
        let world = World::checking(&[&log]);
        world.pend(&log, 0, 300);
        world.post(&log.add_entries(0, 300, b"", ALL)).cosigns(&log, 300);
        world.pend(&log, 300, 600);
        world.post(&log.add_entries(300, 600, b"", ALL)).is(422);
        world.pend(&log, 600, 700);
        world.post(&log.add_entries(600, 700, b"", ALL)).is(422);
        world.holds(&log, 300);
        // What it knows does not go with the process.
        let world = world.restart();
        world.post(&log.add_entries(300, 700, b"", ALL)).is(422);
        world.holds(&log, 300);
    }
}

#[test]
fn a_log_of_other_software_is_cosigned_only_where_that_is_said() {
    let log = Log::new(ORIGIN, 300);
    let world = World::checking(&[&log]);
    world.pend(&log, 0, 300);
    world.post(&log.add_entries(0, 300, b"", ALL)).is(422);
    assert_eq!(world.mirror.checkpoint(&origin_hash(ORIGIN)), None);
    let world = World::new(&[&log]);
    world.pend(&log, 0, 300);
    world.post(&log.add_entries(0, 300, b"", ALL)).cosigns(&log, 300);
}

#[tokio::test]
async fn while_a_whole_log_is_looked_at_uploads_of_it_and_of_others_are_answered_and_it_is_cosigned_afterwards() {
    let (log, other) = (log(&entries(9_000)), log_of("log.other.example/1", &entries(600)));
    let world = holding(&log, &[&other], 8_900);
    let held = Held::first_entries(&world, &log);
    // Whatever fails, what is held is let go before the mirror ends.
    let (world, held) = (world.restart(), held);
    world.pend(&log, 8_900, 9_000);
    world.post(&log.add_entries(8_900, 9_000, b"", ALL)).is(503);
    world.post(&log.add_entries(0, 0, b"", ALL)).stands(409, 9_000, 9_000);
    // Nobody keeps a place: there are eight for a log, and sixteen in all.
    for _ in 0..20 {
        let told = send(&world, upload(log.add_entries(9_000, 9_000, b"", ALL))).await;
        assert_eq!((told.status().as_u16(), &told.headers()[header::RETRY_AFTER]), (503, &"1".parse().unwrap()));
    }
    world.pend(&other, 0, 600);
    world.post(&other.add_entries(0, 600, b"", ALL)).cosigns(&other, 600);
    let note = world.mirror.checkpoint(&origin_hash(ORIGIN)).unwrap();
    assert_cosigned(&note, "mirror.example", &log.checkpoint(8_900));
    drop(held);
    at_last(&world, &log, 9_000).cosigns(&log, 9_000);
    world.holds(&log, 9_000);
}

#[test]
fn a_long_log_that_contradicts_itself_is_not_cosigned_once_it_was_looked_at() {
    let mut entries = entries(9_000);
    entries[399].root = entries[389].root;
    let log = log(&entries);
    let world = World::checking(&[&log]);
    world.pend(&log, 0, 9_000);
    let told = world.post(&log.add_entries(0, 9_000, b"", ALL));
    assert!([422, 503].contains(&told.status), "{told:?}");
    at_last(&world, &log, 9_000).is(422);
    assert_eq!(world.mirror.checkpoint(&origin_hash(ORIGIN)), None);
}

#[test]
fn a_long_log_with_a_damaged_tile_is_cosigned_again_once_that_is_mended() {
    let log = log(&entries(9_000));
    let world = holding(&log, &[], 8_900);
    let tile = world.dir.path().join(origin_hash(ORIGIN)).join("tile/entries/003");
    let good = fs::read(&tile).unwrap();
    let mut bad = good.clone();
    bad[33] ^= 4;
    fs::write(&tile, bad).unwrap();
    let world = world.restart();
    world.pend(&log, 8_900, 9_000);
    let told = world.post(&log.add_entries(8_900, 9_000, b"", ALL));
    assert!([500, 503].contains(&told.status), "{told:?}");
    at_last(&world, &log, 9_000).is(500);
    fs::write(&tile, good).unwrap();
    while at_last(&world, &log, 9_000).status == 500 {}
    at_last(&world, &log, 9_000).cosigns(&log, 9_000);
}
