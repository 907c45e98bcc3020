//! Employers, identity providers and workloads, against the real binary: what they say ends live streams, on record.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot set up its world fails")]

use std::{thread, thread::JoinHandle, time::SystemTime};

use jose::{Alg, Jwks, Object, SigningKey};
use proof::entry::Outcome;
use serde_json::{Value, json};
use testkit::{
    http::{self, Answer},
    server::Server,
};

use crate::{
    client::{Ask, Heard, hear},
    world::World,
};

pub(crate) const STREAM: Ask = Ask { anthropic: false, model: "mythos-5", stream: true, pieces: 2_000, gap_ms: 10 };

/// A server that listens to sources, and an identity provider of the laboratory.
pub(crate) struct Town {
    pub(crate) world: World,
    pub(crate) server: Server,
    idp: SigningKey,
}

const ISSUER: &str = "https://idp.larkspur.example";
const AUDIENCE: &str = "https://gateway.larkspur.example";

impl Town {
    pub(crate) fn new() -> Self {
        let mut world = World::new();
        world.setup = world.setup.clone().with_identity().unwrap();
        let server = world.setup.start().unwrap();
        server.lab().unwrap();
        Self { world, server, idp: SigningKey::generate(Alg::Es256).unwrap() }
    }

    /// Sets a source as an administrator does; returns the secret that is shown once, if any.
    fn set(&self, kind: &str, setting: &Value) -> Option<String> {
        let placed = self.server.admin("POST", &format!("/admin/v1/sources/{kind}"), setting).unwrap();
        placed["secret"].as_str().map(str::to_owned)
    }

    /// Sends a request to the identity listener.
    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
        let headers = [headers, &[("connection", "close")]].concat();
        told(http::send(self.world.setup.identity.unwrap(), method, path, &headers, body.as_bytes()).unwrap())
    }

    fn scim(&self, token: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/scim+json")];
        self.ask(method, &format!("/scim/v2/larkspur-hr/{path}"), &headers, &body.to_string())
    }

    /// Signs with the identity provider's key.
    fn sign(&self, typ: &str, claims: &Value) -> String {
        self.idp.sign(typ, &Object::new(), claims).unwrap()
    }

    fn keys(&self) -> Value {
        json!({ "given": Jwks::from_iter([self.idp.public().clone()]).to_value() })
    }

    /// Trusts the identity provider's tokens, and links its subject `sub-ada` to a person with a key.
    pub(crate) fn with_ada(&self) -> String {
        let key = self.server.person("ada", true).unwrap();
        self.set("token_issuer", &self.issuer("people"));
        self.set("token_account", &json!({ "channel": "larkspur-idp", "subject": "sub-ada", "person": "ada" }));
        key
    }

    fn issuer(&self, speaks_of: &str) -> Value {
        json!({
            "channel": "larkspur-idp", "organization": "larkspur-labs", "issuer": ISSUER, "audiences": [AUDIENCE],
            "keys": self.keys(), "algorithms": ["ES256"], "speaks_of": speaks_of,
        })
    }

    /// Exchanges a token of the identity provider at the gateway.
    fn exchange(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let escaped = |text: &str| text.replace(':', "%3A").replace('/', "%2F");
        let pairs = form.iter().map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("connection", "close")];
        told(http::send(self.server.address, "POST", "/v1/oauth/token", &headers, body.as_bytes()).unwrap())
    }

    /// Opens a stream and hears it on a thread.
    fn stream(&self, credential: &str) -> JoinHandle<Heard> {
        let mut answer = STREAM.open(self.server.address, credential).unwrap();
        assert_eq!(answer.head.status, 200);
        assert!(answer.next_piece().unwrap().is_some(), "it has begun");
        thread::spawn(move || hear(answer))
    }

    pub(crate) fn status(&self, credential: &str) -> u16 {
        Ask { pieces: 1, gap_ms: 0, ..STREAM }.call(self.server.address, credential).unwrap().status
    }

    /// Ends the server and has an auditor look at the record, which must hold and have this many cuts.
    pub(crate) fn audit(self, cuts: usize) {
        assert!(self.server.terminate().unwrap().success());
        let record = self.world.record();
        assert_eq!(record.iter().filter(|held| held.entry.outcome == Some(Outcome::Cut)).count(), cuts);
        let report = self.world.verify();
        assert!(report.holds(), "{report}");
    }
}

fn told(answer: Answer) -> (u16, Value) {
    let status = answer.head.status;
    let text = answer.text().unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn now() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Asserts that a stream was cut with an error in its dialect.
fn cut(stream: JoinHandle<Heard>) {
    let heard = stream.join().unwrap();
    let text = String::from_utf8_lossy(&heard.body).into_owned();
    assert!(text.contains("\"error\"") && !text.contains("[DONE]"), "{text}");
}

pub(crate) fn identity_token(town: &Town, sub: &str, sid: &str) -> String {
    let claims = json!({
        "iss": ISSUER, "sub": sub, "aud": AUDIENCE, "iat": now(), "exp": now() + 300, "auth_time": now(), "sid": sid,
        "jti": format!("{sub}-{sid}"),
    });
    town.sign("JWT", &claims)
}

#[test]
fn an_employer_who_deactivates_somebody_ends_their_stream_before_it_is_answered() {
    let town = Town::new();
    let tenant = json!({ "channel": "larkspur-hr", "organization": "larkspur-labs" });
    let token = town.set("scim_tenant", &tenant).unwrap();
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada@larkspur.example",
        "externalId": "e-1", "active": true, "displayName": "Ada",
    });
    let (status, user) = town.scim(&token, "POST", "Users", &user);
    assert_eq!(status, 201, "{user}");
    let people = town.server.admin("GET", "/admin/v1/people", &Value::Null).unwrap();
    let person = people["items"][0]["id"].as_str().unwrap().to_owned();
    town.server.clear(&person).unwrap();
    let key = town.server.attested(&person, true).unwrap();
    let stream = town.stream(&key);
    let off = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{ "op": "Replace", "path": "active", "value": "False" }],
    });
    let path = format!("Users/{}", user["id"].as_str().unwrap());
    let (status, patched) = town.scim(&token, "PATCH", &path, &off);
    assert_eq!((status, &patched["active"]), (200, &json!(false)), "{patched}");
    cut(stream);
    assert_eq!(town.status(&key), 401);
    let on = off.to_string().replace("False", "True");
    let (status, _) = town.scim(&token, "PATCH", &path, &serde_json::from_str(&on).unwrap());
    assert_eq!((status, town.status(&key)), (200, 200));
    town.audit(1);
}

#[test]
fn a_security_event_ends_the_stream_before_it_is_acknowledged_and_once() {
    let town = Town::new();
    let key = town.with_ada();
    town.set(
        "ssf_transmitter",
        &json!({
            "channel": "larkspur-ssf", "organization": "larkspur-labs", "issuer": ISSUER,
            "audience": "https://id.larkspur.example", "keys": town.keys(), "delivery": { "method": "push" },
            "verify_every_s": 0, "grace_s": 0,
        }),
    );
    let stream = town.stream(&key);
    let event = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";
    let claims = json!({
        "iss": ISSUER, "aud": "https://id.larkspur.example", "iat": now(), "jti": "set-1", "txn": "t-1",
        "sub_id": { "format": "iss_sub", "iss": ISSUER, "sub": "sub-ada" },
        "events": { event: { "reason": "hijacking" } },
    });
    let set = town.sign("secevent+jwt", &claims);
    let headers = [("content-type", "application/secevent+jwt"), ("accept", "application/json")];
    for _ in 0..2 {
        let (status, body) = town.ask("POST", "/ssf/push/larkspur-ssf", &headers, &set);
        assert_eq!(status, 202, "{body}");
        assert_ne!(town.status(&key), 200);
    }
    cut(stream);
    town.audit(1);
}

#[test]
fn a_token_of_the_identity_provider_becomes_ours_and_ends_with_its_session() {
    let town = Town::new();
    town.with_ada();
    let theirs = identity_token(&town, "sub-ada", "s-1");
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token", theirs.as_str()),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    ];
    let (status, issued) = town.exchange(&form);
    assert_eq!(status, 200, "{issued}");
    let token = issued["access_token"].as_str().unwrap();
    let stream = town.stream(token);
    let (status, _) =
        town.exchange(&form.map(|(name, value)| if name == "subject_token" { (name, token) } else { (name, value) }));
    assert_ne!(status, 200, "a token of ours is no token of the identity provider");
    town.set(
        "ssf_transmitter",
        &json!({
            "channel": "larkspur-ssf", "organization": "larkspur-labs", "issuer": ISSUER,
            "audience": "https://id.larkspur.example", "keys": town.keys(), "delivery": { "method": "push" },
            "verify_every_s": 0, "grace_s": 0,
        }),
    );
    let set = town.sign(
        "secevent+jwt",
        &json!({
            "iss": ISSUER, "aud": "https://id.larkspur.example", "iat": now(), "jti": "set-2",
            "sub_id": { "format": "iss_sub", "iss": ISSUER, "sub": "sub-ada" },
            "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {} },
        }),
    );
    let headers = [("content-type", "application/secevent+jwt")];
    assert_eq!(town.ask("POST", "/ssf/push/larkspur-ssf", &headers, &set).0, 202);
    cut(stream);
    assert_ne!(town.status(token), 200);
    town.audit(1);
}

#[test]
fn a_platforms_token_becomes_a_workload_by_a_rule_and_nothing_without_one() {
    let town = Town::new();
    town.server.person("ada", true).unwrap();
    let workload = json!({
        "id": "summarizer", "purpose": "summaries", "organization": "larkspur-labs", "owners": ["ada"],
        "recipients": ["ada"],
    });
    town.server.admin("POST", "/admin/v1/workloads", &workload).unwrap();
    town.set("token_issuer", &town.issuer("workloads"));
    let theirs = identity_token(&town, "system:serviceaccount:batch:summarizer", "pod-1");
    let form = |rule| {
        [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", theirs.as_str()),
            ("federation_rule_id", rule),
        ]
    };
    assert_eq!(town.exchange(&form("fdrl-batch")).0, 400);
    town.set(
        "token_rule",
        &json!({
            "id": "fdrl-batch", "issuer": "larkspur-idp", "audience": AUDIENCE, "workload": "summarizer",
            "claims": { "sub": "system:serviceaccount:batch:*" }, "organization": "larkspur-labs", "lifetime_s": 300,
        }),
    );
    let (status, issued) = town.exchange(&form("fdrl-batch"));
    assert_eq!(status, 200, "{issued}");
    let token = issued["access_token"].as_str().unwrap().to_owned();
    let stream = town.stream(&token);
    town.server.admin("PATCH", "/admin/v1/people/ada", &json!({ "active": false })).unwrap();
    cut(stream);
    assert_ne!(town.status(&token), 200);
    town.audit(1);
}

#[test]
fn settings_are_listed_without_secrets_removed_and_kept_over_a_restart() {
    let town = Town::new();
    town.with_ada();
    let secret =
        town.set("scim_tenant", &json!({ "channel": "larkspur-hr", "organization": "larkspur-labs" })).unwrap();
    let Town { world, server, .. } = town;
    assert!(server.terminate().unwrap().success());
    let server = world.setup.start().unwrap();
    let kinds = server.admin("GET", "/admin/v1/sources", &Value::Null).unwrap();
    for kind in kinds["kinds"].as_array().unwrap() {
        let listed =
            server.admin("GET", &format!("/admin/v1/sources/{}", kind.as_str().unwrap()), &Value::Null).unwrap();
        assert!(listed["items"].is_array() && !listed.to_string().contains(&secret), "{listed}");
    }
    let tenants = server.admin("GET", "/admin/v1/sources/scim_tenant", &Value::Null).unwrap();
    assert_eq!(tenants["items"].as_array().map(Vec::len), Some(1), "{tenants}");
    server.admin("POST", "/admin/v1/sources/scim_tenant/larkspur-hr/remove", &json!({})).unwrap();
    let tenants = server.admin("GET", "/admin/v1/sources/scim_tenant", &Value::Null).unwrap();
    assert_eq!(tenants["items"], json!([]), "{tenants}");
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str()), ("connection", "close")];
    let at = world.setup.identity.unwrap();
    let answer = http::send(at, "GET", "/scim/v2/larkspur-hr/Users", &headers, b"").unwrap();
    assert_eq!(answer.head.status, 401);
}
