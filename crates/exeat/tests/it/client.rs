//! A caller that remembers what it was told.

use std::{io, net::SocketAddr};

use serde_json::json;
use testkit::http::{self, Answer};

/// What a call asks for and how the scripted upstream answers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) anthropic: bool,
    pub(crate) model: &'static str,
    pub(crate) stream: bool,
    /// Pieces of text in the answer.
    pub(crate) pieces: usize,
    /// Between two of them, in milliseconds.
    pub(crate) gap_ms: u64,
}

/// What a caller got.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) status: u16,
    /// The header `x-exeat-receipt`.
    pub(crate) receipt: Option<String>,
    /// What came of the body.
    pub(crate) body: Vec<u8>,
    /// The body came to its end.
    pub(crate) whole: bool,
}

impl Ask {
    /// Opens the call and returns its answer, of which only the head was read.
    ///
    /// # Errors
    ///
    /// There is no server, or it went away before the head of a response.
    pub(crate) fn open(self, address: SocketAddr, key: &str) -> io::Result<Answer> {
        let bearer = format!("Bearer {key}");
        let pace = format!("slow-{}-{}", self.pieces, self.gap_ms);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/json"),
            ("x-fake", pace.as_str()),
            ("anthropic-version", "2023-06-01"),
        ];
        let (path, headers) = match self.anthropic {
            true => ("/v1/messages", &headers[..]),
            false => ("/v1/chat/completions", &headers[..3]),
        };
        let message = json!({"role": "user", "content": "Good afternoon"});
        let body = json!({
            "model": self.model, "stream": self.stream, "max_tokens": 100, "messages": [message],
        });
        http::send(address, "POST", path, headers, body.to_string().as_bytes())
    }

    /// Makes the call and hears it out, or as much as comes.
    ///
    /// # Errors
    ///
    /// As [`Ask::open`].
    pub(crate) fn call(self, address: SocketAddr, key: &str) -> io::Result<Heard> {
        self.open(address, key).map(hear)
    }
}

/// Reads an answer to its end, or until it breaks.
pub(crate) fn hear(mut answer: Answer) -> Heard {
    let mut heard = Heard {
        status: answer.head.status,
        receipt: answer.head.get("x-exeat-receipt").map(str::to_owned),
        ..Heard::default()
    };
    loop {
        match answer.next_piece() {
            Ok(Some(piece)) => heard.body.extend(piece),
            Ok(None) => {
                heard.whole = true;
                return heard;
            }
            Err(_) => return heard,
        }
    }
}
