//! Token exchange (RFC 8693): a person's token of their provider, or of ours, for one of ours.

use jose::{Alg, Object, SigningKey};
use serde_json::json;
use terms::AccountState;

use super::world::*;

#[tokio::test]
async fn a_token_of_the_provider_becomes_a_short_token_of_ours_for_the_person_behind_the_account() {
    let sts = Sts::new();
    let reply = sts.exchange(&sts.id_token(|_| {})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.headers["cache-control"], "no-store");
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.body["issued_token_type"], ACCESS_TOKEN);
    assert_eq!(reply.body["expires_in"], 300);
    let (claims, now) = (reply.claims(), seconds(sts.world.now()));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(RESOURCE)));
    assert_eq!(claims["sub"], "person:ada");
    assert_eq!(claims["org"], "larkspur");
    assert_eq!(claims["client_id"], "larkspur-idp:console");
    assert_eq!(claims["exp"], now + 300);
    assert_eq!(claims["auth_time"], now - 30);
    assert_eq!(claims["src"], json!({ "channel": "larkspur-idp", "sub": "u-1", "sid": "s-1", "began": now - 30 }));
    assert_eq!(claims["scope"], "models models.batch");
}

#[tokio::test]
async fn a_subject_token_that_is_wrong_in_any_way_gets_no_token() {
    let sts = Sts::new();
    let now = seconds(sts.world.now());
    let wrong: Vec<(&str, Change)> = vec![
        ("audience", Box::new(|c| c["aud"] = json!("https://other.example"))),
        ("audience of our resource", Box::new(|c| c["aud"] = json!(RESOURCE))),
        ("no audience", Box::new(|c| c["aud"] = json!([]))),
        ("expired", Box::new(move |c| c["exp"] = json!(now - 61))),
        ("no expiry", Box::new(|c| drop(c.as_object_mut().unwrap().remove("exp")))),
        ("expiry as text", Box::new(move |c| c["exp"] = json!((now + 60).to_string()))),
        ("issued in the future", Box::new(move |c| c["iat"] = json!(now + 61))),
        ("not yet valid", Box::new(move |c| c["nbf"] = json!(now + 61))),
        ("authenticated in the future", Box::new(move |c| c["auth_time"] = json!(now + 61))),
        ("unknown issuer", Box::new(|c| c["iss"] = json!("https://idp.larkspur.example.evil.example"))),
        ("issuer with a slash more", Box::new(|c| c["iss"] = json!(format!("{IDP}/")))),
        ("an issuer of workloads", Box::new(|c| c["iss"] = json!(PLATFORM))),
        ("unknown subject", Box::new(|c| c["sub"] = json!("u-2"))),
        ("no subject", Box::new(|c| drop(c.as_object_mut().unwrap().remove("sub")))),
        ("malformed session", Box::new(|c| c["sid"] = json!(7))),
        ("malformed name", Box::new(|c| c["jti"] = json!(""))),
        ("bound in an unknown way", Box::new(|c| c["cnf"] = json!({ "kid": "k" }))),
        ("events of a logout token", Box::new(|c| c["events"] = json!({}))),
    ];
    for (what, change) in wrong {
        let reply = sts.exchange(&sts.id_token(change)).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (400, "invalid_grant"), "{what}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_token_of_another_key_algorithm_or_kind_gets_no_token() {
    let sts = Sts::new();
    let claims = claims_of(&sts.id_token(|_| {}));
    let other = SigningKey::generate(Alg::Es256).unwrap();
    let rsa = SigningKey::generate(Alg::Rs256).unwrap();
    let sign = |key: &SigningKey, typ: &str| key.sign(typ, &Object::new(), &claims).unwrap();
    for token in [sign(&other, "JWT"), sign(&rsa, "JWT"), sign(&sts.idp, "at+jwt"), sign(&sts.idp, "secevent+jwt")] {
        assert_eq!(sts.exchange(&token).await.error(), "invalid_grant");
    }
    let good = sts.id_token(|_| {});
    let (head, _) = good.rsplit_once('.').unwrap();
    for token in [format!("{head}."), good.replace('.', ".."), "x".to_owned(), format!("{good}A")] {
        assert_eq!(sts.exchange(&token).await.error(), "invalid_grant");
    }
    let as_access_token = sts.ask(&exchange_form(&good, ACCESS_TOKEN, &[])).await;
    assert_eq!(as_access_token.error(), "invalid_grant");
}

#[tokio::test]
async fn a_request_that_is_not_well_formed_is_refused_as_such() {
    let sts = Sts::new();
    let token = sts.id_token(|_| {});
    for (more, error) in [
        (vec![("subject_token", token.as_str())], "invalid_request"),
        (vec![("actor_token", "x")], "invalid_request"),
        (vec![("actor_token_type", ID_TOKEN)], "invalid_request"),
        (vec![("requested_token_type", "urn:ietf:params:oauth:token-type:saml2")], "invalid_request"),
        (vec![("audience", "https://other.example")], "invalid_target"),
        (vec![("resource", RESOURCE), ("resource", "https://other.example")], "invalid_target"),
        (vec![("scope", "models admin")], "invalid_scope"),
    ] {
        let reply = sts.exchange_with(&token, &more).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (400, error), "{more:?}");
    }
    let of_type = |kind| exchange_form(&token, kind, &[]);
    assert_eq!(sts.ask(&of_type("urn:ietf:params:oauth:token-type:saml2")).await.error(), "invalid_request");
    assert_eq!(sts.ask(&of_type("")).await.error(), "invalid_request");
    assert_eq!(sts.ask(&[("grant_type", "password")]).await.error(), "unsupported_grant_type");
    assert_eq!(sts.ask(&[("grant_type", EXCHANGE)]).await.error(), "invalid_request");
}

#[tokio::test]
async fn a_scope_is_narrowed_and_never_widened_again() {
    let sts = Sts::new();
    let narrow = sts.exchange_with(&sts.id_token(|_| {}), &[("scope", "models")]).await;
    assert_eq!(narrow.body["scope"], "models");
    let again = |scope: &'static str| {
        let (sts, token) = (&sts, narrow.token());
        async move { sts.ask(&exchange_form(&token, ACCESS_TOKEN, &[("scope", scope)])).await }
    };
    assert_eq!(again("models").await.claims()["scope"], "models");
    assert_eq!(again("models.batch").await.error(), "invalid_scope");
    let said = sts.id_token(|c| c["scope"] = json!("openid models.batch"));
    assert_eq!(sts.exchange(&said).await.body["scope"], "models.batch");
}

#[tokio::test]
async fn a_token_never_outlives_the_one_it_was_exchanged_for() {
    let sts = Sts::new();
    let now = seconds(sts.world.now());
    let reply = sts.exchange(&sts.id_token(|c| c["exp"] = json!(now + 42))).await;
    assert_eq!((&reply.body["expires_in"], &reply.claims()["exp"]), (&json!(42), &json!(now + 42)));
    sts.world.clock.advance(std::time::Duration::from_secs(41));
    let again = sts.ask(&exchange_form(&reply.token(), ACCESS_TOKEN, &[])).await;
    assert_eq!(again.claims()["exp"], now + 42);
    sts.world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(sts.ask(&exchange_form(&reply.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
}

#[tokio::test]
async fn a_token_never_outlives_that_of_the_actor_either() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let now = seconds(sts.world.now());
    let actor = sts.bearer(&sts.assertion(|c| c["exp"] = json!(now + 42)), None).await.token();
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let reply = sts.exchange_with(&sts.id_token(|_| {}), &acting).await;
    assert_eq!(reply.claims()["exp"], now + 42);
}

#[tokio::test]
async fn whoever_was_suspended_ended_or_locked_out_gets_no_token_until_restored() {
    let sts = Sts::new();
    let (token, ours) = (sts.id_token(|_| {}), sts.exchange(&sts.id_token(|_| {})).await.token());
    let refused = async || {
        for reply in [sts.exchange(&token).await, sts.ask(&exchange_form(&ours, ACCESS_TOKEN, &[])).await] {
            assert_eq!(reply.error(), "invalid_grant", "{}", reply.body);
        }
    };
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Suspended, None);
    refused().await;
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Active, Some(sts.world.now()));
    refused().await;
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Active, None);
    sts.set_active("ada", false);
    refused().await;
    sts.set_active("ada", true);
    assert_eq!(sts.exchange(&token).await.status, 200);
    // Another source of the same employer counts as well.
    sts.account("ada", "larkspur-hr", "hr-1", AccountState::Suspended, None);
    refused().await;
    sts.account("ada", "larkspur-hr", "hr-1", AccountState::Active, None);
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Ended, None);
    refused().await;
}

#[tokio::test]
async fn a_session_that_the_provider_ended_gets_no_token_and_another_session_does() {
    let sts = Sts::new();
    let end = identity::SessionEnd {
        channel: terms::ChannelId::parse("larkspur-idp").unwrap(),
        session: terms::SubjectName::parse("s-1").unwrap(),
        at: sts.world.now(),
    };
    let ours = sts.exchange(&sts.id_token(|_| {})).await.token();
    let change = control::FederatedChange::SessionEnd(end);
    sts.federation().commit(&control::Source::own("test.end"), |_| Ok(vec![change])).unwrap();
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.error(), "invalid_grant");
    assert_eq!(sts.ask(&exchange_form(&ours, ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    assert_eq!(sts.exchange(&sts.id_token(|c| c["sid"] = json!("s-2"))).await.status, 200);
}

#[tokio::test]
async fn an_exchange_does_not_carry_a_session_past_a_signal_that_comes_late() {
    let sts = Sts::new();
    let began = sts.world.now();
    let theirs = sts.id_token(|c| drop(c.as_object_mut().unwrap().remove("auth_time")));
    sts.world.clock.advance(std::time::Duration::from_secs(60));
    let ours = sts.exchange(&theirs).await;
    let again = sts.ask(&exchange_form(&ours.token(), ACCESS_TOKEN, &[])).await;
    for claims in [ours.claims(), again.claims()] {
        assert_eq!(claims["iat"], seconds(began) + 60);
        assert_eq!(claims["src"]["began"], seconds(began));
        assert!(claims.get("auth_time").is_none(), "nobody said when Ada authenticated");
    }
    // The provider says only now that all sessions were over half a minute before the exchange.
    let over = began.plus(std::time::Duration::from_secs(30));
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Active, Some(over));
    assert_eq!(sts.ask(&exchange_form(&ours.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    assert_eq!(sts.ask(&exchange_form(&again.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    sts.world.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 200, "a sign-in since then is a session of its own");
}

#[tokio::test]
async fn a_token_rests_on_every_token_before_it_and_on_eight_at_most() {
    let sts = Sts::new();
    let mut token = sts.exchange(&sts.id_token(|c| c["jti"] = json!("t-1"))).await;
    let mut names = vec!["t-1".to_owned()];
    for _ in 1..8 {
        names.push(token.claims()["jti"].as_str().unwrap().to_owned());
        token = sts.ask(&exchange_form(&token.token(), ACCESS_TOKEN, &[])).await;
        names.sort_unstable();
        assert_eq!(token.claims()["src"]["rests_on"], json!(names));
    }
    assert_eq!(sts.ask(&exchange_form(&token.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
}

#[tokio::test]
async fn an_issuer_that_is_turned_off_or_removed_or_silent_for_too_long_is_not_believed() {
    let sts = Sts::new();
    let channel = terms::ChannelId::parse("larkspur-idp").unwrap();
    let set = |change: fn(&mut terms::Channel)| {
        let federation = sts.federation();
        let known = federation.read(|view| view.channel(&channel)).unwrap().unwrap();
        let mut changed = terms::Channel { heard_at: sts.world.now(), ..known };
        change(&mut changed);
        let change = control::FederatedChange::Channel(changed);
        federation.commit(&control::Source::own("test.channel"), |_| Ok(vec![change])).unwrap();
    };
    set(|channel| channel.enabled = false);
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.error(), "invalid_grant");
    set(|channel| (channel.enabled, channel.interval_s, channel.grace_s) = (true, 60, 60));
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 200);
    sts.world.clock.advance(std::time::Duration::from_secs(121));
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.error(), "invalid_grant");
    set(|_| {});
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 200);
    super::super::remove_issuer(&sts.federation(), &channel).unwrap();
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.error(), "invalid_grant");
}

#[tokio::test]
async fn an_actor_is_named_in_a_chain_of_limited_length() {
    let sts = Sts::new();
    sts.rule("api", |_| {}).unwrap();
    let actor = sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let acting = [("actor_token", actor.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let mut token = sts.exchange_with(&sts.id_token(|_| {}), &acting).await;
    assert_eq!(token.claims()["sub"], "person:ada");
    assert_eq!(token.claims()["act"], json!({ "sub": "workload:api" }));
    for _ in 1..4 {
        token = sts.ask(&exchange_form(&token.token(), ACCESS_TOKEN, &acting)).await;
    }
    let chain = json!({ "sub": "workload:api", "act": { "sub": "workload:api", "act": { "sub": "workload:api", "act": { "sub": "workload:api" } } } });
    assert_eq!(token.claims()["act"], chain);
    // Without one more actor the chain stays as it is; with one more it is too long.
    let same = sts.ask(&exchange_form(&token.token(), ACCESS_TOKEN, &[])).await;
    assert_eq!(same.claims()["act"], chain);
    assert_eq!(sts.ask(&exchange_form(&token.token(), ACCESS_TOKEN, &acting)).await.error(), "invalid_grant");
}

#[tokio::test]
async fn an_actor_of_another_organization_or_whom_the_subject_did_not_name_may_not_act() {
    let sts = Sts::new();
    sts.person("ben", "u-2");
    sts.rule("api", |_| {}).unwrap();
    let api = sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let ben = sts.id_token(|c| c["sub"] = json!("u-2"));
    let ben = [("actor_token", ben.as_str()), ("actor_token_type", ID_TOKEN)];
    let named = |sub: &str| sts.id_token(|c| c["may_act"] = json!({ "sub": sub, "iss": IDP }));
    assert_eq!(sts.exchange_with(&named("u-2"), &ben).await.claims()["act"]["sub"], "person:ben");
    assert_eq!(sts.exchange_with(&named("u-3"), &ben).await.error(), "invalid_grant");
    let api = [("actor_token", api.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    assert_eq!(sts.exchange_with(&named("u-2"), &api).await.error(), "invalid_grant");
    // What a provider says about earlier actors is not believed.
    let claimed = sts.id_token(|c| c["act"] = json!({ "sub": "workload:api" }));
    assert!(sts.exchange(&claimed).await.claims().get("act").is_none());
    sts.set_active("ben", false);
    assert_eq!(sts.exchange_with(&named("u-2"), &ben).await.error(), "invalid_grant");
}
