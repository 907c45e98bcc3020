//! Tokens that the deployment issues itself, and the paths where it does.

use std::{
    io::{Read, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use gateway::{Answering, Aside, Client, OwnKeys, OwnTokens, Settings};
use http::{Request, Response};
use identity::Change;
use jose::{Alg, Jwks, SigningKey};
use proof::entry::Kind;
use serde_json::{Value, json};
use terms::Workload;
use testkit::http::{Answer, send};

use super::{
    Trusting, channel,
    issuer::{Issuer, RESOURCE, claims, generate},
    lab,
};
use crate::world::{Issuing, person};

/// Answers with what it was asked, and a nonce of its own.
#[derive(Debug)]
struct Echo;

impl Aside for Echo {
    fn answer(&self, request: Request<Bytes>, client: Client) -> Answering {
        Box::pin(async move {
            let path = request.uri().path();
            if path == "/oauth/revoke" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            let body = json!({
                "method": request.method().as_str(), "path": path, "body": String::from_utf8_lossy(request.body()),
                "address": client.address, "certificate": client.certificate,
            });
            let response = Response::builder().status(201).header("dpop-nonce", "of-the-token-endpoint");
            response.body(Bytes::from(body.to_string())).unwrap()
        })
    }
}

/// The keys that own tokens are signed with.
#[derive(Debug)]
pub(super) struct Keys {
    signing: Mutex<Arc<SigningKey>>,
    version: AtomicU64,
}

impl Keys {
    fn new() -> Self {
        Self { signing: Mutex::new(generate(Alg::EdDsa)), version: AtomicU64::default() }
    }

    fn signing(&self) -> Arc<SigningKey> {
        Arc::clone(&self.signing.lock().unwrap())
    }

    fn replace(&self) {
        *self.signing.lock().unwrap() = generate(Alg::EdDsa);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    /// Signs a token of the deployment's own that was exchanged for one of the issuer.
    pub(super) fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        self.signed("at+jwt", change)
    }

    /// Signs claims of such a token as another kind.
    fn signed(&self, typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let claims = claims(|c| {
            (c["iss"], c["sub"], c["org"]) = (json!(RESOURCE), json!("person:ada"), json!("larkspur-labs"));
            c["src"] = json!({ "channel": "idp", "sub": "ada@idp", "sid": "s-1" });
            c.as_object_mut().unwrap().remove("sid");
            change(c);
        });
        self.signing().sign(typ, &jose::Object::new(), &claims).unwrap()
    }
}

impl OwnKeys for Keys {
    fn now(&self) -> Jwks {
        [self.signing().public().clone()].into_iter().collect()
    }

    fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }
}

/// A gateway that also takes tokens which the deployment signs with these keys.
pub(super) struct Issues {
    pub(super) trusting: Trusting,
    pub(super) keys: Arc<Keys>,
}

impl Issues {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (issuer, keys) = (Issuer::start(), Arc::new(Keys::new()));
        let settings = issuer.settings();
        let own = OwnTokens { issuer: RESOURCE.to_owned(), keys: Arc::clone(&keys) as Arc<dyn OwnKeys> };
        let issuing = Issuing { own_tokens: Some(own), aside: Some(Arc::new(Echo)) };
        let set = |all: &mut Settings| {
            all.issuers = vec![settings];
            change(all);
        };
        Self { trusting: Trusting::issuing(issuer, set, issuing), keys }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        send(self.trusting.world.gateway.addresses()[0], method, path, headers, body).unwrap()
    }
}

#[test]
fn what_is_no_call_is_answered_by_whoever_issues_tokens_who_learns_from_whom_it_came() {
    let issues = Issues::new();
    for (method, path) in [
        ("POST", "/v1/oauth/token"),
        ("POST", "/oauth/token"),
        ("POST", "/oauth/introspect"),
        ("GET", "/oauth/jwks.json"),
        ("GET", "/.well-known/oauth-protected-resource"),
        ("GET", "/.well-known/oauth-authorization-server"),
    ] {
        let form = [("content-type", "application/x-www-form-urlencoded"), ("dpop", "proof")];
        let answer = issues.send(method, path, &form, b"a=b");
        assert_eq!(answer.head.status, 201, "{path}");
        let nonces = answer.head.headers.iter().filter(|(name, _)| name == "dpop-nonce");
        assert_eq!(nonces.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["of-the-token-endpoint"]);
        let told: Value = serde_json::from_str(&answer.text().unwrap()).unwrap();
        let address = IpAddr::from(Ipv4Addr::LOCALHOST);
        let expected =
            json!({ "method": method, "path": path, "body": "a=b", "address": address, "certificate": null });
        assert_eq!(told, expected);
    }
}

#[test]
fn such_requests_are_bounded_and_take_other_methods_nowhere() {
    let issues = Issues::new();
    assert_eq!(issues.send("GET", "/oauth/token", &[], b"").head.status, 405);
    assert_eq!(issues.send("POST", "/oauth/jwks.json", &[], b"").head.status, 405);
    assert_eq!(issues.send("POST", "/oauth/token", &[], &[b'x'; 65_537]).head.status, 413);
    let passed_on = [("client-cert", ":MAMBAgM=:")];
    assert_eq!(issues.send("POST", "/oauth/token", &passed_on, b"").head.status, 400);
    // Nobody waits for longer than ten seconds.
    assert_eq!(issues.send("POST", "/oauth/revoke", &[], b"").head.status, 503);
    let plain = Trusting::new();
    let answer = send(plain.world.gateway.addresses()[0], "POST", "/oauth/token", &[], b"").unwrap();
    assert_eq!(answer.head.status, 404);
}

#[test]
fn whoever_sends_a_body_slowly_keeps_nobody_else_from_an_answer() {
    let issues = Issues::new();
    let address = issues.trusting.world.gateway.addresses()[0];
    let begin = |_| {
        let mut stream = TcpStream::connect(address).unwrap();
        let head = b"POST /oauth/token HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
        stream.write_all(head).unwrap();
        let mut waits = [0; 12];
        stream.read_exact(&mut waits).unwrap();
        assert_eq!(&waits, b"HTTP/1.1 100", "it waits for the body");
        stream
    };
    let slow: Vec<TcpStream> = (0..64).map(begin).collect();
    assert_eq!(issues.send("POST", "/oauth/token", &[], b"a=b").head.status, 201);
    drop(slow);
}

#[test]
fn a_client_behind_a_trusted_proxy_is_known_by_the_address_that_the_proxy_passes_on() {
    let passed_on = [("x-forwarded-for", "198.51.100.1, 192.0.2.7")];
    let address = |issues: &Issues| {
        let told = issues.send("POST", "/oauth/token", &passed_on, b"").text().unwrap();
        serde_json::from_str::<Value>(&told).unwrap()["address"].clone()
    };
    assert_eq!(address(&Issues::new()), "127.0.0.1");
    let proxied = Issues::with(|settings| settings.trusted_proxies = vec![Ipv4Addr::LOCALHOST.into()]);
    assert_eq!(address(&proxied), "192.0.2.7");
}

#[test]
fn a_token_of_our_own_names_its_holder_and_stands_on_the_word_that_it_was_exchanged_for() {
    let issues = Issues::new();
    let token = issues.keys.token(|_| {});
    issues.trusting.bear(&token).served();
    for session in ["s-1", "t-1"] {
        let issues = Issues::new();
        let stream =
            issues.trusting.stream(&[("authorization", &format!("Bearer {token}", token = issues.keys.token(|_| {})))]);
        let end = identity::SessionEnd {
            channel: "idp".parse().unwrap(),
            session: session.parse().unwrap(),
            at: crate::world::now(),
        };
        let effect = issues.trusting.world.change(Change::Session(Arc::new(end)));
        assert_eq!((effect.examined, effect.recalled), (1, 1), "{session}");
        assert!(stream.text().unwrap().contains("credential_ended"));
    }
    let off = terms::Channel { enabled: false, ..channel("idp", 0) };
    issues.trusting.world.change(Change::Channel(Arc::new(off)));
    issues.trusting.bear(&token).refused("invalid_token");
}

#[test]
fn a_token_of_our_own_is_signed_with_a_key_of_now() {
    let issues = Issues::new();
    let before = issues.keys.token(|_| {});
    issues.trusting.bear(&before).served();
    issues.keys.replace();
    issues.trusting.bear(&before).refused("invalid_token");
    issues.trusting.bear(&issues.keys.token(|_| {})).served();
    // The issuer cannot make one, nor we one of the issuer's.
    let of_issuer = issues.trusting.issuer.token(|c| c["iss"] = json!(RESOURCE));
    issues.trusting.bear(&of_issuer).refused("invalid_token");
    let as_issuer = issues.keys.token(|c| c["iss"] = json!(super::ISSUER));
    issues.trusting.bear(&as_issuer).refused("invalid_token");
    for change in [
        (|c: &mut Value| drop(c.as_object_mut().unwrap().remove("src"))) as fn(&mut Value),
        |c| c["sub"] = json!("ada"),
        |c| c["aud"] = json!("https://other.example"),
        |c| c["org"] = json!("no such thing"),
    ] {
        issues.trusting.bear(&issues.keys.token(change)).refused("invalid_token");
    }
}

#[test]
fn a_program_with_a_token_of_its_platform_is_the_workload_that_it_was_exchanged_for() {
    let issues = Issues::new();
    let world = &issues.trusting.world;
    world.change(Change::Person(Arc::new(person("eve", true))));
    world.change(Change::Workload(Arc::new(Workload {
        id: "ci".parse().unwrap(),
        purpose: "builds".to_owned(),
        organization: lab(),
        owners: vec!["eve".parse().unwrap()],
        recipients: vec!["eve".parse().unwrap()],
        active: true,
    })));
    let token = issues.keys.token(|c| {
        c["sub"] = json!("workload:ci");
        c["src"] = json!({ "channel": "idp", "sub": "repo:larkspur/app" });
    });
    issues.trusting.bear(&token).served();
    let (_, facts) = world.log().into_iter().rev().find(|(entry, _)| entry.kind == Kind::Open).unwrap();
    let facts: Value = serde_json::from_slice(&facts).unwrap();
    assert!(facts["caller"].to_string().contains("\"ci\""), "{}", facts["caller"]);
}

#[test]
fn an_end_user_can_be_named_by_a_token_of_our_own_and_once_only() {
    let issues = Issues::new();
    let world = &issues.trusting.world;
    world.change(Change::Person(Arc::new(person("eve", true))));
    world.change(Change::Workload(Arc::new(Workload {
        id: "ci".parse().unwrap(),
        purpose: "answers questions".to_owned(),
        organization: lab(),
        owners: vec!["eve".parse().unwrap()],
        recipients: Vec::new(),
        active: true,
    })));
    let key = format!("Bearer {}", world.key(identity::Holder::Workload { workload: "ci".parse().unwrap() }));
    let named = |workload: &str| {
        issues.keys.signed("txntoken+jwt", |c| (c["req_wl"], c["jti"]) = (json!(workload), json!("a-1")))
    };
    let ask = |assertion: &str| issues.trusting.ask(&[("authorization", &key), ("txn-token", assertion)]);
    ask(&named("other")).refused("invalid_token");
    ask(&issues.keys.token(|c| c["req_wl"] = json!("ci"))).refused("invalid_token");
    ask(&named("ci")).served();
    ask(&named("ci")).refused("invalid_token");
}
