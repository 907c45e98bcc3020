//! How much is sent at a time.

use bytes::Bytes;
use ledger::{LookupError, Reader};
use proof::entry::DecodeError;

use super::Sink;
use crate::event::{Event, Format};

/// Limits of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Entries that are looked at.
    pub entries: u64,
    /// Bytes that are sent; one event may be larger.
    pub bytes: usize,
}

impl Default for Limits {
    /// 500 entries, 1 MiB.
    fn default() -> Self {
        Self { entries: 500, bytes: 1 << 20 }
    }
}

/// Entries from one index up to another, as a sink is told of them.
#[derive(Debug)]
pub(super) struct Batch {
    /// The first entry.
    pub(super) from: u64,
    /// Where the next batch begins.
    pub(super) next: u64,
    /// Events that were too long for the sink, and leaves that are no entries of this version.
    pub(super) skipped: u64,
    /// May be empty: no entry had a word in the format.
    pub(super) bytes: Bytes,
}

impl Batch {
    /// Reads the next batch: entries from `from` on, of those that the log has signed.
    ///
    /// # Errors
    ///
    /// [`LookupError`].
    pub(super) fn read(
        reader: &Reader,
        origin: &str,
        from: u64,
        format: Format,
        sink: &Sink,
        limits: Limits,
    ) -> Result<Self, LookupError> {
        let end = reader.checkpoint_size()?.min(from.saturating_add(limits.entries));
        let mut batch = Self { from, next: from, skipped: 0, bytes: Bytes::new() };
        let mut bytes = Vec::new();
        if from >= end {
            return Ok(batch);
        }
        for stored in reader.entries(from)? {
            let stored = stored?;
            if stored.index >= end || bytes.len() >= limits.bytes {
                break;
            }
            batch.next = stored.index + 1;
            let event = Event::new(origin, stored.index, stored.leaf);
            bytes.extend(batch.spell(event, format, sink).unwrap_or_default());
        }
        batch.bytes = bytes.into();
        Ok(batch)
    }

    /// Returns the bytes by which the sink is told of an entry; counts what it cannot be told of.
    fn spell(&mut self, event: Result<Event, DecodeError>, format: Format, sink: &Sink) -> Option<Vec<u8>> {
        let Ok(event) = event else {
            self.skipped += 1;
            return None;
        };
        let spelled = sink.spelled(&event, format);
        // Not every entry has a word in this format: nothing is left out then.
        let has_word = format != Format::Otel;
        self.skipped += u64::from(spelled.is_none() && has_word);
        spelled
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use ledger::{Draft, Ledger, Options};
    use proof::entry::{Entry, Kind};
    use terms::SystemClock;

    use super::*;

    const ORIGIN: &str = "log.example.com/exeat/1";

    /// Makes a log of a genesis, a start, `acts` acts, the last heads and a stop, all of them signed.
    fn log_of(acts: u64) -> (tempfile::TempDir, Reader) {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            origin: ORIGIN.to_owned(),
            segment_bytes: 1 << 20,
            queue_entries: 64,
            checkpoint_every: Duration::from_millis(20),
            heads_every: Duration::from_secs(3_600),
        };
        let (ledger, _) = Ledger::open(dir.path(), options, Arc::new(SystemClock::default())).unwrap();
        for act in 0..acts {
            let entry = Entry { code: Some(format!("act.{act}")), ..Entry::new(Kind::Admin) };
            ledger.append(Draft::new(entry, "{}")).unwrap().wait().unwrap().into_inner();
        }
        ledger.stop().unwrap();
        let reader = Reader::open(dir.path()).unwrap();
        (dir, reader)
    }

    fn collector() -> Sink {
        Sink::syslog("tcp://127.0.0.1:514", None).unwrap()
    }

    #[test]
    fn batches_follow_each_other_without_a_gap_up_to_what_is_signed() {
        let (_dir, reader) = log_of(7);
        let signed = reader.checkpoint_size().unwrap();
        let limits = Limits { entries: 4, bytes: 1 << 20 };
        let mut from = 0;
        let mut sent = 0;
        while from < signed {
            let batch = Batch::read(&reader, ORIGIN, from, Format::Ocsf, &collector(), limits).unwrap();
            assert_eq!((batch.from, batch.skipped), (from, 0));
            assert!(batch.next > from && batch.next <= from + 4);
            sent += batch.bytes.windows(14).filter(|bytes| bytes == b"[exeat@32473 l").count();
            from = batch.next;
        }
        assert_eq!(u64::try_from(sent).unwrap(), signed);
        let none = Batch::read(&reader, ORIGIN, signed, Format::Ocsf, &collector(), limits).unwrap();
        assert_eq!((none.next, none.bytes.len()), (signed, 0));
    }

    #[test]
    fn a_leaf_that_is_no_entry_is_passed_over_and_counted() {
        let mut batch = Batch { from: 0, next: 0, skipped: 0, bytes: Bytes::new() };
        let spelled = [b"no entry".to_vec(), Entry::new(Kind::Stop).encode().unwrap()]
            .map(|leaf| batch.spell(Event::new(ORIGIN, 3, leaf), Format::Jsonl, &collector()).is_some());
        assert_eq!((spelled, batch.skipped), ([false, true], 1));
    }

    #[test]
    fn a_batch_ends_after_the_event_that_fills_it() {
        let (_dir, reader) = log_of(3);
        let limits = Limits { entries: 100, bytes: 1 };
        let batch = Batch::read(&reader, ORIGIN, 0, Format::Jsonl, &collector(), limits).unwrap();
        assert_eq!(batch.next, 1);
    }

    #[test]
    fn entries_without_a_word_in_the_format_are_passed_over() {
        let (_dir, reader) = log_of(2);
        let batch = Batch::read(&reader, ORIGIN, 0, Format::Otel, &collector(), Limits::default()).unwrap();
        assert_eq!((batch.next, batch.skipped, batch.bytes.len()), (reader.checkpoint_size().unwrap(), 0, 0));
    }
}
