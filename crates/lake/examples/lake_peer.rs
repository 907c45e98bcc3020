//! Our side of `tests/lake`: makes a lake of calls that never were, answers questions about it, and tries stores.
//!
//! `fill URL LEAVES [hold]`, `query QUESTION URL LEAVES`, `probe URL`, `swap URL`, `compact URL LEAVES`; answers are JSON.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "what is printed is what the tests read, and a panic fails them"
)]

#[path = "../tests/it/memory.rs"]
mod memory;
#[path = "../tests/it/traffic.rs"]
mod traffic;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use anyhow::{Context, bail};
use lake::{
    CheckpointObject, Entries, Filter, Keep, Lock, Place, Query, Question, Record, SPAN_LEAVES, Source, Store,
    Uploader, probe,
};
use ledger::{CheckpointStore, Mark};
use memory::{Memory, ORIGIN};
use serde_json::{Value, json};
use terms::{Clock, Retention, SystemClock};
use tokio::runtime::{Builder, Runtime};
use traffic::Traffic;

fn main() -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let answer = match words.as_slice() {
        ["fill", url, leaves] => fill(&runtime, url, leaves, None)?,
        ["fill", url, leaves, "hold"] => {
            fill(&runtime, url, leaves, Some(Lock::new(Retention::default(), Arc::new(SystemClock::default()))))?
        }
        ["query", question, url, leaves] => query(&runtime, question, url, leaves)?,
        ["probe", url] => {
            json!(format!("{:?}", runtime.block_on(probe(&Store::open(url)?, SystemClock::default().now()))?))
        }
        ["swap", url] => swap(&runtime, url)?,
        ["compact", url, leaves] => compact(&runtime, url, leaves)?,
        _ => bail!("say what to do, as the first lines of this file do"),
    };
    println!("{answer}");
    Ok(())
}

fn log(leaves: &str) -> anyhow::Result<Arc<Memory<'static>>> {
    let leaves: usize = leaves.parse()?;
    let records: Vec<Record> = Traffic::new(7, 32).take(leaves).collect();
    Ok(Arc::new(Memory { records: records.leak(), size: AtomicUsize::new(leaves) }))
}

fn place(url: &str) -> anyhow::Result<Place> {
    Ok(Place::new(Store::open(url)?, ORIGIN))
}

fn fill(runtime: &Runtime, url: &str, leaves: &str, lock: Option<Lock>) -> anyhow::Result<Value> {
    let mark = PathBuf::from(std::env::var_os("LAKE_MARK").context("set LAKE_MARK to a file that may be written")?);
    let uploader = Uploader::new(log(leaves)?, place(url)?, lock, mark);
    let progress = runtime.block_on(uploader.advance())?;
    Ok(json!({ "covered": progress.covered, "size": progress.size }))
}

fn query(runtime: &Runtime, question: &str, url: &str, leaves: &str) -> anyhow::Result<Value> {
    let question = match question {
        "calls" => Question::Calls,
        "refusals" => Question::Refusals,
        "who" => Question::Who,
        "tokens" => Question::Tokens,
        "longest" => Question::Longest,
        other => bail!("`{other}` is no question"),
    };
    let log = log(leaves)?;
    let mut query = Query::new(question, Filter::default(), 100_000);
    let lake = Some((runtime.handle().clone(), place(url)?));
    for leaf in Entries::new(log.as_ref(), lake, 0..log.size()?)? {
        let (index, record) = leaf?;
        query.take(index, &record.leaf)?;
    }
    Ok(query.answer().to_json(&|_| None))
}

/// Two processes that swap the same object; says who came through.
fn swap(runtime: &Runtime, url: &str) -> anyhow::Result<Value> {
    let object = || anyhow::Ok(CheckpointObject::new(runtime.handle().clone(), Store::open(url)?, ORIGIN));
    let (one, other) = (object()?, object()?);
    let mark = |size, holder| Mark { size, root: [size as u8; 32], epoch: 1, holder: [holder; 16] };
    let before = one.load()?.map(|mark| mark.size);
    other.load()?;
    let swapped = [one.swap(&mark(10, 1))?, other.swap(&mark(11, 2))?, one.swap(&mark(12, 1))?];
    Ok(json!({ "before": before, "swapped": swapped, "after": other.load()?.map(|mark| mark.size) }))
}

fn compact(runtime: &Runtime, url: &str, leaves: &str) -> anyhow::Result<Value> {
    let source: Arc<dyn Source> = log(leaves)?;
    let keep = Keep { lock: None, now: SystemClock::default().now() };
    let done = runtime.block_on(lake::compact(&source, &place(url)?, 2 * SPAN_LEAVES, keep, |_| {}))?;
    Ok(json!({ "made": done.made, "removed": done.removed }))
}
