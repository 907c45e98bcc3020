//! A transmitter over a control plane with two employers, and receivers that listen to it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::{Control, DeskPolicy, FederatedChange, Federation, NewOrganization, ProofPolicy, Role, Settings, Source};
use federation::{Retry, SsfAccess, SsfClient, Transmitter, TransmitterParts, TransmitterSettings, Vault};
use fetch::{AddressRule, Client, Roots};
use http_body_util::BodyExt;
use identity::Pepper;
use jose::Jwks;
use ledger::Ledger;
use secevent::{Expected, SecurityEvent, stream::DefaultSubjects};
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{
    Account, AccountState, Channel, ChannelId, ChannelKind, ClientId, Clock, ManualClock, Moment, OrganizationId,
    PersonId, SubjectName,
};
use tower::ServiceExt;

pub(crate) const ISSUER: &str = "https://exeat.example";
pub(crate) const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) control: Control,
    pub(crate) ledger: Ledger,
    pub(crate) transmitter: Transmitter,
    pub(crate) dir: TempDir,
    running: tokio::task::JoinHandle<()>,
}

impl World {
    /// Two employers, `acme` and `borealis`; `ada@acme.example` and `bo@borealis.example` are theirs.
    pub(crate) async fn new() -> Self {
        Self::with(|settings| settings).await
    }

    pub(crate) async fn with(change: impl FnOnce(TransmitterSettings) -> TransmitterSettings) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T12:00:00Z").unwrap()));
        let (control, ledger) = control(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>);
        fill(&control);
        let settings = change(settings(ISSUER));
        let transmitter = transmitter(&control, dir.path(), settings);
        let running = tokio::spawn(transmitter.clone().run(std::future::pending()));
        Self { clock, control, ledger, transmitter, dir, running }
    }

    /// Stops the transmitter, forgets its queues if told to, and starts it again.
    pub(crate) async fn restart(&mut self, without_queues: bool) {
        self.running.abort();
        let _ = (&mut self.running).await;
        if without_queues {
            std::fs::remove_file(self.dir.path().join("transmitter/transmit.db")).unwrap();
            let _ = std::fs::remove_file(self.dir.path().join("transmitter/transmit.db-wal"));
        }
        self.transmitter = transmitter(&self.control, self.dir.path(), settings(ISSUER));
        self.running = tokio::spawn(self.transmitter.clone().run(std::future::pending()));
    }

    pub(crate) fn federation(&self) -> Federation {
        self.control.federation()
    }

    /// Registers a receiver of an organization, or of all; returns its secret.
    pub(crate) fn receiver(&self, id: &str, organization: Option<&str>, subjects: DefaultSubjects) -> String {
        let client = SsfClient {
            id: ClientId::parse(id).unwrap(),
            organization: organization.map(|id| OrganizationId::parse(id).unwrap()),
            audience: format!("https://{id}.example"),
            subjects,
            access: SsfAccess::Secret,
        };
        self.transmitter.register(&client).unwrap().unwrap().reveal().to_owned()
    }

    pub(crate) async fn call(&self, line: &str, secret: &str, body: Value) -> Reply {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(line, Some(secret), body).await
    }

    pub(crate) async fn raw(&self, line: &str, secret: Option<&str>, body: String) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        if let Some(secret) = secret {
            request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        }
        let response = self.transmitter.router().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
    }

    /// Makes a stream; returns its id.
    pub(crate) async fn stream(&self, secret: &str, body: Value) -> String {
        let reply = self.call("POST /ssf/stream", secret, body).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
        reply.body["stream_id"].as_str().unwrap().to_owned()
    }

    /// Polls without waiting and acknowledges nothing; returns what there is, in order.
    pub(crate) async fn offered(&self, secret: &str, stream: &str) -> Vec<(String, String)> {
        let reply = self.poll(secret, stream, json!({"returnImmediately": true})).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        let sets = reply.body["sets"].as_object().unwrap().iter();
        sets.map(|(jti, token)| (jti.clone(), token.as_str().unwrap().to_owned())).collect()
    }

    pub(crate) async fn poll(&self, secret: &str, stream: &str, body: Value) -> Reply {
        self.call(&format!("POST /ssf/poll/{stream}"), secret, body).await
    }

    /// Polls until so many events are there, then acknowledges them; returns them by type, each with its claims.
    pub(crate) async fn taken(&self, secret: &str, stream: &str, least: usize) -> Vec<(String, Value)> {
        let mut found = Vec::new();
        for _ in 0..500 {
            self.settle().await;
            let offered = self.offered(secret, stream).await;
            let jtis: Vec<_> = offered.iter().map(|(jti, _)| jti).collect();
            if !jtis.is_empty() {
                self.poll(secret, stream, json!({"ack": jtis, "maxEvents": 0})).await;
            }
            found.extend(offered.iter().map(|(_, token)| claims_of(token)));
            if found.len() >= least {
                break;
            }
        }
        let mut found: Vec<_> = found.into_iter().map(by_type).collect();
        found.sort_by(|(one, _), (two, _)| one.cmp(two));
        found
    }

    /// Waits until what was recorded by now is queued.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(60)).await;
    }

    pub(crate) fn change(&self, changes: Vec<FederatedChange>) {
        self.federation().commit(&Source::own("test.change"), |_| Ok(changes)).unwrap();
    }

    pub(crate) fn account(&self, person: &str, change: impl FnOnce(Account) -> Account) {
        let person = PersonId::parse(person).unwrap();
        let held = self.federation().read(|view| view.person(&person)).unwrap().unwrap().accounts.remove(0);
        self.clock.advance(Duration::from_millis(5));
        self.change(vec![FederatedChange::Account { person, account: change(held) }]);
    }

    /// Ends the sessions of a person.
    pub(crate) fn end_sessions(&self, person: &str) {
        let now = self.federation().now().plus(Duration::from_millis(5));
        self.account(person, |held| Account { sessions_end: Some(now), ..held });
    }

    /// Reads a token as its receiver does.
    pub(crate) async fn read(&self, token: &str, audience: &str) -> SecurityEvent {
        let reply = self.call("GET /ssf/jwks.json", "", Value::Null).await;
        let keys = Jwks::from_value(&reply.body).unwrap();
        let now = self.federation().now();
        let expected = Expected { issuer: ISSUER, audience, critical: &[], now, skew: jose::Skew::USUAL };
        SecurityEvent::open(token, &keys, &expected).unwrap()
    }
}

/// Reads the claims of a token without looking at its signature.
pub(crate) fn claims_of(token: &str) -> Value {
    let payload = jose::base64url::decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// Returns the last part of the type of an event with the claims of its token.
pub(crate) fn by_type(claims: Value) -> (String, Value) {
    let events = claims["events"].as_object().unwrap();
    assert_eq!(events.len(), 1, "{claims}");
    let uri = events.keys().next().unwrap().rsplit('/').next().unwrap().to_owned();
    (uri, claims)
}

pub(crate) fn settings(issuer: &str) -> TransmitterSettings {
    let retry =
        Retry { first: Duration::from_millis(50), most: Duration::from_millis(200), give_up: Duration::from_secs(60) };
    TransmitterSettings {
        min_verification_s: 2,
        heartbeat_s: None,
        inactivity_s: None,
        long_poll: Duration::from_secs(5),
        retry,
        ..TransmitterSettings::new(issuer)
    }
}

pub(crate) fn transmitter(control: &Control, dir: &Path, settings: TransmitterSettings) -> Transmitter {
    let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
    let vault = dir.join("vault");
    std::fs::create_dir_all(&vault).unwrap();
    let parts = TransmitterParts {
        federation: control.federation(),
        tokens: None,
        vault: Arc::new(Vault::open(&vault).unwrap()),
        client: Client::new(fetch::Settings::new(Roots::native().unwrap(), rule)),
        data_dir: dir.join("transmitter"),
        settings,
    };
    Transmitter::open(parts).unwrap()
}

pub(crate) fn control(dir: &Path, clock: Arc<dyn Clock>) -> (Control, Ledger) {
    let options = ledger::Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 1024,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    };
    let (ledger, _) = Ledger::open(&dir.join("ledger"), options, Arc::clone(&clock)).unwrap();
    let settings = Settings {
        data_dir: dir.join("registry"),
        lab: None,
        models: Vec::new(),
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    };
    let control = Control::open(settings, ledger.clone(), clock, Pepper::new([9; 32])).unwrap();
    (control, ledger)
}

/// Fills an empty registry.
pub(crate) fn fill(control: &Control) {
    let actor = control::Actor::process("test", Role::Root);
    let admin = control.admin(&actor);
    for (organization, person) in [("acme", "ada"), ("borealis", "bo")] {
        let new: NewOrganization = serde_json::from_value(json!({
            "id": organization, "legal_name": organization, "country": "US", "kind": "us", "screening": "cleared",
            "coverage": "none",
        }))
        .unwrap();
        admin.registrar().unwrap().add_organization(new).unwrap();
        let federation = control.federation();
        let person = PersonId::parse(person).unwrap();
        let channel = Channel {
            id: ChannelId::parse(&format!("{organization}-hr")).unwrap(),
            kind: ChannelKind::Scim,
            organization: Some(OrganizationId::parse(organization).unwrap()),
            issuer: None,
            heard_at: federation.now(),
            interval_s: 0,
            grace_s: 0,
            enabled: true,
        };
        let account = Account {
            channel: channel.id.clone(),
            subject: SubjectName::parse(&format!("{person}@{organization}.example")).unwrap(),
            organization: channel.organization.clone(),
            state: AccountState::Active,
            sessions_end: None,
        };
        let changes = [
            FederatedChange::Channel(channel),
            FederatedChange::NewPerson { person: person.clone(), display_name: "A".to_owned() },
            FederatedChange::Account { person, account },
        ];
        for change in changes {
            federation.commit(&Source::own("test.fill"), |_| Ok(vec![change])).unwrap();
        }
    }
}

/// A server that takes pushes.
#[derive(Clone)]
pub(crate) struct Sink {
    pub(crate) url: String,
    taken: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    answers: Arc<Mutex<Vec<Response>>>,
}

impl Sink {
    pub(crate) async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/events", listener.local_addr().unwrap());
        let sink = Self { url, taken: Arc::default(), answers: Arc::default() };
        let app = Router::new().fallback(push).with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        sink
    }

    /// Answers the next push with this; what follows with 202.
    pub(crate) fn answer(&self, answer: impl IntoResponse) {
        self.answers.lock().unwrap().push(answer.into_response());
    }

    /// Waits until so many pushes have come; returns all.
    pub(crate) async fn taken(&self, least: usize) -> Vec<(HeaderMap, String)> {
        for _ in 0..1_000 {
            if self.taken.lock().unwrap().len() >= least {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let taken = self.taken.lock().unwrap().clone();
        assert!(taken.len() >= least, "{} of {least} pushes came", taken.len());
        taken
    }

    pub(crate) fn delivery(&self) -> Value {
        json!({"method": "urn:ietf:rfc:8935", "endpoint_url": self.url})
    }
}

async fn push(State(sink): State<Sink>, headers: HeaderMap, body: String) -> Response {
    sink.taken.lock().unwrap().push((headers, body));
    let mut answers = sink.answers.lock().unwrap();
    if answers.is_empty() { StatusCode::ACCEPTED.into_response() } else { answers.remove(0) }
}
