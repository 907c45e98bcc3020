//! What operators settle, what is published, and what requests may look like.

use std::time::Duration;

use axum::{Json, Router, routing::get};
use jose::{Alg, SigningKey};
use serde_json::{Value, json};
use terms::{AccountState, ChannelId, FederationRuleId};

use super::{
    super::{
        FederationRule, LinkedAccount, NewClient, OpenFault, Presenter, Settings, TokenService, TrustedIssuer, issuers,
        link_account, linked_accounts, register_issuer, register_rule, remove_issuer, remove_rule, rules,
        unlink_account,
    },
    world::*,
};

#[test]
fn the_service_does_not_start_with_settings_that_cannot_work() {
    let (world, keys) = (crate::world::World::new(), tempfile::tempdir().unwrap());
    let open = |change: fn(&mut Settings)| {
        let mut settings = Settings::new(ISSUER, RESOURCE, keys.path().to_owned());
        change(&mut settings);
        let clock = std::sync::Arc::clone(&world.clock) as std::sync::Arc<dyn terms::Clock>;
        TokenService::open(&world.control, clock, client(), settings).err()
    };
    for (setting, change) in [
        ("issuer", (|s| s.issuer = format!("{ISSUER}/")) as fn(&mut Settings)),
        ("issuer", |s| s.issuer = format!("{ISSUER}/tenant")),
        ("issuer", |s| s.issuer = "gateway.example.com".to_owned()),
        ("issuer", |s| s.issuer = "https://user@gateway.example.com".to_owned()),
        ("resource", |s| s.resource = String::new()),
        ("lifetime_s", |s| s.lifetime_s = 59),
        ("lifetime_s", |s| s.lifetime_s = 601),
    ] {
        let fault = open(change);
        assert!(matches!(fault, Some(OpenFault::Setting { setting: found, .. }) if found == setting), "{fault:?}");
    }
    assert!(open(|_| {}).is_none());
    std::fs::write(keys.path().join("token-clients.key"), b"short").unwrap();
    assert!(matches!(open(|_| {}), Some(OpenFault::ClientKey(..))));
}

#[tokio::test]
async fn an_issuer_whose_settings_cannot_work_is_not_registered() {
    let sts = Sts::new();
    let fault = |change: fn(&mut Value)| {
        let mut settings = serde_json::to_value(sts.provider()).unwrap();
        change(&mut settings);
        let settings: TrustedIssuer = of(settings);
        match register_issuer(&sts.federation(), &settings) {
            Err(control::Fault::Invalid(faults)) => faults[0].field.clone(),
            other => panic!("{other:?}"),
        }
    };
    for (field, change) in [
        ("issuer", (|s| s["issuer"] = json!("idp")) as fn(&mut Value)),
        ("audiences", |s| s["audiences"] = json!([])),
        ("audiences", |s| s["audiences"] = json!([""])),
        ("algorithms", |s| s["algorithms"] = json!([])),
        ("session_claim", |s| s["session_claim"] = json!("")),
        ("scopes", |s| s["scopes"] = json!(["a b"])),
        ("keys", |s| s["keys"] = json!({ "at": "keys" })),
        ("keys", |s| s["keys"] = json!({ "given": { "keys": [] } })),
        ("organization", |s| s["organization"] = json!("nobody")),
        ("organization", |s| s["organization"] = json!("umbra")),
        ("channel", |s| (s["channel"], s["issuer"]) = (json!("larkspur-hr"), json!("https://hr.example"))),
        ("issuer", |s| s["channel"] = json!("larkspur-idp-2")),
    ] {
        assert_eq!(fault(change), field);
    }
}

#[tokio::test]
async fn a_rule_that_could_not_be_meant_is_not_registered() {
    let sts = Sts::new();
    sts.workload("night", "umbra", &["ada"], &[]);
    let fault = |change: fn(&mut Value)| match sts.rule("api", change) {
        Err(control::Fault::Invalid(faults)) => faults[0].field.clone(),
        other => panic!("{other:?}"),
    };
    for (field, change) in [
        ("issuer", (|r| r["issuer"] = json!("nobody")) as fn(&mut Value)),
        ("issuer", |r| r["issuer"] = json!("larkspur-idp")),
        ("audience", |r| r["audience"] = json!("")),
        ("claims", |r| r["claims"] = json!({ "ref": "main" })),
        ("lifetime_s", |r| r["lifetime_s"] = json!(601)),
        ("scopes", |r| r["scopes"] = json!(["\""])),
        ("workload", |r| r["workload"] = json!("nobody")),
        ("workload", |r| r["workload"] = json!("night")),
        ("organization", |r| (r["organization"], r["workload"]) = (json!("umbra"), json!("night"))),
    ] {
        assert_eq!(fault(change), field);
    }
}

#[tokio::test]
async fn issuers_and_rules_are_listed_and_an_issuer_with_rules_stays() {
    let sts = Sts::new();
    let rule: FederationRule = sts.rule("api", |_| {}).unwrap();
    let listed = issuers(&sts.federation()).unwrap();
    assert_eq!(listed, [sts.provider(), sts.cluster()]);
    assert_eq!(rules(&sts.federation()).unwrap(), std::slice::from_ref(&rule));
    let cluster = ChannelId::parse("larkspur-k8s").unwrap();
    let kept = remove_issuer(&sts.federation(), &cluster).unwrap_err();
    assert!(kept.to_string().contains("`api`"), "{kept}");
    remove_rule(&sts.federation(), &rule.id).unwrap();
    remove_issuer(&sts.federation(), &cluster).unwrap();
    assert_eq!(issuers(&sts.federation()).unwrap(), [sts.provider()]);
    let channel = sts.federation().read(|view| view.channel(&cluster)).unwrap().unwrap();
    assert!(!channel.enabled);
    assert!(matches!(remove_issuer(&sts.federation(), &cluster), Err(control::Fault::NotFound { .. })));
    let no_rule = FederationRuleId::parse("api").unwrap();
    assert!(matches!(remove_rule(&sts.federation(), &no_rule), Err(control::Fault::NotFound { .. })));
    register_issuer(&sts.federation(), &sts.cluster()).unwrap();
    register_rule(&sts.federation(), &rule).unwrap();
    assert_eq!(sts.bearer(&sts.assertion(|_| {}), None).await.status, 200);
}

#[tokio::test]
async fn a_subject_is_linked_to_one_person_until_it_is_unlinked() {
    let sts = Sts::new();
    let link = |channel: &str, person: &str| {
        let link: LinkedAccount = of(json!({ "channel": channel, "subject": "u-9", "person": person }));
        link_account(&sts.federation(), &link).map(|()| link)
    };
    sts.person("ben", "u-2");
    let token = || sts.id_token(|c| c["sub"] = json!("u-9"));
    for (channel, person) in [("larkspur-k8s", "ben"), ("nobody", "ben"), ("larkspur-idp", "nobody")] {
        assert!(matches!(link(channel, person), Err(control::Fault::Invalid(_))), "{channel} {person}");
    }
    assert_eq!(sts.exchange(&token()).await.error(), "invalid_grant");
    let linked = link("larkspur-idp", "ben").unwrap();
    assert_eq!(sts.exchange(&token()).await.claims()["sub"], "person:ben");
    let is_listed = |state| {
        let listed = LinkedAccount { state: Some(state), ..linked.clone() };
        linked_accounts(&sts.federation()).unwrap().contains(&listed)
    };
    assert!(is_listed(AccountState::Active));
    assert!(link("larkspur-idp", "ada").is_err());
    unlink_account(&sts.federation(), &linked.channel, &linked.subject).unwrap();
    assert_eq!(sts.exchange(&token()).await.error(), "invalid_grant");
    assert!(!is_listed(AccountState::Active));
    let again = unlink_account(&sts.federation(), &linked.channel, &linked.subject);
    assert!(matches!(again, Err(control::Fault::NotFound { .. })));
}

#[tokio::test]
async fn neither_unlinking_nor_linking_anew_lifts_the_lock_of_an_account() {
    let sts = Sts::new();
    sts.person("ben", "u-2");
    let link = |state: Option<AccountState>| {
        let link = json!({ "channel": "larkspur-idp", "subject": "u-9", "person": "ben" });
        let link = LinkedAccount { state, ..of(link) };
        link_account(&sts.federation(), &link).map(|()| link)
    };
    let linked = link(None).unwrap();
    let unlink = || unlink_account(&sts.federation(), &linked.channel, &linked.subject);
    let token = || sts.id_token(|c| c["sub"] = json!("u-9"));
    let locked = async || assert_eq!(sts.exchange(&token()).await.error(), "invalid_grant");
    sts.account("ben", "larkspur-idp", "u-9", AccountState::Suspended, None);
    assert!(matches!(unlink(), Err(control::Fault::Conflict(_))));
    link(None).unwrap();
    locked().await;
    link(Some(AccountState::Active)).unwrap();
    assert_eq!(sts.exchange(&token()).await.claims()["sub"], "person:ben", "an operator restored it in so many words");
    link(Some(AccountState::Ended)).unwrap();
    link(None).unwrap();
    assert!(matches!(link(Some(AccountState::Active)), Err(control::Fault::Invalid(_))));
    assert!(matches!(unlink(), Err(control::Fault::Conflict(_))));
    locked().await;
}

#[test]
fn a_client_whose_settings_cannot_work_is_not_registered() {
    let sts = Sts::new();
    let given = json!({ "keys": { "given": jwks_of(&sts.idp) }, "algorithms": [] });
    for (field, new) in [
        ("scopes", json!({ "id": "a", "scopes": ["models"], "lifetime_s": 60 })),
        ("lifetime_s", json!({ "id": "a", "scopes": [], "lifetime_s": 3_601 })),
        ("organization", json!({ "id": "a", "scopes": [], "lifetime_s": 60, "organization": "nobody" })),
        ("keys", json!({ "id": "a", "scopes": [], "lifetime_s": 60, "keys": given })),
        (
            "keys",
            json!({ "id": "a", "scopes": [], "lifetime_s": 60, "keys": { "keys": "discovered", "algorithms": ["ES256"] } }),
        ),
    ] {
        let fault = sts.service.register_client(&of::<NewClient>(new));
        let Err(control::Fault::Invalid(faults)) = fault else { panic!("{fault:?}") };
        assert!(faults[0].field.starts_with(field), "{:?}", faults[0]);
    }
}

#[tokio::test]
async fn metadata_and_keys_say_where_and_how_and_verify_what_is_issued() {
    let sts = Sts::new();
    let metadata = sts.get("/.well-known/oauth-authorization-server").await.body;
    assert_eq!(metadata["issuer"], ISSUER);
    assert_eq!(metadata["token_endpoint"], format!("{ISSUER}/oauth/token"));
    let resource = sts.get("/.well-known/oauth-protected-resource").await.body;
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(RESOURCE), &json!([ISSUER])));
    let keys = jose::Jwks::from_value(&sts.get("/oauth/jwks.json").await.body).unwrap();
    let token = sts.exchange(&sts.id_token(|_| {})).await.token();
    assert!(jose::verify(&token, &jose::usage::AT_JWT, &keys).is_ok());
}

#[tokio::test]
async fn keys_rotate_and_a_token_signed_by_the_old_one_verifies_until_it_expires() {
    let sts = Sts::new();
    sts.world.clock.advance(Duration::from_hours(29 * 24));
    let kids = async || {
        let published = sts.get("/oauth/jwks.json").await.body["keys"].as_array().unwrap().clone();
        published.iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    let both = kids().await;
    assert_eq!(both.len(), 2);
    sts.world.clock.advance(Duration::from_hours(24) - Duration::from_secs(1));
    let kid = |token: &str| {
        let header = jose::base64url::decode(token.split('.').next().unwrap()).unwrap();
        serde_json::from_slice::<Value>(&header).unwrap()["kid"].clone()
    };
    let before = sts.exchange(&sts.id_token(|_| {})).await.token();
    assert_eq!(kid(&before), both[0]);
    sts.world.clock.advance(Duration::from_secs(1));
    let after = sts.exchange(&sts.id_token(|_| {})).await.token();
    assert_eq!(kid(&after), both[1]);
    assert!(jose::verify(&before, &jose::usage::AT_JWT, &sts.service.jwks()).is_ok());
    assert_eq!(sts.ask(&exchange_form(&before, ACCESS_TOKEN, &[])).await.status, 200);
    sts.world.clock.advance(Duration::from_hours(2));
    assert_eq!(kids().await, both[1..]);
}

#[tokio::test]
async fn the_keys_of_an_issuer_are_found_by_its_metadata_and_again_when_it_has_a_new_one() {
    let sts = Sts::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let published = std::sync::Arc::new(std::sync::Mutex::new(jwks_of(&sts.idp)));
    let (metadata, keys) = (json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks") }), published.clone());
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async || Json(metadata)))
        .route("/jwks", get(async move || Json(keys.lock().unwrap().clone())));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let settings =
        TrustedIssuer { issuer: issuer.clone(), keys: super::super::IssuerKeys::Discovered, ..sts.provider() };
    register_issuer(&sts.federation(), &settings).unwrap();
    assert_eq!(sts.exchange(&sts.id_token(|c| c["iss"] = json!(issuer))).await.status, 200);
    let next = SigningKey::generate(Alg::Es256).unwrap();
    *published.lock().unwrap() = jwks_of(&next);
    let claims = claims_of(&sts.id_token(|c| c["iss"] = json!(issuer)));
    let token = next.sign("JWT", &jose::Object::new(), &claims).unwrap();
    assert_eq!(sts.exchange(&token).await.error(), "invalid_grant");
    sts.world.clock.advance(Duration::from_secs(5));
    assert_eq!(sts.exchange(&token).await.status, 200);
}

#[tokio::test]
async fn an_issuer_that_cannot_be_reached_is_no_reason_to_say_that_a_token_is_wrong() {
    let sts = Sts::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for keys in [json!("discovered"), json!({ "at": format!("{issuer}/jwks") })] {
        let settings = TrustedIssuer { issuer: issuer.clone(), keys: of(keys), ..sts.provider() };
        register_issuer(&sts.federation(), &settings).unwrap();
        let reply = sts.exchange(&sts.id_token(|c| c["iss"] = json!(issuer))).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (503, "temporarily_unavailable"));
        assert!(reply.headers.contains_key("retry-after"));
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_or_of_another_kind_or_says_a_thing_twice_is_refused() {
    let sts = Sts::new();
    let send = async |media_type: &str, body: &str| {
        sts.send("/oauth/token", media_type, body, &[], Presenter::default()).await
    };
    let long = format!("grant_type=x&assertion={}", "a".repeat(17 << 10));
    for (media_type, body) in [
        (form_type(), long.as_str()),
        (form_type(), "grant_type=a&grant_type=b"),
        (form_type(), "grant_type=%"),
        ("application/json", r#"{"grant_type":"a","grant_type":"b"}"#),
        ("application/json", r#"{"grant_type":["a","b"]}"#),
        ("application/json", r#"{"grant_type":1}"#),
        ("application/json", "["),
        ("text/plain", "grant_type=a"),
        ("", "grant_type=a"),
    ] {
        let reply = send(media_type, body).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (400, "invalid_request"), "{media_type} {:.40}", body);
    }
}

#[tokio::test]
async fn an_address_that_asks_too_often_must_wait_and_another_need_not() {
    let sts = Sts::with(|settings| settings.per_address = 10);
    let from = |address: &str| Presenter { address: Some(address.parse().unwrap()), certificate: None };
    let ask = async |address: &str| sts.ask_with(&[("grant_type", "x")], &[], from(address)).await;
    for _ in 0..10 {
        assert_eq!(ask("192.0.2.1").await.status, 400);
    }
    let reply = ask("192.0.2.1").await;
    assert_eq!((reply.status.as_u16(), reply.error()), (429, "temporarily_unavailable"));
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(ask("192.0.2.2").await.status, 400);
    sts.world.clock.advance(Duration::from_secs(6));
    assert_eq!(ask("192.0.2.1").await.status, 400);
}

#[tokio::test]
async fn tokens_of_one_issuer_have_a_rate_of_their_own() {
    let sts = Sts::with(|settings| settings.per_issuer = 3);
    sts.rule("api", |_| {}).unwrap();
    for _ in 0..3 {
        assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 200);
    }
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 429);
    assert_eq!(sts.bearer(&sts.assertion(|_| {}), None).await.status, 200);
}
