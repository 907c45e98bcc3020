//! Processes that are killed, and what the system calls of one show.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use ledger::{Ledger, OpenError, Reader};
use terms::SystemClock;

use crate::world::{decode, note, options};

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
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-e", "trace=pwrite64,fdatasync,write", "-o"]);
    strace.arg(&trace).arg(std::env::current_exe().unwrap());
    let mut child = child(&mut strace, dir.path(), 1);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let seen = lines.map_while(Result::ok).filter(|line| acknowledged(line).is_some());
    assert_eq!(seen.take(50).count(), 50);
    // strace forwards nothing to what it traces when it is killed outright, so the traced process goes by its end of the pipe.
    drop(child.stdout.take());
    let _ended = child.wait();
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(check_trace(&trace) >= 50);
}

/// Checks that between the writer's last write of a batch and each acknowledgment there is a whole sync; returns how
/// many acknowledgments there were.
fn check_trace(trace: &str) -> usize {
    let (mut writer, mut written, mut synced) = ("", false, false);
    let mut acknowledgments = 0;
    for line in trace.lines() {
        let (thread, call) = line.split_once(' ').unwrap();
        if call.contains("EXEATWAL") {
            (writer, written, synced) = (thread, true, false);
        } else if thread == writer && call.contains("fdatasync") {
            synced = written && call.ends_with("= 0");
        } else if call.contains("\"acknowledged ") {
            acknowledgments += 1;
            assert!(synced, "{line}");
        }
    }
    acknowledgments
}
