//! Rows into columns.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Int32Builder, Int64Builder, ListBuilder, StringBuilder,
        StructBuilder, TimestampMillisecondBuilder,
    },
};
use arrow_schema::{ArrowError, DataType};
use proof::entry::Entry;

use super::{element, schema, start};
use crate::{
    row::{Links, Row, Start},
    words,
};

/// The columns of one row group while rows are added.
pub(crate) struct Columns {
    index: Int64Builder,
    version: Int32Builder,
    kind: StringBuilder,
    at: TimestampMillisecondBuilder,
    call: FixedSizeBinaryBuilder,
    opened: Int64Builder,
    subject: FixedSizeBinaryBuilder,
    model: StringBuilder,
    requested: StringBuilder,
    snapshot: FixedSizeBinaryBuilder,
    basis: ListBuilder<StringBuilder>,
    outcome: StringBuilder,
    code: StringBuilder,
    usage: [Int64Builder; 4],
    commitment: FixedSizeBinaryBuilder,
    key_epoch: Int32Builder,
    nonce: FixedSizeBinaryBuilder,
    links: LinkColumns,
    facts: Int64Builder,
    lease: Int64Builder,
    root: FixedSizeBinaryBuilder,
    covered: Int64Builder,
    meter: FixedSizeBinaryBuilder,
    private: BinaryBuilder,
    leaf: BinaryBuilder,
}

struct LinkColumns {
    subject: BooleanBuilder,
    /// Keys, organizations, models.
    ids: [ListBuilder<FixedSizeBinaryBuilder>; 3],
    in_force: BooleanBuilder,
    starts: ListBuilder<StructBuilder>,
}

impl Columns {
    pub(crate) fn new() -> Self {
        let bytes = FixedSizeBinaryBuilder::new;
        Self {
            index: Int64Builder::new(),
            version: Int32Builder::new(),
            kind: StringBuilder::new(),
            at: TimestampMillisecondBuilder::new().with_timezone("UTC"),
            call: bytes(16),
            opened: Int64Builder::new(),
            subject: bytes(16),
            model: StringBuilder::new(),
            requested: StringBuilder::new(),
            snapshot: bytes(32),
            basis: ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8)),
            outcome: StringBuilder::new(),
            code: StringBuilder::new(),
            usage: std::array::from_fn(|_| Int64Builder::new()),
            commitment: bytes(32),
            key_epoch: Int32Builder::new(),
            nonce: bytes(8),
            links: LinkColumns::new(),
            facts: Int64Builder::new(),
            lease: Int64Builder::new(),
            root: bytes(32),
            covered: Int64Builder::new(),
            meter: bytes(8),
            private: BinaryBuilder::new(),
            leaf: BinaryBuilder::new(),
        }
    }

    /// Adds a row and the sealed private part that it has.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] if a value does not fit its column, which no row that was taken apart makes.
    pub(crate) fn push(&mut self, row: &Row<'_>, sealed: Option<&[u8]>) -> Result<(), ArrowError> {
        self.index.append_option(number(Some(row.index)));
        self.push_entry(&row.entry)?;
        self.push_usage(&row.entry);
        self.links.push(row.links.as_ref())?;
        self.private.append_option(sealed);
        self.leaf.append_option(row.leaf.as_deref());
        Ok(())
    }

    fn push_entry(&mut self, entry: &Entry) -> Result<(), ArrowError> {
        self.version.append_value(i32::from(entry.version));
        self.kind.append_option(words::of_kind(entry.kind));
        self.at.append_option(number(Some(entry.at_ms)));
        push_bytes(&mut self.call, entry.call)?;
        self.opened.append_option(number(entry.opened));
        push_bytes(&mut self.subject, entry.subject)?;
        self.model.append_option(entry.model.as_deref());
        self.requested.append_option(entry.requested.as_deref());
        push_bytes(&mut self.snapshot, entry.snapshot)?;
        self.push_basis(entry.basis.as_deref());
        self.outcome.append_option(entry.outcome.and_then(words::of_outcome));
        self.code.append_option(entry.code.as_deref());
        push_bytes(&mut self.commitment, entry.private)?;
        self.key_epoch.append_option(entry.key_epoch.and_then(|epoch| i32::try_from(epoch).ok()));
        push_bytes(&mut self.nonce, entry.nonce)?;
        self.facts.append_option(number(entry.facts));
        self.lease.append_option(number(entry.lease));
        push_bytes(&mut self.root, entry.root)?;
        self.covered.append_option(number(entry.covered));
        push_bytes(&mut self.meter, entry.meter)
    }

    fn push_basis(&mut self, basis: Option<&[String]>) {
        for provision in basis.unwrap_or_default() {
            self.basis.values().append_value(provision);
        }
        self.basis.append(basis.is_some());
    }

    fn push_usage(&mut self, entry: &Entry) {
        let of = |used: proof::entry::Usage| {
            [used.input_tokens, used.output_tokens, Some(used.delivered_events), Some(used.delivered_bytes)]
        };
        let used = entry.usage.map_or([None; 4], of);
        self.usage.iter_mut().zip(used).for_each(|(column, value)| column.append_option(number(value)));
    }

    /// Takes the rows that were added, as one batch.
    ///
    /// # Errors
    ///
    /// [`ArrowError`] if the columns contradict the schema.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.index.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.at.finish()),
            Arc::new(self.call.finish()),
            Arc::new(self.opened.finish()),
            Arc::new(self.subject.finish()),
            Arc::new(self.model.finish()),
            Arc::new(self.requested.finish()),
            Arc::new(self.snapshot.finish()),
            Arc::new(self.basis.finish()),
            Arc::new(self.outcome.finish()),
            Arc::new(self.code.finish()),
        ];
        columns.extend(self.usage.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend([
            Arc::new(self.commitment.finish()) as ArrayRef,
            Arc::new(self.key_epoch.finish()),
            Arc::new(self.nonce.finish()),
        ]);
        columns.extend(self.links.finish());
        columns.extend([
            Arc::new(self.facts.finish()) as ArrayRef,
            Arc::new(self.lease.finish()),
            Arc::new(self.root.finish()),
            Arc::new(self.covered.finish()),
            Arc::new(self.meter.finish()),
            Arc::new(self.private.finish()),
            Arc::new(self.leaf.finish()),
        ]);
        RecordBatch::try_new(Arc::new(schema()), columns)
    }
}

impl LinkColumns {
    fn new() -> Self {
        let ids =
            || ListBuilder::new(FixedSizeBinaryBuilder::new(16)).with_field(element(DataType::FixedSizeBinary(16)));
        let starts = StructBuilder::from_fields(start(), 0);
        Self {
            subject: BooleanBuilder::new(),
            ids: [ids(), ids(), ids()],
            in_force: BooleanBuilder::new(),
            starts: ListBuilder::new(starts).with_field(element(DataType::Struct(start()))),
        }
    }

    fn push(&mut self, links: Option<&Links<'_>>) -> Result<(), ArrowError> {
        self.subject.append_option(links.map(|links| links.subject));
        self.in_force.append_option(links.map(|links| links.in_force));
        let none = Links::default();
        let given = links.unwrap_or(&none);
        let lists = [&given.keys, &given.organizations, &given.models];
        for (column, ids) in self.ids.iter_mut().zip(lists) {
            ids.iter().try_for_each(|id| column.values().append_value(id))?;
            column.append(links.is_some());
        }
        for start in &given.starts {
            push_start(self.starts.values(), *start);
        }
        self.starts.append(!given.starts.is_empty());
        Ok(())
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.subject.finish())];
        columns.extend(self.ids.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend([Arc::new(self.in_force.finish()) as ArrayRef, Arc::new(self.starts.finish())]);
        columns
    }
}

fn push_start(column: &mut StructBuilder, start: Start) {
    if let Some(link) = column.field_builder::<Int32Builder>(0) {
        link.append_option(i32::try_from(start.link).ok());
    }
    for (at, value) in [(1, start.seq), (2, start.back)] {
        if let Some(column) = column.field_builder::<Int64Builder>(at) {
            column.append_option(number(Some(value)));
        }
    }
    column.append(true);
}

fn push_bytes<const N: usize>(column: &mut FixedSizeBinaryBuilder, value: Option<[u8; N]>) -> Result<(), ArrowError> {
    match value {
        Some(value) => column.append_value(value),
        None => {
            column.append_null();
            Ok(())
        }
    }
}

/// A number that does not fit is left out: the whole leaf stands beside it then.
fn number(value: Option<u64>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}
