//! A control plane with two tenants, and transmitters that speak to it.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Request, StatusCode, header},
};
use control::{Control, DeskPolicy, FederatedChange, Federation, ProofPolicy, Settings, Source};
use federation::{KeyCache, KeySource, KeyTerms, Receive, Receiver, ReceiverParts, SsfReceiver, Vault, register};
use fetch::{AddressRule, Client, Roots};
use http_body_util::BodyExt;
use identity::Pepper;
use jose::{Alg, Jwks, Object, SigningKey};
use ledger::Ledger;
use serde_json::{Value, json};
use tempfile::TempDir;
use terms::{
    Account, AccountState, Assurance, Attestation, AttestationId, Channel, ChannelId, ChannelKind, Claim, Clock,
    IssuerId, ManualClock, Moment, OrganizationId, Person, PersonId, SubjectName,
};
use tower::ServiceExt;

pub(crate) const AUDIENCE: &str = "https://exeat.example/ssf";
pub(crate) const BASE_URL: &str = "https://exeat.example";

/// What was answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// The code of a refusal, or nothing.
    pub(crate) fn err(&self) -> Option<&str> {
        self.body["err"].as_str()
    }
}

/// An identity provider with one key.
pub(crate) struct Idp {
    pub(crate) issuer: String,
    pub(crate) key: SigningKey,
}

impl Idp {
    pub(crate) fn new(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), key: SigningKey::generate(Alg::Es256).unwrap() }
    }

    pub(crate) fn jwks(&self) -> Value {
        Jwks::from_iter([self.key.public().clone()]).to_value()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.key.sign("secevent+jwt", &Object::new(), claims).unwrap()
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) federation: Federation,
    pub(crate) receiver: Receiver,
    pub(crate) acme: Idp,
    pub(crate) borealis: Idp,
    pub(crate) vault: Arc<Vault>,
    control: Control,
    root: String,
    // Held so that the log stays open.
    _ledger: Ledger,
}

impl World {
    /// Two tenants, `acme` and `borealis`, each with an issuer of tokens (`*-oidc`), a transmitter (`*-ssf`) that pushes,
    /// and one person, `ada` and `bo`, who is known at both by their address.
    pub(crate) async fn new() -> Self {
        Self::with_requests(16).await
    }

    /// The same, where so many requests may be under way to one host.
    pub(crate) async fn with_requests(max_requests_to_host: usize) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(ManualClock::at(Moment::parse("2026-06-12T12:00:00Z").unwrap()));
        let as_clock = || Arc::clone(&clock) as Arc<dyn Clock>;
        let (ledger, _) = Ledger::open(&dir.path().join("ledger"), options(), as_clock()).unwrap();
        let control = Control::open(settings(dir.path()), ledger.clone(), as_clock(), Pepper::new([9; 32])).unwrap();
        let root = control.bootstrap().unwrap().unwrap().reveal().to_owned();
        let federation = control.federation();
        let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
        let outbound = fetch::Settings::new(Roots::native().unwrap(), rule);
        let client = Client::new(fetch::Settings { max_requests_to_host, ..outbound });
        std::fs::create_dir(dir.path().join("vault")).unwrap();
        let vault = Arc::new(Vault::open(&dir.path().join("vault")).unwrap());
        let parts = ReceiverParts {
            federation: federation.clone(),
            client: client.clone(),
            keys: KeyCache::new(client, as_clock(), KeyTerms::default()),
            vault: Arc::clone(&vault),
            secrets: dir.path().join("secrets"),
            base_url: BASE_URL.to_owned(),
        };
        std::fs::create_dir(dir.path().join("secrets")).unwrap();
        let world = Self {
            receiver: Receiver::new(parts),
            acme: Idp::new("https://idp.acme.example"),
            borealis: Idp::new("https://idp.borealis.example"),
            vault,
            dir,
            clock,
            federation,
            control,
            root,
            _ledger: ledger,
        };
        world.populate().await;
        world
    }

    async fn populate(&self) {
        for (organization, person, idp) in [("acme", "ada", &self.acme), ("borealis", "bo", &self.borealis)] {
            self.admin(
                "POST /admin/v1/organizations",
                json!({
                    "id": organization, "legal_name": organization, "country": "US", "kind": "us",
                    "screening": "cleared", "coverage": "none",
                }),
            )
            .await;
            self.channel(&format!("{organization}-oidc"), ChannelKind::Oidc, organization, Some(&idp.issuer));
            self.listen(&self.settings(organization, idp));
            self.person(person);
            let address = format!("{person}@{organization}.example");
            for channel in [format!("{organization}-oidc"), format!("{organization}-ssf")] {
                self.account(person, &channel, &address, Some(organization));
            }
        }
    }

    /// The settings of a tenant's transmitter.
    pub(crate) fn settings(&self, organization: &str, idp: &Idp) -> SsfReceiver {
        SsfReceiver {
            channel: id(&format!("{organization}-ssf")),
            organization: Some(OrganizationId::parse(organization).unwrap()),
            issuer: idp.issuer.clone(),
            audience: AUDIENCE.to_owned(),
            keys: KeySource::Given(idp.jwks()),
            delivery: Receive::Push { authorization: None },
            management: None,
            stream_id: Some(format!("{organization}-stream")),
            tenant: Some(organization.to_owned()),
            verify_every_s: 60,
            grace_s: 60,
        }
    }

    pub(crate) fn listen(&self, settings: &SsfReceiver) {
        register(&self.federation, settings).unwrap();
    }

    /// Calls the admin API as root and requires success.
    pub(crate) async fn admin(&self, line: &str, body: Value) -> Value {
        let (method, path) = line.split_once(' ').unwrap();
        let request = Request::builder().method(method).uri(path);
        let request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.root));
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
        let reply = answer(self.control.router(), request.unwrap()).await;
        assert!(reply.status.is_success(), "{line}: {reply:?}");
        reply.body
    }

    /// Makes changes in the laboratory's own name.
    pub(crate) fn change(&self, changes: Vec<FederatedChange>) {
        self.federation.commit(&Source::own("test.change"), |_| Ok(changes)).unwrap();
    }

    pub(crate) fn channel(&self, name: &str, kind: ChannelKind, organization: &str, issuer: Option<&str>) {
        self.change(vec![FederatedChange::Channel(Channel {
            id: id(name),
            kind,
            organization: Some(OrganizationId::parse(organization).unwrap()),
            issuer: issuer.map(ToOwned::to_owned),
            heard_at: self.clock.now(),
            interval_s: 0,
            grace_s: 0,
            enabled: true,
        })]);
    }

    pub(crate) fn person(&self, name: &str) {
        let (person, display_name) = (PersonId::parse(name).unwrap(), name.to_owned());
        self.change(vec![FederatedChange::NewPerson { person, display_name }]);
    }

    pub(crate) fn account(&self, person: &str, channel: &str, subject: &str, organization: Option<&str>) {
        let account = Account {
            channel: id(channel),
            subject: SubjectName::parse(subject).unwrap(),
            organization: organization.map(|id| OrganizationId::parse(id).unwrap()),
            state: AccountState::Active,
            sessions_end: None,
        };
        self.change(vec![FederatedChange::Account { person: PersonId::parse(person).unwrap(), account }]);
    }

    /// Adds an attestation that came through `channel`.
    pub(crate) fn attest(&self, name: &str, person: &str, claim: Claim, assurance: Assurance, channel: Option<&str>) {
        self.change(vec![FederatedChange::Attestation(Attestation {
            id: AttestationId::parse(name).unwrap(),
            person: PersonId::parse(person).unwrap(),
            claim,
            issuer: IssuerId::parse(channel.unwrap_or("proofing-desk")).unwrap(),
            evidence: "case 4711".to_owned(),
            assurance,
            issued_at: self.clock.now(),
            expires_at: self.clock.now().plus(Duration::from_hours(24 * 90)),
            supersedes: None,
            means: None,
            fresh_until: None,
            channel: channel.map(id),
        })]);
    }

    /// Mints a key of a person for an organization and returns its id.
    pub(crate) async fn key(&self, person: &str, organization: &str) -> String {
        let new = json!({ "holder": { "kind": "person", "person": person }, "organization": organization });
        self.admin("POST /admin/v1/keys", new).await["item"]["id"].as_str().unwrap().to_owned()
    }

    /// A token about somebody of a tenant, with a name of its own.
    pub(crate) fn set(&self, idp: &Idp, jti: &str, sub_id: Value, event: &str, claims: Value) -> String {
        idp.sign(&self.claims(idp, jti, sub_id, event, claims))
    }

    pub(crate) fn claims(&self, idp: &Idp, jti: &str, sub_id: Value, event: &str, claims: Value) -> Value {
        json!({
            "iss": idp.issuer, "aud": AUDIENCE, "jti": jti, "iat": self.clock.now().as_millis() / 1_000,
            "sub_id": sub_id, "events": { event: claims },
        })
    }

    pub(crate) async fn push(&self, channel: &str, token: &str) -> Reply {
        self.push_with(channel, token, &[(header::CONTENT_TYPE.as_str(), "application/secevent+jwt")]).await
    }

    pub(crate) async fn push_with(&self, channel: &str, token: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::post(format!("/ssf/push/{channel}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.receive(request.body(Body::from(token.to_owned())).unwrap()).await
    }

    /// Asks the receiver's router.
    pub(crate) async fn receive(&self, request: Request<Body>) -> Reply {
        answer(self.receiver.router(), request).await
    }

    pub(crate) fn clock_now(&self) -> Moment {
        self.clock.now()
    }

    /// The time now, in seconds since 1970.
    pub(crate) fn clock_s(&self) -> i64 {
        self.clock.now().as_millis() / 1_000
    }

    /// Pushes a token of a tenant's own and requires that it is accepted.
    pub(crate) async fn signal(&self, idp: &Idp, sub_id: Value, event: &str, claims: Value) {
        let tenant = if std::ptr::eq(idp, &self.acme) { "acme-ssf" } else { "borealis-ssf" };
        let jti = format!("{event} {sub_id} {claims} {}", self.clock.now().as_millis());
        let jti = jti.chars().filter(char::is_ascii_graphic).rev().take(200).collect::<String>();
        let reply = self.push(tenant, &self.set(idp, &jti, sub_id, event, claims)).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED, "{reply:?}");
    }

    pub(crate) fn known(&self, person: &str) -> Person {
        let person = PersonId::parse(person).unwrap();
        self.federation.read(|view| view.person(&person)).unwrap().unwrap()
    }

    /// The states of a person's accounts, by channel.
    pub(crate) fn states(&self, person: &str) -> Vec<(String, AccountState)> {
        let accounts = self.known(person).accounts.into_iter();
        accounts.map(|account| (account.channel.to_string(), account.state)).collect()
    }

    pub(crate) fn attested(&self, person: &str) -> BTreeSet<String> {
        self.known(person).attestations.into_iter().map(|attestation| attestation.id.to_string()).collect()
    }

    pub(crate) fn reviews(&self) -> Vec<String> {
        let reviews = self.federation.read(|view| view.reviews("", 100)).unwrap();
        reviews.into_iter().map(|review| review.what).collect()
    }

    pub(crate) fn live_keys(&self, person: &str) -> Vec<String> {
        let person = PersonId::parse(person).unwrap();
        let keys = self.federation.read(|view| view.keys_of(&person)).unwrap().into_iter();
        keys.filter(|key| key.revoked_at.is_none()).map(|key| key.id.to_string()).collect()
    }

    pub(crate) fn channel_now(&self, name: &str) -> Channel {
        self.federation.read(|view| view.channel(&id(name))).unwrap().unwrap()
    }
}

pub(crate) fn id(channel: &str) -> ChannelId {
    ChannelId::parse(channel).unwrap()
}

pub(crate) fn email(address: &str) -> Value {
    json!({ "format": "email", "email": address })
}

pub(crate) const CAEP: &str = "https://schemas.openid.net/secevent/caep/event-type/";
pub(crate) const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
pub(crate) const SSF: &str = "https://schemas.openid.net/secevent/ssf/event-type/";

pub(crate) async fn answer(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&bytes).unwrap_or_default() }
}

pub(crate) fn settings(dir: &Path) -> Settings {
    Settings {
        data_dir: dir.join("registry"),
        lab: None,
        models: Vec::new(),
        aliases: Vec::new(),
        desk: DeskPolicy::SINGLE_PERSON,
        proofs: ProofPolicy::Off,
    }
}

pub(crate) fn options() -> ledger::Options {
    ledger::Options {
        origin: "log.example.com/exeat/1".to_owned(),
        segment_bytes: 1 << 20,
        queue_entries: 1024,
        checkpoint_every: Duration::from_millis(20),
        heads_every: Duration::from_secs(3_600),
    }
}
