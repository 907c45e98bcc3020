//! Every way in which a call ends without output, and how each dialect says so.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, header};
use terms::Dialect;

use super::{anthropic, openai};

/// Seconds after which a client may try again when nothing better is known.
const RETRY_AFTER: u64 = 1;

/// Why a call ends without output. Its text goes to the caller and so names nobody else and no secret.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Problem {
    /// No credential, or one that is not good.
    #[error("{fault}")]
    Unauthenticated {
        /// What is wrong and what to do; never part of the credential.
        fault: String,
    },
    /// The credential must be presented otherwise, or whoever stands behind it authenticate anew.
    #[error("{fault}")]
    Challenged {
        /// What is wrong and what to do; never part of the credential.
        fault: String,
        /// What would be taken.
        challenge: Challenge,
    },
    /// The key is past its expiry.
    #[error("the API key has expired: ask for a new one")]
    KeyExpired,
    /// The key was revoked.
    #[error("the API key is revoked or has expired: ask for a new one")]
    KeyRevoked,
    /// The decision refused.
    #[error("{message}")]
    PermissionDenied {
        /// The stable code of the refusal.
        code: &'static str,
        /// Why, and what would help.
        message: String,
        /// True if named evidence would clear it.
        hold: bool,
    },
    /// The vendor has this path; this gateway does not carry it.
    #[error("`{what}` is not offered by this gateway")]
    NotOffered {
        /// The family of paths.
        what: &'static str,
    },
    /// Nothing is here, or nothing that is this caller's.
    #[error("nothing is found at this path")]
    NotFound,
    /// The path has no such method.
    #[error("this path does not have the method: use {allow}")]
    MethodNotAllowed {
        /// The methods it has, as the `allow` header lists them.
        allow: &'static str,
    },
    /// The request cannot be understood, or can be understood in two ways.
    #[error("{message}")]
    BadRequest {
        /// What is wrong and what to do.
        message: String,
        /// The member of the body it is about, if any.
        param: Option<&'static str>,
    },
    /// The body is longer than the limit.
    #[error("the request body is longer than {limit} bytes: send less")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is of a kind that cannot be looked into.
    #[error("{what}")]
    UnsupportedMedia {
        /// What is wrong and what to do.
        what: &'static str,
    },
    /// No such model for this caller.
    #[error("the model `{name}` does not exist or you do not have access to it")]
    ModelUnknown {
        /// The name asked for.
        name: String,
    },
    /// The model is not served in this dialect.
    #[error("the model is not served in this dialect: use the other vendor's API")]
    DialectUnsupported,
    /// The headers are longer than the limit.
    #[error("the request headers are too large: send fewer or shorter ones")]
    HeadersTooLarge,
    /// The client took too long to send the request.
    #[error("the request took too long to arrive: send it again")]
    Timeout408,
    /// The caller has used up what one caller may.
    #[error("too many requests: try again in {retry_after} s")]
    RateLimited {
        /// In how many seconds to try again.
        retry_after: u64,
    },
    /// The gateway or the model has no room.
    #[error("no capacity: try again in {retry_after} s")]
    Overloaded {
        /// In how many seconds to try again.
        retry_after: u64,
    },
    /// The upstream failed before any output.
    #[error("the model server failed: {message}")]
    UpstreamFailed {
        /// The status it answered with, if it answered.
        status: Option<u16>,
        /// What failed, without addresses or credentials.
        message: String,
    },
    /// The upstream took too long.
    #[error("the model server did not answer in time")]
    UpstreamTimeout,
    /// The ledger takes no entry, so nothing may be released.
    #[error("the call cannot be recorded now, so nothing is released: try again later")]
    LedgerUnavailable,
    /// The gateway is about to stop.
    #[error("the gateway is shutting down: try again")]
    Draining,
    /// The gateway failed.
    #[error("the gateway failed: give your operator the request id")]
    Internal,
}

/// What would be taken in place of a credential that was not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// Another token, or the same one presented as it demands.
    InvalidToken,
    /// A token of more scope.
    InsufficientScope {
        /// The scope.
        scope: String,
    },
    /// A token after a fresh authentication.
    StepUp {
        /// How long ago it may be, in seconds.
        max_age: u64,
        /// The authentication contexts that would do, separated by spaces; any if empty.
        acr_values: String,
    },
    /// Another DPoP proof.
    InvalidProof,
    /// A DPoP proof that holds the nonce of the answer.
    UseNonce,
}

impl Challenge {
    /// Returns the error code.
    ///
    /// # Source
    /// RFC 6750 section 3.1; RFC 9449 sections 7.1 and 9; RFC 9470 section 3.
    pub(crate) fn error(&self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope { .. } => "insufficient_scope",
            Self::StepUp { .. } => "insufficient_user_authentication",
            Self::InvalidProof => "invalid_dpop_proof",
            Self::UseNonce => "use_dpop_nonce",
        }
    }
}

impl Problem {
    /// Makes a [`Problem::BadRequest`] that is about no single member of the body.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param: None }
    }

    /// Makes a [`Problem::BadRequest`] about the member `param` of the body.
    pub(crate) fn bad_member(param: &'static str, message: impl Into<String>) -> Self {
        Self::BadRequest { message: message.into(), param: Some(param) }
    }

    /// Returns the stable code that clients may match on.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } => "invalid_api_key",
            Self::Challenged { challenge, .. } => challenge.error(),
            Self::KeyExpired => "key_expired",
            Self::KeyRevoked => "key_revoked",
            Self::PermissionDenied { code, .. } => code,
            Self::NotOffered { .. } => "not_offered",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BadRequest { .. } => "invalid_request",
            Self::TooLarge { .. } => "request_too_large",
            Self::UnsupportedMedia { .. } => "unsupported_media_type",
            Self::ModelUnknown { .. } => "model_not_found",
            Self::DialectUnsupported => "dialect_unsupported",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Timeout408 => "request_timeout",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::Overloaded { .. } => "overloaded",
            Self::UpstreamFailed { .. } => "upstream_failed",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Draining => "draining",
            Self::Internal => "internal_error",
        }
    }

    /// Returns the HTTP status. The dialects differ only where there is no capacity: 503, or Anthropic's 529.
    pub(crate) fn status(&self, dialect: Dialect) -> u16 {
        match self {
            Self::BadRequest { .. } | Self::DialectUnsupported => 400,
            Self::Challenged { challenge: Challenge::InsufficientScope { .. }, .. } => 403,
            Self::Unauthenticated { .. } | Self::Challenged { .. } | Self::KeyExpired | Self::KeyRevoked => 401,
            Self::PermissionDenied { .. } => 403,
            Self::NotOffered { .. } | Self::NotFound | Self::ModelUnknown { .. } => 404,
            Self::MethodNotAllowed { .. } => 405,
            Self::Timeout408 => 408,
            Self::TooLarge { .. } => 413,
            Self::UnsupportedMedia { .. } => 415,
            Self::RateLimited { .. } => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::UpstreamFailed { .. } => 502,
            Self::UpstreamTimeout => 504,
            Self::Overloaded { .. } | Self::LedgerUnavailable | Self::Draining => match dialect {
                Dialect::Openai => 503,
                Dialect::Anthropic => 529,
            },
        }
    }

    /// Writes the answer in the caller's dialect.
    ///
    /// Where trying again cannot help, `x-should-retry: false` keeps the official clients from it;
    /// where it can, `retry-after` says when.
    pub(crate) fn response(&self, dialect: Dialect, request_id: &str) -> Response<Bytes> {
        let mut response = Response::new(self.body(dialect, request_id));
        *response.status_mut() =
            http::StatusCode::from_u16(self.status(dialect)).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert(request_id_header(dialect), id);
        }
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        if self.is_final() {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        if let Some((name, value)) = self.own_header() {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn body(&self, dialect: Dialect, request_id: &str) -> Bytes {
        let (status, message) = (self.status(dialect), self.to_string());
        match dialect {
            Dialect::Openai => openai::failure(status, self.code(), &message, self.param()),
            Dialect::Anthropic => anthropic::failure(status, self.code(), &message, request_id),
        }
    }

    fn param(&self) -> Option<&'static str> {
        match self {
            Self::BadRequest { param, .. } => *param,
            Self::ModelUnknown { .. } | Self::DialectUnsupported => Some("model"),
            _ => None,
        }
    }

    /// Returns in how many seconds to try again, where trying again is what helps.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } | Self::Overloaded { retry_after } => Some(*retry_after),
            Self::LedgerUnavailable | Self::Draining => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// Returns true if the same request would get the same answer again.
    fn is_final(&self) -> bool {
        let status = self.status(Dialect::Openai);
        status < 500 && !matches!(status, 408 | 429)
    }

    /// Returns the header that only this problem carries.
    ///
    /// # Source
    /// RFC 9110 sections 10.2.1 (`allow`) and 11.6.1 (`www-authenticate`); RFC 6750 section 3.
    fn own_header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::Unauthenticated { .. } => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::KeyExpired | Self::KeyRevoked => Some((header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")),
            Self::MethodNotAllowed { allow } => Some((header::ALLOW, allow)),
            Self::PermissionDenied { hold, .. } => {
                Some((HeaderName::from_static("exeat-refusal"), if *hold { "hold" } else { "denial" }))
            }
            _ => None,
        }
    }
}

/// Returns the header in which the dialect's clients look for the request id.
pub(crate) fn request_id_header(dialect: Dialect) -> &'static HeaderName {
    static OPENAI: HeaderName = HeaderName::from_static("x-request-id");
    static ANTHROPIC: HeaderName = HeaderName::from_static("request-id");
    match dialect {
        Dialect::Openai => &OPENAI,
        Dialect::Anthropic => &ANTHROPIC,
    }
}

/// Writes the one frame that ends a cut stream. Send it only where a frame may begin.
///
/// The official clients of both vendors raise it as an error of type `permission_error`: one looks at the
/// name of the event, the other at the `error` member of the data.
pub(crate) fn error_event(dialect: Dialect, code: &str, message: &str, request_id: &str) -> Bytes {
    last_event(dialect, "permission_error", code, message, request_id)
}

/// Writes the one frame that ends a stream which the upstream did not finish, as an error of type `api_error`.
/// Send it only where a frame may begin.
pub(crate) fn failure_event(dialect: Dialect, code: &str, message: &str, request_id: &str) -> Bytes {
    last_event(dialect, "api_error", code, message, request_id)
}

fn last_event(dialect: Dialect, kind: &'static str, code: &str, message: &str, request_id: &str) -> Bytes {
    let (openai_code, details) = match dialect {
        Dialect::Openai => (Some(code), None),
        Dialect::Anthropic => (None, Some(Details { error_code: code })),
    };
    let data = json(&ErrorEvent {
        r#type: "error",
        error: ErrorDetail { r#type: kind, message, code: openai_code, details },
        request_id,
    });
    Bytes::from([b"event: error\ndata: ", data.as_ref(), b"\n\n"].concat())
}

#[derive(serde::Serialize)]
struct ErrorEvent<'a> {
    r#type: &'static str,
    error: ErrorDetail<'a>,
    request_id: &'a str,
}

#[derive(serde::Serialize)]
struct ErrorDetail<'a> {
    r#type: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(serde::Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

/// Writes one of this module's own shapes, none of which can fail to be written.
pub(super) fn json(shape: &impl serde::Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(shape).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Anthropic, Openai};

    fn denied() -> Problem {
        Problem::PermissionDenied {
            code: "foreign_person_barred",
            message: "a directive bars \"foreign\" persons".to_owned(),
            hold: false,
        }
    }

    fn header<'a>(response: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
        Some(response.headers().get(name)?.to_str().unwrap())
    }

    #[test]
    fn a_denial_is_written_in_each_dialect_and_not_retried() {
        let response = denied().response(Openai, "r1");
        assert_eq!(response.status(), 403);
        assert_eq!(
            response.body().as_ref(),
            br#"{"error":{"message":"a directive bars \"foreign\" persons","type":"permission_error","param":null,"code":"foreign_person_barred"}}"#
        );
        assert_eq!(header(&response, "x-request-id"), Some("r1"));
        assert_eq!(header(&response, "x-should-retry"), Some("false"));
        assert_eq!(header(&response, "content-type"), Some("application/json"));
        assert_eq!(header(&response, "exeat-refusal"), Some("denial"));

        let response = denied().response(Anthropic, "r1");
        assert_eq!(response.status(), 403);
        assert_eq!(
            response.body().as_ref(),
            br#"{"type":"error","error":{"type":"permission_error","message":"a directive bars \"foreign\" persons","details":{"error_code":"foreign_person_barred"}},"request_id":"r1"}"#
        );
        assert_eq!(header(&response, "request-id"), Some("r1"));
        assert_eq!(header(&response, "x-should-retry"), Some("false"));
    }

    #[test]
    fn an_unknown_model_is_a_404_that_names_the_member() {
        let problem = Problem::ModelUnknown { name: "nova".to_owned() };
        assert_eq!(
            problem.response(Openai, "r").body().as_ref(),
            br#"{"error":{"message":"the model `nova` does not exist or you do not have access to it","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#
        );
        assert_eq!(
            problem.response(Anthropic, "r").body().as_ref(),
            br#"{"type":"error","error":{"type":"not_found_error","message":"the model `nova` does not exist or you do not have access to it","details":{"error_code":"model_not_found"}},"request_id":"r"}"#
        );
    }

    fn challenged(challenge: Challenge) -> Problem {
        Problem::Challenged { fault: "the access token is not valid".to_owned(), challenge }
    }

    fn upstream_failed() -> Problem {
        Problem::UpstreamFailed { status: Some(500), message: "it closed the connection".to_owned() }
    }

    #[test]
    fn each_problem_has_its_statuses_types_code_and_retry_headers() {
        let fault = || "no API key".to_owned();
        #[rustfmt::skip]
        let table = [
            (Problem::Unauthenticated { fault: fault() }, 401, 401, "invalid_request_error", "authentication_error", "invalid_api_key", None, true),
            (challenged(Challenge::InvalidToken), 401, 401, "invalid_request_error", "authentication_error", "invalid_token", None, true),
            (challenged(Challenge::InsufficientScope { scope: fault() }), 403, 403, "permission_error", "permission_error", "insufficient_scope", None, true),
            (challenged(Challenge::StepUp { max_age: 9, acr_values: fault() }), 401, 401, "invalid_request_error", "authentication_error", "insufficient_user_authentication", None, true),
            (challenged(Challenge::UseNonce), 401, 401, "invalid_request_error", "authentication_error", "use_dpop_nonce", None, true),
            (Problem::KeyExpired, 401, 401, "invalid_request_error", "authentication_error", "key_expired", None, true),
            (Problem::KeyRevoked, 401, 401, "invalid_request_error", "authentication_error", "key_revoked", None, true),
            (denied(), 403, 403, "permission_error", "permission_error", "foreign_person_barred", None, true),
            (Problem::NotOffered { what: "files" }, 404, 404, "invalid_request_error", "not_found_error", "not_offered", None, true),
            (Problem::NotFound, 404, 404, "invalid_request_error", "not_found_error", "not_found", None, true),
            (Problem::MethodNotAllowed { allow: "GET" }, 405, 405, "invalid_request_error", "invalid_request_error", "method_not_allowed", None, true),
            (Problem::bad_request("no"), 400, 400, "invalid_request_error", "invalid_request_error", "invalid_request", None, true),
            (Problem::TooLarge { limit: 9 }, 413, 413, "invalid_request_error", "request_too_large", "request_too_large", None, true),
            (Problem::UnsupportedMedia { what: "no" }, 415, 415, "invalid_request_error", "invalid_request_error", "unsupported_media_type", None, true),
            (Problem::ModelUnknown { name: fault() }, 404, 404, "invalid_request_error", "not_found_error", "model_not_found", None, true),
            (Problem::DialectUnsupported, 400, 400, "invalid_request_error", "invalid_request_error", "dialect_unsupported", None, true),
            (Problem::HeadersTooLarge, 431, 431, "invalid_request_error", "invalid_request_error", "headers_too_large", None, true),
            (Problem::Timeout408, 408, 408, "invalid_request_error", "timeout_error", "request_timeout", None, false),
            (Problem::RateLimited { retry_after: 7 }, 429, 429, "rate_limit_error", "rate_limit_error", "rate_limit_exceeded", Some("7"), false),
            (Problem::Overloaded { retry_after: 0 }, 503, 529, "overloaded_error", "overloaded_error", "overloaded", Some("1"), false),
            (upstream_failed(), 502, 502, "api_error", "api_error", "upstream_failed", None, false),
            (Problem::UpstreamTimeout, 504, 504, "api_error", "timeout_error", "upstream_timeout", None, false),
            (Problem::LedgerUnavailable, 503, 529, "overloaded_error", "overloaded_error", "ledger_unavailable", Some("1"), false),
            (Problem::Draining, 503, 529, "overloaded_error", "overloaded_error", "draining", Some("1"), false),
            (Problem::Internal, 500, 500, "api_error", "api_error", "internal_error", None, false),
        ];
        for (problem, openai_status, anthropic_status, openai_type, anthropic_type, code, after, last) in table {
            for (dialect, status, kind) in
                [(Openai, openai_status, openai_type), (Anthropic, anthropic_status, anthropic_type)]
            {
                let response = problem.response(dialect, "r");
                let body: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
                let found = match dialect {
                    Openai => &body["error"]["code"],
                    Anthropic => &body["error"]["details"]["error_code"],
                };
                assert_eq!(response.status().as_u16(), status, "{problem:?}");
                assert_eq!(body["error"]["type"], kind, "{problem:?}");
                assert_eq!(found, code, "{problem:?}");
                assert_eq!(header(&response, "retry-after"), after, "{problem:?}");
                let retry = header(&response, "x-should-retry");
                assert_eq!(retry, last.then_some("false"), "{problem:?}");
            }
        }
    }

    #[test]
    fn a_credential_problem_challenges_and_a_wrong_method_lists_the_right_ones() {
        let fault = "no API key".to_owned();
        let response = Problem::Unauthenticated { fault }.response(Openai, "r");
        assert_eq!(header(&response, "www-authenticate"), Some("Bearer"));
        let response = Problem::KeyRevoked.response(Anthropic, "r");
        assert_eq!(header(&response, "www-authenticate"), Some("Bearer error=\"invalid_token\""));
        let response = Problem::MethodNotAllowed { allow: "GET" }.response(Openai, "r");
        assert_eq!(header(&response, "allow"), Some("GET"));
    }

    #[test]
    fn a_request_id_that_is_no_header_value_is_left_out_of_the_headers() {
        let response = denied().response(Openai, "a\r\nset-cookie: b");
        assert_eq!(header(&response, "x-request-id"), None);
        assert_eq!(header(&response, "set-cookie"), None);
    }

    #[test]
    fn a_stream_that_its_upstream_broke_off_is_no_question_of_permission() {
        assert_eq!(
            failure_event(Openai, "upstream_failed", "it closed the connection", "r").as_ref(),
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"it closed the connection\",\"code\":\"upstream_failed\"},\"request_id\":\"r\"}\n\n"
        );
    }

    #[test]
    fn a_cut_is_one_frame_in_either_dialect_whatever_the_message_holds() {
        assert_eq!(
            error_event(Openai, "key_revoked", "access\nrevoked", "r").as_ref(),
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":\"access\\nrevoked\",\"code\":\"key_revoked\"},\"request_id\":\"r\"}\n\n"
        );
        assert_eq!(
            error_event(Anthropic, "key_revoked", "access revoked", "r").as_ref(),
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"permission_error\",\"message\":\"access revoked\",\"details\":{\"error_code\":\"key_revoked\"}},\"request_id\":\"r\"}\n\n"
        );
    }
}
