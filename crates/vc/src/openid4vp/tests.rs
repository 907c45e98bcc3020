//! What a verifier must take and must refuse, by the names of the OpenID Foundation's modules for verifiers.

use jose::{Alg, Object, SigningKey, Unverified, usage::AUTHZ_REQUEST};
use serde_json::{Value, json};

use super::*;
use crate::{
    dcql::{Mismatch, Query},
    sd_jwt::{HashAlg, SdJwt, key_binding::KeyBindingFault},
    sd_jwt_vc::{SdJwtVc, VcFault},
    testing::{CLIENT_ID, EXPECTED, NONCE, World},
    trust::TrustFault,
};

fn query() -> Query {
    let query = json!({"credentials": [{
        "id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:eudi:pid:1"]},
        "claims": [{"path": ["nationalities"]}],
    }]});
    Query::parse(query.to_string().as_bytes()).unwrap()
}

/// Answers the query with one presentation and verifies it as a verifier does.
fn answered(world: &World, presentation: &str) -> Result<Vec<Presentation<()>>, PresentationFault> {
    let vp_token = VpToken::from([("pid".to_owned(), vec![presentation.to_owned()])]);
    let credential = |sd_jwt: &SdJwt| SdJwtVc::verify(sd_jwt, &world.trust(), world.now).map(|one| ((), one));
    verify(&vp_token, &query(), &EXPECTED, credential, world.now)
}

fn binding_fault(world: &World, presentation: &str) -> KeyBindingFault {
    match answered(world, presentation) {
        Err(PresentationFault::KeyBinding { cause, .. }) => cause,
        other => panic!("{other:?}"),
    }
}

/// The holder's presentation with other claims in its key binding.
fn bound_with(world: &World, changes: Value) -> String {
    let issued = world.issued();
    let mut claims =
        json!({"iat": world.at(0), "aud": CLIENT_ID, "nonce": NONCE, "sd_hash": issued.sd_hash(HashAlg::Sha256)});
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let token = world.holder.sign("kb+jwt", &Object::new(), &claims).unwrap();
    issued.bound_by(token).to_string()
}

/// Changes one character of the signature of a compact token.
fn tampered(token: &str) -> String {
    let at = token.len() - 10;
    let other = if token.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &token[..at], &token[at + 1..])
}

/// `oid4vp-1final-verifier-happy-flow`
#[test]
fn a_credential_that_its_holder_presents_for_this_request_is_taken() {
    let world = World::new();
    let verified = answered(&world, &world.presented().to_string()).unwrap();
    assert_eq!(verified.len(), 1);
    assert_eq!(verified[0].credential.claims.get("nationalities"), Some(&json!(["US", "KR"])));
    assert_eq!(verified[0].credential.status.as_ref().map(|status| status.idx), Some(7));
}

/// `oid4vp-1final-verifier-invalid-credential-signature`
#[test]
fn a_credential_whose_signature_is_wrong_is_refused() {
    let world = World::new();
    let presented = world.presented();
    let text = presented.to_string().replacen(presented.jwt(), &tampered(presented.jwt()), 1);
    let fault = PresentationFault::Credential {
        id: "pid".to_owned(),
        cause: VcFault::Trust(TrustFault::Token(jose::Fault::Signature)),
    };
    assert_eq!(answered(&world, &text).unwrap_err(), fault);
    let stranger = World { issuer: SigningKey::generate(Alg::Es256).unwrap(), ..World::new() };
    assert!(matches!(
        answered(&world, &stranger.presented().to_string()),
        Err(PresentationFault::Credential { cause: VcFault::Trust(_), .. })
    ));
}

/// `oid4vp-1final-verifier-invalid-kb-jwt-aud`
#[test]
fn a_key_binding_for_another_verifier_is_refused() {
    let world = World::new();
    for aud in [json!("x509_san_dns:other.example"), json!([CLIENT_ID]), json!(""), json!(1)] {
        assert_eq!(binding_fault(&world, &bound_with(&world, json!({ "aud": aud }))), KeyBindingFault::Audience);
    }
}

/// `oid4vp-1final-verifier-invalid-kb-jwt-nonce`
#[test]
fn a_key_binding_for_another_request_is_refused() {
    let world = World::new();
    for nonce in ["other", ""] {
        assert_eq!(binding_fault(&world, &bound_with(&world, json!({ "nonce": nonce }))), KeyBindingFault::Nonce);
    }
    let none = binding_fault(&world, &bound_with(&world, json!({ "nonce": null })));
    assert_eq!(none, KeyBindingFault::Token(jose::Fault::Claim(jose::ClaimFault::Wrong("nonce"))));
}

/// `oid4vp-1final-verifier-invalid-kb-jwt-signature`
#[test]
fn a_key_binding_that_the_holder_did_not_sign_is_refused() {
    let world = World::new();
    let tampered = tampered(&world.presented().to_string());
    assert_eq!(binding_fault(&world, &tampered), KeyBindingFault::Token(jose::Fault::Signature));
    let thief = SigningKey::generate(Alg::Es256).unwrap();
    let stolen =
        crate::sd_jwt::key_binding::bind(world.issued(), HashAlg::Sha256, &thief, &EXPECTED, world.now).unwrap();
    assert_eq!(binding_fault(&world, &stolen.to_string()), KeyBindingFault::Token(jose::Fault::Signature));
}

/// `oid4vp-1final-verifier-invalid-sd-hash`
#[test]
fn a_key_binding_over_other_disclosures_is_refused() {
    let world = World::new();
    let wrong = bound_with(&world, json!({"sd_hash": HashAlg::Sha256.digest("other")}));
    assert_eq!(binding_fault(&world, &wrong), KeyBindingFault::Hash);
    let presented = world.presented();
    let token = presented.key_binding().unwrap().to_owned();
    let fewer = presented.showing(|one| one.name() == Some("nationalities")).bound_by(token);
    assert_eq!(binding_fault(&world, &fewer.to_string()), KeyBindingFault::Hash);
}

/// `oid4vp-1final-verifier-invalid-session-transcript`: a session transcript belongs to mdoc, which is not taken at all.
#[test]
fn a_presentation_in_a_format_that_was_not_asked_for_is_refused() {
    let world = World::new();
    // The base64url of a CBOR map, as a DeviceResponse begins.
    let mdoc = "o2d2ZXJzaW9uYzEuMGlkb2N1bWVudHOAZnN0YXR1cwA";
    assert!(matches!(answered(&world, mdoc), Err(PresentationFault::Form { .. })));
}

/// `oid4vp-1final-verifier-kb-jwt-iat-in-future`
#[test]
fn a_key_binding_from_the_future_is_refused() {
    let world = World::new();
    assert!(answered(&world, &world.presented_at(60).to_string()).is_ok());
    for by in [61, 3600, 31_536_000] {
        assert_eq!(binding_fault(&world, &world.presented_at(by).to_string()), KeyBindingFault::Early);
    }
}

/// `oid4vp-1final-verifier-kb-jwt-iat-in-past`
#[test]
fn a_key_binding_from_long_ago_is_refused() {
    let world = World::new();
    assert!(answered(&world, &world.presented_at(-300).to_string()).is_ok());
    for by in [-301, -3600, -31_536_000] {
        assert_eq!(binding_fault(&world, &world.presented_at(by).to_string()), KeyBindingFault::Old);
    }
    for iat in [json!("1781299260"), json!(-1), json!({})] {
        assert_eq!(binding_fault(&world, &bound_with(&world, json!({ "iat": iat }))), KeyBindingFault::Time);
    }
}

/// `oid4vp-1final-verifier-minimal-cnf-jwk`
#[test]
fn a_holders_key_of_its_bare_coordinates_is_enough() {
    let world = World::new();
    let mut members: Vec<String> = world.pid()["cnf"]["jwk"].as_object().unwrap().keys().cloned().collect();
    members.sort();
    assert_eq!(members, ["crv", "kty", "x", "y"]);
    assert!(answered(&world, &world.presented().to_string()).is_ok());
}

/// A presentation without key binding, of a credential that the request wants bound.
#[test]
fn a_credential_without_key_binding_is_refused() {
    let world = World::new();
    let unbound = Err(Mismatch::Unbound("pid".to_owned()).into());
    assert_eq!(answered(&world, &world.issued().to_string()).map(|_| ()), unbound);
    let mut claims = world.pid();
    claims.remove("cnf");
    let nobodys = world.issue(claims, &[]);
    let bound = crate::sd_jwt::key_binding::bind(nobodys, HashAlg::Sha256, &world.holder, &EXPECTED, world.now);
    assert_eq!(binding_fault(&world, &bound.unwrap().to_string()), KeyBindingFault::Missing);
}

/// A token of another kind in place of each of the two that a presentation has.
#[test]
fn a_token_of_one_kind_is_never_taken_for_the_other() {
    let world = World::new();
    let issued = world.issued();
    let claims =
        json!({"iat": world.at(0), "aud": CLIENT_ID, "nonce": NONCE, "sd_hash": issued.sd_hash(HashAlg::Sha256)});
    for typ in ["dc+sd-jwt", "JWT", "at+jwt", "kb+jwt+x"] {
        let token = world.holder.sign(typ, &Object::new(), &claims).unwrap();
        let fault = binding_fault(&world, &issued.clone().bound_by(token).to_string());
        assert!(matches!(fault, KeyBindingFault::Token(jose::Fault::Typ { .. })), "{typ}: {fault:?}");
    }
    let credential = world.issuer.sign("kb+jwt", &Object::new(), &world.pid()).unwrap();
    assert!(matches!(
        answered(&world, &format!("{credential}~")),
        Err(PresentationFault::Credential { cause: VcFault::Trust(TrustFault::Token(jose::Fault::Typ { .. })), .. })
    ));
}

fn request(world: &World, client_id: ClientId, response_mode: ResponseMode) -> Request {
    Request {
        client_id,
        response_uri: "https://verifier.example.com/wallet/responses/1".to_owned(),
        response_mode,
        nonce: NONCE.to_owned(),
        state: "s".to_owned(),
        query: query(),
        issued_at: world.now,
        expires_at: world.now.plus(std::time::Duration::from_secs(300)),
    }
}

/// `oid4vp-1final-verifier-request-uri-method-post`: the wallet's nonce comes back in what is signed.
#[test]
fn a_signed_request_says_who_asks_for_what_and_repeats_the_wallets_nonce() {
    let world = World::new();
    let signer = SigningKey::generate(Alg::Es256).unwrap();
    let leaf = vec![0x30, 0xfb, 0xff];
    let client_id = ClientId::X509SanDns("verifier.example.com".to_owned());
    let request = request(&world, client_id, ResponseMode::DirectPostJwt(signer.public().clone()));
    let token = request.sign(&signer, std::slice::from_ref(&leaf), Some("wn")).unwrap();
    let parsed = Unverified::parse(&token, &AUTHZ_REQUEST).unwrap();
    assert_eq!(parsed.header().get("x5c"), Some(&json!(["MPv/"])));
    let claims = parsed.verify(signer.public()).unwrap().payload;
    for (name, value) in [
        ("client_id", json!("x509_san_dns:verifier.example.com")),
        ("response_type", json!("vp_token")),
        ("response_mode", json!("direct_post.jwt")),
        ("nonce", json!(NONCE)),
        ("wallet_nonce", json!("wn")),
        ("aud", json!("https://self-issued.me/v2")),
        ("iat", json!(world.at(0))),
        ("exp", json!(world.at(300))),
        ("dcql_query", json!(query())),
    ] {
        assert_eq!(claims.get(name), Some(&value), "{name}");
    }
    assert_eq!(claims["client_metadata"]["jwks"]["keys"][0]["kty"], "EC");
    assert!(!claims.contains_key("redirect_uri"));
}

/// `oid4vp-1final-verifier-request-uri-fetched-twice`: each signing says the same.
#[test]
fn a_request_that_is_signed_twice_says_the_same() {
    let world = World::new();
    let signer = SigningKey::generate(Alg::Es256).unwrap();
    let request = request(&world, ClientId::X509Hash([7; 32]), ResponseMode::DirectPost);
    let [one, two] = [(), ()].map(|()| {
        let token = request.sign(&signer, &[], None).unwrap();
        jose::verify(&token, &AUTHZ_REQUEST, signer.public()).unwrap().payload
    });
    assert_eq!(one, two);
    assert!(!one.contains_key("wallet_nonce"));
}

#[test]
fn a_client_known_by_its_uri_asks_by_value_and_is_never_signed() {
    let world = World::new();
    let signer = SigningKey::generate(Alg::Es256).unwrap();
    let uri = "https://verifier.example.com/wallet/responses/1".to_owned();
    let request = request(&world, ClientId::RedirectUri(uri.clone()), ResponseMode::DirectPost);
    assert_eq!(request.sign(&signer, &[], None), Err(RequestFault::Unsigned));
    let url = request.by_value();
    let fields = form::parse(url.strip_prefix("openid4vp://?").unwrap().as_bytes(), 10_000).unwrap();
    assert_eq!(fields["client_id"], format!("redirect_uri:{uri}"));
    assert_eq!(serde_json::from_str::<Query>(&fields["dcql_query"]).unwrap(), query());
}

#[test]
fn a_reference_names_the_client_and_where_to_fetch() {
    let url = by_reference(&ClientId::of_certificate(&[1]), "https://v.example/r?id=1&b");
    assert_eq!(
        url,
        // The SHA-256 of the one byte that stands for a certificate.
        "openid4vp://?client_id=x509_hash%3AS_USLzRFVMU73i67jNK349FgCtYxw4Wl18ziPHeFRZo&\
         request_uri=https%3A%2F%2Fv.example%2Fr%3Fid%3D1%26b&request_uri_method=post"
    );
}

#[test]
fn an_answer_is_presentations_an_error_or_encrypted_and_nothing_else() {
    let token = json!({"pid": ["a~b~"]}).to_string();
    let body = form::encode(&[("vp_token", &token), ("state", "s")]);
    let Posted::Open(answer) = Posted::parse(body.as_bytes()).unwrap() else { panic!("open") };
    let vp_token = VpToken::from([("pid".to_owned(), vec!["a~b~".to_owned()])]);
    assert_eq!(answer, Answer::Presented { vp_token, state: Some("s".to_owned()) });
    assert_eq!(answer.state(), Some("s"));
    let refused = Posted::parse(b"error=access_denied&error_description=no&state=s").unwrap();
    let error = "access_denied".to_owned();
    assert_eq!(refused, Posted::Open(Answer::Refused { error, state: Some("s".to_owned()) }));
    assert_eq!(Posted::parse(b"response=a.b.c.d.e").unwrap(), Posted::Encrypted("a.b.c.d.e".to_owned()));
    let decrypted = json!({"vp_token": {"pid": ["a~b~"]}, "state": "s"}).to_string();
    assert_eq!(Answer::of_decrypted(decrypted.as_bytes()).unwrap(), answer);
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    for body in ["", "state=s", "vp_token={}&error=x", "response=a&vp_token={}", "vp_token={}", "vp_token=[]"] {
        assert!(Posted::parse(body.as_bytes()).is_err(), "{body}");
    }
    let many = json!({"pid": vec!["a~"; 17]});
    for token in [json!({"pid": "a~"}), json!({"pid": [{"jwt": "a"}]}), json!({"pid": []}), many] {
        let body = form::encode(&[("vp_token", &token.to_string())]);
        assert_eq!(Posted::parse(body.as_bytes()), Err(ResponseFault::VpToken), "{token}");
    }
    let twice = form::encode(&[("vp_token", r#"{"pid":["a~"],"pid":["b~"]}"#)]);
    assert!(matches!(Posted::parse(twice.as_bytes()), Err(ResponseFault::Json(_))));
}
