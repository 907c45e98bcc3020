//! The keys of issuers that publish them beside their name, fetched no more often than needed.
//!
//! Whoever presents credentials with unknown keys makes us look for new ones; between two attempts for one issuer lie
//! [`RETRY_AFTER`], whatever is presented.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use fetch::{Client, Request, Url};
use jose::{Jwks, Object, json};
use serde_json::Value;
use terms::Moment;

/// After so long, keys are fetched again before use.
const FRESH_FOR: Duration = Duration::from_mins(10);
/// If that fails, they count until they are this old: a credential is not refused because a server is down.
const STALE_FOR: Duration = Duration::from_hours(24);
/// The least time between two attempts for one issuer.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The longest metadata or key set, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// There are no keys that count; nothing of the issuer can be verified now.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the keys of `{0}` cannot be had now")]
pub(super) struct Undiscovered(pub(super) String);

/// The keys of issuers, by their `iss`.
#[derive(Debug)]
pub(super) struct Discovery {
    client: Client,
    issuers: Mutex<BTreeMap<String, Arc<Slot>>>,
}

/// One issuer. The lock is held while it is asked, so that whoever comes meanwhile waits for the same answer.
type Slot = tokio::sync::Mutex<Known>;

#[derive(Debug, Default)]
struct Known {
    keys: Option<(Jwks, Moment)>,
    tried_at: Option<Moment>,
}

impl Discovery {
    pub(super) fn new(client: Client) -> Self {
        Self { client, issuers: Mutex::default() }
    }

    /// Returns the keys of an issuer whom an operator trusts; with `anew`, those of now if it may be asked now.
    ///
    /// # Errors
    ///
    /// [`Undiscovered`].
    pub(super) async fn keys(&self, iss: &str, anew: bool, now: Moment) -> Result<Jwks, Undiscovered> {
        let slot = self.slot(iss);
        let mut known = slot.lock().await;
        let fresh = !anew && known.age(now).is_some_and(|age| age < FRESH_FOR);
        if !fresh && known.tried_at.is_none_or(|at| now.since(at) >= RETRY_AFTER) {
            // Noted first: if this is dropped midway, the attempt still counts.
            known.tried_at = Some(now);
            match self.discover(iss).await {
                Ok(keys) => known.keys = Some((keys, now)),
                Err(why) => tracing::warn!(iss, why, "the keys of an issuer of credentials cannot be had"),
            }
        }
        let counting = known.keys.as_ref().filter(|(_, at)| now.since(*at) < STALE_FOR);
        counting.map(|(keys, _)| keys.clone()).ok_or_else(|| Undiscovered(iss.to_owned()))
    }

    fn slot(&self, iss: &str) -> Arc<Slot> {
        let mut issuers = self.issuers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(issuers.entry(iss.to_owned()).or_default())
    }

    async fn discover(&self, iss: &str) -> Result<Jwks, String> {
        let metadata = self.object(&well_known(iss)).await?;
        if metadata.get("issuer").and_then(Value::as_str) != Some(iss) {
            return Err("its metadata is of another issuer".to_owned());
        }
        match (metadata.get("jwks"), metadata.get("jwks_uri").and_then(Value::as_str)) {
            (Some(set), None) => Jwks::from_value(set).map_err(|fault| fault.to_string()),
            (None, Some(uri)) => {
                let set = Value::from(self.object(uri).await?);
                Jwks::from_value(&set).map_err(|fault| fault.to_string())
            }
            _ => Err("its metadata must have one of `jwks` and `jwks_uri`".to_owned()),
        }
    }

    async fn object(&self, url: &str) -> Result<Object, String> {
        let url = Url::parse(url).map_err(|fault| fault.to_string())?;
        let response = self.client.send(Request::get(url)).await.map_err(|fault| fault.to_string())?;
        if response.status != StatusCode::OK {
            return Err(format!("status {}", response.status.as_u16()));
        }
        json::parse_object(&response.body, MAX_BYTES).map_err(|fault| fault.to_string())
    }
}

impl Known {
    fn age(&self, now: Moment) -> Option<Duration> {
        self.keys.as_ref().map(|(_, at)| now.since(*at))
    }
}

/// Returns where the metadata of an issuer is: between its host and its path.
///
/// # Source
/// SD-JWT VC, draft-ietf-oauth-sd-jwt-vc-24, section 4.
fn well_known(iss: &str) -> String {
    let iss = iss.trim_end_matches('/');
    let host_at = iss.find("://").map_or(0, |at| at + 3);
    let path_at = iss.get(host_at..).and_then(|rest| rest.find('/')).map_or(iss.len(), |at| host_at + at);
    let (origin, path) = iss.split_at(path_at);
    format!("{origin}/.well-known/jwt-vc-issuer{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_between_the_host_and_the_path() {
        assert_eq!(well_known("https://pid.example"), "https://pid.example/.well-known/jwt-vc-issuer");
        assert_eq!(well_known("https://pid.example/t/1/"), "https://pid.example/.well-known/jwt-vc-issuer/t/1");
    }
}
