//! What a token is (RFC 7662), and the end of it (RFC 7009).

use serde_json::json;
use terms::AccountState;

use super::{
    super::{Presenter, remove_client},
    world::*,
};

const INACTIVE: &str = r#"{"active":false}"#;

/// A service with clients: of Larkspur, of another employer, and of the laboratory, by id and secret.
fn with_clients() -> (Sts, [String; 3]) {
    let sts = Sts::new();
    let both = ["token.introspect", "token.revoke"];
    let secrets = [("larkspur-siem", Some("larkspur")), ("umbra-siem", Some("umbra")), ("lab", None)]
        .map(|(id, organization)| sts.client(id, organization, &both));
    (sts, secrets)
}

#[tokio::test]
async fn a_token_is_told_to_clients_of_its_own_organization_and_of_the_laboratory_only() {
    let (sts, [larkspur, umbra, lab]) = with_clients();
    let token = sts.exchange(&sts.id_token(|_| {})).await;
    for (id, secret, active) in [("larkspur-siem", &larkspur, true), ("lab", &lab, true), ("umbra-siem", &umbra, false)]
    {
        let told = sts.introspect((id, secret), &token.token()).await;
        assert_eq!(told.status, 200);
        assert_eq!(told.headers["cache-control"], "no-store");
        assert_eq!(told.body["active"], active, "{id}");
        if !active {
            assert_eq!(told.body.to_string(), INACTIVE);
        }
    }
    let told = sts.introspect(("lab", &lab), &token.token()).await.body;
    for name in ["iss", "aud", "sub", "client_id", "exp", "iat", "jti", "scope", "org"] {
        assert_eq!(told[name], token.claims()[name], "{name}");
    }
    assert_eq!(told["token_type"], "Bearer");
}

#[tokio::test]
async fn nobody_learns_anything_who_is_no_client_or_was_not_granted_to_ask() {
    let (sts, [_, _, lab]) = with_clients();
    let token = sts.exchange(&sts.id_token(|_| {})).await.token();
    let poor = sts.client("poor", None, &["ssf.read"]);
    let refused = sts.introspect(("poor", &poor), &token).await;
    assert_eq!((refused.status.as_u16(), refused.error()), (400, "unauthorized_client"));
    let stranger = sts.introspect(("stranger", &lab), &token).await;
    assert_eq!((stranger.status.as_u16(), stranger.error()), (401, "invalid_client"));
    let form = encoded(&[("token", &token)]);
    let nobody = sts.send("/oauth/introspect", form_type(), &form, &[], Presenter::default()).await;
    assert_eq!(nobody.status, 401);
    let form = encoded(&[("client_id", "lab"), ("client_secret", &lab)]);
    let none = sts.send("/oauth/introspect", form_type(), &form, &[], Presenter::default()).await;
    assert_eq!(none.error(), "invalid_request");
}

#[tokio::test]
async fn what_is_not_a_good_token_of_ours_is_not_active_and_nothing_else_is_said() {
    let (sts, [_, _, lab]) = with_clients();
    let theirs = sts.id_token(|_| {});
    let ours = sts.exchange(&theirs).await.token();
    let (head, signature) = ours.rsplit_once('.').unwrap();
    let forged = format!("{head}.{}", signature.chars().rev().collect::<String>());
    for token in [theirs.as_str(), "x", &forged, &"a".repeat(9_000)] {
        assert_eq!(sts.introspect(("lab", &lab), token).await.body.to_string(), INACTIVE);
    }
    sts.world.clock.advance(std::time::Duration::from_secs(361));
    assert_eq!(sts.introspect(("lab", &lab), &ours).await.body.to_string(), INACTIVE);
}

#[tokio::test]
async fn a_token_is_inactive_while_whoever_it_is_for_may_have_none() {
    let (sts, [_, _, lab]) = with_clients();
    sts.rule("api", |_| {}).unwrap();
    let person = sts.exchange(&sts.id_token(|_| {})).await.token();
    let workload = sts.bearer(&sts.assertion(|_| {}), None).await.token();
    let active = async |token: &str| sts.introspect(("lab", &lab), token).await.body["active"] == true;
    assert!(active(&person).await && active(&workload).await);
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Suspended, None);
    assert!(!active(&person).await && !active(&workload).await);
    sts.account("ada", "larkspur-idp", "u-1", AccountState::Active, None);
    assert!(active(&person).await && active(&workload).await);
}

#[tokio::test]
async fn a_token_of_a_client_is_inactive_once_the_client_is_gone() {
    let (sts, [larkspur, _, lab]) = with_clients();
    let form =
        [("grant_type", "client_credentials"), ("client_id", "larkspur-siem"), ("client_secret", larkspur.as_str())];
    let token = sts.ask(&form).await.token();
    assert_eq!(sts.introspect(("lab", &lab), &token).await.body["sub"], "client:larkspur-siem");
    remove_client(&sts.federation(), &terms::ClientId::parse("larkspur-siem").unwrap()).unwrap();
    assert_eq!(sts.introspect(("lab", &lab), &token).await.body.to_string(), INACTIVE);
}

#[tokio::test]
async fn a_revoked_token_is_over_at_our_channel_and_at_that_of_its_source_where_calls_with_it_are_found() {
    let (sts, [larkspur, _, lab]) = with_clients();
    let reply = sts.exchange(&sts.id_token(|_| {})).await;
    let (token, jti) = (reply.token(), reply.claims()["jti"].as_str().unwrap().to_owned());
    let other = sts.exchange(&sts.id_token(|_| {})).await.token();
    assert_eq!(sts.revoke(("larkspur-siem", &larkspur), &token).await.status, 200);
    assert_eq!(sts.introspect(("lab", &lab), &token).await.body.to_string(), INACTIVE);
    assert_eq!(sts.ask(&exchange_form(&token, ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    let session = terms::SubjectName::parse(&jti).unwrap();
    for channel in ["exeat-tokens", "larkspur-idp"] {
        let channel = terms::ChannelId::parse(channel).unwrap();
        assert!(sts.federation().read(|view| view.session_ended(&channel, &session)).unwrap());
        assert!(sts.world.control.directory().session_ended(&channel, &session));
    }
    // One token is over, not the session: another one, and the source's own, are as good as before.
    assert_eq!(sts.introspect(("lab", &lab), &other).await.body["active"], true);
    assert_eq!(sts.exchange(&sts.id_token(|_| {})).await.status, 200);
    assert_eq!(sts.revoke(("larkspur-siem", &larkspur), &token).await.status, 200);
}

#[tokio::test]
async fn a_revoked_token_takes_those_with_it_that_were_exchanged_from_it() {
    let (sts, [larkspur, _, lab]) = with_clients();
    let parent = sts.exchange(&sts.id_token(|_| {})).await.token();
    let child = sts.ask(&exchange_form(&parent, ACCESS_TOKEN, &[])).await.token();
    let grandchild = sts.ask(&exchange_form(&child, ACCESS_TOKEN, &[])).await.token();
    let acting = [("actor_token", parent.as_str()), ("actor_token_type", ACCESS_TOKEN)];
    let acted = sts.exchange_with(&sts.id_token(|_| {}), &acting).await.token();
    let other = sts.exchange(&sts.id_token(|_| {})).await.token();
    assert_eq!(sts.revoke(("larkspur-siem", &larkspur), &parent).await.status, 200);
    for token in [&child, &grandchild, &acted] {
        assert_eq!(sts.introspect(("lab", &lab), token).await.body.to_string(), INACTIVE);
        assert_eq!(sts.ask(&exchange_form(token, ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    }
    assert_eq!(sts.introspect(("lab", &lab), &other).await.body["active"], true);
}

#[tokio::test]
async fn a_token_of_a_client_opens_no_more_than_the_client_is_registered_for_now() {
    let sts = Sts::new();
    let secret = sts.client("siem", None, &["ssf.read", "token.introspect"]);
    let form = [("grant_type", "client_credentials"), ("client_id", "siem"), ("client_secret", secret.as_str())];
    let token = sts.ask(&form).await.token();
    let opened = async || sts.service.client_access(&token).await.unwrap().unwrap().scopes;
    assert_eq!(opened().await, ["ssf.read", "token.introspect"]);
    sts.client("siem", None, &["token.introspect", "token.revoke"]);
    assert_eq!(opened().await, ["token.introspect"]);
}

#[tokio::test]
async fn a_client_ends_only_what_it_may() {
    let (sts, [_, umbra, lab]) = with_clients();
    let token = sts.exchange(&sts.id_token(|_| {})).await.token();
    // To another organization the token is as unknown as any text.
    for text in [token.as_str(), "x"] {
        assert_eq!(sts.revoke(("umbra-siem", &umbra), text).await.status, 200);
    }
    // The provider calls a client of its own by the same name, which makes it none of ours.
    let namesake = sts.exchange(&sts.id_token(|c| c["azp"] = json!("poor"))).await.token();
    let poor = sts.client("poor", Some("larkspur"), &[]);
    assert_eq!(sts.revoke(("poor", &poor), &namesake).await.error(), "unauthorized_client");
    let refused = sts.revoke(("poor", &poor), &token).await;
    assert_eq!((refused.status.as_u16(), refused.error()), (400, "unauthorized_client"));
    assert_eq!(sts.revoke(("poor", &umbra), &token).await.status, 401);
    assert_eq!(sts.introspect(("lab", &lab), &token).await.body["active"], true);
    let form = [("grant_type", "client_credentials"), ("client_id", "poor"), ("client_secret", poor.as_str())];
    let own = sts.ask(&form).await.token();
    assert_eq!(sts.revoke(("poor", &poor), &own).await.status, 200);
    assert_eq!(sts.introspect(("lab", &lab), &own).await.body, json!({ "active": false }));
    let hinted =
        encoded(&[("client_id", "poor"), ("client_secret", &poor), ("token", &own), ("token_type_hint", "id")]);
    let hinted = sts.send("/oauth/revoke", form_type(), &hinted, &[], Presenter::default()).await;
    assert_eq!(hinted.error(), "unsupported_token_type");
}
