//! What an archive takes from the log, and what guards its checkpoints from outside.

use std::sync::{Arc, Mutex};

use ledger::{CheckpointStore, Kept, Ledger, LookupError, Mark, OpenError, storage::Disk};
use proof::tree::{Frontier, leaf_hash};

use crate::world::{World, put};

#[test]
fn what_is_kept_opens_again_as_what_was_recorded() {
    let world = World::new();
    let ledger = world.open();
    let index = put(&ledger, "who went home early");
    let reader = ledger.reader();
    let kept: Vec<Kept> = reader.kept(0).unwrap().map(Result::unwrap).collect();
    assert!(kept.iter().zip(0..).all(|(kept, index)| kept.index == index));
    let mut one = kept[usize::try_from(index).unwrap()].clone();
    assert!(!one.sealed.windows(4).any(|bytes| bytes == b"home"), "it is sealed");
    assert_eq!(reader.show(one.clone()).unwrap().main(), Some(b"who went home early".as_slice()));
    one.sealed[0] ^= 1;
    assert!(matches!(reader.show(one), Err(LookupError::Damaged(_))));
}

#[test]
fn the_root_of_a_subtree_is_that_of_its_leaves_and_part_of_the_checkpoint() {
    let world = World::new();
    let ledger = world.open();
    for n in 0..300 {
        put(&ledger, &format!("note {n}"));
    }
    ledger.stop().unwrap();
    let reader = world.reader();
    let leaves: Vec<_> = reader.kept(0).unwrap().map(|kept| leaf_hash(&kept.unwrap().leaf)).collect();
    for (first, end) in [(0, 1), (6, 8), (0, 256), (128, 256), (256, 288), (296, 300)] {
        let mut tree = Frontier::new();
        leaves[first..end].iter().for_each(|leaf| tree.push(*leaf));
        assert_eq!(reader.subtree(first as u64, end as u64).unwrap(), tree.root(), "{first} {end}");
    }
    for (first, end) in [(0, 0), (0, 3), (2, 6), (4, 2)] {
        assert!(matches!(reader.subtree(first, end), Err(LookupError::Unknown(_))), "{first} {end}");
    }
    assert!(matches!(reader.subtree(256, 512), Err(LookupError::NotYet(_))));
}

#[test]
fn tiles_that_were_changed_give_no_root() {
    let world = World::new();
    let ledger = world.open();
    for n in 0..300 {
        put(&ledger, &format!("note {n}"));
    }
    ledger.stop().unwrap();
    let path = world.dir().join("log/tile/0/000");
    let mut tile = std::fs::read(&path).unwrap();
    tile[40] ^= 1;
    std::fs::write(&path, tile).unwrap();
    assert!(matches!(world.reader().subtree(0, 2), Err(LookupError::Damaged(_))));
}

/// A store that all processes of a test share.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Option<Mark>>>, Arc<Mutex<Option<Mark>>>);

impl Shared {
    /// Another process's view.
    fn other(&self) -> Self {
        Self(Arc::clone(&self.0), Arc::default())
    }
}

impl CheckpointStore for Shared {
    fn load(&self) -> std::io::Result<Option<Mark>> {
        let kept = *self.0.lock().unwrap();
        *self.1.lock().unwrap() = kept;
        Ok(kept)
    }

    fn swap(&self, next: &Mark) -> std::io::Result<bool> {
        let mut kept = self.0.lock().unwrap();
        let mut seen = self.1.lock().unwrap();
        if *kept != *seen {
            return Ok(false);
        }
        (*kept, *seen) = (Some(*next), Some(*next));
        Ok(true)
    }
}

fn open(world: &World, store: &Shared) -> Result<Ledger, OpenError> {
    let opened = Ledger::open_guarded(
        Arc::new(Disk),
        world.dir(),
        world.options.clone(),
        world.clock(),
        Arc::new(store.clone()),
    );
    opened.map(|(ledger, _)| ledger)
}

/// A copy of the log's folder, as a snapshot of a machine has it.
fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn of_two_copies_of_a_log_the_one_opened_last_goes_on_and_the_other_signs_nothing_more() {
    let (mut world, twin, store) = (World::new(), World::new(), Shared::default());
    let first = open(&world, &store).unwrap();
    put(&first, "before the copy");
    first.stop().unwrap();
    let signed = world.reader().checkpoint_size().unwrap();
    copy(world.dir(), twin.dir());
    world.options.checkpoint_every = std::time::Duration::from_secs(60);
    let old = open(&world, &store.other()).unwrap();
    assert!(open(&twin, &store.other()).is_err(), "as many openings as the one that runs");
    let new = open(&twin, &store.other()).unwrap();
    put(&new, "after it");
    put(&old, "on the old one");
    let _stopped = old.stop();
    assert_eq!(world.reader().checkpoint_size().unwrap(), signed);
    new.stop().unwrap();
    assert!(twin.reader().checkpoint_size().unwrap() > signed);
}

#[test]
fn a_log_that_lost_what_was_signed_is_not_opened() {
    let (world, backup, store) = (World::new(), World::new(), Shared::default());
    let ledger = open(&world, &store).unwrap();
    ledger.stop().unwrap();
    copy(world.dir(), backup.dir());
    let ledger = open(&world, &store.other()).unwrap();
    for n in 0..20 {
        put(&ledger, &format!("note {n}"));
    }
    ledger.stop().unwrap();
    assert!(open(&backup, &store.other()).is_err(), "the same number of openings");
    let why = open(&backup, &store.other()).unwrap_err().to_string();
    assert!(why.contains("was signed"), "{why}");
}
