//! Another key of the vault after an erasure: whatever fails on the way, what was acknowledged opens again, and what was
//! erased does not.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ledger::{Draft, EraseError, Ledger, Private};
use proof::entry::{Entry, Kind};

use crate::{
    faults::{Fault, Faulty, Op, open, quick},
    world::{World, note, refusal, until},
};

const NOW: u32 = 2_026 * 4 + 1;
const QUARTER: Duration = Duration::from_secs(92 * 86_400);
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// A note about somebody whose key nothing else needs.
fn about(ledger: &Ledger, name: &str) -> Draft {
    let mut entry = Entry::new(Kind::Admin);
    entry.subject = Some(ledger.pseudonym(name));
    Draft::new(entry, name.as_bytes().to_vec())
}

fn tell(ledger: &Ledger, name: &str) -> Option<u64> {
    Some(ledger.append(about(ledger, name)).ok()?.wait().ok()?.index())
}

/// What was done by the time that something failed.
#[derive(Default)]
struct Done {
    kept: Vec<(u64, String)>,
    erased: Option<u64>,
    rekeyed: bool,
}

/// Storage in which the vault's `at`-th operation fails once it is armed, and how many there were since.
fn armed(at: usize, fault: Fault) -> (Arc<Faulty>, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let (arm, count, second) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), AtomicBool::new(false));
    let (flag, counter) = (Arc::clone(&arm), Arc::clone(&count));
    let storage = Faulty::new(move |_, op, path: &Path| {
        if !path.parent()?.ends_with("vault") || !flag.load(Ordering::SeqCst) {
            return None;
        }
        // A write asks twice: whether it flips, then whether it fails.
        if op == Op::Write && !second.fetch_xor(true, Ordering::SeqCst) {
            return None;
        }
        (counter.fetch_add(1, Ordering::SeqCst) == at).then_some(fault)
    });
    (storage, arm, count)
}

/// Records, erases, changes the vault's key, and records more; goes on as far as the log lets it.
fn act(world: &World, storage: &Arc<Faulty>, arm: &AtomicBool) -> Done {
    let ledger = open(world, storage).unwrap();
    let mut done = Done::default();
    let mut record = |name: &str| done.kept.extend(tell(&ledger, name).map(|index| (index, name.to_owned())));
    ["ada", "minh", "otto"].into_iter().for_each(&mut record);
    world.clock.advance(QUARTER);
    record("nora");
    arm.store(true, Ordering::SeqCst);
    let (ada, _) = done.kept.remove(0);
    done.erased = ledger.erase(&ledger.pseudonym("ada"), NOW).is_ok_and(|destroyed| destroyed).then_some(ada);
    done.rekeyed = ledger.rekey().is_ok();
    for name in ["iris", "lena", "paul"] {
        done.kept.extend(tell(&ledger, name).map(|index| (index, name.to_owned())));
    }
    let _stopped = ledger.stop();
    done
}

fn check(world: &World, done: &Done, when: &str) {
    let ledger = open(world, &Faulty::new(|_, _, _| None)).unwrap_or_else(|error| panic!("{when}: {error}"));
    for (index, text) in &done.kept {
        let stored = ledger.stored(*index).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(stored.main(), Some(text.as_bytes()), "{when}");
    }
    if let Some(erased) = done.erased {
        assert_eq!(ledger.stored(erased).unwrap().private, Private::Withheld, "{when}");
        // The last steps may be done although they answer with an error.
        let is_done = !world.dir().join("vault/1.keys").exists();
        assert!(if done.rekeyed { !ledger.is_rekey_due() } else { ledger.is_rekey_due() || is_done }, "{when}");
    }
    ledger.rekey().unwrap();
    assert!(!ledger.is_rekey_due(), "{when}");
    let mut names: Vec<_> = std::fs::read_dir(world.dir().join("vault")).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    let extensions: Vec<_> = names.iter().filter_map(|path| path.extension()?.to_str()).collect();
    assert_eq!(extensions, ["kek", "keys"], "{when}");
}

#[test]
fn whatever_operation_on_the_vault_fails_nothing_acknowledged_is_lost_and_what_was_erased_stays_so() {
    let world = quick();
    let (storage, arm, count) = armed(usize::MAX, Fault::Refuse(EIO));
    let done = act(&world, &storage, &arm);
    assert!(done.rekeyed && done.erased.is_some() && done.kept.len() == 6);
    check(&world, &done, "without a fault");
    let operations = count.load(Ordering::SeqCst);
    assert!(operations > 25, "{operations}");
    let (mut went_on, mut fenced) = (0, 0);
    for at in 0..operations {
        for fault in [Fault::Refuse(EIO), Fault::Refuse(ENOSPC), Fault::Forget(EIO)] {
            let world = quick();
            let (storage, arm, _) = armed(at, fault);
            let done = act(&world, &storage, &arm);
            check(&world, &done, &format!("{fault:?} at operation {at}"));
            went_on += usize::from(!done.rekeyed && done.kept.len() == 6);
            fenced += usize::from(done.kept.len() < 6);
        }
    }
    // A full disk before anything was exchanged stops nobody; a failure after that does.
    assert!(went_on > 10 && fenced > 10, "{went_on} went on, {fenced} were fenced");
}

#[test]
fn a_disk_without_room_for_another_key_of_the_vault_stops_nobody_and_it_stays_due() {
    let world = quick();
    // Only what is new takes room: what is left of it can be overwritten.
    let felt = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&felt);
    let storage = Faulty::new(move |_, op, path: &Path| {
        let writes = op == Op::Write && path.ends_with("vault/2.keys.tmp");
        (writes && counter.fetch_add(1, Ordering::SeqCst) < 2).then_some(Fault::Refuse(ENOSPC))
    });
    let ledger = open(&world, &storage).unwrap();
    let ada = tell(&ledger, "ada").unwrap();
    world.clock.advance(QUARTER);
    assert!(ledger.erase(&ledger.pseudonym("ada"), NOW).unwrap());
    assert!(matches!(ledger.rekey(), Err(EraseError::NotRekeyed(_))));
    tell(&ledger, "minh").unwrap();
    assert!(ledger.is_rekey_due());
    drop(ledger);
    let ledger = world.open();
    assert!(ledger.is_rekey_due());
    ledger.rekey().unwrap();
    assert_eq!(ledger.stored(ada).unwrap().private, Private::Withheld);
}

#[test]
fn a_log_whose_change_of_the_vaults_key_was_cut_off_takes_nothing_more() {
    let world = quick();
    let storage = Faulty::new(|_, op, path: &Path| {
        (op == Op::Rename && path.ends_with("vault/2.keys")).then_some(Fault::Forget(EIO))
    });
    let ledger = open(&world, &storage).unwrap();
    let kept = tell(&ledger, "ada").unwrap();
    assert!(matches!(ledger.rekey(), Err(EraseError::Failed(_))));
    assert_eq!(refusal(ledger.append(note("x"))), ledger::Unavailable::Fenced);
    drop(ledger);
    assert_eq!(world.open().stored(kept).unwrap().main(), Some(&b"ada"[..]));
}

/// Ends a stall, also where a test fails meanwhile.
struct Ends(Arc<AtomicBool>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

#[test]
fn commits_that_need_no_new_key_do_not_wait_while_the_vaults_key_is_changed() {
    let world = quick();
    let (stalls, stalled) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
    let (held, met) = (Arc::clone(&stalls), Arc::clone(&stalled));
    let storage = Faulty::new(move |_, op, path: &Path| {
        while op == Op::Write && path.ends_with("vault/2.keys.tmp") && held.load(Ordering::SeqCst) {
            met.store(true, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
        }
        None
    });
    let ledger = open(&world, &storage).unwrap();
    let ada = tell(&ledger, "ada").unwrap();
    let late = std::thread::scope(|scope| {
        let stall = Ends(stalls);
        let changing = scope.spawn(|| ledger.rekey());
        until("the new vault is being written", || stalled.load(Ordering::SeqCst));
        let durable = |draft| {
            let index = ledger.append(draft).unwrap().index();
            until("it is durable", || ledger.health().durable > index);
        };
        // Nobody's key and ada's are there.
        (0..20).for_each(|_| durable(note("no one's")));
        (0..20).for_each(|_| durable(about(&ledger, "ada")));
        assert!(!changing.is_finished());
        // Minh's is not.
        let minh = ledger.append(about(&ledger, "minh")).unwrap();
        drop(stall);
        changing.join().unwrap().unwrap();
        minh.wait().unwrap().index()
    });
    drop(ledger);
    let ledger = world.open();
    for (index, name) in [(ada, "ada"), (late, "minh")] {
        assert_eq!(ledger.stored(index).unwrap().main(), Some(name.as_bytes()));
    }
}
