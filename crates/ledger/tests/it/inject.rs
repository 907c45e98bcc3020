//! Every system call that the log makes on its files fails in turn, in a process of its own: with an error, or with
//! that process killed in the call. Needs `strace`, which tampers with the calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use ledger::Ledger;
use terms::SystemClock;

use crate::world::{closing, note, opening, options};

/// Where the child finds its log; set only for children.
const DIR: &str = "EXEAT_TEST_INJECT_DIR";
/// The calls that are made to fail.
const CALLS: [&str; 16] = [
    "openat",
    "mkdir",
    "mkdirat",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "fsync",
    "fdatasync",
    "ftruncate",
    "pwrite64",
    "pread64",
    "read",
    "close",
];
/// What is done to them.
const FAULTS: [&str; 3] = ["error=EIO", "error=ENOSPC", "signal=KILL"];
/// How many children run at once.
const AT_ONCE: usize = 6;

/// The part that the children play; without a directory to write to there is nothing to play.
#[test]
fn child_that_uses_a_log_and_stops_it() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let clock = Arc::new(SystemClock::default());
    let Ok((ledger, _)) = Ledger::open(Path::new(&dir), options(), clock) else {
        return;
    };
    let mut out = std::io::stdout().lock();
    for call in 0..3 {
        let told = use_log(&ledger, call);
        for index in told.into_iter().flatten() {
            writeln!(out, "acknowledged {index}").unwrap();
        }
    }
    out.flush().unwrap();
    let _stopped = ledger.stop();
}

/// Opens a call, closes it and says something; returns the indices of what is durable.
fn use_log(ledger: &Ledger, call: u8) -> [Option<u64>; 3] {
    let durable = |draft| Some(ledger.append(draft).ok()?.wait().ok()?.index());
    let opened = durable(opening(ledger, call));
    [opened, opened.and_then(|opened| durable(closing(call, opened))), durable(note("a note"))]
}

fn strace(trace: &Path, dir: &Path, how: &[&str]) -> Output {
    Command::new("strace")
        .args(["-f", "-o"])
        .arg(trace)
        .args(how)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "inject::child_that_uses_a_log_and_stops_it", "--nocapture", "--test-threads", "1"])
        .env(DIR, dir)
        .stderr(Stdio::null())
        .output()
        .unwrap()
}

/// Which files a log makes, and how often one thread at most makes each call on them.
struct Plan {
    files: BTreeSet<PathBuf>,
    counts: BTreeMap<String, usize>,
}

/// Runs a child without faults and reads what it did.
fn plan(home: &Path) -> Plan {
    let (trace, dir) = (home.join("trace"), home.join("log"));
    strace(&trace, &dir, &["-y", "-e", &format!("trace={}", CALLS.join(","))]);
    let text = std::fs::read_to_string(&trace).unwrap();
    let base = dir.to_str().unwrap();
    let mut files = BTreeSet::new();
    let mut calls = BTreeMap::<(String, String), usize>::new();
    for line in text.lines().filter(|line| line.contains(base)) {
        let (thread, call) = line.split_once(' ').unwrap();
        if let Some((name, rest)) = call.trim_start().split_once('(') {
            *calls.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
            files.extend(paths(rest, base));
        }
    }
    let mut counts = BTreeMap::new();
    for ((_, name), count) in calls {
        let most = counts.entry(name).or_insert(0);
        *most = count.max(*most);
    }
    Plan { files, counts }
}

/// Returns the paths below `base` in what strace shows, as parts of the log's own directory.
fn paths(shown: &str, base: &str) -> Vec<PathBuf> {
    let begins = shown.match_indices(base).map(|(at, _)| &shown[at..]);
    let ends = |text: &str| text.find(['"', '>']).unwrap_or(text.len());
    begins.map(|text| Path::new(&text[..ends(text)]).strip_prefix(base).unwrap().to_owned()).collect()
}

/// Makes the `count`-th call of a thread fail, and says what was acknowledged and lost, or why the log does not open.
fn fail(files: &BTreeSet<PathBuf>, call: &str, fault: &str, count: usize) -> Result<(usize, bool), String> {
    let home = tempfile::tempdir().unwrap();
    let (trace, dir) = (home.path().join("trace"), home.path().join("log"));
    let inject = format!("inject={call}:{fault}:when={count}");
    let selected: Vec<_> = files.iter().map(|file| dir.join(file).display().to_string()).collect();
    let trace_only = format!("trace={call}");
    let mut how = vec!["-e", trace_only.as_str(), "-e", inject.as_str()];
    selected.iter().for_each(|path| how.extend(["-P", path.as_str()]));
    let output = strace(&trace, &dir, &how);
    let felt = std::fs::read_to_string(&trace).unwrap();
    let felt = felt.contains("(INJECTED)") || felt.contains("killed by SIGKILL");
    let said = String::from_utf8_lossy(&output.stdout);
    // The harness may have begun the line.
    let said = said.split(['\n', ' ']).collect::<Vec<_>>();
    let acknowledged: Vec<u64> =
        said.windows(2).filter(|words| words[0] == "acknowledged").map_while(|words| words[1].parse().ok()).collect();
    check(&dir, &acknowledged).map_err(|why| format!("{fault} in {call} number {count}: {why}"))?;
    Ok((acknowledged.len(), felt))
}

fn check(dir: &Path, acknowledged: &[u64]) -> Result<(), String> {
    let opened = Ledger::open(dir, options(), Arc::new(SystemClock::default()));
    let (ledger, recovery) = opened.map_err(|error| error.to_string())?;
    for index in acknowledged {
        if *index >= recovery.entries {
            return Err(format!("entry {index} was acknowledged and there are {}", recovery.entries));
        }
        ledger.stored(*index).map_err(|error| error.to_string())?;
    }
    ledger.stop().map_err(|error| error.to_string())?;
    ledger.reader().entries(0).unwrap().try_for_each(|entry| entry.map(drop)).map_err(|error| error.to_string())
}

#[test]
fn whatever_system_call_fails_or_is_the_last_the_log_opens_again_and_nothing_acknowledged_is_lost() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        println!("skipped: strace is not installed");
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let Plan { files, counts } = plan(home.path());
    assert!(counts.len() >= 8, "{counts:?}");
    let points: Vec<_> = counts
        .iter()
        .flat_map(|(call, count)| (1..=*count).map(move |count| (call, count)))
        .flat_map(|(call, count)| FAULTS.map(|fault| (call, fault, count)))
        // The disk is never full for a call that only reads or ends.
        .filter(|(call, fault, _)| !fault.contains("ENOSPC") || !["read", "pread64", "close"].contains(&call.as_str()))
        .collect();
    let (next, felt, whole) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((call, fault, count)) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let (kept, was_felt) = fail(&files, call, fault, *count).unwrap_or_else(|why| panic!("{why}"));
                    felt.fetch_add(usize::from(was_felt), Ordering::SeqCst);
                    whole.fetch_add(usize::from(kept == 9), Ordering::SeqCst);
                }
            });
        }
    });
    let (felt, whole) = (felt.into_inner(), whole.into_inner());
    println!("{} faults in {counts:?}: {felt} were felt, {whole} lost nothing of nine entries", points.len());
    assert!(felt * 10 > points.len() * 8, "only {felt} of {} faults were felt", points.len());
    assert!(whole < points.len(), "no fault stopped anything");
}
