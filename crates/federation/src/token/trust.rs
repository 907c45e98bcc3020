//! Verifying what an issuer or a client signed, with keys that are known to be its own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use fetch::{Client, Request, Url};
use jose::{Fault, Jwks, Use, Verified, json};
use serde_json::Value;
use terms::{Clock, Moment};

use super::{
    TokenService,
    issuer::IssuerKeys,
    refusal::{Code, Refusal},
};

/// For how long an issuer's metadata counts.
const FRESH_FOR: Duration = Duration::from_hours(1);
/// The least time between two attempts for one issuer.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest metadata that is read, in bytes.
const METADATA_BYTES_MAX: usize = 256 << 10;

impl TokenService {
    /// Verifies a token of the kind `use_` with the keys of `issuer`, fetched anew if it names one that is not known, but
    /// no more often than every five seconds.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]: `invalid_grant`, or that the keys cannot be had now.
    pub(super) async fn verified(
        &self,
        token: &str,
        use_: &Use,
        issuer: &str,
        keys: &IssuerKeys,
    ) -> Result<Verified, Refusal> {
        let url = match keys {
            IssuerKeys::Given(set) => {
                let set = Jwks::from_value(set).map_err(|fault| refused(&fault.to_string()))?;
                return jose::verify(token, use_, &set).map_err(|fault| refused(&fault.to_string()));
            }
            IssuerKeys::At(url) => Url::parse(url).map_err(|_| unavailable(issuer))?,
            IssuerKeys::Discovered => self.0.discovery.jwks_uri(issuer).await?,
        };
        let known = self.0.keys.keys(&url).await.map_err(|_| unavailable(issuer))?;
        match jose::verify(token, use_, known.as_ref()) {
            Err(Fault::UnknownKey) => {
                let newer = self.0.keys.newer(&url, &known).await.map_err(|_| unavailable(issuer))?;
                jose::verify(token, use_, newer.as_ref()).map_err(|fault| refused(&fault.to_string()))
            }
            verified => verified.map_err(|fault| refused(&fault.to_string())),
        }
    }
}

/// Finds where issuers publish their keys, and remembers it.
pub(super) struct Discovery {
    client: Client,
    clock: Arc<dyn Clock>,
    issuers: Mutex<BTreeMap<String, Arc<Slot>>>,
}

/// One issuer. The lock is held while its metadata is fetched, so that whoever comes meanwhile waits for the same answer.
type Slot = tokio::sync::Mutex<Known>;

#[derive(Default)]
struct Known {
    jwks_uri: Option<(Url, Moment)>,
    tried_at: Option<Moment>,
}

impl Discovery {
    pub(super) fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock, issuers: Mutex::default() }
    }

    /// Returns where an issuer that an operator trusts publishes its keys. If its metadata cannot be had, what it said
    /// last still counts.
    async fn jwks_uri(&self, issuer: &str) -> Result<Url, Refusal> {
        let slot = self.slot(issuer);
        let mut known = slot.lock().await;
        let now = self.clock.now();
        let fresh = known.jwks_uri.as_ref().is_some_and(|(_, at)| now.since(*at) < FRESH_FOR);
        if !fresh && known.tried_at.is_none_or(|at| now.since(at) >= RETRY_AFTER) {
            known.tried_at = Some(now);
            match self.discover(issuer).await {
                Ok(url) => known.jwks_uri = Some((url, now)),
                Err(why) => tracing::warn!(issuer, why, "the metadata of an issuer cannot be used"),
            }
        }
        known.jwks_uri.as_ref().map(|(url, _)| url.clone()).ok_or_else(|| unavailable(issuer))
    }

    fn slot(&self, issuer: &str) -> Arc<Slot> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(issuers.entry(issuer.to_owned()).or_default())
    }

    /// Asks for the metadata of OpenID Connect, then for that of OAuth.
    async fn discover(&self, issuer: &str) -> Result<Url, String> {
        let mut why = String::new();
        for url in well_known(issuer) {
            match self.metadata(issuer, &url).await {
                Ok(url) => return Ok(url),
                Err(fault) => why = format!("{url}: {fault}"),
            }
        }
        Err(why)
    }

    async fn metadata(&self, issuer: &str, url: &str) -> Result<Url, String> {
        let url = Url::parse(url).map_err(|fault| fault.to_string())?;
        let response = self.client.send(Request::get(url)).await.map_err(|fault| fault.to_string())?;
        if response.status != StatusCode::OK {
            return Err(format!("status {}", response.status.as_u16()));
        }
        let metadata = json::parse_object(&response.body, METADATA_BYTES_MAX).map_err(|fault| fault.to_string())?;
        let text = |name| metadata.get(name).and_then(Value::as_str);
        if text("issuer") != Some(issuer) {
            return Err("the metadata is of another issuer".to_owned());
        }
        let uri = text("jwks_uri").ok_or("the metadata has no `jwks_uri`")?;
        Url::parse(uri).map_err(|fault| fault.to_string())
    }
}

/// Returns where the metadata of an issuer may be.
///
/// # Source
///
/// OpenID Connect Discovery 1.0 section 4; RFC 8414 section 3.1.
fn well_known(issuer: &str) -> [String; 2] {
    let trimmed = issuer.trim_end_matches('/');
    let host_at = trimmed.find("://").map_or(0, |at| at + 3);
    let path_at = trimmed.get(host_at..).and_then(|rest| rest.find('/')).map_or(trimmed.len(), |at| host_at + at);
    let (origin, path) = trimmed.split_at(path_at);
    [
        format!("{trimmed}/.well-known/openid-configuration"),
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
    ]
}

fn refused(why: &str) -> Refusal {
    Refusal::grant(why)
}

fn unavailable(issuer: &str) -> Refusal {
    Refusal::new(Code::Unavailable, format!("the keys of `{issuer}` cannot be had now"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_each_standard_says() {
        assert_eq!(
            well_known("https://idp.example/t1/"),
            [
                "https://idp.example/t1/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server/t1",
            ]
        );
        assert_eq!(
            well_known("https://idp.example"),
            [
                "https://idp.example/.well-known/openid-configuration",
                "https://idp.example/.well-known/oauth-authorization-server",
            ]
        );
    }
}
