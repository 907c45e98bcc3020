//! The log.

use std::{
    io,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Chain, Draft, Ledger, Options};
use proof::{
    commit::Field,
    entry::{Class, Entry, Kind},
};
use terms::SystemClock;

use crate::{
    Failure,
    run::{Run, Stopwatch},
    schedule,
};

/// How many entries are kept outstanding, in one measurement each.
pub(crate) const OUTSTANDING: [usize; 3] = [1, 64, 256];

/// The name of entries on schedule.
pub(crate) const ON_SCHEDULE: &str = "ledger, 1,000 a second";

/// Returns the name of a measurement.
pub(crate) fn name(outstanding: usize) -> String {
    format!("ledger, {outstanding} outstanding")
}

/// Keeps so many entries outstanding, each by a task of one runtime, as the gateway does.
pub(crate) fn appends(dir: &Path, time: Duration, outstanding: usize) -> Result<Run, Failure> {
    let ledger = open(dir)?;
    // The second segment is being pre-written; wait until the disk is quiet again.
    std::thread::sleep(Duration::from_millis(500));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let local = tokio::task::LocalSet::new();
    let commits = ledger.health().commits;
    let watch = Stopwatch::start()?;
    let end = Instant::now() + time;
    let latencies = local.block_on(&runtime, async {
        let tasks: Vec<_> =
            (0..outstanding).map(|_| tokio::task::spawn_local(one_caller(ledger.clone(), end))).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.map_err(io::Error::other)?);
        }
        Ok::<_, io::Error>(latencies)
    })?;
    let commits = ledger.health().commits - commits;
    let run = watch.stop(&name(outstanding), latencies, Some(commits))?;
    ledger.stop()?;
    Ok(run)
}

/// Appends entries as requests come.
pub(crate) fn appends_on_schedule(dir: &Path, time: Duration) -> Result<Run, Failure> {
    let ledger = open(dir)?;
    std::thread::sleep(Duration::from_millis(500));
    let run = schedule::run(ON_SCHEDULE, time, |turn| {
        drop(ledger.append(draft(turn.into(), None))?.wait()?);
        Ok(())
    })?;
    ledger.stop()?;
    Ok(run)
}

/// Measures what submitting takes on the caller's thread.
pub(crate) fn submit_cost(dir: &Path) -> Result<Duration, Failure> {
    const COUNT: u32 = 50_000;
    let ledger = open(dir)?;
    let drafts: Vec<_> = (0..COUNT).map(|call| draft(call.into(), Some(0))).collect();
    let mut last = None;
    let begin = Instant::now();
    for draft in drafts {
        last = Some(ledger.append(draft)?);
    }
    let took = begin.elapsed();
    if let Some(last) = last {
        drop(last.wait()?);
    }
    ledger.stop()?;
    Ok(took / COUNT)
}

/// Returns the bytes of what the others are given to record: an entry with its private part.
pub(crate) fn record(call: u64) -> Result<Vec<u8>, Failure> {
    let draft = draft(call, None);
    let private: Vec<u8> = draft.private.iter().flat_map(|(_, value)| value).collect();
    Ok([draft.entry.encode()?, private].concat())
}

fn open(dir: &Path) -> Result<Ledger, Failure> {
    let options = Options {
        origin: "bench.example/exeat/1".to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 100_000,
        checkpoint_every: Duration::from_secs(1),
        heads_every: Duration::from_secs(3_600),
    };
    Ok(Ledger::open(dir, options, Arc::new(SystemClock::default()))?.0)
}

async fn one_caller(ledger: Ledger, end: Instant) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut call = 0;
    let mut opened = None;
    while Instant::now() < end {
        let started = Instant::now();
        let Ok(pending) = ledger.append(draft(call, opened)) else {
            tokio::task::yield_now().await;
            continue;
        };
        let Ok(recorded) = pending.durable().await else {
            break;
        };
        latencies.push(started.elapsed());
        call = recorded.index();
        opened = opened.is_none().then_some(call);
    }
    latencies
}

/// An entry of about 300 bytes, in four chains, with a private part of 430: it opens a call, or closes the one `opened` names.
fn draft(call: u64, opened: Option<u64>) -> Draft {
    let kind = opened.map_or(Kind::Open, |_| Kind::Close);
    let mut entry = Entry::new(kind);
    entry.opened = opened;
    let mut id = [0; 16];
    id.split_at_mut(8).0.copy_from_slice(&call.to_be_bytes());
    entry.call = Some(id);
    entry.subject = Some([7; 16]);
    entry.model = Some("mythos-5".to_owned());
    entry.snapshot = Some([9; 32]);
    entry.basis = Some(vec!["larkspur.standing.us-person".to_owned(), "larkspur.license.annex-a".to_owned()]);
    let chain = |class, id| Chain { class, id: [id; 16] };
    let (people, keys) = (chain(Class::Subject, 7), chain(Class::Key, 8));
    let (firms, models) = (chain(Class::Organization, 9), chain(Class::Model, 10));
    Draft::new(entry, vec![b'f'; 400]).with(Field::Request, vec![3; 32]).on([people, keys, firms, models].into())
}
