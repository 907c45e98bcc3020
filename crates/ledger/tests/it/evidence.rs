//! What an entry shows beyond itself: its places in chains, the heads, the facts it refers to, and what is withheld
//! once a key is destroyed.

use std::{collections::BTreeMap, time::Duration};

use ledger::{Chain, Draft, EraseError, Ledger, OpenError, Private, Unavailable};
use proof::{
    commit::Field,
    entry::{Class, Entry, Kind},
    heads::Heads,
};

use crate::world::{World, closing, decode, note, opening, put, refusal, until};

/// Quarters of the year before the one that [`World`] begins in, and that one: the second of 2026.
const BEFORE: u32 = 2_026 * 4;
const NOW: u32 = BEFORE + 1;
const QUARTER: Duration = Duration::from_secs(92 * 86_400);

fn last(world: &World) -> u64 {
    world.entries().len() as u64 - 1
}

/// Opens and closes calls on several chains.
fn traffic(ledger: &Ledger, calls: std::ops::Range<u8>) {
    for call in calls {
        let mut draft = opening(ledger, call);
        let firm = ledger.chain(Class::Organization, &format!("organization:{}", call % 3));
        let chains: Vec<_> = draft.chains.iter().copied().chain([firm]).collect();
        draft = draft.on(chains.clone().into());
        let opened = ledger.append(draft).unwrap().wait().unwrap().index();
        let _closed = ledger.close(closing(call, opened).on(chains.into())).unwrap();
    }
}

/// Follows every chain through the log, and says how long each is.
fn follow(world: &World) -> BTreeMap<(Class, [u8; 16]), u64> {
    let mut chains = BTreeMap::new();
    for (index, entry) in (0_u64..).zip(world.entries()) {
        for link in entry.links.iter().flatten() {
            let (seq, last) = chains.get(&(link.class, link.id)).copied().unwrap_or((0, index));
            assert_eq!((link.seq, link.back), (seq, index - last), "entry {index}");
            chains.insert((link.class, link.id), (seq + 1, index));
        }
    }
    chains.into_iter().map(|(chain, (seq, _))| (chain, seq)).collect()
}

#[test]
fn the_entries_of_each_chain_are_numbered_without_a_gap_across_restarts() {
    let world = World::new();
    for round in 0..4 {
        let ledger = world.open();
        traffic(&ledger, round * 10..round * 10 + 10);
        match round {
            0 => ledger.stop().unwrap(),
            1 => drop(ledger.heads().unwrap().wait().unwrap()),
            _ => {}
        }
    }
    let chains = follow(&world);
    let mut lengths: Vec<_> = chains.iter().map(|((class, _), seq)| (*class, *seq)).collect();
    lengths.sort_unstable();
    assert_eq!(lengths[0], (Class::Subject, 80));
    assert_eq!(lengths[4], (Class::Model, 80));
    assert_eq!(lengths[1..4].iter().map(|(_, seq)| seq).sum::<u64>(), 80);
}

#[test]
fn links_stand_in_order_and_once_however_the_chains_are_given() {
    let world = World::new();
    let ledger = world.open();
    let chain = |class, name: &str| ledger.chain(class, name);
    let (ada, acme) = (chain(Class::Subject, "person:ada"), chain(Class::Organization, "organization:acme"));
    let draft = note("x").on([acme, ada, acme, ada].into());
    let index = ledger.append(draft).unwrap().wait().unwrap().index();
    let entry = decode(&ledger.stored(index).unwrap());
    let seen: Vec<_> = entry.links.iter().flatten().map(|link| Chain { class: link.class, id: link.id }).collect();
    assert_eq!(seen, [ada, acme]);
}

#[test]
fn an_entry_in_more_chains_than_it_takes_is_refused_and_takes_no_place() {
    let world = World::new();
    let ledger = world.open();
    let chains = |count: u8| (0..count).map(|id| Chain { class: Class::Organization, id: [id; 16] }).collect();
    assert_eq!(refusal(ledger.append(note("x").on(chains(17)))), Unavailable::TooLong);
    let index = ledger.append(note("x").on(chains(16))).unwrap().wait().unwrap().index();
    let entry = decode(&ledger.stored(index).unwrap());
    assert!(entry.links.iter().flatten().all(|link| (link.seq, link.back) == (0, 0)));
}

#[test]
fn every_snapshot_is_in_the_chain_of_what_was_in_force() {
    let world = World::new();
    let ledger = world.open();
    for round in 0..3 {
        let draft = Draft::new(Entry::new(Kind::Snapshot), format!("{{\"round\":{round}}}"));
        drop(ledger.append(draft).unwrap().wait().unwrap());
        put(&ledger, "between");
    }
    assert_eq!(follow(&world), BTreeMap::from([((Class::InForce, [0; 16]), 3)]));
}

#[test]
fn a_heads_entry_says_how_many_entries_it_is_about_and_a_stop_follows_one() {
    let world = World::new();
    let ledger = world.open();
    traffic(&ledger, 0..5);
    let index = ledger.heads().unwrap().wait().unwrap().index();
    let first = decode(&ledger.stored(index).unwrap());
    assert_eq!((first.kind, first.covered, first.private), (Kind::Heads, Some(index), None));
    ledger.stop().unwrap();
    let entries = world.entries();
    let [.., heads, stop] = entries.as_slice() else { panic!() };
    assert_eq!((heads.kind, stop.kind), (Kind::Heads, Kind::Stop));
    // Nothing came between the two, so the map is the same.
    assert_eq!(heads.root, first.root);
    assert_eq!(heads.covered, Some(last(&world) - 1));
}

#[test]
fn every_heads_entry_has_the_root_that_the_entries_before_it_add_up_to() {
    let world = World::new();
    for round in 0..3 {
        let ledger = world.open();
        traffic(&ledger, round * 10..round * 10 + 10);
        drop(ledger.heads().unwrap().wait().unwrap());
        traffic(&ledger, round * 10..round * 10 + 3);
        ledger.stop().unwrap();
    }
    let (mut heads, mut found) = (Heads::new(), 0);
    for (index, entry) in (0_u64..).zip(world.entries()) {
        if entry.kind == Kind::Heads {
            assert_eq!((entry.root, entry.covered), (Some(heads.root()), Some(index)));
            found += 1;
        }
        heads.apply(index, &entry).unwrap();
    }
    assert_eq!((found, heads.chains()), (6, 5));
}

#[test]
fn heads_are_written_by_themselves_where_something_was_recorded_and_nowhere_else() {
    let mut world = World::new();
    world.options.heads_every = Duration::from_millis(1);
    let ledger = world.open();
    let count = || world.kinds().into_iter().filter(|kind| *kind == Kind::Heads).count();
    until("the first is written", || count() == 1);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(count(), 1);
    put(&ledger, "something");
    until("the second is written", || count() == 2);
}

/// Three logs with the same chains: one goes on from what was saved, one without, one with something else there.
#[test]
fn heads_are_the_same_whether_they_are_read_from_the_file_or_from_the_whole_log() {
    let roots = ["kept", "removed", "replaced"].map(|what| {
        let world = World::new();
        let ledger = world.open();
        let chains: Vec<_> = (0..40).map(|id| Chain { class: Class::Key, id: [id; 16] }).collect();
        for (n, chain) in chains.iter().enumerate() {
            for _ in 0..=n {
                drop(ledger.append(note("x").on([*chain].into())).unwrap().wait().unwrap());
            }
        }
        ledger.stop().unwrap();
        let saved = world.dir().join("wal/heads");
        match what {
            "removed" => std::fs::remove_file(&saved).unwrap(),
            "replaced" => {
                let other = World::new();
                other.open().stop().unwrap();
                std::fs::copy(other.dir().join("wal/heads"), &saved).unwrap();
            }
            _ => {}
        }
        let ledger = world.open();
        drop(ledger.append(note("x").on([chains[7]].into())).unwrap().wait().unwrap());
        let index = ledger.heads().unwrap().wait().unwrap().index();
        decode(&ledger.stored(index).unwrap()).root.unwrap()
    });
    assert_eq!(roots[0], roots[1]);
    assert_eq!(roots[0], roots[2]);
}

fn refers(ledger: &Ledger, subject: &str, to: u64) -> u64 {
    let mut entry = Entry::new(Kind::Refusal);
    entry.subject = Some(ledger.pseudonym(subject));
    entry.call = Some([9; 16]);
    entry.facts = Some(to);
    ledger.append(Draft::new(entry, "")).unwrap().wait().unwrap().index()
}

#[test]
fn an_entry_that_refers_to_earlier_facts_is_shown_with_them() {
    let world = World::new();
    let ledger = world.open();
    let opened = ledger.append(opening(&ledger, 1)).unwrap().wait().unwrap().index();
    let refusal = refers(&ledger, "ada", opened);
    for _ in 0..2 {
        let stored = ledger.stored(refusal).unwrap();
        assert_eq!((stored.main(), stored.field(Field::Main)), (Some(&b"{}"[..]), None));
    }
    let read: Vec<_> = world.reader().entries(refusal).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(read[0].main(), Some(&b"{}"[..]));
}

#[test]
fn facts_of_another_subject_or_of_a_later_entry_are_damage() {
    let world = World::new();
    let ledger = world.open();
    let opened = ledger.append(opening(&ledger, 1)).unwrap().wait().unwrap().index();
    for wrong in [refers(&ledger, "minh", opened), refers(&ledger, "ada", opened + 50), refers(&ledger, "ada", 1)] {
        assert!(ledger.stored(wrong).is_err(), "entry {wrong}");
    }
}

#[test]
fn fields_are_kept_with_salts_that_open_the_commitment_and_lie_sealed_on_the_disk() {
    let world = World::new();
    let ledger = world.open();
    let draft = opening(&ledger, 1).with(Field::Request, vec![0x5a; 32]);
    let index = ledger.append(draft).unwrap().wait().unwrap().index();
    let stored = ledger.stored(index).unwrap();
    let openings = stored.private.openings().unwrap();
    assert_eq!(openings.iter().map(|(field, _)| field).collect::<Vec<_>>(), [Field::Main, Field::Request]);
    assert_eq!(openings.commitment(), decode(&stored).private);
    assert_eq!(stored.field(Field::Request), Some(&[0x5a; 32][..]));
    let segment = std::fs::read(world.segment()).unwrap();
    assert!(!segment.windows(8).any(|window| window == [0x5a; 8]));
}

#[test]
fn without_a_subjects_key_its_private_parts_are_withheld_and_everything_else_is_as_before() {
    let world = World::new();
    let ledger = world.open();
    let opened = ledger.append(opening(&ledger, 1)).unwrap().wait().unwrap().index();
    let refusal = refers(&ledger, "ada", opened);
    drop(ledger.close(closing(1, opened)).unwrap().wait().unwrap());
    let note = put(&ledger, "about nobody");
    let ada = ledger.pseudonym("ada");
    assert_eq!(ledger.stored(refusal).unwrap().main(), Some(&b"{}"[..]));
    assert!(matches!(ledger.erase(&ada, NOW), Err(EraseError::Current(NOW))));
    assert!(matches!(ledger.erase(&[0; 16], BEFORE), Err(EraseError::Shared)));
    world.clock.advance(QUARTER);
    let later = ledger.append(opening(&ledger, 2)).unwrap().wait().unwrap().index();
    assert!(!ledger.erase(&ada, BEFORE).unwrap());
    assert!(ledger.erase(&ada, NOW).unwrap());
    assert!(!ledger.erase(&ada, NOW).unwrap());
    let check = |ledger: &Ledger| {
        let stored = ledger.stored(opened).unwrap();
        assert_eq!((&stored.private, stored.main()), (&Private::Withheld, None));
        assert_eq!(ledger.stored(refusal).unwrap().main(), None);
        assert_eq!(ledger.stored(later).unwrap().main(), Some(&b"{}"[..]));
        assert_eq!(ledger.stored(note).unwrap().main(), Some(&b"about nobody"[..]));
        until("the entry is covered", || ledger.health().checkpoint > opened);
        assert_eq!(ledger.receipt(opened).unwrap().leaf, stored.leaf);
    };
    check(&ledger);
    ledger.rekey().unwrap();
    check(&ledger);
    ledger.stop().unwrap();
    check(&world.open());
    assert!(world.reader().entries(0).unwrap().all(|entry| entry.is_ok()));
}

#[test]
fn a_log_whose_keys_are_missing_or_too_few_is_damaged() {
    let world = World::new();
    let ledger = world.open();
    traffic(&ledger, 0..3);
    ledger.stop().unwrap();
    let keys = world.dir().join("vault/1.keys");
    let whole = std::fs::read(&keys).unwrap();
    let refused = || match world.try_open() {
        Err(OpenError::Damaged { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    std::fs::write(&keys, &whole[..128]).unwrap();
    assert!(refused().contains("the log says 2"));
    std::fs::remove_file(&keys).unwrap();
    assert!(refused().contains("has no keys"));
    std::fs::write(&keys, whole).unwrap();
    assert!(world.try_open().is_ok());
}

#[test]
fn an_entry_that_comes_when_a_quarter_ends_is_kept_under_the_key_of_its_time() {
    let world = World::new();
    let ledger = world.open();
    let first = ledger.append(opening(&ledger, 1)).unwrap().wait().unwrap().index();
    world.clock.advance(QUARTER);
    put(&ledger, "in the next quarter");
    // Now the clock steps back by less than is tolerated, so the entry gets the time of the one before.
    let there = terms::Clock::now(&*world.clock);
    world.clock.set(terms::Moment::from_millis(there.as_millis() - 1));
    let second = ledger.append(opening(&ledger, 2)).unwrap().wait().unwrap().index();
    let epoch = |index| decode(&ledger.stored(index).unwrap()).key_epoch;
    assert_eq!((epoch(first), epoch(second)), (Some(NOW), Some(NOW + 1)));
}
