//! Access tokens for transmitters: asked for with client credentials, kept while they are good, asked for again.
//!
//! # Source
//! RFC 6749, sections 2.3.1, 4.4 and 5; RFC 6750.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use fetch::{Request, Url};
use serde::Deserialize;
use terms::{ChannelId, Moment};
use zeroize::{Zeroize, Zeroizing};

use super::{
    Receiver,
    manage::{self, ManageFault},
    settings::{Authorization, ClientCredentials},
};

/// For how long a token counts whose life the authorization server does not tell.
const UNTOLD: Duration = Duration::from_secs(60);

/// The longest life that is believed; a token that is taken back earlier is noticed by the refusal.
const LONGEST_LIFE: Duration = Duration::from_hours(24);

/// The longest token, in bytes.
const LONGEST: usize = 16 * 1024;

/// The tokens in use, by channel. Kept in memory only.
#[derive(Default)]
pub(crate) struct AccessTokens(Mutex<BTreeMap<ChannelId, Held>>);

impl std::fmt::Debug for AccessTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessTokens(..)")
    }
}

/// One token, as the value of `Authorization`.
struct Held {
    header: Zeroizing<String>,
    by: ClientCredentials,
    until: Moment,
}

impl AccessTokens {
    /// Drops the token of a channel: its transmitter refused it.
    pub(crate) fn forget(&self, channel: &ChannelId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(channel);
    }

    fn good(&self, channel: &ChannelId, by: &ClientCredentials, now: Moment) -> Option<Zeroizing<String>> {
        let tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.get(channel).filter(|held| held.by == *by && now < held.until).map(|held| held.header.clone())
    }

    fn keep(&self, channel: &ChannelId, held: Held) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(channel.clone(), held);
    }
}

/// What an authorization server answers; a refresh token or a scope is not used.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl Drop for Granted {
    fn drop(&mut self) {
        self.access_token.zeroize();
    }
}

impl Receiver {
    /// Returns what to send as `Authorization` to the transmitter of a channel.
    ///
    /// # Errors
    ///
    /// [`ManageFault`] if the secret cannot be read, or the authorization server gives no token.
    pub(super) async fn authorization(
        &self,
        channel: &ChannelId,
        by: &Authorization,
    ) -> Result<Zeroizing<String>, ManageFault> {
        let credentials = match by {
            Authorization::Secret(name) => return self.secret(name),
            Authorization::ClientCredentials(credentials) => credentials,
        };
        let now = self.federation().now();
        if let Some(header) = self.access().good(channel, credentials, now) {
            return Ok(header);
        }
        let granted = self.granted(credentials).await?;
        let header = bearer(&granted)?;
        let life = granted.expires_in.map_or(UNTOLD, Duration::from_secs).min(LONGEST_LIFE);
        // A quarter is left, so that a token does not expire under way.
        let held = Held { header: header.clone(), by: credentials.clone(), until: now.plus(life / 4 * 3) };
        self.access().keep(channel, held);
        Ok(header)
    }

    /// Reads a secret for use with a transmitter.
    pub(super) fn secret(&self, name: &str) -> Result<Zeroizing<String>, ManageFault> {
        self.secrets().read(name).map_err(|fault| ManageFault::Here(fault.to_string()))
    }

    async fn granted(&self, credentials: &ClientCredentials) -> Result<Granted, ManageFault> {
        let url = Url::parse(&credentials.token_endpoint).map_err(|bad| ManageFault::Document(bad.to_string()))?;
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &credentials.scope {
            form += &format!("&scope={}", form_encoded(scope));
        }
        let mut request = Request::post(url, "application/x-www-form-urlencoded", Bytes::from(form));
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers.insert(header::AUTHORIZATION, manage::sensitive(&self.basic(credentials)?)?);
        let response = self.client().send(request).await?;
        manage::document("the request for an access token", &response, &[StatusCode::OK])
    }

    fn basic(&self, credentials: &ClientCredentials) -> Result<Zeroizing<String>, ManageFault> {
        let secret = self.secret(&credentials.secret)?;
        let pair = Zeroizing::new(format!(
            "{}:{}",
            form_encoded(&credentials.client_id),
            Zeroizing::new(form_encoded(&secret)).as_str()
        ));
        Ok(Zeroizing::new(format!("Basic {}", Zeroizing::new(STANDARD.encode(pair.as_bytes())).as_str())))
    }
}

fn bearer(granted: &Granted) -> Result<Zeroizing<String>, ManageFault> {
    let token = granted.access_token.as_str();
    let usable = (1..=LONGEST).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic());
    if !usable || !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err(ManageFault::Document("the access token is not a bearer token of visible ASCII".to_owned()));
    }
    Ok(Zeroizing::new(format!("Bearer {token}")))
}

/// Writes a value for a form or a query: everything but unreserved characters is escaped (RFC 3986, section 2.3).
pub(super) fn form_encoded(value: &str) -> String {
    value.bytes().fold(String::with_capacity(value.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_escapes_whatever_is_not_unreserved() {
        assert_eq!(form_encoded("a-b_c.d~e"), "a-b_c.d~e");
        assert_eq!(form_encoded("s3:cr&t =é"), "s3%3Acr%26t%20%3D%C3%A9");
    }

    #[test]
    fn only_a_bearer_token_of_visible_ascii_is_used() {
        let granted = |token: &str, kind: &str| Granted {
            access_token: token.to_owned(),
            token_type: kind.to_owned(),
            expires_in: None,
        };
        assert_eq!(bearer(&granted("abc.def", "bearer")).unwrap().as_str(), "Bearer abc.def");
        for (token, kind) in
            [("", "Bearer"), ("a b", "Bearer"), ("a\r\nx: y", "Bearer"), ("abc", "DPoP"), ("é", "Bearer")]
        {
            assert!(bearer(&granted(token, kind)).is_err(), "{token} {kind}");
        }
    }

    #[test]
    fn a_token_is_kept_for_its_credentials_until_it_expires_or_is_refused() {
        let channel = ChannelId::parse("acme").unwrap();
        let by = |client_id: &str| ClientCredentials {
            token_endpoint: "https://tr.example.com/token".to_owned(),
            client_id: client_id.to_owned(),
            secret: "acme".to_owned(),
            scope: None,
        };
        let (tokens, until) = (AccessTokens::default(), Moment::from_millis(1_000));
        tokens.keep(&channel, Held { header: Zeroizing::new("Bearer a".to_owned()), by: by("one"), until });
        let good = |client_id: &str, at: i64| tokens.good(&channel, &by(client_id), Moment::from_millis(at)).is_some();
        assert!(good("one", 999) && !good("one", 1_000) && !good("two", 999));
        tokens.forget(&channel);
        assert!(!good("one", 999));
    }
}
