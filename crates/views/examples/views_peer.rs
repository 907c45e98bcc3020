//! Our side of the tests with other programs: renders entries, and streams a small log to a sink.
//!
//! `views_peer render FORMAT` reads one entry a line, in hexadecimal digits, and writes one event a line.
//! `views_peer stream DIR FORMAT (tcp://HOST:PORT | tls://HOST:PORT CA | URL SECRET)` keeps a log in `DIR`, appends an
//! entry with the code of each line it reads, and streams it until its input ends.

use std::{
    env,
    io::{self, BufRead, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use fetch::{AddressRule, Client, Roots, Settings, Url};
use ledger::{Draft, Ledger, Options};
use proof::entry::{Entry, Kind};
use terms::{Clock, SystemClock};
use views::{Event, Format, Limits, Progress, Sink, Stream, follow};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["render", format] => render(format.parse().map_err(anyhow::Error::msg)?),
        ["stream", dir, format, ref sink @ ..] => {
            stream(Path::new(dir), format.parse().map_err(anyhow::Error::msg)?, sink_of(sink)?)
        }
        _ => bail!("see the head of this file"),
    }
}

fn render(format: Format) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for (index, line) in io::stdin().lock().lines().enumerate() {
        let event = Event::new("log.example.com/exeat/1", u64::try_from(index)?, unhex(&line?)?)?;
        match event.render(format) {
            Some(shown) => writeln!(out, "{shown}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn unhex(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = |at| text.get(at..at + 2).context("an odd number of digits");
    (0..text.len()).step_by(2).map(|at| Ok(u8::from_str_radix(digits(at)?, 16)?)).collect()
}

fn sink_of(words: &[&str]) -> anyhow::Result<Sink> {
    Ok(match words {
        [tcp] => Sink::syslog(tcp, None)?,
        [tls, ca] if tls.starts_with("tls:") => Sink::syslog(tls, Some(Roots::of_file(Path::new(ca))?))?,
        [url, secret] => {
            let settings = Settings::new(Roots::nobody()?, AddressRule::allowing(["127.0.0.1"])?);
            Sink::webhook(Client::new(settings), Url::parse(url)?, secret)?
        }
        _ => bail!("say where to"),
    })
}

#[tokio::main(flavor = "current_thread")]
async fn stream(dir: &Path, format: Format, sink: Sink) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let options = Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 1_024,
        checkpoint_every: Duration::from_millis(50),
        heads_every: Duration::from_secs(3_600),
    };
    let (ledger, _) = Ledger::open(&dir.join("ledger"), options, Arc::clone(&clock))?;
    let stream = Stream { name: "peer".to_owned(), format, sink, limits: Limits { entries: 4, bytes: 1 << 16 } };
    let (at, cursors) = (dir.join("ledger"), dir.to_owned());
    tokio::spawn(async move { follow(stream, at, &cursors, clock, Progress::default()).await });
    let append = tokio::task::spawn_blocking(move || -> anyhow::Result<()> {
        for line in io::stdin().lock().lines() {
            let entry = Entry { code: Some(line?), ..Entry::new(Kind::Admin) };
            ledger.append(Draft::new(entry, "{}"))?.wait()?.into_inner();
        }
        Ok(ledger.stop()?)
    });
    append.await?
}
