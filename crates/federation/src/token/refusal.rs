//! Why a request is refused, in the words of the protocol.

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// The header that brings a nonce for the next proof (RFC 9449 section 8).
pub(super) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// What is wrong with a request: one code of the protocol each.
///
/// # Source
///
/// RFC 6749 section 5.2; RFC 8693 section 2.2.2; RFC 9449 sections 5 and 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    InvalidTarget,
    InvalidDpopProof,
    UseDpopNonce,
    UnsupportedTokenType,
    /// Too many requests: the same one may do later.
    SlowDown,
    /// Nothing is wrong with it, but it cannot be answered now.
    Unavailable,
}

impl Code {
    fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidDpopProof => "invalid_dpop_proof",
            Self::UseDpopNonce => "use_dpop_nonce",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::SlowDown | Self::Unavailable => "temporarily_unavailable",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::InvalidClient => StatusCode::UNAUTHORIZED,
            Self::SlowDown => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// A request that is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) why: String,
    /// The nonce that the next proof must carry.
    pub(super) nonce: Option<String>,
}

impl Refusal {
    /// Refuses for a reason that whoever asked may read.
    pub(super) fn new(code: Code, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), nonce: None }
    }

    /// Refuses a request whose form is wrong.
    pub(super) fn request(why: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, why)
    }

    /// Refuses the token or assertion that a request rests on.
    pub(super) fn grant(why: impl Into<String>) -> Self {
        Self::new(Code::InvalidGrant, why)
    }

    /// Refuses a client; why, is told to nobody who has not proved to be one.
    pub(super) fn client() -> Self {
        Self::new(Code::InvalidClient, "the client is not known, or did not authenticate as it is registered")
    }
}

/// The registry could not be asked or written: the log says why, whoever asked only that it was not done.
impl From<control::Fault> for Refusal {
    fn from(fault: control::Fault) -> Self {
        tracing::error!(%fault, "the token endpoint could not use the registry");
        Self::new(Code::Unavailable, "no token was issued: try again later")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        tracing::info!(code = self.code.name(), why = self.why, "refused at the token endpoint");
        let body = json!({ "error": self.code.name(), "error_description": described(&self.why) });
        let mut response = (self.code.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.code == Code::InvalidClient {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"token endpoint\""));
        }
        if self.code.status() != StatusCode::BAD_REQUEST && self.code != Code::InvalidClient {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        if let Some(nonce) = self.nonce.and_then(|nonce| HeaderValue::from_str(&nonce).ok()) {
            headers.insert(DPOP_NONCE, nonce);
        }
        response
    }
}

/// Spells a reason in the characters that a description may have (RFC 6749 section 5.2).
fn described(why: &str) -> String {
    let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    why.chars().map(|c| if allowed(c) { c } else { '\'' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_never_cached_and_names_its_code_status_and_nonce() {
        let refusal =
            Refusal { nonce: Some("n1".to_owned()), ..Refusal::new(Code::UseDpopNonce, "make \"another\" proof") };
        let response = refusal.into_response();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        assert_eq!(response.headers()[DPOP_NONCE], "n1");
        assert_eq!(Refusal::client().into_response().status(), StatusCode::UNAUTHORIZED);
        assert_eq!(Refusal::new(Code::SlowDown, "").into_response().status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn a_description_has_no_character_that_the_protocol_forbids() {
        assert_eq!(described("say \"é\" \\ `x`"), "say ''' ' `x`");
    }
}
