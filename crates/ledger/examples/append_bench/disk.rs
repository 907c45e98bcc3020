//! The disk without a log: the floor, and the simplest thing that is durable.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use proof::tree::leaf_hash;

use crate::{
    Failure, ours,
    run::{Run, Stopwatch},
    schedule,
};

const FLOOR_BYTES: usize = 64 << 20;
const FLOOR_BLOCK: usize = 4_096;

/// The floor's name.
pub(crate) const FLOOR: &str = "floor: write and sync 4 KiB";
/// The name of the floor on schedule.
pub(crate) const FLOOR_ON_SCHEDULE: &str = "floor, 1,000 a second";
/// The name of one sync per record.
pub(crate) const SYNC_EACH: &str = "one fsync per record";

/// Writes and syncs blocks of a file that has all its blocks, one after another.
pub(crate) fn floor(place: &Path, time: Duration) -> Result<Run, Failure> {
    let path = place.join("floor");
    let file = written(&path)?;
    let watch = Stopwatch::start()?;
    let mut latencies = Vec::new();
    while watch.elapsed() < time {
        let started = Instant::now();
        write_and_sync(&file, latencies.len())?;
        latencies.push(started.elapsed());
    }
    let commits = latencies.len() as u64;
    let run = watch.stop(FLOOR, latencies, Some(commits))?;
    std::fs::remove_file(path)?;
    Ok(run)
}

/// Writes and syncs blocks of such a file as requests come.
pub(crate) fn floor_on_schedule(place: &Path, time: Duration) -> Result<Run, Failure> {
    let path = place.join("floor");
    let file = written(&path)?;
    let run = schedule::run(FLOOR_ON_SCHEDULE, time, |turn| write_and_sync(&file, turn as usize))?;
    std::fs::remove_file(path)?;
    Ok(run)
}

fn written(path: &Path) -> Result<File, Failure> {
    std::fs::write(path, vec![0; FLOOR_BYTES])?;
    let file = File::options().write(true).open(path)?;
    file.sync_all()?;
    Ok(file)
}

fn write_and_sync(file: &File, turn: usize) -> Result<(), Failure> {
    let offset = turn * FLOOR_BLOCK % FLOOR_BYTES;
    file.write_all_at(&[7; FLOOR_BLOCK], offset as u64)?;
    Ok(file.sync_data()?)
}

/// Appends records to a file that grows, each with the hash of the one before, and syncs after each.
pub(crate) fn sync_each(place: &Path, time: Duration) -> Result<Run, Failure> {
    let path = place.join("sync-each");
    let mut file = File::create(&path)?;
    let mut previous = [0; 32];
    let watch = Stopwatch::start()?;
    let mut latencies = Vec::new();
    while watch.elapsed() < time {
        let started = Instant::now();
        let record = [&previous, ours::record(latencies.len() as u64)?.as_slice()].concat();
        previous = leaf_hash(&record);
        file.write_all(&record)?;
        file.sync_all()?;
        latencies.push(started.elapsed());
    }
    let commits = latencies.len() as u64;
    let run = watch.stop(SYNC_EACH, latencies, Some(commits))?;
    std::fs::remove_file(path)?;
    Ok(run)
}
