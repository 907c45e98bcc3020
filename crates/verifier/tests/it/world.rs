//! A log that a gateway could have written, to be told truly or falsely.

use std::path::Path;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use policy::{CallerFacts, CountryGroups, CredentialFacts, Determination, Facts, Snapshot, SnapshotDocument, decide};
use proof::{
    approval::document_sha256,
    bundle::BundleEntry,
    checkpoint::Checkpoint,
    commit::{Field, Fields, SaltKey},
    entry::{Class, Entry, Kind, Outcome, Usage, meter_id},
    heads::{Chain, Heads},
    jcs::canonical,
    note::{SignerKey, VerifierKey},
    pseudonym::pseudonym,
    tree::{Frontier, leaf_hash},
};
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{Clearance, Control, KeyId, ModelFamily, ModelVersion, ModelVersionId, Moment};
use verifier::{BundleSource, Options, Report, verify_bundle, write_bundle};

pub(crate) const METER: &str = "meter.example.com/1";
pub(crate) const ORIGIN: &str = "log.example.com/exeat/1";
pub(crate) const BEGAN_MS: u64 = 1_781_000_000_000;

/// An entry before it is encoded.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) entry: Entry,
    pub(crate) private: Vec<u8>,
    /// A field of the private part besides the first.
    pub(crate) digest: Option<Field>,
}

impl Draft {
    fn fields(&self) -> Fields {
        let main = (!self.private.is_empty()).then(|| (Field::Main, self.private.clone().into()));
        main.into_iter().chain(self.digest.map(|field| (field, [9; 32].to_vec().into()))).collect()
    }
}

/// What all salts of the small world follow from.
fn salts() -> SaltKey {
    SaltKey::new([7; 32])
}

/// A log in memory; every entry is a second after the one before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) drafts: Vec<Draft>,
}

impl Log {
    /// Begins a log with its genesis and a first start.
    pub(crate) fn begun() -> Self {
        let mut log = Self::default();
        log.put(
            Entry::new(Kind::Genesis),
            format!(r#"{{"origin":"{ORIGIN}","key":"{}"}}"#, key().verifier()).as_bytes(),
        );
        log.start(false, 0);
        log
    }

    /// Appends an entry and returns its index.
    pub(crate) fn put(&mut self, mut entry: Entry, private: &[u8]) -> u64 {
        entry.at_ms = self.now_ms();
        self.drafts.push(Draft { entry, private: private.to_vec(), digest: None });
        self.drafts.len() as u64 - 1
    }

    /// The time of the next entry.
    pub(crate) fn now_ms(&self) -> u64 {
        BEGAN_MS + 1_000 * self.drafts.len() as u64
    }

    pub(crate) fn start(&mut self, unclean: bool, interrupted: u64) -> u64 {
        let note = format!(r#"{{"unclean":{unclean},"interrupted":{interrupted}}}"#);
        self.put(Entry::new(Kind::Start), note.as_bytes())
    }

    pub(crate) fn stop(&mut self) -> u64 {
        self.put(Entry::new(Kind::Stop), b"")
    }

    /// Says where the chains stand.
    pub(crate) fn heads(&mut self) -> u64 {
        self.put(Entry::new(Kind::Heads), b"")
    }

    pub(crate) fn enact(&mut self, snapshot: &Snapshot) -> u64 {
        let mut entry = Entry::new(Kind::Snapshot);
        entry.snapshot = Some(*snapshot.digest());
        self.put(entry, &snapshot.canonical())
    }

    /// Decides as a gateway does and records the answer: an opening or a refusal.
    pub(crate) fn ask(&mut self, snapshot: &Snapshot, facts: &Facts, call: u8) -> u64 {
        self.ask_for(snapshot, facts, call, None)
    }

    /// As [`Log::ask`], for a name other than the version's own.
    pub(crate) fn ask_for(&mut self, snapshot: &Snapshot, facts: &Facts, call: u8, requested: Option<&str>) -> u64 {
        let (kind, basis, code) = match decide(snapshot, facts) {
            Determination::Permit(permit) => (Kind::Open, permit.basis().to_vec(), None),
            Determination::Refuse(refusal) => {
                (Kind::Refusal, refusal.denied_by().to_vec(), Some(refusal.code().as_str().to_owned()))
            }
        };
        let mut entry = about(kind, call, &facts.model);
        entry.snapshot = Some(*snapshot.digest());
        entry.basis = Some(basis.iter().map(|id| id.as_str().to_owned()).collect());
        entry.code = code;
        entry.requested = requested.map(str::to_owned);
        self.put(entry, &serde_json::to_vec(facts).unwrap())
    }

    /// Closes a call.
    pub(crate) fn close(&mut self, opened: u64, outcome: Outcome) -> u64 {
        let call = self.drafts[usize::try_from(opened).unwrap()].entry.clone();
        let mut entry = Entry::new(Kind::Close);
        (entry.call, entry.subject, entry.model) = (call.call, call.subject, call.model);
        entry.opened = Some(opened);
        entry.outcome = Some(outcome);
        let usage =
            Usage { input_tokens: Some(10), output_tokens: Some(20), delivered_events: 21, delivered_bytes: 400 };
        entry.usage = (outcome != Outcome::Interrupted).then_some(usage);
        entry.meter = (outcome != Outcome::Interrupted).then(|| meter_id(METER));
        self.put(entry, b"")
    }

    /// Cuts a call on facts that now refuse.
    pub(crate) fn cut(&mut self, opened: u64, snapshot: &Snapshot, facts: &Facts) -> u64 {
        let index = self.close(opened, Outcome::Cut);
        let refusal = self.clone().ask(snapshot, facts, 0);
        assert_eq!(refusal, index + 1);
        let mut decided = self.clone();
        decided.ask(snapshot, facts, 0);
        let decided = decided.drafts.pop().unwrap();
        let draft = self.drafts.last_mut().unwrap();
        draft.entry.snapshot = decided.entry.snapshot;
        draft.entry.basis = decided.entry.basis;
        draft.entry.code = decided.entry.code;
        draft.private = decided.private;
        index
    }

    /// Decides a call again and lets it go on.
    pub(crate) fn go_on(&mut self, opened: u64, snapshot: &Snapshot, facts: &Facts) -> u64 {
        let call = self.drafts[usize::try_from(opened).unwrap()].entry.call;
        let index = self.ask(snapshot, facts, 0);
        let entry = &mut self.drafts.last_mut().unwrap().entry;
        entry.kind = Kind::Redecision;
        entry.opened = Some(opened);
        (entry.call, entry.subject) = (call, None);
        index
    }

    /// Encodes all entries, each with its commitment.
    pub(crate) fn entries(&self) -> Vec<BundleEntry> {
        let mut heads = Heads::new();
        (0..).zip(&self.drafts).map(|(index, draft)| self.encoded(index, draft, &mut heads)).collect()
    }

    fn encoded(&self, index: u64, draft: &Draft, heads: &mut Heads) -> BundleEntry {
        let mut entry = draft.entry.clone();
        let fields = draft.fields();
        let by_call = matches!(entry.kind, Kind::Open | Kind::Close | Kind::Refusal);
        entry.nonce = (!by_call && !fields.is_empty()).then_some(index.to_be_bytes());
        entry.key_epoch = (!fields.is_empty()).then_some(8_105);
        entry.private = salts().begin().commit(&entry, &fields);
        let links: Vec<_> = self.chains(draft).into_iter().map(|chain| heads.next(index, chain)).collect();
        entry.links = entry.links.or_else(|| (!links.is_empty()).then_some(links));
        if entry.kind == Kind::Heads {
            entry.root = entry.root.or_else(|| Some(heads.root()));
            entry.covered = entry.covered.or(Some(index));
        }
        // Of a log that lies, too.
        let _ = heads.apply(index, &entry);
        BundleEntry { index, leaf: entry.encode().unwrap(), fields: salts().begin().open(&entry, &fields) }
    }

    /// The chains of an entry, in order: of the only caller, its key, and the model.
    fn chains(&self, draft: &Draft) -> Vec<Chain> {
        let entry = &draft.entry;
        match (entry.kind, entry.opened) {
            (Kind::Snapshot, _) => vec![Chain::IN_FORCE],
            (Kind::Reconciliation | Kind::Metered, _) => vec![model_chain(entry.model.as_deref().unwrap_or_default())],
            (Kind::Open | Kind::Refusal, _) => {
                let subject = entry.subject.map(|id| Chain { class: Class::Subject, id });
                let model = model_chain(entry.model.as_deref().unwrap_or_default());
                subject.into_iter().chain([Chain { class: Class::Key, id: [0xcc; 16] }, model]).collect()
            }
            (_, Some(opened)) => {
                let opened = usize::try_from(opened).ok().and_then(|at| self.drafts.get(at));
                opened
                    .filter(|opened| opened.entry.opened.is_none())
                    .map(|opened| self.chains(opened))
                    .unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// Writes the bundle with a good signature over whatever the log says, and checks it with the pinned key.
    pub(crate) fn verified(&self) -> Report {
        self.verified_with(&pinned())
    }

    pub(crate) fn verified_with(&self, options: &Options) -> Report {
        let dir = TempDir::new().unwrap();
        export(dir.path(), &self.entries());
        verify_bundle(dir.path(), options, &mut ()).unwrap()
    }
}

/// Checks a bundle with the pinned key.
pub(crate) fn verified(dir: &Path) -> Report {
    verify_bundle(dir, &pinned(), &mut ()).unwrap()
}

pub(crate) fn pinned() -> Options {
    Options { key: Some(key().verifier()), ..Options::default() }
}

pub(crate) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[42; 32]).unwrap()
}

/// Signs a checkpoint over the entries and writes the bundle.
pub(crate) fn export(dir: &Path, entries: &[BundleEntry]) {
    let checkpoint = signed(entries, &key());
    write(dir, &checkpoint, &key().verifier(), entries);
}

pub(crate) fn signed(entries: &[BundleEntry], key: &SignerKey) -> String {
    let mut tree = Frontier::new();
    entries.iter().for_each(|entry| tree.push(leaf_hash(&entry.leaf)));
    let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: tree.size(), root: tree.root() };
    checkpoint.sign(key).unwrap()
}

pub(crate) fn write(dir: &Path, checkpoint: &str, key: &VerifierKey, entries: &[BundleEntry]) {
    let key = key.to_string();
    let source = BundleSource { origin: ORIGIN, key: &key, checkpoint };
    write_bundle(dir, &source, entries.iter().cloned().map(Ok)).unwrap();
}

/// What an approver signs: `verb` on a document of this kind, id and version, as long as any log of the small world goes.
pub(crate) fn act(verb: &str, (kind, id, version): (&str, &str, u64), document: &Value) -> Value {
    let sha256: String = document_sha256(document).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "type": "approval/v1", "act": verb, "kind": kind, "id": id, "version": version, "document_sha256": sha256,
        "valid_until": "2026-06-10T00:00:00Z",
    })
}

/// Signs an act as an approver does.
pub(crate) fn approval(act: &Value, name: &str, role: &str, seed: u8) -> Value {
    let header = json!({ "alg": "EdDSA", "kid": name, "typ": "exeat-approval+jws" });
    let [header, payload] = [&header, act].map(|part| URL_SAFE_NO_PAD.encode(canonical(part).unwrap()));
    let signature = approver(seed).sign(format!("{header}.{payload}").as_bytes());
    let jws = format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature));
    json!({ "act": act, "approver": name, "role": role, "public_key": approver_key(seed), "jws": jws })
}

/// The public key of an approver, as it is spelled in the log.
pub(crate) fn approver_key(seed: u8) -> String {
    URL_SAFE_NO_PAD.encode(approver(seed).verifier().public_bytes())
}

fn approver(seed: u8) -> SignerKey {
    SignerKey::from_seed("approver", &[seed; 32]).unwrap()
}

/// The chain of a model version.
pub(crate) fn model_chain(model: &str) -> Chain {
    Chain { class: Class::Model, id: pseudonym(&[3; 16], &format!("model:{model}")) }
}

fn about(kind: Kind, call: u8, model: &ModelVersionId) -> Entry {
    Entry {
        call: Some([call; 16]),
        subject: Some([0xee; 16]),
        model: Some(model.as_str().to_owned()),
        ..Entry::new(kind)
    }
}

/// A published model for everybody and one that asks for an attested person, under an alias that prefers the latter.
pub(crate) fn snapshot(epoch: u64) -> Snapshot {
    let model = |id: &str, control, clearance| ModelVersion {
        id: ModelVersionId::parse(id).unwrap(),
        family: ModelFamily::parse(id).unwrap(),
        control,
        clearance,
        certificate_required: false,
        derived_from: None,
    };
    Snapshot::compile(SnapshotDocument {
        version: 1,
        epoch,
        lab: None,
        country_groups: CountryGroups::bundled(),
        regimes: Vec::new(),
        models: vec![
            model("ember-2", Control::Published, Clearance::Open),
            model("mythos-5", Control::Subject, Clearance::Attested),
        ],
        aliases: vec![policy::Alias {
            name: terms::AliasName::parse("assistant").unwrap(),
            versions: ["mythos-5", "ember-2"].map(|id| ModelVersionId::parse(id).unwrap()).to_vec(),
        }],
        directives: Vec::new(),
        licenses: Vec::new(),
    })
    .unwrap()
}

/// A shared credential that asks for `model` at this time, which the published model permits and the other refuses.
pub(crate) fn facts(at_ms: u64, model: &str) -> Facts {
    Facts {
        at: Moment::from_millis(i64::try_from(at_ms).unwrap()),
        model: ModelVersionId::parse(model).unwrap(),
        credential: CredentialFacts {
            id: KeyId::parse("key-1").unwrap(),
            expires_at: Moment::from_millis(i64::try_from(BEGAN_MS).unwrap() + 3_600_000),
            revoked: false,
            organization: None,
            end_use: None,
        },
        caller: CallerFacts::Unbound,
        organizations: Vec::new(),
        consumed: Vec::new(),
        channels: Vec::new(),
    }
}

/// The same, once the credential was revoked.
pub(crate) fn revoked(at_ms: u64, model: &str) -> Facts {
    let mut facts = facts(at_ms, model);
    facts.credential.revoked = true;
    facts
}

/// A log in which everything happens once, truly told.
pub(crate) fn full_log() -> Log {
    let mut log = Log::begun();
    let first = snapshot(1);
    log.enact(&first);
    let served = log.ask(&first, &facts(log.now_ms(), "ember-2"), 1);
    log.ask(&first, &facts(log.now_ms(), "mythos-5"), 2);
    log.close(served, Outcome::Completed);
    let cut = log.ask_for(&first, &facts(log.now_ms(), "ember-2"), 3, Some("assistant"));
    let second = snapshot(2);
    log.enact(&second);
    // Decided before the second snapshot reached this thread.
    let late = log.ask(&first, &facts(log.now_ms() - 1, "ember-2"), 4);
    log.go_on(late, &second, &facts(log.now_ms(), "ember-2"));
    log.cut(cut, &second, &revoked(log.now_ms(), "ember-2"));
    let stopped = log.ask(&second, &facts(log.now_ms(), "ember-2"), 5);
    log.close(stopped, Outcome::Cut);
    // As a gateway writes it: with a digest of what it delivered, and with no decision.
    let last = log.drafts.last_mut().unwrap();
    (last.entry.code, last.digest) = (Some("obligation_unmet".to_owned()), Some(Field::Response));
    log.put(Entry::new(Kind::Registry), br#"{"person":"ada"}"#);
    log.heads();
    log.close(late, Outcome::Interrupted);
    log.start(true, 1);
    log.ask(&second, &facts(log.now_ms(), "ember-2"), 6);
    log
}
