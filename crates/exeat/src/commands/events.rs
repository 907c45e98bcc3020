//! The record as events of other schemas, one a line.

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::Path,
};

use anyhow::Context;
use ledger::Reader;
use terms::Moment;
use verifier::Progress;
use views::{Event, Format};

/// Writes the signed entries between two times as events; the first time is in it, the second is not. Returns how many
/// events there were.
///
/// # Errors
///
/// If the record cannot be read, or the file is there already or cannot be written.
pub(super) fn export(
    reader: &Reader,
    format: Format,
    (from, to): (Option<Moment>, Option<Moment>),
    out: &Path,
    progress: &mut dyn Progress,
) -> anyhow::Result<u64> {
    let end = reader.checkpoint_size()?;
    let first = from.map_or(Ok(0), |from| reader.first_since(millis(from), end))?;
    let last = to.map_or(Ok(end), |to| reader.first_since(millis(to), end))?;
    let at = || format!("cannot write `{}`", out.display());
    let mut file = BufWriter::new(open(out).with_context(at)?);
    let events = write(reader, format, first..last, &mut file, progress)?;
    file.flush().with_context(at)?;
    Ok(events)
}

fn open(out: &Path) -> io::Result<Box<dyn Write>> {
    if out.as_os_str() == "-" {
        return Ok(Box::new(io::stdout()));
    }
    Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(out)?))
}

fn write(
    reader: &Reader,
    format: Format,
    range: std::ops::Range<u64>,
    out: &mut impl Write,
    progress: &mut dyn Progress,
) -> anyhow::Result<u64> {
    let vkey = reader.verifier_key()?;
    let origin = vkey.split('+').next().unwrap_or_default();
    let mut events = 0;
    if range.is_empty() {
        return Ok(events);
    }
    for stored in reader.entries(range.start)? {
        let stored = stored?;
        if stored.index >= range.end {
            break;
        }
        progress.entries(stored.index + 1 - range.start, range.end - range.start);
        let event = Event::new(origin, stored.index, stored.leaf).with_context(|| format!("entry {}", stored.index))?;
        if let Some(shown) = event.render(format) {
            writeln!(out, "{shown}").context("cannot write an event")?;
            events += 1;
        }
    }
    Ok(events)
}

fn millis(at: Moment) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or_default()
}
