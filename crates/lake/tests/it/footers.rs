//! Footers and headers of pages that say what is not so: rows and leaves of each file here are right, and it is refused.

use std::sync::OnceLock;

use bytes::Bytes;
use lake::{BadFile, File, Record, SPAN_LEAVES, SourceError, Span};
use proof::entry::{Class, Entry, Kind, Link, Outcome, Usage};

use crate::{
    files::footer,
    memory::{ORIGIN, root},
    thrift::{BYTES, I32, I64, STRUCT, Value, text},
};

/// A file as an earlier release wrote it, with values in every column.
const WRITTEN: &[u8] = include_bytes!("../../../../fuzz/corpus/lake_file/valid-every-column");

/// Another one, of entries that say as little as an entry can.
const STOPS: &[u8] = include_bytes!("../../../../fuzz/corpus/lake_file/valid-stops");

/// The entry at `index` of the first one: the first 64 of each 8,192 have everything that an entry can have.
fn entry(index: u64) -> Entry {
    let (at_ms, round, place) = (1_781_000_000_000 + index * 7, index / 8_192, index % 8_192);
    if place >= 64 {
        return Entry { at_ms, ..Entry::new(Kind::Stop) };
    }
    let back = if place > 0 { 1 } else { 8_192 - 63 };
    let link = |class, id| Link { class, id: [id; 16], seq: round * 64 + place, back: back * u64::from(index > 0) };
    let classes = [(Class::Subject, 3), (Class::Key, 9), (Class::Key, 10), (Class::Organization, 11)];
    let classes = classes.into_iter().chain([(Class::Model, 12), (Class::InForce, 0)]);
    Entry {
        at_ms,
        call: Some([1; 16]),
        opened: Some(index),
        subject: Some([3; 16]),
        model: Some("mythos-5".to_owned()),
        snapshot: Some([4; 32]),
        basis: Some(vec!["us-person-only".to_owned(), "license".to_owned()]),
        outcome: Some(Outcome::Cut),
        code: Some(["no_license", "standing_unknown"][usize::from(index.is_multiple_of(2))].to_owned()),
        usage: Some(Usage { input_tokens: Some(5), output_tokens: None, delivered_events: 6, delivered_bytes: 7 }),
        private: Some([8; 32]),
        requested: Some("mythos".to_owned()),
        links: Some(classes.map(|(class, id)| link(class, id)).collect()),
        facts: Some(13),
        lease: Some(if index == 5 { u64::MAX } else { 14 }),
        key_epoch: Some(15),
        nonce: Some([16; 8]),
        root: Some([17; 32]),
        covered: Some(18),
        meter: Some([19; 8]),
        ..Entry::new(Kind::Redecision)
    }
}

fn records() -> &'static [Record] {
    static RECORDS: OnceLock<Vec<Record>> = OnceLock::new();
    let sealed = |index: u64| index.is_multiple_of(5).then(|| vec![7; 36]);
    let record = |index| Record { leaf: entry(index).encode().unwrap(), sealed: sealed(index) };
    RECORDS.get_or_init(|| (0..SPAN_LEAVES).map(record).collect())
}

fn verified(bytes: Bytes) -> Result<(), BadFile> {
    File::open(bytes)?.verify(&root(records()))
}

/// A file taken apart: its pages, and what its footer says of them.
#[derive(Clone)]
struct Parts {
    pages: Vec<u8>,
    footer: Value,
}

impl Parts {
    fn of(bytes: &[u8]) -> Self {
        let (pages, end) = bytes.split_at(footer(bytes));
        Self { pages: pages.to_vec(), footer: Value::read(&mut &*end) }
    }

    fn whole(self) -> Bytes {
        let footer = self.footer.written();
        let length = (footer.len() as u32).to_le_bytes();
        [&self.pages[..], &footer, &length, b"PAR1"].concat().into()
    }

    /// What is said of the row group.
    fn group(&mut self) -> &mut Value {
        &mut self.footer.field(4).list()[0]
    }

    /// What is said of where a column is.
    fn chunk(&mut self, name: &str) -> &mut Value {
        let path = Value::List(BYTES, name.split('.').map(text).collect());
        let mut chunks = self.group().field(1).list().iter_mut();
        chunks.find(|chunk| chunk.get(3).unwrap().get(3) == Some(&path)).unwrap()
    }

    /// What is said of a column.
    fn column(&mut self, name: &str) -> &mut Value {
        self.chunk(name).field(3)
    }

    /// What is said of the values that a column has.
    fn schema(&mut self, name: &str) -> &mut Value {
        let mut fields = self.footer.field(2).list().iter_mut();
        fields.find(|field| field.get(4) == Some(&text(name))).unwrap()
    }

    /// Where the first page of a column begins, and how many bytes all of them have.
    fn pages_of(&mut self, name: &str) -> (usize, usize) {
        let column = self.column(name);
        let first = if column.get(11).is_some() { 11 } else { 9 };
        (*column.field(first).number() as usize, *column.field(7).number() as usize)
    }

    /// Puts other bytes in the place of these, and has the footer say where everything is then.
    fn replace(&mut self, name: &str, at: usize, old: usize, new: &[u8]) {
        let more = new.len() as i64 - old as i64;
        self.pages.splice(at..at + old, new.iter().copied());
        [6, 7].into_iter().for_each(|size| *self.column(name).field(size).number() += more);
        [2, 6].into_iter().for_each(|size| *self.group().field(size).number() += more);
        for chunk in self.group().field(1).list() {
            let column = chunk.field(3);
            for place in [9, 11].into_iter().filter(|place| column.get(*place).is_some()).collect::<Vec<_>>() {
                let place = column.field(place).number();
                *place += if *place > at as i64 { more } else { 0 };
            }
        }
    }

    /// The header of a column's first data page, or of its dictionary: where it begins, its length, and what it says.
    fn header(&mut self, name: &str, place: i64) -> (usize, usize, Value) {
        let at = *self.column(name).field(place).number() as usize;
        let mut rest = &self.pages[at..];
        let header = Value::read(&mut rest);
        (at, self.pages.len() - at - rest.len(), header)
    }

    /// Writes such a header otherwise.
    fn forge_header(&mut self, name: &str, place: i64, forge: impl FnOnce(&mut Value)) {
        let (at, length, mut header) = self.header(name, place);
        forge(&mut header);
        self.replace(name, at, length, &header.written());
    }
}

/// Forges the file and returns why it is refused.
fn refused(forge: impl FnOnce(&mut Parts)) -> Option<BadFile> {
    let mut parts = Parts::of(WRITTEN);
    forge(&mut parts);
    File::open(parts.whole()).err()
}

#[test]
fn a_file_of_an_earlier_release_is_taken() {
    verified(WRITTEN.into()).unwrap();
    let leaves: Vec<Record> = File::open(WRITTEN.into()).unwrap().leaves().collect::<Result<_, _>>().unwrap();
    assert!(leaves == records());
    assert!(File::open(STOPS.into()).unwrap().leaves().all(|leaf| leaf.is_ok()));
    // Taken apart and put together it is the same.
    assert!(Parts::of(WRITTEN).whole() == WRITTEN);
}

#[test]
fn a_file_is_taken_from_any_version_of_the_library_and_from_nothing_else() {
    let by = |writer: &str| refused(|file| file.footer.put(6, text(writer)));
    assert_eq!(
        ["parquet-rs version 60.1.0", "parquet-rs version 59.0.0", "parquet-rs version 123.4.5"].map(by),
        [None, None, None]
    );
    let others =
        ["", "parquet-mr version 1.8.0 (build x)", "parquet-rs version 1 (build x)", "parquet-cpp version 1.2.9"];
    assert!(others.iter().all(|writer| by(writer) == Some(BadFile::Footer)));
    assert_eq!(refused(|file| file.footer.remove(6)), Some(BadFile::Footer));
}

#[test]
fn sizes_of_a_row_group_by_which_an_engine_passes_it_over_are_refused() {
    for size in [2, 5, 6] {
        assert_eq!(refused(|file| *file.group().field(size).number() = 1 << 30), Some(BadFile::Footer), "{size}");
    }
}

#[test]
fn columns_with_each_others_names_are_refused() {
    let exchanged = |file: &mut Parts| {
        let path = |name| Value::List(BYTES, vec![text(name)]);
        let (input, output) = (path("input_tokens"), path("output_tokens"));
        file.column("input_tokens").put(3, path("held"));
        file.column("output_tokens").put(3, input);
        file.column("held").put(3, output);
    };
    assert_eq!(refused(exchanged), Some(BadFile::Footer));
}

#[test]
fn another_number_of_rows_or_values_than_there_are_is_refused() {
    assert_eq!(refused(|file| *file.footer.field(3).number() = 1), Some(BadFile::Footer));
    assert_eq!(refused(|file| *file.column("code").field(5).number() = 100), Some(BadFile::Footer));
}

#[test]
fn a_dictionary_that_stands_elsewhere_than_before_its_column_is_refused() {
    let apart = |file: &mut Parts| {
        let (at, length) = file.pages_of("code");
        let copy = file.pages[at..at + length].to_vec();
        let (elsewhere, end) = (file.pages_of("kind").0 as i64, file.pages.len() as i64);
        file.column("code").put(11, Value::Number(I64, end));
        file.column("code").put(9, Value::Number(I64, elsewhere));
        file.pages.extend(copy);
    };
    assert_eq!(refused(apart), Some(BadFile::Footer));
    assert_eq!(refused(|file| file.column("index").put(11, Value::Number(I64, 0))), Some(BadFile::Footer));
}

#[test]
fn bytes_that_are_in_no_page_are_refused() {
    assert_eq!(refused(|file| file.pages.push(0)), Some(BadFile::Footer));
    let twice = |file: &mut Parts| {
        let (at, length) = file.pages_of("leaf");
        file.pages.extend_from_within(at..at + length);
    };
    assert_eq!(refused(twice), Some(BadFile::Footer));
    let between = |file: &mut Parts| {
        let at = file.pages_of("kind").0;
        file.replace("version", at, 0, &[0; 9]);
    };
    assert!(matches!(refused(between), Some(BadFile::Page(_))));
    assert_eq!(refused(|file| file.pages[0] = b'Q'), Some(BadFile::Page(0)));
}

/// More distinct keys than a dictionary has room for: it is there, and behind it pages that do not use it.
fn overflowing() -> &'static (Vec<Record>, Bytes) {
    static FILE: OnceLock<(Vec<Record>, Bytes)> = OnceLock::new();
    FILE.get_or_init(|| {
        let id =
            |index: u64, key: u64| ((u128::from(index) << 8 | u128::from(key)) * 0x9e37_79b9_7f4a_7c15).to_be_bytes();
        let record = |index: u64| {
            let mut ids: Vec<[u8; 16]> = (0..20).map(|key| id(index + 1, key)).collect();
            ids.sort_unstable();
            let links = ids.into_iter().map(|id| Link { class: Class::Key, id, seq: 0, back: 0 });
            let entry = Entry { at_ms: index, links: Some(links.collect()), ..Entry::new(Kind::Redecision) };
            Record { leaf: entry.encode().unwrap(), sealed: None }
        };
        let records: Vec<Record> = (0..SPAN_LEAVES).map(record).collect();
        let all = records.iter().cloned().map(Ok::<_, SourceError>);
        let written = lake::write(ORIGIN, Span::around(0), &root(&records), all).unwrap();
        (records, written.bytes)
    })
}

#[test]
fn a_file_with_a_full_dictionary_is_taken_and_refused_where_it_says_that_all_values_are_in_it() {
    let (records, bytes) = overflowing();
    File::open(bytes.clone()).unwrap().verify(&root(records)).unwrap();
    let mut parts = Parts::of(bytes);
    let kinds = parts.column("keys.list.element").field(13).list();
    // The dictionary, pages that use it, and pages that do not.
    assert_eq!(kinds.len(), 3);
    kinds.pop();
    assert_eq!(File::open(parts.whole()).err(), Some(BadFile::Footer));
}

#[test]
fn encodings_that_are_not_those_of_the_pages_are_refused() {
    let one = |encoding| Value::List(I32, vec![Value::Number(I32, encoding)]);
    assert_eq!(refused(|file| file.column("code").put(2, one(8))), Some(BadFile::Footer));
    assert_eq!(refused(|file| file.column("code").remove(13)), Some(BadFile::Footer));
    let fewer = |file: &mut Parts| *file.column("commitment").field(13).list()[0].field(2).number() = 8;
    assert_eq!(refused(fewer), Some(BadFile::Footer));
}

#[test]
fn bounds_in_the_deprecated_fields_or_of_another_length_are_refused() {
    let bound = |bound: i64| Value::Bytes(bound.to_le_bytes().to_vec());
    let deprecated = |file: &mut Parts| {
        let bounds = file.column("index").field(12);
        bounds.put(1, bound((1 << 40) + 9));
        bounds.put(2, bound(1 << 40));
    };
    assert_eq!(refused(deprecated), Some(BadFile::Footer));
    let without_orders = |file: &mut Parts| {
        deprecated(file);
        file.footer.remove(7);
    };
    assert_eq!(refused(without_orders), Some(BadFile::Footer));
    assert_eq!(refused(|file| file.footer.remove(7)), Some(BadFile::Footer));
    let long = |file: &mut Parts| file.column("recorded_at").field(12).put(5, Value::Bytes(vec![0; 16]));
    assert_eq!(refused(long), Some(BadFile::Footer));
}

#[test]
fn a_footer_that_says_more_than_is_checked_is_refused() {
    let number = |number| Value::Number(I64, number);
    let statistics = |file: &mut Parts| {
        let of_index = file.column("index").field(12).clone();
        file.column("opened").put(12, of_index);
    };
    assert_eq!(refused(statistics), Some(BadFile::Footer));
    let mut without = Parts::of(WRITTEN);
    without.column("index").remove(12);
    assert_eq!(verified(without.whole()), Err(BadFile::Bounds(SPAN_LEAVES)));
    for (field, value) in [(3, 1), (4, 9)] {
        let more = |file: &mut Parts| file.column("index").field(12).put(field, number(value));
        assert_eq!(refused(more), Some(BadFile::Footer), "count {field}");
    }
    assert_eq!(refused(|file| file.column("kind").put(14, number(4))), Some(BadFile::Footer), "a filter");
    let pages = |file: &mut Parts| {
        file.chunk("index").put(4, number(4));
        file.chunk("index").put(5, Value::Number(I32, 9));
    };
    assert_eq!(refused(pages), Some(BadFile::Footer), "an index of pages");
    let order = Value::Struct(vec![(1, Value::Number(I32, 2)), (2, Value::Flag(false)), (3, Value::Flag(false))]);
    let order = |file: &mut Parts| file.group().put(4, Value::List(STRUCT, vec![order]));
    assert_eq!(refused(order), Some(BadFile::Footer), "an order");
    let histogram = Value::Struct(vec![(3, Value::List(I64, vec![number(65_536), number(0)]))]);
    assert_eq!(refused(|file| file.column("code").put(16, histogram)), Some(BadFile::Footer), "levels");
    assert_eq!(refused(|file| file.footer.put(8, Value::Struct(Vec::new()))), Some(BadFile::Footer), "a cipher");
    assert_eq!(refused(|file| file.footer.put(99, number(0))), Some(BadFile::Footer), "something unknown");
}

#[test]
fn columns_that_are_said_to_be_in_another_file_are_refused() {
    assert_eq!(refused(|file| file.chunk("code").put(1, text("other.parquet"))), Some(BadFile::Footer));
}

#[test]
fn columns_of_other_types_or_names_are_refused() {
    let logical = |file: &mut Parts, name: &str, id| {
        file.schema(name).put(10, Value::Struct(vec![(id, Value::Struct(Vec::new()))]));
    };
    assert_eq!(refused(|file| logical(file, "subject", 14)), Some(BadFile::Footer), "a UUID");
    let json = |file: &mut Parts| {
        file.schema("code").put(6, Value::Number(I32, 19));
        logical(file, "code", 12);
    };
    assert_eq!(refused(json), Some(BadFile::Footer), "JSON");
    assert_eq!(refused(|file| *file.column("lease").field(1).number() = 1), Some(BadFile::Footer), "a type");
    assert_eq!(refused(|file| file.schema("lease").put(9, Value::Number(I32, 7))), Some(BadFile::Footer), "an id");
    assert_eq!(refused(|file| file.schema("lease").put(4, text("lent"))), Some(BadFile::Footer), "a name");
}

#[test]
fn keys_by_which_an_engine_takes_another_schema_are_refused() {
    let pair = |key, value| Value::Struct(vec![(1, text(key)), (2, text(value))]);
    for key in ["org.apache.spark.sql.parquet.row.metadata", "ARROW:schema", "pandas", "exeat.first"] {
        let more = |file: &mut Parts| file.footer.field(5).list().insert(0, pair(key, "0"));
        assert_eq!(refused(more), Some(BadFile::Footer), "{key}");
    }
    assert_eq!(refused(|file| file.footer.field(5).list().reverse()), Some(BadFile::Footer));
    let padded = |file: &mut Parts| file.footer.field(5).list()[2] = pair("exeat.first", "00");
    assert_eq!(refused(padded), Some(BadFile::Footer));
}

/// What is done to a header.
type Forge<'a> = &'a dyn Fn(&mut Value);

/// Where a footer says that data pages and dictionaries are.
const DATA: i64 = 9;
const DICTIONARY: i64 = 11;

#[test]
fn headers_of_pages_that_say_what_is_not_so_or_more_are_refused() {
    let forged = |name, place, forge: Forge<'_>| refused(|file| file.forge_header(name, place, forge));
    for name in ["code", "keys.list.element"] {
        assert_eq!(forged(name, DATA, &|_| ()), None);
        for (field, more) in [(1, 1), (1, -1), (2, 1), (2, -1), (3, 1), (3, -1), (4, -8), (5, 1), (5, -1), (6, 1)] {
            let counted = |header: &mut Value| *header.field(8).field(field).number() += more;
            assert!(matches!(forged(name, DATA, &counted), Some(BadFile::Page(_))), "{name} {field} {more}");
        }
    }
    let number = || Value::Number(I32, 0);
    let bounds = Value::Struct(vec![(5, text("zzz")), (6, text("yyy"))]);
    let others: [(&str, Forge<'_>); 6] = [
        ("bounds", &|header| header.field(8).put(8, bounds.clone())),
        ("a checksum", &|header| header.put(4, number())),
        ("a page of another kind", &|header| header.put(1, number())),
        ("two kinds at once", &|header| header.put(5, Value::Struct(vec![(1, number())]))),
        ("something unknown", &|header| header.put(99, number())),
        ("a length that is none", &|header| *header.field(3).number() = -1),
    ];
    for (what, forge) in others {
        assert!(matches!(forged("code", DATA, forge), Some(BadFile::Page(_))), "{what}");
    }
    let sorted = |header: &mut Value| header.field(7).put(3, Value::Flag(true));
    assert!(matches!(forged("code", DICTIONARY, &sorted), Some(BadFile::Page(_))));
    let in_no_dictionary = |header: &mut Value| header.put(1, Value::Number(I32, 1));
    assert!(matches!(forged("code", DICTIONARY, &in_no_dictionary), Some(BadFile::Page(_))));
}

#[test]
fn a_dictionary_that_does_not_have_the_values_it_says_is_refused() {
    for (name, more) in
        [("keys.list.element", 1), ("keys.list.element", -1), ("lease", -1), ("starts.list.element.link", 1)]
    {
        let counted = |header: &mut Value| *header.field(7).field(1).number() += more;
        let why = refused(|file| file.forge_header(name, DICTIONARY, counted));
        assert!(matches!(why, Some(BadFile::Page(_))), "{name} {more}");
    }
    // An engine finds nothing of what is not in the dictionary, and passes the row group over.
    let mut without = Parts::of(WRITTEN);
    without.forge_header("code", DICTIONARY, |header| *header.field(7).field(1).number() -= 1);
    assert!(matches!(verified(without.whole()), Err(BadFile::Parquet(_))));
}

#[test]
fn a_page_that_begins_in_the_middle_of_a_row_is_refused() {
    let moved = |file: &mut Parts| {
        let (at, length, _) = file.header("basis.list.element", DATA);
        let levels = &mut file.pages[at + length..];
        // Behind the length of the run: a list of two elements, and another one.
        let packed = levels.iter().position(|byte| *byte < 0x80).unwrap() + 1;
        assert_eq!(levels[packed] & 0b1111, 0b1010);
        levels[packed] ^= 0b11;
    };
    assert!(matches!(refused(moved), Some(BadFile::Page(_))));
}

/// The first bytes of the levels of a column's first data page.
fn levels<'a>(file: &'a mut Parts, name: &str) -> &'a mut [u8] {
    let (at, length, _) = file.header(name, DATA);
    &mut file.pages[at + length..]
}

#[test]
fn columns_of_one_list_that_part_its_elements_otherwise_are_refused() {
    for name in ["seq", "back"] {
        let moved = |file: &mut Parts| {
            let levels = levels(file, &format!("starts.list.element.{name}"));
            // A group that is packed: a row of six elements, and two without any.
            assert_eq!(levels[1], 0b0011_1110);
            levels[1] = 0b0101_1110;
        };
        assert!(matches!(refused(moved), Some(BadFile::Page(_))), "{name}");
    }
}

#[test]
fn a_level_that_is_too_high_is_refused_for_readers_take_it_for_one_thing_or_another() {
    let raised = |file: &mut Parts| {
        let levels = levels(file, "opened");
        assert_eq!(levels[..3], [0x80, 1, 1], "64 values that are there");
        levels[2] = 2;
        file.forge_header("opened", DATA, |header| *header.field(8).field(2).number() += 64);
    };
    assert!(matches!(refused(raised), Some(BadFile::Page(_))));
}

#[test]
fn a_row_with_more_elements_than_an_entry_has_bytes_is_refused_before_there_is_room_made_for_them() {
    let name = "keys.list.element";
    let lengthened = |file: &mut Parts| {
        let (at, length, mut header) = file.header(name, DATA);
        let mut bytes = |field| *header.field(8).field(field).number() as usize;
        let (defined, repeated) = (bytes(5), bytes(6));
        // A run of 1,024 more in the last row.
        file.replace(name, at + length + repeated + defined, 0, &[0x80, 0x10, 2]);
        file.replace(name, at + length + repeated, 0, &[0x80, 0x10, 1]);
        file.forge_header(name, DATA, |header| {
            [2, 3].into_iter().for_each(|size| *header.field(size).number() += 6);
            [(1, 1_024), (5, 3), (6, 3)].into_iter().for_each(|(of, more)| *header.field(8).field(of).number() += more);
        });
        *file.column(name).field(5).number() += 1_024;
    };
    assert!(matches!(refused(lengthened), Some(BadFile::Page(_))));
}

/// A footer without what is taken from it: who wrote it, bounds, the name of the log and both digests.
fn bare(file: &Bytes) -> Value {
    let mut parts = Parts::of(file);
    parts.footer.remove(6);
    ["index", "recorded_at"].into_iter().for_each(|name| parts.column(name).remove(12));
    [1, 5, 6].into_iter().for_each(|key| parts.footer.field(5).list()[key].remove(2));
    parts.footer
}

#[test]
fn a_changed_byte_of_a_footer_or_of_a_header_is_refused_or_changes_nothing_that_engines_go_by() {
    let mut parts = Parts::of(WRITTEN);
    let names: Vec<_> = parts.group().field(1).list().iter_mut().map(|chunk| chunk.field(3).field(3).clone()).collect();
    let mut places: Vec<usize> = (footer(WRITTEN)..WRITTEN.len()).collect();
    for mut name in names {
        let name = name.list().iter().map(|part| String::from_utf8(part.bytes().to_vec()).unwrap());
        let name = name.collect::<Vec<_>>().join(".");
        for place in
            [DATA, DICTIONARY].into_iter().filter(|place| parts.column(&name).get(*place).is_some()).collect::<Vec<_>>()
        {
            let (at, length, _) = parts.header(&name, place);
            places.extend(at..at + length);
        }
    }
    let changes = places.iter().flat_map(|at| [(*at, 1 << (at % 8)), (*at, 0xff)]);
    let changed = |(at, bits): (usize, u8)| {
        let mut bytes = WRITTEN.to_vec();
        bytes[at] ^= bits;
        Bytes::from(bytes)
    };
    let taken: Vec<Bytes> = changes.map(changed).filter(|file| File::open(file.clone()).is_ok()).collect();
    assert!(taken.iter().all(|file| bare(file) == bare(&WRITTEN.into())));
    let verified = taken.iter().step_by(taken.len().div_ceil(24)).map(|file| verified(file.clone()));
    let refused = verified.filter(Result::is_err).count();
    println!("of {} changes {} open, of 24 of these {refused} are refused", 2 * places.len(), taken.len());
    assert!(taken.len() < 400 && refused >= 12, "{} {refused}", taken.len());
}
