//! What a wallet may not do: nothing is attested, and the refusal says why.
//!
//! What presentations themselves must be is tested by the names of the OpenID Foundation's modules in the crate `vc`; here
//! the same comes over HTTP and reaches the registry, or does not.

use control::{Actor, NewPerson, Role};
use terms::Claim;

use super::*;

/// Posts an answer made by `make` of the request, and requires that it is refused for what `word` says.
async fn refused(scene: &Scene, word: &str, make: impl FnOnce(&Object) -> SdJwt) {
    let id = scene.begin().await;
    let request = scene.request(&id).await;
    let token = json!({"pid": [make(&request).to_string()]}).to_string();
    let (status, body) = scene.post(&id, &[("vp_token", &token), ("state", request["state"].as_str().unwrap())]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{word}: {body}");
    assert!(body.contains(word), "{word}: {body}");
    assert!(scene.attestations().is_empty(), "{word}");
}

fn bound(scene: &Scene, credential: SdJwt, audience: &str, nonce: &str, by: &SigningKey) -> SdJwt {
    let expected = Expected { audience, nonce };
    key_binding::bind(credential, HashAlg::Sha256, by, &expected, scene.world.now()).unwrap()
}

fn nonce(request: &Object) -> &str {
    request["nonce"].as_str().unwrap()
}

fn bob(scene: &Scene) -> PersonId {
    let actor = Actor::process("test", Role::Root);
    let new = json!({ "id": "bob", "display_name": "Bob", "screening": "cleared" });
    let new: NewPerson = serde_json::from_value(new).unwrap();
    scene.world.control.admin(&actor).registrar().unwrap().add_person(new).unwrap();
    PersonId::parse("bob").unwrap()
}

#[tokio::test]
async fn a_key_binding_for_another_nonce_verifier_or_key_or_none_at_all_is_refused() {
    let scene = Scene::new(false).await;
    let pid = || scene.issue(scene.pid(), json!(["nationalities"]));
    let thief = SigningKey::generate(Alg::Es256).unwrap();
    refused(&scene, "`nonce`", |_| bound(&scene, pid(), CLIENT_ID, "other", &scene.holder)).await;
    let other = "x509_san_dns:other.example";
    refused(&scene, "`aud`", |request| bound(&scene, pid(), other, nonce(request), &scene.holder)).await;
    refused(&scene, "signature", |request| bound(&scene, pid(), CLIENT_ID, nonce(request), &thief)).await;
    refused(&scene, "without proof that its holder", |_| pid()).await;
}

#[tokio::test]
async fn an_expired_credential_is_refused() {
    let scene = Scene::new(false).await;
    let mut claims = scene.pid();
    claims.insert("exp".to_owned(), json!(scene.at(-61)));
    let expired = scene.issue(claims, json!(["nationalities"]));
    refused(&scene, "expired", |request| bound(&scene, expired, CLIENT_ID, nonce(request), &scene.holder)).await;
}

#[tokio::test]
async fn a_disclosure_that_is_missing_comes_twice_or_belongs_to_nothing_is_refused() {
    let scene = Scene::new(false).await;
    let pid = scene.issue(scene.pid(), json!(["nationalities"]));
    let disclosure = pid.disclosures()[0].clone();
    let with = |disclosures: Vec<_>| SdJwt::issued(pid.jwt().to_owned(), disclosures);
    let mut other_claims = scene.pid();
    other_claims.insert("nationalities".to_owned(), json!(["FR"]));
    let foreign = scene.issue(other_claims, json!(["nationalities"])).disclosures()[0].clone();
    for (word, disclosures) in [
        ("does not show", Vec::new()),
        ("twice", vec![disclosure.clone(), disclosure.clone()]),
        ("belongs to no digest", vec![disclosure, foreign]),
    ] {
        let shown = with(disclosures);
        refused(&scene, word, |request| bound(&scene, shown, CLIENT_ID, nonce(request), &scene.holder)).await;
    }
}

#[tokio::test]
async fn an_answer_that_was_accepted_counts_for_no_other_request() {
    let scene = Scene::new(false).await;
    let (one, two) = (scene.begin().await, scene.begin().await);
    let (first, second) = (scene.request(&one).await, scene.request(&two).await);
    let token = scene.response(&first, scene.issue(scene.pid(), json!(["nationalities"])));
    let (status, _) = scene.post(&one, &[("vp_token", &token), ("state", first["state"].as_str().unwrap())]).await;
    assert_eq!(status, StatusCode::OK);
    let fields = [("vp_token", token.as_str()), ("state", second["state"].as_str().unwrap())];
    let (status, body) = scene.post(&two, &fields).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("nonce"), "{body}");
    assert_eq!(scene.attestations().len(), 2);
}

#[tokio::test]
async fn a_credential_or_a_holders_key_that_one_person_presented_is_never_anothers() {
    let scene = Scene::new(false).await;
    let bob = bob(&scene);
    let pid = scene.issue(scene.pid(), json!(["nationalities"]));
    assert_eq!(scene.present(pid.clone()).await.0, StatusCode::OK);
    let (status, body) = scene.present_as(&bob, pid).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    let mut claims = scene.pid();
    claims.insert("nationalities".to_owned(), json!(["US"]));
    let (status, body) = scene.present_as(&bob, scene.issue(claims, json!(["nationalities"]))).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("another person"), "{body}");
    let held = scene.federation().read(|view| view.person(&bob)).unwrap().unwrap();
    assert!(held.attestations.is_empty());
}

#[tokio::test]
async fn an_unknown_nationality_attests_nothing_and_a_stateless_person_is_stateless() {
    let scene = Scene::new(false).await;
    for codes in [json!(["QU"]), json!(["US", "QU"]), json!(["QS", "US"])] {
        let mut claims = scene.pid();
        claims.insert("nationalities".to_owned(), codes);
        let (status, body) = scene.present(scene.issue(claims, json!(["nationalities"]))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(scene.attestations().is_empty());
    }
    let mut claims = scene.pid();
    claims.insert("nationalities".to_owned(), json!(["QS"]));
    assert_eq!(scene.present(scene.issue(claims, json!(["nationalities"]))).await.0, StatusCode::OK);
    let attested: Vec<Claim> = scene.attestations().into_iter().map(|one| one.claim).collect();
    assert_eq!(attested, [Claim::Stateless]);
}

#[tokio::test]
async fn what_the_trust_list_does_not_let_an_issuer_say_is_not_attested() {
    let scene = Scene::empty(false).await;
    let id = IssuerId::parse("unlisted").unwrap();
    scene.wallet.set_issuer(&CredentialIssuer { id: id.clone(), ..trusted(&scene.issuer) }).unwrap();
    let (status, body) = scene.present(scene.issue(scene.pid(), json!(["nationalities"]))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
    assert!(scene.world.ada().attestations.iter().all(|one| one.issuer != id));
}

#[tokio::test]
async fn an_answer_with_another_state_or_to_another_request_attests_nothing() {
    let scene = Scene::new(false).await;
    let (one, two) = (scene.begin().await, scene.begin().await);
    let (first, second) = (scene.request(&one).await, scene.request(&two).await);
    let token = scene.response(&first, scene.issue(scene.pid(), json!(["nationalities"])));
    let state = |request: &Object| request["state"].as_str().unwrap().to_owned();
    let (status, body) = scene.post(&one, &[("vp_token", &token), ("state", &state(&second))]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("state"), "{body}");
    let (status, body) = scene.post(&two, &[("vp_token", &token), ("state", &state(&second))]).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("nonce"), "{body}");
    assert!(scene.attestations().is_empty());
}

#[tokio::test]
async fn a_credential_that_is_not_valid_or_whose_status_nobody_tells_attests_nothing() {
    let scene = Scene::new(false).await;
    let pid = || scene.issue(scene.pid(), json!(["nationalities"]));
    for (status, expected) in [(Status::Invalid, 403), (Status::Suspended, 403), (Status::Other(3), 403)] {
        scene.advance(61);
        scene.publish(status);
        let (answered, body) = scene.present(pid()).await;
        assert_eq!(answered.as_u16(), expected, "{body}");
    }
    scene.advance(61);
    scene.unpublish();
    assert_eq!(scene.present(pid()).await.0, StatusCode::SERVICE_UNAVAILABLE);
    let mut without = scene.pid();
    without.remove("status");
    assert_eq!(scene.present(scene.issue(without.clone(), json!(["nationalities"]))).await.0, StatusCode::FORBIDDEN);
    assert!(scene.attestations().is_empty());
    without.insert("exp".to_owned(), json!(scene.at(3600)));
    assert_eq!(scene.present(scene.issue(without, json!(["nationalities"]))).await.0, StatusCode::OK);
    assert_eq!(scene.attestations().len(), 2);
}

#[tokio::test]
async fn a_nationality_that_is_withheld_and_an_issuer_that_is_not_trusted_attest_nothing() {
    let scene = Scene::new(false).await;
    let partly = scene.issue(scene.pid(), json!(["nationalities", null])).showing(|one| one.value() == "US");
    let (status, body) = scene.present(partly).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("withholds"), "{body}");
    for (member, value) in [("iss", "https://other.example"), ("vct", "urn:eudi:pid:de:1")] {
        let mut claims = scene.pid();
        claims.insert(member.to_owned(), value.into());
        let (status, _) = scene.present(scene.issue(claims, json!(["nationalities"]))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{member}");
    }
    let stranger = SigningKey::generate(Alg::Es256).unwrap();
    let path: ClaimPath = serde_json::from_value(json!(["nationalities"])).unwrap();
    let forged = sd_jwt_vc::issue(&stranger, &Object::new(), scene.pid(), &[path], || [1; 16]).unwrap();
    assert_eq!(scene.present(forged).await.0, StatusCode::BAD_REQUEST);
    assert!(scene.attestations().is_empty());
}
