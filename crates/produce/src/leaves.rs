//! The entries of a part of a log, in order, without their private parts.

use ledger::Reader;
use proof::entry::{ENTRY_BYTES_MAX, Entry};

use crate::{
    Fault,
    ahead::{Ahead, Weigh},
};

/// An index with the exact bytes of the entry: what is not copied keeps all that was written with it in memory.
type Leaf = (u64, Vec<u8>);

impl Weigh for Leaf {
    fn bytes(&self) -> usize {
        self.1.len()
    }
}

impl Weigh for (u64, Entry) {
    fn bytes(&self) -> usize {
        ENTRY_BYTES_MAX
    }
}

/// See [`Leaves::begin`].
#[derive(Debug)]
pub(crate) struct Leaves(Ahead<(u64, Entry)>);

impl Leaves {
    /// Goes through the entries from `begin` up to and without `end`, or to the end of the log. They are read on one thread
    /// and decoded on another, ahead of whoever wants them.
    pub(crate) fn begin(reader: &Reader, begin: u64, end: u64) -> Result<Self, Fault> {
        let mut entries = reader.entries(begin)?;
        let read = move || {
            let read = entries.next_unopened().transpose()?.filter(|read| read.index() < end);
            Ok(read.map(|read| (read.index(), read.leaf().to_vec())))
        };
        let mut read = Ahead::<Leaf>::begin("read", read)?;
        let decode = move || {
            let Some((index, leaf)) = read.next()? else { return Ok(None) };
            let entry = Entry::decode(&leaf).map_err(|_| Fault::Contradiction(index, "it is none"))?;
            Ok(Some((index, entry)))
        };
        Ahead::begin("decode", decode).map(Self)
    }

    /// Returns the next entry with its index; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Entry)>, Fault> {
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use ledger::{Draft, Ledger, LookupError, Options};
    use proof::entry::Kind;
    use terms::SystemClock;

    use super::*;
    use crate::ahead::CHUNK;

    fn log(dir: &std::path::Path, entries: usize) -> Ledger {
        let options = Options {
            origin: "log.larkspur.example/exeat/1".to_owned(),
            segment_bytes: 128 << 10,
            queue_entries: 8_192,
            checkpoint_every: Duration::from_millis(10),
            heads_every: Duration::from_hours(1),
        };
        let (ledger, _) = Ledger::open(dir, options, Arc::new(SystemClock::default())).unwrap();
        // No more at a time than the queue takes.
        for from in (0..entries).step_by(64) {
            let append = |_| ledger.append(Draft::new(Entry::new(Kind::Admin), "")).unwrap();
            let submitted: Vec<_> = (from..entries.min(from + 64)).map(append).collect();
            submitted.into_iter().for_each(|one| drop(one.wait().unwrap()));
        }
        ledger
    }

    fn indices(mut leaves: Leaves) -> Result<Vec<u64>, Fault> {
        let mut found = Vec::new();
        while let Some((index, _)) = leaves.next()? {
            found.push(index);
        }
        assert!(leaves.next()?.is_none(), "the end stays the end");
        Ok(found)
    }

    #[test]
    fn every_entry_of_the_part_comes_once_and_in_order_however_it_lies_in_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = log(dir.path(), 2 * CHUNK + 10);
        let size = ledger.health().durable;
        let chunk = CHUNK as u64;
        for (begin, end) in [(0, size), (1, chunk + 1), (5, chunk + 4), (chunk, 2 * chunk), (7, 7), (size, size + 5)] {
            let found = indices(Leaves::begin(&ledger.reader(), begin, end).unwrap()).unwrap();
            assert!(found.iter().copied().eq(begin..end.min(size).max(begin)), "{begin}..{end}: {}", found.len());
        }
    }

    #[test]
    fn damage_is_told_where_it_is_met_and_not_taken_for_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = log(dir.path(), 2 * CHUNK);
        ledger.stop().unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        let segment =
            std::fs::read_dir(dir.path().join("wal")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
        let mut bytes = std::fs::read(&segment).unwrap();
        bytes.iter_mut().skip(8_192).step_by(64).for_each(|byte| *byte ^= 1);
        std::fs::write(&segment, bytes).unwrap();
        let found = indices(Leaves::begin(&reader, 0, u64::MAX).unwrap());
        assert!(matches!(found, Err(Fault::Log(LookupError::Damaged(_)))), "{found:?}");
    }
}
