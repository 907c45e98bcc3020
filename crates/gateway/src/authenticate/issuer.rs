//! One issuer of tokens: its keys, and whom to ask about its opaque tokens.

use std::time::Duration;

use bytes::Bytes;
use fetch::{Client, Request, Url};
use http::{HeaderValue, header};
use jose::{Jwks, Object, Unverified, Verified, json};
use serde_json::Value;
use terms::{ChannelId, Moment, WorkloadId};
use zeroize::Zeroizing;

use super::{
    caller::Token,
    keys::{IssuerKeys, Missing},
    token::{self, Terms, TokenFault},
};
use crate::{
    config::{IntrospectionSettings, IssuerSettings, TokenSettings},
    metrics::TokenChecks,
};

/// The longest answer about a token that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// How long a call waits for an answer about its token.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How long an issuer's word that a token is not good is remembered.
const INACTIVE_FOR: Duration = Duration::from_secs(5);

/// One issuer.
#[derive(Debug)]
pub(super) struct Issuer {
    /// Its `iss`.
    pub(super) name: String,
    channel: ChannelId,
    audience: String,
    jwks: Option<Url>,
    keys: IssuerKeys,
    introspection: Option<Introspection>,
    checks: TokenChecks,
}

/// Whom to ask about opaque tokens, and as whom.
struct Introspection {
    endpoint: Url,
    authorization: HeaderValue,
    prefix: String,
    remember: Duration,
}

/// A token that was verified, and for how long that need not be done again.
pub(super) struct Checked {
    /// The token; `None` if the issuer says that it is not good.
    pub(super) token: Option<Token>,
    /// The version of the keys that verified it.
    pub(super) version: u64,
    /// When it must be verified anew.
    pub(super) until: Moment,
}

impl Issuer {
    /// Sets up an issuer; reads the client secret.
    ///
    /// # Errors
    ///
    /// What cannot be used and why.
    pub(super) fn new(settings: &IssuerSettings, resource: Option<&str>, checks: TokenChecks) -> Result<Self, String> {
        let at = &settings.issuer;
        let url = |text: &str| Url::parse(text).map_err(|error| format!("issuer `{at}`: {error}"));
        let audience = settings.audience.as_deref().or(resource);
        let introspection = settings.introspection.as_ref();
        Ok(Self {
            name: settings.issuer.clone(),
            channel: ChannelId::parse(&settings.channel).map_err(|error| error.to_string())?,
            audience: audience.ok_or_else(|| format!("issuer `{at}` has no audience"))?.to_owned(),
            jwks: settings.jwks_uri.as_deref().map(url).transpose()?,
            keys: IssuerKeys::new(
                Duration::from_secs(settings.refresh_seconds),
                Duration::from_secs(settings.max_stale_seconds),
            ),
            introspection: introspection.map(|asked| Introspection::new(asked, url(&asked.endpoint)?)).transpose()?,
            checks,
        })
    }

    /// Verifies a JWT of this issuer.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse it.
    ///
    /// # Source
    ///
    /// RFC 9068 section 4.
    pub(super) async fn verify(
        &self,
        token: Unverified<'_>,
        digest: &[u8; 32],
        settings: &TokenSettings,
        now: Moment,
    ) -> Result<Checked, TokenFault> {
        let (verified, version) = self.verified(token).await?;
        let token = self.terms(settings).read(&verified.payload, digest, now)?;
        tracing::debug!(issuer = self.name, client = verified.text("client_id"), token = %token.id, "token verified");
        Ok(Checked { until: token.expires_at, token: Some(token), version })
    }

    /// Verifies what this issuer says about the person for whom `workload` calls; returns with it what names it among
    /// all of this issuer's, to be taken once.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse it.
    ///
    /// # Source
    ///
    /// draft-ietf-oauth-transaction-tokens, section 5 (claims of a transaction token).
    pub(super) async fn verify_assertion(
        &self,
        assertion: Unverified<'_>,
        digest: &[u8; 32],
        workload: &WorkloadId,
        settings: &TokenSettings,
        now: Moment,
    ) -> Result<(Token, [u8; 32]), TokenFault> {
        let (verified, _) = self.verified(assertion).await?;
        // Scopes are what the workload's own credential is for.
        let settings = TokenSettings { scope: None, ..settings.clone() };
        let token = self.terms(&settings).read(&verified.payload, digest, now)?;
        asserted(&verified, token, workload, now.plus(settings.skew()))
    }

    /// Says whether an opaque token may be of this issuer.
    pub(super) fn may_know(&self, token: &str) -> bool {
        self.introspection.as_ref().is_some_and(|asked| token.starts_with(&asked.prefix))
    }

    /// Asks the issuer about an opaque token.
    ///
    /// # Errors
    ///
    /// [`TokenFault`]: refuse it; after [`TokenFault::Unavailable`] it may be tried again.
    ///
    /// # Source
    ///
    /// RFC 7662 section 2.
    pub(super) async fn introspect(
        &self,
        client: &Client,
        token: &str,
        digest: &[u8; 32],
        settings: &TokenSettings,
        now: Moment,
    ) -> Result<Checked, TokenFault> {
        let asked = self.introspection.as_ref().ok_or(TokenFault::Foreign)?;
        self.checks.introspections.inc();
        let claims = asked.ask(client, token).await?;
        if claims.get("active") != Some(&Value::Bool(true)) {
            return Ok(Checked { token: None, version: 0, until: now.plus(INACTIVE_FOR) });
        }
        if claims.get("iss").is_some_and(|issuer| issuer.as_str() != Some(&self.name)) {
            return Err(TokenFault::Foreign);
        }
        let token = self.terms(settings).read(&claims, digest, now)?;
        let until = token.expires_at.min(now.plus(asked.remember));
        Ok(Checked { token: Some(token), version: 0, until })
    }

    /// Says whether what was verified with one version of its keys still is.
    pub(super) fn still_has(&self, version: u64) -> bool {
        version == 0 || self.keys.version() == Some(version)
    }

    /// Fetches its keys for as long as the process runs.
    pub(super) async fn keep_keys(&self, client: &Client) {
        let Some(url) = &self.jwks else { return };
        loop {
            let keys = fetch_keys(client, url).await;
            if let Err(why) = &keys {
                tracing::warn!(issuer = self.name, why, "the keys of an issuer could not be fetched");
            }
            self.keys.fetched(keys.ok());
            self.keys.due().await;
        }
    }

    fn terms<'a>(&'a self, settings: &'a TokenSettings) -> Terms<'a> {
        Terms { channel: &self.channel, audience: &self.audience, settings }
    }

    /// Verifies the signature, and returns the version of the keys with which it was.
    async fn verified(&self, token: Unverified<'_>) -> Result<(Verified, u64), TokenFault> {
        if self.jwks.is_none() {
            return Err(TokenFault::Foreign);
        }
        let held = self.keys.holding(token.header()).await.map_err(|missing| match missing {
            Missing::Unknown => TokenFault::UnknownKey,
            Missing::Unavailable => TokenFault::Unavailable,
        })?;
        self.checks.signatures.inc();
        Ok((token.verify(&held.keys)?, held.version))
    }
}

/// Takes an assertion that was verified and read: it names the workload, binds to no key and ends soon. Returns with it
/// what names it among all assertions.
pub(super) fn asserted(
    verified: &Verified,
    assertion: Token,
    workload: &WorkloadId,
    now: Moment,
) -> Result<(Token, [u8; 32]), TokenFault> {
    if verified.text("req_wl") != Some(workload.as_str()) {
        return Err(TokenFault::Workload);
    }
    if !assertion.confirmations.is_empty() {
        return Err(TokenFault::Confirmation);
    }
    if assertion.expires_at > now.plus(Duration::from_secs(token::ASSERTION_SECONDS_MAX)) {
        return Err(TokenFault::Lasting);
    }
    let (issuer, message) = (verified.text("iss").unwrap_or_default(), verified.text("jti"));
    let message = message.ok_or(TokenFault::Named("jti"))?;
    Ok((assertion, token::digest([issuer, message].join("\n").as_bytes())))
}

impl Introspection {
    fn new(settings: &IntrospectionSettings, endpoint: Url) -> Result<Self, String> {
        let secret = secret(settings)?;
        Ok(Self {
            endpoint,
            authorization: basic(&settings.client_id, &secret)?,
            prefix: settings.prefix.clone(),
            remember: Duration::from_secs(settings.remember_seconds),
        })
    }

    async fn ask(&self, client: &Client, token: &str) -> Result<Object, TokenFault> {
        let form = format!("token={}&token_type_hint=access_token", form_encoded(token));
        let mut request = Request::post(self.endpoint.clone(), "application/x-www-form-urlencoded", Bytes::from(form));
        request.headers.insert(header::AUTHORIZATION, self.authorization.clone());
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let unavailable = |why: &str| {
            tracing::warn!(endpoint = %self.endpoint, why, "an issuer did not say whether a token is good");
            TokenFault::Unavailable
        };
        let answered = tokio::time::timeout(ANSWER_WITHIN, client.send(request)).await;
        let answered = answered.map_err(|_| unavailable("it took too long"))?;
        let response = answered.map_err(|fault| unavailable(&fault.to_string()))?;
        if response.status != http::StatusCode::OK {
            return Err(unavailable(&format!("status {}", response.status)));
        }
        json::parse_object(&response.body, ANSWER_BYTES_MAX).map_err(|fault| unavailable(&fault.to_string()))
    }
}

impl std::fmt::Debug for Introspection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Introspection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

async fn fetch_keys(client: &Client, url: &Url) -> Result<Jwks, String> {
    let response = client.send(Request::get(url.clone())).await.map_err(|fault| fault.to_string())?;
    if response.status != http::StatusCode::OK {
        return Err(format!("status {}", response.status));
    }
    Jwks::parse(&response.body).map_err(|fault| fault.to_string())
}

fn secret(settings: &IntrospectionSettings) -> Result<Zeroizing<String>, String> {
    let text = match (&settings.client_secret_env, &settings.client_secret_file) {
        (Some(name), _) => std::env::var(name).map_err(|_| format!("the variable `{name}` is not set")),
        (None, Some(file)) => std::fs::read_to_string(file).map_err(|error| format!("`{}`: {error}", file.display())),
        (None, None) => Err("there is no client secret".to_owned()),
    };
    text.map(|text| Zeroizing::new(text.trim().to_owned()))
}

/// Spells a client's id and secret as a header.
///
/// # Source
/// RFC 6749 section 2.3.1 (both are form-encoded first); RFC 7617.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pair = Zeroizing::new(format!("{}:{}", form_encoded(id), form_encoded(secret)));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| "the client secret does not fit a header".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Encodes a value of a form.
///
/// # Source
/// URL Standard, `application/x-www-form-urlencoded` percent-encode set.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_authenticates_with_its_id_and_secret_form_encoded() {
        let value = basic("gate:way", "s3cret &+").unwrap();
        assert!(value.is_sensitive());
        // gate%3Away:s3cret%20%26%2B
        assert_eq!(value.to_str().unwrap(), "Basic Z2F0ZSUzQXdheTpzM2NyZXQlMjAlMjYlMkI=");
    }
}
