//! A gateway with people, models and a scripted upstream, seen from outside.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set up its world fails"
)]

use std::{path::Path, sync::Arc, time::Duration};

use gateway::{Aside, EndpointSettings, Gateway, Monitor, OwnTokens, Parts, Settings, Unmonitored, UpstreamSettings};
use identity::{Change, Directory, Holder, KeyRecord, KeyText, Pepper};
use ledger::{Draft, Ledger, LookupError, Options, Reader, Stored, storage::Storage};
use policy::{Alias, CountryGroups, Directive, License, Snapshot, SnapshotDocument};
use proof::{
    bundle::BundleEntry,
    entry::{Entry, Kind, Outcome},
};
use serde_json::{Value, json};
use terms::{
    Affiliation, AliasName, Assurance, Attestation, Claim, Clearance, Clock, Control, Country, Coverage, Dialect,
    Engagement, LocationMethod, ManualClock, ModelFamily, ModelVersion, ModelVersionId, Moment, Organization,
    OrganizationId, OrganizationKind, Person, PersonId, Screening, UsPersonLimb,
};
use testkit::{
    http::{self, Answer},
    upstream::FakeUpstream,
};
use verifier::{BundleSource, verify_bundle, write_bundle};

use crate::disk::TestDisk;

pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) upstream: FakeUpstream,
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Ledger,
    pub(crate) pepper: Pepper,
    pub(crate) epoch: u64,
    pub(crate) disk: TestDisk,
    pub(crate) ticket_key: jose::Jwk,
    dir: tempfile::TempDir,
}

/// What outlives a restart.
struct Base {
    dir: tempfile::TempDir,
    disk: TestDisk,
    storage: Arc<dyn Storage>,
    upstream: FakeUpstream,
    clock: Arc<ManualClock>,
    directory: Arc<Directory>,
    issuing: Issuing,
}

/// What a deployment that issues tokens itself adds.
#[derive(Default)]
pub(crate) struct Issuing {
    pub(crate) own_tokens: Option<OwnTokens>,
    pub(crate) aside: Option<Arc<dyn Aside>>,
}

pub(crate) fn now() -> Moment {
    Moment::parse("2026-06-27T12:00:00Z").unwrap()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, Arc::new(Unmonitored))
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings), monitor: Arc<dyn Monitor>) -> Self {
        Self::at(now(), change, monitor)
    }

    pub(crate) fn at(start: Moment, change: impl FnOnce(&mut Settings), monitor: Arc<dyn Monitor>) -> Self {
        Self::new_at(start, change, monitor, Issuing::default())
    }

    pub(crate) fn issuing(change: impl FnOnce(&mut Settings), issuing: Issuing) -> Self {
        Self::new_at(now(), change, Arc::new(Unmonitored), issuing)
    }

    /// A world whose log is on `storage`, and not on a [`TestDisk`].
    pub(crate) fn on(storage: Arc<dyn Storage>, change: impl FnOnce(&mut Settings)) -> Self {
        let base = Base { storage, ..Base::new(now(), Issuing::default()) };
        Self::begin(base, 1, snapshot(1, Vec::new(), Vec::new()), change, Arc::new(Unmonitored))
    }

    fn new_at(start: Moment, change: impl FnOnce(&mut Settings), monitor: Arc<dyn Monitor>, issuing: Issuing) -> Self {
        Self::begin(Base::new(start, issuing), 1, snapshot(1, Vec::new(), Vec::new()), change, monitor)
    }

    /// Ends the gateway and its log in good order and starts both anew under `snapshot`; the directory is kept.
    pub(crate) fn restart(self, snapshot: Snapshot) -> Self {
        let Self { gateway, ledger, dir, disk, upstream, clock, directory, epoch, .. } = self;
        drop(gateway);
        ledger.stop().unwrap();
        drop(ledger);
        let storage = Arc::new(disk.clone());
        let base = Base { dir, disk, storage, upstream, clock, directory, issuing: Issuing::default() };
        Self::begin(base, epoch, snapshot, |_| {}, Arc::new(Unmonitored))
    }

    fn begin(
        base: Base,
        epoch: u64,
        snapshot: Snapshot,
        change: impl FnOnce(&mut Settings),
        monitor: Arc<dyn Monitor>,
    ) -> Self {
        let Base { dir, disk, storage, upstream, clock, directory, issuing } = base;
        let path = dir.path().join("ledger");
        let (ledger, _) = Ledger::open_on(storage, &path, options(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let mut settings = Settings { listen: vec!["127.0.0.1:0".parse().unwrap()], workers: 2, ..Settings::default() };
        settings.upstreams = ["mythos-5", "ember-2"].map(|model| served(model, &upstream.url())).to_vec();
        change(&mut settings);
        let pepper = Pepper::new([7; 32]);
        let ticket_key = jose::SigningKey::generate(jose::Alg::EdDsa).unwrap();
        let public = ticket_key.public().clone();
        let gateway = Gateway::start(Parts {
            settings: settings.check().unwrap(),
            directory: Arc::clone(&directory),
            snapshot: Arc::new(snapshot),
            ledger: ledger.clone(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            pepper: pepper.clone(),
            monitor,
            client: client(),
            ticket_key: Some(ticket_key),
            own_tokens: issuing.own_tokens,
            aside: issuing.aside,
        })
        .unwrap();
        Self { gateway, upstream, directory, clock, ledger, pepper, epoch, disk, ticket_key: public, dir }
    }

    /// Registers a person with a current standing and location who works at the lab, and returns a key.
    pub(crate) fn person(&self, id: &str, us: bool) -> String {
        self.directory.apply(Change::Person(Arc::new(person(id, us))));
        let holder = Holder::Person { person: PersonId::parse(id).unwrap() };
        self.key(holder)
    }

    pub(crate) fn key(&self, holder: Holder) -> String {
        let key = KeyText::mint().unwrap();
        self.put_key(&key, holder, None, now().plus(Duration::from_secs(86_400)));
        key.reveal().to_owned()
    }

    pub(crate) fn put_key(&self, key: &KeyText, holder: Holder, revoked_at: Option<Moment>, expires_at: Moment) {
        let record = Arc::new(KeyRecord {
            id: key.id(),
            holder,
            organization: Some(OrganizationId::parse("larkspur-labs").unwrap()),
            digest: self.pepper.digest(key),
            created_at: now(),
            expires_at,
            revoked_at,
            end_use: None,
            confirmation: None,
        });
        self.change(Change::Key(record));
    }

    pub(crate) fn change(&self, change: Change) -> gateway::Effect {
        self.directory.apply(change.clone());
        self.gateway.change(&change)
    }

    pub(crate) fn june_12(&mut self) -> gateway::Effect {
        self.enforce(vec![directive()], Vec::new())
    }

    pub(crate) fn annex_a(&mut self) -> gateway::Effect {
        self.enforce(vec![directive()], vec![license()])
    }

    /// Puts the directive in force with an obligation for whatever it permits.
    pub(crate) fn demanding(&mut self, obligation: &str) -> gateway::Effect {
        self.epoch += 1;
        self.gateway.snapshot(Arc::new(demanding(self.epoch, obligation)))
    }

    /// Puts the directive in force, and licenses for the lab's own staff: each with its id and its cap for a month.
    pub(crate) fn capped(&mut self, licenses: &[(&str, Option<u64>)]) -> gateway::Effect {
        self.epoch += 1;
        self.gateway.snapshot(Arc::new(capped(self.epoch, licenses)))
    }

    pub(crate) fn enforce(&mut self, directives: Vec<Directive>, licenses: Vec<License>) -> gateway::Effect {
        self.epoch += 1;
        self.gateway.snapshot(Arc::new(snapshot(self.epoch, directives, licenses)))
    }

    pub(crate) fn post(&self, key: &str, path: &str, body: &Value) -> Answer {
        self.post_with(key, path, &[], &serde_json::to_vec(body).unwrap())
    }

    pub(crate) fn post_with(&self, key: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let bearer = format!("Bearer {key}");
        let mut headers = vec![("authorization", bearer.as_str()), ("content-type", "application/json")];
        headers.extend_from_slice(more);
        http::send(self.gateway.addresses()[0], "POST", path, &headers, body).unwrap()
    }

    pub(crate) fn get(&self, key: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {key}");
        http::send(self.gateway.addresses()[0], "GET", path, &[("authorization", &bearer)], b"").unwrap()
    }

    /// Opens a stream that would go on for a minute, and reads its first event.
    pub(crate) fn stream(&self, key: &str, model: &str) -> Answer {
        let mut answer = self.post_with(key, CHAT, &[("x-fake", "slow-1200-50")], &body(&chat(model, true)));
        assert_eq!(answer.head.status, 200);
        answer.next_piece().unwrap().unwrap();
        answer
    }

    /// Returns every entry in the log, once all that was submitted is durable.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.log().into_iter().map(|(entry, _)| entry).collect()
    }

    /// Returns every entry in the log with its private part, once all that was submitted is durable.
    pub(crate) fn log(&self) -> Vec<(Entry, Vec<u8>)> {
        let main = |stored: &Stored| stored.main().unwrap_or_default().to_vec();
        self.stored().into_iter().map(|(entry, stored)| (entry, main(&stored))).collect()
    }

    /// Returns every entry in the log as it is kept, once all that was submitted is durable.
    pub(crate) fn stored(&self) -> Vec<(Entry, Stored)> {
        self.settle();
        let reader = Reader::open(&self.dir.path().join("ledger")).unwrap();
        let stored = reader.entries(0).unwrap().map(|stored| stored.unwrap());
        stored.map(|stored| (Entry::decode(&stored.leaf).unwrap(), stored)).collect()
    }

    /// Puts a snapshot in force as the control plane does: it is on record first.
    pub(crate) fn enact(&self, snapshot: &Arc<Snapshot>) -> gateway::Effect {
        self.put_on_record(snapshot);
        self.gateway.snapshot(Arc::clone(snapshot))
    }

    /// Puts a snapshot on record, and not in force yet.
    pub(crate) fn put_on_record(&self, snapshot: &Snapshot) {
        let mut entry = Entry::new(Kind::Snapshot);
        entry.code = Some("directive.apply".to_owned());
        entry.snapshot = Some(*snapshot.digest());
        let _ = self.ledger.append(Draft::new(entry, snapshot.canonical())).unwrap().wait().unwrap();
    }

    /// Puts on record what is in force from the start, for a log that is audited; before any call.
    pub(crate) fn recorded(self) -> Self {
        self.put_on_record(&snapshot(1, Vec::new(), Vec::new()));
        self
    }

    /// Returns the folder of the world.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the model versions that it starts with.
    pub(crate) fn models() -> Vec<ModelVersion> {
        snapshot(1, Vec::new(), Vec::new()).document().models.clone()
    }

    /// Closes the log in good order, exports it, and lets the auditor's program decide every call again.
    pub(crate) fn audited(self) -> verifier::Report {
        self.settle();
        let Self { gateway, ledger, dir, .. } = self;
        drop(gateway);
        ledger.stop().unwrap();
        audit(&ledger, dir.path())
    }

    /// Waits until no call is live and nothing waits for the disk.
    pub(crate) fn settle(&self) {
        for _ in 0..500 {
            if self.gateway.live() == 0 && self.ledger.health().queued == 0 {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(self.gateway.live(), 0, "calls are still live");
    }

    /// Returns how the only call was closed.
    pub(crate) fn closed(&self) -> (Outcome, Option<String>) {
        let entries = self.entries();
        let close = entries.iter().rev().find(|entry| entry.kind == Kind::Close).expect("a closing entry");
        (close.outcome.unwrap(), close.code.clone())
    }
}

impl Base {
    fn new(start: Moment, issuing: Issuing) -> Self {
        let (clock, disk) = (Arc::new(ManualClock::at(start)), TestDisk::default());
        let (dir, upstream) = (tempfile::tempdir().unwrap(), FakeUpstream::start().unwrap());
        let (directory, storage) = (Arc::new(Directory::default()), Arc::new(disk.clone()));
        directory.apply(Change::Organization(Arc::new(lab())));
        Self { dir, disk, storage, upstream, clock, directory, issuing }
    }
}

/// Returns how the log is kept.
pub(crate) fn options() -> Options {
    Options {
        origin: "log.example.com/test".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 10_000,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    }
}

/// Exports a log that was stopped into a folder in `dir`, and lets the auditor's program decide every call again.
pub(crate) fn audit(ledger: &Ledger, dir: &Path) -> verifier::Report {
    let (reader, bundle) = (ledger.reader(), dir.join("bundle"));
    let (checkpoint, key) = (reader.checkpoint().unwrap().unwrap(), reader.verifier_key().unwrap());
    std::fs::create_dir(&bundle).unwrap();
    let source = BundleSource { origin: "log.example.com/test", key: &key, checkpoint: &checkpoint };
    let bundled = |stored: Result<Stored, LookupError>| {
        let stored = stored.map_err(std::io::Error::other)?;
        let fields = stored.private.openings().cloned().unwrap_or_default();
        Ok(BundleEntry { index: stored.index, leaf: stored.leaf, fields })
    };
    write_bundle(&bundle, &source, reader.entries(0).unwrap().map(bundled)).unwrap();
    let options = verifier::Options { key: Some(key.parse().unwrap()), ..verifier::Options::default() };
    verify_bundle(&bundle, &options, &mut ()).unwrap()
}

/// Returns a client that reaches servers of tests and nobody else.
pub(crate) fn client() -> fetch::Client {
    let loopback = fetch::AddressRule::allowing(["127.0.0.1"]).unwrap();
    fetch::Client::new(fetch::Settings::new(fetch::Roots::native().unwrap(), loopback))
}

pub(crate) const CHAT: &str = "/v1/chat/completions";

pub(crate) fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
}

pub(crate) fn body(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).unwrap()
}

pub(crate) fn person(id: &str, us: bool) -> Person {
    let person = PersonId::parse(id).unwrap();
    let claim = if us { Claim::UsPerson { limb: UsPersonLimb::Citizen } } else { Claim::ForeignPerson };
    let location = Claim::Location { country: Country::US, method: LocationMethod::Declared };
    Person {
        id: person.clone(),
        display_name: id.to_owned(),
        screening: Screening::Cleared,
        active: true,
        attestations: vec![attestation(&person, "a1", claim), attestation(&person, "a2", location)],
        affiliations: vec![Affiliation {
            id: "f1".parse().unwrap(),
            person,
            organization: OrganizationId::parse("larkspur-labs").unwrap(),
            engagement: Engagement::Employee,
            issuer: "larkspur-hr".parse().unwrap(),
            evidence: "roster".to_owned(),
            attested_at: now(),
            ends_at: now().plus(Duration::from_secs(30 * 86_400)),
            channel: None,
        }],
        accounts: Vec::new(),
    }
}

fn attestation(person: &PersonId, id: &str, claim: Claim) -> Attestation {
    Attestation {
        id: id.parse().unwrap(),
        person: person.clone(),
        claim,
        issuer: "verity-idv".parse().unwrap(),
        evidence: "case 1".to_owned(),
        assurance: Assurance::Ial2,
        issued_at: now(),
        expires_at: now().plus(Duration::from_secs(30 * 86_400)),
        supersedes: None,
        channel: None,
        fresh_until: None,
        means: None,
    }
}

pub(crate) fn lab() -> Organization {
    Organization {
        id: OrganizationId::parse("larkspur-labs").unwrap(),
        legal_name: "Larkspur Labs, Inc.".to_owned(),
        country: Country::US,
        kind: OrganizationKind::Us,
        screening: Screening::Cleared,
        coverage: Coverage::None,
        resells: false,
        headquarters: None,
        ties: Vec::new(),
    }
}

pub(crate) fn served(model: &str, url: &str) -> UpstreamSettings {
    let endpoint =
        EndpointSettings { dialects: vec![Dialect::Openai, Dialect::Anthropic], ..EndpointSettings::new(url) };
    UpstreamSettings::new(ModelVersionId::parse(model).unwrap(), vec![endpoint])
}

fn snapshot(epoch: u64, directives: Vec<Directive>, licenses: Vec<License>) -> Snapshot {
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
        lab: Some(OrganizationId::parse("larkspur-labs").unwrap()),
        country_groups: CountryGroups::bundled(),
        regimes: Vec::new(),
        models: vec![
            model("ember-2", Control::Published, Clearance::Open),
            model("mythos-5", Control::Subject, Clearance::Attested),
        ],
        aliases: vec![Alias {
            name: AliasName::parse("assistant").unwrap(),
            versions: ["mythos-5", "ember-2"].map(|id| ModelVersionId::parse(id).unwrap()).to_vec(),
        }],
        directives,
        licenses,
    })
    .unwrap()
}

/// Returns the directive with licenses for the lab's own staff: each with its id and its cap for a month.
pub(crate) fn capped(epoch: u64, licenses: &[(&str, Option<u64>)]) -> Snapshot {
    let license = |(id, cap): &(&str, Option<u64>)| {
        let mut json: Value = serde_json::from_str(ANNEX_A).unwrap();
        json["id"] = json!(id);
        let caps: Vec<Value> = cap.iter().map(|cap| json!({ "tokens": cap, "per": "month" })).collect();
        json["conditions"] = json!({ "token_caps": caps });
        License::parse(json.to_string().as_bytes()).unwrap()
    };
    snapshot(epoch, vec![directive()], licenses.iter().map(license).collect())
}

/// Returns the directive with an obligation for whatever it permits.
pub(crate) fn demanding(epoch: u64, obligation: &str) -> Snapshot {
    let mut json: Value = serde_json::from_str(JUNE_12).unwrap();
    json["obligations"] = json!([obligation]);
    snapshot(epoch, vec![Directive::parse(json.to_string().as_bytes()).unwrap()], Vec::new())
}

const JUNE_12: &str = include_str!("../../../../examples/june-12.directive.json");
const ANNEX_A: &str = include_str!("../../../../examples/annex-a.license.json");

fn directive() -> Directive {
    Directive::parse(JUNE_12.as_bytes()).unwrap()
}

fn license() -> License {
    License::parse(ANNEX_A.as_bytes()).unwrap()
}
