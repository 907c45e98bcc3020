//! Tokens that only the holder of a key can use: DPoP (RFC 9449) and certificates (RFC 8705).

use jose::{
    Alg, SigningKey, base64url,
    dpop::{Htu, Request, prove},
};
use serde_json::json;

use super::{super::Presenter, world::*};

fn proof(sts: &Sts, key: &SigningKey, url: &str, nonce: Option<&str>) -> String {
    let target = Htu::parse(url).unwrap();
    prove(key, &Request { method: "POST", target: &target, access_token: None }, nonce, sts.world.now()).unwrap()
}

/// Asks without a nonce, and returns the one that is answered.
async fn nonce(sts: &Sts, key: &SigningKey) -> String {
    let first = proof(sts, key, &format!("{ISSUER}/oauth/token"), None);
    let token = sts.id_token(|_| {});
    let reply = sts.ask_with(&exchange_form(&token, ID_TOKEN, &[]), &[("dpop", &first)], Presenter::default()).await;
    assert_eq!((reply.status.as_u16(), reply.error()), (400, "use_dpop_nonce"), "{}", reply.body);
    reply.headers["dpop-nonce"].to_str().unwrap().to_owned()
}

async fn exchanged(sts: &Sts, token: &str, kind: &str, proofs: &[&str]) -> Reply {
    let headers: Vec<_> = proofs.iter().map(|proof| ("dpop", *proof)).collect();
    sts.ask_with(&exchange_form(token, kind, &[]), &headers, Presenter::default()).await
}

#[tokio::test]
async fn a_proof_with_our_nonce_binds_the_token_to_its_key() {
    let (sts, key) = (Sts::new(), SigningKey::generate(Alg::Es256).unwrap());
    let nonce = nonce(&sts, &key).await;
    let good = proof(&sts, &key, &format!("{ISSUER}/oauth/token"), Some(&nonce));
    let reply = exchanged(&sts, &sts.id_token(|_| {}), ID_TOKEN, &[&good]).await;
    assert_eq!(reply.body["token_type"], "DPoP", "{}", reply.body);
    assert_eq!(reply.claims()["cnf"], json!({ "jkt": base64url::encode(key.public().thumbprint()) }));
    let replayed = exchanged(&sts, &sts.id_token(|_| {}), ID_TOKEN, &[&good]).await;
    assert_eq!(replayed.error(), "invalid_dpop_proof");
}

#[tokio::test]
async fn a_proof_for_another_place_or_time_or_twice_is_refused() {
    let (sts, key) = (Sts::new(), SigningKey::generate(Alg::Es256).unwrap());
    let nonce = nonce(&sts, &key).await;
    let at = |url: &str| proof(&sts, &key, url, Some(&nonce));
    let here = at(&format!("{ISSUER}/oauth/token"));
    for (proofs, error) in [
        (vec![at(&format!("{ISSUER}/v1/oauth/token"))], "invalid_dpop_proof"),
        (vec![at("https://other.example/oauth/token")], "invalid_dpop_proof"),
        (vec![here.clone(), here.clone()], "invalid_dpop_proof"),
        (vec!["x".to_owned()], "invalid_dpop_proof"),
        (vec![proof(&sts, &key, &format!("{ISSUER}/oauth/token"), Some("AAAA"))], "use_dpop_nonce"),
    ] {
        let proofs: Vec<_> = proofs.iter().map(String::as_str).collect();
        let reply = exchanged(&sts, &sts.id_token(|_| {}), ID_TOKEN, &proofs).await;
        assert_eq!((reply.status.as_u16(), reply.error()), (400, error), "{}", reply.body);
    }
    sts.world.clock.advance(std::time::Duration::from_secs(301));
    assert_eq!(exchanged(&sts, &sts.id_token(|_| {}), ID_TOKEN, &[&here]).await.status, 400);
}

#[tokio::test]
async fn a_bound_token_is_exchanged_only_by_whoever_proves_its_key_and_stays_bound() {
    let (sts, key) = (Sts::new(), SigningKey::generate(Alg::Es256).unwrap());
    let nonce = nonce(&sts, &key).await;
    let here = format!("{ISSUER}/oauth/token");
    let bound = exchanged(&sts, &sts.id_token(|_| {}), ID_TOKEN, &[&proof(&sts, &key, &here, Some(&nonce))]).await;
    assert_eq!(sts.ask(&exchange_form(&bound.token(), ACCESS_TOKEN, &[])).await.error(), "invalid_grant");
    let thief = SigningKey::generate(Alg::Es256).unwrap();
    let stolen = proof(&sts, &thief, &here, Some(&nonce));
    assert_eq!(exchanged(&sts, &bound.token(), ACCESS_TOKEN, &[&stolen]).await.error(), "invalid_grant");
    let own = exchanged(&sts, &bound.token(), ACCESS_TOKEN, &[&proof(&sts, &key, &here, Some(&nonce))]).await;
    assert_eq!(own.claims()["cnf"], bound.claims()["cnf"]);
}

#[tokio::test]
async fn a_certificate_binds_the_token_and_a_token_bound_to_another_is_refused() {
    let sts = Sts::new();
    let holder = Presenter { certificate: Some([7; 32]), ..Presenter::default() };
    let other = Presenter { certificate: Some([8; 32]), ..Presenter::default() };
    let token = sts.id_token(|_| {});
    let reply = sts.ask_with(&exchange_form(&token, ID_TOKEN, &[]), &[], holder).await;
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.claims()["cnf"], json!({ "x5t#S256": base64url::encode([7; 32]) }));
    let bound = reply.token();
    for (who, status) in [(holder, 200), (other, 400), (Presenter::default(), 400)] {
        let reply = sts.ask_with(&exchange_form(&bound, ACCESS_TOKEN, &[]), &[], who).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    }
    // The provider's own binding counts as well.
    let bound = sts.id_token(|c| c["cnf"] = json!({ "x5t#S256": base64url::encode([7; 32]) }));
    for (who, status) in [(holder, 200), (other, 400)] {
        let reply = sts.ask_with(&exchange_form(&bound, ID_TOKEN, &[]), &[], who).await;
        assert_eq!(reply.status.as_u16(), status, "{}", reply.body);
    }
}
