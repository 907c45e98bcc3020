//! Tokens that somebody made to be taken for good ones.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use jose::{Alg, ClaimFault, Fault, Jwks, Object, SigningKey, Skew, base64url, usage, verify};
use serde_json::{Value, json};

use crate::world::{KEYS, KINDS, claims_of, forge, key, now, seconds};

const AT: &jose::Use = &usage::AT_JWT;

fn access_token(key: &SigningKey) -> String {
    key.sign("at+jwt", &Object::new(), &claims_of(AT)).unwrap()
}

fn read(token: &str, with: &SigningKey) -> Option<Fault> {
    verify(token, AT, with.public()).err()
}

/// The token with another signature.
fn signed_by(token: &str, signature: impl AsRef<[u8]>) -> String {
    let (input, _) = token.rsplit_once('.').unwrap();
    format!("{input}.{}", base64url::encode(signature))
}

fn signature(token: &str) -> Vec<u8> {
    base64url::decode(token.rsplit_once('.').unwrap().1).unwrap()
}

/// A well-signed token whose payload is exactly this text.
fn of_text(payload: &str) -> String {
    let header = r#"{"alg":"ES256","typ":"at+jwt"}"#;
    let input = format!("{}.{}", base64url::encode(header), base64url::encode(payload));
    let signer = EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &key(Alg::Es256).to_pkcs8().unwrap(),
    );
    let signature = signer.unwrap().sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", base64url::encode(signature))
}

/// The order of a curve, minus or plus something small.
fn order(alg: Alg, last: u8) -> Vec<u8> {
    let mut n = match alg {
        Alg::Es256 => hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
        _ => hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"),
    };
    *n.last_mut().unwrap() = last;
    n
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_signature_that_is_empty_cut_or_lengthened_does_not_verify() {
    for signer in KEYS.iter() {
        let token = access_token(signer);
        let good = signature(&token);
        for bad in
            [&[][..], &good[1..], &good[..good.len() - 1], &[&good[..], &[0]].concat(), &[&[0], &good[..]].concat()]
        {
            assert_eq!(read(&signed_by(&token, bad), signer), Some(Fault::Signature), "{:?}", signer.alg());
        }
        for byte in [0, 1, 0xff] {
            assert_eq!(read(&signed_by(&token, vec![byte; good.len()]), signer), Some(Fault::Signature));
        }
    }
}

#[test]
fn an_ecdsa_signature_in_der_does_not_verify() {
    let signer = key(Alg::Es256);
    let token = access_token(signer);
    let (input, _) = token.rsplit_once('.').unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &signer.to_pkcs8().unwrap()).unwrap();
    let der = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), input.as_bytes()).unwrap();
    assert_eq!(read(&signed_by(&token, der), signer), Some(Fault::Signature));
}

#[test]
fn an_ecdsa_signature_with_a_number_out_of_range_does_not_verify() {
    for (alg, last) in [(Alg::Es256, 0x51), (Alg::Es384, 0x73)] {
        let token = access_token(key(alg));
        let good = signature(&token);
        let (r, s) = good.split_at(good.len() / 2);
        let zero = vec![0; r.len()];
        for number in [zero, order(alg, last), order(alg, last + 1), vec![0xff; r.len()]] {
            for bad in [[number.as_slice(), s].concat(), [r, &number].concat(), [&number[..], &number].concat()] {
                assert_eq!(read(&signed_by(&token, bad), key(alg)), Some(Fault::Signature), "{number:?}");
            }
        }
    }
}

#[test]
fn an_ed25519_signature_with_its_number_raised_by_the_order_does_not_verify() {
    let token = access_token(key(Alg::EdDsa));
    let mut raised = signature(&token);
    // L = 2^252 + 27742317777372353535851937790883648493, in little-endian bytes.
    let mut order = hex("edd3f55c1a631258d69cf7a2def9de14");
    order.resize(31, 0);
    order.push(0x10);
    let mut carry = 0;
    for (byte, add) in raised[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert_eq!(carry, 0);
    assert_eq!(read(&signed_by(&token, raised), key(Alg::EdDsa)), Some(Fault::Signature));
}

#[test]
fn a_second_spelling_of_the_same_bytes_in_base64url_is_refused() {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for signer in KEYS.iter() {
        let token = access_token(signer);
        let parts: Vec<&str> = token.split('.').collect();
        for at in 0..3 {
            // The last character of a part that is no multiple of four has bits that no byte needs.
            let last = ALPHABET.find(parts[at].chars().last().unwrap()).unwrap();
            if parts[at].len().is_multiple_of(4) {
                continue;
            }
            assert_eq!(last % 4, 0, "written with zeros");
            let mut other: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
            other[at].pop();
            other[at].push_str(&ALPHABET[last + 1..last + 2]);
            assert_eq!(read(&other.join("."), signer), Some(Fault::Form), "part {at}");
        }
    }
    let payload = of_text(&format!("{{\"sub\":\"{}\"}}", "a".repeat(3)));
    assert_ne!(payload.split('.').nth(1).unwrap().len() % 4, 0, "this one has such bits");
}

#[test]
fn a_key_that_comes_with_a_token_of_any_kind_is_not_asked() {
    let attacker = SigningKey::generate(Alg::EdDsa).unwrap();
    let issuers = Jwks::from_iter([key(Alg::EdDsa).public().clone()]);
    for (name, use_) in KINDS {
        for kid in [key(Alg::EdDsa).public().kid(), attacker.public().kid(), None] {
            let header = json!({ "alg": "EdDSA", "typ": use_.typ[0], "kid": kid, "jwk": attacker.public().to_value(),
                "jku": "https://attacker.example/jwks", "x5u": "https://attacker.example/x5u", "x5c": ["AAAA"] });
            let mut header = header.as_object().unwrap().clone();
            header.retain(|_, value| !value.is_null());
            let token = forge(&attacker, &json!(header), &json!(claims_of(use_)));
            let known = kid.is_none_or(|kid| Some(kid) == key(Alg::EdDsa).public().kid());
            let why = if known { Fault::Signature } else { Fault::UnknownKey };
            assert_eq!(verify(&token, use_, &issuers), Err(why), "{name}");
        }
    }
}

#[test]
fn a_payload_that_is_not_in_base64url_is_not_a_token_whether_its_header_says_so_or_not() {
    let claims = json!(claims_of(AT));
    for header in [
        json!({ "alg": "ES256", "typ": "at+jwt", "b64": false }),
        json!({ "alg": "ES256", "typ": "at+jwt", "b64": "false" }),
        json!({ "alg": "ES256", "typ": "at+jwt", "b64": null }),
    ] {
        assert_eq!(read(&forge(key(Alg::Es256), &header, &claims), key(Alg::Es256)), Some(Fault::Member("b64")));
    }
    let critical = json!({ "alg": "ES256", "typ": "at+jwt", "b64": false, "crit": ["b64"] });
    assert_eq!(read(&forge(key(Alg::Es256), &critical, &claims), key(Alg::Es256)), Some(Fault::Crit));
    let plain = json!({ "alg": "ES256", "typ": "at+jwt", "b64": true });
    assert_eq!(read(&forge(key(Alg::Es256), &plain, &claims), key(Alg::Es256)), None);
}

#[test]
fn every_kind_is_read_to_its_length_and_no_further() {
    for (name, use_) in KINDS {
        let padded = |by: usize| {
            let mut claims = claims_of(use_);
            claims.insert("padding".to_owned(), json!("p".repeat(by)));
            let header = json!({ "alg": "EdDSA", "typ": use_.typ[0] });
            forge(key(Alg::EdDsa), &header, &json!(claims))
        };
        // Three bytes of payload are four characters: the longest that fits leaves at most three unused.
        let most = (use_.bytes_max - padded(0).len()) * 3 / 4;
        let (fits, too_long) = (padded(most), padded(most + 3));
        assert!(fits.len() <= use_.bytes_max && fits.len() + 4 > use_.bytes_max, "{name}");
        assert!(verify(&fits, use_, key(Alg::EdDsa).public()).is_ok(), "{name}");
        let max = use_.bytes_max;
        assert_eq!(verify(&too_long, use_, key(Alg::EdDsa).public()), Err(Fault::TooLong { max }), "{name}");
    }
}

#[test]
fn claims_that_nest_too_deep_are_refused_before_anything_else_is_done_with_them() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(read(&of_text(&nested(31)), key(Alg::Es256)), Some(Fault::Claim(ClaimFault::Missing("iss"))));
    for depth in [32, 1000, 6000] {
        assert!(matches!(read(&of_text(&nested(depth)), key(Alg::Es256)), Some(Fault::Payload(_))), "{depth}");
    }
}

#[test]
fn a_time_is_a_number_in_its_range_however_it_is_spelled() {
    let times = |exp: &str| {
        let mut claims = claims_of(AT);
        claims.remove("exp");
        let rest = Value::Object(claims).to_string();
        let token = of_text(&format!("{{\"exp\":{exp},{}", &rest[1..]));
        verify(&token, AT, key(Alg::Es256).public()).map(|verified| verified.times().map(|times| times.exp))
    };
    let seconds = seconds(now());
    for same in [format!("{seconds}"), format!("{seconds}.0"), format!("{seconds}e0"), format!("{seconds}000e-3")] {
        assert_eq!(times(&same), Ok(Ok(Some(now()))), "{same}");
    }
    for wrong in ["-1", "-0.5", "1e12", "1e308", "18446744073709551615", "18446744073709551616", "\"1\"", "[1]", "true"]
    {
        assert_eq!(times(wrong), Ok(Err(ClaimFault::Wrong("exp"))), "{wrong}");
    }
    for syntax in ["NaN", "Infinity", "-Infinity", "1e400", "01", "0x10", "1.", "+1", ""] {
        assert!(matches!(times(syntax), Err(Fault::Payload(_))), "{syntax}");
    }
}

#[test]
fn a_token_from_the_future_does_not_hold_even_if_it_names_a_day_that_no_clock_reaches() {
    let times = |iat: Value| {
        let mut claims = claims_of(AT);
        claims.insert("iat".to_owned(), iat);
        let token = key(Alg::EdDsa).sign("at+jwt", &Object::new(), &claims).unwrap();
        let verified = verify(&token, AT, key(Alg::EdDsa).public()).unwrap();
        verified.times().and_then(|times| times.check(now(), Skew::USUAL))
    };
    assert_eq!(times(json!(seconds(now()) + 60)), Ok(()));
    assert_eq!(times(json!(seconds(now()) + 61)), Err(ClaimFault::Early));
    assert_eq!(times(json!(253_402_207_200_u64)), Err(ClaimFault::Early));
}
