//! Measures what a credential costs a request, side by side: an API key, access tokens, and proofs of possession.
//!
//! `cargo run --release -p gateway --example credentials_bench`. One client asks for the list of models over one
//! connection, which is answered without the log and without a model server; the kinds of credential take turns, so that
//! whatever else runs on the machine slows them alike. What counts are the ratios to the API key. A token that is new is
//! verified and then decided on, as it would be at its first call.

mod credentials;
mod world;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use self::{credentials::Kind, world::World};

/// Requests of each kind that are measured, and as many in ten before that are not.
const REQUESTS: usize = 5_000;

fn main() -> Result<()> {
    let world = World::start()?;
    let mut connection = Connection::open(world.address())?;
    let kinds = credentials::prepare(&world, &mut connection, REQUESTS + REQUESTS / 10)?;
    let mut times = vec![Vec::with_capacity(REQUESTS); kinds.len()];
    for round in 0..REQUESTS + REQUESTS / 10 {
        for (kind, times) in kinds.iter().zip(&mut times) {
            let took = connection.timed(kind.request(round))?;
            if round >= REQUESTS / 10 {
                times.push(took);
            }
        }
    }
    print(&kinds, &mut times)
}

fn print(kinds: &[Kind], times: &mut [Vec<Duration>]) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{REQUESTS} requests of each kind, in turn; microseconds\n")?;
    writeln!(out, "{:34} {:>8} {:>8} {:>8}", "credential", "p50", "p99", "ratio")?;
    let mut key = None;
    for (kind, times) in kinds.iter().zip(times) {
        times.sort_unstable();
        let (half, most) = (at(times, 50)?, at(times, 99)?);
        let key = *key.get_or_insert(half);
        writeln!(out, "{:34} {half:>8.1} {most:>8.1} {:>8.2}", kind.name, half / key)?;
    }
    Ok(())
}

/// Returns a percentile, in microseconds.
fn at(times: &[Duration], percent: usize) -> Result<f64> {
    let took = times.get(times.len() * percent / 100).context("nothing was measured")?;
    Ok(took.as_secs_f64() * 1e6)
}

/// One connection that is kept open.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request that must be served, and returns how long its answer took.
    fn timed(&mut self, request: &[u8]) -> Result<Duration> {
        let start = Instant::now();
        let (head, body) = self.ask(request)?;
        let took = start.elapsed();
        ensure!(head.starts_with("HTTP/1.1 200"), "{head}{}", String::from_utf8_lossy(&body));
        Ok(took)
    }

    /// Sends a request and reads the whole answer: its head, and its body.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<(String, Vec<u8>)> {
        self.0.get_mut().write_all(request)?;
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let from = head.len();
            ensure!(self.0.read_line(&mut head)? > 0, "the connection was closed");
            let line = head.get(from..).unwrap_or_default().trim_end();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                None if line.is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok((head, body))
    }
}
