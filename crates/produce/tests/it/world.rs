//! A log of calls by two organizations.

use std::{sync::Arc, thread, time::Duration};

use ledger::{Chain, Draft, Ledger, Options, Reader};
use produce::{Act, Survey, Written, write_entries};
use proof::{
    bundle::{BundleEntry, EntriesReader},
    checkpoint::Checkpoint,
    entry::{Class, Entry, Kind, Outcome, Usage, meter_id},
    multi::{MultiproofReader, write_multiproof},
    note::{SignerKey, VerifierKey},
    production::{Disclosure, Selection, SpanWalk},
    sums::{About, Counted, Differ, Side, Statement, Trees, sum_root},
    tree::leaf_hash,
};
use terms::{Clock, ManualClock, Moment};

pub(crate) const ORIGIN: &str = "log.larkspur.example/exeat/1";
pub(crate) const ACME: &str = "organization:acme";
pub(crate) const METER: &str = "meter.example.com/1";
pub(crate) const OTHER: &str = "organization:northgate-grid";

pub(crate) struct Log {
    dir: tempfile::TempDir,
    clock: Arc<ManualClock>,
    pub(crate) ledger: Ledger,
}

/// The start entry of the process that [`Log::new`] begins with.
pub(crate) const START: u64 = 1;

/// What was written, read back.
pub(crate) struct Read {
    pub(crate) survey: Survey,
    pub(crate) written: Written,
    pub(crate) entries: Vec<(Entry, BundleEntry)>,
    pub(crate) calls: String,
}

impl Log {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T12:00:00Z").unwrap()));
        let (ledger, _) = Ledger::open(dir.path(), options(), Arc::<ManualClock>::clone(&clock)).unwrap();
        let log = Self { dir, clock, ledger };
        log.put(Draft::new(Entry { snapshot: Some([7; 32]), ..Entry::new(Kind::Snapshot) }, "{}"));
        log
    }

    /// Stops in good order and opens the log again: another process writes from here on. Returns its start entry.
    pub(crate) fn reopen(&mut self) -> u64 {
        self.ledger.stop().unwrap();
        let start = self.ledger.health().durable;
        let (ledger, _) = Ledger::open(self.dir.path(), options(), Arc::<ManualClock>::clone(&self.clock)).unwrap();
        self.ledger = ledger;
        start
    }

    fn put(&self, draft: Draft) -> u64 {
        self.clock.advance(Duration::from_secs(1));
        self.ledger.append(draft).unwrap().wait().unwrap().index()
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now().as_millis().unsigned_abs()
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Opens a call of `organization` on `model`; returns the entry's index.
    pub(crate) fn open(&self, call: u8, organization: &str, model: &str) -> u64 {
        let facts = format!(r#"{{"organizations": [{{"id": "{}"}}]}}"#, organization.split_once(':').unwrap().1);
        self.open_on(call, organization, model, (None, facts))
    }

    /// Like [`Log::open`], on the facts of an earlier entry.
    pub(crate) fn open_again(&self, call: u8, organization: &str, model: &str, earlier: u64) -> u64 {
        self.open_on(call, organization, model, (Some(earlier), String::new()))
    }

    fn open_on(&self, call: u8, organization: &str, model: &str, (earlier, facts): (Option<u64>, String)) -> u64 {
        let chain = |class, name: &str| self.ledger.chain(class, name);
        let entry = Entry {
            call: Some([call; 16]),
            subject: Some(self.ledger.pseudonym("person:ada")),
            model: Some(model.to_owned()),
            facts: earlier,
            ..Entry::new(Kind::Open)
        };
        let chains = [chain(Class::Organization, organization), chain(Class::Model, &format!("model:{model}"))];
        self.put(Draft::new(entry, facts).on(chains.into()))
    }

    /// Closes what [`Log::open`] opened, in the same chains, as completed and of [`METER`].
    pub(crate) fn close(&self, call: u8, opened: u64, output: u64) -> u64 {
        self.end(call, opened, output, (Outcome::Completed, METER))
    }

    /// As [`Log::close`], with another outcome or meter.
    pub(crate) fn end(&self, call: u8, opened: u64, output: u64, (outcome, meter): (Outcome, &str)) -> u64 {
        let open = self.ledger.stored(opened).unwrap();
        let links = Entry::decode(&open.leaf).unwrap().links.unwrap_or_default();
        let chains: Vec<_> = links.iter().map(|link| Chain { class: link.class, id: link.id }).collect();
        let usage =
            Usage { input_tokens: Some(10), output_tokens: Some(output), delivered_events: 3, delivered_bytes: 9 };
        let entry = Entry {
            call: Some([call; 16]),
            opened: Some(opened),
            outcome: Some(outcome),
            model: Some("mythos-5".to_owned()),
            meter: Some(meter_id(meter)),
            usage: Some(usage),
            ..Entry::new(Kind::Close)
        };
        self.put(Draft::new(entry, "").on(chains.into()))
    }

    pub(crate) fn call(&self, call: u8, organization: &str, model: &str) -> u64 {
        let opened = self.open(call, organization, model);
        self.close(call, opened, 100);
        opened
    }

    pub(crate) fn heads(&self) -> u64 {
        self.clock.advance(Duration::from_secs(1));
        self.ledger.heads().unwrap().wait().unwrap().index()
    }

    /// Writes a heads entry that says what is not so.
    pub(crate) fn forge_heads(&self) {
        let entry = Entry { root: Some([9; 32]), covered: Some(0), ..Entry::new(Kind::Heads) };
        self.put(Draft::new(entry, ""));
    }

    /// Records that gateway and `meter` counted these calls of an hour.
    pub(crate) fn reconciliation(&self, meter: &str, completed: &[Counted], early: &[Counted], hour: u64) -> u64 {
        let trees = Trees { completed: sum_root(completed).unwrap(), early: sum_root(early).unwrap() };
        let gateway = self.ledger.signer();
        let about =
            About { gateway: gateway.name().to_owned(), meter: meter.to_owned(), model: "mythos-5".to_owned(), hour };
        let meter = SignerKey::from_seed(meter, &[9; 32]).unwrap();
        let (gateway, meter) = (Side::sign(trees, &about, gateway), Side::sign(trees, &about, &meter));
        let statement = Statement { about, gateway, meter, differ: Differ::NOTHING };
        let entry = Entry {
            model: Some("mythos-5".to_owned()),
            root: Some(trees.commitment()),
            code: Some(statement.code().to_owned()),
            ..Entry::new(Kind::Reconciliation)
        };
        let chains = [self.ledger.chain(Class::Model, "model:mythos-5")];
        self.put(Draft::new(entry, statement.to_json()).on(chains.into()))
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(self.dir.path()).unwrap()
    }

    /// Records that the calls of [`ACME`] on one model in a time are produced.
    pub(crate) fn act(&self, (from_ms, to_ms): (u64, u64)) -> Act {
        let entry = Entry { code: Some("custody.export".to_owned()), ..Entry::new(Kind::Admin) };
        let entry = self.put(Draft::new(entry, "{}"));
        let selection = Selection {
            class: Class::Organization,
            name: ACME.to_owned(),
            model: Some("mythos-5".to_owned()),
            from_ms,
            to_ms,
            disclose: vec![Disclosure::Facts],
        };
        Act { entry, at: self.clock.now(), selection, json: b"{}".to_vec() }
    }

    /// Writes a production, requires that what was written joins to the signed root and has both chains whole.
    pub(crate) fn produce(&self, act: &Act) -> Read {
        let reader = self.reader();
        let key: VerifierKey = reader.verifier_key().unwrap().parse().unwrap();
        let covered = self.ledger.health().durable;
        while self.ledger.health().checkpoint < covered {
            thread::sleep(Duration::from_millis(2));
        }
        let checkpoint = reader.checkpoint().unwrap().unwrap();
        let checkpoint = Checkpoint::open(checkpoint.as_bytes(), ORIGIN, &[key]).unwrap();
        let survey = Survey::take(&reader, act, checkpoint.size, &mut ()).unwrap();
        let (mut file, mut calls) = (Vec::new(), Vec::new());
        let written = write_entries(&reader, act, &survey, (&mut file, &mut calls), &mut ()).unwrap();
        let mut hashes = Vec::new();
        let shown = survey.entries.iter().map(|(index, _)| *index);
        write_multiproof(&reader.hashes(survey.size), survey.size, shown, &mut hashes).unwrap();
        let mut multi = MultiproofReader::new(survey.size, &hashes[..]);
        let mut source = EntriesReader::new(&file[..]).unwrap();
        let mut entries = Vec::new();
        while let Some(read) = source.read().unwrap() {
            multi.push(read.index, leaf_hash(&read.leaf)).unwrap();
            entries.push((Entry::decode(&read.leaf).unwrap(), read));
        }
        assert_eq!(multi.root().unwrap().0, checkpoint.root);
        for span in [&survey.heads.chain, &survey.heads.in_force] {
            let mut walk = SpanWalk::new(span);
            let from = span.from.as_ref().map_or(0, |standing| standing.entry);
            // What lies before is shown for its facts.
            for (entry, read) in entries.iter().filter(|(_, read)| read.index >= from) {
                if walk.has(entry) || entry.kind == Kind::Heads {
                    walk.take(read.index, entry).unwrap();
                }
            }
            walk.finish().unwrap();
        }
        Read { survey, written, entries, calls: String::from_utf8(calls).unwrap() }
    }
}

fn options() -> Options {
    Options {
        origin: ORIGIN.to_owned(),
        segment_bytes: 128 << 10,
        queue_entries: 1_000,
        checkpoint_every: Duration::from_millis(10),
        heads_every: Duration::from_hours(1),
    }
}
