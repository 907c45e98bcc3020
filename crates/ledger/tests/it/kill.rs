//! Processes that are killed, and what the system calls of one show.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use ledger::{Ledger, OpenError, Reader};
use terms::SystemClock;

use crate::{
    fsck::fsck,
    strace::strace,
    world::{decode, note, options},
};

/// Where the child finds its log; set only for children.
const DIR: &str = "EXEAT_TEST_LEDGER_DIR";
/// How many entries the child keeps in flight.
const OUTSTANDING: &str = "EXEAT_TEST_LEDGER_OUTSTANDING";

/// This test binary again, to run nothing but [`child_that_appends_until_it_is_killed`].
fn child(program: &mut Command, dir: &Path, outstanding: usize) -> Child {
    program
        .args(["--exact", "kill::child_that_appends_until_it_is_killed"])
        .args(["--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .env(OUTSTANDING, outstanding.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn this() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

/// The part that the children play; without a directory to write to there is nothing to play.
#[test]
fn child_that_appends_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let outstanding: usize = std::env::var(OUTSTANDING).unwrap().parse().unwrap();
    let clock = Arc::new(SystemClock::default());
    let (ledger, _) = Ledger::open(Path::new(&dir), options(), clock).unwrap();
    let mut out = std::io::stdout().lock();
    for round in 0_u64.. {
        let pending: Vec<_> = (0..outstanding).map(|n| ledger.append(note(&format!("{round} {n}"))).unwrap()).collect();
        for pending in pending {
            let index = pending.wait().unwrap().index();
            writeln!(out, "acknowledged {index} {round}").unwrap();
        }
        out.flush().unwrap();
    }
}

/// Reads what a child acknowledged: indices with the round that wrote them.
fn acknowledged(line: &str) -> Option<(u64, String)> {
    let mut words = line.strip_prefix("acknowledged ")?.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Vec::new();
    for kill in 0..20 {
        let mut child = child(&mut this(), dir.path(), 1 + kill * 3);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let wanted = 10 + kill * 17;
        kept.extend(lines.by_ref().filter_map(|l| acknowledged(&l)).take(wanted));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died, and nobody had read yet, counts as well.
        kept.extend(lines.filter_map(|line| acknowledged(&line)));
    }
    assert!(kept.len() > 20 * 10, "{}", kept.len());
    fsck(dir.path()).unwrap();
    let clock = Arc::new(SystemClock::default());
    let (ledger, recovery) = Ledger::open(dir.path(), options(), clock).unwrap();
    assert!(recovery.unclean);
    let entries: Vec<_> = ledger.reader().entries(0).unwrap().map(Result::unwrap).collect();
    for (index, round) in kept {
        let stored = &entries[usize::try_from(index).unwrap()];
        assert_eq!(stored.index, index);
        let text = String::from_utf8(stored.main().unwrap().to_vec()).unwrap();
        assert_eq!(text.split(' ').next(), Some(round.as_str()), "entry {index}");
    }
    let starts = entries.iter().map(decode).filter(|entry| entry.kind == proof::entry::Kind::Start);
    assert_eq!(starts.count(), 21);
    ledger.stop().unwrap();
    let size = Reader::open(dir.path()).unwrap().checkpoint_size().unwrap();
    // A heads entry and the stop.
    assert_eq!(size, entries.len() as u64 + 2);
}

#[test]
fn a_log_that_another_process_has_open_is_refused_until_that_one_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = child(&mut this(), dir.path(), 1);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines.find(|line| acknowledged(line.as_ref().unwrap()).is_some()).unwrap().unwrap();
    let open = || Ledger::open(dir.path(), options(), Arc::new(SystemClock::default()));
    assert!(matches!(open(), Err(OpenError::Held(_))));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(open().is_ok());
}

#[test]
fn the_system_calls_show_a_sync_of_the_segment_before_each_acknowledgment() {
    let trace = traced(1, 50);
    assert!(Trace::check(&trace).unwrap().acknowledged >= 50);
    // Without any one of the syncs of the segment, somebody was told too early.
    let lines: Vec<_> = trace.lines().collect();
    let is_sync = |number: &usize| lines[*number].contains("fdatasync(") && !file(&decoded(lines[*number])).is_empty();
    let syncs: Vec<_> = (0..lines.len()).filter(is_sync).collect();
    for number in &syncs[10..30] {
        let mut without = lines.clone();
        let other = lines[*number].replace("fdatasync(", "nothing(");
        without[*number] = &other;
        assert!(Trace::check(&without.join("\n")).is_err(), "line {number}");
    }
}

#[test]
fn the_system_calls_show_a_sync_of_what_several_wrote_before_any_of_them_is_acknowledged() {
    let shown = Trace::check(&traced(12, 240)).unwrap();
    assert!(shown.acknowledged >= 240 && shown.longest > 1, "at most {} in a batch", shown.longest);
}

/// Traces a child that keeps so many entries in flight until it has acknowledged as many as are wanted.
fn traced(outstanding: usize, wanted: usize) -> String {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = strace();
    // All of a batch's header, with the path of each file, in digits that need no quoting.
    strace.args(["-f", "-y", "-xx", "-s", "128", "-e", "trace=pwrite64,fdatasync,write", "-o"]);
    strace.arg(&trace).arg(std::env::current_exe().unwrap());
    let mut child = child(&mut strace, dir.path(), outstanding);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = lines.map_while(Result::ok).filter(|line| acknowledged(line).is_some());
    assert_eq!(seen.take(wanted).count(), wanted);
    // strace forwards nothing to what it traces when it is killed outright, so the traced process goes by its end of the
    // pipe, which is closed by now.
    let _ended = child.wait();
    std::fs::read_to_string(trace).unwrap()
}

/// What a trace has shown so far.
#[derive(Default)]
struct Trace {
    /// How many entries the log has by the end of the last batch written to each segment.
    written: BTreeMap<String, u64>,
    /// How many it has in batches that were written before a sync of their segment began, which has ended.
    durable: u64,
    acknowledged: usize,
    /// The most entries of a batch.
    longest: u64,
    /// What each thread has begun and not ended, with the entries that it makes durable.
    running: BTreeMap<String, (String, u64)>,
}

impl Trace {
    /// Reads a trace in which each acknowledgment came after the sync of what it is about; else returns the first that did
    /// not.
    fn check(trace: &str) -> Result<Self, String> {
        let mut state = Self::default();
        for line in trace.lines() {
            let (thread, call) = line.split_once(' ').ok_or(line)?;
            let call = decoded(call.trim_start());
            if call.starts_with("<... ") {
                let (begun, covers) = state.running.remove(thread).unwrap_or_default();
                state.end(&begun, covers, call.ends_with("= 0"));
                continue;
            }
            let covers = state.begin(&call)?;
            if call.ends_with("<unfinished ...>") {
                state.running.insert(thread.to_owned(), (call, covers));
            } else {
                state.end(&call, covers, call.ends_with("= 0"));
            }
        }
        Ok(state)
    }

    /// Takes the beginning of a call; returns how many entries it would make durable.
    fn begin(&mut self, call: &str) -> Result<u64, String> {
        if let Some((index, _)) = call.find("acknowledged ").and_then(|at| acknowledged(&call[at..])) {
            self.acknowledged += 1;
            if index >= self.durable {
                return Err(format!("entry {index} of {} that are durable: {call}", self.durable));
            }
        }
        let covers = self.written.get(file(call)).filter(|_| call.starts_with("fdatasync("));
        Ok(covers.copied().unwrap_or_default())
    }

    fn end(&mut self, call: &str, covers: u64, is_good: bool) {
        let batch = call.find("EXEATWAL").filter(|_| call.starts_with("pwrite64("));
        if let Some((first, count)) = batch.and_then(|at| batch_at(&call[at..])) {
            self.written.insert(file(call).to_owned(), first + count);
            self.longest = self.longest.max(count);
        } else if is_good {
            self.durable = self.durable.max(covers);
        }
    }
}

/// Returns the name of the segment that a call is about.
fn file(call: &str) -> &str {
    let path = call.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
    if path.contains("/wal/") && path.ends_with(".seg") { path } else { "" }
}

/// Returns the index of the first entry of the batch that begins so, and how many it has, from the format as documented.
fn batch_at(batch: &str) -> Option<(u64, u64)> {
    let bytes: Vec<u8> = batch.chars().map_while(|c| u8::try_from(u32::from(c)).ok()).take(48).collect();
    let count = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    Some((u64::from_le_bytes(bytes.get(40..48)?.try_into().ok()?), u64::from(count)))
}

/// Returns what strace shows with each `\xNN` as the character of that number.
fn decoded(shown: &str) -> String {
    let mut parts = shown.split("\\x");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(digits, 16).unwrap()));
        text.push_str(rest);
    }
    text
}
