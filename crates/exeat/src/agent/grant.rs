//! What the agent calls with: a token that it exchanges evidence for, or an API key that is bound to its key.

use std::{io::Read as _, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use jose::{
    SigningKey,
    dpop::{self, Htu},
};
use serde::Deserialize;
use terms::{Clock, Moment};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::upstream::Gateway;

const TOKEN_PATH: &str = "/v1/oauth/token";
/// The longest evidence that is read, in bytes; a token of 16 KiB is long.
const EVIDENCE_BYTES_MAX: u64 = 32 << 10;
/// The longest answer of a token endpoint.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long before its end a token is not used any more: a call must still be under way when it is checked.
const SPARE: Duration = Duration::from_secs(20);
/// The longest reason of a refusal that is told on, in bytes.
const REASON_BYTES_MAX: usize = 512;
/// The longest `DPoP-Nonce`, in bytes.
const NONCE_BYTES_MAX: usize = 256;

/// What shows who calls.
pub(super) enum Evidence {
    /// A token of somebody else's, to be exchanged.
    IdentityToken {
        /// Where it is; others replace it from time to time.
        file: PathBuf,
        /// The rule by which it stands for a workload.
        rule: Option<String>,
    },
    /// An API key, used as it is.
    ApiKey {
        /// Where it is.
        file: PathBuf,
    },
}

/// A credential that is good now.
#[derive(Clone)]
pub(super) struct Grant {
    pub(super) text: Arc<Zeroizing<String>>,
    until: Moment,
}

/// Gets credentials and proves for each request that the key is here.
pub(super) struct Grants {
    evidence: Evidence,
    key: Arc<SigningKey>,
    clock: Arc<dyn Clock>,
    held: Mutex<Option<Grant>>,
    nonce: std::sync::Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Issued {
    access_token: Zeroizing<String>,
    token_type: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Grants {
    pub(super) fn new(evidence: Evidence, key: Arc<SigningKey>, clock: Arc<dyn Clock>) -> Self {
        Self { evidence, key, clock, held: Mutex::default(), nonce: std::sync::Mutex::default() }
    }

    /// Returns a credential that is good for a while; one exchange at a time, whoever waits for it.
    ///
    /// # Errors
    ///
    /// If the evidence cannot be read, or the gateway does not take it, with its reason.
    pub(super) async fn current(&self, gateway: &Gateway) -> anyhow::Result<Grant> {
        let mut held = self.held.lock().await;
        let now = self.clock.now();
        if let Some(grant) = held.as_ref().filter(|grant| now < grant.until) {
            return Ok(grant.clone());
        }
        let grant = match &self.evidence {
            Evidence::ApiKey { file } => Grant { text: Arc::new(evidence(file)?), until: now.plus(SPARE) },
            Evidence::IdentityToken { file, rule } => {
                let token = evidence(file)?;
                let issued = self.exchange(gateway, request(&token, rule.as_deref())).await;
                issued.map_err(|error| without(&token, &error))?
            }
        };
        *held = Some(grant.clone());
        Ok(grant)
    }

    /// Forgets a credential that the gateway no longer takes.
    pub(super) async fn forget(&self, refused: &Grant) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.text, &refused.text)) {
            *held = None;
        }
    }

    /// Makes the proof for one request to `target`.
    ///
    /// # Errors
    ///
    /// If the key cannot sign.
    pub(super) fn prove(&self, method: &Method, target: &str, token: Option<&str>) -> anyhow::Result<HeaderValue> {
        let target = Htu::parse(target).context("the gateway's URL cannot be proved for")?;
        let request = dpop::Request { method: method.as_str(), target: &target, access_token: token };
        let nonce = self.nonce.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        let proof = dpop::prove(&self.key, &request, nonce.as_deref(), self.clock.now());
        Ok(HeaderValue::try_from(proof.context("the agent's key cannot sign")?)?)
    }

    /// Remembers the nonce of an answer for the next proof; returns true if there was one that is new.
    pub(super) fn learn(&self, headers: &HeaderMap) -> bool {
        let told = headers.get("dpop-nonce").and_then(|nonce| nonce.to_str().ok());
        let Some(told) = told.filter(|told| (1..=NONCE_BYTES_MAX).contains(&told.len())) else {
            return false;
        };
        let mut nonce = self.nonce.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_new = nonce.as_deref() != Some(told);
        *nonce = Some(told.to_owned());
        is_new
    }

    async fn exchange(&self, gateway: &Gateway, body: Bytes) -> anyhow::Result<Grant> {
        let asked_at = self.clock.now();
        let (mut status, mut headers, mut answer) = self.ask(gateway, body.clone()).await?;
        if status == StatusCode::BAD_REQUEST && self.learn(&headers) {
            (status, headers, answer) = self.ask(gateway, body).await?;
        }
        self.learn(&headers);
        if !status.is_success() {
            bail!("the gateway does not take the identity token: {}", reason(status, &answer));
        }
        // What the parser has to say may hold the token.
        let issued: Issued =
            serde_json::from_slice(&answer).map_err(|_| anyhow!("the token endpoint did not answer with a token"))?;
        if !issued.token_type.eq_ignore_ascii_case("DPoP") {
            bail!("the gateway gave a token that anybody could use: it must offer DPoP");
        }
        let lasts = Duration::from_secs(issued.expires_in).saturating_sub(SPARE);
        Ok(Grant { text: Arc::new(issued.access_token), until: asked_at.plus(lasts) })
    }

    async fn ask(&self, gateway: &Gateway, body: Bytes) -> anyhow::Result<(StatusCode, HeaderMap, Bytes)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert("dpop", self.prove(&Method::POST, &gateway.url_of(TOKEN_PATH), None)?);
        let response = gateway.send(Method::POST, TOKEN_PATH, headers, body).await?;
        let (parts, body) = response.into_parts();
        let body = http_body_util::BodyExt::collect(http_body_util::Limited::new(body, ANSWER_BYTES_MAX)).await;
        let body = body.map_err(|error| anyhow!("the token endpoint's answer broke off: {error}"))?;
        Ok((parts.status, parts.headers, body.to_bytes()))
    }
}

/// Reads the token that is exchanged; blocks on a small file.
fn evidence(file: &std::path::Path) -> anyhow::Result<Zeroizing<String>> {
    let name = file.display();
    let opened = std::fs::File::open(file).with_context(|| format!("cannot read `{name}`"))?;
    let mut text = Zeroizing::new(String::new());
    let read = opened.take(EVIDENCE_BYTES_MAX + 1).read_to_string(&mut text);
    if read.with_context(|| format!("cannot read `{name}`"))? as u64 > EVIDENCE_BYTES_MAX {
        bail!("`{name}` is longer than any token");
    }
    let text = Zeroizing::new(text.trim().to_owned());
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("`{name}` does not hold a token");
    }
    Ok(text)
}

/// Makes the form of an exchange (RFC 7523 section 2.1 with a rule, RFC 8693 section 2.1 without).
fn request(token: &str, rule: Option<&str>) -> Bytes {
    let rule = rule.map(|rule| ("federation_rule_id", rule));
    let pairs = match rule {
        Some(rule) => {
            vec![("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), ("assertion", token), rule]
        }
        None => vec![
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ],
    };
    let encoded: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={}", form_encoded(value))).collect();
    Bytes::from(encoded.join("&"))
}

/// Spells a value as a form does (RFC 6749 appendix B).
fn form_encoded(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Returns an error as it may be told and logged: not if whoever answered repeats the identity token in it.
fn without(token: &str, error: &anyhow::Error) -> anyhow::Error {
    match format!("{error:#}") {
        told if told.contains(token) => anyhow!("the gateway's answer repeats the identity token: is it the gateway?"),
        told => anyhow!(told),
    }
}

fn reason(status: StatusCode, answer: &[u8]) -> String {
    let told = match serde_json::from_slice::<Refused>(answer) {
        Ok(refused) if refused.error_description.is_empty() => refused.error,
        Ok(refused) => format!("{}: {}", refused.error, refused.error_description),
        Err(_) => return format!("it answers {status}"),
    };
    if told.len() > REASON_BYTES_MAX || told.chars().any(char::is_control) {
        return format!("it answers {status}");
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_back_from_its_spelling() {
        assert_eq!(form_encoded("a b+c/d=é~"), "a%20b%2Bc%2Fd%3D%C3%A9%7E");
    }
}
