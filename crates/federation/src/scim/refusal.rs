//! Why a request is refused, and the one place that turns it into an answer.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::Response,
};
use control::Fault;
use scim::{ScimType, error_body};
use serde_json::Value;

/// The media type of every body.
pub(super) const MEDIA_TYPE: &str = "application/scim+json";

/// Why a request is refused; nothing was changed.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The message is wrong.
    Scim(scim::Fault),
    /// No token, or not the channel's.
    Unauthenticated,
    /// The channel may do nothing now.
    Forbidden(&'static str),
    NotFound(String),
    MethodNotAllowed,
    NotImplemented(&'static str),
    /// The resource has another version by now.
    Outdated,
    UnsupportedMedia,
    TooLarge,
    /// The body did not arrive in time.
    Timeout,
    /// More requests than the channel may make.
    TooMany,
    /// The control plane could not do it.
    Control(Fault),
    /// What is stored cannot be read; the text is for the log.
    Unreadable(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Control(fault) => fault.fmt(f),
            Self::Unreadable(why) => f.write_str(why),
            other => f.write_str(&other.detail()),
        }
    }
}

impl From<scim::Fault> for Refusal {
    fn from(fault: scim::Fault) -> Self {
        Self::Scim(fault)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Control(fault)
    }
}

impl Refusal {
    pub(super) fn scim(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Self::Scim(scim::Fault::new(scim_type, detail))
    }

    /// Returns the answer; what the operator must know is logged, once.
    pub(super) fn into_response(self) -> Response {
        let status = self.status();
        if matches!(self, Self::Control(_) | Self::Unreadable(_)) {
            tracing::error!(error = %self, "a SCIM request failed");
        }
        let keyword = match &self {
            Self::Scim(fault) => Some(fault.scim_type),
            _ => None,
        };
        let mut response = body(status, &error_body(status.as_u16(), keyword, &self.detail()));
        let hint = match self {
            Self::Unauthenticated => Some((header::WWW_AUTHENTICATE, "Bearer")),
            Self::Control(Fault::Invalid(_)) => None,
            Self::TooMany | Self::Control(_) => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = hint {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Scim(fault) => StatusCode::from_u16(fault.scim_type.status()).unwrap_or(StatusCode::BAD_REQUEST),
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotImplemented(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Outdated => StatusCode::PRECONDITION_FAILED,
            Self::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Timeout => StatusCode::REQUEST_TIMEOUT,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            // The guard of the registry refused what was made of the request: to repeat it is of no use.
            Self::Control(Fault::Invalid(_)) => StatusCode::CONFLICT,
            Self::Control(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unreadable(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Scim(fault) => fault.detail.clone(),
            Self::NotFound(what) => format!("there is no {what}"),
            Self::Forbidden(why) | Self::NotImplemented(why) => (*why).to_owned(),
            other => other.words().to_owned(),
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "send the token of this channel as `Authorization: Bearer`",
            Self::MethodNotAllowed => "this endpoint does not take that method",
            Self::Outdated => "the resource has another version by now: read it again",
            Self::UnsupportedMedia => "send the body as `application/scim+json`",
            Self::TooLarge => "the body is too large",
            Self::Timeout => "the body did not arrive whole in 30 seconds",
            Self::TooMany => "too many requests: repeat it in a second",
            Self::Control(Fault::Invalid(_)) => "this contradicts what the operator registered: ask the operator",
            Self::Unreadable(_) => "the server could not finish the request: its operator finds why in the log",
            _ => "not available now: repeat it later",
        }
    }
}

/// Makes an answer with a body.
pub(super) fn body(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}
