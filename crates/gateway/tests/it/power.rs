//! Power cuts behind a gateway: whatever a caller has heard is covered by the record that the disk then has.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "parts of a test")]

mod journal;

use std::{path::Path, sync::Arc, thread};

use ledger::{Ledger, Stored, storage::Disk};
use proof::{
    commit::Field,
    entry::{Entry, Kind, Outcome, Usage},
    tree::leaf_hash,
};
use sha2::{Digest, Sha256};
use terms::{Clock, ManualClock};

use self::journal::{Power, Random};
use crate::world::{CHAT, World, audit, body, chat, now, options};

/// Cuts that a test run has time for; `EXEAT_POWER_CUTS` asks for more.
const CUTS: usize = 200;
/// How many are made at once: most of the time of each is spent waiting.
const AT_ONCE: usize = 8;
/// Callers, and how often each calls: streams and whole answers in turn.
const CALLERS: usize = 2;
const CALLS: usize = 4;
/// Events of a stream, and how many its caller may hear before another entry is durable.
const EVENTS: usize = 20;
const LEASE: u64 = 4;

/// What a caller heard of one answer.
struct Heard {
    receipt: String,
    body: Vec<u8>,
    is_whole: bool,
}

/// What was heard in all, so that the test proves something.
#[derive(Debug, Default)]
struct Covered {
    cuts: usize,
    interrupted: usize,
    whole: usize,
}

#[test]
fn whatever_a_caller_heard_is_covered_by_what_a_power_cut_leaves_of_the_record() {
    let cuts = std::env::var("EXEAT_POWER_CUTS").ok();
    let cuts: usize = cuts.map_or(CUTS, |cuts| cuts.parse().unwrap());
    let steps = steps_of_a_run();
    let covered = thread::scope(|scope| {
        let some = |worker| scope.spawn(move || cut_often((worker..cuts).step_by(AT_ONCE), steps));
        let workers: Vec<_> = (0..AT_ONCE).map(some).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).fold(Covered::default(), Covered::and)
    });
    println!("{covered:?} of {cuts}, each within {steps} steps");
    assert!(covered.cuts > cuts / 2 && covered.interrupted > cuts / 20 && covered.whole > cuts, "{covered:?}");
}

/// Returns how many steps the disk takes while all calls are made.
fn steps_of_a_run() -> usize {
    let power = Power::default();
    let world = powered(&power);
    let before = power.steps();
    assert_eq!(call_all(&world).len(), CALLERS * CALLS);
    power.steps() - before
}

fn cut_often(rounds: impl Iterator<Item = usize>, steps: usize) -> Covered {
    let one = |round: usize| {
        let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(round as u64 + 1));
        let after = random.below(steps);
        cut(after, &mut random, &format!("cut {round}, after {after} steps"))
    };
    rounds.map(one).fold(Covered::default(), Covered::and)
}

/// Lets the power go after some steps, and holds what was heard against one of the states that the disk may then have.
fn cut(after: usize, random: &mut Random, when: &str) -> Covered {
    let power = Power::default();
    let world = powered(&power);
    power.goes_after(after);
    let heard = call_all(&world);
    let (was_off, from) = (power.is_off(), world.dir().join("ledger"));
    power.goes_after(0);
    drop(world);
    let left = tempfile::tempdir().unwrap();
    power.leave(&from, left.path(), random);
    let covered = check(left.path(), &heard, when);
    Covered { cuts: usize::from(was_off), ..covered }
}

/// Makes a world on this disk, with its snapshot on record.
fn powered(power: &Power) -> World {
    World::on(Arc::new(power.clone()), |settings| settings.lease_events = LEASE).recorded()
}

/// Makes all calls, until one is refused; returns what was heard.
fn call_all(world: &World) -> Vec<Heard> {
    let keys: Vec<String> = (0..CALLERS).map(|n| world.person(&format!("ada-{n}"), true)).collect();
    thread::scope(|scope| {
        let callers =
            keys.iter().map(|key| scope.spawn(|| (0..CALLS).map_while(|n| call(world, key, n % 2 == 0)).collect()));
        let callers: Vec<_> = callers.collect();
        callers.into_iter().flat_map(|caller| -> Vec<Heard> { caller.join().unwrap() }).collect()
    })
}

/// Calls, and listens to the end; `None` if nothing was heard.
fn call(world: &World, key: &str, stream: bool) -> Option<Heard> {
    let pace = format!("slow-{EVENTS}-1");
    let mut answer = world.post_with(key, CHAT, &[("x-fake", &pace)], &body(&chat("mythos-5", stream)));
    if answer.head.status != 200 {
        return None;
    }
    let receipt = answer.head.get("x-exeat-receipt").unwrap().to_owned();
    let mut body = Vec::new();
    let ended = loop {
        match answer.next_piece() {
            Ok(Some(piece)) => body.extend(piece),
            ended => break ended.is_ok(),
        }
    };
    let is_whole = ended && (!stream || body.ends_with(b"data: [DONE]\n\n"));
    (!body.is_empty()).then_some(Heard { receipt, body, is_whole })
}

/// Opens the log that is left and holds what was heard against it.
fn check(dir: &Path, heard: &[Heard], when: &str) -> Covered {
    let clock = Arc::new(ManualClock::at(now())) as Arc<dyn Clock>;
    let (ledger, _) =
        Ledger::open_on(Arc::new(Disk), dir, options(), clock).unwrap_or_else(|error| panic!("{when}: {error}"));
    let stored: Vec<Stored> = ledger.reader().entries(0).unwrap().map(|stored| stored.unwrap()).collect();
    let mut covered = Covered::default();
    for heard in heard {
        let outcome = covers(&stored, heard, when);
        covered.whole += usize::from(heard.is_whole);
        covered.interrupted += usize::from(outcome == Outcome::Interrupted);
    }
    ledger.stop().unwrap();
    let report = audit(&ledger, dir);
    assert!(report.holds(), "{when}: {report}");
    covered
}

/// Checks that the record covers all that was heard of an answer; returns how it says that the call ended.
fn covers(stored: &[Stored], heard: &Heard, when: &str) -> Outcome {
    let (index, leaf) = heard.receipt.split_once('-').unwrap();
    let index: usize = index.parse().unwrap();
    let open = stored.get(index).unwrap_or_else(|| panic!("{when}: entry {index} is lost"));
    let hash: String = leaf_hash(&open.leaf)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, leaf, "{when}");
    let closes = stored.iter().map(|stored| (Entry::decode(&stored.leaf).unwrap(), stored));
    let mut closes = closes.filter(|(entry, _)| entry.kind == Kind::Close && entry.opened == Some(index as u64));
    let (close, kept) = closes.next().unwrap_or_else(|| panic!("{when}: the call of entry {index} is open"));
    let words = String::from_utf8_lossy(&heard.body).matches("word-").count() as u64;
    if heard.is_whole {
        let usage = close.usage.unwrap_or_else(|| panic!("{when}: {close:?}"));
        assert_eq!(
            (close.outcome, usage.delivered_bytes),
            (Some(Outcome::Completed), heard.body.len() as u64),
            "{when}"
        );
        assert_eq!(kept.field(Field::Response).unwrap()[..], Sha256::digest(&heard.body)[..], "{when}");
    } else {
        let delivered = close.usage.as_ref().map(|usage: &Usage| usage.delivered_events);
        let bound = delivered.or(close.lease).unwrap();
        assert!(words <= bound, "{when}: {words} events were heard, and the record says {bound}: {close:?}");
    }
    close.outcome.unwrap()
}

impl Covered {
    fn and(self, other: Self) -> Self {
        Self {
            cuts: self.cuts + other.cuts,
            interrupted: self.interrupted + other.interrupted,
            whole: self.whole + other.whole,
        }
    }
}
