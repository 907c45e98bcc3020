//! Counts the events of a stream as its bytes arrive, in any pieces, and remembers how the last one begins.

/// As much of an event as tells what it is.
const HEAD: usize = 24;

/// A stream of server-sent events, seen from outside. Lines end with LF or CRLF.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// Events that ended.
    pub(super) count: u64,
    head: Vec<u8>,
    last: Vec<u8>,
    line_is_empty: bool,
}

impl Events {
    /// Takes the next bytes; returns how many events ended in them.
    pub(super) fn take(&mut self, bytes: &[u8]) -> u64 {
        let before = self.count;
        bytes.iter().for_each(|byte| self.take_byte(*byte));
        self.count - before
    }

    fn take_byte(&mut self, byte: u8) {
        match byte {
            b'\r' => {}
            b'\n' if self.line_is_empty && !self.head.is_empty() => self.end_event(),
            b'\n' => self.line_is_empty = true,
            _ => {
                self.line_is_empty = false;
                if self.head.len() < HEAD {
                    self.head.push(byte);
                }
            }
        }
    }

    fn end_event(&mut self) {
        self.count += 1;
        self.last = std::mem::take(&mut self.head);
    }

    /// Returns true if the last event is the one that ends a stream in either dialect.
    pub(super) fn are_whole(&self) -> bool {
        [&b"data: [DONE]"[..], b"data:[DONE]", b"event: message_stop"].iter().any(|end| self.last.starts_with(end))
    }

    /// Returns true if the last event is an error.
    pub(super) fn are_cut(&self) -> bool {
        self.last.starts_with(b"event: error")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_however_the_bytes_are_cut() {
        let text = b"data: {\"a\":1}\n\n: ping\r\n\r\nevent: message_stop\ndata: {}\n\n";
        for cut in 1..text.len() {
            let mut events = Events::default();
            let counts: u64 = text.chunks(cut).map(|piece| events.take(piece)).sum();
            assert_eq!((counts, events.count, events.are_whole()), (3, 3, true), "{cut}");
        }
    }

    #[test]
    fn the_last_event_tells_how_a_stream_ended() {
        let of = |text: &str| {
            let mut events = Events::default();
            events.take(text.as_bytes());
            (events.are_whole(), events.are_cut())
        };
        assert_eq!(of("data: 1\n\ndata: [DONE]\n\n"), (true, false));
        assert_eq!(of("data: 1\n\nevent: error\ndata: {}\n\n"), (false, true));
        assert_eq!(of("data: 1\n\n"), (false, false));
        assert_eq!(of("data: 1\n\ndata: [DONE]\n"), (false, false), "an event ends with an empty line");
    }
}
