//! Splits a server-sent event stream at its event boundaries without copying or changing a byte.

use std::collections::VecDeque;

use bytes::Bytes;

/// One whole event with the blank line that ends it: the pieces of the chunks it came in, in order.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    pieces: VecDeque<Bytes>,
}

impl Frame {
    /// Returns the frame's bytes; copies only if the frame came in more than one chunk.
    pub(crate) fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            0 => Bytes::new(),
            1 => self.pieces.pop_front().unwrap_or_default(),
            _ => self.pieces.iter().flat_map(|piece| piece.iter().copied()).collect(),
        }
    }
}

/// Where the scanner stands within a line ending.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum At {
    /// At the beginning of a line; an ending here is a blank line.
    LineStart,
    /// After a CR that ended a line with something on it: an LF belongs to it.
    AfterCr,
    /// Within a line.
    Line,
    /// After a CR that ended an event: an LF belongs to it.
    AfterEventCr,
}

/// An incremental scanner: chunks go in, whole events come out, in order and byte for byte.
///
/// An event ends with a blank line, whether lines end with LF, CRLF or CR. A CR that ends an event is handed out
/// at once, without waiting for an LF that may or may not follow; the LF then leads the next event, which every
/// reader takes for the second half of the same line ending.
///
/// # Source
/// WHATWG HTML, section 9.2.5 (parsing an event stream).
#[derive(Debug)]
pub(crate) struct Splitter {
    held: VecDeque<Bytes>,
    held_bytes: usize,
    /// Bytes of `held` up to the end of the last whole event found, not yet handed out.
    ready: VecDeque<usize>,
    scanned: usize,
    begun: usize,
    at: At,
    max_tail: usize,
}

impl Splitter {
    /// Makes a splitter that holds back at most `max_tail` bytes of an unfinished event.
    pub(crate) fn new(max_tail: usize) -> Self {
        Self {
            held: VecDeque::new(),
            held_bytes: 0,
            ready: VecDeque::new(),
            scanned: 0,
            begun: 0,
            at: At::LineStart,
            max_tail,
        }
    }

    /// Takes the next chunk.
    pub(crate) fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() {
            return;
        }
        self.scan(&chunk);
        self.held_bytes += chunk.len();
        self.held.push_back(chunk);
        let unfinished = self.scanned - self.begun;
        if unfinished > self.max_tail {
            // Longer than is held back: passes on as it comes, as if it were an event.
            self.end_event(0);
        }
    }

    /// Hands out the next whole event that is here.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        let length = self.ready.pop_front()?;
        Some(Frame { pieces: self.take(length) })
    }

    /// Hands out what follows the last whole event.
    pub(crate) fn finish(&mut self) -> Bytes {
        let whole = self.held_bytes;
        self.ready.clear();
        Frame { pieces: self.take(whole) }.into_bytes()
    }

    fn scan(&mut self, chunk: &[u8]) {
        let mut from = 0;
        while let Some(rest) = chunk.get(from..).filter(|rest| !rest.is_empty()) {
            match self.at {
                // The common case: skip to the end of the line.
                At::Line => match memchr::memchr2(b'\n', b'\r', rest) {
                    Some(at) => {
                        let cr = rest.get(at) == Some(&b'\r');
                        self.at = if cr { At::AfterCr } else { At::LineStart };
                        from += at + 1;
                    }
                    None => from = chunk.len(),
                },
                at => {
                    self.step(at, rest.first().copied().unwrap_or_default(), from + 1);
                    from += 1;
                }
            }
        }
        self.scanned += chunk.len();
    }

    /// Takes one byte at or near the beginning of a line. `past` is the chunk offset after it.
    fn step(&mut self, at: At, byte: u8, past: usize) {
        self.at = match (at, byte) {
            (At::AfterCr | At::AfterEventCr, b'\n') => At::LineStart,
            (_, b'\n') => {
                self.end_event(past);
                At::LineStart
            }
            (_, b'\r') => {
                self.end_event(past);
                At::AfterEventCr
            }
            _ => At::Line,
        };
    }

    /// Marks the end of an event `past` bytes after what was scanned before this chunk.
    fn end_event(&mut self, past: usize) {
        let end = self.scanned + past;
        self.ready.push_back(end - self.begun);
        self.begun = end;
    }

    fn take(&mut self, mut length: usize) -> VecDeque<Bytes> {
        let mut pieces = VecDeque::with_capacity(1);
        self.held_bytes -= length.min(self.held_bytes);
        while length > 0 {
            let Some(front) = self.held.front_mut() else { break };
            if front.len() > length {
                pieces.push_back(front.split_to(length));
                break;
            }
            length -= front.len();
            pieces.extend(self.held.pop_front());
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut splitter = Splitter::new(1 << 20);
        let mut frames = Vec::new();
        for chunk in chunks {
            splitter.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = splitter.next_frame() {
                frames.push(frame.into_bytes().to_vec());
            }
        }
        (frames, splitter.finish().to_vec())
    }

    #[test]
    fn an_event_is_handed_out_as_soon_as_its_blank_line_is_here() {
        for text in ["event: a\ndata: 1\n\n", "event: a\r\ndata: 1\r\n\r\n", "event: a\rdata: 1\r\r", ": note\n\n"] {
            let (frames, tail) = split(&[text.as_bytes()]);
            assert_eq!(frames.concat(), text.trim_end_matches('\u{0}').as_bytes().get(..frames.concat().len()).unwrap());
            assert!(tail.len() <= 1, "{text:?} leaves {tail:?}");
            assert_eq!(frames.len(), 1, "{text:?}");
        }
    }

    #[test]
    fn an_unfinished_event_is_held_back() {
        let (frames, tail) = split(&[b"data: 1\n\ndata: 2\n"]);
        assert_eq!(frames, [b"data: 1\n\n".to_vec()]);
        assert_eq!(tail, b"data: 2\n");
    }

    #[test]
    fn an_event_longer_than_is_held_back_passes_on_as_it_comes() {
        let mut splitter = Splitter::new(8);
        splitter.push(Bytes::from_static(b"data: 0123456789"));
        assert_eq!(splitter.next_frame().unwrap().into_bytes(), "data: 0123456789");
        splitter.push(Bytes::from_static(b"ab\n\n"));
        assert_eq!(splitter.next_frame().unwrap().into_bytes(), "ab\n\n");
    }

    #[test]
    fn an_event_within_one_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"data: 1\n\ndata: 2\n\n");
        let mut splitter = Splitter::new(64);
        splitter.push(chunk.clone());
        let first = splitter.next_frame().unwrap().into_bytes();
        assert_eq!(first.as_ptr(), chunk.as_ptr());
    }

    proptest! {
        #[test]
        fn what_comes_out_is_what_went_in_whatever_the_chunks(
            text in "(data: x|[\n\r:a]|\n\n|\r\n\r\n){0,40}",
            cuts in proptest::collection::vec(0_usize..200, 0..8),
        ) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let (frames, tail) = split(&chunks);
            prop_assert_eq!([frames.concat(), tail.clone()].concat(), bytes);
            let (whole, whole_tail) = split(&[bytes]);
            prop_assert_eq!((frames, tail), (whole, whole_tail));
        }
    }
}
