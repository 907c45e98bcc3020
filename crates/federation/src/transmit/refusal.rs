//! Why a request is refused, in the words of the protocol.

use std::fmt;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use control::Fault;
use secevent::{ErrorCode, stream::SetError};

use super::{client::Scope, queue::QueueFault};

/// A request that is refused; nothing was changed.
///
/// # Source
///
/// OpenID Shared Signals Framework 1.0, section 8.1: the tables of error codes; RFC 6750 section 3.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is not well formed, or asks for what there is not.
    Invalid(String),
    /// It does not prove who it comes from; `tried` if it did try.
    Unauthenticated { tried: bool },
    /// It comes from somebody who may not do this.
    Forbidden(Scope),
    /// It is for the operator, not for the receiver, to do this.
    Held,
    /// There is no such stream, or it is another receiver's.
    NotFound,
    /// There already is one.
    Conflict,
    /// Too much of it.
    TooMany(&'static str),
    /// Nothing is wrong with it, but it cannot be done now; the log says why.
    Unavailable(String),
}

impl Refusal {
    pub(super) fn invalid(why: impl Into<String>) -> Self {
        Self::Invalid(why.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::Held => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Conflict => StatusCode::CONFLICT,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid(_) => ErrorCode::InvalidRequest,
            Self::Unauthenticated { .. } => ErrorCode::AuthenticationFailed,
            Self::Forbidden(_) | Self::Held => ErrorCode::AccessDenied,
            Self::NotFound => ErrorCode::Other("not_found".to_owned()),
            Self::Conflict => ErrorCode::Other("conflict".to_owned()),
            Self::TooMany(_) => ErrorCode::Other("too_many_requests".to_owned()),
            Self::Unavailable(_) => ErrorCode::Other("temporarily_unavailable".to_owned()),
        }
    }

    /// Returns what `WWW-Authenticate` says.
    fn challenge(&self) -> Option<String> {
        match self {
            Self::Unauthenticated { tried: false } => Some("Bearer realm=\"ssf\"".to_owned()),
            Self::Unauthenticated { tried: true } => Some("Bearer realm=\"ssf\", error=\"invalid_token\"".to_owned()),
            Self::Forbidden(scope) => {
                Some(format!("Bearer realm=\"ssf\", error=\"insufficient_scope\", scope=\"{}\"", scope.name()))
            }
            _ => None,
        }
    }
}

/// What whoever asked is told.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(why) => f.write_str(why),
            Self::Unauthenticated { tried: false } => f.write_str("this needs a bearer token"),
            Self::Unauthenticated { tried: true } => f.write_str("the bearer token is not good here"),
            Self::Forbidden(scope) => write!(f, "this needs the scope `{}`", scope.name()),
            Self::Held => f.write_str("the stream was stopped by the operator of the transmitter: ask them"),
            Self::NotFound => f.write_str("there is no such stream"),
            Self::Conflict => f.write_str("there already is a stream for this receiver: change or delete it"),
            Self::TooMany(why) => f.write_str(why),
            Self::Unavailable(_) => f.write_str("this cannot be done now: try again later"),
        }
    }
}

/// The registry could not be asked or written, or the change that was asked for may not be.
impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Invalid(faults) => {
                let told: Vec<_> = faults.iter().map(|fault| format!("`{}` {}", fault.field, fault.detail)).collect();
                Self::Invalid(told.join("; "))
            }
            Fault::NotFound { .. } => Self::NotFound,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<QueueFault> for Refusal {
    fn from(fault: QueueFault) -> Self {
        let why = std::error::Error::source(&fault).map_or_else(String::new, |source| format!(": {source}"));
        Self::Unavailable(format!("{fault}{why}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match &self {
            Self::Unavailable(why) => tracing::error!(why, "a receiver's request could not be answered"),
            _ => tracing::info!(status = self.status().as_u16(), why = %self, "a receiver's request was refused"),
        }
        let told = SetError { err: self.code(), description: self.to_string() };
        let mut response = (self.status(), Json(told)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(Ok(challenge)) = self.challenge().as_deref().map(HeaderValue::from_str) {
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
