//! Presentations, from the link to the record.

use jose::{
    Jwk,
    jwe::{self, Enc},
};
use terms::{Claim, Country};

use super::*;

fn citizenships(attestations: &[Attestation]) -> Vec<Country> {
    let country = |one: &Attestation| match one.claim {
        Claim::Citizenship { country, .. } => Some(country),
        _ => None,
    };
    attestations.iter().filter_map(country).collect()
}

/// `oid4vp-1final-verifier-happy-flow`
#[tokio::test]
async fn what_a_wallet_presents_is_attested_and_rests_on_its_status_list() {
    let scene = Scene::new(false).await;
    scene.present_pid().await;
    let attested = scene.attestations();
    let mut countries = citizenships(&attested);
    countries.sort();
    assert_eq!(countries, [Country::parse("KR").unwrap(), Country::US]);
    assert!(attested.iter().all(|one| one.channel == Some(scene.channel())));
    let channel = scene.federation().read(|view| view.channel(&scene.channel())).unwrap().unwrap();
    assert_eq!((channel.kind, channel.interval_s), (terms::ChannelKind::StatusList, 300));
}

#[tokio::test]
async fn an_encrypted_answer_is_read_and_an_open_one_refused_where_encryption_is_asked() {
    let scene = Scene::new(true).await;
    let id = scene.begin().await;
    let request = scene.request(&id).await;
    assert_eq!(request["response_mode"], "direct_post.jwt");
    let state = request["state"].as_str().unwrap();
    let vp_token = scene.response(&request, scene.issue(scene.pid(), json!(["nationalities"])));
    let (status, _) = scene.post(&id, &[("vp_token", &vp_token), ("state", state)]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let key = Jwk::from_value(&request["client_metadata"]["jwks"]["keys"][0]).unwrap();
    let vp_token: Value = serde_json::from_str(&vp_token).unwrap();
    let answer = json!({ "vp_token": vp_token, "state": state }).to_string();
    let token = jwe::encrypt(answer.as_bytes(), &key, Enc::A128Gcm).unwrap();
    let (status, body) = scene.post(&id, &[("response", &token)]).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(scene.attestations().len(), 2);
}

/// `oid4vp-1final-verifier-request-uri-fetched-twice`, `oid4vp-1final-verifier-request-uri-method-post`
#[tokio::test]
async fn a_request_is_fetched_twice_and_by_post_with_the_wallets_nonce() {
    let scene = Scene::new(false).await;
    let id = scene.begin().await;
    assert_eq!(scene.request(&id).await, scene.request(&id).await);
    let path = format!("/wallet/requests/{id}");
    let form = "application/x-www-form-urlencoded";
    let (status, token) = scene.call("POST", &path, form, "wallet_nonce=wn&wallet_metadata=%7B%7D".to_owned()).await;
    assert_eq!(status, StatusCode::OK);
    let claims = jose::verify(&token, &AUTHZ_REQUEST, &scene.verifier).unwrap().payload;
    assert_eq!(claims["wallet_nonce"], "wn");
    assert_eq!(claims["client_id"], CLIENT_ID);
}

#[tokio::test]
async fn a_link_begins_once_and_an_answer_that_counted_is_the_last() {
    let scene = Scene::new(false).await;
    let link = scene.link();
    let body = json!({ "link": link }).to_string();
    let (status, _) = scene.call("POST", "/wallet/presentations", "application/json", body.clone()).await;
    assert_eq!(status, StatusCode::CREATED);
    let (status, _) = scene.call("POST", "/wallet/presentations", "application/json", body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let id = scene.begin().await;
    let request = scene.request(&id).await;
    let token = scene.response(&request, scene.issue(scene.pid(), json!(["nationalities"])));
    let fields = [("vp_token", token.as_str()), ("state", request["state"].as_str().unwrap())];
    assert_eq!(scene.post(&id, &fields).await.0, StatusCode::OK);
    assert_eq!(scene.post(&id, &fields).await.0, StatusCode::NOT_FOUND);
    let (_, outcome) = scene.call("GET", &format!("/wallet/presentations/{id}"), "text/plain", String::new()).await;
    assert_eq!(outcome, r#"{"state":"accepted"}"#);
}

#[tokio::test]
async fn a_request_takes_five_answers_and_ends_after_five_minutes() {
    let scene = Scene::new(false).await;
    let id = scene.begin().await;
    for _ in 0..5 {
        assert_eq!(scene.post(&id, &[("state", "x")]).await.0, StatusCode::BAD_REQUEST);
    }
    assert_eq!(scene.post(&id, &[("state", "x")]).await.0, StatusCode::NOT_FOUND);
    let id = scene.begin().await;
    scene.advance(300);
    let (status, _) = scene.call("GET", &format!("/wallet/requests/{id}"), "text/plain", String::new()).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_person_who_refuses_is_told_so() {
    let scene = Scene::new(false).await;
    let id = scene.begin().await;
    let state = scene.request(&id).await["state"].as_str().unwrap().to_owned();
    assert_eq!(scene.post(&id, &[("error", "access_denied"), ("state", &state)]).await.0, StatusCode::OK);
    let (_, outcome) = scene.call("GET", &format!("/wallet/presentations/{id}"), "text/plain", String::new()).await;
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!(outcome, json!({"state": "refused", "error": "access_denied"}));
}
