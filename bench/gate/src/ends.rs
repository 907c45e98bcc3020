//! The client and the model server of a gateway, in one process and one thread, which take turns with it.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};

/// How long the gateway has to fall asleep before the next bytes come; far more than it needs.
const TURN: Duration = Duration::from_millis(1);

const ANSWER: &str = r#"{"id":"chatcmpl-0","object":"chat.completion","created":1750000000,"model":"mythos-5.0","choices":[{"index":0,"message":{"role":"assistant","content":"Good afternoon. How can I help you today?"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}"#;
const EVENT: &str = "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\"model\":\"mythos-5.0\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"},\"finish_reason\":null}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

/// Plays both ends: prints where the model server listens, reads where the gateway is, and does what is asked.
///
/// # Errors
///
/// The gateway did not relay what was sent, or is gone.
pub(crate) fn play(what: &str, count: u32) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let [gateway, key, model] = words.as_slice() else { bail!("`{line}` does not say where the gateway is") };
    let ends =
        Ends { listener, client: connect(gateway.parse()?)?, key: (*key).to_owned(), model: (*model).to_owned() };
    match what {
        "frames" => ends.frames(count),
        "calls" => ends.calls(count),
        other => bail!("there is no `{other}` to play"),
    }
}

/// Reads the address that [`play`] prints.
///
/// # Errors
///
/// It did not print one.
pub(crate) fn read_address(from: impl Read) -> anyhow::Result<SocketAddr> {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line)?;
    line.trim().parse().with_context(|| format!("`{line}` is not an address"))
}

struct Ends {
    listener: TcpListener,
    client: TcpStream,
    key: String,
    model: String,
}

impl Ends {
    /// One stream: each frame is sent when the client has the one before.
    fn frames(mut self, count: u32) -> anyhow::Result<()> {
        self.ask(true)?;
        let mut server = self.accept()?;
        read_request(&mut server)?;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        server.write_all([head, &chunk(EVENT)].concat().as_bytes())?;
        expect_end(&mut self.client, EVENT)?;
        for _ in 0..count {
            thread::sleep(TURN);
            server.write_all(chunk(EVENT).as_bytes())?;
            expect_end(&mut self.client, EVENT)?;
        }
        thread::sleep(TURN);
        server.write_all([chunk(DONE).as_str(), "0\r\n\r\n"].concat().as_bytes())?;
        read_until(&mut self.client, |bytes| bytes.ends_with(b"\r\n0\r\n\r\n")).map(drop)
    }

    /// Calls, each when the one before is answered, all on one connection.
    fn calls(mut self, count: u32) -> anyhow::Result<()> {
        let mut server = None;
        for _ in 0..count {
            self.ask(false)?;
            if server.is_none() {
                server = Some(self.accept()?);
            }
            let server = server.as_mut().context("no connection to the model server")?;
            read_request(server)?;
            thread::sleep(TURN);
            server.write_all(answer().as_bytes())?;
            let got = read_until(&mut self.client, |bytes| bytes.ends_with(ANSWER.as_bytes()))?;
            ensure!(got.starts_with(b"HTTP/1.1 200 OK\r\n"), "`{}`", String::from_utf8_lossy(&got));
            thread::sleep(TURN);
        }
        Ok(())
    }

    fn ask(&mut self, stream: bool) -> anyhow::Result<()> {
        let Self { key, model, .. } = self;
        let body = format!(
            "{{\"model\":\"{model}\",\"stream\":{stream},\"messages\":[{{\"role\":\"user\",\"content\":\"Good afternoon\"}}]}}"
        );
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {key}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Ok(self.client.write_all([head, body].concat().as_bytes())?)
    }

    fn accept(&self) -> anyhow::Result<TcpStream> {
        let (server, _) = self.listener.accept()?;
        prepared(server)
    }
}

fn connect(gateway: SocketAddr) -> anyhow::Result<TcpStream> {
    prepared(TcpStream::connect(gateway)?)
}

fn prepared(stream: TcpStream) -> anyhow::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn answer() -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}", ANSWER.len())
}

/// Reads a request whose body is a JSON object, which ends where its messages do.
fn read_request(server: &mut TcpStream) -> anyhow::Result<()> {
    read_until(server, |bytes| bytes.ends_with(b"}]}")).map(drop)
}

/// Reads until a chunk that ends with `event` is here.
fn expect_end(client: &mut TcpStream, event: &str) -> anyhow::Result<()> {
    let end = [event, "\r\n"].concat();
    read_until(client, |bytes| bytes.ends_with(end.as_bytes())).map(drop)
}

fn read_until(from: &mut TcpStream, done: impl Fn(&[u8]) -> bool) -> anyhow::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut some = [0; 4_096];
    while !done(&all) {
        let read = from.read(&mut some).with_context(|| format!("after `{}`", String::from_utf8_lossy(&all)))?;
        ensure!(read > 0, "the connection ended after `{}`", String::from_utf8_lossy(&all));
        all.extend_from_slice(some.get(..read).unwrap_or_default());
    }
    Ok(all)
}
