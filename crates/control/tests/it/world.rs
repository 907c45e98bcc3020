//! A control plane over a temporary folder, driven by hand.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use control::{Actor, Control, DeskPolicy, Effect, NewToken, OpenError, ProofPolicy, Publish, Role, Settings};
use http_body_util::BodyExt;
use identity::{Change, Pepper};
use ledger::Ledger;
use policy::Snapshot;
use proof::entry::{Entry, Kind};
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{Clearance, Clock, Control as Controlled, ManualClock, ModelFamily, ModelVersion, ModelVersionId, Moment};
use tower::ServiceExt;

use crate::conform;

/// How often a log signs a checkpoint, unless a test says otherwise.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(20);
pub(crate) const PEPPER: [u8; 32] = [9; 32];

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Counts what it is told and answers with those numbers, so that an answer shows whether it was told.
#[derive(Default)]
pub(crate) struct Told(Mutex<Vec<String>>);

impl Told {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn tell(&self, what: String) -> Effect {
        self.0.lock().unwrap().push(what);
        Effect { examined: 2, recalled: 1 }
    }
}

impl Publish for Told {
    fn live(&self) -> std::collections::BTreeMap<(terms::KeyId, ModelVersionId), u64> {
        std::collections::BTreeMap::new()
    }

    fn directory(&self, change: Change) -> Effect {
        self.tell(match change {
            Change::Person(person) => format!("person {}", person.id),
            Change::Organization(organization) => format!("organization {}", organization.id),
            Change::Workload(workload) => format!("workload {}", workload.id),
            Change::Key(key) => format!("key revoked={}", key.revoked_at.is_some()),
            Change::Channel(channel) => format!("channel {}", channel.id),
            Change::Session(end) => format!("session {:?}", end.session),
        })
    }

    fn snapshot(&self, snapshot: Arc<Snapshot>) -> Effect {
        self.tell(format!("snapshot {}", snapshot.epoch()))
    }
}

pub(crate) struct World {
    pub(crate) dir: Arc<TempDir>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ledger: Ledger,
    pub(crate) control: Control,
    pub(crate) root: String,
    desk: DeskPolicy,
    router: Router,
}

impl World {
    /// A world in which one officer acts alone.
    pub(crate) fn new() -> Self {
        Self::with_desk(DeskPolicy::SINGLE_PERSON)
    }

    pub(crate) fn with_desk(desk: DeskPolicy) -> Self {
        Self::signing_every(CHECKPOINT_EVERY, desk)
    }

    /// A world whose log signs a checkpoint so often.
    pub(crate) fn signing_every(every: Duration, desk: DeskPolicy) -> Self {
        crate::secrets::capture_logs();
        let clock = ManualClock::at(Moment::parse("2026-06-12T12:00:00Z").unwrap());
        Self::open(Arc::new(TempDir::new().unwrap()), Arc::new(clock), desk, every)
    }

    /// Opens what is in `dir`; a fresh folder gets its root token.
    fn open(dir: Arc<TempDir>, clock: Arc<ManualClock>, desk: DeskPolicy, every: Duration) -> Self {
        let (ledger, _) =
            Ledger::open(&dir.path().join("ledger"), options(every), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        let control = open_control(Settings { desk, ..settings(dir.path()) }, &ledger, &clock).unwrap();
        let root = control.bootstrap().unwrap();
        Self {
            router: control.router(),
            root: root.map_or_else(String::new, |token| token.reveal().to_owned()),
            dir,
            clock,
            ledger,
            control,
            desk,
        }
    }

    /// Lets time pass, and gets a token that is good by then.
    pub(crate) fn later(mut self, by: Duration) -> Self {
        self.clock.advance(by);
        self.root = self.token(Role::Root);
        self
    }

    /// Stops in good order and starts again.
    pub(crate) fn restart(self) -> Self {
        let between = |_: &Path| {};
        self.restart_after(between)
    }

    /// Stops in good order and starts again with another policy of the desk.
    pub(crate) fn restart_with(mut self, desk: DeskPolicy) -> Self {
        self.desk = desk;
        self.restart()
    }

    /// Stops, lets `between` change the folder, and starts again.
    pub(crate) fn restart_after(self, between: impl FnOnce(&Path)) -> Self {
        let (dir, clock, root, desk) = (self.dir, self.clock, self.root, self.desk);
        drop((self.router, self.control));
        self.ledger.stop().unwrap();
        drop(self.ledger);
        between(dir.path());
        let again = Self::open(dir, clock, desk, CHECKPOINT_EVERY);
        Self { root, ..again }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Sends JSON and holds the answer against the OpenAPI document.
    pub(crate) async fn call(&self, token: &str, line: &str, body: Value) -> Reply {
        let reply = self.send(request(token, line, body)).await;
        conform::check(&self.document().await, line, &reply);
        reply
    }

    /// Calls as root and requires success.
    pub(crate) async fn done(&self, line: &str, body: Value) -> Value {
        let reply = self.call(&self.root, line, body).await;
        assert!(reply.status.is_success(), "{line}: {reply:?}");
        reply.body
    }

    /// Calls as root and requires a refusal that names `field`.
    pub(crate) async fn refused(&self, line: &str, body: Value, field: &str) -> Reply {
        let reply = self.call(&self.root, line, body).await;
        assert!(reply.status.is_client_error(), "{line}: {reply:?}");
        let errors = reply.body["errors"].as_array().cloned().unwrap_or_default();
        let named = errors.iter().any(|error| error["field"] == field);
        assert!(named, "`{field}` is not named: {reply:?}");
        reply
    }

    pub(crate) async fn document(&self) -> Value {
        let reply = self.send(request("", "GET /admin/v1/openapi.json", Value::Null)).await;
        assert_eq!(reply.status, StatusCode::OK);
        reply.body
    }

    pub(crate) fn token(&self, role: Role) -> String {
        let actor = Actor::process("test", Role::Root);
        let new = NewToken { role, label: format!("the {role}"), not_after: None, person: None };
        let minted = self.control.admin(&actor).root().unwrap().mint_token(new);
        minted.unwrap().token.reveal().to_owned()
    }

    /// Returns every entry with its private part.
    pub(crate) fn entries(&self) -> Vec<(Entry, String)> {
        (0..self.ledger.health().durable)
            .map(|index| {
                let stored = self.ledger.stored(index).unwrap();
                let private = String::from_utf8_lossy(stored.main().unwrap_or_default()).into_owned();
                (Entry::decode(&stored.leaf).unwrap(), private)
            })
            .collect()
    }

    /// Returns the codes of entries of one kind.
    pub(crate) fn codes(&self, kind: Kind) -> Vec<String> {
        let entries = self.entries().into_iter();
        entries.filter(|(entry, _)| entry.kind == kind).filter_map(|(entry, _)| entry.code).collect()
    }

    pub(crate) fn attach(&self) -> Arc<Told> {
        let told = Arc::new(Told::default());
        self.control.attach(Arc::clone(&told) as Arc<dyn Publish>);
        told
    }

    /// Adds an organization and an active person with an affiliation.
    pub(crate) async fn populate(&self) {
        self.done("POST /admin/v1/organizations", larkspur()).await;
        let ada = json!({ "id": "ada", "display_name": "Ada", "screening": "cleared" });
        self.done("POST /admin/v1/people", ada).await;
        self.done("POST /admin/v1/affiliations", employment("aff-ada")).await;
    }

    /// Adds another organization, and a key of it that Ada holds; returns what is answered of the key.
    pub(crate) async fn elsewhere(&self) -> Value {
        let grid = json!({
            "id": "northgate-grid", "legal_name": "Northgate Grid, Inc.", "country": "US", "kind": "us",
            "coverage": "none",
        });
        self.done("POST /admin/v1/organizations", grid).await;
        let key = json!({ "holder": { "kind": "person", "person": "ada" }, "organization": "northgate-grid" });
        self.done("POST /admin/v1/keys", key).await
    }
}

pub(crate) fn try_open_control(dir: &Path, ledger: &Ledger, clock: &Arc<ManualClock>) -> Result<Control, OpenError> {
    open_control(settings(dir), ledger, clock)
}

fn open_control(settings: Settings, ledger: &Ledger, clock: &Arc<ManualClock>) -> Result<Control, OpenError> {
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Control::open(settings, ledger.clone(), clock, Pepper::new(PEPPER))
}

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings {
        data_dir: dir.join("registry"),
        lab: None,
        models: vec![model("mythos-5"), model("fable-5")],
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    }
}

pub(crate) fn model(id: &str) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::parse(id).unwrap(),
        family: ModelFamily::parse(id).unwrap(),
        control: Controlled::Subject,
        clearance: Clearance::Identified,
        certificate_required: false,
        derived_from: None,
    }
}

fn options(checkpoint_every: Duration) -> ledger::Options {
    ledger::Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 1024,
        checkpoint_every,
        heads_every: Duration::from_secs(3_600),
    }
}

/// Makes a request of a line such as `GET /path`.
pub(crate) fn request(token: &str, line: &str, body: Value) -> Request<Body> {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    if body.is_null() {
        return request.body(Body::empty()).unwrap();
    }
    request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
}

pub(crate) fn larkspur() -> Value {
    json!({
        "id": "larkspur-labs", "legal_name": "Larkspur Labs, Inc.", "country": "US", "kind": "us",
        "screening": "cleared", "coverage": "none",
    })
}

pub(crate) fn employment(id: &str) -> Value {
    json!({
        "id": id, "person": "ada", "organization": "larkspur-labs", "engagement": "employee",
        "issuer": "larkspur-hr", "evidence": "roster 2026-06, line 12",
        "attested_at": "2026-06-01T00:00:00Z", "ends_at": "2026-09-01T00:00:00Z",
    })
}

pub(crate) fn citizenship(id: &str) -> Value {
    json!({
        "id": id, "person": "ada", "claim": { "kind": "us_person", "limb": "citizen" },
        "issuer": "proofing-desk", "evidence": "case 4711", "assurance": "ial2",
        "issued_at": "2026-06-01T00:00:00Z", "expires_at": "2027-06-01T00:00:00Z",
    })
}
