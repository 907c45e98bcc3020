//! Keys and tokens of invented issuers.

use std::sync::LazyLock;

use jose::{Alg, Object, SigningKey, Use, base64url, usage};
use serde_json::{Value, json};
use terms::Moment;

/// One key of each algorithm; RSA keys take long to make.
pub(crate) static KEYS: LazyLock<Vec<SigningKey>> =
    LazyLock::new(|| Alg::ALL.iter().map(|alg| SigningKey::generate(*alg).unwrap()).collect());

pub(crate) fn key(alg: Alg) -> &'static SigningKey {
    KEYS.iter().find(|key| key.alg() == alg).unwrap()
}

pub(crate) fn now() -> Moment {
    Moment::parse("2026-06-12T21:21:00Z").unwrap()
}

pub(crate) fn seconds(moment: Moment) -> i64 {
    moment.as_millis() / 1000
}

pub(crate) fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

/// Every kind by its name.
pub(crate) const KINDS: [(&str, &Use); 14] = [
    ("AT_JWT", &usage::AT_JWT),
    ("SECEVENT", &usage::SECEVENT),
    ("DPOP", &usage::DPOP),
    ("KB_JWT", &usage::KB_JWT),
    ("SD_JWT_VC", &usage::SD_JWT_VC),
    ("STATUS_LIST", &usage::STATUS_LIST),
    ("AUTHZ_REQUEST", &usage::AUTHZ_REQUEST),
    ("CLIENT_ASSERTION", &usage::CLIENT_ASSERTION),
    ("ID_TOKEN", &usage::ID_TOKEN),
    ("WORKLOAD_ASSERTION", &usage::WORKLOAD_ASSERTION),
    ("END_USER_ASSERTION", &usage::END_USER_ASSERTION),
    ("GLOBAL_TOKEN_REVOCATION", &usage::GLOBAL_TOKEN_REVOCATION),
    ("APPROVAL", &usage::APPROVAL),
    ("TICKET", &usage::TICKET),
];

/// Returns claims that have all that `use_` requires.
pub(crate) fn claims_of(use_: &Use) -> Object {
    let mut claims = object(json!({ "sub": "ada", "iat": seconds(now()) }));
    for name in use_.requires {
        let value = match *name {
            "iat" | "exp" => json!(seconds(now())),
            "events" | "status_list" => json!({}),
            "iss" => json!("https://issuer.example"),
            "sub" if use_.subject == usage::Subject::Issuer => json!("https://issuer.example"),
            name => json!(name),
        };
        claims.insert((*name).to_owned(), value);
    }
    claims
}

/// Signs `payload` under exactly `header`, whatever it says: `jose` itself would not.
pub(crate) fn forge(key: &SigningKey, header: &Value, payload: &Value) -> String {
    let [header, payload] = [header, payload].map(|part| base64url::encode(part.to_string()));
    let signature = raw_signature(key, format!("{header}.{payload}").as_bytes());
    format!("{header}.{payload}.{}", base64url::encode(signature))
}

/// Signs bytes with the private key, past everything that `jose` would have to say about them.
fn raw_signature(key: &SigningKey, input: &[u8]) -> Vec<u8> {
    use aws_lc_rs::{rand::SystemRandom, signature as sign};
    let der = key.to_pkcs8().unwrap();
    let random = SystemRandom::new();
    let rsa = |padding: &'static dyn sign::RsaEncoding| {
        let pair = sign::RsaKeyPair::from_pkcs8(&der).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(padding, &random, input, &mut signature).unwrap();
        signature
    };
    let ec = |with| sign::EcdsaKeyPair::from_pkcs8(with, &der).unwrap().sign(&random, input).unwrap().as_ref().to_vec();
    match key.alg() {
        Alg::Rs256 => rsa(&sign::RSA_PKCS1_SHA256),
        Alg::Ps256 => rsa(&sign::RSA_PSS_SHA256),
        Alg::Es256 => ec(&sign::ECDSA_P256_SHA256_FIXED_SIGNING),
        Alg::Es384 => ec(&sign::ECDSA_P384_SHA384_FIXED_SIGNING),
        Alg::EdDsa => sign::Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap().sign(input).as_ref().to_vec(),
    }
}
