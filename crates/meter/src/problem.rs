//! Every way in which a request ends at the meter itself, and how both families of clients are told.

use bytes::Bytes;
use gateway::Unreadable;
use http::{HeaderValue, Response, StatusCode, header};
use jose::{ClaimFault, Fault, ticket::TicketFault};

/// Seconds after which a client may try again where that can help.
const RETRY_AFTER: u64 = 1;

/// Why a request is not passed on, or its reply not passed back. No text in it repeats a ticket or a body.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    /// No ticket, so no token.
    #[error("this model server answers nobody without a ticket: send the request through the gateway")]
    TicketMissing,
    /// Which of several would count?
    #[error("the header `exeat-ticket` was sent more than once, or is not text: send one ticket")]
    TicketAmbiguous,
    /// A ticket that does not count.
    #[error("{0}")]
    Ticket(#[from] TicketFault),
    /// A ticket is good for one request.
    #[error("the ticket was used before: each is good for one request")]
    TicketReplayed,
    /// A ticket for one model does not open another.
    #[error("the ticket is for the model `{permitted}`, and the request asks for another")]
    AnotherModel {
        /// The version that the ticket names.
        permitted: String,
    },
    /// The request itself.
    #[error("{0}")]
    Request(#[from] Unreadable),
    /// The body is too long.
    #[error("the request body is longer than {0} bytes: send less")]
    TooLarge(usize),
    /// The body did not come.
    #[error("the request body broke off or took too long: send it again")]
    Incomplete,
    /// No room for another call, or for remembering another ticket.
    #[error("no capacity: try again in {RETRY_AFTER} s")]
    Overloaded,
    /// Nothing can be recorded, so nothing is served.
    #[error("the call cannot be recorded now, so it is not served: try again later")]
    LedgerUnavailable,
    /// The meter is about to stop.
    #[error("the meter is shutting down: try again")]
    Draining,
    /// The model server did not answer, or not so that it could be passed on.
    #[error("the model server failed: {0}")]
    Upstream(String),
    /// Nothing is here, or nothing for this caller.
    #[error("nothing is found at this path")]
    NotFound,
    /// Not the secret of this meter's reconciliation.
    #[error("this needs the meter's reconciliation secret as a bearer token")]
    Unauthorized,
    /// A question about sums that cannot be answered as it is put.
    #[error("{0}")]
    Question(String),
}

impl Problem {
    /// Returns the stable code that programs may match on; it stands in the record of a refusal.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::TicketMissing => "ticket_missing",
            Self::TicketAmbiguous => "ticket_ambiguous",
            Self::Ticket(TicketFault::Token(Fault::Claim(ClaimFault::Expired))) => "ticket_expired",
            Self::Ticket(TicketFault::Token(_)) => "ticket_invalid",
            Self::Ticket(TicketFault::Issuer | TicketFault::Audience) => "ticket_foreign",
            Self::Ticket(TicketFault::Life | TicketFault::Hour) => "ticket_invalid",
            Self::TicketReplayed => "ticket_replayed",
            Self::AnotherModel { .. } => "ticket_for_another_model",
            Self::Request(unreadable) => unreadable.code,
            Self::TooLarge(_) => "request_too_large",
            Self::Incomplete => "request_timeout",
            Self::Overloaded => "overloaded",
            Self::LedgerUnavailable => "ledger_unavailable",
            Self::Draining => "draining",
            Self::Upstream(_) => "upstream_failed",
            Self::NotFound => "not_found",
            Self::Unauthorized => "unauthorized",
            Self::Question(_) => "invalid_question",
        }
    }

    /// Returns the HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::TicketMissing | Self::TicketAmbiguous | Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Ticket(TicketFault::Issuer | TicketFault::Audience) => StatusCode::FORBIDDEN,
            Self::Ticket(_) => StatusCode::UNAUTHORIZED,
            Self::TicketReplayed | Self::AnotherModel { .. } => StatusCode::FORBIDDEN,
            Self::Request(unreadable) => StatusCode::from_u16(unreadable.status).unwrap_or(StatusCode::BAD_REQUEST),
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Incomplete => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded | Self::LedgerUnavailable | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Question(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Says whether somebody asked for tokens without a right to them: such a request is recorded.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::TicketMissing
                | Self::TicketAmbiguous
                | Self::Ticket(_)
                | Self::TicketReplayed
                | Self::AnotherModel { .. }
        )
    }

    /// Writes the answer: both SDK families read `error.type` and `error.message`.
    pub(crate) fn response(&self) -> Response<Bytes> {
        let (code, message) = (self.code(), self.to_string());
        let error = serde_json::json!({ "type": code, "code": code, "message": message, "param": null });
        let body = serde_json::json!({ "type": "error", "error": error }).to_string();
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status() == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER));
        } else if self.status().is_client_error() && !matches!(self, Self::Incomplete) {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        response
    }
}
