//! A production whose writer is killed in the middle of a step, again and again.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "parts of a test")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    record::{Record, files},
    world::said,
};

/// What the kernel ends a process with that writes more into a file than it may (POSIX: SIGXFSZ).
const TOO_LONG: i32 = 25;
const SIGKILL: i32 = 9;
/// The unit of `ulimit -f` in a shell of POSIX.
const BLOCK: u64 = 512;
const PATIENCE: Duration = Duration::from_secs(60);

/// A production that is written by one process after another.
struct Killed {
    record: Record,
    custody: String,
    dir: PathBuf,
}

/// Which file it is, when it was last written to, and how long it is: a file that is written again differs.
type Written = BTreeMap<String, (u64, i64, i64, u64)>;

impl Killed {
    fn path(&self, ending: &str) -> PathBuf {
        self.dir.with_file_name(format!("killed.{ending}"))
    }

    fn arguments(&self) -> Vec<String> {
        let out = self.dir.display().to_string();
        ["ledger", "produce", "--custody", &self.custody, "--out", &out].map(str::to_owned).into()
    }

    /// Goes on writing, until the kernel kills the writer because a file becomes as long as `len`.
    fn run_until_a_file_is_as_long_as(&self, len: u64) {
        let blocks = (len - 1) / BLOCK;
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -c 0; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
        shell
            .arg(&self.record.world.setup.exeat)
            .args(self.arguments())
            .env("EXEAT_LEDGER", self.record.world.ledger());
        let ended = shell.output().unwrap();
        assert_eq!(ended.status.signal(), Some(TOO_LONG), "{}", said(&ended));
        assert!(!self.dir.exists(), "half a folder is never under the name");
    }

    /// Goes on writing with a time stamp from `file`, and kills the writer once it is done with `step`.
    fn run_until_done(&self, step: &str, file: &Path, roots: &Path) {
        let mut command = self.record.command(&[]);
        command.args(self.arguments()).arg("--timestamp").arg(file).arg("--timestamp-roots").arg(roots);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while !self.done().contains(&step.to_owned()) {
            assert!(begun.elapsed() < PATIENCE, "`{step}` is never done");
            assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
            thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(SIGKILL));
        assert!(!self.dir.exists(), "half a folder is never under the name");
    }

    fn state(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path("state")).unwrap()).unwrap()
    }

    /// Returns the steps that are done.
    fn done(&self) -> Vec<String> {
        self.state()["done"].as_object().unwrap().keys().cloned().collect()
    }

    /// Returns the files of the steps that are done, and of the survey, as they are on disk.
    fn written(&self) -> Written {
        let (state, part) = (self.state(), self.path("part"));
        let done = state["done"].as_object().unwrap().values();
        let names = done.flat_map(|files| files.as_object().unwrap().keys());
        let mut written: Written = names.map(|name| (name.clone(), on_disk(&part.join(name)))).collect();
        if state["surveyed"] == true {
            written.insert("survey".to_owned(), on_disk(&self.path("survey")));
        }
        written
    }
}

fn on_disk(path: &Path) -> (u64, i64, i64, u64) {
    let found = fs::metadata(path).unwrap();
    (found.ino(), found.mtime(), found.mtime_nsec(), found.len())
}

/// Requires that all of `before` is there as it was.
fn unchanged(before: &Written, after: &Written) {
    for (name, was) in before {
        assert_eq!(after.get(name), Some(was), "`{name}` was written again");
    }
}

/// Makes a production; returns what is in it, and how long the survey beside it was.
fn whole(record: &Record, custody: &str) -> (BTreeMap<String, Vec<u8>>, u64) {
    let (dir, out) = record.out("whole");
    let produce = ["ledger", "produce", "--custody", custody, "--out", &out];
    record.json(&[&produce[..], &["--unsigned"]].concat());
    let survey = fs::metadata(record.world.path("whole.survey")).unwrap().len();
    record.json(&produce);
    (files(&dir), survey)
}

#[test]
fn a_writer_that_is_killed_within_a_step_does_that_step_again_and_none_that_was_done() {
    let record = Record::new();
    let id = record.approved();
    let (_, out) = record.out("first");
    let custody = record.json(&["ledger", "produce", &id, "--out", &out])["custody"].to_string();
    let (expected, survey) = whole(&record, &custody);
    let len = |name: &str| expected[name].len() as u64;
    let (dir, _) = record.out("killed");
    let killed = Killed { record, custody, dir };
    assert!(survey + BLOCK < len("entries") && len("entries") + BLOCK < len("log-format.md"), "in rising order");

    killed.run_until_a_file_is_as_long_as(survey);
    assert_eq!((&killed.state()["surveyed"], killed.done().len()), (&Value::Bool(false), 0));
    let checkpoint = killed.state()["checkpoint"].clone();

    killed.run_until_a_file_is_as_long_as(len("entries"));
    assert_eq!((&killed.state()["surveyed"], killed.done().len()), (&Value::Bool(true), 0));
    let half = fs::metadata(killed.path("part").join("entries")).unwrap().len();
    assert!(half < len("entries"), "it was killed while it wrote them");
    let surveyed = killed.written();

    killed.run_until_a_file_is_as_long_as(len("log-format.md"));
    assert_eq!(killed.done(), ["entries", "hashes", "log"]);
    let read = killed.written();
    unchanged(&surveyed, &read);

    // Whoever opens a pipe that nobody writes to waits.
    let pipe = killed.record.world.path("never.tsr");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let roots = killed.record.world.path("roots.pem");
    let authority = rcgen::generate_simple_self_signed(["tsa.example.com".to_owned()]).unwrap();
    fs::write(&roots, authority.cert.pem()).unwrap();
    killed.run_until_done("programs", &pipe, &roots);
    assert_eq!(killed.done(), ["entries", "hashes", "log", "programs"]);
    let programs = killed.written();
    unchanged(&read, &programs);

    assert_eq!(killed.state()["checkpoint"], checkpoint, "all of it is under one checkpoint");
    let arguments = killed.arguments();
    killed.record.json(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let kept = programs.keys().filter(|name| *name != "survey");
    let kept: Written = kept.map(|name| (name.clone(), on_disk(&killed.dir.join(name)))).collect();
    unchanged(&kept, &programs);
    assert_eq!(kept.len() + 1, programs.len());
    let files = files(&killed.dir);
    for name in ["entries", "heads.json", "sums.json", "names.json", "calls.csv", "log-format.md", "verify.py"] {
        assert_eq!(files[name], expected[name], "{name}");
    }
    for left in ["part", "state", "survey", "survey.next", "state.next"] {
        assert!(!killed.path(left).exists(), "{left}");
    }
}
