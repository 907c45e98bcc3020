//! Appends calls through the real ledger, as fast as it takes them.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

use ledger::{Draft, Ledger, Pending};
use proof::{commit::Fields, entry::Entry};
use serde_json::{Value, json};
use terms::{Clock, SystemClock};

use crate::{
    Asked, Failure,
    like::{self, Call, Like},
};

/// Calls that are open at once.
const LIVE: usize = 256;
/// Entries that may wait for the disk: below what the queue holds.
const WAITING: usize = 20_000;
/// How far back facts are referred to, as in the gateway.
const REFER_ENTRIES: u64 = 65_536;

/// Appends the calls, and closes the log unless a crash is asked for.
pub(crate) fn fill(asked: &Asked) -> Result<Value, Failure> {
    let like = like::read(&asked.ledger)?;
    let (ledger, _) = crate::open(&asked.ledger, &like.origin)?;
    let began = Instant::now();
    let mut filler =
        Filler { ledger: ledger.clone(), waiting: VecDeque::new(), live: VecDeque::new(), facts: BTreeMap::new() };
    let calls = like.calls.iter().enumerate().cycle();
    for (number, (which, call)) in (0..asked.count).zip(calls) {
        filler.open(number, which, call, &like, asked.own_facts)?;
        if filler.live.len() > LIVE {
            filler.close()?;
        }
    }
    while !filler.live.is_empty() && !asked.crash {
        filler.close()?;
    }
    filler.waiting.drain(..).try_for_each(|pending| pending.wait().map(drop))?;
    let answer =
        json!({ "calls": asked.count, "entries": ledger.health().durable, "seconds": began.elapsed().as_secs_f64() });
    // Not stopped, it is to the next opening as if the process had been killed.
    if !asked.crash {
        ledger.stop()?;
    }
    Ok(answer)
}

struct Filler<'a> {
    ledger: Ledger,
    waiting: VecDeque<Pending<()>>,
    /// Calls that are open, each with the index of its opening entry and its id.
    live: VecDeque<(u64, [u8; 16], &'a Call)>,
    /// Where the facts of each kind of call were recorded last.
    facts: BTreeMap<usize, u64>,
}

impl<'a> Filler<'a> {
    fn open(&mut self, number: u64, which: usize, call: &'a Call, like: &Like, own_facts: bool) -> Result<(), Failure> {
        let known = self.facts.get(&which).copied();
        let near = |index: &u64| self.ledger.submitted().saturating_sub(*index) < REFER_ENTRIES;
        let known = known.filter(|index| !own_facts && near(index));
        let facts = match known {
            Some(_) => Vec::new(),
            None => call.facts_at(SystemClock::default().now())?,
        };
        let id = id_of(number);
        let entry =
            Entry { call: Some(id), facts: known, snapshot: Some(*like.snapshot.digest()), ..call.open.clone() };
        let index = self.append(draft(entry, facts, &call.open_fields, call))?;
        if known.is_none() {
            self.facts.insert(which, index);
        }
        self.live.push_back((index, id, call));
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        let Some((opened, id, call)) = self.live.pop_front() else { return Ok(()) };
        let entry = Entry { call: Some(id), opened: Some(opened), ..call.close.clone() };
        self.append(draft(entry, Vec::new(), &call.close_fields, call)).map(drop)
    }

    /// Appends, and waits for the oldest if many wait for the disk; returns the index.
    fn append(&mut self, draft: Draft) -> Result<u64, Failure> {
        if self.waiting.len() >= WAITING {
            self.waiting.drain(..WAITING / 2).try_for_each(|pending| pending.wait().map(drop))?;
        }
        let pending = self.ledger.append(draft)?;
        let index = pending.index();
        self.waiting.push_back(pending);
        Ok(index)
    }
}

/// Makes a draft of an entry, without what the ledger sets.
fn draft(entry: Entry, facts: Vec<u8>, fields: &Fields, call: &Call) -> Draft {
    let entry = Entry { links: None, private: None, nonce: None, key_epoch: None, ..entry };
    let bare = Draft::new(entry, facts).on(call.chains.clone());
    fields.iter().fold(bare, |draft, (field, value)| draft.with(field, value))
}

/// Returns an id that looks as random as those of a gateway: bytes that do not compress.
fn id_of(number: u64) -> [u8; 16] {
    let hash = proof::tree::leaf_hash(&number.to_be_bytes());
    let mut id = [0; 16];
    id.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
    id
}
