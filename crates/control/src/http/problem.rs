//! The one place that turns faults into answers: problem details (RFC 9457), each logged once.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use ledger::{LookupError, Unavailable};

use crate::{Fault, FieldFault};

/// What a failed request is told.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The same in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What went wrong with this request and what to do.
    detail: String,
    /// The fields that are wrong, if it is about fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldFault>,
    /// The ledger entry that was made all the same, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<u64>,
}

/// The kind of a problem: status, stable name, title.
type Kind = (StatusCode, &'static str, &'static str);

impl Problem {
    fn new((status, name, title): Kind, detail: String) -> Self {
        Self {
            kind: format!("urn:exeat:problem:{name}"),
            title,
            status: status.as_u16(),
            detail,
            errors: Vec::new(),
            receipt: None,
        }
    }

    pub(super) fn not_found() -> Self {
        let detail = "there is no such path: see /admin/v1/openapi.json".to_owned();
        Self::new(NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        let kind = (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "method not allowed");
        let detail = "this path does not take that method: see /admin/v1/openapi.json".to_owned();
        Self::new(kind, detail)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(TOO_LARGE, format!("a body may have at most {limit} bytes"))
    }

    pub(super) fn unsupported_media() -> Self {
        let kind = (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "unsupported media type");
        let detail = "send the body as `content-type: application/json`".to_owned();
        Self::new(kind, detail)
    }

    pub(super) fn body_unreadable() -> Self {
        let detail = "the body did not arrive whole in 30 seconds".to_owned();
        let kind = (StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive");
        Self::new(kind, detail)
    }

    pub(super) fn internal() -> Self {
        let detail = "the server could not finish the request: see its log".to_owned();
        Self::new(INTERNAL, detail)
    }

    pub(super) fn key_reused() -> Self {
        let kind =
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "the idempotency key names another request");
        let detail = "this `Idempotency-Key` was sent with another request in the last 24 hours: choose a new one";
        Self::new(kind, detail.to_owned())
    }
}

const TOO_LARGE: Kind = (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "too large to be recorded");
const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "not-found", "not found");
const INTERNAL: Kind = (StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error");
/// What asking again in a second mends: no fault of anybody's.
const NOT_YET: Kind = (StatusCode::SERVICE_UNAVAILABLE, "not-yet", "not covered by a checkpoint yet");
const UNAVAILABLE: Kind = (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "not available now");

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let mut problem = Self::new(kind(&fault), fault.to_string());
        problem.errors = fault.fields().to_vec();
        if let Fault::Behind { index, .. } = fault {
            problem.receipt = Some(index);
        }
        problem
    }
}

fn kind(fault: &Fault) -> Kind {
    match fault {
        Fault::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "the request is malformed"),
        Fault::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "the request is not acceptable"),
        Fault::DoesNotCompile(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "does-not-compile", "the snapshot does not compile")
        }
        Fault::Unauthenticated(_) => (StatusCode::UNAUTHORIZED, "unauthenticated", "not authenticated"),
        Fault::Forbidden { .. } => (StatusCode::FORBIDDEN, "forbidden", "not allowed"),
        Fault::NotFound { .. } | Fault::Lookup(LookupError::Unknown(_)) => NOT_FOUND,
        Fault::Unproved(_) => (StatusCode::UNPROCESSABLE_ENTITY, "unproved", "not proved to hold"),
        Fault::Unapproved(_) => (StatusCode::CONFLICT, "unapproved", "approvals are missing"),
        Fault::Conflict(_) => (StatusCode::CONFLICT, "conflict", "contradicts the present state"),
        Fault::NotErased(_) => (StatusCode::CONFLICT, "not-erased", "not erased"),
        Fault::NotOffered(_) => (StatusCode::NOT_IMPLEMENTED, "not-offered", "not offered here"),
        Fault::Unrecorded(Unavailable::TooLong) => TOO_LARGE,
        Fault::Lookup(LookupError::NotYet(_)) => NOT_YET,
        Fault::Unrecorded(_) | Fault::Random(_) | Fault::Follow(_) => UNAVAILABLE,
        Fault::Behind { .. } | Fault::Store(_) | Fault::Lookup(_) | Fault::Unwritable(_) => INTERNAL,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() && self.title != NOT_YET.2 {
            tracing::error!(kind = self.kind, detail = self.detail, "admin request failed");
        }
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        if let Some((name, value)) = hint(status) {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn hint(status: StatusCode) -> Option<(HeaderName, &'static str)> {
    match status {
        StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
        StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "1")),
        _ => None,
    }
}
