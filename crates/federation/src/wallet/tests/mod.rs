//! A person, a wallet, an issuer with a status list, and what they do to each other.

mod clearing;
mod issuing;
mod pages;
mod presenting;
mod refusing;
mod watching;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode, header},
    routing::get,
};
use control::Federation;
use fetch::{AddressRule, Client, Roots};
use jose::{Alg, Jwks, Object, SigningKey, usage::AUTHZ_REQUEST};
use rcgen::{CertificateParams, KeyPair};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use terms::{Assurance, Attestation, ChannelId, IssuerId, Moment, PersonId};
use tower::ServiceExt as _;
use vc::{
    claim_path::ClaimPath,
    openid4vp::form,
    sd_jwt::{
        HashAlg, SdJwt,
        key_binding::{self, Expected},
    },
    sd_jwt_vc,
    status_list::{Bits, Status, StatusList, StatusListToken},
    trust::Trust,
};

use super::{
    ClientIdPrefix, CredentialIssuer, CredentialKeys, RequestCertificate, Wallet, WalletParts, WalletSettings,
    evidence::channel_of, lists::MEDIA_TYPE,
};
use crate::{
    attest::{ClaimKind, TrustEntry, TrustList},
    page::Pages,
    world::World,
};

const ORIGIN: &str = "https://exeat.example.com";
const CLIENT_ID: &str = "x509_san_dns:exeat.example.com";
const IDX: u32 = 7;

struct Scene {
    world: World,
    issuer: SigningKey,
    holder: SigningKey,
    verifier: Jwks,
    list_uri: String,
    published: Arc<Mutex<Option<String>>>,
    pages: Pages,
    wallet: Wallet,
    router: Router,
    dir: TempDir,
}

impl Scene {
    async fn new(encrypted: bool) -> Self {
        let scene = Self::empty(encrypted).await;
        scene.wallet.set_issuer(&trusted(&scene.issuer)).unwrap();
        scene
    }

    /// A scene in which no issuer is registered yet.
    async fn empty(encrypted: bool) -> Self {
        let (world, dir) = (World::new(), TempDir::new().unwrap());
        let [issuer, holder] = [(); 2].map(|()| SigningKey::generate(Alg::Es256).unwrap());
        let (list_uri, published) = publisher().await;
        let (certificate, verifier) = certificate(&dir);
        let pages = Pages::new(world.control.clone(), ORIGIN, Some("/wallet/present".to_owned()));
        let settings = WalletSettings {
            origin: ORIGIN.to_owned(),
            data_dir: dir.path().join("keys"),
            certificate: Some(certificate),
            encrypted,
        };
        let parts = WalletParts {
            control: world.control.clone(),
            trust: Arc::new(trust_list()),
            client: client(),
            pages: Some(pages.clone()),
        };
        let wallet = Wallet::open(parts, settings).unwrap();
        let router = wallet.router().merge(pages.router());
        let scene = Self { world, issuer, holder, verifier, list_uri, published, pages, wallet, router, dir };
        scene.publish(Status::Valid);
        scene
    }

    /// The secret of a new link for Ada.
    fn link(&self) -> String {
        self.link_of(&ada())
    }

    fn link_of(&self, person: &PersonId) -> String {
        let path = self.wallet.link(person).unwrap();
        path.strip_prefix("/wallet/link/").unwrap().to_owned()
    }

    fn federation(&self) -> Federation {
        self.world.federation()
    }

    fn advance(&self, seconds: u64) {
        self.world.clock.set(self.world.now().plus(Duration::from_secs(seconds)));
    }

    /// Publishes a list made now, in which the credential has this status.
    fn publish(&self, status: Status) {
        self.publish_of(status, self.world.now(), 100);
    }

    fn publish_of(&self, status: Status, issued_at: Moment, entries: usize) {
        let mut list = StatusList::new(Bits::Two, entries).unwrap();
        let _ = list.set(IDX as usize, status);
        let expires_at = Some(issued_at.plus(Duration::from_secs(86_400)));
        let ttl = Some(Duration::from_secs(60));
        let token = StatusListToken { uri: self.list_uri.clone(), issued_at, expires_at, ttl, list };
        *self.published.lock().unwrap() = Some(token.sign(&self.issuer, &Object::new()).unwrap());
    }

    fn unpublish(&self) {
        *self.published.lock().unwrap() = None;
    }

    fn channel(&self) -> ChannelId {
        channel_of(&issuer_id(), Some(&self.list_uri)).unwrap()
    }

    fn attestations(&self) -> Vec<Attestation> {
        let held = self.world.ada().attestations.into_iter();
        held.filter(|one| one.issuer == issuer_id()).collect()
    }

    fn at(&self, by: i64) -> i64 {
        self.world.now().as_millis() / 1000 + by
    }

    fn pid(&self) -> Map<String, Value> {
        let status = json!({"status_list": {"idx": IDX, "uri": self.list_uri}});
        json!({
            "iss": "https://pid.example", "vct": "urn:eudi:pid:1", "exp": self.at(7 * 86_400), "iat": self.at(-60),
            "cnf": {"jwk": self.holder.public().to_value()}, "status": status, "nationalities": ["US", "KR"],
        })
        .as_object()
        .unwrap()
        .clone()
    }

    fn issue(&self, claims: Map<String, Value>, path: Value) -> SdJwt {
        let path: ClaimPath = serde_json::from_value(path).unwrap();
        let mut salt = 0;
        let salts = || {
            salt += 1;
            [salt; 16]
        };
        sd_jwt_vc::issue(&self.issuer, &Object::new(), claims, &[path], salts).unwrap()
    }

    /// Answers a request with a credential, as a wallet does.
    fn response(&self, request: &Object, credential: SdJwt) -> String {
        let nonce = request["nonce"].as_str().unwrap();
        let expected = Expected { audience: CLIENT_ID, nonce };
        let now = self.world.now();
        let presented = key_binding::bind(credential, HashAlg::Sha256, &self.holder, &expected, now).unwrap();
        json!({"pid": [presented.to_string()]}).to_string()
    }

    async fn call(&self, method: &str, path: &str, media: &str, body: String) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, media);
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Begins a presentation for Ada by a link, and returns its id.
    async fn begin(&self) -> String {
        self.begin_for(&ada()).await
    }

    async fn begin_for(&self, person: &PersonId) -> String {
        let body = json!({ "link": self.link_of(person) }).to_string();
        let (status, body) = self.call("POST", "/wallet/presentations", "application/json", body).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        let begun: Value = serde_json::from_str(&body).unwrap();
        let id = begun["id"].as_str().unwrap().to_owned();
        let uri = form::encode(&[("request_uri", &format!("{ORIGIN}/wallet/requests/{id}"))]);
        assert!(begun["wallet_url"].as_str().unwrap().contains(&uri));
        id
    }

    async fn request(&self, id: &str) -> Object {
        let (status, token) = self.call("GET", &format!("/wallet/requests/{id}"), "text/plain", String::new()).await;
        assert_eq!(status, StatusCode::OK, "{token}");
        jose::verify(&token, &AUTHZ_REQUEST, &self.verifier).unwrap().payload
    }

    async fn post(&self, id: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let path = format!("/wallet/responses/{id}");
        self.call("POST", &path, "application/x-www-form-urlencoded", form::encode(fields)).await
    }

    /// Presents a credential for a new request.
    async fn present(&self, credential: SdJwt) -> (StatusCode, String) {
        self.present_as(&ada(), credential).await
    }

    async fn present_as(&self, person: &PersonId, credential: SdJwt) -> (StatusCode, String) {
        let id = self.begin_for(person).await;
        let request = self.request(&id).await;
        let token = self.response(&request, credential);
        self.post(&id, &[("vp_token", &token), ("state", request["state"].as_str().unwrap())]).await
    }

    async fn present_pid(&self) {
        let (status, body) = self.present(self.issue(self.pid(), json!(["nationalities"]))).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

fn ada() -> PersonId {
    PersonId::parse("ada").unwrap()
}

fn issuer_id() -> IssuerId {
    IssuerId::parse("pid-provider").unwrap()
}

fn trusted(issuer: &SigningKey) -> CredentialIssuer {
    CredentialIssuer {
        id: issuer_id(),
        iss: Some("https://pid.example".to_owned()),
        vct_values: vec!["urn:eudi:pid:1".to_owned()],
        keys: CredentialKeys::Given(json!({ "keys": [issuer.public().to_value()] })),
    }
}

fn client() -> Client {
    let rule = AddressRule::allowing(["127.0.0.1"]).unwrap();
    Client::new(fetch::Settings::new(Roots::native().unwrap(), rule))
}

/// Writes a certificate of our host and its key, and returns the key that verifies what it signs.
fn certificate(dir: &TempDir) -> (RequestCertificate, Jwks) {
    let pair = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["exeat.example.com".to_owned()]).unwrap();
    let (chain, key) = (dir.path().join("chain.pem"), dir.path().join("key.pem"));
    std::fs::write(&chain, params.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    let public = SigningKey::from_pkcs8(Alg::Es256, &pair.serialize_der()).unwrap().public().clone();
    let certificate = RequestCertificate { chain, key, client_id: ClientIdPrefix::X509SanDns };
    (certificate, Jwks::from_iter([public]))
}

fn trust_list() -> TrustList {
    let entry = TrustEntry {
        issuer: issuer_id(),
        claims: vec![ClaimKind::Citizenship],
        assurance: Assurance::Ial2,
        means: BTreeSet::new(),
        frameworks: BTreeSet::new(),
        good_for_days: None,
    };
    TrustList::new(vec![entry]).unwrap()
}

/// Serves what is published on the loopback interface, or 503.
async fn publisher() -> (String, Arc<Mutex<Option<String>>>) {
    let published = Arc::new(Mutex::new(None::<String>));
    let served = Arc::clone(&published);
    let serve = move || {
        let body = served.lock().unwrap().clone();
        async move { body.map(|body| ([(header::CONTENT_TYPE, MEDIA_TYPE)], body)).ok_or(StatusCode::SERVICE_UNAVAILABLE) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/status/1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/status/1", get(serve))).await.unwrap() });
    (uri, published)
}
