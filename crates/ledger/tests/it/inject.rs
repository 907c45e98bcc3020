//! Every system call that the log makes on its files fails in turn, in a process of its own: with an error, or with
//! that process killed in the call. What is on the disk is checked before anything mends it. After the fault injection
//! of Tessera (`integration/fault/posix`). Needs `strace`, which tampers with the calls.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ledger::{Ledger, OpenError, Options, Recovery};
use terms::SystemClock;

use crate::{
    faults::{text, use_log},
    fsck::fsck,
    power::copy_dir,
    strace::strace,
    world::{options, submit},
};

/// Where the child finds its log; set only for children.
const DIR: &str = "EXEAT_TEST_INJECT_DIR";
/// Set to `all`, each call fails in each way, which takes three times as long.
const MORE: &str = "EXEAT_FAULTS";
/// The calls that are made to fail.
const CALLS: [&str; 17] = [
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
    "write",
    "close",
];
/// Those that a log makes today: without any of them the child does not do what it should.
const MADE: [&str; 10] =
    ["openat", "mkdir", "rename", "unlink", "fsync", "fdatasync", "pwrite64", "pread64", "read", "close"];
/// What is done to them.
const FAULTS: [&str; 3] = ["error=EIO", "signal=KILL", "error=ENOSPC"];
/// How many children run at once.
const AT_ONCE: usize = 6;
/// How often a child opens the log, and how many entries it appends each time: enough to fill a segment.
const SESSIONS: usize = 2;
const ROUNDS: usize = 9;
/// What the log has that is not new: the child fills the first tile.
const BEFORE: u64 = 252;

/// Tiles are made when the log is opened and when it stops, so that each child makes the same calls.
fn calm() -> Options {
    Options { segment_bytes: 64 << 10, checkpoint_every: Duration::from_secs(3_600), ..options() }
}

fn open(dir: &Path) -> Result<(Ledger, Recovery), OpenError> {
    Ledger::open(dir, calm(), Arc::new(SystemClock::default()))
}

/// The part that the children play; without a directory to write to there is nothing to play.
#[test]
fn child_that_uses_a_log_and_stops_it() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mut out = std::io::stdout().lock();
    for _ in 0..SESSIONS {
        let Ok((ledger, _)) = open(Path::new(&dir)) else {
            return;
        };
        use_log(&ledger, ROUNDS, |index, round| writeln!(out, "acknowledged {index} {round}").unwrap());
    }
}

/// Runs a child on the log in `dir`.
fn child(trace: &Path, dir: &Path, how: &[&str]) -> Output {
    strace()
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

/// What a child begins with, which files it uses, and how often one thread at most makes each call on them.
struct Plan {
    name: &'static str,
    home: tempfile::TempDir,
    files: BTreeSet<PathBuf>,
    counts: BTreeMap<String, usize>,
}

impl Plan {
    /// Runs a child without faults, on a log with so many entries, and reads what it did.
    fn new(name: &'static str, entries: u64) -> Self {
        let home = tempfile::tempdir().unwrap();
        if entries > 0 {
            let (ledger, _) = open(&home.path().join("base")).unwrap();
            while ledger.submitted() + 2 < entries {
                let _pending = submit(&ledger, "before");
            }
            ledger.stop().unwrap();
        }
        let mut plan = Self { name, home, files: BTreeSet::new(), counts: BTreeMap::new() };
        let log = plan.log();
        let trace = log.path().join("trace");
        let output = child(&trace, &log.path().join("log"), &["-y", "-e", &format!("trace={}", CALLS.join(","))]);
        assert_eq!(acknowledged(&output).len(), SESSIONS * ROUNDS);
        plan.read(&std::fs::read_to_string(&trace).unwrap(), log.path().join("log").to_str().unwrap());
        plan
    }

    /// Returns a folder with a copy of the log to begin with.
    fn log(&self) -> tempfile::TempDir {
        let (home, base) = (tempfile::tempdir().unwrap(), self.home.path().join("base"));
        if base.exists() {
            copy_dir(&base, &home.path().join("log"));
        }
        home
    }

    fn read(&mut self, trace: &str, base: &str) {
        let mut calls = BTreeMap::<(String, String), usize>::new();
        for line in trace.lines().filter(|line| line.contains(base)) {
            let (thread, call) = line.split_once(' ').unwrap();
            if let Some((name, rest)) = call.trim_start().split_once('(') {
                *calls.entry((thread.to_owned(), name.to_owned())).or_default() += 1;
                self.files.extend(paths(rest, base));
            }
        }
        for ((_, name), count) in calls {
            let most = self.counts.entry(name).or_insert(0);
            *most = count.max(*most);
        }
    }

    fn points(&self) -> Vec<Point<'_>> {
        let each = std::env::var_os(MORE).is_some_and(|more| more == "all");
        let mut points = Vec::new();
        for (call, most) in &self.counts {
            for number in 1..=*most {
                let turns = (0..FAULTS.len()).filter(|turn| each || *turn == number % FAULTS.len());
                points.extend(turns.map(|turn| Point { plan: self, call, fault: fault(call, turn), number }));
            }
        }
        points
    }
}

/// Returns one of the faults; the disk is never full for a call that only reads or ends.
fn fault(call: &str, turn: usize) -> &'static str {
    if ["read", "pread64", "close"].contains(&call) { FAULTS[turn % 2] } else { FAULTS[turn] }
}

/// Returns the paths below `base` in what strace shows, as parts of the log's own directory.
fn paths(shown: &str, base: &str) -> Vec<PathBuf> {
    let begins = shown.match_indices(base).map(|(at, _)| &shown[at..]);
    let ends = |text: &str| text.find(['"', '>']).unwrap_or(text.len());
    begins.map(|text| Path::new(&text[..ends(text)]).strip_prefix(base).unwrap().to_owned()).collect()
}

/// Reads which entries a child said were durable, with what each says.
fn acknowledged(output: &Output) -> Vec<(u64, usize)> {
    let said = String::from_utf8_lossy(&output.stdout);
    // The harness may have begun the line.
    let words: Vec<_> = said.split(['\n', ' ']).collect();
    let acknowledged = words.windows(3).filter(|words| words[0] == "acknowledged");
    acknowledged.map_while(|words| Some((words[1].parse().ok()?, words[2].parse().ok()?))).collect()
}

/// The `number`-th call of a thread fails.
struct Point<'a> {
    plan: &'a Plan,
    call: &'a str,
    fault: &'static str,
    number: usize,
}

/// What came of a fault.
struct Outcome {
    felt: bool,
    acknowledged: usize,
}

impl Point<'_> {
    fn run(&self) -> Outcome {
        let home = self.plan.log();
        let (trace, dir) = (home.path().join("trace"), home.path().join("log"));
        let inject = format!("inject={}:{}:when={}", self.call, self.fault, self.number);
        let selected: Vec<_> = self.plan.files.iter().map(|file| dir.join(file).display().to_string()).collect();
        let trace_only = format!("trace={}", self.call);
        let mut how = vec!["-e", trace_only.as_str(), "-e", inject.as_str()];
        selected.iter().for_each(|path| how.extend(["-P", path.as_str()]));
        let acknowledged = acknowledged(&child(&trace, &dir, &how));
        let felt = std::fs::read_to_string(&trace).unwrap();
        let felt = felt.contains("(INJECTED)") || felt.contains("killed by SIGKILL");
        let checked = fsck(&dir).and_then(|size| check(&dir, &acknowledged, size));
        checked.unwrap_or_else(|why| panic!("{self}: {why}"));
        Outcome { felt, acknowledged: acknowledged.len() }
    }
}

impl std::fmt::Display for Point<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fault-on-{}#{} ({}, {})", self.call, self.number, self.fault, self.plan.name)
    }
}

/// Opens the log after a fault: it has whatever was acknowledged or published, and goes on.
fn check(dir: &Path, acknowledged: &[(u64, usize)], published: u64) -> Result<(), String> {
    let (ledger, recovery) = open(dir).map_err(|error| error.to_string())?;
    if recovery.entries < published {
        return Err(format!("{published} entries were published and there are {}", recovery.entries));
    }
    for (index, round) in acknowledged {
        if *index >= recovery.entries {
            return Err(format!("entry {index} was acknowledged and there are {}", recovery.entries));
        }
        let stored = ledger.stored(*index).map_err(|error| error.to_string())?;
        if stored.main() != Some(text(*round).as_bytes()) {
            return Err(format!("entry {index} is another"));
        }
    }
    ledger.stop().map_err(|error| error.to_string())?;
    ledger.reader().entries(0).unwrap().try_for_each(|entry| entry.map(drop)).map_err(|error| error.to_string())
}

#[test]
fn fault_injection() {
    let plans = [Plan::new("from nothing", 0), Plan::new("with a tile that gets full", BEFORE)];
    for call in MADE {
        assert!(plans.iter().any(|plan| plan.counts.contains_key(call)), "no {call} in {:?}", plans[0].counts);
    }
    let points: Vec<_> = plans.iter().flat_map(Plan::points).collect();
    let (next, felt, whole) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let outcome = point.run();
                    felt.fetch_add(usize::from(outcome.felt), Ordering::SeqCst);
                    whole.fetch_add(usize::from(outcome.acknowledged == SESSIONS * ROUNDS), Ordering::SeqCst);
                }
            });
        }
    });
    let (felt, whole) = (felt.into_inner(), whole.into_inner());
    plans.iter().for_each(|plan| println!("{}: {:?}", plan.name, plan.counts));
    println!("{} faults: {felt} were felt, {whole} stopped nothing", points.len());
    assert!(felt * 10 > points.len() * 8, "only {felt} of {} faults were felt", points.len());
    assert!(whole < points.len(), "no fault stopped anything");
}
