//! A small blocking HTTP/1.1 client (RFC 9112) for the admin API, the doctor and the demo. One connection a request.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

/// The longest head line and the most header fields that are read.
const LINE_BYTES_MAX: u64 = 64 << 10;
const FIELDS_MAX: usize = 128;
/// The longest body that [`Response::text`] reads: a page of a thousand entries is below 4 MiB.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// A request that was not answered.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// The URL is not `http://host:port`.
    Url(String),
    /// Nobody answers there.
    Unreachable {
        /// The URL.
        url: String,
        /// The operating system's answer.
        source: io::Error,
    },
    /// The connection broke, or what came was not HTTP.
    Broken(io::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "`{url}` is not a URL this client can call: write `http://127.0.0.1:8081`"),
            Self::Unreachable { url, source } => {
                write!(f, "cannot reach {url}: {source}; is the server running?")
            }
            Self::Broken(source) => write!(f, "the connection broke: {source}"),
        }
    }
}

impl std::error::Error for ClientError {}

/// The server a client calls.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    url: String,
    authority: String,
    addresses: Vec<SocketAddr>,
}

/// A request to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    /// The method, in capitals.
    pub(crate) method: &'static str,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Header fields beyond host, length and content type.
    pub(crate) headers: Vec<(&'a str, String)>,
    /// The body, sent as JSON.
    pub(crate) body: Option<Vec<u8>>,
}

/// A response whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status code.
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

impl<'a> Request<'a> {
    /// Returns a request without a body.
    pub(crate) fn get(path: &'a str) -> Self {
        Self::new("GET", path)
    }

    /// Returns a request with `method` and nothing else.
    pub(crate) fn new(method: &'static str, path: &'a str) -> Self {
        Self { method, path, headers: Vec::new(), body: None }
    }

    /// Adds a header field.
    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Sets the body.
    pub(crate) fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(body.to_string().into_bytes());
        self
    }
}

impl Server {
    /// Resolves `http://host[:port]`.
    ///
    /// # Errors
    ///
    /// [`ClientError::Url`] for another scheme, [`ClientError::Unreachable`] if the name does not resolve.
    pub(crate) fn at(url: &str) -> Result<Self, ClientError> {
        let bad = || ClientError::Url(url.to_owned());
        let rest = url.strip_prefix("http://").ok_or_else(bad)?.trim_end_matches('/');
        if rest.is_empty() || rest.contains(['/', '@', '?', ' ']) {
            return Err(bad());
        }
        let named_port = rest.rsplit(']').next().is_some_and(|tail| tail.contains(':'));
        let target = if named_port { rest.to_owned() } else { format!("{rest}:80") };
        let found =
            target.to_socket_addrs().map_err(|source| ClientError::Unreachable { url: url.to_owned(), source })?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), authority: rest.to_owned(), addresses: found.collect() })
    }

    /// Sends a request and returns the response as soon as its head has arrived.
    ///
    /// `silence` bounds the wait for each piece of the response.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the request may have been processed if it is [`ClientError::Broken`].
    pub(crate) fn send(&self, request: &Request<'_>, silence: Duration) -> Result<Response, ClientError> {
        let mut stream = self.connect()?;
        let prepared = stream.set_read_timeout(Some(silence)).and_then(|()| stream.set_nodelay(true));
        prepared.map_err(ClientError::Broken)?;
        stream.write_all(&self.bytes(request)).map_err(ClientError::Broken)?;
        Response::read(BufReader::new(stream)).map_err(ClientError::Broken)
    }

    fn connect(&self) -> Result<TcpStream, ClientError> {
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in &self.addresses {
            match TcpStream::connect_timeout(address, Duration::from_secs(5)) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(ClientError::Unreachable { url: self.url.clone(), source: last })
    }

    fn bytes(&self, request: &Request<'_>) -> Vec<u8> {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            request.method, request.path, self.authority
        );
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {}\r\n", value.replace(['\r', '\n'], " ")));
        }
        let body = request.body.as_deref();
        if let Some(body) = body {
            head.push_str(&format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len()));
        } else if request.method != "GET" {
            head.push_str("content-length: 0\r\n");
        }
        head.push_str("\r\n");
        [head.as_bytes(), body.unwrap_or_default()].concat()
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl Response {
    /// Returns the value of a header field; the name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Reads the whole body as text.
    ///
    /// # Errors
    ///
    /// [`ClientError::Broken`] if it ends early or is longer than 64 MiB.
    pub(crate) fn text(mut self) -> Result<String, ClientError> {
        let mut bytes = Vec::new();
        let mut body = (&mut self.body).take(BODY_BYTES_MAX + 1);
        body.read_to_end(&mut bytes).map_err(ClientError::Broken)?;
        if bytes.len() as u64 > BODY_BYTES_MAX {
            return Err(ClientError::Broken(invalid("the response is too long")));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the body, to be read as it arrives.
    pub(crate) fn into_body(self) -> impl BufRead {
        BufReader::new(self.body)
    }

    fn read(mut stream: BufReader<TcpStream>) -> io::Result<Self> {
        let status = loop {
            let status = status_of(&line(&mut stream)?)?;
            if status >= 200 {
                break status;
            }
            fields(&mut stream)?;
        };
        let headers = fields(&mut stream)?;
        let framing = Framing::of(status, &headers)?;
        Ok(Self { status, headers, body: Body { stream, framing } })
    }
}

fn status_of(line: &str) -> io::Result<u16> {
    let mut words = line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    status.filter(|_| version.starts_with("HTTP/1.")).ok_or_else(|| invalid("the answer is not HTTP/1.1"))
}

fn fields(stream: &mut impl BufRead) -> io::Result<Vec<(String, String)>> {
    let mut fields = Vec::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header field has no colon"))?;
        fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        if fields.len() > FIELDS_MAX {
            return Err(invalid("the answer has too many header fields"));
        }
    }
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes)?;
    if bytes.pop() != Some(b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    String::from_utf8(bytes).map_err(|_| invalid("a head line is not UTF-8"))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// What is left of a body.
#[derive(Debug)]
enum Framing {
    Length(u64),
    /// Bytes left of the present chunk; `started` once its line break has to be read before the next.
    Chunked {
        left: u64,
        started: bool,
    },
    UntilClose,
    Done,
}

impl Framing {
    fn of(status: u16, headers: &[(String, String)]) -> io::Result<Self> {
        let field = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        if status == 204 || status == 304 {
            return Ok(Self::Done);
        }
        if field("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
            return Ok(Self::Chunked { left: 0, started: false });
        }
        match field("content-length") {
            Some(value) => value.parse().map(Self::Length).map_err(|_| invalid("content-length is not a number")),
            None => Ok(Self::UntilClose),
        }
    }
}

#[derive(Debug)]
struct Body {
    stream: BufReader<TcpStream>,
    framing: Framing,
}

impl Body {
    /// Returns how many bytes may be read next, opening the next chunk if need be; 0 at the end.
    fn room(&mut self) -> io::Result<u64> {
        match self.framing {
            Framing::Length(left) => Ok(left),
            Framing::UntilClose => Ok(u64::MAX),
            Framing::Done => Ok(0),
            Framing::Chunked { left, .. } if left > 0 => Ok(left),
            Framing::Chunked { started, .. } => self.next_chunk(started),
        }
    }

    fn next_chunk(&mut self, started: bool) -> io::Result<u64> {
        if started && !line(&mut self.stream)?.is_empty() {
            return Err(invalid("a chunk is longer than it says"));
        }
        let head = line(&mut self.stream)?;
        let size = head.split(';').next().unwrap_or_default().trim();
        let left = u64::from_str_radix(size, 16).map_err(|_| invalid("a chunk has no size"))?;
        if left == 0 {
            fields(&mut self.stream)?;
            self.framing = Framing::Done;
        } else {
            self.framing = Framing::Chunked { left, started: true };
        }
        Ok(left)
    }

    fn consumed(&mut self, count: u64) {
        match &mut self.framing {
            Framing::Length(left) | Framing::Chunked { left, .. } => *left = left.saturating_sub(count),
            Framing::UntilClose | Framing::Done => {}
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room()?;
        if room == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let count = (&mut self.stream).take(room).read(buffer)?;
        if count == 0 && !matches!(self.framing, Framing::UntilClose) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.consumed(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    /// Answers one connection with `bytes` and returns what a client makes of it.
    fn answered(bytes: &'static [u8]) -> Result<Response, ClientError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(bytes).unwrap();
        });
        let answer = Server::at(&url).unwrap().send(&Request::get("/x"), Duration::from_secs(5));
        server.join().unwrap();
        answer
    }

    #[test]
    fn a_body_is_read_by_length_by_chunks_and_until_close() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more"[..],
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
        ] {
            let response = answered(bytes).unwrap();
            assert_eq!((response.status, response.text().unwrap().as_str()), (200, "hello"));
        }
    }

    #[test]
    fn a_body_that_ends_early_is_an_error_and_never_a_short_answer() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ] {
            assert!(answered(bytes).unwrap().text().is_err());
        }
        assert!(answered(b"SSH-2.0-server\r\n\r\n").is_err());
        assert!(answered(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n").is_err());
    }

    #[test]
    fn only_plain_urls_of_a_server_are_taken() {
        for url in ["https://a", "127.0.0.1:1", "http://", "http://a/b", "http://u@a", "http://a b"] {
            assert!(matches!(Server::at(url), Err(ClientError::Url(_))), "{url}");
        }
        assert!(Server::at("http://127.0.0.1:1/").is_ok());
        assert!(Server::at("http://[::1]").is_ok());
    }

    #[test]
    fn nobody_there_is_told_apart_from_a_broken_answer() {
        let server = Server::at("http://127.0.0.1:1").unwrap();
        let answer = server.send(&Request::get("/"), Duration::from_secs(1));
        assert!(matches!(answer, Err(ClientError::Unreachable { .. })));
    }
}
