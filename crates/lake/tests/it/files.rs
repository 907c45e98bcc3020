//! Files: what is written reads back, and nothing else does.

use std::sync::OnceLock;

use bytes::Bytes;
use lake::{BadFile, File, Record, SPAN_LEAVES, SourceError, Span, WriteError};
use proof::{
    entry::{Entry, Kind},
    tree::leaf_hash,
};

use crate::{
    memory::{ORIGIN, root},
    traffic::Traffic,
};

/// One file of calls, made once for all tests.
fn sample() -> &'static (Vec<Record>, Bytes) {
    static SAMPLE: OnceLock<(Vec<Record>, Bytes)> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let records: Vec<Record> = Traffic::new(1, 64).take(SPAN_LEAVES as usize).collect();
        let written = lake::write(ORIGIN, Span::around(0), &root(&records), whole(&records)).unwrap();
        (records, written.bytes)
    })
}

/// The records of a log that can be read.
fn whole(records: &[Record]) -> impl Iterator<Item = Result<Record, SourceError>> {
    records.iter().cloned().map(Ok)
}

fn unpacked(file: &File) -> Vec<Record> {
    file.leaves().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_file_gives_back_every_leaf_and_every_sealed_part() {
    let (records, bytes) = sample();
    let file = File::open(bytes.clone()).unwrap();
    assert_eq!((file.origin(), file.span()), (ORIGIN, Span::around(0)));
    file.verify(&root(records)).unwrap();
    assert!(unpacked(&file) == *records);
}

#[test]
fn a_file_with_another_root_than_the_trees_is_refused() {
    let (_, bytes) = sample();
    let file = File::open(bytes.clone()).unwrap();
    assert_eq!(file.verify(&[7; 32]), Err(BadFile::Root(Span::around(0))));
}

#[test]
fn a_file_is_not_written_over_leaves_that_are_not_the_trees() {
    let (records, _) = sample();
    let write = |root, records: &[Record]| lake::write(ORIGIN, Span::around(0), &root, whole(records));
    assert!(matches!(write([0; 32], records).unwrap_err(), WriteError::Check { .. }));
    assert!(matches!(write([0; 32], &records[..9]).unwrap_err(), WriteError::Missing(9)));
    let strange = [Record { leaf: b"no entry".to_vec(), sealed: None }];
    assert!(matches!(write([0; 32], &strange).unwrap_err(), WriteError::NotAnEntry(0)));
}

#[test]
fn long_private_parts_beyond_what_a_file_has_room_for_stay_in_the_log() {
    let (leaves, _) = sample();
    // A body of a mebibyte in each of the first 300 leaves, and 4 KiB in the next 300.
    let sealed = |index| match index {
        0..300 => Some(vec![index as u8; 1 << 20]),
        300..600 => Some(vec![index as u8; 4 << 10]),
        _ => None,
    };
    let records =
        || (0..).zip(leaves).map(|(index, record)| Record { leaf: record.leaf.clone(), sealed: sealed(index) });
    let root = root(leaves);
    let write = || lake::write(ORIGIN, Span::around(0), &root, records().map(Ok::<_, SourceError>)).unwrap();
    let written = write();
    assert_eq!(written.left, 300 - 256);
    let file = File::open(written.bytes.clone()).unwrap();
    for (index, (read, wrote)) in file.leaves().map(Result::unwrap).zip(records()).enumerate() {
        let left = (256..300).contains(&index);
        assert!(read.leaf == wrote.leaf && read.sealed == wrote.sealed.filter(|_| !left), "{index}");
    }
    // Whoever writes them a second time writes the same.
    assert!(write().bytes == written.bytes);
}

#[test]
fn a_log_that_cannot_be_read_makes_no_file() {
    let (records, _) = sample();
    let broken = whole(&records[..9]).chain([Err(SourceError("the disk".to_owned()))]);
    let error = lake::write(ORIGIN, Span::around(0), &[0; 32], broken).unwrap_err();
    assert!(matches!(error, WriteError::Source(_)), "{error}");
}

/// A file of entries that are read fast, since it is read hundreds of times; some of them have a sealed part.
fn plain() -> &'static (Vec<Record>, Bytes) {
    static PLAIN: OnceLock<(Vec<Record>, Bytes)> = OnceLock::new();
    PLAIN.get_or_init(|| {
        let record = |index: u64| {
            let entry = Entry { at_ms: 1_000 + index * 7, ..Entry::new(Kind::Snapshot) };
            let leaf = entry.encode().unwrap();
            let sealed = index.is_multiple_of(64).then(|| leaf_hash(&leaf).to_vec());
            Record { leaf, sealed }
        };
        let records: Vec<Record> = (0..SPAN_LEAVES).map(record).collect();
        let written = lake::write(ORIGIN, Span::around(0), &root(&records), whole(&records)).unwrap();
        (records, written.bytes)
    })
}

/// The plain file with a bit of one byte changed.
fn changed(at: usize) -> Bytes {
    let mut bytes = plain().1.to_vec();
    bytes[at] ^= 1 << (at % 8);
    bytes.into()
}

/// Verifies changed files, each of which must be refused or have the leaves of the one that is whole, all of them and no
/// others; returns how many are refused.
fn refused(files: &[(usize, File)]) -> usize {
    let (records, _) = plain();
    let root = root(records);
    let mut refused = 0;
    for (at, file) in files {
        if file.origin() != ORIGIN || file.verify(&root).is_err() {
            refused += 1;
            continue;
        }
        let leaves = unpacked(file);
        assert_eq!((file.span(), leaves.len()), (Span::around(0), records.len()), "byte {at}");
        assert!(leaves == *records, "byte {at} gives other leaves");
    }
    refused
}

/// Returns where the metadata begins: its length stands before the magic at the end.
pub(crate) fn footer(bytes: &[u8]) -> usize {
    let (_, end) = bytes.split_at(bytes.len() - 8);
    bytes.len() - 8 - u32::from_le_bytes(*end.first_chunk().unwrap()) as usize
}

#[test]
fn a_changed_byte_of_the_columns_never_gives_other_leaves() {
    let (_, bytes) = plain();
    let end = footer(bytes);
    let places = (0..48).map(|n| 4 + (end - 4) * n / 48);
    let files: Vec<_> = places.filter_map(|at| Some((at, File::open(changed(at)).ok()?))).collect();
    let refused = 48 - files.len() + refused(&files);
    println!("{refused} of 48 files with other columns are refused, of {} bytes", bytes.len());
    assert!(refused >= 40, "{refused}");
}

#[test]
fn a_changed_byte_of_the_metadata_never_gives_other_leaves() {
    let (_, bytes) = plain();
    let all = footer(bytes)..bytes.len();
    let opened = all.clone().filter_map(|at| Some((at, File::open(changed(at)).ok()?)));
    let opened: Vec<_> = opened.collect();
    let unread = all.len() - opened.len();
    let some: Vec<_> = opened.iter().step_by(opened.len().div_ceil(24)).cloned().collect();
    let refused = refused(&some);
    println!("of {} bytes {unread} make it unreadable; of {} others {refused} are refused", all.len(), some.len());
    assert!(unread >= 1_500 && some.len() >= 20 && refused >= 1, "{unread} {} {refused}", some.len());
}

/// Returns the file changed, in its metadata alone, wherever these bytes stand; and how often they do.
fn said_otherwise(bytes: &[u8], said: u64) -> (usize, Bytes) {
    let said = said.to_le_bytes();
    let places = (footer(bytes)..bytes.len() - 8).filter(|at| bytes[*at..].starts_with(&said));
    let mut otherwise = bytes.to_vec();
    (places.map(|at| otherwise[at] ^= 1).count(), otherwise.into())
}

#[test]
fn a_file_that_says_other_bounds_than_its_rows_have_is_refused() {
    let (records, bytes) = sample();
    let at = |record: &Record| Entry::decode(&record.leaf).unwrap().at_ms;
    for said in [SPAN_LEAVES - 1, at(&records[0]), at(&records[records.len() - 1])] {
        let (places, file) = said_otherwise(bytes, said);
        let verified = File::open(file).and_then(|file| file.verify(&root(records)));
        assert_eq!((places, verified), (2, Err(BadFile::Bounds(SPAN_LEAVES))), "{said}");
    }
}

#[test]
fn any_bytes_are_read_or_refused_without_a_panic() {
    let (records, bytes) = sample();
    let root = root(records);
    for cut in [0, 1, 4, 8, 12, 100, bytes.len() / 2, bytes.len() - 1] {
        assert!(File::open(bytes.slice(..cut)).is_err(), "{cut}");
        let rest = File::open(bytes.slice(cut + 1..));
        assert!(rest.and_then(|file| file.verify(&root)).is_err(), "from {cut}");
    }
}

/// A sealed part as the ledger makes it, as good as random: two bytes for each field, a digest of 32 bytes, and at the end
/// of a call an upstream's id of 38 characters.
fn sealed(record: &Record) -> Vec<u8> {
    let closes = Entry::decode(&record.leaf).unwrap().kind == Kind::Close;
    let bytes = if closes { 2 + 32 + 2 + 38 } else { 2 + 32 };
    (0..).flat_map(|n: u8| leaf_hash(&[&record.leaf[..], &[n]].concat())).take(bytes).collect()
}

/// The figures of `docs/lake.md`: run with `--nocapture` to see them.
#[test]
fn the_bytes_a_call_takes_are_no_more_than_the_page_says() {
    let leaves = usize::try_from(SPAN_LEAVES).unwrap();
    let mut records: Vec<Record> = Traffic::new(2, 0).skip(leaves).take(leaves).collect();
    let span = Span::around(SPAN_LEAVES);
    let per_call = |bytes: usize| bytes as f64 * 2.0 / SPAN_LEAVES as f64;
    let in_lake =
        |records: &[Record]| per_call(lake::write(ORIGIN, span, &root(records), whole(records)).unwrap().bytes.len());
    let bare = in_lake(&records);
    records.iter_mut().for_each(|record| record.sealed = Some(sealed(record)));
    let (all, plain) = (in_lake(&records), per_call(records.iter().map(|record| record.leaf.len()).sum()));
    let parts = per_call(records.iter().flat_map(|record| &record.sealed).map(Vec::len).sum());
    println!("bytes a call: leaves {plain:.1}, in the lake {bare:.1}, sealed parts {parts:.1}, together {all:.1}");
    assert!(bare <= 120.0 && all <= 235.0, "{bare} {all}");
}
