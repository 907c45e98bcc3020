//! A control plane with two employers, each with a directory that provisions into it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use control::{Control, DeskPolicy, Federation, ProofPolicy, Review, Settings};
use federation::{ClaimKind, NewTenant, Scim, ScimSettings, TrustEntry, TrustList, Vault};
use http_body_util::BodyExt;
use identity::Pepper;
use ledger::Ledger;
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{
    AccountState, Assurance, ChannelId, Clock, IssuerId, ManualClock, Moment, OrganizationId, Person, PersonId,
    SubjectName,
};
use tower::ServiceExt;

pub(crate) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(crate) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(crate) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub(crate) const EXPORT: &str = "urn:exeat:scim:schemas:extension:exportcontrol:1.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The status, and the `scimType` of a refusal.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.body["scimType"].as_str().unwrap_or_default())
    }

    pub(crate) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) control: Control,
    pub(crate) federation: Federation,
    pub(crate) scim: Arc<Scim>,
    /// The tokens of the channels.
    tokens: BTreeMap<String, String>,
    root: String,
    _dir: TempDir,
}

impl World {
    /// Two employers, `acme` and `borealis`, with the channels `acme-hr` and `borealis-hr`; both are believed about their
    /// people, and neither need be heard of.
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T12:00:00Z").unwrap()));
        let as_clock = || Arc::clone(&clock) as Arc<dyn Clock>;
        let (ledger, _) = Ledger::open(&dir.path().join("ledger"), options(), as_clock()).unwrap();
        let control = Control::open(settings(&dir), ledger, as_clock(), Pepper::new([9; 32])).unwrap();
        let root = control.bootstrap().unwrap().unwrap().reveal().to_owned();
        let federation = control.federation();
        let vault = dir.path().join("vault");
        std::fs::create_dir(&vault).unwrap();
        let settings = ScimSettings {
            origin: "https://id.example.com".to_owned(),
            issuers: BTreeMap::new(),
            trust: Arc::new(TrustList::new(vec![trusted("acme-hr"), trusted("borealis-hr")]).unwrap()),
        };
        let scim = Arc::new(Scim::new(federation.clone(), Arc::new(Vault::open(&vault).unwrap()), settings));
        let mut world = Self { clock, control, federation, scim, tokens: BTreeMap::new(), root, _dir: dir };
        for organization in ["acme", "borealis"] {
            world.organization(organization).await;
            world.register(&tenant(organization));
        }
        world
    }

    pub(crate) async fn organization(&self, id: &str) {
        let new = json!({
            "id": id, "legal_name": id, "country": "US", "kind": "us", "screening": "cleared", "coverage": "none",
        });
        self.admin("POST /admin/v1/organizations", new).await;
    }

    pub(crate) fn register(&mut self, new: &NewTenant) {
        let token = self.scim.register(new).unwrap();
        self.tokens.insert(new.channel.to_string(), token.reveal().to_owned());
    }

    pub(crate) fn token(&self, channel: &str) -> &str {
        &self.tokens[channel]
    }

    /// Calls the admin API as root and requires success.
    pub(crate) async fn admin(&self, line: &str, body: Value) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.root));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
        let reply = answered(self.control.router().oneshot(request.unwrap()).await.unwrap()).await;
        assert!(reply.status.is_success(), "{line}: {reply:?}");
        reply.body
    }

    /// Calls a channel with its own token.
    pub(crate) async fn call(&self, channel: &str, line: &str, body: Value) -> Reply {
        self.call_with(channel, line, body, &[]).await
    }

    pub(crate) async fn call_with(&self, channel: &str, line: &str, body: Value, headers: &[(&str, &str)]) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(format!("/scim/v2/{channel}{path}"));
        let named = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        if !named("authorization") {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(channel)));
        }
        if !named("content-type") {
            request = request.header(header::CONTENT_TYPE, "application/scim+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        answered(Arc::clone(&self.scim).router().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, channel: &str, path: &str) -> Reply {
        self.call(channel, &format!("GET {path}"), Value::Null).await
    }

    /// Creates a user of `acme` and returns its id.
    pub(crate) async fn hire(&self, name: &str, more: Value) -> String {
        let reply = self.call("acme-hr", "POST /Users", user(name, more)).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.id()
    }

    /// Changes a user of `acme` in parts.
    pub(crate) async fn patch(&self, id: &str, operations: Value) -> Reply {
        self.call("acme-hr", &format!("PATCH /Users/{id}"), patch(operations)).await
    }

    /// Replaces what an employer says for export control, of a user of `acme`.
    pub(crate) async fn say(&self, id: &str, extension: Value) -> Reply {
        let operation = json!([{ "op": "replace", "path": EXPORT, "value": extension }]);
        let reply = self.patch(id, operation).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply
    }

    /// Returns whom a user of a channel is.
    pub(crate) fn person_of(&self, channel: &str, id: &str) -> Person {
        let (channel, subject) = (ChannelId::parse(channel).unwrap(), SubjectName::parse(id).unwrap());
        let found = self.federation.read(|view| match view.account(&channel, &subject)? {
            Some(person) => view.person(&person),
            None => Ok(None),
        });
        found.unwrap().unwrap_or_else(|| panic!("{channel} {id} is nobody"))
    }

    pub(crate) fn person(&self, id: &str) -> Person {
        self.person_of("acme-hr", id)
    }

    /// The state of the account of a user of `acme`, and whether the affiliation holds now.
    pub(crate) fn standing(&self, id: &str) -> (AccountState, bool) {
        let person = self.person(id);
        let account = person.accounts.iter().find(|account| account.subject.as_str() == id).unwrap();
        let holds = person.affiliations.iter().any(|held| held.ends_at > self.clock.now());
        (account.state, holds)
    }

    /// What is attested of a user of `acme`, in the words of the registry.
    pub(crate) fn attested(&self, id: &str) -> BTreeSet<String> {
        self.person(id).attestations.iter().map(|held| serde_json::to_string(&held.claim).unwrap()).collect()
    }

    pub(crate) fn reviews(&self) -> Vec<Review> {
        self.federation.read(|view| view.reviews("", 100)).unwrap()
    }

    /// Mints a key of a user of `acme` for the employer.
    pub(crate) async fn key(&self, person: &PersonId, organization: &str) -> String {
        let new = json!({ "holder": { "kind": "person", "person": person }, "organization": organization });
        self.admin("POST /admin/v1/keys", new).await["item"]["id"].as_str().unwrap().to_owned()
    }

    pub(crate) fn live_keys(&self, person: &PersonId) -> usize {
        let keys = self.federation.read(|view| view.keys_of(person)).unwrap();
        keys.iter().filter(|key| key.revoked_at.is_none()).count()
    }

    /// Lets time pass, and the server look after its tenants once.
    pub(crate) async fn later(&self, by: Duration) {
        self.clock.advance(by);
        Arc::clone(&self.scim).run(std::future::ready(())).await;
    }
}

/// The body of a user.
pub(crate) fn user(name: &str, more: Value) -> Value {
    let mut body = json!({ "schemas": [USER], "userName": name, "active": true });
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
    body
}

/// The body of a PATCH.
pub(crate) fn patch(operations: Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

/// An employer whose directory calls only when something changes.
pub(crate) fn tenant(organization: &str) -> NewTenant {
    NewTenant {
        channel: ChannelId::parse(&format!("{organization}-hr")).unwrap(),
        organization: OrganizationId::parse(organization).unwrap(),
        interval_s: 0,
        grace_s: 0,
        roster_within_s: None,
    }
}

fn trusted(issuer: &str) -> TrustEntry {
    TrustEntry {
        issuer: IssuerId::parse(issuer).unwrap(),
        claims: vec![ClaimKind::Standing, ClaimKind::Citizenship, ClaimKind::PermanentResidency],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::new(),
        good_for_days: None,
    }
}

async fn answered(response: axum::response::Response) -> Reply {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

fn settings(dir: &TempDir) -> Settings {
    Settings {
        data_dir: dir.path().join("registry"),
        lab: None,
        models: Vec::new(),
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    }
}

fn options() -> ledger::Options {
    ledger::Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 1024,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    }
}
