//! Signs, verifies, encrypts and decrypts what other libraries ask for: one JSON object a line, in and out.
//!
//! `tests/jose` drives it: what we make they must read, what they make we must read.

use std::{
    io::{self, BufRead, Write},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use jose::{
    Alg, Jwk, Object, SigningKey, Use, base64url,
    dpop::{self, Htu},
    jwe::{self, DecryptionKey, Enc},
    usage, verify,
};
use serde_json::{Value, json};
use terms::Moment;

fn main() -> Result<()> {
    let mut out = io::stdout().lock();
    let decryption = DecryptionKey::generate()?;
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let answer = answer(&request, &decryption).unwrap_or_else(|error| json!({ "error": format!("{error:#}") }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn answer(request: &Value, decryption: &DecryptionKey) -> Result<Value> {
    match text(request, "do")? {
        "sign" => sign(request),
        "verify" => check(request),
        "thumbprint" => Ok(json!({ "thumbprint": base64url::encode(jwk(request)?.thumbprint()) })),
        "encryption_key" => Ok(json!({ "jwk": decryption.public().to_value() })),
        "encrypt" => encrypt(request),
        "decrypt" => decrypt(request, decryption),
        "prove" => prove(request),
        "check_proof" => check_proof(request),
        other => bail!("`{other}` is nothing that is done here"),
    }
}

fn sign(request: &Value) -> Result<Value> {
    let key = SigningKey::generate(alg(request)?)?;
    let claims = request.get("claims").context("claims")?;
    let token = key.sign(text(request, "typ")?, &Object::new(), claims)?;
    Ok(json!({ "token": token, "jwk": key.public().to_value() }))
}

fn check(request: &Value) -> Result<Value> {
    let verified = verify(text(request, "token")?, kind(text(request, "use")?)?, &jwk(request)?)?;
    Ok(json!({ "claims": verified.payload, "alg": verified.header.alg().name() }))
}

fn encrypt(request: &Value) -> Result<Value> {
    let enc = if text(request, "enc")? == "A128GCM" { Enc::A128Gcm } else { Enc::A256Gcm };
    Ok(json!({ "token": jwe::encrypt(text(request, "plaintext")?.as_bytes(), &jwk(request)?, enc)? }))
}

fn decrypt(request: &Value, key: &DecryptionKey) -> Result<Value> {
    let read = jwe::decrypt(text(request, "token")?, key)?;
    Ok(json!({ "plaintext": std::str::from_utf8(&read.plaintext)?, "header": read.header }))
}

fn prove(request: &Value) -> Result<Value> {
    let key = SigningKey::generate(alg(request)?)?;
    let target = Htu::parse(text(request, "htu")?)?;
    let asked = dpop_request(request, &target)?;
    let proof = dpop::prove(&key, &asked, request.get("nonce").and_then(Value::as_str), now(request)?)?;
    Ok(json!({ "token": proof, "jkt": base64url::encode(key.public().thumbprint()) }))
}

fn check_proof(request: &Value) -> Result<Value> {
    let target = Htu::parse(text(request, "htu")?)?;
    let rules = dpop::Rules { window: Duration::from_secs(60), nonces: None };
    let proof = dpop::verify(text(request, "token")?, &dpop_request(request, &target)?, &rules, now(request)?)?;
    Ok(json!({ "jkt": base64url::encode(proof.jkt), "jti": proof.jti }))
}

fn dpop_request<'a>(request: &'a Value, target: &'a Htu) -> Result<dpop::Request<'a>> {
    let access_token = request.get("access_token").and_then(Value::as_str);
    Ok(dpop::Request { method: text(request, "htm")?, target, access_token })
}

fn kind(name: &str) -> Result<&'static Use> {
    let kinds = [("at+jwt", &usage::AT_JWT), ("secevent+jwt", &usage::SECEVENT), ("JWT", &usage::ID_TOKEN)];
    let found = kinds.into_iter().find(|(typ, _)| *typ == name);
    found.map(|(_, kind)| kind).ok_or_else(|| anyhow!("no kind `{name}`"))
}

fn jwk(request: &Value) -> Result<Jwk> {
    Ok(Jwk::from_value(request.get("jwk").context("jwk")?)?)
}

fn alg(request: &Value) -> Result<Alg> {
    Alg::from_name(text(request, "alg")?).context("alg")
}

fn now(request: &Value) -> Result<Moment> {
    let seconds = request.get("now").and_then(Value::as_i64).context("now")?;
    Ok(Moment::from_millis(seconds * 1000))
}

fn text<'a>(request: &'a Value, name: &'static str) -> Result<&'a str> {
    request.get(name).and_then(Value::as_str).context(name)
}
