//! As much of HTTP/1.1 as a fake upstream needs, with a hand on every byte.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep_until},
};

/// One request, read whole.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The client went away.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gone {
    /// Pieces that were written before.
    pub(super) pieces: usize,
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// What was read and not used yet.
    ahead: Vec<u8>,
    /// Pieces written in answer to the last request.
    pieces: usize,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the model it asks for.
    pub(super) fn model(&self) -> Option<String> {
        self.json().get("model")?.as_str().map(str::to_owned)
    }

    /// Returns how many tokens the answer may have at most, if it says so.
    pub(super) fn max_tokens(&self) -> Option<usize> {
        self.json().get("max_tokens")?.as_u64()?.try_into().ok()
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let headers = lines.filter(|line| !line.is_empty()).map(header).collect::<Option<_>>()?;
        Some(Self { method, path, headers, body: Vec::new() })
    }

    fn length(&self) -> usize {
        self.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, ahead: Vec::new(), pieces: 0 }
    }

    /// Reads the next request; `None` once the client has closed or sends what is no request.
    pub(super) async fn request(&mut self) -> Option<Request> {
        self.pieces = 0;
        let end = loop {
            match self.ahead.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let rest = self.ahead.split_off(end);
        let head = std::mem::replace(&mut self.ahead, rest);
        let mut request = Request::parse(std::str::from_utf8(&head).ok()?)?;
        while self.ahead.len() < request.length() {
            self.more().await?;
        }
        let rest = self.ahead.split_off(request.length());
        request.body = std::mem::replace(&mut self.ahead, rest);
        Some(request)
    }

    /// Writes bytes, at once and in one piece.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let gone = Gone { pieces: self.pieces };
        self.stream.write_all(bytes).await.map_err(|_| gone)?;
        self.stream.flush().await.map_err(|_| gone)?;
        self.pieces += 1;
        Ok(())
    }

    /// Writes one chunk of a chunked body.
    pub(super) async fn chunk(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.write(&chunk).await
    }

    /// Waits, and notices if the client goes away meanwhile.
    pub(super) async fn wait(&mut self, how_long: Duration) -> Result<(), Gone> {
        if how_long.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + how_long;
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                more = more(&mut self.stream, &mut self.ahead) => more.ok_or(Gone { pieces: self.pieces })?,
            }
        }
    }

    /// Waits until the client goes away.
    pub(super) async fn wait_gone(&mut self) -> Gone {
        while self.more().await.is_some() {}
        Gone { pieces: self.pieces }
    }

    /// Ends the connection with a reset instead of an orderly close.
    pub(super) fn reset(&mut self) {
        let _ = self.stream.set_zero_linger();
    }

    async fn more(&mut self) -> Option<()> {
        more(&mut self.stream, &mut self.ahead).await
    }
}

async fn more(stream: &mut TcpStream, into: &mut Vec<u8>) -> Option<()> {
    let read = stream.read_buf(into).await.ok()?;
    (read > 0).then_some(())
}
