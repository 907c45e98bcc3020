//! Before a mirror cosigns, it holds the entries of a log against each other.

use proof::{
    entry::{Entry, Kind},
    heads::{Chain, Heads},
};
use witness::origin_hash;

use crate::world::{Log, World};

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
    Log::of(ORIGIN, entries.iter().map(|entry| entry.encode().unwrap()).collect())
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
