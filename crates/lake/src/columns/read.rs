//! Columns back into rows.

use std::borrow::Cow;

use arrow_array::{
    Array, BinaryArray, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray, TimestampMillisecondArray,
};
use proof::entry::{Entry, Usage};

use crate::{
    row::{Links, Row, Start},
    words,
};

/// The columns are not those of the lake.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum BadColumns {
    #[error("there is no column `{0}` of the type it must have")]
    Missing(&'static str),
    #[error("column `{column}` has a value in row {row} that means nothing")]
    Value { column: &'static str, row: usize },
}

/// The rows of one batch.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    batch: &'a RecordBatch,
    index: &'a Int64Array,
    version: &'a Int32Array,
    kind: &'a StringArray,
    at: &'a TimestampMillisecondArray,
    numbers: Numbers<'a>,
    key_epoch: &'a Int32Array,
    call: Bytes<'a, 16>,
    subject: Bytes<'a, 16>,
    snapshot: Bytes<'a, 32>,
    commitment: Bytes<'a, 32>,
    nonce: Bytes<'a, 8>,
    root: Bytes<'a, 32>,
    meter: Bytes<'a, 8>,
    model: &'a StringArray,
    requested: &'a StringArray,
    outcome: &'a StringArray,
    code: &'a StringArray,
    basis: Lists<'a, StringArray>,
    links: LinkColumns<'a>,
    private: &'a BinaryArray,
    leaf: &'a BinaryArray,
}

#[derive(Debug)]
struct Numbers<'a> {
    opened: &'a Int64Array,
    usage: [&'a Int64Array; 4],
    facts: &'a Int64Array,
    lease: &'a Int64Array,
    covered: &'a Int64Array,
}

/// Links hardly ever start a chain, so the columns of those that do are found once.
#[derive(Debug)]
struct Starts<'a> {
    lists: Lists<'a, StructArray>,
    links: &'a Int32Array,
    seqs: &'a Int64Array,
    backs: &'a Int64Array,
}

#[derive(Debug)]
struct LinkColumns<'a> {
    subject: &'a BooleanArray,
    keys: Lists<'a, FixedSizeBinaryArray>,
    organizations: Lists<'a, FixedSizeBinaryArray>,
    models: Lists<'a, FixedSizeBinaryArray>,
    in_force: &'a BooleanArray,
    starts: Starts<'a>,
}

/// A column of byte strings of one length.
#[derive(Debug)]
struct Bytes<'a, const N: usize> {
    name: &'static str,
    array: &'a FixedSizeBinaryArray,
}

/// A column of lists, its elements in one array.
#[derive(Debug)]
struct Lists<'a, T> {
    name: &'static str,
    lists: &'a ListArray,
    elements: &'a T,
}

impl<'a> Rows<'a> {
    /// Finds the columns in a batch by their names.
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<Self, BadColumns> {
        Ok(Self {
            batch,
            index: column(batch, "index")?,
            version: column(batch, "version")?,
            kind: column(batch, "kind")?,
            at: column(batch, "recorded_at")?,
            numbers: Numbers::of(batch)?,
            key_epoch: column(batch, "key_epoch")?,
            call: bytes(batch, "call")?,
            subject: bytes(batch, "subject")?,
            snapshot: bytes(batch, "snapshot")?,
            commitment: bytes(batch, "commitment")?,
            nonce: bytes(batch, "nonce")?,
            root: bytes(batch, "root")?,
            meter: bytes(batch, "meter")?,
            model: column(batch, "model")?,
            requested: column(batch, "requested")?,
            outcome: column(batch, "outcome")?,
            code: column(batch, "code")?,
            basis: lists(batch, "basis")?,
            links: LinkColumns::of(batch)?,
            private: column(batch, "private")?,
            leaf: column(batch, "leaf")?,
        })
    }

    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Returns the row at `at`.
    pub(crate) fn row(&self, at: usize) -> Result<Row<'a>, BadColumns> {
        let index = needed("index", at, number("index", self.index, at)?)?;
        let leaf = value(self.leaf, at, |at| self.leaf.value(at).to_vec());
        Ok(Row { index, entry: self.entry(at)?, links: self.links.row(at)?, leaf })
    }

    /// Returns the sealed private part in the row at `at`.
    pub(crate) fn sealed(&self, at: usize) -> Option<&'a [u8]> {
        value(self.private, at, |at| self.private.value(at))
    }

    fn entry(&self, at: usize) -> Result<Entry, BadColumns> {
        let kind = value(self.kind, at, |at| self.kind.value(at)).and_then(words::kind);
        let outcome = value(self.outcome, at, |at| self.outcome.value(at));
        let known = |word| words::outcome(word).ok_or(BadColumns::Value { column: "outcome", row: at });
        let epoch = value(self.key_epoch, at, |at| self.key_epoch.value(at)).map(u32::try_from).transpose();
        let version = u8::try_from(value(self.version, at, |at| self.version.value(at)).unwrap_or_default());
        let moment = value(self.at, at, |at| self.at.value(at)).map(u64::try_from).transpose();
        Ok(Entry {
            version: version.map_err(|_| bad("version", at))?,
            at_ms: needed("recorded_at", at, moment.map_err(|_| bad("recorded_at", at))?)?,
            call: self.call.at(at)?,
            opened: number("opened", self.numbers.opened, at)?,
            subject: self.subject.at(at)?,
            model: text(self.model, at),
            snapshot: self.snapshot.at(at)?,
            basis: self.basis(at)?,
            outcome: outcome.map(known).transpose()?,
            code: text(self.code, at),
            usage: self.numbers.usage(at)?,
            private: self.commitment.at(at)?,
            requested: text(self.requested, at),
            facts: number("facts", self.numbers.facts, at)?,
            lease: number("lease", self.numbers.lease, at)?,
            key_epoch: epoch.map_err(|_| bad("key_epoch", at))?,
            nonce: self.nonce.at(at)?,
            root: self.root.at(at)?,
            covered: number("covered", self.numbers.covered, at)?,
            meter: self.meter.at(at)?,
            ..Entry::new(kind.ok_or_else(|| bad("kind", at))?)
        })
    }

    fn basis(&self, at: usize) -> Result<Option<Vec<String>>, BadColumns> {
        let list = self.basis.range(at)?;
        Ok(list.map(|mut list| list.by_ref().filter_map(|at| text(self.basis.elements, at)).collect()))
    }
}

impl<'a> Numbers<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, BadColumns> {
        Ok(Self {
            opened: column(batch, "opened")?,
            usage: [
                column(batch, "input_tokens")?,
                column(batch, "output_tokens")?,
                column(batch, "delivered_events")?,
                column(batch, "delivered_bytes")?,
            ],
            facts: column(batch, "facts")?,
            lease: column(batch, "lease")?,
            covered: column(batch, "covered")?,
        })
    }

    fn usage(&self, at: usize) -> Result<Option<Usage>, BadColumns> {
        let [input, output, events, bytes] = self.usage;
        let Some(delivered_events) = number("delivered_events", events, at)? else {
            // Nothing may stand where only an engine would look.
            return nothing("delivered_events", [input, output, bytes].into_iter().all(|array| array.is_null(at)), at);
        };
        Ok(Some(Usage {
            input_tokens: number("input_tokens", input, at)?,
            output_tokens: number("output_tokens", output, at)?,
            delivered_events,
            delivered_bytes: needed("delivered_bytes", at, number("delivered_bytes", bytes, at)?)?,
        }))
    }
}

impl<'a> LinkColumns<'a> {
    fn of(batch: &'a RecordBatch) -> Result<Self, BadColumns> {
        Ok(Self {
            subject: column(batch, "subject_linked")?,
            keys: lists(batch, "keys")?,
            organizations: lists(batch, "organizations")?,
            models: lists(batch, "models")?,
            in_force: column(batch, "in_force_linked")?,
            starts: Starts::of(lists(batch, "starts")?)?,
        })
    }

    fn row(&self, at: usize) -> Result<Option<Links<'a>>, BadColumns> {
        let Some(organizations) = self.organizations.ids(at)? else {
            let lists = [self.keys.lists, self.models.lists, self.starts.lists.lists];
            let flags = [self.subject, self.in_force];
            let all = lists.iter().all(|list| list.is_null(at)) && flags.iter().all(|flag| flag.is_null(at));
            return nothing("organizations", all, at);
        };
        Ok(Some(Links {
            subject: needed("subject_linked", at, value(self.subject, at, |at| self.subject.value(at)))?,
            keys: needed("keys", at, self.keys.ids(at)?)?,
            organizations,
            models: needed("models", at, self.models.ids(at)?)?,
            in_force: needed("in_force_linked", at, value(self.in_force, at, |at| self.in_force.value(at)))?,
            starts: self.starts.row(at)?,
        }))
    }
}

impl<'a> Starts<'a> {
    fn of(lists: Lists<'a, StructArray>) -> Result<Self, BadColumns> {
        let within = lists.elements;
        let numbers = |name| within.column_by_name(name).and_then(|array| array.as_any().downcast_ref::<Int64Array>());
        let links = within.column_by_name("link").and_then(|array| array.as_any().downcast_ref::<Int32Array>());
        let (Some(links), Some(seqs), Some(backs)) = (links, numbers("seq"), numbers("back")) else {
            return Err(BadColumns::Missing("starts"));
        };
        Ok(Self { lists, links, seqs, backs })
    }

    fn row(&self, at: usize) -> Result<Vec<Start>, BadColumns> {
        self.lists.range(at)?.into_iter().flatten().map(|at| self.start(at)).collect()
    }

    fn start(&self, at: usize) -> Result<Start, BadColumns> {
        let link = value(self.links, at, |at| self.links.value(at)).and_then(|link| u32::try_from(link).ok());
        Ok(Start {
            link: link.ok_or_else(|| bad("starts", at))?,
            seq: needed("starts", at, number("starts", self.seqs, at)?)?,
            back: needed("starts", at, number("starts", self.backs, at)?)?,
        })
    }
}

impl<const N: usize> Bytes<'_, N> {
    fn at(&self, at: usize) -> Result<Option<[u8; N]>, BadColumns> {
        let bytes = value(self.array, at, |at| self.array.value(at));
        bytes.map(|bytes| bytes.try_into().map_err(|_| bad(self.name, at))).transpose()
    }
}

impl<T: Array> Lists<'_, T> {
    /// Returns where the elements of the list at `at` are; `None` where there is no list.
    fn range(&self, at: usize) -> Result<Option<std::ops::Range<usize>>, BadColumns> {
        if at >= self.lists.len() || self.lists.is_null(at) {
            return Ok(None);
        }
        let offsets = self.lists.value_offsets();
        let ends = offsets.get(at).zip(offsets.get(at + 1));
        let range = ends.and_then(|(from, to)| Some(usize::try_from(*from).ok()?..usize::try_from(*to).ok()?));
        range.filter(|range| range.end <= self.elements.len()).map(Some).ok_or_else(|| bad(self.name, at))
    }
}

impl<'a> Lists<'a, FixedSizeBinaryArray> {
    fn ids(&self, at: usize) -> Result<Option<Cow<'a, [[u8; 16]]>>, BadColumns> {
        let (all, rest) = self.elements.value_data().as_chunks();
        let plain = rest.is_empty() && self.elements.value_length() == 16 && self.elements.null_count() == 0;
        let ids = |range| all.get(range).filter(|_| plain).map(Cow::Borrowed).ok_or_else(|| bad(self.name, at));
        self.range(at)?.map(ids).transpose()
    }
}

fn column<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &'static str) -> Result<&'a T, BadColumns> {
    let found = batch.column_by_name(name).and_then(|array| array.as_any().downcast_ref());
    found.ok_or(BadColumns::Missing(name))
}

fn bytes<'a, const N: usize>(batch: &'a RecordBatch, name: &'static str) -> Result<Bytes<'a, N>, BadColumns> {
    Ok(Bytes { name, array: column(batch, name)? })
}

fn lists<'a, T: Array + 'static>(batch: &'a RecordBatch, name: &'static str) -> Result<Lists<'a, T>, BadColumns> {
    let lists: &ListArray = column(batch, name)?;
    let elements = lists.values().as_any().downcast_ref().ok_or(BadColumns::Missing(name))?;
    Ok(Lists { name, lists, elements })
}

/// Returns that nothing is there, if indeed there is not.
fn nothing<T>(column: &'static str, is_so: bool, at: usize) -> Result<Option<T>, BadColumns> {
    if is_so { Ok(None) } else { Err(bad(column, at)) }
}

/// Returns what `read` gives at `at`, unless nothing is there.
fn value<T>(array: &impl Array, at: usize, read: impl FnOnce(usize) -> T) -> Option<T> {
    (at < array.len() && !array.is_null(at)).then(|| read(at))
}

fn text(array: &StringArray, at: usize) -> Option<String> {
    value(array, at, |at| array.value(at).to_owned())
}

fn number(column: &'static str, array: &Int64Array, at: usize) -> Result<Option<u64>, BadColumns> {
    let number = value(array, at, |at| array.value(at));
    number.map(|number| u64::try_from(number).map_err(|_| bad(column, at))).transpose()
}

fn needed<T>(column: &'static str, row: usize, value: Option<T>) -> Result<T, BadColumns> {
    value.ok_or_else(|| bad(column, row))
}

fn bad(column: &'static str, row: usize) -> BadColumns {
    BadColumns::Value { column, row }
}
