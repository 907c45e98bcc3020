//! Productions of a small world, true and tampered with by whoever has the log's own key.

use std::{collections::BTreeSet, fs, path::Path};

use policy::Facts;
use proof::{
    bundle::{BundleEntry, EntriesWriter},
    commit::{Field, Opening},
    dsse::Envelope,
    entry::{Class, Entry, Kind, Outcome},
    heads::{Chain, Heads},
    multi::write_multiproof,
    note::{SignerKey, VerifierKey},
    production::{
        CallsWriter, Disclosure, Engine, HeadsFile, HourSums, Manifest, Name, NamesFile, PAYLOAD_TYPE, Selected,
        Selection, Span, Standing, SumsFile,
    },
    sums::{About, Counted, Differ, Side, Statement, SumProof, Sums, Trees, sum_root},
    tree::leaf_hash,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use verifier::{Difference, Meters, Options, ProductionOptions, ProductionReport, Report, verify_production};

use crate::{
    honest::Hashes,
    world::{BEGAN_MS, Log, METER, ORIGIN, act, approval, approver_key, facts, key, model_chain, signed, snapshot},
};

const VERSION: &str = "0.4.0";
const MODEL: &str = "ember-2";
const NAME: &str = "model:ember-2";
const RFC_3339: [&str; 2] = ["2026-06-09T10:13:24.500Z", "2026-06-09T10:13:36.500Z"];

const APPROVERS: [(&str, &str, u8); 2] = [("iris", "counsel", 1), ("otto", "security", 2)];

/// A log, and where its parts are.
struct Story {
    log: Log,
    from: u64,
    to: u64,
    reconciliation: u64,
    custody: u64,
}

/// What a production is made of.
#[derive(Clone)]
struct Parts {
    log: Vec<BundleEntry>,
    manifest: Manifest,
    entries: Vec<BundleEntry>,
    hashes: Vec<u8>,
    heads: HeadsFile,
    sums: SumsFile,
    names: NamesFile,
    calls: Vec<u8>,
    report: Vec<u8>,
}

fn selection(disclose: &[Disclosure]) -> Selection {
    Selection {
        class: Class::Model,
        name: NAME.to_owned(),
        model: None,
        from_ms: BEGAN_MS + 4_500,
        to_ms: BEGAN_MS + 16_500,
        disclose: disclose.to_vec(),
    }
}

/// Calls before, in and after the time that is asked for, of two models, one of them by reference to earlier facts.
fn story() -> Story {
    story_disclosing(&[Disclosure::Facts])
}

fn story_disclosing(disclose: &[Disclosure]) -> Story {
    let mut log = Log::begun();
    log.drafts[1].entry.code = Some(VERSION.to_owned());
    let first = snapshot(1);
    log.enact(&first);
    let before = log.ask(&first, &facts(log.now_ms(), MODEL), 1);
    let from = log.heads();
    let decided = facts(log.now_ms(), MODEL);
    let served = log.ask(&first, &decided, 2);
    log.ask(&first, &facts(log.now_ms(), "mythos-5"), 3);
    log.close(before, Outcome::Completed);
    let second = snapshot(2);
    log.enact(&second);
    let again = refer(&mut log, &decided, before, 4);
    log.close(served, Outcome::Completed);
    log.drafts.last_mut().unwrap().digest = Some(Field::Response);
    log.go_on(again, &second, &facts(log.now_ms(), MODEL));
    log.close(again, Outcome::ClientGone);
    log.put(Entry::new(Kind::Registry), br#"{"person":"ada"}"#);
    let gone = log.ask(&second, &facts(log.now_ms(), MODEL), 5);
    log.cut(gone, &second, &crate::world::revoked(log.now_ms(), MODEL));
    log.put(Entry::new(Kind::Registry), br#"{"person":"eve"}"#);
    let late = log.ask(&second, &facts(log.now_ms(), MODEL), 6);
    let to = log.heads();
    log.close(late, Outcome::Completed);
    let reconciliation = reconcile(&mut log);
    let custody = custody(&mut log, disclose);
    log.stop();
    Story { log, from, to, reconciliation, custody }
}

/// Opens a call by reference to the facts of the entry `earlier`.
fn refer(log: &mut Log, decided: &Facts, earlier: u64, call: u8) -> u64 {
    let index = log.ask(&snapshot(2), decided, call);
    let draft = log.drafts.last_mut().unwrap();
    (draft.entry.facts, draft.private, draft.digest) = (Some(earlier), Vec::new(), Some(Field::Request));
    index
}

fn counted() -> Vec<Counted> {
    [1, 2, 6].map(|call| Counted { call: [call; 16], input: 10, output: 20, events: 21 }).to_vec()
}

/// Calls that ended early: what the log says of them.
fn early() -> Vec<Counted> {
    [4, 5].map(|call| Counted { call: [call; 16], input: 10, output: 20, events: 21 }).to_vec()
}

fn trees() -> Trees {
    Trees { completed: sum_root(&counted()).unwrap(), early: sum_root(&early()).unwrap() }
}

fn meter_key() -> SignerKey {
    SignerKey::from_seed(METER, &[9; 32]).unwrap()
}

/// Two early calls, and three that completed, on which both sides agree.
fn reconcile(log: &mut Log) -> u64 {
    let (entry, statement) = stated(Differ::NOTHING);
    log.put(entry, &statement)
}

fn stated(differ: Differ) -> (Entry, Vec<u8>) {
    let (trees, hour) = (trees(), BEGAN_MS / 3_600_000);
    let about = About { gateway: ORIGIN.to_owned(), meter: METER.to_owned(), model: MODEL.to_owned(), hour };
    let side = |key: &SignerKey| Side::sign(trees, &about, key);
    let (gateway, meter) = (side(&key()), side(&meter_key()));
    let statement = Statement { about, gateway, meter, differ };
    let entry = Entry {
        model: Some(MODEL.to_owned()),
        root: Some(trees.commitment()),
        code: Some(statement.code().to_owned()),
        ..Entry::new(Kind::Reconciliation)
    };
    (entry, statement.to_json())
}

fn custody(log: &mut Log, disclose: &[Disclosure]) -> u64 {
    for (name, role, seed) in APPROVERS {
        register(log, name, role, seed);
    }
    let entry = Entry { code: Some("custody.export".to_owned()), ..Entry::new(Kind::Admin) };
    let selection = json!({
        "class": "model", "name": NAME, "model": null, "from": RFC_3339[0], "to": RFC_3339[1], "disclose": disclose,
    });
    let approvals = APPROVERS.map(|(name, role, seed)| {
        let act = act("produce", ("production", "production-1", 1), &selection);
        approval(&act, name, role, seed)
    });
    let said = json!({ "actor": "key:admin", "selection": selection, "approvals": approvals });
    log.put(entry, said.to_string().as_bytes())
}

/// Records that somebody may approve.
fn register(log: &mut Log, name: &str, role: &str, seed: u8) {
    let body = json!({
        "id": name, "role": role, "public_key": approver_key(seed), "created_at": "2026-06-09T00:00:00Z",
        "revoked_at": null,
    });
    let said = json!({ "version": 4, "actor": "key:admin", "change": { "record": "approver", "body": body } });
    log.put(Entry { code: Some("approver.add".to_owned()), ..Entry::new(Kind::Admin) }, said.to_string().as_bytes());
}

fn decoded(entry: &BundleEntry) -> Entry {
    Entry::decode(&entry.leaf).unwrap()
}

impl Parts {
    /// What an honest producer writes.
    fn new() -> Self {
        Self::disclosing(&[Disclosure::Facts])
    }

    fn disclosing(disclose: &[Disclosure]) -> Self {
        let story = story_disclosing(disclose);
        let completed = SumProof::new(&counted(), &[1]).unwrap();
        let early = SumProof::new(&early(), &[0, 1]).unwrap();
        Self::of(&story, disclose, vec![HourSums { entry: story.reconciliation, completed, early }])
    }

    /// What a meter writes about a call: nothing is decided, so that it can be checked thousands of times.
    fn undecided() -> Self {
        let mut log = Log::begun();
        log.drafts[1].entry.code = Some(VERSION.to_owned());
        let from = log.heads();
        let (call, model) = (Some([1; 16]), Some(MODEL.to_owned()));
        let opened = log.put(Entry { call, model, ..Entry::new(Kind::Metered) }, b"");
        log.close(opened, Outcome::Completed);
        while log.now_ms() < selection(&[]).to_ms {
            log.put(Entry::new(Kind::Registry), b"{}");
        }
        let to = log.heads();
        let custody = custody(&mut log, &[]);
        log.stop();
        Self::of(&Story { log, from, to, reconciliation: 0, custody }, &[], Vec::new())
    }

    fn of(story: &Story, disclose: &[Disclosure], sums: Vec<HourSums>) -> Self {
        let log = story.log.entries();
        let name = Name { class: Class::Model, name: NAME.to_owned(), opening: [3; 16] };
        let mut parts = Self {
            manifest: Manifest {
                origin: ORIGIN.to_owned(),
                size: log.len() as u64,
                selection: selection(disclose),
                custody: story.custody,
                engine: vec![Engine { start: 1, version: VERSION.to_owned() }],
                files: Default::default(),
            },
            entries: Vec::new(),
            hashes: Vec::new(),
            heads: heads(&log, story.from, story.to),
            sums: SumsFile(sums),
            names: NamesFile(vec![name]),
            calls: Vec::new(),
            report: b"for people".to_vec(),
            log,
        };
        parts.entries = parts.shown();
        parts.join();
        parts
    }

    /// The entries that must be shown, each with the fields that were asked for.
    fn shown(&self) -> Vec<BundleEntry> {
        let (from, to) = (self.heads.chain.from.as_ref().map(|from| from.entry), self.heads.chain.to.entry);
        let (mut selected, mut shown) = (Selected::default(), Vec::new());
        let mut referred = BTreeSet::new();
        for stored in &self.log {
            let entry = decoded(stored);
            let inside = from.is_none_or(|from| stored.index > from) && stored.index < to;
            let ours = inside && entry.link(Class::Model, &model_chain(MODEL).id).is_some();
            let asked = ours && selected.take(&self.manifest.selection, stored.index, &entry);
            let named =
                self.sums.0.iter().any(|hour| hour.entry == stored.index) || stored.index == self.manifest.custody;
            let needed = named || entry.kind == Kind::Snapshot || Some(stored.index) == from || stored.index == to;
            if asked && self.manifest.selection.discloses(Field::Main) {
                referred.extend(entry.facts);
            }
            let starts = self.manifest.engine.iter().any(|engine| engine.start == stored.index);
            if ours || needed || starts {
                let fields = stored.fields.clone();
                let fields = match (asked, needed) {
                    (true, _) => fields.showing(|field| self.manifest.selection.discloses(field)),
                    (_, true) => fields,
                    _ if starts => Default::default(),
                    _ => fields.showing(|_| false),
                };
                shown.push(BundleEntry { fields, ..stored.clone() });
            }
        }
        for index in referred {
            shown.retain(|entry| entry.index != index);
            shown.push(self.log[usize::try_from(index).unwrap()].clone());
        }
        shown.sort_by_key(|entry| entry.index);
        shown
    }

    /// Makes hashes and calls that fit the entries.
    fn join(&mut self) {
        let leaves: Vec<_> = self.log.iter().map(|entry| leaf_hash(&entry.leaf)).collect();
        self.hashes.clear();
        let shown = self.entries.iter().map(|entry| entry.index);
        write_multiproof(&Hashes(&leaves), self.manifest.size, shown, &mut self.hashes).unwrap();
        let (mut selected, mut calls) = (Selected::default(), CallsWriter::new(Vec::new()).unwrap());
        let (from, to) = (self.heads.chain.from.as_ref().map(|from| from.entry), self.heads.chain.to.entry);
        for stored in &self.entries {
            let entry = decoded(stored);
            let inside = from.is_none_or(|from| stored.index > from) && stored.index < to;
            let ours = inside && entry.link(Class::Model, &model_chain(MODEL).id).is_some();
            if ours && selected.take(&self.manifest.selection, stored.index, &entry) {
                calls.take(stored.index, &entry).unwrap();
            }
        }
        self.calls = calls.finish().unwrap();
    }

    /// Writes the directory, under a manifest that fits.
    fn write(&self, dir: &Path) {
        let mut entries = EntriesWriter::new(Vec::new()).unwrap();
        for entry in &self.entries {
            entries.push(entry.index, &entry.leaf, &entry.fields).unwrap();
        }
        let files = [
            ("calls.csv", self.calls.clone()),
            ("checkpoint", signed(&self.log, &key()).into_bytes()),
            ("entries", entries.finish().unwrap().1),
            ("hashes", self.hashes.clone()),
            ("heads.json", self.heads.to_json()),
            ("log.vkey", format!("{}\n", key().verifier()).into_bytes()),
            ("names.json", self.names.to_json()),
            ("policy", format!("log {}\nquorum none\n", key().verifier()).into_bytes()),
            ("report.html", self.report.clone()),
            ("sums.json", self.sums.to_json()),
        ];
        let mut manifest = self.manifest.clone();
        for (name, bytes) in files {
            manifest.files.insert(name.to_owned(), Sha256::digest(&bytes).into());
            fs::write(dir.join(name), bytes).unwrap();
        }
        let envelope = Envelope::sign(PAYLOAD_TYPE, manifest.to_json(), &key());
        fs::write(dir.join("manifest.json"), envelope.to_json()).unwrap();
    }

    fn verified(&self) -> ProductionReport {
        let dir = TempDir::new().unwrap();
        self.write(dir.path());
        verified(dir.path())
    }

    fn at(&mut self, index: u64) -> &mut BundleEntry {
        self.entries.iter_mut().find(|entry| entry.index == index).unwrap()
    }
}

fn heads(log: &[BundleEntry], from: u64, to: u64) -> HeadsFile {
    let standing = |chain: Chain, index: u64| {
        let mut heads = Heads::new();
        for entry in log.iter().filter(|entry| entry.index < index) {
            heads.apply(entry.index, &decoded(entry)).unwrap();
        }
        Standing { entry: index, proof: heads.prove(&chain) }
    };
    let span = |chain| Span { chain, from: Some(standing(chain, from)), to: standing(chain, to) };
    HeadsFile { chain: span(model_chain(MODEL)), in_force: span(Chain::IN_FORCE) }
}

fn options() -> ProductionOptions {
    ProductionOptions {
        key: key().verifier(),
        policy: None,
        approvers: Vec::new(),
        meters: Meters::default(),
        allow_withheld: false,
    }
}

fn verified(dir: &Path) -> ProductionReport {
    verify_production(dir, &options(), &mut ()).unwrap()
}

#[test]
fn a_true_production_holds_and_its_counts_are_told() {
    let report = Parts::new().verified();
    assert!(report.holds(), "{report}");
    assert_eq!((report.calls, report.refused, report.found.open_calls), (3, 0, 0));
    assert_eq!((report.reconciled_calls, report.unreconciled_calls), (3, 0));
    let reconciled = &report.found.reconciled;
    assert_eq!((reconciled.agree, reconciled.differ, reconciled.meters_pinned), (1, 0, false));
    assert_eq!((report.found.replays.permits, report.found.replays.redecisions), (3, 2));
    assert_eq!((report.actor.as_str(), report.found.withheld), ("key:admin", 0));
    let text = report.to_string();
    let key = approver_key(1);
    for said in [
        format!("approved by:\n  iris (counsel), key {key}\n"),
        "no approver was pinned".to_owned(),
        "engine: 0.4.0 from entry 1\n".to_owned(),
    ] {
        assert!(text.contains(&said), "no `{said}` in {text}");
    }
    assert!(text.starts_with("holds: a production of the log `log.example.com/exeat/1`, "), "{text}");
    assert!(text.contains("chain of `model:ember-2`, complete as of heads entry 18: 9 entries"), "{text}");
}

#[test]
fn the_log_that_it_is_from_holds_and_sums_that_are_not_those_of_its_calls_do_not() {
    let mut story = story();
    let report = story.log.verified();
    assert!(report.holds(), "{report}");
    let close = story.log.drafts[19].entry.usage.as_mut().unwrap();
    close.output_tokens = Some(19);
    let report = story.log.verified();
    let wrong = |report: &Report| {
        let mut here = report.faults.iter().filter(|fault| fault.index == Some(story.reconciliation));
        here.next().map(|fault| fault.why.clone()).unwrap_or_default()
    };
    assert_eq!(wrong(&report), "the sums that the gateway signed are not those of its calls");
    story.log.drafts[19].entry.usage.as_mut().unwrap().output_tokens = Some(20);
    story.log.drafts[19].entry.outcome = Some(Outcome::UpstreamFailed);
    assert_eq!(wrong(&story.log.verified()), "the sums that the gateway signed are not those of its calls");
    story.log.drafts[19].entry.outcome = Some(Outcome::Completed);
    story.log.drafts[19].entry.meter = Some([7; 8]);
    assert_eq!(wrong(&story.log.verified()), "the sums that the gateway signed are not those of its calls");
}

/// A gateway that is killed after it recorded a statement and before it remembers that makes it again.
#[test]
fn a_statement_that_is_recorded_twice_holds() {
    let mut story = story();
    story.log.drafts.pop();
    reconcile(&mut story.log);
    story.log.stop();
    let report = story.log.verified();
    assert!(report.holds(), "{report}");
    assert_eq!(report.reconciled.agree, 2);
}

#[test]
fn a_call_that_ends_after_the_statement_over_its_hour_is_a_fault() {
    let mut story = story();
    let late = story.log.drafts.remove(19);
    let at = story.log.drafts.len() - 1;
    story.log.drafts.insert(at, late);
    let report = story.log.verified();
    assert!(
        report.faults.iter().any(|fault| fault.why == "the call ends after the statement over its hour"),
        "{report}"
    );
}

#[test]
fn sides_that_do_not_agree_are_a_fault_unless_that_was_said_to_be_so() {
    let mut story = story();
    let sums = Sums { calls: 1, input: 10, output: 20, events: 21 };
    let (entry, statement) = stated(Differ { calls: 1, gateway: sums, meter: Sums::default(), hash: [5; 32] });
    let draft = &mut story.log.drafts[usize::try_from(story.reconciliation).unwrap()];
    (draft.entry, draft.private) = (Entry { at_ms: draft.entry.at_ms, ..entry }, statement);
    let report = story.log.verified();
    assert_eq!((report.holds(), report.reconciled.differ, report.reconciled.differing_calls), (false, 1, 1));
    assert_eq!(report.faults[0].why, "gateway and meter do not agree, about 1 calls");
    let with = |differences: &[Difference]| {
        let meters = Meters { keys: Vec::new(), differences: differences.iter().copied().collect() };
        let report = story.log.verified_with(&Options { meters, ..crate::world::pinned() });
        assert_eq!(report.reconciled.differ, 1, "it is counted all the same: {report}");
        report.holds()
    };
    let at = story.reconciliation;
    assert!(with(&[Difference::In(at)]) && with(&[Difference::Any]));
    assert!(!with(&[]) && !with(&[Difference::In(at - 1), Difference::In(at + 1)]));
}

#[test]
fn a_meter_that_is_none_of_the_pinned_ones_proves_nothing() {
    let story = story();
    let with = |key: VerifierKey| {
        let meters = Meters { keys: vec![key], differences: BTreeSet::new() };
        story.log.verified_with(&Options { meters, ..crate::world::pinned() })
    };
    let report = with(meter_key().verifier());
    assert!(report.holds() && report.reconciled.meters_pinned, "{report}");
    let stranger = SignerKey::from_seed(METER, &[8; 32]).unwrap().verifier();
    assert!(with(stranger).faults[0].why.contains("is none that was pinned"));
}

#[test]
fn a_chain_that_is_shown_from_the_beginning_holds() {
    let mut parts = Parts::new();
    for span in [&mut parts.heads.chain, &mut parts.heads.in_force] {
        span.from = None;
    }
    parts.entries = parts.shown();
    parts.join();
    let report = parts.verified();
    assert!(report.holds(), "{report}");
    assert_eq!((report.calls, report.chain_entries), (3, 10));
}

/// Checks a production with one byte of a file changed, for each file and so many of its bytes as `steps` says.
fn each_changed_byte(parts: &Parts, steps: impl Fn(&str, usize) -> usize) {
    let dir = TempDir::new().unwrap();
    parts.write(dir.path());
    for file in fs::read_dir(dir.path()).unwrap() {
        let path = file.unwrap().path();
        let good = fs::read(&path).unwrap();
        let step = steps(path.file_name().unwrap().to_str().unwrap(), good.len());
        for at in (0..good.len()).step_by(step) {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, bytes).unwrap();
            assert!(!verified(dir.path()).holds(), "byte {at} of {}", path.display());
        }
        fs::write(&path, good).unwrap();
    }
    assert!(verified(dir.path()).holds(), "{}", verified(dir.path()));
}

#[test]
fn every_changed_byte_of_every_file_is_noticed() {
    each_changed_byte(&Parts::undecided(), |_, _| 1);
}

#[test]
fn changed_bytes_are_noticed_where_calls_are_decided_and_every_one_of_most_small_files() {
    let small = ["manifest.json", "checkpoint", "policy", "sums.json", "names.json"];
    each_changed_byte(&Parts::new(), |name, bytes| if small.contains(&name) { 1 } else { bytes / 8 + 1 });
}

#[test]
fn a_file_more_or_less_is_noticed() {
    let dir = TempDir::new().unwrap();
    Parts::new().write(dir.path());
    fs::write(dir.path().join("notes.txt"), b"x").unwrap();
    assert!(verified(dir.path()).to_string().contains("`notes.txt` is not in the manifest"));
    fs::remove_file(dir.path().join("notes.txt")).unwrap();
    fs::remove_file(dir.path().join("report.html")).unwrap();
    assert!(verified(dir.path()).to_string().contains("`report.html` is in the manifest and is not there"));
}

/// Whoever makes the production has the log's key and can sign any manifest: each of these is found all the same.
#[test]
fn what_a_producer_could_leave_out_or_make_up_is_found() {
    type Lie = fn(&mut Parts, &Story);
    let lies: [(&str, Lie, &str); 23] = [
        ("no engine's start", |p, _| p.entries.retain(|e| e.index != 1), "the start of an engine, is not shown"),
        (
            "an engine of another release",
            |p, _| p.manifest.engine[0].version.push('1'),
            "is not the start of the engine",
        ),
        ("what is no start", |p, _| p.manifest.engine[0].start = 0, "the start of an engine, is not shown"),
        ("an engine after the chain", |p, _| p.manifest.engine[0].start = 13, "not those that wrote between the heads"),
        (
            "a start that is not named",
            |p, _| p.manifest.engine[0].start = 2,
            "nothing that was asked for refers to them",
        ),
        ("facts of a start", |p, _| p.at(1).fields = p.log[1].fields.clone(), "field 1 is shown, which was not asked"),
        ("an entry of the chain left out", |p, _| p.entries.retain(|e| e.index != 10), "is missing before it"),
        ("the last of the chain left out", |p, s| p.entries.retain(|e| e.index != s.to - 1), "as its entries add up"),
        ("a snapshot left out", |p, _| p.entries.retain(|e| e.index != 8), "was not in force"),
        (
            "the snapshot at the start left out",
            |p, _| p.entries.retain(|e| e.index != 2),
            "in force at the start is not shown",
        ),
        ("a heads entry left out", |p, s| p.entries.retain(|e| e.index != s.from), "is not shown"),
        ("the custody entry left out", |p, s| p.entries.retain(|e| e.index != s.custody), "custody entry is not shown"),
        ("the reconciliation left out", |p, s| p.entries.retain(|e| e.index != s.reconciliation), "`sums.json` names"),
        ("a referred entry withheld", |p, _| p.at(3).fields = p.at(3).fields.clone().showing(|_| false), "withheld"),
        ("an entry of nobody's asking", |p, _| p.entries.insert(0, p.log[0].clone()), "nothing that was asked for"),
        ("facts of a call before", |p, _| p.at(17).fields = p.log[17].fields.clone(), "nothing that was asked for"),
        ("facts withheld", |p, _| p.at(5).fields = Default::default(), "a field that was asked for is withheld"),
        ("facts made up", |p, _| made_up(p.at(5)), "not what it commits to"),
        ("another selection", |p, _| p.manifest.selection.model = Some(MODEL.to_owned()), "of another selection"),
        ("a longer time", |p, _| p.manifest.selection.to_ms += 10_000, "ended later"),
        ("another name", |p, _| p.names.0[0].opening = [4; 16], "not that of the name in the selection"),
        ("another early call in the sums", |p, _| p.sums.0[0].early.positions = vec![1, 0], "too few nodes"),
        ("another call in the sums", |p, _| p.sums.0[0].completed.positions = vec![0], "the sums that were signed"),
    ];
    for (what, lie, wanted) in lies {
        let (mut parts, story) = (Parts::new(), story());
        lie(&mut parts, &story);
        parts.join();
        let report = parts.verified().to_string();
        assert!(report.contains(wanted), "{what}: no `{wanted}` in\n{report}");
        assert!(report.starts_with("DOES NOT HOLD"), "{what}");
    }
}

fn made_up(entry: &mut BundleEntry) {
    let other = Opening::Shown { salt: [0; 16], value: b"{}".as_slice().into() };
    entry.fields = [(Field::Main, other)].into_iter().collect();
}

/// Each entry that was asked for has its fields, whatever they are and whether or not another entry has its facts.
#[test]
fn everything_that_was_asked_for_is_shown_or_counted_as_withheld() {
    use Disclosure::{Content, Digests, Facts};
    let none = |parts: &mut Parts, index| parts.at(index).fields = Default::default();
    let withheld = |parts: &Parts, count| {
        let report = parts.verified();
        assert_eq!((report.holds(), report.found.withheld), (false, count), "{report}");
        let options = ProductionOptions { allow_withheld: true, ..options() };
        let dir = TempDir::new().unwrap();
        parts.write(dir.path());
        let report = verify_production(dir.path(), &options, &mut ()).unwrap();
        assert_eq!((report.holds(), report.found.withheld), (true, count), "{report}");
    };
    // The facts of a cut that policy decided.
    let mut cut = Parts::new();
    none(&mut cut, 15);
    assert!(decoded(cut.at(15)).outcome == Some(Outcome::Cut) && decoded(cut.at(15)).snapshot.is_some());
    withheld(&cut, 1);
    // Whatever else is disclosed, an entry with a private part is not shown without a field.
    for disclose in [vec![Digests], vec![Content]] {
        let mut other = Parts::disclosing(&disclose);
        assert!(other.verified().holds(), "{}", other.verified());
        none(&mut other, 5);
        withheld(&other, 1);
    }
    // An entry whose facts are elsewhere may have digests of its own.
    let mut both = Parts::disclosing(&[Facts, Digests]);
    assert!(both.verified().holds(), "{}", both.verified());
    none(&mut both, 9);
    withheld(&both, 1);
    none(&mut both, 10);
    withheld(&both, 2);
}

#[test]
fn approvers_that_are_pinned_must_be_those_who_approved() {
    let dir = TempDir::new().unwrap();
    Parts::new().write(dir.path());
    let pinned = |pins: &[(&str, u8)]| {
        let pin = |(name, seed): &(&str, u8)| format!("{name}={}", approver_key(*seed)).parse().unwrap();
        let options = ProductionOptions { approvers: pins.iter().map(pin).collect(), ..options() };
        verify_production(dir.path(), &options, &mut ()).unwrap()
    };
    let report = pinned(&[("iris", 1), ("otto", 2), ("vera", 3)]);
    assert!(report.holds() && report.to_string().contains("under the keys that were pinned"), "{report}");
    for pins in [&[("iris", 1)][..], &[("iris", 1), ("otto", 3)], &[("iris", 2), ("otto", 1)]] {
        let report = pinned(pins).to_string();
        assert!(report.contains("approved it, not under a key that was pinned"), "{report}");
    }
}

#[test]
fn a_whole_log_has_its_custody_from_approvers_that_it_registered() {
    let mut story = story();
    let at = usize::try_from(story.custody).unwrap();
    story.log.drafts[at - 1].entry.code = Some("token.issue".to_owned());
    story.log.drafts[at - 1].private = b"{}".to_vec();
    let report = story.log.verified().to_string();
    assert!(report.contains("`otto` is no approver of the log, in this role and with this key"), "{report}");
}

#[cfg(unix)]
#[test]
fn what_is_no_plain_file_is_not_read() {
    for name in ["report.html", "entries", "checkpoint", "manifest.json"] {
        let dir = TempDir::new().unwrap();
        Parts::new().write(dir.path());
        let (path, moved) = (dir.path().join(name), dir.path().with_extension(name));
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        let report = verified(dir.path()).to_string();
        assert!(report.contains("links are not followed"), "{name} is a link to what it was: {report}");
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
    }
}

#[test]
fn facts_of_more_than_a_mebibyte_are_no_facts() {
    let mut story = story();
    let long = format!("{}{}", " ".repeat(1 << 20), String::from_utf8(story.log.drafts[5].private.clone()).unwrap());
    story.log.drafts[5].private = long.into_bytes();
    assert!(story.log.verified().to_string().contains("its facts are longer than 1048576 bytes"));
}

#[test]
fn files_that_do_not_fit_the_entries_are_found_under_a_manifest_that_does() {
    let mut calls = Parts::new();
    calls.calls.extend(b"more\n");
    assert!(calls.verified().to_string().contains("`calls.csv` does not say what the entries say"));
    let mut hashes = Parts::new();
    hashes.hashes[3] ^= 1;
    assert!(hashes.verified().to_string().contains("do not lead to the root"));
    let mut heads = Parts::new();
    heads.heads.chain.to.proof.path.pop();
    assert!(heads.verified().to_string().contains("does not lead to the root of the heads"));
}
