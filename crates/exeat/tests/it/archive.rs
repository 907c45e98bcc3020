//! A log of three files of the lake and a tail, with calls in the first file, in the last and in the tail.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its archive fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use lake::{Log, Place, SPAN_LEAVES, Store, Uploader};
use ledger::{Draft, Ledger, Options, Reader};
use proof::entry::{Class, Entry, Kind, Outcome, Usage};
use serde_json::{Value, json};
use terms::{Clock, ManualClock, Moment};

use crate::world::{answered, failed, said};

const ORIGIN: &str = "log.example.com/exeat/archive";
/// How many entries wait at once while a log is filled.
const AT_ONCE: u64 = 4_096;

/// The log, stopped, and its lake.
pub(crate) struct Archive {
    dir: tempfile::TempDir,
    /// How many leaves its last checkpoint covers.
    pub(crate) size: u64,
    /// The entry of a refusal in the tail.
    pub(crate) refusal: u64,
}

/// The log while it is made.
struct Making {
    clock: Arc<ManualClock>,
    ledger: Ledger,
}

/// A call: its number, whose, of which organization, and on which model.
type Of = (u8, &'static str, &'static str, &'static str);

impl Archive {
    /// Makes a log of three days, in each of which calls are made, and brings it into a lake.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let making = Making::begin(&dir.path().join("ledger"));
        for (record, id) in [
            ("organization", "larkspur-labs"),
            ("organization", "northgate-grid"),
            ("person", "ada"),
            ("person", "noor"),
        ] {
            making.register(record, id);
        }
        let (ada, noor) = (("ada", "larkspur-labs"), ("noor", "northgate-grid"));
        for call in 1..=3 {
            making.call((call, ada.0, ada.1, "mythos-5"), Some((Outcome::Completed, 100, 40)));
        }
        for call in 4..=5 {
            making.call((call, noor.0, noor.1, "ember-2"), Some((Outcome::Completed, 50, 60)));
        }
        for call in 6..=7 {
            making.refuse((call, noor.0, noor.1, "mythos-5"), "standing_unknown");
        }
        making.fill(2 * SPAN_LEAVES + 10);
        making.next_day();
        making.call((8, ada.0, ada.1, "ember-2"), Some((Outcome::Cut, 10, 20)));
        making.call((9, noor.0, noor.1, "mythos-5"), Some((Outcome::Completed, 70, 5_000)));
        making.fill(3 * SPAN_LEAVES + 10);
        making.next_day();
        making.call((10, ada.0, ada.1, "mythos-5"), Some((Outcome::ClientGone, 5, 30)));
        making.call((11, noor.0, noor.1, "ember-2"), None);
        let refusal = making.refuse((12, ada.0, ada.1, "ember-2"), "no_license");
        making.ledger.stop().unwrap();
        let archive = Self { size: making.ledger.health().durable, refusal, dir };
        archive.upload();
        archive
    }

    /// Returns the folder of the log.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// Returns a path beside it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Returns the address of the lake in the folder of this name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("file://{}", self.path(name).display())
    }

    fn upload(&self) {
        let log = Log::new(Reader::open(&self.ledger()).unwrap()).unwrap();
        let place = Place::new(Store::open(&self.url("lake")).unwrap(), ORIGIN);
        let uploader = Uploader::new(Arc::new(log), place, None, self.path("lake.mark"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        assert_eq!(runtime.block_on(uploader.advance()).unwrap().covered, 3 * SPAN_LEAVES);
    }

    /// Copies the lake into a folder of another name.
    pub(crate) fn copy(&self, name: &str) {
        let copied = Command::new("cp").arg("-r").arg(self.path("lake")).arg(self.path(name)).output().unwrap();
        assert!(copied.status.success(), "{}", said(&copied));
    }

    /// Returns where the file with these leaves lies in the lake of this name.
    pub(crate) fn part(&self, lake: &str, leaves: &str) -> PathBuf {
        let name = format!("part-{leaves}.parquet");
        find(&self.path(lake), &name).unwrap()
    }

    /// Runs a command on the log.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exeat"));
        command.arg("ledger").args(arguments).env("EXEAT_LEDGER", self.ledger()).env_remove("EXEAT_LAKE");
        command
    }

    /// Runs a command that must succeed; returns what it answers.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        answered(self.command(arguments).arg("--json"))
    }

    /// Runs a command that must fail with exit code 1; returns what it answers, if that is JSON, and all that it says.
    pub(crate) fn fails(&self, arguments: &[&str]) -> (Value, String) {
        let output = failed(self.command(arguments).arg("--json"));
        (serde_json::from_slice(&output.stdout).unwrap_or_default(), said(&output))
    }
}

impl Making {
    fn begin(dir: &Path) -> Self {
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-01T09:00:00Z").unwrap()));
        let options = Options {
            origin: ORIGIN.to_owned(),
            segment_bytes: 4 << 20,
            queue_entries: 2 * usize::try_from(AT_ONCE).unwrap(),
            checkpoint_every: Duration::from_millis(50),
            heads_every: Duration::from_secs(3_600),
        };
        let (ledger, _) = Ledger::open(dir, options, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        Self { clock, ledger }
    }

    fn next_day(&self) {
        self.clock.advance(Duration::from_secs(86_400));
    }

    fn put(&self, draft: Draft) -> u64 {
        self.clock.advance(Duration::from_millis(1));
        self.ledger.append(draft).unwrap().wait().unwrap().index()
    }

    /// Records what the registry records when somebody or something is registered.
    fn register(&self, record: &str, id: &str) {
        let said = json!({ "version": 4, "actor": "token:1", "change": { "record": record, "body": { "id": id } } });
        let entry = Entry { code: Some(format!("{record}.create")), ..Entry::new(Kind::Registry) };
        self.put(Draft::new(entry, said.to_string()));
    }

    fn decided(&self, kind: Kind, (call, who, organization, model): Of) -> Draft {
        let entry = Entry {
            call: Some([call; 16]),
            subject: Some(self.ledger.pseudonym(&format!("person:{who}"))),
            model: Some(model.to_owned()),
            ..Entry::new(kind)
        };
        let chain = |class, name: String| self.ledger.chain(class, &name);
        let chains = [
            chain(Class::Subject, format!("person:{who}")),
            chain(Class::Organization, format!("organization:{organization}")),
            chain(Class::Model, format!("model:{model}")),
        ];
        Draft::new(entry, "").on(chains.into())
    }

    /// Opens a call, and closes it with an outcome and so many tokens after so many milliseconds.
    fn call(&self, of: Of, end: Option<(Outcome, u64, u64)>) {
        let open = self.decided(Kind::Open, of);
        let chains = Arc::clone(&open.chains);
        let opened = self.put(open);
        let Some((outcome, output, milliseconds)) = end else { return };
        self.clock.advance(Duration::from_millis(milliseconds - 1));
        let usage =
            Usage { input_tokens: Some(10), output_tokens: Some(output), delivered_events: 3, delivered_bytes: 9 };
        let entry = Entry {
            call: Some([of.0; 16]),
            opened: Some(opened),
            outcome: Some(outcome),
            model: Some(of.3.to_owned()),
            usage: Some(usage),
            ..Entry::new(Kind::Close)
        };
        self.put(Draft::new(entry, "").on(chains));
    }

    fn refuse(&self, of: Of, code: &str) -> u64 {
        let mut draft = self.decided(Kind::Refusal, of);
        draft.entry.code = Some(code.to_owned());
        self.put(draft)
    }

    /// Appends notes until the log has so many entries.
    fn fill(&self, until: u64) {
        let note = || Draft::new(Entry { code: Some("note".to_owned()), ..Entry::new(Kind::Admin) }, "");
        while let Some(left) = until.checked_sub(self.ledger.health().durable).filter(|left| *left > 0) {
            let waiting: Vec<_> = (0..left.min(AT_ONCE)).map(|_| self.ledger.append(note()).unwrap()).collect();
            for each in waiting {
                let _durable = each.wait().unwrap();
            }
        }
    }
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let mut inside = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    inside.find_map(|path| match path.is_dir() {
        true => find(&path, name),
        false => path.ends_with(name).then_some(path),
    })
}
