//! Measures the log beside the disk it is on, and beside what one would use in its place.
//!
//! ```sh
//! cargo run --release -p ledger --example append_bench -- [--seconds N] [--rounds N] [--dir DIR]
//!     [--postgres DIR] [--witness-log DIR] [--out DIR]
//! ```
//! Each round measures, one after another, so that all see the same neighbors: the floor (4 KiB written and synced in
//! a file that was written before, one at a time), one `fsync` per record (a growing file of hash-chained records),
//! the floor and the log at 1,000 requests a second, whose latencies count from when each was to begin (no request waits for
//! the answer to another, so no stall is left out), the log with 1, 64 and 256 entries outstanding, and, with `--postgres`, a hash chain kept by a function of
//! PostgreSQL with 1 and 64 clients, and plain inserts of 64 clients; with `--witness-log`, the journal of that package with
//! a sync after each record, after 64, and with none. Entries are made as a gateway makes them: encoded, salted,
//! committed to and hashed by the submitter. `cpu` is that of this whole process, callers included.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

mod claims;
mod disk;
mod ours;
mod postgres;
mod report;
mod run;
mod schedule;
mod witness_log;

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use postgres::{Database, Statement};
use report::Report;
use run::Run;
use witness_log::WitnessLog;

// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What goes wrong ends the measurement.
pub(crate) type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let settings = Settings::parse(std::env::args().skip(1))?;
    let Some(settings) = settings else {
        println!("{USAGE}");
        return Ok(());
    };
    let place = settings.dir.join(format!("append-bench-{}", std::process::id()));
    std::fs::create_dir_all(&place)?;
    let measured = measure(&settings, &place);
    std::fs::remove_dir_all(&place)?;
    let report = measured?;
    println!("{}", report.text());
    match &settings.out {
        Some(out) => report.write(out),
        None => Ok(()),
    }
}

const USAGE: &str = "\
usage: append_bench [OPTION ...]
  --seconds N     each measurement of a round takes so long (3)
  --rounds N      rounds; figures are medians over them (3)
  --dir DIR       measures the disk that this folder is on (the folder for temporary files)
  --postgres DIR  also measures the PostgreSQL unpacked here (`cargo xtask bench install postgres`)
  --witness-log DIR  also measures witness-log in this Python environment (`cargo xtask bench install witness-log`)
  --out DIR       writes ledger.json and ledger.md there";

struct Settings {
    seconds: f64,
    rounds: usize,
    dir: PathBuf,
    postgres: Option<PathBuf>,
    witness_log: Option<PathBuf>,
    out: Option<PathBuf>,
}

impl Settings {
    /// Reads the options; `None` if they ask for help.
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, Failure> {
        let dir = std::env::temp_dir();
        let mut settings = Self { seconds: 3.0, rounds: 3, dir, postgres: None, witness_log: None, out: None };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--seconds" => settings.seconds = value()?.parse()?,
                "--rounds" => settings.rounds = value()?.parse()?,
                "--dir" => settings.dir = value()?.into(),
                "--postgres" => settings.postgres = Some(value()?.into()),
                "--witness-log" => settings.witness_log = Some(value()?.into()),
                "--out" => settings.out = Some(value()?.into()),
                "--help" | "-h" => return Ok(None),
                other => return Err(format!("`{other}` is not an option\n{USAGE}").into()),
            }
        }
        Ok(Some(settings))
    }
}

fn measure(settings: &Settings, place: &Path) -> Result<Report, Failure> {
    let database =
        settings.postgres.as_deref().map(|root| Database::start(root, &place.join("postgres"))).transpose()?;
    let witness_log = settings.witness_log.as_deref().map(WitnessLog::find).transpose()?;
    let time = Duration::from_secs_f64(settings.seconds);
    let mut runs = Vec::new();
    for round in 0..settings.rounds {
        for run in one_round(&place.join(round.to_string()), time, (database.as_ref(), witness_log.as_ref()))? {
            runs.push(Run { round, ..run });
        }
    }
    let submit = ours::submit_cost(&place.join("submit"))?;
    let version = database.as_ref().map(Database::version).transpose()?;
    let witness_log = witness_log.map(|found| found.version);
    Ok(Report { runs, submit, postgres: version, witness_log, seconds: settings.seconds })
}

fn one_round(
    place: &Path,
    time: Duration,
    (database, witness_log): (Option<&Database>, Option<&WitnessLog>),
) -> Result<Vec<Run>, Failure> {
    // Logs are not removed before the end: without a journal, ext4 looks at every file that was just removed for each new one.
    std::fs::create_dir(place)?;
    let mut runs = vec![disk::floor(place, time)?, disk::sync_each(place, time)?];
    runs.push(disk::floor_on_schedule(place, time)?);
    runs.push(ours::appends_on_schedule(&place.join("ours-on-schedule"), time)?);
    for outstanding in ours::OUTSTANDING {
        runs.push(ours::appends(&place.join(format!("ours-{outstanding}")), time, outstanding)?);
    }
    if let Some(database) = database {
        for statement in [Statement::ChainAlone, Statement::Chain, Statement::Insert] {
            runs.push(database.run(statement, time)?);
        }
    }
    if let Some(witness_log) = witness_log {
        for per_sync in witness_log::PER_SYNC {
            runs.push(witness_log.run(place, per_sync, time)?);
        }
    }
    Ok(runs)
}

/// Returns bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
