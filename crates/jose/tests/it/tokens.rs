//! Signatures, keys and headers.

use jose::{
    Alg, ClaimFault, Fault, Jwk, Jwks, KeyFault, Keys, KeysFault, Object, SigningFault, SigningKey, Skew, Unverified,
    base64url, jwe, usage, verify,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::world::{KEYS, claims_of, forge, key, now, object, seconds};

fn access_token(key: &SigningKey) -> String {
    key.sign("at+jwt", &Object::new(), &claims_of(&usage::AT_JWT)).unwrap()
}

#[test]
fn a_token_of_every_algorithm_verifies_with_its_key_and_with_no_other() {
    let set: Jwks = KEYS.iter().map(|key| key.public().clone()).collect();
    for signer in KEYS.iter() {
        let token = access_token(signer);
        let verified = verify(&token, &usage::AT_JWT, &set).unwrap();
        assert_eq!(verified.header.kid(), signer.public().kid());
        assert_eq!(verified.payload, claims_of(&usage::AT_JWT));
        for other in KEYS.iter().filter(|other| other.alg() != signer.alg()) {
            assert_eq!(verify(&token, &usage::AT_JWT, other.public()), Err(Fault::UnknownKey));
        }
        let stranger = SigningKey::generate(signer.alg()).unwrap();
        assert_eq!(verify(&token, &usage::AT_JWT, stranger.public()), Err(Fault::Signature));
        assert_eq!(
            verify(&token, &usage::AT_JWT, &Jwks::from_iter([stranger.public().clone()])),
            Err(Fault::UnknownKey)
        );
    }
}

#[test]
fn the_algorithm_is_the_keys_and_never_the_headers() {
    let claims = json!(claims_of(&usage::AT_JWT));
    for signer in KEYS.iter() {
        for &alg in Alg::ALL.iter().filter(|alg| **alg != signer.alg()) {
            let token = forge(signer, &json!({ "alg": alg.name(), "typ": "at+jwt" }), &claims);
            assert_eq!(verify(&token, &usage::AT_JWT, signer.public()), Err(Fault::UnknownKey));
        }
        for alg in ["none", "HS256", "HS384", "HS512", "RS512", "NONE", ""] {
            let token = forge(signer, &json!({ "alg": alg, "typ": "at+jwt" }), &claims);
            assert_eq!(verify(&token, &usage::AT_JWT, signer.public()), Err(Fault::Alg(alg.to_owned())));
        }
    }
}

#[test]
fn the_fully_specified_name_of_ed25519_is_read() {
    let token =
        forge(key(Alg::EdDsa), &json!({ "alg": "Ed25519", "typ": "at+jwt" }), &json!(claims_of(&usage::AT_JWT)));
    assert!(verify(&token, &usage::AT_JWT, key(Alg::EdDsa).public()).is_ok());
}

#[test]
fn a_token_signed_with_the_public_key_as_a_secret_is_refused() {
    let public = key(Alg::Rs256).public().to_value().to_string();
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
    let part = |value: Value| base64url::encode(value.to_string());
    for alg in ["HS256", "RS256"] {
        let header = json!({ "alg": alg, "typ": "at+jwt" });
        let input = format!("{}.{}", part(header), part(json!(claims_of(&usage::AT_JWT))));
        let token = format!("{input}.{}", base64url::encode(aws_lc_rs::hmac::sign(&secret, input.as_bytes())));
        assert!(verify(&token, &usage::AT_JWT, key(Alg::Rs256).public()).is_err());
    }
}

#[test]
fn a_key_in_the_header_makes_nobody_trusted() {
    let attacker = SigningKey::generate(Alg::Es256).unwrap();
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "jwk": attacker.public().to_value(),
        "jku": "https://attacker.example/jwks", "x5u": "https://attacker.example/x", "kid": key(Alg::Es256).public().kid() });
    let token = forge(&attacker, &header, &json!(claims_of(&usage::AT_JWT)));
    assert_eq!(verify(&token, &usage::AT_JWT, key(Alg::Es256).public()), Err(Fault::Signature));
}

#[test]
fn critical_extensions_are_refused_and_unknown_members_ignored() {
    let claims = json!(claims_of(&usage::AT_JWT));
    let read =
        |header: Value| verify(&forge(key(Alg::Es256), &header, &claims), &usage::AT_JWT, key(Alg::Es256).public());
    for crit in [json!(["exp"]), json!(["b64"]), json!([]), json!(null)] {
        assert_eq!(read(json!({ "alg": "ES256", "typ": "at+jwt", "crit": crit })), Err(Fault::Crit));
    }
    assert!(read(json!({ "alg": "ES256", "typ": "at+jwt", "https://issuer.example/x": [1] })).is_ok());
    for (header, member) in [
        (json!({ "typ": "at+jwt" }), "alg"),
        (json!({ "typ": "at+jwt", "alg": ["ES256"] }), "alg"),
        (json!({ "typ": 1, "alg": "ES256" }), "typ"),
        (json!({ "typ": null, "alg": "ES256" }), "typ"),
        (json!({ "typ": "at+jwt", "alg": "ES256", "kid": 7 }), "kid"),
        (json!({ "typ": "at+jwt", "alg": "ES256", "kid": "k".repeat(257) }), "kid"),
    ] {
        assert_eq!(read(header), Err(Fault::Member(member)));
    }
}

#[test]
fn only_the_compact_form_of_three_parts_is_read() {
    let token = access_token(key(Alg::Es256));
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!() };
    for bad in [
        String::new(),
        "..".to_owned(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!("{token}.{signature}"),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        json!({ "payload": payload, "protected": header, "signature": signature }).to_string(),
    ] {
        assert!(verify(&bad, &usage::AT_JWT, key(Alg::Es256).public()).is_err(), "{bad}");
    }
    let long = format!("{token}{}", "A".repeat(usage::AT_JWT.bytes_max));
    let max = usage::AT_JWT.bytes_max;
    assert_eq!(verify(&long, &usage::AT_JWT, key(Alg::Es256).public()), Err(Fault::TooLong { max }));
}

#[test]
fn members_that_stand_twice_are_refused_in_header_and_payload() {
    let signer = key(Alg::EdDsa);
    let raw = |header: &str, payload: &str| {
        let mut parts = access_token(signer).split('.').map(str::to_owned).collect::<Vec<_>>();
        parts[0] = base64url::encode(header);
        parts[1] = base64url::encode(payload);
        verify(&parts.join("."), &usage::AT_JWT, signer.public())
    };
    let header = r#"{"alg":"EdDSA","typ":"at+jwt"}"#;
    assert!(matches!(raw(r#"{"alg":"none","alg":"EdDSA","typ":"at+jwt"}"#, "{}"), Err(Fault::Header(_))));
    assert!(matches!(raw(header, r#"{"sub":"ada","sub":"eve"}"#), Err(Fault::Payload(_))));
    assert_eq!(raw(header, r#"{"sub":"ada"}"#), Err(Fault::Signature));
}

#[test]
fn a_claim_of_the_wrong_type_is_never_taken_for_a_missing_one() {
    for name in ["iat", "nbf", "exp"] {
        for value in [json!("1781299260"), json!(-1), json!(1e300), json!(253_402_207_201_u64), json!({}), json!(true)]
        {
            let mut claims = claims_of(&usage::AT_JWT);
            claims.insert(name.to_owned(), value.clone());
            let token = key(Alg::EdDsa).sign("at+jwt", &Object::new(), &claims).unwrap();
            let verified = verify(&token, &usage::AT_JWT, key(Alg::EdDsa).public()).unwrap();
            assert_eq!(verified.times(), Err(ClaimFault::Wrong(name)), "{value}");
        }
        let mut claims = claims_of(&usage::AT_JWT);
        claims.insert(name.to_owned(), json!(null));
        let token = key(Alg::EdDsa).sign("at+jwt", &Object::new(), &claims).unwrap();
        assert!(verify(&token, &usage::AT_JWT, key(Alg::EdDsa).public()).is_err(), "{name}");
    }
}

#[test]
fn times_are_checked_with_the_same_skew_in_both_directions() {
    let at = seconds(now());
    let times = |claims: Value| {
        let mut all = claims_of(&usage::ID_TOKEN);
        all.extend(object(claims));
        let token = key(Alg::EdDsa).sign("JWT", &Object::new(), &all).unwrap();
        verify(&token, &usage::ID_TOKEN, key(Alg::EdDsa).public()).unwrap().times().unwrap().check(now(), Skew::USUAL)
    };
    let good = json!({ "iat": at, "nbf": at, "exp": at + 1 });
    assert_eq!(times(good), Ok(()));
    assert_eq!(times(json!({ "iat": at + 60, "nbf": at + 60, "exp": at - 59 })), Ok(()));
    assert_eq!(times(json!({ "iat": at + 61, "exp": at })), Err(ClaimFault::Early));
    assert_eq!(times(json!({ "nbf": at + 61, "exp": at })), Err(ClaimFault::NotYet));
    assert_eq!(times(json!({ "exp": at - 60 })), Err(ClaimFault::Expired));
    assert_eq!(times(json!({ "exp": at as f64 - 59.5 })), Ok(()));
}

#[test]
fn an_audience_is_text_or_a_list_of_text() {
    let token = |aud: Value| {
        let mut claims = claims_of(&usage::AT_JWT);
        claims.insert("aud".to_owned(), aud);
        let token = key(Alg::EdDsa).sign("at+jwt", &Object::new(), &claims).unwrap();
        verify(&token, &usage::AT_JWT, key(Alg::EdDsa).public()).unwrap()
    };
    let ours = "https://api.example";
    assert_eq!(token(json!(ours)).is_for(ours), Ok(true));
    assert_eq!(token(json!(["https://other.example", ours])).is_for(ours), Ok(true));
    assert_eq!(token(json!("https://api.example/")).is_for(ours), Ok(false));
    assert_eq!(token(json!([])).is_for(ours), Ok(false));
    for bad in [json!([ours, 1]), json!({ "a": ours }), json!(vec![ours; 65])] {
        assert_eq!(token(bad).is_for(ours), Err(ClaimFault::Wrong("aud")));
    }
}

#[test]
fn private_and_shared_keys_are_refused_and_spoil_their_set() {
    let mut jwk = key(Alg::Es256).public().to_value();
    jwk["d"] = json!("AAAA");
    assert_eq!(Jwk::from_value(&jwk).unwrap_err(), KeyFault::Secret("d"));
    let oct = json!({ "kty": "oct", "k": "AAAA" });
    assert_eq!(Jwk::from_value(&oct).unwrap_err(), KeyFault::Secret("k"));
    let set = json!({ "keys": [key(Alg::EdDsa).public().to_value(), jwk] });
    assert_eq!(Jwks::from_value(&set).unwrap_err(), KeysFault::Secret(KeyFault::Secret("d")));
}

#[test]
fn a_set_leaves_out_what_it_does_not_understand() {
    let good = key(Alg::EdDsa).public().to_value();
    let mut other = good.clone();
    other["use"] = json!("enc");
    let set = json!({ "keys": [
        { "kty": "EC", "crv": "P-521", "x": "AA", "y": "AA" }, { "kty": "AKP" }, 1, other, good,
        { "kty": "RSA", "n": "AQAB", "e": "AQAB" },
    ] });
    let set = Jwks::parse(set.to_string().as_bytes()).unwrap();
    assert_eq!(set.iter().count(), 1);
    let many = json!({ "keys": vec![json!({}); 101] });
    assert_eq!(Jwks::from_value(&many).unwrap_err(), KeysFault::TooMany);
    assert_eq!(Jwks::from_value(&json!({ "keys": {} })).unwrap_err(), KeysFault::Form);
}

#[test]
fn of_two_keys_with_one_name_neither_is_found() {
    let named = |signer: &SigningKey| {
        let mut jwk = signer.public().to_value();
        jwk["kid"] = json!("2026");
        jwk
    };
    let (one, two) = (key(Alg::Es256), &SigningKey::generate(Alg::Es256).unwrap());
    let set = |keys: &[Value]| Jwks::from_value(&json!({ "keys": keys })).unwrap();
    assert!(set(&[named(one), named(one)]).find(Some("2026"), Alg::Es256).is_some());
    assert!(set(&[named(one), named(key(Alg::Es384))]).find(Some("2026"), Alg::Es256).is_some());
    let clash = set(&[named(one), named(two)]);
    assert!(clash.find(Some("2026"), Alg::Es256).is_none());
    assert!(clash.find(None, Alg::Es256).is_none());
    assert!(set(&[named(one)]).find(None, Alg::Es256).is_some());
    assert!(set(&[named(one)]).find(Some("2025"), Alg::Es256).is_none());
}

#[test]
fn a_key_is_for_what_its_owner_says() {
    let with = |members: Value| {
        let mut jwk = object(key(Alg::Rs256).public().to_value());
        jwk.remove("alg");
        jwk.remove("use");
        jwk.extend(object(members));
        Jwk::from_value(&json!(jwk))
    };
    let both = with(json!({})).unwrap();
    assert!(
        both.key(None, Alg::Rs256).is_some()
            && both.key(None, Alg::Ps256).is_some()
            && both.key(None, Alg::Es256).is_none()
    );
    let one = with(json!({ "alg": "PS256", "use": "sig", "key_ops": ["verify"] })).unwrap();
    assert!(one.key(None, Alg::Ps256).is_some() && one.key(None, Alg::Rs256).is_none());
    for members in [
        json!({ "use": "enc" }),
        json!({ "use": "other" }),
        json!({ "alg": "RS512" }),
        json!({ "alg": "ES256" }),
        json!({ "key_ops": ["encrypt"] }),
        json!({ "key_ops": [] }),
    ] {
        assert_eq!(with(members.clone()).unwrap_err(), KeyFault::Purpose, "{members}");
    }
    assert_eq!(with(json!({ "key_ops": "verify" })).unwrap_err(), KeyFault::Member("key_ops"));
    assert_eq!(with(json!({ "kid": 1 })).unwrap_err(), KeyFault::Member("kid"));
}

#[test]
fn weak_keys_and_points_off_their_curve_are_refused() {
    let short = base64url::encode([&[0xff], [1; 127].as_slice()].concat());
    let rsa = |n: &str, e: &str| Jwk::from_value(&json!({ "kty": "RSA", "n": n, "e": e })).unwrap_err();
    assert_eq!(rsa(&short, "AQAB"), KeyFault::RsaSize { bits: 1024 });
    let just_short = base64url::encode([&[0x7f], [0xff; 255].as_slice()].concat());
    assert_eq!(rsa(&just_short, "AQAB"), KeyFault::RsaSize { bits: 2047 });
    assert_eq!(rsa(&base64url::encode([0xff; 1025]), "AQAB"), KeyFault::RsaSize { bits: 8200 });
    let good = key(Alg::Rs256).public().to_value();
    let n = good["n"].as_str().unwrap();
    for e in ["AQ", "Ag", "AAEAAQ", "", "_____w8B"] {
        assert_eq!(rsa(n, e), KeyFault::Member("e"), "{e}");
    }
    assert_eq!(rsa(&base64url::encode([&[0], [0xff; 256].as_slice()].concat()), "AQAB"), KeyFault::Member("n"));
    let mut off = key(Alg::Es256).public().to_value();
    off["y"] = off["x"].clone();
    assert_eq!(Jwk::from_value(&off).unwrap_err(), KeyFault::Point);
    let zero = json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url::encode([0; 32]) });
    assert_eq!(Jwk::from_value(&zero).unwrap_err(), KeyFault::Point);
}

#[test]
fn a_private_key_survives_its_file_and_is_shown_nowhere() {
    for signer in KEYS.iter() {
        let der = signer.to_pkcs8().unwrap();
        let read = SigningKey::from_pkcs8(signer.alg(), &der).unwrap();
        assert_eq!(read.public().thumbprint(), signer.public().thumbprint());
        verify(&access_token(&read), &usage::AT_JWT, signer.public()).unwrap();
        assert_eq!(format!("{signer:?}"), format!("SigningKey {{ public: {:?}, .. }}", signer.public()));
        let other = if signer.alg() == Alg::EdDsa { Alg::Es256 } else { Alg::EdDsa };
        assert!(SigningKey::from_pkcs8(other, &der).is_err());
    }
}

#[test]
fn a_private_ed25519_key_survives_its_jwk_and_one_that_is_spoiled_is_refused() {
    let signer = key(Alg::EdDsa);
    let jwk = signer.to_ed25519_jwk().unwrap();
    let read = SigningKey::from_ed25519_jwk(&jwk).unwrap();
    assert_eq!(read.public().thumbprint(), signer.public().thumbprint());
    verify(&access_token(&read), &usage::AT_JWT, signer.public()).unwrap();
    let other: Value =
        serde_json::from_str(&SigningKey::generate(Alg::EdDsa).unwrap().to_ed25519_jwk().unwrap()).unwrap();
    let good: Value = serde_json::from_str(&jwk).unwrap();
    for (member, value) in [
        ("x", other["x"].clone()),
        ("d", other["d"].clone()),
        ("d", json!("AAAA")),
        ("d", json!(format!("{}=", good["d"].as_str().unwrap()))),
        ("d", json!(null)),
        ("kty", json!("EC")),
        ("crv", json!("X25519")),
    ] {
        let mut spoiled = good.clone();
        spoiled[member] = value;
        assert_eq!(SigningKey::from_ed25519_jwk(&spoiled.to_string()).unwrap_err(), SigningFault::Jwk, "{member}");
    }
    for bad in ["", "[]", "{}", &jwk.replace("{", r#"{"d":"AA","#), &jwk[1..]] {
        assert_eq!(SigningKey::from_ed25519_jwk(bad).unwrap_err(), SigningFault::Jwk, "{bad}");
    }
    assert_eq!(key(Alg::Es256).to_ed25519_jwk().unwrap_err(), SigningFault::Jwk);
}

#[test]
fn a_token_or_a_message_that_is_shown_for_debugging_shows_no_secret() {
    let token = access_token(key(Alg::EdDsa));
    let shown = format!("{:?}", Unverified::parse(&token, &usage::AT_JWT).unwrap());
    let [payload, signature] = [1, 2].map(|part| token.split('.').nth(part).unwrap());
    assert!(!shown.contains(payload) && !shown.contains(signature) && !shown.contains("signature"), "{shown}");
    let recipient = jwe::DecryptionKey::generate().unwrap();
    let message = jwe::encrypt(b"plain", recipient.public(), jwe::Enc::A128Gcm).unwrap();
    let shown = format!("{:?}", jwe::decrypt(&message, &recipient).unwrap());
    assert!(!shown.contains("112, 108") && !shown.contains("plaintext"), "{shown}");
}

#[test]
fn a_payload_is_signed_as_it_is_spelled() {
    let mut claims = claims_of(&usage::AT_JWT);
    claims.remove("exp");
    let payload = format!(r#"{{ "exp": 1e3, {}"#, &Value::Object(claims).to_string()[1..]);
    let token = key(Alg::EdDsa).sign_payload("at+jwt", &Object::new(), payload.as_bytes()).unwrap();
    assert_eq!(token.split('.').nth(1), Some(base64url::encode(&payload).as_str()));
    assert!(verify(&token, &usage::AT_JWT, key(Alg::EdDsa).public()).is_ok());
}

#[test]
fn what_is_signed_has_the_type_and_the_algorithm_of_its_signer_whatever_the_caller_adds() {
    let signer = key(Alg::Es256);
    let extra = object(json!({ "alg": "none", "typ": "JWT", "kid": "k1", "x5c": [] }));
    let token = signer.sign("at+jwt", &extra, &claims_of(&usage::AT_JWT)).unwrap();
    let verified = verify(&token, &usage::AT_JWT, signer.public()).unwrap();
    assert_eq!((verified.header.alg(), verified.header.kid()), (Alg::Es256, Some("k1")));
    assert_eq!(verified.header.get("x5c"), Some(&json!([])));
    assert!(signer.sign("at+jwt", &Object::new(), &"text").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_changed_token_never_verifies(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]", which in 0..5_usize) {
        let signer = &KEYS[which];
        let token = access_token(signer);
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        if changed != token {
            prop_assert!(verify(&changed, &usage::AT_JWT, signer.public()).is_err());
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,60}(\\.\\PC{0,60}){0,3}") {
        let _ = verify(&text, &usage::AT_JWT, key(Alg::Es256).public());
        let _ = Jwk::parse(text.as_bytes());
        let _ = Jwks::parse(text.as_bytes());
    }

    #[test]
    fn no_json_makes_the_reader_panic(header in "\\{(\"(alg|typ|kid|crit|jwk)\":(\"(ES256|at\\+jwt|x)\"|1|null|\\{\\}|\\[\\]),?){0,4}\\}", payload in "\\PC{0,40}") {
        let token = format!("{}.{}.AAAA", base64url::encode(header), base64url::encode(payload));
        prop_assert!(verify(&token, &usage::AT_JWT, key(Alg::Es256).public()).is_err());
    }
}
