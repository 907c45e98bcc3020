//! Finds the frames of an event stream in the chunks it arrives in, without copying and without holding back a
//! frame that is whole.
//!
//! # Source
//! WHATWG HTML, section 9.2 "Server-sent events": lines end in LF, CRLF or CR; a blank line ends a frame.

use std::{borrow::Cow, collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

/// A tail of more pieces than this is gathered into one buffer, so that single-byte chunks cannot pile up handles.
const PIECES_MAX: usize = 16;

/// The most of an unfinished event that is held back; more passes on as it comes. An event with an image of
/// 1 MiB is 1.4 MiB.
pub(crate) const TAIL_BYTES_MAX: usize = 4 << 20;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One frame, or a part of one that grew too long to hold; with the blank line that ends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pieces: Pieces,
    extent: Extent,
}

/// How much of a frame there is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Extent {
    /// All of it, from its first byte to its blank line.
    Whole,
    /// The first part of one that is too long to hold.
    Beginning,
    /// A further part of one that is too long to hold, without its end.
    Middle,
    /// The last part of one that is too long to hold, with its blank line.
    End,
    /// What came after the last blank line, at the end of the stream.
    Unended,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Pieces {
    One(Bytes),
    Many(Vec<Bytes>),
}

impl Frame {
    /// Returns the bytes, in order, as slices of the chunks they came in.
    #[cfg(test)]
    pub(crate) fn pieces(&self) -> &[Bytes] {
        match &self.pieces {
            Pieces::One(piece) => std::slice::from_ref(piece),
            Pieces::Many(pieces) => pieces,
        }
    }

    /// Returns the bytes as one buffer, copied only if they came in several chunks.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self.pieces {
            Pieces::One(piece) => piece,
            Pieces::Many(pieces) => Bytes::from(pieces.concat()),
        }
    }

    /// Returns the number of bytes.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.pieces().iter().map(Bytes::len).sum()
    }

    /// Returns how much of a frame this is.
    pub(crate) fn extent(&self) -> Extent {
        self.extent
    }

    /// Returns true if another frame may follow this: it ends with a blank line.
    pub(crate) fn ends(&self) -> bool {
        matches!(self.extent, Extent::Whole | Extent::End)
    }

    /// Returns the bytes to look into, copied only if they came in several chunks.
    pub(crate) fn contiguous(&self) -> Cow<'_, [u8]> {
        match &self.pieces {
            Pieces::One(piece) => Cow::Borrowed(piece),
            Pieces::Many(pieces) => Cow::Owned(pieces.concat()),
        }
    }
}

/// Cuts a stream of chunks into frames. What it hands out, put together, is what was pushed, byte for byte.
///
/// A frame is handed out as soon as its blank line is seen. Of a frame longer than the bound, the part already
/// there is handed out at once and the rest as it comes, each marked as what it is of it. Which frames come in parts
/// depends on their length, and not on the chunks.
#[derive(Debug)]
pub(crate) struct Splitter {
    max_tail: usize,
    chunk: Bytes,
    waiting: VecDeque<Bytes>,
    tail: Tail,
    lines: Lines,
    /// The first part of the frame at hand was handed out already.
    overflowed: bool,
    /// The last part of a frame too long to hold, whose other part was handed out.
    last: Option<Bytes>,
}

impl Splitter {
    /// Makes a splitter that holds at most `max_tail` bytes, besides one chunk, of a frame that is not whole yet.
    pub(crate) fn new(max_tail: usize) -> Self {
        Self {
            max_tail,
            chunk: Bytes::new(),
            waiting: VecDeque::new(),
            tail: Tail::default(),
            lines: Lines::default(),
            overflowed: false,
            last: None,
        }
    }

    /// Takes the next chunk. Call [`Splitter::next_frame`] until it returns none before pushing another.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            self.waiting.push_back(chunk);
        }
    }

    /// Returns the next frame, or none until more is pushed.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        if let Some(last) = self.last.take() {
            return Some(self.hand_out(last, true));
        }
        loop {
            if self.chunk.is_empty() {
                self.chunk = self.waiting.pop_front()?;
            }
            if let Some(end) = self.lines.end_of_frame(&self.chunk) {
                return Some(self.ended(end));
            }
            let piece = mem::take(&mut self.chunk);
            if self.overflowed || self.tail.len + piece.len() > self.max_tail {
                if !piece.is_empty() {
                    return Some(self.hand_out(piece, false));
                }
            } else {
                self.tail.add(piece);
            }
        }
    }

    /// Returns what came after the last blank line, if anything did. Nothing may be pushed afterwards.
    pub(crate) fn finish(&mut self) -> Option<Frame> {
        let held = mem::take(&mut self.tail);
        (held.len > 0).then(|| Frame { pieces: held.ended_by(Bytes::new()), extent: Extent::Unended })
    }

    /// Hands out the frame whose last bytes are so many of the chunk; of one that is too long to hold, a first part.
    fn ended(&mut self, end: usize) -> Frame {
        let mut last = self.chunk.split_to(end);
        let room = self.max_tail.saturating_sub(self.tail.len);
        // A line ending has two bytes at most: without them the first part does not end the frame.
        let first = room.min(end.saturating_sub(2));
        if self.overflowed || end <= room || self.tail.len + first == 0 {
            return self.hand_out(last, true);
        }
        let first = last.split_to(first);
        self.last = Some(last);
        self.hand_out(first, false)
    }

    fn hand_out(&mut self, last: Bytes, ends: bool) -> Frame {
        let extent = match (mem::replace(&mut self.overflowed, !ends), ends) {
            (false, true) => Extent::Whole,
            (false, false) => Extent::Beginning,
            (true, false) => Extent::Middle,
            (true, true) => Extent::End,
        };
        Frame { pieces: mem::take(&mut self.tail).ended_by(last), extent }
    }
}

/// The pieces of a frame whose end has not come yet.
#[derive(Debug, Default)]
struct Tail {
    pieces: Vec<Bytes>,
    gathered: BytesMut,
    len: usize,
}

impl Tail {
    fn add(&mut self, piece: Bytes) {
        self.len += piece.len();
        if self.pieces.len() < PIECES_MAX {
            self.pieces.push(piece);
        } else {
            self.gathered.extend_from_slice(&piece);
        }
    }

    fn ended_by(self, last: Bytes) -> Pieces {
        if self.pieces.is_empty() {
            return Pieces::One(last);
        }
        let mut pieces = self.pieces;
        for piece in [self.gathered.freeze(), last] {
            if !piece.is_empty() {
                pieces.push(piece);
            }
        }
        Pieces::Many(pieces)
    }
}

/// Where in a line the stream stands.
#[derive(Debug, Default)]
struct Lines {
    /// The line at hand has a byte.
    inside: bool,
    /// The last byte was CR: a LF now belongs to it.
    after_cr: bool,
}

impl Lines {
    /// Reads on through `chunk` and returns where a frame ends, just after its blank line, or none if it reads
    /// to the end. What follows the end is not read.
    ///
    /// A CR that is the last byte of a chunk ends the line at once; a LF at the start of the next chunk then
    /// adds to it, as the first byte handed out with the next frame.
    fn end_of_frame(&mut self, chunk: &[u8]) -> Option<usize> {
        let mut at = 0;
        if mem::take(&mut self.after_cr) && chunk.first() == Some(&b'\n') {
            at = 1;
        }
        while let Some(rest) = chunk.get(at..) {
            let Some(found) = memchr2(b'\n', b'\r', rest) else {
                self.inside |= !rest.is_empty();
                return None;
            };
            let blank = found == 0 && !self.inside;
            at += found + self.line_end(rest.get(found..).unwrap_or_default());
            self.inside = false;
            if blank {
                return Some(at);
            }
        }
        None
    }

    /// Returns the length of the line ending at the start of `rest`, as far as it has come.
    fn line_end(&mut self, rest: &[u8]) -> usize {
        match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\r'] => {
                self.after_cr = true;
                1
            }
            _ => 1,
        }
    }
}

/// Returns the fields of a frame in order: name and value. Comments are left out.
pub(super) fn fields(frame: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(frame).filter_map(|line| {
        let colon = memchr::memchr(b':', line);
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        (!name.is_empty()).then_some((name, value))
    })
}

/// Returns the lines of a frame without their endings; a byte order mark before the first is left out.
fn lines(frame: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = frame.strip_prefix(BOM).unwrap_or(frame);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (line, tail) = rest.split_at(memchr2(b'\n', b'\r', rest).unwrap_or(rest.len()));
        let ending = if tail.starts_with(b"\r\n") { 2 } else { 1 };
        rest = tail.get(ending..).unwrap_or_default();
        Some(line)
    })
}

/// What the bytes at the start of a stream, or of a frame, look like.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shape {
    /// An event stream.
    Sse,
    /// Too short to tell.
    NotYet,
    /// Something else.
    Garbage(Garbage),
}

/// What comes instead of an event stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Garbage {
    /// JSON, most likely an error body.
    Json,
    /// HTML, most likely the error page of something in between.
    Html,
    /// Compressed or otherwise not text.
    Binary,
    /// Text of no form known here.
    Text,
}

impl Garbage {
    /// Returns what to call it in a message.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Html => "HTML",
            Self::Binary => "binary data",
            Self::Text => "plain text",
        }
    }
}

/// Tells an event stream from what failing servers send in its place, by the first line that is not blank.
///
/// `bytes` must begin where a frame may begin. Costs the same however long they are.
pub(crate) fn validate_sse(bytes: &[u8]) -> Shape {
    let from = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let blank = |b: &u8| matches!(b, b'\n' | b'\r');
    let Some(start) = from.iter().position(|b| !blank(b)) else {
        return Shape::NotYet;
    };
    let rest = from.get(start..).unwrap_or_default();
    let known: [&[u8]; 4] = [b"data", b"event", b"id", b"retry"];
    for name in known {
        match rest.strip_prefix(name) {
            Some([]) => return Shape::NotYet,
            Some([b':' | b'\n' | b'\r', ..]) => return Shape::Sse,
            Some(_) => {}
            None if name.starts_with(rest) => return Shape::NotYet,
            None => {}
        }
    }
    if BOM.starts_with(rest) {
        return Shape::NotYet;
    }
    match rest {
        [b':', ..] => Shape::Sse,
        rest => Shape::Garbage(garbage(rest)),
    }
}

fn garbage(bytes: &[u8]) -> Garbage {
    let head = bytes.get(..64).unwrap_or(bytes);
    let control = |b: &u8| b.is_ascii_control() && !b.is_ascii_whitespace();
    let broken = std::str::from_utf8(head).is_err_and(|fault| fault.error_len().is_some());
    match head.trim_ascii_start().first() {
        _ if broken || head.iter().any(control) => Garbage::Binary,
        Some(b'{' | b'[') => Garbage::Json,
        Some(b'<') => Garbage::Html,
        _ => Garbage::Text,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]], max_tail: usize) -> Vec<Frame> {
        let mut splitter = Splitter::new(max_tail);
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            frames.extend(std::iter::from_fn(|| splitter.next_frame()));
        }
        frames.extend(splitter.finish());
        frames
    }

    fn texts(frames: &[Frame]) -> Vec<String> {
        let text = |frame: &Frame| String::from_utf8(frame.contiguous().into_owned()).unwrap();
        frames.iter().map(text).collect()
    }

    fn joined(frames: &[Frame]) -> Vec<u8> {
        let pieces = frames.iter().flat_map(Frame::pieces);
        pieces.flat_map(|piece| piece.to_vec()).collect()
    }

    #[test]
    fn a_frame_ends_at_a_blank_line_of_any_kind() {
        let stream = b"data: a\n\ndata: b\r\n\r\ndata: c\r\rdata: d\n\r\ndata: e\r\n\ndata: f\r\n\rdata: g\n\rdata: h";
        assert_eq!(
            texts(&split(&[stream], 1_024)),
            [
                "data: a\n\n",
                "data: b\r\n\r\n",
                "data: c\r\r",
                "data: d\n\r\n",
                "data: e\r\n\n",
                "data: f\r\n\r",
                "data: g\n\r",
                "data: h",
            ]
        );
    }

    #[test]
    fn comments_and_several_lines_of_data_stay_in_their_frame() {
        let stream = b": ping\n\nevent: x\ndata: 1\ndata: 2\nid: 7\n\n";
        assert_eq!(texts(&split(&[stream], 1_024)), [": ping\n\n", "event: x\ndata: 1\ndata: 2\nid: 7\n\n"]);
    }

    #[test]
    fn a_frame_within_one_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\nda");
        let mut splitter = Splitter::new(64);
        splitter.push(chunk.clone());
        splitter.next_frame().unwrap();
        let second = splitter.next_frame().unwrap();
        assert_eq!(second.pieces().len(), 1);
        assert_eq!(second.pieces()[0].as_ptr(), chunk[9..].as_ptr());
        assert!(splitter.next_frame().is_none());
        splitter.push(Bytes::from_static(b"ta: c\n\n"));
        let third = splitter.next_frame().unwrap();
        assert_eq!(third.pieces()[0].as_ptr(), chunk[18..].as_ptr());
        assert_eq!(third.into_bytes().as_ref(), b"data: c\n\n");
        assert!(splitter.finish().is_none());
    }

    #[test]
    fn a_frame_that_ends_in_cr_is_not_held_back_for_a_lf() {
        let mut splitter = Splitter::new(64);
        splitter.push(Bytes::from_static(b"data: a\r\n\r"));
        assert!(splitter.next_frame().unwrap().extent() == Extent::Whole);
        splitter.push(Bytes::from_static(b"\ndata: b\n\n"));
        assert_eq!(splitter.next_frame().unwrap().into_bytes().as_ref(), b"\ndata: b\n\n");
        assert!(splitter.next_frame().is_none());
    }

    #[test]
    fn a_frame_too_long_to_hold_passes_through_in_marked_parts() {
        let frames = split(&[b"data: 0123", b"4567", b"89\n\ndata: b\n\n"], 9);
        assert_eq!(texts(&frames), ["data: 0123", "4567", "89\n\n", "data: b\n\n"]);
        let extents: Vec<_> = frames.iter().map(Frame::extent).collect();
        assert_eq!(extents, [Extent::Beginning, Extent::Middle, Extent::End, Extent::Whole]);
        let unended = split(&[b"data: a\n\n", b"data: b\n"], 9);
        assert_eq!(unended.iter().map(Frame::extent).collect::<Vec<_>>(), [Extent::Whole, Extent::Unended]);
    }

    #[test]
    fn a_tail_of_single_bytes_holds_few_handles() {
        let mut splitter = Splitter::new(1 << 20);
        for _ in 0..10_000 {
            splitter.push(Bytes::from_static(b"x"));
            assert!(splitter.next_frame().is_none());
        }
        let tail = splitter.finish().unwrap();
        assert_eq!(tail.len(), 10_000);
        assert!(tail.pieces().len() <= PIECES_MAX + 1);
    }

    #[test]
    fn fields_are_read_as_the_standard_says() {
        let frame = b"\xef\xbb\xbfevent:x\r\n: note\rdata:  two\ndata\n\n";
        let found: Vec<_> = fields(frame).collect();
        let expected: [(&[u8], &[u8]); 3] = [(b"event", b"x"), (b"data", b" two"), (b"data", b"")];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_event_stream_is_told_from_one() {
        use Shape::{NotYet, Sse};
        for (bytes, shape) in [
            (&b"data: x"[..], Sse),
            (b"event: x\n", Sse),
            (b": ping", Sse),
            (b"\xef\xbb\xbf\r\nid:1", Sse),
            (b"retry: 10\n", Sse),
            (b"data\n", Sse),
            (b"", NotYet),
            (b"\n\r\n", NotYet),
            (b"da", NotYet),
            (b"data", NotYet),
            (b"\xef", NotYet),
            (b"{\"error\":{}}", Shape::Garbage(Garbage::Json)),
            (b"  [", Shape::Garbage(Garbage::Json)),
            (b"<!doctype html>", Shape::Garbage(Garbage::Html)),
            (b"\x1f\x8b\x08\x00", Shape::Garbage(Garbage::Binary)),
            (b"Internal Server Error", Shape::Garbage(Garbage::Text)),
            (b"database: x", Shape::Garbage(Garbage::Text)),
            ("é".as_bytes(), Shape::Garbage(Garbage::Text)),
            (b"\xff\xfe", Shape::Garbage(Garbage::Binary)),
        ] {
            assert_eq!(validate_sse(bytes), shape, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'x'), Just(b':'), any::<u8>()];
        prop::collection::vec(prop::collection::vec(byte, 0..12), 0..12)
    }

    proptest! {
        #[test]
        fn what_is_handed_out_is_what_was_pushed(chunks in chunks(), max_tail in 0_usize..40) {
            let chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let frames = split(&chunks, max_tail);
            prop_assert_eq!(joined(&frames), chunks.concat());
            prop_assert!(frames.iter().all(|frame| frame.len() > 0));
        }

        #[test]
        fn whether_a_frame_comes_in_parts_depends_on_its_length_alone(
            length in 3_usize..40, max_tail in 2_usize..40, mut cuts in prop::collection::vec(0_usize..40, 0..6),
        ) {
            let frame = [vec![b'x'; length - 2], b"\n\n".to_vec()].concat();
            cuts.retain(|cut| *cut < length);
            cuts.extend([0, length]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &frame[pair[0]..pair[1]]).collect();
            let frames = split(&chunks, max_tail);
            prop_assert_eq!(joined(&frames), frame);
            prop_assert_eq!(frames.len() == 1, length <= max_tail);
            let (last, parts) = frames.split_last().unwrap();
            prop_assert!(last.ends());
            prop_assert!(parts.iter().all(|part| !part.ends() && !part.contiguous().ends_with(b"\n\n")));
        }

        #[test]
        fn chunks_make_no_difference_to_the_events(
            lines in prop::collection::vec("[a:]{0,3}", 0..12),
            endings in prop::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 12),
        ) {
            let stream: String = lines.iter().zip(&endings).flat_map(|(a, b)| [a.as_str(), b]).collect();
            let meaning = |frames: &[Frame]| {
                let read = |frame: &Frame| {
                    let bytes = frame.contiguous().into_owned();
                    lines_of(&bytes)
                };
                frames.iter().map(read).filter(|lines| !lines.is_empty()).collect::<Vec<_>>()
            };
            let whole = meaning(&split(&[stream.as_bytes()], 1_024));
            for at in 0..=stream.len() {
                let (a, b) = stream.as_bytes().split_at(at);
                prop_assert_eq!(&meaning(&split(&[a, b], 1_024)), &whole, "cut at {}", at);
            }
            let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
            prop_assert_eq!(&meaning(&split(&single, 1_024)), &whole);
        }
    }

    fn lines_of(bytes: &[u8]) -> Vec<String> {
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        lines(bytes).filter(|line| !line.is_empty()).map(text).collect()
    }
}
