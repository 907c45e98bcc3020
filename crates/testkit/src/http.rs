//! A small blocking HTTP/1.1 client, so that what tests see is what is on the wire.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// The head of a response.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The status.
    pub status: u16,
    /// Header fields, names in lower case, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Returns the first field named `name`, in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A response whose body is read as it comes.
#[derive(Debug)]
pub struct Answer {
    /// The head.
    pub head: Head,
    reader: BufReader<TcpStream>,
    chunked: bool,
    left: Option<u64>,
}

impl Answer {
    /// Reads the next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// The connection broke, or the body ended before its framing says so.
    pub fn next_piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        let length = match (self.chunked, self.left) {
            (true, _) => self.chunk_length()?,
            (false, Some(left)) => left.min(16_384),
            (false, None) => return Ok(self.reader.fill_buf().map(<[u8]>::to_vec).ok().filter(|b| !b.is_empty())),
        };
        if length == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
        self.reader.read_exact(&mut piece)?;
        self.left = self.left.map(|left| left - length);
        if self.chunked {
            self.line()?;
        }
        Ok(Some(piece))
    }

    /// Reads the whole rest of the body.
    ///
    /// # Errors
    ///
    /// As [`Answer::next_piece`].
    pub fn text(mut self) -> io::Result<String> {
        let mut all = Vec::new();
        while let Some(piece) = self.next_piece()? {
            all.extend(piece);
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }

    fn chunk_length(&mut self) -> io::Result<u64> {
        let line = self.line()?;
        let length = u64::from_str_radix(line.trim(), 16).map_err(|_| io::Error::other("bad chunk length"))?;
        if length == 0 {
            self.line()?;
        }
        Ok(length)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// Sends one request on a connection of its own and reads the head of the response.
///
/// # Errors
///
/// No connection, or no head of a response within 30 s.
pub fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    stream.write_all(&[text.as_bytes(), body].concat())?;
    let mut answer = Answer { head: Head::default(), reader: BufReader::new(stream), chunked: false, left: None };
    let status = answer.line()?;
    answer.head.status = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    loop {
        let line = answer.line()?;
        let Some((name, value)) = line.split_once(':') else { break };
        answer.head.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    answer.chunked = answer.head.get("transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
    answer.left = answer.head.get("content-length").and_then(|length| length.parse().ok());
    Ok(answer)
}
