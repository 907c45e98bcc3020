//! Measures verification without a harness, side by side: the bare signature, our token, the same token in another
//! library, and a proof of possession.
//!
//! `cargo run --release -p jose --example verify_bench`. What counts are the ratios to the bare signature of the same
//! bytes. Rounds are short and take turns, and the fastest of each kind counts: what else runs on the machine only ever
//! makes a round slower.

use std::{
    hint::black_box,
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    VerificationAlgorithm,
};
use jose::{
    Alg, Jwk, Object, SigningKey, base64url,
    dpop::{self, Htu},
    usage, verify,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use terms::Moment;

const ROUNDS: usize = 1000;
const CALLS: u32 = 10;

/// One verification; whether it succeeded.
type Call<'a> = Box<dyn FnMut() -> bool + 'a>;

fn main() -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "fastest of {ROUNDS} rounds of {CALLS} calls; ratios to the bare signature\n")?;
    for (alg, theirs) in
        [(Alg::Rs256, Algorithm::RS256), (Alg::Es256, Algorithm::ES256), (Alg::EdDsa, Algorithm::EdDSA)]
    {
        compare(&mut out, alg, theirs)?;
    }
    Ok(())
}

fn compare(out: &mut impl Write, alg: Alg, theirs: Algorithm) -> Result<()> {
    let key = SigningKey::generate(alg)?;
    let token = key.sign("at+jwt", &Object::new(), &claims())?;
    let (input, signature) = token.rsplit_once('.').context("a token has dots")?;
    let signature = base64url::decode(signature)?;
    let public = key.public().to_value();
    let bare = parsed(&public)?;
    let (their_key, validation) = (decoding_key(&public)?, validation(theirs));
    let proof = Proof::new(&key)?;

    let mut calls: [(&str, Call<'_>); 4] = [
        ("bare signature", Box::new(|| bare.verify_sig(input.as_bytes(), &signature).is_ok())),
        ("jose::verify", Box::new(|| verify(&token, &usage::AT_JWT, key.public()).is_ok())),
        ("jsonwebtoken", Box::new(|| jsonwebtoken::decode::<Value>(&token, &their_key, &validation).is_ok())),
        ("dpop::verify", Box::new(|| proof.counts())),
    ];
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for ((_, call), times) in calls.iter_mut().zip(&mut times) {
            times.push(timed(call)?);
        }
    }
    let fastest = times.map(|times| times.into_iter().min().unwrap_or_default());
    let [reference, ..] = fastest;
    for ((name, _), time) in calls.iter().zip(fastest) {
        writeln!(out, "{:<6} {name:<15} {:.2}", alg.name(), time.as_secs_f64() / reference.as_secs_f64())?;
    }
    writeln!(out)?;
    Ok(())
}

fn claims() -> Value {
    json!({ "iss": "https://issuer.example", "sub": "ada", "aud": "https://api.example", "client_id": "c1", "jti": "1",
        "iat": 1_781_299_260, "exp": 1_781_299_560, "scope": "chat", "cnf": { "jkt": "A".repeat(43) } })
}

/// The key ready for use, as a server keeps it: what is measured is verification, not the parsing of keys.
fn parsed(public: &Value) -> Result<ParsedPublicKey> {
    let part = |name: &str| Ok::<_, anyhow::Error>(base64url::decode(text(public, name)?)?);
    Ok(match text(public, "kty")? {
        "RSA" => {
            RsaPublicKeyComponents { n: part("n")?, e: part("e")? }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)?
        }
        "OKP" => ParsedPublicKey::new(bare_algorithm(&ED25519), part("x")?)?,
        _ => {
            ParsedPublicKey::new(bare_algorithm(&ECDSA_P256_SHA256_FIXED), [vec![4], part("x")?, part("y")?].concat())?
        }
    })
}

fn bare_algorithm(algorithm: &'static dyn VerificationAlgorithm) -> &'static dyn VerificationAlgorithm {
    algorithm
}

fn decoding_key(public: &Value) -> Result<DecodingKey> {
    Ok(match text(public, "kty")? {
        "RSA" => DecodingKey::from_rsa_components(text(public, "n")?, text(public, "e")?)?,
        "OKP" => DecodingKey::from_ed_components(text(public, "x")?)?,
        _ => DecodingKey::from_ec_components(text(public, "x")?, text(public, "y")?)?,
    })
}

/// The same work as ours: the signature and the presence of claims, no times.
fn validation(alg: Algorithm) -> Validation {
    let mut validation = Validation::new(alg);
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.set_required_spec_claims(&["iss", "exp", "aud", "sub"]);
    validation
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value.get(name).and_then(Value::as_str).with_context(|| name.to_owned())
}

/// A proof, whose key is parsed each time: it comes with the proof.
struct Proof {
    token: String,
    target: Htu,
    now: Moment,
    jkt: [u8; 32],
}

impl Proof {
    fn new(key: &SigningKey) -> Result<Self> {
        let target = Htu::parse("https://api.example.com/v1/chat/completions")?;
        let now = Moment::parse("2026-06-12T21:21:00Z")?;
        let request = dpop::Request { method: "POST", target: &target, access_token: Some("token") };
        let token = dpop::prove(key, &request, None, now)?;
        let jkt = Jwk::from_value(&key.public().to_value())?.thumbprint();
        Ok(Self { token, target, now, jkt })
    }

    fn counts(&self) -> bool {
        let request = dpop::Request { method: "POST", target: &self.target, access_token: Some("token") };
        let rules = dpop::Rules { window: Duration::from_secs(60), nonces: None };
        dpop::verify(&self.token, &request, &rules, self.now).is_ok_and(|proof| proof.jkt == self.jkt)
    }
}

fn timed(call: &mut dyn FnMut() -> bool) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..CALLS {
        anyhow::ensure!(black_box(call()), "what is measured must succeed");
    }
    Ok(start.elapsed())
}
