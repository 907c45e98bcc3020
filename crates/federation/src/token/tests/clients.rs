//! Clients: how they authenticate (RFC 6749 section 2.3, RFC 7523 section 2.2) and what they get (RFC 6749 section 4.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use jose::{Alg, Object, SigningKey};
use serde_json::{Value, json};
use terms::ClientId;

use super::{
    super::{Presenter, clients, remove_client},
    world::*,
};

const CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");
const ASSERTION: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

fn basic(id: &str, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

#[tokio::test]
async fn a_secret_in_the_header_or_in_the_form_gets_a_token_for_our_own_interfaces() {
    let sts = Sts::new();
    let secret = sts.client("siem", Some("larkspur"), &["ssf.read", "token.introspect"]);
    let header = basic("siem", &secret);
    let by_header = sts.ask_with(&[CREDENTIALS], &[("authorization", &header)], Presenter::default()).await;
    let by_form = sts.ask(&[CREDENTIALS, ("client_id", "siem"), ("client_secret", &secret)]).await;
    for reply in [by_header, by_form] {
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.body["expires_in"], 600);
        let claims = reply.claims();
        assert_eq!((&claims["sub"], &claims["aud"]), (&json!("client:siem"), &json!(ISSUER)));
        assert_eq!((&claims["org"], &claims["scope"]), (&json!("larkspur"), &json!("ssf.read token.introspect")));
    }
    let narrow = [CREDENTIALS, ("client_id", "siem"), ("client_secret", &secret), ("scope", "ssf.read")];
    assert_eq!(sts.ask(&narrow).await.claims()["scope"], "ssf.read");
    let wide = [CREDENTIALS, ("client_id", "siem"), ("client_secret", &secret), ("scope", "ssf.manage")];
    assert_eq!(sts.ask(&wide).await.error(), "invalid_scope");
}

#[tokio::test]
async fn a_client_that_does_not_prove_to_be_one_is_told_nothing_but_that() {
    let sts = Sts::new();
    let (secret, other) = (sts.client("siem", None, &[]), sts.client("other", None, &[]));
    let refusals = [
        sts.ask(&[CREDENTIALS]).await,
        sts.ask(&[CREDENTIALS, ("client_id", "siem")]).await,
        sts.ask(&[CREDENTIALS, ("client_id", "nobody")]).await,
        sts.ask(&[CREDENTIALS, ("client_secret", &secret)]).await,
        sts.ask(&[CREDENTIALS, ("client_id", "siem"), ("client_secret", &other)]).await,
        sts.ask(&[CREDENTIALS, ("client_id", "nobody"), ("client_secret", &secret)]).await,
        sts.ask(&[CREDENTIALS, ("client_id", "si em"), ("client_secret", &secret)]).await,
        sts.ask_with(&[CREDENTIALS], &[("authorization", "Basic ???")], Presenter::default()).await,
        sts.ask_with(&[CREDENTIALS], &[("authorization", &format!("Bearer {secret}"))], Presenter::default()).await,
    ];
    for (at, reply) in refusals.iter().enumerate() {
        assert_eq!((reply.status.as_u16(), reply.error()), (401, "invalid_client"), "{at}");
        assert!(reply.headers.contains_key("www-authenticate"));
        assert_eq!(reply.body["error_description"], refusals[0].body["error_description"]);
    }
    let header = basic("siem", &secret);
    let twice = [CREDENTIALS, ("client_id", "siem"), ("client_secret", &secret)];
    let twice = sts.ask_with(&twice, &[("authorization", &header)], Presenter::default()).await;
    assert_eq!(twice.error(), "invalid_request");
    let another = [CREDENTIALS, ("client_id", "other")];
    let another = sts.ask_with(&another, &[("authorization", &header)], Presenter::default()).await;
    assert_eq!(another.error(), "invalid_client");
}

#[tokio::test]
async fn whoever_is_not_registered_may_name_itself_and_a_registered_client_must_prove_it() {
    let sts = Sts::new();
    let secret = sts.client("portal", None, &[]);
    let unknown = sts.exchange_with(&sts.id_token(|_| {}), &[("client_id", "cli")]).await;
    assert_eq!(unknown.claims()["client_id"], "larkspur-idp:console");
    let claimed = sts.exchange_with(&sts.id_token(|_| {}), &[("client_id", "portal")]).await;
    assert_eq!(claimed.error(), "invalid_client");
    let proved = [("client_id", "portal"), ("client_secret", secret.as_str())];
    assert_eq!(sts.exchange_with(&sts.id_token(|_| {}), &proved).await.claims()["client_id"], "portal");
}

/// A client that signs its assertions.
struct Signer(SigningKey);

impl Signer {
    fn register(sts: &Sts) -> Self {
        let key = SigningKey::generate(Alg::Es256).unwrap();
        let new = json!({
            "id": "auditor", "scopes": ["token.introspect"], "lifetime_s": 60,
            "keys": { "keys": { "given": jwks_of(&key) }, "algorithms": ["ES256"] },
        });
        assert!(sts.service.register_client(&of(new)).unwrap().is_none());
        Self(key)
    }

    fn assertion(&self, sts: &Sts, typ: &str, change: impl FnOnce(&mut Value)) -> String {
        let now = seconds(sts.world.now());
        let mut claims = json!({
            "iss": "auditor", "sub": "auditor", "aud": ISSUER, "iat": now, "exp": now + 60, "jti": "c-1",
        });
        change(&mut claims);
        self.0.sign(typ, &Object::new(), &claims).unwrap()
    }
}

async fn with_assertion(sts: &Sts, assertion: &str) -> Reply {
    sts.ask(&[CREDENTIALS, ASSERTION, ("client_assertion", assertion)]).await
}

#[tokio::test]
async fn a_signed_assertion_is_taken_once_even_after_a_restart() {
    let sts = Sts::new();
    let signer = Signer::register(&sts);
    let first = signer.assertion(&sts, "JWT", |_| {});
    let reply = with_assertion(&sts, &first).await;
    assert_eq!(reply.claims()["sub"], "client:auditor");
    assert_eq!(with_assertion(&sts, &first).await.error(), "invalid_client");
    let sts = sts.reopened();
    assert_eq!(with_assertion(&sts, &first).await.error(), "invalid_grant");
    let typed = signer.assertion(&sts, "client-authentication+jwt", |c| {
        (c["jti"], c["aud"]) = (json!("c-2"), json!(format!("{ISSUER}/oauth/token")));
    });
    assert_eq!(with_assertion(&sts, &typed).await.status, 200);
}

#[tokio::test]
async fn a_signed_assertion_that_is_wrong_in_any_way_authenticates_nobody() {
    let sts = Sts::new();
    sts.client("siem", None, &[]);
    let signer = Signer::register(&sts);
    let now = seconds(sts.world.now());
    let wrong: Vec<(&str, Change)> = vec![
        ("another audience", Box::new(|c| c["aud"] = json!("https://other.example"))),
        ("our resource", Box::new(|c| c["aud"] = json!(RESOURCE))),
        ("expired", Box::new(move |c| c["exp"] = json!(now - 61))),
        ("good for too long", Box::new(move |c| c["exp"] = json!(now + 3_600))),
        ("no expiry", Box::new(|c| drop(c.as_object_mut().unwrap().remove("exp")))),
        ("from the future", Box::new(move |c| c["iat"] = json!(now + 61))),
        ("no name", Box::new(|c| drop(c.as_object_mut().unwrap().remove("jti")))),
        ("about another", Box::new(|c| c["sub"] = json!("siem"))),
        ("of another", Box::new(|c| (c["iss"], c["sub"]) = (json!("siem"), json!("siem")))),
        ("of nobody", Box::new(|c| (c["iss"], c["sub"]) = (json!("nobody"), json!("nobody")))),
    ];
    for (what, change) in wrong {
        let reply = with_assertion(&sts, &signer.assertion(&sts, "JWT", change)).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (401, "invalid_client"), "{what}: {}", reply.body);
    }
    let stranger = Signer(SigningKey::generate(Alg::Es256).unwrap());
    for assertion in [stranger.assertion(&sts, "JWT", |_| {}), signer.assertion(&sts, "at+jwt", |_| {})] {
        assert_eq!(with_assertion(&sts, &assertion).await.error(), "invalid_client");
    }
    let good = signer.assertion(&sts, "JWT", |_| {});
    assert_eq!(sts.ask(&[CREDENTIALS, ("client_assertion", &good)]).await.error(), "invalid_request");
    let named = [CREDENTIALS, ASSERTION, ("client_assertion", &good), ("client_id", "siem")];
    assert_eq!(sts.ask(&named).await.error(), "invalid_client");
}

#[tokio::test]
async fn clients_are_listed_and_one_that_is_removed_or_registered_anew_must_prove_itself_anew() {
    let sts = Sts::new();
    let old = sts.client("siem", Some("larkspur"), &["ssf.read"]);
    let listed = clients(&sts.federation()).unwrap();
    assert_eq!(listed.iter().map(|client| client.id.as_str()).collect::<Vec<_>>(), ["siem"]);
    let new = sts.client("siem", Some("larkspur"), &["ssf.read"]);
    let with = async |secret: &str| sts.ask(&[CREDENTIALS, ("client_id", "siem"), ("client_secret", secret)]).await;
    assert_eq!((with(&old).await.status.as_u16(), with(&new).await.status.as_u16()), (401, 200));
    let id = ClientId::parse("siem").unwrap();
    remove_client(&sts.federation(), &id).unwrap();
    assert_eq!(with(&new).await.status, 401);
    assert_eq!(clients(&sts.federation()).unwrap(), []);
    assert!(remove_client(&sts.federation(), &id).is_err());
}
