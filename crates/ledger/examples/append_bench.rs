//! Measures the log beside the disk it is on: what a bare write and sync take, and what appending takes on top.
//!
//! ```sh
//! cargo run --release -p ledger --example append_bench -- [--seconds N] [--rounds N] [--dir DIR] [--json]
//! ```
//! Each round measures the floor (4 KiB written and synced in a file that was written before, one at a time), then
//! the log with 1, 64 and 256 entries outstanding, so that both see the same neighbors. Entries are made as a gateway
//! makes them: encoded, salted, committed to and hashed by the submitter. `cpu` is that of the whole process,
//! callers included.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use ledger::{Draft, Ledger, Options};
use proof::entry::{Entry, Kind};
use terms::SystemClock;

type Failure = Box<dyn std::error::Error>;

const FLOOR_BYTES: usize = 64 << 20;
const FLOOR_BLOCK: usize = 4_096;
const OUTSTANDING: [usize; 3] = [1, 64, 256];

fn main() -> Result<(), Failure> {
    let settings = Settings::parse(std::env::args().skip(1))?;
    let place = settings.dir.join(format!("append-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let measured = measure(&settings, &place);
    std::fs::remove_dir_all(&place)?;
    let (runs, submit) = measured?;
    if settings.json {
        print_json(&runs, submit);
    } else {
        print_table(&runs, submit);
    }
    Ok(())
}

struct Settings {
    seconds: f64,
    rounds: usize,
    dir: PathBuf,
    json: bool,
}

impl Settings {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut settings = Self { seconds: 3.0, rounds: 3, dir: std::env::temp_dir(), json: false };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--seconds" => settings.seconds = value()?.parse()?,
                "--rounds" => settings.rounds = value()?.parse()?,
                "--dir" => settings.dir = value()?.into(),
                "--json" => settings.json = true,
                other => return Err(format!("`{other}` is not an option").into()),
            }
        }
        Ok(settings)
    }
}

/// One measurement.
struct Run {
    name: String,
    round: usize,
    appends: usize,
    commits: u64,
    elapsed: Duration,
    cpu: Duration,
    p50: Duration,
    p99: Duration,
}

fn measure(settings: &Settings, place: &Path) -> Result<(Vec<Run>, Duration), Failure> {
    let time = Duration::from_secs_f64(settings.seconds);
    let mut runs = Vec::new();
    for round in 0..settings.rounds {
        runs.push(Run { round, ..floor(place, time)? });
        for outstanding in OUTSTANDING {
            let dir = place.join(format!("{round}-{outstanding}"));
            runs.push(Run { round, ..appends(&dir, time, outstanding)? });
            std::fs::remove_dir_all(dir)?;
        }
    }
    let submit = submit_cost(&place.join("submit"))?;
    Ok((runs, submit))
}

/// Writes and syncs blocks of a file that has all its blocks, one after another.
fn floor(place: &Path, time: Duration) -> Result<Run, Failure> {
    let path = place.join("floor");
    std::fs::write(&path, vec![0; FLOOR_BYTES])?;
    let file = File::options().write(true).open(&path)?;
    file.sync_all()?;
    let block = [7; FLOOR_BLOCK];
    let (begin, cpu) = (Instant::now(), process_cpu()?);
    let mut latencies = Vec::new();
    while begin.elapsed() < time {
        let started = Instant::now();
        let offset = latencies.len() * FLOOR_BLOCK % FLOOR_BYTES;
        file.write_all_at(&block, offset as u64)?;
        file.sync_data()?;
        latencies.push(started.elapsed());
    }
    let commits = latencies.len() as u64;
    let run = summarize("floor".to_owned(), latencies, commits, begin.elapsed(), cpu)?;
    std::fs::remove_file(path)?;
    Ok(run)
}

fn open(dir: &Path) -> Result<Ledger, Failure> {
    let options = Options {
        origin: "bench.example/exeat/1".to_owned(),
        segment_bytes: 64 << 20,
        queue_entries: 100_000,
        checkpoint_every: Duration::from_secs(1),
    };
    Ok(Ledger::open(dir, options, Arc::new(SystemClock::default()))?.0)
}

/// Keeps so many entries outstanding, each by a task of one runtime, as the gateway does.
fn appends(dir: &Path, time: Duration, outstanding: usize) -> Result<Run, Failure> {
    let ledger = open(dir)?;
    // The second segment is being pre-written; wait until the disk is quiet again.
    std::thread::sleep(Duration::from_millis(500));
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let local = tokio::task::LocalSet::new();
    let commits = ledger.health().commits;
    let (begin, cpu) = (Instant::now(), process_cpu()?);
    let latencies = local.block_on(&runtime, async {
        let tasks: Vec<_> =
            (0..outstanding).map(|_| tokio::task::spawn_local(one_caller(ledger.clone(), begin + time))).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.map_err(io::Error::other)?);
        }
        Ok::<_, io::Error>(latencies)
    })?;
    let elapsed = begin.elapsed();
    let commits = ledger.health().commits - commits;
    let name = format!("ledger, {outstanding} outstanding");
    let run = summarize(name, latencies, commits, elapsed, cpu)?;
    ledger.stop()?;
    Ok(run)
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

/// An entry of about 230 bytes, with a private part of 400: it opens a call, or closes the one `opened` names.
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
    entry.request = Some([3; 32]);
    Draft { entry, private: vec![b'f'; 400] }
}

/// Measures what submitting takes on the caller's thread.
fn submit_cost(dir: &Path) -> Result<Duration, Failure> {
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

fn summarize(
    name: String,
    mut latencies: Vec<Duration>,
    commits: u64,
    elapsed: Duration,
    cpu: Duration,
) -> Result<Run, Failure> {
    latencies.sort_unstable();
    let at = |share: usize| {
        let place = latencies.len().saturating_sub(1) * share / 100;
        latencies.get(place).copied().unwrap_or_default()
    };
    Ok(Run {
        round: 0,
        appends: latencies.len(),
        commits,
        elapsed,
        cpu: process_cpu()?.saturating_sub(cpu),
        p50: at(50),
        p99: at(99),
        name,
    })
}

/// Returns the processor time of this process, from `/proc` in ticks of 10 ms.
fn process_cpu() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no `/proc/self/stat`")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(11).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 10))
}

impl Run {
    fn per_second(&self) -> f64 {
        self.appends as f64 / self.elapsed.as_secs_f64()
    }

    fn cpu_micros(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.appends.max(1) as f64
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn print_table(runs: &[Run], submit: Duration) {
    println!(
        "{:24} {:>5} {:>10} {:>9} {:>9} {:>9} {:>10} {:>8}",
        "", "round", "appends/s", "p50 ms", "p99 ms", "commits/s", "per commit", "cpu us"
    );
    for run in runs {
        println!(
            "{:24} {:>5} {:>10.0} {:>9.3} {:>9.3} {:>9.0} {:>10.1} {:>8.2}",
            run.name,
            run.round + 1,
            run.per_second(),
            millis(run.p50),
            millis(run.p99),
            run.commits as f64 / run.elapsed.as_secs_f64(),
            run.appends as f64 / run.commits.max(1) as f64,
            run.cpu_micros(),
        );
    }
    println!("submit: {:.2} us on the caller's thread", submit.as_secs_f64() * 1e6);
}

fn print_json(runs: &[Run], submit: Duration) {
    let runs: Vec<_> = runs
        .iter()
        .map(|run| {
            serde_json::json!({
                "name": run.name,
                "round": run.round + 1,
                "appends_per_second": run.per_second(),
                "p50_ms": millis(run.p50),
                "p99_ms": millis(run.p99),
                "commits": run.commits,
                "appends": run.appends,
                "cpu_us_per_append": run.cpu_micros(),
            })
        })
        .collect();
    let all = serde_json::json!({ "runs": runs, "submit_us": submit.as_secs_f64() * 1e6 });
    println!("{all}");
}
