//! Makes large logs of calls like those of a small one, and measures what cannot be seen from outside.
//!
//! ```sh
//! calls_log fill LEDGER --calls N [--own-facts] [--crash]
//! calls_log recover LEDGER
//! calls_log prove LEDGER [--proofs N]
//! calls_log replay LEDGER [--decisions N]
//! ```
//! `fill` appends N calls through the real ledger, opening and closing entries that a gateway wrote into it, under new
//! call ids: so their chains, sizes and facts are those of real calls. Facts are recorded once
//! and referred to as the gateway does, or with `--own-facts` with each call. `--crash` ends without closing the log;
//! `recover` then opens it. `prove` makes receipts of entries all over the log. `replay` makes decisions from facts, read and
//! decided anew each time, on one thread. Answers are JSON.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

mod fill;
mod like;
mod measure;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ledger::{Ledger, Options, Recovery};
use terms::SystemClock;

// As in the gateway, whose decisions are made again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong ends the run.
pub(crate) type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: calls_log fill|recover|prove|replay LEDGER [--calls N] [--proofs N] \
                     [--decisions N] [--own-facts] [--crash]";

/// What was asked for.
struct Asked {
    what: String,
    ledger: PathBuf,
    /// Calls, proofs or decisions.
    count: u64,
    own_facts: bool,
    crash: bool,
}

impl Asked {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let (what, ledger) = words.next().zip(words.next()).ok_or(USAGE)?;
        let mut asked = Self { what, ledger: ledger.into(), count: 10_000, own_facts: false, crash: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--calls" | "--proofs" | "--decisions" => asked.count = value()?.parse()?,
                "--own-facts" => asked.own_facts = true,
                "--crash" => asked.crash = true,
                other => return Err(format!("`{other}` is not an option\n{USAGE}").into()),
            }
        }
        Ok(asked)
    }
}

fn main() -> Result<(), Failure> {
    let asked = Asked::parse(std::env::args().skip(1))?;
    let answer = match asked.what.as_str() {
        "fill" => fill::fill(&asked)?,
        "recover" => measure::recover(&asked.ledger)?,
        "prove" => measure::prove(&asked.ledger, asked.count)?,
        "replay" => measure::replay(&asked.ledger, asked.count)?,
        other => return Err(format!("`{other}` is nothing that can be done\n{USAGE}").into()),
    };
    println!("{answer}");
    Ok(())
}

/// Opens a log as an operator would have it.
pub(crate) fn open(dir: &std::path::Path, origin: &str) -> Result<(Ledger, Recovery), Failure> {
    let options = Options {
        origin: origin.to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 100_000,
        checkpoint_every: Duration::from_secs(1),
        heads_every: Duration::from_secs(3_600),
    };
    Ok(Ledger::open(dir, options, Arc::new(SystemClock::default()))?)
}
